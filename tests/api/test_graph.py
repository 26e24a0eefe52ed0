"""The Graph-shaped API: lists in pages, one user, licences, and every error in Graph's own shape."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gettone.api.graph.app import GraphApp
from tests.api.graph import (
    CREDITS,
    EVERY_ROUTE,
    GRAPH,
    MCOEV,
    MCOPSTN1,
    MCOPSTN2,
    PHONE_SYSTEM_PLAN,
    UNKNOWN,
    assign,
    bad,
    error,
    held,
    import_users,
    names,
    pages,
    token_of,
)
from tests.api.world import ITS_NUMBER, opened_api, populate
from tests.support.documentation import headings

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference" / "graph-api.md"


@pytest.fixture
def admin(api) -> str:
    return token_of(api, api.tokens.admin)


@pytest.fixture
def reader(api) -> str:
    return token_of(api, api.tokens.read)


# -- products ----------------------------------------------------------------------------------------------------------


def test_products_are_shown_with_their_counts(api, reader):
    body = api.get(f"{GRAPH}/subscribedSkus", key=reader).json()
    skus = {sku["skuPartNumber"]: sku for sku in body["value"]}
    phone_system = skus["MCOEV"]

    assert body["@odata.context"] == "http://gettone/graph/v1.0/$metadata#subscribedSkus"
    assert {**phone_system, "subscriptionIds": []} == {
        "id": f"contoso_{MCOEV}",
        "accountId": "contoso",
        "accountName": "contoso",
        "appliesTo": "User",
        "capabilityStatus": "Enabled",
        "consumedUnits": 2,
        "prepaidUnits": {"enabled": 5, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [
            {
                "servicePlanId": PHONE_SYSTEM_PLAN,
                "servicePlanName": "MCOEV",
                "provisioningStatus": "Success",
                "appliesTo": "User",
            }
        ],
        "skuId": MCOEV,
        "skuPartNumber": "MCOEV",
        "subscriptionIds": [],
    }
    assert len(phone_system["subscriptionIds"]) == 1


def test_one_product_is_found_by_its_id(api, reader):
    found = api.get(f"{GRAPH}/subscribedSkus/contoso_{CREDITS.upper()}?$select=skuPartNumber,consumedUnits", key=reader)

    assert found.json() == {
        "@odata.context": "http://gettone/graph/v1.0/$metadata#subscribedSkus/$entity",
        "skuPartNumber": "MCOPSTNC",
        "consumedUnits": 1,
    }
    error(api.get(f"{GRAPH}/subscribedSkus/contoso_{UNKNOWN}", key=reader), 404, "Request_ResourceNotFound")
    assert "possible are: $select" in bad(api.get(f"{GRAPH}/subscribedSkus?$filter=x", key=reader))


# -- lists of users ----------------------------------------------------------------------------------------------------


def test_250_users_come_in_pages(api, reader):
    import_users(api, 250)

    by_default = pages(api, reader, f"{GRAPH}/users")
    of_99 = pages(api, reader, f"{GRAPH}/users?$top=99&$select=userPrincipalName&$count=true")

    assert [len(page["value"]) for page in by_default] == [100, 100, 53]
    assert [len(page["value"]) for page in of_99] == [99, 99, 55]
    assert [page.get("@odata.count") for page in of_99] == [253, None, None]
    everybody = [name for page in of_99 for name in names(page)]
    assert everybody == [name for page in by_default for name in names(page)] == sorted(everybody)
    assert set(of_99[2]["value"][0]) == {"@odata.etag", "userPrincipalName"}


def test_a_rare_condition_is_met_wherever_it_is_in_the_list(api, reader, monkeypatch):
    import_users(api, 250)
    monkeypatch.setattr("gettone.api.graph.routes.LIMIT_MAX", 20)

    found = pages(api, reader, f"{GRAPH}/users?$filter=usageLocation eq 'US'")
    lonely = pages(api, reader, f"{GRAPH}/users?$filter=startswith(displayName,'many 24') and usageLocation eq 'it'")

    assert [name for page in found for name in names(page)] == ["anna", "bert", "carla"]
    assert [name for page in lonely for name in names(page)] == ["many024", *(f"many{n}" for n in range(240, 250))]
    assert len(lonely) > 1


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("userPrincipalName eq 'ANNA@contoso.example'", ["anna"]),
        ("userPrincipalName eq 'nobody@contoso.example'", []),
        ("id eq 'bert'", ["bert"]),
        ("id eq 'anna@contoso.example'", []),
        ("usageLocation eq 'US' and id eq 'carla'", ["carla"]),
        ("usageLocation eq 'IT'", []),
        ("usageLocation eq null", ["dora"]),
        ("displayName eq 'Dora O''Neil'", ["dora"]),
        ("department eq 'sales'", ["dora"]),
        ("startswith(userPrincipalName,'b')", ["bert"]),
        (f"assignedLicenses/any(x:x/skuId eq {CREDITS})", ["anna"]),
        (f"assignedLicenses/any(s:s/skuId eq {MCOEV.upper()}) and startswith(userPrincipalName,'b')", ["bert"]),
    ],
)
def test_users_are_filtered(api, reader, asked, found):
    dora = {"upn": "dora@contoso.example", "display_name": "Dora O'Neil", "department": "Sales"}
    assert api.post("/v1/organisations/contoso/users", dora, key="admin").status_code == 201

    page = api.get(f"{GRAPH}/users", params={"$filter": asked, "$count": "true"}, key=reader).json()

    assert names(page) == found
    assert page["@odata.count"] == len(found)
    assert api.get(f"{GRAPH}/users/$count", params={"$filter": asked}, key=reader).text == str(len(found))


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("id eq 'Anna1'", ["erna"]),
        ("id eq 'BERT'", ["bert"]),
        ("id eq 'anna1'", []),
        ("id eq 'Anna'", ["anna"]),
        ("userPrincipalName eq 'erna@contoso.example' and id eq 'Anna1'", ["erna"]),
    ],
)
def test_a_user_is_found_by_an_id_with_capital_letters(api, reader, asked, found):
    erna = {"upn": "erna@contoso.example", "user_id": "Anna1"}
    assert api.post("/v1/organisations/contoso/users", erna, key="admin").status_code == 201

    page = api.get(f"{GRAPH}/users", params={"$filter": asked, "$count": "true"}, key=reader).json()

    assert (names(page), page["@odata.count"]) == (found, len(found))


@pytest.mark.parametrize(("asked", "found"), [('"bert"', ["bert"]), ('"id:AR"', ["carla"]), ('"displayName:x"', [])])
def test_users_are_searched(api, reader, asked, found):
    assert names(api.get(f"{GRAPH}/users", params={"$search": asked}, key=reader).json()) == found


@pytest.mark.parametrize(
    ("option", "value", "remedy"),
    [
        ("$filter", "accountEnabled eq true", "conditions are"),
        ("$filter", "mail eq 'a'", "users cannot be asked for by 'mail'"),
        ("$filter", "usageLocation eq 'US' or id eq 'a'", "joined by and"),
        ("$filter", "id eq 'a", "conditions are"),
        ("$filter", f"assignedLicenses/any(x:x/skuId eq {UNKNOWN})", "there is no such product"),
        ("filter", "accountEnabled eq true", "conditions are"),
        ("$search", '"mail:a"', "write"),
        ("$top", "0", "from 1 to 999"),
        ("$top", "1000", "from 1 to 999"),
        ("$top", "ten", "from 1 to 999"),
        ("$count", "yes", "true or false"),
        ("$select", "id,shoeSize", "there is no such property"),
        ("$orderby", "displayName", "order of userPrincipalName"),
        ("$expand", "manager", "cannot be used here"),
        ("$skip", "10", "cannot be used here"),
        ("$nonsense", "", "cannot be used here"),
        ("$skiptoken", "%%%", "@odata.nextLink"),
        ("$skiptoken", "AA", "@odata.nextLink"),
    ],
)
def test_an_option_that_cannot_be_honoured_is_refused(api, reader, option, value, remedy):
    assert remedy in bad(api.get(f"{GRAPH}/users", params={option: value}, key=reader))


def test_an_option_may_stand_there_once(api, reader):
    assert "twice" in bad(api.get(f"{GRAPH}/users?$top=1&$top=2", key=reader))


def test_what_is_no_option_of_odata_is_nobody_s_business(api, reader):
    assert api.get(f"{GRAPH}/users?cachebuster=1&$orderby=userPrincipalName%20asc", key=reader).status_code == 200


# -- one user ----------------------------------------------------------------------------------------------------------


def test_a_user_is_described_in_graph_s_words(api, reader):
    by_name = api.get(f"{GRAPH}/users/Anna%40contoso.example", key=reader)
    body = by_name.json()

    assert by_name.headers["etag"] == body["@odata.etag"] == 'W/"1"'
    assert (body["id"], body["userPrincipalName"], body["usageLocation"]) == ("anna", "anna@contoso.example", "US")
    assert (body["displayName"], body["department"], body["businessPhones"]) == (None, None, [ITS_NUMBER])
    assert body["assignedLicenses"] == [{"skuId": sku, "disabledPlans": []} for sku in (MCOEV, MCOPSTN1, CREDITS)]
    assert {"servicePlanId": PHONE_SYSTEM_PLAN, "capabilityStatus": "Enabled"} in body["assignedPlans"]
    assert body["licenseAssignmentStates"][0] == {
        "skuId": MCOEV,
        "disabledPlans": [],
        "assignedByGroup": None,
        "state": "Active",
        "error": "None",
    }
    assert api.get(f"{GRAPH}/users/anna", key=reader).json() == body


def test_a_property_that_is_not_kept_is_null_when_it_is_selected(api, reader):
    body = api.get(f"{GRAPH}/users/anna?$select=ID,mail", key=reader).json()

    assert {name: value for name, value in body.items() if not name.startswith("@")} == {"id": "anna", "mail": None}


def test_a_user_changes(api, admin):
    change = {
        "@odata.type": "#microsoft.graph.user",
        "usageLocation": "GB",
        "displayName": "Carla",
        "department": "Sales",
    }

    answer = api.request("PATCH", f"{GRAPH}/users/carla", json=change, key=admin)
    changed = api.get(f"{GRAPH}/users/carla", key=admin)
    cleared = api.request("PATCH", f"{GRAPH}/users/carla", json={"department": None, "usageLocation": None}, key=admin)

    assert (answer.status_code, answer.content, answer.headers["etag"]) == (204, b"", 'W/"2"')
    assert changed.json()["@odata.etag"] == 'W/"2"'
    assert {name: changed.json()[name] for name in change if not name.startswith("@")} == {
        "usageLocation": "GB",
        "displayName": "Carla",
        "department": "Sales",
    }
    assert cleared.status_code == 204
    assert api.get("/v1/organisations/contoso/users/carla").json()["usage_location"] == ""


@pytest.mark.parametrize(
    ("change", "names_it"),
    [
        ({"usageLocation": "XX"}, "usageLocation 'XX'"),
        ({"usageLocation": 7}, "usageLocation"),
        ({"shoeSize": 44}, "shoeSize"),
        ([], "object"),
    ],
)
def test_a_change_that_cannot_be_accepted_names_the_property(api, admin, change, names_it):
    assert names_it in bad(api.request("PATCH", f"{GRAPH}/users/carla", json=change, key=admin))


def test_taking_the_usage_location_from_under_licences_is_refused(api, admin):
    message = bad(api.request("PATCH", f"{GRAPH}/users/anna", json={"usageLocation": None}, key=admin))

    assert "usage location" in message
    assert api.get(f"{GRAPH}/users/anna", key=admin).json()["usageLocation"] == "US"


def test_of_two_administrators_the_slower_one_reads_again(api, admin):
    seen = api.get(f"{GRAPH}/users/carla", key=admin).headers["etag"]
    guarded = {"If-Match": seen}

    first = api.request("PATCH", f"{GRAPH}/users/carla", json={"department": "A"}, key=admin, headers=guarded)
    second = api.request("PATCH", f"{GRAPH}/users/carla", json={"department": "B"}, key=admin, headers=guarded)
    third = assign(api, admin, "carla", [MCOEV], headers=guarded)
    anyway = api.request(
        "PATCH", f"{GRAPH}/users/carla", json={"department": "B"}, key=admin, headers={"If-Match": "*"}
    )

    assert (first.status_code, anyway.status_code) == (204, 204)
    assert 'W/"2"' in error(second, 412, "Request_PreconditionFailed")["message"]
    error(third, 412, "Request_PreconditionFailed")
    assert api.get(f"{GRAPH}/users/carla", key=admin).json()["assignedLicenses"] == []


def test_who_was_blocked_by_the_fraud_guard_has_changed_meanwhile(api, admin):
    guard = {"guard": {"user_hour": "0.04", "block_hours": 2}}
    assert api.request("PATCH", "/v1/organisations/contoso/policies", json=guard, key="admin").status_code == 200
    seen = {"If-Match": api.get(f"{GRAPH}/users/anna", key=admin).headers["etag"]}

    assert [api.start(str(number)).status_code for number in range(3)][-1] == 403
    blocked = api.get("/v1/organisations/contoso/users/anna/policy").json()["blocked_reason"]
    changed = api.request("PATCH", f"{GRAPH}/users/anna", json={"department": "A"}, key=admin, headers=seen)
    assigned = assign(api, admin, "anna", [], [CREDITS], headers=seen)

    assert blocked == "high_international_spend"
    error(changed, 412, "Request_PreconditionFailed")
    error(assigned, 412, "Request_PreconditionFailed")


# -- licences ----------------------------------------------------------------------------------------------------------


def test_licences_are_assigned_and_taken_away_in_one_step(api, admin):
    assigned = assign(api, admin, "carla", [MCOEV, MCOPSTN1])
    swapped = assign(api, admin, "carla", [MCOPSTN2], [MCOPSTN1])
    details = api.get(f"{GRAPH}/users/carla/licenseDetails?$select=skuPartNumber", key=admin).json()["value"]
    removed = assign(api, admin, "carla", [], [MCOPSTN2, MCOEV])

    assert held(assigned) == [MCOEV, MCOPSTN1]
    assert assigned.json()["id"] == "carla"
    assert assigned.headers["etag"] == 'W/"2"'
    assert held(swapped) == [MCOEV, MCOPSTN2]
    assert [one["skuPartNumber"] for one in details] == ["MCOEV", "MCOPSTN2"]
    assert held(removed) == []


def test_a_disabled_plan_is_off(api, admin):
    answer = assign(api, admin, "carla", [{"skuId": MCOEV, "disabledPlans": [PHONE_SYSTEM_PLAN]}])
    [detail] = api.get(f"{GRAPH}/users/carla/licenseDetails", key=admin).json()["value"]

    assert answer.json()["assignedLicenses"] == [{"skuId": MCOEV, "disabledPlans": [PHONE_SYSTEM_PLAN]}]
    assert answer.json()["assignedPlans"] == []
    assert detail["servicePlans"][0]["provisioningStatus"] == "Disabled"


def test_a_missing_prerequisite_is_named_with_what_mends_it(api, admin):
    body = error(assign(api, admin, "carla", [MCOPSTN1]), 400, "Request_BadRequest")
    [detail] = body["details"]

    assert (detail["code"], detail["target"]) == ("DependencyViolation", "MCOPSTN1")
    assert "gettone licences assign contoso carla@contoso.example" in body["message"]
    assert api.get(f"{GRAPH}/users/carla", key=admin).json()["assignedLicenses"] == []


def test_more_licences_than_owned_are_refused(api, admin):
    import_users(api, 1, "US")
    assert held(assign(api, admin, "carla", [MCOEV, MCOPSTN2]))

    body = error(assign(api, admin, "many000@contoso.example", [MCOEV, MCOPSTN2]), 400, "Request_BadRequest")

    assert [detail["code"] for detail in body["details"]] == ["CountViolation"]
    assert "1 owned, 1 assigned" in body["message"]


def test_the_usage_location_comes_first(api, admin):
    api.request("PATCH", f"{GRAPH}/users/carla", json={"usageLocation": None}, key=admin)

    body = error(assign(api, admin, "carla", [MCOEV]), 400, "Request_BadRequest")

    assert "UsageLocationMissing" in {detail["code"] for detail in body["details"]}


def test_a_calling_plan_is_refused_where_it_is_not_sold(api, admin):
    api.request("PATCH", f"{GRAPH}/users/carla", json={"usageLocation": "IN"}, key=admin)

    body = error(assign(api, admin, "carla", [MCOEV, MCOPSTN1]), 400, "Request_BadRequest")

    assert "ProhibitedInUsageLocationViolation" in {detail["code"] for detail in body["details"]}


@pytest.mark.parametrize(
    ("body", "names_it"),
    [
        ({"addLicenses": []}, "removeLicenses"),
        ({"removeLicenses": []}, "addLicenses"),
        ({"addLicenses": [{"skuId": UNKNOWN}], "removeLicenses": []}, "there is no such product"),
        ({"addLicenses": [{"skuId": "MCOEV"}], "removeLicenses": []}, "addLicenses 'MCOEV': write the GUID"),
        ({"addLicenses": [], "removeLicenses": ["MCOEV"]}, "removeLicenses 'MCOEV': write the GUID"),
        ({"addLicenses": [{"skuId": MCOEV, "disabledPlans": [UNKNOWN]}], "removeLicenses": []}, "no service plan"),
        ({"addLicenses": [{"skuId": MCOEV, "disabledPlans": ["x"]}], "removeLicenses": []}, "disabledPlans 'x'"),
        ({"addLicenses": [{}], "removeLicenses": []}, "addLicenses[0].skuId"),
        ({"addLicenses": [{"skuId": MCOEV, "colour": 1}], "removeLicenses": []}, "addLicenses[0].colour"),
        ({"addLicenses": [{"skuId": MCOEV}], "removeLicenses": [MCOEV]}, "on one side"),
        ({"addLicenses": None, "removeLicenses": []}, "addLicenses"),
    ],
)
def test_a_bad_assignment_is_refused_with_the_reason(api, admin, body, names_it):
    assert names_it in bad(api.post(f"{GRAPH}/users/carla/assignLicense", body, key=admin))


@pytest.mark.parametrize("content", [b"{", b"\xff\xfe", b"", b"[" * 10_000])
def test_malformed_json_is_told_so(api, admin, content):
    bad(api.request("POST", f"{GRAPH}/users/carla/assignLicense", content=content, key=admin))


# -- what every answer has ---------------------------------------------------------------------------------------------


def test_the_client_s_own_request_id_comes_back(api, reader):
    mine = {"client-request-id": "my-own-7", "request-id": "not mine to choose"}

    good = api.get(f"{GRAPH}/users", key=reader, headers=mine)
    missing = api.get(f"{GRAPH}/users/nobody", key=reader, headers=mine)
    unsafe = api.get(f"{GRAPH}/users", key=reader, headers={"client-request-id": "x" * 500})

    assert (good.headers["client-request-id"], missing.headers["client-request-id"]) == ("my-own-7", "my-own-7")
    assert good.headers["request-id"] != missing.headers["request-id"]
    assert error(missing, 404, "Request_ResourceNotFound")["innerError"]["client-request-id"] == "my-own-7"
    assert "client-request-id" not in unsafe.headers


def test_clients_that_know_only_a_host_find_the_same_below_v1_0(api, reader):
    import_users(api, 1)

    page = api.get("/v1.0/users?$top=3", key=reader).json()

    assert page["@odata.nextLink"].startswith("http://gettone/v1.0/users?$top=3&$skiptoken=")
    assert names(pages(api, reader, page["@odata.nextLink"])[0]) == ["many000"]


def test_links_begin_as_the_client_wrote_them(api, reader):
    proxied = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "graph.contoso.example"}
    odd = {"X-Forwarded-Proto": "gopher", "X-Forwarded-Host": 'a"b/c'}

    def link(headers) -> str:
        return api.get(f"{GRAPH}/users?$top=1", key=reader, headers=headers).json()["@odata.nextLink"].partition("?")[0]

    assert link(proxied) == "https://graph.contoso.example/graph/v1.0/users"
    assert link(odd) == "http://gettone/graph/v1.0/users"


def test_what_is_not_there_is_told_in_graph_s_shape(api, reader):
    error(api.get(f"{GRAPH}/groups", key=reader), 404, "Request_ResourceNotFound")
    error(api.get("/v1.0/users/anna/manager", key=reader), 404, "Request_ResourceNotFound")
    other_method = api.request("DELETE", f"{GRAPH}/users/anna", key=reader)
    error(other_method, 405, "Request_BadRequest")
    assert "PATCH" in other_method.headers["allow"]
    bad(api.get(f"{GRAPH}/users?$filter=id%20eq%20'%00'", key=reader))
    bad(api.get(f"{GRAPH}/users/%ff", key=reader))


def test_a_fault_of_ours_says_nothing_of_itself(api, reader, monkeypatch, caplog):
    def fail(*_, **__):
        raise RuntimeError("secret inner matter")

    monkeypatch.setattr("gettone.api.graph.routes.directory.list_users", fail)

    body = error(api.get(f"{GRAPH}/users", key=reader), 500, "Service_InternalServerError")

    assert "secret inner matter" not in body["message"]
    assert "secret inner matter" in caplog.text


def test_these_routes_are_not_in_our_own_description(api):
    paths = api.get("/openapi.json", key=None).json()["paths"]

    assert not [path for path in paths if "graph" in path or "oauth2" in path or "well-known" in path]


def test_every_route_has_a_heading(api):
    routes = {
        f"{method} {route.path_format}"
        for route in GraphApp(api.gettone.services)._app.routes
        for method in route.methods - {"OPTIONS"}
    }

    assert len(routes) == len(EVERY_ROUTE) + 3
    assert routes == {heading for heading in headings(REFERENCE) if "/" in heading}


OPTION = st.sampled_from(["$filter", "$search", "$select", "$skiptoken", "$top", "$count", "$orderby", "filter"])
FRAGMENT = st.sampled_from(
    [
        "'",
        "''",
        "(",
        ")",
        " and ",
        " eq ",
        "id",
        "usageLocation",
        "startswith(",
        ",",
        "null",
        "assignedLicenses/any(x:",
        '"',
    ]
)
TEXT = st.one_of(st.text(max_size=30), st.lists(FRAGMENT, max_size=12).map("".join))
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just(MCOEV)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["addLicenses", "removeLicenses", "skuId", "disabledPlans", "@odata.x", ""]), inner
        ),
    ),
    max_leaves=8,
)


@pytest.mark.slow
def test_no_request_is_too_odd(api, admin):
    @given(option=OPTION, text=TEXT, body=JSON)
    @settings(max_examples=150, suppress_health_check=list(HealthCheck))
    def answered(option, text, body):
        answers = [
            api.get(f"{GRAPH}/users", params={option: text}, key=admin),
            api.post(f"{GRAPH}/users/carla/assignLicense", body, key=admin),
            api.request("PATCH", f"{GRAPH}/users/carla", json=body, key=admin),
        ]
        for answer in answers:
            assert answer.status_code in {200, 204, 400}, answer.text
            if answer.status_code == 400:
                bad(answer)

    answered()


@pytest.mark.slow
def test_it_is_the_same_on_postgresql(postgres_url):
    with opened_api(postgres_url, populate(postgres_url)) as api:
        token = token_of(api, api.tokens.operator)
        listed = pages(api, token, f"{GRAPH}/users?$top=2")
        assigned = assign(api, token, "carla", [MCOEV])
        named = api.get(f"{GRAPH}/users", params={"$filter": "usageLocation eq 'us' and id eq 'anna'"}, key=token)
        api.clock.forward(hours=1, seconds=1)
        token_of(api, api.tokens.admin)

        assert [name for page in listed for name in names(page)] == ["anna", "bert", "carla"]
        assert held(assigned) == [MCOEV]
        assert names(named.json()) == ["anna"]
