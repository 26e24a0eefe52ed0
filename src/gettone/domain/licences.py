"""Which licences somebody may hold, and what changes with them (D7; seeds 002 and 004, facts sections 3 to 5).

`Rules` compares what an account holds before and after a change. Only what the change makes wrong is a violation: a
licence that was assigned under older rules may stay. How many licences there are is not asked here.

The rules: a usage location first; a plan beside the plans it depends on; a Calling Plan in a country where it is sold;
Communications Credits in an organisation's country where they are sold; one Calling Plan at a time (minutes of the
user's own may stand beside it); resource account licences for resource accounts and none of the persons' for them.

Pools: a Calling Plan counts in the pool of its area, a Domestic and International one in both counters; a conferencing
plan in the pool of the organisation's conferences, by assigned or by purchased licences as its allotment says.
"""

import enum
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date

from gettone.domain.catalogue import (
    CALLING_PLANS,
    CONFERENCING,
    POOLED,
    SEPARATOR,
    Holdings,
    Product,
    Role,
    ServicePlan,
    Terms,
    plans_on,
)
from gettone.domain.parties import NumberSource
from gettone.domain.pools import CONFERENCE, DOMESTIC, INTERNATIONAL, pool_key, split_key

PURCHASED = "purchased"
ASSIGNED = "assigned"

ONE_AT_A_TIME = frozenset({Role.DOMESTIC_PLAN, Role.INTERNATIONAL_PLAN, Role.PAY_AS_YOU_GO})
"""Roles of Calling Plans that exclude each other."""

FOR_RESOURCE_ACCOUNTS = ONE_AT_A_TIME | {Role.RESOURCE_ACCOUNT, Role.CREDITS}
"""Roles that a resource account may hold."""

PHONE_OR_CONFERENCE = frozenset({Role.PHONE_SYSTEM, Role.CONFERENCING, Role.CONFERENCING_PER_MINUTE})
"""Roles whose licences the quota of service numbers counts."""

RING_WITH_A_PLAN = frozenset({NumberSource.PLAN.value, NumberSource.PORTED.value})
"""Sources of numbers that ring a user only while the user has a Calling Plan."""

ORG_USER = "{org} {user}"
"""Stands in a remedy's command for the organisation and the user."""

_PLANS_OFFERED = (Role.DOMESTIC_PLAN, Role.INTERNATIONAL_PLAN, Role.PAY_AS_YOU_GO)
"""Roles of the Calling Plans that are offered to who has none, in turn."""

_WORDS = {
    Role.PHONE_SYSTEM: "Phone System",
    Role.DOMESTIC_PLAN: "a Domestic Calling Plan",
    Role.INTERNATIONAL_PLAN: "a Domestic and International Calling Plan",
    Role.PAY_AS_YOU_GO: "a Pay-As-You-Go Calling Plan",
    Role.CONFERENCING: "Audio Conferencing",
    Role.CONFERENCING_SELECT: "Audio Conferencing with dial-out to US and Canada",
    Role.CONFERENCING_PER_MINUTE: "Audio Conferencing pay-per-minute",
    Role.OWN_MINUTES: "E5 with calling minutes",
    Role.CREDITS: "Communications Credits",
    Role.DIAL_OUT_ADD_ON: "extended dial-out to US and Canada",
    Role.RESOURCE_ACCOUNT: "a resource account licence",
    Role.OTHER: "another plan",
}


class ViolationKind(enum.Enum):
    """Why a change of licences is refused; the first four are names that Microsoft Graph uses."""

    COUNT = "CountViolation"
    DEPENDENCY = "DependencyViolation"
    PROHIBITED = "ProhibitedInUsageLocationViolation"
    EXCLUSIVE = "MutuallyExclusiveViolation"
    USAGE_LOCATION = "UsageLocationMissing"
    ACCOUNT = "AccountKindViolation"
    UNKNOWN_USER = "UnknownUser"
    DUPLICATE_USER = "DuplicateUser"
    CHANGED_MEANWHILE = "ChangedMeanwhile"
    NUMBER = "NumberViolation"

    @property
    def graph(self) -> str:
        """The name in Graph's licence assignment states, which call everything of ours ``Others``."""
        return self.value if self in _GRAPH else "Others"


_GRAPH = {ViolationKind.COUNT, ViolationKind.DEPENDENCY, ViolationKind.PROHIBITED, ViolationKind.EXCLUSIVE}


