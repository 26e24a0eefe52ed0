"""Access tokens: who gets one, for what, for how long, and what it opens in the Graph-shaped API and in ours."""

import base64
import logging

import pytest

from tests.api.graph import EVERY_ROUTE, GRAPH, ask_token, error, token_of


@pytest.fixture
def admin(api) -> str:
    return token_of(api, api.tokens.admin)


@pytest.fixture
def reader(api) -> str:
    return token_of(api, api.tokens.read)


# -- tokens ------------------------------------------------------------------------------------------------------------


def test_a_key_gets_a_token_for_an_hour(api):
    answer = ask_token(api, api.tokens.admin)
    body = answer.json()

    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert {**body, "access_token": ""} == {
        "token_type": "Bearer",
        "expires_in": 3599,
        "ext_expires_in": 3599,
        "access_token": "",
    }
    api.clock.forward(seconds=3599)
    assert api.get(f"{GRAPH}/organization", key=body["access_token"]).json()["value"][0]["id"] == "contoso"


def test_a_token_that_has_expired_is_no_good(api, admin):
    api.clock.forward(seconds=3600)

    answer = api.get(f"{GRAPH}/users", key=admin)

    error(answer, 401, "InvalidAuthenticationToken")
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]


def test_revoking_the_key_kills_its_tokens(api, admin):
    api.request("DELETE", f"/v1/keys/{api.tokens.admin.split('_')[1]}")

    error(api.get(f"{GRAPH}/users", key=admin), 401, "InvalidAuthenticationToken")
    assert ask_token(api, api.tokens.admin).json()["error"] == "invalid_client"


def test_a_token_is_worth_as_much_as_its_key_everywhere(api, admin):
    wallet = api.get("/v1/organisations/contoso/wallet", key=admin)
    elsewhere = api.get("/v1/organisations/fabrikam/wallet", key=admin)
    funds = api.post(
        "/v1/organisations/contoso/wallet/funds", {"amount": "5"}, key=admin, headers={"Idempotency-Key": "k"}
    )

    assert (wallet.status_code, elsewhere.status_code, funds.status_code) == (200, 403, 403)


def test_a_token_of_a_key_for_all_is_for_the_one_organisation_that_is_its_tenant(api):
    operator = token_of(api, api.tokens.operator, tenant="fabrikam")

    assert api.get(f"{GRAPH}/organization", key=operator).json()["value"][0]["id"] == "fabrikam"
    assert api.get("/v1/organisations/contoso", key=operator).status_code == 403
    assert api.post("/v1/keys", {"scope": "operator", "org_id": "*"}, key=operator).status_code == 403


@pytest.mark.parametrize("tenant", [None, "organizations", "common"])
def test_without_a_tenant_the_organisation_is_that_of_the_key(api, tenant):
    token = token_of(api, api.tokens.read, tenant=tenant)

    assert api.get(f"{GRAPH}/organization/contoso", key=token).json()["displayName"] == "contoso"


@pytest.mark.parametrize("key", ["operator", "everywhere"])
def test_who_is_for_all_organisations_has_to_name_one(api, key):
    everywhere = api.tokens.operator if key == "operator" else token_of(api, api.tokens.operator, tenant=None)

    body = error(api.get(f"{GRAPH}/users", key=everywhere), 403, "Authorization_RequestDenied")

    assert "/oauth2/v2.0/token" in body["message"]


def test_another_organisation_cannot_be_told_from_one_that_is_not_there(api):
    answers = [
        ask_token(api, api.tokens.admin, tenant="fabrikam"),
        ask_token(api, api.tokens.operator, tenant="tailspin"),
    ]

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error"] for answer in answers} == {"unauthorized_client"}


WRONG = [
    ({"grant_type": None}, 400, "invalid_request"),
    ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ({"scope": None}, 400, "invalid_request"),
    ({"scope": "User.Read"}, 400, "invalid_scope"),
    ({"client_id": None}, 400, "invalid_request"),
    ({"client_secret": None}, 400, "invalid_request"),
    ({"client_secret": "gtn_0123456789abcdef_" + 64 * "0"}, 401, "invalid_client"),
    ({"client_secret": "nonsense"}, 401, "invalid_client"),
    ({"client_secret": "gtn_é"}, 401, "invalid_client"),
    ({"client_id": "0123456789abcdef"}, 401, "invalid_client"),
    ({"client_id": "é"}, 401, "invalid_client"),
]


