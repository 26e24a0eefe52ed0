"""What every card provider does, whoever is behind it (`counters.py`)."""

from datetime import timedelta

import pytest

from gettone.domain.payments import ActionRequired, Declined, Processing, Succeeded, Unknown
from gettone.errors import Conflict
from gettone.operations.providers import NEVER_ARRIVED, DisputeNews, PaymentNews
from tests.gateways.counters import (
    AUTHENTICATES,
    BEGIN,
    DECLINES,
    DECLINES_LATER,
    LOST,
    NO_FUNDS,
    PAYS_LATER,
)

TWO_DAYS = timedelta(days=2)
MINUTE = timedelta(minutes=1)


def test_a_card_is_entered_at_the_provider_and_known_by_its_last_digits(counter):
    method = counter.method()

    assert method.label == "Visa 4242"
    assert method.expires == 203012
    assert method.fingerprint == counter.method().fingerprint


def test_a_setup_without_a_card_is_not_finished(counter):
    setup = counter.provider.begin_setup(counter.org_id, "Contoso", "")
    assert setup.link or setup.secret

    if counter.enters_cards_itself:
        assert counter.provider.finish_setup(setup.reference).label == "Visa 4242"
    else:
        with pytest.raises(Conflict, match="no card has been entered"):
            counter.provider.finish_setup(setup.reference)


def test_a_second_card_belongs_to_the_same_customer(counter):
    method = counter.method()

    assert counter.provider.begin_setup(counter.org_id, "Contoso", method.customer_ref).customer_ref == (
        method.customer_ref
    )


def test_a_good_card_pays(counter):
    movement = counter.movement(counter.method())

    outcome = counter.provider.move(movement)

    assert isinstance(outcome, Succeeded)
    assert counter.provider.ask(counter.movement(movement.method, provider_ref=outcome.reference)) == outcome
    assert counter.captured() == 5000


def test_the_same_key_moves_money_once(counter):
    movement = counter.movement(counter.method())

    assert counter.provider.move(movement) == counter.provider.move(movement)
    assert counter.captured() == 5000


def test_two_keys_move_money_twice(counter):
    method = counter.method()

    first = counter.provider.move(counter.movement(method, "00000001-1"))
    second = counter.provider.move(counter.movement(method, "00000002-1"))

    assert first != second
    assert counter.captured() == 10_000


def test_a_charge_whose_answer_was_lost_is_found_by_asking_again(counter):
    movement = counter.movement(counter.method())
    lost = counter.provider.move(movement)

    assert counter.provider.ask(movement) == lost
    assert counter.captured() == 5000


def test_a_charge_is_found_after_its_key_was_forgotten(counter):
    method = counter.method()
    lost = counter.provider.move(counter.movement(method))
    counter.later(TWO_DAYS)

    assert counter.provider.ask(counter.movement(method)) == lost
    assert counter.captured() == 5000


def test_what_never_arrived_is_said_to_have_never_arrived(counter):
    method = counter.method()
    counter.provider.move(counter.movement(method, "00000001-1"))
    counter.later(TWO_DAYS)

    outcome = counter.provider.ask(counter.movement(method, "00000002-1"))

    assert outcome == Declined(NEVER_ARRIVED)
    assert counter.captured() == 5000


def test_a_question_under_a_used_key_with_another_amount_settles_nothing(counter):
    method = counter.method()
    counter.provider.move(counter.movement(method))

    outcome = counter.provider.move(counter.movement(method, gross_micros=60_000_000))

    assert isinstance(outcome, Unknown)
    assert counter.captured() == 5000


def test_a_charge_of_another_account_is_not_declined(counter):
    """A key of another account knows none of our charges; that says nothing about them."""
    movement = counter.movement(counter.method(), provider_ref="pi_of_another_account")

    assert isinstance(counter.provider.ask(movement), Unknown)


def test_a_card_that_declines_is_declined(counter):
    movement = counter.movement(counter.method(DECLINES))

    outcome = counter.provider.move(movement)

    assert isinstance(outcome, Declined)
    assert not outcome.final
    assert outcome.detail
    assert counter.captured() == 0


def test_a_decline_tells_its_reason(counter):
    outcome = counter.provider.move(counter.movement(counter.method(NO_FUNDS)))

    assert (outcome.code, outcome.final) == ("insufficient_funds", False)
    assert counter.provider.ask(counter.movement(counter.method(), provider_ref=outcome.reference)) == outcome


def test_a_lost_card_is_declined_for_good(counter):
    outcome = counter.provider.move(counter.movement(counter.method(LOST)))

    assert (outcome.code, outcome.final) == ("lost_card", True)


def test_a_person_confirms_at_the_link(counter):
    movement = counter.movement(counter.method(AUTHENTICATES))

    outcome = counter.provider.move(movement)

    assert isinstance(outcome, ActionRequired)
    assert outcome.link.startswith("http")
    assert counter.provider.move(movement) == outcome
    assert counter.captured() == 0
    counter.bank.authenticate(outcome.reference, confirmed=True)
    assert counter.provider.ask(counter.movement(movement.method, provider_ref=outcome.reference)) == Succeeded(
        outcome.reference
    )
    # The answer that was stored under the key is that of the beginning; how it stands is looked up.
    assert counter.provider.ask(movement) == Succeeded(outcome.reference)
    assert counter.captured() == 5000


def test_a_person_refuses_at_the_link(counter):
    movement = counter.movement(counter.method(AUTHENTICATES))
    outcome = counter.provider.move(movement)

    counter.bank.authenticate(outcome.reference, confirmed=False)

    refused = counter.provider.ask(movement)
    assert (refused.code, refused.reference) == ("payment_intent_authentication_failure", outcome.reference)
    assert counter.captured() == 0


