"""Invoices and credit notes, issued in the transaction that makes them due (D19), and the reading of them.

One invoice for each payment that succeeded, one credit note for each refund, one invoice a month for usage that is
billed after it (`after_use`). Numbers are given afterwards, in order of issue (`invoice_numbers`). A dispute that is
lost makes no credit note: the credit was sold, and the payer's bank has taken the money back all the same.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.errors import NotFound
from gettone.operations.billing import LANGUAGES, CreditOrder, Invoice, Payment
from gettone.operations.books_rows import BilledCall
from gettone.operations.instants import microseconds
from gettone.operations.invoice_documents import (
    CREDIT_NOTE,
    CREDITS,
    POST_USAGE,
    Document,
    Line,
    buying,
    document_of,
    frozen,
    selling,
    taxed,
)
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.orders import change_payment, method_of
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.sellers import seller_of
from gettone.operations.views import Page

PRODUCT = "Communications Credits"
REFUND_OF = {"en": f"{PRODUCT}, unused part refunded", "it": f"{PRODUCT}, parte non utilizzata rimborsata"}


class PurchaseOrderChange(msgspec.Struct, frozen=True, kw_only=True):
    """A purchase order that was changed after the invoice was issued."""

    at: datetime
    by: str
    before: str
    after: str


class InvoiceView(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice as it is now: what was issued, with its *number* (empty until given) and what has changed since.

    *corrects_number* of a credit note is the number of the invoice that it corrects. *credited_micros* of an invoice is
    what credit notes have taken back of its total.
    """

    invoice_id: str
    number: str
    paid_at: datetime | None
    purchase_order: str
    purchase_order_changes: tuple[PurchaseOrderChange, ...]
    corrects_number: str
    credited_micros: int
    document: Document


class InvoiceSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice in a list, without its document."""

    invoice_id: str
    number: str
    kind: str
    issued_at: datetime
    currency: str
    net_micros: int
    tax_micros: int
    gross_micros: int
    period: int
    payment_id: str
    corrects: str
    purchase_order: str
    paid_at: datetime | None


def summary(invoice: Invoice) -> InvoiceSummary:
    """An invoice as lists show it."""
    return InvoiceSummary(
        invoice_id=invoice.invoice_id,
        number=invoice.number,
        kind=invoice.kind,
        issued_at=invoice.issued_at,
        currency=invoice.currency,
        net_micros=invoice.net_micros,
        tax_micros=invoice.tax_micros,
        gross_micros=invoice.net_micros + invoice.tax_micros,
        period=invoice.period,
        payment_id=invoice.payment_id,
        corrects=invoice.credits_invoice_id,
        purchase_order=invoice.purchase_order,
        paid_at=invoice.paid_at,
    )


# -- issuing -----------------------------------------------------------------------------------------------------------


def issue_for_payment(
    unit: OrganisationUnit, order: CreditOrder, payment: Payment, now: datetime, *, paid: bool
) -> None:
    """Issue the invoice of a payment that succeeded."""
    org_id = unit.organisation.org_id
    lot = unit.money.lots_by_id(org_id, [payment.lot_id]).get(payment.lot_id)
    document = of_payment(
        blank(unit, CREDITS, payment_invoice_id(payment.payment_id), now),
        unit,
        order,
        payment,
        text=PRODUCT,
        lot_expires_at=lot.expires_at if lot else None,
    )
    issue(unit, document, paid_at=now if paid else None)


def issue_for_refund(unit: OrganisationUnit, charge: Payment, refunded: Payment, now: datetime) -> None:
    """Issue the credit note of a refund; an invoice that it leaves nothing of is settled by it."""
    org_id = unit.organisation.org_id
    order = unit.buying.order(org_id, charge.order_id)
    assert order is not None, "a payment belongs to an order"
    note = blank(unit, CREDIT_NOTE, f"refund/{refunded.payment_id}", now)
    note = msgspec.structs.replace(note, corrects=payment_invoice_id(charge.payment_id))
    document = of_payment(note, unit, order, refunded, text=REFUND_OF[note.language])
    issue(unit, msgspec.structs.replace(document, payment_id=charge.payment_id), paid_at=now)
    corrected = unit.invoices.invoice(org_id, note.corrects)
    if corrected is not None and corrected.paid_at is None and not outstanding(unit, corrected):
        settle(unit, corrected, now)


def of_payment(
    document: Document,
    unit: Unit,
    order: CreditOrder,
    payment: Payment,
    *,
    text: str,
    lot_expires_at: datetime | None = None,
) -> Document:
    """Fill in what a charge has bought, or a refund has paid back."""
    method = method_of(unit, document.buyer.party_id, payment.method_id)
    net, tax = payment.net_micros, payment.gross_micros - payment.net_micros
    return msgspec.structs.replace(
        document,
        lines=(Line(kind=CREDITS, text=text, amount_micros=net),),
        taxes=taxed(order.tax_label, order.tax_millionths, net, tax),
        net_micros=net,
        tax_micros=tax,
        gross_micros=payment.gross_micros,
        purchase_order=order.purchase_order,
        agreement_number=method.agreement_number,
        method_label=method.label,
        order_id=order.order_id,
        payment_id=payment.payment_id,
        lot_id=payment.lot_id,
        lot_expires_at=lot_expires_at,
    )


def payment_invoice_id(payment_id: str) -> str:
    """The id of the invoice of a payment."""
    return f"payment/{payment_id}"


def blank(unit: OrganisationUnit, kind: str, invoice_id: str, now: datetime) -> Document:
    """A document with seller, buyer and date, and nothing invoiced yet."""
    organisation = unit.organisation
    profile = unit.buying.profile(organisation.org_id)
    return Document(
        kind=kind,
        invoice_id=invoice_id,
        issued_at=now,
        issued_on=now.astimezone(ZoneInfo(organisation.time_zone)).date().isoformat(),
        time_zone=organisation.time_zone,
        language=profile.language if profile.language in LANGUAGES else LANGUAGES[0],
        currency=organisation.currency,
        seller=selling(seller_of(unit, profile, now)),
        buyer=buying(organisation, profile),
        lines=(),
        taxes=(),
        net_micros=0,
        tax_micros=0,
        gross_micros=0,
    )


def issue(
    unit: OrganisationUnit,
    document: Document,
    *,
    paid_at: datetime | None,
    first_entry: int = 0,
    last_entry: int = 0,
) -> Invoice:
    """Write an invoice without a number; the number follows in order of issue."""
    invoice = Invoice(
        invoice_id=document.invoice_id,
        kind=document.kind,
        seller_id=document.seller.party_id,
        issued_at=document.issued_at,
        language=document.language,
        currency=document.currency,
        net_micros=document.net_micros,
        tax_micros=document.tax_micros,
        document=frozen(document),
        payment_id=document.payment_id,
        credits_invoice_id=document.corrects,
        period=document.period,
        first_entry=first_entry,
        last_entry=last_entry,
        purchase_order=document.purchase_order,
        paid_at=paid_at,
    )
    unit.invoices.add_invoice(unit.organisation.org_id, invoice)
    return invoice


# -- being paid --------------------------------------------------------------------------------------------------------


def credited_micros(unit: Unit, org_id: str, invoice: Invoice) -> int:
    """What credit notes have taken back of an invoice's total."""
    if not invoice.payment_id:
        return 0
    return sum(
        note.net_micros + note.tax_micros
        for note in unit.invoices.invoices_of_payment(org_id, invoice.payment_id)
        if note.credits_invoice_id == invoice.invoice_id
    )


def outstanding(unit: OrganisationUnit, invoice: Invoice) -> int:
    """What is still to be paid of an invoice that is not paid."""
    return invoice.net_micros + invoice.tax_micros - credited_micros(unit, unit.organisation.org_id, invoice)


def settle(unit: OrganisationUnit, invoice: Invoice, now: datetime) -> Invoice:
    """Book that what was still owed of an invoice has come in; its payment by agreement is collected with it."""
    org_id, owed = unit.organisation.org_id, outstanding(unit, invoice)
    if owed:
        postings = [Posting(Account.INVOICED, owed), Posting(Account.FUNDING, -owed)]
        unit.book(entry(EntryKind.INVOICE_PAID, invoice.invoice_id, postings), now)
    payment = unit.buying.payment(org_id, invoice.payment_id) if invoice.payment_id else None
    if payment is not None and payment.collected_at is None:
        change_payment(unit, payment, msgspec.structs.replace(payment, collected_at=now), now)
    paid = msgspec.structs.replace(invoice, paid_at=now)
    unit.invoices.change_invoice(org_id, paid)
    return paid


