"""Payments: whatever the provider says, forgets or repeats, money that has moved is credited once."""

import threading

import pytest

from gettone.domain.payments import (
    ACTION_WITHIN,
    ActionRequired,
    Declined,
    PaymentState,
    Processing,
    Succeeded,
    Unknown,
)
from gettone.errors import NotFound
from gettone.gateways.agreement import AgreementProvider
from gettone.operations import payments
from gettone.operations.checkout import pay_now
from gettone.operations.paying import Paying
from gettone.operations.payments import HELD_WHILE_ASKED
from gettone.operations.providers import NEVER_ARRIVED, PaymentNews
from tests.support.shop import UNITS, Shop
from tests.support.world import World


def tell(shop, payment, outcome, event_id="evt-1"):
    news = PaymentNews(event_id=event_id, org_id="contoso", payment_id=payment.payment_id, outcome=outcome)
    return payments.take_news(shop.office, "card", news, shop.now)


# -- succeeded, declined -----------------------------------------------------------------------------------------------


def test_a_payment_that_succeeds_is_a_lot_of_its_own_for_a_year(taxed):
    payment = taxed.buy(50)

    [lot] = taxed.world.lots("contoso").values()
    assert (payment.state, payment.gross_micros, payment.net_micros) == (PaymentState.SUCCEEDED, 61 * UNITS, 50 * UNITS)
    assert (lot.lot_id, lot.source, lot.reference) == (payment.lot_id, "purchase", payment.payment_id)
    assert (lot.amount_micros, lot.expires_at.isoformat()) == (50 * UNITS, "2027-11-24T00:00:00+00:00")
    assert taxed.world.ledger("contoso") == {"wallet": 50 * UNITS, "tax": 11 * UNITS, "funding": -61 * UNITS}
    assert taxed.look(payment.order_id).order.state == "fulfilled"
    [told] = taxed.told()
    assert (told.kind, told.facts["amount"], told.facts["available"]) == ("purchase_succeeded", "50000000", "50000000")


def test_a_purchase_pays_first_what_was_owed(shop):
    shop.buy(50, "a")
    payment = shop.payment("00000001-1")
    shop.spend(50 * UNITS)
    shop.dispute(payment, "opened")
    assert shop.available == -50 * UNITS

    shop.buy(80, "b")

    assert shop.available == 30 * UNITS
    assert shop.world.ledger("contoso").get("overrun", 0) == 0


def test_a_decline_credits_nothing_and_says_why(shop):
    shop.teller.says = [Declined("insufficient_funds", "Your card has insufficient funds.")]
    payment = shop.buy(50)

    assert (payment.state, payment.code) == (PaymentState.DECLINED, "insufficient_funds")
    assert shop.available == 0
    order = shop.look(payment.order_id).order
    assert (order.state, order.reason) == ("failed", "insufficient_funds")
    [told] = shop.told()
    assert (told.kind, told.facts["reason"]) == ("purchase_failed", "Your card has insufficient funds.")
    assert shop.steps(payment.payment_id) == ["requested", "pending", "declined"]


def test_a_purchase_by_hand_is_not_taken_from_another_method_than_was_chosen(shop):
    shop.card("card-2", 2)
    shop.teller.says = [Declined("card_declined")]
    shop.buy(50)

    assert [movement.method.method_id for _, movement in shop.teller.asked] == ["card-1"]
    assert shop.work() == 0


# -- a person has to confirm it ----------------------------------------------------------------------------------------


def test_a_payment_that_a_person_confirms_is_credited_then(shop):
    shop.teller.says = [ActionRequired("pi-1", "https://bank.example/confirm")]
    payment = shop.buy(50)

    assert (payment.state, payment.link) == (PaymentState.ACTION_REQUIRED, "https://bank.example/confirm")
    assert shop.look(payment.order_id).link == "https://bank.example/confirm"
    assert (shop.available, shop.told("action_required")[0].facts["link"]) == (0, "https://bank.example/confirm")

    tell(shop, payment, Succeeded("pi-1"))

    assert shop.available == 50 * UNITS
    done = shop.payment(payment.payment_id)
    assert (done.state, done.link, done.provider_ref) == (PaymentState.SUCCEEDED, "", "pi-1")
    assert shop.steps(payment.payment_id) == ["requested", "pending", "action_required", "succeeded"]


