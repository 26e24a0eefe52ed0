"""Rating: charges against a naive increment-by-increment reference, and the inverse against the charge."""

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.rating import (
    NO_CHARGE,
    Band,
    Charge,
    MaximumAction,
    Rate,
    RateError,
    Rounding,
    Step,
    exact_micros,
    steps_of,
)

ROME = ZoneInfo("Europe/Rome")
MONDAY = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR = 3600


def euros(charge: Charge) -> Fraction:
    return Fraction(charge.micros, 1_000_000)


def per_second(price: str, increment: int = 1) -> tuple[Step, ...]:
    return (Step(0, increment, exact_micros(price)),)


# --- The naive reference: one increment after the other, everything a fraction. ---


def band_at(rate: Rate, instant: datetime) -> Band:
    local = instant.astimezone(UTC).astimezone(rate.zone)
    second = local.hour * HOUR + local.minute * 60 + local.second
    holding = [
        band
        for band in rate.bands
        if local.isoweekday() in band.weekdays
        and band.starts <= second < band.ends
        and band.month_day in (None, (local.month, local.day))
    ]
    return max(holding, key=lambda band: (band.priority, band.month_day is not None))


def naive_increments(rate: Rate, at: datetime, position: int, to_second: int):
    while position < to_second:
        band = band_at(rate, at.astimezone(UTC) + timedelta(seconds=position))
        step = [step for step in band.steps if step.from_second <= position][-1]
        yield position, step
        position += step.increment_seconds


def naive_rounded(rate: Rate, micros: Fraction) -> int:
    unit = 10 ** (6 - min(rate.decimals, 6))
    whole, rest = divmod(micros, unit)
    up = {Rounding.UP: rest > 0, Rounding.HALF_UP: rest * 2 >= unit, Rounding.DOWN: False}[rate.rounding]
    return (whole + up) * unit


def naive_charge(rate: Rate, to_second: int, at: datetime, from_second: int = 0) -> tuple[int, int]:
    if to_second <= from_second:
        return 0, 0
    first = band_at(rate, at)
    total, billed = (Fraction(0) if from_second else first.connection), 0
    for _, step in naive_increments(rate, at, from_second, to_second):
        total += step.micros_per_second * step.increment_seconds
        billed += step.increment_seconds
    if not from_second:
        total = max(total, first.minimum)
    if first.maximum is not None and first.maximum_action is MaximumAction.FREE:
        total = min(total, first.maximum)
    return naive_rounded(rate, total), billed


# --- Random rates ---

prices = st.builds(Fraction, st.integers(0, 3000), st.sampled_from([1, 3, 7, 60, 100_000]))
steps = st.lists(
    st.tuples(st.integers(1, 300), st.integers(1, 90), prices), max_size=3, unique_by=lambda step: step[0]
).flatmap(
    lambda later: st.builds(
        lambda increment, price: (
            Step(0, increment, price),
            *(Step(*step) for step in sorted(later)),
        ),
        st.integers(1, 90),
        prices,
    )
)


@st.composite
def bands(draw: st.DrawFn) -> tuple[Band, ...]:
    def band(**when: object) -> Band:
        minimum = draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(200_001, 2)]))
        maximum = draw(st.none() | st.builds(Fraction, st.integers(400_000, 3_000_000), st.sampled_from([1, 3])))
        return Band(
            steps=draw(steps),
            connection=draw(prices) * 10,
            minimum=minimum,
            maximum=maximum,
            maximum_action=draw(st.sampled_from(MaximumAction)),
            **when,
        )

    made = [band(priority=-1)] if draw(st.booleans()) else [band(starts=0, ends=43_205), band(starts=43_205)]
    for priority in range(draw(st.integers(0, 3))):
        start = draw(st.integers(0, 86_000))
        made.append(
            band(
                weekdays=frozenset(draw(st.sets(st.integers(1, 7), min_size=1))),
                starts=start,
                ends=draw(st.integers(start + 1, 86_400)),
                priority=priority + 1,
                month_day=draw(st.sampled_from([None, None, (3, 29), (10, 25), (1, 1)])),
            )
        )
    return tuple(made)


