"""The server as a process of its own: it starts, says why it cannot, stops in order, and dies without a trace."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.api.test_charging import START
from tests.api.world import Tokens, opened_api

SERVE = """
import sys
from gettone.bootstrap import service
from gettone.config import Settings
from gettone.errors import GettoneError
try:
    settings = Settings(database_url=sys.argv[1], bind=sys.argv[2])
    service.serve(settings, ready=lambda address: print(address, flush=True))
except GettoneError as error:
    sys.exit(str(error))
"""


def start(database: Path, bind: str = "127.0.0.1:0") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVE, f"sqlite:///{database}", bind],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@contextlib.contextmanager
def serving(database: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = start(database)
    try:
        address = process.stdout.readline().strip()
        assert address, process.stderr.read()
        yield process, address
    finally:
        process.kill()
        process.communicate()


def headers(tokens: Tokens) -> dict[str, str]:
    return {"Authorization": f"Bearer {tokens.charging}"}


@pytest.mark.slow
def test_the_first_run_makes_the_database(tmp_path):
    with serving(tmp_path / "new.db") as (process, address):
        assert httpx.get(f"{address}/readyz").json() == {"status": "ok", "problems": []}
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0


def failing(database: Path, bind: str = "127.0.0.1:0") -> str:
    process = start(database, bind)
    _, complaint = process.communicate(timeout=60)
    assert process.returncode == 1
    return complaint.strip()


@pytest.mark.slow
def test_a_database_of_an_older_schema_is_not_touched(tmp_path):
    database = tmp_path / "empty.db"
    sqlite3.connect(database).close()

    assert failing(database) == "the database has no tables yet: run: gettone db upgrade"


@pytest.mark.slow
def test_a_port_that_is_taken_is_named_in_one_line(database):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        bind = f"127.0.0.1:{taken.getsockname()[1]}"

        complaint = failing(database, bind)

    assert complaint.startswith(f"cannot listen on {bind}: ")
    assert "GETTONE_BIND" in complaint
    assert "\n" not in complaint


@pytest.mark.slow
def test_both_versions_of_http_are_spoken_on_one_port(database, tokens):
    with serving(database) as (_, address):
        over_http1 = httpx.post(f"{address}/v1/calls", json=START, headers=headers(tokens))
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0")
            frame = connection.recv(9)

    assert over_http1.json()["result"] == "granted"
    # RFC 9113, section 4.1: the fourth byte is the frame's type, and 4 is SETTINGS.
    assert frame[3] == 4


def answered_until_it_stops(address: str, tokens: Tokens, worker: int, answered: list[str]) -> None:
    with httpx.Client(base_url=address, headers=headers(tokens), timeout=30) as client:
        for number in range(100_000):
            session_id = f"{worker}-{number}"
            try:
                response = client.post("/v1/calls", json={**START, "session_id": session_id, "requested_seconds": 1})
            except httpx.TransportError:
                return
            if response.status_code == 503:
                return
            assert response.status_code == 200, response.text
            answered.append(session_id)


@pytest.mark.slow
def test_everything_that_is_accepted_is_answered_before_it_stops(database, tokens):
    answered: list[str] = []
    with serving(database) as (process, address):
        unlimited = httpx.patch(
            f"{address}/v1/organisations/contoso/policies",
            json={"guard": {"concurrent_calls": None}},
            headers={"Authorization": f"Bearer {tokens.admin}"},
        )
        assert unlimited.status_code == 200, unlimited.text
        clients = [
            threading.Thread(target=answered_until_it_stops, args=(address, tokens, worker, answered))
            for worker in range(8)
        ]
        for client in clients:
            client.start()
        while len(answered) < 200 and any(client.is_alive() for client in clients):
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        status = process.wait(60)
        for client in clients:
            client.join()

    with contextlib.closing(sqlite3.connect(database)) as connection:
        charged = {row[0] for row in connection.execute("SELECT session_id FROM call")}
    assert status == 0
    assert charged == set(answered)


@pytest.mark.slow
def test_a_killed_server_leaves_nothing_behind_and_starts_again(database, tokens):
    with serving(database) as (process, address):
        httpx.post(f"{address}/v1/calls", json=START, headers=headers(tokens)).raise_for_status()
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
        process.kill()
        process.wait()
        port = int(address.rpartition(":")[2])
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
    with serving(database) as (_, address):
        again = httpx.post(f"{address}/v1/calls", json=START, headers=headers(tokens))

    assert not children
    assert again.json()["result"] == "granted"


@pytest.mark.slow
def test_uvicorn_serves_the_same_application(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens) as api:
        config = uvicorn.Config(api.gettone.app, port=0, log_level="warning", http="h11", loop="asyncio")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=(server.serve(),))
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers(tokens)) as client:
            started = client.post("/v1/calls", json={**START, "session_id": "a/b@c"})
            stop = {"request_number": 1, "used_seconds": 1}
            stopped = client.post("/v1/calls/a%2Fb%40c/stop", content=json.dumps(stop))
            wallet = client.get("/v1/organisations/contoso/wallet", headers={"Authorization": f"Bearer {tokens.read}"})
        server.should_exit = True
        thread.join()

    assert started.json()["result"] == "granted"
    assert stopped.json()["charged"] == "0.03"
    assert wallet.json()["available"] == "19.97"


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() == 0, reason="root may listen on every port")
def test_an_address_that_is_not_allowed_is_named(database):
    assert failing(database, "127.0.0.1:1").startswith("cannot listen on 127.0.0.1:1: ")


@pytest.mark.slow
def test_an_address_of_another_machine_is_named(database):
    assert failing(database, "192.0.2.1:8080").startswith("cannot listen on 192.0.2.1:8080: ")
