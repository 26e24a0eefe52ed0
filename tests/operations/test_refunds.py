"""Refunds and disputes: what goes back to the payer, with its share of the tax, and what the bank takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.payments import (
    Declined,
    PaymentState,
    Succeeded,
    Unknown,
)
from gettone.errors import Conflict
from gettone.operations.billing import CHARGE, Payment
from gettone.operations.buying import NewOrder, place_order
from gettone.operations.payments import gross_of
from tests.support.shop import ADMIN, UNITS, Shop
from tests.support.world import MIDDAY, World, sqlite_url

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
    shop.dispute(first, "opened")

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

    taxed.dispute(payment, "opened")
    assert (taxed.available, taxed.payment(payment.payment_id).state) == (0, PaymentState.DISPUTED)
    assert not any(taxed.world.ledger("contoso").values())

    taxed.wait(days=40)
    taxed.dispute(payment, "won")

    assert (taxed.available, taxed.payment(payment.payment_id).state) == (50 * UNITS, PaymentState.SUCCEEDED)
    assert taxed.world.ledger("contoso") == before
    assert {lot.expires_at for lot in taxed.world.lots("contoso").values()} == {
        taxed.world.lots("contoso")[payment.payment_id].expires_at
    }
    assert [one.facts["stage"] for one in taxed.told("payment_disputed")] == ["opened", "won"]


def test_a_dispute_over_credit_that_is_spent_is_owed_and_given_back_when_won(taxed):
    payment = taxed.buy(50)
    taxed.spend(30 * UNITS)

    taxed.dispute(payment, "opened")
    assert taxed.available == -30 * UNITS

    taxed.dispute(payment, "won")
    assert taxed.available == 20 * UNITS


def test_a_dispute_takes_first_from_its_own_lot_then_from_the_others(shop):
    first = shop.buy(50, "a")
    shop.spend(20 * UNITS)
    shop.buy(60, "b")

    shop.dispute(first, "opened")

    left = {lot.reference: lot.remaining_micros for lot in shop.world.lots("contoso").values()}
    assert left == {"00000001-1": 0, "00000002-1": 40 * UNITS}


def test_a_dispute_that_is_lost_keeps_what_was_taken(shop):
    payment = shop.buy(50)
    shop.dispute(payment, "opened")
    shop.wait(days=40)
    shop.dispute(payment, "lost")

    assert shop.available == 0
    assert shop.payment(payment.payment_id).state is PaymentState.DISPUTED
    assert [one.facts["stage"] for one in shop.told("payment_disputed")] == ["opened", "lost"]


def test_a_part_may_be_disputed(taxed):
    payment = taxed.buy(50)
    taxed.dispute(payment, "opened", gross=12_200_000)

    assert taxed.available == 40 * UNITS
    assert taxed.payment(payment.payment_id).disputed_micros == 10 * UNITS
    taxed.dispute(payment, "won")
    assert taxed.available == 50 * UNITS


def test_a_dispute_that_is_told_twice_is_taken_once(shop):
    payment = shop.buy(50)
    shop.buy(60, "b")
    shop.dispute(payment, "opened")
    shop.dispute(payment, "opened")
    shop.dispute(payment, "opened", event_id="another message of the same")

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


def test_a_dispute_about_nothing_changes_nothing(shop):
    payment = shop.buy(50)

    shop.dispute(payment, "opened", gross=0)

    assert (shop.available, shop.payment(payment.payment_id).state) == (50 * UNITS, PaymentState.SUCCEEDED)
