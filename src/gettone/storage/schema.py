"""The tables, for SQLite and PostgreSQL alike (and Citus: ``org_id`` leads every key of an organisation's rows).

On SQLite most tables are WITHOUT ROWID: a row lives in the tree of its key, so that a change dirties one page, not two.
Calls are not: session ids are scattered, but in order of arrival the calls that are running now lie close together.
On PostgreSQL the rows that change with every request leave room in their pages, so that no index has to follow them.

Types are those that every engine has: TEXT, BIGINT, SMALLINT, BLOB. Money is BIGINT micros, time BIGINT microseconds
since 1970-01-01 UTC (NULL where it may be absent). The migrations in `migrations/` make exactly this; a test compares.
"""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, LargeBinary, Table, text

import gettone.storage.billing_schema  # noqa: F401 - its tables are part of the whole
from gettone.storage.columns import key, metadata, number, small, string, time

organisation = Table(
    "organisation",
    metadata,
    key("org_id"),
    string("name"),
    string("country"),
    string("currency"),
    string("time_zone"),
    string("price_list"),
    small("closed"),
    small("post_usage"),
    time("created_at"),
    # The organisation's own rules as a JSON object (operations.policies); "" for all defaults.
    string("policies"),
    sqlite_with_rowid=False,
)

# The hot row of an organisation: locked by every unit that touches its money, minutes or directory.
wallet = Table(
    "wallet",
    metadata,
    key("org_id"),
    string("currency"),
    number("posted_micros"),
    number("held_micros"),
    number("overrun_micros"),
    number("version"),
    number("entry_number"),
    number("directory_version"),
    # Auto-recharge buys when less than this is available; 0 when there is no rule.
    number("trigger_micros"),
    # From when on it may; NULL while it is off or suspended, or a recharge is open.
    time("recharge_at", optional=True),
    # Since when it should: written by the transaction that brought available below the trigger.
    time("recharge_due_at", optional=True),
    # Below this the balance is low, which is told where there is no auto-recharge; 0 for never.
    number("low_micros"),
    # What has been told since the last top-up: 1 that nothing is left, 2 that little is left.
    small("told"),
    # Credit orders are numbered 1, 2, 3 … within the organisation.
    number("order_number"),
    CheckConstraint("held_micros >= 0 AND held_micros <= posted_micros", name="held_within_posted"),
    CheckConstraint("overrun_micros >= 0", name="overrun_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index(
        "ix_wallet_recharge",
        "recharge_due_at",
        sqlite_where=text("recharge_due_at IS NOT NULL"),
        postgresql_where=text("recharge_due_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

lot = Table(
    "lot",
    metadata,
    key("org_id"),
    key("lot_id"),
    string("source"),
    string("reference"),
    time("purchased_at"),
    time("expires_at"),
    number("amount_micros"),
    number("remaining_micros"),
    number("held_micros"),
    CheckConstraint(
        "held_micros >= 0 AND held_micros <= remaining_micros AND remaining_micros <= amount_micros",
        name="held_within_remaining",
    ),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    # Only lots with credit left are read when a call is charged.
    Index(
        "ix_lot_unspent",
        "org_id",
        sqlite_where=text("remaining_micros > 0"),
        postgresql_where=text("remaining_micros > 0"),
    ),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

# The size of a minute pool today; it follows the licences.
pool = Table(
    "pool",
    metadata,
    key("org_id"),
    key("pool_key"),
    number("licences"),
    number("size_seconds"),
    CheckConstraint("licences >= 0 AND size_seconds >= 0", name="size_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# What one month has drawn from a pool; size_seconds is the size when it was last drawn on.
pool_use = Table(
    "pool_use",
    metadata,
    key("org_id"),
    key("pool_key"),
    Column("period", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    number("size_seconds"),
    number("used_seconds"),
    number("held_seconds"),
    CheckConstraint("used_seconds >= 0 AND held_seconds >= 0", name="use_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

# "user" is a reserved word of SQL.
subscriber = Table(
    "subscriber",
    metadata,
    key("org_id"),
    key("user_id"),
    # The user principal name in lower case, as it is looked up; "" is not allowed.
    string("upn"),
    string("display_name"),
    string("usage_location"),
    # Part numbers of products in alphabetical order, separated by blanks; after each the service plans switched off in
    # it, every one behind an exclamation mark.
    string("licences"),
    time("created_at"),
    # 1 for a resource account, which is no person: it answers and calls for a voice application.
    small("resource"),
    string("department"),
    string("cost_centre"),
    # Empty for the organisation's.
    string("dial_out_policy"),
    Column("limit_micros", BigInteger, nullable=True),
    # Empty while the user is not blocked.
    string("blocked_reason"),
    # NULL beside a reason: until somebody unblocks.
    time("blocked_until", optional=True),
    # Counts the changes of this row, so that two administrators do not undo each other's work unseen.
    number("version"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("uq_subscriber_upn", "org_id", "upn", unique=True),
    # Few are blocked; the job that ends blocks looks at them every minute.
    Index(
        "ix_subscriber_blocked",
        "org_id",
        "user_id",
        sqlite_where=text("blocked_reason <> ''"),
        postgresql_where=text("blocked_reason <> ''"),
    ),
    sqlite_with_rowid=False,
)

# What an organisation bought of a product, order by order.
subscription = Table(
    "subscription",
    metadata,
    key("org_id"),
    key("subscription_id"),
    string("sku"),
    number("quantity"),
    # The order; the same reference is one order.
    string("reference"),
    time("created_at"),
    time("ended_at", optional=True),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("uq_subscription_reference", "org_id", "reference", unique=True),
    sqlite_with_rowid=False,
)

# How many users hold a product.
licence_count = Table(
    "licence_count",
    metadata,
    key("org_id"),
    key("sku"),
    number("assigned"),
    CheckConstraint("assigned >= 0", name="assigned_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Numbers that an organisation does not call, or does not take calls from, by prefix.
number_bar = Table(
    "number_bar",
    metadata,
    key("org_id"),
    # called or calling.
    key("direction"),
    # Digits from the country code on.
    key("prefix"),
    # 0 exempts numbers with this prefix from a shorter one.
    small("barred"),
    string("label"),
    time("created_at"),
    CheckConstraint("direction IN ('called', 'calling')", name="known_direction"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Who was blocked and unblocked, when and why; the state of now stands in the subscriber's row.
user_block = Table(
    "user_block",
    metadata,
    key("org_id"),
    key("user_id"),
    Column("at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    # blocked or unblocked.
    key("action"),
    string("reason"),
    time("until", optional=True),
    # The system, or who asked for it.
    string("by"),
    string("detail"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_user_block_at", "org_id", "at"),
    sqlite_with_rowid=False,
)

# What a user, a department, a cost centre or the organisation has open and has spent in a month (domain.policies).
tally = Table(
    "tally",
    metadata,
    key("org_id"),
    key("subject"),
    Column("period", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    number("open_calls"),
    number("spent_micros"),
    number("held_micros"),
    number("hour"),
    number("hour_micros"),
    small("warned_percent"),
    CheckConstraint("open_calls >= 0 AND spent_micros >= 0 AND held_micros >= 0", name="tally_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

# Premium destinations that the organisation has called, or that an administrator has allowed.
known_destination = Table(
    "known_destination",
    metadata,
    key("org_id"),
    key("destination"),
    time("first_at"),
    # 1 when an administrator allowed it beforehand.
    small("allowed"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# What an administrator should know: written with its cause, once for each notice_id, which names the crossing.
notice = Table(
    "notice",
    metadata,
    key("org_id"),
    key("notice_id"),
    string("kind"),
    string("subject"),
    time("written_at"),
    # A JSON object of what to say.
    string("facts"),
    # 1 once its deliveries are written.
    small("addressed"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_notice_written", "org_id", "written_at"),
    Index(
        "ix_notice_new",
        "org_id",
        "notice_id",
        sqlite_where=text("addressed = 0"),
        postgresql_where=text("addressed = 0"),
    ),
    sqlite_with_rowid=False,
)

phone_number = Table(
    "phone_number",
    metadata,
    key("org_id"),
    # E.164 digits without the plus.
    key("digits"),
    # What it rings: user, conference, auto_attendant, call_queue, or unassigned for nobody.
    string("use"),
    string("user_id"),
    string("label"),
    # plan, ported or direct; "" of numbers from before there was a difference counts as direct.
    string("source"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_phone_number_user", "org_id", "user_id"),
    sqlite_with_rowid=False,
)

# Which organisation a number belongs to: small, global, a reference table on Citus.
number_owner = Table(
    "number_owner",
    metadata,
    key("digits"),
    string("org_id"),
    sqlite_with_rowid=False,
)

# One call, message or other charged session: the open ones and, once settled, the record of it.
call = Table(
    "call",
    metadata,
    key("org_id"),
    key("session_id"),
    string("state"),
    string("call_type"),
    string("calling"),
    string("called"),
    string("user_id"),
    string("country"),
    string("kind"),
    string("destination"),
    time("started_at"),
    number("period"),
    string("deck_id"),
    number("rate_index"),
    # The chain of payers, the phases reached and the lots held, in the form of storage.rows.
    string("funding"),
    number("held_micros"),
    number("used_seconds"),
    number("granted_to"),
    number("last_request"),
    time("supervise_until", optional=True),
    time("ended_at", optional=True),
    string("ended_by"),
    string("refusal"),
    number("billed_seconds"),
    number("charged_micros"),
    number("usage_lines"),
    # The idempotency keys of the latest requests, with the answers given: one JSON array a line (storage.answers).
    Column("recent_answers", LargeBinary, nullable=False, server_default=text("''")),
    CheckConstraint("held_micros >= 0", name="held_not_negative"),
    CheckConstraint("used_seconds >= 0 AND billed_seconds >= 0 AND charged_micros >= 0", name="amounts_not_negative"),
    # A call that is over holds nothing: a hold ends exactly once.
    CheckConstraint("state = 'open' OR held_micros = 0", name="ended_holds_nothing"),
    # Lists of an organisation's calls, newest first.
    Index("ix_call_started", "org_id", "started_at"),
    # Supervision reads the open calls only.
    Index(
        "ix_call_open",
        "org_id",
        "session_id",
        sqlite_where=text("state = 'open'"),
        postgresql_where=text("state = 'open'"),
    ),
    postgresql_with={"fillfactor": "70"},
)

# Idempotency keys of charging requests with the answers given, once a call has more of them than its own row keeps.
call_request = Table(
    "call_request",
    metadata,
    key("org_id"),
    key("session_id"),
    Column("request_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    number("fingerprint"),
    Column("answer", LargeBinary, nullable=False),
)

# Who paid which seconds of a call.
usage_record = Table(
    "usage_record",
    metadata,
    key("org_id"),
    key("session_id"),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    string("payer"),
    string("pool_key"),
    string("capability"),
    number("from_second"),
    number("seconds"),
    number("billed_seconds"),
    number("charge_micros"),
    number("connection_micros"),
    # The ledger entry that moved the money; 0 when none did.
    number("entry_number"),
    CheckConstraint("seconds >= 0 AND charge_micros >= 0", name="amounts_not_negative"),
)

# The ledger is append-only: by trigger on SQLite, by privileges on PostgreSQL (migrations).
ledger_entry = Table(
    "ledger_entry",
    metadata,
    key("org_id"),
    # 1, 2, 3 … within the organisation, counted in its wallet row under its lock.
    Column("entry_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    string("kind"),
    string("reference"),
    string("reason"),
    time("posted_at"),
    # Bookings by hand are done once for their reference; charges of calls are found by their usage records.
    Index(
        "ix_ledger_entry_booking",
        "org_id",
        "reference",
        sqlite_where=text("kind <> 'call_charged'"),
        postgresql_where=text("kind <> 'call_charged'"),
    ),
    sqlite_with_rowid=False,
)

ledger_posting = Table(
    "ledger_posting",
    metadata,
    key("org_id"),
    Column("entry_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    string("account"),
    string("lot_id"),
    number("amount_micros"),
    CheckConstraint("amount_micros <> 0", name="amount_not_zero"),
    # Usage that waits for an invoice; corrections and what was invoiced are not in it.
    Index(
        "ix_ledger_posting_receivable",
        "org_id",
        "entry_number",
        sqlite_where=text("account = 'receivable' AND amount_micros < 0"),
        postgresql_where=text("account = 'receivable' AND amount_micros < 0"),
    ),
    sqlite_with_rowid=False,
)

rate_deck = Table(
    "rate_deck",
    metadata,
    key("deck_id"),
    string("name"),
    string("currency"),
    time("effective_from"),
    time("imported_at"),
    number("rows"),
    # The canonical CSV, compressed by zlib.
    Column("content", LargeBinary, nullable=False),
    Index("uq_rate_deck_effective", "name", "currency", "effective_from", unique=True),
    sqlite_with_rowid=False,
)

# Counts the changes of what every organisation shares, so that caches know when they are stale.
generation = Table(
    "generation",
    metadata,
    key("name"),
    number("version"),
    sqlite_with_rowid=False,
)

# An API key is shown once, when made; only its SHA-256 is kept. org_id is "*" for the operator's keys.
api_key = Table(
    "api_key",
    metadata,
    key("key_id"),
    string("org_id"),
    string("scope"),
    string("label"),
    Column("secret_hash", LargeBinary, nullable=False),
    time("created_at"),
    time("revoked_at", optional=True),
    CheckConstraint("scope IN ('operator', 'admin', 'billing', 'charging', 'read')", name="known_scope"),
    sqlite_with_rowid=False,
)

# Bearer tokens that keys were exchanged for (OAuth 2.0 client credentials); only their SHA-256 is kept.
access_token = Table(
    "access_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True, nullable=False),
    string("key_id"),
    time("expires_at"),
    Index("ix_access_token_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

# The operator's own rows of the catalogue, one table each; the shipped rows are in the program.
catalogue_table = Table(
    "catalogue_table",
    metadata,
    key("name"),
    # CSV, compressed by zlib.
    Column("content", LargeBinary, nullable=False),
    time("imported_at"),
    sqlite_with_rowid=False,
)

# How far the import of a file of call records has come, so that it resumes after a kill.
import_progress = Table(
    "import_progress",
    metadata,
    # SHA-256 of the file, and the organisation and format it is imported for.
    key("file_digest"),
    number("records_done"),
    number("charged"),
    number("charged_micros"),
    number("duplicates"),
    number("reconciled"),
    number("rejected"),
    time("started_at"),
    time("updated_at"),
    small("finished"),
    sqlite_with_rowid=False,
)
