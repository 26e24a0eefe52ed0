"""Recipients, roles, webhooks and deliveries over HTTP: who may, what is shown, and what is never shown again."""

from urllib.parse import quote

import pytest

from gettone.operations.telling import address, deliver
from tests.api.test_charging import problem
from tests.gateways.test_webhook import Receiver, signed

CONTOSO = "/v1/organisations/contoso"
ANNA = "anna@contoso.example"
FINANCE = "finance@contoso.example"


class Taking:
    """Takes every parcel."""

    def __init__(self) -> None:
        self.parcels = []

    def send(self, parcel):
        from gettone.operations.telling import Sent

        self.parcels.append(parcel)
        return Sent("taken")


def block(api) -> str:
    """Block a user and return the notice's id as it stands in a path."""
    answer = api.post(f"{CONTOSO}/users/bert/block", {}, key="admin")
    assert answer.status_code == 200, answer.text
    found = api.get(f"{CONTOSO}/notices?kind=user_blocked").json()["items"][0]["notice_id"]
    return str(found)


def work(api) -> Taking:
    taking = Taking()
    office = api.gettone.services.office
    address(office, api.clock(), link="https://calls.example")
    deliver(office, {"mail": taking, "webhook": taking}, api.clock())
    return taking


def test_a_role_makes_its_user_told_and_the_history_shows_it(api):
    granted = api.post(f"{CONTOSO}/roles", {"user": "anna", "role": "billing_admin"}, key="admin")
    notice = block(api)
    work(api)

    assert granted.status_code == 201
    assert [(one["upn"], one["title"]) for one in api.get(f"{CONTOSO}/roles", key="read").json()["items"]] == [
        (ANNA, "Billing Administrator")
    ]
    [delivery] = api.get(f"{CONTOSO}/deliveries?notice={quote(notice, safe='')}", key="read").json()["items"]
    assert (delivery["target"], delivery["channel"], delivery["state"]) == (ANNA, "mail", "sent")
    assert "body" not in delivery
    assert api.request("DELETE", f"{CONTOSO}/roles/anna/billing_admin", key="admin").status_code == 204
    assert api.get(f"{CONTOSO}/roles").json()["items"] == []


def test_a_notice_is_shown_as_its_mail_in_both_languages(api):
    path = f"{CONTOSO}/notices/{quote(block(api), safe='')}"

    english = api.get(path, key="read").json()
    italian = api.get(f"{path}?language=it", key="read").json()

    assert english["subject"] == "contoso: Blocked from calling: user bert@contoso.example"
    assert "<h1" in english["html"]
    assert italian["text"].startswith("L'utente bert@contoso.example non può chiamare")
    assert english["deliveries"] == []
    problem(api.get(f"{path}?language=fr"), 422)
    problem(api.get(f"{CONTOSO}/notices/nothing"), 404)


def test_recipients_are_set_listed_and_taken_out(api):
    body = {"kinds": ["user_blocked"], "language": "it"}
    chosen = api.request("PUT", f"{CONTOSO}/recipients/{FINANCE}", json=body, key="admin")
    muted = api.request("PUT", f"{CONTOSO}/recipients/role%2Fteams_admin", json={"muted": True}, key="admin")

    assert (chosen.status_code, muted.status_code) == (200, 200)
    listed = api.get(f"{CONTOSO}/recipients", key="read").json()["items"]
    assert [(one["target"], one["muted"], one["kinds"], one["language"]) for one in listed] == [
        ("role/teams_admin", True, [], ""),
        (FINANCE, False, ["user_blocked"], "it"),
    ]
    assert api.request("DELETE", f"{CONTOSO}/recipients/role%2Fteams_admin", key="admin").status_code == 204
    problem(api.request("DELETE", f"{CONTOSO}/recipients/role%2Fteams_admin", key="admin"), 404)
    problem(api.request("PUT", f"{CONTOSO}/recipients/nobody", json={}, key="admin"), 422)
    problem(api.request("PUT", f"{CONTOSO}/recipients/{FINANCE}", json={"kinds": ["gossip"]}, key="admin"), 422)


