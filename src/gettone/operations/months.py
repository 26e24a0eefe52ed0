"""Months as yyyymm, in an organisation's time zone: where they begin and end, and which one follows."""

from datetime import datetime, tzinfo

from gettone.errors import InvalidInput


def bounds(period: int, zone: tzinfo) -> tuple[datetime, datetime]:
    """The first instant of a month, and the first after it."""
    return begin(period, zone), begin(following(period), zone)


def begin(period: int, zone: tzinfo) -> datetime:
    """The first instant of a month."""
    return datetime(period // 100, period % 100, 1, tzinfo=zone)


def following(period: int) -> int:
    """The month after one."""
    return period + 1 if period % 100 < 12 else period + 89


def preceding(period: int) -> int:
    """The month before one."""
    return period - 1 if period % 100 > 1 else period - 89


def check(period: int, field: str = "month") -> int:
    """Return *period*; raise `InvalidInput` when it is no month of the years 2000 to 2199."""
    if not (200001 <= period <= 219912 and 1 <= period % 100 <= 12):
        raise InvalidInput(field, period, "write year and month, such as 202611")
    return period


def read(text: str, field: str = "month") -> int:
    """Read ``2026-11`` or ``202611``; raises `InvalidInput`."""
    digits = text.replace("-", "")
    if not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        raise InvalidInput(field, text[:20], "write year and month, such as 2026-11")
    return check(int(digits), field)


def shown(period: int) -> str:
    """A month as ``2026-11``."""
    return f"{period // 100:04d}-{period % 100:02d}"
