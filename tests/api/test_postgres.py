"""The same over PostgreSQL: charging, the back office, the jobs."""

import pytest

from tests.api.test_charging import BATCH, check_batch, ndjson, problem
from tests.api.world import AMERICAN, opened_api, populate


@pytest.fixture
def api(postgres_url):
    tokens = populate(postgres_url)
    with opened_api(postgres_url, tokens) as api:
        yield api


@pytest.mark.slow
def test_calls_are_charged_and_shown_on_postgresql(api):
    api.start("a/b@c")
    settled = api.charge("/v1/calls/a%2Fb%40c/stop", {"request_number": 1, "used_seconds": 61})
    repeated = api.charge("/v1/calls/a%2Fb%40c/stop", {"request_number": 1, "used_seconds": 61})
    check_batch(api.charge("/v1/calls/batch", {"requests": BATCH}).json()["answers"])
    detail = api.get("/v1/organisations/contoso/calls/a%2Fb%40c").json()
    quote = api.get("/v1/quote", params={"called": AMERICAN, "user": "bert"}, key="charging").json()

    assert settled.json()["charged"] == "0.04"
    assert repeated.json() == settled.json()
    assert detail["call"]["charged"] == "0.04"
    assert [part["payer"] for part in quote["parts"]] == ["pool"]
    assert api.get("/readyz", key=None).status_code == 200


@pytest.mark.slow
def test_bad_requests_spoil_no_batch_on_postgresql(api):
    nul = '{"op": "start", "session_id": "x\\u0000", "user": "a\\u0000", "called": "+442071838750"}'
    large = '{"op": "start", "session_id": "y", "user": "anna", "called": "+442071838750", "request_number": 1e300}'
    good = '{"op": "start", "session_id": "z", "user": "anna", "called": "+442071838750"}'

    answers = ndjson(api, [nul, large, good]).text.splitlines()

    assert ['"refused"' in answer for answer in answers] == [True, True, False]


@pytest.mark.slow
def test_the_back_office_changes_postgresql(api):
    made = api.post("/v1/organisations/contoso/users", {"upn": "dora@contoso.example"}, key="admin")
    body, key = {"amount": "5"}, {"Idempotency-Key": "k"}
    funded = [api.post("/v1/organisations/contoso/wallet/funds", body, headers=key).json() for _ in range(2)]

    assert made.status_code == 201
    problem(api.post("/v1/organisations/contoso/users", {"upn": "dora@contoso.example"}, key="admin"), 409)
    assert [one["repeated"] for one in funded] == [False, True]
    assert api.available() == "25.00"


@pytest.mark.slow
def test_the_jobs_run_on_postgresql(api):
    api.start("silent")
    api.clock.forward(seconds=361)

    api.gettone.jobs.run_due()

    [call] = api.get("/v1/organisations/contoso/calls").json()["items"]
    assert call["ended_by"] == "supervision"
    assert 'gettone_job_runs_total{job="pool_sizes",result="ok"} 1.0' in api.get("/metrics").text
