"""Payments: whatever the provider says, forgets or repeats, money that has moved is credited once."""

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.payments import (
    ACTION_WITHIN,
    ActionRequired,
    Declined,
    PaymentState,
    Processing,
    Succeeded,
    Unknown,
)
from gettone.errors import Conflict, NotFound
from gettone.operations import payments
from gettone.operations.billing import CHARGE, Payment
from gettone.operations.buying import NewOrder, place_order
from gettone.operations.checkout import pay_now
from gettone.operations.paying import Paying
from gettone.operations.payments import HELD_WHILE_ASKED, gross_of
from gettone.operations.providers import NEVER_ARRIVED, DisputeNews, PaymentNews
from tests.support.shop import ADMIN, UNITS, Shop
from tests.support.world import MIDDAY, World, sqlite_url


@pytest.fixture
def taxed(shop):
    """The shop where 22 % are due on top."""
    shop.taxed("US", "sales tax", "22")
    return shop


def tell(shop, payment, outcome, event_id="evt-1"):
    news = PaymentNews(event_id=event_id, org_id="contoso", payment_id=payment.payment_id, outcome=outcome)
    return payments.take_news(shop.office, "card", news, shop.now)


def dispute(shop, payment, stage, gross=None, event_id=""):
    news = DisputeNews(
        event_id=event_id or f"dispute {stage}",
        org_id="contoso",
        payment_id=payment.payment_id,
        stage=stage,
        gross_micros=gross if gross is not None else payment.gross_micros,
    )
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
    dispute(shop, payment, "opened")
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


# -- refunds -----------------------------------------------------------------------------------------------------------


def test_a_refund_pays_the_unused_part_back_with_its_share_of_the_tax(taxed):
    payment = taxed.buy(50)
    taxed.spend(12_345_678)

    refund = taxed.refund(payment)

    # 37.65 of the 37.654322 that are left, in whole cents; 37.65 * 1.22 = 45.933, rounded down to 45.93.
    assert (refund.state, refund.net_micros, refund.gross_micros) == (PaymentState.SUCCEEDED, 37_650_000, 45_930_000)
    assert taxed.available == 4_322
    assert taxed.payment(payment.payment_id).refunded_micros == 37_650_000
    assert taxed.world.ledger("contoso")["funding"] == -61 * UNITS + 45_930_000
    assert taxed.told("refunded")[0].facts["amount"] == "37650000"


def test_a_whole_refund_pays_everything_back(taxed):
    payment = taxed.buy(50)
    taxed.refund(payment)

    ledger = taxed.world.ledger("contoso")
    assert not any(ledger.values())
    assert sum(taxed.teller.books.values()) == 0


