"""The auto-recharge over long times: whatever is spent and declined, in the rules' own arithmetic.

No storage: a wallet that is a number, a rule, and a bank that says yes or no. What the operations add (locks, crashes,
lost answers) is the simulation's (tests/simulation).
"""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gettone.domain.recharge import DECLINES_MAX, Bought, Paused, Rule, after_decline, due, to_buy

BEGIN = datetime(2026, 11, 23, 12, tzinfo=UTC)
amounts = st.integers(1, 500)


class RechargeMachine(RuleBasedStateMachine):
    """One wallet with a rule, which looks whenever something is spent and whenever time has passed."""

    @initialize(
        trigger=amounts,
        amount=amounts,
        day_count=st.one_of(st.none(), st.integers(1, 4)),
        day_micros=st.one_of(st.none(), st.integers(1, 2000)),
        month_count=st.one_of(st.none(), st.integers(1, 9)),
    )
    def begin(self, trigger, amount, day_count, day_micros, month_count):
        self.rule = Rule(
            trigger_micros=trigger,
            amount_micros=amount,
            day_count=day_count,
            day_micros=day_micros,
            month_count=month_count,
        )
        self.now, self.available = BEGIN, trigger
        self.bought: list[tuple[datetime, int]] = []
        self.may_at: datetime | None = BEGIN
        self.declines, self.declined_at = 0, None
        self.yes = True

    def had(self) -> Bought:
        day = [micros for at, micros in self.bought if at.date() == self.now.date()]
        month = [micros for at, micros in self.bought if (at.year, at.month) == (self.now.year, self.now.month)]
        return Bought(day_count=len(day), day_micros=sum(day), month_count=len(month), month_micros=sum(month))

    def look(self) -> None:
        """Buy what is due, as often as it is."""
        while self.may_at is not None and self.may_at <= self.now and due(self.available, self.rule.trigger_micros):
            wanted = to_buy(self.rule, self.available, self.had())
            if isinstance(wanted, Paused):
                return
            if not self.yes:
                if self.declined_at is not None:
                    assert self.now - self.declined_at >= timedelta(hours=1), "it tries again too soon"
                self.declines, self.declined_at = self.declines + 1, self.now
                self.may_at = after_decline(self.declines, self.now, final=False)
                return
            self.bought.append((self.now, wanted))
            self.available += wanted
            self.declines, self.declined_at = 0, None

    @rule(micros=st.integers(0, 3000))
    def spend(self, micros):
        self.available -= micros
        self.look()

    @rule(hours=st.integers(1, 40))
    def wait(self, hours):
        self.now += timedelta(hours=hours)
        self.look()

    @rule(yes=st.booleans())
    def let_the_bank_say(self, yes):
        self.yes = yes

    @rule()
    def resume(self):
        self.declines, self.declined_at, self.may_at = 0, None, self.now
        self.look()

    @invariant()
    def caps_are_kept(self):
        had = self.had()
        for count, most in ((had.day_count, self.rule.day_count), (had.month_count, self.rule.month_count)):
            assert most is None or count <= most
        assert self.rule.day_micros is None or had.day_micros <= self.rule.day_micros

    @invariant()
    def what_is_available_is_enough_or_there_is_a_reason(self):
        if due(self.available, self.rule.trigger_micros):
            waits = self.may_at is None or self.may_at > self.now
            capped = isinstance(to_buy(self.rule, self.available, self.had()), Paused)
            assert waits or capped

    @invariant()
    def three_declines_suspend(self):
        assert (self.may_at is None) == (self.declines >= DECLINES_MAX)


TestRecharge = RechargeMachine.TestCase
TestRecharge.settings = settings(max_examples=60, stateful_step_count=40)


@given(st.integers(-(10**6), 10**6), amounts, amounts)
def test_one_purchase_without_caps_is_always_enough(available, trigger, amount):
    bought = to_buy(Rule(trigger_micros=trigger, amount_micros=amount), available, Bought())

    assert not due(available + bought, trigger)
