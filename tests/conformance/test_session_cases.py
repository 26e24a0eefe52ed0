"""Conformance: debits and charging sessions over wallets and minute pools, at the exact numbers of the case files.

A case's account becomes our wallet (one lot) and pools (by weight, heaviest first; a blocker ends the chain), its
operations become reach, hold and settle. Money is what a new call could spend: posted - held - owed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from gettone.domain.entitlement import CREDITS, Payer, PayerKind
from gettone.domain.lots import Lot
from gettone.domain.pools import Pool
from gettone.domain.session import Call, EndedBy, Funds, hold, reach, settle
from gettone.domain.wallet import Wallet
from tests.conformance.loader import Case, ceiling_of, expectation, load_cases, micros

PERIOD = 202601
UNLIMITED = 10**18
ACCOUNT_KEYS = {"money", "allow_negative", "pools"}
POOL_KEYS = {"id", "seconds", "tariff", "increment_s", "weight", "blocker"}

DEBIT = load_cases("debit")
SESSION = load_cases("session")
MAX_USAGE = [case for case in load_cases("max_usage") if case.has_pools]


@dataclass
class Bench:
    """The account of a case, with at most one call at a time on it."""

    case: Case
    funds: Funds
    call: Call
    used: int = 0
    granted: int = 0
    charged: int = 0

    @classmethod
    def of(cls, case: Case) -> "Bench":
        account = case.body.get("account", {})
        assert account.keys() <= ACCOUNT_KEYS, f"{account.keys() - ACCOUNT_KEYS} of an account is not understood"
        money = micros(account.get("money", "0"))
        if account.get("allow_negative"):
            money += UNLIMITED
        pools = [pool_of(case, pool) for pool in by_weight(account.get("pools", []))]
        lot = Lot("L", case.start, case.start + timedelta(days=365), max(money, 0), max(money, 0))
        wallet = Wallet("O", "USD", [lot], max(-money, 0))
        keyed = {(pool.pool_key, PERIOD): pool for pool in pools}
        funds = Funds(wallet, keyed, case.rate, case.start, ceiling_of(case.body))
        return cls(case, funds, new_call(case))

    @property
    def money(self) -> int:
        borrowed = UNLIMITED if self.case.body["account"].get("allow_negative") else 0
        return self.funds.wallet.available_micros(self.funds.now) - borrowed

    @property
    def pools(self) -> dict[str, int]:
        """Return what is left of each pool."""
        pools = self.funds.pools.values()
        return {pool.pool_key: pool.size_seconds - pool.used_seconds - pool.held_seconds for pool in pools}

    def reserve(self, seconds: int, last_used: int | None) -> int:
        """Report *last_used* seconds of the last grant (all of them when None) and hold *seconds* more."""
        self.used += self.granted if last_used is None else last_used
        reached = reach(self.call, self.used + seconds, self.funds)
        hold(self.call, reached, self.funds)
        self.granted = max(0, reached.to_second - self.used)
        return self.granted

    def finish(self, total: int) -> None:
        settlement = settle(self.call, total, self.funds.now + timedelta(seconds=total), EndedBy.STOP, self.funds)
        self.charged = settlement.charged_micros
        assert not self.call.lot_holds
        assert not any(pool.held_seconds for pool in self.funds.pools.values())

    def debit(self, mode: str) -> str | None:
        """Charge the case's call; the name of the refusal when nothing is charged."""
        duration = self.case.body["call"]["duration_s"]
        reached = reach(self.call, duration, self.funds)
        if mode == "force" and reached.to_second < duration:
            return "insufficient_credit"
        hold(self.call, reached, self.funds)
        self.granted = reached.to_second
        self.finish(reached.to_second if mode == "max" else duration)
        return None

    def check(self, holder, name: str) -> None:
        """Compare with everything that *holder* expects."""
        for key, actual in {
            "max_usage_s": lambda: self.granted,
            "billed_s": lambda: self.call.billed_seconds,
            "cost": lambda: self.charged,
            "money": lambda: self.money,
            "pools": lambda: self.pools,
        }.items():
            expected = expectation(holder, key)
            if expected is not None:
                amount = key in {"cost", "money"}
                assert actual() == (micros(expected) if amount else expected), f"{name}: {key}"


def by_weight(pools):
    """Return pools as they are drawn: heaviest first, none after a blocker."""
    ordered = sorted(pools, key=lambda pool: -pool.get("weight", 0))
    last = next((index for index, pool in enumerate(ordered) if pool.get("blocker")), len(ordered))
    return ordered[: last + 1]


def pool_of(case: Case, pool) -> Pool:
    assert pool.keys() <= POOL_KEYS, f"{pool.keys() - POOL_KEYS} of a pool is not understood"
    rate = case.rates[pool["tariff"]] if "tariff" in pool else None
    increment = pool.get("increment_s") or (rate.bands[0].steps[0].increment_seconds if rate else 1)
    return Pool(pool["id"], PERIOD, pool["seconds"], increment_seconds=increment, rate=rate)


