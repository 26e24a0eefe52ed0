"""Money is exact: what is written is what is read, and what cannot be kept exactly is refused with a remedy."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.money import (
    CURRENCY_DIGITS,
    MICROS,
    MoneyError,
    ceil_div,
    check_currency,
    parse_micros,
    render_micros,
)

LIMIT = 2**63
THREE_DECIMALS = {"BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"}
amounts = st.integers(-LIMIT + 1, LIMIT - 1)
currencies = st.sampled_from(sorted(CURRENCY_DIGITS))


@given(amounts, currencies)
def test_an_amount_written_and_read_again_is_the_same(micros, currency):
    assert parse_micros(render_micros(micros, currency), currency) == micros


@given(amounts, currencies)
def test_an_amount_is_written_with_its_currencys_decimals_and_no_needless_ones(micros, currency):
    _, _, fraction = render_micros(micros, currency).partition(".")
    assert CURRENCY_DIGITS[currency] <= len(fraction) <= 6
    assert len(fraction) == CURRENCY_DIGITS[currency] or not fraction.endswith("0")


@pytest.mark.parametrize(
    ("micros", "currency", "text"),
    [
        (20 * MICROS, "EUR", "20.00"),
        (13_500, "EUR", "0.0135"),
        (1, "EUR", "0.000001"),
        (-3_500_000, "USD", "-3.50"),
        (0, "USD", "0.00"),
        (20 * MICROS, "JPY", "20"),
        (20 * MICROS + 500_000, "JPY", "20.5"),
        (MICROS, "KWD", "1.000"),
        (MICROS, "CLF", "1.0000"),
        (LIMIT - 1, "EUR", "9223372036854.775807"),
    ],
)
def test_amounts_are_written_as_people_write_them(micros, currency, text):
    assert render_micros(micros, currency) == text


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("20", 20 * MICROS),
        ("20.0", 20 * MICROS),
        ("0.0135", 13_500),
        ("000000000000000020.00", 20 * MICROS),
        ("-0", 0),
        ("-0.000001", -1),
        ("9223372036854.775807", LIMIT - 1),
        ("-9223372036854.775807", 1 - LIMIT),
    ],
)
def test_decimal_strings_are_read_exactly(text, micros):
    assert parse_micros(text, "EUR") == micros


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "write a number such as 20.00"),
        ("   ", "write a number such as 20.00"),
        (" 20", "remove the spaces"),
        ("20,00", "after a point"),
        ("1,234.50", "no thousands separators"),
        ("1e3", "without an exponent"),
        ("-1.5E-7", "without an exponent"),
        ("+5", "leave out the plus sign"),
        (".5", "both sides of the point"),
        ("-.5", "both sides of the point"),
        ("5.", "both sides of the point"),
        ("20 EUR", "only digits"),
        ("1.2.3", "only digits"),
        ("--1", "only digits"),
        ("NaN", "only digits"),
        ("20\n", "remove the spaces"),
        ("٢٠", "only digits"),
        ("0.0000001", "has 7 decimals: write at most 6"),
        ("1.0000000", "has 7 decimals: write at most 6"),
        ("0." + "1" * 100, "has 100 decimals"),
        ("9223372036854.775808", "does not fit 64 bits"),
        ("-9223372036854.775808", "does not fit 64 bits"),
        ("9" * 5000, "does not fit 64 bits"),
    ],
)
def test_what_is_no_amount_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(MoneyError, match=remedy) as refused:
        parse_micros(text, "EUR")
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("micros", [LIMIT, -LIMIT])
def test_an_amount_beyond_64_bits_is_not_written(micros):
    with pytest.raises(MoneyError, match="does not fit 64 bits"):
        render_micros(micros, "EUR")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        ("eur", "write 'EUR'"),
        (" EUR", "write 'EUR'"),
        ("", "not an active ISO 4217 code"),
        ("XAU", "not an active ISO 4217 code"),
        ("ITL", "not an active ISO 4217 code"),
        ("€", "not an active ISO 4217 code"),
    ],
)
def test_an_unknown_currency_is_refused_everywhere(code, remedy):
    for refuse in (check_currency, lambda code: parse_micros("1", code), lambda code: render_micros(1, code)):
        with pytest.raises(MoneyError, match=remedy):
            refuse(code)


def test_a_known_currency_is_returned():
    assert check_currency("EUR") == "EUR"


def test_the_currency_table_has_the_codes_of_iso_4217_and_cannot_be_changed():
    assert len(CURRENCY_DIGITS) == 165
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCY_DIGITS)
    assert {code for code, digits in CURRENCY_DIGITS.items() if digits == 3} == THREE_DECIMALS
    assert (CURRENCY_DIGITS["EUR"], CURRENCY_DIGITS["JPY"], CURRENCY_DIGITS["UYW"]) == (2, 0, 4)
    with pytest.raises(TypeError):
        CURRENCY_DIGITS["EUR"] = 3


@given(st.integers(), st.integers(min_value=1))
def test_rounding_up_gives_the_least_whole_number_that_is_enough(a, b):
    quotient = ceil_div(a, b)
    assert (quotient - 1) * b < a <= quotient * b


def test_rounding_up_knows_only_positive_divisors():
    with pytest.raises(AssertionError):
        ceil_div(1, 0)