def test_a_payment_that_nobody_confirms_is_given_up_after_23_hours(shop):
    shop.teller.says = [ActionRequired("pi-1", "https://bank.example")] * 4
    payment = shop.buy(50)
    for seconds in (31, 301, 3601):
        shop.wait(seconds=seconds)
        shop.work()
    shop.teller.says = [Declined("abandoned")]
    shop.wait(days=1)
    shop.work()

    assert [what for what, _ in shop.teller.asked] == ["move", "ask", "ask", "ask", "give_up"]
    assert shop.payment(payment.payment_id).state is PaymentState.DECLINED
    assert len(shop.told("action_required")) == 1


def test_who_confirms_while_it_is_being_given_up_has_paid(shop):
    shop.teller.says = [ActionRequired("pi-1", "https://bank.example"), Succeeded("pi-1")]
    shop.buy(50)
    shop.wait(hours=24)
    shop.work()

    assert shop.teller.asked[-1][0] == "give_up"
    assert shop.available == 50 * UNITS


# -- nobody knows ------------------------------------------------------------------------------------------------------


def test_a_lost_answer_is_asked_for_again_under_the_same_key_and_never_charged_anew(shop):
    shop.teller.says = [Unknown("the line went dead"), Unknown("again"), Succeeded("pi-1")]
    payment = shop.buy(50)
    assert (payment.state, payment.detail) == (PaymentState.UNKNOWN, "the line went dead")

    assert shop.work() == 0
    for seconds in (31, 301, 3601):
        shop.wait(seconds=seconds)
        shop.work()

    assert [what for what, _ in shop.teller.asked] == ["move", "ask", "ask"]
    assert len(set(shop.teller.keys)) == 1
    assert shop.available == 50 * UNITS
    assert list(shop.teller.books.values()) == [50 * UNITS]


def test_while_nobody_knows_the_same_reference_orders_nothing_more(shop):
    shop.teller.says = [Unknown("lost")]
    shop.buy(50, "PO-1")
    again = shop.order(50, "PO-1")

    assert again.repeated
    assert pay_now(shop.office, shop.paying, "contoso", again.order.order_id).order.state == "open"
    assert len(shop.teller.asked) == 1


def test_a_question_that_never_reached_the_provider_fails_the_purchase(shop):
    shop.teller.says = [Unknown("lost"), Declined(NEVER_ARRIVED)]
    payment = shop.buy(50)
    shop.wait(minutes=1)
    shop.work()

    assert shop.look(payment.order_id).order.reason == NEVER_ARRIVED
    assert shop.available == 0


def test_a_crash_between_asking_and_recording_is_caught_up_with(shop):
    placed = shop.order(50)
    claim = payments.claim(shop.office, "contoso", placed.payments[0].payment_id, shop.now)
    shop.teller.move(claim.movement)

    assert shop.work() == 0
    shop.wait(seconds=int(HELD_WHILE_ASKED.total_seconds()))
    shop.work()

    assert [what for what, _ in shop.teller.asked] == ["move", "ask"]
    assert len(set(shop.teller.keys)) == 1
    assert shop.available == 50 * UNITS


def test_a_provider_that_breaks_leaves_the_outcome_open(shop, caplog):
    def broken(_):
        raise RuntimeError("a mistake in the gateway")

    shop.teller.move = broken
    payment = shop.buy(50)

    assert payment.state is PaymentState.UNKNOWN
    assert "a mistake in the gateway" in caplog.text


def test_a_payment_of_a_provider_that_is_not_set_up_here_waits(shop):
    elsewhere = Paying(shop.office, {}, lambda: shop.now)
    placed = shop.order(50)
    waiting = elsewhere.pay("contoso", placed.payments[0].payment_id)

    assert (waiting.state, waiting.detail) == (
        PaymentState.UNKNOWN,
        "payment provider card is not set up in this process",
    )
    shop.wait(minutes=1)
    shop.work()
    assert shop.available == 50 * UNITS


