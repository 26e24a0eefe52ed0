"""Minute pools: the minutes that a plan includes, shared by everybody who has that plan (D7).

A calling-plan pool belongs to (organisation, area of the usage location, plan) and to one calendar month of the
organisation's billing time zone; it grows with every assigned licence. Its key says so: ``US/MCOPSTN1``. A Domestic and
International plan has two counters, ``GB/MCOPSTN2/domestic`` and ``GB/MCOPSTN2/international``: when either is used up,
nothing more is drawn from both (Q23). Minutes that are a user's own stand under ``user/<user id>/MCOPSTN8``, those of
an organisation's conferences under ``conference/MCOMEETADV``.

Minutes are drawn in whole increments (a minute, open question C: "the minute in all cases"). A minute belongs to the
month in which its call starts, so an open call goes on drawing from the month it began in.

A pool may shrink below what is used when licences are removed (D8): then nothing is free, and nothing
that was drawn is charged later.

Invariant: ``used_seconds >= 0`` and ``held_seconds >= 0``.
"""

from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from gettone.domain.rating import Rate

POOL_INCREMENT_SECONDS = 60

CONFERENCE = "conference"
"""In place of an area: the pool belongs to the whole organisation and serves its conferences."""

DOMESTIC = "domestic"
INTERNATIONAL = "international"
_OWN = "user/"
_OTHER_COUNTER = {DOMESTIC: INTERNATIONAL, INTERNATIONAL: DOMESTIC}


def pool_key(area: str, service_plan: str, counter: str = "") -> str:
    """The name of the pool that licences of a plan form in *area*; *counter* for plans that have two."""
    return f"{area}/{service_plan}/{counter}" if counter else f"{area}/{service_plan}"


def own_pool_key(user_id: str, service_plan: str) -> str:
    """The name of the minutes that are one user's own."""
    return f"{_OWN}{user_id}/{service_plan}"


def is_own(key: str) -> bool:
    """Whether a pool is one user's own."""
    return key.startswith(_OWN)


def owner_and_plan(key: str) -> tuple[str, str]:
    """The user id and the service plan of a pool that is one user's own."""
    user_id, _, plan = key.removeprefix(_OWN).rpartition("/")
    return user_id, plan


def split_key(key: str) -> tuple[str, str, str]:
    """The area, the service plan and the counter of a pool; the area of a user's own minutes is ``user/<user id>``."""
    if is_own(key):
        user_id, plan = owner_and_plan(key)
        return _OWN + user_id, plan, ""
    area, _, rest = key.partition("/")
    plan, _, counter = rest.partition("/")
    return area, plan, counter


def twin_of(key: str) -> str | None:
    """The other counter of the same plan, which closes this one when it is used up; None for most pools."""
    stem, _, counter = key.rpartition("/")
    other = _OTHER_COUNTER.get(counter)
    return f"{stem}/{other}" if other and not is_own(key) else None


@dataclass(slots=True)
class Pool:
    """One pool in one month (*period* as yyyymm).

    *rate*, when given, is the price at which credits pay for the pool's minutes (reduced-price minutes); the pools of
    calling plans have none. *twin* is the other counter of a plan that has two.
    """

    pool_key: str
    period: int
    size_seconds: int
    used_seconds: int = 0
    held_seconds: int = 0
    increment_seconds: int = POOL_INCREMENT_SECONDS
    rate: Rate | None = None
    twin: "Pool | None" = field(default=None, compare=False, repr=False)

    def whole_increments(self, seconds: int) -> int:
        """Round *seconds* up to the whole increments that are counted against the pool."""
        return -(-seconds // self.increment_seconds) * self.increment_seconds

    @property
    def free_seconds(self) -> int:
        """Seconds that a new hold may take."""
        if self.twin is not None and self.twin.used_up:
            return 0
        return max(0, self.size_seconds - self.used_seconds - self.held_seconds)

    @property
    def used_up(self) -> bool:
        """Whether everything in it was talked away; what running calls hold may yet come back."""
        return self.used_seconds >= self.size_seconds


def period_of(at: datetime, zone: tzinfo) -> int:
    """The month of *at* in the billing time *zone*, as yyyymm."""
    local = at.astimezone(zone)
    return local.year * 100 + local.month
