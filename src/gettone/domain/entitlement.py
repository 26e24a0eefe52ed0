"""Who pays for a call (D5): an ordered chain of payers, or a named refusal.

Order: included or free, then minute pools the caller is entitled to, then Communications Credits if entitled, then
post-usage billing if switched on, then refused. Emergency calls are free and allowed before anything else is asked.
Then come the organisation's own rules, which only ever take away.

Sources: seeds 000, 001 and 003 (what credits pay for), facts section 6 (the truth table) and sections 3 to 5. Each
kind of call has one rule in `RULES`; a kind without a rule is not offered.
"""

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from gettone.domain.catalogue import CALLING_PLANS, Holdings, Role, ServicePlan, Terms
from gettone.domain.numbers import Kind, Number
from gettone.domain.parties import CallFacts, CallType, User
from gettone.domain.policies import conference_may_reach, dial_out_policy, user_may_reach
from gettone.domain.pools import CONFERENCE, DOMESTIC, INTERNATIONAL, own_pool_key, pool_key
from gettone.domain.refusals import Refusal


class PayerKind(enum.Enum):
    """The sources a call can draw on; the value is the short code under which a call remembers it."""

    # Members are one of a kind: their identity is their hash, and takes no call of Python.
    __hash__ = object.__hash__

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
class _Asked:
    """A call that is neither an emergency nor barred, with the terms of its day and what its user holds."""

    call: CallFacts
    terms: Terms
    called: Number
    holdings: Holdings

    @property
    def home(self) -> str:
        """The country that domestic is measured from: the user's usage location, else the organisation's country."""
        user = self.call.user
        return (user.usage_location if user else "") or self.call.organisation.country

    @property
    def premium(self) -> bool:
        """Whether a premium or shared-cost number is called."""
        return self.called.kind in PREMIUM_KINDS


CREDITS_CAPABILITY = "MCOPSTNPP"
"""How reports name Communications Credits, although the product is MCOPSTNC (Q14)."""

FREE = Payer(PayerKind.FREE)
FREE_INBOUND = Payer(PayerKind.FREE, capability="MCOPSTNU")
FREE_VOICE_APP = Payer(PayerKind.FREE, capability="MCOEV_VIRTUALUSER")
FREE_CONFERENCE = Payer(PayerKind.FREE, capability="MCOMEETADD")
CREDITS = Payer(PayerKind.CREDITS, capability=CREDITS_CAPABILITY)
POST_USAGE = Payer(PayerKind.POST_USAGE, capability=CREDITS_CAPABILITY)

PREMIUM_KINDS = frozenset({Kind.PREMIUM, Kind.SHARED_COST})
"""Kinds of number that are called only where a row of the catalogue says so, and never from minutes."""

_US_AND_CANADA = "US_CA"
TOLL_FREE_POST_USAGE = "toll_free_post_usage"
"""The feature by which billing after use pays for calls to toll-free numbers where credits do not."""


def who_pays(call: CallFacts, terms: Terms) -> Entitlement | Refusal:
    """Answer the chain of payers of *call* under the *terms* of its day, or why nobody may pay for it."""
    if call.call_type is CallType.EMERGENCY:
        return Entitlement((FREE,))
    if call.organisation.closed:
        return Refusal.ORGANISATION_CLOSED
    rule = RULES.get(call.call_type)
    if rule is None:
        return Refusal.NOT_OFFERED
    assert call.called is not None, "only emergency calls have no called number"
    return rule(_Asked(call, terms, call.called, terms.holdings(call.user.licences) if call.user else NOTHING_HELD))


def forbidden(call: CallFacts, terms: Terms) -> Refusal | None:
    """Why the organisation's own rules forbid *call*, if they do: blocks, barred numbers, dial-out policies."""
    if call.call_type is CallType.EMERGENCY or call.called is None:
        return None
    policies, user = call.organisation.policies, call.user
    if call.call_type.inbound:
        return Refusal.CALLER_BARRED if policies.barred_calling.hit(call.calling) else None
    if user is not None and user.block is not None and user.block.holds(call.at):
        return Refusal.USER_BLOCKED
    if policies.barred_called.hit(call.called.digits):
        return Refusal.NUMBER_BARRED
    if user is None:
        return None
    policy = dial_out_policy(user.dial_out_policy, policies, terms)
    home = user.usage_location or call.organisation.country
    if call.call_type is CallType.CONF_OUT:
        allowed = conference_may_reach(policy, home, call.called.country, terms)
    else:
        allowed = user_may_reach(policy, home, call.called.country)
    return None if allowed else Refusal.DIAL_OUT_RESTRICTED


