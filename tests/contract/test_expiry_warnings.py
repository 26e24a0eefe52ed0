"""Credit that is going to expire is announced 60, 30 and 7 days before, once for each lot and mark."""

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from gettone.operations.expiry_warnings import ExpiryWarnings
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.notices import CREDIT_EXPIRING, list_notices, sentence


def told(world, org_id="contoso") -> list[tuple[str, str, str]]:
    """Amount, last day and days of every announcement, oldest first."""
    found = list_notices(world.office, org_id, kind=CREDIT_EXPIRING).items
    return [(one.facts["amount"], one.facts["expires_on"], one.facts["days"]) for one in reversed(found)]


@pytest.fixture
def warned(world):
    """A world with an American organisation in New York time, where it is noon of 23 November."""
    world.organisation("contoso", time_zone="America/New_York")
    return world


def test_credit_is_announced_at_sixty_thirty_and_seven_days(warned):
    warned.fund("contoso", 25_000_000, reference="first")
    warnings, days = ExpiryWarnings(warned.office), []
    for _ in range(366 * 4):
        warned.wait(6 * 3600)
        if warnings(warned.now):
            days.append(f"{warned.now:%Y-%m-%d %H}")

    # Bought on 23 November 2026, usable until the end of 23 November 2027 in New York.
    assert days == ["2027-09-24 06", "2027-10-24 06", "2027-11-16 06"]
    assert told(warned) == [("25000000", "2027-11-23", left) for left in ("60", "30", "7")]


def test_a_mark_begins_with_the_day_where_the_organisation_is(warned):
    warned.organisation("tokyo", country="JP", currency="JPY", time_zone="Asia/Tokyo")
    last_moment = datetime(2026, 12, 31, tzinfo=UTC)
    # Both may be used until the end of 30 December.
    warned.fund("contoso", 1_000_000, reference="a", expires_at=last_moment + timedelta(hours=5))
    warned.fund("tokyo", 1_000_000, reference="b", expires_at=last_moment - timedelta(hours=9))
    warnings = ExpiryWarnings(warned.office)
    warned.now = datetime(2026, 11, 29, 14, 59, 59, tzinfo=UTC)
    assert warnings(warned.now) == 0

    warned.wait(1)
    assert warnings(warned.now) == 1
    assert told(warned, "tokyo") == [("1000000", "2026-12-30", "30")]
    warned.now = datetime(2026, 11, 30, 4, 59, 59, tzinfo=UTC)
    assert warnings(warned.now) == 0

    warned.wait(1)
    assert warnings(warned.now) == 1
    assert told(warned) == [("1000000", "2026-12-30", "30")]


def test_what_is_told_is_what_is_left_then(contoso):
    contoso.organisation("other")
    contoso.wait(300 * 86400)
    contoso.charge(
        StartCall(session_id="s", org_id="contoso", user="ben", called="+390655500100"),
        StopCall(session_id="s", org_id="contoso", request_number=1, used_seconds=600),
    )
    left = contoso.wallet("contoso").available_micros
    contoso.wait(10 * 86400)
    ExpiryWarnings(contoso.office)(contoso.now)

    assert 0 < left < 10_000_000
    assert [amount for amount, _, _ in told(contoso)] == [str(left)]
    [notice] = list_notices(contoso.office, "contoso", kind=CREDIT_EXPIRING).items
    assert "of credit expire" in sentence(notice, "USD")


def test_credit_that_is_used_up_is_not_announced(contoso):
    contoso.adjust("contoso", -10_000_000, reference="back")
    contoso.wait(340 * 86400)

    assert ExpiryWarnings(contoso.office)(contoso.now) == 0


def test_another_process_tells_nothing_twice(warned):
    warned.fund("contoso", 1_000_000, reference="first")
    warned.wait(310 * 86400)

    assert ExpiryWarnings(warned.office)(warned.now) == 1
    assert ExpiryWarnings(warned.office)(warned.now) == 0
    assert len(told(warned)) == 1


def test_a_clock_that_is_put_back_tells_nothing_twice_and_loses_nothing(warned):
    warned.fund("contoso", 1_000_000, reference="first")
    warnings = ExpiryWarnings(warned.office)
    for days in (310, -20, 20, 30):
        warned.wait(days * 86400)
        warnings(warned.now)

    assert [days for _, _, days in told(warned)] == ["55", "25"]


def test_after_a_long_sleep_only_the_latest_mark_is_told_with_the_days_there_are(warned):
    warned.fund("contoso", 1_000_000, reference="first")
    warnings = ExpiryWarnings(warned.office)
    warnings(warned.now)
    warned.wait(361 * 86400)

    assert warnings(warned.now) == 1
    assert told(warned) == [("1000000", "2027-11-23", "4")]


def test_a_mark_that_was_past_when_the_credit_came_is_not_told(warned):
    warned.fund("contoso", 1_000_000, reference="short", expires_at=warned.now + timedelta(days=20))
    warned.fund("contoso", 2_000_000, reference="gone", expires_at=warned.now + timedelta(days=3))
    assert ExpiryWarnings(warned.office)(warned.now) == 0

    warned.wait(14 * 86400)
    ExpiryWarnings(warned.office)(warned.now)
    assert [amount for amount, _, _ in told(warned)] == ["1000000"]


def test_an_organisation_that_moves_to_another_time_zone_is_told_all_the_same(warned):
    warned.fund("contoso", 1_000_000, reference="first", expires_at=datetime(2026, 12, 31, 12, tzinfo=UTC))
    warnings = ExpiryWarnings(warned.office)
    warned.now = datetime(2026, 12, 1, 4, tzinfo=UTC)
    assert warnings(warned.now) == 0
    with warned.office.write("contoso") as unit:
        unit.directory.change_organisation(replace(unit.organisation, time_zone="Europe/Berlin"))
    warned.wait(60)

    # In Berlin its mark was past hours ago, and nobody has heard of it.
    assert warnings(warned.now) == 1


def test_every_lot_of_many_organisations_is_looked_at(world, monkeypatch):
    monkeypatch.setattr("gettone.operations.expiry_warnings.BATCH", 2)
    for org_id in ("a", "b", "c"):
        world.organisation(org_id)
        for number in range(3):
            world.fund(org_id, 1_000_000, reference=str(number))
    world.wait(320 * 86400)

    assert ExpiryWarnings(world.office)(world.now) == 9


def test_a_walk_that_is_cut_off_is_made_again_in_full(world):
    for org_id in ("a", "b", "c"):
        world.organisation(org_id)
        world.fund(org_id, 1_000_000, reference="first")
    world.wait(320 * 86400)
    walked = iter([False, False, True])
    warnings = ExpiryWarnings(world.office, stopping=lambda: next(walked, False))

    assert warnings(world.now) == 2
    assert warnings(world.now) == 1
