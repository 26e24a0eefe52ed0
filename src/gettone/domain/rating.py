"""Price a call: rate and duration in, charge out; and the longest call that a budget pays for.

A position is a whole number of seconds since the call was answered. Usage is billed in whole increments laid end to
end; an increment belongs to the band and the step in which it begins, and the last one may run past the end of the
call. Connection charge, minimum and maximum are those of the band in force when the call started.

Invariants:

- A call of 0 s is free, and a charge never decreases when the call gets longer.
- Every price is an exact fraction; all amounts of a rate are whole numbers over one common denominator, and the sum of
  a call is rounded once, at the end, by the rate's own rule.
- ``affordable`` is the inverse of ``charge``: what it returns costs at most the budget, and one second more costs too
  much, or is past the position asked for, a maximum that disconnects, or the price ceiling.
- No loop runs by seconds or increments: a call is cut where band, step or clock change; each piece is one product.

Sources: D1, D2; the conventions written in the conformance cases (tests/conformance).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import Enum
from fractions import Fraction
from typing import NamedTuple, Self

from gettone.domain.bands import (
    Band,
    MaximumAction,
    Pace,
    Price,
    RateError,
    Step,
    Terms,
    Week,
    common_denominator,
    exact_micros,
    parse_increments,
    steps_of,
)

__all__ = [
    "NO_CHARGE",
    "Band",
    "Charge",
    "FlatPrice",
    "MaximumAction",
    "Rate",
    "RateError",
    "Rounding",
    "Step",
    "exact_micros",
    "parse_increments",
    "steps_of",
]


class Rounding(Enum):
    """How the exact sum of a call becomes an amount with the rate's number of decimals."""

    UP = "up"
    HALF_UP = "half-up"
    DOWN = "down"


class Charge(NamedTuple):
    """The price of usage: the whole amount, the connection charge within it, and the seconds of whole increments.

    A tuple and not a dataclass: one is made for every priced call, and it is made in a third of the time.
    """

    micros: int
    connection_micros: int
    billed_seconds: int


NO_CHARGE = Charge(0, 0, 0)


