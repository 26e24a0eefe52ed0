"""The charging routes answer as the desk decides, and say clearly what is wrong with what they cannot read."""

import json
import threading

import pytest

from gettone.api.problems import STATUS
from gettone.domain.refusals import Refusal
from gettone.errors import StorageError
from tests.api.world import AMERICAN, BRITISH, ITS_NUMBER, opened_api

START = {"session_id": "one", "user": "anna", "called": BRITISH}


def problem(response, status):
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    told = response.json()
    assert told["status"] == status
    assert told["type"].startswith("urn:gettone:problem:")
    assert told["title"]
    return told


def test_a_call_is_started_extended_and_settled(api):
    granted = api.start()
    updated = api.charge("/v1/calls/one/update", {"request_number": 1, "used_seconds": 300, "requested_seconds": 60})
    settled = api.stop(used_seconds=310, request_number=2)

    assert granted.status_code == 200
    assert granted.headers["content-type"] == "application/json"
    assert granted.json() == {
        "result": "granted",
        "session_id": "one",
        "org_id": "contoso",
        "request_number": 0,
        "granted_seconds": 300,
        "final": False,
        "valid_seconds": 360,
        "payer": "credits",
        "pool_key": "",
        "destination": "GB",
        "currency": "USD",
        "held": "0.07",
        "reason": None,
    }
    assert (updated.json()["granted_seconds"], updated.json()["held"]) == (60, "0.08")
    assert settled.json() == {
        "result": "settled",
        "session_id": "one",
        "org_id": "contoso",
        "request_number": 2,
        "used_seconds": 310,
        "billed_seconds": 360,
        "currency": "USD",
        "charged": "0.08",
        "overrun": "0.00",
        "destination": "GB",
        "parts": [
            {
                "payer": "credits",
                "from_second": 0,
                "seconds": 310,
                "billed_seconds": 360,
                "charged": "0.08",
                "connection": "0.02",
                "pool_key": "",
                "capability": "MCOPSTNPP",
            }
        ],
    }
    assert api.available() == "19.92"


def test_a_message_is_charged_at_once(api):
    answer = api.charge("/v1/events", {"session_id": "sms", "user": "anna", "called": BRITISH, "units": 2}).json()

    assert (answer["result"], answer["charged"]) == ("settled", "0.12")


def test_an_emergency_call_of_nobody_goes_on(api):
    answer = api.charge("/v1/calls", {"session_id": "sos", "called": "112"}, key="charging_everywhere").json()

    assert (answer["result"], answer["payer"], answer["currency"], answer["held"]) == ("granted", "free", "", "0")


def test_the_organisation_is_found_by_the_calling_number(api):
    answer = api.charge(
        "/v1/calls", {"session_id": "n", "calling": ITS_NUMBER, "called": AMERICAN}, key="charging_everywhere"
    ).json()

    assert (answer["org_id"], answer["payer"]) == ("contoso", "pool")


@pytest.mark.parametrize(
    ("session_id", "encoded"), [("a/b@c", "a%2Fb%40c"), ("ünï côde", "%C3%BCn%C3%AF%20c%C3%B4de"), ("batch", "batch")]
)
def test_any_session_id_can_stand_in_the_path(api, session_id, encoded):
    api.start(session_id)

    settled = api.charge(f"/v1/calls/{encoded}/stop", {"request_number": 1, "used_seconds": 1})
    listed = api.get(f"/v1/organisations/contoso/calls/{encoded}")

    assert settled.json()["session_id"] == session_id
    assert listed.json()["call"]["session_id"] == session_id


def test_the_same_request_again_gets_the_same_answer_and_changes_nothing(api):
    first, again = api.start(), api.start()
    settled, repeated = api.stop(), api.stop()

    assert first.json() == again.json()
    assert settled.json() == repeated.json()
    assert api.available() == "19.97"


def test_a_single_request_and_the_same_in_a_batch_are_one(api):
    first = api.start().json()
    [again] = api.charge("/v1/calls/batch", {"requests": [{"op": "start", **START}]}).json()["answers"]
    stopped = api.stop().json()
    stop = {"op": "stop", "session_id": "one", "request_number": 1, "used_seconds": 60}
    [repeated] = api.charge("/v1/calls/batch", {"requests": [stop]}).json()["answers"]

    assert first == again
    assert stopped == repeated


