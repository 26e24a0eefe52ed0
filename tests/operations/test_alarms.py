"""What a wallet and its pools are watched for: decided on plain accounts, then by charging and topping up for real."""

from datetime import UTC, datetime, timedelta

import pytest

from gettone.domain.lots import Lot
from gettone.domain.pools import Pool
from gettone.domain.wallet import Wallet
from gettone.operations import reports
from gettone.operations.alarms import left_micros, pools_used, topped_up, watch, watch_refusal
from gettone.operations.messages import Refused, StartCall, StopCall
from gettone.operations.notices import BALANCE_LOW, BALANCE_ZERO, POOL_USED, list_notices
from gettone.operations.ports import LITTLE_LEFT, NOTHING_LEFT, Account, Marks
from tests.support.world import World, sqlite_url

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=365)


def account(remaining: int, *, held: int = 0, overrun: int = 0, version: int = 7, **marks) -> Account:
    lots = [Lot("1", NOW, LATER, 1000, remaining, held)] if remaining else []
    whole = {"low_micros": 100, "told": 0} | marks
    return Account(Wallet("contoso", "USD", lots, overrun), {}, {}, version, 0, 0, Marks(**whole))


# -- the recharge ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining", "held", "recharge_at", "marked"),
    [
        (499, 0, NOW, True),
        (500, 0, NOW, False),
        # What calls hold is not available.
        (900, 401, NOW, True),
        (900, 400, NOW, False),
        (499, 0, NOW + timedelta(microseconds=1), False),
        (499, 0, None, False),
    ],
)
def test_a_recharge_is_marked_as_due_below_the_trigger_once_it_may_buy(remaining, held, recharge_at, marked):
    watched = account(remaining, held=held, trigger_micros=500, recharge_at=recharge_at)

    watch(watched, NOW)

    assert watched.marks.recharge_due_at == (NOW if marked else None)


def test_a_recharge_that_is_due_keeps_the_time_since_when():
    watched = account(1, trigger_micros=500, recharge_at=NOW)
    watch(watched, NOW)
    watch(watched, NOW + timedelta(hours=1))

    assert watched.marks.recharge_due_at == NOW


def test_credit_that_has_expired_makes_a_recharge_due():
    watched = account(900, trigger_micros=500, recharge_at=NOW)

    watch(watched, LATER)

    assert watched.marks.recharge_due_at == LATER


# -- nothing left, little left -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("remaining", "held", "overrun", "told"),
    [
        (0, 0, 0, [BALANCE_ZERO]),
        (0, 0, 5, [BALANCE_ZERO]),
        (99, 0, 0, [BALANCE_LOW]),
        (100, 0, 0, []),
        # Held credit may come back: it counts as there.
        (100, 100, 0, []),
        (5, 5, 0, [BALANCE_LOW]),
    ],
)
def test_what_is_told_follows_from_what_is_left(remaining, held, overrun, told):
    assert [notice.kind for notice in watch(account(remaining, held=held, overrun=overrun), NOW)] == told


def test_each_is_told_once_and_zero_after_little():
    watched = account(99)
    assert [notice.kind for notice in watch(watched, NOW)] == [BALANCE_LOW]
    assert watch(watched, NOW) == []
    watched.wallet.lots[0].remaining_micros = 0
    assert [notice.kind for notice in watch(watched, NOW)] == [BALANCE_ZERO]
    assert watch(watched, NOW) == []
    assert watched.marks.told == NOTHING_LEFT | LITTLE_LEFT


def test_little_is_not_told_where_the_auto_recharge_is_on_but_nothing_is():
    assert watch(account(99, trigger_micros=500), NOW) == []
    assert [notice.kind for notice in watch(account(0, trigger_micros=500), NOW)] == [BALANCE_ZERO]


def test_a_crossing_is_named_by_the_version_that_the_transaction_makes():
    [first], [second] = watch(account(0, version=7), NOW), watch(account(0, version=8), NOW)

    assert (first.notice_id, second.notice_id) == ("balance_zero/8", "balance_zero/9")
    assert first.facts == {"left": "0"}


