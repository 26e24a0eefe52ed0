"""Every route of the back office does its work, shows money as text, and lets in only who may."""

import json
from datetime import timedelta

import pytest

from tests.api.test_charging import problem
from tests.api.world import AMERICAN, BRITISH, ITS_NUMBER, NOW

CONTOSO = "/v1/organisations/contoso"
NEW_ORGANISATION = {"org_id": "tailspin", "name": "Tailspin", "country": "IT", "currency": "EUR"}


# -- who may: every route of the description -------------------------------------------------------------------------

PLACES = {
    "org_id": "contoso",
    "user": "anna",
    "number": ITS_NUMBER,
    "session_id": "one",
    "product": "MCOPSTN1",
    "subscription": "first MCOEV",
    "table": "allotments",
    "order_id": "00000001",
    "payment_id": "00000001-1",
    "method_id": "m",
    "invoice": "payment%2F00000001-1",
    "seller_id": "default",
    "notice_id": "n",
    "delivery_id": "d",
    "webhook_id": "w",
    "target": "role%2Fbilling",
    "role": "billing",
    "provider": "stripe",
}
SIGNED = "/v1/providers/{provider}/events"
"""Messages of payment providers have a signature instead of a key."""
OPEN_TO_ALL = {"/healthz", "/readyz", "/metrics", SIGNED}
READABLE_BY_CHARGING = {"/v1/quote", "/v1/catalogue", "/v1/catalogue/{table}"}


def operations(api):
    for path, methods in api.get("/openapi.json", key=None).json()["paths"].items():
        for method in methods:
            filled = path.format_map({"deck_id": "d", "key_id": "k", **PLACES}).replace("+", "%2B")
            yield method.upper(), path, filled


def test_every_route_needs_a_key_but_those_about_health(api):
    asked = [
        path for method, path, filled in operations(api) if api.request(method, filled, key=None).status_code != 401
    ]

    assert set(asked) == OPEN_TO_ALL


def test_no_route_of_an_organisation_lets_in_a_key_of_another(api):
    of_contoso = [(method, filled) for method, path, filled in operations(api) if "{org_id}" in path]

    statuses = {api.request(method, filled, key="foreign").status_code for method, filled in of_contoso}

    assert len(of_contoso) > 25
    assert statuses == {403}


def test_a_reading_key_changes_nothing(api):
    changing = [(method, filled) for method, path, filled in operations(api) if method != "GET" and path != SIGNED]

    assert {api.request(method, filled, key="read").status_code for method, filled in changing} == {403}


def test_a_charging_key_reads_nothing_but_quotes_and_the_catalogue(api):
    reading = [
        (filled, path) for method, path, filled in operations(api) if method == "GET" and path not in OPEN_TO_ALL
    ]

    allowed = {path for filled, path in reading if api.get(filled, key="charging").status_code != 403}

    assert allowed == READABLE_BY_CHARGING


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/organisations", NEW_ORGANISATION),
        ("POST", f"{CONTOSO}/close", None),
        ("POST", f"{CONTOSO}/wallet/funds", {"amount": "5.00"}),
        ("POST", f"{CONTOSO}/wallet/adjustments", {"amount": "5.00", "reason": "x"}),
        ("POST", "/v1/rates/decks", None),
        ("PATCH", CONTOSO, {"price_list": "cheap"}),
        ("PATCH", CONTOSO, {"post_usage": True}),
        ("POST", "/v1/keys", {"scope": "operator"}),
        ("POST", "/v1/keys", {"scope": "admin", "org_id": "fabrikam"}),
        ("GET", "/v1/keys?organisation=fabrikam", None),
    ],
)
def test_what_is_the_operators_is_closed_to_an_administrator(api, method, path, body):
    problem(api.request(method, path, json=body, key="admin", headers={"Idempotency-Key": "k"}), 403)


# -- organisations, users, numbers -------------------------------------------------------------------------------------


def test_an_organisation_is_made_changed_closed_and_reopened(api):
    made = api.post("/v1/organisations", NEW_ORGANISATION)
    changed = api.request("PATCH", "/v1/organisations/tailspin", json={"name": "Tailspin Toys"})
    closed = api.post("/v1/organisations/tailspin/close")
    reopened = api.post("/v1/organisations/tailspin/reopen")

    assert made.status_code == 201
    assert made.json() == {
        **NEW_ORGANISATION,
        "time_zone": "UTC",
        "price_list": "standard",
        "closed": False,
        "post_usage": False,
        "created_at": "2026-05-11T09:00:00Z",
    }
    assert changed.json()["name"] == "Tailspin Toys"
    assert (closed.json()["closed"], reopened.json()["closed"]) == (True, False)
    assert api.get("/v1/organisations/tailspin").json() == reopened.json()


