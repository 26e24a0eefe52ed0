"""A lot is one purchase or grant of credit, with its own expiry (D10).

Burn order is total and deterministic: earliest expiry, then oldest, then id. A lot cannot be spent
from the instant it expires, whatever clean-up has run; what a running call holds of it stays usable
for that call.

Invariant: ``0 <= held_micros <= remaining_micros <= amount_micros``.
"""

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo


@dataclass(slots=True)
class Lot:
    """Credit bought or granted at one time.

    *remaining_micros* is what is not yet spent, *held_micros* the part of it that running calls reserve.
    """

    lot_id: str
    purchased_at: datetime
    expires_at: datetime
    amount_micros: int
    remaining_micros: int
    held_micros: int = 0

    def free_micros(self, now: datetime) -> int:
        """What a new hold may take of this lot at *now*."""
        return self.remaining_micros - self.held_micros if now < self.expires_at else 0

    def expired_micros(self, now: datetime) -> int:
        """What can never be spent any more and belongs to breakage."""
        return self.remaining_micros - self.held_micros if now >= self.expires_at else 0


@dataclass(frozen=True, slots=True)
class Burn:
    """*micros* taken out of one lot."""

    lot_id: str
    micros: int


def burn_order(lots: Iterable[Lot]) -> list[Lot]:
    """Sort *lots* into the order in which they are spent."""
    return sorted(lots, key=lambda lot: (lot.expires_at, lot.purchased_at, lot.lot_id))


def expiry_of(purchased_at: datetime, zone: tzinfo, *, months: int = 12) -> datetime:
    """End of the day *months* calendar months after the purchase, in the billing time *zone*.

    A day that the month does not have becomes its last one: 29 February becomes 28 February.
    The end of a day is the first instant of the next, so a lot is spendable while ``now < expires_at``.
    """
    local = purchased_at.astimezone(zone)
    month_index = local.year * 12 + local.month - 1 + months
    year, month = divmod(month_index, 12)
    month += 1
    day = min(local.day, calendar.monthrange(year, month)[1])
    midnight = datetime(year, month, day, tzinfo=zone) + timedelta(days=1)
    return midnight.astimezone(purchased_at.tzinfo)
