"""Limits count however a caller is named, and are named as the reason only where they are."""

import pytest

from gettone.operations.messages import Grant, StartCall
from gettone.operations.notices import list_notices
from gettone.operations.policies import PolicyChanges, change_policies, change_user_policy
from gettone.storage.sqlite_charging import SqliteUnit
from tests.support.world import World, sqlite_url

ROME, NEW_YORK = "+390612345678", "+12125550123"
ANNA = [{"user": "anna"}, {"user": "anna@contoso.example"}, {"calling": "+14255550100"}]


@pytest.fixture
def world(tmp_path):
    with World(sqlite_url(tmp_path)) as made:
        made.deck("country,price,increments\nUS,0.03,60/60\nIT,0.01,60/60\n")
        made.organisation("contoso")
        made.user("contoso", "anna", products=["MCOPSTN_PAYG_1", "MCOPSTNC"])
        made.number("contoso", "+14255550100", user="anna")
        made.user("contoso", "ben", products=["MCOPSTN5"])
        made.fund("contoso", 10_000_000, reference="first")
        yield made


def limit(world, user: str, micros: int) -> None:
    change_user_policy(world.office, "contoso", user, world.now, "the test", limit_micros=micros)


def start(world, session_id: str, called: str, seconds: int, **caller):
    call = StartCall(session_id=session_id, org_id="contoso", called=called, requested_seconds=seconds, **caller)
    return world.charge(call)[0]


@pytest.mark.parametrize("caller", ANNA, ids=["id", "name", "number"])
def test_a_users_own_limit_counts_however_the_user_is_named(world, caller):
    limit(world, "anna", 20_000)

    granted = start(world, "a", ROME, 600, **caller)

    assert (granted.granted_seconds, granted.final) == (120, True)
    assert start(world, "b", ROME, 600, **caller).reason.value == "spend_limit_reached"


@pytest.mark.parametrize("caller", ANNA, ids=["id", "name", "number"])
@pytest.mark.parametrize("known_as", ANNA, ids=["known by id", "known by name", "known by number"])
def test_a_limit_that_was_changed_counts_for_the_next_call_whatever_is_cached(world, known_as, caller):
    limit(world, "anna", 20_000)
    assert start(world, "a", ROME, 600, **known_as).granted_seconds == 120

    limit(world, "anna", 50_000)

    assert start(world, "b", ROME, 600, **caller).granted_seconds == 180


def test_minutes_that_end_are_no_matter_of_a_spending_limit(world):
    limit(world, "ben", 0)

    granted = start(world, "a", NEW_YORK, 7201, user="ben")
    refused = start(world, "b", NEW_YORK, 60, user="ben")

    assert isinstance(granted, Grant)
    assert (granted.granted_seconds, granted.final) == (7200, True)
    assert refused.reason.value == "no_credits_licence"
    assert not [one for one in list_notices(world.office, "contoso").items if one.kind.startswith("spend")]


def test_a_premium_destination_that_is_known_asks_the_database_no_more(world, monkeypatch):
    asked = []
    for number in range(2):
        change = {"premium_minute_micros": 1}
        change_policies(world.office, "contoso", PolicyChanges(guard=change), world.now, "the test")
        assert isinstance(start(world, f"known {number}", ROME, 60, user="anna"), Grant)
    real = SqliteUnit.destinations
    monkeypatch.setattr(SqliteUnit, "destinations", lambda self, org_id: asked.append(org_id) or real(self, org_id))

    for number in range(5):
        assert isinstance(start(world, f"again {number}", ROME, 60, user="anna"), Grant)

    assert asked == []


def test_a_batch_asks_once_for_the_premium_destinations_of_an_organisation(world, monkeypatch):
    asked = []
    change_policies(world.office, "contoso", PolicyChanges(guard={"premium_minute_micros": 1}), world.now, "the test")
    real = SqliteUnit.destinations
    monkeypatch.setattr(SqliteUnit, "destinations", lambda self, org_id: asked.append(org_id) or real(self, org_id))
    calls = [
        StartCall(session_id=str(number), org_id="contoso", user="anna", called=ROME, requested_seconds=60)
        for number in range(8)
    ]

    assert all(isinstance(answer, Grant) for answer in world.charge(*calls))

    assert asked == ["contoso"]
