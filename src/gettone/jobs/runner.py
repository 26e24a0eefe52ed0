"""What runs by itself beside the requests: jobs, each when it is due, in a few threads.

Every lane has a thread of its own, so that a slow webhook does not hold up recharges, nor a night of expiring credit
the supervision of calls: payments, deliveries, calls, the rest.
Any number of processes may run jobs over one database. A job that is to run in one process at a time takes its lease
(`gettone.jobs.leases`); the others find out what is to be done and do it under the lock of the wallet concerned, where
a second process finds it done.

- A job that is due twice, after a sleep or because the last run took long, runs once.
- A clock that jumps back delays nothing: a job that began in the future is due.
- A job that fails is logged and counted, stops no other, and is tried again soon, then ever later.
- A job may be woken before it is due.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from gettone.jobs.leases import LEASE, RENEWAL, Leases

logger = logging.getLogger(__name__)

TICK_SECONDS = 0.5
CLOSE_SECONDS = 30
"""So long a job at hand is waited for at the end; every job may be cut off anywhere."""
PAUSE_MAX = timedelta(minutes=10)
RETRY_FIRST = timedelta(seconds=10)
RETRY_LAST = timedelta(minutes=1)

PAYMENTS, DELIVERIES, CALLS, REST = "payments", "deliveries", "calls", "rest"
LANES = (CALLS, PAYMENTS, DELIVERIES, REST)


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so often; *run* is told the time and says how many things it did.

    *lane* names its thread. *alone*: by one process at a time. *breathes*: it waits ten times as long as it took, so
    that jobs over very much leave room for requests; one that people wait for does not.
    """

    name: str
    every: timedelta
    run: Callable[[datetime], int]
    lane: str = REST
    alone: bool = False
    breathes: bool = True


class Tally(Protocol):
    """Hears how jobs went."""

    def job(self, name: str, *, done: int | None) -> None:
        """A job has *done* so many things, or failed when None."""


@dataclass(slots=True)
class _State:
    """When a job began, when it is due again, and how often in a row it has failed."""

    began: datetime | None = None
    due: datetime | None = None
    failures: int = 0

    def is_due(self, now: datetime) -> bool:
        return self.began is None or self.due is None or now >= self.due or now < self.began


@dataclass(slots=True)
class _Lane:
    """The jobs of one thread, and what wakes it."""

    jobs: list[Job]
    changed: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None


class Jobs:
    """Runs jobs, in threads of their own once `start` is called."""

    def __init__(
        self,
        jobs: Sequence[Job],
        *,
        clock: Callable[[], datetime],
        tally: Tally,
        leases: Leases | None = None,
        stopping: threading.Event | None = None,
    ) -> None:
        """Run *jobs* by the *clock*, each for the first time at once.

        Without *leases* this is the only process. *stopping* is set at the end, for jobs that can stop half-way.
        """
        self._clock = clock
        self._tally = tally
        self._leases = leases
        self._stopping = stopping or threading.Event()
        self._states = {job.name: _State() for job in jobs}
        self._woken: set[str] = set()
        self._lanes = {name: _Lane([job for job in jobs if job.lane == name]) for name in LANES}
        self._lane_of = {job.name: job.lane for job in jobs}
        assert len(self._states) == len(jobs) == sum(len(lane.jobs) for lane in self._lanes.values())
        self._keeping: threading.Thread | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the jobs, in the order in which they run."""
        return tuple(self._lane_of)

    def start(self) -> None:
        """Begin."""
        for name, lane in self._lanes.items():
            if lane.jobs:
                lane.thread = threading.Thread(target=self._work, args=(lane,), name=f"jobs-{name}", daemon=True)
                lane.thread.start()
        if self._leases is not None:
            self._keeping = threading.Thread(target=self._keep, args=(self._leases,), name="jobs-leases", daemon=True)
            self._keeping.start()

    def wake(self, name: str) -> None:
        """Let a job run as soon as its thread is free, whenever it was due; from any thread, at next to no cost."""
        self._woken.add(name)
        self._lanes[self._lane_of[name]].changed.set()

    def close(self) -> None:
        """Finish the jobs at hand, or leave them after `CLOSE_SECONDS`, and give leases back."""
        self._stopping.set()
        for lane in self._lanes.values():
            lane.changed.set()
        ends = time.monotonic() + CLOSE_SECONDS
        threads = [lane.thread for lane in self._lanes.values()]
        for thread in (*threads, self._keeping):
            if thread is not None and thread.is_alive():
                thread.join(max(0.0, ends - time.monotonic()))
                if thread.is_alive():
                    logger.warning(
                        "%s did not end in %d s and is left behind; nothing is lost", thread.name, CLOSE_SECONDS
                    )
        if self._leases is not None:
            try:
                self._leases.give_back()
            except Exception:
                logger.exception("leases could not be given back; they run out by themselves")

    def run_due(self) -> None:
        """Run every job that is due now, in this thread, and note when it is due again."""
        for lane in self._lanes.values():
            self._run_lane(lane)

    def _run_lane(self, lane: _Lane) -> None:
        for job in lane.jobs:
            if self._stopping.is_set():
                return
            woken = job.name in self._woken
            self._woken.discard(job.name)
            began = self._clock()
            if woken or self._states[job.name].is_due(began):
                self._run(job, began)

    def _run(self, job: Job, began: datetime) -> None:
        state = self._states[job.name]
        state.began = began
        try:
            if job.alone and self._leases is not None and not self._leases.take(job.name):
                # Whoever has it may die: look again before long.
                state.due = began + min(job.every, LEASE)
                return
            done = job.run(began)
        except Exception:
            state.failures += 1
            again = min(min(job.every, RETRY_FIRST) * 2 ** min(state.failures - 1, 20), max(job.every, RETRY_LAST))
            state.due = began + again
            logger.exception("the job %s failed; it is tried again in %d s", job.name, again.total_seconds())
            self._tally.job(job.name, done=None)
        else:
            state.failures = 0
            # What the clock says is not trusted: it may have been set meanwhile.
            pause = min(10 * (self._clock() - began), PAUSE_MAX) if job.breathes else job.every
            state.due = began + max(job.every, pause)
            self._tally.job(job.name, done=done)
            if done:
                logger.info("job %s: %d done", job.name, done)

    def _work(self, lane: _Lane) -> None:
        while not self._stopping.is_set():
            if lane.changed.wait(TICK_SECONDS):
                lane.changed.clear()
            self._run_lane(lane)

    def _keep(self, leases: Leases) -> None:
        """Renew the leases while long jobs run; real time counts here, however the clock goes."""
        while not self._stopping.wait(RENEWAL.total_seconds()):
            try:
                lost = leases.renew()
            except Exception:
                logger.exception("leases could not be renewed; it is tried again")
            else:
                for name in lost:
                    logger.warning("another process has taken over the job %s: this one was stopped for too long", name)
