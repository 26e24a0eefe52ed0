"""``gettone notices``, ``gettone roles`` and ``gettone webhooks``: exact words and exit statuses."""

import mailbox

import pytest

from gettone import bootstrap
from gettone.cli.base import settings
from gettone.operations.telling import address, deliver
from tests.gateways.test_webhook import Receiver, signed

ANNA = "anna@example.test"


@pytest.fixture
def told(gettone):
    """A world in which the limit of Bruno was changed and Anna was blocked, and Bruno administers billing."""
    gettone("roles", "grant", "acme", "bruno", "billing_admin")
    gettone("policies", "set", "acme", "--user-limit", "50")
    gettone("users", "block", "acme", "anna")
    return gettone


def work(channels=None) -> None:
    """Address and deliver, as the jobs do."""
    with bootstrap.opened_office(settings()) as office:
        now = bootstrap.utc_now()
        address(office, now, link="https://calls.example")
        deliver(office, channels or {}, now)


def test_notices_are_listed_and_shown_as_their_mails(told):
    found = told.json("notices", "list", "acme", "--kind", "user_blocked")
    [notice] = [one["notice_id"] for one in found]

    english = told("notices", "show", "acme", notice).stdout
    italian = told("notices", "show", "acme", notice, "--language", "it").stdout

    assert "subject  acme: Blocked from calling: user anna@example.test\n" in english
    assert "User anna@example.test is blocked from calling until somebody unblocks." in english
    assert "What to do:" in english
    assert "because" not in english
    assert "L'utente anna@example.test non può chiamare finché qualcuno non rimuove il blocco." in " ".join(
        italian.split()
    )
    assert "there is no such notice" in told.refuses("notices", "show", "acme", "nothing")
    assert "write one of en, it" in told.refuses("notices", "show", "acme", notice, "--language", "fr", expect=2)


def test_roles_are_granted_listed_and_revoked(told):
    assert told("roles", "grant", "acme", ANNA, "Teams Administrator").stdout == f"{ANNA}: Teams Administrator\n"
    listed = told.json("roles", "list", "acme")
    told("roles", "revoke", "acme", "anna", "teams_admin")

    assert [(one["user_id"], one["role"], one["address"]) for one in listed] == [
        ("anna", "teams_admin", ANNA),
        ("bruno", "billing_admin", "bruno@example.test"),
    ]
    assert "Teams Administrator" not in told("roles", "list", "acme").stdout
    assert "write one of global_admin" in told.refuses("roles", "grant", "acme", "anna", "king", expect=2)


def test_recipients_are_chosen_muted_and_taken_out(told):
    told("notices", "recipients", "add", "acme", "finance@example.test", "--kind", "usage_invoiced", "--language", "it")
    told("notices", "recipients", "mute", "acme", "role/billing_admin")
    shown = told("notices", "recipients", "list", "acme").stdout

    assert [line.split() for line in shown.splitlines()[1:]] == [
        ["role/billing_admin", "no", "the", "usual", "ones", "-", "bruno@example.test"],
        ["finance@example.test", "yes", "usage_invoiced", "it", "finance@example.test"],
    ]
    told("notices", "recipients", "remove", "acme", "finance@example.test")
    assert "no chosen recipient" in told.refuses("notices", "recipients", "remove", "acme", "finance@example.test")
    assert "mail address" in told.refuses("notices", "recipients", "add", "acme", "finance", expect=2)
    assert "write some of" in told.refuses(
        "notices", "recipients", "add", "acme", "a@example.test", "--kind", "gossip", expect=2
    )


def test_deliveries_say_what_became_of_them_and_are_sent_again(told, monkeypatch):
    blocked, changed = (one["notice_id"] for one in told.json("notices", "list", "acme"))
    assert "nobody" in told("notices", "deliveries", "acme", "--notice", blocked).stdout
    work()
    waiting = told("notices", "deliveries", "acme").stdout
    assert "mail is not set up: set GETTONE_MAIL_URL" in waiting
    assert "nobody: no role" in told("notices", "deliveries", "acme", "--notice", changed).stdout

    [delivery] = told.json("notices", "deliveries", "acme", "--state", "waiting")
    assert delivery["target"] == "bruno@example.test"
    assert "still on its way" in told.refuses("notices", "resend", "acme", delivery["delivery_id"])
    set_state(delivery["delivery_id"], "sent")
    again = told("notices", "resend", "acme", delivery["delivery_id"]).stdout
    assert again.endswith("is on its way to bruno@example.test\n")
    assert len(told.json("notices", "deliveries", "acme")) == 2


def set_state(delivery_id: str, state: str) -> None:
    import msgspec

    with bootstrap.opened_office(settings()) as office, office.write("acme") as unit:
        delivery = unit.telling.delivery("acme", delivery_id)
        unit.telling.change_delivery("acme", msgspec.structs.replace(delivery, state=state, next_at=None))


def test_a_test_mail_says_what_became_of_it(told, monkeypatch):
    assert "mail is not set up: set GETTONE_MAIL_URL" in told.refuses("notices", "test", "acme", ANNA)
    box = told.folder / "mailbox"
    monkeypatch.setenv("GETTONE_MAIL_URL", f"file://{box}")
    monkeypatch.setenv("GETTONE_PUBLIC_URL", "https://calls.example/")

    assert told("notices", "test", "acme", ANNA, "--language", "it").stdout == f"sent: written into {box}\n"

    opened = mailbox.mbox(box, create=False)
    [message] = list(opened)
    opened.close()
    assert message["To"] == ANNA
    assert message["Subject"] == "acme: Prova"
    assert "https://calls.example\n" in message.get_payload(0).get_payload(decode=True).decode().replace("\r", "")
    monkeypatch.setenv("GETTONE_MAIL_URL", f"file://{told.folder}/no/mailbox")
    assert "No such file" in told.refuses("notices", "test", "acme", ANNA)
    monkeypatch.setenv("GETTONE_MAIL_URL", "smtp://bruno:secret@mail.example")
    monkeypatch.setenv("GETTONE_MAIL_FROM", "gettone@example.test")
    assert "sent in the clear" in told.refuses("notices", "test", "acme", ANNA)


def test_a_webhook_is_added_tried_rotated_and_removed(told, monkeypatch):
    with Receiver() as receiver:
        shown = told("webhooks", "add", "acme", receiver.url, "--kind", "user_blocked")
        words = dict(line.split(None, 1) for line in shown.stdout.splitlines())
        hook, secret = words["webhook"], words["secret"]
        refused = told.refuses("webhooks", "test", "acme", hook)
        monkeypatch.setenv("GETTONE_WEBHOOK_PRIVATE_ADDRESSES", "yes")
        tried = told("webhooks", "test", "acme", hook).stdout
        [(_, headers, body)] = receiver.requests

    assert "keep the secret" in shown.stderr
    assert "GETTONE_WEBHOOK_PRIVATE_ADDRESSES" in refused
    assert tried == f"sent: 127.0.0.1:{receiver.port} answered 204 No Content\n"
    assert signed(secret, headers, body)
    new = told.json("webhooks", "rotate", "acme", hook)
    assert new["secret"] != secret
    listed = told("webhooks", "list", "acme").stdout
    assert receiver.url in listed
    assert secret not in listed
    assert new["secret"] not in listed
    told("webhooks", "remove", "acme", hook)
    assert "there is no such webhook" in told.refuses("webhooks", "test", "acme", hook)
    assert "write an address" in told.refuses("webhooks", "add", "acme", "example.com", expect=2)
