"""Amounts as Stripe counts them: whole minor units, by its own table.

A minor unit is a cent, a yen, a fils. Where Stripe's table is not that of ISO 4217 an amount sent by the wrong one is a
hundred times too large or too small, so what is not certain is refused.

Source: docs.stripe.com/currencies, read in November 2026: zero-decimal currencies, three-decimal currencies, special
cases.
"""

from typing import Final

from gettone.domain.money import CURRENCY_DIGITS, MICROS, render_micros
from gettone.errors import InvalidInput

_DIGITS: Final = {
    "ISK": 2,  # Written without decimals, but sent as hundredths, for compatibility with what Stripe once did.
    "MGA": 0,  # ISO 4217 has hundredths; Stripe has none.
}
_CONTRADICTORY: Final = frozenset({"UGX"})  # On the list of those without decimals, and said to be sent as hundredths.
_STEP_BY_DIGITS: Final = {0: 1, 2: 1, 3: 10}  # Card networks know no thousandths: the last digit must be 0.
_STEP: Final = {"ISK": 100}


def to_minor(micros: int, currency: str) -> int:
    """Whole minor units of an amount; raises `InvalidInput` for one that Stripe cannot move."""
    digits = _digits(currency)
    minor, rest = divmod(micros * _minor_per_unit(digits), MICROS)
    step = _STEP.get(currency, _STEP_BY_DIGITS[digits])
    if rest or minor % step:
        smallest = render_micros(step * MICROS // _minor_per_unit(digits), currency)
        raise InvalidInput("amount", render_micros(micros, currency), f"cards move multiples of {smallest} {currency}")
    return minor


def to_micros(minor: int, currency: str) -> int:
    """The amount that *minor* units are; raises `InvalidInput` for a currency that cannot be moved."""
    return minor * MICROS // _minor_per_unit(_digits(currency))


def _digits(currency: str) -> int:
    digits = _DIGITS.get(currency, CURRENCY_DIGITS.get(currency, -1))
    if digits not in _STEP_BY_DIGITS or currency in _CONTRADICTORY:
        raise InvalidInput("currency", currency, "cards cannot be charged in it; pay by agreement")
    return digits


def _minor_per_unit(digits: int) -> int:
    return int(10**digits)
