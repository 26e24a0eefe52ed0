"""Invoices, billing and finance over HTTP."""

from datetime import UTC, datetime

import pytest

from gettone.operations import after_use, invoice_numbers
from gettone.operations.buying import OPERATOR, Buyer
from gettone.operations.methods import NewAgreement, add_agreement

ORG = "/v1/organisations/contoso"


@pytest.fixture
def office(api):
    return api.gettone.services.office


@pytest.fixture
def agreed(api, office):
    """An API whose organisation pays by agreement, each order on confirmation."""
    new = NewAgreement(number="EA-1", billing_country="US", purchase_order="PO-1")
    add_agreement(office, "contoso", new, Buyer(OPERATOR, "operator"), api.clock.now)
    return api


def bought(api, office, amount: str = "50") -> str:
    """Order credit by agreement, let the operator confirm it, and give numbers; returns the payment's id."""
    ordered = api.post(
        f"{ORG}/credits/orders", {"amount": amount}, key="admin", headers={"Idempotency-Key": f"order {amount}"}
    )
    assert ordered.status_code == 202, ordered.text
    payment = ordered.json()["payments"][0]["payment_id"]
    confirmed = api.post(f"{ORG}/payments/{payment}/confirm")
    assert (confirmed.status_code, confirmed.json()["state"]) == (200, "succeeded")
    invoice_numbers.give_numbers(office)
    return payment


def talk(api, session_id: str, minutes: int) -> None:
    api.start(session_id)
    api.stop(session_id, used_seconds=60 * minutes)


def test_an_invoice_is_listed_shown_and_printed(agreed, office):
    payment = bought(agreed, office)

    [listed] = agreed.get(f"{ORG}/invoices", key="read").json()["items"]
    shown = agreed.get(f"{ORG}/invoices/payment%2F{payment}", key="read").json()
    printed = agreed.get(f"{ORG}/invoices/1/pdf", key="read")

    assert (listed["number"], listed["gross"], listed["currency"], listed["paid_at"]) == ("1", "50.00", "USD", None)
    assert (shown["number"], shown["net"], shown["agreement_number"]) == ("1", "50.00", "EA-1")
    assert [(line["text"], line["amount"]) for line in shown["lines"]] == [("Communications Credits", "50.00")]
    assert (shown["seller"]["name"], shown["buyer"]["party_id"]) == ("Gettone", "contoso")
    assert (printed.status_code, printed.headers["content-type"]) == (200, "application/pdf")
    assert printed.headers["content-disposition"] == 'inline; filename="invoice-1.pdf"'
    assert printed.content.startswith(b"%PDF-")
    assert agreed.get(f"{ORG}/invoices/7", key="read").status_code == 404


def test_tax_is_shown_in_percent(agreed, office):
    rows = "country,label,percent,effective_from,effective_until,source\nUS,sales tax,7.7,2020-01-01,,test\n"
    assert agreed.request("PUT", "/v1/catalogue/taxes", content=rows).status_code == 200

    bought(agreed, office, "100")

    [tax] = agreed.get(f"{ORG}/invoices/1", key="read").json()["taxes"]
    assert tax == {"label": "sales tax", "percent": "7.7", "base": "100.00", "amount": "7.70"}


def test_only_the_operator_notes_that_money_came_in(agreed, office):
    bought(agreed, office)
    assert agreed.get("/v1/finance/receivables").json()[0]["outstanding"] == "50.00"
    assert agreed.post(f"{ORG}/invoices/1/collected", key="admin").status_code == 403

    paid = agreed.post(f"{ORG}/invoices/1/collected")

    assert (paid.status_code, paid.json()["paid_at"]) == (200, agreed.clock.now.isoformat().replace("+00:00", "Z"))
    assert agreed.get(f"{ORG}/receivables", key="read").json() == []


def test_an_order_is_rejected(agreed):
    ordered = agreed.post(
        f"{ORG}/credits/orders", {"amount": "50"}, key="admin", headers={"Idempotency-Key": "one"}
    ).json()
    payment = ordered["payments"][0]["payment_id"]

    rejected = agreed.post(f"{ORG}/payments/{payment}/reject", {"reason": "not ours"})

    assert (rejected.status_code, rejected.json()["state"]) == (200, "declined")
    assert agreed.post(f"{ORG}/payments/{payment}/confirm").status_code == 409
    assert agreed.post(f"{ORG}/payments/{payment}/confirm", key="admin").status_code == 403


