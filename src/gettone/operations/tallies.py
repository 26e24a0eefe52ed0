"""Spending limits and the fraud guard at the charging desk: what they leave of a call, and what calls add to them.

Every outbound call of a user counts in the tally of the user and of the user's groups, what a conference dials also in
that of the organiser's conferences, and an international call in that of the organisation; `domain.policies` says what
the figures mean. At once a user has the calls the user makes; what a conference dials runs in the conference. A tally
is read under the wallet's lock, changed with the call that changes it, and written in the same transaction.

A limit never touches a call that was made: it shortens what is granted. Records of past calls, which arrive in files,
count for the month they belong to, and for the guard's hour only if they are of this very hour.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from gettone.domain.entitlement import PREMIUM_KINDS
from gettone.domain.parties import CallType, Organisation, User
from gettone.domain.policies import GUARD_BLOCK, ORGANISATION, Cap, Guard, Tally, hour_of, take_warning
from gettone.domain.rating import Rate
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call, CallState, EndedBy
from gettone.operations.notices import GUARD_REFUSED, SPEND_LIMIT_REACHED, SPEND_WARNING, USER_BLOCKED
from gettone.operations.ports import Account, Changes, ChargingUnit, Notice, UserBlocked

COUNTED = frozenset(
    call_type.value
    for call_type in (
        CallType.USER_OUT,
        CallType.USER_OUT_CONF,
        CallType.USER_OUT_TRANSFER,
        CallType.USER_OUT_FORWARDING,
        CallType.CONF_OUT,
        CallType.VOICE_APP_OUT,
        CallType.SMS_OUT,
    )
)
"""The kinds of call that limits are about: those a user of the organisation makes."""

CONF_OUT = CallType.CONF_OUT.value
_SMS_OUT, _VOICE_APP_OUT = CallType.SMS_OUT.value, CallType.VOICE_APP_OUT.value

GUARDED_KINDS = frozenset(kind.label for kind in PREMIUM_KINDS)
"""Kinds of number that are premium destinations whatever they cost."""

BLOCK_PERCENT = 80
"""Share of the hour's limit from which on a user is blocked who would go beyond it."""

_GROUP_LIMIT = Refusal.GROUP_SPEND_LIMIT_REACHED
_HOUR_LIMIT = Refusal.INTERNATIONAL_SPEND_LIMIT

TallyKey = tuple[str, str, int]
"""(org_id, subject, period)."""


Standing = tuple[int, int, int]
"""What a call counts for at one moment: whether it is open, what it may cost, what it has cost."""

NOTHING: Standing = (0, 0, 0)


def counts(call: Call) -> bool:
    """Whether limits are about *call*."""
    return bool(call.user_id) and call.call_type in COUNTED


def standing(call: Call) -> Standing:
    """What *call* counts for now."""
    if call.state is CallState.OPEN:
        return 1, call.committed_micros, 0
    return 0, 0, call.charged_micros


def user_subject(user_id: str) -> str:
    """The subject that stands for one user."""
    return f"user/{user_id}"


def conference_subject(user_id: str) -> str:
    """The subject that stands for the conferences of one organiser."""
    return f"conference/{user_id}"


def subjects_of(call: Call) -> tuple[str, ...]:
    """What *call* counts for: the user, the groups, the user's conferences if one dials, the organisation if abroad."""
    return counted_subjects(call.user_id, call.groups, conference=call.call_type == CONF_OUT, abroad=call.international)


def counted_subjects(user_id: str, groups: tuple[str, ...], *, conference: bool, abroad: bool) -> tuple[str, ...]:
    """As `subjects_of`, for what is written down of a call."""
    conferences = (conference_subject(user_id),) if conference else ()
    return (user_subject(user_id), *groups, *conferences, *((ORGANISATION,) if abroad else ()))


