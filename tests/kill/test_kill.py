"""kill -9 at random moments under load: what was acknowledged is there, once, and the books are in order.

The load is that of licensed users whose calls meet every kind of limit; tallies are books like the others.

Clients drive calls through a real ``gettone serve``. Whatever is not answered, because the process died or said that it
was unavailable, they send again unchanged, as a switch does. After each restart every answer given since the one before
is asked for again, with a sample of the older ones, and must be the same; at the end all of them are. By then all is
acknowledged, so what the clients were told adds up to the ledger: nothing lost, nothing doubled.
"""

import contextlib
import http.client
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from gettone.operations.keys import create_key
from gettone.operations.policies import PolicyChanges, change_policies, change_user_policy
from gettone.storage.office import open_office
from tests.support.world import World, sqlite_url

KILLS = int(os.environ.get("GETTONE_TEST_KILLS", "50"))
CLIENTS = 4
BATCH = 6
SAMPLE = 200
DECK = "country,price,connection_charge,increments\nGB,0.0100,0.0200,60/60\nUS,0.0300,0,60/60\n"
PATIENCE_SECONDS = 120

USERS = {
    "plan": (["MCOPSTN1", "MCOPSTNC"], "Sales"),
    "payg": (["MCOPSTN_PAYG_1", "MCOPSTNC"], "Sales"),
    "world": (["MCOPSTN2", "MCOPSTNC"], "Support"),
    "own": (["SPE_E5_CALLINGMINUTES", "MCOPSTNC"], "Support"),
}
SPENDING_LIMIT = 3_000_000
LIMITS = {
    "rich": {"guard": {"concurrent_calls": 25}, "group_limits_micros": {"department/Sales": 8_000_000}},
    "poor": {"guard": {"concurrent_calls": 15, "user_hour_micros": 4_000_000, "block_hours": 0}},
}
"""Low enough that each is met, and high enough that calls go on."""

MET = ("too_many_calls", "spend_limit_reached", "group_spend_limit_reached", "international_spend_limit")
"""Reasons for a refusal that the limits give, each of which is met within a few kills."""

pytestmark = pytest.mark.slow


