"""Text that no database keeps, through every door that takes text: refused in plain words, on both databases alike.

PostgreSQL takes no NUL. None of these is a fault of the database, so none may be told as one.
"""

import pytest

from tests.api.graph import GRAPH, MCOEV, ask_token
from tests.api.world import opened_api, populate

NUL = "an\0na"
ORG = "/v1/organisations/contoso"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def api(request, tmp_path):
    url = f"sqlite:///{tmp_path}/odd.db" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with opened_api(url, populate(url)) as api:
        yield api


def test_a_secret_with_a_nul_is_a_client_that_is_not_known(api):
    for secret in ("gtn_\0_0", f"{api.tokens.admin}\0", f"gtn_{NUL}_0"):
        answer = ask_token(api, api.tokens.admin, client_secret=secret)

        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
    assert ask_token(api, api.tokens.admin, client_id=NUL).json()["error"] == "invalid_client"


SELECT = {"add": ["MCOEV"], "dry_run": True}
DOORS = [
    ("POST", f"{ORG}/licences/assign", {**SELECT, "users": [NUL]}, 200),
    ("POST", f"{ORG}/licences/assign", {**SELECT, "search": NUL}, 200),
    ("POST", f"{ORG}/licences/assign", {**SELECT, "department": NUL}, 200),
    ("POST", f"{ORG}/licences/assign", {**SELECT, "holding": NUL}, 422),
    ("PUT", f"{ORG}/numbers/+12125550177", {"user": NUL}, 404),
    ("PUT", f"{ORG}/numbers/+12125550177", {"use": "conference", "label": NUL}, 422),
    ("POST", f"{ORG}/numbers", {"numbers": ["+12125550177"], "label": NUL}, 422),
    ("POST", f"{ORG}/users", {"upn": f"{NUL}@contoso.example"}, 422),
    ("POST", f"{ORG}/users", {"upn": "dora@contoso.example", "user_id": NUL}, 422),
    ("PATCH", f"{ORG}/users/anna", {"display_name": NUL}, 422),
    ("PATCH", f"{ORG}/users/anna/policy", {"dial_out": NUL}, 422),
    ("PATCH", f"{ORG}/policies", {"group_limits": {f"department/{NUL}": "5"}}, 422),
    ("POST", f"{ORG}/policies/bars", {"prefix": "44", "label": NUL}, 422),
    ("POST", f"{ORG}/users/anna/block", {"reason": "tenant_requested", "detail": NUL}, 422),
    ("POST", "/v1/keys", {"scope": "read", "org_id": NUL}, 404),
    ("POST", "/v1/quote", {"called": "+442071838750", "user": NUL, "org_id": "contoso"}, 200),
    ("PATCH", f"{GRAPH}/users/anna", {"department": NUL}, 400),
]


@pytest.mark.parametrize("door", range(len(DOORS)), ids=lambda at: f"{DOORS[at][1].rpartition('/')[2]}-{at}")
def test_a_nul_in_a_body_is_never_a_fault_of_the_database(api, door):
    method, path, body, status = DOORS[door]
    key = "admin" if path.startswith(GRAPH) else "operator"

    answer = api.request(method, path, json=body, key=key)

    assert answer.status_code == status, answer.text
    assert "postgres" not in answer.text.lower()


@pytest.mark.parametrize("path", ["imports/users", "imports/numbers", "licences/import"])
def test_a_file_with_a_nul_is_no_text(api, path):
    data = {
        "imports/users": f"upn\n{NUL}@contoso.example\n",
        "imports/numbers": f"number,user\n+12125550177,{NUL}\n",
        "licences/import": f"user,add\n{NUL},MCOEV\n",
    }[path]

    answer = api.request("POST", f"{ORG}/{path}", content=data)

    assert answer.status_code == 422
    assert "the file holds zero bytes" in answer.text


def test_who_is_searched_for_by_a_nul_is_nobody(api):
    services = api.gettone.services

    with services.office.read() as unit:
        assert unit.directory.users("contoso", NUL, "", 10) == []
        assert unit.directory.numbers("contoso", "", NUL, "", 10) == []
        assert unit.directory.numbers("contoso", NUL, "", "", 10) == []
        assert set(unit.directory.users_by_ref("contoso", [NUL, "anna"])) == {"anna"}
    for path in (f"{ORG}/users?search=%00", f"{ORG}/numbers?search=a%00", f"{GRAPH}/users?$search=%22%00%22"):
        assert api.get(path, key="admin").status_code == 400


def test_a_product_assigned_to_a_name_with_a_nul_is_assigned_to_nobody(api):
    body = {"addLicenses": [{"skuId": MCOEV}], "removeLicenses": []}

    answer = api.post(f"{GRAPH}/users/an%00na/assignLicense", body, key="admin")

    assert answer.status_code == 400, answer.text