# -- reading -----------------------------------------------------------------------------------------------------------


def list_invoices(office: Office, org_id: str, *, cursor: str = "", limit: int = 100) -> Page[Invoice]:
    """Invoices and credit notes, newest first. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    before = _cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.invoices.invoices(org_id, before, limit + 1)
    return page(found, limit, lambda one: f"{microseconds(one.issued_at)}.{one.invoice_id}")


def get_invoice(office: Office, org_id: str, ref: str) -> InvoiceView:
    """One invoice by its id, or by its number. Raises `NotFound`."""
    with office.read() as unit:
        invoice = find(unit, org_id, ref)
        corrected = unit.invoices.invoice(org_id, invoice.credits_invoice_id) if invoice.credits_invoice_id else None
        changes = unit.audit.audit(org_id, invoice_subject(invoice.invoice_id), None, 100)
        return InvoiceView(
            invoice_id=invoice.invoice_id,
            number=invoice.number,
            paid_at=invoice.paid_at,
            purchase_order=invoice.purchase_order,
            purchase_order_changes=tuple(
                PurchaseOrderChange(at=one.at, by=one.by, before=before, after=after)
                for one in reversed(changes)
                for field, (before, after) in one.changes.items()
                if field == "purchase_order"
            ),
            corrects_number=corrected.number if corrected else "",
            credited_micros=credited_micros(unit, org_id, invoice) if invoice.kind != CREDIT_NOTE else 0,
            document=document_of(invoice),
        )


def find(unit: Unit, org_id: str, ref: str) -> Invoice:
    """An invoice by id or number; raises `NotFound`."""
    unit.directory.organisation(org_id)
    found = unit.invoices.invoice(org_id, ref) or unit.invoices.invoice_by_number(org_id, ref)
    if found is None:
        raise NotFound(f"invoice {ref!r}: there is none; list them: gettone invoices list {org_id}")
    return found


def invoice_subject(invoice_id: str) -> str:
    """How the audit log names an invoice."""
    return f"invoice/{invoice_id}"


def billed_calls(office: Office, org_id: str, ref: str, *, cursor: str = "", limit: int = 1000) -> Page[BilledCall]:
    """The calls of a monthly invoice one by one, in order of settlement. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    after = _call_cursor(cursor)
    with office.read() as unit:
        invoice = find(unit, org_id, ref)
        if invoice.kind != POST_USAGE:
            return Page(())
        found = unit.books.billed_calls(org_id, invoice.first_entry, invoice.last_entry, after, limit + 1)
    return page(found, limit, lambda one: f"{one.entry_number}.{one.line}")


def billed_parts(office: Office, org_id: str, ref: str) -> Iterator[tuple[BilledCall, ...]]:
    """Every call of a monthly invoice, a thousand at a time. Raises `NotFound`."""
    cursor = ""
    while True:
        part = billed_calls(office, org_id, ref, cursor=cursor)
        yield part.items
        cursor = part.next_cursor
        if not cursor:
            return


def _cursor(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    issued_at, dot, invoice_id = cursor.partition(".")
    if not (dot and invoice_id):
        raise bad_cursor(cursor)
    return number_cursor(issued_at) or 0, invoice_id


def _call_cursor(cursor: str) -> tuple[int, int] | None:
    if not cursor:
        return None
    entry_number, dot, line = cursor.partition(".")
    if not (dot and line):
        raise bad_cursor(cursor)
    return number_cursor(entry_number) or 0, number_cursor(line) or 0


def user_names(office: Office, org_id: str, calls: Sequence[BilledCall]) -> Callable[[str], str]:
    """What the users of *calls* are called by their ids; of somebody who is no more, the id."""
    with office.read() as unit:
        known = unit.directory.users_by_ref(org_id, {call.user_id for call in calls if call.user_id})
    return lambda user_id: known[user_id].upn if user_id in known else user_id