@pytest.mark.parametrize(("changes", "status", "code"), WRONG)
def test_a_wrong_request_for_a_token_is_told_in_oauth_s_shape(api, changes, status, code):
    answer = ask_token(api, api.tokens.admin, headers={"client-request-id": "mine"}, **changes)
    body = answer.json()

    assert (answer.status_code, body["error"]) == (status, code)
    assert body.keys() == {"error", "error_description", "timestamp", "trace_id", "correlation_id"}
    assert (body["correlation_id"], body["trace_id"]) == ("mine", answer.headers["request-id"])
    assert ("www-authenticate" in answer.headers) == (status == 401)


def test_the_secret_may_come_by_http_basic(api):
    pair = f"{api.tokens.admin.split('_')[1]}:{api.tokens.admin}"
    header = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    by_header = ask_token(api, api.tokens.admin, headers=header, client_id=None, client_secret=None)
    both = ask_token(api, api.tokens.admin, headers=header)
    broken = ask_token(api, api.tokens.admin, headers={"Authorization": "Basic ?"}, client_id=None, client_secret=None)

    assert by_header.status_code == 200
    assert [answer.json()["error"] for answer in (both, broken)] == ["invalid_request", "invalid_request"]


def test_a_body_that_is_no_form_is_told_so(api):
    path = "/contoso/oauth2/v2.0/token"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    answers = [
        api.post(path, {"grant_type": "client_credentials"}, key=None),
        api.request("POST", path, key=None, content=b"grant_type=a&grant_type=b", headers=form),
        api.request("POST", path, key=None, content=b"\xff", headers=form),
        api.request("POST", path, key=None, content=b"&".join([b"a=b"] * 100), headers=form),
    ]

    assert {(answer.status_code, answer.json()["error"]) for answer in answers} == {(400, "invalid_request")}


def test_no_secret_is_logged(api, caplog):
    with caplog.at_level(logging.DEBUG, logger="gettone"):
        token = token_of(api, api.tokens.admin)
        ask_token(api, api.tokens.admin, client_id="0123456789abcdef")
        api.get(f"{GRAPH}/users", key=token)

    assert api.tokens.admin not in caplog.text
    assert token not in caplog.text


def test_the_token_endpoint_is_found_by_discovery(api):
    behind_a_proxy = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "graph.contoso.example"}
    path = "/contoso/v2.0/.well-known/openid-configuration"

    plain = api.get(path, key=None).json()
    proxied = api.get(path, key=None, headers=behind_a_proxy).json()

    assert plain["token_endpoint"] == "http://gettone/contoso/oauth2/v2.0/token"
    assert proxied["token_endpoint"] == "https://graph.contoso.example/contoso/oauth2/v2.0/token"
    assert proxied["issuer"] == "https://graph.contoso.example/contoso/v2.0"


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("method", "path"), EVERY_ROUTE)
def test_every_route_needs_a_key_that_may(api, reader, method, path):
    nobody = api.request(method, GRAPH + path, key=None)
    charging = api.request(method, GRAPH + path, key=token_of(api, api.tokens.charging))
    reading = api.request(method, GRAPH + path, key=reader)

    error(nobody, 401, "InvalidAuthenticationToken")
    error(charging, 403, "Authorization_RequestDenied")
    if method == "GET":
        assert reading.status_code == 200
    else:
        error(reading, 403, "Authorization_RequestDenied")


def test_a_key_of_one_organisation_is_itself_a_bearer_token(api):
    assert api.get(f"{GRAPH}/users/$count", key="read").text == "3"


def test_another_organisation_is_not_seen(api):
    foreign = token_of(api, api.tokens.foreign, tenant="fabrikam")

    assert api.get(f"{GRAPH}/users", key=foreign).json()["value"] == []
    assert api.get(f"{GRAPH}/subscribedSkus", key=foreign).json()["value"] == []
    error(api.get(f"{GRAPH}/users/anna", key=foreign), 404, "Request_ResourceNotFound")
    error(api.get(f"{GRAPH}/organization/contoso", key=foreign), 403, "Authorization_RequestDenied")
