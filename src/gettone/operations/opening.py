"""Open a call: who takes part, what kind of call it is, who pays for it and at which rate."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeGuard

from gettone.catalogue.tables import catalogue
from gettone.domain.catalogue import Role
from gettone.domain.entitlement import Entitlement, Payer, PayerKind, forbidden, who_pays
from gettone.domain.numbers import DIGITS_MIN, EmergencyNumbers, NumberPlan
from gettone.domain.parties import CallFacts, CallType, NumberUse, Organisation, ServedNumber, User
from gettone.domain.pools import own_pool_key
from gettone.domain.rating import Rate
from gettone.domain.refusals import Refusal
from gettone.domain.session import FREECALL, Call
from gettone.errors import StorageError
from gettone.operations.alarms import PoolMark
from gettone.operations.lookup import CatalogueShelf, DeckShelf, Directory
from gettone.operations.messages import ChargeEvent, RecordCall, Request, StartCall
from gettone.operations.ports import ChargingUnit

logger = logging.getLogger(__name__)

OpeningRequest = StartCall | ChargeEvent | RecordCall

PRICED = frozenset({PayerKind.CREDITS, PayerKind.POST_USAGE})
"""Payers who pay by the published rate."""

_INBOUND_BY_USE = {
    NumberUse.USER: CallType.USER_IN,
    NumberUse.CONFERENCE: CallType.CONF_IN,
    NumberUse.AUTO_ATTENDANT: CallType.VOICE_APP_IN,
    NumberUse.CALL_QUEUE: CallType.VOICE_APP_IN,
    NumberUse.UNASSIGNED: CallType.UNASSIGNED_IN,
}

_USER_OUT, _CONF_OUT = CallType.USER_OUT.value, CallType.CONF_OUT.value
_SMS_OUT, _EMERGENCY = CallType.SMS_OUT.value, CallType.EMERGENCY.value

_OPENING = frozenset({StartCall, ChargeEvent, RecordCall})
_INBOUND = frozenset({call_type.value for call_type in CallType if call_type.inbound})
# Services are rung on numbers of the organisation's; a user may be reached in other ways.
_RUNG_ONLY = _INBOUND - {CallType.USER_IN.value}
_PRECEDENCE = {reason: place for place, reason in enumerate(Refusal)}
_CALL_TYPES = {call_type.value: call_type for call_type in CallType}


@dataclass(frozen=True, slots=True)
class Tables:
    """The shipped tables that decisions read; the catalogue, to which operators add rows, is in `References`."""

    plan: NumberPlan
    emergency: EmergencyNumbers


@dataclass(frozen=True, slots=True)
class References:
    """All that decisions look up: the shipped tables, and caches of the directory, the catalogue and the rate decks."""

    tables: Tables
    catalogue: CatalogueShelf = field(default_factory=lambda: CatalogueShelf(catalogue))
    directory: Directory = field(default_factory=Directory)
    shelf: DeckShelf = field(default_factory=DeckShelf)
    known_destinations: dict[str, frozenset[str]] = field(default_factory=dict)
    pools_told: set[PoolMark] = field(default_factory=set)


def plain(number: str) -> str:
    """Digits of a number without its plus; whatever cannot be one is left as it is."""
    return number[1:] if number[:1] == "+" else number


class Opening:
    """Opens calls with what one batch knows."""

    def __init__(self, unit: ChargingUnit, references: References, now: datetime) -> None:
        """Open calls at the instant *now*."""
        self._unit = unit
        self._tables = references.tables
        self._directory = references.directory
        self._catalogue = references.catalogue
        self._shelf = references.shelf
        self._now = now
        self.unpriced: dict[tuple[str, str], str] = {}

    def call(self, request: OpeningRequest) -> tuple[Call, Rate | None, Refusal | None]:
        """Make the call that *request* asks for, with its payers and rate, and why it is refused, if it is."""
        organisation = self._directory.organisation(request.org_id)
        at = request.at or self._now
        local = at.astimezone(organisation.zone)
        call = Call(
            org_id=request.org_id,
            session_id=request.session_id,
            call_type=_SMS_OUT if isinstance(request, ChargeEvent) else request.call_type,
            calling=request.calling,
            called=request.called,
            started_at=at,
            period=local.year * 100 + local.month,
            last_request=request.request_number,
        )
        facts = self._facts(request, call, organisation)
        if isinstance(facts, Refusal):
            return call, None, facts
        terms = self._catalogue.terms(local.date())
        entitled = who_pays(facts, terms)
        # A record tells of a call that was made: what the organisation's own rules would have forbidden is charged.
        refusal = None if isinstance(request, RecordCall) else forbidden(facts, terms)
        if refusal is not None or not isinstance(entitled, Entitlement):
            return call, None, _first(refusal, entitled)
        call.payers, call.when_exhausted = entitled.payers, entitled.when_exhausted
        if facts.user is not None and facts.called is not None:
            call.groups = facts.user.groups
            home = facts.user.usage_location or organisation.country
            call.international = not facts.call_type.inbound and not terms.is_domestic(home, facts.called.country)
        return call, self._price(call, facts), None

    def rate_of(self, call: Call) -> Rate | None:
        """The rate that *call* was opened with; None when it has none, or when it cannot be read by a fault of ours."""
        if call.rate_index < 0:
            return None
        try:
            return self._shelf.compiled(self._unit, call.deck_id).rates[call.rate_index]
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is not to blame and goes on free
            self._fault(call, call.deck_id, error)
            return None

    def caller(self, request: OpeningRequest) -> User | None:
        """The user who makes the call that *request* asks for; None when it comes in, or nobody is known."""
        if is_inbound(request):
            return None
        if request.user:
            return self._directory.user(request.org_id, request.user)
        ours = self._directory.number(request.org_id, plain(request.calling))
        return ours.user if ours else None

    def own_minutes(self, org_id: str, user: User) -> tuple[str, int] | None:
        """The pool of a user's own minutes and its seconds a month, if the licences held today bring any."""
        zone = self._directory.organisation(org_id).zone
        terms = self._catalogue.terms(self._now.astimezone(zone).date())
        plan = terms.holdings(user.licences).by_role.get(Role.OWN_MINUTES)
        if plan is None:
            return None
        brought = terms.allotment(plan.service_plan, user.usage_location)
        return own_pool_key(user.user_id, plan.service_plan), brought.domestic_minutes * 60 if brought else 0

    def _facts(self, request: OpeningRequest, call: Call, organisation: Organisation) -> CallFacts | Refusal:
        """Find the user or the number of ours, and what kind of call this is; note them in *call*."""
        org_id, dialled = request.org_id, plain(request.called)
        user = self._directory.user(org_id, request.user) if request.user else None
        served = None if request.user or is_inbound(request) else self._directory.number(org_id, plain(request.calling))
        rung = self._directory.number(org_id, dialled) if is_inbound(request) or not (request.user or served) else None
        ours = served or rung
        user = user or (ours.user if ours else None)
        call.user_id = user.user_id if user else ""
        country = (user.usage_location if user else "") or organisation.country
        if call.call_type == _EMERGENCY or self._tables.emergency.is_emergency(dialled, country):
            call.call_type = _EMERGENCY
            return CallFacts(CallType.EMERGENCY, None, call.started_at, "", organisation, user, ours)
        if len(dialled) < DIGITS_MIN:
            return Refusal.INVALID_REQUEST
        if request.user and user is None:
            return Refusal.UNKNOWN_USER
        if ours is None and (not request.user or call.call_type in _RUNG_ONLY):
            return Refusal.UNKNOWN_NUMBER
        call_type = _call_type(call.call_type, rung)
        if call_type is None:
            return Refusal.NOT_OFFERED
        number = self._tables.plan.lookup(dialled)
        call.call_type, call.country, call.kind = call_type._value_, number.country, number.kind.label
        return CallFacts(call_type, number, call.started_at, plain(request.calling), organisation, user, ours)

    def _price(self, call: Call, facts: CallFacts) -> Rate | None:
        """Find the rate in the deck in force, and note it; None when no payer needs one or there is none.

        Pools have no price, but usage past the last grant of a pool has.
        """
        if facts.called is None or all(payer.kind is PayerKind.FREE for payer in call.payers):
            return None
        organisation = facts.organisation
        deck = self._shelf.in_force(organisation.price_list, organisation.currency, call.started_at)
        if deck is None:
            return None
        try:
            compiled = self._shelf.compiled(self._unit, deck.deck_id)
            index = compiled.lookup(facts.called, "sms" if facts.call_type is CallType.SMS_OUT else "voice")
        except StorageError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is not to blame and goes on free
            self._fault(call, deck.deck_id, error)
            unpriced = tuple(payer for payer in call.payers if payer.kind not in PRICED)
            call.payers = (*unpriced, Payer(PayerKind.FREE, capability=FREECALL))
            return None
        if index is None:
            return None
        call.deck_id, call.rate_index, call.destination = deck.deck_id, index, compiled.destination(index)
        return compiled.rates[index]

    def _fault(self, call: Call, deck_id: str, error: Exception) -> None:
        """A deck that was accepted cannot be used: the call is free, and somebody has to know (facts, section 6)."""
        logger.error("rate deck %s cannot be used, calls are given away", deck_id, exc_info=error)
        self.unpriced[call.org_id, deck_id] = f"{type(error).__name__}: {error}"


def _first(forbidding: Refusal | None, entitled: Entitlement | Refusal) -> Refusal:
    """Of two reasons the one that goes before."""
    reasons = [reason for reason in (forbidding, entitled) if isinstance(reason, Refusal)]
    return min(reasons, key=_PRECEDENCE.__getitem__)


def opens(request: Request) -> TypeGuard[OpeningRequest]:
    """Whether *request* begins a call."""
    return type(request) in _OPENING


def dials_out(request: OpeningRequest) -> bool:
    """Whether *request* says that a conference dials out."""
    return not isinstance(request, ChargeEvent) and request.call_type == _CONF_OUT


def is_inbound(request: OpeningRequest) -> bool:
    """Whether *request* says that a number of ours is rung."""
    return not isinstance(request, ChargeEvent) and request.call_type in _INBOUND


def _call_type(asked: str, rung: ServedNumber | None) -> CallType | None:
    """The kind of call: what rings decides for calls in, what was asked for calls out; None when there is no such."""
    if rung is not None:
        return _INBOUND_BY_USE[rung.use]
    return _CALL_TYPES.get(asked or _USER_OUT)
