"""The simulated bank: what its cards do, what its books say, and that no loss of a message moves money twice."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.payments import ActionRequired, Declined, Succeeded, Unknown
from gettone.gateways.simulated import SimulatedProvider
from gettone.gateways.simulator.bank import Bank, BankError, LateError, LostError
from gettone.gateways.simulator.cards import TEST_CARDS, Behaviour
from gettone.gateways.simulator.faults import Faults, Message, Question
from gettone.operations.providers import NEVER_ARRIVED
from tests.gateways.counters import AUTHENTICATES, BEGIN, NO_FUNDS, PAYS, PAYS_LATER, SimulatedCounter

HOUR = timedelta(hours=1)
LOSES_REFUNDS = "4000000000005126"
REFUNDS_LATER = "4000000000007726"
DISPUTES = "4000000000000259"


@pytest.fixture
def counter() -> SimulatedCounter:
    return SimulatedCounter()


def test_every_test_card_has_a_right_check_digit():
    def luhn(number: str) -> int:
        doubled = (int(digit) * (1 + n % 2) for n, digit in enumerate(reversed(number)))
        return sum(digit // 10 + digit % 10 for digit in doubled) % 10

    assert not [number for number in TEST_CARDS if luhn(number)]
    assert {card.behaviour for card in TEST_CARDS.values()} == set(Behaviour)


def test_a_number_that_is_no_test_card_is_not_entered(counter):
    setup = counter.bank.begin_setup(counter.bank.add_customer("Contoso").customer_id)

    with pytest.raises(BankError, match="none of the simulator's test cards"):
        counter.bank.enter_card(setup.setup_id, "4111111111111111")


def test_a_key_is_forgotten_after_a_day(counter):
    movement = counter.movement(counter.method())
    first = counter.provider.move(movement)
    counter.later(timedelta(hours=24, seconds=-1))
    assert counter.provider.move(movement) == first

    counter.later(timedelta(seconds=1))

    assert counter.provider.move(movement) != first
    assert counter.captured() == 10_000


def test_a_question_that_was_refused_for_its_words_is_not_kept_under_its_key(counter):
    method = counter.method()
    card, customer = method.provider_ref, method.customer_ref
    facts = {"currency": "usd", "customer_id": customer, "key": "k"}
    with pytest.raises(BankError, match="above 0"):
        counter.bank.charge(amount=0, card_id=card, **facts)

    assert counter.bank.charge(amount=100, card_id=card, **facts).status == "succeeded"
    with pytest.raises(BankError) as refused:
        counter.bank.charge(amount=200, card_id=card, **facts)
    assert (refused.value.status, refused.value.kind) == (400, "idempotency_error")


def test_a_card_of_another_customer_is_not_charged(counter):
    method, other = counter.method(), counter.method()

    with pytest.raises(BankError, match="does not belong"):
        counter.bank.charge(amount=100, currency="usd", customer_id=other.customer_ref, card_id=method.provider_ref)


def test_a_card_that_another_simulator_took_is_known_by_its_name(counter):
    method = counter.method(NO_FUNDS)
    after_a_restart = SimulatedProvider(Bank(lambda: BEGIN))

    assert after_a_restart.move(counter.movement(method)).code == "insufficient_funds"


def test_a_slow_refund_is_pending_and_then_done(counter):
    method = counter.method(REFUNDS_LATER)
    charge = counter.provider.move(counter.movement(method))
    refund = counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference)
    pending = counter.provider.move(refund)
    assert type(pending).__name__ == "Processing"

    counter.later(timedelta(minutes=1))

    known = counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference, provider_ref=pending.reference)
    assert counter.provider.ask(known) == Succeeded(pending.reference)


def test_a_refund_that_fails_afterwards_gives_the_charge_its_money_back(counter):
    method = counter.method(LOSES_REFUNDS)
    charge = counter.provider.move(counter.movement(method))
    counter.provider.move(counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference))
    assert counter.captured() == 0

    counter.later(timedelta(minutes=1))

    assert counter.captured() == 5000
    last = counter.news()[-1]
    assert (last.payment_id, last.outcome.code) == ("00000001-1-refund-1", "lost_or_stolen_card")


def test_a_card_that_disputes_takes_its_money_back_after_an_hour(counter):
    charge = counter.provider.move(counter.movement(counter.method(DISPUTES)))
    assert counter.captured() == 5000

    counter.later(HOUR)

    assert counter.captured() == 0
    assert counter.bank.disputes()[0].charge_id == charge.reference
    assert [one.stage for one in counter.news()[2:] if one] == ["opened"]


def test_a_dispute_that_is_lost_stays_taken(counter):
    charge = counter.provider.move(counter.movement(counter.method()))
    dispute = counter.bank.dispute(charge.reference)
    counter.news()

    counter.bank.close_dispute(dispute.dispute_id, won=False)

    assert counter.captured() == 0
    assert [one.stage for one in counter.news()] == ["lost"]
    with pytest.raises(BankError, match="lost already"):
        counter.bank.close_dispute(dispute.dispute_id, won=True)


def test_a_disputed_charge_is_neither_refunded_nor_disputed_again(counter):
    method = counter.method()
    charge = counter.provider.move(counter.movement(method))
    counter.bank.dispute(charge.reference, 100)

    refund = counter.provider.move(counter.movement(method, "00000001-1-refund-1", refund_of=charge.reference))

    assert (type(refund), refund.code) == (Declined, "charge_disputed")
    with pytest.raises(BankError, match="nothing is left"):
        counter.bank.dispute(charge.reference, 100)


@pytest.mark.parametrize(
    ("fault", "seen"),
    [
        (Question.QUESTION_LOST, LostError),
        (Question.ANSWER_LOST, LostError),
        (Question.ANSWER_LATE, LateError),
        (Question.SERVER_ERROR, BankError),
        (Question.RATE_LIMITED, BankError),
        (Question.IN_PROGRESS, BankError),
    ],
)
def test_a_planned_fault_befalls_the_next_question_only(counter, fault, seen):
    counter.bank.faults.plan(fault)

    with pytest.raises(seen):
        counter.bank.ask(lambda: "answer")

    assert counter.bank.ask(lambda: "answer") == "answer"


@pytest.mark.parametrize(
    ("faults", "seconds", "order"),
    [
        ((Message.SENT, Message.SENT), 0, "12"),
        ((Message.LOST, Message.SENT), 0, "2"),
        ((Message.TWICE, Message.SENT), 10, "121"),
        ((Message.REORDERED, Message.SENT), 30, "21"),
        ((Message.LATE, Message.SENT), 3600, "2"),
        ((Message.LATE, Message.SENT), 10_800, "21"),
    ],
)
def test_messages_are_lost_doubled_late_and_reordered(counter, faults, seconds, order):
    method = counter.method()
    counter.bank.faults.plan(*faults)
    for number in "12":
        counter.provider.move(counter.movement(method, number))

    counter.later(timedelta(seconds=seconds))

    assert "".join(one.payment_id for one in counter.news()) == order
    assert counter.news() == []


def test_the_same_seed_brings_the_same_faults():
    def drawn(seed: int) -> list[object]:
        faults = Faults(seed)
        return [(faults.of_question(), faults.of_message()) for _ in range(200)]

    assert drawn(7) == drawn(7)
    assert drawn(7) != drawn(8)
    assert {question for question, _ in drawn(7)} == set(Question)


LINE_FAULTS = st.sampled_from(list(Question))
WAITS = st.sampled_from([timedelta(seconds=30), timedelta(minutes=5), HOUR, timedelta(hours=22), timedelta(days=1)])


@given(
    st.sampled_from([PAYS, NO_FUNDS, AUTHENTICATES, PAYS_LATER]),
    st.lists(st.tuples(LINE_FAULTS, LINE_FAULTS, LINE_FAULTS, WAITS), max_size=12),
)
def test_however_many_answers_get_lost_money_moves_once_and_what_is_said_is_true(number, mishaps):
    """As `operations.paying` asks: once to move, then again and again until it is known how it stands."""
    counter = SimulatedCounter()
    method = counter.method(number)
    first_asked_at, reference, outcome = counter.now, "", None
    for *faults, wait in [*mishaps, *[(Question.ANSWERED, timedelta(days=2))] * 2]:
        counter.bank.faults = Faults()
        counter.bank.faults.plan(*faults)
        question = counter.provider.move if outcome is None else counter.provider.ask
        outcome = question(counter.movement(method, first_asked_at=first_asked_at, provider_ref=reference))
        assert counter.captured() in {0, 5000}
        reference = reference or getattr(outcome, "reference", "")
        if isinstance(outcome, Succeeded | Declined):
            break
        counter.later(wait)

    never_arrived = isinstance(outcome, Declined) and outcome.code == NEVER_ARRIVED
    if number in {PAYS, PAYS_LATER} and not never_arrived:
        assert isinstance(outcome, Succeeded)
        assert counter.captured() == 5000
    else:
        assert counter.captured() == 0
    assert not isinstance(outcome, Unknown)
    if number == AUTHENTICATES and not never_arrived:
        assert isinstance(outcome, ActionRequired)
    assert len(counter.bank.charges()) == (0 if never_arrived else 1)