class Server:
    """``gettone serve`` as a process of its own, on one port for all its lives."""

    def __init__(self, folder: Path, url: str, token: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "server.log"
        self.environment = {**os.environ, "GETTONE_DATABASE_URL": url, "GETTONE_BIND": f"127.0.0.1:{self.port}"}
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        command = [Path(sys.executable).with_name("gettone"), "serve"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self.ready():
            assert self.process.poll() is None, "the server ended by itself"
            assert time.monotonic() < deadline, "the server did not come up"
            time.sleep(0.02)

    def ready(self) -> bool:
        try:
            with contextlib.closing(self.connect()) as connection:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == http.client.OK
        except OSError:
            return False

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def charge(self, connection: http.client.HTTPConnection, requests: list[dict]) -> list[dict]:
        connection.request("POST", "/v1/calls/batch", json.dumps({"requests": requests}), self.headers)
        response = connection.getresponse()
        body = response.read()
        if response.status != http.client.OK:
            raise ConnectionError(f"{response.status}: {body[:200]!r}")
        return json.loads(body)["answers"]

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)


class Client(threading.Thread):
    """A switch: starts calls, extends them, stops them, and insists on every answer."""

    def __init__(self, server: Server, seed: int) -> None:
        super().__init__(name=f"client-{seed}")
        self.server = server
        self.seed = seed
        self.random = random.Random(seed)
        self.calls: dict[str, dict] = {}
        self.begun = 0
        self.acknowledged: list[tuple[dict, dict]] = []
        self.insisted = 0
        self.going = threading.Event()
        self.going.set()
        self.resting = threading.Event()
        self.ending = False
        self.failure: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.ending:
                self.insist([self.next_request() for _ in range(BATCH)])
            while self.calls:
                self.insist([self.stop(session_id) for session_id in list(self.calls)[:BATCH]])
        except BaseException as error:  # noqa: BLE001 - told to the test, which fails with it
            self.failure = error
        finally:
            self.resting.set()

    def insist(self, requests: list[dict]) -> None:
        """Send *requests* until all of them are answered; meanwhile the server may die."""
        connection = self.server.connect()
        waiting = requests
        while waiting:
            if not self.going.is_set():
                self.resting.set()
                self.going.wait()
            try:
                answers = self.server.charge(connection, waiting)
            except (OSError, http.client.HTTPException):
                self.insisted += 1
                connection.close()
                time.sleep(0.01)
                continue
            told = list(zip(waiting, answers, strict=True))
            waiting = [request for request, answer in told if answer.get("reason") == "unavailable"]
            for request, answer in told:
                if answer.get("reason") != "unavailable":
                    self.note(request, answer)
        connection.close()

    def note(self, request: dict, answer: dict) -> None:
        self.acknowledged.append((request, answer))
        if request["op"] == "stop" or answer["result"] == "refused":
            self.calls.pop(request["session_id"], None)

    def next_request(self) -> dict:
        if len(self.calls) < 20 or self.random.random() < 0.2:
            return self.start_call()
        session_id = self.random.choice(list(self.calls))
        return self.stop(session_id) if self.random.random() < 0.3 else self.update(session_id)

    def start_call(self) -> dict:
        self.begun += 1
        session_id = f"{self.seed}-{self.begun}"
        org_id = self.random.choice(["rich", "rich", "poor"])
        self.calls[session_id] = {"org_id": org_id, "number": 0, "used": 0}
        called, user = self.random.choice(["+442079460123", "+12125550123"]), self.random.choice(list(USERS))
        start = {"op": "start", "session_id": session_id, "org_id": org_id, "user": user, "called": called}
        return {**start, "requested_seconds": 3600}

    def following(self, session_id: str) -> dict:
        call = self.calls[session_id]
        call["number"] += 1
        call["used"] += self.random.randrange(300)
        words = {"session_id": session_id, "org_id": call["org_id"]}
        return {**words, "request_number": call["number"], "used_seconds": call["used"]}

    def update(self, session_id: str) -> dict:
        return {"op": "update", "requested_seconds": 3600, **self.following(session_id)}

    def stop(self, session_id: str) -> dict:
        stop = {"op": "stop", **self.following(session_id)}
        del self.calls[session_id]
        return stop


def repeat(server: Server, told: list[tuple[dict, dict]]) -> None:
    """Ask again what was asked: every answer is the one that was given, but for refusals that left no trace."""
    connection = server.connect()
    for start in range(0, len(told), 500):
        part = told[start : start + 500]
        again = server.charge(connection, [request for request, _ in part])
        for (request, before), answer in zip(part, again, strict=True):
            assert answer == before, f"{request}\nwas answered {before}\nand now {answer}"
    connection.close()


def seeded(folder: Path) -> tuple[str, str]:
    """Make a database with two organisations; return its URL and a token for charging."""
    url = sqlite_url(folder, "kill.db")
    with World(url) as world:
        world.now = datetime.now(UTC)
        world.deck(DECK)
        for org_id, micros in {"rich": 10**12, "poor": 30_000_000}.items():
            world.organisation(org_id)
            for user, (products, department) in USERS.items():
                world.user(org_id, user, "US", products, department=department)
            world.fund(org_id, micros, reference="first")
            limits = PolicyChanges(**LIMITS[org_id])
            change_policies(world.office, org_id, limits, world.now, "the test")
            change_user_policy(world.office, org_id, "payg", world.now, "the test", limit_micros=SPENDING_LIMIT)
        office = open_office(url)
        token = create_key(office, scope="charging", now=world.now).token
        office.close()
    return url, token


def findings(url: str) -> list[str]:
    with World(url) as world:
        world.now = datetime.now(UTC)
        return [str(finding) for finding in world.findings()]


def test_kill_9_loses_and_doubles_nothing(tmp_path):
    url, token = seeded(tmp_path)
    server, chance = Server(tmp_path, url, token), random.Random(0)
    clients = [Client(server, seed) for seed in range(CLIENTS)]
    server.start()
    for client in clients:
        client.start()
    checked = [0] * CLIENTS

    try:
        for _ in range(KILLS):
            time.sleep(chance.uniform(0.05, 0.5))
            server.kill()
            for client in clients:
                client.resting.clear()
                client.going.clear()
            server.start()
            for client in clients:
                assert client.resting.wait(PATIENCE_SECONDS)
                assert client.failure is None, client.failure
            told = [(one.acknowledged, checked[at]) for at, one in enumerate(clients)]
            repeat(server, [pair for acknowledged, since in told for pair in acknowledged[since:]])
            older = [pair for acknowledged, since in told for pair in acknowledged[:since]]
            repeat(server, chance.sample(older, min(SAMPLE, len(older))))
            assert not findings(url)
            checked = [len(client.acknowledged) for client in clients]
            for client in clients:
                client.going.set()
    finally:
        for client in clients:
            client.ending = True
            client.going.set()
        for client in clients:
            client.join(PATIENCE_SECONDS)

    everything = [pair for client in clients for pair in client.acknowledged]
    repeat(server, everything)
    server.process.terminate()
    assert server.process.wait(PATIENCE_SECONDS) == 0
    assert all(client.failure is None for client in clients)
    assert sum(client.insisted for client in clients) >= KILLS, "hardly a request was under way when the server died"
    check_the_books(url, everything)
    met = Counter(answer.get("reason") for _, answer in everything)
    assert all(met[reason] for reason in MET), met
    verified = subprocess.run(
        [Path(sys.executable).with_name("gettone"), "verify"], env=server.environment, capture_output=True, check=False
    )
    assert verified.returncode == 0, verified.stdout


def check_the_books(url: str, everything: list[tuple[dict, dict]]) -> None:
    """What the clients were told is what the ledger says, to the micro."""
    names = [(request["org_id"], request["session_id"], request.get("request_number", 0)) for request, _ in everything]
    assert len(set(names)) == len(names)
    with World(url) as world:
        assert not world.open_calls()
        for org_id in ("rich", "poor"):
            charged = sum(
                int(Decimal(answer["charged"]) * 1_000_000)
                for request, answer in everything
                if request["org_id"] == org_id and answer["result"] == "settled"
            )
            assert charged > 0
            assert world.ledger(org_id)["usage"] == charged
