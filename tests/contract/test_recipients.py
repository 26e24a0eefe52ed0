"""Who is told of a notice: administrators, chosen addresses, webhooks; on both databases."""

import threading
from collections import Counter
from datetime import timedelta

import msgspec
import pytest

from gettone.errors import InvalidInput, NotFound
from gettone.operations import directory, recipients, telling
from gettone.operations.billing import Profile
from gettone.operations.mails import Mail
from gettone.operations.notices import (
    BALANCE_LOW,
    BALANCE_ZERO,
    KINDS,
    POLICIES_CHANGED,
    USAGE_INVOICED,
    USER_BLOCKED,
    list_notices,
    notice,
)
from gettone.operations.recipients import grant_role, set_recipient
from gettone.operations.telling import (
    WAITING,
    address,
)
from gettone.operations.webhooks import add_webhook
from gettone.storage.office import open_office
from tests.support.telling import ANNA, BEN, ORG, URL, found, targets, with_an_administrator, write


@pytest.fixture
def org(world):
    """An organisation in Rome with three users, of whom Anna is its billing administrator."""
    return with_an_administrator(world)


# -- who is told -------------------------------------------------------------------------------------------------------


def test_a_notice_goes_to_administrators_to_chosen_addresses_and_to_webhooks(org):
    set_recipient(org.office, ORG, "Finance@Example.com", org.now, by="a test")
    made = add_webhook(org.office, ORG, URL, org.now, by="a test")
    write(org)

    assert address(org.office, org.now, link="https://calls.example") == 1

    deliveries = {one.target: one for one in found(org)}
    assert deliveries.keys() == {ANNA, "finance@example.com", made.webhook.webhook_id}
    assert {one.state for one in deliveries.values()} == {WAITING}
    with org.office.read() as unit:
        body = unit.telling.delivery(ORG, deliveries[ANNA].delivery_id).body
        message = unit.telling.delivery(ORG, deliveries[made.webhook.webhook_id].delivery_id).body
    mail = msgspec.json.decode(body, type=Mail)
    assert mail.subject == "contoso: No credit is left"
    assert "https://calls.example" in mail.text
    assert "because you are Billing Administrator of contoso" in mail.text
    assert message == (
        b'{"currency":"USD","facts":{"left":"0"},"id":"balance_zero//1","kind":"balance_zero","org_id":"contoso",'
        b'"sentence":"No credit is left (0.00 USD): calls that cost credit are refused until funds are added.",'
        b'"subject":"","written_at":"2026-11-23T12:00:00Z"}'
    )


def test_a_notice_is_addressed_once(org):
    write(org)

    assert [address(org.office, org.now), address(org.office, org.now)] == [1, 0]
    assert targets(org) == [ANNA]


