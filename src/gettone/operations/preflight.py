"""Before the first call: can this user make this kind of call, and if not, what is missing?

The answer is that of the main path: a dry run of a call to a number that is given, one of the organisation's own, or
made up. So everything counts that counts at the charging desk now: licences, rules, blocks, what limits and the fraud
guard leave, the rate of the number, and whether what there is pays for the first seconds. Every reason has a remedy
with its command. What is missing is listed to the end: after each reason the call is tried again as if it were mended.
Source: open questions, part E, "pre-flight check that names the missing prerequisite".
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gettone.catalogue.numbering import number_plan
from gettone.domain.catalogue import Role, Terms
from gettone.domain.entitlement import Payer, PayerKind
from gettone.domain.licences import own_seconds, product_for
from gettone.domain.money import render_micros
from gettone.domain.numbers import Kind, Number, parse_e164
from gettone.domain.parties import CallType, NumberUse, ServedNumber
from gettone.domain.pools import is_own, owner_and_plan, period_of, twin_of
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call
from gettone.domain.wallet import Wallet
from gettone.errors import InvalidInput
from gettone.operations import checks
from gettone.operations.directory import read_user
from gettone.operations.messages import StartCall
from gettone.operations.office import Office, Unit
from gettone.operations.remedies import REMEDIES
from gettone.operations.supposing import Supposed
from gettone.operations.terms import terms_now
from gettone.operations.views import OrganisationView, PoolView, UserView

TryCall = Callable[[StartCall, Supposed], tuple[Call, Refusal | None]]
"""Tries a call out, as `gettone.operations.quoting.Quoting.try_call` does."""


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that stands in the way: the *reason* as charging would name it, in words, and what to do."""

    reason: str
    what: str
    remedy: str


