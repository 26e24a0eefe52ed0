"""What is sold and on which terms: products, the service plans in them, minutes, countries, quotas, all dated (D9).

A *product* (SKU) is what an organisation buys and a user is assigned; it is a bundle of *service plans*. A service plan
has one *role*: what it allows its holder. Which role does what stands in `entitlement`; which plan has which role, what
it brings and where it may be used are rows of tables, each with the day from which it counts and its source.

`Catalogue` holds the rows of all days; `Catalogue.terms` answers the `Terms` of one day. Of several rows with the same
key the one with the latest ``effective_from`` counts; a row whose last day is over counts no more. Days before `ALWAYS`
have the terms of `ALWAYS`.

Sources: seeds 000 to 004, facts sections 1 to 8; the files in ``gettone/catalogue/data`` say for each row.
"""

import enum
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from typing import Protocol, TypeVar


class Role(enum.Enum):
    """What a service plan allows its holder."""

    # Members are one of a kind: their identity is their hash, and takes no call of Python.
    __hash__ = object.__hash__

    PHONE_SYSTEM = "phone_system"
    DOMESTIC_PLAN = "domestic_plan"
    INTERNATIONAL_PLAN = "international_plan"
    PAY_AS_YOU_GO = "pay_as_you_go"
    OWN_MINUTES = "own_minutes"
    CREDITS = "credits"
    CONFERENCING = "conferencing"
    CONFERENCING_SELECT = "conferencing_select"
    CONFERENCING_PER_MINUTE = "conferencing_per_minute"
    DIAL_OUT_ADD_ON = "dial_out_add_on"
    RESOURCE_ACCOUNT = "resource_account"
    OTHER = "other"


CALLING_PLANS = (Role.OWN_MINUTES, Role.INTERNATIONAL_PLAN, Role.DOMESTIC_PLAN, Role.PAY_AS_YOU_GO)
"""Roles that let their holder call out; of a user with several the first one's minutes are used first."""

POOLED = frozenset({Role.DOMESTIC_PLAN, Role.INTERNATIONAL_PLAN})
"""Roles whose minutes are shared by all who have the same plan in the same area."""

CONFERENCING = frozenset({Role.CONFERENCING, Role.CONFERENCING_SELECT, Role.CONFERENCING_PER_MINUTE})
"""Roles that let their holder organise audio conferences."""

ALWAYS = date(2017, 10, 1)
"""The first day that the shipped tables speak of: rows without a known beginning begin here."""

SEPARATOR = "!"
"""Between a product and the service plans switched off in it, in a user's licence: ``SPE_E5!MCOEV``."""

ANYWHERE = "*"
"""In place of a country: every country that has no row of its own."""


@dataclass(frozen=True, slots=True)
class Product:
    """Something sold; *sku* is its part number. *per_order* licences arrive with each order, None as many as ordered.

    *aliases* are other names by which it is asked for, such as the code of its only service plan.
    """

    sku: str
    sku_id: str
    name: str
    per_order: int | None
    aliases: tuple[str, ...]
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class ProductPlan:
    """A service plan inside a product."""

    sku: str
    service_plan: str
    plan_id: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """A service plan; *capability* is the code under which reports show calls that it paid for."""

    service_plan: str
    name: str
    role: Role
    capability: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Dependency:
    """A plan of *role* may be held only beside a plan of one of the roles *needs*."""

    role: Role
    needs: frozenset[Role]
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Allotment:
    """Minutes a month that a licence of *service_plan* adds in *area*; a row, even of none, says it is sold there."""

    service_plan: str
    area: str
    domestic_minutes: int
    international_minutes: int
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class ConferenceAllotment:
    """Dial-out minutes a month of a conferencing plan for organisations in *country*.

    *counted* is ``assigned`` or ``purchased``: which licences add minutes. *zone* names the destinations.
    """

    service_plan: str
    country: str
    minutes: int
    counted: str
    zone: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Area:
    """A country that shares pools with others (*pool_area*), or calls others as domestic."""

    country: str
    pool_area: str
    domestic_countries: frozenset[str]
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Premium:
    """Numbers with *prefix* that, premium or shared-cost as they are, may be called from *usage_location*."""

    usage_location: str
    prefix: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Country:
    """What is sold in a country. *conferencing* is yes, no or per_minute; *payg_zone* is empty where there is none."""

    country: str
    name: str
    credits: bool
    phone_system: bool
    calling_plans: bool
    conferencing: str
    conference_dial_out: bool
    payg_zone: str
    toll_numbers: bool
    toll_free_numbers: bool
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Zone:
    """A country that belongs to the conference dial-out zone *zone*."""

    zone: str
    country: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Destination:
    """A country that Calling Plans reach."""

    country: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class MinimumFunding:
    """The least that may be bought, or set for auto-recharge, in micros of *currency*."""

    currency: str
    minimum_micros: int
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Tax:
    """What is added to credit that is bought in *country*: *millionths* of the amount, called *label* on invoices."""

    country: str
    label: str
    millionths: int
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class BillingRegion:
    """In which region of the world a country is billed; agreements are good within their own."""

    country: str
    region: str
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Quota:
    """How many of something licences allow: *base*, and *add* for *for_each* licences of *roles*, rounded down in all.

    Without any licence of *roles* none are allowed, not even *base*: 25 resource accounts need a Phone System licence.
    """

    quota: str
    roles: frozenset[Role]
    base: int
    add: int
    for_each: int
    effective_from: date
    effective_until: date | None
    source: str

    def allowed(self, licences: int) -> int:
        """How many *licences* of the roles allow."""
        return self.base + licences * self.add // self.for_each if licences else 0