@dataclass(frozen=True, slots=True)
class Violation:
    """One reason against a change: the *product* concerned, what is wrong, and what to do with the exact command."""

    kind: ViolationKind
    product: str
    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} {self.remedy}"

    def told_to(self, org_id: str, user: str) -> "Violation":
        """The same with organisation and user in the command."""
        return replace(self, remedy=self.remedy.replace("{org}", org_id).replace("{user}", user))


@dataclass(frozen=True, slots=True)
class Holding:
    """What decides about an account's licences: *licences* as users hold them, in alphabetical order."""

    usage_location: str = ""
    licences: tuple[str, ...] = ()
    resource: bool = False

    def holdings(self, terms: Terms) -> Holdings:
        """What the licences come to."""
        return terms.holdings(frozenset(self.licences))

    @property
    def products(self) -> tuple[str, ...]:
        """Part numbers of the products held."""
        return tuple(sku_of(licence) for licence in self.licences)


NOTHING = Holding()
"""What an account holds that is not there."""


def typed(licence: str) -> str:
    """A product or licence as it is typed on a command line: quoted where a shell would take signs of it as its own."""
    return f"'{licence}'" if any(sign in licence for sign in "()!") else licence


def sku_of(licence: str) -> str:
    """The part number of a licence, without the plans switched off in it."""
    return licence.partition(SEPARATOR)[0]


class Rules:
    """The rules under the *terms* of a day for an organisation in *country*; remembers what it decided."""

    def __init__(self, terms: Terms, country: str) -> None:
        """Decide for one organisation."""
        self.terms = terms
        self.country = country
        self._wrong: dict[Holding, tuple[Violation, ...]] = {}
        self._made_wrong: dict[tuple[Holding, Holding], tuple[Violation, ...]] = {}

    def violations(self, before: Holding, after: Holding) -> tuple[Violation, ...]:
        """What a change would make wrong; `Violation.told_to` fills in whose it is."""
        found = self._made_wrong.get((before, after))
        if found is None:
            known = {(one.kind, one.product) for one in self._all(before)}
            new = [one for one in self._all(after) if (one.kind, one.product) not in known]
            found = tuple(self._as_removal(one, before, after) for one in new)
            self._made_wrong[before, after] = found
        return found

    def _all(self, holding: Holding) -> tuple[Violation, ...]:
        found = self._wrong.get(holding)
        if found is None:
            found = self._wrong[holding] = tuple(violation for rule in _RULES for violation in rule(self, holding))
        return found

    def _as_removal(self, violation: Violation, before: Holding, after: Holding) -> Violation:
        """Say of a product that stays behind that what it needs is being taken away."""
        if violation.kind is not ViolationKind.DEPENDENCY or violation.product not in before.products:
            return violation
        removed = [sku for sku in before.products if sku not in after.products]
        if not removed:
            return violation
        command = f"gettone licences remove {ORG_USER} {' '.join(typed(sku) for sku in [*removed, violation.product])}"
        return replace(
            violation,
            sentence=f"{violation.product} would stay without what it needs when {' and '.join(removed)} is removed.",
            remedy=f"Remove them in one step: {command}",
        )


def violations(before: Holding, after: Holding, terms: Terms, country: str) -> tuple[Violation, ...]:
    """What a change would make wrong in an organisation in *country*."""
    return Rules(terms, country).violations(before, after)


# -- the rules ---------------------------------------------------------------------------------------------------------


def _location_first(rules: Rules, holding: Holding) -> Iterator[Violation]:
    if holding.usage_location:
        return
    for product, plan in _plans(holding, rules.terms):
        if plan.role is not Role.OTHER:
            yield Violation(
                ViolationKind.USAGE_LOCATION,
                product,
                f"{product} counts where it is used, and the user has no usage location.",
                f"Set the usage location first: gettone users change {ORG_USER} --usage-location {rules.country}",
            )
            return