def test_a_charge_that_waits_is_given_up(counter):
    method = counter.method(AUTHENTICATES)
    outcome = counter.provider.move(counter.movement(method))

    given_up = counter.provider.give_up(counter.movement(method, provider_ref=outcome.reference))

    assert isinstance(given_up, Declined)
    assert given_up.code == "abandoned"
    assert counter.provider.ask(counter.movement(method, provider_ref=outcome.reference)) == given_up
    assert counter.captured() == 0


def test_what_is_given_up_too_late_has_succeeded(counter):
    method = counter.method()
    outcome = counter.provider.move(counter.movement(method))

    assert counter.provider.give_up(counter.movement(method, provider_ref=outcome.reference)) == outcome
    assert counter.captured() == 5000


def test_a_slow_charge_is_processing_and_then_done(counter):
    method = counter.method(PAYS_LATER)
    outcome = counter.provider.move(counter.movement(method))
    assert isinstance(outcome, Processing)
    assert counter.captured() == 0

    counter.later(MINUTE)

    asked = counter.movement(method, provider_ref=outcome.reference)
    assert counter.provider.ask(asked) == Succeeded(outcome.reference)
    assert counter.captured() == 5000
    assert [one.outcome for one in counter.news()] == [Processing(outcome.reference), Succeeded(outcome.reference)]


def test_a_slow_charge_is_processing_and_then_declined(counter):
    method = counter.method(DECLINES_LATER)
    outcome = counter.provider.move(counter.movement(method))

    counter.later(MINUTE)

    declined = counter.provider.ask(counter.movement(method, provider_ref=outcome.reference))
    assert (declined.code, declined.reference) == ("generic_decline", outcome.reference)
    assert counter.captured() == 0
    assert [one.outcome for one in counter.news()] == [Processing(outcome.reference), declined]


def test_a_part_is_refunded_and_then_the_rest(counter):
    method = counter.method()
    charge = counter.provider.move(counter.movement(method))

    first = counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference, gross_micros=12_340_000)
    rest = counter.movement(method, "00000001-1-refund-2", refund_of=charge.reference, gross_micros=37_660_000)

    assert isinstance(counter.provider.move(first), Succeeded)
    assert counter.captured() == 3766
    assert isinstance(counter.provider.move(rest), Succeeded)
    assert counter.captured() == 0


def test_no_more_than_the_charge_is_refunded(counter):
    method = counter.method()
    charge = counter.provider.move(counter.movement(method))

    too_much = counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference, gross_micros=50_010_000)

    assert isinstance(counter.provider.move(too_much), Declined)
    assert counter.captured() == 5000


def test_a_refund_is_done_once_for_its_key(counter):
    method = counter.method()
    charge = counter.provider.move(counter.movement(method))
    refund = counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference, gross_micros=10_000_000)

    assert counter.provider.move(refund) == counter.provider.ask(refund)
    assert counter.captured() == 4000


def test_a_refund_is_found_after_its_key_was_forgotten(counter):
    method = counter.method()
    charge = counter.provider.move(counter.movement(method))
    facts = {"refund_of": charge.reference, "gross_micros": 10_000_000}
    done = counter.provider.move(counter.movement(method, "00000001-1-refund-1", **facts))
    counter.later(TWO_DAYS)

    assert counter.provider.ask(counter.movement(method, "00000001-1-refund-1", **facts)) == done
    assert counter.provider.ask(counter.movement(method, "00000001-1-refund-2", **facts)) == Declined(NEVER_ARRIVED)
    assert counter.captured() == 4000


def test_a_dispute_takes_the_charge_back_and_gives_it_back(counter):
    charge = counter.provider.move(counter.movement(counter.method()))
    dispute = counter.bank.dispute(charge.reference, 2000)
    assert counter.captured() == 3000

    counter.bank.close_dispute(dispute.dispute_id, won=True)

    assert counter.captured() == 5000
    paid, opened, won = [one for one in counter.news() if one is not None]
    ours = {"org_id": counter.org_id, "payment_id": "00000001-1", "idempotency_key": f"{counter.org_id}/00000001-1"}
    assert paid == PaymentNews(event_id=paid.event_id, outcome=charge, **ours)
    assert opened == DisputeNews(event_id=opened.event_id, stage="opened", gross_micros=20_000_000, **ours)
    assert (won.stage, won.gross_micros) == ("won", 20_000_000)
    assert opened.event_id != won.event_id


def test_a_currency_without_decimals_is_charged_in_whole_units(counter):
    yen = counter.movement(counter.method(), gross_micros=5_000_000_000, currency="JPY")

    assert isinstance(counter.provider.move(yen), Succeeded)
    assert counter.captured() == 5000


@pytest.mark.parametrize(
    ("currency", "micros"),
    [("KWD", 20_005_000), ("ISK", 20_500_000), ("MGA", 20_500_000), ("UGX", 20_000_000), ("USD", 20_001_000)],
)
def test_an_amount_that_cards_cannot_move_is_declined_without_asking(counter, currency, micros):
    outcome = counter.provider.move(counter.movement(counter.method(), gross_micros=micros, currency=currency))

    assert (outcome.code, outcome.final) == ("amount_not_possible", True)
    assert currency in outcome.detail
    assert counter.captured() == 0


def test_a_key_of_any_letters_and_length_is_a_key(counter):
    method = counter.method()
    for key in ("società/1", "x" * 300, "two\nlines"):
        movement = counter.movement(method, f"payment {key[:3]}", idempotency_key=key)
        assert isinstance(counter.provider.move(movement), Succeeded)
    assert counter.captured() == 15_000
    assert counter.now == BEGIN