class Preflight(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a call would be allowed now, who would pay in turn, and everything that is *missing*.

    *number* is the number asked about, made up unless it was given or, for calls in, is one of the organisation's.
    *payers* are empty when nobody may pay.
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
_MONEY = frozenset({Refusal.NO_RATE, Refusal.NO_CREDITS_LICENCE, Refusal.CREDITS_NOT_SOLD, Refusal.INSUFFICIENT_CREDIT})
_PAGE = 1000


def can_call(
    office: Office, org_id: str, ref: str, kind: str, now: datetime, *, try_call: TryCall, to: str = ""
) -> Preflight:
    """Say whether a user or resource account can make a call of a *kind* of `KINDS`, or to a number in its place.

    *try_call* asks the main path, *to* gives the number for a kind that would make one up. Raises `NotFound`, or
    `InvalidInput` also when there are no numbers of the kind to make one up.
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
        called = number_plan().lookup(digits) if digits else _number(unit, organisation, user, asked, terms)
        there = _There(
            organisation=organisation,
            user=user,
            terms=terms,
            now=now,
            called=called,
            wallet=unit.money.account(org_id).wallet,
            pools={pool.pool_key: pool for pool in _pools(unit, organisation, now)},
        )
    call_type = _OF_RESOURCE_ACCOUNTS.get(asked.call_type, asked.call_type) if user.resource else asked.call_type
    return _Check(there, call_type, try_call).answer()


def _pools(unit: Unit, organisation: OrganisationView, now: datetime) -> list[PoolView]:
    period = period_of(now, ZoneInfo(organisation.time_zone))
    return unit.money.pools(organisation.org_id, period, current=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _There:
    """Who asks about which number, and what the organisation has, for words and remedies."""

    organisation: OrganisationView
    user: UserView
    terms: Terms
    now: datetime
    called: Number
    wallet: Wallet
    pools: Mapping[str, PoolView]

    @property
    def available(self) -> str:
        """The credit that new calls may use."""
        currency = self.organisation.currency
        return f"{render_micros(self.wallet.available_micros(self.now), currency)} {currency}"

    def free_seconds(self, key: str) -> int:
        """What a pool has left; of a plan with two counters nothing when the other one is used up."""
        pool, twin = self.pools.get(key), self.pools.get(twin_of(key) or "")
        if twin is not None and twin.used_seconds >= twin.size_seconds:
            return 0
        if is_own(key):
            size = own_seconds(owner_and_plan(key)[1], self.user.usage_location, self.terms)
            return max(0, size - _drawn(pool))
        return pool.free_seconds if pool else 0

    def product(self, role: Role, location: str = "") -> str:
        """The product to assign for a role."""
        return product_for(role, self.terms, location) or "PRODUCT"

    def plan_to_assign(self) -> list[str]:
        """A Calling Plan that is sold where the user is, with Phone System when that is missing too."""
        location = self.user.usage_location or self.organisation.country
        roles = (Role.DOMESTIC_PLAN, Role.INTERNATIONAL_PLAN, Role.PAY_AS_YOU_GO)
        plan = next((sku for role in roles if (sku := product_for(role, self.terms, location))), "PRODUCT")
        held = self.terms.holdings(frozenset(self.user.licences))
        if self.user.resource or held.has(Role.PHONE_SYSTEM):
            return [plan]
        return [self.product(Role.PHONE_SYSTEM), plan]


@dataclass(slots=True)
class _Check:
    """Tries one call, again and again as if what was missing were there."""

    there: _There
    call_type: CallType
    try_call: TryCall
    missing: list[Missing] = field(default_factory=list)

    def answer(self) -> Preflight:
        """Everything that stands in the way of the call."""
        there, user = self.there, self.there.user
        request = StartCall(
            session_id="check",
            org_id=there.organisation.org_id,
            user=user.user_id,
            called=there.called.e164,
            call_type=self.call_type.value,
            requested_seconds=1,
        )
        supposed: Supposed | None = Supposed()
        first: Call | None = None
        while supposed is not None:
            call, reason = self.try_call(request, supposed)
            first = first or call
            if reason is None or reason in supposed.mended or self._paid_by_new_minutes(call, reason, supposed):
                break
            self._note(reason)
            if reason is Refusal.NO_RATE and self._lacks_money_too(call):
                self._note(Refusal.INSUFFICIENT_CREDIT)
            supposed = self._mended(supposed, reason)
        assert first is not None, "it was tried once"
        return Preflight(
            allowed=not self.missing,
            user_id=user.user_id,
            upn=user.upn,
            call_type=first.call_type,
            number=there.called.e164,
            country=there.called.country,
            payers=tuple(self._in_words(payer) for payer in first.payers),
            missing=tuple(self.missing),
        )

    def _paid_by_new_minutes(self, call: Call, reason: Refusal, supposed: Supposed) -> bool:
        """Whether the Calling Plan that is yet to be assigned brings minutes for this call."""
        pools = call.payers[:1] and call.payers[0].kind is PayerKind.POOL
        return bool(pools) and reason in _MONEY and Refusal.NO_CALLING_PLAN in supposed.mended

    def _lacks_money_too(self, call: Call) -> bool:
        """Whether a call without a rate would also lack credit; charging names the first reason only."""
        kinds = {payer.kind for payer in call.payers}
        on_credit = PayerKind.CREDITS in kinds and PayerKind.POST_USAGE not in kinds
        noted = Refusal.INSUFFICIENT_CREDIT.value in {one.reason for one in self.missing}
        return on_credit and not noted and self.there.wallet.available_micros(self.there.now) <= 0

    def _note(self, reason: Refusal) -> None:
        called = self.there.called
        what = reason.sentence
        if reason is Refusal.NO_RATE:
            what += f" {called.e164} ({called.country or 'unknown country'}, {called.kind.label})"
        elif reason is Refusal.INSUFFICIENT_CREDIT:
            what += f" {self.there.available} are available."
        self.missing.append(Missing(reason=reason.value, what=what, remedy=self._remedy(reason)))

    def _in_words(self, payer: Payer) -> str:
        match payer.kind:
            case PayerKind.FREE:
                return "Included, free of charge"
            case PayerKind.POOL:
                return f"Minutes of the pool {payer.pool_key}: {self.there.free_seconds(payer.pool_key) // 60:,} left"
            case PayerKind.CREDITS:
                return f"Communications Credits: {self.there.available} available"
            case PayerKind.POST_USAGE:
                return "Billing after use"

    def _remedy(self, reason: Refusal) -> str:
        there, organisation, user = self.there, self.there.organisation, self.there.user
        filled = {
            "org": organisation.org_id,
            "user": user.upn,
            "country": organisation.country,
            "currency": organisation.currency,
            "price_list": organisation.price_list,
            "number": there.called.e164,
            "policy": there.terms.default_policy.policy,
            "plan": " ".join(there.plan_to_assign()),
            "credits": there.product(Role.CREDITS),
            "conferencing": there.product(Role.CONFERENCING),
            "resource": there.product(Role.RESOURCE_ACCOUNT),
            "rings": f"--user {user.upn} --use auto_attendant" if user.resource else "--use conference",
            "at_once": _AT_ONCE.get(self.call_type, "concurrent_calls"),
        }
        return REMEDIES[reason].format_map(filled)

    def _mended(self, supposed: Supposed, reason: Refusal) -> Supposed | None:
        """What to suppose beside what is supposed already, with *reason* out of the way; None if nothing mends it."""
        there = self.there
        now = replace(supposed, mended=supposed.mended | {reason})
        match reason:
            case Refusal.DIAL_OUT_RESTRICTED:
                return replace(now, dial_out_policy=there.terms.default_policy.policy)
            case Refusal.NO_USAGE_LOCATION:
                return replace(now, usage_location=there.organisation.country)
            case Refusal.NO_CALLING_PLAN:
                return replace(now, licences=now.licences.union(there.plan_to_assign()))
            case Refusal.NO_CREDITS_LICENCE | Refusal.NO_CONFERENCING_LICENCE | Refusal.NO_RESOURCE_ACCOUNT_LICENCE:
                return replace(now, licences=now.licences | {there.product(_LACKING[reason])})
            case Refusal.UNKNOWN_NUMBER:
                use = NumberUse.AUTO_ATTENDANT if there.user.resource else NumberUse.CONFERENCE
                return replace(now, number=ServedNumber(there.called.digits, use))
            case _ if reason in _PLAINLY_MENDED:
                return now
            case _:
                return None


_LACKING = {
    Refusal.NO_CREDITS_LICENCE: Role.CREDITS,
    Refusal.NO_CONFERENCING_LICENCE: Role.CONFERENCING,
    Refusal.NO_RESOURCE_ACCOUNT_LICENCE: Role.RESOURCE_ACCOUNT,
}
_PLAINLY_MENDED = frozenset(
    {
        Refusal.ORGANISATION_CLOSED,
        Refusal.USER_BLOCKED,
        Refusal.NUMBER_BARRED,
        Refusal.CALLER_BARRED,
        Refusal.INSUFFICIENT_CREDIT,
        Refusal.TOO_MANY_CALLS,
        Refusal.NEW_DESTINATION_LIMIT,
        Refusal.INTERNATIONAL_SPEND_LIMIT,
        Refusal.SPEND_LIMIT_REACHED,
        Refusal.GROUP_SPEND_LIMIT_REACHED,
    }
)
_AT_ONCE = {CallType.CONF_OUT: "conference_calls", CallType.VOICE_APP_OUT: "resource_calls"}


# -- the number to ask about -------------------------------------------------------------------------------------------


def _number(unit: Unit, organisation: OrganisationView, user: UserView, asked: _Asked, terms: Terms) -> Number:
    """A number to ask about: for calls in the organisation's own if it has one, else one made up in a country."""
    if asked.call_type is CallType.CONF_IN:
        ours = next(_own_numbers(unit, organisation.org_id, user, asked.kind), None)
        return ours or _made_up(organisation.country, asked.kind)
    home = user.usage_location or organisation.country
    return _made_up(_abroad(home, terms) if asked.abroad else home, asked.kind)


def _own_numbers(unit: Unit, org_id: str, user: UserView, kind: Kind) -> Iterator[Number]:
    """Numbers of a kind that ring the resource account, or for anybody else conferences."""
    owner, after = user.user_id if user.resource else "", ""
    while found := unit.directory.numbers(org_id, owner, "", after, _PAGE):
        for one in found:
            number = number_plan().lookup(parse_e164(one.number))
            if number.kind is kind and (user.resource or one.use == NumberUse.CONFERENCE.value):
                yield number
        after = found[-1].number.removeprefix("+")


def _abroad(home: str, terms: Terms) -> str:
    """A country that is another one for charging as well."""
    return next(country for country in ("GB", "US", "FR", "DE") if not terms.is_domestic(home, country))


_TYPES = {Kind.FIXED: "FIXED_LINE", Kind.MOBILE: "MOBILE", Kind.PREMIUM: "PREMIUM_RATE", Kind.TOLL_FREE: "TOLL_FREE"}


def _made_up(country: str, kind: Kind) -> Number:
    """A possible number of a kind in a country; raises `InvalidInput` where there are none."""
    import phonenumbers  # noqa: PLC0415  Takes as long to import as all the rest: only those who need it wait.

    wanted = getattr(phonenumbers.PhoneNumberType, _TYPES[kind])
    example = phonenumbers.example_number_for_type(country, wanted)
    if example is None:
        remedy = f"there are no {kind.label} numbers in {country}; give the number that is to be called"
        raise InvalidInput("number", "", remedy)
    return number_plan().lookup(parse_e164(phonenumbers.format_number(example, phonenumbers.PhoneNumberFormat.E164)))


def _drawn(pool: PoolView | None) -> int:
    return pool.used_seconds + pool.held_seconds if pool else 0