def test_two_processes_address_a_notice_once(org, url):
    for number in range(20):
        write(org, crossing=str(number))
    other = open_office(url)
    workers = [threading.Thread(target=address, args=(one, org.now)) for one in (org.office, other)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    other.close()

    assert Counter(one.notice_id for one in found(org)) == {f"balance_zero//{number}": 1 for number in range(20)}


def test_nobody_to_tell_leaves_the_notice_to_be_read(org):
    recipients.revoke_role(org.office, ORG, ANNA, "billing_admin", org.now, by="a test")
    notice_id = write(org)

    assert address(org.office, org.now) == 1
    assert found(org, notice_id=notice_id) == ()
    assert [one.notice_id for one in list_notices(org.office, ORG).items] == [notice_id]


def test_an_administrator_in_two_roles_is_told_once(org):
    grant_role(org.office, ORG, "anna", "Global Administrator", org.now, by="a test")
    write(org)
    address(org.office, org.now)

    assert targets(org) == [ANNA]


def test_a_muted_role_is_not_told_but_by_another_role(org):
    grant_role(org.office, ORG, "ben", "helpdesk_admin", org.now, by="a test")
    grant_role(org.office, ORG, "anna", "helpdesk_admin", org.now, by="a test")
    set_recipient(org.office, ORG, "role/helpdesk_admin", org.now, by="a test", muted=True)
    write(org)
    address(org.office, org.now)

    assert targets(org) == [ANNA]


def test_a_muted_address_is_not_told_whatever_role_its_user_has(org):
    set_recipient(org.office, ORG, ANNA, org.now, by="a test", muted=True)
    write(org)
    address(org.office, org.now)

    assert targets(org) == []


def test_an_address_is_told_of_the_kinds_it_wants(org):
    set_recipient(org.office, ORG, "finance@example.com", org.now, by="a test", kinds=[USAGE_INVOICED, BALANCE_LOW])
    set_recipient(org.office, ORG, ANNA, org.now, by="a test", kinds=[USAGE_INVOICED])
    write(org, BALANCE_ZERO)
    write(org, USAGE_INVOICED, month="202610", amount="5000000")
    address(org.office, org.now)

    assert sorted((one.notice_id.partition("/")[0], one.target) for one in found(org)) == [
        (USAGE_INVOICED, ANNA),
        (USAGE_INVOICED, "finance@example.com"),
    ]


def test_roles_are_not_told_of_what_administrators_did_unless_they_want_it(org):
    grant_role(org.office, ORG, "ben", "global_admin", org.now, by="a test")
    set_recipient(org.office, ORG, "role/global_admin", org.now, by="a test", kinds=[POLICIES_CHANGED])
    set_recipient(org.office, ORG, "audit@example.com", org.now, by="a test")
    write(org, POLICIES_CHANGED, by="Carl", changes="user limit from none to 5.00 USD")
    address(org.office, org.now)

    assert targets(org) == ["audit@example.com", BEN]


def test_a_kind_that_a_newer_version_wrote_is_told_to_every_role(org):
    write(org, "moon_full", at="noon")
    address(org.office, org.now)

    assert targets(org) == [ANNA]


def test_each_is_written_to_in_the_language_chosen(org):
    with org.office.write(ORG) as unit:
        unit.buying.write_profile(ORG, Profile(language="it"))
    set_recipient(org.office, ORG, "finance@example.com", org.now, by="a test", language="en")
    write(org)
    address(org.office, org.now)

    assert {one.target: one.language for one in found(org)} == {ANNA: "it", "finance@example.com": "en"}


def test_who_is_no_more_or_has_no_address_is_not_written_to(org):
    org.user(ORG, "dora")
    directory.change_user(org.office, ORG, "dora", org.now, upn="dora")
    grant_role(org.office, ORG, "dora", "billing_admin", org.now, by="a test")
    directory.remove_user(org.office, ORG, "anna", org.now)
    org.wait(60)
    org.user(ORG, "anna")
    write(org)
    address(org.office, org.now)

    assert targets(org) == []
    assert [(one.upn, one.address) for one in recipients.list_roles(org.office, ORG)] == [("dora", "")]


def test_an_organisation_that_cannot_be_addressed_leaves_the_others_alone(org, monkeypatch, caplog):
    org.organisation("adatum", owns={})
    with org.office.write("adatum") as unit:
        unit.policies.add_notice("adatum", notice(BALANCE_ZERO, "", "1", {}, org.now))
    write(org)
    whole = telling.Audience

    def audience(unit, org_id):
        if org_id == "adatum":
            raise RuntimeError
        return whole(unit, org_id)

    monkeypatch.setattr(telling, "Audience", audience)
    assert address(org.office, org.now) == 1
    assert "the notices of adatum could not be addressed" in caplog.text
    monkeypatch.undo()
    assert address(org.office, org.now) == 1


def test_a_user_is_called_by_the_user_principal_name_where_people_read(org):
    told = notice(USER_BLOCKED, "user/ben", "1", {"until": "", "reason": "tenant_requested"}, org.now)
    with org.office.write(ORG) as unit:
        unit.policies.add_notice(ORG, told)
    add_webhook(org.office, ORG, URL, org.now, by="a test")
    address(org.office, org.now)

    with org.office.read() as unit:
        bodies = [one.body.decode() for one in unit.telling.deliveries(ORG, "", "", None, 9)]
    assert len(bodies) == 2
    for body in bodies:
        assert f"User {BEN} is blocked from calling" in body.replace("\\n", " ")


# -- roles and recipients ----------------------------------------------------------------------------------------------


def test_roles_are_granted_and_revoked_and_noted(org):
    again = grant_role(org.office, ORG, ANNA, "billing-admin", org.now + timedelta(days=1), by="a test")
    recipients.revoke_role(org.office, ORG, "anna", "billing_admin", org.now, by="a test")

    assert again.granted_at == org.now
    assert recipients.list_roles(org.office, ORG) == ()
    with org.office.read() as unit:
        entries = unit.audit.audit(ORG, "user/anna", None, 10)
    assert [(one.action, one.changes) for one in entries] == [
        ("revoke_role", {"role": ("billing_admin", "")}),
        ("grant_role", {"role": ("", "billing_admin")}),
    ]
    with pytest.raises(NotFound, match="does not have the role"):
        recipients.revoke_role(org.office, ORG, "anna", "billing_admin", org.now, by="a test")
    with pytest.raises(NotFound, match="user 'emil'"):
        grant_role(org.office, ORG, "emil", "billing_admin", org.now, by="a test")
    with pytest.raises(InvalidInput, match="did you mean billing_admin"):
        grant_role(org.office, ORG, "anna", "biling_admin", org.now, by="a test")


def test_recipients_are_listed_with_the_addresses_they_stand_for(org):
    set_recipient(org.office, ORG, "role/teams_admin", org.now, by="a test", muted=True)
    set_recipient(org.office, ORG, "finance@example.com", org.now, by="a test", kinds=[BALANCE_LOW, BALANCE_LOW])

    shown = recipients.list_recipients(org.office, ORG)

    assert [(one.target, one.chosen, one.muted, one.kinds, one.addresses) for one in shown] == [
        ("role/billing_admin", False, False, (), (ANNA,)),
        ("role/teams_admin", True, True, (), ()),
        ("finance@example.com", True, False, (BALANCE_LOW,), ("finance@example.com",)),
    ]
    recipients.remove_recipient(org.office, ORG, "role/teams_admin", org.now, by="a test")
    assert len(recipients.list_recipients(org.office, ORG)) == 2
    with pytest.raises(NotFound):
        recipients.remove_recipient(org.office, ORG, "role/teams_admin", org.now, by="a test")


@pytest.mark.parametrize(
    ("target", "settings", "field"),
    [
        ("nobody", {}, "target"),
        ("a b@example.com", {}, "target"),
        ("anna@example.com\nBcc: all@example.com", {}, "target"),
        ("anna@exämple.com", {}, "target"),
        ("a" * 65 + "@example.com", {}, "target"),
        ("anna@example..com", {}, "target"),
        ("role/king", {}, "target"),
        ("anna@example.com", {"kinds": ["balance_zer"]}, "kinds"),
        ("anna@example.com", {"language": "fr"}, "language"),
    ],
)
def test_a_recipient_that_cannot_be_is_refused(org, target, settings, field):
    with pytest.raises(InvalidInput) as refused:
        set_recipient(org.office, ORG, target, org.now, by="a test", **settings)

    assert refused.value.field == field


def test_every_kind_can_be_wanted():
    assert recipients.known_kinds(KINDS) == " ".join(sorted(KINDS))
