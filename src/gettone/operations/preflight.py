"""Before the first call: can this user make this kind of call, and if not, what is missing?

The answer is that of the main path: the organisation's own rules and the chain of payers of `domain.entitlement`, asked
for a number that is given or made up, and then what each payer has left. Every reason has a remedy with its command.
What is missing is listed to the end: after each reason the question is asked again as if it were mended.

Not asked here: spending limits and the fraud guard, which depend on the moment, and the price (`gettone quote`).
Source: open questions, part E, "pre-flight check that names the missing prerequisite".
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gettone.catalogue.numbering import number_plan
from gettone.domain.catalogue import Role, Terms
from gettone.domain.entitlement import Entitlement, Payer, PayerKind, forbidden, who_pays
from gettone.domain.licences import own_seconds, product_for
from gettone.domain.money import render_micros
from gettone.domain.numbers import Kind, Number, parse_e164
from gettone.domain.parties import CallFacts, CallType, Organisation, User
from gettone.domain.policies import Bars, Block
from gettone.domain.pools import is_own, owner_and_plan, period_of, twin_of
from gettone.domain.refusals import Refusal
from gettone.errors import InvalidInput
from gettone.operations import checks
from gettone.operations.directory import read_user
from gettone.operations.office import Office, Unit
from gettone.operations.policies import policies_from
from gettone.operations.remedies import REMEDIES
from gettone.operations.terms import terms_now
from gettone.operations.views import OrganisationView, PoolView, UserView


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that stands in the way: the *reason* as charging would name it, in words, and what to do."""

    reason: str
    what: str
    remedy: str


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call would be allowed now, who would pay in turn, and everything that is *missing*.

    *number* is the number asked about, made up unless it was given.
    """

    allowed: bool
    user_id: str
    upn: str
    call_type: str
    number: str
    country: str
    payers: tuple[str, ...]
    missing: tuple[Missing, ...]


@dataclass(frozen=True, slots=True)
class _Asked:
    """A kind of call: what charging calls it, and which number is made up for it."""

    call_type: CallType
    kind: Kind
    abroad: bool = False


KINDS: Mapping[str, _Asked] = {
    "domestic": _Asked(CallType.USER_OUT, Kind.FIXED),
    "international": _Asked(CallType.USER_OUT, Kind.FIXED, abroad=True),
    "premium": _Asked(CallType.USER_OUT, Kind.PREMIUM),
    "sms": _Asked(CallType.SMS_OUT, Kind.MOBILE),
    "conference_out": _Asked(CallType.CONF_OUT, Kind.FIXED),
    "toll_free_in": _Asked(CallType.CONF_IN, Kind.TOLL_FREE),
}
"""The kinds of call that can be asked about."""

_OF_RESOURCE_ACCOUNTS = {CallType.USER_OUT: CallType.VOICE_APP_OUT, CallType.CONF_IN: CallType.VOICE_APP_IN}


def can_call(office: Office, org_id: str, ref: str, kind: str, now: datetime, *, to: str = "") -> Preflight:
    """Say whether a user or resource account can make a call of a *kind* of `KINDS`, or to a number in its place.

    *to* gives the number for a kind that would make one up. Raises `NotFound` or `InvalidInput`.
    """
    number = to or (kind if kind.startswith("+") else "")
    asked = _Asked(CallType.USER_OUT, Kind.FIXED) if kind.startswith("+") else KINDS.get(kind)
    if asked is None:
        raise InvalidInput("kind", kind[:80], f"write a number with its plus, or one of {', '.join(KINDS)}")
    digits = checks.digits("number", number) if number else ""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        user = read_user(unit, org_id, ref)
        terms = terms_now(unit, organisation, now)
        called = number_plan().lookup(digits) if digits else _number(organisation, user, asked, terms)
        facts = _facts(unit, organisation, user, asked, called, now=now)
        return _Check(unit, organisation, user, terms, now).answer(facts)


class _Check:
    """Asks about one call, again and again as if what was missing were there."""

    def __init__(self, unit: Unit, organisation: OrganisationView, user: UserView, terms: Terms, now: datetime) -> None:
        self._organisation = organisation
        self._user = user
        self._terms = terms
        self._now = now
        self._wallet = unit.money.account(organisation.org_id).wallet
        period = period_of(now, ZoneInfo(organisation.time_zone))
        self._pools = {pool.pool_key: pool for pool in unit.money.pools(organisation.org_id, period, current=True)}
        self._has_deck = any(
            deck.currency == organisation.currency and deck.effective_from <= now
            for deck in unit.decks.decks(organisation.price_list)
        )
        self._settled: set[Refusal] = set()

    def answer(self, facts: CallFacts) -> Preflight:
        """Everything that stands in the way of a call."""
        assert facts.called is not None, "only emergency calls have no called number"
        entitled = who_pays(facts, self._terms)
        payers = tuple(self._in_words(payer) for payer in entitled.payers) if isinstance(entitled, Entitlement) else ()
        missing: list[Missing] = []
        asked_again: CallFacts | None = facts
        while asked_again is not None and (reason := self._refusal(asked_again)) is not None:
            remedy = self._remedy(reason, facts.called)
            missing.append(Missing(reason=reason.value, what=reason.sentence, remedy=remedy))
            asked_again = self._mended(asked_again, reason)
        return Preflight(
            allowed=not missing,
            user_id=self._user.user_id,
            upn=self._user.upn,
            call_type=facts.call_type.value,
            number=facts.called.e164,
            country=facts.called.country,
            payers=payers,
            missing=tuple(missing),
        )

    def _refusal(self, facts: CallFacts) -> Refusal | None:
        """Why the call would be refused now."""
        entitled = who_pays(facts, self._terms)
        reasons = [reason for reason in (forbidden(facts, self._terms), entitled) if isinstance(reason, Refusal)]
        if reasons:
            return min(reasons, key=list(Refusal).index)
        assert isinstance(entitled, Entitlement), "whoever is not refused is entitled"
        able = [payer.kind for payer in entitled.payers if self._can_pay(payer)]
        if not able:
            return entitled.when_exhausted
        priced = {PayerKind.CREDITS, PayerKind.POST_USAGE}
        if priced.issuperset(able) and not self._has_deck and Refusal.NO_RATE not in self._settled:
            return Refusal.NO_RATE
        return None

    def _can_pay(self, payer: Payer) -> bool:
        if payer.kind is PayerKind.POOL:
            return self._free_seconds(payer.pool_key) > 0
        if payer.kind is PayerKind.CREDITS:
            return self._wallet.available_micros(self._now) > 0 or Refusal.INSUFFICIENT_CREDIT in self._settled
        return True

    def _free_seconds(self, key: str) -> int:
        pool = self._pools.get(key)
        twin = self._pools.get(twin_of(key) or "")
        if twin is not None and twin.used_seconds >= twin.size_seconds:
            return 0
        if is_own(key):
            size = own_seconds(owner_and_plan(key)[1], self._user.usage_location, self._terms)
            return max(0, size - _drawn(pool))
        return pool.free_seconds if pool else 0

    def _in_words(self, payer: Payer) -> str:
        match payer.kind:
            case PayerKind.FREE:
                return "Included, free of charge"
            case PayerKind.POOL:
                return f"Minutes of the pool {payer.pool_key}: {self._free_seconds(payer.pool_key) // 60:,} left"
            case PayerKind.CREDITS:
                currency = self._organisation.currency
                available = render_micros(self._wallet.available_micros(self._now), currency)
                return f"Communications Credits: {available} {currency} available"
            case PayerKind.POST_USAGE:
                return "Billing after use"

    def _remedy(self, reason: Refusal, called: Number) -> str:
        filled = {
            "org": self._organisation.org_id,
            "user": self._user.upn,
            "country": self._organisation.country,
            "currency": self._organisation.currency,
            "number": called.e164,
            "policy": self._terms.default_policy.policy,
            "plan": " ".join(self._plan_to_assign()),
            "credits": self._product(Role.CREDITS),
            "conferencing": self._product(Role.CONFERENCING),
            "resource": self._product(Role.RESOURCE_ACCOUNT),
        }
        return REMEDIES[reason].format_map(filled)

    def _product(self, role: Role, location: str = "") -> str:
        return product_for(role, self._terms, location) or "PRODUCT"

    def _plan_to_assign(self) -> list[str]:
        """A Calling Plan that is sold where the user is, with Phone System when that is missing too."""
        location = self._user.usage_location or self._organisation.country
        roles = (Role.DOMESTIC_PLAN, Role.INTERNATIONAL_PLAN, Role.PAY_AS_YOU_GO)
        plan = next((sku for role in roles if (sku := product_for(role, self._terms, location))), "PRODUCT")
        held = self._terms.holdings(frozenset(self._user.licences))
        if self._user.resource or held.has(Role.PHONE_SYSTEM):
            return [plan]
        return [self._product(Role.PHONE_SYSTEM), plan]

    def _mended(self, facts: CallFacts, reason: Refusal) -> CallFacts | None:
        """The call as it would be asked for with *reason* out of the way; None when nothing mends it."""
        self._settled.add(reason)
        user, organisation = facts.user, facts.organisation
        assert user is not None, "a pre-flight check is about somebody"
        policies = organisation.policies
        match reason:
            case Refusal.ORGANISATION_CLOSED:
                return replace(facts, organisation=replace(organisation, closed=False))
            case Refusal.USER_BLOCKED:
                return replace(facts, user=replace(user, block=None))
            case Refusal.NUMBER_BARRED | Refusal.CALLER_BARRED:
                open_to_all = replace(policies, barred_called=Bars(), barred_calling=Bars())
                return replace(facts, organisation=replace(organisation, policies=open_to_all))
            case Refusal.DIAL_OUT_RESTRICTED:
                anywhere = replace(user, dial_out_policy=self._terms.default_policy.policy)
                return None if user == anywhere else replace(facts, user=anywhere)
            case Refusal.NO_USAGE_LOCATION:
                return replace(facts, user=replace(user, usage_location=organisation.country))
            case Refusal.NO_CALLING_PLAN | Refusal.NO_CREDITS_LICENCE | Refusal.NO_CONFERENCING_LICENCE:
                return self._licensed(facts, user, reason)
            case Refusal.NO_RESOURCE_ACCOUNT_LICENCE:
                return self._licensed(facts, user, reason) if user.resource else None
            case Refusal.INSUFFICIENT_CREDIT | Refusal.NO_RATE:
                return facts
            case _:
                return None

    def _licensed(self, facts: CallFacts, user: User, reason: Refusal) -> CallFacts | None:
        """The call as it would be with the licence that lacks."""
        no_plan = reason is Refusal.NO_CALLING_PLAN
        lacking = self._plan_to_assign() if no_plan else [self._product(_LACKING[reason])]
        licences = user.licences.union(lacking)
        return None if licences == user.licences else replace(facts, user=replace(user, licences=licences))


_LACKING = {
    Refusal.NO_CREDITS_LICENCE: Role.CREDITS,
    Refusal.NO_CONFERENCING_LICENCE: Role.CONFERENCING,
    Refusal.NO_RESOURCE_ACCOUNT_LICENCE: Role.RESOURCE_ACCOUNT,
}


def _number(organisation: OrganisationView, user: UserView, asked: _Asked, terms: Terms) -> Number:
    """A number to ask about: one of the organisation's own, of the user's country, or of another one."""
    home = user.usage_location or organisation.country
    if asked.call_type is CallType.CONF_IN:
        home = organisation.country
    return _made_up(_abroad(home, terms) if asked.abroad else home, asked.kind)


def _facts(
    unit: Unit, organisation: OrganisationView, view: UserView, asked: _Asked, called: Number, *, now: datetime
) -> CallFacts:
    """The call as charging would see it."""
    call_type = _OF_RESOURCE_ACCOUNTS.get(asked.call_type, asked.call_type) if view.resource else asked.call_type
    block = Block(view.blocked_reason, view.blocked_until) if view.blocked_reason else None
    return CallFacts(
        call_type=call_type,
        called=called,
        at=now,
        calling="",
        organisation=Organisation(
            org_id=organisation.org_id,
            name=organisation.name,
            country=organisation.country,
            currency=organisation.currency,
            zone=ZoneInfo(organisation.time_zone),
            price_list=organisation.price_list,
            closed=organisation.closed,
            post_usage=organisation.post_usage,
            policies=policies_from(organisation.policies, unit.policies.bars(organisation.org_id)),
        ),
        user=User(
            user_id=view.user_id,
            usage_location=view.usage_location,
            licences=frozenset(view.licences),
            resource=view.resource,
            department=view.department,
            cost_centre=view.cost_centre,
            dial_out_policy=view.dial_out_policy,
            limit_micros=view.limit_micros,
            block=block,
        ),
    )


def _abroad(home: str, terms: Terms) -> str:
    """A country that is another one for charging as well."""
    return next(country for country in ("GB", "US", "FR", "DE") if not terms.is_domestic(home, country))


def _made_up(country: str, kind: Kind) -> Number:
    """A number in a country, of a kind; a premium one that the country has none of is called by its country code."""
    import phonenumbers  # noqa: PLC0415  Takes as long to import as all the rest: only those who need it wait.

    types = {
        Kind.FIXED: phonenumbers.PhoneNumberType.FIXED_LINE,
        Kind.MOBILE: phonenumbers.PhoneNumberType.MOBILE,
        Kind.PREMIUM: phonenumbers.PhoneNumberType.PREMIUM_RATE,
        Kind.TOLL_FREE: phonenumbers.PhoneNumberType.TOLL_FREE,
    }
    example = phonenumbers.example_number_for_type(country, types[kind])
    if example is not None:
        digits = parse_e164(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164))
        return number_plan().lookup(digits)
    return Number(str(phonenumbers.country_code_for_region(country)), country, kind)


def _drawn(pool: PoolView | None) -> int:
    return pool.used_seconds + pool.held_seconds if pool else 0
