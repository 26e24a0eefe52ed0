"""Decide about one call: what may be granted, what is held for it, and what it costs in the end (D8, D11 to D13).

A call walks its chain of payers once, from the first to the last. What it has reached is a list of *phases*: payer,
from which second to which second since the answer. Start and update hold pool seconds and credit for the phases up to
``used + quota``; the stop cuts the phases at what was used, charges each to its payer, and releases the rest. Usage
past the grant is never dropped: it is drawn from what is free, and what nothing covers is an overrun of the wallet.

The order inside every public function: compute first; from the first change on, nothing can fail.

Invariants:

- phases are contiguous from second 0, and their payers never go backwards;
- a pool phase is whole increments, and the pool holds exactly its length;
- ``sum(call.lot_holds) ==`` the price of the call's credit phases, until the call is settled, once.
"""

import enum
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction

from gettone.domain.entitlement import CREDITS, Payer, PayerKind
from gettone.domain.ledger import Account, Entry, EntryKind, Posting, entry
from gettone.domain.lots import Burn
from gettone.domain.policies import Cap
from gettone.domain.pools import Pool
from gettone.domain.rating import Rate
from gettone.domain.refusals import Refusal
from gettone.domain.usage import UsageRecord
from gettone.domain.wallet import LotHolds, Wallet

FREECALL = "FREECALL"
"""The usage report's word for a call that could not be priced by a fault of ours, and is given away."""

_POST_USAGE = PayerKind.POST_USAGE.value

UNRATED = "UNRATED"
"""Seconds past the last grant to where no rate is published: nobody can say what they cost."""


class CallState(enum.Enum):
    """Where a call is in its life; it ends once, by its stop, by supervision or by its record in a file."""

    OPEN = "open"
    ENDED = "ended"
    REFUSED = "refused"


class EndedBy(enum.Enum):
    """What settled the call."""

    STOP = "stop"
    SUPERVISION = "supervision"
    RECORD = "record"


@dataclass(frozen=True, slots=True)
class Phase:
    """Seconds of the call, from the answer on, that one payer covers; *payer* indexes the call's chain."""

    payer: int
    from_second: int
    to_second: int


@dataclass(slots=True)
class Call:
    """One call of one organisation, from its start to its settlement.

    *groups* are the subjects, beside the user, that its cost counts for (`policies`); *international* calls count for
    the fraud guard; *promised_micros* is the price of what is granted on post-usage billing.
    """

    org_id: str
    session_id: str
    call_type: str
    calling: str
    called: str
    started_at: datetime
    period: int
    user_id: str = ""
    country: str = ""
    kind: str = ""
    destination: str = ""
    payers: tuple[Payer, ...] = ()
    when_exhausted: Refusal = Refusal.INSUFFICIENT_CREDIT
    deck_id: str = ""
    rate_index: int = -1
    state: CallState = CallState.OPEN
    phases: list[Phase] = field(default_factory=list)
    lot_holds: LotHolds = field(default_factory=dict)
    used_seconds: int = 0
    granted_to: int = 0
    last_request: int = 0
    supervise_until: datetime | None = None
    ended_at: datetime | None = None
    ended_by: EndedBy | None = None
    refusal: Refusal | None = None
    billed_seconds: int = 0
    charged_micros: int = 0
    usage_lines: int = 0
    groups: tuple[str, ...] = ()
    international: bool = False
    promised_micros: int = 0

    @property
    def held_micros(self) -> int:
        """Credit that this call reserves."""
        return sum(self.lot_holds.values())

    @property
    def committed_micros(self) -> int:
        """What the call may cost up to its grant: credit held, and what post-usage billing is to pay."""
        return self.held_micros + self.promised_micros

    @property
    def covered_to(self) -> int:
        """The second up to which payers are found; at least what is granted."""
        return self.phases[-1].to_second if self.phases else 0


