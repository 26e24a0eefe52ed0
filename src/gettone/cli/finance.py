"""``gettone finance …``: what the books say about deferred revenue, expiring credit and what is owed."""

import sys
from collections.abc import Sequence
from typing import Annotated

import msgspec
import typer

from gettone.cli.base import Json, new_group, now, opened_office
from gettone.cli.output import as_json, meter, table

app = new_group("""Finance: deferred revenue, expiry and receivables, to the micro, out of the ledger.""")

_Month = Annotated[
    str, typer.Option("--month", metavar="YYYY-MM", help="The month; this one if not given.", show_default=False)
]
_Org = Annotated[str, typer.Option("--org", metavar="ORG", help="Only this organisation.", show_default=False)]
_Each = Annotated[bool, typer.Option("--each", help="Every organisation by itself, not all together.")]
_Csv = Annotated[bool, typer.Option("--csv", help="Write CSV instead of a table.")]


@app.command()
def revenue(month: _Month = "", *, org: _Org = "", each: _Each = False, csv: _Csv = False, json: Json = False) -> None:
    """Show deferred revenue of a month: what was there, bought, used, expired, refunded, and what is there at its end.

    The months are those of each organisation's time zone. The columns sum: opening + bought + added - used - expired
    - refunded - disputed + adjusted = closing.

    Example: gettone finance revenue --month 2026-11
    """
    from gettone.operations import finance, months

    at = now()
    period = months.read(month) if month else at.year * 100 + at.month
    with opened_office() as office, meter("adding up ledgers") as progress:
        if org:
            found = [finance.revenue(office, org, period)]
        elif each:
            found = list(finance.revenue_by_organisation(office, period, progress.to))
        else:
            found = finance.revenue_by_currency(office, period, progress.to)
    _print(found, csv=csv, json=json, title=f"Deferred revenue of {months.shown(period)}")


@app.command()
def expiry(*, org: _Org = "", csv: _Csv = False, json: Json = False) -> None:
    """Show in which months credit expires that is not used before.

    Example: gettone finance expiry --org contoso
    """
    from gettone.operations import finance

    with opened_office() as office:
        found = finance.expiry(office, org) if org else finance.expiry_by_currency(office)
    _print(found, csv=csv, json=json)


@app.command()
def receivables(*, org: _Org = "", csv: _Csv = False, json: Json = False) -> None:
    """List the invoices that are not paid, with their age in days.

    Example: gettone finance receivables --csv
    """
    from gettone.operations import finance

    with opened_office() as office:
        found = finance.receivables(office, now(), org_id=org)
    _print(found, csv=csv, json=json)


def _print(found: Sequence[msgspec.Struct], *, csv: bool, json: bool, title: str = "") -> None:
    if json:
        as_json(found)
        return
    rows = [_cells(one) for one in found]
    columns = list(rows[0]) if rows else []
    if csv:
        import csv as writing

        writer = writing.writer(sys.stdout)
        writer.writerow([column.removeprefix(">") for column in columns])
        writer.writerows(row.values() for row in rows)
        return
    if len(rows) == 1 and len(columns) > 12:
        # One line with many columns is read better from top to bottom.
        table(("what", ">amount"), [(name.removeprefix(">"), value) for name, value in rows[0].items()], title=title)
        return
    table(columns, (list(row.values()) for row in rows), title=title)


def _cells(one: msgspec.Struct) -> dict[str, object]:
    """The fields of a line: amounts as decimals, months as they are spoken, all by the name of their column."""
    from gettone.domain.money import render_micros
    from gettone.operations import months

    fields = msgspec.structs.asdict(one)
    cells: dict[str, object] = {}
    for name, value in fields.items():
        shown = name.removesuffix("_micros").replace("_", " ")
        if name.endswith("_micros"):
            cells[f">{shown}"] = render_micros(value, fields["currency"])
        elif name == "period":
            cells["month"] = months.shown(value)
        elif name == "org_id":
            cells["organisation"] = value or "all"
        else:
            cells[shown] = value
    return cells
