"""Amounts of money: integers in micros, written and read as decimal strings (D1).

Invariants:

- An amount is an ``int`` of micros, one millionth of the currency's major unit, whatever the currency: 1 EUR and
  1 JPY are both 1,000,000. The ISO 4217 code stands beside it, one per organisation.
- ``parse_micros(render_micros(x, c), c) == x`` for every amount that fits a signed 64-bit integer.
- Nothing is rounded here: a text with more than six decimals is refused, never cut.

The currency digits say how an amount is *written*, not how finely it is kept: a minute may cost 0.0135 EUR.
Source of the table: ISO 4217 List One as published on 1 January 2026, without the codes that have no minor unit
(metals, XDR, XSU, XUA, bond units, test and "no currency").
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

MICROS: Final = 1_000_000
DECIMALS_MAX: Final = 6

_INT64_LIMIT: Final = 2**63
_WHOLE_DIGITS_MAX: Final = 13  # 2**63 micros are 9,223,372,036,854 units and a fraction.
_AMOUNT: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?")

_CODES_BY_DIGITS: Final[Mapping[int, str]] = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
    2: (
        "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW "
        "CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF "
        "IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK "
        "MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP "
        "SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG "
        "YER ZAR ZMW ZWG"
    ),
    3: "BHD IQD JOD KWD LYD OMR TND",
    4: "CLF UYW",
}

CURRENCY_DIGITS: Final[Mapping[str, int]] = MappingProxyType(
    {code: digits for digits, codes in sorted(_CODES_BY_DIGITS.items()) for code in codes.split()}
)
"""Decimals with which an amount of the currency is usually written, by ISO 4217 code."""


class MoneyError(ValueError):
    """The text is not an amount of money, or the code is not a currency."""


def check_currency(code: str) -> str:
    """Return *code* when it is an active ISO 4217 currency; raise :class:`MoneyError` otherwise."""
    if code in CURRENCY_DIGITS:
        return code
    if (upper := code.strip().upper()) in CURRENCY_DIGITS:
        raise MoneyError(f"currency {code!r} must be written as three capital letters: write {upper!r}")
    raise MoneyError(f"currency {code!r} is not an active ISO 4217 code: write one such as 'EUR' or 'USD'")


def parse_micros(text: str, currency: str) -> int:
    """Read a decimal string such as ``"20"``, ``"0.0135"`` or ``"-3.50"`` as micros of *currency*.

    Raises :class:`MoneyError` for an unknown currency, for anything but digits with at most six decimals after a
    point, and for an amount beyond 64 bits.
    """
    check_currency(currency)
    if (found := _AMOUNT.fullmatch(text)) is None:
        raise MoneyError(f"amount {text!r} is not a decimal number: {_remedy(text)}")
    sign, whole, fraction = found[1], found[2].lstrip("0"), found[3] or ""
    if len(fraction) > DECIMALS_MAX:
        raise MoneyError(
            f"amount {_short(text)!r} has {len(fraction)} decimals: write at most {DECIMALS_MAX}, "
            "one millionth is the smallest amount"
        )
    if len(whole) > _WHOLE_DIGITS_MAX:
        raise _too_large(_short(text), currency)
    micros = int(whole or "0") * MICROS + int(fraction.ljust(DECIMALS_MAX, "0"))
    return _within_int64(-micros if sign else micros, currency)


def render_micros(micros: int, currency: str) -> str:
    """Write *micros* of *currency* as a decimal string: exact, with at least the currency's own decimals.

    Raises :class:`MoneyError` for an unknown currency or an amount beyond 64 bits.
    """
    digits = CURRENCY_DIGITS[check_currency(currency)]
    whole, rest = divmod(abs(_within_int64(micros, currency)), MICROS)
    fraction = f"{rest:0{DECIMALS_MAX}d}".rstrip("0").ljust(digits, "0")
    sign = "-" if micros < 0 else ""
    return f"{sign}{whole}.{fraction}" if fraction else f"{sign}{whole}"


def ceil_div(a: int, b: int) -> int:
    """Divide and round up, towards plus infinity; *b* is positive."""
    assert b > 0, b
    return -(-a // b)


def _within_int64(micros: int, currency: str) -> int:
    if abs(micros) >= _INT64_LIMIT:
        raise _too_large(f"{micros:,} micros", currency)
    return micros


def _too_large(shown: str, currency: str) -> MoneyError:
    return MoneyError(
        f"amount {shown} {currency} does not fit 64 bits: write an amount below 9,223,372,036,854 in size"
    )


def _remedy(text: str) -> str:
    """Say what to write instead of a text that is no amount."""
    if not text.strip():
        return "write a number such as 20.00"
    if text != text.strip():
        return "remove the spaces around it"
    if "," in text:
        return "write the decimals after a point and no thousands separators, such as 1234.50"
    if re.fullmatch(r"-?[0-9.]+[eE][+-]?[0-9]+", text):
        return "write it without an exponent, such as 0.0135"
    if text.startswith("+"):
        return "leave out the plus sign"
    if text.startswith((".", "-.")) or text.endswith("."):
        return "write digits on both sides of the point, such as 0.5"
    return "write only digits, with a point before the decimals, such as 20.00"


def _short(text: str) -> str:
    return text if len(text) <= 40 else text[:37] + "..."