class Tallies:
    """The tallies of one batch."""

    def __init__(self, unit: ChargingUnit, known: dict[str, frozenset[str]], changes: Changes, now: datetime) -> None:
        """Read through *unit*, note in *changes* what is to be written; *known* remembers premium destinations."""
        self._unit = unit
        self._changes = changes
        self._now = now
        self._hour = hour_of(now)
        self._tallies: dict[TallyKey, Tally] = {}
        self._periods: dict[tuple[str, str], list[Tally]] = {}
        self._asked: dict[tuple[str, str], int] = {}
        self._by_caller: dict[tuple[str, str, tuple[str, ...], bool, bool, int], list[Tally]] = {}
        self._known = known
        self._read_destinations: dict[str, dict[str, datetime | None]] = {}
        self._blocked: set[tuple[str, str]] = set()
        # By call: a destination is known only once a call to it has begun.
        self._new_destinations: dict[tuple[str, str], str] = {}
        self._callers: dict[tuple[str, str], User] = {}

    def load(self, subjects: Iterable[tuple[str, str]], first_period: int) -> None:
        """Read the tallies of (org_id, subject) from *first_period* on."""
        wanted = sorted(set(subjects))
        if wanted:
            self._asked.update(dict.fromkeys(wanted, first_period))
            for org_id, tally in self._unit.tallies(wanted, first_period):
                self._put(org_id, tally, counts_now=True)

    def subjects(self, org_id: str, user: User, *, conference: bool) -> list[tuple[str, str]]:
        """The tallies that a call of *user*, or of a *conference* of the user's, concerns.

        From now on the user's own limit is known.
        """
        # By id: a call that came in under a number or a name must not meet what was cached of its user earlier.
        self._callers[org_id, user.user_id] = user
        own = (org_id, user_subject(user.user_id))
        found = [own, (org_id, ORGANISATION), *((org_id, group) for group in user.groups)]
        return [*found, (org_id, conference_subject(user.user_id))] if conference else found

    # -- what the limits leave -----------------------------------------------------------------------------------

    def refusal(self, call: Call, organisation: Organisation, rate: Rate | None) -> Refusal | None:
        """Why the fraud guard refuses to open *call*, if it does."""
        guard = organisation.policies.guard
        if (call.org_id, call.user_id) in self._blocked:
            return Refusal.USER_BLOCKED
        at_once = _at_once(call, guard)
        if at_once is not None:
            subject, limit = at_once
            there = self._periods.get((call.org_id, subject), [])
            if sum(tally.open_calls for tally in there) >= limit:
                self._guard_notice(call, Refusal.TOO_MANY_CALLS, str(limit))
                return Refusal.TOO_MANY_CALLS
        if guard.new_premium_per_day is None or not _is_premium(call, rate, guard.premium_minute_micros):
            return None
        destination = destination_of(call)
        if self._is_known(call.org_id, destination):
            return None
        if self._new_today(call.org_id) >= guard.new_premium_per_day:
            self._guard_notice(call, Refusal.NEW_DESTINATION_LIMIT, str(guard.new_premium_per_day))
            return Refusal.NEW_DESTINATION_LIMIT
        self._new_destinations[call.org_id, call.session_id] = destination
        return None

    def _is_known(self, org_id: str, destination: str) -> bool:
        """Whether the organisation has called a premium destination before; read once for a batch, and never forgotten.

        What is known stays known, so only a destination that is new to this process asks the database.
        """
        if destination in self._known.get(org_id, ()) or (org_id, destination) in self._changes.destinations:
            return True
        return destination in self._destinations(org_id)

    def _new_today(self, org_id: str) -> int:
        since = self._now - timedelta(days=1)
        in_batch = sum(of == org_id and first > since for (of, _), first in self._changes.destinations.items())
        return in_batch + sum(first is not None and first > since for first in self._destinations(org_id).values())

    def _destinations(self, org_id: str) -> dict[str, datetime | None]:
        found = self._read_destinations.get(org_id)
        if found is None:
            found = self._read_destinations[org_id] = self._unit.destinations(org_id)
            self._known[org_id] = frozenset(found)
        return found

    def cap(self, call: Call, organisation: Organisation) -> Cap | None:
        """The tightest of the limits that count for *call*; None when none does."""
        policies = organisation.policies
        tallies = self._tallies_of(call)
        own = tallies[0]
        limit = _own_limit(self._callers.get((call.org_id, call.user_id)), organisation)
        tightest = (
            None if limit is None else Cap(limit - own.committed_micros, Refusal.SPEND_LIMIT_REACHED, own.subject)
        )
        if policies.group_limits_micros:
            for tally in tallies[1 : 1 + len(call.groups)]:
                limit = policies.group_limits_micros.get(tally.subject)
                tightest = _tighter(tightest, limit, tally.committed_micros, _GROUP_LIMIT, tally)
        if call.international:
            guard, hour = policies.guard, self._hour
            tightest = _tighter(tightest, guard.user_hour_micros, own.in_hour(hour), _HOUR_LIMIT, own)
            whole = tallies[-1]
            tightest = _tighter(tightest, guard.organisation_hour_micros, whole.in_hour(hour), _HOUR_LIMIT, whole)
        return tightest

    def capped(self, call: Call, cap: Cap, organisation: Organisation, account: Account, *, refused: bool) -> None:
        """Say that a limit has ended a call, or kept it from beginning; the guard may block the user for it."""
        if cap.reason is not Refusal.INTERNATIONAL_SPEND_LIMIT:
            limit = _limit_of(cap.subject, self._callers.get((call.org_id, call.user_id)), organisation)
            self._spend_notice(call, self._tally(call, cap.subject), limit, account.wallet.currency, 100)
            return
        guard = organisation.policies.guard
        of_user = cap.subject != ORGANISATION
        limit_micros = guard.user_hour_micros if of_user else guard.organisation_hour_micros
        self._guard_notice(call, cap.reason, str(limit_micros))
        spent = self._tally(call, cap.subject).in_hour(self._hour)
        reached = limit_micros is not None and spent * 100 >= limit_micros * BLOCK_PERCENT
        if refused and reached and of_user and guard.block_hours and (call.org_id, call.user_id) not in self._blocked:
            until = self._now + timedelta(hours=guard.block_hours)
            self._blocked.add((call.org_id, call.user_id))
            self._changes.blocks.append(UserBlocked(call.org_id, call.user_id, GUARD_BLOCK, until, call.called))
            account.directory_version += 1
            facts = {"reason": GUARD_BLOCK, "until": until.isoformat()}
            self._notice(call.org_id, USER_BLOCKED, cap.subject, self._now.isoformat(), facts)

    # -- what calls add ------------------------------------------------------------------------------------------

    def moved(self, call: Call, before: Standing, organisation: Organisation, currency: str) -> None:
        """Count what *call* has become since *before*."""
        destination = self._new_destinations.pop((call.org_id, call.session_id), None)
        if destination is not None:
            self._changes.destinations[call.org_id, destination] = self._now
        after = standing(call)
        if after == before:
            return
        opened, held, spent = after[0] - before[0], after[1] - before[1], after[2] - before[2]
        tallies = self._tallies_of(call)
        in_this_hour = call.international and self._is_of_this_hour(call, held + spent)
        changed, org_id = self._changes.tallies, call.org_id
        conference = call.call_type == CONF_OUT
        for tally in tallies:
            if not conference or tally.subject == conference_subject(call.user_id):
                tally.open_calls += opened
            tally.held_micros += held
            tally.spent_micros += spent
            if in_this_hour:
                tally.commit(held + spent, self._hour)
            changed[org_id, tally.subject, tally.period] = tally
        if spent > 0:
            user = self._callers.get((org_id, call.user_id))
            for tally in tallies[: 1 + len(call.groups)]:
                limit = _limit_of(tally.subject, user, organisation)
                due = take_warning(tally, limit) if limit else 0
                if limit and due:
                    self._spend_notice(call, tally, limit, currency, due)

    def recorded(self, call: Call, organisation: Organisation, rate: Rate | None) -> None:
        """Let a premium destination count as known, since a call to it was made."""
        if _is_premium(call, rate, organisation.policies.guard.premium_minute_micros):
            self._changes.destinations.setdefault((call.org_id, destination_of(call)), call.started_at)

    def _is_of_this_hour(self, call: Call, micros: int) -> bool:
        """Whether the guard's hour counts it: what is given back only if it was counted within the same hour."""
        if micros >= 0 and call.ended_by is not EndedBy.RECORD:
            return True
        return hour_of(call.started_at) == self._hour

    def _tallies_of(self, call: Call) -> list[Tally]:
        """The tallies that *call* counts in: of the user, of the groups, and of the organisation if it is abroad."""
        conference = call.call_type == CONF_OUT
        key = (call.org_id, call.user_id, call.groups, conference, call.international, call.period)
        found = self._by_caller.get(key)
        if found is None:
            found = self._by_caller[key] = [self._tally(call, subject) for subject in subjects_of(call)]
        return found

    def _tally(self, call: Call, subject: str) -> Tally:
        key = (call.org_id, subject, call.period)
        found = self._tallies.get(key)
        if found is None:
            # A call of a month before those that were read is rare.
            older = self._asked.get((call.org_id, subject), call.period + 1) > call.period
            if older:
                self._load_older(call.org_id, subject, call.period)
            found = self._tallies.get(key) or self._put(call.org_id, Tally(subject, call.period), counts_now=not older)
        return found

    def _load_older(self, org_id: str, subject: str, period: int) -> None:
        # Whether a call of long ago is in the batch or not, it does not count among those that run at once.
        self._asked[org_id, subject] = period
        for _, tally in self._unit.tallies([(org_id, subject)], period):
            self._put(org_id, tally)

    def _put(self, org_id: str, tally: Tally, *, counts_now: bool = False) -> Tally:
        known = self._tallies.setdefault((org_id, tally.subject, tally.period), tally)
        if known is tally and counts_now:
            self._periods.setdefault((org_id, tally.subject), []).append(tally)
        return known

    # -- what the administrator is told --------------------------------------------------------------------------

    def _spend_notice(self, call: Call, tally: Tally, limit: int | None, currency: str, percent: int) -> None:
        tally.warned_percent = max(tally.warned_percent, percent)
        self._changes.tallies[call.org_id, tally.subject, tally.period] = tally
        facts = {
            "percent": str(percent),
            "limit": str(limit),
            "committed": str(tally.committed_micros),
            "currency": currency,
            "month": str(tally.period),
        }
        kind = SPEND_LIMIT_REACHED if percent >= 100 else SPEND_WARNING
        # A limit that was raised and is reached again is another crossing.
        self._notice(call.org_id, kind, tally.subject, f"{tally.period}/{limit}", facts)

    def _guard_notice(self, call: Call, reason: Refusal, limit: str) -> None:
        facts = {"refusal": reason.value, "limit": limit, "called": call.called, "destination": destination_of(call)}
        crossing = f"{reason.value}/{self._now.date().isoformat()}"
        self._notice(call.org_id, GUARD_REFUSED, user_subject(call.user_id), crossing, facts)

    def _notice(self, org_id: str, kind: str, subject: str, crossing: str, facts: dict[str, str]) -> None:
        notice_id = f"{kind}/{subject}/{crossing}"
        self._changes.notices.setdefault((org_id, notice_id), Notice(org_id, notice_id, kind, subject, facts))