class FlatPrice(NamedTuple):
    """A rate without bands, billed in one first and equal next increments, as whole numbers.

    The charge is ``(total + bias) // divisor * unit`` micros, its total no less than the minimum and no more than the
    maximum. ``first_total`` holds the connection charge and the first increment. ``unbounded``: neither minimum
    nor maximum applies.
    """

    first_seconds: int
    first_total: int
    next_seconds: int
    next_total: int
    minimum_total: int
    maximum_total: int | None
    divisor: int
    bias: int
    unit: int
    connection_micros: int
    unbounded: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """What calls to one destination cost: bands that cover the week, a rounding rule, the zone of the bands' clock.

    More than 6 *decimals* round to micros. Raises :class:`RateError` when some time of the week has no band.
    """

    bands: tuple[Band, ...]
    rounding: Rounding = Rounding.UP
    decimals: int = 4
    zone: tzinfo = UTC
    flat_price: FlatPrice | None = field(init=False, repr=False, compare=False)
    _week: Week = field(init=False, repr=False, compare=False)
    _denominator: int = field(init=False, repr=False, compare=False)
    _divisor: int = field(init=False, repr=False, compare=False)
    _bias: int = field(init=False, repr=False, compare=False)
    _unit: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.decimals < 0:
            raise RateError(f"rounding to {self.decimals} decimals: give 0 or more")
        denominator = common_denominator(self.bands)
        week = Week.of(self.bands, denominator, self.zone)
        unit = 10 ** (6 - min(self.decimals, 6))
        divisor = denominator * unit
        bias = {Rounding.UP: divisor - 1, Rounding.HALF_UP: divisor // 2, Rounding.DOWN: 0}[self.rounding]
        derived = {"_week": week, "_denominator": denominator, "_divisor": divisor, "_bias": bias, "_unit": unit}
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "flat_price", self._flatten(week.always))

    @classmethod
    def flat(
        cls,
        price_per_minute: Price,
        increments: str = "60/60",
        *,
        connection: Price = 0,
        minimum: Price = 0,
        maximum: Price | None = None,
        maximum_action: MaximumAction = MaximumAction.FREE,
        rounding: Rounding = Rounding.UP,
        decimals: int = 4,
    ) -> Self:
        """Build a rate with one price at all times, in units of the currency.

        *increments* is ``first/next`` in seconds; both are priced pro rata of the minute.
        """
        band = Band(
            steps=steps_of(exact_micros(price_per_minute) / 60, *parse_increments(increments)),
            connection=exact_micros(connection),
            minimum=exact_micros(minimum),
            maximum=None if maximum is None else exact_micros(maximum),
            maximum_action=maximum_action,
        )
        return cls((band,), rounding, decimals)

    @classmethod
    def per_message(cls, price: Price, *, rounding: Rounding = Rounding.UP, decimals: int = 4) -> Self:
        """Build a rate for single events: where a call counts seconds, it counts messages."""
        return cls((Band((Step(0, 1, exact_micros(price)),)),), rounding, decimals)

    def charge(self, to_second: int, *, at: datetime, from_second: int = 0) -> Charge:
        """Price the talk from position *from_second* to *to_second* of a call that started at *at* (aware).

        Connection charge and minimum fall on whoever opens the call: they are charged when *from_second* is 0.
        """
        if to_second <= from_second:
            return NO_CHARGE
        flat = self.flat_price
        if flat is None or (from_second and not (flat.unbounded and from_second >= flat.first_seconds)):
            return self._charge_runs(to_second, at, from_second)
        if from_second:
            count = -((from_second - to_second) // flat.next_seconds)
            micros = (count * flat.next_total + flat.bias) // flat.divisor * flat.unit
            return Charge(micros, 0, count * flat.next_seconds)
        first, total, following, next_total, minimum, maximum, divisor, bias, unit, connection, _ = flat
        billed = first
        if to_second > first:
            count = -((first - to_second) // following)
            total += count * next_total
            billed += count * following
        total = max(total, minimum)
        if maximum is not None and total > maximum:
            total = maximum
        micros = (total + bias) // divisor * unit
        return Charge(micros, min(micros, connection), billed)

    def _charge_runs(self, to_second: int, at: datetime, from_second: int) -> Charge:
        _check_aware(at)
        terms, _ = self._week.terms_at(at, 0)
        connection = 0 if from_second else terms.connection
        total, billed = connection, 0
        for _, count, pace in self._runs(at, from_second, to_second):
            total += count * pace.total
            billed += count * pace.increment
        if not from_second:
            total = max(total, terms.minimum)
        if terms.maximum is not None and not terms.disconnects:
            total = min(total, terms.maximum)
        micros = (total + self._bias) // self._divisor * self._unit
        return Charge(micros, min(micros, connection // self._denominator), billed)

    def affordable(
        self,
        budget_micros: int,
        to_second: int,
        *,
        at: datetime,
        from_second: int = 0,
        ceiling: Fraction | int | None = None,
    ) -> int:
        """Return the last position up to *to_second* that *budget_micros* pays for, talking from *from_second*.

        It is the end of a whole increment unless it is *to_second*; *from_second* when nothing can be paid. A budget
        below zero still pays for what is free. *ceiling* is the highest acceptable price in micros per second.
        """
        if to_second <= from_second:
            return from_second
        flat = self.flat_price
        if flat is not None and flat.unbounded and ceiling is None and not 0 < from_second < flat.first_seconds:
            return _affordable_flat(flat, budget_micros, to_second, from_second)
        _check_aware(at)
        terms, _ = self._week.terms_at(at, 0)
        left = self._spendable(terms, max(budget_micros, 0), opens=not from_second)
        if left is not None and left < 0:
            return from_second
        for position, count, pace in self._runs(at, from_second, to_second):
            if ceiling is not None and pace.micros_per_second > ceiling:
                return position
            if left is not None:
                if count * pace.total > left:
                    return position + left // pace.total * pace.increment
                left -= count * pace.total
        return to_second

    def _spendable(self, terms: Terms, budget_micros: int, *, opens: bool) -> int | None:
        """Return the largest exact total for increments; None: without limit, negative: not even the opening."""
        # The charge is (total + bias) // divisor units: this is the largest total that does not round above the budget.
        limit = (budget_micros // self._unit + 1) * self._divisor - 1 - self._bias
        if terms.maximum is not None:
            if terms.disconnects:
                limit = min(limit, terms.maximum)
            elif terms.maximum <= limit:
                return None
        if not opens:
            return limit
        return -1 if terms.minimum > limit else limit - terms.connection

    def _runs(self, at: datetime, position: int, to_second: int) -> Iterator[tuple[int, int, Pace]]:
        """Cut the talk into runs of equal increments: where the run begins, how many increments, their pace."""
        while position < to_second:
            terms, until = self._week.terms_at(at, position)
            pace = next(pace for pace in terms.paces if position < pace.ends)
            count = -((position - min(to_second, until, pace.ends)) // pace.increment)
            yield position, count, pace
            position += count * pace.increment

    def _flatten(self, terms: Terms | None) -> FlatPrice | None:
        """Return the short form of *terms* when they hold at all times and have but a first and a next increment."""
        if terms is None or len(terms.paces) > 2:
            return None
        first, following = terms.paces[0], terms.paces[-1]
        if len(terms.paces) == 2 and following.starts != first.increment:
            return None
        return FlatPrice(
            first_seconds=first.increment,
            first_total=terms.connection + first.total,
            next_seconds=following.increment,
            next_total=following.total,
            minimum_total=terms.minimum,
            maximum_total=None if terms.disconnects else terms.maximum,
            divisor=self._divisor,
            bias=self._bias,
            unit=self._unit,
            connection_micros=terms.connection // self._denominator,
            unbounded=terms.minimum == 0 and terms.maximum is None,
        )


def _affordable_flat(flat: FlatPrice, budget_micros: int, to_second: int, from_second: int) -> int:
    """`Rate.affordable` for a price with neither bounds nor ceiling: two products."""
    left = (max(budget_micros, 0) // flat.unit + 1) * flat.divisor - 1 - flat.bias
    position = from_second
    if not from_second:
        left -= flat.first_total
        if left < 0:
            return 0
        position = flat.first_seconds
    if position >= to_second or not flat.next_total:
        return to_second
    wanted = -((position - to_second) // flat.next_seconds)
    return min(to_second, position + min(wanted, left // flat.next_total) * flat.next_seconds)


def _check_aware(at: datetime) -> None:
    if at.tzinfo is None:
        raise ValueError(f"call start {at.isoformat()} has no time zone; give an aware datetime")
