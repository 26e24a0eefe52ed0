"""What is kept about buying credit and about telling people: one struct for each table, its fields the columns.

Amounts are micros of the organisation's currency, times aware UTC. `org_id` is not a field: a row stands with its
organisation. Values are never changed in place: ``msgspec.structs.replace`` makes the changed one, and the rows of a
unit write it.
"""

from datetime import datetime

import msgspec

from gettone.domain.payments import PaymentState

CARD = "card"
AGREEMENT = "agreement"

SETTING_UP = "setting_up"
READY = "ready"
REMOVED = "removed"

PURCHASE = "purchase"
RECHARGE = "recharge"

OPEN = "open"
FULFILLED = "fulfilled"
FAILED = "failed"

CHARGE = "charge"
REFUND = "refund"

DIRECT = "direct"
ENTERPRISE = "enterprise"
RESELLER = "reseller"
CUSTOMER_AGREEMENT = "customer_agreement"
AGREEMENTS = (DIRECT, ENTERPRISE, RESELLER, CUSTOMER_AGREEMENT)
"""How an organisation buys: by itself, under an Enterprise Agreement, through a reseller, or under the Microsoft
Customer Agreement of the New Commerce Experience (NCE), which is billed after use."""

LANGUAGES = ("en", "it")


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Who an organisation is on invoices, its language, and the agreement it buys under; empty is the default."""

    legal_name: str = ""
    address: str = ""
    tax_id: str = ""
    language: str = "en"
    agreement: str = DIRECT
    seller_id: str = ""
    moving_since: datetime | None = None


class Method(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay; methods are tried in order of *position*.

    *provider* is who is asked for the money: stripe, simulator or agreement. *provider_ref* and *customer_ref* are its
    names for the card and its holder. *expires* is yyyymm, or 0. An agreement has a number and a billing country, may
    have a purchase order that orders take over, and a limit of what may be unpaid.
    """

    method_id: str
    kind: str
    provider: str
    label: str
    position: int
    created_at: datetime
    provider_ref: str = ""
    customer_ref: str = ""
    fingerprint: str = ""
    expires: int = 0
    state: str = READY
    agreement_number: str = ""
    billing_country: str = ""
    purchase_order: str = ""
    credit_limit_micros: int | None = None
    on_confirmation: bool = False
    version: int = 1


class RechargeRule(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-recharge of an organisation as it was set, and how it is going; caps are None for no limit.

    *declines* are those in a row. Suspended while *suspended_at* is set.
    """

    enabled: bool
    trigger_micros: int
    amount_micros: int
    method_id: str = ""
    purchase_order: str = ""
    day_count: int | None = None
    day_micros: int | None = None
    month_count: int | None = None
    month_micros: int | None = None
    declines: int = 0
    suspended_at: datetime | None = None
    suspended_because: str = ""
    version: int = 1


class CreditOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that was ordered, by a person (*kind* purchase) or by the auto-recharge (*kind* recharge).

    *tax_micros* is on top of *amount_micros*, at *tax_millionths* (220,000 is 22 %). *available_micros* is what was
    available when a recharge became due. *reason* says why a failed one failed.
    """

    order_id: str
    kind: str
    state: str
    amount_micros: int
    reference: str
    ordered_by: str
    ordered_at: datetime
    tax_micros: int = 0
    tax_millionths: int = 0
    tax_label: str = ""
    purchase_order: str = ""
    closed_at: datetime | None = None
    reason: str = ""
    available_micros: int = 0
    version: int = 1

    @property
    def gross_micros(self) -> int:
        """What is paid: the credit and its tax."""
        return self.amount_micros + self.tax_micros


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """One movement of money at a provider, under one key: a charge for an order, or the refund of a charge.

    *gross_micros* moves at the provider, *net_micros* in the wallet. *next_at* is when it is to be asked about, None
    when there is nothing to ask. Of a charge *lot_id* is what it bought, *refunded_micros* and *disputed_micros* what
    was taken back of the net amount.
    """

    payment_id: str
    order_id: str
    kind: str
    method_id: str
    provider: str
    state: PaymentState
    gross_micros: int
    net_micros: int
    idempotency_key: str
    created_at: datetime
    refund_of: str = ""
    provider_ref: str = ""
    code: str = ""
    detail: str = ""
    link: str = ""
    asks: int = 0
    first_asked_at: datetime | None = None
    next_at: datetime | None = None
    settled_at: datetime | None = None
    lot_id: str = ""
    refunded_micros: int = 0
    disputed_micros: int = 0
    collected_at: datetime | None = None
    version: int = 1


class PaymentEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a payment."""

    payment_id: str
    line: int
    at: datetime
    state: PaymentState
    code: str = ""
    detail: str = ""


class Invoice(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or credit note; *number* is empty until it is given. *document* is JSON (`operations.invoices`).

    Of billing after use *first_entry* and *last_entry* are the ledger entries it covers. *credits_invoice_id* of a
    credit note is the invoice that it corrects.
    """

    invoice_id: str
    kind: str
    seller_id: str
    issued_at: datetime
    language: str
    currency: str
    net_micros: int
    tax_micros: int
    document: str
    number: str = ""
    payment_id: str = ""
    credits_invoice_id: str = ""
    period: int = 0
    first_entry: int = 0
    last_entry: int = 0
    purchase_order: str = ""
    paid_at: datetime | None = None


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """Who sells the credit, as invoices show it; *prefix* stands before the numbers of its invoices."""

    seller_id: str
    name: str
    address: str = ""
    tax_id: str = ""
    email: str = ""
    prefix: str = ""
    created_at: datetime


class AdminRole(msgspec.Struct, frozen=True, kw_only=True):
    """A user administers something."""

    user_id: str
    role: str
    granted_at: datetime


class Recipient(msgspec.Struct, frozen=True, kw_only=True):
    """Who is written to beside, or instead of, those whom roles name: *target* is an address or ``role/NAME``.

    *kinds* are the kinds of notice wanted, empty for all; a *muted* target is not written to.
    """

    target: str
    created_at: datetime
    kinds: str = ""
    language: str = ""
    muted: bool = False


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """Where an organisation's programs hear of notices; the old secret signs too until *old_secret_until*."""

    webhook_id: str
    url: str
    secret: str
    created_at: datetime
    kinds: str = ""
    old_secret: str = ""
    old_secret_until: datetime | None = None
    active: bool = True


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A notice on its way to one receiver; *body* is what is sent, frozen when it was written."""

    delivery_id: str
    notice_id: str
    channel: str
    target: str
    language: str
    state: str
    created_at: datetime
    body: bytes
    attempts: int = 0
    next_at: datetime | None = None
    sent_at: datetime | None = None
    last_error: str = ""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who changed what: *changes* are [before, after] by field."""

    version: int
    line: int
    at: datetime
    by: str
    action: str
    subject: str
    changes: dict[str, tuple[str, str]]
