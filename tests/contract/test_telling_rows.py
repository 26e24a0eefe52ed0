"""Who is told, deliveries, the audit log and leases, as stored, on both databases."""

from datetime import datetime, timedelta

import msgspec
import pytest

from gettone.errors import Conflict
from gettone.operations.billing import AdminRole, AuditEntry, Delivery, Recipient, Webhook
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from gettone.operations.views import NoticeView
from tests.support.rows import MIDDAY, organisation


@pytest.fixture
def office(office: Office) -> Office:
    """Two organisations; whatever is asked of one must not touch the other."""
    with office.write_shared() as unit:
        for org_id in ("contoso", "fabrikam"):
            unit.directory.add_organisation(organisation(org_id))
    return office


def after(seconds: int) -> datetime:
    return MIDDAY + timedelta(seconds=seconds)


# -- who is told -------------------------------------------------------------------------------------------------------


def test_roles_are_listed_by_user_and_taken_away_one_by_one(office):
    roles = [AdminRole(user_id=user, role=role, granted_at=MIDDAY) for user, role in ("ab", "ac", "bb")]
    with office.write("contoso") as unit:
        for each in (*reversed(roles), roles[0]):
            unit.telling.add_role("contoso", each)
        assert unit.telling.remove_role("contoso", "a", "c")
        assert not unit.telling.remove_role("contoso", "a", "c")

    with office.read() as unit:
        assert unit.telling.roles("contoso") == [roles[0], roles[2]]
        assert unit.telling.roles("fabrikam") == []


def test_recipients_are_listed_by_target_and_written_again(office):
    muted = Recipient(target="role/helpdesk_admin", created_at=MIDDAY, muted=True)
    anna = Recipient(target="anna@contoso.example", created_at=after(1), kinds="balance_zero pool_used", language="it")
    with office.write("contoso") as unit:
        for each in (muted, msgspec.structs.replace(anna, kinds=""), anna):
            unit.telling.write_recipient("contoso", each)

    with office.read() as unit:
        assert unit.telling.recipients("contoso") == [anna, muted]
    with office.write("contoso") as unit:
        assert unit.telling.remove_recipient("contoso", anna.target)
        assert not unit.telling.remove_recipient("contoso", anna.target)
        assert unit.telling.recipients("contoso") == [muted]


def test_webhooks_are_listed_oldest_first_with_the_secret_that_goes(office):
    old = Webhook(webhook_id="z", url="https://a.example", secret="s", created_at=MIDDAY)
    new = Webhook(webhook_id="a", url="https://b.example", secret="t", created_at=after(1), kinds="refunded")
    rotated = msgspec.structs.replace(old, secret="u", old_secret="s", old_secret_until=after(9), active=False)
    with office.write("contoso") as unit:
        for each in (new, old, rotated):
            unit.telling.write_webhook("contoso", each)

    with office.read() as unit:
        assert unit.telling.webhooks("contoso") == [rotated, new]
        assert unit.telling.webhooks("fabrikam") == []
    with office.write("contoso") as unit:
        assert unit.telling.remove_webhook("contoso", "z")
        assert not unit.telling.remove_webhook("contoso", "z")


# -- notices on their way ----------------------------------------------------------------------------------------------


def notice(notice_id: str) -> NoticeView:
    return NoticeView(notice_id=notice_id, kind="refunded", subject="", written_at=MIDDAY, facts={"amount": "1"})


def test_notices_wait_until_their_deliveries_are_written(office):
    for org_id in ("fabrikam", "contoso"):
        with office.write(org_id) as unit:
            for name in ("b", "a"):
                unit.policies.add_notice(org_id, notice(name))

    with office.write("contoso") as unit:
        assert unit.telling.addressed("contoso", "a")
        assert not unit.telling.addressed("contoso", "a")
        assert not unit.telling.addressed("contoso", "nothing")
    with office.read() as unit:
        waiting = [("contoso", "b"), ("fabrikam", "a"), ("fabrikam", "b")]
        assert unit.telling.new_notices(("", ""), 10) == waiting
        assert unit.telling.new_notices(("", ""), 1) == waiting[:1]
        assert unit.telling.new_notices(waiting[1], 10) == waiting[2:]
        assert unit.telling.notice("contoso", "a") == notice("a")
        assert unit.telling.notice("contoso", "c") is None


def delivery(delivery_id: str, seconds: int = 0, **more) -> Delivery:
    whole = {
        "delivery_id": delivery_id,
        "notice_id": "n",
        "channel": "mail",
        "target": "anna@contoso.example",
        "language": "it",
        "state": "waiting",
        "created_at": after(seconds),
        "body": b"\x00caf\xc3\xa9\r\n",
        "next_at": after(seconds),
    }
    return Delivery(**(whole | more))