def test_the_same_number_with_another_body_is_refused(api):
    api.start()

    told = problem(api.start(called=AMERICAN), 422)

    assert told["reason"] == "request_changed"


def test_a_refusal_names_the_call_and_its_reason(api):
    told = problem(api.start("no", user="carla"), 403)

    assert told == {
        "type": "urn:gettone:problem:no_calling_plan",
        "title": Refusal.NO_CALLING_PLAN.sentence,
        "status": 403,
        "reason": "no_calling_plan",
        "org_id": "contoso",
        "session_id": "no",
        "request_number": 0,
    }


def test_every_refusal_has_a_status():
    assert STATUS.keys() == set(Refusal)


REFUSED = [
    ({"session_id": "x", "user": "nobody", "called": BRITISH}, 404, "unknown_user"),
    ({"session_id": "x", "calling": "+12125559999", "called": BRITISH}, 404, "unknown_number"),
    ({"session_id": "x", "user": "bert", "called": BRITISH}, 403, "no_credits_licence"),
    ({"session_id": "x", "user": "anna", "called": "+4989123456"}, 422, "no_rate"),
    ({"session_id": "x", "user": "anna", "called": "0044 20"}, 422, "invalid_request"),
    ({"session_id": "x", "user": "anna", "called": BRITISH, "at": "2026-05-11T09:00:00"}, 422, "invalid_request"),
    ({"session_id": "x\0", "user": "anna", "called": BRITISH}, 422, "invalid_request"),
]


@pytest.mark.parametrize(("body", "status", "reason"), REFUSED)
def test_a_refused_call_has_the_status_of_its_reason(api, body, status, reason):
    assert problem(api.charge("/v1/calls", body), status)["reason"] == reason


@pytest.mark.parametrize(
    ("path", "reason"), [("/v1/calls/gone/update", "unknown_session"), ("/v1/calls/gone/stop", "unknown_session")]
)
def test_a_call_that_never_began_is_not_found(api, path, reason):
    assert problem(api.charge(path, {"request_number": 1, "used_seconds": 1}), 404)["reason"] == reason


UNREADABLE = [
    ('{"session_id": "x"', 400, "", "the body is not JSON"),
    ("", 400, "", "the body is not JSON"),
    (b'{"session_id": "\xff", "called": "+1"}', 400, "", "the body is not JSON"),
    ('{"session_id": "x\\ud800", "called": "+1"}', 400, "", "the body is not JSON"),
    ("[]", 422, "body", "give an object, got a list"),
    ("[" * 20_000, 422, "body", "give an object, got a list"),
    ('{"session_id": ' + "[" * 20_000, 422, "session_id", "give a text, got a list"),
    ('{"x": ' + "[" * 20_000, 422, "x", "there is no such field"),
    ('{"session_id": "x"}', 422, "called", "this field is required; add it"),
    ('{"session_id": 5, "called": "+1"}', 422, "session_id", "give a text, got a whole number"),
    ('{"session_id": "", "called": "+1"}', 422, "session_id", ""),
    ('{"session_id": "x", "called": "+1", "requested_second": 5}', 422, "requested_second", "there is no such field"),
    ('{"session_id": "x", "called": "+1", "requested_seconds": 0}', 422, "requested_seconds", ">= 1"),
    ('{"session_id": "x", "called": "+1", "request_number": -1}', 422, "request_number", ">= 0"),
    ('{"session_id": "x", "called": "+1", "request_number": 1e30}', 422, "request_number", ""),
    ('{"session_id": "x", "called": "+1", "at": "yesterday"}', 422, "at", ""),
]


@pytest.mark.parametrize(("body", "status", "field", "remedy"), UNREADABLE)
def test_a_body_that_cannot_be_read_is_answered_with_field_and_remedy(api, body, status, field, remedy):
    told = problem(api.charge("/v1/calls", content=body, headers={"Content-Type": "application/json"}), status)

    [error] = told["errors"]
    assert error.get("field", "") == field
    assert remedy in error["remedy"]
    assert remedy in told["detail"]