# -- calls in ----------------------------------------------------------------------------------------------------------


def _user_in(_asked: _Asked) -> Entitlement | Refusal:
    return Entitlement((FREE_INBOUND,))


def _conf_in(asked: _Asked) -> Entitlement | Refusal:
    """Toll is included and toll-free is paid; an organiser who pays by the minute pays for both (Q16)."""
    per_minute = asked.holdings.by_role.get(Role.CONFERENCING_PER_MINUTE)
    if per_minute is not None and asked.holdings.plan(Role.CONFERENCING, Role.CONFERENCING_SELECT) is None:
        return _whoever_holds(asked, per_minute.capability)
    if asked.called.kind is not Kind.TOLL_FREE:
        return Entitlement((FREE_CONFERENCE,))
    if not _conferences_dial(asked):
        return Refusal.NOT_OFFERED
    return _toll_free(asked)


def _voice_app_in(asked: _Asked) -> Entitlement | Refusal:
    return _toll_free(asked) if asked.called.kind is Kind.TOLL_FREE else Entitlement((FREE_VOICE_APP,))


def _unassigned_in(asked: _Asked) -> Entitlement | Refusal:
    """A number of the organisation's that nobody has: it is routed on only while there are credits to pay with."""
    return _whoever_holds(asked, CREDITS_CAPABILITY)


def _toll_free(asked: _Asked) -> Entitlement:
    """Credits of the organisation, whoever holds a licence; post-usage billing only since the day it is possible."""
    late = asked.call.organisation.post_usage and TOLL_FREE_POST_USAGE in asked.terms.features
    return Entitlement((CREDITS, POST_USAGE) if late else (CREDITS,), _when_credits_end(asked))


# -- calls out ---------------------------------------------------------------------------------------------------------


def _user_out(asked: _Asked) -> Entitlement | Refusal:
    user = asked.call.user
    if user is None:
        return Refusal.UNKNOWN_USER
    if _unreachable(asked, user.usage_location):
        return Refusal.DESTINATION_BLOCKED
    if not user.usage_location:
        return Refusal.NO_USAGE_LOCATION
    if asked.holdings.plan(*CALLING_PLANS) is None:
        return Refusal.NO_CALLING_PLAN
    return _chain(asked, _plan_pools(asked, user), licensed=asked.holdings.has(Role.CREDITS))


def _sms_out(asked: _Asked) -> Entitlement | Refusal:
    """A message is asked for like a call, and is paid per message: minutes do not pay for it."""
    entitled = _user_out(asked)
    if isinstance(entitled, Refusal):
        return entitled
    payers = tuple(payer for payer in entitled.payers if payer.kind is not PayerKind.POOL)
    return Entitlement(payers, entitled.when_exhausted) if payers else entitled.when_exhausted


def _conf_out(asked: _Asked) -> Entitlement | Refusal:
    """A conference dials out: add-on, then the organisation's conference minutes, then credits of the organiser."""
    organiser = asked.call.user
    if organiser is None:
        return Refusal.UNKNOWN_USER
    plan = asked.holdings.plan(Role.CONFERENCING, Role.CONFERENCING_SELECT, Role.CONFERENCING_PER_MINUTE)
    if plan is None:
        return Refusal.NO_CONFERENCING_LICENCE
    if asked.premium or not _conferences_dial(asked):
        return Refusal.DESTINATION_BLOCKED
    add_on = asked.holdings.by_role.get(Role.DIAL_OUT_ADD_ON)
    if add_on is not None and asked.called.country in asked.terms.zones.get(_US_AND_CANADA, frozenset()):
        return Entitlement((Payer(PayerKind.FREE, capability=add_on.capability),))
    if plan.role is Role.CONFERENCING_PER_MINUTE:
        return _whoever_holds(asked, plan.capability)
    pools = _conference_pool(asked, plan)
    if asked.call.organisation.policies.conference_uses_calling_plan:
        pools += _plan_pools(asked, organiser)
    return _chain(asked, pools, licensed=asked.holdings.has(Role.CREDITS))


