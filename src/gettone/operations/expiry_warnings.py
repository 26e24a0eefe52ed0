"""Credit that is going to expire is announced 60, 30 and 7 days before, once for each lot and mark (D21).

A mark is reached when the day begins, in the organisation's billing time zone, that many days before the last day on
which the credit can be used. One that was past when the credit came is not told; of several that were missed, only the
latest is. What is told is the credit that is there when it is told.

The walk is over unspent lots in order of organisation, and looking at one costs microseconds. Whether a notice is there
is looked up only where a mark was reached since the walk before, which a process remembers, or a day earlier, for an
organisation may have moved to another time zone; the first walk of a process looks all up.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from gettone.operations.crediting import tell_once
from gettone.operations.notices import CREDIT_EXPIRING
from gettone.operations.office import Office
from gettone.operations.views import ExpiringLot

MARKS = (7, 30, 60)
"""Days before, the latest mark first (facts, section 3)."""
BATCH = 1000
# Days are those of a zone; no two zones are further apart than that.
_ZONES = timedelta(hours=26)
_WITHIN = timedelta(days=MARKS[-1]) + _ZONES


@dataclass(frozen=True, slots=True)
class _Due:
    """A lot whose mark is reached: *days* the mark, *left* how many days there really are."""

    lot: ExpiringLot
    days: int
    left: int
    last_day: date


class ExpiryWarnings:
    """Tells of credit that is going to expire. One for each process."""

    def __init__(self, office: Office, *, stopping: Callable[[], bool] = lambda: False) -> None:
        """Tell in *office*; *stopping* ends a walk before its end, and the next one begins anew."""
        self._office = office
        self._stopping = stopping
        self._walked_at: datetime | None = None

    def __call__(self, now: datetime) -> int:
        """Tell what has to be told at *now*; returns how many notices were written."""
        since = self._walked_at - _ZONES if self._walked_at is not None else None
        told = 0
        for org_id, lots in groupby(self._lots(now), key=lambda lot: lot.org_id):
            if self._stopping():
                return told
            due = [one for lot in lots if (one := _due(lot, since, now)) is not None]
            if due:
                told += self._tell(org_id, due, now)
        # Not beyond now: when the clock is put back, what it passes again is looked up again.
        self._walked_at = now
        return told

    def _lots(self, now: datetime) -> Iterator[ExpiringLot]:
        after = ("", "")
        while True:
            with self._office.read() as unit:
                part = unit.money.lots_expiring(now, now + _WITHIN, after, BATCH)
            yield from part
            if len(part) < BATCH:
                return
            after = (part[-1].org_id, part[-1].lot_id)

    def _tell(self, org_id: str, due: list[_Due], now: datetime) -> int:
        with self._office.read() as unit:
            due = [one for one in due if unit.telling.notice(org_id, _notice_id(one)) is None]
        if not due:
            return 0
        with self._office.write(org_id) as unit:
            there = unit.money.lots_by_id(org_id, [one.lot.lot_id for one in due])
            told = 0
            for one in due:
                remaining = there[one.lot.lot_id].remaining_micros
                if not remaining or unit.telling.notice(org_id, _notice_id(one)) is not None:
                    continue
                facts = {"amount": str(remaining), "expires_on": one.last_day.isoformat(), "days": str(one.left)}
                tell_once(unit, CREDIT_EXPIRING, _crossing(one), now, subject="", **facts)
                told += 1
            return told


def _crossing(one: _Due) -> str:
    return f"{one.lot.lot_id}/{one.days}"


def _notice_id(one: _Due) -> str:
    return f"{CREDIT_EXPIRING}//{_crossing(one)}"


def _due(lot: ExpiringLot, since: datetime | None, now: datetime) -> _Due | None:
    """The latest mark of *lot* that is reached, unless it was before *since*, or before the lot was there."""
    zone = ZoneInfo(lot.time_zone)
    # The instant of expiry is the first at which the credit cannot be used.
    last_day = (lot.expires_at - timedelta(microseconds=1)).astimezone(zone).date()
    for days in MARKS:
        day = last_day - timedelta(days=days)
        reached_at = datetime(day.year, day.month, day.day, tzinfo=zone)
        if reached_at > now:
            continue
        if reached_at <= lot.purchased_at or (since is not None and reached_at <= since):
            return None
        return _Due(lot, days, (last_day - now.astimezone(zone).date()).days, last_day)
    return None
