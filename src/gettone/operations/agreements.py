"""Agreements: orders that count once somebody confirms them, and money that comes in for invoices (D19).

A credit order by an agreement that wants confirmation waits until the operator confirms or rejects it. An invoice by
agreement or of billing after use is owed until the money is collected; then the agreement's limit is free again.
"""

from datetime import datetime

from gettone.domain.payments import Declined, Outcome, PaymentState, Succeeded
from gettone.errors import Conflict, NotFound
from gettone.operations import checks
from gettone.operations.billing import AGREEMENT, CHARGE, Invoice, Payment
from gettone.operations.invoice_documents import CREDIT_NOTE
from gettone.operations.invoicing import find, invoice_subject, settle
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.orders import method_of
from gettone.operations.payments import record_in

REJECTED = "rejected"


def confirm(office: Office, org_id: str, payment_id: str, *, by: str, now: datetime) -> Payment:
    """Let an order by agreement count: its credit is there at once, and its invoice is issued.

    Confirmed again it is as it is. Raises `NotFound`, or `Conflict` when it is no order by agreement or was rejected.
    """
    with office.write(org_id) as unit:
        payment = _ordered(unit, payment_id)
        if payment.state is PaymentState.SUCCEEDED:
            return payment
        return _decided(unit, payment, Succeeded(f"{AGREEMENT}/{payment_id}"), action="confirm", by=by, now=now)


def reject(office: Office, org_id: str, payment_id: str, *, by: str, now: datetime, reason: str = "") -> Payment:
    """Turn an order by agreement down, with a *reason* for the one who ordered.

    Rejected again it is as it is. Raises `NotFound`, or `Conflict` when it is no order by agreement or was confirmed.
    """
    why = checks.text("reason", reason, empty=True) or "the operator rejected the order"
    with office.write(org_id) as unit:
        payment = _ordered(unit, payment_id)
        if payment.state is PaymentState.DECLINED:
            return payment
        return _decided(unit, payment, Declined(REJECTED, why, final=True), action="reject", by=by, now=now)


def _decided(
    unit: OrganisationUnit, payment: Payment, outcome: Outcome, *, action: str, by: str, now: datetime
) -> Payment:
    if not payment.state.open:
        raise Conflict(
            f"payment {payment.payment_id!r} is {payment.state.value} already; refund it, or place a new order"
        )
    decided = record_in(unit, payment, outcome, now)
    changes = {"state": (payment.state.value, decided.state.value)}
    unit.note(by, action, f"payment/{payment.payment_id}", changes, now)
    return decided


def _ordered(unit: OrganisationUnit, payment_id: str) -> Payment:
    """A charge by agreement."""
    org_id = unit.organisation.org_id
    payment = unit.buying.payment(org_id, payment_id)
    if payment is None:
        raise NotFound(f"payment {payment_id!r}: there is none; list them: gettone credits payments {org_id}")
    if payment.kind != CHARGE or method_of(unit, org_id, payment.method_id).kind != AGREEMENT:
        raise Conflict(f"payment {payment_id!r} is not an order by agreement: its provider decides about it")
    return payment


def collected(office: Office, org_id: str, ref: str, *, by: str, now: datetime) -> Invoice:
    """Note that the money for an invoice has come in; collected again it is as it is.

    *ref* is its id or number. What credit notes took back is not expected any more. Raises `NotFound`, or `Conflict`
    for a credit note.
    """
    with office.write(org_id) as unit:
        invoice = find(unit, org_id, ref)
        if invoice.kind == CREDIT_NOTE:
            raise Conflict(f"{ref!r} is a credit note: money goes out for it, not in")
        if invoice.paid_at is not None:
            return invoice
        paid = settle(unit, invoice, now)
        unit.note(by, "collect", invoice_subject(invoice.invoice_id), {"paid_at": ("", now.isoformat())}, now)
        return paid
