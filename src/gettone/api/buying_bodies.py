"""Bodies about buying credit: orders, payments, payment methods and auto-recharge.

Amounts are decimal strings in the organisation's currency. What the provider knows a card by is not shown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType

from gettone.api.bodies import Amount, micros, shown
from gettone.api.problems import FieldError, invalid
from gettone.api.wire import money
from gettone.domain.money import MoneyError, parse_micros
from gettone.errors import InvalidInput
from gettone.operations import buying, methods, recharging
from gettone.operations.billing import CreditOrder, Payment, PaymentEvent
from gettone.operations.buying import NewOrder, Obstacle
from gettone.operations.methods import MethodView
from gettone.operations.payment_reports import OrderView, PaymentDetail, percent
from gettone.operations.recharging import DAY_COUNT, NewRule, RechargeView

Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- in ----------------------------------------------------------------------------------------------------------------


class NewCreditOrder(_Input, frozen=True, kw_only=True):
    """Credit to buy: whole units of the currency, not less than its minimum; by the first method if none is named.

    `currency`, if given, must be the organisation's. Without `purchase_order` the method's counts.
    """

    amount: Amount
    currency: str = ""
    method_id: str = ""
    purchase_order: str = ""


class Refund(_Input, frozen=True, kw_only=True):
    """How much unused credit to pay back; without `amount` all of it."""

    amount: Amount | None = None
    currency: str = ""


class NewCardBody(_Input, frozen=True, kw_only=True):
    """Where the card is to be kept; empty for the provider that is set up."""

    provider: str = ""


class NewAgreementBody(_Input, frozen=True, kw_only=True):
    """An Enterprise Agreement; a `credit_limit`, and `on_confirmation` false, are the operator's to give."""

    number: str
    billing_country: str
    purchase_order: str = ""
    credit_limit: Amount | None = None
    on_confirmation: bool = True


class MethodChange(_Input, frozen=True, kw_only=True):
    """What is given changes; `credit_limit` null takes the limit away."""

    purchase_order: str | UnsetType = UNSET
    credit_limit: Amount | UnsetType | None = UNSET
    on_confirmation: bool | UnsetType = UNSET


class MethodOrder(_Input, frozen=True, kw_only=True):
    """Every method that is ready, in the order in which they are to be tried."""

    method_ids: tuple[str, ...]


class RechargeRule(_Input, frozen=True, kw_only=True):
    """The auto-recharge: when less than `trigger` is available, buy `amount`; caps are null for none.

    `day_count` and `month_count` say how many recharges at most, `day_amount` and `month_amount` of how much together.
    """

    trigger: Amount
    amount: Amount
    enabled: bool = True
    method_id: str = ""
    purchase_order: str = ""
    day_count: Count | None = DAY_COUNT
    day_amount: Amount | None = None
    month_count: Count | None = None
    month_amount: Amount | None = None


# -- out ---------------------------------------------------------------------------------------------------------------


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would come to; it can be placed when there are no `obstacles`. `available` is as it is now."""

    currency: str
    amount: str
    tax: str
    tax_percent: str
    tax_label: str
    total: str
    method_id: str
    method_label: str
    purchase_order: str
    available: str
    available_after: str
    expires_at: datetime
    obstacles: tuple[Obstacle, ...]


class PaymentBody(msgspec.Struct, frozen=True, kw_only=True):
    """A payment, or with `kind` refund the payback of the payment `refund_of`.

    `total` moves at the provider, `amount` in the wallet. `state` is requested, pending, action_required (then somebody
    has to confirm it at `link`), unknown, succeeded, declined or disputed. Of a payment that succeeded `lot_id` is the
    credit that it bought, `refunded` and `disputed` how much of that was taken back.
    """

    payment_id: str
    order_id: str
    kind: str
    refund_of: str
    method_id: str
    provider: str
    provider_ref: str
    state: str
    currency: str
    total: str
    amount: str
    code: str
    detail: str
    link: str
    created_at: datetime
    next_at: datetime | None
    settled_at: datetime | None
    collected_at: datetime | None
    lot_id: str
    refunded: str
    disputed: str
    version: int


class PaymentStep(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a payment."""

    line: int
    at: datetime
    state: str
    code: str
    detail: str


class PaymentWithEvents(msgspec.Struct, frozen=True, kw_only=True):
    """A payment with every step that it took."""

    payment: PaymentBody
    events: list[PaymentStep]


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that was ordered, by a person (`kind` purchase) or by the auto-recharge (recharge).

    `state` is open, fulfilled or failed (then `reason` says why). `available` is what there was when it was ordered.
    """

    order_id: str
    kind: str
    state: str
    currency: str
    amount: str
    tax: str
    tax_percent: str
    tax_label: str
    total: str
    purchase_order: str
    reference: str
    ordered_by: str
    ordered_at: datetime
    closed_at: datetime | None
    reason: str
    available: str


class OrderWithPayments(msgspec.Struct, frozen=True, kw_only=True):
    """An order and its payments, in order; `link` is where a person has to confirm one, if somebody has to."""

    order: Order
    payments: list[PaymentBody]
    link: str


class PaymentMethod(msgspec.Struct, frozen=True, kw_only=True):
    """A way to pay: a card (`expires` is yyyymm), or an agreement and what is `unpaid` by it.

    `state` is setting_up, ready or removed.
    """

    method_id: str
    kind: str
    provider: str
    label: str
    position: int
    state: str
    created_at: datetime
    expires: int
    agreement_number: str
    billing_country: str
    purchase_order: str
    currency: str
    credit_limit: str | None
    unpaid: str
    on_confirmation: bool
    version: int


class CardToEnter(msgspec.Struct, frozen=True, kw_only=True):
    """A card that is to be entered at `link`, or on a page that takes the provider's `secret`."""

    method: PaymentMethod
    secret: str
    link: str


