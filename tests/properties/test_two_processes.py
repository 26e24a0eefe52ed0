"""Two processes on one PostgreSQL fight over the same wallets and limits: never overdrawn, and the books add up.

What another process changes counts for the next batch: nothing that is cached is ever stale.
"""

import random
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from gettone.operations import bars, blocks, catalogue, directory, policies
from gettone.operations.messages import Grant, Refused, Settled, StartCall, StopCall, UpdateCall
from gettone.operations.notices import BLOCK_REASONS
from gettone.operations.policies import PolicyChanges
from tests.support.world import World, sqlite_url

pytestmark = pytest.mark.slow

BATCHES = 150
ORGANISATIONS = {"even": 100_000_000, "scarce": 300_000, "limited": 100_000_000}
"""Credit in micros: enough for all, enough for a few calls at a time, and enough if it were not for the limits."""

USERS = ("anna", "ben")
LIMITS = {"user/anna": 300_000, "department/Sales": 1_000_000}
CONCURRENT = 2
MONTH = 202611

CALLED = "+442079460123"
DECK = "country,price,connection_charge,increments\nGB,0.0100,0,60/60\n"
LICENCES = ["MCOPSTN_PAYG_1", "MCOPSTNC"]


@pytest.fixture
def other_process():
    """Return a way to run a function in another process, and wait for what it returns."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        yield lambda *call: pool.submit(*call).result(120)


def fight(url: str, worker: int) -> dict:
    """Run calls as fast as they are answered; return what was charged by organisation, why not, and what was seen."""
    draw = random.Random(worker)
    running: dict[str, tuple[str, int, int, int]] = {}
    charged, refused, overrun, seen = dict.fromkeys(ORGANISATIONS, 0), Counter(), 0, Counter()
    with World(url) as world:
        for number in range(BATCHES):
            asked = draw.sample(sorted(running), min(6, len(running)))
            requests = [start(f"{worker}-{number}-{index}", draw) for index in range(4)]
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
                        refused[answer.reason.value] += 1
            seen |= figures(world)
        for session_id, (org_id, used, at, _) in list(running.items()):
            stop = StopCall(session_id=session_id, org_id=org_id, request_number=at + 1, used_seconds=used)
            [settled] = world.charge(stop)
            charged[org_id] += settled.charged_micros
    return {"charged": charged, "refused": refused, "overrun": overrun, "seen": seen}


def figures(world: World) -> Counter:
    """Return what the limited organisation's subjects have spent and may spend, and how many calls they have."""
    with world.office.read() as unit:
        there = unit.policies.tallies("limited", MONTH, "", 100)
    committed = {tally.subject: tally.committed_micros for tally in there}
    return Counter(committed | {("calls", tally.subject): tally.open_calls for tally in there})


def start(session_id: str, draw: random.Random) -> StartCall:
    org_id, user = draw.choice(sorted(ORGANISATIONS)), draw.choice(USERS)
    return StartCall(session_id=session_id, org_id=org_id, user=user, called=CALLED, requested_seconds=300)


def follow(session_id: str, call: tuple[str, int, int, int], draw: random.Random) -> UpdateCall | StopCall:
    """Report usage within what was granted, and ask for more or end."""
    org_id, used, at, granted_to = call
    words = {"session_id": session_id, "org_id": org_id, "request_number": at + 1}
    used = draw.randint(used, max(used, granted_to))
    return StopCall(used_seconds=used, **words) if draw.random() < 0.5 else UpdateCall(used_seconds=used, **words)


def test_two_processes_never_overdraw_one_wallet_nor_go_past_one_limit(migrated_postgres_url):
    url = migrated_postgres_url
    with World(url) as world:
        world.deck(DECK)
        for org_id, micros in ORGANISATIONS.items():
            world.organisation(org_id)
            for user in USERS:
                world.user(org_id, user, "US", LICENCES, department="Sales")
            world.fund(org_id, micros, reference="first")
            set_limits(world, org_id)

    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        outcomes = [outcome.result(300) for outcome in [pool.submit(fight, url, worker) for worker in (1, 2)]]

    refused = sum((outcome["refused"] for outcome in outcomes), Counter())
    for reason in ("insufficient_credit", "spend_limit_reached", "group_spend_limit_reached", "too_many_calls"):
        assert refused[reason] > 0, f"nobody met {reason}"
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
        seen = figures(world)
    for outcome in outcomes:
        seen |= outcome["seen"]
    # The department reaches its limit to the minute; no moment was seen when somebody was past a limit.
    assert seen["department/Sales"] == LIMITS["department/Sales"]
    assert 0 < seen["user/anna"] <= LIMITS["user/anna"]
    assert 0 < max(seen["calls", f"user/{user}"] for user in USERS) <= CONCURRENT


