"""Two processes on one PostgreSQL fight over the same wallets: never overdrawn, and the books add up."""

import random
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from gettone.operations.messages import Grant, Refused, Settled, StartCall, StopCall, UpdateCall
from tests.support.world import World

pytestmark = pytest.mark.slow

BATCHES = 150
ORGANISATIONS = {"even": 100_000_000, "scarce": 300_000}
"""Credit in micros: enough for all, and enough for a few calls at a time."""

CALLED = "+442079460123"


def fight(url: str, worker: int) -> dict:
    """Run calls as fast as they are answered; return what was charged by organisation, and how often there was none."""
    draw = random.Random(worker)
    running: dict[str, tuple[str, int, int, int]] = {}
    charged, refused, overrun = dict.fromkeys(ORGANISATIONS, 0), 0, 0
    with World(url) as world:
        for number in range(BATCHES):
            asked = draw.sample(sorted(running), min(4, len(running)))
            requests = [start(f"{worker}-{number}-{index}", draw) for index in range(3)]
            requests += [follow(session_id, running[session_id], draw) for session_id in asked]
            for request, answer in zip(requests, world.charge(*requests), strict=True):
                session_id = request.session_id
                match answer:
                    case Grant():
                        used = getattr(request, "used_seconds", 0)
                        granted_to = used + answer.granted_seconds
                        running[session_id] = (request.org_id, used, request.request_number, granted_to)
                    case Settled():
                        charged[request.org_id] += answer.charged_micros
                        overrun += answer.overrun_micros
                        del running[session_id]
                    case Refused():
                        refused += 1
        for session_id, (org_id, used, at, _) in list(running.items()):
            stop = StopCall(session_id=session_id, org_id=org_id, request_number=at + 1, used_seconds=used)
            [settled] = world.charge(stop)
            charged[org_id] += settled.charged_micros
    return {"charged": charged, "refused": refused, "overrun": overrun}


def start(session_id: str, draw: random.Random) -> StartCall:
    org_id = draw.choice(sorted(ORGANISATIONS))
    return StartCall(session_id=session_id, org_id=org_id, user="anna", called=CALLED, requested_seconds=300)


def follow(session_id: str, call: tuple[str, int, int, int], draw: random.Random) -> UpdateCall | StopCall:
    """Report usage within what was granted, and ask for more or end."""
    org_id, used, at, granted_to = call
    words = {"session_id": session_id, "org_id": org_id, "request_number": at + 1}
    used = draw.randint(used, max(used, granted_to))
    return StopCall(used_seconds=used, **words) if draw.random() < 0.5 else UpdateCall(used_seconds=used, **words)


def test_two_processes_never_overdraw_one_wallet(migrated_postgres_url):
    url = migrated_postgres_url
    with World(url) as world:
        world.deck("country,price,connection_charge,increments\nGB,0.0100,0,60/60\n")
        for org_id, micros in ORGANISATIONS.items():
            world.organisation(org_id)
            world.user(org_id, "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
            world.fund(org_id, micros, reference="first")

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        outcomes = [outcome.result(300) for outcome in [pool.submit(fight, url, worker) for worker in (1, 2)]]

    assert sum(outcome["refused"] for outcome in outcomes) > 0, "the scarce wallet was never exhausted"
    assert sum(outcome["overrun"] for outcome in outcomes) == 0
    with World(url) as world:
        assert not world.open_calls()
        assert not world.findings()
        for org_id, micros in ORGANISATIONS.items():
            charged = sum(outcome["charged"][org_id] for outcome in outcomes)
            wallet = world.wallet(org_id)
            assert charged > 0
            assert world.ledger(org_id).get("usage", 0) == charged
            assert (wallet.posted_micros, wallet.held_micros, wallet.overrun_micros) == (micros - charged, 0, 0)