@dataclass(frozen=True, slots=True)
class ServiceNumberQuota:
    """From *licences_from* Phone System and Audio Conferencing licences on, so many service numbers of each kind."""

    licences_from: int
    toll: int
    toll_free: int
    effective_from: date
    effective_until: date | None
    source: str


class ConferenceReach(enum.Enum):
    """Where the conferences of an organiser may dial out."""

    ANYWHERE = "international+domestic"
    ZONE_A = "zone A"
    DOMESTIC = "domestic"
    NOWHERE = "disabled"


class UserReach(enum.Enum):
    """Where a user may call; emergency numbers always."""

    ANYWHERE = "international+domestic"
    DOMESTIC = "domestic"
    NOWHERE = "disabled"


@dataclass(frozen=True, slots=True)
class DialOutPolicy:
    """One of the fixed outbound calling restriction policies."""

    policy: str
    conference: ConferenceReach
    user: UserReach
    default: bool
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Feature:
    """A rule that changed over the years and is either on or off."""

    feature: str
    on: bool
    effective_from: date
    effective_until: date | None
    source: str


@dataclass(frozen=True, slots=True)
class Holdings:
    """What a set of licences comes to: the service plans that are on, by role."""

    plans: frozenset[str]
    by_role: Mapping[Role, ServicePlan]

    def plan(self, *roles: Role) -> ServicePlan | None:
        """The plan of the first of *roles* that is held."""
        return next((self.by_role[role] for role in roles if role in self.by_role), None)

    def has(self, role: Role) -> bool:
        """Whether a plan of *role* is held."""
        return role in self.by_role


class _Dated(Protocol):
    @property
    def effective_from(self) -> date: ...

    @property
    def effective_until(self) -> date | None: ...


R = TypeVar("R", bound=_Dated)
K = TypeVar("K", bound=Hashable)


def in_force(rows: Iterable[R], key: Callable[[R], K], on: date) -> dict[K, R]:
    """Of the rows with each key the one that counts on a day; none where that one is over."""
    found: dict[K, R] = {}
    for row in rows:
        known = found.get(key(row))
        if row.effective_from <= on and (known is None or row.effective_from >= known.effective_from):
            found[key(row)] = row
    return {k: row for k, row in found.items() if row.effective_until is None or on <= row.effective_until}