def _dependencies(rules: Rules, holding: Holding) -> Iterator[Violation]:
    terms, held = rules.terms, holding.holdings(rules.terms)
    for product, plan in _plans(holding, terms):
        needs = terms.dependencies.get(plan.role)
        if needs is None or _satisfied(needs, held):
            continue
        possible = [role for role in _WORDS if role in needs and _may_hold(role, resource=holding.resource)]
        # What could be assigned as things are comes before what would need something else first.
        ready = sorted(possible, key=lambda role: not _satisfied(terms.dependencies.get(role), held))
        offers = [sku for sku in (product_for(role, terms, holding.usage_location) for role in ready) if sku]
        yield Violation(
            ViolationKind.DEPENDENCY,
            product,
            f"{product} needs {' or '.join(_WORDS[role] for role in possible)}, which the user does not hold.",
            f"Assign it first: gettone licences assign {ORG_USER} {typed(offers[0]) if offers else 'PRODUCT'}",
        )


def _satisfied(needs: frozenset[Role] | None, held: Holdings) -> bool:
    return not needs or any(held.has(role) for role in needs)


def _sold_there(rules: Rules, holding: Holding) -> Iterator[Violation]:
    """A Calling Plan counts where its user is; where it has no row of minutes it is not sold."""
    terms, location = rules.terms, holding.usage_location
    for product, plan in _plans(holding, terms):
        if plan.role not in CALLING_PLANS or not location or terms.allotment(plan.service_plan, location):
            continue
        others = [sku for sku in (product_for(role, terms, location) for role in ONE_AT_A_TIME) if sku]
        if len(terms.plans_of.get(product, {})) > 1:
            off = f"{product}{SEPARATOR}{plan.service_plan}"
            remedy = f"Assign it without that plan: gettone licences assign {ORG_USER} {typed(off)}"
        elif others:
            command = f"gettone licences assign {ORG_USER} {typed(min(others))}"
            remedy = f"Assign one that is ({', '.join(sorted(others))}): {command}"
        else:
            remedy = "No Calling Plan is sold there; Phone System with numbers of your own carrier works anywhere."
        sentence = f"{plan.name} ({product}) is not sold in {_country(location, terms)}, where the user is."
        yield Violation(ViolationKind.PROHIBITED, product, sentence, remedy)


def _credits_sold(rules: Rules, holding: Holding) -> Iterator[Violation]:
    if rules.terms.sells_credits(rules.country):
        return
    for product, plan in _plans(holding, rules.terms):
        if plan.role is Role.CREDITS:
            yield Violation(
                ViolationKind.PROHIBITED,
                product,
                f"Communications Credits ({product}) are not sold to organisations in "
                f"{_country(rules.country, rules.terms)}.",
                "What plans do not include can be billed after use instead: gettone org change {org} --post-usage",
            )


def _one_plan(rules: Rules, holding: Holding) -> Iterator[Violation]:
    first: tuple[str, ServicePlan] | None = None
    for product, plan in _plans(holding, rules.terms):
        if plan.role not in ONE_AT_A_TIME:
            continue
        if first is None:
            first = product, plan
            continue
        both = "the same Calling Plan" if plan.service_plan == first[1].service_plan else "Calling Plans"
        yield Violation(
            ViolationKind.EXCLUSIVE,
            product,
            f"{first[0]} and {product} contain {both}, and a user has one.",
            f"Swap in one step: gettone licences assign {ORG_USER} {typed(product)} --remove {typed(first[0])}",
        )


def _kind_of_account(rules: Rules, holding: Holding) -> Iterator[Violation]:
    told: set[str] = set()
    for product, plan in _plans(holding, rules.terms):
        if _may_hold(plan.role, resource=holding.resource) or product in told:
            continue
        told.add(product)
        if holding.resource:
            sentence = f"{product} is for persons, and this is a resource account."
            remedy = (
                f"A resource account holds its own licence, and to call out a Calling Plan: "
                f"gettone licences assign {ORG_USER} {command_word(Role.RESOURCE_ACCOUNT, rules.terms)}"
            )
        else:
            sentence = f"{product} is for resource accounts, and this is a person."
            remedy = "Make an account for the voice application: gettone users create {org} UPN --account resource"
        yield Violation(ViolationKind.ACCOUNT, product, sentence, remedy)


def _may_hold(role: Role, *, resource: bool) -> bool:
    return role in FOR_RESOURCE_ACCOUNTS if resource else role is not Role.RESOURCE_ACCOUNT


_RULES: tuple[Callable[[Rules, Holding], Iterator[Violation]], ...] = (
    _location_first,
    _dependencies,
    _sold_there,
    _credits_sold,
    _one_plan,
    _kind_of_account,
)


