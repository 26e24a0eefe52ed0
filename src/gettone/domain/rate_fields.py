"""The columns of a rate deck: how each cell is read and written.

Every reader takes the text of a cell that is not empty and raises ``ValueError`` with what is wrong and what to write
instead; every writer gives back a text that reads as the same value. An empty cell has the default of `rates.DeckRow`.

| column | what it says | examples |
|---|---|---|
| ``prefix`` | leading digits of E.164 numbers | ``3906`` |
| ``country`` | ISO 3166-1 alpha-2, or 001 for international networks | ``IT`` |
| ``kind`` | kind of number, with a country | ``mobile`` |
| ``service`` | voice (default) or sms | ``sms`` |
| ``destination`` | its name | ``Italy, Rome`` |
| ``price`` | per minute (voice) or message (sms), unless ``per`` says otherwise | ``0.05`` |
| ``per`` | minute, second, message, or a number of seconds | ``second``, ``30`` |
| ``connection_charge`` | once an answered call | ``0.10`` |
| ``increments`` | seconds, first/next; default 60/60 | ``30/6`` |
| ``steps`` | from-second:price, and :increment if it changes | ``60:0.05 600:0.02:1`` |
| ``days`` | weekdays, or one day of the year, which beats weekdays | ``Mon-Fri``, ``Sat,Sun``, ``12-25`` |
| ``hours`` | local time, end exclusive, not past midnight | ``08:00-19:00`` |
| ``zone`` | whose clock ``days`` and ``hours`` follow; default UTC | ``Europe/Rome`` |
| ``minimum_charge``, ``maximum_charge`` | of a call | ``0.20`` |
| ``maximum_action`` | free (default) or disconnect | ``disconnect`` |
| ``rounding`` | up, half-up or down, and decimals; default up 4 | ``half-up 2`` |

Source: D3.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from gettone.domain.bands import DAY_NAMES, DAY_SECONDS, WHOLE_WEEK, MaximumAction, clock, parse_increments
from gettone.domain.money import check_currency
from gettone.domain.numbers import Kind
from gettone.domain.rating import Rounding
from gettone.domain.tabular import parse_decimal

VOICE = "voice"
SMS = "sms"
SERVICES = (VOICE, SMS)

# ISO 3166-1 with AC, TA and XK, which have numbers of their own, and 001 for the networks of no country.
_CODES = """
001
AC AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW BY
BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI FJ FK FM
FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN IO IQ IR IS IT
JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN
MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT
PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TA TC TD TF TG TH TJ TK
TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS XK YE YT ZA ZM ZW
"""
COUNTRIES = frozenset(_CODES.split())

_PER_SECONDS = {"minute": 60, "second": 1, "message": 1}
_DAYS = [name[:3] for name in DAY_NAMES]
_TIME = re.compile(r"([0-9]{1,2}):([0-9]{2})(?::([0-9]{2}))?")


class Days(NamedTuple):
    """ISO weekdays, or one day of the year as (month, day)."""

    weekdays: frozenset[int] = WHOLE_WEEK
    month_day: tuple[int, int] | None = None


class PriceStep(NamedTuple):
    """A price from a second of the call on; *increment_seconds* None keeps the row's."""

    from_second: int
    price: Decimal
    increment_seconds: int | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """How the cells of a column are read and written, and whether they hold numbers with decimals."""

    read: Callable[[str], Any]
    write: Callable[[Any], str]
    has_decimals: bool = False


def write_decimal(number: Decimal | None) -> str:
    """Write *number* without exponent and without zeros at its end; nothing for None."""
    if number is None:
        return ""
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _read_amount(text: str) -> Decimal:
    amount = parse_decimal(text)
    if amount < 0:
        raise ValueError("is negative; write 0 or more")
    return amount


def _read_prefix(text: str) -> str:
    digits = text.removeprefix("+")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 15) or digits.startswith("0"):
        raise ValueError("is not the beginning of an E.164 number; write its digits, country code first, without 00")
    return digits


def _read_country(text: str) -> str:
    if text.upper() not in COUNTRIES:
        raise ValueError("is not a country; write its ISO 3166-1 code of two letters, such as IT")
    return text.upper()


def _read_kind(text: str) -> Kind:
    return Kind.from_label(text.lower().replace("_", "-").replace(" ", "-"))


def _read_service(text: str) -> str:
    if text.lower() not in SERVICES:
        raise ValueError("is not a service; write voice or sms")
    return text.lower()


def _read_per(text: str) -> int:
    if (seconds := _PER_SECONDS.get(text.lower())) is not None:
        return seconds
    if text.isascii() and text.isdigit() and 1 <= int(text) <= DAY_SECONDS:
        return int(text)
    raise ValueError("is not a unit of time; write minute, second, message or a number of seconds")


def _write_per(seconds: int) -> str:
    return "minute" if seconds == 60 else str(seconds)


def _read_steps(text: str) -> tuple[PriceStep, ...]:
    steps = tuple(_read_step(part) for part in text.split())
    positions = [step.from_second for step in steps]
    if positions != sorted(set(positions)):
        raise ValueError("has steps out of order; write each later second once, such as 60:0.05 600:0.02")
    return steps


