"""Invoices, their numbers, and sellers, as stored, on both databases."""

from datetime import datetime, timedelta

import msgspec
import pytest

from gettone.errors import Conflict, InvariantBroken
from gettone.operations.billing import Invoice, Seller
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
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


def invoice(invoice_id: str, seconds: int = 0, **more) -> Invoice:
    whole = {
        "invoice_id": invoice_id,
        "kind": "credits",
        "seller_id": "default",
        "issued_at": after(seconds),
        "language": "en",
        "currency": "USD",
        "net_micros": 100,
        "tax_micros": 22,
        "document": '{"buyer": "José"}',
    }
    return Invoice(**(whole | more))


def add(office: Office, org_id: str, *invoices: Invoice) -> None:
    with office.write(org_id) as unit:
        for each in invoices:
            unit.invoices.add_invoice(org_id, each)


def test_sellers_are_listed_oldest_first_and_written_again(office):
    old = Seller(seller_id="z", name="Zeta", prefix="IT-2026-", created_at=MIDDAY)
    new = Seller(seller_id="a", name="Alpha", address="Via Roma 1\nRoma", tax_id="IT1", created_at=after(1))
    with office.write_shared() as unit:
        for each in (new, old, msgspec.structs.replace(new, email="a@example.org")):
            unit.invoices.write_seller(each)

    with office.read() as unit:
        assert unit.invoices.sellers() == [old, msgspec.structs.replace(new, email="a@example.org")]


def test_invoices_are_listed_newest_first_in_pages(office):
    newest_first = [invoice("b", 2), invoice("d", 1), invoice("c", 1), invoice("a")]
    add(office, "contoso", *reversed(newest_first))
    add(office, "fabrikam", invoice("b"))

    told, before = [], None
    with office.read() as unit:
        while page := unit.invoices.invoices("contoso", before, 3):
            told += page
            before = (microseconds(page[-1].issued_at), page[-1].invoice_id)
        assert unit.invoices.invoice("contoso", "c") == newest_first[2]
        assert unit.invoices.invoice("fabrikam", "c") is None
    assert told == newest_first


def test_the_documents_of_a_payment_come_in_order_of_issue(office):
    note = invoice("refund/1", 5, kind="credit_note", payment_id="1", credits_invoice_id="payment/1")
    first, other = invoice("payment/1", payment_id="1"), invoice("payment/2", payment_id="2")
    add(office, "contoso", note, other, first)

    with office.read() as unit:
        assert unit.invoices.invoices_of_payment("contoso", "1") == [first, note]
        assert unit.invoices.invoices_of_payment("fabrikam", "1") == []


def test_the_latest_usage_invoice_is_the_one_that_covers_the_last_entries(office):
    add(
        office,
        "contoso",
        invoice("u1", 9, kind="post_usage", period=202609, first_entry=1, last_entry=40),
        invoice("u2", 1, kind="post_usage", period=202610, first_entry=41, last_entry=70),
        invoice("c", 10, last_entry=99),
    )

    with office.read() as unit:
        assert unit.invoices.last_usage_invoice("contoso").invoice_id == "u2"
        assert unit.invoices.last_usage_invoice("fabrikam") is None


def test_an_invoice_is_changed_and_one_that_is_not_there_is_a_mistake_of_ours(office):
    add(office, "contoso", invoice("a"))
    paid = invoice("a", number="IT-1", purchase_order="PO 4711", paid_at=after(9))
    with office.write("contoso") as unit:
        unit.invoices.change_invoice("contoso", paid)

    with office.read() as unit:
        assert unit.invoices.invoice("contoso", "a") == paid
        assert unit.invoices.invoice_by_number("contoso", "IT-1") == paid
        assert unit.invoices.invoice_by_number("fabrikam", "IT-1") is None
        assert unit.invoices.invoice_by_number("contoso", "") is None
    with pytest.raises(InvariantBroken), office.write("fabrikam") as unit:
        unit.invoices.change_invoice("fabrikam", paid)


def test_an_invoice_is_issued_once(office):
    add(office, "contoso", invoice("a"))
    add(office, "fabrikam", invoice("a"))

    with pytest.raises(Conflict):
        add(office, "contoso", invoice("a", 5))


def test_those_without_a_number_are_found_everywhere_in_order_of_issue(office):
    add(office, "fabrikam", invoice("a", 1), invoice("z", -1))
    add(office, "contoso", invoice("b", 1), invoice("a", 1), invoice("n", -9, number="7"))

    with office.read() as unit:
        found = [(org_id, each.invoice_id) for org_id, each in unit.invoices.unnumbered(10)]
        assert unit.invoices.unnumbered(1) == [("fabrikam", invoice("z", -1))]
    assert found == [("fabrikam", "z"), ("contoso", "a"), ("contoso", "b"), ("fabrikam", "a")]


def test_numbers_follow_one_another_for_each_seller(office):
    with office.write_shared() as unit:
        given = [
            unit.invoices.give_number(seller, org_id, invoice_id)
            for seller, org_id, invoice_id in (
                ("one", "contoso", "a"),
                ("one", "fabrikam", "a"),
                ("two", "contoso", "b"),
                ("one", "contoso", "c"),
            )
        ]
        assert unit.invoices.number_of("contoso", "c") == ("one", 3)
        assert unit.invoices.number_of("fabrikam", "c") is None
    assert given == [1, 2, 1, 3]


def test_an_invoice_gets_one_number(office):
    with office.write_shared() as unit:
        unit.invoices.give_number("one", "contoso", "a")

    with pytest.raises(Conflict), office.write_shared() as unit:
        unit.invoices.give_number("one", "contoso", "a")
    with office.write_shared() as unit:
        assert unit.invoices.give_number("one", "contoso", "b") == 2


def test_a_number_that_was_rolled_back_is_given_again(office):
    with pytest.raises(InvariantBroken), office.write_shared() as unit:
        _number_and_fail(unit)

    with office.write_shared() as unit:
        assert unit.invoices.give_number("one", "contoso", "b") == 1


def _number_and_fail(unit) -> None:
    assert unit.invoices.give_number("one", "contoso", "a") == 1
    unit.invoices.change_invoice("contoso", invoice("nothing"))