@dataclass(slots=True)
class Funds:
    """What a decision may draw on: the wallet, the pools by (key, month), the call's rate, at the instant *now*.

    *ceiling* is the highest price, in micros per second, that may be paid; None for any. *cap* is the tightest of the
    spending limits that count for the call.
    """

    wallet: Wallet
    pools: dict[tuple[str, int], Pool]
    rate: Rate | None
    now: datetime
    ceiling: Fraction | None = None
    cap: Cap | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the payers go: *phases* cover the call up to *to_second*, for which *hold_micros* of credit is held.

    *promised_micros* is the price of what post-usage billing pays. *capped* is the spending limit that kept the payers
    from going further, None when it was none.
    """

    phases: list[Phase]
    to_second: int
    hold_micros: int
    final: bool
    promised_micros: int = 0
    capped: Cap | None = None


@dataclass(frozen=True, slots=True)
class Settlement:
    """The end of a call: what it cost, who paid which seconds, and the entry for the ledger, if money moved."""

    billed_seconds: int
    charged_micros: int
    overrun_micros: int
    usage: tuple[UsageRecord, ...]
    entry: Entry | None


def reach(call: Call, want_to: int, funds: Funds) -> Reach:
    """Find how far the chain of payers can carry *call*, at most to second *want_to*. Changes nothing.

    Each payer is asked for one second more than is wanted: whoever could pay it shows that the grant is not the last.
    A spending limit is the reason for the end only if the payers would have gone further without it.
    """
    if funds.cap is None:
        return _reach_within(call, want_to, funds, None)
    reached = _reach_within(call, want_to, funds, max(0, funds.cap.left_micros) + call.committed_micros)
    if not reached.final:
        return reached
    without = _reach_within(call, want_to, funds, None)
    went_further = without.to_second > reached.to_second or not without.final
    return replace(reached, capped=funds.cap) if went_further else reached


def _reach_within(call: Call, want_to: int, funds: Funds, allowed: int | None) -> Reach:
    """As `reach`, where no more than *allowed* micros may be spent on the whole call; None for no limit."""
    phases = list(call.phases)
    wallet = _spendable(funds) + call.held_micros
    budget = wallet if allowed is None else min(wallet, allowed)
    final = True
    for index in range(phases[-1].payer if phases else 0, len(call.payers)):
        own = phases.pop() if phases and phases[-1].payer == index else None
        start = own.from_second if own else phases[-1].to_second if phases else 0
        so_far = own or Phase(index, start, start)
        spendable = budget if call.payers[index].kind is not PayerKind.POST_USAGE else allowed
        left = None if spendable is None else spendable - _price(call, phases, funds)
        end = _payer_reach(call, so_far, want_to + 1, left, funds)
        final = end <= want_to
        if not final:
            end = _whole(call, so_far, want_to, funds)
        if end > start:
            phases.append(Phase(index, start, end))
        if not final:
            break
    to_second = min(want_to, phases[-1].to_second) if phases else 0
    return Reach(phases, to_second, _price(call, phases, funds), final, _promised(call, phases, funds))


def hold(call: Call, reached: Reach, funds: Funds) -> None:
    """Reserve what *reached* needs, in place of what the call held before. Cannot fail."""
    for phase in call.phases:
        _move_pool_hold(call, phase, funds, -1)
    for phase in reached.phases:
        _move_pool_hold(call, phase, funds, +1)
    call.lot_holds = funds.wallet.adjust_hold(call.lot_holds, reached.hold_micros, funds.now)
    call.promised_micros = reached.promised_micros
    call.phases = reached.phases
    call.granted_to = max(call.granted_to, reached.to_second)


def settle(call: Call, used_seconds: int, ended_at: datetime, ended_by: EndedBy, funds: Funds) -> Settlement:
    """Charge what *call* used to its payers, release the rest, and end it. Once per call; cannot be refused."""
    if used_seconds > call.covered_to:
        _hold_past_the_grant(call, used_seconds, funds)
    usage = tuple(_part(call, phase, used_seconds, funds) for phase in call.phases if phase.from_second < used_seconds)
    for phase, record in zip(call.phases, usage, strict=False):
        _use_pool(call, phase, record.billed_seconds, funds)
    for phase in call.phases:
        _move_pool_hold(call, phase, funds, -1)
    call.phases = [_cut(phase, used_seconds) for phase in call.phases if phase.from_second < used_seconds]
    settlement = _charge(call, usage, call.lot_holds, EntryKind.CALL_CHARGED, funds)
    call.lot_holds, call.promised_micros = {}, 0
    call.state, call.ended_at, call.ended_by = CallState.ENDED, ended_at, ended_by
    return settlement


def settle_late(call: Call, used_seconds: int, funds: Funds) -> Settlement | None:
    """Charge what a switch reports after supervision had settled the call with less; None when there is no more (D12).

    The seconds not yet charged first use up the increment that a pool has paid for. The rest goes on with the last
    payer when that is free or priced, else with credits: the pool's month may be over, and usage is never dropped.
    """
    if used_seconds <= call.covered_to:
        return None
    last = call.phases[-1] if call.phases else None
    usage: list[UsageRecord] = []
    if last and call.payers[last.payer].kind is PayerKind.POOL:
        payer, settled_to = call.payers[last.payer], last.to_second
        pool = funds.pools[payer.pool_key, call.period]
        paid_to = last.from_second + pool.whole_increments(settled_to - last.from_second)
        end = min(used_seconds, paid_to)
        if end > settled_to:
            call.phases[-1] = Phase(last.payer, last.from_second, end)
            part = UsageRecord(payer.kind._value_, payer.pool_key, payer.capability, settled_to, end - settled_to, 0)
            usage.append(part)
    if used_seconds > call.covered_to:
        usage.append(_late_part(call, used_seconds, funds))
    return _charge(call, tuple(usage), {}, EntryKind.LATE_USAGE, funds)


def _late_part(call: Call, used_seconds: int, funds: Funds) -> UsageRecord:
    """What a free or priced payer pays of a late report; its phase is lengthened, or begun."""
    settled_to = call.covered_to
    late = _late_phase(call, settled_to, used_seconds, funds)
    payer = call.payers[late.payer]
    if late.from_second < settled_to:
        call.phases.pop()
    call.phases.append(late)
    seconds = used_seconds - settled_to
    if payer.kind is PayerKind.FREE:
        return UsageRecord(payer.kind._value_, "", payer.capability, settled_to, seconds, seconds)
    if funds.rate is None:
        return UsageRecord(payer.kind._value_, "", _unpriced(call), settled_to, seconds, 0)
    whole = funds.rate.charge(used_seconds, at=call.started_at, from_second=late.from_second)
    before = funds.rate.charge(settled_to, at=call.started_at, from_second=late.from_second)
    return UsageRecord(
        payer.kind._value_,
        "",
        payer.capability,
        settled_to,
        seconds,
        whole.billed_seconds - before.billed_seconds,
        whole.micros - before.micros,
        whole.connection_micros - before.connection_micros,
    )


def _payer_reach(call: Call, phase: Phase, want_to: int, budget: int | None, funds: Funds) -> int:
    """The second up to which one payer covers the call from the start of *phase*; never less than it already does.

    *budget* is what may be spent on it, in micros; None for no limit.
    """
    payer = call.payers[phase.payer]
    if want_to <= phase.to_second:
        return phase.to_second
    match payer.kind:
        case PayerKind.FREE:
            return want_to
        case PayerKind.POOL:
            pool = funds.pools[payer.pool_key, call.period]
            own = phase.to_second - phase.from_second
            asked = -(-(want_to - phase.from_second) // pool.increment_seconds)
            end = (
                phase.from_second
                + min(asked, (pool.free_seconds + own) // pool.increment_seconds) * pool.increment_seconds
            )
            if pool.rate is None or budget is None:
                return max(end, phase.to_second)
            return pool.rate.affordable(
                budget, end, at=call.started_at, from_second=phase.from_second, ceiling=funds.ceiling
            )
        case PayerKind.CREDITS | PayerKind.POST_USAGE:
            if funds.rate is None:
                # A call that had a rate goes on free when its deck cannot be read any more (FREECALL).
                return want_to if call.rate_index >= 0 else phase.to_second
            if budget is None:
                return want_to
            end = funds.rate.affordable(
                budget, want_to, at=call.started_at, from_second=phase.from_second, ceiling=funds.ceiling
            )
            return max(end, phase.to_second)


def _whole(call: Call, phase: Phase, want_to: int, funds: Funds) -> int:
    """Where a payer's phase ends that is to cover the call up to *want_to*: pools are drawn in whole increments."""
    payer = call.payers[phase.payer]
    end = want_to
    if payer.kind is PayerKind.POOL:
        pool = funds.pools[payer.pool_key, call.period]
        end = phase.from_second + pool.whole_increments(want_to - phase.from_second)
    return max(end, phase.to_second)


