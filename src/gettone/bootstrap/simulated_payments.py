"""Serves the payment simulator: its HTTP face with uvicorn, and its messages to whoever is to hear them.

A message that is not taken is sent again, after a while that grows, as a provider does.
"""

import asyncio
import contextlib
import logging
import signal
import socket
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import uvicorn

from gettone.api.server import check_address
from gettone.bootstrap import utc_now
from gettone.errors import ConfigurationError
from gettone.gateways.simulator.bank import Bank
from gettone.gateways.simulator.faults import Faults
from gettone.gateways.simulator.http import SimulatorApp
from gettone.gateways.simulator.things import Event
from gettone.gateways.simulator.wire import signed_message

logger = logging.getLogger(__name__)

SEND_AGAIN = (timedelta(seconds=5), timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1))
PAUSE_SECONDS = 0.25
ANSWER_SECONDS = 10


def serve_simulator(
    host: str, port: int, *, events_to: str, secret: str, seed: int | None, ready: Callable[[str], None]
) -> None:
    """Serve until SIGTERM or SIGINT, on a free port for port 0; *ready* is told the address when it listens.

    Messages signed with *secret* go to *events_to* if that is not empty. With a *seed* questions, answers and messages
    get lost, come late or twice. Raises `ConfigurationError` when messages cannot be sent there, or the address
    cannot be listened on.
    """
    if events_to and not events_to.startswith(("http://", "https://")):
        raise ConfigurationError(f"--events-to {events_to}: write an address that begins with http:// or https://")
    port = check_address(host, port)
    bank = Bank(utc_now, Faults(seed))
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    app = SimulatorApp(bank, address=address)
    config = uvicorn.Config(app, host, port, log_config=None, access_log=False, lifespan="off", ws="none")
    # uvicorn ends in order on SIGTERM and then sends it to itself once more.
    signal.signal(signal.SIGTERM, lambda *_: None)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_served(_Server(config, lambda: ready(address)), Messenger(bank, events_to, secret, address)))


class _Server(uvicorn.Server):
    """A server that tells when it listens."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()


async def _served(server: _Server, messenger: "Messenger") -> None:
    serving = asyncio.create_task(server.serve())
    while not serving.done():
        await messenger.deliver()
        await asyncio.wait([serving], timeout=PAUSE_SECONDS)
    await serving


class Messenger:
    """Carries the messages of a bank."""

    def __init__(self, bank: Bank, events_to: str, secret: str, address: str) -> None:
        """Carry them to *events_to*; with an empty one they are dropped."""
        self._bank, self._events_to, self._secret, self._address = bank, events_to, secret, address
        self._tries: Counter[str] = Counter()

    async def deliver(self) -> None:
        """Deliver what is due."""
        for event in self._bank.messages():
            if self._events_to and not await asyncio.to_thread(self._sent, event):
                tries = self._tries[event.event_id]
                self._tries[event.event_id] += 1
                if tries < len(SEND_AGAIN):
                    self._bank.send_again(event, SEND_AGAIN[tries])

    def _sent(self, event: Event) -> bool:
        body, headers = signed_message(event, self._secret, utc_now(), self._address)
        request = urllib.request.Request(self._events_to, body, headers, method="POST")  # noqa: S310 - http(s) only, see above
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS):  # noqa: S310 - the same
                return True
        except (OSError, urllib.error.HTTPError) as error:
            logger.warning("message %s (%s) was not taken: %s", event.event_id, event.kind, error)
            return False
