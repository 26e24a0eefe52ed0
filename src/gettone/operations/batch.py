"""One batch of charging requests: load what it concerns, decide each request, write what was decided.

Idempotency: (session id, request number) names a request. The answer is stored in the transaction that makes it true;
the same request again gets the same answer and changes nothing, the same name with another body is refused.

A request is decided in this order: who asks and for what (`opening`), who may pay (`domain.entitlement`), what the
fraud guard and the spending limits leave (`tallies`), how far the payers reach (`domain.session`).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from zlib import crc32

import msgspec

from gettone.domain import session
from gettone.domain.entitlement import PayerKind
from gettone.domain.parties import CallType, User
from gettone.domain.pools import Pool, is_own, period_of, twin_of
from gettone.domain.rating import Rate
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call, CallState, EndedBy, Funds, Settlement
from gettone.domain.usage import UsageRecord
from gettone.operations.alarms import PoolMark, pools_used, watch, watch_refusal
from gettone.operations.checking import fault_of, used_less
from gettone.operations.messages import (
    Answer,
    ChargeEvent,
    Grant,
    Part,
    Reconciled,
    RecordCall,
    Refused,
    Request,
    Settled,
    SettleSilent,
    StartCall,
    StopCall,
    UpdateCall,
)
from gettone.operations.notices import FREECALL as FREECALL_NOTICE
from gettone.operations.notices import UNRATED as UNRATED_NOTICE
from gettone.operations.opening import PRICED, Opening, OpeningRequest, References, dials_out, is_inbound, opens, plain
from gettone.operations.ports import (
    Account,
    CallKey,
    Changes,
    ChargingUnit,
    Loaded,
    Notice,
    RequestKey,
    StoredAnswer,
)
from gettone.operations.tallies import NOTHING, Standing, Tallies, counts, standing, subjects_of

_encode = msgspec.json.Encoder().encode
_decode_answer = msgspec.json.Decoder(Answer).decode

PAYER_NAMES = {
    PayerKind.FREE: "free",
    PayerKind.POOL: "pool",
    PayerKind.CREDITS: "credits",
    PayerKind.POST_USAGE: "post_usage",
}
_PAYER_NAME_BY_CODE = {kind.value: name for kind, name in PAYER_NAMES.items()}

EMERGENCY_ANYWHERE = frozenset({"112", "911"})
"""Dial strings that mobile networks route as emergency calls everywhere (3GPP TS 22.101, section 10)."""


def refused(request: Request, reason: Refusal, detail: str = "") -> Refused:
    """Turn *request* down."""
    return Refused(
        org_id=request.org_id,
        session_id=request.session_id,
        request_number=request.request_number,
        reason=reason,
        detail=detail,
    )


class Batch:
    """One transaction's worth of requests: what was loaded, and what is decided so far."""

    def __init__(self, unit: ChargingUnit, references: References, now: datetime, grace_seconds: int) -> None:
        """Prepare to decide at the instant *now*."""
        self._unit = unit
        self._directory = references.directory
        self._catalogue = references.catalogue
        self._shelf = references.shelf
        self._opening = Opening(unit, references, now)
        self._now = now
        self._grace_seconds = grace_seconds
        # Calls draw on the month they began in: this one or the last, whatever the time zone; older ones are rare.
        self._first_period = period_of(now - timedelta(days=32), UTC)
        self._changes = Changes()
        self._tallies = Tallies(unit, references.known_destinations, self._changes, now)
        self._pools_told = references.pools_told
        self._pools_used: dict[PoolMark, Notice] = {}
        self._loaded = Loaded({}, {}, 0)
        self._stored: dict[RequestKey, StoredAnswer] = {}

    # -- load ----------------------------------------------------------------------------------------------------

    def load(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Lock and read all that the batch concerns; returns the requests with their organisation filled in."""
        requests = self._with_organisation(requests)
        keys: dict[CallKey, None] = {}
        for request in requests:
            keys[request.org_id, request.session_id] = None
            if type(request) is RecordCall and request.live_session_id:
                keys[request.org_id, request.live_session_id] = None
        self._loaded = self._unit.load(sorted({org_id for org_id, _ in keys if org_id}), list(keys), self._first_period)
        self._shelf.refresh(self._unit, self._loaded.rates_version)
        self._catalogue.refresh(self._unit, self._loaded.catalogue_version)
        users, numbers = self._references(requests)
        self._directory.refresh(self._unit, self._loaded.accounts, users, numbers)
        self._load_of_callers(requests)
        self._stored = self._earlier_answers(requests)
        return requests

    def _with_organisation(self, requests: Sequence[Request]) -> Sequence[Request]:
        """Find the organisation of starts that do not name it, by the numbers of the call."""
        if all(request.org_id for request in requests):
            return requests
        asked = {
            digits
            for request in requests
            if not request.org_id and opens(request)
            for digits in (plain(request.calling), plain(request.called))
            if digits
        }
        owners = self._unit.number_owners(asked) if asked else {}
        return [
            msgspec.structs.replace(request, org_id=_owner(request, owners))
            if not request.org_id and opens(request)
            else request
            for request in requests
        ]

    def _references(self, requests: Sequence[Request]) -> tuple[list[CallKey], list[CallKey]]:
        users: list[tuple[str, str]] = []
        numbers: list[tuple[str, str]] = []
        for request in requests:
            if opens(request):
                if request.user:
                    users.append((request.org_id, request.user))
                if not request.user or is_inbound(request):
                    numbers.append((request.org_id, plain(request.called)))
                    numbers.append((request.org_id, plain(request.calling)))
        # A user may have other limits by now, or own minutes, than when the call was opened.
        users += [(call.org_id, call.user_id) for call in self._loaded.calls.values() if call.user_id]
        return users, numbers

    def _load_of_callers(self, requests: Sequence[Request]) -> None:
        """Read what is counted for each caller: the tallies that limits are about, and minutes of their own."""
        subjects: list[tuple[str, str]] = []
        pools: dict[tuple[str, str], int] = {}
        for org_id, user, conference in self._callers(requests):
            subjects += self._tallies.subjects(org_id, user, conference=conference)
            own = self._opening.own_minutes(org_id, user)
            if own is not None:
                pools[org_id, own[0]] = own[1]
        for call in self._loaded.calls.values():
            if counts(call):
                subjects += [(call.org_id, subject) for subject in subjects_of(call)]
            for payer in call.payers:
                if is_own(payer.pool_key):
                    pools.setdefault((call.org_id, payer.pool_key), 0)
        self._tallies.load(subjects, self._first_period)
        if pools:
            self._unit.own_pools(self._loaded.accounts, sorted(pools), self._first_period)
            for (org_id, key), seconds in pools.items():
                self._loaded.accounts[org_id].set_size(key, seconds)

    def _callers(self, requests: Sequence[Request]) -> Iterator[tuple[str, User, bool]]:
        """Whose calls the batch is about, with their organisation, and whether a conference dials."""
        for request in requests:
            if opens(request) and request.org_id in self._loaded.accounts:
                user = self._opening.caller(request)
                if user is not None:
                    yield request.org_id, user, dials_out(request)
        for call in self._loaded.calls.values():
            user = self._directory.user(call.org_id, call.user_id) if counts(call) else None
            if user is not None:
                yield call.org_id, user, call.call_type == CallType.CONF_OUT.value

    def _earlier_answers(self, requests: Sequence[Request]) -> dict[RequestKey, StoredAnswer]:
        """Read stored answers for the requests that may be repeats: those not past their call's last request."""
        repeats: list[RequestKey] = []
        for request in requests:
            call = self._loaded.calls.get((request.org_id, request.session_id))
            if call is not None and request.request_number <= call.last_request:
                repeats.append((request.org_id, request.session_id, request.request_number))
        return self._unit.answers(repeats) if repeats else {}

    def save(self) -> None:
        """Write what was decided."""
        for (org_id, deck_id), error in self._opening.unpriced.items():
            notice_id = f"{FREECALL_NOTICE}/{deck_id}/{self._now.date().isoformat()}"
            facts = {"deck": deck_id, "error": error}
            self._changes.notices[org_id, notice_id] = Notice(org_id, notice_id, FREECALL_NOTICE, "", facts)
        for org_id, account in self._changes.accounts.items():
            self._tell(watch(account, self._now))
            self._pools_used |= pools_used(org_id, account.pools.values(), self._pools_told)
        self._tell(self._pools_used.values())
        if self._changes.any:
            self._unit.save(self._changes, self._now)

    def committed(self) -> bool:
        """Remember what was told, now that it is durable; says whether a recharge has become due."""
        self._pools_told.update(self._pools_used)
        return any(account.marks.recharge_due_at == self._now for account in self._changes.accounts.values())

    def _tell(self, notices: Iterable[Notice]) -> None:
        for told in notices:
            self._changes.notices[told.org_id, told.notice_id] = told

    # -- decide --------------------------------------------------------------------------------------------------

    def answer(self, request: Request) -> Answer:
        """Decide one request."""
        account = self._loaded.accounts.get(request.org_id)
        if account is None:
            return self._without_account(request)
        call = self._loaded.calls.get((request.org_id, request.session_id))
        if type(request) is RecordCall:
            return self._record(request, account, call)
        if type(request) is SettleSilent:
            return self._settle_silent(request, account, call)
        repeated = self._repeated(request, call) if call is not None else None
        if repeated is not None:
            return repeated
        answer = _DECISIONS[type(request)](self, request, account, call)
        if call is None or call.last_request == request.request_number:
            self._remember(request, answer)
        return answer

    def _without_account(self, request: Request) -> Answer:
        """No organisation: emergency calls go on all the same, nothing else does."""
        if not request.org_id and not opens(request):
            return refused(request, Refusal.INVALID_REQUEST, "org_id '': name the organisation that the start answered")
        if type(request) is StartCall and plain(request.called) in EMERGENCY_ANYWHERE:
            return self._emergency_grant(request)
        return refused(request, Refusal.UNKNOWN_ORGANISATION)

    def _repeated(self, request: Request, call: Call) -> Answer | None:
        """The answer if *request* was answered before, or cannot follow what was; None if it is new."""
        if request.request_number > call.last_request:
            return refused(request, Refusal.SESSION_EXISTS) if opens(request) else None
        stored = self._stored.get((request.org_id, request.session_id, request.request_number))
        if stored is None:
            return refused(request, Refusal.REQUEST_NUMBER_BEHIND)
        if stored.fingerprint != fingerprint(request):
            return refused(request, Refusal.REQUEST_CHANGED)
        answer = cast("Answer", _decode_answer(stored.body))
        return msgspec.structs.replace(answer, org_id=call.org_id, session_id=call.session_id)

    def _remember(self, request: Request, answer: Answer) -> None:
        """Store *answer* under the request's name; a request about no call at all leaves nothing behind."""
        if (request.org_id, request.session_id) not in self._loaded.calls:
            return
        # The names of organisation and call stand beside it anyway.
        anonymous = msgspec.structs.replace(answer, org_id="", session_id="")
        stored = StoredAnswer(fingerprint(request), _encode(anonymous))
        key = (request.org_id, request.session_id, request.request_number)
        self._changes.answers[key] = self._stored[key] = stored

    def start(self, request: StartCall, account: Account, _call: Call | None) -> Answer:
        """Open a call, or refuse it."""
        call, rate, refusal = self._opening.call(request)
        if refusal is not None:
            return self._refuse(request, call, refusal)
        guarded = self._guarded(call, rate)
        if guarded is not None:
            return self._refuse(request, call, guarded)
        funds = self._funds(call, rate, account)
        reached = session.reach(call, request.requested_seconds, funds)
        self._note_cap(call, reached, account, refused=reached.to_second == 0)
        if reached.to_second == 0:
            return self._refuse(request, call, exhausted(call, rate, reached))
        # After this point the call is decided; only storage can fail.
        session.hold(call, reached, funds)
        self._keep(call, account, new=True)
        self._count(call, NOTHING, account)
        return self._granted(request, call, reached, account)

    def update(self, request: UpdateCall, account: Account, call: Call | None) -> Answer:
        """Take note of what is used, and grant more."""
        if call is None:
            return refused(request, Refusal.UNKNOWN_SESSION)
        if call.state is not CallState.OPEN:
            return refused(request, Refusal.SESSION_ENDED)
        if request.used_seconds < call.used_seconds:
            return refused(request, Refusal.INVALID_REQUEST, used_less(request.used_seconds, call.used_seconds))
        funds = self._funds(call, self._opening.rate_of(call), account)
        before = standing(call)
        reached = session.reach(call, request.used_seconds + request.requested_seconds, funds)
        self._note_cap(call, reached, account, refused=False)
        # After this point the call is decided; only storage can fail.
        session.hold(call, reached, funds)
        call.used_seconds = request.used_seconds
        call.last_request = request.request_number
        self._keep(call, account)
        self._count(call, before, account)
        return self._granted(request, call, reached, account)

    def stop(self, request: StopCall, account: Account, call: Call | None) -> Answer:
        """Settle a call, or what came to light after it was settled."""
        if call is None:
            return refused(request, Refusal.UNKNOWN_SESSION)
        late = call.state is CallState.ENDED and call.ended_by is EndedBy.SUPERVISION
        if call.state is not CallState.OPEN and not late:
            return refused(request, Refusal.SESSION_ENDED)
        if request.used_seconds < call.used_seconds:
            return refused(request, Refusal.INVALID_REQUEST, used_less(request.used_seconds, call.used_seconds))
        funds = self._funds(call, self._opening.rate_of(call), account)
        before = standing(call)
        call.last_request = request.request_number
        ended_at = request.at or call.started_at + timedelta(seconds=request.used_seconds)
        if late:
            settlement = session.settle_late(call, request.used_seconds, funds)
            call.ended_at, call.ended_by = ended_at, EndedBy.STOP
        else:
            settlement = session.settle(call, request.used_seconds, ended_at, EndedBy.STOP, funds)
        self._book(call, settlement, account)
        self._count(call, before, account)
        return self._settled(request, call, settlement, account)

    def _settle_silent(self, request: SettleSilent, account: Account, call: Call | None) -> Answer:
        if call is None:
            return refused(request, Refusal.UNKNOWN_SESSION)
        if call.state is not CallState.OPEN or call.supervise_until is None or call.supervise_until > self._now:
            return refused(request, Refusal.SESSION_ENDED)
        funds = self._funds(call, self._opening.rate_of(call), account)
        before = standing(call)
        ended_at = call.started_at + timedelta(seconds=call.used_seconds)
        settlement = session.settle(call, call.used_seconds, ended_at, EndedBy.SUPERVISION, funds)
        self._book(call, settlement, account)
        self._count(call, before, account)
        return self._settled(request, call, settlement, account)

    def event(self, request: ChargeEvent, account: Account, _call: Call | None) -> Answer:
        """Charge an event at once, all of it or nothing."""
        call, rate, refusal = self._opening.call(request)
        if refusal is not None:
            return self._refuse(request, call, refusal)
        guarded = self._guarded(call, rate)
        if guarded is not None:
            return self._refuse(request, call, guarded)
        funds = self._funds(call, rate, account)
        reached = session.reach(call, request.units, funds)
        self._note_cap(call, reached, account, refused=reached.to_second < request.units)
        if reached.to_second < request.units:
            return self._refuse(request, call, exhausted(call, rate, reached))
        # After this point the event is decided; only storage can fail.
        session.hold(call, reached, funds)
        settlement = session.settle(call, request.units, call.started_at, EndedBy.STOP, funds)
        self._keep(call, account, new=True)
        self._book(call, settlement, account)
        self._count(call, NOTHING, account)
        return self._settled(request, call, settlement, account)

    def _record(self, request: RecordCall, account: Account, call: Call | None) -> Answer:
        """Charge a record once; one of a call that was charged live is only compared with it."""
        live = self._loaded.calls.get((request.org_id, request.live_session_id)) if request.live_session_id else None
        earlier = call or (live if live is not None and live.state is not CallState.REFUSED else None)
        if earlier is not None:
            return Reconciled(
                org_id=request.org_id,
                session_id=request.session_id,
                request_number=request.request_number,
                charged_micros=earlier.charged_micros,
                currency=account.wallet.currency,
                duplicate=call is not None,
                still_open=earlier.state is CallState.OPEN,
                difference_seconds=request.used_seconds - earlier.used_seconds,
            )
        call, rate, refusal = self._opening.call(request)
        if refusal is not None:
            # Not kept: when what is missing has been put right, the same file charges it.
            return refused(request, refusal, detail_of(call, refusal))
        if rate is None and call.payers[0].kind in PRICED:
            return refused(request, Refusal.NO_RATE, f"called {request.called!r}")
        funds = self._funds(call, rate, account, limited=False)
        ended_at = call.started_at + timedelta(seconds=request.used_seconds)
        settlement = session.settle(call, request.used_seconds, ended_at, EndedBy.RECORD, funds)
        self._keep(call, account, new=True)
        self._book(call, settlement, account)
        self._count(call, NOTHING, account)
        if counts(call):
            self._tallies.recorded(call, self._directory.organisation(call.org_id), rate)
        return self._settled(request, call, settlement, account)

    def currency(self, org_id: str) -> str:
        """The currency of an organisation that was loaded; empty for one that is not known."""
        account = self._loaded.accounts.get(org_id)
        return account.wallet.currency if account else ""

    def dry_run(self, request: StartCall) -> "tuple[Call, session.Reach | None, Settlement | None, Refused | None]":
        """Open, reach and settle the call of *request* on what was loaded, without keeping anything of it."""
        fault = fault_of(request, self._now)
        [request] = [request] if fault else cast("list[StartCall]", list(self.load([request])))
        account = self._loaded.accounts.get(request.org_id)
        if fault or account is None:
            reason = Refusal.INVALID_REQUEST if fault else Refusal.UNKNOWN_ORGANISATION
            call = Call(request.org_id, "", request.call_type, request.calling, request.called, self._now, 0)
            return call, None, None, refused(request, reason, fault)
        call, rate, refusal = self._opening.call(request)
        if refusal is not None:
            return call, None, None, refused(request, refusal, detail_of(call, refusal))
        guarded = self._guarded(call, rate)
        if guarded is not None:
            return call, None, None, refused(request, guarded)
        funds = self._funds(call, rate, account)
        reached = session.reach(call, request.requested_seconds, funds)
        refusal = exhausted(call, rate, reached) if reached.to_second < request.requested_seconds else None
        settlement = session.settle(call, request.requested_seconds, self._now, EndedBy.STOP, funds)
        return call, reached, settlement, refused(request, refusal) if refusal else None

    # -- what is kept and answered -------------------------------------------------------------------------------

    def _funds(self, call: Call, rate: Rate | None, account: Account, *, limited: bool = True) -> Funds:
        """What *call* may draw on; the months of its pools are read, or begun. *limited*: whether limits count."""
        for payer in call.payers:
            if payer.kind is PayerKind.POOL:
                pool = self._pool(account, payer.pool_key, call.period)
                twin = twin_of(payer.pool_key)
                if twin is not None and pool.twin is None:
                    pool.twin = self._pool(account, twin, call.period)
        cap = self._tallies.cap(call, self._directory.organisation(call.org_id)) if limited and counts(call) else None
        return Funds(account.wallet, account.pools, rate, self._now, cap=cap)

    def _pool(self, account: Account, pool_key: str, period: int) -> Pool:
        if (pool_key, period) not in account.pools:
            if period < self._first_period:
                self._unit.older_pool(account, pool_key, period)
            else:
                account.new_pool(pool_key, period)
        return account.pools[pool_key, period]

    def _guarded(self, call: Call, rate: Rate | None) -> Refusal | None:
        """Why the fraud guard does not let *call* begin, if it does not."""
        return self._tallies.refusal(call, self._directory.organisation(call.org_id), rate) if counts(call) else None

    def _note_cap(self, call: Call, reached: session.Reach, account: Account, *, refused: bool) -> None:
        """Tell of the spending limit that ended the grant, or kept the call from beginning, if one did."""
        if reached.capped is not None:
            organisation = self._directory.organisation(call.org_id)
            self._tallies.capped(call, reached.capped, organisation, account, refused=refused)

    def _count(self, call: Call, before: Standing, account: Account) -> None:
        """Count what *call* has become since *before* in the tallies that limits are about."""
        if counts(call):
            organisation = self._directory.organisation(call.org_id)
            self._tallies.moved(call, before, organisation, account.wallet.currency)

    def _keep(self, call: Call, account: Account, *, new: bool = False) -> None:
        """Note that *call* and its account are to be written."""
        key = (call.org_id, call.session_id)
        self._changes.accounts[call.org_id] = account
        if new:
            self._loaded.calls[key] = self._changes.new_calls[key] = call
        elif key not in self._changes.new_calls:
            self._changes.changed_calls[key] = call
        if call.state is CallState.OPEN:
            granted = max(0, call.granted_to - call.used_seconds)
            call.supervise_until = self._now + timedelta(seconds=granted + self._grace_seconds)

    def _refuse(self, request: Request, call: Call, reason: Refusal) -> Refused:
        """Keep a refused call: it is shown to the administrator, and a repeat gets the same answer."""
        call.state, call.refusal = CallState.REFUSED, reason
        account = self._loaded.accounts[call.org_id]
        if reason is Refusal.INSUFFICIENT_CREDIT:
            self._tell(watch_refusal(account, self._now))
        self._keep(call, account, new=True)
        return refused(request, reason, detail_of(call, reason))

    def _book(self, call: Call, settlement: Settlement | None, account: Account) -> None:
        """Write the usage records and the ledger entry of a settled call."""
        self._keep(call, account)
        if settlement is None:
            return
        entry_number = 0
        if settlement.entry is not None:
            account.entry_number += 1
            entry_number = account.entry_number
            self._changes.entries.append((call.org_id, entry_number, settlement.entry))
        first_line = call.usage_lines - len(settlement.usage)
        for line, record in enumerate(settlement.usage, first_line):
            self._changes.usage.append((call.org_id, call.session_id, line, record, entry_number))
            if record.capability == session.UNRATED:
                self._tell_unrated(call)

    def _tell_unrated(self, call: Call) -> None:
        """Tell the administrator, once a day and country, of seconds that nobody could price."""
        where = call.country or call.called
        notice_id = f"{UNRATED_NOTICE}/{where}/{self._now.date().isoformat()}"
        facts = {"session": call.session_id, "called": call.called, "country": call.country}
        self._changes.notices[call.org_id, notice_id] = Notice(call.org_id, notice_id, UNRATED_NOTICE, "", facts)

    def _granted(self, request: StartCall | UpdateCall, call: Call, reached: session.Reach, account: Account) -> Grant:
        granted = max(0, reached.to_second - call.used_seconds)
        payer = call.payers[reached.phases[-1].payer]
        return Grant(
            org_id=call.org_id,
            session_id=call.session_id,
            request_number=request.request_number,
            granted_seconds=granted,
            final=reached.final,
            valid_seconds=granted + self._grace_seconds,
            payer=PAYER_NAMES[payer.kind],
            currency=account.wallet.currency,
            held_micros=call.held_micros,
            pool_key=payer.pool_key,
            destination=call.destination,
            reason=None if granted else reached.capped.reason if reached.capped else call.when_exhausted,
        )

    def _emergency_grant(self, request: StartCall) -> Grant:
        """Let an emergency call of nobody we know go on; nothing of it is kept."""
        return Grant(
            org_id=request.org_id,
            session_id=request.session_id,
            request_number=request.request_number,
            granted_seconds=request.requested_seconds,
            final=False,
            valid_seconds=request.requested_seconds + self._grace_seconds,
            payer=PAYER_NAMES[PayerKind.FREE],
            currency="",
            held_micros=0,
        )

    def _settled(self, request: Request, call: Call, settlement: Settlement | None, account: Account) -> Settled:
        return Settled(
            org_id=call.org_id,
            session_id=call.session_id,
            request_number=request.request_number,
            used_seconds=call.used_seconds,
            billed_seconds=call.billed_seconds,
            charged_micros=call.charged_micros,
            currency=account.wallet.currency,
            destination=call.destination,
            overrun_micros=settlement.overrun_micros if settlement else 0,
            parts=parts_of(settlement.usage) if settlement else (),
        )


_DECISIONS: Mapping[type, Callable[[Batch, Any, Account, Call | None], Answer]] = {
    StartCall: Batch.start,
    UpdateCall: Batch.update,
    StopCall: Batch.stop,
    ChargeEvent: Batch.event,
}


def fingerprint(request: Request) -> int:
    """A checksum that tells whether two requests of one name have the same body; made against mistakes, not malice."""
    return crc32(_encode(request))


def detail_of(call: Call, reason: Refusal) -> str:
    """What in *call* is at fault, for the reasons that alone do not say."""
    if reason is Refusal.INVALID_REQUEST:
        return f"called {call.called!r}: dial an emergency number of the caller's country, or E.164 with a plus"
    return ""


def _owner(request: OpeningRequest, owners: dict[str, str]) -> str:
    """The organisation whose call this is: that of the number that rings, or else of the number that calls."""
    calling, called = owners.get(plain(request.calling), ""), owners.get(plain(request.called), "")
    return called or calling if is_inbound(request) else calling or called


def parts_of(usage: Sequence[UsageRecord]) -> tuple[Part, ...]:
    """The parts of an answer, one for each usage record."""
    return tuple(
        Part(
            payer=_PAYER_NAME_BY_CODE[part.payer],
            from_second=part.from_second,
            seconds=part.seconds,
            billed_seconds=part.billed_seconds,
            charged_micros=part.charge_micros,
            connection_micros=part.connection_micros,
            pool_key=part.pool_key,
            capability=part.capability,
        )
        for part in usage
    )


def exhausted(call: Call, rate: "Rate | None", reached: session.Reach) -> Refusal:
    """Why the payers of *call* did not reach: no price for those who pay by price, a limit, else nothing left."""
    if rate is None and any(payer.kind in PRICED for payer in call.payers):
        return Refusal.NO_RATE
    return reached.capped.reason if reached.capped else call.when_exhausted
