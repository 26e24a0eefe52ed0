"""Profiles, payment methods, the auto-recharge, orders and payments in SQL (`operations.office.BuyingRows`)."""

from datetime import datetime

import msgspec
from sqlalchemy import Connection, func, insert, literal, select, tuple_

from gettone.domain.payments import PaymentState
from gettone.operations.billing import (
    CHARGE,
    FAILED,
    OPEN,
    RECHARGE,
    REMOVED,
    CreditOrder,
    Method,
    Payment,
    PaymentEvent,
    Profile,
    RechargeRule,
)
from gettone.operations.instants import microseconds
from gettone.storage.billing_schema import (
    billing_profile,
    credit_order,
    payment,
    payment_event,
    payment_method,
    provider_event,
    recharge_rule,
)
from gettone.storage.records import Records
from gettone.storage.schema import wallet

PROFILES = Records(billing_profile, Profile)
METHODS = Records(payment_method, Method)
RULES = Records(recharge_rule, RechargeRule)
ORDERS = Records(credit_order, CreditOrder)
PAYMENTS = Records(payment, Payment)
EVENTS = Records(payment_event, PaymentEvent)


class SqlBuying:
    """See `BuyingRows`; every statement about an organisation names it."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def profile(self, org_id: str) -> Profile:
        """See `BuyingRows`."""
        return PROFILES.one(self._connection, billing_profile.c.org_id == org_id) or Profile()

    def write_profile(self, org_id: str, profile: Profile) -> None:
        """See `BuyingRows`."""
        PROFILES.put(self._connection, org_id, profile)

    def methods(self, org_id: str, *, removed: bool = False) -> list[Method]:
        """See `BuyingRows`."""
        columns = payment_method.c
        found = METHODS.all(
            self._connection, columns.org_id == org_id, order=(columns.position, columns.created_at, columns.method_id)
        )
        return [method for method in found if removed or method.state != REMOVED]

    def write_method(self, org_id: str, method: Method) -> None:
        """See `BuyingRows`."""
        METHODS.put(self._connection, org_id, method)

    def rule(self, org_id: str) -> RechargeRule | None:
        """See `BuyingRows`."""
        return RULES.one(self._connection, recharge_rule.c.org_id == org_id)

    def write_rule(self, org_id: str, rule: RechargeRule) -> None:
        """See `BuyingRows`."""
        RULES.put(self._connection, org_id, rule)

    def order(self, org_id: str, order_id: str) -> CreditOrder | None:
        """See `BuyingRows`."""
        columns = credit_order.c
        return ORDERS.one(self._connection, columns.org_id == org_id, columns.order_id == order_id)

    def order_by_reference(self, org_id: str, reference: str) -> CreditOrder | None:
        """See `BuyingRows`."""
        columns = credit_order.c
        return ORDERS.one(self._connection, columns.org_id == org_id, columns.reference == reference)

    def open_recharge(self, org_id: str) -> CreditOrder | None:
        """See `BuyingRows`; the conditions of the index word for word, so that it serves."""
        columns = credit_order.c
        return ORDERS.one(self._connection, columns.org_id == org_id, columns.kind == RECHARGE, columns.state == OPEN)

    def orders(self, org_id: str, kind: str, before: str, limit: int) -> list[CreditOrder]:
        """See `BuyingRows`."""
        columns = credit_order.c
        where = [columns.org_id == org_id]
        if kind:
            where.append(columns.kind == kind)
        if before:
            where.append(columns.order_id < before)
        return ORDERS.all(self._connection, *where, order=(columns.order_id.desc(),), limit=limit)

    def write_order(self, org_id: str, order: CreditOrder) -> None:
        """See `BuyingRows`."""
        ORDERS.put(self._connection, org_id, order)

    def bought(self, org_id: str, since: datetime) -> tuple[int, int]:
        """See `BuyingRows`."""
        columns = credit_order.c
        query = select(func.count(), func.coalesce(func.sum(columns.amount_micros), 0)).where(
            columns.org_id == org_id,
            columns.ordered_at >= microseconds(since),
            columns.kind == RECHARGE,
            columns.state != FAILED,
        )
        count, micros = self._connection.execute(query).one()
        return count, int(micros)

    def payment(self, org_id: str, payment_id: str) -> Payment | None:
        """See `BuyingRows`."""
        columns = payment.c
        return PAYMENTS.one(self._connection, columns.org_id == org_id, columns.payment_id == payment_id)

    def payments_of(self, org_id: str, order_id: str) -> list[Payment]:
        """See `BuyingRows`."""
        columns = payment.c
        return PAYMENTS.all(
            self._connection,
            columns.org_id == org_id,
            columns.order_id == order_id,
            order=(columns.created_at, columns.payment_id),
        )

    def payments(self, org_id: str, before: tuple[int, str] | None, limit: int) -> list[Payment]:
        """See `BuyingRows`."""
        columns = payment.c
        where = [columns.org_id == org_id]
        if before is not None:
            at, payment_id = before
            where.append(tuple_(columns.created_at, columns.payment_id) < tuple_(literal(at), literal(payment_id)))
        order = (columns.created_at.desc(), columns.payment_id.desc())
        return PAYMENTS.all(self._connection, *where, order=order, limit=limit)

    def write_payment(self, org_id: str, payment: Payment) -> None:
        """See `BuyingRows`."""
        PAYMENTS.put(self._connection, org_id, payment)

    def due_payments(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """See `BuyingRows`."""
        columns = payment.c
        query = (
            select(columns.org_id, columns.payment_id)
            .where(columns.next_at.is_not(None), columns.next_at <= microseconds(now))
            .order_by(columns.next_at, columns.org_id, columns.payment_id)
            .limit(limit)
        )
        return [(org_id, payment_id) for org_id, payment_id in self._connection.execute(query)]

    def unpaid(self, org_id: str, method_id: str) -> int:
        """See `BuyingRows`; what was refunded is not owed any more."""
        columns, refund = payment.c, payment.alias("refund").c
        owed = (
            columns.org_id == org_id,
            columns.method_id == method_id,
            columns.kind == CHARGE,
            columns.lot_id != "",
            columns.collected_at.is_(None),
        )
        charged = select(func.coalesce(func.sum(columns.gross_micros), 0)).where(*owed)
        of_charge = (refund.org_id == columns.org_id, refund.refund_of == columns.payment_id)
        refunded = select(func.coalesce(func.sum(refund.gross_micros), 0)).where(
            *owed, *of_charge, refund.state == PaymentState.SUCCEEDED.value
        )
        execute = self._connection.execute
        return int(execute(charged).scalar_one()) - int(execute(refunded).scalar_one())

    def asked_before(self, org_id: str, asked: Payment) -> int:
        """See `BuyingRows`."""
        columns = payment.c
        first = microseconds(asked.first_asked_at) if asked.first_asked_at is not None else None
        earlier = tuple_(columns.first_asked_at, columns.payment_id) < tuple_(literal(first), literal(asked.payment_id))
        query = select(func.coalesce(func.sum(columns.gross_micros), 0)).where(
            columns.org_id == org_id,
            columns.method_id == asked.method_id,
            columns.kind == CHARGE,
            columns.state.in_([state.value for state in PaymentState if state.open]),
            earlier,
        )
        return int(self._connection.execute(query).scalar_one())

    def add_payment_event(self, org_id: str, event: PaymentEvent) -> None:
        """See `BuyingRows`."""
        columns = payment_event.c
        last = select(func.coalesce(func.max(columns.line), 0)).where(
            columns.org_id == org_id, columns.payment_id == event.payment_id
        )
        line = self._connection.execute(last).scalar_one() + 1
        EVENTS.add(self._connection, org_id, [msgspec.structs.replace(event, line=line)])

    def payment_events(self, org_id: str, payment_id: str) -> list[PaymentEvent]:
        """See `BuyingRows`."""
        columns = payment_event.c
        return EVENTS.all(
            self._connection, columns.org_id == org_id, columns.payment_id == payment_id, order=(columns.line,)
        )

    def take_event(self, org_id: str, provider: str, event_id: str, kind: str, now: datetime) -> bool:
        """See `BuyingRows`; under the organisation's lock, so nobody else writes the same."""
        columns = provider_event.c
        known = select(columns.event_id).where(
            columns.org_id == org_id, columns.provider == provider, columns.event_id == event_id
        )
        if self._connection.execute(known).first() is not None:
            return False
        row = {"provider": provider, "event_id": event_id, "kind": kind, "at": microseconds(now)}
        self._connection.execute(insert(provider_event), {"org_id": org_id, **row})
        return True

    def recharges_marked(self, limit: int) -> list[str]:
        """See `BuyingRows`."""
        due_at = wallet.c.recharge_due_at
        query = select(wallet.c.org_id).where(due_at.is_not(None)).order_by(due_at, wallet.c.org_id).limit(limit)
        return list(self._connection.execute(query).scalars())

    def recharges_due(self, now: datetime, after: str, limit: int) -> list[str]:
        """See `BuyingRows`; expired credit that is not written off yet is left to the one who looks closer."""
        columns = wallet.c
        query = (
            select(columns.org_id)
            .where(
                columns.org_id > after,
                columns.recharge_at.is_not(None),
                columns.recharge_at <= microseconds(now),
                columns.posted_micros - columns.held_micros - columns.overrun_micros < columns.trigger_micros,
            )
            .order_by(columns.org_id)
            .limit(limit)
        )
        return list(self._connection.execute(query).scalars())
