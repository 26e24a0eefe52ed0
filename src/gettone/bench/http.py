"""Charging over HTTP: ``gettone serve`` in a process of its own, switches in another, on the loopback.

The limit is the same web server with an application that reads the body and answers the same few bytes every time.
"""

import contextlib
import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from typing import Any

from gettone.bench import world
from gettone.bench.client import Client, Round, Target
from gettone.bench.measuring import NotMeasured, Result, duration, rounded
from gettone.bench.sizes import Sizes
from gettone.operations.keys import CHARGING, create_key
from gettone.storage.office import open_office

HOST = "127.0.0.1"
START_SECONDS_MAX = 60
_BATCH_CONNECTIONS = 8


def charge(folder: Path, sizes: Sizes) -> list[Result]:
    """Single requests, their latencies at half of that load, and batches."""
    with _servers(folder, sizes) as (gettone, plain), _switches(gettone, plain, sizes) as ask:
        rates: dict[str, list[float]] = {"single": [], "plain": [], "batch": [], "plain batch": []}
        for turn in range(sizes.rounds + 1):
            for what, found in rates.items():
                did = ask("closed", what, sizes.http_seconds)
                if turn:
                    found.append(did.requests / did.seconds)
        half = median(rates["single"]) / 2
        calm = {
            what: [ask("open", what, half, sizes.http_seconds * 2, seed) for seed in range(3)]
            for what in ("single", "plain")
        }
    return [
        _rate("charge_http", rates["single"], rates["plain"]),
        _latency("charge_http_p50_ms", 0.5, calm),
        _latency("charge_http_p99_ms", 0.99, calm),
        _rate("charge_http_batch", rates["batch"], rates["plain batch"]),
    ]


def _rate(name: str, rates: list[float], limits: list[float]) -> Result:
    value, limit = median(rates), median(limits)
    return Result(
        name=name, value=rounded(value), unit="requests/s", limit=rounded(limit), ratio=rounded(value / limit)
    )


def _latency(name: str, share: float, calm: Mapping[str, list[Round]]) -> Result:
    value, limit = (median(did.latency_ms(share) for did in calm[what]) for what in ("single", "plain"))
    return duration(name, "ms", value, limit)


@contextlib.contextmanager
def _servers(folder: Path, sizes: Sizes) -> Iterator[tuple[Target, Target]]:
    """Our server over a database of its own, and the plain one, for the length of the block."""
    url = f"sqlite:///{folder / 'charge_http.db'}"
    organisations = tuple(world.make(url, sizes.organisations))
    with contextlib.closing(open_office(url)) as office:
        token = create_key(office, scope=CHARGING, now=datetime.now(UTC), label="bench").token
    port, plain_port = _free_port(), _free_port()
    settings = {"GETTONE_DATABASE_URL": url, "GETTONE_BIND": f"{HOST}:{port}", "GETTONE_LOG_LEVEL": "warning"}
    target = Target(HOST, port, token, organisations)
    with (
        _running("gettone", "serve", settings=settings) as gettone,
        _running("gettone.bench.plain", str(plain_port), settings={}) as plain,
    ):
        _wait_for(port, gettone)
        _wait_for(plain_port, plain)
        yield target, replace(target, port=plain_port)


@contextlib.contextmanager
def _running(module: str, *arguments: str, settings: Mapping[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    program = [sys.executable, "-m", module, *arguments]
    process = subprocess.Popen(program, env=os.environ | settings, stdout=subprocess.DEVNULL, start_new_session=True)  # noqa: S603 - our own program
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(START_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    give_up_at = time.monotonic() + START_SECONDS_MAX
    while process.poll() is None and time.monotonic() < give_up_at:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
            return
        time.sleep(0.05)
    raise NotMeasured("a server of the benchmark did not start; its own words stand above")


class _Asking:
    """Tells the switches, in their process, what to do next."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe

    def __call__(self, how: str, what: str, *values: float) -> Round:
        self._pipe.send((how, what, values))
        try:
            came: Any = self._pipe.recv()
        except EOFError:
            raise NotMeasured("the client of the benchmark has ended; its own words stand above") from None
        if isinstance(came, str):
            raise NotMeasured(came)
        assert isinstance(came, Round)
        return came


@contextlib.contextmanager
def _switches(gettone: Target, plain: Target, sizes: Sizes) -> Iterator[_Asking]:
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=_switch, args=(theirs, gettone, plain, sizes), daemon=True
    )
    process.start()
    theirs.close()
    try:
        yield _Asking(ours)
    finally:
        ours.close()
        process.join(START_SECONDS_MAX)


def _switch(pipe: Connection, gettone: Target, plain: Target, sizes: Sizes) -> None:
    """The life of the client process: do as asked until the pipe is closed."""
    few = min(_BATCH_CONNECTIONS, sizes.connections)
    clients = {
        "single": Client(gettone, connections=sizes.connections, batched=False, seed=1),
        "plain": Client(plain, connections=sizes.connections, batched=False, seed=2),
        "batch": Client(gettone, connections=few, batched=True, seed=3),
        "plain batch": Client(plain, connections=few, batched=True, seed=4),
    }
    try:
        while True:
            how, what, values = pipe.recv()
            client = clients[what]
            try:
                pipe.send(client.closed_loop(*values) if how == "closed" else client.open_loop(*values))
            except NotMeasured as error:
                pipe.send(str(error))
    except EOFError:
        for client in clients.values():
            client.close()
