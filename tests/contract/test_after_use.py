"""Billing after use: one invoice a month, nothing lost and nothing doubled; moving over without a gap in service."""

import contextlib
import logging
import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from gettone.errors import Conflict, Forbidden
from gettone.operations import after_use, agreements, invoicing, profiles, recharging, reports
from gettone.operations.after_use import AFTER_USE, DRAINING, PREPAID
from gettone.operations.billing import CUSTOMER_AGREEMENT
from gettone.operations.buying import BILLING_ADMIN, OPERATOR, Buyer
from gettone.operations.catalogue import import_table
from gettone.operations.messages import Grant, SettleSilent, StartCall, StopCall, UpdateCall
from gettone.storage.office import open_office
from tests.support.shop import UNITS, Shop
from tests.support.world import World

BRITISH, ITALIAN = "+442079460123", "+390612345678"
OPERATING = Buyer(OPERATOR, "the operator")
BILLING = Buyer(BILLING_ADMIN, "the bookkeeper")
TURN = datetime(2026, 11, 30, 23, tzinfo=UTC)
"""The first instant of December in Rome."""


def ready(world: World, org_id: str = "acme", *, currency: str = "USD", **settings) -> World:
    """Make an organisation in Rome that is billed after use, with a user who may call."""
    settings = {"country": "IT", "time_zone": "Europe/Rome", "post_usage": True, **settings}
    world.organisation(org_id, currency=currency, **settings)
    world.user(org_id, "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
    return world


@pytest.fixture
def acme(world) -> World:
    world.deck("country,price\nGB,0.0135\nIT,0.02\n")
    yield ready(world)
    assert world.findings() == []


def call(world: World, session_id: str, minutes: int = 1, *, to: str = BRITISH, org_id: str = "acme") -> None:
    """Let anna call and hang up at this instant."""
    [granted] = world.charge(StartCall(session_id=session_id, org_id=org_id, user="anna", called=to))
    assert isinstance(granted, Grant)
    world.charge(StopCall(session_id=session_id, org_id=org_id, request_number=1, used_seconds=60 * minutes))


def invoices(world: World, org_id: str = "acme") -> list:
    """The monthly invoices, oldest first."""
    found = reversed(invoicing.list_invoices(world.office, org_id, limit=1000).items)
    return [invoicing.get_invoice(world.office, org_id, one.invoice_id) for one in found]


def billed(world: World, invoice_id: str, org_id: str = "acme") -> list:
    return [one for part in invoicing.billed_parts(world.office, org_id, invoice_id) for one in part]


# -- the month ---------------------------------------------------------------------------------------------------------


def test_a_month_is_invoiced_at_the_instant_it_ends_where_the_organisation_is(acme):
    call(acme, "one", 100)
    acme.now = TURN - timedelta(microseconds=1)
    assert after_use.invoice_month(acme.office, acme.now) == 0

    acme.now = TURN
    assert after_use.invoice_month(acme.office, acme.now) == 1

    [invoice] = invoices(acme)
    assert (invoice.invoice_id, invoice.paid_at, invoice.document.issued_on) == ("usage/202611", None, "2026-12-01")
    assert (invoice.document.period, invoice.document.gross_micros) == (202611, 1_350_000)
    ledger = acme.ledger("acme")
    assert (ledger["receivable"], ledger["invoiced"], ledger["usage"]) == (0, -1_350_000, 1_350_000)


def test_however_often_the_job_runs_there_is_one_invoice(acme):
    call(acme, "one", 100)
    acme.now = TURN

    assert [after_use.invoice_month(acme.office, TURN + timedelta(hours=n)) for n in range(50)] == [1] + [0] * 49
    call(acme, "two", 100)
    assert after_use.invoice_month(acme.office, acme.now) == 0


def test_a_call_belongs_to_the_month_in_which_it_is_settled(acme):
    acme.now = TURN - timedelta(minutes=10)
    call(acme, "november", 100)
    acme.charge(StartCall(session_id="over the turn", org_id="acme", user="anna", called=BRITISH))
    acme.now = TURN + timedelta(minutes=10)
    stop = StopCall(session_id="over the turn", org_id="acme", request_number=1, used_seconds=1200)
    acme.charge(stop)
    after_use.invoice_month(acme.office, acme.now)
    acme.now = TURN + timedelta(days=40)
    after_use.invoice_month(acme.office, acme.now)

    november, december = invoices(acme)

    assert [one.session_id for one in billed(acme, november.invoice_id)] == ["november"]
    assert [one.session_id for one in billed(acme, december.invoice_id)] == ["over the turn"]
    assert (december.document.period, december.document.net_micros) == (202612, 270_000)


def test_usage_stands_by_destination_with_the_calls_one_by_one_behind_it(acme):
    call(acme, "one", 2)
    call(acme, "two", 3)
    call(acme, "three", 5, to=ITALIAN)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)

    [invoice] = invoices(acme)
    [british, italian, carried] = invoice.document.lines
    calls = billed(acme, invoice.invoice_id)

    assert (british.text, british.calls, british.seconds, british.amount_micros) == ("GB", 2, 300, 67_500)
    assert (italian.text, italian.calls, italian.billed_seconds, italian.amount_micros) == ("IT", 1, 300, 100_000)
    assert (carried.kind, carried.amount_micros) == ("carried_out", -7_500)
    assert invoice.document.net_micros == 160_000
    assert [(one.session_id, one.user_id, one.called, one.seconds, one.charge_micros) for one in calls] == [
        ("one", "anna", BRITISH, 120, 27_000),
        ("two", "anna", BRITISH, 180, 40_500),
        ("three", "anna", ITALIAN, 300, 100_000),
    ]
    assert sum(one.charge_micros for one in calls) == 167_500


