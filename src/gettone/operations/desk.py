"""The charging desk: requests wait in a queue, one thread answers them in micro-batches (design, section 3).

While one transaction runs, the next batch gathers; nothing ever waits for a timer. A batch is what has arrived, up to
*batch_size* requests, in order. Answers are handed back after the commit, in the desk's thread.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gettone.errors import GettoneError
from gettone.operations.charging import Charging, unavailable
from gettone.operations.messages import Answer, Request

logger = logging.getLogger(__name__)

QUEUE_MAX = 50_000
"""Requests that may wait; past it a switch is better told at once than late."""


class DeskClosed(GettoneError):
    """The charging desk is closing and takes no more requests."""


class DeskFull(GettoneError):
    """Too many charging requests are waiting; send this one again in a moment."""


@dataclass(frozen=True, slots=True)
class Submission:
    """Requests that came together, and whoever waits for their answers."""

    requests: Sequence[Request]
    ticket: object


Delivery = list[tuple[object, list[Answer]]]
"""Tickets with their answers, in the order of the requests."""


class ChargingDesk:
    """One thread that owns a `Charging` and all that it touches."""

    def __init__(self, charging: Charging, deliver: Callable[[Delivery], None], *, batch_size: int = 500) -> None:
        """Charge with *charging*; *deliver* is called once a batch, from the desk's thread, and must not block."""
        self._charging = charging
        self._deliver = deliver
        self._batch_size = batch_size
        self._waiting: deque[Submission] = deque()
        self._queued = 0
        self._changed = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="charging-desk")
        self._thread.start()

    @property
    def queued(self) -> int:
        """Requests that wait for a batch now."""
        return self._queued

    def submit(self, requests: Sequence[Request], ticket: object) -> None:
        """Queue *requests*; their answers come with *ticket*. Raises `DeskClosed` or `DeskFull` and accepts none."""
        with self._changed:
            if self._closing:
                raise DeskClosed
            if self._queued + len(requests) > QUEUE_MAX:
                raise DeskFull
            self._waiting.append(Submission(requests, ticket))
            self._queued += len(requests)
            if len(self._waiting) == 1:
                self._changed.notify()

    def close(self) -> None:
        """Take no more requests, answer those accepted, and end the thread."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()
        self._charging.close()

    def _work(self) -> None:
        while submissions := self._next_batch():
            requests = [request for submission in submissions for request in submission.requests]
            try:
                answers = self._charging.charge(requests)
            except Exception:
                # The desk outlives any mistake of ours: whoever waits is told, and may ask again.
                logger.exception("a batch of %d charging requests failed", len(requests))
                answers = [unavailable(request) for request in requests]
            delivery: Delivery = []
            start = 0
            for submission in submissions:
                end = start + len(submission.requests)
                delivery.append((submission.ticket, answers[start:end]))
                start = end
            self._deliver(delivery)

    def _next_batch(self) -> list[Submission]:
        """What waits, up to the batch size but at least one submission; empty when closing and nothing waits."""
        with self._changed:
            while not self._waiting and not self._closing:
                self._changed.wait()
            batch: list[Submission] = []
            size = 0
            while self._waiting and (not batch or size + len(self._waiting[0].requests) <= self._batch_size):
                submission = self._waiting.popleft()
                size += len(submission.requests)
                batch.append(submission)
            self._queued -= size
            return batch