def new_call(case: Case) -> Call:
    pools = by_weight(case.body.get("account", {}).get("pools", []))
    payers = tuple(Payer(PayerKind.POOL, pool["id"]) for pool in pools)
    if not any(pool.get("blocker") for pool in pools):
        payers = (*payers, CREDITS)
    return Call("O", "S", "user_out", "", "", case.start, PERIOD, payers=payers)


@pytest.mark.parametrize("case", DEBIT, ids=lambda case: case.name)
def test_a_debit_takes_what_the_case_says(case):
    bench = Bench.of(case)

    refusal = bench.debit(case.body.get("mode", "plain"))

    expect = case.body["expect"]
    assert refusal == expect.get("error")
    bench.check(case.body, case.name)
    if "repeat_pools" in expect:
        bench.call = new_call(case)
        bench.debit(case.body.get("mode", "plain"))
        assert bench.pools == expect["repeat_pools"]


@pytest.mark.parametrize("case", SESSION, ids=lambda case: case.name)
def test_a_session_holds_and_settles_what_the_case_says(case):
    bench = Bench.of(case)

    for number, step in enumerate(case.body["steps"], start=1):
        match step["op"]:
            case "init" | "update":
                granted = bench.reserve(step["usage_s"], step.get("last_used_s"))
                refused = "insufficient_credit" if granted == 0 else None
                if "error" in step.get("expect", {}):
                    assert refused == step["expect"]["error"], f"{case.name}, step {number}"
            case "terminate":
                last_used = step.get("last_used_s", bench.granted)
                bench.finish(step.get("usage_s", bench.used + last_used))
            case other:
                pytest.fail(f"{case.name}, step {number}: operation {other!r} is not understood")
        bench.check(step, f"{case.name}, step {number}")


@pytest.mark.parametrize("case", MAX_USAGE, ids=lambda case: case.name)
def test_pools_and_wallet_together_last_as_long_as_the_case_says(case):
    bench = Bench.of(case)

    longest = reach(bench.call, case.body["call"]["duration_s"], bench.funds).to_second

    assert longest == expectation(case.body, "max_usage_s")


def made_up(body) -> Case:
    """Return a case that is in no file: one minute costs 0.10."""
    from gettone.domain.rating import Rate

    rates = {"T": Rate.flat("0.10", "1/1"), "P": Rate.flat("0.01", "60/60")}
    call = {"tariff": "T", "start": "2026-01-05T08:00:00", "duration_s": 120}
    return Case("made up", body["kind"], {"call": call, **body}, rates)


def test_more_used_than_reserved_is_taken_from_the_next_reservation():
    steps = [
        {"op": "init", "usage_s": 120, "expect": {"max_usage_s": 120, "money": "0.80"}},
        {"op": "update", "usage_s": 120, "last_used_s": 90, "expect": {"max_usage_s": 120, "money": "0.65"}},
        {"op": "update", "usage_s": 120, "last_used_s": 150, "expect": {"max_usage_s": 120, "money": "0.40"}},
        {"op": "terminate", "usage_s": 60, "expect": {"cost": "0.10", "money": "0.90"}},
    ]
    test_a_session_holds_and_settles_what_the_case_says(
        made_up({"kind": "session", "account": {"money": "1"}, "steps": steps})
    )


def test_an_account_that_may_owe_goes_below_zero():
    account = {"money": "0.05", "allow_negative": True}
    test_a_debit_takes_what_the_case_says(
        made_up({"kind": "debit", "mode": "max", "account": account, "expect": {"cost": "0.2", "money": "-0.15"}})
    )


def test_an_account_that_owes_pays_for_nothing():
    test_a_debit_takes_what_the_case_says(
        made_up({"kind": "debit", "mode": "max", "account": {"money": "-1"}, "expect": {"cost": "0", "money": "-1"}})
    )


def test_nothing_is_drawn_after_a_blocker():
    pools = [{"id": "b", "seconds": 30, "weight": 20, "blocker": True}, {"id": "c", "seconds": 99, "weight": 10}]
    expect = {"billed_s": 30, "money": "1", "pools": {"b": 0}}
    test_a_debit_takes_what_the_case_says(
        made_up({"kind": "debit", "mode": "max", "account": {"money": "1", "pools": pools}, "expect": expect})
    )


def test_reduced_minutes_stop_when_the_wallet_cannot_pay_for_them():
    pools = [{"id": "p", "seconds": 600, "tariff": "P"}]
    expect = {"billed_s": 60, "cost": "0.01", "pools": {"p": 540}}
    test_a_debit_takes_what_the_case_says(
        made_up({"kind": "debit", "mode": "max", "account": {"money": "0.011", "pools": pools}, "expect": expect})
    )


def test_an_unknown_field_is_an_error_and_not_ignored():
    with pytest.raises(AssertionError, match="frozen"):
        Bench.of(made_up({"kind": "debit", "account": {"money": "1", "frozen": True}, "expect": {}}))


def test_the_case_files_tell_time_in_utc():
    assert made_up({"kind": "debit"}).start == datetime(2026, 1, 5, 8, tzinfo=UTC)