def test_a_purchase_order_changes_with_its_history(agreed, office):
    bought(agreed, office)

    by_order = agreed.request(
        "PUT", f"{ORG}/credits/orders/00000001/purchase-order", json={"purchase_order": "PO-2"}, key="admin"
    )
    by_invoice = agreed.request("PUT", f"{ORG}/invoices/1/purchase-order", json={"purchase_order": "PO-3"}, key="admin")

    assert ([one["number"] for one in by_order.json()], by_invoice.json()[0]["purchase_order"]) == (["1"], "PO-3")
    shown = agreed.get(f"{ORG}/invoices/1", key="read").json()
    assert [(one["before"], one["after"]) for one in shown["purchase_order_changes"]] == [
        ("PO-1", "PO-2"),
        ("PO-2", "PO-3"),
    ]
    assert shown["purchase_order_changes"][0]["by"].startswith("API key ")


def test_the_profile_is_the_administrator_s_but_for_agreement_and_seller(api):
    changed = api.request(
        "PATCH", f"{ORG}/billing-profile", json={"legal_name": "Contoso Inc.", "language": "it"}, key="admin"
    )

    assert (changed.status_code, changed.json()["legal_name"]) == (200, "Contoso Inc.")
    assert api.get(f"{ORG}/billing-profile", key="read").json()["language"] == "it"
    forbidden = api.request("PATCH", f"{ORG}/billing-profile", json={"agreement": "reseller"}, key="admin")
    assert forbidden.status_code == 403
    wrong = api.request("PATCH", f"{ORG}/billing-profile", json={"language": "de"}, key="admin")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "language")


def test_sellers_belong_to_the_operator(api):
    made = api.request("PUT", "/v1/sellers/europe", json={"name": "Example Europe", "prefix": "EU-"})

    assert (made.status_code, made.json()["prefix"]) == (200, "EU-")
    assert [one["seller_id"] for one in api.get("/v1/sellers").json()] == ["default", "europe"]
    assert api.get("/v1/sellers", key="admin").status_code == 403


def test_moving_over_lets_calls_go_on_after_use_and_the_month_be_invoiced(api, office):
    moved = api.post(f"{ORG}/after-use/move", key="admin")
    assert (moved.status_code, moved.json()["phase"], moved.json()["left"]) == (200, "draining", "20.00")
    assert api.request("DELETE", f"{ORG}/after-use/move", key="admin").json()["phase"] == "prepaid"
    assert api.request("PUT", f"{ORG}/after-use", json={"on": True}, key="admin").status_code == 409
    api.post(f"{ORG}/after-use/move", key="admin")
    headers = {"Idempotency-Key": "drain"}
    api.post(f"{ORG}/wallet/adjustments", {"amount": "-20.00", "reason": "used"}, headers=headers)

    talk(api, "one", 10)
    talk(api, "two", 3)

    stands = api.get(f"{ORG}/after-use", key="read").json()
    assert (stands["phase"], stands["not_invoiced"]) == ("after_use", "0.17")
    api.clock.now = datetime(2026, 6, 1, tzinfo=UTC)
    after_use.invoice_month(office, api.clock.now)
    [invoice] = api.get(f"{ORG}/invoices", key="read").json()["items"]
    assert (invoice["invoice_id"], invoice["gross"], invoice["period"]) == ("usage/202605", "0.17", 202605)
    first = api.get(f"{ORG}/invoices/usage%2F202605/calls?limit=1", key="read").json()
    second = api.get(f"{ORG}/invoices/usage%2F202605/calls?cursor={first['next_cursor']}", key="read").json()
    assert [(one["session_id"], one["charge"]) for one in (*first["items"], *second["items"])] == [
        ("one", "0.12"),
        ("two", "0.05"),
    ]
    text = api.get(f"{ORG}/invoices/usage%2F202605/calls.csv", key="read")
    assert text.headers["content-type"].startswith("text/csv")
    assert [line.split(",")[3] for line in text.text.splitlines()] == [
        "user",
        "anna@contoso.example",
        "anna@contoso.example",
    ]
    assert api.get(f"{ORG}/invoices/usage%2F202605/pdf?calls=true", key="read").status_code == 200


def test_finance_is_the_operator_s_and_each_organisation_sees_its_own(api):
    month = api.get(f"{ORG}/revenue?month=2026-05", key="read").json()
    assert (month["added"], month["closing"], month["org_id"]) == ("20.00", "20.00", "contoso")
    assert api.get(f"{ORG}/expiry", key="read").json()[0]["remaining"] == "20.00"

    assert [one["org_id"] for one in api.get("/v1/finance/revenue?month=202605&each=true").json()] == [
        "contoso",
        "fabrikam",
    ]
    assert api.get("/v1/finance/revenue?month=2026-05").json()[0]["wallet"] == "20.00"
    assert api.get("/v1/finance/expiry").json()[0]["lots"] == 1
    assert api.get("/v1/finance/expiry", key="admin").status_code == 403
    wrong = api.get("/v1/finance/revenue?month=soon")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "month")
