"""Calls as switches report them: started, updated three times, stopped; many at once, in no particular order.

The same seed makes the same calls. Every call moves money or minutes: a quota of 300 s is held at its start and at each
update, and its stop settles 15 to 20 minutes.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from gettone.bench.measuring import NotMeasured
from gettone.bench.world import PAID_BY_CREDITS, copied_id, user
from gettone.operations.messages import Answer, Refused, Request, StartCall, StopCall, UpdateCall

UPDATES = 3
QUOTA_SECONDS = 300

_TRIES = 200


@dataclass(slots=True)
class _Running:
    session_id: str
    org_id: str
    updates: int = 0


class Load:
    """A number of calls in progress; whenever one stops, another starts."""

    def __init__(
        self,
        organisations: Sequence[str],
        *,
        open_calls: int,
        called: str = PAID_BY_CREDITS,
        users: int = 1,
        seed: int = 1,
    ) -> None:
        """Keep *open_calls* going, from any of the *users* of each of *organisations*, taken at random."""
        self._organisations = organisations
        self._open_calls = open_calls
        self._called = called
        self._users = users
        self._random = random.Random(seed)  # noqa: S311 - a load that can be repeated, no secret
        self._running: list[_Running] = []

    def take(self, count: int) -> list[Request]:
        """The next *count* requests."""
        return [self._next(set()) for _ in range(count)]

    def take_apart(self, count: int) -> list[Request]:
        """The next *count* requests, all from different organisations (there are as many)."""
        requests: list[Request] = []
        taken: set[str] = set()
        for _ in range(count):
            requests.append(self._next(taken))
            taken.add(requests[-1].org_id)
        return requests

    def multiply(self, copies: int) -> None:
        """Take over the calls that `world.multiply_open_calls` has made."""
        self._running = [
            _Running(copied_id(call.session_id, copy), call.org_id, call.updates)
            for copy in range(copies)
            for call in self._running
        ]
        self._open_calls *= copies

    def _next(self, taken: set[str]) -> Request:
        """A request of an organisation that is not *taken*."""
        if len(self._running) >= self._open_calls:
            for _ in range(_TRIES):
                place = self._random.randrange(len(self._running))
                if self._running[place].org_id not in taken:
                    return self._advanced(place)
        org_id = self._random.choice(self._organisations)
        while org_id in taken:
            org_id = self._random.choice(self._organisations)
        caller = user(self._random.randrange(self._users) if self._users > 1 else 0)
        call = _Running(f"{self._random.getrandbits(64):016x}", org_id)
        self._running.append(call)
        return StartCall(session_id=call.session_id, org_id=org_id, user=caller, called=self._called)

    def _advanced(self, place: int) -> Request:
        """The next request of a running call."""
        call = self._running[place]
        call.updates += 1
        used = QUOTA_SECONDS * min(call.updates, UPDATES)
        if call.updates <= UPDATES:
            return UpdateCall(
                session_id=call.session_id, org_id=call.org_id, request_number=call.updates, used_seconds=used
            )
        self._running[place] = self._running[-1]
        self._running.pop()
        return StopCall(
            session_id=call.session_id,
            org_id=call.org_id,
            request_number=call.updates,
            used_seconds=used + self._random.randrange(QUOTA_SECONDS),
        )


def check(answers: Sequence[Answer]) -> None:
    """Make sure that calls were charged; refusing them is faster."""
    for answer in answers:
        if isinstance(answer, Refused):
            raise NotMeasured(f"a call of the benchmark was refused: {answer.reason.value} {answer.detail}".rstrip())
