"""Rate a million calls at once: the same numbers as one by one, in NumPy.

Numbers become left-aligned integers, two vectorised binary searches find their rates, and rates without bands are
priced in 64-bit integers. What does not fit (bands, more steps, sums near 64 bits) is priced one by one by
`gettone.domain.rating`, so every result is exactly that of ``CompiledDeck.lookup`` and ``Rate.charge``.

What bounds it: the binary searches, which wait for memory; records are worked on in pieces that stay in the cache.

Sources: D3; design, section 6.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gettone.domain.numbers import DIGITS_MAX, Kind, NumberPlan
from gettone.domain.rates import NO_RATE, SCALE, VOICE, CompiledDeck
from gettone.domain.rating import FlatPrice, Rate

Int64s = NDArray[np.int64]
Int32s = NDArray[np.int32]


class NumberColumns(NamedTuple):
    """Numbers as integers, each with its number of digits (not checked here)."""

    values: Int64s
    lengths: Int64s


Digits = Sequence[str] | NDArray[np.bytes_] | NumberColumns
"""E.164 digits as ``parse_e164`` returns them."""

_PIECE = 1 << 15
_WIDTH = 16
_SAFE = 1 << 61
_ALWAYS_SAFE_SECONDS = 1 << 40
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, eq=False)
class _Prices:
    """Flat prices as columns by rate; ``safe_seconds`` is the longest call that 64 bits can price (-1: none)."""

    first_seconds: Int64s
    first_total: Int64s
    next_seconds: Int64s
    next_total: Int64s
    minimum_total: Int64s
    maximum_total: Int64s
    divisor: Int64s
    bias: Int64s
    unit: Int64s
    safe_seconds: Int64s


@dataclass(frozen=True, slots=True, eq=False)
class _Tables:
    """What one deck and one numbering plan come to, for one service."""

    starts: Int64s
    owners: Int32s
    digits: Int64s
    outer: Int32s
    plan_starts: Int64s
    plan_codes: NDArray[np.intp]
    rate_of_class: Int32s
    prices: _Prices


def rate_many(
    compiled: CompiledDeck,
    plan: NumberPlan,
    numbers: Digits,
    seconds: Int64s,
    starts: Sequence[datetime] | Int64s | None = None,
    *,
    service: str = VOICE,
) -> tuple[Int32s, Int64s, Int64s]:
    """Return for each call the index of its rate (``NO_RATE``: none), its charge in micros, and its billed seconds.

    *starts* are aware datetimes or microseconds since 1970 UTC; they may be left out when no rate has bands.

    Raises:
        ValueError: a number is not plain digits, or a rate has bands and *starts* is missing.
    """
    tables = _tables(compiled, plan, service)
    lefts, lengths = _left_aligned(numbers)
    seconds = np.asarray(seconds, dtype=np.int64)
    if not len(lefts) == len(seconds) == (len(seconds) if starts is None else len(starts)):
        raise ValueError(
            f"{len(lefts)} numbers, {len(seconds)} durations: give one of each, and a start, for every call"
        )
    rates = np.empty(len(lefts), dtype=np.int32)
    micros, billed = np.empty(len(lefts), dtype=np.int64), np.empty(len(lefts), dtype=np.int64)
    for begin in range(0, len(lefts), _PIECE):
        piece = slice(begin, begin + _PIECE)
        rates[piece] = _find(tables, lefts[piece], lengths[piece])
        alone = _price(tables.prices, rates[piece], seconds[piece], micros[piece], billed[piece])
        for call in (begin + np.flatnonzero(alone)).tolist():
            rate = compiled.rates[rates[call]]
            charge = rate.charge(int(seconds[call]), at=_start_of(call, rate, starts))
            micros[call], billed[call] = charge.micros, charge.billed_seconds
    return rates, micros, billed


def _left_aligned(numbers: Digits) -> tuple[Int64s, Int64s]:
    """Return the numbers left-aligned to 15 digits, and their lengths."""
    if isinstance(numbers, NumberColumns):
        values, lengths = numbers
        return values * np.array(SCALE, dtype=np.int64)[lengths], lengths
    texts = np.asarray(numbers, dtype="S") if len(numbers) else np.empty(0, dtype="S1")
    if texts.dtype.itemsize > DIGITS_MAX:
        raise ValueError(
            f"a number has {texts.dtype.itemsize} characters: E.164 numbers have at most {DIGITS_MAX} digits"
        )
    halves = texts.astype(f"S{_WIDTH}").view("<u8").reshape(-1, 2)
    (high, high_length), (low, low_length) = _eight_digits(halves[:, 0]), _eight_digits(halves[:, 1])
    lengths = high_length + low_length
    if bad := np.flatnonzero((high_length < 0) | (low_length < 0) | ((low_length > 0) & (high_length < 8))).tolist():
        raise ValueError(f"number {texts[bad[0]]!r} (the {bad[0] + 1}. of {len(texts)}) is not plain digits")
    return (high * 10**7 + low // 10).astype(np.int64), lengths


def _eight_digits(word: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Int64s]:
    """Read up to eight ASCII digits packed in each word, first digit lowest; missing ones count as 0, length -1 is bad.

    Neighbours are joined three times: digits to pairs, pairs to fours, fours to the eight.
    """

    def each(byte: int) -> np.uint64:
        return np.uint64(byte * 0x0101010101010101)

    present = (word >> np.uint64(4)) & each(0x01)
    nibbles = word & each(0x0F)
    lengths = (present * each(0x01) >> np.uint64(56)).astype(np.int64)
    filled = present * np.uint64(0xFF)
    bad = (word & each(0xF0)) != present * np.uint64(0x30)
    bad |= ((nibbles + each(0x06)) & each(0x10)) != 0
    bad |= (nibbles & ~filled) != 0
    bad |= (filled & (filled + np.uint64(1))) != 0
    lengths[bad] = -1
    pairs = (nibbles * np.uint64(2561)) >> np.uint64(8) & np.uint64(0x00FF00FF00FF00FF)
    fours = (pairs * np.uint64(6553601)) >> np.uint64(16) & np.uint64(0x0000FFFF0000FFFF)
    return (fours * np.uint64(42949672960001)) >> np.uint64(32), lengths


def _find(tables: _Tables, lefts: Int64s, lengths: Int64s) -> Int32s:
    """Find the rates as ``CompiledDeck.lookup`` does: the longest whole prefix, then country and kind."""
    rates = tables.owners[np.searchsorted(tables.starts, lefts, side="right") - 1]
    while (short := np.flatnonzero((rates >= 0) & (tables.digits[rates] > lengths))).size:
        rates[short] = tables.outer[rates[short]]
    if (left := np.flatnonzero(rates < 0)).size:
        scale = np.array(SCALE, dtype=np.int64)
        keys = lengths[left] * 10**DIGITS_MAX + lefts[left] // scale[lengths[left]]
        rates[left] = tables.rate_of_class[
            tables.plan_codes[np.searchsorted(tables.plan_starts, keys, side="right") - 1]
        ]
    return rates


def _price(prices: _Prices, rates: Int32s, seconds: Int64s, micros: Int64s, billed: Int64s) -> NDArray[np.bool_]:
    """Fill in charges and billed seconds; return which calls must be priced alone."""
    talked = (rates >= 0) & (seconds > 0)
    # What has no rate is priced at the last one, for no seconds, and then set to nothing.
    alone = talked & (seconds > prices.safe_seconds[rates])
    priced = talked & ~alone
    usual = np.where(priced, seconds, 0)
    following = prices.next_seconds[rates]
    counts = (np.maximum(usual - prices.first_seconds[rates], 0) + following - 1) // following
    totals = prices.first_total[rates] + counts * prices.next_total[rates]
    totals = np.clip(totals, prices.minimum_total[rates], prices.maximum_total[rates])
    np.multiply((totals + prices.bias[rates]) // prices.divisor[rates] * prices.unit[rates], priced, out=micros)
    np.multiply(prices.first_seconds[rates] + counts * following, priced, out=billed)
    return alone


def _start_of(call: int, rate: Rate, starts: Sequence[datetime] | Int64s | None) -> datetime:
    if starts is None:
        if rate.flat_price is None and len(rate.bands) > 1:
            raise ValueError(f"the {call + 1}. call has a rate with time bands: give the starts of the calls")
        return _EPOCH
    start = starts[call]
    return start if isinstance(start, datetime) else _EPOCH + timedelta(microseconds=int(start))


@lru_cache(maxsize=8)
def _tables(compiled: CompiledDeck, plan: NumberPlan, service: str) -> _Tables:
    index = compiled.indexes[service]
    no_country = (NO_RATE,) * len(Kind)
    return _Tables(
        starts=np.array(index.starts, dtype=np.int64),
        owners=np.array(index.owners, dtype=np.int32),
        digits=np.array(index.digits, dtype=np.int64),
        outer=np.array(index.outer, dtype=np.int32),
        plan_starts=np.array(plan.starts, dtype=np.int64),
        plan_codes=np.array(plan.codes, dtype=np.intp),
        rate_of_class=np.array(
            [index.by_country.get(country, no_country)[kind] for country, kind in plan.classes], dtype=np.int32
        ),
        prices=_prices(compiled.rates),
    )


def _prices(rates: Sequence[Rate]) -> _Prices:
    rows = {id(rate): _price_row(rate.flat_price) for rate in rates}
    columns = np.array([rows[id(rate)] for rate in rates], dtype=np.int64).T
    return _Prices(*(np.ascontiguousarray(column) for column in columns))


def _price_row(flat: FlatPrice | None) -> tuple[int, ...]:
    """Return the numbers of *flat* and the longest call they can price without leaving 64 bits."""
    cannot = (1, 0, 1, 0, 0, 0, 1, 0, 1, -1)
    if flat is None or max(flat.first_total, flat.minimum_total, flat.maximum_total or 0, flat.divisor) > _SAFE:
        return cannot
    counts = (_SAFE - flat.first_total) // flat.next_total if flat.next_total else _ALWAYS_SAFE_SECONDS
    safe_seconds = min(_ALWAYS_SAFE_SECONDS, flat.first_seconds + counts * flat.next_seconds)
    maximum = _SAFE if flat.maximum_total is None else flat.maximum_total
    return (*flat[:5], maximum, *flat[6:9], safe_seconds)
