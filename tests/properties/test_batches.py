"""A batch is decided request by request: how requests fall into batches, and what else is in one, changes no answer."""

import pytest

from gettone.domain.refusals import Refusal
from gettone.operations.messages import (
    ChargeEvent,
    Grant,
    RecordCall,
    Refused,
    Settled,
    SettleSilent,
    StartCall,
    StopCall,
    UpdateCall,
)
from gettone.operations.opening import Opening
from tests.properties.play import Play, long_program
from tests.support.world import World, sqlite_url

GB = "+442079460123"
DECK = "country,price,connection_charge,increments\nGB,0.0100,0,60/60\n"
LONE_SURROGATE = "\ud800"


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def world(request, tmp_path):
    sqlite = request.param == "sqlite"
    url = sqlite_url(tmp_path) if sqlite else request.getfixturevalue("migrated_postgres_url")
    with World(url) as made:
        made.deck(DECK)
        made.organisation("acme")
        made.user("acme", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
        made.fund("acme", 10**12, reference="first")
        yield made


def start(session_id="s", **words):
    return StartCall(**{"session_id": session_id, "org_id": "acme", "user": "anna", "called": GB, **words})


POISON = [
    start("s" * 10_000),
    start("nul\0"),
    start(LONE_SURROGATE),
    start("", org_id=""),
    start("a", org_id="no\0thing"),
    start("a", org_id=LONE_SURROGATE),
    start("a", user="an\0na"),
    start("a", user=LONE_SURROGATE),
    start("a", called="\0"),
    start("a", called="+44" + LONE_SURROGATE),
    start("a", called="+" + "9" * 5000),
    start("a", called="٣٣٣"),
    start("a", user="", calling="+1\0"),
    start("a", org_id="", user="", calling=LONE_SURROGATE),
    start("a", org_id="", user="", calling="\0"),
    start("a", call_type="\0"),
    start("a", request_number=2**63),
    start("a", request_number=2**200),
    start("a", request_number=-(2**63) - 1),
    start("a", requested_seconds=2**70),
    UpdateCall(session_id="good", org_id="acme", request_number=2**64, used_seconds=1),
    UpdateCall(session_id="good", org_id="acme", request_number=1, used_seconds=2**64),
    StopCall(session_id="good\0", org_id="acme", request_number=1, used_seconds=1),
    ChargeEvent(session_id="a", org_id="acme", called=GB, user="anna", event="\0"),
    ChargeEvent(session_id="a", org_id="acme", called=GB, user="anna", units=2**64),
    RecordCall(session_id="a", org_id="acme", called=GB, user="anna", used_seconds=60, live_session_id="\0"),
    RecordCall(session_id="a", org_id="acme", called=GB, user="anna", used_seconds=60, live_session_id=LONE_SURROGATE),
    SettleSilent(session_id="\0", org_id="acme"),
]


@pytest.mark.parametrize("poison", POISON, ids=range(len(POISON)))
def test_one_bad_request_never_spoils_its_batch(world, poison):
    [granted, bad, settled] = world.charge(
        start("good"), poison, StopCall(session_id="good", org_id="acme", request_number=9, used_seconds=60)
    )

    assert isinstance(granted, Grant)
    assert isinstance(bad, Refused)
    assert bad.reason is not Refusal.UNAVAILABLE, bad
    assert isinstance(settled, Settled)
    assert settled.charged_micros == 10_000


@pytest.mark.parametrize("year", [1, 1600, 1969, 9999])
def test_a_call_of_another_age_is_refused_or_charged_but_never_a_mistake_of_ours(world, year):
    at = world.now.replace(year=year)

    answers = world.charge(
        start("a", at=at),
        RecordCall(session_id="r", org_id="acme", called=GB, user="anna", used_seconds=604_800, at=at),
    )

    assert all(getattr(answer, "reason", None) is not Refusal.UNAVAILABLE for answer in answers), answers


def test_a_program_stumbling_over_one_request_answers_the_others(world, monkeypatch, caplog):
    original = Opening.call

    def stumble(self, request):
        if request.session_id == "b":
            raise ZeroDivisionError
        return original(self, request)

    monkeypatch.setattr(Opening, "call", stumble)

    a, b, c = world.charge(start("a"), start("b"), start("c"))

    assert isinstance(a, Grant)
    assert b.reason is Refusal.UNAVAILABLE
    assert isinstance(c, Grant)
    assert "ZeroDivisionError" in caplog.text


def test_the_answers_of_a_long_call_are_all_remembered(world):
    updates = [
        UpdateCall(session_id="s", org_id="acme", request_number=number, used_seconds=number * 10)
        for number in range(1, 61)
    ]
    answers = world.charge(start()) + [world.charge(update)[0] for update in updates]

    again = world.charge(start(), *updates)

    assert again == answers
    assert world.charge(UpdateCall(session_id="s", org_id="acme", request_number=7, used_seconds=1))[0].reason is (
        Refusal.REQUEST_CHANGED
    )


@pytest.mark.parametrize("seed", range(2))
def test_batches_of_any_size_answer_as_one_request_at_a_time_does(tmp_path, seed):
    class OneByOne(Play):
        def charge(self, asked):
            for request in asked:
                super().charge([request])

    with World(sqlite_url(tmp_path)) as world:
        OneByOne(world).run(long_program(seed, length=30))
