"""Fresh seeds in every run; a failure says how to play its seed again."""

import secrets

import msgspec
import pytest

from gettone.domain.payments import Declined, PaymentState, Processing, Succeeded, after
from gettone.operations import crediting, paying, payments, recharging
from tests.simulation.running import play_all

SOME = 25
MANY = 200


def first_of(count: int) -> range:
    first = secrets.randbelow(10**9)
    return range(first, first + count)


def wrong(seeds: range) -> list[str]:
    """Play until a seed goes wrong, and say how to play it again."""
    played = play_all(seeds, until_wrong=True)
    return [f"python -m tests.simulation {one.seed}    {one.wrong}" for one in played if one.wrong]


def test_money_charged_is_money_credited_whatever_goes_wrong(record_property):
    seeds = first_of(SOME)
    record_property("seeds", f"{seeds[0]}-{seeds[-1]}")

    assert not wrong(seeds), seeds


@pytest.mark.slow
def test_money_charged_is_money_credited_in_many_worlds(record_property):
    seeds = first_of(MANY)
    record_property("seeds", f"{seeds[0]}-{seeds[-1]}")

    assert not wrong(seeds), seeds


def test_a_seed_is_played_the_same_way_twice():
    [first], [again] = play_all([5]), play_all([5])

    assert first.story == again.story
    assert len(first.story) > 60


@pytest.mark.slow
def test_seeds_meet_what_they_are_there_for():
    seen = sum((one.seen for one in play_all(range(60))), start=play_all([60])[0].seen)

    for what in (
        *("question lost", "answer lost", "failure of our own", "key repeated", "searched", "given up"),
        *("charge Declined", "charge Processing", "charge ActionRequired", "refund Succeeded", "refund Declined"),
        *("message lost", "message doubled", "message wrong", "message refused"),
        *("dispute opened", "dispute won", "dispute lost", "crash", "set_back", "restart"),
    ):
        assert seen[what], f"no seed had {what}"


# -- the simulation finds what it is there to find ---------------------------------------------------------------------


def credits_again_by_the_next_news(monkeypatch):
    """Take the news of a success as news whatever was believed before."""

    def forgetful(state, outcome):
        return PaymentState.SUCCEEDED if isinstance(outcome, Succeeded) else after(state, outcome)

    def record_in(unit, payment, outcome, now):
        if payment.state is PaymentState.SUCCEEDED and isinstance(outcome, Succeeded):
            return payments._bought(unit, payment, now)
        return recorded(unit, payment, outcome, now)

    recorded = payments.record_in
    monkeypatch.setattr(payments, "after", forgetful)
    monkeypatch.setattr(payments, "record_in", record_in)


def gives_up_what_is_unknown(monkeypatch):
    """Take a lost answer for a decline."""
    recorded = payments.record

    def record(office, org_id, payment_id, outcome, now):
        lost = type(outcome).__name__ == "Unknown"
        return recorded(office, org_id, payment_id, Declined("lost") if lost else outcome, now)

    monkeypatch.setattr(payments, "record", record)


def asks_with_a_new_key_each_time(monkeypatch):
    """Ask afresh with another key."""
    moved = payments._movement

    def movement(unit, payment, now):
        fresh = f"{payment.idempotency_key}/{payment.asks}"
        return moved(unit, msgspec.structs.replace(payment, idempotency_key=fresh), now)

    monkeypatch.setattr(payments, "_movement", movement)


def forgets_the_caps(monkeypatch):
    """Count nothing that was bought before."""
    monkeypatch.setattr(recharging, "_bought", lambda *_: recharging.Bought())


def never_suspends(monkeypatch):
    """Go on for ever after declines."""
    monkeypatch.setattr(recharging, "after_decline", lambda _declines, now, final: now)


def leaves_a_dispute_alone(monkeypatch):
    """Take in that a bank took money back, and do nothing."""
    monkeypatch.setattr(payments, "_dispute", lambda _unit, payment, _news, _now: payment)


def keeps_the_credit_of_a_refund(monkeypatch):
    """Pay back and leave the credit where it is."""
    monkeypatch.setattr(payments, "_take", lambda *_: None)


def tells_success_twice(monkeypatch):
    """Write each notice of a success under two names."""
    tell = crediting.tell_once

    def twice(unit, kind, crossing, now, **facts):
        tell(unit, kind, crossing, now, **facts)
        tell(unit, kind, f"{crossing}/again", now, **facts)

    monkeypatch.setattr(payments, "tell_once", twice)


def believes_every_decline_it_is_told(monkeypatch):
    """Close a payment by a message alone."""

    def take_news(office, provider, news, now):
        outcome = getattr(news, "outcome", None)
        if isinstance(outcome, Declined):
            return payments.record(office, news.org_id, news.payment_id, outcome, now)
        return taken(office, provider, news, now)

    taken = payments.take_news
    monkeypatch.setattr(payments, "take_news", take_news)


def asks_however_late_it_is(monkeypatch):
    """Ask also when the process stood still for days, and take silence for no."""
    monkeypatch.setattr(paying, "HELD_WHILE_ASKED", paying.HELD_WHILE_ASKED * 10**6)


def stops_asking(monkeypatch):
    """Ask once about a payment that the provider works on."""
    told = payments._told

    def once(payment, outcome, now):
        found = told(payment, outcome, now)
        return msgspec.structs.replace(found, next_at=None) if isinstance(outcome, Processing) else found

    monkeypatch.setattr(payments, "_told", once)


@pytest.mark.slow
@pytest.mark.parametrize(
    "mistake",
    [
        credits_again_by_the_next_news,
        gives_up_what_is_unknown,
        asks_with_a_new_key_each_time,
        forgets_the_caps,
        never_suspends,
        leaves_a_dispute_alone,
        keeps_the_credit_of_a_refund,
        tells_success_twice,
        believes_every_decline_it_is_told,
        asks_however_late_it_is,
        stops_asking,
    ],
)
def test_a_mistake_in_the_money_path_is_found(monkeypatch, mistake):
    mistake(monkeypatch)

    assert wrong(range(150)), f"nobody noticed: {mistake.__doc__}"