def test_organisations_are_listed_in_pages(api):
    first = api.get("/v1/organisations?limit=1").json()
    second = api.get(f"/v1/organisations?limit=1&cursor={first['next_cursor']}").json()
    own = api.get("/v1/organisations", key="read").json()

    assert [one["org_id"] for one in first["items"] + second["items"]] == ["contoso", "fabrikam"]
    assert second["next_cursor"] == ""
    assert [one["org_id"] for one in own["items"]] == ["contoso"]


def test_a_user_is_made_changed_and_removed(api):
    users = f"{CONTOSO}/users"
    made = api.post(users, {"upn": "Dora@contoso.example", "user_id": "d/o", "number": "+12125550177"}, key="admin")
    place = f"{users}/d%2Fo"
    change = {"display_name": "Dora", "usage_location": "IT", "department": "Sales", "licences": ["mcoev"]}
    changed = api.request("PATCH", place, json=change)
    removed = api.request("DELETE", place)

    assert made.status_code == 201
    assert (made.json()["upn"], made.json()["numbers"]) == ("dora@contoso.example", ["+12125550177"])
    assert (made.json()["account"], made.json()["version"], made.headers["etag"]) == ("person", 1, '"1"')
    assert {**changed.json(), **change, "licences": ["MCOEV"], "version": 2} == changed.json()
    assert removed.status_code == 204
    problem(api.get(place), 404)


def test_users_are_found_by_part_of_their_name(api):
    found = api.get(f"{CONTOSO}/users?search=ANN").json()

    assert [user["user_id"] for user in found["items"]] == ["anna"]
    assert api.get(f"{CONTOSO}/users/anna@contoso.example").json() == found["items"][0]


def test_users_come_from_a_file_whole_or_not_at_all(api):
    headers = {"Content-Type": "text/csv"}
    bad = api.request(
        "POST", f"{CONTOSO}/imports/users", content="upn,usage_location\nerik@x.example,Italy\nf,XX\n", headers=headers
    )
    good = api.request("POST", f"{CONTOSO}/imports/users", content="upn\nerik@x.example\n", headers=headers)

    told = problem(bad, 422)
    assert [(error["line"], error["field"]) for error in told["errors"]] == [
        (2, "usage_location"),
        (3, "usage_location"),
    ]
    assert good.json() == {"created": 1, "changed": 0, "unchanged": 0}


def test_numbers_are_assigned_listed_and_released(api):
    place = f"{CONTOSO}/numbers/%2B12125550188"
    assigned = api.request("PUT", place, json={"use": "conference", "label": "Bridge"})
    listed = api.get(f"{CONTOSO}/numbers?search=0188").json()["items"]
    released = api.request("DELETE", place)
    again = api.request("DELETE", place)
    imported = api.request("POST", f"{CONTOSO}/imports/numbers", content="number,user\n+12125550199,bert\n")

    assert assigned.json() == {
        "number": "+12125550188",
        "use": "conference",
        "user_id": "",
        "label": "Bridge",
        "source": "plan",
    }
    assert listed == [assigned.json()]
    assert released.status_code == 204
    problem(again, 404)
    assert imported.json()["created"] == 1


def test_numbers_are_acquired_ring_somebody_and_then_nobody(api):
    acquired = api.post(f"{CONTOSO}/numbers", {"numbers": ["+12125550155"], "source": "ported"}, key="admin")
    place = f"{CONTOSO}/numbers/%2B12125550155"
    rings = api.request("PUT", place, json={"user": "bert"}).json()
    silent = api.post(f"{place}/unassign").json()

    assert acquired.status_code == 201
    assert [(one["use"], one["source"]) for one in acquired.json()["items"]] == [("unassigned", "ported")]
    assert (rings["user_id"], rings["use"], rings["source"]) == ("bert", "user", "ported")
    assert silent == acquired.json()["items"][0]


def test_quotas_say_how_many_numbers_the_licences_allow(api):
    quotas = api.get(f"{CONTOSO}/numbers/quotas", key="read").json()["items"]
    told = problem(
        api.post(f"{CONTOSO}/numbers", {"numbers": [f"+121255502{line:02}" for line in range(20)]}, key="admin"), 409
    )

    assert quotas[0] == {"kind": "user", "used": 1, "allowed": 15}
    assert "15 of 15 numbers for users" in told["detail"]
    assert len(api.get(f"{CONTOSO}/numbers").json()["items"]) == 1


