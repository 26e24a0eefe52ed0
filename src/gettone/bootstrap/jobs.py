"""The jobs: what runs when, in which thread, and which of them run in one process at a time.

Alone, by lease: what walks over every organisation and would only do the same again beside another process (expiry,
expiry warnings, both that size pools), what gives numbers in order, and invoicing of months. None of them relies on it.

Beside each other, in every process that runs jobs: supervision (the desk judges every call afresh under the lock of its
wallet), the ends of blocks (under that lock), payments and recharges (a payment is claimed under the lock before its
provider is asked, and at most one recharge is open), the addressing of notices (marked under the lock) and deliveries
(claimed one by one).
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

from gettone.config import SIMULATOR, Settings
from gettone.jobs.runner import CALLS, DELIVERIES, PAYMENTS, Job
from gettone.jobs.supervision import Charge, OpenCalls, Supervision
from gettone.operations import payments, recharging, telling
from gettone.operations.after_use import invoice_month
from gettone.operations.blocks import end_blocks
from gettone.operations.expiry_warnings import ExpiryWarnings
from gettone.operations.invoice_numbers import give_numbers
from gettone.operations.lifecycle import expire_lots, resize_at_the_turn, resize_pools
from gettone.operations.office import Office
from gettone.operations.paying import Paying
from gettone.operations.providers import Provider
from gettone.operations.telling import Channels

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
SUPERVISION_EVERY = 5 * SECOND
EXPIRY_EVERY = 5 * MINUTE
NUMBERS_EVERY = 5 * SECOND
TURN_WITHIN = 15 * MINUTE
"""So long after midnight the pools are sized by new terms; several turns of the job, in case one fails."""


@runtime_checkable
class SendsMessages(Provider, Protocol):
    """A provider in this process, which cannot reach us by HTTP."""

    def messages(self, now: datetime) -> list[tuple[bytes, dict[str, str]]]:
        """Body and headers of each message that is due."""


@dataclass(frozen=True, slots=True)
class Working:
    """What the jobs work with; *stopping* says that the process ends, so that long walks stop half-way."""

    settings: Settings
    office: Office
    paying: Paying
    charge: Charge
    open_calls: OpenCalls
    count_open_calls: Callable[[int], None]
    channels: Channels
    clock: Callable[[], datetime]
    stopping: Callable[[], bool]


def job_table(working: Working) -> list[Job]:
    """Every job, those first that people wait for."""
    office, stopping = working.office, working.stopping

    def count_open_calls(_now: datetime) -> int:
        working.count_open_calls(working.open_calls.open_calls())
        return 0

    def deliver(now: datetime) -> int:
        return telling.deliver(office, working.channels, now, clock=working.clock)

    link = working.settings.link
    return [
        Job("supervision", SUPERVISION_EVERY, Supervision(working.open_calls, working.charge), CALLS),
        Job("open_calls", SUPERVISION_EVERY, count_open_calls, CALLS),
        Job("ended_blocks", MINUTE, lambda now: end_blocks(office, now), CALLS),
        Job("payments", SECOND, working.paying.work, PAYMENTS, breathes=False),
        Job("recharges", MINUTE, lambda now: recharging.open_due(office, now), PAYMENTS),
        *_of_a_simulator(working),
        Job("notices", SECOND, lambda now: telling.address(office, now, link=link), DELIVERIES, breathes=False),
        Job("deliveries", SECOND, deliver, DELIVERIES, breathes=False),
        Job("invoice_numbers", NUMBERS_EVERY, lambda _now: give_numbers(office), alone=True),
        Job("usage_invoices", HOUR, lambda now: invoice_month(office, now), alone=True),
        Job("expiry", EXPIRY_EVERY, lambda now: _counted(expire_lots(office, now), stopping), alone=True),
        Job("expiry_warnings", HOUR, ExpiryWarnings(office, stopping=stopping), alone=True),
        Job("turn_of_terms", MINUTE, lambda now: resize_at_the_turn(office, now, TURN_WITHIN), alone=True),
        Job("pool_sizes", HOUR, lambda now: resize_pools(office, now), alone=True),
    ]


def _of_a_simulator(working: Working) -> list[Job]:
    """The messages of a simulator in this process, which has no other way to send them."""
    simulator = working.paying.providers.get(SIMULATOR)
    if not isinstance(simulator, SendsMessages):
        return []

    def take_in(now: datetime) -> int:
        taken = 0
        for body, headers in simulator.messages(now):
            news = simulator.news(body, headers, now)
            taken += news is not None and payments.take_news(working.office, SIMULATOR, news, now) is not None
        return taken

    return [Job("simulator_messages", SECOND, take_in, PAYMENTS, breathes=False)]


def _counted(done: Iterable[object], stopping: Callable[[], bool]) -> int:
    """How many there are, as far as they are done before the end."""
    count = 0
    for _ in done:
        count += 1
        if stopping():
            break
    return count
