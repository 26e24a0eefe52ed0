"""Times of call records: ISO 8601, switches' local times, epochs; always returned as aware UTC.

A local time is turned with its IANA zone. In the hour that the autumn change repeats, one text means two moments:
``LocalClock.moments`` gives both (fold 0 first, that is summer time), and the reader chooses the one that agrees
with the row's duration. In the hour that the spring change skips, no correct clock shows the time: it is refused,
because it means that the zone is wrong.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from gettone.agents.cdr.records import Reject, shown

YEAR_MIN, YEAR_MAX = 1990, 2099
_DATES_REMEMBERED = 4096
_EPOCH_TEXT = re.compile(r"(\d{1,11})(?:[.,](\d{1,9}))?", re.ASCII)
_SEPARATORS = ("-- ::", "--T::")  # Every third character of a time written in full.
_NO_SHIFT = timedelta(0)
_ROUNDING = timedelta(seconds=2)


def zone_named(name: str) -> ZoneInfo:
    """Return the IANA zone *name*.

    Raises:
        ValueError: There is no such zone.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"zone: {name!r} is no IANA time zone; write one such as Europe/Rome or UTC") from error


def believable(field: str, text: str, moment: datetime) -> datetime:
    """Return *moment*, unless its year cannot be that of a call."""
    if not YEAR_MIN <= moment.year <= YEAR_MAX:
        raise Reject(f"{field}: {shown(text)} is outside the years {YEAR_MIN} to {YEAR_MAX}; correct the time")
    return moment


def iso_utc(field: str, text: str, *, naive_is_utc: bool = False) -> datetime:
    """Read an ISO 8601 time with an offset; digits beyond the microsecond are dropped."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Reject(f"{field}: {shown(text)} is not ISO 8601; write it like 2026-03-01T09:30:00Z") from None
    believable(field, text, moment)
    if moment.tzinfo is UTC:
        return moment
    if moment.tzinfo is not None:
        return moment.astimezone(UTC)
    if naive_is_utc:
        return moment.replace(tzinfo=UTC)
    raise Reject(f"{field}: {shown(text)} has no UTC offset; write it like 2026-03-01T09:30:00Z or +01:00")


def epoch_utc(field: str, text: str) -> datetime:
    """Read seconds since 1970 with an optional fraction, without passing through a float."""
    match = _EPOCH_TEXT.fullmatch(text)
    if match is None:
        raise Reject(f"{field}: {shown(text)} is not a count of seconds since 1970; correct the time")
    moment = believable(field, text, datetime.fromtimestamp(int(match[1]), UTC))
    fraction = match[2]
    return moment.replace(microsecond=int(fraction[:6].ljust(6, "0"))) if fraction else moment


class LocalClock:
    """Reads ``2026-03-01 09:30:00`` as the local time of one zone.

    The offset is remembered per date when it is the same all day, which makes ordinary days cheap.
    """

    __slots__ = ("_shifts", "_zone")

    def __init__(self, zone: ZoneInfo) -> None:
        self._zone = zone
        self._shifts: dict[str, timedelta | None] = {}

    def moments(self, field: str, text: str) -> tuple[datetime, ...]:
        """Return the moment *text* means, or the two it may mean, the earlier first."""
        try:
            # Other ISO 8601 forms (weeks, no separators) become something that is refused.
            wall = datetime.fromisoformat(text + "+00:00" if text[4:17:3] in _SEPARATORS else "")
        except ValueError:
            raise Reject(f"{field}: {shown(text)} is not a time like 2026-03-01 09:30:00; correct it") from None
        day = text[:10]
        try:
            shift = self._shifts[day]
        except KeyError:
            shift = self._remember(day, believable(field, text, wall))
        if shift is _NO_SHIFT:
            return (wall,)
        if shift is not None:
            return (wall - shift,)
        return self._around_a_change(field, text, wall)

    def _remember(self, day: str, wall: datetime) -> timedelta | None:
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=self._zone)
        hours = [midnight + timedelta(hours=hour) for hour in range(25)]
        offsets = {hour.replace(fold=fold).utcoffset() or _NO_SHIFT for hour in hours for fold in (0, 1)}
        shift = offsets.pop() if len(offsets) == 1 else None
        if len(self._shifts) >= _DATES_REMEMBERED:
            self._shifts.clear()
        self._shifts[day] = shift = _NO_SHIFT if shift == _NO_SHIFT else shift
        return shift

    def _around_a_change(self, field: str, text: str, wall: datetime) -> tuple[datetime, ...]:
        local = wall.replace(tzinfo=self._zone)
        found = [local.replace(fold=fold).astimezone(UTC) for fold in (0, 1)]
        shows = wall.replace(tzinfo=None)
        real = [moment for moment in found if moment.astimezone(self._zone).replace(tzinfo=None) == shows]
        if not real:
            raise Reject(f"{field}: {shown(text)} does not exist in {self._zone.key} (clocks go forward); check zone")
        return (real[0],) if real[0] == real[-1] else (real[0], real[-1])


def span(starts: tuple[datetime, ...], ends: tuple[datetime, ...], seconds: int) -> tuple[datetime, datetime]:
    """Choose start and end, among the moments they may mean, whose distance is nearest to *seconds*.

    When nothing tells them apart (the whole call lies in the repeated hour) the earlier reading is taken.
    """
    if len(starts) == 1 and len(ends) == 1:
        return starts[0], ends[0]
    length = timedelta(seconds=seconds)
    pairs = [(start, end) for start in starts for end in ends]
    return min(pairs, key=lambda pair: abs((pair[1] - pair[0]) - length))


def check_span(start: datetime, end: datetime, seconds: int) -> None:
    """Refuse an end before its start, and more talking than there was time for (2 s of rounding are allowed)."""
    if end < start:
        raise Reject(f"end: {end.isoformat()} is before the start {start.isoformat()}; correct the times or the zone")
    if seconds and timedelta(seconds=seconds) > end - start + _ROUNDING:
        raise Reject(f"duration: {seconds} s do not fit between {start.isoformat()} and {end.isoformat()}; correct it")