def test_a_delivery_is_sent_again(api):
    api.request("PUT", f"{CONTOSO}/recipients/{FINANCE}", json={}, key="admin")
    block(api)
    work(api)
    [first] = api.get(f"{CONTOSO}/deliveries?state=sent").json()["items"]

    again = api.post(f"{CONTOSO}/deliveries/{first['delivery_id']}/resend", key="admin")
    taking = work(api)

    assert again.status_code == 201
    assert [parcel.delivery_id for parcel in taking.parcels] == [again.json()["delivery_id"]]
    problem(api.post(f"{CONTOSO}/deliveries/nothing/resend", key="admin"), 404)
    problem(api.get(f"{CONTOSO}/deliveries?state=lost"), 422)


def test_a_webhook_s_secret_is_shown_once(api):
    made = api.post(f"{CONTOSO}/webhooks", {"url": "https://example.com/in", "kinds": ["user_blocked"]}, key="admin")
    hook, secret = made.json()["webhook"]["webhook_id"], made.json()["secret"]
    rotated = api.post(f"{CONTOSO}/webhooks/{hook}/rotate", key="admin")
    listed = api.get(f"{CONTOSO}/webhooks", key="read")

    assert (made.status_code, rotated.status_code) == (201, 200)
    assert rotated.json()["secret"] != secret
    assert "whsec_" not in listed.text
    [shown] = listed.json()["items"]
    assert (shown["url"], shown["kinds"], shown["active"]) == ("https://example.com/in", ["user_blocked"], True)
    block(api)
    assert [parcel.secrets for parcel in work(api).parcels] == [(rotated.json()["secret"], secret)]
    assert api.request("DELETE", f"{CONTOSO}/webhooks/{hook}", key="admin").status_code == 204
    problem(api.post(f"{CONTOSO}/webhooks/{hook}/rotate", key="admin"), 404)
    problem(api.post(f"{CONTOSO}/webhooks", {"url": "example.com"}, key="admin"), 422)


def test_tests_say_what_became_of_them(api):
    assert api.post(f"{CONTOSO}/notices/test", {"address": ANNA}, key="admin").json() == {
        "sent": False,
        "detail": "mail is not set up: set GETTONE_MAIL_URL",
    }
    with Receiver() as receiver:
        made = api.post(f"{CONTOSO}/webhooks", {"url": receiver.url}, key="admin").json()
        path = f"{CONTOSO}/webhooks/{made['webhook']['webhook_id']}/test"
        refused = api.post(path, key="admin").json()
        api.gettone.services.channels["webhook"]._private_addresses = True
        sent = api.post(path, key="admin").json()

    assert not refused["sent"]
    assert "public address" in refused["detail"]
    assert sent == {"sent": True, "detail": f"127.0.0.1:{receiver.port} answered 204 No Content"}
    [(_, headers, body)] = receiver.requests
    assert signed(made["secret"], headers, body)
    problem(api.post(f"{CONTOSO}/notices/test", {"address": "nobody"}, key="admin"), 422)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "roles", {"user": "anna", "role": "billing_admin"}),
        ("DELETE", "roles/anna/billing_admin", None),
        ("PUT", f"recipients/{FINANCE}", {}),
        ("DELETE", f"recipients/{FINANCE}", None),
        ("POST", "webhooks", {"url": "https://example.com/in"}),
        ("DELETE", "webhooks/x", None),
        ("POST", "webhooks/x/rotate", None),
        ("POST", "webhooks/x/test", None),
        ("POST", "notices/test", {"address": FINANCE}),
        ("POST", "deliveries/x/resend", None),
    ],
)
def test_only_an_admin_of_the_organisation_changes_who_is_told(api, method, path, body):
    for key in ("read", "charging", "foreign"):
        problem(api.request(method, f"{CONTOSO}/{path}", json=body, key=key), 403)


@pytest.mark.parametrize("path", ["roles", "recipients", "webhooks", "deliveries", "notices/x"])
def test_another_organisation_sees_nothing(api, path):
    problem(api.get(f"{CONTOSO}/{path}", key="foreign"), 403)
