"""The tables of buying credit and of telling people; the conventions are those of `gettone.storage.schema`."""

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKeyConstraint, Index, LargeBinary, Table, text

from gettone.storage.columns import key, metadata, number, small, string, time

# Who an organisation is on invoices, in which language it is written to, and under which agreement it buys.
billing_profile = Table(
    "billing_profile",
    metadata,
    key("org_id"),
    string("legal_name"),
    # Several lines.
    string("address"),
    string("tax_id"),
    # en or it; "" for en.
    string("language"),
    # direct, enterprise, reseller or customer_agreement (operations.buying); "" for direct.
    string("agreement"),
    # Whose invoices it gets; "" for the default seller.
    string("seller_id"),
    # When it began to move over to billing after use; NULL while it does not.
    time("moving_since", optional=True),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# How an organisation pays, in the order in which methods are tried.
payment_method = Table(
    "payment_method",
    metadata,
    key("org_id"),
    key("method_id"),
    # card or agreement.
    string("kind"),
    # stripe, simulator or agreement: who is asked for the money.
    string("provider"),
    # The provider's name for it, and for the customer it belongs to.
    string("provider_ref"),
    string("customer_ref"),
    # Tells one card from another across changes of the provider's name.
    string("fingerprint"),
    string("label"),
    # yyyymm of a card; 0 when there is none.
    number("expires"),
    number("position"),
    # ready, waiting for set-up, or removed.
    string("state"),
    string("agreement_number"),
    string("billing_country"),
    string("purchase_order"),
    # Of an agreement: how much may be unpaid; NULL for no limit.
    Column("credit_limit_micros", BigInteger, nullable=True),
    # Of an agreement: 1 when credit counts only once the operator has confirmed the order.
    small("on_confirmation"),
    time("created_at"),
    number("version"),
    CheckConstraint("kind IN ('card', 'agreement')", name="known_kind"),
    CheckConstraint("state IN ('setting_up', 'ready', 'removed')", name="known_state"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# The auto-recharge of an organisation; the trigger stands in its wallet as well, where debits see it.
recharge_rule = Table(
    "recharge_rule",
    metadata,
    key("org_id"),
    small("enabled"),
    number("trigger_micros"),
    number("amount_micros"),
    # "" for the first method.
    string("method_id"),
    string("purchase_order"),
    Column("day_count", BigInteger, nullable=True),
    Column("day_micros", BigInteger, nullable=True),
    Column("month_count", BigInteger, nullable=True),
    Column("month_micros", BigInteger, nullable=True),
    # Declines in a row.
    number("declines"),
    time("suspended_at", optional=True),
    string("suspended_because"),
    number("version"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Credit that somebody, or the auto-recharge, has ordered.
credit_order = Table(
    "credit_order",
    metadata,
    key("org_id"),
    key("order_id"),
    # purchase or recharge.
    string("kind"),
    # open, fulfilled or failed.
    string("state"),
    number("amount_micros"),
    # Tax on top of the amount, and the rate it was reckoned by, in millionths.
    number("tax_micros"),
    number("tax_millionths"),
    string("tax_label"),
    string("purchase_order"),
    # The buyer's name for it: the same again is the same order.
    string("reference"),
    string("ordered_by"),
    time("ordered_at"),
    time("closed_at", optional=True),
    # Why it failed.
    string("reason"),
    # What was available when a recharge became due.
    number("available_micros"),
    number("version"),
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
    key("org_id"),
    key("payment_id"),
    string("order_id"),
    # charge or refund; a refund names the charge.
    string("kind"),
    string("refund_of"),
    string("method_id"),
    string("provider"),
    string("state"),
    # What the provider moves: the amount with its tax.
    number("gross_micros"),
    # What the wallet gets or gives.
    number("net_micros"),
    string("idempotency_key"),
    string("provider_ref"),
    string("code"),
    string("detail"),
    string("link"),
    number("asks"),
    time("first_asked_at", optional=True),
    # When somebody should ask; NULL when there is nothing to ask. While it is being asked, until when others wait.
    time("next_at", optional=True),
    time("created_at"),
    time("settled_at", optional=True),
    # What came of it: the lot it bought, and what has been taken back of it since.
    string("lot_id"),
    number("refunded_micros"),
    number("disputed_micros"),
    # Of a payment by agreement: when the money came in.
    time("collected_at", optional=True),
    number("version"),
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
    key("org_id"),
    key("payment_id"),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    time("at"),
    string("state"),
    string("code"),
    string("detail"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Messages of providers that have been taken in, so that a second copy changes nothing.
provider_event = Table(
    "provider_event",
    metadata,
    key("org_id"),
    key("provider"),
    key("event_id"),
    string("kind"),
    time("at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# An invoice or a credit note as it was issued.
invoice = Table(
    "invoice",
    metadata,
    key("org_id"),
    key("invoice_id"),
    # credits, post_usage or credit_note.
    string("kind"),
    string("seller_id"),
    # "" until its number is given, in the order in which invoices were issued.
    string("number"),
    # What it is for: a payment, or a month yyyymm with the ledger entries it covers.
    string("payment_id"),
    string("credits_invoice_id"),
    number("period"),
    number("first_entry"),
    number("last_entry"),
    time("issued_at"),
    string("language"),
    string("currency"),
    number("net_micros"),
    number("tax_micros"),
    string("purchase_order"),
    time("paid_at", optional=True),
    # Seller, buyer, lines and taxes as JSON.
    string("document"),
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
    key("seller_id"),
    string("name"),
    string("address"),
    string("tax_id"),
    string("email"),
    # Stands before the number, such as "IT-2026-".
    string("prefix"),
    time("created_at"),
    sqlite_with_rowid=False,
)

# Numbers without a gap: the next one is the highest and one.
invoice_number = Table(
    "invoice_number",
    metadata,
    key("seller_id"),
    Column("number", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    string("org_id"),
    string("invoice_id"),
    Index("uq_invoice_number_invoice", "org_id", "invoice_id", unique=True),
    sqlite_with_rowid=False,
)

# Which users administer what; notices go to them.
admin_role = Table(
    "admin_role",
    metadata,
    key("org_id"),
    key("user_id"),
    key("role"),
    time("granted_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Who else is written to, or on whose behalf whole roles are left out.
recipient = Table(
    "recipient",
    metadata,
    key("org_id"),
    # An address, or role/NAME.
    key("target"),
    # Kinds of notice separated by blanks; "" for all.
    string("kinds"),
    # "" for the organisation's.
    string("language"),
    # 1: not written to.
    small("muted"),
    time("created_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# Where an organisation's own programs hear of its notices.
webhook = Table(
    "webhook",
    metadata,
    key("org_id"),
    key("webhook_id"),
    string("url"),
    string("kinds"),
    # Signs what is sent, so it is kept as it is; the one before it signs as well until the instant beside it.
    string("secret"),
    string("old_secret"),
    time("old_secret_until", optional=True),
    small("active"),
    time("created_at"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    sqlite_with_rowid=False,
)

# A notice on its way to one receiver.
delivery = Table(
    "delivery",
    metadata,
    key("org_id"),
    key("delivery_id"),
    string("notice_id"),
    # mail or webhook.
    string("channel"),
    # An address, or the id of a webhook.
    string("target"),
    string("language"),
    # waiting, sent, failed or cancelled.
    string("state"),
    number("attempts"),
    time("next_at", optional=True),
    time("created_at"),
    time("sent_at", optional=True),
    string("last_error"),
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
    key("org_id"),
    # The version of the wallet that the change made, and a line within it.
    Column("version", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    Column("line", BigInteger, primary_key=True, nullable=False, autoincrement=False),
    time("at"),
    string("by"),
    string("action"),
    string("subject"),
    # What it was and what it is: a JSON object of [before, after] by field.
    string("changes"),
    ForeignKeyConstraint(["org_id"], ["organisation.org_id"]),
    Index("ix_audit_entry_subject", "org_id", "subject"),
    sqlite_with_rowid=False,
)

# Which process does a job at the moment.
lease = Table(
    "lease",
    metadata,
    key("name"),
    string("holder"),
    time("until"),
    sqlite_with_rowid=False,
)
