"""Blocked users, spending beside its limits, and notices, on both databases."""

from datetime import datetime, timedelta

import pytest

from gettone.domain.refusals import Refusal
from gettone.errors import InvalidInput, NotFound
from gettone.operations import blocks
from gettone.operations.blocks import block_history, block_user, blocked_users, end_blocks, unblock_user
from gettone.operations.instants import microseconds
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.notices import (
    GUARD_REFUSED,
    KINDS,
    SPEND_LIMIT_REACHED,
    SPEND_WARNING,
    USER_BLOCKED,
    USER_UNBLOCKED,
    list_notices,
    notice,
    sentence,
)
from gettone.operations.policies import PolicyChanges, change_policies, change_user_policy
from gettone.operations.spending import allow_destination, list_destinations, spending, spending_page
from gettone.operations.views import NumberView
from gettone.storage.schema import known_destination, tally
from tests.support.rows import MIDDAY, organisation, user
from tests.support.sales import EURO, change, peopled, put, spent, told, version


@pytest.fixture
def office(office):
    with peopled(office) as made:
        yield made


# -- blocks ------------------------------------------------------------------------------------------------------------


def block(office, ref: str = "anna", *, now: datetime = MIDDAY, until: datetime | None = None, **more):
    return block_user(office, "contoso", ref, "tenant_requested", now, until=until, by="the test", **more)


def test_a_blocked_user_is_reported_with_reason_time_and_numbers(office):
    with office.write_shared() as unit:
        number = NumberView(number="+390612345678", use="user", user_id="anna", label="")
        unit.directory.add_numbers("contoso", [number])
    before = version(office)
    until = MIDDAY + timedelta(days=2)

    changed = block(office, "anna@contoso.example", until=until, detail="phone was stolen")

    [shown] = blocked_users(office, "contoso", MIDDAY).items
    assert (changed.blocked_reason, changed.blocked_until) == ("tenant_requested", until)
    assert (shown.display_name, shown.numbers) == ("Anna Conti", ("+390612345678",))
    assert (shown.reason, shown.action, shown.blocked_at, shown.until) == (
        "tenant_requested",
        "blocked",
        MIDDAY,
        until,
    )
    assert (shown.explanation, shown.by, shown.detail) == (
        "An administrator of the organisation asked for it.",
        "the test",
        "phone was stolen",
    )
    assert version(office) == before + 1
    assert told(office) == [
        (
            "User anna is blocked from calling until 25 November 2026, 12:00 (UTC). "
            "An administrator of the organisation asked for it."
        )
    ]


def test_somebody_who_unblocks_stands_in_the_history_behind_the_block(office):
    block(office)
    before = version(office)

    changed = unblock_user(office, "contoso", "anna", MIDDAY, by="somebody else", detail="found it")

    assert (changed.blocked_reason, changed.blocked_until) == ("", None)
    assert blocked_users(office, "contoso", MIDDAY).items == ()
    history = block_history(office, "contoso").items
    assert [(line.action, line.by, line.detail) for line in history] == [
        ("unblocked", "somebody else", "found it"),
        ("blocked", "the test", ""),
    ]
    assert history[0].at > history[1].at
    assert version(office) == before + 1
    assert told(office) == [
        "User anna is blocked from calling until somebody unblocks. An administrator of the organisation asked for it.",
        "User anna may call again, unblocked by somebody else.",
    ]


def test_what_is_so_already_is_not_done_again(office):
    unblock_user(office, "contoso", "anna", MIDDAY, by="me")
    block(office)
    before = version(office)

    block(office)

    assert version(office) == before
    assert len(block_history(office, "contoso").items) == 1


def test_a_block_with_another_end_replaces_the_one_before(office):
    block(office, until=MIDDAY + timedelta(hours=1))
    block(office)

    [shown] = blocked_users(office, "contoso", MIDDAY + timedelta(days=9)).items
    assert shown.until is None
    assert [line.until for line in block_history(office, "contoso").items] == [None, MIDDAY + timedelta(hours=1)]


def test_a_block_that_makes_no_sense_is_refused(office):
    with pytest.raises(InvalidInput, match="write one of high_international_spend, tenant_requested"):
        block_user(office, "contoso", "anna", "bad mood", MIDDAY, by="me")
    with pytest.raises(InvalidInput, match=r"until .*: write a time after now"):
        block(office, until=MIDDAY)
    with pytest.raises(InvalidInput, match="with its offset"):
        block(office, until=datetime(2026, 12, 1))
    with pytest.raises(NotFound, match="user 'dora'"):
        block(office, "dora")
    with pytest.raises(NotFound, match="user 'dora'"):
        unblock_user(office, "contoso", "dora", MIDDAY, by="me")
    assert block_history(office, "contoso").items == ()