def _voice_app_out(asked: _Asked) -> Entitlement | Refusal:
    """A resource account calls: its own plan, then credits of the organisation without a licence for them (Q17)."""
    account = asked.call.user
    if account is None or not asked.holdings.has(Role.RESOURCE_ACCOUNT):
        return Refusal.NO_RESOURCE_ACCOUNT_LICENCE
    if _unreachable(asked, asked.home):
        return Refusal.DESTINATION_BLOCKED
    return _chain(asked, _plan_pools(asked, account), licensed=True)


# -- what the rules share ----------------------------------------------------------------------------------------------


def _chain(asked: _Asked, pools: tuple[Payer, ...], *, licensed: bool) -> Entitlement | Refusal:
    """Pools, then credits for who is *licensed*, then post-usage billing; what is missing names the reason."""
    payers = pools
    if licensed:
        payers += (CREDITS,)
    if asked.call.organisation.post_usage:
        payers += (POST_USAGE,)
    reason = _when_credits_end(asked) if licensed else Refusal.NO_CREDITS_LICENCE
    if not asked.terms.sells_credits(asked.call.organisation.country):
        reason = Refusal.CREDITS_NOT_SOLD
    return Entitlement(payers, reason) if payers else reason


def _whoever_holds(asked: _Asked, capability: str) -> Entitlement:
    """Credits of the organisation without a licence for them, then post-usage billing."""
    payers: tuple[Payer, ...] = (Payer(PayerKind.CREDITS, capability=capability),)
    if asked.call.organisation.post_usage:
        payers += (Payer(PayerKind.POST_USAGE, capability=capability),)
    return Entitlement(payers, _when_credits_end(asked))


def _when_credits_end(asked: _Asked) -> Refusal:
    sold = asked.terms.sells_credits(asked.call.organisation.country)
    return Refusal.INSUFFICIENT_CREDIT if sold else Refusal.CREDITS_NOT_SOLD


def _plan_pools(asked: _Asked, user: User) -> tuple[Payer, ...]:
    """The pools of the user's own plans that hold minutes for this destination."""
    if asked.premium:
        return ()
    location = user.usage_location
    domestic = asked.terms.is_domestic(location, asked.called.country)
    found: list[Payer] = []
    for role in CALLING_PLANS:
        plan = asked.holdings.by_role.get(role)
        if plan is None:
            continue
        key = ""
        if role is Role.INTERNATIONAL_PLAN:
            key = pool_key(asked.terms.area(location), plan.service_plan, DOMESTIC if domestic else INTERNATIONAL)
        elif domestic and role is Role.DOMESTIC_PLAN:
            key = pool_key(asked.terms.area(location), plan.service_plan)
        elif domestic and role is Role.OWN_MINUTES:
            key = own_pool_key(user.user_id, plan.service_plan)
        if key:
            found.append(Payer(PayerKind.POOL, key, plan.capability))
    return tuple(found)


def _conference_pool(asked: _Asked, plan: ServicePlan) -> tuple[Payer, ...]:
    """The organisation's conference minutes, where they reach the destination."""
    brought = asked.terms.conference_allotment(plan.service_plan, asked.call.organisation.country)
    if brought is None or asked.called.country not in asked.terms.zones.get(brought.zone, frozenset()):
        return ()
    return (Payer(PayerKind.POOL, pool_key(CONFERENCE, plan.service_plan), plan.capability),)


def _unreachable(asked: _Asked, location: str) -> bool:
    """Whether no plan of *location* reaches the number: most premium numbers, and countries that are not served."""
    if asked.premium:
        return not asked.terms.may_call_premium(location, asked.called.digits)
    return bool(asked.called.country) and asked.called.country not in asked.terms.destinations


def _conferences_dial(asked: _Asked) -> bool:
    """Whether conferences of organisations in this country dial out and take toll-free calls."""
    country = asked.terms.countries.get(asked.call.organisation.country)
    return country is None or country.conference_dial_out


NOTHING_HELD = Holdings(frozenset(), {})

RULES: Mapping[CallType, Callable[[_Asked], Entitlement | Refusal]] = {
    CallType.USER_IN: _user_in,
    CallType.CONF_IN: _conf_in,
    CallType.VOICE_APP_IN: _voice_app_in,
    CallType.UNASSIGNED_IN: _unassigned_in,
    CallType.USER_OUT: _user_out,
    CallType.USER_OUT_CONF: _user_out,
    CallType.USER_OUT_TRANSFER: _user_out,
    CallType.USER_OUT_FORWARDING: _user_out,
    CallType.CONF_OUT: _conf_out,
    CallType.VOICE_APP_OUT: _voice_app_out,
    CallType.SMS_OUT: _sms_out,
}
