"""What the back office tells of wallets, calls, usage and pools, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from gettone.errors import InvalidInput, NotFound
from gettone.operations import directory, lifecycle, reports
from gettone.operations.messages import ChargeEvent, StartCall, StopCall
from gettone.operations.office import CallFilter
from tests.support.licences import assign

ITALY = "+390612345678"
HOME = "+14255550123"


def talk(world, session_id: str, called: str, seconds: int, *, user: str = "anna", end: bool = True) -> None:
    start = StartCall(session_id=session_id, org_id="contoso", called=called, user=user)
    stop = StopCall(session_id=session_id, org_id="contoso", request_number=1, used_seconds=seconds)
    world.charge(start, *([stop] if end else []))


@pytest.fixture
def busy(contoso):
    """Five calls, ten minutes apart: two from the pool, two from credit, one running."""
    talk(contoso, "home-1", HOME, 90)
    contoso.wait(600)
    talk(contoso, "rome-1", ITALY, 61)
    contoso.wait(600)
    talk(contoso, "rome-2", ITALY, 600, user="ben")
    contoso.wait(600)
    talk(contoso, "home-2", HOME, 30)
    contoso.wait(600)
    talk(contoso, "rome-3", ITALY, 0, end=False)
    return contoso


def ids(page) -> list[str]:
    return [one.session_id for one in page.items]


def test_a_wallet_tells_what_is_there_held_and_next_to_expire(busy):
    busy.fund("contoso", 1_000_000, reference="soon", expires_at=busy.now + timedelta(days=3))

    wallet = busy.wallet("contoso")

    assert wallet.posted_micros == 10_000_000 - 100_000 - 500_000 + 1_000_000
    assert wallet.held_micros == 250_000
    assert wallet.available_micros == wallet.posted_micros - wallet.held_micros
    assert (wallet.next_expiry_at, wallet.next_expiry_micros) == (busy.now + timedelta(days=3), 1_000_000)
    assert [lot.reference for lot in wallet.lots] == ["soon", "first"]


def test_an_empty_wallet_expires_never(world):
    world.organisation("contoso")

    assert (world.wallet("contoso").next_expiry_at, world.wallet("contoso").lots) == (None, ())


def test_lots_are_listed_by_age_spent_ones_too(busy):
    busy.fund("contoso", 1_000, reference="soon", expires_at=busy.now + timedelta(days=3))
    busy.adjust("contoso", -1_000, reference="taken")

    everything = reports.lots(busy.office, "contoso", limit=1)
    rest = reports.lots(busy.office, "contoso", cursor=everything.next_cursor)
    unspent = reports.lots(busy.office, "contoso", unspent_only=True)

    assert [lot.reference for lot in (*everything.items, *rest.items)] == ["first", "soon"]
    assert [lot.reference for lot in unspent.items] == ["first"]


def test_the_ledger_is_read_newest_first_in_pages_and_by_reference(busy):
    first = reports.entries(busy.office, "contoso", limit=2)
    rest = reports.entries(busy.office, "contoso", cursor=first.next_cursor, limit=2)
    of_call = reports.entries(busy.office, "contoso", reference="rome-1")
    funding = reports.entries(busy.office, "contoso", kind="funds_added")

    assert [entry.entry_number for entry in (*first.items, *rest.items)] == [3, 2, 1]
    assert rest.next_cursor == ""
    assert [entry.entry_number for entry in of_call.items] == [2]
    assert sum(posting.amount_micros for posting in of_call.items[0].postings) == 0
    assert [entry.reference for entry in funding.items] == ["first"]


@pytest.mark.parametrize(("name", "value"), [("kind", "purchase"), ("cursor", "x"), ("cursor", "-1"), ("limit", 0)])
def test_a_question_about_the_ledger_that_makes_no_sense_is_refused(contoso, name, value):
    with pytest.raises(InvalidInput, match=name):
        reports.entries(contoso.office, "contoso", **{name: value})


def test_calls_are_listed_newest_first_in_pages(busy):
    first = reports.calls(busy.office, "contoso", limit=2)
    second = reports.calls(busy.office, "contoso", cursor=first.next_cursor, limit=2)
    third = reports.calls(busy.office, "contoso", cursor=second.next_cursor, limit=2)

    assert ids(first) + ids(second) + ids(third) == ["rome-3", "home-2", "rome-2", "rome-1", "home-1"]
    assert third.next_cursor == ""


def test_calls_of_one_instant_are_never_skipped_or_doubled_by_pages(contoso):
    for name in ("b.1", "a", "d", "c"):
        talk(contoso, name, HOME, 1)

    seen, cursor = [], ""
    while True:
        page = reports.calls(contoso.office, "contoso", cursor=cursor, limit=1)
        seen += ids(page)
        if not (cursor := page.next_cursor):
            break

    assert sorted(seen) == ["a", "b.1", "c", "d"]


def test_calls_are_filtered(busy):
    twenty_minutes_ago = busy.now - timedelta(minutes=20)

    def found(**wanted) -> list[str]:
        return ids(reports.calls(busy.office, "contoso", CallFilter(**wanted)))

    assert found(state="open") == ["rome-3"]
    assert found(user="ben") == found(user="BEN@contoso.example") == ["rome-2"]
    assert found(called=HOME) == ["home-2", "home-1"]
    assert found(since=twenty_minutes_ago) == ["rome-3", "home-2", "rome-2"]
    assert found(until=twenty_minutes_ago) == ["rome-1", "home-1"]
    assert found(state="ended", user="anna", called=ITALY) == ["rome-1"]
    assert found(state="refused") == []
    assert found(user="nobody") == []


def test_calls_of_somebody_who_has_left_are_still_found(busy):
    directory.remove_user(busy.office, "contoso", "ben", busy.now)

    assert ids(reports.calls(busy.office, "contoso", CallFilter(user="ben"))) == ["rome-2"]


@pytest.mark.parametrize(
    ("wanted", "cursor", "field"),
    [
        (CallFilter(state="over"), "", "state"),
        (CallFilter(), "yesterday", "cursor"),
        (CallFilter(), "x.y", "cursor"),
        (CallFilter(since=datetime(2026, 2, 1, tzinfo=UTC), until=datetime(2026, 1, 1, tzinfo=UTC)), "", "until"),
    ],
)
def test_a_question_about_calls_that_makes_no_sense_is_refused(contoso, wanted, cursor, field):
    with pytest.raises(InvalidInput, match=field):
        reports.calls(contoso.office, "contoso", wanted, cursor=cursor)


def test_one_call_tells_who_paid_for_which_seconds(contoso):
    contoso.license("contoso", "anna", ["MCOEV", "MCOPSTN5", "MCOPSTNC"])
    talk(contoso, "day", HOME, 119 * 60)
    talk(contoso, "both", HOME, 125)

    detail = reports.call(contoso.office, "contoso", "both")

    assert detail.call.state == "ended"
    assert [(part.payer, part.from_second, part.seconds, part.billed_seconds) for part in detail.usage] == [
        ("pool", 0, 60, 60),
        ("credits", 60, 65, 120),
    ]
    assert detail.call.charged_micros == 20_000
    with pytest.raises(NotFound, match="'none'"):
        reports.call(contoso.office, "contoso", "none")


def totals(world, by: str, days: int = 2) -> dict[str, tuple[int, int, int, int]]:
    found = reports.usage(world.office, "contoso", by=by, since=world.now - timedelta(days=days), until=world.now)
    return {total.key: (total.calls, total.seconds, total.billed_seconds, total.charged_micros) for total in found}


def test_usage_is_added_up_by_user_destination_payer_and_day(busy):
    assert totals(busy, "user") == {"anna": (3, 181, 300, 100_000), "ben": (1, 600, 600, 500_000)}
    assert totals(busy, "destination")["IT"] == (2, 661, 720, 600_000)
    assert totals(busy, "payer") == {"pool": (2, 120, 180, 0), "credits": (2, 661, 720, 600_000)}
    assert totals(busy, "day") == {"2026-11-23": (4, 781, 900, 600_000)}


def test_a_day_is_one_of_the_organisations_clock(contoso):
    directory.change_organisation(contoso.office, "contoso", time_zone="Asia/Kathmandu")
    for minutes, name in ((0, "before"), (30, "after")):
        contoso.now = datetime(2026, 11, 23, 18, 0, tzinfo=UTC) + timedelta(minutes=minutes)
        talk(contoso, name, HOME, 60)
    contoso.wait(60)

    assert sorted(totals(contoso, "day")) == ["2026-11-23", "2026-11-24"]


def test_messages_are_counted_apart_from_calls(contoso):
    contoso.deck("country,service,price\nUS,sms,0.02\nIT,voice,0.05\n", effective_from=datetime(2021, 1, 1, tzinfo=UTC))
    contoso.charge(ChargeEvent(session_id="sms", org_id="contoso", called=HOME, user="ben", units=3))
    contoso.wait(1)

    [total] = reports.usage(
        contoso.office, "contoso", by="user", since=contoso.now - timedelta(days=1), until=contoso.now
    )

    assert (total.calls, total.messages, total.seconds, total.charged_micros) == (0, 3, 0, 60_000)


def test_usage_is_asked_for_within_a_year_and_by_what_is_known(contoso):
    since = datetime(2026, 1, 1, tzinfo=UTC)
    for by, until in (("hour", since + timedelta(days=1)), ("day", since), ("day", since + timedelta(days=367))):
        with pytest.raises(InvalidInput):
            reports.usage(contoso.office, "contoso", by=by, since=since, until=until)


def test_pools_tell_size_used_held_and_free_of_this_month(contoso):
    talk(contoso, "home", HOME, 90)
    talk(contoso, "running", HOME, 0, end=False)

    pool = contoso.pools("contoso")["US/MCOPSTN1"]

    assert (pool.area, pool.product, pool.period, pool.licences) == ("US", "MCOPSTN1", 202611, 1)
    assert (pool.size_seconds, pool.used_seconds, pool.held_seconds, pool.free_seconds) == (180_000, 120, 300, 179_580)


def test_pools_of_a_past_month_keep_the_size_they_were_drawn_with(contoso):
    talk(contoso, "home", HOME, 90)
    contoso.now = datetime(2026, 12, 2, tzinfo=UTC)
    assign(contoso, "anna", remove=("MCOPSTN1", "MCOPSTNC"))

    now = contoso.pools("contoso")["US/MCOPSTN1"]
    [then] = reports.pools(contoso.office, "contoso", contoso.now, period=202611)

    assert (now.period, now.size_seconds, now.used_seconds) == (202612, 0, 0)
    assert (then.licences, then.size_seconds, then.used_seconds) == (None, 180_000, 120)


@pytest.mark.parametrize("period", [202613, 26, 0, -202601])
def test_a_month_that_is_none_is_refused(contoso, period):
    with pytest.raises(InvalidInput, match="period"):
        reports.pools(contoso.office, "contoso", contoso.now, period=period)


def test_a_pool_with_two_counters_shows_both(contoso):
    contoso.user("contoso", "gwen", location="GB", products=["MCOPSTN2"])

    shown = {pool.pool_key: pool for pool in reports.pools(contoso.office, "contoso", contoso.now)}

    domestic, abroad = shown["GB/MCOPSTN2/domestic"], shown["GB/MCOPSTN2/international"]
    assert (domestic.area, domestic.product, domestic.counter) == ("GB", "MCOPSTN2", "domestic")
    assert (domestic.capability, domestic.size_seconds) == ("MCOPSTN2", 3000 * 60)
    assert (abroad.counter, abroad.licences, abroad.size_seconds) == ("international", 1, 600 * 60)
    conference = shown["conference/MCOMEETADV"]
    assert (conference.area, conference.product, conference.capability) == ("conference", "MCOMEETADV", "MCOMEETADD")


def test_pools_follow_dated_allotments(contoso):
    before = datetime(2020, 5, 5, tzinfo=UTC)
    contoso.user("contoso", "gwen", location="GB", products=["MCOPSTN1"])

    assert contoso.pools("contoso")["GB/MCOPSTN1"].size_seconds == 3000 * 60
    assert lifecycle.resize_pools(contoso.office, contoso.now) == 0
    assert lifecycle.resize_pools(contoso.office, before) == 1
    assert contoso.pools("contoso")["GB/MCOPSTN1"].size_seconds == 1200 * 60
    # In May 2020 the minutes of conferences still grew with the licences that were assigned, and nobody has one.
    assert contoso.pools("contoso")["conference/MCOMEETADV"].size_seconds == 0