def test_the_calls_of_an_invoice_come_in_pages(acme):
    for index in range(5):
        call(acme, str(index))
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)

    first = invoicing.billed_calls(acme.office, "acme", "usage/202611", limit=3)
    second = invoicing.billed_calls(acme.office, "acme", "usage/202611", limit=3, cursor=first.next_cursor)

    assert [one.session_id for one in (*first.items, *second.items)] == ["0", "1", "2", "3", "4"]
    assert second.next_cursor == ""


def test_what_is_less_than_a_cent_is_carried_over_and_never_rounded(acme):
    for month in range(3):
        call(acme, f"call {month}")
        acme.now = TURN + timedelta(days=31 * month)
        after_use.invoice_month(acme.office, acme.now)

    documents = [one.document for one in invoices(acme)]

    assert [one.net_micros for one in documents] == [10_000, 10_000, 20_000]
    assert [one.carried_over_micros for one in documents] == [3_500, 7_000, 500]
    assert [line.kind for line in documents[1].lines] == ["usage", "carried_in", "carried_out"]
    assert acme.ledger("acme")["receivable"] == -500


def test_a_month_of_less_than_a_cent_waits_for_the_next_one(world):
    world.deck("country,price\nGB,0.004\n")
    acme = ready(world)
    call(acme, "one")
    acme.now = TURN
    assert after_use.invoice_month(acme.office, acme.now) == 0
    call(acme, "two", 2)
    acme.now = TURN + timedelta(days=31)
    assert after_use.invoice_month(acme.office, acme.now) == 1

    [invoice] = invoices(acme)

    assert (invoice.document.period, invoice.document.net_micros) == (202612, 10_000)
    assert len(billed(acme, invoice.invoice_id)) == 2


def test_yen_are_invoiced_whole(world):
    world.deck("country,price\nGB,1.5\n", currency="JPY")
    acme = ready(world, currency="JPY")
    call(acme, "one", 3)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)

    [invoice] = invoices(acme)

    assert (invoice.document.net_micros, invoice.document.carried_over_micros) == (4_000_000, 500_000)


def test_months_that_were_missed_have_an_invoice_each(acme):
    for month in range(3):
        call(acme, f"call {month}", 10)
        acme.now += timedelta(days=31)
    acme.now += timedelta(days=31)

    assert after_use.invoice_month(acme.office, acme.now) == 3
    assert [one.document.period for one in invoices(acme)] == [202611, 202612, 202701]