def test_only_one_of_eight_workers_asks_about_a_payment(database_url):
    with World(database_url) as world:
        world.organisation("contoso")
        shop = Shop(world)
        shop.card()
        placed = shop.order(50)
        together = threading.Barrier(8)

        def pay():
            together.wait()
            shop.pay(placed.payments[0].payment_id)

        workers = [threading.Thread(target=pay) for _ in range(8)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

        assert [what for what, _ in shop.teller.asked] == ["move"]
        assert shop.available == 50 * UNITS
        assert world.findings() == []


# -- news --------------------------------------------------------------------------------------------------------------


def test_news_of_success_after_a_decline_counts(shop):
    shop.teller.says = [Declined("try_again_later")]
    payment = shop.buy(50)

    tell(shop, payment, Succeeded("pi-1"))

    assert shop.available == 50 * UNITS
    order = shop.look(payment.order_id).order
    assert (order.state, order.reason) == ("fulfilled", "")
    assert [one.kind for one in shop.told()] == ["purchase_failed", "purchase_succeeded"]


@pytest.mark.parametrize(
    "late",
    [Succeeded("pi-1"), Declined("card_declined"), Processing("pi-1"), ActionRequired("pi-1", "x"), Unknown("?")],
)
def test_nothing_a_provider_says_after_a_success_changes_it(shop, late):
    payment = shop.buy(50)
    tell(shop, payment, late)

    after = shop.payment(payment.payment_id)
    assert (after.state, after.version) == (PaymentState.SUCCEEDED, payment.version)
    assert shop.available == 50 * UNITS


def test_the_same_message_is_taken_in_once(shop):
    shop.teller.says = [Processing("pi-1")]
    payment = shop.buy(50)

    assert tell(shop, payment, Succeeded("pi-1")) is not None
    assert tell(shop, payment, Succeeded("pi-1")) is None
    assert tell(shop, payment, Succeeded("pi-1"), "evt-2").state is PaymentState.SUCCEEDED
    assert shop.available == 50 * UNITS
    assert len(shop.world.lots("contoso")) == 1


def test_news_of_another_provider_or_of_an_unknown_payment_is_none_of_ours(shop):
    shop.teller.says = [Processing("pi-1")]
    payment = shop.buy(50)
    stray = PaymentNews(event_id="e", org_id="contoso", payment_id="00000009-1", outcome=Succeeded("x"))
    ours = PaymentNews(event_id="f", org_id="contoso", payment_id=payment.payment_id, outcome=Succeeded("x"))

    assert payments.take_news(shop.office, "card", stray, shop.now) is None
    assert payments.take_news(shop.office, "agreement", ours, shop.now) is None
    assert shop.available == 0
    with pytest.raises(NotFound):
        payments.record(shop.office, "contoso", "00000009-1", Succeeded("x"), shop.now)


# -- limits of agreements, keys of another time, people who do not come ------------------------------------------------


def test_of_two_orders_at_once_by_an_agreement_one_is_within_its_limit(shop):
    agreement = shop.agreement(credit_limit_micros=100 * UNITS, on_confirmation=False)
    placed = [shop.order(60, reference, method_id=agreement.method_id).payments[0] for reference in ("a", "b")]
    # Both are asked about before either answer is recorded.
    asked = [payments.claim(shop.office, "contoso", payment.payment_id, shop.now).movement for payment in placed]
    assert [movement.unpaid_micros for movement in asked] == [0, 60 * UNITS]

    agreements = AgreementProvider()
    done = [payments.record(shop.office, "contoso", one.payment_id, agreements.move(one), shop.now) for one in asked]

    assert [one.state for one in done] == [PaymentState.SUCCEEDED, PaymentState.DECLINED]
    assert (done[1].code, shop.available) == ("credit_limit", 60 * UNITS)


@pytest.mark.parametrize(("key", "credited"), [("", 50), ("its own", 50), ("of another time", 0)])
def test_a_message_about_a_payment_of_the_same_number_from_another_time_is_not_taken_for_ours(shop, key, credited):
    shop.card()
    payment = shop.order(50).payments[0]
    payments.claim(shop.office, "contoso", payment.payment_id, shop.now)
    news = PaymentNews(
        event_id="evt-1",
        org_id="contoso",
        payment_id=payment.payment_id,
        outcome=Succeeded("ref"),
        idempotency_key=payment.idempotency_key if key == "its own" else key,
    )

    payments.take_news(shop.office, "card", news, shop.now)

    assert shop.available == credited * UNITS


def test_what_nobody_confirms_is_given_up_within_the_day(shop):
    shop.teller.says = [ActionRequired("ref", "https://bank.example/1")]
    payment = shop.buy(50)
    for _ in range(6):
        shop.world.now = shop.payment(payment.payment_id).next_at
        shop.teller.says = [ActionRequired("ref", "https://bank.example/1")]
        if shop.now - payment.created_at >= ACTION_WITHIN:
            break
        shop.pay(payment.payment_id)

    shop.teller.says = [Declined("abandoned")]
    shop.pay(payment.payment_id)

    assert shop.now - payment.created_at == ACTION_WITHIN
    assert shop.teller.asked[-1][0] == "give_up"
    assert shop.payment(payment.payment_id).state is PaymentState.DECLINED
