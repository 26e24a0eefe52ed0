"""The tables, for SQLite and PostgreSQL alike (and Citus: ``org_id`` leads every key of an organisation's rows).

On SQLite most tables are WITHOUT ROWID: a row lives in the tree of its key, so that a change dirties one page, not two.
Calls are not: session ids are scattered, but in order of arrival the calls that are running now lie close together.
On PostgreSQL the rows that change with every request leave room in their pages, so that no index has to follow them.

Types are those that every engine has: TEXT, BIGINT, SMALLINT, BLOB. Money is BIGINT micros, time BIGINT microseconds
since 1970-01-01 UTC (NULL where it may be absent). The migrations in `migrations/` make exactly this; a test compares.
"""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _key(name: str) -> Column[str]:
    return Column(name, Text, primary_key=True, nullable=False)


def _text(name: str) -> Column[str]:
    return Column(name, Text, nullable=False, server_default="")


def _number(name: str) -> Column[int]:
    return Column(name, BigInteger, nullable=False, server_default="0")


def _small(name: str) -> Column[int]:
    return Column(name, SmallInteger, nullable=False, server_default="0")


def _time(name: str, *, optional: bool = False) -> Column[int]:
    return Column(name, BigInteger, nullable=optional)


organisation = Table(
    "organisation",
    metadata,
    _key("org_id"),
    _text("name"),
    _text("country"),
    _text("currency"),
    _text("time_zone"),
    _text("price_list"),
    _small("closed"),
    _small("post_usage"),
    _time("created_at"),
    # The organisation's own rules as a JSON object (operations.policies); "" for all defaults.
    _text("policies"),
    sqlite_with_rowid=False,
)

