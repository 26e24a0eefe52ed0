"""Invoices, billing and finance on the command line."""

import csv
import io
import json

import pytest


@pytest.fixture
def paying(gettone, monkeypatch):
    """The world with an organisation that pays by agreement; the command line asks only the agreement's provider."""
    gettone("billing", "seller", "--name", "Example Telecom", "--prefix", "E-")
    gettone("methods", "add-agreement", "acme", "EA-1", "--country", "IT", "--purchase-order", "PO-1")
    return gettone


def bought(gettone, amount: str = "50") -> str:
    """Order credit by agreement, confirm it; returns the payment's id."""
    gettone("credits", "buy", "acme", amount, "--yes")
    payment = gettone.json("credits", "payments", "acme")[0]["payment_id"]
    gettone("billing", "confirm", "acme", payment)
    return payment


def test_an_order_is_confirmed_invoiced_numbered_and_collected(paying):
    payment = bought(paying)

    assert "0 invoices issued, 1 number given" in paying("invoices", "issue").stdout
    [listed] = paying.json("invoices", "list", "acme")
    assert (listed["number"], listed["gross_micros"], listed["paid_at"]) == ("E-1", 50_000_000, None)
    shown = paying.json("invoices", "show", "acme", "E-1")
    assert (shown["document"]["payment_id"], shown["document"]["agreement_number"]) == (payment, "EA-1")
    assert "Communications Credits" in paying("invoices", "show", "acme", "E-1").stdout
    [owed] = paying.json("finance", "receivables")
    assert (owed["number"], owed["outstanding_micros"]) == ("E-1", 50_000_000)

    assert "invoice E-1 of 50.00 USD is paid since" in paying("invoices", "collected", "acme", "E-1").stdout

    assert paying.json("finance", "receivables", "--org", "acme") == []
    assert "E-1" in paying("invoices", "list", "acme").stdout


def test_an_order_is_rejected_with_the_reason(paying):
    paying("credits", "buy", "acme", "50", "--yes")
    payment = paying.json("credits", "payments", "acme")[0]["payment_id"]

    done = paying("billing", "reject", "acme", payment, "--reason", "the agreement has ended")

    assert done.stdout == f"payment {payment}: declined (the agreement has ended)\n"
    assert "declined already" in paying.refuses("billing", "confirm", "acme", payment)


def test_an_invoice_is_written_as_pdf(paying):
    bought(paying)
    paying("invoices", "issue")

    assert paying("invoices", "pdf", "acme", "E-1").stdout == "wrote invoice-E-1.pdf\n"
    paying("invoices", "pdf", "acme", "E-1", "--calls", "--out", "other.pdf")

    assert (paying.folder / "invoice-E-1.pdf").read_bytes() == (paying.folder / "other.pdf").read_bytes()
    assert (paying.folder / "other.pdf").read_bytes().startswith(b"%PDF-")
    assert "nowhere" in paying.refuses("invoices", "pdf", "acme", "E-1", "--out", "nowhere/x.pdf")


def test_a_purchase_order_is_changed_by_order_or_invoice(paying):
    bought(paying)
    paying("invoices", "issue")

    done = paying("billing", "purchase-order", "acme", "PO-2", "--order", "00000001")
    assert done.stdout == "purchase order PO-2; invoices that show it: E-1\n"
    paying("billing", "purchase-order", "acme", "PO-3", "--invoice", "E-1")

    shown = paying("invoices", "show", "acme", "E-1").stdout
    assert "purchase order was PO-1 until" in shown
    assert "purchase order was PO-2 until" in shown
    assert "--invoice" in paying.refuses("billing", "purchase-order", "acme", "PO-4", expect=2)


def test_the_profile_is_shown_and_changed(gettone):
    assert gettone.json("billing", "profile", "acme")["agreement"] == "direct"

    gettone("billing", "profile", "acme", "--legal-name", "Acme S.p.A.", "--address", r"Via Roma 1\nRoma")

    assert "Via Roma 1, Roma" in gettone("billing", "profile", "acme").stdout
    assert gettone.json("billing", "profile", "acme")["address"] == "Via Roma 1\nRoma"
    gettone.refuses("billing", "profile", "acme", "--language", "de", expect=2)
    gettone.refuses("billing", "profile", "nobody")


def test_sellers_are_named_and_listed(gettone):
    assert [one["name"] for one in gettone.json("billing", "sellers")] == ["Gettone"]

    gettone("billing", "seller", "--name", "Example Telecom", "--tax-id", "IT1")
    made = gettone("billing", "seller", "asia", "--name", "Example Asia", "--prefix", "A-").stdout

    assert "A-1" in made
    assert [one["seller_id"] for one in gettone.json("billing", "sellers")] == ["default", "asia"]
    assert "name" in gettone.refuses("billing", "seller", "africa", expect=2)


def test_an_organisation_moves_over_and_back(gettone):
    assert gettone.json("billing", "after-use", "acme")["phase"] == "prepaid"

    assert "draining: credit that is left pays first" in gettone("billing", "move", "acme").stdout
    assert gettone.json("billing", "move", "acme", "--cancel")["phase"] == "prepaid"
    gettone("billing", "after-use", "acme", "on")
    assert gettone.json("billing", "after-use", "acme")["post_usage"] is True
    assert gettone.json("billing", "after-use", "acme", "off")["post_usage"] is False
    assert "not moving" in gettone.refuses("billing", "move", "acme", "--cancel")
    gettone.refuses("billing", "after-use", "acme", "maybe", expect=2)


def test_finance_prints_tables_json_and_csv(gettone):
    month = gettone.json("finance", "revenue")[0]
    assert (month["added_micros"], month["closing_micros"], month["org_id"]) == (50_000_000, 50_000_000, "")

    [row] = csv.DictReader(io.StringIO(gettone("finance", "revenue", "--each", "--csv").stdout))
    assert (row["organisation"], row["added"], row["wallet"]) == ("acme", "50.00", "50.00")
    assert "closing" in gettone("finance", "revenue", "--org", "acme").stdout
    assert "50.00" in gettone("finance", "expiry").stdout
    [expiry] = gettone.json("finance", "expiry", "--org", "acme")
    assert (expiry["lots"], expiry["remaining_micros"]) == (1, 50_000_000)
    assert json.loads(gettone("finance", "revenue", "--month", "2020-01", "--json").stdout)[0]["closing_micros"] == 0
    gettone.refuses("finance", "revenue", "--month", "soon", expect=2)


def test_only_invoices_of_a_month_have_calls(paying):
    bought(paying)

    assert "not for calls" in paying.refuses("invoices", "csv", "acme", "payment/00000001-1")
    assert "there is none" in paying.refuses("invoices", "show", "acme", "E-9")
