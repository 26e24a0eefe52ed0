"""``gettone invoices …``: invoices and credit notes, as tables, JSON, PDF, and their calls as CSV."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, new_group, now, opened_office, refuse
from gettone.cli.output import as_json, facts, meter, money, plural, table, time
from gettone.cli.policies import BY

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from gettone.operations.books_rows import BilledCall
    from gettone.operations.invoicing import InvoiceView
    from gettone.operations.office import Office

app = new_group("""Invoices and credit notes.""")

_Invoice = Annotated[str, typer.Argument(metavar="INVOICE", help="Number or id of the invoice.", show_default=False)]
_Out = Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where to write it; - is standard output.")]


@app.command("list")
def list_all(org: Org, limit: Limit = 100, json: Json = False) -> None:
    """List invoices and credit notes, newest first.

    Example: gettone invoices list contoso
    """
    from gettone.operations import invoicing, months

    with opened_office() as office:
        found = all_pages(lambda cursor, size: invoicing.list_invoices(office, org, cursor=cursor, limit=size), limit)
    if json:
        as_json([invoicing.summary(one) for one in found])
        return
    table(
        ("number", "id", "kind", "issued", "month", ">net", ">tax", ">total", "purchase order", "paid"),
        (
            (
                one.number,
                one.invoice_id,
                one.kind.replace("_", " "),
                one.issued_at,
                months.shown(one.period) if one.period else "",
                money(one.net_micros, one.currency),
                money(one.tax_micros, one.currency),
                money(one.net_micros + one.tax_micros, one.currency),
                one.purchase_order,
                one.paid_at,
            )
            for one in found
        ),
    )


@app.command()
def show(org: Org, invoice: _Invoice, json: Json = False) -> None:
    """Show one invoice: what it says, its number, and what has changed since it was issued.

    Example: gettone invoices show contoso 17
    """
    from gettone.operations import invoicing

    with opened_office() as office:
        found = invoicing.get_invoice(office, org, invoice)
    if json:
        as_json(found)
    else:
        _show(found)


def _show(found: "InvoiceView") -> None:
    from gettone.operations import months

    document = found.document
    facts(
        {
            "kind": document.kind.replace("_", " "),
            "number": found.number or "not given yet",
            "id": found.invoice_id,
            "issued": time(document.issued_at),
            "seller": document.seller.name,
            "customer": document.buyer.name,
            **({"month": months.shown(document.period)} if document.period else {}),
            **({"corrects": found.corrects_number or document.corrects} if document.corrects else {}),
            "purchase order": found.purchase_order,
            "agreement": document.agreement_number,
            "payment": document.payment_id,
            "paid": found.paid_at,
        }
    )
    for change in found.purchase_order_changes:
        typer.echo(f"purchase order was {change.before or 'empty'} until {time(change.at)}, changed by {change.by}")
    rows = [(line.text, line.calls or "", money(line.amount_micros, document.currency)) for line in document.lines]
    rows += [(tax.label, "", money(tax.amount_micros, document.currency)) for tax in document.taxes]
    rows.append(("total", "", money(document.gross_micros, document.currency)))
    table(("line", ">calls", ">amount"), rows)


@app.command()
def pdf(
    org: Org,
    invoice: _Invoice,
    out: _Out = None,
    calls: Annotated[bool, typer.Option("--calls", help="Add the calls of a monthly invoice, one by one.")] = False,
) -> None:
    """Write an invoice as PDF, by default into invoice-NUMBER.pdf.

    Example: gettone invoices pdf contoso 17 --out invoice.pdf
    """
    from gettone.invoices.pdf import render
    from gettone.operations import invoicing

    with opened_office() as office:
        found = invoicing.get_invoice(office, org, invoice)
        each = [call for part in _calls(office, org, found) for call in part] if calls else []
        content = render(found, each, invoicing.user_names(office, org, each))
    name = (found.number or found.invoice_id).replace("/", "-")
    _write([content], out or Path(f"invoice-{name}.pdf"))


@app.command()
def csv(org: Org, invoice: _Invoice, out: _Out = None, json: Json = False) -> None:
    """Write the calls of a monthly invoice one by one, as CSV or with --json as JSON.

    Example: gettone invoices csv contoso 18 --out calls.csv
    """
    from gettone.invoices.table import calls_csv
    from gettone.operations import invoicing
    from gettone.operations.invoice_documents import POST_USAGE

    with opened_office() as office:
        found = invoicing.get_invoice(office, org, invoice)
        if found.document.kind != POST_USAGE:
            refuse(f"invoice {invoice!r} is for credit, not for calls; only invoices of a month have calls")
        if json:
            as_json([call for part in _calls(office, org, found) for call in part])
            return
        parts = ((part, invoicing.user_names(office, org, part)) for part in _calls(office, org, found))
        _write((text.encode() for text in calls_csv(parts, found.document.currency)), out or Path("-"))


@app.command()
def collected(org: Org, invoice: _Invoice, json: Json = False) -> None:
    """Note that the money for an invoice by agreement or of a month has come in.

    Example: gettone invoices collected contoso 18
    """
    from gettone.operations import agreements

    with opened_office() as office:
        paid = agreements.collected(office, org, invoice, by=BY, now=now())
    if json:
        as_json(paid)
        return
    total = money(paid.net_micros + paid.tax_micros, paid.currency)
    typer.echo(f"invoice {paid.number or paid.invoice_id} of {total} is paid since {time(paid.paid_at)}")


@app.command()
def issue(json: Json = False) -> None:
    """Issue the invoices of months that are over, and give numbers. The service does both by itself.

    Example: gettone invoices issue
    """
    from gettone.operations.after_use import invoice_month
    from gettone.operations.invoice_numbers import give_numbers

    with opened_office() as office:
        issued, numbered = invoice_month(office, now()), give_numbers(office)
    if json:
        as_json({"issued": issued, "numbered": numbered})
        return
    typer.echo(f"{plural(issued, 'invoice')} issued, {plural(numbered, 'number')} given")


def _calls(office: "Office", org: str, found: "InvoiceView") -> "Iterator[tuple[BilledCall, ...]]":
    """The calls of an invoice, a thousand at a time, with a bar on a terminal."""
    from gettone.operations import invoicing

    total, done = sum(line.calls + line.messages for line in found.document.lines), 0
    with meter("reading calls") as progress:
        for part in invoicing.billed_parts(office, org, found.invoice_id):
            done += len(part)
            progress.to(done, total)
            yield part


def _write(parts: "Iterable[bytes]", out: Path) -> None:
    if str(out) == "-":
        for part in parts:
            sys.stdout.buffer.write(part)
        sys.stdout.flush()
        return
    try:
        with out.open("wb") as file:
            file.writelines(parts)
    except OSError as error:
        refuse(f"{out}: {error.strerror or error}")
    typer.echo(f"wrote {out}")
