"""How notices are delivered, to webhooks too, and what is kept of that, on both databases."""

import threading
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import telling, webhooks
from gettone.operations.mails import Mail
from gettone.operations.notices import (
    BALANCE_LOW,
    BALANCE_ZERO,
)
from gettone.operations.recipients import set_recipient
from gettone.operations.telling import (
    CANCELLED,
    FAILED,
    MAIL,
    REPEATS,
    SENT,
    WAITING,
    WEBHOOK,
    NotSent,
    Sent,
    address,
    deliver,
    list_deliveries,
    resend,
)
from gettone.operations.webhooks import add_webhook, remove_webhook, rotate_secret
from gettone.storage.office import open_office
from tests.support.telling import ANNA, ORG, URL, Channel, found, send, with_an_administrator, write


@pytest.fixture
def org(world):
    """An organisation in Rome with three users, of whom Anna is its billing administrator."""
    return with_an_administrator(world)


# -- sending -----------------------------------------------------------------------------------------------------------


def test_what_is_sent_is_kept_as_sent(org):
    write(org)
    address(org.office, org.now)
    org.wait(5)
    mails = Channel()

    assert [send(org, mails), send(org, mails)] == [1, 0]

    [delivery] = found(org)
    assert (delivery.state, delivery.attempts, delivery.sent_at, delivery.next_at) == (SENT, 1, org.now, None)
    assert [parcel.delivery_id for parcel in mails.parcels] == [delivery.delivery_id]


def test_a_failed_delivery_is_repeated_over_three_days_and_then_given_up(org):
    write(org)
    address(org.office, org.now)
    began, mails = org.now, Channel(always=NotSent("no such thing today"))
    tried = []
    while (next_at := found(org)[0].next_at) is not None:
        org.now = next_at - timedelta(seconds=1)
        assert send(org, mails) == 0
        org.now = next_at
        assert send(org, mails) == 1
        tried.append(org.now - began)

    minutes = [0, 1, 6, 36, 156, 516, 1236, 2676, 4116]
    assert tried == [timedelta(minutes=one) for one in minutes]
    [delivery] = found(org)
    assert (delivery.state, delivery.attempts, delivery.last_error) == (FAILED, 9, "no such thing today")
    assert len(REPEATS) == 8


def test_what_will_never_work_is_not_repeated(org):
    write(org)
    address(org.office, org.now)

    send(org, Channel(NotSent("550 no such mailbox", again=False)))

    assert [(one.state, one.last_error) for one in found(org)] == [(FAILED, "550 no such mailbox")]


def test_a_channel_that_is_not_set_up_keeps_the_delivery_waiting_and_says_why(org):
    write(org)
    address(org.office, org.now)

    send(org)

    [delivery] = found(org)
    assert (delivery.state, delivery.last_error) == (WAITING, "mail is not set up: set GETTONE_MAIL_URL")
    org.now = delivery.next_at
    mails = Channel()
    assert send(org, mails) == 1
    assert mails.targets == [ANNA]


def test_a_channel_that_breaks_counts_as_a_failed_attempt(org, caplog):
    write(org)
    address(org.office, org.now)

    send(org, Channel(RuntimeError("our mistake")))

    [delivery] = found(org)
    assert (delivery.state, delivery.attempts, delivery.next_at) == (WAITING, 1, org.now + timedelta(minutes=1))
    assert "our mistake" in caplog.text


def test_a_receiver_that_does_not_answer_costs_one_attempt_a_round(org, monkeypatch):
    monkeypatch.setattr(telling, "SENDERS", 1)
    made = add_webhook(org.office, ORG, URL, org.now, by="a test")
    for number in range(5):
        write(org, crossing=str(number))
    address(org.office, org.now)
    hooks, mails = Channel(NotSent("did not answer within 10 seconds")), Channel()

    assert send(org, mails, hooks) == 6

    assert len(hooks.parcels) == 1
    assert len(mails.parcels) == 5
    waiting = [one for one in found(org, state=WAITING) if one.target == made.webhook.webhook_id]
    assert Counter(one.attempts for one in waiting) == {1: 1, 0: 4}
    org.wait(60)
    assert send(org, mails, hooks) == 5
    assert len(hooks.parcels) == 6


def test_a_mail_server_that_is_down_is_asked_once_a_round_for_everybody(org, monkeypatch):
    monkeypatch.setattr(telling, "SENDERS", 1)
    set_recipient(org.office, ORG, "finance@example.com", org.now, by="a test")
    write(org)
    address(org.office, org.now)
    mails = Channel(NotSent("mail.example:25 cannot be reached", broken=True))

    send(org, mails)

    assert len(mails.parcels) == 1


