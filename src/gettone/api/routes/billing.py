"""Billing: profile, sellers, orders by agreement, and billing after use."""

from typing import Any

from litestar import Router
from litestar.params import JSONBody

from gettone.api import buying_bodies
from gettone.api.bodies import shown
from gettone.api.buying_bodies import PaymentBody
from gettone.api.invoice_bodies import AfterUseBody, AfterUseSwitch, ProfileChange, Rejection, SellerChange
from gettone.api.routing import (
    BILLING,
    OPERATOR,
    ORGANISATION,
    READ,
    Caller,
    Given,
    InPath,
    buyer,
    delete,
    get,
    needs,
    patch,
    plain,
    post,
    put,
)
from gettone.operations import after_use, agreements, profiles, sellers
from gettone.operations.billing import Profile, Seller

PROFILE = f"{ORGANISATION}/billing-profile"
AFTER_USE = f"{ORGANISATION}/after-use"
PAYMENT = f"{ORGANISATION}/payments/{{payment_id:str}}"


@get(PROFILE, opt=needs(READ), sync_to_thread=True)
def get_profile(services: Given, org_id: InPath) -> Profile:
    """Who the organisation is on invoices, its language, and the agreement it buys under."""
    return profiles.get_profile(services.office, org_id)


@patch(PROFILE, opt=needs(BILLING), sync_to_thread=True)
def change_profile(request: Caller, services: Given, org_id: InPath, data: JSONBody[ProfileChange]) -> Profile:
    """Change what is given; invoices that are issued stay as they are."""
    return profiles.set_profile(
        services.office,
        org_id,
        buyer(request.auth),
        services.clock(),
        legal_name=data.legal_name,
        postal_address=data.address,
        tax_id=data.tax_id,
        language=data.language,
        agreement=data.agreement,
        seller_id=data.seller_id,
    )


@get(AFTER_USE, opt=needs(READ), sync_to_thread=True)
def get_after_use(services: Given, org_id: InPath) -> AfterUseBody:
    """Where the organisation stands between prepaying and billing after use."""
    return _shown(after_use.status(services.office, org_id, services.clock()))


@put(AFTER_USE, opt=needs(BILLING), sync_to_thread=True)
def switch_after_use(request: Caller, services: Given, org_id: InPath, data: JSONBody[AfterUseSwitch]) -> AfterUseBody:
    """Bill use after the month where nothing else pays, or no more; it counts from the next call on."""
    return _shown(after_use.switch(services.office, org_id, buyer(request.auth), services.clock(), on=data.on))


@post(f"{AFTER_USE}/move", opt=needs(BILLING), status_code=200, sync_to_thread=True)
def begin_move(request: Caller, services: Given, org_id: InPath) -> AfterUseBody:
    """Move over: auto-recharge off, what credit is left is used first, then use is billed; no gap in service."""
    return _shown(after_use.begin_move(services.office, org_id, buyer(request.auth), services.clock()))


@delete(f"{AFTER_USE}/move", opt=needs(BILLING), status_code=200, sync_to_thread=True)
def cancel_move(request: Caller, services: Given, org_id: InPath) -> AfterUseBody:
    """Take the move back while credit is left; auto-recharge stays off."""
    return _shown(after_use.cancel_move(services.office, org_id, buyer(request.auth), services.clock()))


def _shown(found: after_use.AfterUse) -> AfterUseBody:
    return shown(AfterUseBody, found, found.currency)


# -- orders by agreement -----------------------------------------------------------------------------------------------


@post(f"{PAYMENT}/confirm", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def confirm_payment(request: Caller, services: Given, org_id: InPath, payment_id: InPath) -> PaymentBody:
    """Let an order by agreement count: its credit is there at once."""
    by, now = buyer(request.auth).name, services.clock()
    payment = agreements.confirm(services.office, org_id, plain(payment_id), by=by, now=now)
    return buying_bodies.payment(payment, services.currency(org_id))


@post(f"{PAYMENT}/reject", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def reject_payment(
    request: Caller, services: Given, org_id: InPath, payment_id: InPath, data: JSONBody[Rejection]
) -> PaymentBody:
    """Turn an order by agreement down."""
    by, now = buyer(request.auth).name, services.clock()
    payment = agreements.reject(services.office, org_id, plain(payment_id), by=by, now=now, reason=data.reason)
    return buying_bodies.payment(payment, services.currency(org_id))


# -- sellers -----------------------------------------------------------------------------------------------------------


@get("/v1/sellers", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def list_sellers(services: Given) -> list[Seller]:
    """Those who sell, as invoices show them; the default first."""
    return sellers.list_sellers(services.office, services.clock())


@put("/v1/sellers/{seller_id:str}", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def set_seller(services: Given, seller_id: InPath, data: JSONBody[SellerChange]) -> Seller:
    """Name a seller, or change what is given of one."""
    return sellers.set_seller(
        services.office,
        plain(seller_id),
        services.clock(),
        name=data.name,
        seller_address=data.address,
        tax_id=data.tax_id,
        email=data.email,
        prefix=data.prefix,
    )


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(get_profile, change_profile, get_after_use, switch_after_use, begin_move, cancel_move),
        *(confirm_payment, reject_payment, list_sellers, set_seller),
    ]
    return Router("/", route_handlers=handlers, tags=["Billing"], **options)
