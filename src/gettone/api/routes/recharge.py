"""Payment methods, and the auto-recharge that uses them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import msgspec
from litestar import Response, Router
from litestar.params import JSONBody, QueryParameter

from gettone.api import buying_bodies
from gettone.api.buying_bodies import (
    CardToEnter,
    MethodChange,
    MethodOrder,
    NewAgreementBody,
    NewCardBody,
    Order,
    PaymentMethod,
    Recharge,
    RechargeRule,
    as_sent,
)
from gettone.api.problems import ApiError, problem
from gettone.api.routing import (
    ADMIN,
    BILLING,
    ORGANISATION,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    buyer,
    delete,
    get,
    needs,
    patch,
    plain,
    post,
    put,
)
from gettone.api.services import Services
from gettone.api.versions import IfMatch, tagged, wanted_version
from gettone.errors import Conflict
from gettone.operations import methods, recharging
from gettone.operations.billing import AuditEntry
from gettone.operations.recharging import RechargeView
from gettone.operations.views import Page

METHODS = f"{ORGANISATION}/payment-methods"
METHOD = f"{METHODS}/{{method_id:str}}"
RECHARGE = f"{ORGANISATION}/auto-recharge"

Confirm = Annotated[bool, QueryParameter(description="Save also when that charges at once.")]

# -- payment methods ---------------------------------------------------------------------------------------------------


@get(METHODS, opt=needs(READ), sync_to_thread=True)
def list_payment_methods(services: Given, org_id: InPath) -> Page[PaymentMethod]:
    """The payment methods in the order in which they are tried."""
    return _methods(services, org_id, methods.list_methods(services.office, org_id))


@put(METHODS, opt=needs(BILLING), sync_to_thread=True)
def order_payment_methods(
    request: Caller, services: Given, org_id: InPath, data: JSONBody[MethodOrder]
) -> Page[PaymentMethod]:
    """Let the methods be tried in another order."""
    by, now = buyer(request.auth), services.clock()
    return _methods(services, org_id, methods.order(services.office, org_id, data.method_ids, by, now))


@get(METHOD, opt=needs(READ), sync_to_thread=True)
def get_payment_method(services: Given, org_id: InPath, method_id: InPath) -> PaymentMethod:
    """One payment method, also one that was removed."""
    return _method(services, org_id, plain(method_id))


@get(f"{METHOD}/history", opt=needs(READ), sync_to_thread=True)
def list_payment_method_changes(
    services: Given, org_id: InPath, method_id: InPath, limit: Limit = 100
) -> Page[AuditEntry]:
    """Who changed what of a method, newest first: each field with what it was and what it became."""
    return Page(methods.history(services.office, org_id, plain(method_id), limit=limit))


@post(f"{METHODS}/cards", opt=needs(BILLING), sync_to_thread=True)
def begin_card(request: Caller, services: Given, org_id: InPath, data: JSONBody[NewCardBody]) -> CardToEnter:
    """Prepare for a card to be entered at the provider; when that is done, finish it."""
    by, now, providers = buyer(request.auth), services.clock(), services.paying.providers
    begun = methods.begin_card(services.office, org_id, by, now, providers=providers, provider=data.provider)
    shown = _method(services, org_id, begun.method.method_id)
    return CardToEnter(method=shown, secret=begun.secret, link=begun.link)


@post(f"{METHOD}/finish", opt=needs(BILLING), status_code=200, sync_to_thread=True)
def finish_card(request: Caller, services: Given, org_id: InPath, method_id: InPath) -> PaymentMethod:
    """Take in the card that was entered; again changes nothing."""
    by, now, providers = buyer(request.auth), services.clock(), services.paying.providers
    finished = methods.finish_card(services.office, org_id, plain(method_id), by, now, providers=providers)
    return _method(services, org_id, finished.method_id)


@post(f"{METHODS}/agreements", opt=needs(ADMIN), sync_to_thread=True)
def add_agreement(request: Caller, services: Given, org_id: InPath, data: JSONBody[NewAgreementBody]) -> PaymentMethod:
    """Add an Enterprise Agreement to pay by; what credit it gives is the operator's to say."""
    new = buying_bodies.new_agreement(data, services.currency(org_id))
    with as_sent():
        added = methods.add_agreement(services.office, org_id, new, buyer(request.auth), services.clock())
    return _method(services, org_id, added.method_id)


@patch(METHOD, opt=needs(BILLING), sync_to_thread=True)
def change_payment_method(
    request: Caller, services: Given, org_id: InPath, method_id: InPath, data: JSONBody[MethodChange]
) -> PaymentMethod:
    """Change the purchase order of a method or, as the operator, the credit of an agreement."""
    changes = buying_bodies.method_changes(data, services.currency(org_id))
    by, now = buyer(request.auth), services.clock()
    with as_sent():
        methods.change(services.office, org_id, plain(method_id), by, now, changes=changes)
    return _method(services, org_id, plain(method_id))