# -- products ----------------------------------------------------------------------------------------------------------


def _plans(holding: Holding, terms: Terms) -> Iterator[tuple[str, ServicePlan]]:
    """Each service plan that is on, with the product that brings it, in order."""
    for licence in holding.licences:
        for plan in sorted(plans_on(licence, terms)):
            if plan in terms.service_plans:
                yield sku_of(licence), terms.service_plans[plan]


def product_for(role: Role, terms: Terms, location: str = "") -> str | None:
    """The product to name to who lacks a plan of *role*: one that is sold and contains little else, where one is.

    With *location* a Calling Plan is one that is sold there.
    """
    offers = [
        (terms.products[sku].effective_until is not None, len(plans), plan != sku, len(sku), sku)
        for sku, plans in terms.plans_of.items()
        for plan in plans
        if sku in terms.products
        and plan in terms.service_plans
        and terms.service_plans[plan].role is role
        and (not location or role not in CALLING_PLANS or terms.allotment(plan, location) is not None)
    ]
    return min(offers)[-1] if offers else None


def command_word(role: Role, terms: Terms, location: str = "") -> str:
    """The `product_for` a *role* as it is typed in a command; ``PRODUCT`` where there is none."""
    found = product_for(role, terms, location)
    return typed(found) if found else "PRODUCT"


def calling_products(holding: Holding, terms: Terms, country: str) -> tuple[str, ...]:
    """What to assign to an account that has no Calling Plan: one that is sold where it is, with what that needs first.

    *country* stands in for a usage location that is missing. Where no plan is sold only what it would need is named.
    """
    location = holding.usage_location or country
    offered = [(role, sku) for role in _PLANS_OFFERED if (sku := product_for(role, terms, location))]
    role, plan = offered[0] if offered else (_PLANS_OFFERED[0], None)
    needs = terms.dependencies.get(role)
    first = None
    if needs and not _satisfied(needs, holding.holdings(terms)):
        possible = (one for one in _WORDS if one in needs and _may_hold(one, resource=holding.resource))
        first = next((sku for one in possible if (sku := product_for(one, terms))), None)
    return tuple(sku for sku in (first, plan) if sku)


def is_sold(product: Product, day: date) -> bool:
    """Whether *product* can be bought on *day*."""
    return product.effective_until is None or day <= product.effective_until


def roles_of(sku: str, terms: Terms) -> frozenset[Role]:
    """What the service plans of a product allow."""
    plans = terms.plans_of.get(sku, {})
    return frozenset(terms.service_plans[plan].role for plan in plans if plan in terms.service_plans)


def _country(code: str, terms: Terms) -> str:
    found = terms.countries.get(code)
    return found.name if found else code


# -- how many ----------------------------------------------------------------------------------------------------------


def licences_with(roles: frozenset[Role], owned: Mapping[str, int], terms: Terms) -> int:
    """How many of the *owned* licences contain a plan of one of *roles*."""
    return sum(count for sku, count in owned.items() if roles & roles_of(sku, terms))


def allowed_by(quota: str, owned: Mapping[str, int], terms: Terms) -> int:
    """How many a quota allows with these purchased licences."""
    row = terms.quotas.get(quota)
    return row.allowed(licences_with(row.roles, owned, terms)) if row else 0


def included_licences(owned: Mapping[str, int], terms: Terms) -> dict[str, int]:
    """Licences that come with others, by product: those for resource accounts."""
    sku = product_for(Role.RESOURCE_ACCOUNT, terms)
    count = allowed_by("resource_accounts", owned, terms)
    return {sku: count} if sku and count else {}


def service_numbers(owned: Mapping[str, int], terms: Terms) -> tuple[int, int]:
    """How many toll and toll-free service numbers the purchased licences allow.

    A licence with both Phone System and Audio Conferencing in it counts once.
    """
    tier = terms.service_number_quota(licences_with(PHONE_OR_CONFERENCE, owned, terms))
    select = allowed_by("select_conferencing_numbers", owned, terms)
    return ((tier.toll if tier else 0) + select, tier.toll_free if tier else 0)


# -- pools -------------------------------------------------------------------------------------------------------------


