"""What an organisation buys: licences, order by order, and how many of them are assigned.

An order is made once for its reference. Communications Credits come with a fixed quantity in each order, which is what
the users of an organisation never use up; other products in any quantity. A product that is no longer sold cannot be
bought, but what was bought stays. Less than what is assigned cannot be owned: licences are removed from users first.

The pool of an organisation's conferences grows with what is bought, at once (D7). Resource account licences come free
with Phone System licences, beside those that are bought (facts section 3).
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from uuid import uuid4

import msgspec

from gettone.domain import licences as rules
from gettone.domain.catalogue import Product, Role
from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.licence_moves import Licences
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.pool_sizes import write_pools
from gettone.operations.terms import billing_day
from gettone.operations.views import SubscriptionView

_SUBSCRIBED_CONFERENCING = {Role.CONFERENCING, Role.CONFERENCING_SELECT}


class ServicePlanView(msgspec.Struct, frozen=True, kw_only=True):
    """A service plan of a product; *role* says what it allows, *capability* is its code in reports."""

    service_plan: str
    plan_id: str
    name: str
    role: str
    capability: str


class LicenceCount(msgspec.Struct, frozen=True, kw_only=True):
    """How many licences of a product an organisation has; *included* come with others without being bought.

    *available* may be negative where more is assigned than owned, which licences from before this was counted may be.
    """

    sku: str
    sku_id: str
    name: str
    purchased: int
    included: int
    assigned: int
    available: int
    service_plans: tuple[ServicePlanView, ...]
    subscription_ids: tuple[str, ...] = ()


def buy(
    office: Office, org_id: str, product: str, now: datetime, *, reference: str, quantity: int | None = None
) -> SubscriptionView:
    """Order *quantity* licences of a product, named by part number, id or alias; the same *reference* is one order.

    Without *quantity* it is 1, or the fixed quantity of the product. Raises `NotFound`, `InvalidInput`, or `Conflict`
    when *reference* stands for another order or one that ended, or the organisation is closed.
    """
    with office.write(org_id) as unit:
        return place_order(unit, product, now, reference=reference, quantity=quantity)


def place_order(
    unit: OrganisationUnit, product: str, now: datetime, *, reference: str, quantity: int | None = None
) -> SubscriptionView:
    """What `buy` does, in this unit."""
    org_id = unit.organisation.org_id
    licences = Licences(unit, unit.organisation, now)
    bought = checks.product(product, licences.terms)
    count = _quantity(bought, quantity)
    name = checks.reference(reference)
    known = unit.licences.subscription_by_reference(org_id, name)
    if known is not None:
        order = f"an order of {known.quantity:,} licences of {known.sku}"
        if known.ended_at is not None:
            ended = f"{order} (subscription {known.subscription_id}), which ended on {known.ended_at.date()}"
            raise Conflict(f"reference {name!r} was {ended}; write another reference")
        if known.sku != bought.sku or (quantity is not None and known.quantity != count):
            raise Conflict(f"reference {name!r} was {order}; write another reference")
        return known
    if unit.organisation.closed:
        raise Conflict(f"organisation {org_id!r} is closed; reopen it before buying: gettone org reopen {org_id}")
    _check_sold(licences, bought, product, now)
    new = SubscriptionView(subscription_id=str(uuid4()), sku=bought.sku, quantity=count, reference=name, created_at=now)
    before = licences.purchased
    unit.licences.add_subscription(org_id, new)
    _resize_conference_pools(unit, licences, before, {bought.sku: count})
    return new


def change_quantity(office: Office, org_id: str, ref: str, quantity: int, now: datetime) -> SubscriptionView:
    """Let a subscription, named by its id or its reference, have another quantity.

    Raises `NotFound`, `InvalidInput`, or `Conflict` when more is assigned than would be owned.
    """
    checks.quantity(quantity)
    with office.write(org_id) as unit:
        known = _subscription(unit, ref)
        licences = Licences(unit, unit.organisation, now)
        product = licences.terms.products.get(known.sku)
        if product is not None and product.per_order is not None:
            remedy = f"{known.sku} comes {product.per_order:,} in an order; leave it, order once more, or end it"
            raise InvalidInput("quantity", quantity, remedy)
        changed = msgspec.structs.replace(known, quantity=quantity)
        _change(unit, licences, changed, {known.sku: quantity - known.quantity})
    return changed


def end_subscription(office: Office, org_id: str, ref: str, now: datetime) -> SubscriptionView:
    """Give the licences of a subscription back, named by its id or its reference.

    Raises `NotFound`, or `Conflict` when more is assigned than would be owned.
    """
    with office.write(org_id) as unit:
        known = _subscription(unit, ref)
        ended = msgspec.structs.replace(known, ended_at=now)
        _change(unit, Licences(unit, unit.organisation, now), ended, {known.sku: -known.quantity})
    return ended


def list_subscriptions(office: Office, org_id: str, *, ended: bool = False) -> tuple[SubscriptionView, ...]:
    """Subscriptions in order of creation; with *ended* also those that are over. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return tuple(unit.licences.subscriptions(org_id, ended=ended))