def test_a_block_ends_by_itself_and_the_job_says_so(office, monkeypatch):
    monkeypatch.setattr(blocks, "BATCH", 1)
    over = MIDDAY + timedelta(hours=1)
    block(office, "anna", until=over)
    block(office, "ben", until=over + timedelta(hours=1))
    block(office, "carla")
    with office.write_shared() as unit:
        unit.directory.add_organisation(organisation("tailspin"))
        unit.directory.add_users("tailspin", [user("anna", "tailspin")])
    block_user(office, "tailspin", "anna", "tenant_requested", MIDDAY, until=over, by="me")

    assert end_blocks(office, over - timedelta(seconds=1)) == 0
    assert [shown.user_id for shown in blocked_users(office, "contoso", over).items] == ["ben", "carla"]
    before = version(office)
    assert end_blocks(office, over) == 2

    assert version(office) == before + 1
    [line] = [one for one in block_history(office, "contoso").items if one.action == "unblocked"]
    assert (line.user_id, line.by, line.detail, line.reason) == (
        "anna",
        "system",
        "unblocked by system",
        "tenant_requested",
    )
    assert told(office)[-1] == "User anna may call again, unblocked by the system."
    assert end_blocks(office, over) == 0
    assert [one.kind for one in list_notices(office, "tailspin").items] == [USER_UNBLOCKED, USER_BLOCKED]


def test_someone_blocked_anew_is_not_unblocked_by_the_job(office):
    over = MIDDAY + timedelta(hours=1)
    block(office, until=over)
    with office.read() as unit:
        assert unit.policies.blocks_ended(over, "", 9) == [("contoso", "anna")]
    block(office, now=over)

    assert blocks._end(office, "contoso", ["anna", "gone"], over) == 0
    assert len(blocked_users(office, "contoso", over).items) == 1


def test_the_history_is_shown_in_pages_also_where_many_lines_are_of_one_instant(office):
    for name in ("anna", "ben", "carla"):
        block(office, name)
    unblock_user(office, "contoso", "ben", MIDDAY + timedelta(hours=1), by="me")

    seen, cursor = [], ""
    for _ in range(5):
        page = block_history(office, "contoso", cursor=cursor, limit=1)
        seen += [(line.user_id, line.action) for line in page.items]
        cursor = page.next_cursor
        if not cursor:
            break

    assert seen == [("ben", "unblocked"), ("anna", "blocked"), ("ben", "blocked"), ("carla", "blocked")]
    one = block_history(office, "contoso", user="ben@contoso.example").items
    assert [line.action for line in one] == ["unblocked", "blocked"]
    with pytest.raises(InvalidInput, match="cursor"):
        block_history(office, "contoso", cursor="yesterday")


def test_blocked_users_are_listed_in_pages(office):
    for name in ("anna", "ben", "carla"):
        block(office, name)

    first = blocked_users(office, "contoso", MIDDAY, limit=2)
    rest = blocked_users(office, "contoso", MIDDAY, limit=2, cursor=first.next_cursor)

    assert [shown.user_id for shown in (*first.items, *rest.items)] == ["anna", "ben", "carla"]
    assert rest.next_cursor == ""


# -- spending ----------------------------------------------------------------------------------------------------------


def test_spending_is_shown_beside_the_limit_of_each(office, url):
    change(
        office, user_limit_micros=50 * EURO, group_limits_micros={"department/Sales": 200 * EURO, "cost_centre/1": EURO}
    )
    change_user_policy(office, "contoso", "ben", MIDDAY, "me", limit_micros=0)
    put(
        url,
        tally,
        spent("", 30 * EURO),
        spent("department/Sales", 45 * EURO, held=5 * EURO, open_calls=1),
        spent("user/anna", 30 * EURO, held=5 * EURO, open_calls=1),
        spent("user/ben", 15 * EURO),
        spent("user/gone", 60 * EURO),
        spent("user/carla"),
        spent("user/anna", 7 * EURO, period=202610),
    )

    shown = [
        (one.subject, one.display, one.limit_micros, one.left_micros, one.percent, one.open_calls)
        for one in spending(office, "contoso", MIDDAY)
    ]

    assert shown == [
        ("", "the organisation", None, None, None, 0),
        ("department/Sales", "department Sales", 200 * EURO, 150 * EURO, 25, 1),
        ("cost_centre/1", "cost centre 1", EURO, EURO, 0, 0),
        ("user/gone", "user gone", 50 * EURO, 0, 120, 0),
        ("user/anna", "Anna Conti", 50 * EURO, 15 * EURO, 70, 1),
        ("user/ben", "ben@contoso.example", 0, 0, 100, 0),
    ]
    assert [(one.subject, one.spent_micros) for one in spending(office, "contoso", MIDDAY, period=202610)] == [
        ("cost_centre/1", 0),
        ("department/Sales", 0),
        ("user/anna", 7 * EURO),
    ]