def test_a_number_of_another_organisation_is_a_conflict(api):
    problem(api.request("PUT", f"/v1/organisations/fabrikam/numbers/{ITS_NUMBER}", json={"use": "conference"}), 409)


# -- money -----------------------------------------------------------------------------------------------------------


def test_funds_are_added_once_for_each_key(api):
    body, headers = {"amount": "5.50", "currency": "USD", "reason": "welcome"}, {"Idempotency-Key": "k1"}
    first = api.post(f"{CONTOSO}/wallet/funds", body, headers=headers)
    again = api.post(f"{CONTOSO}/wallet/funds", body, headers=headers)
    other = api.post(f"{CONTOSO}/wallet/funds", {"amount": "6.00"}, headers=headers)

    assert first.status_code == 201
    assert (first.json()["amount"], first.json()["available"], first.json()["repeated"]) == ("5.50", "25.50", False)
    assert again.json()["repeated"] is True
    problem(other, 409)
    assert api.available() == "25.50"


def test_a_wallet_is_adjusted_down_out_of_free_credit(api):
    down = api.post(
        f"{CONTOSO}/wallet/adjustments",
        {"amount": "-1.25", "reason": "goodwill undone"},
        headers={"Idempotency-Key": "a"},
    )
    too_far = api.post(
        f"{CONTOSO}/wallet/adjustments", {"amount": "-100", "reason": "x"}, headers={"Idempotency-Key": "b"}
    )

    assert (down.status_code, down.json()["available"]) == (201, "18.75")
    problem(too_far, 409)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"amount": "five"}, "amount"),
        ({"amount": "0.0000001"}, "amount"),
        ({"amount": "99999999999999999"}, "amount"),
        ({"amount": 5}, "amount"),
        ({"amount": "5", "currency": "EUR"}, "currency"),
        ({"amount": "5", "expires_at": "0001-01-01T00:00:00Z"}, "expires_at"),
        ({"amount": "5", "lot": "x"}, "lot"),
        ({}, "amount"),
    ],
)
def test_an_amount_that_cannot_be_booked_is_named(api, body, field):
    told = problem(api.post(f"{CONTOSO}/wallet/funds", body, headers={"Idempotency-Key": "k"}), 422)

    assert told["errors"][0]["field"] == field
    assert told["errors"][0]["remedy"]


def test_a_booking_without_a_key_is_not_made(api):
    told = problem(api.post(f"{CONTOSO}/wallet/funds", {"amount": "5"}), 422)

    assert told["errors"] == [{"remedy": "this header parameter is required; add it", "field": "Idempotency-Key"}]


def test_the_wallet_shows_what_calls_hold(api):
    api.start()

    wallet = api.get(f"{CONTOSO}/wallet", key="read").json()

    assert (wallet["posted"], wallet["held"], wallet["available"], wallet["currency"]) == (
        "20.00",
        "0.07",
        "19.93",
        "USD",
    )
    assert wallet["next_expiry_at"].endswith("Z")
    assert api.get(f"{CONTOSO}/wallet/lots").json()["items"] == wallet["lots"]
    assert (wallet["lots"][0]["amount"], wallet["lots"][0]["held"]) == ("20.00", "0.07")


def test_a_call_is_found_with_its_entry_and_its_usage(api):
    api.start()
    api.stop(used_seconds=61)
    api.clock.forward(minutes=5)
    api.start("no", user="carla")
    whole_day = {"since": NOW.isoformat(), "until": (NOW + timedelta(days=1)).isoformat()}

    [refused, ended] = api.get(f"{CONTOSO}/calls").json()["items"]
    [entry] = api.get(f"{CONTOSO}/ledger?reference=one").json()["items"]
    detail = api.get(f"{CONTOSO}/calls/one").json()
    [by_payer] = api.get(f"{CONTOSO}/usage", params={"by": "payer", **whole_day}).json()["items"]
    only_ended = api.get(
        f"{CONTOSO}/calls", params={"state": "ended", "user": "anna", "called": BRITISH, **whole_day}
    ).json()

    assert (refused["state"], refused["refusal"]) == ("refused", "no_calling_plan")
    assert (ended["state"], ended["charged"], ended["currency"], ended["billed_seconds"]) == (
        "ended",
        "0.04",
        "USD",
        120,
    )
    assert entry["currency"] == "USD"
    assert sorted(posting["amount"] for posting in entry["postings"]) == ["-0.04", "0.04"]
    assert detail["call"] == ended
    assert [(part["payer"], part["charged"], part["connection"]) for part in detail["usage"]] == [
        ("credits", "0.04", "0.02")
    ]
    assert (by_payer["key"], by_payer["calls"], by_payer["charged"]) == ("credits", 1, "0.04")
    assert only_ended["items"] == [ended]
    problem(api.get(f"{CONTOSO}/calls/none"), 404)


