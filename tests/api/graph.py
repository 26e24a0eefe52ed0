"""What the tests of the Graph-shaped API share: products by their ids, tokens, pages, and what an error looks like."""

from tests.api.world import Api

GRAPH = "/graph/v1.0"
MCOEV = "e43b5b99-8dfb-405f-9987-dc307f34bcbd"
MCOPSTN1 = "0dab259f-bf13-4952-b7f8-7db8f131b28d"
MCOPSTN2 = "d3b4fe1f-9992-4930-8acb-ca6ec609365e"
CREDITS = "47794cd0-f0e5-45c5-9033-2eb6b5fc84e0"
PHONE_SYSTEM_PLAN = "4828c8ec-dc2e-4779-b502-87ac9ce28ab7"
UNKNOWN = "00000000-0000-0000-0000-000000000001"

EVERY_ROUTE = [
    ("GET", "/organization"),
    ("GET", "/organization/contoso"),
    ("GET", "/subscribedSkus"),
    ("GET", f"/subscribedSkus/contoso_{MCOEV}"),
    ("GET", "/users"),
    ("GET", "/users/$count"),
    ("GET", "/users/anna"),
    ("GET", "/users/anna/licenseDetails"),
    ("PATCH", "/users/anna"),
    ("POST", "/users/anna/assignLicense"),
]


def ask_token(api: Api, key: str, *, tenant: str | None = "contoso", headers=None, **changes):
    form = {"grant_type": "client_credentials", "scope": "https://gettone.example/.default"}
    form |= {"client_id": key.split("_")[1], "client_secret": key} | changes
    path = "/oauth2/v2.0/token" if tenant is None else f"/{tenant}/oauth2/v2.0/token"
    kept = {name: value for name, value in form.items() if value is not None}
    return api.request("POST", path, key=None, data=kept, headers=headers or {})


def token_of(api: Api, key: str, **how) -> str:
    answer = ask_token(api, key, **how)
    assert answer.status_code == 200, answer.text
    return answer.json()["access_token"]


def error(answer, status: int, code: str) -> dict:
    assert answer.status_code == status, answer.text
    body = answer.json()["error"]
    assert body["code"] == code
    assert body["innerError"].keys() == {"date", "request-id", "client-request-id"}
    assert body["innerError"]["request-id"] == answer.headers["request-id"]
    return body


def bad(answer) -> str:
    return error(answer, 400, "Request_BadRequest")["message"]


def import_users(api: Api, count: int, location: str = "IT") -> None:
    rows = "".join(f"many{number:03}@contoso.example,Many {number},{location}\n" for number in range(count))
    done = api.request(
        "POST",
        "/v1/organisations/contoso/imports/users",
        content="upn,display_name,usage_location\n" + rows,
        key="admin",
    )
    assert done.status_code == 200, done.text


def pages(api: Api, token: str, path: str) -> list[dict]:
    """Every page from *path* on, by its links."""
    found = []
    while path:
        answer = api.get(path, key=token)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        path = found[-1].get("@odata.nextLink", "")
    return found


def names(page: dict) -> list[str]:
    return [user["userPrincipalName"].partition("@")[0] for user in page["value"]]


def assign(api: Api, token: str, user: str, add=(), remove=(), **how):
    added = [one if isinstance(one, dict) else {"skuId": one, "disabledPlans": []} for one in add]
    body = {"addLicenses": added, "removeLicenses": list(remove)}
    return api.post(f"{GRAPH}/users/{user}/assignLicense", body, key=token, **how)


def held(answer) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["skuId"] for one in answer.json()["assignedLicenses"]]
