"""Policies, bars, blocks, spending and notices over HTTP: money as text, who may, and what the next call is told."""

import sqlite3

import pytest

from tests.api.test_charging import problem

CONTOSO = "/v1/organisations/contoso"
POLICIES = f"{CONTOSO}/policies"
DEFAULT = "DialoutCPCandPSTNInternational"
DISABLED = "DialoutCPCandPSTNDisabled"


def change(api, key: str = "admin", **body):
    return api.request("PATCH", POLICIES, json=body, key=key)


def told(api, kind: str = "") -> list[str]:
    return [one["sentence"] for one in api.get(f"{CONTOSO}/notices?kind={kind}", key="read").json()["items"]]


def test_an_organisation_without_rules_shows_the_shipped_ones(api):
    assert api.get(POLICIES, key="read").json() == {
        "org_id": "contoso",
        "currency": "USD",
        "dial_out": "",
        "dial_out_in_force": DEFAULT,
        "user_limit": None,
        "group_limits": {},
        "conference_uses_calling_plan": False,
        "guard": {
            "concurrent_calls": 10,
            "conference_calls": None,
            "resource_calls": None,
            "user_hour": "100.00",
            "organisation_hour": "1000.00",
            "new_premium_per_day": 5,
            "premium_minute": "1.00",
            "block_hours": 24,
        },
        "bars": 0,
    }


def test_rules_are_changed_in_part_and_null_takes_a_limit_away(api):
    change(
        api,
        dial_out=DISABLED,
        user_limit="50.00",
        group_limits={"department/Sales": "500", "department/Lab": "1.5"},
        guard={"concurrent_calls": None, "organisation_hour": "20.00", "premium_minute": "0.75", "block_hours": 2}
        | {"conference_calls": 40, "resource_calls": 20},
    )
    answer = change(api, user_limit=None, group_limits={"department/Lab": None}, guard={"user_hour": None})

    assert answer.status_code == 200
    shown = answer.json()
    assert shown == api.get(POLICIES).json()
    assert (shown["dial_out_in_force"], shown["user_limit"]) == (DISABLED, None)
    assert shown["group_limits"] == {"department/Sales": "500.00"}
    assert shown["guard"] == {
        "concurrent_calls": None,
        "conference_calls": 40,
        "resource_calls": 20,
        "user_hour": None,
        "organisation_hour": "20.00",
        "new_premium_per_day": 5,
        "premium_minute": "0.75",
        "block_hours": 2,
    }
    assert told(api)[0].startswith("The rules of the organisation were changed by API key ")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"dial_out": "Open"}, "dial_out"),
        ({"user_limit": "-5"}, "user_limit"),
        ({"user_limit": 5}, "user_limit"),
        ({"user_limit": "0.0000001"}, "user_limit"),
        ({"group_limits": {"Sales": "5"}}, "group_limits"),
        ({"guard": {"concurrent_calls": 0}}, "guard.concurrent_calls"),
        ({"guard": {"resource_calls": 0}}, "guard.resource_calls"),
        ({"guard": {"speed": 1}}, "guard"),
        ({"colour": "red"}, ""),
    ],
)
def test_a_rule_that_makes_no_sense_is_named_and_nothing_changes(api, body, field):
    before = api.get(POLICIES).json()

    answer = change(api, conference_uses_calling_plan=True, **body)

    [error] = problem(answer, 422)["errors"]
    assert error.get("field", "").startswith(field)
    assert api.get(POLICIES).json() == before


def test_a_users_own_rules_are_changed_and_taken_away(api):
    change(api, user_limit="50.00")
    place = f"{CONTOSO}/users/anna/policy"
    own = api.request("PATCH", place, json={"limit": "0", "dial_out": DISABLED}, key="admin").json()
    shown = api.get(f"{CONTOSO}/users/anna@contoso.example/policy", key="read").json()
    back = api.request("PATCH", place, json={"limit": None, "dial_out": ""}, key="admin").json()

    assert own == shown
    assert (own["limit"], own["limit_in_force"], own["dial_out_in_force"]) == ("0.00", "0.00", DISABLED)
    assert (back["limit"], back["limit_in_force"], back["dial_out_in_force"]) == (None, "50.00", DEFAULT)
    problem(api.request("PATCH", f"{CONTOSO}/users/dora/policy", json={}, key="admin"), 404)


def test_the_twelve_dial_out_policies_are_listed_for_everybody_who_reads(api):
    found = api.get("/v1/dial-out-policies", key="read").json()["items"]

    assert len(found) == 12
    assert [one["policy"] for one in found if one["default"]] == [DEFAULT]


