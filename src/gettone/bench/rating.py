"""Rating alone: one number after the other, and a million at once."""

import random
from bisect import bisect_right
from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from gettone.bench.measuring import Contestant, Result, Work, duration, interleaved, microseconds, rate
from gettone.bench.sizes import Sizes
from gettone.catalogue.numbering import number_plan
from gettone.catalogue.sample_rates import SAMPLE_DECK_NAME, sample_deck_csv
from gettone.domain.numbers import DIGITS_MAX, DIGITS_MIN, parse_e164
from gettone.domain.rates import SCALE, VOICE, CompiledDeck, compile_deck, parse_deck
from gettone.operations.bulk_rating import rate_many

_REPEATS = 20
AT = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)


def sample_deck() -> CompiledDeck:
    """The shipped deck: a row for each country's fixed and mobile numbers, and some cities."""
    return compile_deck(parse_deck(sample_deck_csv(), name=SAMPLE_DECK_NAME))


def large_deck(sizes: Sizes) -> CompiledDeck:
    """The shipped deck with as many prefixes as a wholesale price list has, each at a price of its own."""
    chosen = random.Random(1)  # noqa: S311 - a deck that can be made again, no secret
    prefixes: set[str] = set()
    while len(prefixes) < sizes.prefixes:
        prefixes.add(_number(chosen)[: chosen.randrange(4, 9)])
    lines = (f"{prefix},{0.01 + index % 5000 / 10_000:.4f},60/60" for index, prefix in enumerate(sorted(prefixes)))
    wholesale = parse_deck(
        "\n".join(["prefix,price,increments", *lines]),
        name="wholesale",
        currency="USD",
        effective_from=datetime(2020, 1, 1, tzinfo=UTC),
    )
    return compile_deck(wholesale)


def single(name: str, make_deck: Callable[[], CompiledDeck], sizes: Sizes) -> Result:
    """The time from a number as dialled to its charge, beside a bare binary search in the same table."""
    deck, plan = make_deck(), number_plan()
    chosen = random.Random(2)  # noqa: S311 - numbers that can be drawn again, no secret
    numbers: list[tuple[str, int]] = []
    while len(numbers) < sizes.numbers:
        digits = _number(chosen)
        if deck.lookup(plan.lookup(digits)) is not None:
            numbers.append((f"+{digits}", chosen.randrange(1, 1200)))
    places = [int(number[1:]) * SCALE[len(number) - 1] for number, _ in numbers]
    starts, rates = deck.indexes[VOICE].starts, deck.rates

    def rated() -> int:
        for _ in range(_REPEATS):
            for number, seconds in numbers:
                index = deck.lookup(plan.lookup(parse_e164(number)))
                if index is not None:
                    rates[index].charge(seconds, at=AT)
        return len(numbers) * _REPEATS

    def searched() -> int:
        for _ in range(_REPEATS):
            for place in places:
                bisect_right(starts, place)
        return len(places) * _REPEATS

    samples, limits = interleaved(sizes.rounds, _always(rated), _always(searched))
    return duration(name, "us", microseconds(samples), microseconds(limits))


def bulk(name: str, sizes: Sizes) -> Result:
    """Records rated in a second by `rate_many`, from digits to charges, beside a bare search of the sorted prefixes."""
    deck, plan = large_deck(sizes), number_plan()
    chosen = random.Random(3)  # noqa: S311 - numbers that can be drawn again, no secret
    texts = [_number(chosen) for _ in range(min(sizes.bulk_numbers, 100_000))]
    texts = (texts * (sizes.bulk_numbers // len(texts) + 1))[: sizes.bulk_numbers]
    chosen.shuffle(texts)
    digits = np.array(texts, dtype="S15")
    seconds = np.array([chosen.randrange(1200) for _ in texts], dtype=np.int64)
    starts = np.array(deck.indexes[VOICE].starts, dtype=np.int64)
    places = np.array([int(text) * SCALE[len(text)] for text in texts], dtype=np.int64)

    def rated() -> int:
        rate_many(deck, plan, digits, seconds)
        return len(texts)

    def searched() -> int:
        np.searchsorted(starts, places, side="right")
        return len(texts)

    samples, limits = interleaved(sizes.rounds, _always(rated), _always(searched))
    return rate(name, "records/s", samples, limits)


def _number(chosen: random.Random) -> str:
    """The digits of a number from anywhere in the world: an interval of the numbering plan, and a place in it."""
    plan = number_plan()
    while True:
        place = chosen.randrange(1, len(plan.starts) - 1)
        country, _ = plan.classes[plan.codes[place]]
        key = chosen.randrange(plan.starts[place], plan.starts[place + 1])
        length, value = divmod(key, 10**DIGITS_MAX)
        digits = str(value)
        if country and DIGITS_MIN <= length <= DIGITS_MAX and len(digits) == length:
            return digits


def _always(work: Work) -> Contestant:
    return lambda: work
