"""Lots: expiry in the billing time zone, and the order in which they are spent."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.lots import Lot, burn_order, expiry_of

ROME = ZoneInfo("Europe/Rome")


@pytest.mark.parametrize(
    ("purchased_at", "zone", "expires_at"),
    [
        (datetime(2026, 11, 23, 10, tzinfo=UTC), UTC, datetime(2027, 11, 24, tzinfo=UTC)),
        # 29 February has no anniversary: 28 February.
        (datetime(2028, 2, 29, 10, tzinfo=UTC), UTC, datetime(2029, 3, 1, tzinfo=UTC)),
        # 23:30 UTC is already the next day in Rome, whose midnight is 23:00 UTC in winter.
        (datetime(2026, 11, 23, 23, 30, tzinfo=UTC), ROME, datetime(2027, 11, 24, 23, tzinfo=UTC)),
        # Summer time: Rome's midnight is 22:00 UTC.
        (datetime(2026, 7, 1, 12, tzinfo=UTC), ROME, datetime(2027, 7, 1, 22, tzinfo=UTC)),
    ],
)
def test_a_lot_expires_at_the_end_of_the_day_twelve_months_later(
    purchased_at: datetime, zone: ZoneInfo, expires_at: datetime
) -> None:
    """The end of a day is the first instant of the next, by the billing clock (D10)."""
    assert expiry_of(purchased_at, zone) == expires_at


@given(st.datetimes(datetime(2018, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)), st.sampled_from([UTC, ROME]))
def test_a_lot_lasts_twelve_months_and_at_most_one_day_more(purchased_at: datetime, zone: ZoneInfo) -> None:
    """Neither leap years nor the zone's clock change that."""
    lifetime = expiry_of(purchased_at, zone) - purchased_at

    assert timedelta(days=364, hours=23) <= lifetime <= timedelta(days=367)


def test_lots_are_spent_by_expiry_then_by_age_then_by_id() -> None:
    """The order is total: it never depends on how the lots were read."""
    day = datetime(2026, 1, 1, tzinfo=UTC)
    lots = [
        Lot("d", day, day + timedelta(days=20), 1, 1),
        Lot("c", day, day + timedelta(days=10), 1, 1),
        Lot("b", day, day + timedelta(days=10), 1, 1),
        Lot("a", day + timedelta(days=1), day + timedelta(days=10), 1, 1),
    ]

    assert [lot.lot_id for lot in burn_order(lots)] == ["b", "c", "a", "d"]
    assert burn_order(lots[::-1]) == burn_order(lots)


def test_an_expired_lot_is_not_free_at_the_instant_it_expires() -> None:
    """Whatever clean-up has run: what is left of it is breakage, what is held stays with its call."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    lot = Lot("a", now - timedelta(days=365), now, 100, 60, 20)

    assert lot.free_micros(now - timedelta(microseconds=1)) == 40
    assert lot.free_micros(now) == 0
    assert lot.expired_micros(now) == 40