def test_prefixes_are_barred_listed_and_removed(api):
    bars = f"{POLICIES}/bars"
    made = api.post(bars, {"prefix": "+1900", "label": "premium"}, key="admin")
    api.post(bars, {"prefix": "1900555", "barred": False}, key="admin")

    assert made.status_code == 200
    assert made.json() == {
        "direction": "called",
        "prefix": "1900",
        "barred": True,
        "label": "premium",
        "created_at": "2026-05-11T09:00:00Z",
    }
    assert [one["prefix"] for one in api.get(bars, key="read").json()["items"]] == ["1900", "1900555"]
    assert api.get(POLICIES).json()["bars"] == 2
    assert api.request("DELETE", f"{bars}?prefix=%2B1900", key="admin").status_code == 204
    problem(api.request("DELETE", f"{bars}?prefix=%2B1900", key="admin"), 404)
    problem(api.request("DELETE", f"{bars}?prefix=1900555&direction=in", key="admin"), 422)
    problem(api.post(bars, {"prefix": "0044"}, key="admin"), 422)


def test_a_blocked_user_cannot_call_until_unblocked(api):
    place = f"{CONTOSO}/users/anna"
    blocked = api.post(f"{place}/block", {"detail": "phone was stolen", "until": "2026-05-12T09:00:00Z"}, key="admin")
    refused = api.start("one")
    [report] = api.get(f"{CONTOSO}/blocked-users", key="read").json()["items"]
    free = api.post(f"{place}/unblock", {}, key="admin")
    granted = api.start("two")

    assert blocked.json()["blocked_reason"] == "tenant_requested"
    assert problem(refused, 403)["reason"] == "user_blocked"
    assert (report["blocked_at"], report["until"]) == ("2026-05-11T09:00:00Z", "2026-05-12T09:00:00Z")
    assert (report["explanation"], report["detail"]) == (
        "An administrator of the organisation asked for it.",
        "phone was stolen",
    )
    assert (free.json()["blocked_reason"], granted.status_code) == ("", 200)
    history = api.get(f"{CONTOSO}/block-history?user=anna", key="read").json()["items"]
    assert [line["action"] for line in history] == ["unblocked", "blocked"]
    assert len(told(api, "user_blocked")) == 1


def test_a_block_that_makes_no_sense_is_refused(api):
    place = f"{CONTOSO}/users/anna/block"

    problem(api.post(place, {"reason": "mood"}, key="admin"), 422)
    problem(api.post(place, {"until": "2026-05-11T09:00:00Z"}, key="admin"), 422)
    problem(api.post(place, {"until": "2026-06-11T09:00:00"}, key="admin"), 422)
    problem(api.post(f"{CONTOSO}/users/dora/block", {}, key="admin"), 404)
    assert api.get(f"{CONTOSO}/blocked-users").json()["items"] == []


def test_a_rule_counts_from_the_next_call_on(api):
    assert api.start("one").status_code == 200
    change(api, dial_out=DISABLED)
    refused = api.start("two")
    change(api, dial_out="")
    api.post(f"{POLICIES}/bars", {"prefix": "44"}, key="admin")
    barred = api.start("three")

    assert problem(refused, 403)["reason"] == "dial_out_restricted"
    assert problem(barred, 403)["reason"] == "number_barred"


def test_spending_is_text_and_comes_in_pages(api, database):
    change(api, user_limit="50.00", group_limits={"department/Sales": "500"})
    with sqlite3.connect(database) as connection:
        connection.execute(
            "INSERT INTO tally (org_id, subject, period, spent_micros)"
            " VALUES ('contoso', 'user/anna', 202605, 12000000)"
        )
    connection.close()

    first = api.get(f"{CONTOSO}/spending?limit=1", key="read").json()
    [anna] = api.get(f"{CONTOSO}/spending?limit=1&cursor={first['next_cursor']}", key="read").json()["items"]

    assert [one["subject"] for one in first["items"]] == ["department/Sales"]
    assert anna == {
        "subject": "user/anna",
        "display": "anna@contoso.example",
        "period": 202605,
        "currency": "USD",
        "limit": "50.00",
        "spent": "12.00",
        "held": "0.00",
        "left": "38.00",
        "open_calls": 0,
        "percent": 24,
    }
    problem(api.get(f"{CONTOSO}/spending?period=13"), 422)


def test_a_premium_destination_is_allowed_and_listed(api):
    allowed = api.post(f"{CONTOSO}/destinations", {"destination": "GB premium"}, key="admin")

    assert allowed.json() == {"destination": "GB premium", "first_at": "2026-05-11T09:00:00Z", "allowed": True}
    assert api.get(f"{CONTOSO}/destinations", key="read").json()["items"] == [allowed.json()]


def test_a_list_of_an_unknown_kind_of_notice_is_refused(api):
    problem(api.get(f"{CONTOSO}/notices?kind=gossip"), 422)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PATCH", POLICIES),
        ("POST", f"{POLICIES}/bars"),
        ("DELETE", f"{POLICIES}/bars?prefix=1"),
        ("PATCH", f"{CONTOSO}/users/anna/policy"),
        ("POST", f"{CONTOSO}/users/anna/block"),
        ("POST", f"{CONTOSO}/users/anna/unblock"),
        ("POST", f"{CONTOSO}/destinations"),
    ],
)
def test_only_an_administrator_of_the_organisation_changes_rules(api, method, path):
    statuses = {key: api.request(method, path, json={}, key=key).status_code for key in ("read", "charging", "foreign")}

    assert statuses == {"read": 403, "charging": 403, "foreign": 403}
