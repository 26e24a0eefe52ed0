"""What a payment becomes by what its provider says, and when it is asked about again."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.payments import (
    ACTION_WITHIN,
    REPEAT_WITHIN,
    ActionRequired,
    Declined,
    PaymentState,
    Processing,
    Succeeded,
    Unknown,
    after,
    ask_again_at,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
REQUESTED, PENDING, ACTION, UNKNOWN, SUCCEEDED, DECLINED, DISPUTED = (
    PaymentState(name)
    for name in ("requested", "pending", "action_required", "unknown", "succeeded", "declined", "disputed")
)
OUTCOMES = (Succeeded("r"), Processing("r"), ActionRequired("r", "link"), Declined("code"), Unknown("lost"))

# From state (row) by outcome (column, in the order of OUTCOMES).
TABLE = {
    REQUESTED: (SUCCEEDED, PENDING, ACTION, DECLINED, UNKNOWN),
    PENDING: (SUCCEEDED, PENDING, ACTION, DECLINED, UNKNOWN),
    UNKNOWN: (SUCCEEDED, PENDING, ACTION, DECLINED, UNKNOWN),
    ACTION: (SUCCEEDED, PENDING, ACTION, DECLINED, ACTION),
    DECLINED: (SUCCEEDED, DECLINED, DECLINED, DECLINED, DECLINED),
    SUCCEEDED: (SUCCEEDED,) * 5,
    DISPUTED: (DISPUTED,) * 5,
}


@pytest.mark.parametrize(
    ("state", "outcome", "becomes"),
    [
        pytest.param(state, outcome, becomes, id=f"{state.value} {type(outcome).__name__}")
        for state, row in TABLE.items()
        for outcome, becomes in zip(OUTCOMES, row, strict=True)
    ],
)
def test_a_payment_becomes_what_its_provider_says_unless_that_is_no_news(state, outcome, becomes):
    assert after(state, outcome) is becomes


def test_every_state_has_its_row():
    assert set(TABLE) == set(PaymentState)
    assert {state for state in PaymentState if state.open} == {REQUESTED, PENDING, ACTION, UNKNOWN}


@given(st.lists(st.sampled_from(OUTCOMES)), st.randoms(use_true_random=False))
def test_a_payment_of_which_success_was_ever_told_has_succeeded_in_whatever_order_news_came(told, random):
    told = [*told, Succeeded("r")]
    random.shuffle(told)
    state = REQUESTED
    for outcome in told:
        state = after(state, outcome)

    assert state is SUCCEEDED


@given(st.lists(st.sampled_from(OUTCOMES)))
def test_a_payment_succeeds_only_when_somebody_said_so(told):
    state = REQUESTED
    for outcome in told:
        state = after(state, outcome)

    assert (state is SUCCEEDED) == any(isinstance(outcome, Succeeded) for outcome in told)


@pytest.mark.parametrize(
    ("asks", "seconds"), [(0, 30), (1, 30), (2, 300), (3, 3600), (4, 86_400), (5, 86_400), (99, 86_400)]
)
def test_it_is_asked_about_less_and_less_often(asks, seconds):
    assert ask_again_at(asks, NOW) == NOW + timedelta(seconds=seconds)


def test_the_same_key_is_sent_again_only_while_providers_keep_it():
    assert timedelta(hours=24) > REPEAT_WITHIN
    assert timedelta(hours=24) > ACTION_WITHIN
