"""The main path: charging requests in, answers out, a micro-batch in one transaction (D11 to D15; design, section 3).

    desk.submit(requests) -> Charging.charge(batch) -> Batch: load, decide one by one, save -> commit -> answers

A request that is refused, or that repeats an earlier one, is answered alone; the batch goes on. One over which the
program stumbles is taken out, answered ``unavailable``, and the rest of the batch is decided afresh. Nothing is
answered before it is committed durably. What is decided, and how, stands in `gettone.operations.batch`.
"""

import gc
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial

from gettone.domain.refusals import Refusal
from gettone.errors import InvariantBroken, StorageError
from gettone.operations.batch import Batch, refused
from gettone.operations.checking import fault_of
from gettone.operations.messages import Answer, Refused, Request
from gettone.operations.opening import References, Tables
from gettone.operations.ports import ChargingStore, ChargingUnit

logger = logging.getLogger(__name__)


class _Stumbled(Exception):
    """The program failed over one request; *position* says which of the batch."""

    def __init__(self, position: int) -> None:
        """Remember the *position*."""
        super().__init__(position)
        self.position = position


class Charging:
    """Decides batches of charging requests over one store. Used by one thread at a time."""

    def __init__(
        self, store: ChargingStore, tables: Tables, *, clock: Callable[[], datetime], grace_seconds: int = 60
    ) -> None:
        """Charge over *store*; a call is supervised for its grant and *grace_seconds* more."""
        self._store = store
        self._references = References(tables)
        self._clock = clock
        self._grace_seconds = grace_seconds
        self._batch: Batch | None = None
        self.recharge_due: Callable[[], None] = lambda: None
        """Called after a batch that brought a wallet below its trigger: somebody should buy soon."""

    def charge(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer *requests* in order, all in one transaction; never raises for what a request says."""
        now = self._clock()
        answers: list[Answer | None] = [_faulty(request, now) for request in requests]
        while True:
            live = [position for position, answer in enumerate(answers) if answer is None]
            self._batch = None
            try:
                with _no_collection():
                    decided = self._store.transaction(partial(self._decide, requests, live, now)) if live else []
            except _Stumbled as stumble:
                logger.exception("a charging request could not be decided")
                answers[stumble.position] = unavailable(requests[stumble.position])
            except InvariantBroken:
                logger.exception("the database refused a batch of %d", len(live))
                if len(live) > 1:
                    return [self.charge([request])[0] for request in requests]
                return [unavailable(request) for request in requests]
            except StorageError:
                logger.exception("nothing was charged")
                return [answers[at] or unavailable(request) for at, request in enumerate(requests)]
            else:
                if self._batch is not None and self._batch.committed():
                    self.recharge_due()
                for position, answer in zip(live, decided, strict=True):
                    answers[position] = answer
                return answers  # type: ignore[return-value]  # every position is filled by now

    def _decide(self, requests: Sequence[Request], live: list[int], now: datetime, unit: ChargingUnit) -> list[Answer]:
        self._batch = batch = Batch(unit, self._references, now, self._grace_seconds)
        asked = batch.load([requests[position] for position in live])
        answers: list[Answer] = []
        for position, request in zip(live, asked, strict=True):
            try:
                answers.append(batch.answer(request))
            except Exception as error:
                raise _Stumbled(position) from error
        batch.save()
        return answers

    def close(self) -> None:
        """Give the store's connection back."""
        self._store.close()


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the collector of cycles from walking a whole batch again and again: decisions make no cycles."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _faulty(request: Request, now: datetime) -> Refused | None:
    """Turn down a request whose values cannot be accepted, before they reach anything."""
    fault = fault_of(request, now)
    return refused(request, Refusal.INVALID_REQUEST, fault) if fault else None


def unavailable(request: Request) -> Refused:
    """The answer when nothing could be decided; the same request may be sent again."""
    return refused(request, Refusal.UNAVAILABLE)
