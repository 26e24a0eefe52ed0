"""The demo's service: the real one, in a process of its own, on a free port, over a database that is thrown away."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from gettone.config import SIMULATOR
from gettone.errors import ConfigurationError, GettoneError

START_SECONDS_MAX = 30


class ServiceFailed(GettoneError):
    """The service does not answer."""


class Service:
    """A running ``gettone serve``."""

    def __init__(self, database_url: str, bind: str, folder: Path, mails: Path) -> None:
        """Start it; its log goes to *folder*, what it mails into the mailbox *mails*. Cards are the simulator's."""
        host, _, port = (bind or "127.0.0.1:0").rpartition(":")
        self.host = host.strip("[]")
        self.port = int(port) if bind else _free_port()
        self._log = folder / "service.log"
        environment = {name: value for name, value in os.environ.items() if not name.startswith("GETTONE_")}
        environment |= {
            "GETTONE_DATABASE_URL": database_url,
            "GETTONE_BIND": f"{host}:{self.port}",
            "GETTONE_PAYMENTS": SIMULATOR,
            "GETTONE_MAIL_URL": f"file://{mails}",
        }
        with self._log.open("wb") as log:
            # A session of its own: Ctrl-C is for the demo, which then ends the service properly.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gettone", "serve"],
                env=environment,
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def address(self) -> str:
        """Where it answers."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def wait_until_ready(self) -> None:
        """Return when it takes calls; raises `ServiceFailed`."""
        deadline = time.monotonic() + START_SECONDS_MAX
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise ServiceFailed(f"the service ended at once: {self.last_words()}")
            try:
                with urllib.request.urlopen(f"{self.address}/readyz", timeout=2) as answer:  # noqa: S310 - our own address
                    if answer.status == 200:
                        return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        raise ServiceFailed(f"the service was not ready after {START_SECONDS_MAX} s: {self.last_words()}")

    def wait(self) -> int:
        """Wait until it ends by itself."""
        return self._process.wait()

    def stop(self) -> None:
        """End it; it answers what it has accepted first."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def last_words(self) -> str:
        """The last line of its log."""
        lines = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def check_bind(bind: str) -> None:
    """Raise `ConfigurationError` when *bind* is no address and port."""
    host, _, port = bind.rpartition(":")
    if bind and not (host and port.isdigit() and 0 < int(port) < 65536):
        raise ConfigurationError(f"bind {bind!r}: write an address and a port, such as 127.0.0.1:8080")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
