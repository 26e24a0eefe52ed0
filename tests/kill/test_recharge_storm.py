"""``kill -9`` amid many recharges: what the provider has charged is what wallets were credited, to the micro."""

import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gettone.operations import payments, recharging
from gettone.operations.billing import CARD, FULFILLED, Method
from gettone.operations.buying import OPERATOR, Buyer
from gettone.operations.paying import Paying
from gettone.operations.policies import PolicyChanges, change_policies
from gettone.operations.recharging import NewRule
from tests.kill.storm import FASTER, ORGANISATIONS, Wire, clock
from tests.support.world import MIDDAY, World, sqlite_url

ROOT = Path(__file__).parent.parent.parent
KILLS = int(os.environ.get("GETTONE_TEST_STORM_KILLS", "25"))
PROCESSES = 2
PATIENCE_SECONDS = 120

pytestmark = pytest.mark.slow


@pytest.fixture(params=["sqlite", "postgres"])
def url(request, tmp_path) -> str:
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")


@pytest.fixture
def bank(tmp_path):
    """A bank with its books; the port it listens to."""
    command = [sys.executable, "-m", "tests.kill.bank", tmp_path / "books.db", "1"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline()), tmp_path / "books.db"
        process.kill()


def fill(url: str) -> None:
    """Make organisations whose wallets refill themselves, without any limit."""
    with World(url) as world:
        world.deck("country,price\nGB,12\n")
        for org_id in ORGANISATIONS:
            world.organisation(org_id)
            world.user(org_id, "anna", products=["MCOPSTN_PAYG_1", "MCOPSTNC"])
            no_guard = PolicyChanges(guard=dict.fromkeys(("user_hour_micros", "organisation_hour_micros")))
            change_policies(world.office, org_id, no_guard, world.now, "test")
            method = Method(
                method_id="card", kind=CARD, provider="bank", label="Visa", position=1, created_at=world.now
            )
            with world.office.write(org_id) as unit:
                unit.buying.write_method(org_id, method)
            rule = NewRule(enabled=True, trigger_micros=60_000_000, amount_micros=50_000_000, day_count=None)
            recharging.set_rule(world.office, org_id, rule, Buyer(OPERATOR, "test"), world.now)


def start(url: str, port: int, begun: float, seed: int) -> subprocess.Popen:
    command = [sys.executable, "-m", "tests.kill.storm", url, str(port), str(begun), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE)


def test_kill_9_in_a_recharge_storm_loses_and_doubles_no_credit(url, bank):
    port, books = bank
    fill(url)
    chance, begun = random.Random(0), time.time()
    running = [start(url, port, begun, seed) for seed in range(PROCESSES)]
    try:
        wait_for_charges(books, 1)
        for kill in range(KILLS):
            wait_for_charges(books, charges(books).total() + chance.randrange(1, 4))
            time.sleep(chance.uniform(0, 0.05))
            at = chance.randrange(PROCESSES)
            running[at].kill()
            running[at].stdin.close()
            running[at].wait()
            running[at] = start(url, port, begun, PROCESSES + kill)
        wait_for_charges(books, charges(books).total() + 3)
    finally:
        for process in running:
            process.stdin.close()
        for process in running:
            assert process.wait(PATIENCE_SECONDS) == 0
    settle(url, port, begun)
    check_the_books(url, books)


def wait_for_charges(books: Path, count: int) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while charges(books).total() < count:
        assert time.monotonic() < deadline, "nothing is charged any more"
        time.sleep(0.01)


def charges(books: Path) -> Counter[tuple[str, str]]:
    """How often each payment was charged at the bank."""
    with sqlite3.connect(books) as connection:
        return Counter(connection.execute("SELECT org_id, payment_id FROM charge WHERE state IS NOT NULL").fetchall())


def settle(url: str, port: int, begun: float) -> None:
    """Let everything come to its end that was under way, days later, without buying anything more."""
    with World(url) as world:
        world.now = clock(begun)
        for org_id in ORGANISATIONS:
            recharging.switch_off(world.office, org_id, Buyer(OPERATOR, "test"), world.now)
        later = [time.time() - begun]
        paying = Paying(world.office, {"bank": Wire(port)}, lambda: clock(time.time() - later[0]))
        while True:
            paying.work(clock(time.time() - later[0]))
            with world.office.read() as unit:
                left = [
                    one
                    for org_id in ORGANISATIONS
                    for one in unit.buying.payments(org_id, None, 1000)
                    if one.next_at is not None
                ]
            if not left:
                return
            # Two minutes on: whoever was killed while he asked is not waited for any longer.
            later[0] += 120 / FASTER


def check_the_books(url: str, books: Path) -> None:
    charged = charges(books)
    assert charged.total() > 2 * KILLS
    assert set(charged.values()) == {1}, "a payment was charged twice"
    with World(url) as world:
        asked_again = 0
        credited: dict[tuple[str, str], int] = {}
        for org_id in ORGANISATIONS:
            with world.office.read() as unit:
                found = unit.buying.payments(org_id, None, 1000)
                orders = unit.buying.orders(org_id, "", "", 1000)
                bought = sum(
                    -posting.amount_micros
                    for entry in unit.money.entries(org_id, "credit_bought", "", None, 10_000)
                    for posting in entry.postings
                    if posting.account == "funding"
                )
            assert {order.state for order in orders} == {FULFILLED}
            credited |= {(org_id, one.payment_id): one.gross_micros for one in found if one.lot_id}
            asked_again += sum(one.asks > 1 for one in found)
            assert bought == sum(micros for (owner, _), micros in credited.items() if owner == org_id)
        assert credited.keys() == charged.keys()
        assert asked_again, "no answer was lost, and nobody was killed between paying and recording"
        world.now = MIDDAY
        assert not [str(finding) for finding in world.findings()]
        assert payments.HELD_WHILE_ASKED.total_seconds() / FASTER < 1, "time runs fast enough to matter"