def list_products(office: Office, org_id: str, now: datetime) -> tuple[LicenceCount, ...]:
    """The products that an organisation owns or has assigned, in order of part number. Raises `NotFound`."""
    with office.read() as unit:
        licences = Licences(unit, unit.directory.organisation(org_id), now)
        ids: dict[str, list[str]] = {}
        for one in unit.licences.subscriptions(org_id):
            ids.setdefault(one.sku, []).append(one.subscription_id)
        held = {sku for sku, count in licences.assigned.items() if count}
        return tuple(_count(licences, sku, ids.get(sku, [])) for sku in sorted(held | licences.owned.keys()))


def _count(licences: Licences, sku: str, subscription_ids: list[str]) -> LicenceCount:
    terms = licences.terms
    product = terms.products.get(sku)
    owned, bought = licences.owned.get(sku, 0), licences.purchased.get(sku, 0)
    assigned = licences.assigned.get(sku, 0)
    return LicenceCount(
        sku=sku,
        sku_id=product.sku_id if product else "",
        name=product.name if product else sku,
        purchased=bought,
        included=owned - bought,
        assigned=assigned,
        available=owned - assigned,
        service_plans=tuple(
            ServicePlanView(
                service_plan=plan.service_plan,
                plan_id=plan_id,
                name=plan.name,
                role=plan.role.value,
                capability=plan.capability,
            )
            for name, plan_id in sorted(terms.plans_of.get(sku, {}).items())
            if (plan := terms.service_plans.get(name)) is not None
        ),
        subscription_ids=tuple(subscription_ids),
    )


def _quantity(product: Product, quantity: int | None) -> int:
    if product.per_order is None:
        return checks.quantity(1 if quantity is None else quantity)
    if quantity not in {None, product.per_order}:
        remedy = f"{product.sku} comes {product.per_order:,} in an order; leave the quantity out"
        raise InvalidInput("quantity", quantity, remedy)
    return product.per_order


def _check_sold(licences: Licences, product: Product, asked: str, now: datetime) -> None:
    """Raise `InvalidInput` for what is not sold any more, or not in the organisation's country."""
    terms, country = licences.terms, licences.organisation.country
    if not rules.is_sold(product, billing_day(licences.organisation, now)):
        until = product.effective_until
        raise InvalidInput(
            "product", asked, f"{product.sku} was sold until {until}; see what is sold: gettone catalogue show products"
        )
    row = terms.countries.get(country)
    where = row.name if row else country
    if Role.CREDITS in rules.roles_of(product.sku, terms) and not terms.sells_credits(country):
        remedy = (
            f"Communications Credits are not sold to organisations in {where}; what plans do not include can be "
            f"billed after use instead: gettone org change {licences.org_id} --post-usage"
        )
        raise InvalidInput("product", asked, remedy)
    plans = rules.roles_of(product.sku, terms)
    if plans and plans <= _SUBSCRIBED_CONFERENCING and row is not None and row.conferencing == "no":
        raise InvalidInput("product", asked, f"Audio Conferencing is not sold to organisations in {where}")


def _subscription(unit: OrganisationUnit, ref: str) -> SubscriptionView:
    org_id = unit.organisation.org_id
    for one in unit.licences.subscriptions(org_id):
        if ref in {one.subscription_id, one.reference}:
            return one
    raise NotFound(f"subscription {ref!r}: organisation {org_id!r} has none that counts with this id or reference")


def _change(
    unit: OrganisationUnit, licences: Licences, changed: SubscriptionView, difference: Mapping[str, int]
) -> None:
    """Write another quantity or the end of a subscription, if what stays is enough for what is assigned."""
    stays = {sku: count + difference.get(sku, 0) for sku, count in licences.purchased.items()}
    owned = Counter(stays)
    owned.update(rules.included_licences(stays, licences.terms))
    for sku, assigned in sorted(licences.assigned.items()):
        if owned[sku] < licences.owned.get(sku, 0) and owned[sku] < assigned:
            left = max(0, owned[sku])
            raise Conflict(
                f"{sku}: {assigned:,} licences are assigned and {left:,} would be left; remove {assigned - left:,} "
                f"first: gettone licences remove {licences.org_id} USER {rules.typed(sku)}"
            )
    unit.licences.change_subscription(licences.org_id, changed)
    _resize_conference_pools(unit, licences, licences.purchased, difference)


def _resize_conference_pools(
    unit: OrganisationUnit, licences: Licences, before: Mapping[str, int], difference: Mapping[str, int]
) -> None:
    """Give the pools that grow with purchased licences the size that *difference* more or fewer than *before* make."""
    country = licences.organisation.country
    after = Counter(before)
    after.update(difference)
    sizes = rules.purchased_pools(after, country, licences.terms)
    had = rules.purchased_pools(before, country, licences.terms)
    changed = {key: sizes.get(key, 0) for key in sizes.keys() | had.keys() if sizes.get(key, 0) != had.get(key, 0)}
    if changed:
        write_pools(unit, licences, changed)
