"""Buying credit: review and order, payments and their refunds, and the messages of payment providers."""

from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router
from litestar.params import JSONBody, QueryParameter, RawBody

from gettone.api import buying_bodies
from gettone.api.bodies import micros
from gettone.api.buying_bodies import (
    NewCreditOrder,
    Order,
    OrderWithPayments,
    PaymentBody,
    PaymentWithEvents,
    Refund,
    Review,
    as_sent,
)
from gettone.api.problems import ApiError, problem
from gettone.api.routing import (
    BILLING,
    OPERATOR,
    ORGANISATION,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    Reference,
    buyer,
    get,
    needs,
    plain,
    post,
)
from gettone.api.services import Services
from gettone.api.versions import IfMatch, tagged, wanted_version
from gettone.errors import Conflict, NotFound
from gettone.operations import buying, payment_reports, payments
from gettone.operations.billing import OPEN
from gettone.operations.checkout import pay_now
from gettone.operations.views import Page

ORDERS = f"{ORGANISATION}/credits/orders"
PAYMENTS = f"{ORGANISATION}/payments"
EVENT_BYTES_MAX = 1024 * 1024

OfKind = Annotated[str, QueryParameter(description="purchase or recharge; without it both.")]


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a message told anything new."""

    news: bool


@post(f"{ORGANISATION}/credits/review", opt=needs(BILLING), status_code=200, sync_to_thread=True)
def review_credits(request: Caller, services: Given, org_id: InPath, data: JSONBody[NewCreditOrder]) -> Review:
    """What an order would come to, with its tax, and everything that stands in its way; nothing is ordered."""
    new = buying_bodies.new_order(data, "review", services.currency(org_id))
    with as_sent():
        found = buying.review(services.office, org_id, new, buyer(request.auth), services.clock())
    return buying_bodies.review(found)


@post(ORDERS, opt=needs(BILLING), sync_to_thread=True)
def order_credits(
    request: Caller, services: Given, org_id: InPath, data: JSONBody[NewCreditOrder], reference: Reference
) -> Response[OrderWithPayments]:
    """Order credit, once for each Idempotency-Key, and pay for it at once.

    Answers 202 while the outcome of the payment is open, and where a person has to confirm it.
    """
    new = buying_bodies.new_order(data, reference, services.currency(org_id))
    with as_sent():
        placed = buying.place_order(services.office, org_id, new, buyer(request.auth), services.clock())
    found = pay_now(services.office, services.paying, org_id, placed.order.order_id)
    shown = buying_bodies.order_with_payments(found, services.currency(org_id))
    return Response(shown, status_code=202 if found.order.state == OPEN else 201)


@get(ORDERS, opt=needs(READ), sync_to_thread=True)
def list_orders(
    services: Given, org_id: InPath, kind: OfKind = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[Order]:
    """What was ordered, newest first."""
    page = buying.orders(services.office, org_id, kind=kind, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(buying_bodies.order(one, currency) for one in page.items), page.next_cursor)


@get(f"{ORDERS}/{{order_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_order(services: Given, org_id: InPath, order_id: InPath) -> OrderWithPayments:
    """One order with its payments."""
    found = payment_reports.order(services.office, org_id, plain(order_id))
    return buying_bodies.order_with_payments(found, services.currency(org_id))


# -- payments ----------------------------------------------------------------------------------------------------------


@get(PAYMENTS, opt=needs(READ), sync_to_thread=True)
def list_payments(services: Given, org_id: InPath, cursor: Cursor = "", limit: Limit = 100) -> Page[PaymentBody]:
    """Payments and refunds, newest first."""
    page = payment_reports.payments(services.office, org_id, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(buying_bodies.payment(one, currency) for one in page.items), page.next_cursor)


@get(f"{PAYMENTS}/{{payment_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_payment(services: Given, org_id: InPath, payment_id: InPath) -> Response[PaymentWithEvents]:
    """One payment with every step that it took."""
    found = payment_reports.payment(services.office, org_id, plain(payment_id))
    shown = buying_bodies.payment_with_events(found, services.currency(org_id))
    return tagged(shown, found.payment.version)


@post(f"{PAYMENTS}/{{payment_id:str}}/refund", opt=needs(OPERATOR), sync_to_thread=True)
def refund_payment(
    *,
    request: Caller,
    services: Given,
    org_id: InPath,
    payment_id: InPath,
    data: JSONBody[Refund],
    if_match: IfMatch = "",
) -> Response[PaymentBody]:
    """Pay back what is unused of what a payment bought, at once, or a part of it.

    A part needs `If-Match`, so that the same request again refunds nothing more. Answers 202 while the outcome is open.
    """
    version, name, currency = wanted_version(if_match), plain(payment_id), services.currency(org_id)
    if data.amount is not None and version is None:
        raise ApiError(problem(428, "if_match_needed", "To refund a part, send If-Match with the ETag of the payment."))
    amount = None if data.amount is None else micros(data.amount, currency, data.currency)
    by = buyer(request.auth).name
    try:
        begun = payments.refund(
            services.office, org_id, name, services.clock(), by=by, amount_micros=amount, expected_version=version
        )
    except Conflict as error:
        raise _changed_meanwhile(services, org_id, name, version, error) from error
    services.paying.pay(org_id, begun.payment_id)
    found = payment_reports.payment(services.office, org_id, begun.payment_id).payment
    return Response(buying_bodies.payment(found, currency), status_code=202 if found.state.open else 201)


def _changed_meanwhile(
    services: Services, org_id: str, payment_id: str, version: int | None, error: Conflict
) -> Exception:
    """The answer to a conflict: 412 with the payment as it is if it is of another version, else the conflict."""
    present = payment_reports.payment(services.office, org_id, payment_id).payment
    if version is None or present.version == version:
        return error
    told = problem(412, "changed_meanwhile", str(error), title="The payment has changed meanwhile.")
    current = msgspec.to_builtins(buying_bodies.payment(present, services.currency(org_id)))
    return ApiError(msgspec.structs.replace(told, current=current), {"ETag": f'"{present.version}"'})


# -- what providers tell -----------------------------------------------------------------------------------------------


@post(
    "/v1/providers/{provider:str}/events",
    status_code=200,
    security=[],
    request_max_body_size=EVENT_BYTES_MAX,
    sync_to_thread=True,
)
def take_provider_event(request: Request[Any, Any, Any], services: Given, provider: InPath, body: RawBody) -> Taken:
    """Where a payment provider sends its messages. No key: the provider's signature is the proof.

    Whatever is signed rightly is taken with 200, also when it is about nothing of ours, so that it is not sent again.
    """
    name = plain(provider)
    asked = services.paying.providers.get(name)
    if asked is None:
        raise NotFound(f"payment provider {name[:80]!r} is not set up here; see GETTONE_PAYMENTS")
    now = services.clock()
    news = asked.news(body, {key.lower(): value for key, value in request.headers.items()}, now)
    if news is None:
        return Taken(news=False)
    try:
        return Taken(news=payments.take_news(services.office, name, news, now) is not None)
    except NotFound:
        # An organisation of another Gettone that shares the provider's account.
        return Taken(news=False)


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(review_credits, order_credits, list_orders, get_order),
        *(list_payments, get_payment, refund_payment, take_provider_event),
    ]
    return Router("/", route_handlers=handlers, tags=["Buying"], **options)