def _at_once(call: Call, guard: Guard) -> tuple[str, int] | None:
    """Which calls run at once with *call*, and how many may; None for no limit. A message runs beside nothing."""
    if call.call_type == _SMS_OUT:
        return None
    subject, limit = user_subject(call.user_id), guard.concurrent_calls
    if call.call_type == CONF_OUT:
        subject, limit = conference_subject(call.user_id), guard.conference_calls
    elif call.call_type == _VOICE_APP_OUT:
        limit = guard.resource_calls
    return None if limit is None else (subject, limit)


def destination_of(call: Call) -> str:
    """How a premium destination is named: as the rate deck does, else by country and kind."""
    return call.destination or f"{call.country} {call.kind}".strip()


def _is_premium(call: Call, rate: Rate | None, minute_micros: int | None) -> bool:
    if call.kind in GUARDED_KINDS:
        return True
    if rate is None or minute_micros is None or not call.international:
        return False
    return rate.charge(60, at=call.started_at).micros >= minute_micros


def _own_limit(user: User | None, organisation: Organisation) -> int | None:
    own = user.limit_micros if user else None
    return organisation.policies.user_limit_micros if own is None else own


def _limit_of(subject: str, user: User | None, organisation: Organisation) -> int | None:
    if subject.startswith("user/"):
        return _own_limit(user, organisation)
    return organisation.policies.group_limits_micros.get(subject)


def _tighter(than: Cap | None, limit: int | None, counted: int, reason: Refusal, tally: Tally) -> Cap | None:
    """The tighter of two limits, the second being *limit* less what is *counted* already."""
    if limit is None or (than is not None and than.left_micros <= limit - counted):
        return than
    return Cap(limit - counted, reason, tally.subject)
