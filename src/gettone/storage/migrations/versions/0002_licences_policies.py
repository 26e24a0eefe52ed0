"""Licences, numbers, policies and catalogue rows: the tables of who pays, frozen as they were on that day.

What was given to users before there were subscriptions stays theirs. The codes of products become part numbers (some
were the codes of service plans), and each organisation gets one order of as many licences as are assigned, dated like
the organisation itself: nobody knows better. Pools, money and calls are not touched.
There is no way back: a backup is.
"""

from collections import Counter
from uuid import UUID, uuid5

from alembic import op
from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    column,
    func,
    insert,
    select,
    table,
    text,
    update,
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


# There since 0001; named here for the keys that refer to it.
organisation = Table("organisation", metadata, _key("org_id"), _time("created_at"))

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

# What a user, a department, a cost centre or the organisation has open and has spent in a month.
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

# Part numbers of what went by the code of its service plan; the others kept their names.
PART_NUMBERS = {
    "MCOPSTN5": "MCOPSTN_5",
    "MCOPSTN6": "MCOPSTN_6",
    "MCOPSTN_PAYG_1": "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)",
    "MCOPSTN_PAYG_2": "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_2)",
}

# What each user has open and has spent, by month: calls of before count for the limits of today. Their groups, and
# which of them were international, nobody noted.
COUNT_CALLS = """INSERT INTO tally (org_id, subject, period, open_calls, held_micros, spent_micros)
    SELECT org_id, 'user/' || user_id, period, SUM(CASE WHEN state = 'open' THEN 1 ELSE 0 END),
    SUM(CASE WHEN state = 'open' THEN held_micros ELSE 0 END),
    SUM(CASE WHEN state = 'open' THEN 0 ELSE charged_micros END)
    FROM call WHERE user_id <> '' AND state <> 'refused' AND call_type IN ('user_out', 'user_out_conf',
    'user_out_transfer', 'user_out_forwarding', 'sms_out') GROUP BY org_id, user_id, period"""

# Any constant: ids made from names under it are the same wherever this runs.
_ORDERS = UUID("6f0f2a2e-4c33-5f0b-9a53-0d8a3f6b0002")

_subscriber = table("subscriber", column("org_id"), column("licences"), column("version"))

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    connection = op.get_bind()
    op.execute("ALTER TABLE subscriber RENAME COLUMN products TO licences")
    op.add_column("organisation", _text("policies"))
    for added in (
        _small("resource"),
        _text("department"),
        _text("cost_centre"),
        _text("dial_out_policy"),
        Column("limit_micros", BigInteger, nullable=True),
        _text("blocked_reason"),
        _time("blocked_until", optional=True),
        _number("version"),
    ):
        op.add_column("subscriber", added)
    op.add_column("phone_number", _text("source"))
    blocked = text("blocked_reason <> ''")
    op.create_index(
        "ix_subscriber_blocked", "subscriber", ["org_id", "user_id"], sqlite_where=blocked, postgresql_where=blocked
    )
    new = [each for each in metadata.sorted_tables if each is not organisation]
    metadata.create_all(connection, tables=new, checkfirst=False)
    op.execute("UPDATE subscriber SET version = 1")
    op.execute("UPDATE phone_number SET source = 'direct'")
    _rename_products(connection)
    _count_licences(connection)
    op.execute(COUNT_CALLS)


def _rename_products(connection: Connection) -> None:
    held = _subscriber.c.licences
    for before in connection.execute(select(held).where(held != "").distinct()).scalars().all():
        after = " ".join(sorted({PART_NUMBERS.get(code, code) for code in before.split()}))
        if after != before:
            connection.execute(update(_subscriber).where(held == before).values(licences=after))


def _count_licences(connection: Connection) -> None:
    """Write how many users hold what, and an order of just as many."""
    org_id, held = _subscriber.c.org_id, _subscriber.c.licences
    counts: Counter[tuple[str, str]] = Counter()
    for of_org, licences, users in connection.execute(
        select(org_id, held, func.count()).where(held != "").group_by(org_id, held)
    ):
        counts.update({(of_org, sku): users for sku in licences.split()})
    if not counts:
        return
    made = connection.execute(select(organisation.c.org_id, organisation.c.created_at))
    created = {row.org_id: row.created_at for row in made}
    connection.execute(
        insert(licence_count),
        [{"org_id": of_org, "sku": sku, "assigned": users} for (of_org, sku), users in sorted(counts.items())],
    )
    connection.execute(
        insert(subscription),
        [
            {
                "org_id": of_org,
                "subscription_id": str(uuid5(_ORDERS, f"{of_org} {sku}")),
                "sku": sku,
                "quantity": users,
                "reference": f"migration 0002: {sku}",
                "created_at": created[of_org],
                "ended_at": None,
            }
            for (of_org, sku), users in sorted(counts.items())
        ],
    )
