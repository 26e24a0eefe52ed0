"""When the auto-recharge is due, how much it buys, and how long it waits after a decline."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.recharge import DECLINES_MAX, Bought, Paused, Rule, after_decline, due, to_buy

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MILLION = 1_000_000


def rule(**caps) -> Rule:
    return Rule(trigger_micros=400 * MILLION, amount_micros=500 * MILLION, **caps)


@pytest.mark.parametrize(("available", "is_due"), [(399_999_999, True), (400 * MILLION, False), (-1, True)])
def test_it_is_due_below_the_trigger_and_not_at_it(available, is_due):
    assert due(available, 400 * MILLION) is is_due


@pytest.mark.parametrize(
    ("available", "buys"),
    [
        (399_990_000, 500),
        (0, 500),
        # -100 + 500 = 400 is at the trigger, which is enough.
        (-100 * MILLION, 500),
        # -100.000001 + 500 is not.
        (-100 * MILLION - 1, 1000),
        # -700 + 2 × 500 = 300, + 3 × 500 = 800.
        (-700 * MILLION, 1500),
        (-10_000 * MILLION, 10_500),
        (1000 * MILLION, 500),
    ],
)
def test_it_buys_the_smallest_multiple_that_reaches_the_trigger(available, buys):
    assert to_buy(rule(), available, Bought()) == buys * MILLION


@pytest.mark.parametrize(
    ("caps", "bought", "result"),
    [
        ({"day_count": 2}, Bought(day_count=1), 1500 * MILLION),
        ({"day_count": 2}, Bought(day_count=2), Paused.DAY_CAP),
        ({"month_count": 5}, Bought(month_count=5), Paused.MONTH_CAP),
        # 1,200 leaves room for two of the three that are wanted.
        ({"day_micros": 1200 * MILLION}, Bought(), 1000 * MILLION),
        ({"day_micros": 1200 * MILLION}, Bought(day_micros=500 * MILLION), 500 * MILLION),
        ({"day_micros": 1200 * MILLION}, Bought(day_micros=1000 * MILLION), Paused.DAY_CAP),
        ({"month_micros": 499 * MILLION}, Bought(), Paused.MONTH_CAP),
        ({"day_micros": 1500 * MILLION, "month_micros": 600 * MILLION}, Bought(), 500 * MILLION),
        # Where both are reached, the day is told: it ends first.
        ({"day_count": 1, "month_count": 1}, Bought(day_count=1, month_count=1), Paused.DAY_CAP),
    ],
)
def test_caps_bound_what_it_buys(caps, bought, result):
    assert to_buy(rule(**caps), -700 * MILLION, bought) == result


@given(
    st.integers(-(10**12), 10**12),
    st.integers(1, 10**9),
    st.integers(1, 10**9),
    st.one_of(st.none(), st.integers(1, 10**10)),
    st.integers(0, 10**10),
)
def test_what_it_buys_is_whole_amounts_within_the_cap_and_no_more_than_it_takes(available, trigger, amount, cap, had):
    found = to_buy(
        Rule(trigger_micros=trigger, amount_micros=amount, month_micros=cap), available, Bought(month_micros=had)
    )

    if found is Paused.MONTH_CAP:
        assert had + amount > cap
        return
    assert found >= amount
    assert found % amount == 0
    assert cap is None or had + found <= cap
    assert found == amount or available + found - amount < trigger
    # Less than it takes only where the cap leaves no room for one amount more.
    assert available + found >= trigger or (cap is not None and had + found + amount > cap)


@pytest.mark.parametrize(("declines", "hours"), [(1, 1), (2, 2)])
def test_it_waits_longer_after_each_decline(declines, hours):
    assert after_decline(declines, NOW, final=False) == NOW + timedelta(hours=hours)


@pytest.mark.parametrize(("declines", "final"), [(DECLINES_MAX, False), (DECLINES_MAX + 1, False), (1, True)])
def test_three_declines_or_a_final_one_wait_for_somebody(declines, final):
    assert after_decline(declines, NOW, final=final) is None


@pytest.mark.parametrize(("trigger", "amount"), [(0, 1), (1, 0), (-1, 1)])
def test_a_rule_that_buys_nothing_is_a_mistake_of_ours(trigger, amount):
    with pytest.raises(AssertionError):
        Rule(trigger_micros=trigger, amount_micros=amount)