rates = st.builds(
    Rate,
    bands(),
    st.sampled_from(Rounding),
    st.sampled_from([0, 1, 2, 4, 6, 20]),
    st.sampled_from([UTC, ROME, ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Sao_Paulo")]),
)
flat_rates = st.builds(
    lambda price, first, following, rounding, decimals, connection, minimum, maximum: Rate.flat(
        price,
        f"{first}/{following}",
        connection=connection,
        minimum=minimum,
        maximum=maximum,
        rounding=rounding,
        decimals=decimals,
    ),
    st.decimals(0, 5, places=8),
    st.integers(1, 120),
    st.integers(1, 120),
    st.sampled_from(Rounding),
    st.integers(0, 8),
    st.decimals(0, 1, places=3),
    st.decimals(0, 1, places=3),
    st.none() | st.decimals(1, 3, places=2),
)
any_rates = rates | flat_rates
starts = st.one_of(
    st.datetimes(datetime(2026, 3, 28), datetime(2026, 3, 30)),
    st.datetimes(datetime(2026, 10, 24, 12), datetime(2026, 10, 26)),
    st.datetimes(datetime(2025, 12, 30), datetime(2026, 1, 3)),
).map(lambda naive: naive.replace(tzinfo=UTC))
durations = st.integers(0, 400) | st.integers(0, 20_000)


@given(any_rates, starts, durations, st.integers(0, 200))
def test_the_charge_equals_that_of_increments_counted_one_by_one(rate, at, seconds, from_second):
    charge = rate.charge(seconds, at=at, from_second=from_second)

    assert naive_charge(rate, seconds, at, from_second) == (charge.micros, charge.billed_seconds)
    assert 0 <= charge.connection_micros <= charge.micros


@given(any_rates, starts, durations, st.integers(1, 600), st.integers(0, 100))
def test_a_longer_call_never_costs_less(rate, at, seconds, more, from_second):
    shorter = rate.charge(seconds, at=at, from_second=from_second)
    longer = rate.charge(seconds + more, at=at, from_second=from_second)

    assert shorter.micros <= longer.micros
    assert shorter.billed_seconds <= longer.billed_seconds


@given(any_rates, starts, durations, st.integers(0, 3_000_000), st.integers(0, 200), st.none() | st.integers(0, 500))
def test_the_affordable_position_is_the_last_one_the_budget_pays_for(rate, at, asked, budget, from_second, ceiling):
    position = rate.affordable(budget, asked, at=at, from_second=from_second, ceiling=ceiling)

    if asked <= from_second:
        assert position == from_second
        return
    assert from_second <= position <= asked
    assert rate.charge(position, at=at, from_second=from_second).micros <= budget
    if position == asked:
        return
    stops = rate.charge(position + 1, at=at, from_second=from_second).micros > budget
    first, (_, following) = band_at(rate, at), next(naive_increments(rate, at, position, asked))
    if first.maximum is not None and first.maximum_action is MaximumAction.DISCONNECT:
        used = sum(
            s.micros_per_second * s.increment_seconds for _, s in naive_increments(rate, at, from_second, position)
        )
        opening = Fraction(0) if from_second else first.connection
        stops |= opening + used + following.micros_per_second * following.increment_seconds > first.maximum
    stops |= ceiling is not None and following.micros_per_second > ceiling
    assert stops


@given(any_rates, starts, durations, st.integers(0, 500))
def test_no_second_dearer_than_the_ceiling_is_granted(rate, at, asked, ceiling):
    position = rate.affordable(10**15, asked, at=at, ceiling=ceiling)

    assert all(step.micros_per_second <= ceiling for _, step in naive_increments(rate, at, 0, position))


@given(any_rates, starts, durations)
def test_the_price_of_a_call_pays_for_that_call(rate, at, asked):
    price = rate.charge(asked, at=at).micros
    limited = any(band.maximum_action is MaximumAction.DISCONNECT and band.maximum is not None for band in rate.bands)

    assert limited or rate.affordable(price, asked, at=at) == asked


@pytest.mark.parametrize(
    ("increments", "seconds", "billed", "micros"),
    [
        ("60/60", 1, 60, 60_000),
        ("60/60", 61, 120, 120_000),
        ("60/1", 61, 61, 61_000),
        ("30/6", 31, 36, 36_000),
        ("1/1", 59, 59, 59_000),
    ],
)
def test_increments_are_billed_whole_and_priced_pro_rata(increments, seconds, billed, micros):
    charge = Rate.flat("0.06", increments).charge(seconds, at=MONDAY)

    assert charge == Charge(micros, 0, billed)


def test_a_call_of_no_seconds_is_free_even_with_a_connection_charge_and_a_minimum():
    rate = Rate.flat("1", connection="5", minimum="9")

    assert rate.charge(0, at=MONDAY) == NO_CHARGE
    assert rate.charge(-3, at=MONDAY) == NO_CHARGE


def test_whoever_joins_a_running_call_pays_no_connection_charge_and_no_minimum():
    rate = Rate.flat("0.60", "1/1", connection="5", minimum="9")

    assert rate.charge(60, at=MONDAY, from_second=1) == Charge(590_000, 0, 59)
    assert rate.affordable(100_000, 60, at=MONDAY, from_second=30) == 40


def test_the_connection_charge_is_named_within_the_whole():
    charge = Rate.flat("0.05", "1/1", connection="0.15", rounding=Rounding.UP, decimals=2).charge(24, at=MONDAY)

    assert charge == Charge(170_000, 150_000, 24)  # 0.15 + 24 x 0.05 / 60 = 0.17


@pytest.mark.parametrize(
    ("rounding", "micros"), [(Rounding.UP, 400_000), (Rounding.HALF_UP, 300_000), (Rounding.DOWN, 300_000)]
)
def test_the_exact_sum_is_rounded_once_by_the_rule_of_the_rate(rounding, micros):
    rate = Rate((Band(per_second("0.033")),), rounding, 1)

    assert rate.charge(10, at=MONDAY).micros == micros  # 0.33


def test_prices_of_many_decimals_are_exact_over_a_long_call():
    rate = Rate.flat("0.31135104", "1/1", rounding=Rounding.HALF_UP, decimals=6)

    assert rate.charge(86_400, at=MONDAY).micros == 448_345_498  # 1440 x 0.31135104 = 448.3454976


def test_a_third_of_a_unit_a_second_adds_up_to_whole_units():
    rate = Rate((Band((Step(0, 1, Fraction(1_000_000, 3)),)),), Rounding.UP, 6)

    assert [rate.charge(seconds, at=MONDAY).micros for seconds in (1, 2, 3)] == [333_334, 666_667, 1_000_000]


def test_steps_are_chosen_by_the_seconds_since_the_call_started_whoever_pays():
    rate = Rate((Band((Step(0, 60, exact_micros("0.01")), Step(60, 1, exact_micros("0.002")))),))

    assert rate.charge(90, at=MONDAY).micros == 660_000
    assert rate.charge(90, at=MONDAY, from_second=60).micros == 60_000
    assert rate.charge(90, at=MONDAY, from_second=50) == Charge(600_000, 0, 60)  # One increment, to 110 s.


def test_a_free_maximum_caps_the_price_and_lets_the_call_go_on():
    rate = Rate.flat("0.60", "1/1", maximum="0.62")

    assert rate.charge(3600, at=MONDAY).micros == 620_000
    assert rate.affordable(620_000, 3600, at=MONDAY) == 3600
    assert rate.affordable(619_999, 3600, at=MONDAY) == 61


def test_a_maximum_that_disconnects_limits_the_grant_and_not_the_price():
    rate = Rate.flat("0.60", "1/1", maximum="0.62", maximum_action=MaximumAction.DISCONNECT)

    assert rate.charge(3600, at=MONDAY).micros == 36_000_000
    assert rate.affordable(10**9, 3600, at=MONDAY) == 62


def test_an_empty_or_negative_budget_still_pays_for_what_is_free():
    assert Rate.flat("0").affordable(0, 60, at=MONDAY) == 60
    assert Rate.flat("0").affordable(-5, 60, at=MONDAY) == 60
    assert Rate.flat("0.01").affordable(0, 60, at=MONDAY) == 0


def test_a_budget_below_the_connection_charge_or_the_minimum_buys_nothing():
    assert Rate.flat("0", connection="1.12").affordable(1_119_999, 60, at=MONDAY) == 0
    assert Rate.flat("0.01", minimum="0.50").affordable(499_999, 60, at=MONDAY) == 0
    assert Rate.flat("0.01", minimum="0.50").affordable(500_000, 6000, at=MONDAY) == 3000


def test_a_rate_per_message_counts_messages():
    assert Rate.per_message("0.075").charge(3, at=MONDAY).micros == 225_000


# --- Bands and clocks ---

DAY_AND_NIGHT = (
    Band(per_second("0.01"), weekdays=frozenset(range(1, 6)), starts=8 * HOUR, ends=19 * HOUR, priority=10),
    Band(per_second("0.001"), connection=exact_micros("0.10")),
    Band(per_second("0.0005"), month_day=(12, 25), priority=20),
)


def test_a_call_across_a_band_edge_pays_each_second_its_price_and_one_connection_charge():
    rate = Rate(DAY_AND_NIGHT, zone=ROME)
    at = datetime(2026, 6, 1, 18, 59, 30, tzinfo=ROME)  # Monday

    assert euros(rate.charge(60, at=at)) == Fraction("0.33")  # 30 x 0.01 + 30 x 0.001, no connection charge by day
    assert euros(rate.charge(60, at=at + timedelta(hours=2))) == Fraction("0.16")


def test_a_call_started_between_two_seconds_changes_band_with_the_first_second_begun_after_the_edge():
    rate = Rate(DAY_AND_NIGHT, zone=ROME)
    at = datetime(2026, 6, 1, 18, 59, 30, 250_000, tzinfo=ROME)

    assert euros(rate.charge(60, at=at)) == Fraction("0.33")


def test_an_increment_belongs_to_the_band_in_which_it_begins():
    rate = Rate((Band(per_second("0.01", 60), ends=12 * HOUR), Band(per_second("0.02", 60), starts=12 * HOUR)))
    at = datetime(2026, 6, 1, 11, 59, 30, tzinfo=UTC)

    assert euros(rate.charge(61, at=at)) == Fraction("1.80")


def test_a_holiday_has_its_own_price_in_local_time():
    rate = Rate(DAY_AND_NIGHT, zone=ROME)

    assert euros(rate.charge(10, at=datetime(2025, 12, 24, 23, 0, tzinfo=UTC))) == Fraction("0.005")
    assert euros(rate.charge(10, at=datetime(2025, 12, 25, 23, 0, tzinfo=UTC))) == Fraction("0.11")


NIGHT_PRICE = (
    Band(per_second("0.001"), ends=2 * HOUR + 1800),
    Band(per_second("0.01"), starts=2 * HOUR + 1800, ends=4 * HOUR),
    Band(per_second("0.1"), starts=4 * HOUR),
)


def test_the_night_the_clock_goes_forward_skips_the_hour_that_does_not_exist():
    rate = Rate(NIGHT_PRICE, zone=ROME)
    at = datetime(2026, 3, 29, 0, 30, tzinfo=UTC)  # 01:30 in Rome; at 01:00 UTC the clock shows 03:00

    # Half an hour to 02:00 that is 03:00, one hour to 04:00, then day.
    assert euros(rate.charge(3 * HOUR, at=at)) == Fraction("1.8") + 36 + 540


def test_the_night_the_clock_goes_back_has_the_hour_twice():
    rate = Rate(NIGHT_PRICE, zone=ROME)
    at = datetime(2026, 10, 25, 0, 0, tzinfo=UTC)  # 02:00 summer time; 02:00 again at 01:00 UTC

    # 02:00-02:30, 02:30-03:00, again 02:00-02:30, 02:30-04:00, and half an hour of day.
    assert euros(rate.charge(3 * HOUR + 1800, at=at)) == Fraction("1.8") + 18 + Fraction("1.8") + 54 + 180
    assert rate.affordable(20_000_000, 4 * HOUR, at=at) == 3800  # 19.8 for the first hour, 200 s of the second


def test_a_call_of_many_days_is_priced_by_days_and_not_by_seconds():
    rate = Rate(DAY_AND_NIGHT, zone=ROME)
    week = 7 * 86_400
    day_seconds = 5 * 11 * HOUR

    charge = rate.charge(week, at=datetime(2026, 6, 1, 0, 0, tzinfo=ROME))

    assert euros(charge) == Fraction("0.1") + day_seconds * Fraction("0.01") + (week - day_seconds) * Fraction("0.001")


def test_among_bands_of_one_priority_the_day_of_the_year_wins():
    rate = Rate((Band(per_second("1")), Band(per_second("2"), month_day=(1, 1))))

    assert rate.charge(1, at=datetime(2026, 1, 1, tzinfo=UTC)).micros == 2_000_000


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rate(()), "no band on Monday from 00:00 to 24:00"),
        (lambda: Rate(DAY_AND_NIGHT[:1]), "no band on Monday from 00:00 to 08:00"),
        (lambda: Rate((Band(per_second("1"), weekdays=frozenset(range(1, 7))),)), "no band on Sunday"),
        (lambda: Rate((Band(per_second("1"), ends=45_001),)), "from 12:30:01 to 24:00"),
        (lambda: Rate((Band(per_second("1"), month_day=(1, 1)),)), "no band on Monday"),
        (lambda: Rate(DAY_AND_NIGHT, decimals=-1), "rounding to -1 decimals"),
        (lambda: Band(()), r"steps begin at \[\]"),
        (lambda: Band((Step(1, 1, Fraction(1)),)), "the first begins at 0"),
        (lambda: Band(per_second("1"), starts=5, ends=5), "must start before it ends"),
        (lambda: Band(per_second("1"), weekdays=frozenset({8})), "ISO weekdays"),
        (lambda: Band(per_second("1"), connection=Fraction(-1)), "negative"),
        (lambda: Band(per_second("1"), minimum=Fraction(2), maximum=Fraction(1)), "below the minimum"),
        (lambda: Step(-1, 1, Fraction(1)), "starts at 0 or later"),
        (lambda: Step(0, 0, Fraction(1)), "at least 1 s"),
        (lambda: Step(0, 1, Fraction(-1)), "price is negative"),
        (lambda: Rate.flat("1", "60"), "'60': write first/next"),
        (lambda: Rate.flat("1", "0/60"), "'0/60': write first/next"),
    ],
)
def test_a_rate_that_cannot_price_every_call_is_refused_with_the_reason(make, message):
    with pytest.raises(RateError, match=message):
        make()


def test_a_call_start_without_a_time_zone_is_refused():
    with pytest.raises(ValueError, match="give an aware datetime"):
        Rate(DAY_AND_NIGHT).charge(5, at=datetime(2026, 1, 1))


def test_equal_bands_need_no_clock():
    halves = Rate((Band(steps_of(Fraction(5), 60, 1), ends=HOUR), Band(steps_of(Fraction(5), 60, 1), starts=HOUR)))

    assert halves.flat_price == Rate((Band(steps_of(Fraction(5), 60, 1)),)).flat_price is not None