def test_a_top_up_lets_be_told_again_what_is_not_so_any_more():
    little, much, none = account(50), account(500), account(0, overrun=5)
    for each in (little, much, none):
        each.marks.told = NOTHING_LEFT | LITTLE_LEFT
        topped_up(each, NOW)

    assert little.marks.told == LITTLE_LEFT
    assert much.marks.told == 0
    assert none.marks.told == NOTHING_LEFT | LITTLE_LEFT


@pytest.mark.parametrize(
    ("remaining", "held", "told"), [(9, 0, [BALANCE_ZERO]), (10, 0, []), (9, 1, []), (0, 0, [BALANCE_ZERO])]
)
def test_a_refusal_with_next_to_nothing_left_tells_that_nothing_is(remaining, held, told):
    assert [notice.kind for notice in watch_refusal(account(remaining, held=held), NOW)] == told


def test_a_refusal_tells_it_once():
    watched = account(9)
    watch_refusal(watched, NOW)

    assert watch_refusal(watched, NOW) == []


def test_what_is_left_counts_held_credit_and_not_what_has_expired_or_is_owed():
    wallet = Wallet("contoso", "USD", [Lot("1", NOW, LATER, 9, 9, 4), Lot("2", NOW, NOW, 9, 9)], 3)

    assert left_micros(wallet, NOW) == 9 - 3


# -- pools -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("used", "percents"), [(79, []), (80, [80]), (99, [80]), (100, [80, 100]), (130, [80, 100])])
def test_a_pool_is_told_at_eighty_and_at_a_hundred_percent(used, percents):
    found = pools_used("contoso", [Pool("US/MCOPSTN1", 202611, 6000, used * 60)], set())

    assert [int(notice.facts["percent"]) for notice in found.values()] == percents
    assert all(notice.kind == POOL_USED for notice in found.values())


def test_a_pool_that_was_told_of_and_one_of_no_size_are_left_out():
    told = {("contoso", "US/MCOPSTN1", 202611, 80)}
    pools = [Pool("US/MCOPSTN1", 202611, 100, 90), Pool("none", 202611, 0, 0)]

    assert pools_used("contoso", pools, told) == {}


# -- for real ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    with World(sqlite_url(tmp_path)) as made:
        made.organisation("contoso")
        made.deck("country,price\nGB,1\n")
        made.user("contoso", "anna", products=["MCOPSTN_PAYG_1", "MCOPSTNC"])
        yield made


def call(world: World, session_id: str, seconds: int):
    start = StartCall(session_id=session_id, org_id="contoso", user="anna", called="+442079460123")
    [answer] = world.charge(start)
    if isinstance(answer, Refused):
        return answer
    world.charge(StopCall(session_id=session_id, org_id="contoso", request_number=1, used_seconds=seconds))
    return answer


def told(world: World) -> list[str]:
    """Kinds of notice, oldest first."""
    kinds = [one.kind for one in list_notices(world.office, "contoso").items]
    return [kind for kind in reversed(kinds) if kind.startswith("balance")]


def test_a_wallet_that_never_had_anything_tells_nothing(world):
    assert isinstance(call(world, "one", 60), Refused)

    assert told(world) == []


def test_a_wallet_tells_little_then_nothing_and_again_after_a_top_up(world):
    for number in (1, 2):
        world.fund("contoso", 30_000_000, reference=f"f{number}")
        for at in range(6):
            call(world, f"{number}-{at}", 300)
            world.wait(1)
        assert isinstance(call(world, f"{number}-refused", 60), Refused)
        world.wait(1)

    assert told(world) == [BALANCE_LOW, BALANCE_ZERO] * 2
    assert reports.wallet(world.office, "contoso", world.now).available_micros == 0
    assert world.findings() == []


def test_credit_that_expires_tells_that_nothing_is_left(world):
    world.fund("contoso", 30_000_000, reference="f", expires_at=world.now + timedelta(days=2))
    world.now += timedelta(days=2)
    world.expire()
    world.expire()

    assert told(world) == [BALANCE_ZERO]


def test_an_adjustment_downwards_tells_as_a_call_does(world):
    world.fund("contoso", 30_000_000, reference="f")
    world.adjust("contoso", -30_000_000, reference="a")

    assert told(world) == [BALANCE_ZERO]
