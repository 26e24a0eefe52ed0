"""Serving the application with granian, inside this process.

granian's embedded server is chosen because one process is then server and charging desk: ``kill -9`` of it leaves
nothing behind, and HTTP/1.1 and cleartext HTTP/2 share one port. `docs/reference/http-api.md` has the measurements.

On SIGTERM or SIGINT no more connections are taken, every request that was accepted is answered, and `serve` returns.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from collections.abc import Callable

import uvloop
from granian.constants import HTTPModes, Interfaces
from granian.server.embed import Server

from gettone.api.app import App
from gettone.errors import ConfigurationError

logger = logging.getLogger(__name__)

CONNECTIONS_MAX = 4096
SWITCH_SECONDS = 0.001
"""How soon the loop gets the interpreter back from a desk that is deciding. With Python's own 5 ms the slowest answers
took half as long again, at the same throughput."""
_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def check_address(host: str, port: int) -> int:
    """Return the port to serve on: *port*, or for 0 a free one.

    Raises:
        ConfigurationError: the address cannot be listened on.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {reason}; stop what uses it or set GETTONE_BIND to another address"
        ) from None


def serve(app: App, host: str, port: int, *, ready: Callable[[], None], closing: Callable[[], None]) -> None:
    """Serve *app* until SIGTERM or SIGINT; *ready* is called when it listens, *closing* when it is told to stop.

    *port* is one that `check_address` returned. To be called in the main thread, which is the one that hears signals.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(app, host, port, ready, closing))


async def _serve(app: App, host: str, port: int, ready: Callable[[], None], closing: Callable[[], None]) -> None:
    server = Server(
        app,
        host,
        port,
        interface=Interfaces.ASGI,
        http=HTTPModes.auto,
        websockets=False,
        backlog=1024,
        backpressure=CONNECTIONS_MAX,
        log_enabled=False,
    )

    def stop() -> None:
        closing()
        server.stop()  # type: ignore[no-untyped-call]  # granian is not typed

    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stop)
    announcing = loop.create_task(_announce(host, port, ready))
    try:
        await server.serve()
    finally:
        announcing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await announcing


async def _announce(host: str, port: int, ready: Callable[[], None]) -> None:
    """Call *ready* once connections are taken."""
    while True:
        try:
            _, writer = await asyncio.open_connection(host, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            ready()
            return