@dataclass(frozen=True, slots=True)
class Terms:
    """What counts on one day, ready to look up."""

    products: Mapping[str, Product]
    plans_of: Mapping[str, Mapping[str, str]]
    service_plans: Mapping[str, ServicePlan]
    dependencies: Mapping[Role, frozenset[Role]]
    allotments: Mapping[tuple[str, str], Allotment]
    conference_allotments: Mapping[tuple[str, str], ConferenceAllotment]
    areas: Mapping[str, Area]
    premium: Mapping[str, tuple[str, ...]]
    countries: Mapping[str, Country]
    zones: Mapping[str, frozenset[str]]
    destinations: frozenset[str]
    minimum_funding: Mapping[str, int]
    quotas: Mapping[str, Quota]
    service_number_quotas: tuple[ServiceNumberQuota, ...]
    dial_out_policies: Mapping[str, DialOutPolicy]
    default_policy: DialOutPolicy
    features: frozenset[str]
    taxes: Mapping[str, Tax]
    regions: Mapping[str, str]
    _names: Mapping[str, str]
    _holdings: dict[frozenset[str], Holdings] = field(default_factory=dict)

    def product(self, name: str) -> Product | None:
        """A product by part number, id or alias, letter case apart."""
        return self.products.get(self._names.get(name.strip().lower(), ""))

    def holdings(self, licences: frozenset[str]) -> Holdings:
        """What *licences*, as users hold them, come to. Products that are no longer known bring nothing."""
        found = self._holdings.get(licences)
        if found is None:
            on = {plan for licence in licences for plan in plans_on(licence, self)}
            plans = [self.service_plans[plan] for plan in sorted(on) if plan in self.service_plans]
            found = Holdings(frozenset(on), {plan.role: plan for plan in reversed(plans)})
            self._holdings[licences] = found
        return found

    def area(self, country: str) -> str:
        """The pool area of a usage location."""
        found = self.areas.get(country)
        return found.pool_area if found else country

    def is_domestic(self, usage_location: str, destination: str) -> bool:
        """Whether a call from *usage_location* to *destination* counts as domestic for charging."""
        if destination == usage_location:
            return True
        found = self.areas.get(usage_location)
        return found is not None and destination in found.domestic_countries

    def allotment(self, service_plan: str, country: str) -> Allotment | None:
        """What a licence of a plan brings to a user in *country*; None where the plan is not sold."""
        return self.allotments.get((service_plan, country)) or self.allotments.get((service_plan, self.area(country)))

    def conference_allotment(self, service_plan: str, country: str) -> ConferenceAllotment | None:
        """What a conferencing plan brings to organisations in *country*."""
        by_plan = self.conference_allotments
        return by_plan.get((service_plan, country)) or by_plan.get((service_plan, ANYWHERE))

    def may_call_premium(self, usage_location: str, digits: str) -> bool:
        """Whether a premium or shared-cost number may be called from *usage_location*."""
        return digits.startswith(self.premium.get(usage_location, ()))

    def sells_credits(self, country: str) -> bool:
        """Whether Communications Credits are sold to organisations in *country*; yes where nothing is known."""
        found = self.countries.get(country)
        return found is None or found.credits

    def minimum(self, currency: str) -> int:
        """The least that may be bought, in micros; a currency without a row has the figure of the US dollar."""
        return self.minimum_funding.get(currency) or self.minimum_funding["USD"]

    def region(self, country: str) -> str:
        """The region in which a country is billed; a country without a row is one of its own."""
        return self.regions.get(country, country)

    def service_number_quota(self, licences: int) -> ServiceNumberQuota | None:
        """Service numbers that so many Phone System and Audio Conferencing licences allow; None for too few."""
        rows = [row for row in self.service_number_quotas if row.licences_from <= licences]
        return rows[-1] if rows else None


