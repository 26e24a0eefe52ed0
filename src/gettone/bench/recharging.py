"""What auto-recharge costs those who make calls: debits a second with it on, beside the same with it off.

Both sides are the same world under the same load, and take turns. With it on, every organisation has a rule and a card
of the simulator's; a debit that brings a wallet below its trigger wakes a thread that orders the recharge, has it paid,
credits it and issues its invoice, over the same file. A round ends when all that was due is bought.

The wallets are as large as on the other side, and at first each is at another distance from its trigger; what a
recharge has bought is used up first, so that the number of lots stays as it is.
"""

import contextlib
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import update

from gettone.bench import world
from gettone.bench.load import Load
from gettone.bench.measuring import NotMeasured, Result, Work, interleaved, rate
from gettone.bench.rounds import Rounds
from gettone.bench.sizes import Sizes
from gettone.bootstrap import open_store
from gettone.bootstrap.paying import opened_paying
from gettone.config import SIMULATOR, Settings
from gettone.operations.billing import CARD, Method, RechargeRule
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from gettone.operations.paying import Paying
from gettone.storage import schema
from gettone.storage.engine import open_database
from gettone.storage.office import open_office

BATCH = 100
AMOUNT_MICROS = 200_000_000
"""What a recharge buys: what about 1,270 calls of the load cost, or 6,300 requests."""

_ROUND_SECONDS_MAX = 30.0
CARD_REF = "pm_card_4242424242424242_bench"
"""Any simulator knows a test card by the number in its name."""


class Recharging:
    """Buys in a thread of its own, when it is told that something is due."""

    def __init__(self, paying: Paying) -> None:
        """Have payments made by *paying*."""
        self._paying = paying
        self._due = threading.Event()
        self._turn = threading.Lock()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="recharging", daemon=True)
        self._thread.start()
        self.bought = 0
        """Payments that were asked for so far."""

    def due(self) -> None:
        """Buy soon."""
        self._due.set()

    def buy(self) -> None:
        """Buy all that is due now."""
        with self._turn:
            self._due.clear()
            self.bought += self._paying.work(datetime.now(UTC))

    def close(self) -> None:
        """Buy no more."""
        self._stopping = True
        self._due.set()
        self._thread.join()

    def _work(self) -> None:
        while self._due.wait() and not self._stopping:
            self.buy()


def on_against_off(name: str, folder: Path, sizes: Sizes) -> Result:
    """Requests a second with auto-recharge on; the limit is the same with it off."""
    # Whole rounds, so that each has several recharges in it.
    sizes = replace(sizes, requests=sizes.recharging_requests, round_seconds=_ROUND_SECONDS_MAX)
    sides = {side: f"sqlite:///{folder / f'{name}-{side}.db'}" for side in ("on", "off")}
    with contextlib.ExitStack() as stack:
        rounds = {}
        for side, url in sides.items():
            ids = world.make(url, sizes.organisations)
            _keep_for_last(url)
            charging = world.charging(open_store(url))
            rounds[side] = Rounds(charging, Load(ids, open_calls=sizes.open_calls), sizes, BATCH)
            stack.callback(rounds[side].close)
            if side == "on":
                office = stack.enter_context(contextlib.closing(open_office(url)))
                paying = opened_paying(Settings(payments=SIMULATOR), office)
                for place, org_id in enumerate(ids):
                    _switch_on(office, org_id, AMOUNT_MICROS * place // len(ids))
                recharging = Recharging(paying)
                stack.callback(recharging.close)
                charging.recharge_due = recharging.due

        def with_recharges() -> Work:
            charge = rounds["on"]()

            def work() -> int:
                done = charge()
                recharging.buy()
                return done

            return work

        samples, limits = interleaved(sizes.rounds, with_recharges, rounds["off"])
        if not recharging.bought:
            raise NotMeasured("nothing was recharged")
        return rate(name, "requests/s", samples, limits)


def _keep_for_last(url: str) -> None:
    """Let what the wallets hold at first be used after whatever is bought later."""
    database = open_database(url)
    try:
        with database.writing() as connection:
            late = microseconds(datetime.now(UTC) + timedelta(days=3000))
            connection.execute(update(schema.lot).values(expires_at=late))
    finally:
        database.close()
    world.settle(url)


def _switch_on(office: Office, org_id: str, distance_micros: int) -> None:
    """Give an organisation a card and a rule by which it is due once it has used more than *distance_micros*."""
    now = datetime.now(UTC)
    with office.write(org_id) as unit:
        trigger = unit.account.wallet.available_micros(now) - distance_micros
        method = Method(
            method_id="card",
            kind=CARD,
            provider=SIMULATOR,
            label="Visa 4242",
            position=1,
            created_at=now,
            provider_ref=CARD_REF,
            customer_ref="bench",
        )
        unit.buying.write_method(org_id, method)
        unit.buying.write_rule(org_id, RechargeRule(enabled=True, trigger_micros=trigger, amount_micros=AMOUNT_MICROS))
        unit.account.marks.trigger_micros = trigger
        unit.account.marks.recharge_at = now
