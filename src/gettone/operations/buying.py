"""Buying Communications Credits: who may, how much, what it will come to, and the order (D16, D20).

    review        what the order would be, and everything that stands in the way of it
    place_order   the order, once for its reference, with its first payment requested

Who may buy (facts, sections 2, 3 and 12): somebody with the right role, in a country where credits are sold, under an
agreement that prepays, with something bought that uses them; an agreement pays only within its billing region. Every
obstacle says what to do about it.
"""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.catalogue import CALLING_PLANS, CONFERENCING, Terms
from gettone.domain.lots import expiry_of
from gettone.domain.money import MICROS, render_micros
from gettone.errors import Conflict, Forbidden, InvalidInput
from gettone.operations import checks
from gettone.operations.billing import (
    AGREEMENT,
    CUSTOMER_AGREEMENT,
    PURCHASE,
    RECHARGE,
    RESELLER,
    CreditOrder,
    Method,
    Payment,
    Profile,
)
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.orders import method_of, new_order, request_payment, tax_on, usable
from gettone.operations.paging import check_limit, page
from gettone.operations.terms import terms_now
from gettone.operations.views import OrganisationView, Page

OPERATOR = "operator"
GLOBAL_ADMIN = "global_admin"
BILLING_ADMIN = "billing_admin"
BUYING_ROLES = frozenset({OPERATOR, GLOBAL_ADMIN, BILLING_ADMIN})

NCE_BUYS_CREDITS = "nce_buys_credits"
"""The feature that says whether organisations of the New Commerce Experience may buy, by date."""


@dataclass(frozen=True, slots=True)
class Buyer:
    """Who buys: their *role*, and their *name* for the history."""

    role: str
    name: str


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """What stands in the way of buying: its *reason* for programs, in words, and what to do."""

    reason: str
    what: str
    remedy: str


class NewOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants to buy; without *method_id* by the first method. *reference* names the order."""

    amount_micros: int
    reference: str
    method_id: str = ""
    purchase_order: str = ""


class Review(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would come to; *obstacles* are empty when it can be placed."""

    amount_micros: int
    tax_micros: int
    tax_millionths: int
    tax_label: str
    total_micros: int
    currency: str
    method_id: str
    method_label: str
    purchase_order: str
    available_micros: int
    available_after_micros: int
    expires_at: datetime
    obstacles: tuple[Obstacle, ...]


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order with its payments; *repeated* says that its reference had been ordered before."""

    order: CreditOrder
    payments: tuple[Payment, ...]
    repeated: bool = False


# -- who may -----------------------------------------------------------------------------------------------------------


def require_right(buyer: Buyer) -> None:
    """Raise `Forbidden` when somebody of this role may not buy."""
    if buyer.role not in BUYING_ROLES:
        raise Forbidden(
            f"role {buyer.role!r} may not buy credits nor change how they are bought: "
            "ask a global or billing administrator"
        )


def require_buyable(unit: Unit, organisation: OrganisationView, now: datetime) -> None:
    """Raise `Conflict` with everything that stands in the way of the organisation's buying."""
    _refuse(obstacles(unit, organisation, now))


def obstacles(
    unit: Unit, organisation: OrganisationView, now: datetime, method: Method | None = None
) -> tuple[Obstacle, ...]:
    """What stands in the way of the organisation's buying at all, or by *method*."""
    terms = terms_now(unit, organisation, now)
    profile = unit.buying.profile(organisation.org_id)
    found = [
        _closed(organisation),
        _not_sold(organisation, terms),
        _agreement(organisation, profile, terms),
        _nothing_to_use_them(unit, organisation, terms),
        _region(organisation, terms, method),
    ]
    return tuple(one for one in found if one is not None)


def _closed(organisation: OrganisationView) -> Obstacle | None:
    if not organisation.closed:
        return None
    return Obstacle(
        reason="organisation_closed",
        what="The organisation is closed.",
        remedy=f"Open it again: gettone org reopen {organisation.org_id}",
    )


def _not_sold(organisation: OrganisationView, terms: Terms) -> Obstacle | None:
    if terms.sells_credits(organisation.country):
        return None
    return Obstacle(
        reason="credits_not_sold",
        what=f"Communications Credits are not sold in {organisation.country}.",
        remedy=f"Let calls be billed after use: gettone org change {organisation.org_id} --post-usage",
    )


def _agreement(organisation: OrganisationView, profile: Profile, terms: Terms) -> Obstacle | None:
    if profile.agreement == CUSTOMER_AGREEMENT and NCE_BUYS_CREDITS not in terms.features:
        return Obstacle(
            reason="billed_after_use",
            what="The organisation's agreement (New Commerce Experience) bills calls after use; credits are not sold.",
            remedy=f"What is in the wallet is used first, then: gettone billing after-use {organisation.org_id} on",
        )
    if profile.agreement == RESELLER:
        return Obstacle(
            reason="reseller",
            what="The organisation buys through a reseller, and credits are only sold directly.",
            remedy=(
                "Buy Audio Conferencing or a Calling Plan directly, then: "
                f"gettone billing profile {organisation.org_id} --agreement direct"
            ),
        )
    return None


def _nothing_to_use_them(unit: Unit, organisation: OrganisationView, terms: Terms) -> Obstacle | None:
    bought = frozenset(one.sku for one in unit.licences.subscriptions(organisation.org_id))
    held = terms.holdings(bought)
    if any(held.has(role) for role in (*CALLING_PLANS, *CONFERENCING)):
        return None
    return Obstacle(
        reason="nothing_to_use_them",
        what="Credits are used with Audio Conferencing or a Calling Plan, and the organisation has bought neither.",
        remedy=f"Buy one first: gettone licences buy {organisation.org_id} MCOMEETADV",
    )


