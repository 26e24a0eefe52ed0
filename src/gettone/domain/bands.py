"""What a rate is made of: steps, bands, and the week they cover.

A step is a price from a second of the call on. A band holds steps and once-a-call amounts for a part of the week, or
for one day of the year, by the clock of the rate's zone. `Week` lays the bands out as timetables and finds the terms in
force at an instant, exact to the second across changes of the clock.

Invariants: every instant has exactly one band: of those that hold it the one of the highest priority, then one for a
day of the year, then the first named. Amounts are exact fractions of micros; terms hold them as whole numbers over one
common denominator.

Sources: D2; the conventions written in the conformance cases (tests/conformance).
"""

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from math import lcm
from typing import NamedTuple

DAY_SECONDS = 86_400
FOREVER = 1 << 62
WHOLE_WEEK = frozenset(range(1, 8))
"""ISO weekdays, Monday is 1."""
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

Price = str | int | Decimal | Fraction
"""An exact price in units of the currency, such as "0.31135104"."""

_ONE_SECOND = timedelta(seconds=1)


class RateError(ValueError):
    """The rate cannot price every call; the message names what is wrong and what to change."""


class MaximumAction(Enum):
    """What happens when a call has cost the maximum: it goes on free of charge, or may not be granted more."""

    FREE = "free"
    DISCONNECT = "disconnect"


def exact_micros(price: Price) -> Fraction:
    """Return *price*, in units of the currency, as an exact number of micros."""
    return Fraction(price) * 1_000_000


def parse_increments(text: str) -> tuple[int, int]:
    """Read ``first/next``, both in seconds, such as ``60/60`` or ``30/6``.

    Raises:
        RateError: not two whole numbers from 1 to 86400.
    """
    first, _, following = text.strip().partition("/")
    for part in (first, following):
        if not (part.isascii() and part.isdigit() and 1 <= int(part) <= DAY_SECONDS):
            raise RateError(f"increments {text!r}: write first/next in whole seconds, such as 60/60")
    return int(first), int(following)


def clock(second_of_day: int) -> str:
    """Write a second of the day as HH:MM, with :SS where it is not a whole minute."""
    minutes, seconds = divmod(second_of_day, 60)
    text = f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text


@dataclass(frozen=True, slots=True)
class Step:
    """A price per second, in micros, and the increment in which it is billed, from a second of the call on."""

    from_second: int
    increment_seconds: int
    micros_per_second: Fraction

    def __post_init__(self) -> None:
        if self.from_second < 0 or self.increment_seconds < 1:
            raise RateError(
                f"step from {self.from_second} s in increments of {self.increment_seconds} s: "
                "a step starts at 0 or later and bills increments of at least 1 s"
            )
        if self.micros_per_second < 0:
            raise RateError(f"step from {self.from_second} s: its price is negative; give 0 or more")


def steps_of(micros_per_second: Fraction, first_seconds: int, next_seconds: int) -> tuple[Step, ...]:
    """Return the steps of one price billed in *first_seconds* once and then in *next_seconds*."""
    first = Step(0, first_seconds, micros_per_second)
    if first_seconds == next_seconds:
        return (first,)
    return (first, Step(first_seconds, next_seconds, micros_per_second))


@dataclass(frozen=True, slots=True)
class Band:
    """Steps and once-a-call amounts (exact micros) for a part of the week or a day of the year, by local clock.

    ``starts`` and ``ends`` are seconds since local midnight, the end exclusive. With ``month_day`` the band applies on
    that day of the year alone (and only if its weekday is among ``weekdays``).
    """

    steps: tuple[Step, ...]
    connection: Fraction = Fraction(0)
    minimum: Fraction = Fraction(0)
    maximum: Fraction | None = None
    maximum_action: MaximumAction = MaximumAction.FREE
    weekdays: frozenset[int] = WHOLE_WEEK
    starts: int = 0
    ends: int = DAY_SECONDS
    priority: int = 0
    month_day: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        positions = [step.from_second for step in self.steps]
        if not positions or positions[0] != 0 or positions != sorted(set(positions)):
            raise RateError(f"steps begin at {positions}: the first begins at 0 and each next one later")
        if not 0 <= self.starts < self.ends <= DAY_SECONDS:
            raise RateError(f"band from {self.starts} to {self.ends} s of the day: it must start before it ends")
        if not self.weekdays or not self.weekdays <= WHOLE_WEEK:
            raise RateError(f"band on weekdays {sorted(self.weekdays)}: name ISO weekdays 1 (Monday) to 7")
        if self.connection < 0 or self.minimum < 0:
            raise RateError("connection charge or minimum is negative; give 0 or more")
        if self.maximum is not None and self.maximum < self.minimum:
            raise RateError("the maximum charge is negative or below the minimum; raise it or leave it out")

    def applies_on(self, weekday: int, month_day: tuple[int, int] | None) -> bool:
        """Say whether the band takes part in a day; *month_day* None is a day of the year that no band names."""
        return weekday in self.weekdays and self.month_day in (None, month_day)

    def is_always(self) -> bool:
        """Say whether the band alone covers the whole week."""
        return self.weekdays == WHOLE_WEEK and self.ends - self.starts == DAY_SECONDS and self.month_day is None


class Pace(NamedTuple):
    """A step in whole numbers: *total* is the price of one increment; *ends* is where the next step begins."""

    starts: int
    ends: int
    increment: int
    total: int
    micros_per_second: Fraction


