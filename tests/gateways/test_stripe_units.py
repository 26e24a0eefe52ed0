"""Amounts as Stripe counts them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.money import CURRENCY_DIGITS
from gettone.errors import InvalidInput
from gettone.gateways.stripe_units import to_micros, to_minor


@pytest.mark.parametrize(
    ("micros", "currency", "minor"),
    [
        (20_000_000, "USD", 2000),
        (12_340_000, "EUR", 1234),
        (10_000, "GBP", 1),
        (2_000_000_000, "JPY", 2000),
        (5_000_000_000, "KRW", 5000),
        (20_000_000, "KWD", 20_000),
        (5_120_000, "KWD", 5120),
        (5_000_000, "ISK", 500),
        (5_000_000, "MGA", 5),
        (1_000_500_000, "HUF", 100_050),
    ],
)
def test_an_amount_becomes_minor_units_and_back(micros, currency, minor):
    assert to_minor(micros, currency) == minor
    assert to_micros(minor, currency) == micros


@pytest.mark.parametrize(
    ("micros", "currency", "remedy"),
    [
        (5_124_000, "KWD", "multiples of 0.010 KWD"),
        (12_345_000, "USD", "multiples of 0.01 USD"),
        (500_000, "JPY", "multiples of 1 JPY"),
        (5_500_000, "ISK", "multiples of 1 ISK"),
        (5_500_000, "MGA", "multiples of 1.00 MGA"),
        (5_000_000, "UGX", "pay by agreement"),
        (5_000_000, "CLF", "pay by agreement"),
        (5_000_000, "ZZZ", "pay by agreement"),
    ],
)
def test_an_amount_that_cards_cannot_move_is_refused_with_the_remedy(micros, currency, remedy):
    with pytest.raises(InvalidInput, match=remedy):
        to_minor(micros, currency)


@given(st.sampled_from(sorted(CURRENCY_DIGITS)), st.integers(1, 10**12))
def test_what_is_sent_is_always_what_was_meant(currency, micros):
    try:
        minor = to_minor(micros, currency)
    except InvalidInput:
        return
    assert to_micros(minor, currency) == micros
