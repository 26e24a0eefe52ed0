"""Money in and out: orders, payments, invoices, deliveries; frozen as they were on that day.

Wallets learn of auto-recharge and of what has been told; notices of whether they have been addressed. Those that were
written before are taken as addressed: nobody wants last month's warnings today.
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

revision = "0003"
down_revision = "0002"

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
organisation = Table("organisation", metadata, _key("org_id"))

# Who an organisation is on invoices, in which language it is written to, and under which agreement it buys.
billing_profile = Table(
    "billing_profile",
    metadata,
    _key("org_id"),
    _text("legal_name"),
    # Several lines.
    _text("address"),
    _text("tax_id"),
    # en or it; "" for en.
    _text("language"),
    # direct, enterprise, reseller or customer_agreement (operations.buying); "" for direct.
    _text("agreement"),
    # Whose invoices it gets; "" for the default seller.
    _text("seller_id"),
    # When it began to move over to billing after use; NULL while it does not.
    _time("moving_since", optional=True),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# How an organisation pays, in the order in which methods are tried.
payment_method = Table(
    "payment_method",
    metadata,
    _key("org_id"),
    _key("method_id"),
    # card or agreement.
    _text("kind"),
    # stripe, simulator or agreement: who is asked for the money.
    _text("provider"),
    # The provider's name for it, and for the customer it belongs to.
    _text("provider_ref"),
    _text("customer_ref"),
    # Tells one card from another across changes of the provider's name.
    _text("fingerprint"),
    _text("label"),
    # yyyymm of a card; 0 when there is none.
    _number("expires"),
    _number("position"),
    # ready, waiting for set-up, or removed.
    _text("state"),
    _text("agreement_number"),
    _text("billing_country"),
    _text("purchase_order"),
    # Of an agreement: how much may be unpaid; NULL for no limit.
    Column("credit_limit_micros", BigInteger, nullable=True),
    # Of an agreement: 1 when credit counts only once the operator has confirmed the order.
    _small("on_confirmation"),
    _time("created_at"),
    _number("version"),
    CheckConstraint("kind IN ('card', 'agreement')", name="known_kind"),
    CheckConstraint("state IN ('setting_up', 'ready', 'removed')", name="known_state"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# The auto-recharge of an organisation; the trigger stands in its wallet as well, where debits see it.
recharge_rule = Table(
    "recharge_rule",
    metadata,
    _key("org_id"),
    _small("enabled"),
    _number("trigger_micros"),
    _number("amount_micros"),
    # "" for the first method.
    _text("method_id"),
    _text("purchase_order"),
    Column("day_count", BigInteger, nullable=True),
    Column("day_micros", BigInteger, nullable=True),
    Column("month_count", BigInteger, nullable=True),
    Column("month_micros", BigInteger, nullable=True),
    # Declines in a row.
    _number("declines"),
    _time("suspended_at", optional=True),
    _text("suspended_because"),
    _number("version"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Credit that somebody, or the auto-recharge, has ordered.
credit_order = Table(
    "credit_order",
    metadata,
    _key("org_id"),
    _key("order_id"),
    # purchase or recharge.
    _text("kind"),
    # open, fulfilled or failed.
    _text("state"),
    _number("amount_micros"),
    # Tax on top of the amount, and the rate it was reckoned by, in millionths.
    _number("tax_micros"),
    _number("tax_millionths"),
    _text("tax_label"),
    _text("purchase_order"),
    # The buyer's name for it: the same again is the same order.
    _text("reference"),
    _text("ordered_by"),
    _time("ordered_at"),
    _time("closed_at", optional=True),
    # Why it failed.
    _text("reason"),
    # What was available when a recharge became due.
    _number("available_micros"),
    _number("version"),
    CheckConstraint("amount_micros > 0 AND tax_micros >= 0", name="amount_positive"),
    CheckConstraint("kind IN ('purchase', 'recharge')", name="known_kind"),
    CheckConstraint("state IN ('open', 'fulfilled', 'failed')", name="known_state"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("uq_credit_order_reference", "org_id", "reference", unique=True),
    Index("ix_credit_order_ordered", "org_id", "ordered_at"),
    # At most one recharge is open (design, D17).
    Index(
        "uq_credit_order_open_recharge",
        "org_id",
        unique=True,
        sqlite_where=text("kind = 'recharge' AND state = 'open'"),
        postgresql_where=text("kind = 'recharge' AND state = 'open'"),
    ),
    sqlite_with_rowid=False,
)

# One movement of money at a provider, under one idempotency key.
payment = Table(
    "payment",
    metadata,
    _key("org_id"),
    _key("payment_id"),
    _text("order_id"),
    # charge or refund; a refund names the charge.
    _text("kind"),
    _text("refund_of"),
    _text("method_id"),
    _text("provider"),
    _text("state"),
    # What the provider moves: the amount with its tax.
    _number("gross_micros"),
    # What the wallet gets or gives.
    _number("net_micros"),
    _text("idempotency_key"),
    _text("provider_ref"),
    _text("code"),
    _text("detail"),
    _text("link"),
    _number("asks"),
    _time("first_asked_at", optional=True),
    # When somebody should ask; NULL when there is nothing to ask. While it is being asked, until when others wait.
    _time("next_at", optional=True),
    _time("created_at"),
    _time("settled_at", optional=True),
    # What came of it: the lot it bought, and what has been taken back of it since.
    _text("lot_id"),
    _number("refunded_micros"),
    _number("disputed_micros"),
    # Of a payment by agreement: when the money came in.
    _time("collected_at", optional=True),
    _number("version"),
    CheckConstraint("gross_micros > 0 AND net_micros > 0", name="amount_positive"),
    CheckConstraint("kind IN ('charge', 'refund')", name="known_kind"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_payment_order", "org_id", "order_id"),
    Index(
        "ix_payment_next",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# What became of a payment, step by step.
payment_event = Table(
    "payment_event",
    metadata,
    _key("org_id"),
    _key("payment_id"),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _time("at"),
    _text("state"),
    _text("code"),
    _text("detail"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Messages of providers that have been taken in, so that a second copy changes nothing.
provider_event = Table(
    "provider_event",
    metadata,
    _key("org_id"),
    _key("provider"),
    _key("event_id"),
    _text("kind"),
    _time("at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# An invoice or a credit note as it was issued.
invoice = Table(
    "invoice",
    metadata,
    _key("org_id"),
    _key("invoice_id"),
    # credits, post_usage or credit_note.
    _text("kind"),
    _text("seller_id"),
    # "" until its number is given, in the order in which invoices were issued.
    _text("number"),
    # What it is for: a payment, or a month yyyymm with the ledger entries it covers.
    _text("payment_id"),
    _text("credits_invoice_id"),
    _number("period"),
    _number("first_entry"),
    _number("last_entry"),
    _time("issued_at"),
    _text("language"),
    _text("currency"),
    _number("net_micros"),
    _number("tax_micros"),
    _text("purchase_order"),
    _time("paid_at", optional=True),
    # Seller, buyer, lines and taxes as JSON.
    _text("document"),
    CheckConstraint("kind IN ('credits', 'post_usage', 'credit_note')", name="known_kind"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_invoice_issued", "org_id", "issued_at"),
    Index(
        "ix_invoice_unnumbered",
        "issued_at",
        "org_id",
        "invoice_id",
        sqlite_where=text("number = ''"),
        postgresql_where=text("number = ''"),
    ),
    # What is owed by agreement or after use.
    Index(
        "ix_invoice_unpaid",
        "org_id",
        "invoice_id",
        sqlite_where=text("paid_at IS NULL AND kind <> 'credit_note'"),
        postgresql_where=text("paid_at IS NULL AND kind <> 'credit_note'"),
    ),
    sqlite_with_rowid=False,
)

# Who sells the credit; small, global, a reference table on Citus, like the numbers given to invoices.
seller = Table(
    "seller",
    metadata,
    _key("seller_id"),
    _text("name"),
    _text("address"),
    _text("tax_id"),
    _text("email"),
    # Stands before the number, such as "IT-2026-".
    _text("prefix"),
    _time("created_at"),
    sqlite_with_rowid=False,
)

# Numbers without a gap: the next one is the highest and one.
invoice_number = Table(
    "invoice_number",
    metadata,
    _key("seller_id"),
    Column("number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _text("org_id"),
    _text("invoice_id"),
    Index("uq_invoice_number_invoice", "org_id", "invoice_id", unique=True),
    sqlite_with_rowid=False,
)

# Which users administer what; notices go to them.
admin_role = Table(
    "admin_role",
    metadata,
    _key("org_id"),
    _key("user_id"),
    _key("role"),
    _time("granted_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Who else is written to, or on whose behalf whole roles are left out.
recipient = Table(
    "recipient",
    metadata,
    _key("org_id"),
    # An address, or role/NAME.
    _key("target"),
    # Kinds of notice separated by blanks; "" for all.
    _text("kinds"),
    # "" for the organisation's.
    _text("language"),
    # 1: not written to.
    _small("muted"),
    _time("created_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Where an organisation's own programs hear of its notices.
webhook = Table(
    "webhook",
    metadata,
    _key("org_id"),
    _key("webhook_id"),
    _text("url"),
    _text("kinds"),
    # Signs what is sent, so it is kept as it is; the one before it signs as well until the instant beside it.
    _text("secret"),
    _text("old_secret"),
    _time("old_secret_until", optional=True),
    _small("active"),
    _time("created_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# A notice on its way to one receiver.
delivery = Table(
    "delivery",
    metadata,
    _key("org_id"),
    _key("delivery_id"),
    _text("notice_id"),
    # mail or webhook.
    _text("channel"),
    # An address, or the id of a webhook.
    _text("target"),
    _text("language"),
    # waiting, sent, failed or cancelled.
    _text("state"),
    _number("attempts"),
    _time("next_at", optional=True),
    _time("created_at"),
    _time("sent_at", optional=True),
    _text("last_error"),
    # What is sent, frozen when it was written.
    Column("body", LargeBinary, nullable=False, server_default=text("''")),
    CheckConstraint("channel IN ('mail', 'webhook')", name="known_channel"),
    CheckConstraint("state IN ('waiting', 'sent', 'failed', 'cancelled')", name="known_state"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_delivery_notice", "org_id", "notice_id"),
    Index("ix_delivery_created", "org_id", "created_at"),
    Index(
        "ix_delivery_next",
        "next_at",
        sqlite_where=text("next_at IS NOT NULL"),
        postgresql_where=text("next_at IS NOT NULL"),
    ),
    sqlite_with_rowid=False,
)

# Who changed what, for the administrator to read.
audit_entry = Table(
    "audit_entry",
    metadata,
    _key("org_id"),
    # The version of the wallet that the change made, and a line within it.
    Column("version", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    _time("at"),
    _text("by"),
    _text("action"),
    _text("subject"),
    # What it was and what it is: a JSON object of [before, after] by field.
    _text("changes"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_audit_entry_subject", "org_id", "subject"),
    sqlite_with_rowid=False,
)

# Which process does a job at the moment.
lease = Table(
    "lease",
    metadata,
    _key("name"),
    _text("holder"),
    _time("until"),
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
    CheckConstraint("scope IN ('operator', 'admin', 'billing', 'charging', 'read')", name="known_scope"),
    sqlite_with_rowid=False,
)


def upgrade() -> None:
    for added in (
        _number("trigger_micros"),
        _time("recharge_at", optional=True),
        _time("recharge_due_at", optional=True),
        _number("low_micros"),
        _small("told"),
        _number("order_number"),
    ):
        op.add_column("wallet", added)
    due = text("recharge_due_at IS NOT NULL")
    op.create_index("ix_wallet_recharge", "wallet", ["recharge_due_at"], sqlite_where=due, postgresql_where=due)
    # Whoever has nothing has been told, or never had anything.
    op.execute("UPDATE wallet SET told = 3 WHERE posted_micros <= overrun_micros")
    op.add_column("notice", _small("addressed"))
    op.execute("UPDATE notice SET addressed = 1")
    new = text("addressed = 0")
    op.create_index("ix_notice_new", "notice", ["org_id", "notice_id"], sqlite_where=new, postgresql_where=new)
    owed = text("account = 'receivable' AND amount_micros < 0")
    name, columns = "ix_ledger_posting_receivable", ["org_id", "entry_number"]
    op.create_index(name, "ledger_posting", columns, sqlite_where=owed, postgresql_where=owed)
    tables = [each for each in metadata.sorted_tables if each not in (organisation, api_key)]
    metadata.create_all(op.get_bind(), tables=tables, checkfirst=False)
    _let_keys_be_for_billing()


def _let_keys_be_for_billing() -> None:
    """Put the table of keys anew with one scope more: SQLite cannot change a condition of a table that is there."""
    keys = op.get_bind().execute(api_key.select()).all()
    op.drop_table("api_key")
    metadata.create_all(op.get_bind(), tables=[api_key], checkfirst=False)
    op.bulk_insert(api_key, [row._asdict() for row in keys])
