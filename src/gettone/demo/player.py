"""Plays a day of calls through the HTTP API, as a switch would: may it begin, may it go on, it has ended.

The virtual clock runs as fast as the wished length of the play asks for, and waits when the service is slower. A call's
next request is planned when its last one is answered, so the requests of a call are always in order; those of different
calls travel together: some alone, most in batches.
"""

import asyncio
import heapq
import itertools
import time
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from gettone.demo.day import Planned
from gettone.demo.http import Connection
from gettone.demo.sample import ORG_ID

DAY_SECONDS = 24 * 3600
TICK_SECONDS = 0.02
BATCH = 64
CONNECTIONS = 4
SINGLE_EVERY = 5
"""Every so many-th request travels alone."""
BATCHES_WAITING_MAX = 16
HISTORY = 240


@dataclass(slots=True)
class Wallet:
    """Money as the API last told it."""

    available: str = "0"
    held: str = "0"
    currency: str = ""
    history: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))


@dataclass(slots=True)
class Board:
    """What the view shows: all that happened so far."""

    day: datetime
    virtual_seconds: float = 0
    planned: int = 0
    begun: int = 0
    in_progress: int = 0
    ended: int = 0
    unanswered: int = 0
    messages: int = 0
    requests: int = 0
    began: float = field(default_factory=time.perf_counter)
    elapsed_at_end: float = 0
    marks: deque[tuple[float, int]] = field(default_factory=lambda: deque(maxlen=8))
    wallet: Wallet = field(default_factory=Wallet)
    pools: list[dict[str, Any]] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    titles: dict[str, str] = field(default_factory=dict)
    cut_short: Counter[str] = field(default_factory=Counter)
    payers: dict[str, list[int]] = field(default_factory=dict)
    charged_micros: int = 0
    recharges: int = 0
    faults: int = 0
    last: deque[tuple[str, str, str, str]] = field(default_factory=lambda: deque(maxlen=10))
    latency_ms: list[float] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        """The virtual time."""
        return self.day + timedelta(seconds=self.virtual_seconds)

    @property
    def elapsed(self) -> float:
        """Real seconds since the play began."""
        return max(0.001, time.perf_counter() - self.began)

    def mark_pace(self) -> None:
        """Note how many requests there are by now."""
        self.marks.append((time.perf_counter(), self.requests))

    @property
    def pace(self) -> float:
        """Charging requests a second, lately."""
        if len(self.marks) < 2:
            return self.requests / self.elapsed
        (since, before), (until, after) = self.marks[0], self.marks[-1]
        return (after - before) / max(0.001, until - since)

    def percentile_ms(self, share: float) -> float:
        """The latency that *share* of the HTTP requests stayed within."""
        ordered = sorted(self.latency_ms)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class _Live:
    """A call of the day as the switch keeps it."""

    plan: Planned
    request_number: int = 0
    granted_to: int = 0
    used: int = 0


_Due = tuple[float, int, _Live, dict[str, Any]]


