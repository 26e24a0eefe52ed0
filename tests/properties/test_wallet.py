"""The wallet's invariants, under whatever is done to it."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gettone.domain.lots import Lot, burn_order
from gettone.domain.wallet import LotHolds, Wallet

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
amounts = st.integers(0, 50)


class WalletMachine(RuleBasedStateMachine):
    """Credit comes, is held, spent, released and expires, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = BEGIN
        self.wallet = Wallet("O", "USD")
        self.holds: dict[int, LotHolds] = {}
        self.bought = self.spent = self.lost = self.calls = 0

    @rule(amount=st.integers(1, 100), days=st.integers(1, 30))
    def buy(self, amount, days):
        lot = Lot(f"L{self.bought:09d}", self.now, self.now + timedelta(days=days), amount, amount)
        self.bought += amount
        self.wallet.add(lot)
        self.spent += sum(burn.micros for burn in self.wallet.cover_overrun(self.now))

    @rule(days=st.integers(1, 10))
    def wait(self, days):
        self.now += timedelta(days=days)

    @rule(amount=amounts)
    def begin_call(self, amount):
        target = min(amount, max(0, self.wallet.available_micros(self.now)))
        free_before = [lot.free_micros(self.now) for lot in self.wallet.lots]
        holds = self.wallet.adjust_hold({}, target, self.now)
        assert sum(holds.values()) == target
        taken = [before - lot.free_micros(self.now) for before, lot in zip(free_before, self.wallet.lots, strict=True)]
        touched = [index for index, amount in enumerate(taken) if amount]
        assert all(taken[index] == free_before[index] for index in range(touched[-1] if touched else 0))
        self.calls += 1
        self.holds[self.calls] = holds

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount=amounts)
    def change_hold(self, data, amount):
        call = data.draw(st.sampled_from(sorted(self.holds)))
        held = sum(self.holds[call].values())
        target = min(amount, held + max(0, self.wallet.available_micros(self.now)))
        self.holds[call] = self.wallet.adjust_hold(self.holds[call], target, self.now)
        assert sum(self.holds[call].values()) == target
        self.spent += sum(burn.micros for burn in self.wallet.cover_overrun(self.now))

    @precondition(lambda self: self.holds)
    @rule(data=st.data(), amount=st.integers(0, 120))
    def end_call(self, data, amount):
        call = data.draw(st.sampled_from(sorted(self.holds)))
        burns, overrun = self.wallet.settle(self.holds.pop(call), amount, self.now)
        assert sum(burn.micros for burn in burns) + overrun == amount
        covered = self.wallet.cover_overrun(self.now)
        self.spent += sum(burn.micros for burn in [*burns, *covered])

    @rule()
    def expire(self):
        self.lost += sum(burn.micros for burn in self.wallet.expire(self.now))

    @invariant()
    def every_lot_keeps_its_bounds(self):
        for lot in self.wallet.lots:
            assert 0 <= lot.held_micros <= lot.remaining_micros <= lot.amount_micros

    @invariant()
    def lots_hold_what_calls_hold(self):
        for lot in self.wallet.lots:
            assert lot.held_micros == sum(holds.get(lot.lot_id, 0) for holds in self.holds.values())

    @invariant()
    def nothing_appears_or_vanishes(self):
        assert self.bought == self.spent + self.lost + self.wallet.posted_micros

    @invariant()
    def something_is_owed_only_while_nothing_is_free(self):
        if self.wallet.overrun_micros:
            assert not any(lot.free_micros(self.now) for lot in self.wallet.lots)

    @invariant()
    def lots_stand_in_burn_order(self):
        assert self.wallet.lots == burn_order(self.wallet.lots)


TestWallet = WalletMachine.TestCase
TestWallet.settings = settings(max_examples=40, stateful_step_count=40)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=8), st.randoms(use_true_random=False))
def test_burn_order_does_not_depend_on_the_order_of_reading(dates, random):
    lots = [
        Lot(f"L{index}", BEGIN + timedelta(days=bought), BEGIN + timedelta(days=9 + expires), 5, 5)
        for index, (bought, expires) in enumerate(dates)
    ]
    shuffled = random.sample(lots, len(lots))

    assert burn_order(shuffled) == burn_order(lots)