def test_a_time_without_an_offset_is_named(api):
    told = problem(api.get(f"{CONTOSO}/calls?since=2026-05-11T00:00:00"), 422)

    assert told["errors"][0]["field"] == "since"


@pytest.mark.parametrize("query", ["by=day", "by=hour&since=2026-05-11T00:00:00Z&until=2026-05-12T00:00:00Z"])
def test_usage_says_what_it_needs(api, query):
    problem(api.get(f"{CONTOSO}/usage?{query}"), 422)


def test_pools_show_what_is_used(api):
    api.start("domestic", user="bert", called=AMERICAN)
    api.charge("/v1/calls/domestic/stop", {"request_number": 1, "used_seconds": 90})

    [pool] = api.get(f"{CONTOSO}/pools").json()["items"]

    assert (pool["licences"], pool["used_seconds"], pool["held_seconds"], pool["period"]) == (2, 120, 0, 202605)
    assert api.get(f"{CONTOSO}/pools?period=202604").status_code == 200
    problem(api.get(f"{CONTOSO}/pools?period=13"), 422)


# -- rates, quotes, keys -----------------------------------------------------------------------------------------------


def test_a_deck_is_imported_listed_and_looked_up(api):
    deck = "country,price\nIT,0.05\n"
    query = {"name": "cheap", "currency": "EUR", "effective_from": "2026-02-01T00:00:00Z"}
    made = api.request("POST", "/v1/rates/decks", params=query, content=deck, headers={"Content-Type": "text/csv"})
    again = api.request("POST", "/v1/rates/decks", params=query, content=deck)
    [listed] = api.get("/v1/rates/decks?name=cheap", key="read").json()["items"]
    rows = api.get(f"/v1/rates/decks/{listed['deck_id']}/rows").json()["items"]
    found = api.get("/v1/rates/lookup", params={"number": "+390612345678", "name": "cheap", "currency": "EUR"}).json()

    assert made.status_code == 201
    assert (made.json()["already"], again.json()["already"]) == (False, True)
    assert listed == made.json()["deck"]
    assert (rows[0]["country"], rows[0]["price"]) == ("IT", "0.05")
    assert found["rows"] == rows
    problem(api.get("/v1/rates/lookup", params={"number": "+15", "currency": "EUR"}), 422)


def test_a_bad_deck_is_refused_with_every_bad_line(api):
    query = {"currency": "EUR", "effective_from": "2026-02-01T00:00:00Z"}
    deck = "country,price\nIT,cheap\nFR,0.1\nXX,0.1\n"

    told = problem(api.request("POST", "/v1/rates/decks", params=query, content=deck), 422)

    assert told["type"] == "urn:gettone:problem:invalid_file"
    assert [(error["line"], error["field"]) for error in told["errors"]] == [(2, "price"), (4, "country")]


def test_a_quote_says_what_a_call_would_cost_and_who_would_pay(api):
    asked = {"called": BRITISH, "user": "anna", "seconds": 61}
    by_body = api.post("/v1/quote", asked, key="charging")
    by_query = api.get("/v1/quote", params=asked, key="charging")

    assert by_body.status_code == 200
    assert by_body.json() == by_query.json()
    quote = by_body.json()
    assert (quote["charged"], quote["currency"], quote["billed_seconds"], quote["reason"]) == ("0.04", "USD", 120, None)
    assert [part["payer"] for part in quote["parts"]] == ["credits"]
    assert api.available() == "20.00"


def test_a_quote_says_why_not(api):
    quote = api.get("/v1/quote", params={"called": BRITISH, "user": "carla"}, key="charging").json()

    assert (quote["reason"], quote["affordable_seconds"]) == ("no_calling_plan", 0)
    assert quote["title"]
    problem(api.get("/v1/quote", params={"called": BRITISH, "user": "a", "org_id": "fabrikam"}, key="charging"), 403)


