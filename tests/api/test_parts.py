"""The parts beside the routes: keys remembered, desks fed, jobs run."""

import asyncio
import concurrent.futures
import threading
from datetime import timedelta

import pytest

from gettone.api.auth import REMEMBERED_SECONDS, Authenticator
from gettone.api.desks import Desks
from gettone.api.problems import ApiError
from gettone.errors import StorageError
from gettone.jobs.runner import Job, Jobs
from gettone.jobs.supervision import CHUNK, Supervision
from gettone.operations import keys
from gettone.operations.desk import DeskClosed, DeskFull
from gettone.operations.messages import Settled, SettleSilent, StopCall
from gettone.storage import supervision
from tests.api.world import AMERICAN, BRITISH, NOW, Clock

# -- keys --------------------------------------------------------------------------------------------------------------


def test_a_revoked_key_stops_working_when_it_is_forgotten(api):
    seconds = [0.0]
    authenticator = api.gettone.services.authenticator
    authenticator._monotonic = lambda: seconds[0]
    made = api.post("/v1/keys", {"scope": "charging", "org_id": "contoso"}).json()
    body = {"session_id": "one", "user": "anna", "called": BRITISH}

    before = api.charge("/v1/calls", body, key=made["token"])
    api.request("DELETE", f"/v1/keys/{made['key']['key_id']}")
    seconds[0] = REMEMBERED_SECONDS - 0.01
    remembered = api.charge("/v1/calls", body, key=made["token"])
    seconds[0] = REMEMBERED_SECONDS
    after = api.charge("/v1/calls", body, key=made["token"])

    assert [answer.status_code for answer in (before, remembered, after)] == [200, 200, 401]


def test_many_who_ask_for_one_key_at_once_ask_the_database_once():
    asked = []

    async def run():
        authenticator = Authenticator(lambda token: asked.append(token) or _KEY)
        return await asyncio.gather(*(authenticator.key(b"Bearer t") for _ in range(20)))

    assert asyncio.run(run()) == [_KEY] * 20
    assert asked == ["t"]


def test_a_failure_to_look_up_a_key_is_not_remembered():
    answers = [StorageError("away"), _KEY]

    def find(_token):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def run():
        authenticator = Authenticator(find)
        with pytest.raises(StorageError):
            await authenticator.key(b"Bearer t")
        return await authenticator.key(b"Bearer t")

    assert asyncio.run(run()) == _KEY


def test_what_is_no_token_never_reaches_the_database():
    async def run():
        authenticator = Authenticator(lambda token: pytest.fail(f"asked for {token!r}"))
        for header in (b"", b"Bearer", b"Bearer ", b"Basic abc", b"Bearer \xff", b"Bearer " + b"x" * 600):
            with pytest.raises(ApiError):
                await authenticator.key(header)

    asyncio.run(run())


_KEY = keys.Key(key_id="k", org_id="*", scope="operator", label="", created_at=NOW)


# -- desks -------------------------------------------------------------------------------------------------------------


class FakeDesk:
    """Answers at once with the ids it was asked about, unless it is told to turn everything away."""

    def __init__(self, deliver, refusing=None):
        self.deliver, self.refusing, self.batches = deliver, refusing, []
        self.queued = 1

    def submit(self, requests, ticket):
        if self.refusing is not None:
            raise self.refusing
        self.batches.append([request.session_id for request in requests])
        answers = [_settled(request) for request in requests]
        threading.Thread(target=self.deliver, args=([(ticket, answers)],)).start()

    def close(self):
        pass


def _settled(request):
    return Settled(
        org_id=request.org_id,
        session_id=request.session_id,
        request_number=1,
        used_seconds=0,
        billed_seconds=0,
        charged_micros=0,
        currency="USD",
    )


def two_desks(first=None, second=None):
    made = []

    def opening(refusing):
        def open_desk(deliver):
            made.append(FakeDesk(deliver, refusing))
            return made[-1]

        return open_desk

    desks = Desks([opening(first), opening(second)], lambda org_id: 0 if org_id < "m" else 1)
    return desks, made


REQUESTS = [StopCall(org_id=org_id, session_id=org_id, request_number=1, used_seconds=0) for org_id in "azbyc"]


def test_requests_go_to_the_desk_of_their_partition_and_answers_come_in_order():
    desks, (low, high) = two_desks()

    answers = asyncio.run(desks.charge(REQUESTS))
    by_thread = desks.charge_and_wait(REQUESTS)

    assert [answer.session_id for answer in answers] == list("azbyc")
    assert [answer.session_id for answer in by_thread] == list("azbyc")
    assert low.batches == [["a", "b", "c"]] * 2
    assert high.batches == [["z", "y"]] * 2
    assert desks.queued == 2


def test_a_partition_that_takes_nothing_answers_unavailable_for_its_own():
    desks, _ = two_desks(second=DeskFull())

    answers = asyncio.run(desks.charge(REQUESTS))

    assert [type(answer).__name__ for answer in answers] == ["Settled", "Refused", "Settled", "Refused", "Settled"]


