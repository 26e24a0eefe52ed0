"""Licences over HTTP: owned, assigned with every refusal explained, guarded against two administrators at once."""

import pytest

from tests.api.test_charging import problem
from tests.api.world import ITS_NUMBER

CONTOSO = "/v1/organisations/contoso"
ANNA = f"{CONTOSO}/users/anna"


def order(name):
    return {"Idempotency-Key": name}


def counts(api):
    found = api.get(f"{CONTOSO}/licences", key="read").json()["items"]
    return {one["sku"]: (one["purchased"], one["assigned"]) for one in found}


def licences(api, user):
    return api.get(f"{CONTOSO}/users/{user}").json()["licences"]


# -- what is owned -----------------------------------------------------------------------------------------------------


def test_licences_are_bought_once_for_each_key(api):
    body = {"product": "MCOPSTN5", "quantity": 3}
    first = api.post(f"{CONTOSO}/subscriptions", body, key="admin", headers=order("PO-1"))
    again = api.post(f"{CONTOSO}/subscriptions", body, headers=order("PO-1"))
    other = api.post(f"{CONTOSO}/subscriptions", {**body, "quantity": 4}, headers=order("PO-1"))

    assert first.status_code == 201
    assert (first.json()["sku"], first.json()["quantity"], first.json()["reference"]) == ("MCOPSTN5", 3, "PO-1")
    assert again.json() == first.json()
    problem(other, 409)
    assert counts(api)["MCOPSTN5"] == (3, 0)
    problem(api.post(f"{CONTOSO}/subscriptions", body, key="read", headers=order("PO-2")), 403)
    problem(api.post(f"{CONTOSO}/subscriptions", body), 422)


def test_a_subscription_is_changed_and_ended_by_its_reference(api):
    place = f"{CONTOSO}/subscriptions/first%20MCOPSTN2"
    changed = api.request("PATCH", place, json={"quantity": 7}, key="admin")
    ended = api.request("DELETE", place, key="admin")

    assert changed.json()["quantity"] == 7
    assert ended.json()["ended_at"] == "2026-05-11T09:00:00Z"
    assert len(api.get(f"{CONTOSO}/subscriptions").json()["items"]) == 3
    assert len(api.get(f"{CONTOSO}/subscriptions?ended=true", key="read").json()["items"]) == 4
    problem(api.request("DELETE", place), 404)


def test_less_than_is_assigned_cannot_be_owned(api):
    told = problem(api.request("PATCH", f"{CONTOSO}/subscriptions/first%20MCOPSTN1", json={"quantity": 1}), 409)

    assert "2 licences are assigned and 1 would be left" in told["detail"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"product": "MCOPSTN9"}, "product"),
        ({"product": "MCOEV", "quantity": 0}, "quantity"),
        ({"product": "MCOPSTNC", "quantity": 5}, "quantity"),
        ({"quantity": 5}, "product"),
    ],
)
def test_an_order_that_cannot_be_made_names_its_field(api, body, field):
    told = problem(api.post(f"{CONTOSO}/subscriptions", body, headers=order("PO-1")), 422)

    assert told["errors"][0]["field"] == field


def test_licences_are_counted_with_their_service_plans(api):
    [credit] = [one for one in api.get(f"{CONTOSO}/licences").json()["items"] if one["sku"] == "MCOPSTNC"]

    assert (credit["purchased"], credit["assigned"], credit["available"]) == (1_000_000, 1, 999_999)
    assert [plan["service_plan"] for plan in credit["service_plans"]] == ["MCOPSTNC"]
    assert credit["sku_id"] == "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0"


def test_holders_come_in_pages(api):
    first = api.get(f"{CONTOSO}/licences/MCOEV/holders?limit=1", key="read").json()
    second = api.get(f"{CONTOSO}/licences/MCOEV/holders?limit=1&cursor={first['next_cursor']}").json()

    assert [user["user_id"] for user in first["items"] + second["items"]] == ["anna", "bert"]
    problem(api.get(f"{CONTOSO}/licences/MCOPSTN9/holders"), 422)


# -- one user ----------------------------------------------------------------------------------------------------------


def test_a_swap_in_one_step_keeps_the_number(api):
    done = api.request("PATCH", f"{ANNA}/licences", json={"add": ["MCOPSTN2"], "remove": ["MCOPSTN1"]}, key="admin")

    assert done.status_code == 200
    assert done.json()["after"] == ["MCOEV", "MCOPSTN2", "MCOPSTNC"]
    assert done.json()["numbers_unassigned"] == []
    assert done.headers["etag"] == '"2"'
    assert api.get(ANNA).json()["numbers"] == [ITS_NUMBER]


def test_exactly_these_licences_are_set_and_what_that_takes_away_is_told(api):
    tried = api.request("PUT", f"{ANNA}/licences", json={"licences": ["MCOEV"], "dry_run": True}).json()
    after_trying = licences(api, "anna")
    done = api.request("PUT", f"{ANNA}/licences", json={"licences": ["MCOEV"]}).json()

    assert tried == done
    assert after_trying == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]
    assert done["numbers_unassigned"] == [ITS_NUMBER]
    assert f"The number {ITS_NUMBER} is unassigned; it stays with the organisation." in done["consequences"]
    assert licences(api, "anna") == ["MCOEV"]