def _phase_rate(call: Call, phase: Phase, funds: Funds) -> Rate | None:
    """The rate at which credit pays for *phase*: that of the call, or of a pool whose minutes have a price."""
    payer = call.payers[phase.payer]
    if payer.kind is PayerKind.CREDITS:
        return funds.rate
    return funds.pools[payer.pool_key, call.period].rate if payer.kind is PayerKind.POOL else None


def _price(call: Call, phases: list[Phase], funds: Funds) -> int:
    """Credit needed for *phases*, in micros."""
    total = 0
    for phase in phases:
        rate = _phase_rate(call, phase, funds)
        if rate is not None:
            total += rate.charge(phase.to_second, at=call.started_at, from_second=phase.from_second).micros
    return total


def _promised(call: Call, phases: list[Phase], funds: Funds) -> int:
    """What post-usage billing is to pay for *phases*, in micros; it is the last payer."""
    last = phases[-1] if phases else None
    if last is None or call.payers[last.payer].kind is not PayerKind.POST_USAGE or funds.rate is None:
        return 0
    return funds.rate.charge(last.to_second, at=call.started_at, from_second=last.from_second).micros


def _move_pool_hold(call: Call, phase: Phase, funds: Funds, sign: int) -> None:
    payer = call.payers[phase.payer]
    if payer.kind is PayerKind.POOL:
        funds.pools[payer.pool_key, call.period].held_seconds += sign * (phase.to_second - phase.from_second)


