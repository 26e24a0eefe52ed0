"""A disk that is full or read-only: requests are answered ``unavailable``, and nothing acknowledged is lost.

Charging goes on by itself when the disk does.
"""

import resource
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from gettone.domain.refusals import Refusal
from gettone.operations.messages import Grant, Refused, Settled, StartCall, StopCall
from tests.support.world import World, charging_store, sqlite_url

CALLED = "+442079460123"


def a_world(url: str, store=None) -> World:
    world = World(url, store=store)
    world.deck("country,price,connection_charge,increments\nGB,0.0100,0,60/60\n")
    world.organisation("acme")
    world.user("acme", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
    world.fund("acme", 10**12, reference="first")
    return world


def start(number: int) -> StartCall:
    return StartCall(session_id=f"s{number}", org_id="acme", user="anna", called=CALLED)


def stop(number: int) -> StopCall:
    return StopCall(session_id=f"s{number}", org_id="acme", request_number=1, used_seconds=90)


def unavailable(answer) -> bool:
    return isinstance(answer, Refused) and answer.reason is Refusal.UNAVAILABLE


def fill_the_disk(folder: str) -> int:
    """Run calls until files may not grow any more, and on when they may; return how often nothing could be written."""
    world = a_world(sqlite_url(Path(folder)))
    told, failed = [], 0
    log = Path(folder) / "world.db-wal"
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    for number in range(120):
        # The disk is full whenever the log has grown by 40 kB, and a little later there is space again.
        if number % 60 == 15:
            resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 40_000, hard))
        if number % 60 == 40:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, hard))
        requests = [start(number), stop(number)]
        answers = world.charge(*requests)
        if any(map(unavailable, answers)):
            assert all(map(unavailable, answers)), "a batch is committed whole or not at all"
            failed += 1
        else:
            told += zip(requests, answers, strict=True)
        for request, answer in told[-2:]:
            assert world.charge(request) == [answer], "what was acknowledged is there, also while the disk is full"
    assert not unavailable(answers[0]), "charging goes on when there is space again"
    for request, answer in told:
        assert world.charge(request) == [answer]
    charged = sum(answer.charged_micros for _, answer in told if isinstance(answer, Settled))
    assert world.ledger("acme")["usage"] == charged
    assert not world.findings()
    world.close()
    return failed


def test_a_full_disk_refuses_and_recovers(tmp_path):
    # The limit on file sizes is one of the whole process, so another one meets it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        failed = pool.submit(fill_the_disk, str(tmp_path)).result(120)

    assert failed >= 20


def test_a_read_only_disk_refuses_and_recovers(tmp_path, monkeypatch):
    url = sqlite_url(tmp_path)
    store = charging_store(url)
    connect = store._connect

    def read_only():
        connection = connect()
        connection.execute("PRAGMA query_only = ON")
        return connection

    with a_world(url, store) as world:
        before = world.charge(start(1))
        monkeypatch.setattr(store, "_connect", read_only)
        store._disconnect()
        contents = world.contents()

        assert all(map(unavailable, world.charge(stop(1), start(2))))
        assert all(map(unavailable, world.charge(start(2))))
        assert world.contents() == contents

        monkeypatch.undo()
        store._disconnect()
        assert world.charge(start(1)) == before
        [settled, granted] = world.charge(stop(1), start(2))
        assert isinstance(settled, Settled)
        assert isinstance(granted, Grant)
        assert not world.findings()


def test_a_file_that_vanishes_is_never_replaced_by_an_empty_one(tmp_path):
    url = sqlite_url(tmp_path)
    with a_world(url) as world:
        world.charge(start(1))
        world.charging._store._disconnect()
        (tmp_path / "world.db").rename(tmp_path / "elsewhere.db")

        assert all(map(unavailable, world.charge(start(2))))
        assert not (tmp_path / "world.db").exists()

        (tmp_path / "elsewhere.db").rename(tmp_path / "world.db")
        assert isinstance(world.charge(start(2))[0], Grant)