def test_a_refusal_names_rule_product_and_remedy(api):
    told = problem(api.request("PATCH", f"{ANNA}/licences", json={"remove": ["MCOEV"]}), 409)

    assert told["type"] == "urn:gettone:problem:licences_refused"
    assert told["violations"] == [
        {
            "kind": "DependencyViolation",
            "product": "MCOPSTN1",
            "detail": "MCOPSTN1 would stay without what it needs when MCOEV is removed.",
            "remedy": "Remove them in one step: gettone licences remove contoso anna@contoso.example MCOEV MCOPSTN1",
            "user": "",
        }
    ]
    assert licences(api, "anna") == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]


def test_a_user_is_not_made_with_licences_that_are_not_owned(api):
    body = {"upn": "dora@contoso.example", "usage_location": "US", "licences": ["MCOEV", "MCOPSTN5"]}

    told = problem(api.post(f"{CONTOSO}/users", body), 409)

    assert [(one["kind"], one["product"]) for one in told["violations"]] == [("CountViolation", "MCOPSTN5")]
    assert told["violations"][0]["remedy"] == "Buy more: gettone licences buy contoso MCOPSTN5 1"
    problem(api.get(f"{CONTOSO}/users/dora@contoso.example"), 404)


def test_the_account_of_a_voice_application_holds_its_own_licence(api):
    body = {"upn": "desk@contoso.example", "usage_location": "US", "account": "resource"}
    made = api.post(f"{CONTOSO}/users", {**body, "licences": ["PHONESYSTEM_VIRTUALUSER"]})
    other = api.post(f"{CONTOSO}/users", {**body, "upn": "hall@contoso.example", "licences": ["MCOEV"]})
    unknown = api.post(f"{CONTOSO}/users", {**body, "upn": "hall@contoso.example", "account": "robot"})

    assert made.json()["account"] == "resource"
    assert problem(other, 409)["violations"][0]["kind"] == "AccountKindViolation"
    assert problem(unknown, 422)["errors"][0]["field"] == "account"


# -- two administrators at once ----------------------------------------------------------------------------------------


def test_the_second_of_two_who_read_the_same_user_is_told_what_it_is_now(api):
    tag = api.get(ANNA).headers["etag"]
    first = api.request("PATCH", ANNA, json={"department": "Sales"}, headers={"If-Match": tag})
    second = api.request("PATCH", ANNA, json={"department": "Support"}, headers={"If-Match": tag})

    assert (first.status_code, first.headers["etag"]) == (200, '"2"')
    told = problem(second, 412)
    assert told["type"] == "urn:gettone:problem:changed_meanwhile"
    assert told["current"] == api.get(ANNA).json()
    assert told["current"]["department"] == "Sales"
    assert second.headers["etag"] == '"2"'


@pytest.mark.parametrize(("method", "body"), [("PUT", {"licences": []}), ("PATCH", {"remove": ["MCOPSTNC"]})])
def test_licences_are_not_changed_on_a_version_that_is_past(api, method, body):
    api.request("PATCH", ANNA, json={"department": "Sales"})

    stale = api.request(method, f"{ANNA}/licences", json=body, headers={"If-Match": '"1"'})
    fresh = api.request(method, f"{ANNA}/licences", json=body, headers={"If-Match": '"2"'})

    assert problem(stale, 412)["current"]["licences"] == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"3"')


def test_a_refusal_for_another_reason_stays_what_it_is_under_the_right_version(api):
    told = problem(
        api.request("PATCH", f"{ANNA}/licences", json={"remove": ["MCOEV"]}, headers={"If-Match": '"1"'}), 409
    )

    assert told["violations"][0]["kind"] == "DependencyViolation"


def test_a_tag_that_is_none_is_named_and_a_star_is_any_version(api):
    wrong = api.request("PATCH", ANNA, json={"department": "Sales"}, headers={"If-Match": "1"})
    any_version = api.request("PATCH", ANNA, json={"department": "Sales"}, headers={"If-Match": "*"})

    assert problem(wrong, 422)["errors"][0]["field"] == "If-Match"
    assert any_version.status_code == 200


# -- many users --------------------------------------------------------------------------------------------------------


def test_many_users_are_licensed_in_one_request(api):
    body = {"users": ["anna", "bert"], "add": ["MCOPSTNC"]}
    done = api.post(f"{CONTOSO}/licences/assign", body, key="admin").json()

    assert (done["changed"], done["unchanged"], done["refused"], done["written"]) == (1, 1, 0, True)
    assert [(one["upn"], one["after"]) for one in done["outcomes"]] == [
        ("anna@contoso.example", ["MCOEV", "MCOPSTN1", "MCOPSTNC"]),
        ("bert@contoso.example", ["MCOEV", "MCOPSTN1", "MCOPSTNC"]),
    ]


