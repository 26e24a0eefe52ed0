"""Orders of credit and the payments requested for them: the rows that buying, auto-recharge and payments share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gettone.domain.money import CURRENCY_DIGITS, MICROS
from gettone.domain.payments import PaymentState
from gettone.errors import NotFound
from gettone.operations.billing import CHARGE, OPEN, READY, CreditOrder, Method, Payment, PaymentEvent
from gettone.operations.office import OrganisationUnit, Unit
from gettone.operations.terms import terms_now
from gettone.operations.views import OrganisationView


@dataclass(frozen=True, slots=True)
class TaxDue:
    """Tax on top of an amount; all empty where none is due."""

    micros: int = 0
    millionths: int = 0
    label: str = ""


def coin_micros(currency: str) -> int:
    """The smallest coin of a currency: a cent is 10,000 micros, a yen a million."""
    return int(MICROS // 10 ** CURRENCY_DIGITS[currency])


def tax_on(unit: Unit, organisation: OrganisationView, amount_micros: int, now: datetime) -> TaxDue:
    """The tax on credit of *amount_micros*, by the catalogue's row for the country, rounded half up to a whole coin."""
    tax = terms_now(unit, organisation, now).taxes.get(organisation.country)
    if tax is None:
        return TaxDue()
    coin = coin_micros(organisation.currency)
    coins = (2 * amount_micros * tax.millionths + MICROS * coin) // (2 * MICROS * coin)
    return TaxDue(coins * coin, tax.millionths, tax.label)


def usable(methods: Sequence[Method]) -> list[Method]:
    """Methods that can be charged, in order."""
    return [method for method in methods if method.state == READY]


def method_of(unit: Unit, org_id: str, method_id: str) -> Method:
    """A payment method by id, removed or not; raises `NotFound`."""
    for method in unit.buying.methods(org_id, removed=True):
        if method.method_id == method_id:
            return method
    raise NotFound(f"payment method {method_id!r}: there is none; list them: gettone methods list {org_id}")


def new_order(
    unit: OrganisationUnit,
    *,
    kind: str,
    amount_micros: int,
    purchase_order: str,
    ordered_by: str,
    now: datetime,
    reference: str = "",
) -> CreditOrder:
    """Write an order under the next number; *reference* is the buyer's name for it."""
    unit.account.order_number += 1
    order_id = f"{unit.account.order_number:08d}"
    tax = tax_on(unit, unit.organisation, amount_micros, now)
    order = CreditOrder(
        order_id=order_id,
        kind=kind,
        state=OPEN,
        amount_micros=amount_micros,
        # A buyer's own reference never begins with a slash: see `buying`.
        reference=reference or f"/{kind}/{order_id}",
        ordered_by=ordered_by,
        ordered_at=now,
        tax_micros=tax.micros,
        tax_millionths=tax.millionths,
        tax_label=tax.label,
        purchase_order=purchase_order,
        available_micros=unit.account.wallet.available_micros(now),
    )
    assert order.gross_micros % coin_micros(unit.organisation.currency) == 0, "providers move whole coins"
    unit.buying.write_order(unit.organisation.org_id, order)
    return order


def request_payment(unit: OrganisationUnit, order: CreditOrder, method: Method, now: datetime) -> Payment:
    """Request the next payment for *order*; somebody will ask the method's provider for it."""
    org_id = unit.organisation.org_id
    number = sum(1 for one in unit.buying.payments_of(org_id, order.order_id) if one.kind == CHARGE) + 1
    payment_id = f"{order.order_id}-{number}"
    payment = Payment(
        payment_id=payment_id,
        order_id=order.order_id,
        kind=CHARGE,
        method_id=method.method_id,
        provider=method.provider,
        state=PaymentState.REQUESTED,
        gross_micros=order.gross_micros,
        net_micros=order.amount_micros,
        idempotency_key=idempotency_key(org_id, payment_id, now),
        created_at=now,
        next_at=now,
    )
    add_payment(unit, payment, now)
    return payment


def idempotency_key(org_id: str, payment_id: str, now: datetime) -> str:
    """A key that is never used twice, not even when a backup is restored and numbers are given again."""
    return f"{org_id}/{payment_id}/{now:%Y%m%dT%H%M%S%f}"


def add_payment(unit: OrganisationUnit, payment: Payment, now: datetime) -> None:
    """Write a new payment with the first step of its history."""
    unit.buying.write_payment(unit.organisation.org_id, payment)
    _step(unit, payment, now)


def change_payment(unit: OrganisationUnit, before: Payment, changed: Payment, now: datetime) -> Payment:
    """Write a changed payment, and a step of its history when its state or reason is another."""
    changed = msgspec.structs.replace(changed, version=before.version + 1)
    unit.buying.write_payment(unit.organisation.org_id, changed)
    if (before.state, before.code, before.detail) != (changed.state, changed.code, changed.detail):
        _step(unit, changed, now)
    return changed


def _step(unit: OrganisationUnit, payment: Payment, now: datetime) -> None:
    event = PaymentEvent(
        payment_id=payment.payment_id, line=0, at=now, state=payment.state, code=payment.code, detail=payment.detail
    )
    unit.buying.add_payment_event(unit.organisation.org_id, event)