def set_limits(world: World, org_id: str) -> None:
    """Switch off what the guard limits, but for the organisation that is about limits."""
    guard = {"concurrent_calls": None, "user_hour_micros": None, "organisation_hour_micros": None}
    changes = PolicyChanges(guard=guard)
    if org_id == "limited":
        changes = PolicyChanges(
            guard={"concurrent_calls": CONCURRENT},
            group_limits_micros={"department/Sales": LIMITS["department/Sales"]},
        )
        policies.change_user_policy(
            world.office, org_id, "anna", world.now, "the test", limit_micros=LIMITS["user/anna"]
        )
    policies.change_policies(world.office, org_id, changes, world.now, "the test")


# -- what another process changes --------------------------------------------------------------------------------------


def limit_to_nothing(world: World) -> None:
    policies.change_user_policy(world.office, "acme", "anna", world.now, "another", limit_micros=0)


def limit_the_department(world: World) -> None:
    changes = PolicyChanges(group_limits_micros={"department/Sales": 0})
    policies.change_policies(world.office, "acme", changes, world.now, "another")


def allow_a_call_less(world: World) -> None:
    changes = PolicyChanges(guard={"concurrent_calls": 1})
    policies.change_policies(world.office, "acme", changes, world.now, "another")


def restrict_to_domestic(world: World) -> None:
    policies.change_user_policy(
        world.office, "acme", "anna", world.now, "another", dial_out="DialoutCPCInternationalPSTNDomestic"
    )


def block(world: World) -> None:
    blocks.block_user(world.office, "acme", "anna", next(iter(BLOCK_REASONS)), world.now, by="another")


def bar_the_country(world: World) -> None:
    bars.add_bar(world.office, "acme", "+44", world.now)


def take_all_licences(world: World) -> None:
    world.license("acme", "anna", [])


def take_the_credits_licence(world: World) -> None:
    world.license("acme", "anna", ["MCOPSTN_PAYG_1"])


def close(world: World) -> None:
    directory.close_organisation(world.office, "acme")


def serve_the_country_no_longer(world: World) -> None:
    rows = "country,effective_from,effective_until,source\nGB,2017-10-01,2026-11-01,our contract\n"
    catalogue.import_table(world.office, "destinations", rows.encode(), world.now)


CHANGES = {
    limit_to_nothing: "spend_limit_reached",
    limit_the_department: "group_spend_limit_reached",
    allow_a_call_less: "too_many_calls",
    restrict_to_domestic: "dial_out_restricted",
    block: "user_blocked",
    bar_the_country: "number_barred",
    take_all_licences: "no_calling_plan",
    take_the_credits_licence: "no_credits_licence",
    close: "organisation_closed",
    serve_the_country_no_longer: "destination_blocked",
}


def change(url: str, name: str) -> None:
    """Make a change as a process that knows nothing of the one that charges."""
    with World(url) as world:
        globals()[name](world)


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_what_another_process_changes_counts_for_the_next_batch(database, other_process, tmp_path, request):
    sqlite = database == "sqlite"
    for number, (changed, reason) in enumerate(CHANGES.items()):
        url = sqlite_url(tmp_path, f"{number}.db") if sqlite else request.getfixturevalue("postgres_urls")()
        with World(url) as world:
            world.deck(DECK)
            world.organisation("acme")
            world.user("acme", "anna", "US", LICENCES, department="Sales")
            world.number("acme", "+14255550100", user="anna", source="direct")
            world.fund("acme", 10**9, reference="first")
            callers = ({"user": "anna"}, {"user": "anna@acme.example"}, {"calling": "+14255550100"})
            calls = [
                StartCall(session_id=f"before-{place}", org_id="acme", called=CALLED, **caller)
                for place, caller in enumerate(callers)
            ]
            assert [type(answer) for answer in world.charge(*calls)] == [Grant] * 3

            other_process(change, url, changed.__name__)

            after = [
                StartCall(session_id=f"after-{place}", org_id="acme", called=CALLED, **caller)
                for place, caller in enumerate(callers)
            ]
            told = [getattr(world.charge(call)[0], "reason", None) for call in after]
            assert [refusal.value if refusal else "granted" for refusal in told] == [reason] * 3, changed.__name__
            assert not world.findings()


def test_licences_given_by_another_process_count_for_the_next_batch(migrated_postgres_url, other_process):
    url = migrated_postgres_url
    with World(url) as world:
        world.deck(DECK)
        world.organisation("acme")
        world.user("acme", "anna", "US")
        world.fund("acme", 10**9, reference="first")
        before, after = (
            StartCall(session_id=name, org_id="acme", called=CALLED, user="anna") for name in ("before", "after")
        )
        [refused] = world.charge(before)

        other_process(give_all_licences, url)

        [granted] = world.charge(after)
        assert (refused.reason.value, granted.payer) == ("no_calling_plan", "credits")
        assert world.charge(before) == [refused]


def give_all_licences(url: str) -> None:
    with World(url) as world:
        world.license("acme", "anna", LICENCES)
