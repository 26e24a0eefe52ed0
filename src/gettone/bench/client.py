"""Switches that speak HTTP: as little of a client as can be, so that the server keeps the processor for itself.

One process, one thread, blocking nowhere: connections are kept alive, each carries the requests of its own calls one
after the other, and of an answer only its status and its length are read.
"""

import random
import select
import socket
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from gettone.bench.load import QUOTA_SECONDS, UPDATES
from gettone.bench.measuring import NotMeasured
from gettone.bench.world import PAID_BY_CREDITS, user

BATCH = 100
_GIVE_UP_SECONDS = 20.0
_NAP_SECONDS = 0.0002


@dataclass(frozen=True, slots=True)
class Target:
    """Where the requests go, and as whom."""

    host: str
    port: int
    token: str
    organisations: tuple[str, ...]


@dataclass(slots=True)
class Round:
    """What came of one round: how many requests were answered in how many seconds; latencies in seconds, sorted."""

    requests: int
    seconds: float
    latencies: list[float] = field(default_factory=list)

    def latency_ms(self, share: float) -> float:
        """The latency that *share* of the requests stay below."""
        return self.latencies[min(int(len(self.latencies) * share), len(self.latencies) - 1)] * 1000


def singles(target: Target, seed: int) -> Iterator[bytes]:
    """Requests of one call after the other, each a whole HTTP request."""
    for org_id, session_id in _calls(target, seed):
        start = b'{"org_id":"%b","session_id":"%b","user":"%b","called":"%b"}'
        yield _post(target, b"/v1/calls", start % (org_id, session_id, user(0).encode(), PAID_BY_CREDITS.encode()))
        for number in range(1, UPDATES + 2):
            body = b'{"org_id":"%b","request_number":%d,"used_seconds":%d}' % (org_id, number, number * QUOTA_SECONDS)
            yield _post(target, b"/v1/calls/%b/%b" % (session_id, b"update" if number <= UPDATES else b"stop"), body)


def batches(target: Target, seed: int) -> Iterator[bytes]:
    """The same requests, `BATCH` of them in each HTTP request, from as many calls at once."""
    calls = _calls(target, seed)
    while True:
        running = [next(calls) for _ in range(BATCH)]
        start = b'{"op":"start","org_id":"%b","session_id":"%b","user":"%b","called":"%b"}'
        names = (user(0).encode(), PAID_BY_CREDITS.encode())
        yield _batch(target, [start % (org_id, session_id, *names) for org_id, session_id in running])
        for number in range(1, UPDATES + 2):
            op = b"update" if number <= UPDATES else b"stop"
            item = b'{"op":"%b","org_id":"%b","session_id":"%b","request_number":%d,"used_seconds":%d}'
            more = (number, number * QUOTA_SECONDS)
            yield _batch(target, [item % (op, org_id, session_id, *more) for org_id, session_id in running])


def _calls(target: Target, seed: int) -> Iterator[tuple[bytes, bytes]]:
    """Organisation and session id of one new call after the other."""
    chosen = random.Random(seed)  # noqa: S311 - a load that can be repeated, no secret
    organisations = [org_id.encode() for org_id in target.organisations]
    while True:
        yield chosen.choice(organisations), b"%016x" % chosen.getrandbits(64)


def _batch(target: Target, items: list[bytes]) -> bytes:
    return _post(target, b"/v1/calls/batch", b'{"requests":[' + b",".join(items) + b"]}")


def _post(target: Target, path: bytes, body: bytes) -> bytes:
    return (
        b"POST %b HTTP/1.1\r\nhost: %b\r\nauthorization: Bearer %b\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%b" % (path, target.host.encode(), target.token.encode(), len(body), body)
    )