def test_a_key_is_made_used_and_revoked(api):
    made = api.post("/v1/keys", {"scope": "charging", "label": "pbx"}, key="admin")
    key, token = made.json()["key"], made.json()["token"]
    worked = api.charge("/v1/calls", {"session_id": "k", "user": "anna", "called": BRITISH}, key=token)
    revoked = api.request("DELETE", f"/v1/keys/{key['key_id']}", key="admin")
    [listed] = [one for one in api.get("/v1/keys", key="admin").json()["items"] if one["key_id"] == key["key_id"]]

    assert (made.status_code, key["org_id"], key["scope"]) == (201, "contoso", "charging")
    assert worked.status_code == 200
    assert revoked.json()["revoked_at"] == "2026-05-11T09:00:00Z"
    assert listed == revoked.json()
    assert token not in json.dumps(api.get("/v1/keys").json())


def test_an_administrator_sees_and_revokes_no_key_of_others(api):
    keys = api.get("/v1/keys", key="admin").json()["items"]
    [foreign] = [key for key in api.get("/v1/keys").json()["items"] if key["org_id"] == "fabrikam"]

    assert {key["org_id"] for key in keys} == {"contoso"}
    problem(api.request("DELETE", f"/v1/keys/{foreign['key_id']}", key="admin"), 404)


# -- in general ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", "/v1", "/v2/calls", f"{CONTOSO}/nothing", "/schema", "/docs"])
def test_what_is_not_there_is_a_problem(api, path):
    problem(api.get(path), 404)


def test_a_method_that_is_not_possible_says_which_are(api):
    response = api.request("DELETE", "/v1/organisations")

    problem(response, 405)
    assert set(response.headers["allow"].replace(" ", "").split(",")) >= {"GET", "POST"}


def test_an_unknown_organisation_is_not_found(api):
    assert "nowhere" in problem(api.get("/v1/organisations/nowhere/wallet"), 404)["detail"]


@pytest.mark.parametrize(
    ("body", "field"), [({"name": "x"}, "org_id"), ({**NEW_ORGANISATION, "colour": "red"}, "colour"), ([], "")]
)
def test_a_body_of_the_wrong_shape_names_its_field(api, body, field):
    told = problem(api.post("/v1/organisations", body), 422)

    assert told["errors"][0].get("field", "") == field


@pytest.mark.parametrize("limit", ["0", "1001", "many"])
def test_a_limit_is_from_1_to_1000(api, limit):
    assert problem(api.get(f"{CONTOSO}/users?limit={limit}"), 422)["errors"][0]["field"] == "limit"


def test_a_cursor_of_nobodys_is_refused(api):
    problem(api.get(f"{CONTOSO}/ledger?cursor=x"), 422)


@pytest.mark.parametrize("path", [f"{CONTOSO}/users/a%00b", f"{CONTOSO}/users?search=a%00b", "/v1/organisations/%ff"])
def test_control_characters_and_other_encodings_are_turned_down(api, path):
    problem(api.get(path), 400)


def test_a_body_that_is_no_json_is_turned_down(api):
    headers = {"Content-Type": "application/json"}

    problem(api.request("POST", "/v1/organisations", content='{"org_id":', headers=headers), 400)


def test_a_mistake_of_ours_tells_nothing_of_itself(api, monkeypatch, caplog):
    def fail(*_args, **_others):
        raise ZeroDivisionError("secret")

    monkeypatch.setattr("gettone.operations.reports.wallet", fail)
    response = api.get(f"{CONTOSO}/wallet")

    assert "secret" not in response.text
    problem(response, 500)
    assert "ZeroDivisionError" in caplog.text


def test_health_readiness_and_metrics_need_no_key(api):
    api.start()
    health, ready, metrics = (api.get(path, key=None) for path in ("/healthz", "/readyz", "/metrics"))
    api.gettone.desks.turn_away()
    closing = api.get("/readyz", key=None)

    assert health.json() == {"status": "ok", "problems": []}
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    assert (closing.status_code, closing.json()["problems"]) == (503, ["the charging desk is closing"])
    assert 'gettone_charging_requests_total{operation="start",reason="",result="granted"} 1.0' in metrics.text
    assert 'route="/v1/calls",status="200"' in metrics.text
    assert "anna" not in metrics.text


def test_a_service_without_its_database_is_not_ready(api, database):
    database.rename(database.with_suffix(".gone"))

    response = api.get("/readyz", key=None)

    assert response.status_code == 503
    assert "gettone db upgrade" in response.json()["problems"][0]


def test_the_description_names_every_schema_it_uses(api):
    text = api.get("/openapi.json", key=None).text
    schemas = json.loads(text)["components"]["schemas"]

    used = {part.partition('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert used <= schemas.keys()
    assert {"Start", "BatchAnswer", "Problem", "PageOfCall", "PageOfRows"} <= schemas.keys()
    assert not [name for name in schemas if "." in name or name.endswith("_")]
