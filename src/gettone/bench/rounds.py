"""Rounds of charging: whole batches, until the round's time is over."""

import time
from collections.abc import Sequence

from gettone.bench.load import Load, check
from gettone.bench.measuring import Work
from gettone.bench.sizes import Sizes
from gettone.operations.charging import Charging
from gettone.operations.messages import Answer, Request


class Rounds:
    """A contestant that charges a load in batches; a round is bounded by its requests and by its seconds."""

    def __init__(self, charging: Charging, load: Load, sizes: Sizes, batch: int, *, apart: bool = False) -> None:
        """Charge *load* in batches of *batch*; *apart*: each of them from that many different organisations."""
        self._charging = charging
        self._load = load
        self._batch = batch
        self._apart = apart
        self._batches_max = max(sizes.requests // batch, 1)
        self._seconds_max = sizes.round_seconds
        self._waiting: list[Sequence[Request]] = []
        self.done = 0
        """Requests charged in the latest round."""

    def __call__(self) -> Work:
        """See `Contestant`."""
        missing = self._batches_max - len(self._waiting)
        take = self._load.take_apart if self._apart else self._load.take
        self._waiting += [take(self._batch) for _ in range(missing)]
        return self._charge

    def close(self) -> None:
        """Charge no more."""
        self._charging.close()

    def _charge(self) -> int:
        ends = time.perf_counter() + self._seconds_max
        answers: list[list[Answer]] = []
        for requests in self._waiting:
            answers.append(self._charging.charge(requests))
            if time.perf_counter() >= ends:
                break
        del self._waiting[: len(answers)]
        for some in answers:
            check(some)
        self.done = len(answers) * self._batch
        return self.done