def test_deliveries_are_listed_newest_first_of_a_notice_or_in_a_state(office):
    newest_first = [
        delivery("b", 2),
        delivery("d", 1, state="sent", next_at=None, sent_at=after(3)),
        delivery("c", 1, notice_id="m", channel="webhook"),
        delivery("a"),
    ]
    with office.write("contoso") as unit:
        unit.telling.add_deliveries("contoso", list(reversed(newest_first)))
        unit.telling.add_deliveries("contoso", [])

    told, before = [], None
    with office.read() as unit:
        while page := unit.telling.deliveries("contoso", "", "", before, 3):
            told += page
            before = (microseconds(page[-1].created_at), page[-1].delivery_id)
        assert unit.telling.deliveries("contoso", "m", "", None, 9) == [newest_first[2]]
        assert unit.telling.deliveries("contoso", "n", "waiting", None, 9) == [newest_first[0], newest_first[3]]
        assert unit.telling.deliveries("fabrikam", "", "", None, 9) == []
        assert unit.telling.delivery("contoso", "d") == newest_first[1]
        assert unit.telling.delivery("fabrikam", "d") is None
    assert told == newest_first


def test_deliveries_to_be_tried_are_found_everywhere_the_longest_waiting_first(office):
    with office.write("contoso") as unit:
        unit.telling.add_deliveries("contoso", [delivery("a"), delivery("b", 1), delivery("c", -5)])
        failed = msgspec.structs.replace(delivery("c", -5), state="failed", next_at=None, attempts=8, last_error="550")
        unit.telling.change_delivery("contoso", failed)
    with office.write("fabrikam") as unit:
        unit.telling.add_deliveries("fabrikam", [delivery("a", -9)])

    with office.read() as unit:
        due = [("fabrikam", "a"), ("contoso", "a")]
        assert unit.telling.due_deliveries(MIDDAY, 10) == due
        assert unit.telling.due_deliveries(MIDDAY, 1) == due[:1]
        assert unit.telling.delivery("contoso", "c") == failed


def test_a_delivery_is_written_once(office):
    with office.write("contoso") as unit:
        unit.telling.add_deliveries("contoso", [delivery("a")])

    with pytest.raises(Conflict), office.write("contoso") as unit:
        unit.telling.add_deliveries("contoso", [delivery("a")])


# -- the audit log -----------------------------------------------------------------------------------------------------


def test_the_audit_log_is_told_newest_first_in_pages_and_by_subject(office):
    def entry(version: int, line: int, subject: str = "auto-recharge") -> AuditEntry:
        changes = {"trigger_micros": ("", "5"), "note": ("José", '"')}
        return AuditEntry(
            version=version, line=line, at=MIDDAY, by="anna", action="set", subject=subject, changes=changes
        )

    newest_first = [entry(3, 1), entry(2, 2, "profile"), entry(2, 1), entry(1, 1)]
    with office.write("contoso") as unit:
        for each in reversed(newest_first):
            unit.audit.add_audit("contoso", each)

    told, before = [], None
    with office.read() as unit:
        while page := unit.audit.audit("contoso", "", before, 3):
            told += page
            before = (page[-1].version, page[-1].line)
        assert unit.audit.audit("contoso", "profile", None, 9) == [newest_first[1]]
        assert unit.audit.audit("fabrikam", "", None, 9) == []
    assert told == newest_first


def test_a_unit_notes_under_the_version_that_it_makes(office):
    for turn in range(2):
        with office.write("contoso") as unit:
            unit.note("anna", "set", "profile", {"language": ("en", "it")}, after(turn))
            unit.note("anna", "set", "auto-recharge", {}, after(turn))

    with office.read() as unit:
        found = unit.audit.audit("contoso", "", None, 9)
        version = unit.money.account("contoso").version
    assert [(each.version, each.line) for each in found] == [
        (version, 2),
        (version, 1),
        (version - 1, 2),
        (version - 1, 1),
    ]
    assert found[1].changes == {"language": ("en", "it")}


# -- leases ------------------------------------------------------------------------------------------------------------


def take(office: Office, holder: str, seconds: int, name: str = "expiry") -> bool:
    with office.write_shared() as unit:
        return unit.leases.take_lease(name, holder, after(seconds), after(seconds + 60))


def test_a_lease_is_one_holders_until_it_runs_out(office):
    assert take(office, "one", 0)
    assert not take(office, "two", 59)
    assert take(office, "two", 0, "numbers")
    assert take(office, "two", 60)
    assert not take(office, "one", 61)


def test_a_lease_is_renewed_by_its_holder(office):
    assert take(office, "one", 0)
    assert take(office, "one", 50)
    assert not take(office, "two", 60)


def test_a_lease_that_was_given_back_is_free_and_nobody_gives_back_anothers(office):
    take(office, "one", 0)
    with office.write_shared() as unit:
        unit.leases.drop_lease("expiry", "two")
    assert not take(office, "two", 1)

    with office.write_shared() as unit:
        unit.leases.drop_lease("expiry", "one")
    assert take(office, "two", 1)


def test_a_lease_from_before_a_clock_was_put_back_is_nobodys(office):
    take(office, "one", 7200)

    assert take(office, "two", 0)