def test_what_a_slow_clock_posts_into_a_month_that_is_invoiced_is_in_the_next_invoice(acme):
    call(acme, "one", 10)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)
    acme.now = TURN - timedelta(seconds=1)
    call(acme, "late", 10)
    acme.now = TURN + timedelta(days=31)

    assert after_use.invoice_month(acme.office, acme.now) == 1
    assert [one.session_id for one in billed(acme, "usage/202612")] == ["late"]


def test_what_a_switch_reports_after_the_invoice_is_in_the_next_one(acme):
    acme.charge(StartCall(session_id="silent", org_id="acme", user="anna", called=BRITISH, requested_seconds=300))
    acme.charge(UpdateCall(session_id="silent", org_id="acme", request_number=1, used_seconds=120))
    acme.wait(3600)
    acme.charge(SettleSilent(session_id="silent", org_id="acme"))
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)
    acme.charge(StopCall(session_id="silent", org_id="acme", request_number=2, used_seconds=300))
    acme.now = TURN + timedelta(days=31)
    after_use.invoice_month(acme.office, acme.now)

    assert [[one.seconds for one in billed(acme, invoice.invoice_id)] for invoice in invoices(acme)] == [[120], [180]]
    assert [[one.calls for one in invoice.document.lines[:1]] for invoice in invoices(acme)] == [[1], [1]]


def test_many_processes_make_one_invoice(acme):
    for index in range(20):
        call(acme, str(index), 3)
    acme.now = TURN
    issued: list[int] = []

    def work() -> None:
        with contextlib.closing(open_office(acme.url)) as office:
            issued.append(after_use.invoice_month(office, TURN))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(issued) == [0, 0, 0, 1]


def test_every_organisation_has_its_invoice_whatever_its_zone(acme, monkeypatch):
    monkeypatch.setattr(after_use, "BATCH", 2)
    for index, zone in enumerate(("Pacific/Kiritimati", "UTC", "America/Los_Angeles", "Europe/London")):
        ready(acme, f"org{index}", time_zone=zone)
        call(acme, f"call {index}", 10, org_id=f"org{index}")
    call(acme, "own", 10)

    issued = [after_use.invoice_month(acme.office, TURN + timedelta(hours=hour)) for hour in (-13, 0, 1, 9)]

    assert issued == [1, 1, 2, 1]


def test_books_that_do_not_add_up_are_not_invoiced_and_hold_nobody_else_up(world, caplog):
    world.deck("country,price\nGB,0.0135\n")
    for org_id in ("broken", "good"):
        ready(world, org_id)
        call(world, org_id, 10, org_id=org_id)
    with world._engine.begin() as connection:
        connection.execute(text("DELETE FROM call WHERE org_id = 'broken'"))
    world.now = TURN

    with caplog.at_level(logging.ERROR):
        assert after_use.invoice_month(world.office, world.now) == 1

    assert "usage of broken could not be invoiced" in caplog.text
    assert (invoices(world, "broken"), len(invoices(world, "good"))) == ([], 1)


def test_tax_is_that_of_the_last_day_of_the_month(acme):
    rows = ["country,label,percent,effective_from,effective_until,source"]
    rows += ["IT,IVA,22,2017-10-01,,test", "IT,IVA,25,2026-12-01,,test"]
    import_table(acme.office, "taxes", "\n".join(rows).encode(), acme.now)
    call(acme, "one", 100)
    acme.now = TURN + timedelta(days=3)
    after_use.invoice_month(acme.office, acme.now)

    [invoice] = invoices(acme)

    assert [(tax.millionths, tax.amount_micros) for tax in invoice.document.taxes] == [(220_000, 300_000)]
    ledger = acme.ledger("acme")
    assert (ledger["tax"], ledger["invoiced"]) == (300_000, -1_650_000)


def test_the_administrators_are_told_that_the_invoice_is_ready(acme):
    call(acme, "one", 100)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)

    [told] = [one for one in Shop(acme, "acme").told() if one.kind == "usage_invoiced"]

    assert told.facts == {"month": "202611", "amount": "1350000"}