def plans_on(licence: str, terms: Terms) -> frozenset[str]:
    """The service plans that a licence switches on: those of its product without those switched off in it."""
    sku, *off = licence.split(SEPARATOR)
    return frozenset(terms.plans_of.get(sku, {})) - frozenset(off)


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The rows of all days; *terms* makes those of one day and remembers them.

    The tables are checked before: on every day one policy is the default, and the US dollar has a minimum.
    """

    products: tuple[Product, ...]
    product_plans: tuple[ProductPlan, ...]
    service_plans: tuple[ServicePlan, ...]
    dependencies: tuple[Dependency, ...]
    allotments: tuple[Allotment, ...]
    conference_allotments: tuple[ConferenceAllotment, ...]
    areas: tuple[Area, ...]
    premium: tuple[Premium, ...]
    countries: tuple[Country, ...]
    zones: tuple[Zone, ...]
    destinations: tuple[Destination, ...]
    minimum_funding: tuple[MinimumFunding, ...]
    quotas: tuple[Quota, ...]
    service_number_quotas: tuple[ServiceNumberQuota, ...]
    dial_out_policies: tuple[DialOutPolicy, ...]
    features: tuple[Feature, ...]
    taxes: tuple[Tax, ...]
    billing_regions: tuple[BillingRegion, ...]
    _changes: tuple[date, ...] = field(init=False, repr=False, compare=False)
    _terms: dict[date, Terms] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        tables = (getattr(self, column.name) for column in fields(self) if column.init)
        object.__setattr__(self, "_changes", days_of_change(row for table in tables for row in table))

    def terms(self, day: date) -> Terms:
        """What counts on *day*; the same object for every day from one change of the rows to the next."""
        first = self._changes[max(bisect_right(self._changes, day) - 1, 0)]
        found = self._terms.get(first)
        if found is None:
            found = self._terms[first] = _terms_of(self, first)
        return found


def days_of_change(rows: Iterable[_Dated]) -> tuple[date, ...]:
    """`ALWAYS` and the later days on which a row begins to count or has ended, in order."""
    days = {ALWAYS}
    for row in rows:
        days.add(row.effective_from)
        if row.effective_until is not None and row.effective_until < date.max:
            days.add(row.effective_until + timedelta(days=1))
    return tuple(sorted(day for day in days if day >= ALWAYS))


def _terms_of(rows: Catalogue, day: date) -> Terms:
    # Bought is bought: a product that is no longer sold keeps its plans, so every product of the past stays known.
    by_date = sorted(rows.products, key=lambda row: row.effective_from)
    products = {row.sku: row for row in by_date if row.effective_from <= day}
    plans_of: dict[str, dict[str, str]] = {}
    for (sku, plan), row in in_force(rows.product_plans, lambda row: (row.sku, row.service_plan), day).items():
        plans_of.setdefault(sku, {})[plan] = row.plan_id
    premium: dict[str, list[str]] = {}
    for location, prefix in in_force(rows.premium, lambda row: (row.usage_location, row.prefix), day):
        premium.setdefault(location, []).append(prefix)
    zones: dict[str, set[str]] = {}
    for zone, country in in_force(rows.zones, lambda row: (row.zone, row.country), day):
        zones.setdefault(zone, set()).add(country)
    policies = in_force(rows.dial_out_policies, lambda row: row.policy, day)
    service_quotas = in_force(rows.service_number_quotas, lambda row: row.licences_from, day)
    return Terms(
        products=products,
        plans_of=plans_of,
        service_plans=in_force(rows.service_plans, lambda row: row.service_plan, day),
        dependencies={k: row.needs for k, row in in_force(rows.dependencies, lambda row: row.role, day).items()},
        allotments=in_force(rows.allotments, lambda row: (row.service_plan, row.area), day),
        conference_allotments=in_force(rows.conference_allotments, lambda row: (row.service_plan, row.country), day),
        areas=in_force(rows.areas, lambda row: row.country, day),
        premium={location: tuple(sorted(prefixes)) for location, prefixes in premium.items()},
        countries=in_force(rows.countries, lambda row: row.country, day),
        zones={zone: frozenset(countries) for zone, countries in zones.items()},
        destinations=frozenset(in_force(rows.destinations, lambda row: row.country, day)),
        minimum_funding={
            k: row.minimum_micros for k, row in in_force(rows.minimum_funding, lambda row: row.currency, day).items()
        },
        quotas=in_force(rows.quotas, lambda row: row.quota, day),
        service_number_quotas=tuple(row for _, row in sorted(service_quotas.items())),
        dial_out_policies=policies,
        default_policy=next(row for row in policies.values() if row.default),
        features=frozenset(k for k, row in in_force(rows.features, lambda row: row.feature, day).items() if row.on),
        taxes=in_force(rows.taxes, lambda row: row.country, day),
        regions={k: row.region for k, row in in_force(rows.billing_regions, lambda row: row.country, day).items()},
        _names={
            name.lower(): row.sku for row in products.values() for name in (*row.aliases, row.sku_id, row.sku) if name
        },
    )
