"""Auto-recharge: when it buys, how much, how often, what stops it and what lets it go on."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from gettone.domain.payments import ActionRequired, Declined, PaymentState, Succeeded, Unknown
from gettone.errors import Conflict, Forbidden, InvalidInput, NotFound
from gettone.operations import methods, payments, recharging
from gettone.operations.billing import CUSTOMER_AGREEMENT
from gettone.operations.buying import Buyer
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.providers import NEVER_ARRIVED, Card
from tests.support.shop import ADMIN, UNITS, Shop
from tests.support.world import World, sqlite_url


@pytest.fixture
def funded(shop):
    """The shop with 1,000.00 of credit, so that a rule is not due when it is set."""
    shop.world.fund("contoso", 1_000 * UNITS, reference="begin")
    return shop


def amounts(shop) -> list[int]:
    """Return what the recharges that did not fail bought, in whole units."""
    return [one.amount_micros // UNITS for one in shop.recharges() if one.state != "failed"]


def declined(shop, times: int, *, final: bool = False) -> None:
    """Let every method of as many recharges be declined, an hour and more after each other."""
    for hours in (0, 1, 2, 4)[:times]:
        shop.wait(hours=hours)
        shop.teller.says = [Declined("card_declined", "The card was declined.", final=final)]
        shop.work()


# -- when and how much -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("left", "bought"), [(400_000_000, []), (399_990_000, [500]), (399_999_999, [500]), (1, [500])]
)
def test_it_buys_below_the_trigger_and_not_at_it(funded, left, bought):
    funded.recharge(400, 500)
    funded.spend(1_000 * UNITS - left)
    funded.work()

    assert amounts(funded) == bought


def test_where_the_gap_is_larger_it_buys_the_smallest_multiple_that_fills_it(funded):
    payment = funded.buy(700)
    funded.recharge(400, 500)
    funded.spend(1_700 * UNITS)
    funded.teller.says = [Unknown("not now")]
    funded.paying.work(funded.now)
    assert amounts(funded) == [500]
    funded.wait(seconds=31)
    funded.work()

    news = payments.DisputeNews(
        event_id="d", org_id="contoso", payment_id=payment.payment_id, stage="opened", gross_micros=700 * UNITS
    )
    payments.take_news(funded.office, "card", news, funded.now)
    assert funded.available == -200 * UNITS
    funded.work()

    # 500 and -200 + 500 = 300 would be below the trigger.
    assert amounts(funded) == [500, 1000]
    assert funded.available == 800 * UNITS


def test_it_is_due_inside_the_debit_of_the_call_that_lowers_the_balance(database_url):
    with World(database_url) as world:
        world.deck("country,price,increments\nGB,1.00,60/60\n")
        world.organisation("contoso")
        world.user("contoso", "anna", products=["MCOPSTN_PAYG_1", "MCOPSTNC"])
        shop = Shop(world)
        shop.card()
        world.fund("contoso", 104 * UNITS, reference="begin")
        shop.recharge(100, 50)
        call = {"session_id": "a", "org_id": "contoso"}

        world.charge(StartCall(**call, user="anna", called="+442079460123", requested_seconds=240))
        assert recharging.open_marked(world.office, world.now) == 0
        world.charge(StartCall(**call | {"session_id": "b"}, user="anna", called="+442079460123", requested_seconds=60))

        # 104 less the 5 that both calls hold: nothing but the debit itself has said so.
        assert recharging.open_marked(world.office, world.now) == 1
        shop.paying.work(world.now)
        assert shop.available == 149 * UNITS
        world.charge(StopCall(**call, request_number=1, used_seconds=240))
        assert shop.work() == 0
        assert world.findings() == []


def test_credit_that_expires_makes_it_due_too(funded):
    funded.recharge(400, 500)
    funded.wait(days=367)
    assert recharging.open_marked(funded.office, funded.now) == 0

    funded.world.expire()
    funded.work()

    assert amounts(funded) == [500]


def test_a_rule_that_is_due_when_it_is_saved_buys_at_once_and_says_so_before(shop):
    new = recharging.NewRule(enabled=True, trigger_micros=100 * UNITS, amount_micros=200 * UNITS)
    before = recharging.preview(shop.office, "contoso", new, ADMIN, shop.now)
    assert (before.due_now, before.would_buy_micros, before.paused) == (True, 200 * UNITS, "")
    assert shop.state.rule is None

    recharging.set_rule(shop.office, "contoso", new, ADMIN, shop.now)

    assert shop.state.paused == "recharge_open"
    shop.paying.work(shop.now)
    assert shop.available == 200 * UNITS


def test_a_rule_that_is_off_buys_nothing_but_what_is_open_goes_on(funded):
    funded.recharge(400, 500)
    funded.spend(700 * UNITS)
    funded.teller.says = [Unknown("lost")]
    funded.work()
    recharging.switch_off(funded.office, "contoso", ADMIN, funded.now)
    funded.wait(minutes=1)
    funded.work()
    assert (amounts(funded), funded.available) == ([500], 800 * UNITS)

    funded.spend(700 * UNITS)
    funded.wait(days=1)
    funded.work()
    assert amounts(funded) == [500]


def test_each_recharge_says_what_was_available_and_what_came_of_it(funded):
    funded.recharge(400, 500, purchase_order="PO-9")
    funded.spend(650 * UNITS)
    declined(funded, 1)
    funded.wait(hours=1)
    funded.work()

    first, second = funded.recharges()
    assert (first.state, first.reason, first.available_micros) == ("failed", "card_declined", 350 * UNITS)
    assert (second.state, second.reason, second.purchase_order) == ("fulfilled", "", "PO-9")
    assert (second.ordered_by, second.kind) == ("auto-recharge", "recharge")
    [told] = funded.told("recharge_succeeded")
    assert told.facts == {"amount": "500000000", "available": "850000000"}


# -- one at a time -----------------------------------------------------------------------------------------------------


def test_only_one_recharge_is_open_whoever_looks_with_eight_threads(database_url):
    with World(database_url) as world:
        world.organisation("contoso")
        shop = Shop(world)
        shop.card()
        world.fund("contoso", 500 * UNITS, reference="begin")
        shop.recharge(400, 500, day_count=None)
        shop.spend(200 * UNITS)
        together, made = threading.Barrier(8), []

        def look():
            together.wait()
            for _ in range(5):
                made.append(recharging.open_marked(world.office, world.now))
                made.append(recharging.open_due(world.office, world.now))

        workers = [threading.Thread(target=look) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert sum(made) == 1
        assert [one.state for one in shop.recharges()] == ["open"]
        shop.work()
        assert shop.available == 800 * UNITS
        assert world.findings() == []


def test_while_the_outcome_of_one_is_unknown_nothing_more_is_bought(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    funded.teller.says = [Unknown("lost")] * 50
    for _ in range(5):
        funded.work()
        funded.spend(10 * UNITS)
        funded.wait(hours=7)

    assert [one.state for one in funded.recharges()] == ["open"]
    assert len(set(funded.teller.keys)) == 1
    assert funded.state.paused == "recharge_open"


def test_while_a_person_has_to_confirm_one_nothing_more_is_bought(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    funded.teller.says = [ActionRequired("pi", "https://bank.example")]
    funded.work()

    assert funded.work() == 0
    assert len(funded.recharges()) == 1
    assert funded.told("action_required")[0].facts["link"] == "https://bank.example"


# -- backup methods ----------------------------------------------------------------------------------------------------


def test_after_a_decline_the_next_method_in_order_is_tried_for_the_same_order(funded):
    funded.card("card-3", 3)
    funded.card("card-2", 2)
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    funded.teller.says = [Declined("expired_card"), Declined("insufficient_funds"), Succeeded("pi-3")]
    funded.work()

    assert [one.method.method_id for _, one in funded.teller.asked] == ["card-1", "card-2", "card-3"]
    assert len(set(funded.teller.keys)) == 3
    [order] = funded.recharges()
    assert [one.state.value for one in funded.look(order.order_id).payments] == ["declined", "declined", "succeeded"]
    assert (funded.available, funded.state.rule.declines) == (600 * UNITS, 0)
    assert funded.told("recharge_failed") == []


def test_the_method_of_the_rule_is_tried_first_then_the_others_in_order(funded):
    for number in (2, 3):
        funded.card(f"card-{number}", number)
    funded.recharge(400, 500, method_id="card-3")
    funded.spend(900 * UNITS)
    funded.teller.says = [Declined("a"), Declined("b"), Declined("c")]
    funded.work()

    assert [one.method.method_id for _, one in funded.teller.asked] == ["card-3", "card-1", "card-2"]
    assert funded.state.rule.declines == 1


def test_a_backup_is_not_charged_while_the_first_is_unknown(funded):
    funded.card("card-2", 2)
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    funded.teller.says = [Unknown("lost"), Unknown("lost"), Declined("card_declined")]
    for minutes in (0, 1, 6):
        funded.wait(minutes=minutes)
        funded.work()

    assert [(what, one.method.method_id) for what, one in funded.teller.asked] == [
        ("move", "card-1"),
        ("ask", "card-1"),
        ("ask", "card-1"),
        ("move", "card-2"),
    ]


# -- declined ----------------------------------------------------------------------------------------------------------


def test_declines_wait_one_then_two_hours_and_the_third_suspends(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    tried = []
    funded.teller.says = [Declined("card_declined", "Declined.")] * 10
    begin = funded.now
    for _ in range(40):
        if funded.work():
            tried.append((funded.now - begin) / timedelta(hours=1))
        funded.wait(minutes=30)

    assert tried == [0, 1, 3]
    state = funded.state
    assert (state.paused, state.rule.declines, state.rule.suspended_because) == ("suspended", 3, "card_declined")
    assert [one.facts["retry_at"][11:16] for one in funded.told("recharge_failed")] == ["13:00", "15:00"]
    assert len(funded.told("recharge_suspended")) == 1


def test_while_it_waits_it_says_until_when(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    declined(funded, 1)

    state = funded.state
    assert (state.paused, state.next_at, state.due_now) == ("backing_off", funded.now + timedelta(hours=1), True)


def test_a_decline_that_is_final_suspends_at_once(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    declined(funded, 1, final=True)

    assert (funded.state.paused, funded.state.rule.declines) == ("suspended", 1)


def test_a_question_that_never_arrived_is_nobodys_decline(funded):
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    funded.teller.says = [Unknown("lost"), Declined(NEVER_ARRIVED), Succeeded("pi-2")]
    funded.work()
    funded.wait(minutes=1)
    funded.work()
    funded.work()

    assert [one.state for one in funded.recharges()] == ["failed", "fulfilled"]
    assert (funded.available, funded.state.rule.declines) == (600 * UNITS, 0)
    assert funded.told("recharge_failed") == []


@pytest.fixture
def suspended(funded):
    """A recharge that was declined three times."""
    funded.recharge(400, 500)
    funded.spend(900 * UNITS)
    declined(funded, 3)
    assert funded.state.paused == "suspended"
    funded.teller.says = []
    return funded


def test_nothing_but_somebody_or_something_new_ends_a_suspension(suspended):
    for _ in range(10):
        suspended.wait(days=3)
        suspended.spend(UNITS)
        suspended.world.restart()
        suspended.work()

    assert suspended.state.paused == "suspended"
    assert amounts(suspended) == []


def test_a_payment_that_succeeds_ends_a_suspension(suspended):
    suspended.buy(50, "by hand")
    assert (suspended.state.paused, suspended.state.rule.declines) == ("", 0)
    suspended.work()

    assert amounts(suspended) == [500]


def test_a_new_card_ends_a_suspension(suspended):
    begun = methods.begin_card(
        suspended.office, "contoso", ADMIN, suspended.now, providers=suspended.paying.providers, provider="card"
    )
    suspended.teller.cards["setup-1"] = Card(
        provider_ref="pm/2", customer_ref="c", fingerprint="another", label="Visa 1881", expires=203101
    )
    assert suspended.state.paused == "suspended"
    methods.finish_card(
        suspended.office,
        "contoso",
        begun.method.method_id,
        ADMIN,
        suspended.now,
        providers=suspended.paying.providers,
    )
    suspended.work()

    assert amounts(suspended) == [500]


def test_somebody_ends_a_suspension(suspended):
    recharging.resume(suspended.office, "contoso", ADMIN, suspended.now)
    suspended.work()

    assert amounts(suspended) == [500]
    assert suspended.state.rule.declines == 0


def test_setting_the_rule_anew_ends_a_suspension(suspended):
    suspended.recharge(400, 600)
    suspended.work()

    assert amounts(suspended) == [600]


def test_late_news_of_success_of_a_declined_recharge_ends_a_suspension(suspended):
    order = suspended.recharges()[0]
    payment = suspended.look(order.order_id).payments[0]
    payments.record(suspended.office, "contoso", payment.payment_id, Succeeded("pi-late"), suspended.now)

    assert (suspended.available, suspended.state.paused) == (600 * UNITS, "")
    assert suspended.look(order.order_id).order.state == "fulfilled"


def test_a_rule_whose_methods_are_gone_is_suspended_until_one_comes(funded):
    funded.recharge(400, 500)
    funded.card(state="removed")
    funded.spend(900 * UNITS)
    funded.work()
    assert (funded.state.paused, funded.state.rule.suspended_because) == ("suspended", "no_payment_method")

    funded.agreement()
    funded.work()

    assert amounts(funded) == [500]


# -- caps --------------------------------------------------------------------------------------------------------------


def hourly(shop, hours: int, micros: int = 300 * UNITS) -> None:
    """Spend every hour what makes it due, and let the jobs run."""
    for _ in range(hours):
        shop.wait(hours=1)
        if shop.available > micros:
            shop.spend(micros)
        shop.work()


def test_four_recharges_a_day_are_enough_unless_somebody_says_otherwise(funded):
    funded.recharge(900, 300)
    hourly(funded, 8)

    assert len(funded.recharges()) == 4
    assert funded.state.paused == "day_cap"
    assert funded.state.bought_day_count == 4


def test_the_day_turns_in_the_time_zone_of_the_organisation(tmp_path):
    with World(sqlite_url(tmp_path), datetime(2026, 11, 23, 6, tzinfo=UTC)) as world:
        world.organisation("contoso", country="JP", time_zone="Asia/Tokyo")
        shop = Shop(world)
        shop.card()
        world.fund("contoso", 1_000 * UNITS, reference="begin")
        shop.recharge(900, 300, day_count=1)
        hourly(shop, 4)
        assert (len(shop.recharges()), shop.state.paused) == (1, "day_cap")
        assert shop.state.next_at == datetime(2026, 11, 23, 15, tzinfo=UTC)

        world.now = datetime(2026, 11, 23, 14, 59, 59, tzinfo=UTC)
        assert shop.work() == 0
        world.now = datetime(2026, 11, 23, 15, tzinfo=UTC)
        assert shop.work() == 1
        assert len(shop.told("recharge_capped")) == 1


def test_the_month_turns_in_the_time_zone_of_the_organisation(tmp_path):
    with World(sqlite_url(tmp_path), datetime(2026, 11, 20, 6, tzinfo=UTC)) as world:
        world.organisation("contoso", time_zone="America/New_York")
        shop = Shop(world)
        shop.card()
        world.fund("contoso", 1_000 * UNITS, reference="begin")
        shop.recharge(900, 300, day_count=None, month_count=2)
        hourly(shop, 5)
        assert (len(shop.recharges()), shop.state.paused) == (2, "month_cap")

        world.now = datetime(2026, 12, 1, 4, 59, 59, tzinfo=UTC)
        assert shop.work() == 0
        world.now = datetime(2026, 12, 1, 5, tzinfo=UTC)
        assert shop.work() == 1


@pytest.mark.parametrize(("cap", "word"), [("day_micros", "day"), ("month_micros", "month")])
def test_an_amount_caps_what_it_buys_and_multiples_fit_within_it(funded, cap, word):
    funded.recharge(400, 50, day_count=None, **{cap: 170 * UNITS})
    funded.spend(950 * UNITS)
    funded.work()

    # 350 are missing: seven times 50, of which three fit.
    assert amounts(funded) == [150]
    funded.work()
    assert funded.state.paused == f"{word}_cap"
    assert funded.told("recharge_capped")[0].facts["cap"] == word


def test_what_people_buy_by_hand_is_neither_counted_nor_blocked(funded):
    funded.recharge(400, 500, day_count=1, month_count=1)
    funded.buy(600, "by hand")
    funded.spend(1_500 * UNITS)
    funded.work()
    assert (amounts(funded), funded.state.bought_day_count) == ([500], 1)

    funded.spend(550 * UNITS)
    funded.work()
    assert funded.state.paused == "day_cap"
    assert funded.buy(50, "by hand again").state is PaymentState.SUCCEEDED


def test_a_recharge_that_failed_does_not_count_for_the_caps(funded):
    funded.recharge(400, 500, day_count=1)
    funded.spend(900 * UNITS)
    declined(funded, 1)
    funded.wait(hours=1)
    funded.work()

    assert [one.state for one in funded.recharges()] == ["failed", "fulfilled"]


# -- the rule ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"trigger_micros": 49 * UNITS}, "trigger_micros"),
        ({"trigger_micros": 50 * UNITS + 500_000}, "trigger_micros"),
        ({"amount_micros": 49 * UNITS}, "amount_micros"),
        ({"amount_micros": 0}, "amount_micros"),
        ({"day_count": 0}, "day_count"),
        ({"month_count": 1001}, "month_count"),
        ({"day_micros": 99 * UNITS}, "day_micros"),
        ({"month_micros": 1}, "month_micros"),
        ({"method_id": "card-9"}, "method_id"),
        ({"purchase_order": "two\nlines"}, "purchase_order"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_by_field(shop, settings, field):
    with pytest.raises(InvalidInput, match=field):
        shop.recharge(100, 100, **settings)
    assert shop.state.rule is None


def test_a_rule_needs_a_method_a_right_and_an_organisation_that_may_buy(shop):
    with pytest.raises(Forbidden, match="may not buy credits"):
        recharging.resume(shop.office, "contoso", Buyer("user_admin", "x"), shop.now)
    with pytest.raises(NotFound, match="has no auto-recharge"):
        recharging.resume(shop.office, "contoso", ADMIN, shop.now)
    with pytest.raises(NotFound, match="has no auto-recharge"):
        recharging.switch_off(shop.office, "contoso", ADMIN, shop.now)
    shop.profile(agreement=CUSTOMER_AGREEMENT)
    with pytest.raises(Conflict, match="bills calls after use"):
        shop.recharge(100, 100)
    shop.profile()
    shop.card(state="removed")
    with pytest.raises(Conflict, match="has no payment method"):
        shop.recharge(100, 100)


def test_a_rule_changed_by_two_is_saved_by_the_first(shop):
    new = recharging.NewRule(enabled=True, trigger_micros=100 * UNITS, amount_micros=200 * UNITS)
    first = recharging.set_rule(shop.office, "contoso", new, ADMIN, shop.now, expected_version=0)

    with pytest.raises(Conflict, match="was changed meanwhile"):
        recharging.set_rule(shop.office, "contoso", new, ADMIN, shop.now, expected_version=0)
    again = recharging.set_rule(shop.office, "contoso", new, ADMIN, shop.now, expected_version=first.version)
    assert again.version == first.version + 1


def test_every_change_of_the_rule_is_in_the_audit_log(shop):
    shop.recharge(100, 200)
    shop.recharge(100, 300)
    recharging.switch_off(shop.office, "contoso", ADMIN, shop.now)

    with shop.office.read() as unit:
        off, changed, first = unit.audit.audit("contoso", "auto-recharge", None, 10)
    assert first.changes["amount_micros"] == ("", "200000000")
    assert changed.changes == {"amount_micros": ("200000000", "300000000")}
    assert off.changes == {"enabled": ("True", "False")}
    assert {one.by for one in (off, changed, first)} == {"the administrator"}
