"""What was ordered and paid, as it is looked at: orders with their payments, payments with their history."""

import msgspec

from gettone.errors import NotFound
from gettone.operations.billing import CreditOrder, Payment, PaymentEvent
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from gettone.operations.paging import bad_cursor, check_limit, page
from gettone.operations.views import Page


class OrderView(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its payments, in order; refunds stand behind what they pay back."""

    order: CreditOrder
    payments: tuple[Payment, ...]

    @property
    def link(self) -> str:
        """Where a person has to confirm the payment; empty when nobody has to."""
        return next((payment.link for payment in self.payments if payment.link), "")


class PaymentDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with every step that it took."""

    payment: Payment
    events: tuple[PaymentEvent, ...]


def order(office: Office, org_id: str, order_id: str) -> OrderView:
    """One order. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.buying.order(org_id, order_id)
        if found is None:
            raise NotFound(f"order {order_id!r}: there is none; list them: gettone credits orders {org_id}")
        return OrderView(order=found, payments=tuple(unit.buying.payments_of(org_id, order_id)))


def payments(office: Office, org_id: str, *, cursor: str = "", limit: int = 100) -> Page[Payment]:
    """Payments and refunds, newest first. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.buying.payments(org_id, _before(cursor), limit + 1)
    return page(found, limit, lambda one: f"{microseconds(one.created_at)}/{one.payment_id}")


def payment(office: Office, org_id: str, payment_id: str) -> PaymentDetail:
    """One payment and its steps. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.buying.payment(org_id, payment_id)
        if found is None:
            raise NotFound(f"payment {payment_id!r}: there is none; list them: gettone credits payments {org_id}")
        return PaymentDetail(payment=found, events=tuple(unit.buying.payment_events(org_id, payment_id)))


def percent(millionths: int) -> str:
    """Write millionths as a percentage: 220,000 is 22."""
    return f"{millionths // 10_000}.{millionths % 10_000:04d}".rstrip("0").removesuffix(".")


def _before(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    at, slash, payment_id = cursor.partition("/")
    if not (slash and payment_id and at.isascii() and at.isdigit() and len(at) <= 18):
        raise bad_cursor(cursor)
    return int(at), payment_id