def test_a_wrong_value_is_shown(api):
    told = problem(api.charge("/v1/calls/x/stop", {"request_number": 1, "used_seconds": "60"}), 422)

    assert told["detail"] == 'used_seconds "60": give a whole number, got a text'


def test_a_session_id_in_the_body_must_be_that_of_the_path(api):
    api.start()

    body = {"request_number": 1, "used_seconds": 5}
    told = problem(api.charge("/v1/calls/one/stop", {**body, "session_id": "two"}), 422)

    assert told["errors"][0]["field"] == "session_id"
    assert api.charge("/v1/calls/one/stop", {**body, "session_id": "one"}).status_code == 200


def test_the_quota_of_the_settings_is_granted_when_a_request_does_not_say(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens, quota_seconds=120, grace_seconds=10) as api:
        answer = api.start().json()
        asked = api.start("two", requested_seconds=7).json()

    assert (answer["granted_seconds"], answer["valid_seconds"]) == (120, 130)
    assert asked["granted_seconds"] == 7


# -- who may ---------------------------------------------------------------------------------------------------------


def test_without_a_key_nothing_is_charged(api):
    response = api.request("POST", "/v1/calls", json=START, key=None)

    problem(response, 401)
    assert response.headers["www-authenticate"] == 'Bearer realm="gettone"'


@pytest.mark.parametrize(
    "header", ["Bearer nonsense", "Basic Zm9vOmJhcg==", "Bearer", "", "Bearer " + "x" * 9000, "Bearer \xe9"]
)
def test_a_key_that_is_none_is_turned_away(api, header):
    response = api.request(
        "POST", "/v1/calls", json=START, key=None, headers={"Authorization": header.encode("latin-1")}
    )

    problem(response, 401)
    assert 'error="invalid_token"' in response.headers["www-authenticate"]


def test_a_reading_key_charges_nothing(api):
    response = api.charge("/v1/calls", START, key="read")

    problem(response, 403)
    assert 'error="insufficient_scope", scope="charging"' in response.headers["www-authenticate"]


def test_a_key_of_one_organisation_charges_no_other(api):
    assert "'contoso'" in problem(api.start(org_id="fabrikam"), 403)["detail"]
    assert api.start(org_id="contoso").status_code == 200


def test_a_batch_with_a_foreign_request_is_turned_down_whole(api):
    requests = [{"op": "start", **START}, {"op": "start", **START, "session_id": "two", "org_id": "fabrikam"}]

    problem(api.charge("/v1/calls/batch", {"requests": requests}), 403)

    assert api.get("/v1/organisations/contoso/calls").json()["items"] == []


# -- batches ---------------------------------------------------------------------------------------------------------

BATCH = [
    {"op": "start", **START},
    {"op": "update", "session_id": "one", "request_number": 1, "used_seconds": 100},
    {"op": "start", "session_id": "two", "user": "carla", "called": BRITISH},
    {"op": "stop", "session_id": "one", "request_number": 2, "used_seconds": 200},
    {"op": "event", "session_id": "sms", "user": "anna", "called": BRITISH},
]


def check_batch(answers):
    assert [answer["result"] for answer in answers] == ["granted", "granted", "refused", "settled", "settled"]
    assert answers[2]["reason"] == "no_calling_plan"
    assert answers[2]["title"] == Refusal.NO_CALLING_PLAN.sentence
    assert answers[3]["charged"] == "0.06"


def test_a_batch_is_answered_one_by_one_and_in_order(api):
    response = api.charge("/v1/calls/batch", {"requests": BATCH})

    assert response.status_code == 200
    check_batch(response.json()["answers"])


def ndjson(api, lines):
    return api.charge("/v1/calls/batch", content="\n".join(lines), headers={"Content-Type": "application/x-ndjson"})


def test_a_batch_of_lines_is_answered_in_lines(api):
    response = ndjson(api, [*map(json.dumps, BATCH), ""])

    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.text.endswith("\n")
    check_batch([json.loads(line) for line in response.text.splitlines()])


