"""Invoices as PDF: the same bytes each time, in two languages, with every letter and every call."""

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from gettone.domain.money import CURRENCY_DIGITS
from gettone.invoices.pdf import render
from gettone.invoices.table import calls_csv
from gettone.invoices.words import WORDS, Speech, length
from gettone.operations.billing import LANGUAGES
from gettone.operations.books_rows import BilledCall
from gettone.operations.invoice_documents import Document, Line, Party, TaxLine
from gettone.operations.invoicing import InvoiceView, PurchaseOrderChange
from tests.support.pdf import pages_of

ISSUED = datetime(2026, 11, 30, 23, 0, tzinfo=UTC)
UNITS = 1_000_000


def document(**changes) -> Document:
    known = Document(
        kind="credits",
        invoice_id="payment/00000001-1",
        issued_at=ISSUED,
        issued_on="2026-12-01",
        time_zone="Europe/Rome",
        language="en",
        currency="EUR",
        seller=Party(party_id="default", name="Example Telecom", address="Via Roma 1\n00184 Roma", tax_id="IT1"),
        buyer=Party(party_id="contoso", name="Contoso S.p.A.", address="Corso Italia 2", tax_id="IT2"),
        lines=(Line(kind="credits", text="Communications Credits", amount_micros=1234 * UNITS),),
        taxes=(TaxLine(label="VAT", millionths=77_000, base_micros=1234 * UNITS, amount_micros=95_020_000),),
        net_micros=1234 * UNITS,
        tax_micros=95_020_000,
        gross_micros=1_329_020_000,
        method_label="Visa 4242",
        payment_id="00000001-1",
        lot_expires_at=ISSUED + timedelta(days=365),
    )
    return msgspec.structs.replace(known, **changes)


def invoice(view: dict | None = None, **changes) -> InvoiceView:
    known = {
        "invoice_id": "payment/00000001-1",
        "number": "E-17",
        "paid_at": ISSUED,
        "purchase_order": "",
        "purchase_order_changes": (),
        "corrects_number": "",
        "credited_micros": 0,
        "document": document(**changes),
    }
    return InvoiceView(**known | (view or {}))


def usage(count: int = 1) -> InvoiceView:
    lines = (
        Line(kind="usage", text="United Kingdom", amount_micros=13_500, calls=count, seconds=3661, billed_seconds=3720),
        Line(kind="carried_out", text="Carried over to the next invoice", amount_micros=-3_500),
    )
    return invoice({"paid_at": None}, kind="post_usage", lines=lines, taxes=(), period=202611, lot_expires_at=None)


def calls(count: int) -> list[BilledCall]:
    return [
        BilledCall(
            entry_number=number,
            line=0,
            session_id=f"call-{number}",
            started_at=ISSUED + timedelta(seconds=number),
            call_type="user_out",
            user_id="u1",
            called=f"+4420794{number:05d}",
            country="GB",
            destination="United Kingdom",
            seconds=61,
            billed_seconds=120,
            charge_micros=13_500,
        )
        for number in range(count)
    ]


def test_the_same_invoice_is_the_same_bytes_each_time():
    assert render(invoice()) == render(invoice())
    assert b"/CreationDate (D:20261130230000Z)" in render(invoice())


def test_an_invoice_says_who_what_and_how_much():
    [page] = pages_of(render(invoice()))

    said = ["Invoice", "E-17", "1 December 2026", "Example Telecom", "00184 Roma", "Contoso S.p.A.", "Tax number: IT2"]
    said += ["Communications Credits", "1,234.00 EUR", "VAT 7.7 % of 1,234.00 EUR", "95.02 EUR", "1,329.02 EUR"]
    said += ["Visa 4242", "Paid on 1 December 2026."]
    assert [words for words in said if words not in page.splitlines()] == []
    assert "The credit can be used until 1 December 2027, 00:00 (Europe/Rome)." in page


def test_an_italian_invoice_is_written_the_italian_way():
    [page] = pages_of(render(invoice(language="it")))

    said = ["Fattura", "1 dicembre 2026", "Partita IVA o codice fiscale: IT2", "1.234,00 EUR", "1.329,02 EUR"]
    assert [words for words in said if words not in page.splitlines()] == []
    assert "VAT 7,7 % su 1.234,00 EUR" in page


