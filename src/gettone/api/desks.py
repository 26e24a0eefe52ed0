"""The way from many callers to the charging desks: one for each partition; answers come in the order of the requests.

Callers wait without blocking anybody: a coroutine for a future of its loop, a thread for a future of its own. A desk
hands over a whole batch of answers at once, which wakes each event loop once a batch.
"""

import asyncio
import concurrent.futures
import contextlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from gettone.operations.charging import unavailable
from gettone.operations.desk import ChargingDesk, Delivery, DeskClosed, DeskFull
from gettone.operations.messages import Answer, Request

OpenDesk = Callable[[Callable[[Delivery], None]], ChargingDesk]
"""Makes a desk that hands its answers to the given function."""

Ticket = TypeVar("Ticket", "asyncio.Future[list[Answer]]", "concurrent.futures.Future[list[Answer]]")


class Desks:
    """All charging desks of this process."""

    def __init__(self, open_desks: Sequence[OpenDesk], partition: Callable[[str], int]) -> None:
        """Open the desk of each partition; *partition* says whose requests go where."""
        self._desks = [open_desk(deliver) for open_desk in open_desks]
        self._partition = partition
        self._accepting = True

    @property
    def accepting(self) -> bool:
        """Whether requests are taken."""
        return self._accepting

    @property
    def queued(self) -> int:
        """Requests that wait for a batch now."""
        return sum(desk.queued for desk in self._desks)

    async def charge(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """Answer *requests* in order; raises `DeskFull` or `DeskClosed` when none of them was taken."""
        loop = asyncio.get_running_loop()
        if len(self._desks) == 1:
            ticket: asyncio.Future[list[Answer]] = loop.create_future()
            self._desks[0].submit(requests, ticket)
            return await ticket
        parts: list[tuple[list[int], asyncio.Future[list[Answer]]]] = self._submit(requests, loop.create_future)
        return _assembled(requests, [(places, await future) for places, future in parts])

    def charge_and_wait(self, requests: Sequence[Request]) -> Sequence[Answer]:
        """As `charge`, for a thread that has nothing else to do."""
        new_ticket: Callable[[], concurrent.futures.Future[list[Answer]]] = concurrent.futures.Future
        return _assembled(
            requests, [(places, future.result()) for places, future in self._submit(requests, new_ticket)]
        )

    def turn_away(self) -> None:
        """Say from now on that no requests are to be sent here; those that come are still answered."""
        self._accepting = False

    def close(self) -> None:
        """Take no more requests, answer those taken, and end."""
        self._accepting = False
        for desk in self._desks:
            desk.close()

    def _submit(self, requests: Sequence[Request], new_ticket: Callable[[], Ticket]) -> list[tuple[list[int], Ticket]]:
        places_by_partition: dict[int, list[int]] = {}
        for place, request in enumerate(requests):
            places_by_partition.setdefault(self._partition(request.org_id), []).append(place)
        taken: list[tuple[list[int], Ticket]] = []
        turned_away: DeskFull | DeskClosed | None = None
        for partition, places in sorted(places_by_partition.items()):
            ticket = new_ticket()
            try:
                self._desks[partition].submit([requests[place] for place in places], ticket)
            except (DeskFull, DeskClosed) as error:
                turned_away = error
            else:
                taken.append((places, ticket))
        if turned_away is not None and not taken:
            raise turned_away
        return taken


def deliver(delivery: Delivery) -> None:
    """Hand answers to those who wait for them; called in a desk's thread."""
    by_loop: dict[asyncio.AbstractEventLoop, Delivery] = {}
    for ticket, answers in delivery:
        if isinstance(ticket, asyncio.Future):
            by_loop.setdefault(ticket.get_loop(), []).append((ticket, answers))
        elif isinstance(ticket, concurrent.futures.Future):
            ticket.set_result(answers)
    for loop, waiting in by_loop.items():
        # A loop that has ended has nobody left who waits; the desk goes on.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_wake, waiting)


def _wake(delivery: Delivery) -> None:
    for ticket, answers in delivery:
        assert isinstance(ticket, asyncio.Future)
        # Whoever gave up waiting is charged all the same, and learns it by asking again.
        if not ticket.done():
            ticket.set_result(answers)


def _assembled(requests: Sequence[Request], parts: Sequence[tuple[list[int], list[Answer]]]) -> list[Answer]:
    answers: list[Answer] = [unavailable(request) for request in requests]
    for places, part in parts:
        for place, answer in zip(places, part, strict=True):
            answers[place] = answer
    return answers