@pytest.mark.parametrize("lines", [False, True])
def test_a_request_that_cannot_be_read_is_refused_alone(api, lines):
    bad = ['{"op": "start", "session_id": "bad", "request_number": 7}', '{"op": "hang up"}', "5", "null"]
    pieces = [json.dumps(BATCH[0]), *bad, json.dumps(BATCH[3])]
    if lines:
        answers = [json.loads(line) for line in ndjson(api, [*pieces, "{"]).text.splitlines()]
        assert answers.pop()["reason"] == "invalid_request"
    else:
        body = f'{{"requests": [{", ".join(pieces)}]}}'
        answers = api.charge("/v1/calls/batch", content=body).json()["answers"]

    assert [answer["result"] for answer in answers] == ["granted", *["refused"] * 4, "settled"]
    assert (answers[1]["session_id"], answers[1]["request_number"]) == ("bad", 7)
    assert "called: this field is required" in answers[1]["detail"]
    assert 'op "hang up"' in answers[2]["detail"]
    assert {answer["reason"] for answer in answers[1:5]} == {"invalid_request"}


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_holds_one_to_a_thousand_requests(api, count):
    told = problem(api.charge("/v1/calls/batch", {"requests": [{"op": "start", **START}] * count}), 422)
    by_line = problem(ndjson(api, [json.dumps({"op": "start", **START})] * count), 422)

    assert "requests" in told["detail"]
    assert "1000" in by_line["detail"]


def test_a_thousand_requests_are_answered(api):
    starts = [{"op": "start", **START, "session_id": f"s{number}", "requested_seconds": 1} for number in range(1000)]

    answers = api.charge("/v1/calls/batch", {"requests": starts}).json()["answers"]

    assert [answer["session_id"] for answer in answers] == [start["session_id"] for start in starts]


# -- HTTP ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/x/stop", "/v1/calls/batch", "/v1/events"])
def test_only_post_charges(api, path):
    response = api.get(path)

    problem(response, 405)
    assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(
    "path", ["/v1/calls/x", "/v1/calls/x/pause", "/v1/calls/", "/v1/calls//stop", "/v1/calls/a/b/stop"]
)
def test_other_paths_are_not_found(api, path):
    problem(api.charge(path, {}), 404)


def test_a_session_id_that_is_not_utf_8_is_named(api):
    assert "percent-encode" in problem(api.charge("/v1/calls/%ff/stop", {}), 422)["detail"]


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/x-ndjson"])
def test_another_content_type_is_turned_down(api, media_type):
    problem(api.charge("/v1/calls", content="{}", headers={"Content-Type": media_type}), 415)


def test_a_charset_beside_the_content_type_is_no_matter(api):
    headers = {"Content-Type": "Application/JSON; charset=utf-8"}

    assert api.charge("/v1/calls", content=json.dumps(START), headers=headers).status_code == 200


def test_a_compressed_body_is_turned_down(api):
    problem(api.charge("/v1/calls", START, headers={"Content-Encoding": "gzip"}), 415)


def test_a_body_that_is_too_long_is_turned_down(api):
    problem(api.charge("/v1/calls", {**START, "call_type": "x" * 70_000}), 413)


# -- when nothing can be decided -------------------------------------------------------------------------------------


def test_a_desk_that_is_closing_asks_to_come_back(api):
    api.start("before")
    threading.Thread(target=api.gettone.desks.close).start()

    response = api.start("after")

    assert problem(response, 503)["type"] == "urn:gettone:problem:unavailable"
    assert response.headers["retry-after"] == "1"


def test_a_database_that_fails_is_no_answer_about_the_call(api, monkeypatch):
    api.start("before")
    store = api.gettone.desks._desks[0]._charging._store

    def fail(_body):
        raise StorageError("the disk is full")

    monkeypatch.setattr(store, "transaction", fail)
    response = api.start("after")
    [answer] = api.charge("/v1/calls/batch", {"requests": [BATCH[0]]}).json()["answers"]
    monkeypatch.undo()

    assert problem(response, 503)["reason"] == "unavailable"
    assert response.headers["retry-after"] == "1"
    assert answer["reason"] == "unavailable"
    assert api.start("after").status_code == 200, "the same request may be sent again"


def test_keys_are_not_forgotten_while_the_database_fails(api, monkeypatch):
    def fail():
        raise StorageError("the disk is full")

    monkeypatch.setattr(api.gettone.services.office, "read", fail)

    problem(api.start(), 503)