def test_users_are_chosen_by_a_condition(api):
    done = api.post(f"{CONTOSO}/licences/assign", {"holding": "MCOPSTNC", "remove": ["MCOPSTNC"]}).json()

    assert [one["user"] for one in done["outcomes"]] == ["anna"]
    assert done["outcomes"][0]["consequences"] == [
        "Calls that no minutes pay for are no longer paid from Communications Credits."
    ]
    told = problem(api.post(f"{CONTOSO}/licences/assign", {"add": ["MCOEV"]}), 422)
    assert told["errors"][0]["field"] == "selection"


def test_one_refusal_keeps_everybody_as_they_were_unless_partial_is_wanted(api):
    body = {"users": ["bert", "carla"], "add": ["MCOPSTNC"]}
    whole = api.post(f"{CONTOSO}/licences/assign", body)
    after_whole = licences(api, "bert")
    tried = api.post(f"{CONTOSO}/licences/assign", {**body, "dry_run": True}).json()
    partly = api.post(f"{CONTOSO}/licences/assign", {**body, "partial": True}).json()

    told = problem(whole, 409)
    assert told["detail"] == "1 of 2 users are refused; nothing was changed"
    assert [(one["user"], one["kind"]) for one in told["violations"]] == [
        ("carla@contoso.example", "DependencyViolation")
    ]
    assert after_whole == ["MCOEV", "MCOPSTN1"]
    assert (tried["refused"], tried["written"]) == (1, False)
    assert (partly["changed"], partly["refused"], partly["written"]) == (1, 1, True)
    assert partly["outcomes"][1]["violations"] == told["violations"]
    assert licences(api, "bert") == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]


def test_a_file_licenses_many_and_can_be_undone(api):
    place, headers = f"{CONTOSO}/licences/import", {"Content-Type": "text/csv"}
    file = "user,add,remove\nanna,MCOPSTN2,MCOPSTN1\nbert,,MCOPSTN1\n"
    tried = api.request("POST", f"{place}?dry_run=true", content=file, headers=headers, key="admin").json()
    done = api.request("POST", place, content=file, headers=headers, key="admin").json()
    changed = (licences(api, "anna"), licences(api, "bert"))
    undone = api.request("POST", place, content=done["undo_csv"], headers=headers).json()

    assert (tried["changed"], tried["written"], tried["undo_csv"]) == (2, False, "")
    assert (done["changed"], done["written"], done["gained"], done["lost"]) == (
        2,
        True,
        {"MCOPSTN2": 1},
        {"MCOPSTN1": 2},
    )
    assert {"detail": "Calls to telephone numbers are refused: no Calling Plan is left.", "users": 1} in done[
        "consequences"
    ]
    assert changed == (["MCOEV", "MCOPSTN2", "MCOPSTNC"], ["MCOEV"])
    assert undone["changed"] == 2
    assert (licences(api, "anna"), licences(api, "bert")) == (
        ["MCOEV", "MCOPSTN1", "MCOPSTNC"],
        ["MCOEV", "MCOPSTN1"],
    )


def test_everything_wrong_in_a_file_of_licences_is_told_with_its_line(api):
    place, headers = f"{CONTOSO}/licences/import", {"Content-Type": "text/csv"}
    file = "user,add\nanna,MCOPSTN9\nnobody,MCOEV\nbert,MCOPSTNC\n"
    told = problem(api.request("POST", place, content=file, headers=headers), 422)
    after = licences(api, "bert")
    partly = api.request("POST", f"{place}?partial=true", content=file, headers=headers).json()

    assert told["type"] == "urn:gettone:problem:invalid_file"
    assert [(one["line"], one["field"], one["value"]) for one in told["errors"]] == [
        (2, "add", "MCOPSTN9"),
        (3, "user", "nobody"),
    ]
    assert after == ["MCOEV", "MCOPSTN1"]
    assert (partly["changed"], partly["refused"], partly["errors"]) == (1, 2, told["errors"])


# -- before the first call ---------------------------------------------------------------------------------------------


def test_a_check_says_what_is_missing_and_how_to_mend_it(api):
    able = api.get(f"{CONTOSO}/licences/check", params={"user": "anna", "call": "international"}, key="read").json()
    unable = api.get(f"{CONTOSO}/licences/check", params={"user": "bert", "call": "+442071838750"}).json()

    assert able["allowed"] is True
    assert able["payers"] == ["Communications Credits: 20.00 USD available"]
    assert [one["reason"] for one in unable["missing"]] == ["no_credits_licence"]
    assert unable["missing"][0]["remedy"].endswith("gettone licences assign contoso bert@contoso.example MCOPSTNC")
    problem(api.get(f"{CONTOSO}/licences/check?user=anna&call=lunar"), 422)
    problem(api.get(f"{CONTOSO}/licences/check?user=nobody&call=domestic"), 404)
    assert problem(api.get(f"{CONTOSO}/licences/check?user=anna"), 422)["errors"][0]["field"] == "call"