class Player:
    """One play of one day."""

    def __init__(self, calls: Sequence[Planned], board: Board, *, host: str, port: int, key: str, admin: str) -> None:
        """Play *calls* against the service at *host*:*port*, telling *board* what happens."""
        self._board = board
        self._order = itertools.count()
        self._due: list[_Due] = []
        for call in calls:
            self._plan(call.at, _Live(call), self._first(call))
        board.planned = len(calls)
        self._lines = [Connection(host, port, key) for _ in range(CONNECTIONS)]
        self._office = Connection(host, port, admin)
        self._free: asyncio.Queue[Connection] = asyncio.Queue()
        self._waiting: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def play(self, seconds: float) -> None:
        """Play the day in about *seconds*; ends when the last call has."""
        board = self._board
        for line in self._lines:
            self._free.put_nowait(line)
        watching = asyncio.create_task(self._watch())
        watching.add_done_callback(self._done)
        board.began = time.perf_counter()
        pace = DAY_SECONDS / seconds
        before = board.began
        try:
            while self._due or self._waiting or self._failure:
                if self._failure is not None:
                    raise self._failure
                moment = time.perf_counter()
                if len(self._waiting) < BATCHES_WAITING_MAX:
                    board.virtual_seconds += (moment - before) * pace
                    self._send_due()
                before = moment
                await asyncio.sleep(TICK_SECONDS)
        finally:
            watching.cancel()
            for task in self._waiting:
                task.cancel()
            await asyncio.gather(watching, *self._waiting, return_exceptions=True)
            # Whoever watched may have left in the middle of an answer.
            await self._office.close()
            for line in self._lines:
                board.latency_ms += line.latency_ms
                await line.close()
        await self._look()
        await self._office.close()

    def _plan(self, at: float, live: _Live, body: dict[str, Any]) -> None:
        heapq.heappush(self._due, (at, next(self._order), live, body))

    def _at(self, seconds: float) -> str:
        return (self._board.day + timedelta(seconds=int(seconds))).isoformat()

    def _first(self, call: Planned) -> dict[str, Any]:
        body: dict[str, Any] = {"session_id": call.session_id, "called": call.called, "at": self._at(call.at)}
        if call.user:
            body["user"] = call.user
        if call.calling:
            body["calling"] = call.calling
        if call.call_type:
            body["call_type"] = call.call_type
        return body | ({"op": "event", "units": call.messages} if call.messages else {"op": "start"})

    def _send_due(self) -> None:
        batch: list[_Due] = []
        while self._due and self._due[0][0] <= self._board.virtual_seconds:
            due = heapq.heappop(self._due)
            if due[1] % SINGLE_EVERY == 0:
                self._begin(self._single(due))
                continue
            batch.append(due)
            if len(batch) == BATCH:
                self._begin(self._batch(batch))
                batch = []
        if batch:
            self._begin(self._batch(batch))

    def _begin(self, work: Any) -> None:  # noqa: ANN401 - a coroutine
        task: asyncio.Task[None] = asyncio.create_task(work)
        self._waiting.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._waiting.discard(task)
        if not task.cancelled():
            self._failure = self._failure or task.exception()

    async def _batch(self, batch: list[_Due]) -> None:
        line = await self._free.get()
        try:
            status, answer = await line.post("/v1/calls/batch", {"requests": [body for *_, body in batch]})
        finally:
            self._free.put_nowait(line)
        if status != 200:
            self._board.faults += len(batch)
            return
        for due, one in zip(batch, answer["answers"], strict=True):
            self._take(due, one)

    async def _single(self, due: _Due) -> None:
        body = dict(due[3])
        operation, session_id = body.pop("op"), body["session_id"]
        if operation in {"update", "stop"}:
            del body["session_id"]
            path = f"/v1/calls/{session_id}/{operation}"
        else:
            path = "/v1/events" if operation == "event" else "/v1/calls"
        line = await self._free.get()
        try:
            status, answer = await line.post(path, body)
        finally:
            self._free.put_nowait(line)
        self._take(due, answer if status == 200 else {"result": "refused", **answer})

    def _take(self, due: _Due, answer: dict[str, Any]) -> None:
        """Note what was answered, and plan what the switch does next."""
        at, _, live, body = due
        board = self._board
        board.requests += 1
        match answer["result"]:
            case "granted":
                if body["op"] == "start":
                    board.begun += 1
                    board.in_progress += 1
                self._go_on(at, live, answer)
            case "settled":
                self._ended(live, body, answer)
            case _:
                self._refused(live, body, answer)

    def _go_on(self, at: float, live: _Live, grant: dict[str, Any]) -> None:
        live.granted_to = live.used + grant["granted_seconds"]
        if grant["reason"]:
            self._board.cut_short[grant["reason"]] += 1
        seconds, answered_at = live.plan.seconds, live.plan.at
        live.request_number += 1
        body: dict[str, Any] = {"session_id": live.plan.session_id, "request_number": live.request_number}
        if not seconds:
            at = at + live.plan.ringing
            self._plan(at, live, body | {"op": "stop", "used_seconds": 0, "at": self._at(at)})
        elif seconds <= live.granted_to or grant["final"]:
            live.used = min(seconds, live.granted_to)
            at = answered_at + live.used
            self._plan(at, live, body | {"op": "stop", "used_seconds": live.used, "at": self._at(at)})
        else:
            live.used = live.granted_to
            at = answered_at + live.used
            self._plan(at, live, body | {"op": "update", "used_seconds": live.used, "at": self._at(at)})

    def _ended(self, live: _Live, body: dict[str, Any], answer: dict[str, Any]) -> None:
        board, plan = self._board, live.plan
        if body["op"] == "event":
            board.messages += plan.messages
        else:
            board.in_progress -= 1
            board.ended += 1
            board.unanswered += answer["used_seconds"] == 0
        for part in answer["parts"]:
            total = board.payers.setdefault(part["payer"], [0, 0, 0])
            total[0] += 1
            total[1] += part["seconds"] if body["op"] != "event" else 0
            total[2] += _micros(part["charged"])
        board.charged_micros += _micros(answer["charged"])
        payers = "+".join(dict.fromkeys(part["payer"] for part in answer["parts"])) or "unanswered"
        amount = f"{plan.messages} SMS" if body["op"] == "event" else f"{answer['used_seconds']} s"
        board.last.appendleft(
            (plan.user.partition("@")[0] or plan.calling, plan.called, amount, f"{payers} {answer['charged']}")
        )

    def _refused(self, live: _Live, body: dict[str, Any], answer: dict[str, Any]) -> None:
        board, plan = self._board, live.plan
        reason = answer.get("reason") or answer.get("title", "unknown")
        board.refusals[reason] += 1
        board.titles[reason] = answer.get("title", "")
        if body["op"] in {"update", "stop"}:
            board.faults += 1
            board.in_progress -= 1
        board.last.appendleft((plan.user.partition("@")[0] or plan.calling, plan.called, "refused", reason))

    async def _watch(self) -> None:
        """Look at the wallet and the pools now and then."""
        while True:
            await self._look()
            self._board.mark_pace()
            await asyncio.sleep(0.25)

    async def _look(self) -> None:
        money = await self._office.get(f"/v1/organisations/{ORG_ID}/wallet")
        wallet = self._board.wallet
        wallet.available, wallet.held, wallet.currency = money["available"], money["held"], money["currency"]
        wallet.history.append(float(money["available"]))
        recharge = await self._office.get(f"/v1/organisations/{ORG_ID}/auto-recharge")
        self._board.recharges = max(self._board.recharges, recharge["bought_month_count"])
        pools = await self._office.get(f"/v1/organisations/{ORG_ID}/pools?period={self._board.day:%Y%m}")
        self._board.pools = pools["items"]


def _micros(amount: str) -> int:
    whole, _, fraction = amount.partition(".")
    return int(whole) * 1_000_000 + int(fraction.ljust(6, "0") or 0)