@delete(METHOD, opt=needs(BILLING), status_code=200, sync_to_thread=True)
def remove_payment_method(request: Caller, services: Given, org_id: InPath, method_id: InPath) -> PaymentMethod:
    """Take a method away; refused while a payment by it is open, or while the auto-recharge has no other."""
    methods.remove(services.office, org_id, plain(method_id), buyer(request.auth), services.clock())
    return _method(services, org_id, plain(method_id))


def _method(services: Services, org_id: str, method_id: str) -> PaymentMethod:
    found = methods.get_method(services.office, org_id, method_id)
    return buying_bodies.method(found, services.currency(org_id))


def _methods(services: Services, org_id: str, found: tuple[methods.MethodView, ...]) -> Page[PaymentMethod]:
    currency = services.currency(org_id)
    return Page(tuple(buying_bodies.method(one, currency) for one in found))


# -- auto-recharge -----------------------------------------------------------------------------------------------------


@get(RECHARGE, opt=needs(READ), sync_to_thread=True)
def get_auto_recharge(services: Given, org_id: InPath) -> Response[Recharge]:
    """The auto-recharge: its rule, and what it does now."""
    return _recharge(recharging.show(services.office, org_id, services.clock()))


@put(RECHARGE, opt=needs(BILLING), sync_to_thread=True)
def set_auto_recharge(
    *,
    request: Caller,
    services: Given,
    org_id: InPath,
    data: JSONBody[RechargeRule],
    confirm: Confirm = False,
    if_match: IfMatch = "",
) -> Response[Recharge]:
    """Set the auto-recharge; a rule that is due buys at once, which has to be confirmed. Also resumes a suspended one.

    Answers 409 with a `preview` when saving would charge at once and `confirm` is not true.
    """
    rule, version = buying_bodies.new_rule(data, services.currency(org_id)), wanted_version(if_match)
    by, now = buyer(request.auth), services.clock()
    with as_sent(), _unless_changed(services, org_id, version):
        preview = recharging.preview(services.office, org_id, rule, by, now)
        if preview.due_now and not preview.paused and not confirm:
            raise _to_confirm(preview)
        recharging.set_rule(services.office, org_id, rule, by, now, expected_version=version)
    return _recharge(recharging.show(services.office, org_id, now))


@delete(RECHARGE, opt=needs(BILLING), status_code=200, sync_to_thread=True)
def switch_auto_recharge_off(request: Caller, services: Given, org_id: InPath) -> Response[Recharge]:
    """Turn the auto-recharge off; a recharge that is open goes on."""
    now = services.clock()
    recharging.switch_off(services.office, org_id, buyer(request.auth), now)
    return _recharge(recharging.show(services.office, org_id, now))


@post(f"{RECHARGE}/resume", opt=needs(BILLING), status_code=200, sync_to_thread=True)
def resume_auto_recharge(request: Caller, services: Given, org_id: InPath) -> Response[Recharge]:
    """Let an auto-recharge that is suspended, or that waits after a decline, go on at once."""
    now = services.clock()
    recharging.resume(services.office, org_id, buyer(request.auth), now)
    return _recharge(recharging.show(services.office, org_id, now))


@get(f"{RECHARGE}/history", opt=needs(READ), sync_to_thread=True)
def list_recharges(services: Given, org_id: InPath, cursor: Cursor = "", limit: Limit = 100) -> Page[Order]:
    """What the auto-recharge has ordered, newest first, and why what failed has failed."""
    page = recharging.history(services.office, org_id, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(buying_bodies.order(one, currency) for one in page.items), page.next_cursor)


def _recharge(view: RechargeView) -> Response[Recharge]:
    return tagged(buying_bodies.recharge(view), view.rule.version if view.rule else 0)


def _to_confirm(preview: RechargeView) -> ApiError:
    shown = buying_bodies.recharge(preview)
    detail = (
        f"Saving this charges {shown.would_buy} {shown.currency} at once; send it with ?confirm=true if you mean it."
    )
    told = problem(409, "confirmation_needed", detail, title="Saving this charges at once.")
    return ApiError(msgspec.structs.replace(told, preview=msgspec.to_builtins(shown)))


@contextmanager
def _unless_changed(services: Services, org_id: str, version: int | None) -> Iterator[None]:
    """Answer a conflict inside with 412 and the present state when the rule is not of *version*."""
    try:
        yield
    except Conflict as error:
        present = recharging.show(services.office, org_id, services.clock()) if version is not None else None
        found = present.rule.version if present is not None and present.rule is not None else 0
        if present is None or found == version:
            raise
        told = problem(412, "changed_meanwhile", str(error), title="Somebody has changed the auto-recharge meanwhile.")
        current = msgspec.to_builtins(buying_bodies.recharge(present))
        raise ApiError(msgspec.structs.replace(told, current=current), {"ETag": f'"{found}"'}) from error


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_payment_methods, order_payment_methods, get_payment_method, list_payment_method_changes),
        *(begin_card, finish_card, add_agreement, change_payment_method, remove_payment_method),
        *(get_auto_recharge, set_auto_recharge, switch_auto_recharge_off, resume_auto_recharge, list_recharges),
    ]
    return Router("/", route_handlers=handlers, tags=["Payment methods and auto-recharge"], **options)