def _use_pool(call: Call, phase: Phase, billed_seconds: int, funds: Funds) -> None:
    payer = call.payers[phase.payer]
    if payer.kind is PayerKind.POOL:
        funds.pools[payer.pool_key, call.period].used_seconds += billed_seconds


def _cut(phase: Phase, used_seconds: int) -> Phase:
    return Phase(phase.payer, phase.from_second, min(phase.to_second, used_seconds))


def _hold_past_the_grant(call: Call, used_seconds: int, funds: Funds) -> None:
    """Cover usage that went past the grant: from what is free, the rest by credits, whether they are there or not.

    No spending limit counts any more: the call has been made.
    """
    reached = _reach_within(call, used_seconds, funds, None)
    hold(call, reached, funds)
    if call.covered_to >= used_seconds:
        return
    index = _index_of(call, PayerKind.CREDITS)
    last = call.phases[-1] if call.phases else None
    if index == len(call.payers):
        call.payers = (*call.payers, CREDITS)
    if last is not None and last.payer == index:
        call.phases[-1] = Phase(index, last.from_second, used_seconds)
    else:
        call.phases.append(Phase(index, call.covered_to, used_seconds))


def _part(call: Call, phase: Phase, used_seconds: int, funds: Funds) -> UsageRecord:
    """What one payer pays of a call that used *used_seconds*."""
    payer = call.payers[phase.payer]
    cut = _cut(phase, used_seconds)
    seconds = cut.to_second - cut.from_second
    if payer.kind is PayerKind.FREE:
        return UsageRecord(payer.kind._value_, "", payer.capability, cut.from_second, seconds, seconds)
    rate = _phase_rate(call, phase, funds) if payer.kind is not PayerKind.POST_USAGE else funds.rate
    if payer.kind is PayerKind.POOL:
        billed = funds.pools[payer.pool_key, call.period].whole_increments(seconds)
        price = rate.charge(cut.to_second, at=call.started_at, from_second=cut.from_second) if rate else None
        return UsageRecord(
            payer.kind._value_,
            payer.pool_key,
            payer.capability,
            cut.from_second,
            seconds,
            billed,
            price.micros if price else 0,
            price.connection_micros if price else 0,
        )
    if rate is None:
        return UsageRecord(payer.kind._value_, "", _unpriced(call), cut.from_second, seconds, 0)
    price = rate.charge(cut.to_second, at=call.started_at, from_second=cut.from_second)
    return UsageRecord(
        payer.kind._value_,
        "",
        payer.capability,
        cut.from_second,
        seconds,
        price.billed_seconds,
        price.micros,
        price.connection_micros,
    )