def test_the_month_at_hand_is_that_of_the_billing_time_zone(office, url):
    put(url, tally, spent("user/anna", EURO, period=202612))

    in_rome_it_is_december = datetime.fromisoformat("2026-11-30T23:30:00+00:00")
    assert [one.period for one in spending(office, "contoso", in_rome_it_is_december)] == [202612]


def test_spending_is_read_in_pages(office, url, monkeypatch):
    monkeypatch.setattr("gettone.operations.spending.BATCH", 2)
    put(
        url,
        tally,
        *(spent(subject, EURO) for subject in ("", "department/Sales", "user/anna", "user/ben", "user/carla")),
    )

    first = spending_page(office, "contoso", MIDDAY, limit=3)
    rest = spending_page(office, "contoso", MIDDAY, limit=3, cursor=first.next_cursor)

    assert [one.subject for one in first.items] == ["", "department/Sales", "user/anna"]
    assert [one.subject for one in rest.items] == ["user/ben", "user/carla"]
    assert rest.next_cursor == ""


@pytest.mark.parametrize("period", [0, 202600, 202613, 19700])
def test_what_is_no_month_is_refused(office, period):
    with pytest.raises(InvalidInput, match="write year and month"):
        spending(office, "contoso", MIDDAY, period=period)


def test_a_premium_destination_is_allowed_before_it_is_called(office, url):
    called = {"org_id": "contoso", "destination": "GB premium", "first_at": microseconds(MIDDAY), "allowed": 0}
    put(url, known_destination, called)

    new = allow_destination(office, "contoso", " IT premium ", MIDDAY)
    known = allow_destination(office, "contoso", "GB premium", MIDDAY + timedelta(days=1))

    assert (new.destination, new.allowed) == ("IT premium", True)
    assert (known.first_at, known.allowed) == (MIDDAY, True)
    first = list_destinations(office, "contoso", limit=1)
    rest = list_destinations(office, "contoso", limit=1, cursor=first.next_cursor)
    assert [one.destination for one in (*first.items, *rest.items)] == ["GB premium", "IT premium"]
    with pytest.raises(InvalidInput, match="destination"):
        allow_destination(office, "contoso", " ", MIDDAY)


# -- notices -----------------------------------------------------------------------------------------------------------


def test_notices_are_listed_newest_first_of_one_kind_and_in_pages(office):
    block(office)
    unblock_user(office, "contoso", "anna", MIDDAY, by="me")
    change(office, user_limit_micros=1)

    first = list_notices(office, "contoso", limit=2)
    rest = list_notices(office, "contoso", limit=2, cursor=first.next_cursor)

    assert sorted(one.kind for one in (*first.items, *rest.items)) == sorted(
        ["policies_changed", "user_blocked", "user_unblocked"]
    )
    assert [one.kind for one in list_notices(office, "contoso", kind=USER_BLOCKED).items] == [USER_BLOCKED]
    with pytest.raises(InvalidInput, match="write one of spend_warning, "):
        list_notices(office, "contoso", kind="gossip")
    with pytest.raises(InvalidInput, match="cursor"):
        list_notices(office, "contoso", cursor="5")
    with pytest.raises(NotFound):
        list_notices(office, "nobody")


def said(kind: str, subject: str = "user/anna", **facts: str) -> str:
    return sentence(notice(kind, subject, "1", facts, MIDDAY), "EUR")


def test_a_warning_is_said_with_amounts_and_month():
    facts = {"percent": "80", "limit": "50000000", "committed": "41200000", "currency": "EUR", "month": "202611"}

    assert said(SPEND_WARNING, "department/Sales", **facts) == (
        "Department Sales has used 80 % of the spending limit of 50.00 EUR for November 2026: "
        "41.20 EUR are spent or held by running calls."
    )
    assert said(SPEND_LIMIT_REACHED, "cost_centre/4711", **facts).startswith(
        "Cost centre 4711 has reached the spending limit of 50.00 EUR for November 2026: "
    )