def test_an_invoice_of_a_month_is_collected_like_any_other(acme):
    call(acme, "one", 100)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)

    agreements.collected(acme.office, "acme", "usage/202611", by="the operator", now=acme.now)

    ledger = acme.ledger("acme")
    assert (ledger["invoiced"], ledger["funding"]) == (0, -1_350_000)


def test_an_invoice_of_a_month_takes_the_purchase_order_of_the_agreement_until_it_is_changed(acme):
    Shop(acme, "acme").agreement(number="EA-1", country="IT", purchase_order="PO-1")
    call(acme, "one", 100)
    acme.now = TURN
    after_use.invoice_month(acme.office, acme.now)
    profiles.change_purchase_order(acme.office, "acme", "PO-2", BILLING, acme.now, invoice="usage/202611")

    [invoice] = invoices(acme)

    assert (invoice.document.agreement_number, invoice.document.purchase_order) == ("EA-1", "PO-1")
    assert (invoice.purchase_order, len(invoice.purchase_order_changes)) == ("PO-2", 1)


# -- moving over -------------------------------------------------------------------------------------------------------


@pytest.fixture
def moving(world) -> World:
    """An organisation that prepays, with 50.00 left, an auto-recharge, and a user who may call."""
    world.deck("country,price\nGB,0.5\n")
    world.organisation("acme")
    world.user("acme", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
    shop = Shop(world, "acme")
    shop.card()
    shop.buy(50)
    shop.recharge(50, 50)
    shop.work()
    yield world
    assert world.findings() == []


def test_credit_drains_first_and_a_call_that_empties_the_wallet_goes_on_after_use(moving):
    shop = Shop(moving, "acme")
    shop.spend(shop.available - 2 * UNITS)
    assert after_use.begin_move(moving.office, "acme", BILLING, moving.now).phase == DRAINING

    [grant] = moving.charge(
        StartCall(session_id="c", org_id="acme", user="anna", called=BRITISH, requested_seconds=600)
    )
    assert (grant.granted_seconds, grant.final, grant.held_micros) == (600, False, 2 * UNITS)
    moving.charge(StopCall(session_id="c", org_id="acme", request_number=1, used_seconds=600))

    paid = [(part.payer, part.seconds, part.charged_micros) for part in moving.call("acme", "c").usage]
    assert paid == [("credits", 240, 2 * UNITS), ("post_usage", 360, 3 * UNITS)]
    stands = after_use.status(moving.office, "acme", moving.now)
    assert (stands.phase, stands.left_micros, stands.not_invoiced_micros) == (AFTER_USE, 0, 3 * UNITS)
    [grant] = moving.charge(StartCall(session_id="d", org_id="acme", user="anna", called=BRITISH))
    assert grant.payer == "post_usage"


def test_moving_over_turns_auto_recharge_off_and_nothing_is_bought_any_more(moving):
    after_use.begin_move(moving.office, "acme", BILLING, moving.now)
    shop = Shop(moving, "acme")
    shop.spend(shop.available)

    assert shop.work() == 0
    assert recharging.show(moving.office, "acme", moving.now).rule.enabled is False
    with pytest.raises(Conflict, match="bills calls after use"):
        shop.order(50, "again")
    with pytest.raises(Conflict, match="bills calls after use"):
        shop.recharge(50, 50)
    profile = profiles.get_profile(moving.office, "acme")
    assert (profile.agreement, profile.moving_since) == (CUSTOMER_AGREEMENT, moving.now)


def test_a_move_is_taken_back_while_credit_is_left_and_leaves_auto_recharge_off(moving):
    after_use.begin_move(moving.office, "acme", BILLING, moving.now)

    stands = after_use.cancel_move(moving.office, "acme", BILLING, moving.now)

    assert (stands.phase, stands.agreement, stands.moving_since) == (PREPAID, "direct", None)
    assert recharging.show(moving.office, "acme", moving.now).rule.enabled is False
    Shop(moving, "acme").order(50, "again")
    with pytest.raises(Conflict, match="not moving"):
        after_use.cancel_move(moving.office, "acme", BILLING, moving.now)


def test_a_move_back_restores_what_was_before_it(world):
    ready(world)
    profiles.set_profile(world.office, "acme", OPERATING, world.now, agreement="enterprise")
    world.fund("acme", 50 * UNITS, reference="first")
    after_use.begin_move(world.office, "acme", BILLING, world.now)

    stands = after_use.cancel_move(world.office, "acme", BILLING, world.now)

    assert (stands.agreement, stands.post_usage) == ("enterprise", True)


def test_a_move_cannot_be_taken_back_once_credit_is_used_up(moving):
    after_use.begin_move(moving.office, "acme", BILLING, moving.now)
    shop = Shop(moving, "acme")
    shop.spend(shop.available)

    with pytest.raises(Conflict, match="has used its credit up"):
        after_use.cancel_move(moving.office, "acme", BILLING, moving.now)
    profiles.set_profile(moving.office, "acme", OPERATING, moving.now, agreement="direct")

    assert after_use.status(moving.office, "acme", moving.now).moving_since is None
    shop.order(50, "again")


def test_nobody_moves_twice(moving):
    after_use.begin_move(moving.office, "acme", BILLING, moving.now)

    with pytest.raises(Conflict, match="already"):
        after_use.begin_move(moving.office, "acme", BILLING, moving.now)
    with pytest.raises(Conflict, match="--cancel"):
        after_use.switch(moving.office, "acme", BILLING, moving.now, on=False)


def test_who_moves_and_switches_must_be_allowed_to(moving):
    reader = Buyer("read", "somebody")
    for act in (after_use.begin_move, after_use.cancel_move):
        with pytest.raises(Forbidden):
            act(moving.office, "acme", reader, moving.now)
    with pytest.raises(Forbidden):
        after_use.switch(moving.office, "acme", reader, moving.now, on=True)


def test_a_billing_administrator_switches_where_the_agreement_bills_after_use(moving):
    with pytest.raises(Conflict, match="only a customer_agreement"):
        after_use.switch(moving.office, "acme", BILLING, moving.now, on=True)
    assert after_use.switch(moving.office, "acme", OPERATING, moving.now, on=True).post_usage
    after_use.switch(moving.office, "acme", OPERATING, moving.now, on=False)
    recharging.switch_off(moving.office, "acme", OPERATING, moving.now)
    profiles.set_profile(moving.office, "acme", OPERATING, moving.now, agreement=CUSTOMER_AGREEMENT)

    assert after_use.switch(moving.office, "acme", BILLING, moving.now, on=True).phase == DRAINING
    assert after_use.switch(moving.office, "acme", BILLING, moving.now, on=False).phase == PREPAID


def test_switched_off_calls_end_with_the_credit(moving):
    shop = Shop(moving, "acme")
    recharging.switch_off(moving.office, "acme", OPERATING, moving.now)
    after_use.switch(moving.office, "acme", OPERATING, moving.now, on=True)
    shop.spend(shop.available)
    start = StartCall(session_id="c", org_id="acme", user="anna", called=BRITISH)
    [granted] = moving.charge(start)
    after_use.switch(moving.office, "acme", OPERATING, moving.now, on=False)

    [refused] = moving.charge(StartCall(session_id="d", org_id="acme", user="anna", called=BRITISH))

    assert (granted.payer, refused.reason.value) == ("post_usage", "insufficient_credit")


def test_the_end_of_credit_is_foreseen_by_the_last_thirty_days(moving):
    after_use.begin_move(moving.office, "acme", BILLING, moving.now)
    assert after_use.status(moving.office, "acme", moving.now).expected_end == datetime(2027, 11, 24).date()
    for _ in range(10):
        moving.now += timedelta(days=1)
        moving.charge(StartCall(session_id=str(moving.now), org_id="acme", user="anna", called=BRITISH))
        stop = StopCall(session_id=str(moving.now), org_id="acme", request_number=1, used_seconds=300)
        moving.charge(stop)
    moving.now += timedelta(hours=1)

    stands = after_use.status(moving.office, "acme", moving.now)

    # 25.00 went in ten days; 25.00 are left and last for ten more.
    assert reports.wallet(moving.office, "acme", moving.now).available_micros == stands.left_micros == 25 * UNITS
    assert stands.spent_30_days_micros == 25 * UNITS
    assert stands.expected_end == (moving.now + timedelta(days=10)).date()
