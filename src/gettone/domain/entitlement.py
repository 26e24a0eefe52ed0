"""Who pays for a call (D5): an ordered chain of payers, or a named refusal.

Order: included or free, then minute pools the caller is entitled to, then Communications Credits if entitled, then
post-usage billing if switched on, then refused. Emergency calls are free and allowed before anything else is asked.

Sources: seeds 000, 001 and 003 (what credits pay for), facts section 6 (the truth table). Each kind of call has one
rule in `RULES`; a kind without a rule is not offered.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date

from gettone.domain.numbers import Kind
from gettone.domain.parties import CallFacts, CallType
from gettone.domain.refusals import Refusal


class PayerKind(enum.Enum):
    """The sources a call can draw on; the value is the short code under which a call remembers it."""

    FREE = "F"
    POOL = "P"
    CREDITS = "C"
    POST_USAGE = "U"


@dataclass(frozen=True, slots=True)
class Payer:
    """One link of the chain; *pool_key* names the pool of a `PayerKind.POOL`.

    *capability* is the code under which the usage report shows who paid (``MCOPSTNPP`` = credits).
    """

    kind: PayerKind
    pool_key: str = ""
    capability: str = ""


@dataclass(frozen=True, slots=True)
class Entitlement:
    """The chain, and the reason to give when everything in it is used up."""

    payers: tuple[Payer, ...]
    when_exhausted: Refusal = Refusal.INSUFFICIENT_CREDIT


@dataclass(frozen=True, slots=True)
class CallingPlan:
    """A product that lets its holder call out; *pooled* when its licences bring minutes."""

    product: str
    pooled: bool


@dataclass(frozen=True, slots=True)
class Allotment:
    """From *effective_from* on, each assigned licence of *product* adds *minutes* a month to the pool of *area*."""

    product: str
    area: str
    minutes: int
    effective_from: date


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The dated tables that entitlement reads, as a value (D9).

    *areas* maps a country to the pool area it belongs to (Puerto Rico to US); *domestic* lists for a country the
    countries that count as domestic; *premium* lists (country, prefix digits) of premium and shared-cost numbers that
    may be called from there at all.
    """

    calling_plans: Mapping[str, CallingPlan]
    credits_product: str
    allotments: tuple[Allotment, ...]
    areas: Mapping[str, str]
    domestic: Mapping[str, frozenset[str]]
    premium: frozenset[tuple[str, str]]

    def area(self, country: str) -> str:
        """The pool area of a usage location."""
        return self.areas.get(country, country)

    def is_domestic(self, usage_location: str, destination: str) -> bool:
        """Whether a call from *usage_location* to *destination* counts as domestic for charging."""
        return destination == usage_location or destination in self.domestic.get(usage_location, frozenset())

    def minutes(self, product: str, area: str, on: date) -> int:
        """Minutes a month that one licence of *product* adds to the pool of *area* on a day; 0 when none."""
        rows = [
            row for row in self.allotments if (row.product, row.area) == (product, area) and row.effective_from <= on
        ]
        return max(rows, key=lambda row: row.effective_from).minutes if rows else 0


FREE = Payer(PayerKind.FREE)
CREDITS = Payer(PayerKind.CREDITS, capability="MCOPSTNPP")
POST_USAGE = Payer(PayerKind.POST_USAGE, capability="MCOPSTNPP")

_PREMIUM_KINDS = {Kind.PREMIUM, Kind.SHARED_COST}


def who_pays(call: CallFacts, catalogue: Catalogue) -> Entitlement | Refusal:
    """Answer the chain of payers of *call*, or why nobody may pay for it."""
    if call.call_type is CallType.EMERGENCY:
        return Entitlement((FREE,))
    if call.organisation.closed:
        return Refusal.ORGANISATION_CLOSED
    rule = RULES.get(call.call_type)
    return rule(call, catalogue) if rule else Refusal.NOT_OFFERED


def pool_key(area: str, product: str) -> str:
    """The name of the pool that the licences of *product* form in *area*, such as ``US/MCOPSTN1``."""
    return f"{area}/{product}"


def _user_in(_call: CallFacts, _catalogue: Catalogue) -> Entitlement | Refusal:
    return Entitlement((FREE,))


def _service_in(call: CallFacts, _catalogue: Catalogue) -> Entitlement | Refusal:
    """Ringing a conference, auto attendant or call queue: toll is included, toll-free is paid from credits."""
    if call.called is None or call.called.kind is not Kind.TOLL_FREE:
        return Entitlement((FREE,))
    return _without_licence(call)


def _user_out(call: CallFacts, catalogue: Catalogue) -> Entitlement | Refusal:
    user, called = call.user, call.called
    if user is None:
        return Refusal.UNKNOWN_USER
    assert called is not None, "only emergency calls have no called number"
    premium = called.kind in _PREMIUM_KINDS
    if premium and not _may_call_premium(user.usage_location, called.digits, catalogue):
        return Refusal.DESTINATION_BLOCKED
    if not user.usage_location:
        return Refusal.NO_USAGE_LOCATION
    plan = next((catalogue.calling_plans[p] for p in sorted(user.products) if p in catalogue.calling_plans), None)
    if plan is None:
        return Refusal.NO_CALLING_PLAN
    pools: tuple[Payer, ...] = ()
    if plan.pooled and not premium and catalogue.is_domestic(user.usage_location, called.country):
        key = pool_key(catalogue.area(user.usage_location), plan.product)
        pools = (Payer(PayerKind.POOL, key, plan.product),)
    credit = (CREDITS,) if catalogue.credits_product in user.products else ()
    post_usage = (POST_USAGE,) if call.organisation.post_usage else ()
    payers = pools + credit + post_usage
    reason = Refusal.INSUFFICIENT_CREDIT if credit else Refusal.NO_CREDITS_LICENCE
    return Entitlement(payers, reason) if payers else reason


def _sms_out(call: CallFacts, catalogue: Catalogue) -> Entitlement | Refusal:
    """A message is asked for like a call, and is paid per message: minutes do not pay for it."""
    entitled = _user_out(call, catalogue)
    if isinstance(entitled, Refusal):
        return entitled
    payers = tuple(payer for payer in entitled.payers if payer.kind is not PayerKind.POOL)
    return Entitlement(payers, entitled.when_exhausted) if payers else entitled.when_exhausted


def _without_licence(call: CallFacts) -> Entitlement:
    """Credits of the organisation, whoever holds a licence; then post-usage billing."""
    return Entitlement((CREDITS, POST_USAGE) if call.organisation.post_usage else (CREDITS,))


def _may_call_premium(usage_location: str, digits: str, catalogue: Catalogue) -> bool:
    return any(country == usage_location and digits.startswith(prefix) for country, prefix in catalogue.premium)


RULES: Mapping[CallType, Callable[[CallFacts, Catalogue], Entitlement | Refusal]] = {
    CallType.USER_IN: _user_in,
    CallType.CONF_IN: _service_in,
    CallType.VOICE_APP_IN: _service_in,
    CallType.USER_OUT: _user_out,
    CallType.USER_OUT_CONF: _user_out,
    CallType.USER_OUT_TRANSFER: _user_out,
    CallType.USER_OUT_FORWARDING: _user_out,
    CallType.SMS_OUT: _sms_out,
}
