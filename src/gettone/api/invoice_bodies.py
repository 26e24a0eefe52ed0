"""Bodies of invoices, billing and finance: what is sent in, and the views with amounts as decimal strings (D1)."""

from datetime import date, datetime
from typing import Annotated

import msgspec

from gettone.api.bodies import shown
from gettone.domain.money import render_micros
from gettone.operations.books_rows import BilledCall
from gettone.operations.invoice_documents import Line, Party, TaxLine
from gettone.operations.invoicing import InvoiceView, PurchaseOrderChange


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- in ----------------------------------------------------------------------------------------------------------------


class ProfileChange(_Input, frozen=True, kw_only=True):
    """What is given changes. `agreement` and `seller_id` are the operator's to change; `address` has several lines."""

    legal_name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    language: str | None = None
    agreement: str | None = None
    seller_id: str | None = None


class SellerChange(_Input, frozen=True, kw_only=True):
    """What is given changes; a new seller needs a name."""

    name: str | None = None
    address: str | None = None
    tax_id: str | None = None
    email: str | None = None
    prefix: str | None = None


class PurchaseOrder(_Input, frozen=True, kw_only=True):
    """The purchase order to show from now on; empty for none."""

    purchase_order: str


class AfterUseSwitch(_Input, frozen=True, kw_only=True):
    """Whether use is billed after the month where nothing else pays."""

    on: bool


class Rejection(_Input, frozen=True, kw_only=True):
    """Why an order is turned down, for the one who ordered."""

    reason: str = ""


# -- out ---------------------------------------------------------------------------------------------------------------


class InvoiceInList(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or credit note; `number` is empty until it is given, `paid_at` null until it is paid."""

    invoice_id: str
    number: str
    kind: str
    issued_at: datetime
    currency: str
    net: str
    tax: str
    gross: str
    period: int
    payment_id: str
    corrects: str
    purchase_order: str
    paid_at: datetime | None


class InvoiceLine(msgspec.Struct, frozen=True, kw_only=True):
    """What is invoiced: `kind` is credits, usage (of calls to the destination `text`), carried_in or carried_out."""

    kind: str
    text: str
    amount: str
    calls: int
    messages: int
    seconds: int
    billed_seconds: int


class InvoiceTax(msgspec.Struct, frozen=True, kw_only=True):
    """Tax on top of `base`; `percent` is a decimal such as 22 or 7.7."""

    label: str
    percent: str
    base: str
    amount: str


class InvoiceBody(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or credit note as it was issued, with its number, and what has changed since.

    Amounts of a credit note are positive. `credited` is what credit notes have taken back of an invoice.
    """

    invoice_id: str
    number: str
    kind: str
    issued_at: datetime
    issued_on: str
    time_zone: str
    language: str
    currency: str
    seller: Party
    buyer: Party
    lines: list[InvoiceLine]
    taxes: list[InvoiceTax]
    net: str
    tax: str
    gross: str
    purchase_order: str
    purchase_order_changes: list[PurchaseOrderChange]
    agreement_number: str
    method_label: str
    order_id: str
    payment_id: str
    lot_id: str
    lot_expires_at: datetime | None
    period: int
    carried_over: str
    corrects: str
    corrects_number: str
    credited: str
    paid_at: datetime | None


class BilledCallBody(msgspec.Struct, frozen=True, kw_only=True):
    """One call of a monthly invoice: the seconds and the charge that billing after use pays for."""

    session_id: str
    started_at: datetime
    call_type: str
    user_id: str
    called: str
    country: str
    destination: str
    seconds: int
    billed_seconds: int
    currency: str
    charge: str


class AfterUseBody(msgspec.Struct, frozen=True, kw_only=True):
    """Where an organisation stands: `phase` is prepaid, draining or after_use; `left` is credit that can be spent.

    `expected_end` is the day on which credit ends if it is spent as in the last 30 days, or expires.
    """

    org_id: str
    phase: str
    post_usage: bool
    agreement: str
    moving_since: datetime | None
    currency: str
    left: str
    not_invoiced: str
    spent_30_days: str
    expected_end: date | None


class RevenueBody(msgspec.Struct, frozen=True, kw_only=True):
    """Deferred revenue of a month (`period`); `org_id` is empty for all organisations of a currency.

    opening + bought + added - used - expired - refunded - disputed + adjusted = closing; closing + overrun = wallet.
    """

    org_id: str
    period: int
    currency: str
    opening: str
    bought: str
    added: str
    used: str
    expired: str
    refunded: str
    disputed: str
    adjusted: str
    closing: str
    overrun: str
    wallet: str
    after_use: str
    receivable: str
    invoiced: str
    tax: str
    refunding: str


class ExpiryBody(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that expires in a month unless it is used before."""

    org_id: str
    period: int
    currency: str
    lots: int
    remaining: str


class OwedBody(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that is not paid, `days` after it was issued; `outstanding` is its total less credit notes."""

    org_id: str
    invoice_id: str
    number: str
    kind: str
    buyer: str
    issued_at: datetime
    days: int
    currency: str
    purchase_order: str
    agreement_number: str
    outstanding: str


Month = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-?[0-9]{2}$", description="A month such as 2026-11.")]


def invoice(view: InvoiceView) -> InvoiceBody:
    """Show an invoice: what was issued, and beside it what may have changed."""
    document, currency = view.document, view.document.currency
    now = {name: getattr(view, name) for name in ("number", "paid_at", "purchase_order", "corrects_number")}
    return shown(
        InvoiceBody,
        document,
        currency,
        lines=[_line(one, currency) for one in document.lines],
        taxes=[_tax(one, currency) for one in document.taxes],
        purchase_order_changes=list(view.purchase_order_changes),
        credited=render_micros(view.credited_micros, currency),
        **now,
    )


def _line(line: Line, currency: str) -> InvoiceLine:
    return shown(InvoiceLine, line, currency)


def _tax(tax: TaxLine, currency: str) -> InvoiceTax:
    whole, rest = divmod(tax.millionths, 10_000)
    percent = f"{whole}.{rest:04d}".rstrip("0").rstrip(".")
    return shown(InvoiceTax, tax, currency, percent=percent)


def billed_call(call: BilledCall, currency: str) -> BilledCallBody:
    """Show a call of a monthly invoice."""
    return shown(BilledCallBody, call, currency)
