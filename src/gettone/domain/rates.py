"""Rates by number: a deck compiled for look-up.

The most specific row of a deck wins: the longest prefix, then country and kind, then country. A number that may be
fixed or mobile takes its own row, then the fixed one, then the mobile one.

Invariants:

- Prefixes are disjoint intervals of left-aligned numbers: ``3906`` holds every number from 390600000000000 up to, but
  not including, 390700000000000, however many digits the number really has. One binary search finds the longest.
- A number matches a prefix only if it has all its digits; if it is shorter, the next shorter prefix around is asked.
- Rates keep the order in which the deck first names them: an index into ``rates`` means the same on every machine.

Sources: D3.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from gettone.domain.deck import Deck, DeckError, DeckErrors, DeckRow, deck_to_csv, parse_deck, rate_of
from gettone.domain.numbers import DIGITS_MAX, Kind, Number
from gettone.domain.rate_fields import SERVICES, SMS, VOICE
from gettone.domain.rating import Rate

__all__ = [
    "NO_RATE",
    "SMS",
    "VOICE",
    "CompiledDeck",
    "Deck",
    "DeckError",
    "DeckErrors",
    "DeckRow",
    "RateIndex",
    "compile_deck",
    "deck_to_csv",
    "parse_deck",
]

NO_RATE = -1
SCALE = tuple(10 ** (DIGITS_MAX - digits) for digits in range(DIGITS_MAX + 1))
"""By the number of digits: what left-aligns a number to 15 digits."""

_END = 10**DIGITS_MAX


@dataclass(frozen=True, slots=True, eq=False)
class RateIndex:
    """Where the rates of one service are found; open for a vectorised search elsewhere, never to be changed.

    From ``starts[i]`` up to, but not including, ``starts[i + 1]`` left-aligned numbers belong to rate ``owners[i]``
    (``NO_RATE``: to none), whose prefix has ``digits[rate]`` digits and lies within the prefix of rate
    ``outer[rate]``. ``by_country`` has one rate for each kind.
    """

    starts: "array[int]"
    owners: "array[int]"
    digits: "array[int]"
    outer: "array[int]"
    by_country: Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True, eq=False)
class CompiledDeck:
    """A deck ready to price calls. An index of a rate is its place in ``rates``, ``destinations`` and ``labels``."""

    name: str
    currency: str
    effective_from: datetime
    rates: tuple[Rate, ...]
    destinations: tuple[str, ...]
    labels: tuple[str, ...]
    indexes: Mapping[str, RateIndex]

    def lookup(self, number: Number, service: str = VOICE) -> int | None:
        """Return the index of the rate for *number*, or None when the deck has none."""
        index = self.indexes[service]
        digits = number.digits
        length = len(digits)
        rate = index.owners[bisect_right(index.starts, int(digits) * SCALE[length]) - 1]
        while rate >= 0 and index.digits[rate] > length:
            rate = index.outer[rate]
        if rate < 0:
            kinds = index.by_country.get(number.country)
            if kinds is None or (rate := kinds[number.kind]) < 0:
                return None
        return rate

    def destination(self, index: int) -> str:
        """Return the name of the destination of a rate, or what it prices when the deck gives no name."""
        return self.destinations[index] or self.labels[index]


def compile_deck(deck: Deck) -> CompiledDeck:
    """Compile *deck*; destinations whose rows are priced alike share one rate in memory."""
    groups = list(deck.groups().values())
    firsts = [rows[0] for rows in groups]
    made: dict[tuple[object, ...], Rate] = {}
    rates = []
    for rows in groups:
        terms = tuple(map(_terms, rows))
        rates.append(made.get(terms) or made.setdefault(terms, rate_of(rows)))
    return CompiledDeck(
        name=deck.name,
        currency=deck.currency,
        effective_from=deck.effective_from,
        rates=tuple(rates),
        destinations=tuple(row.destination for row in firsts),
        labels=tuple(row.label for row in firsts),
        indexes={service: _index(firsts, service) for service in SERVICES},
    )


def _terms(row: DeckRow) -> tuple[object, ...]:
    """Return what the rate of *row* is made from."""
    charges = (row.connection_charge, row.minimum_charge, row.maximum_charge, row.maximum_action)
    when = (row.days, row.hours, row.zone)
    return (row.service, row.price, row.per, row.increments, row.steps, row.rounding, *charges, *when)


def _index(firsts: list[DeckRow], service: str) -> RateIndex:
    mine = [(rate, row) for rate, row in enumerate(firsts) if row.service == service]
    starts, owners = array("q", [0]), array("i", [NO_RATE])
    digits, outer = array("b", bytes(len(firsts))), array("i", [NO_RATE]) * len(firsts)

    def belong(start: int, rate: int) -> None:
        """Give what lies from *start* on to *rate*, until told otherwise."""
        if starts[-1] == start:
            owners[-1] = rate
        else:
            starts.append(start)
            owners.append(rate)

    around: list[tuple[int, int]] = [(_END + 1, NO_RATE)]
    prefixes = sorted(
        (int(row.prefix) * SCALE[len(row.prefix)], len(row.prefix), rate) for rate, row in mine if row.prefix
    )
    for start, length, rate in [*prefixes, (_END, 0, NO_RATE)]:
        while around[-1][0] <= start:
            end, _ = around.pop()
            belong(end, around[-1][1])
        if rate >= 0:
            digits[rate], outer[rate] = length, around[-1][1]
            around.append((start + SCALE[length], rate))
            belong(start, rate)
    return RateIndex(starts, owners, digits, outer, _by_country((rate, row) for rate, row in mine if not row.prefix))


def _by_country(rows: Iterable[tuple[int, DeckRow]]) -> dict[str, tuple[int, ...]]:
    """Resolve every kind of number of the countries that *rows* name."""
    named: dict[str, dict[Kind | None, int]] = {}
    for rate, row in rows:
        named.setdefault(row.country, {})[row.kind] = rate
    return {
        country: tuple(next((rates[kind] for kind in _asked(kind) if kind in rates), NO_RATE) for kind in Kind)
        for country, rates in named.items()
    }


def _asked(kind: Kind) -> tuple[Kind | None, ...]:
    """Return the kinds whose row serves a number of *kind*, best first; None is the row of the country."""
    if kind is Kind.FIXED_OR_MOBILE:
        return (kind, Kind.FIXED, Kind.MOBILE, None)
    return (kind, None)