class Recharge(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-recharge as it is; `rule` is null when none was set.

    `paused` says why it does not buy although it is on: suspended, backing_off, recharge_open, day_cap or month_cap;
    `next_at` when it goes on. `would_buy` is what it would buy if it were due, `due_now` that it is.
    """

    rule: "RechargeRuleAsSet | None"
    currency: str
    available: str
    paused: str
    next_at: datetime | None
    due_now: bool
    would_buy: str
    open_order_id: str
    bought_day_count: int
    bought_day: str
    bought_month_count: int
    bought_month: str


class RechargeRuleAsSet(msgspec.Struct, frozen=True, kw_only=True):
    """A rule and how it is going: `declines` are those in a row."""

    enabled: bool
    trigger: str
    amount: str
    method_id: str
    purchase_order: str
    day_count: int | None
    day_amount: str | None
    month_count: int | None
    month_amount: str | None
    declines: int
    suspended_at: datetime | None
    suspended_because: str
    version: int


def review(view: buying.Review) -> Review:
    """Show what an order would come to."""
    return shown(Review, view, view.currency, tax_percent=percent(view.tax_millionths))


def order(view: CreditOrder, currency: str) -> Order:
    """Show an order."""
    return shown(
        Order, view, currency, tax_percent=percent(view.tax_millionths), total=money(view.gross_micros, currency)
    )


def order_with_payments(view: OrderView, currency: str) -> OrderWithPayments:
    """Show an order with its payments."""
    payments = [payment(one, currency) for one in view.payments]
    return OrderWithPayments(order=order(view.order, currency), payments=payments, link=view.link)


def payment(view: Payment, currency: str) -> PaymentBody:
    """Show a payment."""
    return shown(
        PaymentBody,
        view,
        currency,
        state=view.state.value,
        total=money(view.gross_micros, currency),
        amount=money(view.net_micros, currency),
    )


def payment_with_events(view: PaymentDetail, currency: str) -> PaymentWithEvents:
    """Show a payment and its steps."""
    return PaymentWithEvents(payment=payment(view.payment, currency), events=[_step(one) for one in view.events])


def _step(event: PaymentEvent) -> PaymentStep:
    return PaymentStep(line=event.line, at=event.at, state=event.state.value, code=event.code, detail=event.detail)


def method(view: MethodView, currency: str) -> PaymentMethod:
    """Show a payment method."""
    found = view.method
    limit = found.credit_limit_micros
    return shown(
        PaymentMethod,
        found,
        currency,
        credit_limit=None if limit is None else money(limit, currency),
        unpaid=money(view.unpaid_micros, currency),
    )


def recharge(view: RechargeView) -> Recharge:
    """Show the auto-recharge."""
    rule, currency = view.rule, view.currency
    as_set = None
    if rule is not None:
        caps = {"day_amount": rule.day_micros, "month_amount": rule.month_micros}
        told = {name: None if cap is None else money(cap, currency) for name, cap in caps.items()}
        as_set = shown(RechargeRuleAsSet, rule, currency, **told)
    return shown(Recharge, view, currency, rule=as_set)


# -- reading -----------------------------------------------------------------------------------------------------------

_AS_SENT = {
    "amount_micros": "amount",
    "trigger_micros": "trigger",
    "day_micros": "day_amount",
    "month_micros": "month_amount",
    "credit_limit_micros": "credit_limit",
}


@contextmanager
def as_sent() -> Iterator[None]:
    """Name the fields of an error as the body names them."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(_AS_SENT.get(error.field, error.field), error.value, error.remedy) from error


def new_order(body: NewCreditOrder, reference: str, currency: str) -> NewOrder:
    """The order that *body* asks for, under the buyer's *reference*."""
    return NewOrder(
        amount_micros=micros(body.amount, currency, body.currency),
        reference=reference,
        method_id=body.method_id,
        purchase_order=body.purchase_order,
    )


def new_agreement(body: NewAgreementBody, currency: str) -> methods.NewAgreement:
    """The agreement that *body* tells of."""
    return methods.NewAgreement(
        number=body.number,
        billing_country=body.billing_country,
        purchase_order=body.purchase_order,
        credit_limit_micros=_read("credit_limit", body.credit_limit, currency),
        on_confirmation=body.on_confirmation,
    )


def method_changes(body: MethodChange, currency: str) -> methods.MethodChanges:
    """The changes that *body* asks for."""
    limit = body.credit_limit
    return methods.MethodChanges(
        purchase_order=body.purchase_order,
        credit_limit_micros=UNSET if limit is UNSET else _read("credit_limit", limit, currency),
        on_confirmation=body.on_confirmation,
    )


def new_rule(body: RechargeRule, currency: str) -> recharging.NewRule:
    """The rule that *body* asks for."""
    amounts: dict[str, Any] = {
        f"{name}_micros": _read(sent, getattr(body, sent), currency)
        for name, sent in (
            *(("trigger", "trigger"), ("amount", "amount")),
            *(("day", "day_amount"), ("month", "month_amount")),
        )
    }
    return NewRule(
        enabled=body.enabled,
        method_id=body.method_id,
        purchase_order=body.purchase_order,
        day_count=body.day_count,
        month_count=body.month_count,
        **amounts,
    )


def _read(field: str, value: str | None, currency: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_micros(value, currency)
    except MoneyError as error:
        raise invalid([FieldError(str(error), field, repr(value[:40]))]) from None
