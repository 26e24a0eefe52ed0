"""Bulk rating gives exactly what rating one by one gives."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.catalogue.numbering import number_plan
from gettone.catalogue.sample_rates import SAMPLE_DECK_NAME, sample_deck_csv
from gettone.domain.rates import CompiledDeck, compile_deck, parse_deck
from gettone.operations.bulk_rating import NumberColumns, rate_many

PLAN = number_plan()
SAMPLE = compile_deck(parse_deck(sample_deck_csv(), name=SAMPLE_DECK_NAME))
START = datetime(2026, 3, 2, 7, 59, 30, tzinfo=UTC)


def compiled(text: str) -> CompiledDeck:
    return compile_deck(parse_deck(text, name="t", currency="EUR", effective_from=datetime(2026, 1, 1, tzinfo=UTC)))


def one_by_one(deck: CompiledDeck, numbers, seconds, starts):
    for digits, duration, start in zip(numbers, seconds, starts, strict=True):
        index = deck.lookup(PLAN.lookup(digits))
        charge = deck.rates[index].charge(duration, at=start) if index is not None else None
        yield (-1, 0, 0) if charge is None else (index, charge.micros, charge.billed_seconds)


def in_bulk(*arguments, **named) -> list[tuple[int, ...]]:
    return list(zip(*(column.tolist() for column in rate_many(*arguments, **named)), strict=True))


numbers = st.one_of(
    st.sampled_from(["39", "3906", "44", "4420", "1212", "870", "61", "81", "88213", "800", "999"]).flatmap(
        lambda prefix: st.text("0123456789", min_size=3, max_size=10).map(lambda rest: (prefix + rest + "000")[:15])
    ),
    st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True),
)
calls = st.lists(
    st.tuples(numbers, st.integers(-5, 5000) | st.integers(0, 10**7), st.integers(0, 10**6)), min_size=1, max_size=30
)


@given(calls)
def test_every_call_is_rated_as_it_is_alone(calls):
    digits, seconds, offsets = zip(*calls, strict=True)
    starts = [START + timedelta(seconds=offset) for offset in offsets]

    expected = list(one_by_one(SAMPLE, digits, seconds, starts))

    assert in_bulk(SAMPLE, PLAN, digits, np.array(seconds), starts) == expected


@given(st.lists(st.text("12", min_size=6, max_size=15), min_size=1, max_size=20))
def test_numbers_shorter_than_a_prefix_are_not_matched_by_it(digits):
    deck = compiled("prefix,price\n1,0.1\n1211,0.2\n12111112,0.3\n1211111111112,0.4\n22222222222222,0.5\n")
    seconds, starts = [60] * len(digits), [START] * len(digits)

    expected = list(one_by_one(deck, digits, seconds, starts))

    assert in_bulk(deck, PLAN, digits, np.array(seconds)) == expected


def test_numbers_may_be_texts_bytes_or_values_with_lengths():
    digits = ["390612345678", "447700900123", "88213123456789", "12025550123"]
    seconds = np.array([61, 30, 0, 600])
    lengths = np.array([len(number) for number in digits])

    by_text = in_bulk(SAMPLE, PLAN, digits, seconds)

    assert by_text == in_bulk(SAMPLE, PLAN, np.array(digits, dtype="S15"), seconds)
    assert by_text == in_bulk(SAMPLE, PLAN, NumberColumns(np.array(digits, dtype=np.int64), lengths), seconds)
    assert by_text == list(one_by_one(SAMPLE, digits, seconds.tolist(), [START] * 4))


def test_starts_may_be_microseconds_since_1970():
    digits, seconds = ["442071838750", "61212345678"] * 2, np.array([120, 7200, 45, 3600])
    starts = [START + timedelta(hours=hours) for hours in range(4)]
    micros = np.array([int(start.timestamp()) * 1_000_000 for start in starts])

    assert in_bulk(SAMPLE, PLAN, digits, seconds, starts) == in_bulk(SAMPLE, PLAN, digits, seconds, micros)


def test_sums_beyond_64_bits_are_still_exact():
    deck = compiled("prefix,price,increments,maximum_charge\n39,0.12345678912345,1/1,\n44,900000,1/1,1000000\n")
    digits, seconds = ["390612345678", "442071838750", "442071838750"], [86_400 * 400, 10, 10**9]

    expected = list(one_by_one(deck, digits, seconds, [START] * 3))

    assert in_bulk(deck, PLAN, digits, np.array(seconds)) == expected
    assert expected[0][1] == 71_111_110_600  # 576,000 min x 0.12345678912345 = 71,111.1105351072, up to 4 decimals


def test_more_calls_than_fit_one_piece_are_rated():
    digits = ["390612345678", "393471234567", "442071838750"] * 15_000
    seconds = np.arange(len(digits)) % 4000

    rates, micros, billed = rate_many(SAMPLE, PLAN, digits, seconds, [START] * len(digits))

    sample = range(0, len(digits), 1999)
    expected = one_by_one(SAMPLE, [digits[i] for i in sample], [int(seconds[i]) for i in sample], [START] * len(sample))
    assert [(rates[i], micros[i], billed[i]) for i in sample] == list(expected)
    assert (rates.dtype, micros.dtype, billed.dtype) == (np.int32, np.int64, np.int64)


def test_messages_are_rated_by_their_own_rows():
    (found,) = in_bulk(SAMPLE, PLAN, ["393471234567"], np.array([3]), service="sms")

    assert SAMPLE.destinations[found[0]] == "Italy, SMS (illustrative)"
    assert found[1:] == (54_600, 3)  # 3 x 0.0182


def test_no_calls_are_no_results():
    assert in_bulk(SAMPLE, PLAN, [], np.array([], dtype=np.int64)) == []


@pytest.mark.parametrize("number", ["+39061234", "39 06 12", "39061x34", "3906/234", "39:61234", "39\x05", "39\x0061"])
def test_what_is_not_plain_digits_is_refused_by_name(number):
    with pytest.raises(ValueError, match=r"the 2\. of 2"):
        rate_many(SAMPLE, PLAN, np.array(["390612345678", number], dtype="S12"), np.array([1, 1]))


def test_a_number_of_more_than_15_digits_is_refused():
    with pytest.raises(ValueError, match="at most 15"):
        rate_many(SAMPLE, PLAN, ["1234567890123456"], np.array([1]))


def test_a_rate_with_bands_needs_the_starts_of_the_calls():
    with pytest.raises(ValueError, match=r"the 3\. call has a rate with time bands"):
        rate_many(SAMPLE, PLAN, ["390612345678", "442079460000", "441912345678"], np.array([1, 1, 1]), None)


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="2 numbers, 1 durations"):
        rate_many(SAMPLE, PLAN, ["390612345678", "390612345678"], np.array([1]))
