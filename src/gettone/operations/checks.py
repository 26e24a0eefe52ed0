"""Values that people give, checked: each refusal names the field, the value and what to write instead."""

import re
from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from gettone.catalogue.tables import product_names
from gettone.domain.money import MoneyError, check_currency
from gettone.domain.numbers import NumberError, parse_e164
from gettone.domain.parties import NumberUse
from gettone.domain.rate_fields import COUNTRIES
from gettone.errors import InvalidInput

TEXT_MAX = 200
AMOUNT_MAX = 10**17
"""Micros that one booking may move: a hundred thousand million units of the currency."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ID = re.compile(r"[!-~]{1,128}")
_NAMED_VALUE = re.compile(r"^(number|currency) ('[^']*'|\"[^\"]*\") ")
_NON_COUNTRIES = {"001"}


def org_id(value: str) -> str:
    """An organisation's id: it stands in addresses, so small letters, digits, points, hyphens and underscores."""
    if not _SLUG.fullmatch(value):
        raise InvalidInput(
            "org_id",
            value[:80],
            "write 1 to 63 small letters, digits, '.', '-' or '_', beginning with a letter or digit",
        )
    return value


def text(field: str, value: str, *, empty: bool = False) -> str:
    """A line of text for people, without blanks around it."""
    cleaned = value.strip()
    if not cleaned and not empty:
        raise InvalidInput(field, value, "write something")
    if len(cleaned) > TEXT_MAX or not cleaned.isprintable():
        raise InvalidInput(field, cleaned[:80], f"write one line of at most {TEXT_MAX} printable signs")
    return cleaned


def identifier(field: str, value: str) -> str:
    """An id from another system: visible ASCII without blanks."""
    if not _ID.fullmatch(value):
        raise InvalidInput(field, value[:80], "write 1 to 128 letters, digits or ASCII signs without blanks")
    return value


def upn(value: str) -> str:
    """A user principal name, in the small letters in which it is looked up."""
    cleaned = value.strip().lower()
    if not cleaned or len(cleaned) > TEXT_MAX or not cleaned.isprintable() or " " in cleaned:
        raise InvalidInput("upn", value[:80], "write the user principal name, such as anna@contoso.com, without blanks")
    return cleaned


def country(field: str, value: str, *, empty: bool = False) -> str:
    """An ISO 3166-1 code of two capital letters."""
    if empty and not value:
        return value
    if value not in COUNTRIES or value in _NON_COUNTRIES:
        raise InvalidInput(field, value[:80], "write an ISO 3166-1 code of two capital letters, such as IT")
    return value


def currency(value: str) -> str:
    """An active ISO 4217 code."""
    try:
        return check_currency(value)
    except MoneyError as error:
        raise InvalidInput("currency", value[:80], _remedy(error)) from None


def time_zone(value: str) -> str:
    """An IANA name of a time zone."""
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, LookupError):
        raise InvalidInput("time_zone", value[:80], "write an IANA name, such as Europe/Rome or UTC") from None


def products(values: Iterable[str]) -> tuple[str, ...]:
    """Product codes, each once, in order."""
    known = product_names()
    wanted = sorted({value.strip() for value in values} - {""})
    for product in wanted:
        if product not in known:
            raise InvalidInput("products", product[:80], f"there is no such product; known are {', '.join(known)}")
    return tuple(wanted)


def digits(field: str, value: str) -> str:
    """The digits of an E.164 number with its plus."""
    try:
        return parse_e164(value.strip())
    except NumberError as error:
        raise InvalidInput(field, value[:80], _remedy(error)) from None


def number_use(value: str) -> str:
    """What a number rings."""
    if value not in {use.value for use in NumberUse}:
        raise InvalidInput("use", value[:80], f"write one of {', '.join(use.value for use in NumberUse)}")
    return value


def reference(value: str) -> str:
    """The name of a booking, under which it is done once."""
    return text("reference", value)


def instant(field: str, value: datetime) -> datetime:
    """An instant that says where on earth its clock stands."""
    if value.tzinfo is None:
        raise InvalidInput(
            field, value.isoformat(), "write the time with its offset, such as 2026-01-31T00:00:00+00:00"
        )
    return value


def amount(micros: int) -> int:
    """An amount that a booking may move, in either direction."""
    if micros == 0 or abs(micros) > AMOUNT_MAX:
        raise InvalidInput("amount_micros", micros, f"write an amount other than zero, at most {AMOUNT_MAX} in size")
    return micros


def _remedy(error: Exception) -> str:
    """The domain's own sentence, without the field and value before it."""
    return _NAMED_VALUE.sub("", str(error))