@given(
    net=st.integers(1, 400),
    tax=st.integers(0, 300),
    parts=st.lists(st.tuples(st.integers(1, 10_000), st.booleans()), min_size=1, max_size=8),
)
def test_shares_of_tax_sum_to_exactly_what_was_paid_whatever_was_refused_between(net, tax, parts):
    coin, whole = 10_000, net * UNITS
    gross = whole + whole * tax // 1000 // coin * coin
    refunds: list[tuple[int, int]] = []
    for coins, refused in [*parts, (whole // coin, False)]:
        refunded, paid_back = (sum(column) for column in zip(*refunds, strict=True)) if refunds else (0, 0)
        micros = min(coins * coin, whole - refunded)
        if not micros:
            break
        charge = Payment(
            payment_id="1-1",
            order_id="1",
            kind=CHARGE,
            method_id="card-1",
            provider="card",
            state=PaymentState.SUCCEEDED,
            gross_micros=gross,
            net_micros=whole,
            idempotency_key="k",
            created_at=MIDDAY,
            refunded_micros=refunded,
        )
        share = gross_of(charge, micros, paid_back, "USD")
        assert share % coin == 0
        # The part with its own tax, but for the coins by which roundings before were off.
        assert abs(share - micros * gross // whole) <= 2 * coin
        refunds.append((micros, share))
        if refused and len(refunds) > 1:
            refunds.pop(-2)

    assert sum(micros for micros, _ in refunds) == whole
    assert sum(share for _, share in refunds) == gross


@pytest.mark.parametrize("parts", [[10, 10, 30], [17, 17, 16], [1] * 7])
def test_refunds_in_parts_never_pay_back_more_than_was_paid(taxed, parts):
    payment = taxed.buy(50)
    for part in parts:
        taxed.refund(taxed.payment(payment.payment_id), amount_micros=part * UNITS)
    left = 50 - sum(parts)
    if left:
        taxed.refund(payment)

    assert sum(taxed.teller.books.values()) == 0
    assert not any(taxed.world.ledger("contoso").values())
    assert taxed.available == 0


def test_credit_that_is_spent_cannot_be_refunded(shop):
    payment = shop.buy(50)
    shop.spend(45 * UNITS)

    with pytest.raises(Conflict, match="5000000 micros of what payment '00000001-1' bought are unused"):
        shop.refund(payment, amount_micros=6 * UNITS)
    shop.refund(payment)
    with pytest.raises(Conflict, match="0 micros"):
        shop.refund(payment)
    assert shop.available == 0


@pytest.mark.parametrize("micros", [0, -1, 5_001, 50 * UNITS + 10_000])
def test_an_amount_that_is_no_part_of_it_is_refused(shop, micros):
    payment = shop.buy(50)

    with pytest.raises(Conflict, match="are unused"):
        shop.refund(payment, amount_micros=micros)
    assert shop.available == 50 * UNITS


def test_what_is_owed_is_not_refunded(shop):
    first = shop.buy(50, "a")
    second = shop.buy(60, "b")
    shop.spend(50 * UNITS)
    dispute(shop, first, "opened")

    refund = shop.refund(second)

    assert refund.net_micros == 10 * UNITS
    assert shop.available == 0


def test_expired_credit_is_not_refunded(shop):
    payment = shop.buy(50)
    shop.wait(days=367)

    with pytest.raises(Conflict, match="0 micros"):
        shop.refund(payment)
    shop.world.expire()
    with pytest.raises(Conflict, match="0 micros"):
        shop.refund(payment)


def test_a_refund_that_the_provider_refuses_brings_the_credit_back_as_it_was(taxed):
    payment = taxed.buy(50)
    taxed.wait(days=10)
    taxed.teller.says = [Declined("charge_disputed", "It is under dispute.")]

    refund = taxed.refund(payment)

    assert refund.state is PaymentState.DECLINED
    assert taxed.available == 50 * UNITS
    assert taxed.payment(payment.payment_id).refunded_micros == 0
    assert {lot.expires_at for lot in taxed.world.lots("contoso").values()} == {
        taxed.world.lots("contoso")[payment.payment_id].expires_at
    }
    assert taxed.world.ledger("contoso").get("refunding", 0) == 0


def test_a_refund_on_its_way_has_left_the_wallet_and_is_asked_about_under_its_key(shop):
    payment = shop.buy(50)
    shop.teller.says = [Unknown("lost"), Succeeded("re-1")]
    shop.refund(payment)
    assert (shop.available, shop.world.ledger("contoso")["refunding"]) == (0, 50 * UNITS)

    shop.wait(minutes=1)
    shop.work()

    assert shop.world.ledger("contoso")["refunding"] == 0
    assert shop.teller.asked[1][1].refund_of == "ref/00000001-1"
    assert len(set(shop.teller.keys)) == 2


def test_only_a_payment_that_succeeded_is_refunded(shop):
    shop.teller.says = [Declined("no")]
    declined = shop.buy(50, "a")
    refund = shop.refund(shop.buy(50, "b"), amount_micros=10 * UNITS)

    for payment in (declined, refund):
        with pytest.raises(Conflict, match="only one that succeeded can be refunded"):
            shop.refund(payment)


def test_a_refund_decided_on_what_has_changed_meanwhile_is_not_done(shop):
    payment = shop.buy(50)
    shop.refund(payment, amount_micros=10 * UNITS, expected_version=payment.version)

    with pytest.raises(Conflict, match="has changed meanwhile"):
        shop.refund(payment, amount_micros=10 * UNITS, expected_version=payment.version)
    assert shop.available == 40 * UNITS


# -- disputes ----------------------------------------------------------------------------------------------------------


def test_a_dispute_takes_back_and_when_won_gives_back_exactly(taxed):
    payment = taxed.buy(50)
    before = taxed.world.ledger("contoso")

    dispute(taxed, payment, "opened")
    assert (taxed.available, taxed.payment(payment.payment_id).state) == (0, PaymentState.DISPUTED)
    assert not any(taxed.world.ledger("contoso").values())

    taxed.wait(days=40)
    dispute(taxed, payment, "won")

    assert (taxed.available, taxed.payment(payment.payment_id).state) == (50 * UNITS, PaymentState.SUCCEEDED)
    assert taxed.world.ledger("contoso") == before
    assert {lot.expires_at for lot in taxed.world.lots("contoso").values()} == {
        taxed.world.lots("contoso")[payment.payment_id].expires_at
    }
    assert [one.facts["stage"] for one in taxed.told("payment_disputed")] == ["opened", "won"]


def test_a_dispute_over_credit_that_is_spent_is_owed_and_given_back_when_won(taxed):
    payment = taxed.buy(50)
    taxed.spend(30 * UNITS)

    dispute(taxed, payment, "opened")
    assert taxed.available == -30 * UNITS

    dispute(taxed, payment, "won")
    assert taxed.available == 20 * UNITS


def test_a_dispute_takes_first_from_its_own_lot_then_from_the_others(shop):
    first = shop.buy(50, "a")
    shop.spend(20 * UNITS)
    shop.buy(60, "b")

    dispute(shop, first, "opened")

    left = {lot.reference: lot.remaining_micros for lot in shop.world.lots("contoso").values()}
    assert left == {"00000001-1": 0, "00000002-1": 40 * UNITS}


def test_a_dispute_that_is_lost_keeps_what_was_taken(shop):
    payment = shop.buy(50)
    dispute(shop, payment, "opened")
    shop.wait(days=40)
    dispute(shop, payment, "lost")

    assert shop.available == 0
    assert shop.payment(payment.payment_id).state is PaymentState.DISPUTED
    assert [one.facts["stage"] for one in shop.told("payment_disputed")] == ["opened", "lost"]


def test_a_part_may_be_disputed(taxed):
    payment = taxed.buy(50)
    dispute(taxed, payment, "opened", gross=12_200_000)

    assert taxed.available == 40 * UNITS
    assert taxed.payment(payment.payment_id).disputed_micros == 10 * UNITS
    dispute(taxed, payment, "won")
    assert taxed.available == 50 * UNITS


def test_a_dispute_that_is_told_twice_is_taken_once(shop):
    payment = shop.buy(50)
    shop.buy(60, "b")
    dispute(shop, payment, "opened")
    dispute(shop, payment, "opened")
    dispute(shop, payment, "opened", event_id="another message of the same")

    assert shop.available == 60 * UNITS


def test_no_money_moves_for_an_order_that_was_never_placed(tmp_path):
    with World(sqlite_url(tmp_path)) as world:
        world.organisation("contoso", owns={})
        shop = Shop(world)
        shop.card()
        with pytest.raises(Conflict):
            place_order(shop.office, "contoso", NewOrder(amount_micros=50 * UNITS, reference="a"), ADMIN, world.now)
        shop.work()

        assert shop.teller.asked == []


# -- limits of agreements, keys of another time, people who do not come ------------------------------------------------


def test_of_two_orders_at_once_by_an_agreement_one_is_within_its_limit(shop):
    agreement = shop.agreement(credit_limit_micros=100 * UNITS, on_confirmation=False)
    placed = [shop.order(60, reference, method_id=agreement.method_id).payments[0] for reference in ("a", "b")]
    for payment in placed:
        # Both are asked about before either answer is recorded: each sees a limit that nobody has used.
        assert payments.claim(shop.office, "contoso", payment.payment_id, shop.now).movement.unpaid_micros == 0

    done = [
        payments.record(shop.office, "contoso", payment.payment_id, Succeeded("signed"), shop.now) for payment in placed
    ]

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


def test_a_dispute_about_nothing_changes_nothing(shop):
    payment = shop.buy(50)

    dispute(shop, payment, "opened", gross=0)

    assert (shop.available, shop.payment(payment.payment_id).state) == (50 * UNITS, PaymentState.SUCCEEDED)
