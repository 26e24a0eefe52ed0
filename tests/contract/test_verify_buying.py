"""Every kind of damage to orders, payments, auto-recharge, invoices and deliveries is found and named."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gettone.domain.payments import Declined, Outcome, Processing, Succeeded, Unknown
from gettone.operations import buying, invoice_numbers, payments, recharging
from gettone.operations.billing import AGREEMENT, CARD, Delivery, Method
from gettone.operations.buying import GLOBAL_ADMIN, Buyer, NewOrder
from gettone.operations.catalogue import import_table
from gettone.operations.paying import Paying
from gettone.operations.providers import DisputeNews, Movement
from gettone.operations.recharging import NewRule
from gettone.storage import verify_buying
from tests.support import postgres
from tests.support.damage import assert_found, damage, findings
from tests.support.world import World, copy_of, sqlite_url

ANNA = Buyer(GLOBAL_ADMIN, "anna")
OURS = "WHERE org_id = 'contoso'"
FIRST = f"{OURS} AND payment_id = '00000001-1'"
REFUND = f"{OURS} AND payment_id = '00000001-1-refund-1'"
BOUGHT = f"{OURS} AND kind = 'credit_bought' AND reference = '00000001-1'"
POSTED = f"{OURS} AND entry_number = (SELECT entry_number FROM ledger_entry {BOUGHT})"

DAMAGES = [
    damage("payment_not_booked", "payment '00000001-1'", f"DELETE FROM ledger_entry {BOUGHT}"),
    damage(
        "payment_not_booked",
        "payment '00000001-1-refund-1'",
        f"UPDATE ledger_entry SET kind = 'refund_failed' {OURS} AND kind = 'refunded'",
    ),
    damage(
        "payment_booked_twice",
        "payment '00000001-1': expected 1, found 2",
        "INSERT INTO ledger_entry (org_id, entry_number, kind, reference, reason, posted_at) "
        f"SELECT org_id, 99, kind, reference, reason, posted_at FROM ledger_entry {BOUGHT}",
    ),
    damage(
        "payment_differs",
        "payment '00000001-1', gross_micros: expected 122000000, found 122000001",
        f"UPDATE payment SET gross_micros = gross_micros + 1 {FIRST}",
    ),
    damage(
        "payment_differs",
        "payment '00000001-1', tax: expected 22000001, found 22000000",
        f"UPDATE ledger_posting SET amount_micros = amount_micros + 1 {POSTED} AND account = 'tax'",
    ),
    damage(
        "payment_differs",
        "payment '00000001-1-refund-1', gross_micros: expected 24400000, found 24400001",
        f"UPDATE payment SET gross_micros = gross_micros + 1 {REFUND}",
    ),
    damage("booking_without_payment", "payment '00000001-1'", f"UPDATE payment SET state = 'unknown' {FIRST}"),
    damage(
        "payment_refunded",
        "payment '00000001-1': expected 30000000, found 5",
        f"UPDATE payment SET refunded_micros = 5 {FIRST}",
    ),
    damage(
        "payment_disputed",
        "payment '00000002-1': expected 50000000, found 7",
        f"UPDATE payment SET disputed_micros = 7 {OURS} AND payment_id = '00000002-1'",
    ),
    damage(
        "payment_disputed",
        "payment '00000001-1': expected 0, found 7",
        f"UPDATE payment SET disputed_micros = 7 {FIRST}",
    ),
    damage(
        "payment_history",
        "payment '00000001-1': expected succeeded, found pending",
        f"DELETE FROM payment_event {FIRST} AND state = 'succeeded'",
    ),
    damage("payment_history", "expected succeeded, found nothing", f"DELETE FROM payment_event {FIRST}"),
    damage("payment_unasked", "00000001-1', succeeded", f"UPDATE payment SET next_at = 5 {FIRST}"),
    damage(
        "payment_unasked",
        "payment '00000004-1', unknown",
        f"UPDATE payment SET next_at = NULL {OURS} AND payment_id = '00000004-1'",
    ),
    damage(
        "payment_without_order",
        "payment '00000001-1': expected 00000001",
        f"DELETE FROM credit_order {OURS} AND order_id = '00000001'",
    ),
    damage("payment_without_method", "payment '00000001-1': expected card", f"DELETE FROM payment_method {OURS}"),
    damage("refund_without_charge", "expected 00000001-9", f"UPDATE payment SET refund_of = '00000001-9' {REFUND}"),
    damage("payment_lot", "expected 100000000, found no lot", f"UPDATE payment SET lot_id = 'other' {FIRST}"),
    damage(
        "payment_lot",
        "expected 100000000, found 100000001",
        f"UPDATE lot SET amount_micros = amount_micros + 1 {OURS} AND reference = '00000001-1'",
    ),
    damage("lot_without_payment", "found 00000001-1", f"UPDATE payment SET lot_id = 'other' {FIRST}"),
    damage(
        "refunding_balance",
        "expected 0, found 10000000",
        f"UPDATE payment SET state = 'succeeded' {OURS} AND payment_id = '00000001-1-refund-2'",
    ),
    damage(
        "invoiced_balance",
        "fabrikam: account invoiced: expected 0, found -97600000",
        "UPDATE payment SET collected_at = 5 WHERE org_id = 'fabrikam'",
    ),
    damage(
        "order_state",
        "order '00000001': expected fulfilled, found failed",
        f"UPDATE credit_order SET state = 'failed' {OURS} AND order_id = '00000001'",
    ),
    damage(
        "order_state",
        "order '00000003': expected failed, found fulfilled",
        f"UPDATE credit_order SET state = 'fulfilled' {OURS} AND order_id = '00000003'",
    ),
    damage(
        "order_state",
        "order '00000004': expected open, found failed",
        f"UPDATE credit_order SET state = 'failed' {OURS} AND order_id = '00000004'",
    ),
    damage(
        "order_charged_twice",
        "order '00000001': expected 1, found 2",
        f"UPDATE payment SET order_id = '00000001' {OURS} AND payment_id = '00000004-1'",
    ),
    damage(
        "order_amount",
        "payment '00000001-1' for order '00000001': expected 122000001, found 122000000",
        f"UPDATE credit_order SET tax_micros = tax_micros + 1 {OURS} AND order_id = '00000001'",
    ),
    damage("order_number_count", "expected 4, found 3", f"UPDATE wallet SET order_number = 3 {OURS}"),
    damage(
        "two_open_recharges",
        "recharges: expected 1, found 2",
        "DROP INDEX uq_credit_order_open_recharge",
        f"UPDATE credit_order SET kind = 'recharge', state = 'open' {OURS} AND order_id = '00000003'",
    ),
    damage("recharge_trigger", "expected 150000000, found 0", f"UPDATE wallet SET trigger_micros = 0 {OURS}"),
    damage("recharge_trigger", "expected 0, found 7", "UPDATE wallet SET trigger_micros = 7 WHERE org_id = 'idle'"),
    damage(
        "recharge_mark",
        "contoso: wallet's recharge_at: expected none, found a time",
        f"UPDATE wallet SET recharge_at = 5 {OURS}",
    ),
    damage(
        "recharge_mark",
        "fabrikam: wallet's recharge_at: expected a time, found none",
        "UPDATE wallet SET recharge_at = NULL WHERE org_id = 'fabrikam'",
    ),
    damage("recharge_mark", "expected none, found a time", "UPDATE wallet SET recharge_at = 5 WHERE org_id = 'idle'"),
    damage("recharge_due_mark", "expected none, found a time", f"UPDATE wallet SET recharge_due_at = 5 {OURS}"),
    damage("told_mark", "expected told", "UPDATE wallet SET told = 2 WHERE org_id = 'idle'"),
    damage("invoice_missing", "payment '00000001-1'", f"DELETE FROM invoice {OURS} AND kind = 'credits'"),
    damage("invoice_missing", "00000001-1-refund-1", f"DELETE FROM invoice {OURS} AND kind = 'credit_note'"),
    damage(
        "invoice_differs",
        "invoice 'payment/00000001-1': expected 122000000, found 122000001",
        f"UPDATE invoice SET tax_micros = tax_micros + 1 {OURS} AND invoice_id = 'payment/00000001-1'",
    ),
    damage(
        "invoice_without_payment",
        "invoice 'payment/00000009-1'",
        f"UPDATE invoice SET invoice_id = 'payment/00000009-1' {OURS} AND invoice_id = 'payment/00000001-1'",
    ),
    damage(
        "invoice_number_not_given",
        "invoice 'payment/00000001-1'",
        f"DELETE FROM invoice_number {OURS} AND invoice_id = 'payment/00000001-1'",
    ),
    damage(
        "invoice_number_unused",
        "of seller 'default': expected payment/00000009-1",
        f"UPDATE invoice_number SET invoice_id = 'payment/00000009-1' {OURS} AND invoice_id = 'payment/00000001-1'",
    ),
    damage(
        "invoice_number_gap",
        "numbers of seller 'default' before 70: expected 4, found 70",
        "UPDATE invoice_number SET number = 70 WHERE number = 4",
    ),
    damage("delivery_without_notice", "delivery 'd1': expected gone", f"UPDATE delivery SET notice_id = 'gone' {OURS}"),
]
"""Kinds of finding that `test_verify` leaves to this page."""


class Scripted:
    """Answers what the test says, in that order."""

    def __init__(self) -> None:
        self.answers: list[Outcome] = []

    def move(self, movement: Movement) -> Outcome:
        del movement
        return self.answers.pop(0)

    ask = give_up = move


def fill(url: str) -> None:
    """Buy, recharge, refund, dispute, decline and lose, by card and by agreement."""
    with World(url) as world:
        bank = Scripted()
        paying = Paying(world.office, {"bank": bank}, lambda: world.now)
        owns = dict.fromkeys(("MCOEV", "MCOPSTN_PAYG_1", "MCOPSTNC"), 5)
        taxes = b"country,label,percent,effective_from,effective_until,source\nIT,IVA,22,2020-01-01,,ours\n"
        import_table(world.office, "taxes", taxes, world.now)
        for org_id in ("contoso", "fabrikam", "idle"):
            world.organisation(org_id, country="IT", owns=owns)
            method = Method(
                method_id="card", kind=CARD, provider="bank", label="Visa", position=1, created_at=world.now
            )
            if org_id == "fabrikam":
                method = Method(
                    method_id="ea", kind=AGREEMENT, provider="bank", label="EA", position=1, created_at=world.now
                )
            with world.office.write(org_id) as unit:
                unit.buying.write_method(org_id, method)

        def buy(org_id: str, units: int, *answers: Outcome) -> str:
            new = NewOrder(amount_micros=units * 1_000_000, reference=f"{units}")
            placed = buying.place_order(world.office, org_id, new, ANNA, world.now)
            bank.answers += answers
            paying.work(world.now)
            return placed.payments[0].payment_id

        first = buy("contoso", 100, Succeeded("one"))
        second = buy("contoso", 50, Succeeded("two"))
        buy("contoso", 60, Declined("card_declined"))
        buy("fabrikam", 80, Succeeded("three"))
        for micros, answer in ((20_000_000, Succeeded("four")), (10_000_000, Processing("five"))):
            payments.refund(world.office, "contoso", first, world.now, by="anna", amount_micros=micros)
            bank.answers.append(answer)
            paying.work(world.now)
        taken = DisputeNews(event_id="e1", org_id="contoso", payment_id=second, stage="opened", gross_micros=61_000_000)
        payments.take_news(world.office, "bank", taken, world.now)
        for org_id, trigger in (("contoso", 150_000_000), ("fabrikam", 60_000_000)):
            rule = NewRule(enabled=True, trigger_micros=trigger, amount_micros=60_000_000)
            recharging.set_rule(world.office, org_id, rule, ANNA, world.now)
        bank.answers.append(Unknown("the connection broke"))
        paying.work(world.now)
        invoice_numbers.give_numbers(world.office)
        with world.office.write("contoso") as unit:
            [told, *_] = unit.policies.notices("contoso", "", None, 1)
            sent = Delivery(
                delivery_id="d1",
                notice_id=told.notice_id,
                channel="mail",
                target="anna@contoso.example",
                language="en",
                state="waiting",
                created_at=world.now,
                body=b"",
                next_at=world.now + timedelta(minutes=1),
            )
            unit.telling.add_deliveries("contoso", [sent])


@pytest.fixture(scope="module")
def filled_sqlite():
    with TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder))
        fill(url)
        yield url


@pytest.fixture(scope="module")
def filled_postgres(postgres_server, postgres_template):
    with postgres.database(postgres_server, template=postgres_template) as url:
        fill(url)
        yield postgres.name_of(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def filled(request, tmp_path):
    """The URL of a database of one's own in which much was bought."""
    if request.param == "sqlite":
        yield copy_of(request.getfixturevalue("filled_sqlite"), tmp_path)
        return
    template = request.getfixturevalue("filled_postgres")
    with postgres.database(request.getfixturevalue("postgres_server"), template=template) as url:
        yield url


@pytest.mark.parametrize("planted", DAMAGES)
def test_planted_damage_is_found_and_named(filled, planted):
    assert_found(filled, planted)


def test_nothing_is_found_where_nothing_is_wrong(filled):
    assert findings(filled) == []


def test_every_kind_of_buying_has_been_planted():
    kinds = {check.kind for check in verify_buying.CHECKS + verify_buying.SHARED}
    assert {case.values[0].kind for case in DAMAGES} == kinds