class Terms(NamedTuple):
    """A band's amounts in whole numbers over the rate's common denominator."""

    connection: int
    minimum: int
    maximum: int | None
    disconnects: bool
    paces: tuple[Pace, ...]


def common_denominator(bands: Sequence[Band]) -> int:
    """Return the even number over which every amount and increment price of *bands* is a whole number of micros.

    Even, so that half of it (which rounding half up adds) is whole too.
    """
    amounts = [step.micros_per_second * step.increment_seconds for band in bands for step in band.steps]
    amounts += [amount for band in bands for amount in (band.connection, band.minimum, band.maximum or Fraction(0))]
    return lcm(2, *(amount.denominator for amount in amounts))


def whole_terms(band: Band, denominator: int) -> Terms:
    """Return the amounts of *band* as whole numbers over *denominator*."""

    def whole(amount: Fraction) -> int:
        return amount.numerator * (denominator // amount.denominator)

    ends = [step.from_second for step in band.steps[1:]] + [FOREVER]
    return Terms(
        connection=whole(band.connection),
        minimum=whole(band.minimum),
        maximum=None if band.maximum is None else whole(band.maximum),
        disconnects=band.maximum_action is MaximumAction.DISCONNECT,
        paces=tuple(
            Pace(
                starts=step.from_second,
                ends=end,
                increment=step.increment_seconds,
                total=whole(step.micros_per_second * step.increment_seconds),
                micros_per_second=step.micros_per_second,
            )
            for step, end in zip(band.steps, ends, strict=True)
        ),
    )


Timetable = tuple[tuple[int, ...], tuple[Terms, ...]]
"""The ends of a day's pieces, in seconds since local midnight, and the terms of each piece."""


@dataclass(frozen=True, slots=True)
class Week:
    """The timetables of a rate: one a weekday, and seven more for each day of the year that a band names."""

    days: dict[tuple[int, tuple[int, int] | None], Timetable]
    zone: tzinfo
    always: Terms | None
    """The terms, when they are the same at all times."""

    @classmethod
    def of(cls, bands: Sequence[Band], denominator: int, zone: tzinfo) -> "Week":
        """Lay out *bands*.

        Raises:
            RateError: some time of the week has no band.
        """
        if len(bands) == 1 and bands[0].is_always():
            return cls({}, zone, whole_terms(bands[0], denominator))
        ranked = sorted(bands, key=lambda band: (-band.priority, band.month_day is None))
        offers = [(band, whole_terms(band, denominator)) for band in ranked]
        month_days = {band.month_day for band in bands} | {None}
        days = {
            (weekday, month_day): _timetable(
                [offer for offer in offers if offer[0].applies_on(weekday, month_day)], weekday
            )
            for month_day in month_days
            for weekday in range(1, 8)
        }
        terms = {piece for _, pieces in days.values() for piece in pieces}
        return cls(days, zone, terms.pop() if len(terms) == 1 else None)

    def terms_at(self, at: datetime, position: int) -> tuple[Terms, int]:
        """Return the terms in force *position* seconds after *at*, and the position up to which they surely are."""
        if self.always is not None:
            return self.always, FOREVER
        at = at.astimezone(UTC)
        instant = at + timedelta(seconds=position)
        local = instant.astimezone(self.zone)
        weekday, month_day = local.isoweekday(), (local.month, local.day)
        ends, pieces = self.days.get((weekday, month_day)) or self.days[weekday, None]
        second = local.hour * 3600 + local.minute * 60 + local.second
        piece = bisect_right(ends, second)
        change = instant + timedelta(seconds=ends[piece] - second, microseconds=-local.microsecond)
        change = self._or_clock_change(instant, change)
        return pieces[piece], -((at - change) // _ONE_SECOND)

    def _or_clock_change(self, instant: datetime, change: datetime) -> datetime:
        """Return *change*, reckoned by the clock of *instant*, or the turn of the zone's clock if that comes before.

        No zone turns its clock twice within one local day, which is the most that lies between the two.
        """
        offset = instant.astimezone(self.zone).utcoffset()
        if (change - _ONE_SECOND).astimezone(self.zone).utcoffset() == offset:
            return change
        base = instant.replace(microsecond=0)
        same, turned = 0, (change - base) // _ONE_SECOND - 1
        while turned - same > 1:
            middle = (same + turned) // 2
            if (base + timedelta(seconds=middle)).astimezone(self.zone).utcoffset() == offset:
                same = middle
            else:
                turned = middle
        return base + timedelta(seconds=turned)


def _timetable(offers: Sequence[tuple[Band, Terms]], weekday: int) -> Timetable:
    """Cut a day where a band starts or ends and give each piece to the first band that holds it."""
    edges = sorted({0, DAY_SECONDS, *(edge for band, _ in offers for edge in (band.starts, band.ends))})
    ends: list[int] = []
    pieces: list[Terms] = []
    for start, end in itertools.pairwise(edges):
        terms = next((terms for band, terms in offers if band.starts <= start < band.ends), None)
        if terms is None:
            raise RateError(
                f"no band on {DAY_NAMES[weekday - 1]} from {clock(start)} to {clock(end)}: "
                "bands must cover the whole week; add one for this time"
            )
        if pieces and pieces[-1] == terms:
            ends[-1] = end
        else:
            ends.append(end)
            pieces.append(terms)
    return tuple(ends), tuple(pieces)
