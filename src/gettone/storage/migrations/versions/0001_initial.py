"""The tables as they were in the beginning: a frozen copy of ``storage/schema.py`` of that day.

Beyond the tables it makes the ledger, the usage records and the answers given append-only: by triggers on SQLite, by
taking the privileges away, from the owner too, on PostgreSQL (D14; no triggers there, see design, section 3).
There is no way back: a backup is.
"""

from alembic import op
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
    # Product codes in alphabetical order, separated by blanks.
    _text("products"),
    _time("created_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("uq_subscriber_upn", "org_id", "upn", unique=True),
    sqlite_with_rowid=False,
)

phone_number = Table(
    "phone_number",
    metadata,
    _key("org_id"),
    # E.164 digits without the plus.
    _key("digits"),
    # What it rings: user, conference, auto_attendant, call_queue.
    _text("use"),
    _text("user_id"),
    _text("label"),
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

APPEND_ONLY = ("ledger_entry", "ledger_posting", "usage_record", "call_request")

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection, checkfirst=False)
    for table in APPEND_ONLY:
        if connection.dialect.name == "sqlite":
            for change in ("UPDATE", "DELETE"):
                op.execute(
                    f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
                    f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
                )
        else:
            op.execute(f"REVOKE UPDATE, DELETE, TRUNCATE ON {table} FROM CURRENT_USER, PUBLIC")