def pools_of(holding: Holding, country: str, terms: Terms) -> tuple[str, ...]:
    """The stored pools that the licences of one account of an organisation in *country* count in."""
    found: list[str] = []
    for plan_name in sorted(holding.holdings(terms).plans):
        plan = terms.service_plans.get(plan_name)
        if plan is None:
            continue
        if plan.role in CONFERENCING:
            brought = terms.conference_allotment(plan_name, country)
            if brought is not None and brought.counted == ASSIGNED:
                found.append(pool_key(CONFERENCE, plan_name))
        elif plan.role in POOLED and holding.usage_location:
            area = terms.area(holding.usage_location)
            counters = (DOMESTIC, INTERNATIONAL) if plan.role is Role.INTERNATIONAL_PLAN else ("",)
            found += [pool_key(area, plan_name, counter) for counter in counters]
    return tuple(found)


def purchased_pools(owned: Mapping[str, int], country: str, terms: Terms) -> dict[str, int]:
    """The pools that grow with purchased licences, with how many those are."""
    found: dict[str, int] = {}
    for sku, count in owned.items():
        for plan in terms.plans_of.get(sku, {}):
            brought = terms.conference_allotment(plan, country)
            if brought is not None and brought.counted == PURCHASED and plan in terms.service_plans:
                key = pool_key(CONFERENCE, plan)
                found[key] = found.get(key, 0) + count
    return found


def pool_seconds(key: str, licences: int, country: str, terms: Terms) -> int:
    """How much a pool of an organisation in *country* holds a month with so many licences."""
    area, plan, counter = split_key(key)
    if area == CONFERENCE:
        conference = terms.conference_allotment(plan, country)
        return licences * conference.minutes * 60 if conference else 0
    brought = terms.allotment(plan, area)
    if brought is None:
        return 0
    return licences * 60 * (brought.international_minutes if counter == INTERNATIONAL else brought.domestic_minutes)


def own_seconds(service_plan: str, location: str, terms: Terms) -> int:
    """How much a month a plan with minutes of the user's own holds."""
    brought = terms.allotment(service_plan, location) if location else None
    return brought.domestic_minutes * 60 if brought else 0


# -- what a change takes away ------------------------------------------------------------------------------------------


def loses_calling(before: Holding, after: Holding, terms: Terms) -> bool:
    """Whether a change takes the last Calling Plan away."""
    return (
        before.holdings(terms).plan(*CALLING_PLANS) is not None and after.holdings(terms).plan(*CALLING_PLANS) is None
    )


def consequences(
    before: Holding, after: Holding, terms: Terms, country: str, numbers: Iterable[str] = ()
) -> tuple[str, ...]:
    """In plain words what a change takes away; *numbers* are those that it unassigns."""
    had, has = before.holdings(terms), after.holdings(terms)
    lost: list[str] = []
    kept = pools_of(after, country, terms)
    for key in pools_of(before, country, terms):
        if key not in kept:
            minutes = pool_seconds(key, 1, country, terms) // 60
            lost.append(f"The pool {key} loses {minutes:,} minutes a month, at once.")
    own = had.by_role.get(Role.OWN_MINUTES)
    if own is not None and not has.has(Role.OWN_MINUTES):
        minutes = own_seconds(own.service_plan, before.usage_location, terms) // 60
        lost.append(f"The user's own {minutes:,} minutes a month ({own.service_plan}) end.")
    if loses_calling(before, after, terms):
        lost.append("Calls to telephone numbers are refused: no Calling Plan is left.")
    if had.has(Role.CREDITS) and not has.has(Role.CREDITS):
        lost.append("Calls that no minutes pay for are no longer paid from Communications Credits.")
    if had.by_role.keys() & CONFERENCING and not has.by_role.keys() & CONFERENCING:
        lost.append("Conferences of this user no longer dial out.")
    if had.has(Role.DIAL_OUT_ADD_ON) and not has.has(Role.DIAL_OUT_ADD_ON):
        lost.append("Conference calls to the US and Canada are no longer included.")
    if had.has(Role.RESOURCE_ACCOUNT) and not has.has(Role.RESOURCE_ACCOUNT):
        lost.append("The voice application of this account no longer calls out.")
    return (*lost, *numbers_lost(numbers))


def numbers_lost(numbers: Iterable[str]) -> tuple[str, ...]:
    """In plain words that numbers are unassigned."""
    return tuple(f"The number {number} is unassigned; it stays with the organisation." for number in numbers)