# The hot row of an organisation: locked by every unit that touches its money, minutes or directory.
wallet = Table(
    "wallet",
    metadata,
    _key("org_id"),
    _text("currency"),
    _number("posted_micros"),
    _number("held_micros"),
    _number("overrun_micros"),
    _number("version"),
    _number("entry_number"),
    _number("directory_version"),
    CheckConstraint("held_micros >= 0 AND held_micros <= posted_micros", name="held_within_posted"),
    CheckConstraint("overrun_micros >= 0", name="overrun_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

lot = Table(
    "lot",
    metadata,
    _key("org_id"),
    _key("lot_id"),
    _text("source"),
    _text("reference"),
    _time("purchased_at"),
    _time("expires_at"),
    _number("amount_micros"),
    _number("remaining_micros"),
    _number("held_micros"),
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
    _key("org_id"),
    _key("pool_key"),
    _number("licences"),
    _number("size_seconds"),
    CheckConstraint("licences >= 0 AND size_seconds >= 0", name="size_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# What one month has drawn from a pool; size_seconds is the size when it was last drawn on.
pool_use = Table(
    "pool_use",
    metadata,
    _key("org_id"),
    _key("pool_key"),
    Column("period", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _number("size_seconds"),
    _number("used_seconds"),
    _number("held_seconds"),
    CheckConstraint("used_seconds >= 0 AND held_seconds >= 0", name="use_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

# "user" is a reserved word of SQL.
subscriber = Table(
    "subscriber",
    metadata,
    _key("org_id"),
    _key("user_id"),
    # The user principal name in lower case, as it is looked up; "" is not allowed.
    _text("upn"),
    _text("display_name"),
    _text("usage_location"),
    # Part numbers of products in alphabetical order, separated by blanks; after each the service plans switched off in
    # it, every one behind an exclamation mark.
    _text("licences"),
    _time("created_at"),
    # 1 for a resource account, which is no person: it answers and calls for a voice application.
    _small("resource"),
    _text("department"),
    _text("cost_centre"),
    # Empty for the organisation's.
    _text("dial_out_policy"),
    Column("limit_micros", BigInteger, nullable=True),
    # Empty while the user is not blocked.
    _text("blocked_reason"),
    # NULL beside a reason: until somebody unblocks.
    _time("blocked_until", optional=True),
    # Counts the changes of this row, so that two administrators do not undo each other's work unseen.
    _number("version"),
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
    _key("org_id"),
    _key("subscription_id"),
    _text("sku"),
    _number("quantity"),
    # The order; the same reference is one order.
    _text("reference"),
    _time("created_at"),
    _time("ended_at", optional=True),
    CheckConstraint("quantity > 0", name="quantity_positive"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("uq_subscription_reference", "org_id", "reference", unique=True),
    sqlite_with_rowid=False,
)

# How many users hold a product.
licence_count = Table(
    "licence_count",
    metadata,
    _key("org_id"),
    _key("sku"),
    _number("assigned"),
    CheckConstraint("assigned >= 0", name="assigned_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Numbers that an organisation does not call, or does not take calls from, by prefix.
number_bar = Table(
    "number_bar",
    metadata,
    _key("org_id"),
    # called or calling.
    _key("direction"),
    # Digits from the country code on.
    _key("prefix"),
    # 0 exempts numbers with this prefix from a shorter one.
    _small("barred"),
    _text("label"),
    _time("created_at"),
    CheckConstraint("direction IN ('called', 'calling')", name="known_direction"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Who was blocked and unblocked, when and why; the state of now stands in the subscriber's row.
user_block = Table(
    "user_block",
    metadata,
    _key("org_id"),
    _key("user_id"),
    Column("at", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    # blocked or unblocked.
    _key("action"),
    _text("reason"),
    _time("until", optional=True),
    # The system, or who asked for it.
    _text("by"),
    _text("detail"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_user_block_at", "org_id", "at"),
    sqlite_with_rowid=False,
)

# What a user, a department, a cost centre or the organisation has open and has spent in a month (domain.policies).
tally = Table(
    "tally",
    metadata,
    _key("org_id"),
    _key("subject"),
    Column("period", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _number("open_calls"),
    _number("spent_micros"),
    _number("held_micros"),
    _number("hour"),
    _number("hour_micros"),
    _small("warned_percent"),
    CheckConstraint("open_calls >= 0 AND spent_micros >= 0 AND held_micros >= 0", name="tally_not_negative"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
    postgresql_with={"fillfactor": "50"},
)

# Premium destinations that the organisation has called, or that an administrator has allowed.
known_destination = Table(
    "known_destination",
    metadata,
    _key("org_id"),
    _key("destination"),
    _time("first_at"),
    # 1 when an administrator allowed it beforehand.
    _small("allowed"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# What an administrator should know: written with its cause, once for each notice_id, which names the crossing.
notice = Table(
    "notice",
    metadata,
    _key("org_id"),
    _key("notice_id"),
    _text("kind"),
    _text("subject"),
    _time("written_at"),
    # A JSON object of what to say.
    _text("facts"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_notice_written", "org_id", "written_at"),
    sqlite_with_rowid=False,
)

phone_number = Table(
    "phone_number",
    metadata,
    _key("org_id"),
    # E.164 digits without the plus.
    _key("digits"),
    # What it rings: user, conference, auto_attendant, call_queue, or unassigned for nobody.
    _text("use"),
    _text("user_id"),
    _text("label"),
    # plan, ported or direct; "" of numbers from before there was a difference counts as direct.
    _text("source"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_phone_number_user", "org_id", "user_id"),
    sqlite_with_rowid=False,
)

# Which organisation a number belongs to: small, global, a reference table on Citus.
number_owner = Table(
    "number_owner",
    metadata,
    _key("digits"),
    _text("org_id"),
    sqlite_with_rowid=False,
)

# One call, message or other charged session: the open ones and, once settled, the record of it.
call = Table(
    "call",
    metadata,
    _key("org_id"),
    _key("session_id"),
    _text("state"),
    _text("call_type"),
    _text("calling"),
    _text("called"),
    _text("user_id"),
    _text("country"),
    _text("kind"),
    _text("destination"),
    _time("started_at"),
    _number("period"),
    _text("deck_id"),
    _number("rate_index"),
    # The chain of payers, the phases reached and the lots held, in the form of storage.rows.
    _text("funding"),
    _number("held_micros"),
    _number("used_seconds"),
    _number("granted_to"),
    _number("last_request"),
    _time("supervise_until", optional=True),
    _time("ended_at", optional=True),
    _text("ended_by"),
    _text("refusal"),
    _number("billed_seconds"),
    _number("charged_micros"),
    _number("usage_lines"),
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
    _key("org_id"),
    _key("session_id"),
    Column("request_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _number("fingerprint"),
    Column("answer", LargeBinary, nullable=False),
)

# Who paid which seconds of a call.
usage_record = Table(
    "usage_record",
    metadata,
    _key("org_id"),
    _key("session_id"),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _text("payer"),
    _text("pool_key"),
    _text("capability"),
    _number("from_second"),
    _number("seconds"),
    _number("billed_seconds"),
    _number("charge_micros"),
    _number("connection_micros"),
    # The ledger entry that moved the money; 0 when none did.
    _number("entry_number"),
    CheckConstraint("seconds >= 0 AND charge_micros >= 0", name="amounts_not_negative"),
)

# The ledger is append-only: by trigger on SQLite, by privileges on PostgreSQL (migrations).
ledger_entry = Table(
    "ledger_entry",
    metadata,
    _key("org_id"),
    # 1, 2, 3 … within the organisation, counted in its wallet row under its lock.
    Column("entry_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _text("kind"),
    _text("reference"),
    _text("reason"),
    _time("posted_at"),
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
    _key("org_id"),
    Column("entry_number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _text("account"),
    _text("lot_id"),
    _number("amount_micros"),
    CheckConstraint("amount_micros <> 0", name="amount_not_zero"),
    sqlite_with_rowid=False,
)

rate_deck = Table(
    "rate_deck",
    metadata,
    _key("deck_id"),
    _text("name"),
    _text("currency"),
    _time("effective_from"),
    _time("imported_at"),
    _number("rows"),
    # The canonical CSV, compressed by zlib.
    Column("content", LargeBinary, nullable=False),
    Index("uq_rate_deck_effective", "name", "currency", "effective_from", unique=True),
    sqlite_with_rowid=False,
)

# Counts the changes of what every organisation shares, so that caches know when they are stale.
generation = Table(
    "generation",
    metadata,
    _key("name"),
    _number("version"),
    sqlite_with_rowid=False,
)

# An API key is shown once, when made; only its SHA-256 is kept. org_id is "*" for the operator's keys.
api_key = Table(
    "api_key",
    metadata,
    _key("key_id"),
    _text("org_id"),
    _text("scope"),
    _text("label"),
    Column("secret_hash", LargeBinary, nullable=False),
    _time("created_at"),
    _time("revoked_at", optional=True),
    CheckConstraint("scope IN ('operator', 'admin', 'charging', 'read')", name="known_scope"),
    sqlite_with_rowid=False,
)

# Bearer tokens that keys were exchanged for (OAuth 2.0 client credentials); only their SHA-256 is kept.
access_token = Table(
    "access_token",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True, nullable=False),
    _text("key_id"),
    _time("expires_at"),
    Index("ix_access_token_expires_at", "expires_at"),
    sqlite_with_rowid=False,
)

# The operator's own rows of the catalogue, one table each; the shipped rows are in the program.
catalogue_table = Table(
    "catalogue_table",
    metadata,
    _key("name"),
    # CSV, compressed by zlib.
    Column("content", LargeBinary, nullable=False),
    _time("imported_at"),
    sqlite_with_rowid=False,
)

# How far the import of a file of call records has come, so that it resumes after a kill.
import_progress = Table(
    "import_progress",
    metadata,
    # SHA-256 of the file, and the organisation and format it is imported for.
    _key("file_digest"),
    _number("records_done"),
    _number("charged"),
    _number("charged_micros"),
    _number("duplicates"),
    _number("reconciled"),
    _number("rejected"),
    _time("started_at"),
    _time("updated_at"),
    _small("finished"),
    sqlite_with_rowid=False,
)
