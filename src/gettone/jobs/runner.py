"""What runs by itself beside the requests: one thread, jobs in turn, each when it is due.

Every job is safe in any number of processes at once: it finds out what is to be done, and does it under the lock of the
wallet concerned, where a second process finds it done. A job that fails is logged and tried again at its next turn.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from gettone.operations.desk import DeskClosed, DeskFull
from gettone.operations.messages import Answer, Request, Settled, SettleSilent
from gettone.operations.ports import CallKey

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0
CHUNK = 200
"""Silent calls settled in one go: few enough that live calls hardly wait for them."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done every so often; *run* is told the time and says how many things it did."""

    name: str
    every: timedelta
    run: Callable[[datetime], int]


class Tally(Protocol):
    """Hears how jobs went."""

    def job(self, name: str, *, done: int | None) -> None:
        """A job has *done* so many things, or failed when None."""


class Jobs:
    """Runs jobs, in a thread of their own once `start` is called."""

    def __init__(self, jobs: Sequence[Job], *, clock: Callable[[], datetime], tally: Tally) -> None:
        """Run *jobs* by the *clock*, each for the first time at once."""
        self._jobs = jobs
        self._clock = clock
        self._tally = tally
        self._due: dict[str, datetime] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="jobs", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def close(self) -> None:
        """Finish the job at hand and end."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def run_due(self) -> None:
        """Run every job that is due now, and note when it is due again.

        A job that took long waits ten times as long, so that supervision of very many calls leaves room for them.
        """
        for job in self._jobs:
            began = self._clock()
            if self._stopping.is_set() or began < self._due.get(job.name, began):
                continue
            self._run(job, began)
            self._due[job.name] = began + max(job.every, 10 * (self._clock() - began))

    def _run(self, job: Job, now: datetime) -> None:
        try:
            done = job.run(now)
        except Exception:
            logger.exception("the job %s failed; it is tried again", job.name)
            self._tally.job(job.name, done=None)
        else:
            self._tally.job(job.name, done=done)
            if done:
                logger.info("job %s: %d done", job.name, done)

    def _work(self) -> None:
        while not self._stopping.wait(TICK_SECONDS):
            self.run_due()


class OpenCalls(Protocol):
    """Open calls, in stretches."""

    def silent_calls(self, now: datetime, after: CallKey | None = None) -> tuple[list[CallKey], CallKey | None]:
        """Silent ones of the stretch behind *after*, and where the next stretch begins; None when there is none."""

    def open_calls(self) -> int:
        """How many calls are open."""


Charge = Callable[[Sequence[Request]], Sequence[Answer]]


class Supervision:
    """Settles calls whose switch has fallen silent (D12)."""

    def __init__(self, calls: OpenCalls, charge: Charge) -> None:
        """Find silent ones among *calls*; *charge* has them settled by the desk, which judges them afresh."""
        self._calls = calls
        self._charge = charge

    def __call__(self, now: datetime) -> int:
        """Settle all that are silent at *now*; returns how many were settled by us."""
        after: CallKey | None = None
        settled = 0
        while True:
            silent, after = self._calls.silent_calls(now, after)
            for start in range(0, len(silent), CHUNK):
                chunk = silent[start : start + CHUNK]
                requests = [SettleSilent(org_id=org_id, session_id=session_id) for org_id, session_id in chunk]
                try:
                    answers = self._charge(requests)
                except (DeskClosed, DeskFull):
                    # Live calls come first; what is left is found again at the next turn.
                    return settled
                settled += sum(isinstance(answer, Settled) for answer in answers)
            if after is None:
                return settled