def test_a_limit_of_the_guard_is_said_as_money_or_as_a_count():
    money = said(GUARD_REFUSED, refusal="international_spend_limit", limit="100000000", called="+88212345678")
    count = said(GUARD_REFUSED, refusal="too_many_calls", limit="10", called="+88212345678")

    assert money.startswith("A call of user anna to +88212345678 was refused by the fraud guard. International calls")
    assert money.endswith("The limit is 100.00 EUR.")
    assert count.endswith("The limit is 10.")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_can_be_said_even_without_its_facts(kind):
    assert said(kind).endswith((".", "?"))
    assert "{" not in said(kind)


def test_a_notice_of_a_newer_kind_is_said_by_its_facts():
    assert said("moon_full", "", at="noon") == "moon_full of the organisation: at noon."


# -- with calls --------------------------------------------------------------------------------------------------------


def call(session_id: str, called: str = "+442079460123", seconds: int = 600) -> StartCall:
    return StartCall(
        session_id=session_id, org_id="contoso", called=called, user="anna", request_number=0, requested_seconds=seconds
    )


@pytest.fixture
def calling(world):
    """A world in which an hour of international calls may cost 1.00 and a month 2.00, at 0.10 a minute."""
    world.organisation("contoso")
    world.deck("country,price\nGB,0.10\nUS,0.10\n")
    world.user("contoso", "anna", products=["MCOPSTN1", "MCOPSTNC"])
    world.fund("contoso", 100 * EURO, reference="first")
    guard = {"user_hour_micros": EURO, "block_hours": 1}
    changes = PolicyChanges(user_limit_micros=2 * EURO, guard=guard)
    change_policies(world.office, "contoso", changes, world.now, "the test")
    return world


def test_whom_the_guard_has_blocked_is_reported_and_free_again_when_the_time_is_over(calling):
    [granted] = calling.charge(call("one", seconds=900))
    calling.charge(StopCall(session_id="one", org_id="contoso", request_number=1, used_seconds=600))
    [refused] = calling.charge(call("two"))
    [blocked] = calling.charge(call("three"))

    [shown] = blocked_users(calling.office, "contoso", calling.now).items
    assert (granted.granted_seconds, granted.final) == (600, True)
    assert (refused.reason, blocked.reason) == (Refusal.INTERNATIONAL_SPEND_LIMIT, Refusal.USER_BLOCKED)
    assert (shown.reason, shown.by, shown.until) == (
        "high_international_spend",
        "system",
        calling.now + timedelta(hours=1),
    )
    assert shown.explanation == "International calls have cost as much within an hour as the fraud guard allows."
    calling.wait(3600)
    assert end_blocks(calling.office, calling.now) == 1
    [free] = calling.charge(call("four"))
    assert free.granted_seconds == 600
    found = [sentence(one, "USD") for one in list_notices(calling.office, "contoso", kind=GUARD_REFUSED).items]
    assert found[0].endswith("The limit is 1.00 USD.")


def test_spending_shows_what_calls_have_cost_and_hold_and_its_limits_are_told(calling):
    change_policies(calling.office, "contoso", PolicyChanges(guard={"user_hour_micros": None}), calling.now, "the test")
    calling.charge(call("one", seconds=960))
    calling.charge(StopCall(session_id="one", org_id="contoso", request_number=1, used_seconds=960))
    calling.charge(call("two", seconds=120))

    [anna] = [one for one in spending(calling.office, "contoso", calling.now) if one.subject == "user/anna"]
    calling.charge(call("three", seconds=900))
    [refused] = calling.charge(call("four"))

    assert (anna.spent_micros, anna.held_micros, anna.left_micros) == (1_600_000, 200_000, 200_000)
    assert (anna.open_calls, anna.percent) == (1, 90)
    assert refused.reason is Refusal.SPEND_LIMIT_REACHED
    told_ = [sentence(one, "USD") for one in list_notices(calling.office, "contoso").items]
    assert [one for one in told_ if "80 %" in one] == [
        (
            "User anna has used 80 % of the spending limit of 2.00 USD for November 2026: "
            "1.60 USD are spent or held by running calls."
        )
    ]
    assert [one for one in told_ if "has reached the spending limit of 2.00 USD for November 2026" in one]
