"""The counters of `counters.py` as fixtures."""

import fcntl
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gateways.counters import (
    DIFFERENCES,
    LOCALSTRIPE,
    Counter,
    LocalstripeCounter,
    SimulatedCounter,
    StripeCounter,
    served,
)

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture(scope="session")
def localstripe_address() -> Iterator[str]:
    """The address of a localstripe of our own; skips when it cannot be installed."""
    maker = ROOT / "tools" / "localstripe-venv"
    with maker.open() as lock:
        # One worker makes it, the others wait.
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run([maker], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip("localstripe cannot be installed: no package index can be reached from here")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [made.stdout.strip(), ROOT / ".localstripe" / "serve.py", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        while not _answers(address):
            assert process.poll() is None, "localstripe ended"
            time.sleep(0.1)
        yield address
    finally:
        process.terminate()
        process.wait(10)


def _answers(address: str) -> bool:
    try:
        urllib.request.urlopen(address, timeout=5)
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


@pytest.fixture
def stripe_counter() -> Iterator[StripeCounter]:
    """The bank behind HTTP."""
    counter = StripeCounter()
    with served(counter.app) as address:
        counter.serve(address)
        yield counter


@pytest.fixture(
    params=[
        "simulated",
        pytest.param("stripe", marks=pytest.mark.slow),
        pytest.param(LOCALSTRIPE, marks=pytest.mark.slow),
    ]
)
def counter(request) -> Iterator[Counter]:
    """Each of the card providers in turn."""
    if request.param == "simulated":
        yield SimulatedCounter()
    elif request.param == "stripe":
        yield request.getfixturevalue("stripe_counter")
    else:
        name = request.node.originalname
        if name in DIFFERENCES:
            request.applymarker(pytest.mark.xfail(strict=True, reason=f"localstripe: {DIFFERENCES[name]}"))
        yield LocalstripeCounter(request.getfixturevalue("localstripe_address"))
