"""Minute pools: the minutes that a plan includes, shared by everybody who has that plan (D7).

A calling-plan pool belongs to (organisation, area of the usage location, plan) and to one calendar month
of the organisation's billing time zone; it grows with every assigned licence. Minutes are drawn in whole
increments (a minute, open question C: "the minute in all cases"). A minute belongs to the month in which
its call starts, so an open call goes on drawing from the month it began in.

A pool may shrink below what is used when licences are removed (D8): then nothing is free, and nothing
that was drawn is charged later.

Invariant: ``used_seconds >= 0`` and ``held_seconds >= 0``.
"""

from dataclasses import dataclass
from datetime import datetime, tzinfo

from gettone.domain.rating import Rate

POOL_INCREMENT_SECONDS = 60


@dataclass(slots=True)
class Pool:
    """One pool in one month (*period* as yyyymm).

    *rate*, when given, is the price at which credits pay for the pool's minutes (reduced-price minutes); the pools of
    calling plans have none.
    """

    pool_key: str
    period: int
    size_seconds: int
    used_seconds: int = 0
    held_seconds: int = 0
    increment_seconds: int = POOL_INCREMENT_SECONDS
    rate: Rate | None = None

    def whole_increments(self, seconds: int) -> int:
        """Round *seconds* up to the whole increments that are counted against the pool."""
        return -(-seconds // self.increment_seconds) * self.increment_seconds

    @property
    def free_seconds(self) -> int:
        """Seconds that a new hold may take."""
        return max(0, self.size_seconds - self.used_seconds - self.held_seconds)


def period_of(at: datetime, zone: tzinfo) -> int:
    """The month of *at* in the billing time *zone*, as yyyymm."""
    local = at.astimezone(zone)
    return local.year * 100 + local.month