class _Connection:
    """One connection and the requests that wait to go through it."""

    def __init__(self, target: Target, requests: Iterator[bytes]) -> None:
        self.socket = socket.create_connection((target.host, target.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.due = 0.0
        self._requests = requests
        self._received = b""

    def send(self) -> None:
        self.socket.sendall(next(self._requests))

    def answered(self) -> bool:
        """Read what is there; whether the answer is complete."""
        piece = self.socket.recv(1 << 18)
        if not piece:
            raise NotMeasured("the server closed a connection")
        received = self._received + piece if self._received else piece
        head = received.find(b"\r\n\r\n")
        if head < 0:
            self._received = received
            return False
        if not received.startswith(b"HTTP/1.1 200"):
            raise NotMeasured(f"the server answered {received[:600].decode(errors='replace')}")
        at = received.find(b"content-length: ", 0, head) + len(b"content-length: ")
        complete = len(received) >= head + 4 + int(received[at : received.find(b"\r", at)])
        self._received = b"" if complete else received
        if complete and b'"refused"' in received:
            raise NotMeasured(f"a call of the benchmark was refused: {received[head + 4 : head + 600].decode()}")
        return complete


class Client:
    """A number of connections to one server."""

    def __init__(self, target: Target, *, connections: int, batched: bool, seed: int) -> None:
        """Connect; with *batched* each request is a batch of `BATCH`."""
        make = batches if batched else singles
        self._each = BATCH if batched else 1
        self._epoll = select.epoll()
        self._idle = deque(_Connection(target, make(target, seed * 10_000 + number)) for number in range(connections))
        self._by_number = {connection.socket.fileno(): connection for connection in self._idle}
        for number in self._by_number:
            self._epoll.register(number, select.EPOLLIN)

    def closed_loop(self, seconds: float) -> Round:
        """Ask again as soon as answered, on every connection, for so many seconds; those still out are waited for."""
        begin = time.perf_counter()
        answered = 0
        while self._idle:
            self._idle.popleft().send()
        ends = begin + seconds
        while (now := time.perf_counter()) < ends:
            for connection in self._answers(now + _GIVE_UP_SECONDS):
                answered += 1
                connection.send()
        taken = time.perf_counter() - begin
        self._drain()
        return Round(answered * self._each, taken)

    def open_loop(self, rate: float, seconds: float, seed: int) -> Round:
        """Requests that arrive at random, *rate* a second on average, whether earlier ones are answered or not.

        Latency counts from the arrival: a request that finds every connection busy waits, and its wait is counted.
        """
        chosen = random.Random(seed)  # noqa: S311 - arrivals that can be repeated, no secret
        begin = now = time.perf_counter()
        next_due = begin
        ends = begin + seconds
        latencies: list[float] = []
        while now < ends:
            while next_due <= now and self._idle:
                connection = self._idle.popleft()
                connection.due = next_due
                connection.send()
                next_due += chosen.expovariate(rate)
            arrived = self._poll(0)
            now = time.perf_counter()
            for connection in arrived:
                latencies.append(now - connection.due)
                self._idle.append(connection)
            if not arrived:
                time.sleep(_NAP_SECONDS)
                now = time.perf_counter()
        taken = now - begin
        self._drain()
        return Round(len(latencies) * self._each, taken, sorted(latencies))

    def close(self) -> None:
        """Close every connection."""
        for connection in self._by_number.values():
            connection.socket.close()
        self._epoll.close()

    def _poll(self, seconds: float) -> list[_Connection]:
        """The connections whose answers have come in full."""
        ready = (self._by_number[number] for number, _ in self._epoll.poll(seconds))
        return [connection for connection in ready if connection.answered()]

    def _answers(self, give_up_at: float) -> list[_Connection]:
        while not (found := self._poll(1.0)):
            if time.perf_counter() > give_up_at:
                raise NotMeasured(f"the server gave no answer for {_GIVE_UP_SECONDS:.0f} s")
        return found

    def _drain(self) -> None:
        while len(self._idle) < len(self._by_number):
            self._idle.extend(self._answers(time.perf_counter() + _GIVE_UP_SECONDS))