def _unpriced(call: Call) -> str:
    """How to report seconds without a price: a rate that was there and cannot be read is a fault of ours."""
    return FREECALL if call.rate_index >= 0 else UNRATED


def _late_phase(call: Call, settled_to: int, used_seconds: int, funds: Funds) -> Phase:
    """Who pays late seconds: the last payer, or credits after a pool; post-usage billing where credits do not cover."""
    last = call.phases[-1] if call.phases else Phase(0, 0, 0)
    phase = Phase(last.payer, last.from_second, used_seconds)
    if call.payers[last.payer].kind is PayerKind.POOL:
        phase = Phase(_index_of(call, PayerKind.CREDITS), settled_to, used_seconds)
    post_usage = _index_of(call, PayerKind.POST_USAGE)
    if post_usage == len(call.payers):
        if phase.payer == len(call.payers):
            call.payers = (*call.payers, CREDITS)
        return phase
    if phase.payer < len(call.payers) and call.payers[phase.payer].kind is not PayerKind.CREDITS:
        return phase
    if phase.payer < len(call.payers) and _late_price(call, phase, settled_to, funds) <= _spendable(funds):
        return phase
    return Phase(post_usage, settled_to, used_seconds)


def _index_of(call: Call, kind: PayerKind) -> int:
    """The place of a kind of payer in the chain; behind its end when it is not there."""
    return next((i for i, payer in enumerate(call.payers) if payer.kind is kind), len(call.payers))


def _late_price(call: Call, phase: Phase, settled_to: int, funds: Funds) -> int:
    if funds.rate is None:
        return 0
    whole = funds.rate.charge(phase.to_second, at=call.started_at, from_second=phase.from_second)
    before = funds.rate.charge(settled_to, at=call.started_at, from_second=phase.from_second)
    return whole.micros - before.micros


def _spendable(funds: Funds) -> int:
    return max(0, funds.wallet.available_micros(funds.now))


def _charge(call: Call, usage: tuple[UsageRecord, ...], holds: LotHolds, kind: EntryKind, funds: Funds) -> Settlement:
    """Move the money for *usage* and write it down: the one place where a call touches the wallet's credit."""
    receivable = sum([part.charge_micros for part in usage if part.payer == _POST_USAGE])
    charged = sum([part.charge_micros for part in usage])
    burns, overrun = funds.wallet.settle(holds, charged - receivable, funds.now)
    covered = funds.wallet.cover_overrun(funds.now)
    billed = sum([part.billed_seconds for part in usage])
    call.used_seconds = max([call.used_seconds, *[part.from_second + part.seconds for part in usage]])
    call.billed_seconds += billed
    call.charged_micros += charged
    call.usage_lines += len(usage)
    booked = None
    if charged or covered:
        booked = entry(kind, call.session_id, charge_postings(burns, covered, overrun, receivable, charged))
    return Settlement(billed, charged, overrun, usage, booked)


def charge_postings(
    burns: list[Burn], covered: list[Burn], overrun: int, receivable: int, charged: int
) -> list[Posting]:
    """The postings of a charge: all that is paid or owed goes to usage; *covered* credit pays an earlier overrun."""
    owed = sum([burn.micros for burn in covered]) - overrun
    return [
        *(Posting(Account.WALLET, -burn.micros, burn.lot_id) for burn in burns + covered),
        Posting(Account.OVERRUN, owed),
        Posting(Account.RECEIVABLE, -receivable),
        Posting(Account.USAGE, charged),
    ]
