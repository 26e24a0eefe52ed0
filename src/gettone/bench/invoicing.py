"""Invoices: issued, numbered without a gap, and read as JSON; and how fast their PDF is made.

Each is issued in a transaction of its own, as with the payment it is for; numbers are given to what waits, in order.
The limit is the driver of the standard library: the very rows, in the same transactions, on an equal file. That of the
PDF is the bare library: one page with one line in the same typeface.
"""

import contextlib
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import msgspec
from fpdf import FPDF
from sqlalchemy import func, select

from gettone.bench import world
from gettone.bench.expiring import noting
from gettone.bench.measuring import NotMeasured, Result, Work, interleaved, rate
from gettone.bench.sizes import Sizes
from gettone.bench.sqlite import RawSqlite, Write
from gettone.domain.payments import PaymentState
from gettone.invoices.pdf import render
from gettone.operations.billing import CARD, CHARGE, FULFILLED, PURCHASE, CreditOrder, Method, Payment
from gettone.operations.invoice_numbers import give_numbers
from gettone.operations.invoicing import get_invoice, issue_for_payment, payment_invoice_id
from gettone.operations.office import Office
from gettone.storage.billing_schema import invoice_number
from gettone.storage.engine import Database, open_database
from gettone.storage.office import SqlOffice, open_office

ROUNDS = 5
AMOUNT_MICROS = 100_000_000
PDFS_SHARE = 200
"""One invoice in so many is made into a PDF."""


def issued(names: tuple[str, str], folder: Path, sizes: Sizes) -> list[Result]:
    """Invoices a second, `Sizes.invoices` in all, and PDFs a second."""
    name, pdf_name = names
    ours, equal = folder / f"{name}.db", folder / f"{name}-equal.db"
    ids = world.make(f"sqlite:///{ours}", sizes.organisations)
    _give_cards(f"sqlite:///{ours}", ids)
    shutil.copy(ours, equal)
    # One round more warms up.
    each = max(1, sizes.invoices // (ROUNDS + 1))
    transactions: list[list[Write]] = []
    database = open_database(f"sqlite:///{ours}")
    made: list[tuple[str, str]] = []
    with contextlib.closing(SqlOffice(database)) as office, contextlib.closing(RawSqlite(equal)) as raw:
        payments = _payments(ids)

        def issue() -> Work:
            transactions.clear()
            return lambda: _issue_all(office, [next(payments) for _ in range(each)], made)

        def replay() -> Work:
            def work() -> int:
                raw.replay(transactions)
                return each

            return work

        with noting(database.engine, transactions):
            samples, limits = interleaved(ROUNDS, issue, replay)
        _check(database, len(made))
        pdfs = max(1, sizes.invoices // PDFS_SHARE)
        drawn = interleaved(ROUNDS, lambda: lambda: _drawn(office, made[:pdfs]), lambda: lambda: _bare(pdfs))
    return [rate(name, "invoices/s", samples, limits), rate(pdf_name, "PDFs/s", *drawn)]


def _give_cards(url: str, ids: list[str]) -> None:
    now = datetime.now(UTC)
    card = Method(method_id="card", kind=CARD, provider="bench", label="Visa 4242", position=1, created_at=now)
    with contextlib.closing(open_office(url)) as office:
        for org_id in ids:
            with office.write(org_id) as unit:
                unit.buying.write_method(org_id, card)
    world.settle(url)


def _payments(ids: list[str]) -> Iterator[tuple[str, str]]:
    """Organisation and id of one payment after the other."""
    number = 0
    while True:
        for org_id in ids:
            number += 1
            yield org_id, f"{number:08d}-1"


def _issue_all(office: Office, paid: list[tuple[str, str]], made: list[tuple[str, str]]) -> int:
    now = datetime.now(UTC)
    for org_id, payment_id in paid:
        order = CreditOrder(
            order_id=payment_id.partition("-")[0],
            kind=PURCHASE,
            state=FULFILLED,
            amount_micros=AMOUNT_MICROS,
            reference=payment_id,
            ordered_by="bench",
            ordered_at=now,
        )
        payment = Payment(
            payment_id=payment_id,
            order_id=order.order_id,
            kind=CHARGE,
            method_id="card",
            provider="bench",
            state=PaymentState.SUCCEEDED,
            gross_micros=AMOUNT_MICROS,
            net_micros=AMOUNT_MICROS,
            idempotency_key=payment_id,
            created_at=now,
        )
        with office.write(org_id) as unit:
            issue_for_payment(unit, order, payment, now, paid=True)
    if give_numbers(office) != len(paid):
        raise NotMeasured("not every invoice was given its number")
    fresh = [(org_id, payment_invoice_id(payment_id)) for org_id, payment_id in paid]
    for org_id, invoice_id in fresh:
        msgspec.json.encode(get_invoice(office, org_id, invoice_id))
    made += fresh
    return len(paid)


def _check(database: Database, count: int) -> None:
    """See that numbers ran from 1 up without a gap, over all organisations."""
    with database.reading() as connection:
        numbers = invoice_number.c.number
        found = connection.execute(select(func.count(), func.min(numbers), func.max(numbers))).one()
    if tuple(found) != (count, 1, count):
        raise NotMeasured(f"{count} invoices have {found[0]} numbers from {found[1]} to {found[2]}")


def _drawn(office: Office, made: list[tuple[str, str]]) -> int:
    for org_id, invoice_id in made:
        render(get_invoice(office, org_id, invoice_id))
    return len(made)


def _bare(count: int) -> int:
    font = files("gettone.invoices") / "fonts" / "DejaVuSans.ttf"
    for _ in range(count):
        page = FPDF()
        page.add_font("DejaVu", "", str(font))
        page.set_font("DejaVu", size=9)
        page.add_page()
        page.cell(text="Communications Credits")
        page.output()
    return count