def _region(organisation: OrganisationView, terms: Terms, method: Method | None) -> Obstacle | None:
    if method is None or method.kind != AGREEMENT or not method.billing_country:
        return None
    if terms.region(method.billing_country) == terms.region(organisation.country):
        return None
    return Obstacle(
        reason="another_region",
        what=(
            f"Agreement {method.agreement_number} is billed in {method.billing_country}, another region than "
            f"{organisation.country}."
        ),
        remedy="Choose an agreement of this region or a card, or have the operator record the order by hand.",
    )


def _refuse(found: tuple[Obstacle, ...]) -> None:
    if found:
        raise Conflict(" ".join(f"{one.what} {one.remedy}" for one in found))


# -- how much ----------------------------------------------------------------------------------------------------------


def check_amount(field: str, micros: int, currency: str, terms: Terms) -> int:
    """An amount that may be bought: whole units of the currency, not less than its minimum. Raises `InvalidInput`."""
    least = terms.minimum(currency)
    if micros < least or micros % MICROS or micros > checks.AMOUNT_MAX:
        shown = render_micros(micros, currency) if abs(micros) <= checks.AMOUNT_MAX else str(micros)
        raise InvalidInput(
            field, shown, f"write a whole number of {currency}, at least {render_micros(least, currency)}"
        )
    return micros


# -- the order ---------------------------------------------------------------------------------------------------------


def review(office: Office, org_id: str, new: NewOrder, buyer: Buyer, now: datetime) -> Review:
    """What an order would come to, and what stands in its way; nothing is written.

    Raises `NotFound`, `InvalidInput`, or `Forbidden`.
    """
    require_right(buyer)
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        check_amount("amount_micros", new.amount_micros, organisation.currency, terms_now(unit, organisation, now))
        method = _method(unit, organisation, new)
        found = obstacles(unit, organisation, now, method)
        if method is None:
            found += (_no_method(organisation),)
        tax = tax_on(unit, organisation, new.amount_micros, now)
        available = unit.money.account(org_id).wallet.available_micros(now)
        return Review(
            amount_micros=new.amount_micros,
            tax_micros=tax.micros,
            tax_millionths=tax.millionths,
            tax_label=tax.label,
            total_micros=new.amount_micros + tax.micros,
            currency=organisation.currency,
            method_id=method.method_id if method else "",
            method_label=method.label if method else "",
            purchase_order=_purchase_order(new, method),
            available_micros=available,
            available_after_micros=available + new.amount_micros,
            expires_at=expiry_of(now, ZoneInfo(organisation.time_zone)),
            obstacles=found,
        )


def place_order(office: Office, org_id: str, new: NewOrder, buyer: Buyer, now: datetime) -> Placed:
    """Order credit, once for its reference, and request its payment.

    Raises `NotFound`, `InvalidInput`, `Forbidden`, or `Conflict` when something stands in the way or the reference
    stands for another order.
    """
    require_right(buyer)
    reference = checks.reference(new.reference)
    if reference.startswith("/"):
        raise InvalidInput("reference", reference, "begin it with something else than a slash")
    with office.write(org_id) as unit:
        organisation = unit.organisation
        known = unit.buying.order_by_reference(org_id, reference)
        if known is not None:
            return _repeated(unit, known, new)
        check_amount("amount_micros", new.amount_micros, organisation.currency, terms_now(unit, organisation, now))
        method = _method(unit, organisation, new)
        found = obstacles(unit, organisation, now, method)
        if method is None:
            _refuse((*found, _no_method(organisation)))
            raise AssertionError("what has no method is refused")
        _refuse(found)
        order = new_order(
            unit,
            kind=PURCHASE,
            amount_micros=new.amount_micros,
            purchase_order=_purchase_order(new, method),
            ordered_by=buyer.name,
            now=now,
            reference=reference,
        )
        payment = request_payment(unit, order, method, now)
        return Placed(order=order, payments=(payment,))


def _repeated(unit: OrganisationUnit, known: CreditOrder, new: NewOrder) -> Placed:
    if known.kind == RECHARGE or known.amount_micros != new.amount_micros:
        raise Conflict(f"reference {known.reference!r} was used for another order; write another reference")
    org_id = unit.organisation.org_id
    return Placed(order=known, payments=tuple(unit.buying.payments_of(org_id, known.order_id)), repeated=True)


def _method(unit: Unit, organisation: OrganisationView, new: NewOrder) -> Method | None:
    ready = usable(unit.buying.methods(organisation.org_id))
    if not new.method_id:
        return ready[0] if ready else None
    method = method_of(unit, organisation.org_id, new.method_id)
    if method not in ready:
        raise InvalidInput(
            "method_id",
            new.method_id,
            f"it is {method.state}; choose another: gettone methods list {organisation.org_id}",
        )
    return method


def _no_method(organisation: OrganisationView) -> Obstacle:
    return Obstacle(
        reason="no_payment_method",
        what="There is no payment method.",
        remedy=f"Add one: gettone methods add-card {organisation.org_id}",
    )


def _purchase_order(new: NewOrder, method: Method | None) -> str:
    given = checks.text("purchase_order", new.purchase_order, empty=True)
    return given or (method.purchase_order if method else "")


# -- what was ordered --------------------------------------------------------------------------------------------------


def orders(office: Office, org_id: str, *, kind: str = "", cursor: str = "", limit: int = 100) -> Page[CreditOrder]:
    """Orders, newest first; purchases or recharges only if *kind* says so. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    if kind not in {"", PURCHASE, RECHARGE}:
        raise InvalidInput("kind", kind[:80], f"write {PURCHASE} or {RECHARGE}")
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.buying.orders(org_id, kind, cursor, limit + 1)
    return page(found, limit, lambda one: one.order_id)