def _read_step(text: str) -> PriceStep:
    second, _, rest = text.partition(":")
    price, _, increment = rest.partition(":")
    for number in (second, increment or "1"):
        if not (number.isascii() and number.isdigit() and 1 <= int(number) <= DAY_SECONDS):
            raise ValueError("is not a list of steps; write from-second:price or from-second:price:increment")
    return PriceStep(int(second), _read_amount(price), int(increment) if increment else None)


def _write_steps(steps: tuple[PriceStep, ...]) -> str:
    return " ".join(
        f"{step.from_second}:{write_decimal(step.price)}"
        + (f":{step.increment_seconds}" if step.increment_seconds else "")
        for step in steps
    )


def _read_days(text: str) -> Days:
    if found := re.fullmatch(r"([0-9]{2})-([0-9]{2})", text):
        month_day = int(found[1]), int(found[2])
        try:
            datetime(2000, *month_day, tzinfo=UTC)  # 2000 has a 29 February.
        except ValueError:
            raise ValueError("is not a day of the year; write month-day, such as 12-25") from None
        return Days(month_day=month_day)
    weekdays: set[int] = set()
    for part in re.split(r"[,\s]+", text.strip()):
        first, _, last = (name.strip().capitalize() for name in part.partition("-"))
        if first not in _DAYS or (last or first) not in _DAYS:
            raise ValueError("is not a list of days; write Mon-Fri, Sat,Sun, or month-day such as 12-25")
        start = _DAYS.index(first)
        length = (_DAYS.index(last or first) - start) % 7 + 1
        weekdays |= {(start + day) % 7 + 1 for day in range(length)}
    return Days(frozenset(weekdays))


def _write_days(days: Days) -> str:
    if days.month_day is not None:
        return "{:02d}-{:02d}".format(*days.month_day)
    return "" if days.weekdays == WHOLE_WEEK else ",".join(_DAYS[day - 1] for day in sorted(days.weekdays))


def _read_hours(text: str) -> tuple[int, int]:
    start, _, end = text.partition("-")
    hours = _read_time(start), _read_time(end)
    if hours[0] >= hours[1]:
        raise ValueError("does not end after it starts; past midnight write two rows, to 24:00 and from 00:00")
    return hours


def _read_time(text: str) -> int:
    found = _TIME.fullmatch(text.strip())
    hour, minute, second = (int(part or 0) for part in found.groups()) if found else (99, 0, 0)
    of_day = hour * 3600 + minute * 60 + second
    if minute > 59 or second > 59 or of_day > DAY_SECONDS:
        raise ValueError("is not a span of local time; write it as 08:00-19:00")
    return of_day


def _write_hours(hours: tuple[int, int]) -> str:
    return "" if hours == (0, DAY_SECONDS) else f"{clock(hours[0])}-{clock(hours[1])}"


def _read_zone(text: str) -> str:
    try:
        return ZoneInfo(text).key
    except (ValueError, OSError, LookupError):
        raise ValueError("is not a time zone; write its IANA name, such as Europe/Rome") from None


def _read_action(text: str) -> MaximumAction:
    try:
        return MaximumAction(text.lower())
    except ValueError:
        raise ValueError("is not an action; write free or disconnect") from None


def _read_rounding(text: str) -> tuple[Rounding, int]:
    rule, _, decimals = text.lower().partition(" ")
    if rule not in {rounding.value for rounding in Rounding} or not re.fullmatch(r"[0-9]{1,2}", decimals.strip()):
        raise ValueError("is not a rounding rule; write up, half-up or down and the decimals, such as up 4")
    return Rounding(rule), int(decimals)


def read_effective_from(text: str) -> datetime:
    """Read a date (its first instant in UTC) or a time with offset (UTC without one).

    Raises:
        ValueError: neither.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date; write it as 2026-01-31 or 2026-01-31T00:00:00+00:00") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)


COLUMNS: dict[str, Column] = {
    "prefix": Column(_read_prefix, str),
    "country": Column(_read_country, str),
    "kind": Column(
        _read_kind,
        lambda kind: "" if kind is None else str(kind.label),
    ),
    "service": Column(_read_service, str),
    "destination": Column(str, str),
    "price": Column(_read_amount, write_decimal, has_decimals=True),
    "per": Column(_read_per, _write_per),
    "connection_charge": Column(_read_amount, write_decimal, has_decimals=True),
    "increments": Column(parse_increments, "{0[0]}/{0[1]}".format),
    "steps": Column(_read_steps, _write_steps, has_decimals=True),
    "days": Column(_read_days, _write_days),
    "hours": Column(_read_hours, _write_hours),
    "zone": Column(_read_zone, str),
    "minimum_charge": Column(_read_amount, write_decimal, has_decimals=True),
    "maximum_charge": Column(_read_amount, write_decimal, has_decimals=True),
    "maximum_action": Column(_read_action, lambda action: str(action.value)),
    "rounding": Column(_read_rounding, lambda rule: f"{rule[0].value} {rule[1]}"),
}
"""The columns of a row; each is a field of `rates.DeckRow` of the same name."""

DECK_COLUMNS: dict[str, Column] = {
    "currency": Column(check_currency, str),
    "effective_from": Column(read_effective_from, datetime.isoformat),
}
"""The columns of the whole deck: the same in every row, or given beside the file."""