def test_two_workers_send_nothing_twice(org, url):
    for number in range(30):
        write(org, crossing=str(number))
    address(org.office, org.now)
    other, mails = open_office(url), Channel()
    workers = [
        threading.Thread(target=deliver, args=(office, {MAIL: mails}, org.now)) for office in (org.office, other)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    other.close()

    assert set(Counter(parcel.delivery_id for parcel in mails.parcels).values()) == {1}
    assert len(mails.parcels) == 30
    assert {one.state for one in found(org)} == {SENT}


class Killed(BaseException):
    """The process dies."""


def test_a_process_that_dies_between_sending_and_recording_sends_again_under_the_same_id(org, monkeypatch):
    write(org)
    address(org.office, org.now)
    mails = Channel()

    def die(*_):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(telling._Courier, "_record", die)
        with pytest.raises(Killed):
            send(org, mails)
    assert send(org, mails) == 0
    org.wait(300)
    assert send(org, mails) == 1

    assert len(mails.parcels) == 2
    assert mails.parcels[0] == mails.parcels[1]
    assert [(one.state, one.attempts) for one in found(org)] == [(SENT, 2)]


def test_an_answer_that_comes_after_another_has_sent_it_changes_nothing(org):
    write(org)
    address(org.office, org.now)
    slow, late = Channel(), NotSent("it took very long")

    class Slow:
        def send(self, parcel):
            org.wait(301)
            send(org, slow)
            return late

    assert deliver(org.office, {MAIL: Slow()}, org.now, clock=lambda: org.now) == 1
    assert [(one.state, one.attempts, one.last_error) for one in found(org)] == [(SENT, 2, "")]


def test_a_last_attempt_that_was_broken_off_is_not_repeated_for_ever(org, monkeypatch):
    write(org)
    address(org.office, org.now)
    with org.office.write(ORG) as unit:
        [delivery] = unit.telling.deliveries(ORG, "", "", None, 1)
        unit.telling.change_delivery(ORG, msgspec.structs.replace(delivery, attempts=9))
    mails = Channel()

    assert send(org, mails) == 0
    assert mails.parcels == []
    assert [(one.state, one.last_error) for one in found(org)] == [
        (FAILED, "the last attempt was broken off; it may have arrived")
    ]


def test_a_delivery_is_sent_again_by_hand_and_both_stay(org):
    write(org)
    address(org.office, org.now)
    [first] = found(org)
    with pytest.raises(Conflict, match="still on its way"):
        resend(org.office, ORG, first.delivery_id, org.now, by="a test")
    mails = Channel(NotSent("full", again=False))
    send(org, mails)
    org.wait(60)

    second = resend(org.office, ORG, first.delivery_id, org.now, by="a test")
    send(org, mails)

    assert [(one.delivery_id, one.state) for one in found(org)] == [
        (second.delivery_id, SENT),
        (first.delivery_id, FAILED),
    ]
    assert mails.parcels[0].body == mails.parcels[1].body
    with pytest.raises(NotFound):
        resend(org.office, ORG, "nothing", org.now, by="a test")


def test_deliveries_are_listed_in_pages_newest_first(org):
    for number in range(3):
        write(org, crossing=str(number))
        address(org.office, org.now)
        org.wait(1)

    first = list_deliveries(org.office, ORG, limit=2)
    rest = list_deliveries(org.office, ORG, limit=2, cursor=first.next_cursor)

    assert [one.notice_id[-1] for one in (*first.items, *rest.items)] == ["2", "1", "0"]
    assert rest.next_cursor == ""
    assert len(found(org, notice_id="balance_zero//1")) == 1
    for wrong in ({"state": "lost"}, {"cursor": "x"}, {"cursor": "1"}, {"limit": 0}):
        with pytest.raises(InvalidInput):
            list_deliveries(org.office, ORG, **wrong)
    with pytest.raises(NotFound):
        list_deliveries(org.office, ORG, notice_id="balance_zero//9")


# -- webhooks ----------------------------------------------------------------------------------------------------------


def test_a_webhook_hears_of_the_kinds_it_wants(org):
    made = add_webhook(org.office, ORG, URL, org.now, by="a test", kinds=[BALANCE_ZERO])
    write(org)
    write(org, BALANCE_LOW, left="1", limit="2")
    address(org.office, org.now)
    hooks = Channel()
    send(org, Channel(), hooks)

    [parcel] = hooks.parcels
    assert (parcel.target, parcel.secrets) == (URL, (made.secret,))
    assert made.secret.startswith("whsec_")
    assert made.secret not in str(webhooks.list_webhooks(org.office, ORG))


def test_the_old_secret_signs_for_a_day_after_the_new_one(org):
    old = add_webhook(org.office, ORG, URL, org.now, by="a test")
    new = rotate_secret(org.office, ORG, old.webhook.webhook_id, org.now, by="a test")
    hooks = Channel()
    for hours in (0, 23, 1):
        org.wait(hours * 3600)
        write(org, crossing=str(org.now))
        address(org.office, org.now)
        send(org, Channel(), hooks)

    assert new.secret != old.secret
    assert [parcel.secrets for parcel in hooks.parcels] == [(new.secret, old.secret)] * 2 + [(new.secret,)]


def test_a_receiver_that_says_it_is_gone_is_not_written_to_any_more(org, monkeypatch):
    monkeypatch.setattr(telling, "SENDERS", 1)
    made = add_webhook(org.office, ORG, URL, org.now, by="a test")
    hook = made.webhook.webhook_id
    for number in range(2):
        write(org, crossing=str(number))
    address(org.office, org.now)
    hooks = Channel(NotSent("answered 410 Gone", again=False, gone=True))

    send(org, Channel(), hooks)
    write(org, crossing="later")
    address(org.office, org.now)

    assert len(hooks.parcels) == 1
    assert sorted(one.state for one in found(org) if one.target == hook) == [CANCELLED, FAILED]
    assert [one.active for one in webhooks.list_webhooks(org.office, ORG)] == [False]
    with org.office.read() as unit:
        [entry, _] = unit.audit.audit(ORG, f"webhook/{hook}", None, 10)
    assert (entry.by, entry.action) == ("system", "deactivate_webhook")
    failed = next(one for one in found(org) if one.state == FAILED)
    with pytest.raises(Conflict, match="not active"):
        resend(org.office, ORG, failed.delivery_id, org.now, by="a test")


def test_what_is_on_its_way_to_a_removed_webhook_is_cancelled(org):
    made = add_webhook(org.office, ORG, URL, org.now, by="a test")
    write(org)
    address(org.office, org.now)
    remove_webhook(org.office, ORG, made.webhook.webhook_id, org.now, by="a test")
    hooks = Channel()
    send(org, Channel(), hooks)

    assert hooks.parcels == []
    assert [one.state for one in found(org) if one.channel == WEBHOOK] == [CANCELLED]
    with pytest.raises(NotFound):
        remove_webhook(org.office, ORG, made.webhook.webhook_id, org.now, by="a test")


@pytest.mark.parametrize(
    "wrong",
    [
        "example.com",
        "ftp://example.com",
        "https://",
        "https://user:secret@example.com/",
        "https://example.com/#top",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://exa mple.com/",
        "https://[::1/",
        "https://example.com/\r\nHost: other",
        "https://example.com/" + "a" * 2000,
    ],
)
def test_an_address_that_cannot_be_a_webhook_is_refused(org, wrong):
    with pytest.raises(InvalidInput) as refused:
        add_webhook(org.office, ORG, wrong, org.now, by="a test")

    assert refused.value.field == "url"


def test_a_webhook_is_added_once_and_not_without_end(org):
    add_webhook(org.office, ORG, URL, org.now, by="a test")
    with pytest.raises(InvalidInput, match="there is a webhook to this address"):
        add_webhook(org.office, ORG, URL, org.now, by="a test")
    for number in range(19):
        add_webhook(org.office, ORG, f"{URL}/{number}", org.now, by="a test")
    with pytest.raises(InvalidInput, match="20 webhooks"):
        add_webhook(org.office, ORG, f"{URL}/more", org.now, by="a test")
    with pytest.raises(InvalidInput, match="kinds"):
        add_webhook(org.office, ORG, f"{URL}/other", org.now, by="a test", kinds=["gossip"])


# -- trying it out -----------------------------------------------------------------------------------------------------


def test_a_test_mail_and_a_test_message_are_sent_at_once_and_not_kept(org):
    made = add_webhook(org.office, ORG, URL, org.now, by="a test")
    mails, hooks = Channel(), Channel(NotSent("answered 500"))
    channels = {MAIL: mails, WEBHOOK: hooks}

    sent = telling.send_test_mail(org.office, ORG, "me@example.com", channels, org.now, language="it")
    failed = telling.send_test_message(org.office, ORG, made.webhook.webhook_id, channels, org.now)

    assert (sent, failed) == (Sent(), NotSent("answered 500"))
    assert msgspec.json.decode(mails.parcels[0].body, type=Mail).subject == "contoso: Prova"
    assert msgspec.json.decode(hooks.parcels[0].body)["kind"] == "test"
    assert found(org) == ()
    assert isinstance(telling.send_test_mail(org.office, ORG, "me@example.com", {}, org.now), NotSent)
    with pytest.raises(InvalidInput, match="language"):
        telling.send_test_mail(org.office, ORG, "me@example.com", channels, org.now, language="fr")
