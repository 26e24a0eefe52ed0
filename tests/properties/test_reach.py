"""What is granted is paid for, and is as long as what is there allows: pools and credit of any size, any rate."""

from datetime import UTC, datetime, timedelta

from hypothesis import assume, given
from hypothesis import strategies as st

from gettone.domain.entitlement import CREDITS, Payer, PayerKind
from gettone.domain.ledger import Account
from gettone.domain.lots import Lot
from gettone.domain.pools import Pool
from gettone.domain.rating import Rate
from gettone.domain.session import Call, EndedBy, Funds, hold, reach, settle
from gettone.domain.wallet import Wallet

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
PERIOD = 202611

rates = st.builds(
    lambda cents, first, step, connection: Rate.flat(
        f"0.{cents:04d}", f"{first}/{step}", connection=f"0.{connection:02d}"
    ),
    st.integers(0, 999),
    st.sampled_from([1, 6, 30, 60]),
    st.sampled_from([1, 6, 10, 60]),
    st.integers(0, 20),
)
seconds = st.integers(1, 4000)
usage = st.integers(0, 5000)


def a_call(pool_seconds: list[int], money: int, rate: Rate) -> tuple[Call, Funds]:
    pools = [Pool(f"P{index}", PERIOD, size) for index, size in enumerate(pool_seconds)]
    payers = (*(Payer(PayerKind.POOL, pool.pool_key) for pool in pools), CREDITS)
    call = Call("O", "S", "user_out", "", "", AT, PERIOD, payers=payers)
    lots = [Lot("L", AT, AT + timedelta(days=1), money, money)] if money else []
    return call, Funds(Wallet("O", "USD", lots), {(pool.pool_key, PERIOD): pool for pool in pools}, rate, AT)


calls = st.builds(
    a_call, st.lists(st.integers(0, 10).map(lambda minutes: minutes * 60), max_size=2), st.integers(0, 500_000), rates
)


def in_order(call: Call) -> bool:
    """Whether the phases follow each other from second 0 and their payers never go backwards."""
    ends = [0, *(phase.to_second for phase in call.phases)]
    payers = [phase.payer for phase in call.phases]
    return ends[:-1] == [phase.from_second for phase in call.phases] and payers == sorted(set(payers))


@given(calls, st.lists(seconds, min_size=1, max_size=6))
def test_a_grant_is_paid_for_and_its_end_is_the_truth(made, wants):
    call, funds = made
    to_second = 0
    for more in wants:
        want_to = to_second + more
        reached = reach(call, want_to, funds)
        longer = reach(call, want_to + 1, funds)
        hold(call, reached, funds)

        assert funds.wallet.held_micros == call.held_micros == reached.hold_micros
        assert funds.wallet.available_micros(AT) >= 0
        assert all(pool.held_seconds <= pool.size_seconds for pool in funds.pools.values())
        assert in_order(call)
        assert to_second <= reached.to_second <= want_to
        assert reached.final == (longer.to_second <= reached.to_second)
        to_second = reached.to_second


@given(calls, seconds, seconds)
def test_a_call_reaches_as_far_in_one_grant_as_in_two(made, first, second):
    call, funds = made
    whole = reach(call, first + second, funds).to_second

    hold(call, reach(call, first, funds), funds)

    assert reach(call, first + second, funds).to_second == whole


@given(calls, seconds, usage)
def test_settling_charges_what_was_used_and_releases_the_rest(made, wants, used):
    call, funds = made
    before = funds.wallet.posted_micros
    hold(call, reach(call, wants, funds), funds)
    granted_to, held = call.granted_to, call.held_micros

    settled = settle(call, used, AT, EndedBy.STOP, funds)

    wallet = funds.wallet
    assert wallet.held_micros == call.held_micros == 0
    assert not any(pool.held_seconds for pool in funds.pools.values())
    assert before - wallet.posted_micros + wallet.overrun_micros == settled.charged_micros
    assert sum(part.seconds for part in settled.usage) == used
    assert in_order(call)
    if used <= granted_to:
        assert settled.overrun_micros == 0
        assert settled.charged_micros <= held
    if settled.entry:
        assert sum(posting.micros for posting in settled.entry.postings) == 0
        earned = {posting.account: posting.micros for posting in settled.entry.postings}
        assert earned.get(Account.USAGE, 0) == settled.charged_micros


@given(calls, seconds, usage)
def test_a_longer_call_never_costs_less(made, wants, used):
    call, funds = made
    other, other_funds = a_call(
        [pool.size_seconds for pool in funds.pools.values()], funds.wallet.posted_micros, funds.rate
    )
    hold(call, reach(call, wants, funds), funds)
    hold(other, reach(other, wants, other_funds), other_funds)

    shorter = settle(call, used, AT, EndedBy.STOP, funds)
    longer = settle(other, used + 1, AT, EndedBy.STOP, other_funds)

    assert shorter.charged_micros <= longer.charged_micros


@given(calls, seconds)
def test_two_calls_never_hold_more_than_there_is(made, wants):
    call, funds = made
    assume(funds.wallet.lots)
    other = Call("O", "T", "user_out", "", "", AT, PERIOD, payers=call.payers)

    hold(call, reach(call, wants, funds), funds)
    hold(other, reach(other, wants, funds), funds)

    [lot] = funds.wallet.lots
    assert lot.held_micros == call.held_micros + other.held_micros <= lot.remaining_micros
    for (key, _), pool in funds.pools.items():
        taken = sum(
            phase.to_second - phase.from_second
            for one in (call, other)
            for phase in one.phases
            if one.payers[phase.payer].pool_key == key
        )
        assert pool.held_seconds == taken <= pool.size_seconds