def test_when_no_partition_takes_anything_the_caller_hears_why():
    desks, _ = two_desks(first=DeskFull(), second=DeskClosed())

    with pytest.raises(DeskClosed):
        asyncio.run(desks.charge(REQUESTS))


def test_an_answer_for_whoever_has_gone_is_no_matter():
    waiting = []
    desks, _ = two_desks()

    async def give_up():
        desks._desks[0].submit = lambda _requests, ticket: waiting.append(ticket)
        task = asyncio.create_task(desks.charge(REQUESTS))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(give_up())
    still_there = concurrent.futures.Future()
    desks._desks[0].deliver([(waiting[0], []), (still_there, [])])

    assert still_there.result(0) == []


# -- jobs --------------------------------------------------------------------------------------------------------------


class Heard:
    def __init__(self):
        self.runs = []

    def job(self, name, *, done):
        self.runs.append((name, done))


def test_a_job_runs_at_once_and_then_when_it_is_due():
    clock, heard = Clock(), Heard()
    jobs = Jobs([Job("count", timedelta(seconds=5), lambda _now: 1)], clock=clock, tally=heard)

    for _ in range(12):
        jobs.run_due()
        clock.forward(seconds=1)

    assert heard.runs == [("count", 1)] * 3


def test_a_job_that_fails_stops_no_other(caplog):
    clock, heard = Clock(), Heard()

    def fail(_now):
        raise StorageError("away")

    jobs = Jobs(
        [Job("bad", timedelta(seconds=1), fail), Job("good", timedelta(seconds=1), lambda _now: 2)],
        clock=clock,
        tally=heard,
    )
    jobs.run_due()
    clock.forward(seconds=1)
    jobs.run_due()

    assert heard.runs == [("bad", None), ("good", 2)] * 2
    assert "the job bad failed" in caplog.text


def test_a_job_that_took_long_waits_the_longer():
    clock, heard = Clock(), Heard()

    def slow(_now):
        clock.forward(seconds=2)
        return 0

    jobs = Jobs([Job("slow", timedelta(seconds=1), slow)], clock=clock, tally=heard)
    jobs.run_due()
    clock.forward(seconds=17)
    jobs.run_due()
    clock.forward(seconds=1)
    jobs.run_due()

    assert len(heard.runs) == 2


def test_a_silent_call_is_settled_with_what_was_last_reported(api):
    api.start("silent")
    api.charge("/v1/calls/silent/update", {"request_number": 1, "used_seconds": 100})
    api.start("lively", user="bert", called=AMERICAN)
    api.clock.forward(seconds=361)
    api.charge("/v1/calls/lively/update", {"request_number": 1, "used_seconds": 350})

    api.gettone.jobs.run_due()

    calls = {call["session_id"]: call for call in api.get("/v1/organisations/contoso/calls").json()["items"]}
    assert (calls["silent"]["state"], calls["silent"]["ended_by"]) == ("ended", "supervision")
    assert (calls["silent"]["used_seconds"], calls["silent"]["charged"]) == (100, "0.04")
    assert calls["lively"]["state"] == "open"
    metrics = api.get("/metrics").text
    assert "gettone_open_calls 1.0" in metrics
    assert 'gettone_job_done_total{job="supervision"} 1.0' in metrics


def test_silent_calls_are_found_however_many_stretches_they_fill(api, monkeypatch):
    monkeypatch.setattr(supervision, "STRETCH", 7)
    unguarded = {"guard": {"concurrent_calls": None}}
    assert api.request("PATCH", "/v1/organisations/contoso/policies", json=unguarded).status_code == 200
    for number in range(20):
        api.start(f"s{number:02}", requested_seconds=1)
    api.clock.forward(hours=1)

    api.gettone.jobs.run_due()

    calls = api.get("/v1/organisations/contoso/calls?state=ended").json()["items"]
    assert len(calls) == 20
    assert api.available() == "20.00"


def test_supervision_settles_in_chunks_and_leaves_room_when_the_desk_is_full():
    batches = []

    class Calls:
        def silent_calls(self, _now, after=None):
            return [("o", f"s{number}") for number in range(CHUNK + 5)], None if after else ("o", "s")

        def open_calls(self):
            return 0

    def charge(requests):
        batches.append(len(requests))
        assert all(isinstance(request, SettleSilent) for request in requests)
        if len(batches) == 4:
            raise DeskFull
        return [_settled(request) for request in requests]

    settled = Supervision(Calls(), charge)(NOW)

    assert batches == [CHUNK, 5, CHUNK, 5]
    assert settled == 2 * CHUNK + 5


def test_expired_credit_is_written_off_by_itself(api):
    api.clock.forward(days=367)

    api.gettone.jobs.run_due()

    [entry] = api.get("/v1/organisations/contoso/ledger?kind=credit_expired").json()["items"]
    assert sorted(posting["amount"] for posting in entry["postings"]) == ["-20.00", "20.00"]
    assert api.available() == "0.00"


def test_the_jobs_have_a_thread_of_their_own_and_end_when_told(api):
    api.gettone.jobs.start()
    api.gettone.jobs.close()

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("jobs")]