def test_names_in_latin_greek_and_cyrillic_are_printed_and_others_marked():
    buyer = Party(party_id="x", name="Ełk Zażółć Ğüneş", address="Αθήνα Ώρα\nМосква Київ Њ\nTōkyō 東京")

    [page] = pages_of(render(invoice(buyer=buyer)))

    assert page.splitlines()[page.splitlines().index("Ełk Zażółć Ğüneş") + 1 :][:3] == [
        "Αθήνα Ώρα",
        "Москва Київ Њ",
        "Tōkyō ??",
    ]


def test_a_purchase_order_that_was_changed_is_shown_with_what_it_was():
    change = PurchaseOrderChange(at=ISSUED, by="anna", before="PO-1", after="PO-2")

    [page] = pages_of(render(invoice({"purchase_order": "PO-2", "purchase_order_changes": (change,)})))

    assert "Purchase order\nPO-2\nPurchase order before\nPO-1 (until 1 December 2026)" in page


def test_a_credit_note_names_the_invoice_that_it_corrects():
    [page] = pages_of(render(invoice({"corrects_number": "E-16"}, kind="credit_note", lot_expires_at=None)))

    assert page.startswith("Credit note\nNumber\nE-17")
    assert "Corrects invoice\nE-16" in page
    assert "Paid on" not in page


def test_an_invoice_without_a_number_says_so():
    [page] = pages_of(render(invoice({"number": ""})))

    assert "Number\nnot numbered yet" in page


def test_usage_stands_by_destination():
    [page] = pages_of(render(usage()))

    assert "United Kingdom\n1\n1:01:01\n1:02:00\n0.0135 EUR" in page
    assert "Carried over to the next invoice\n-0.0035 EUR" in page
    assert "Calls of\nNovember 2026" in page
    assert "Not paid yet." in page


def test_calls_fill_as_many_pages_as_they_need_each_with_its_heading():
    first, *rest = pages_of(render(usage(200), calls(200), {"u1": "anna@contoso.example"}.get))

    assert len(rest) == 4
    assert all("User\nCalled\nDestination" in page for page in rest)
    assert sum(page.count("anna@contoso.example") for page in rest) == 200
    assert "+442079400199" in rest[-1]
    assert "page 1 of" in first
    assert "page 5 of" in rest[-1]


def test_what_is_too_long_for_its_column_is_cut():
    name = "a.very.long.user.principal.name@with.a.long.domain.example"

    _, page = pages_of(render(usage(), calls(1), {"u1": name}.get))

    [shown] = [line for line in page.splitlines() if line.startswith("a.very")]
    assert shown.endswith("…")
    assert name.startswith(shown[:-1])


def test_both_languages_have_the_same_words_with_the_same_values():
    assert set(WORDS) == set(LANGUAGES)
    english, italian = WORDS["en"], WORDS["it"]
    assert set(english) == set(italian)
    for word, text in english.items():
        assert _values(text) == _values(italian[word]), word


def _values(text: str) -> set[str]:
    from string import Formatter

    return {name for _, name, _, _ in Formatter().parse(text) if name}


@pytest.mark.parametrize("currency", sorted(CURRENCY_DIGITS)[::12])
def test_amounts_of_every_currency_can_be_written(currency):
    assert currency in Speech("it", currency, "UTC").amount(-1_234_567_890)


@pytest.mark.parametrize(("seconds", "shown"), [(0, "0:00:00"), (61, "0:01:01"), (360_000, "100:00:00")])
def test_a_length_of_time_is_hours_minutes_and_seconds(seconds, shown):
    assert length(seconds) == shown


def test_calls_as_csv_are_exact_and_name_their_users():
    text = "".join(calls_csv([(calls(2), {"u1": 'anna, "the first"'}.get)], "EUR"))

    assert text.splitlines() == [
        "started_at,session_id,call_type,user,called,country,destination,seconds,billed_seconds,currency,charge",
        '2026-11-30T23:00:00Z,call-0,user_out,"anna, ""the first""",+442079400000,GB,United Kingdom,61,120,EUR,0.0135',
        '2026-11-30T23:00:01Z,call-1,user_out,"anna, ""the first""",+442079400001,GB,United Kingdom,61,120,EUR,0.0135',
    ]
