"""``gettone catalogue …``: products, plans, minutes, countries and quotas as dated tables."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, instant, new_group, now, opened_office, read_bytes, refuse
from gettone.cli.output import as_json, plural, table
from gettone.errors import InvalidFile, InvalidInput

if TYPE_CHECKING:
    from gettone.operations.catalogue import CatalogueTable, TableSummary

_File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")]
_Name = Annotated[
    str, typer.Option("--table", help="Name of the table; that of the file if not given.", show_default=False)
]

app = new_group("""Show what is sold on which terms, and add rows to it.""")


@app.command()
def show(
    name: Annotated[str, typer.Argument(metavar="[TABLE]", help="A table; if not given, all are listed.")] = "",
    *,
    on: Annotated[
        str, typer.Option(help="Only the rows that count on this day; if not given, all rows.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Show the rows of a table, shipped and the operator's, or list the tables.

    Without --on every row is shown, and whether it counts today.

    Example: gettone catalogue show allotments --on 2027-01-01
    """
    from gettone.operations.catalogue import show as show_table
    from gettone.operations.catalogue import summaries

    day = _day(on) if on else now().date()
    with opened_office() as office:
        if not name:
            _list(summaries(office), json=json)
            return
        found = show_table(office, name, day)
    _print(found, json=json, only_counting=bool(on))


@app.command()
def check(
    file: _File,
    name: _Name = "",
    *,
    shipped: Annotated[
        bool, typer.Option("--shipped", help="Hold it against the shipped rows alone; needs no database.")
    ] = False,
) -> None:
    """Say whether a file of rows would be imported, and what is wrong in it, with line numbers.

    Example: gettone catalogue check allotments.csv
    """
    from gettone.operations.catalogue import check_table

    wanted, data = name or _stem(file), read_bytes(file)
    if shipped:
        problems = check_table(wanted, data)
    else:
        with opened_office() as office:
            problems = check_table(wanted, data, office)
    if problems:
        refuse(str(InvalidFile(str(file), problems)))
    typer.echo(f"{wanted}: OK")


@app.command("import")
def import_file(file: _File, name: _Name = "", *, json: Json = False) -> None:
    """Put the rows of a file in place of the operator's rows of a table: all of them, or nothing and every error.

    A row with the key and first day of a shipped row takes its place, any other is added. A file with nothing but its
    header takes the operator's rows away. The next call is decided with the new rows, in every process.

    Example: gettone catalogue import allotments.csv
    """
    from gettone.operations.catalogue import import_table

    wanted, data = name or _stem(file), read_bytes(file)
    with opened_office() as office:
        made = import_table(office, wanted, data, now())
    if json:
        as_json(made)
        return
    typer.echo(
        f"{made.name}: {plural(made.rows, 'row')} imported, {made.replaced:,} in place of shipped rows; "
        f"{plural(made.before, 'row')} there before"
    )


def _stem(file: Path) -> str:
    if str(file) == "-":
        raise InvalidInput("--table", "", "write the name of the table: standard input has none")
    return file.stem


def _day(text: str) -> date:
    return instant("on", text).date()


def _list(tables: "tuple[TableSummary, ...]", *, json: bool) -> None:
    if json:
        as_json(tables)
        return
    rows = ((t.name, f"{t.rows:,}", f"{t.operator_rows:,}", t.last_from or "") for t in tables)
    table(("table", ">rows", ">of the operator", "latest first day"), rows)


def _print(found: "CatalogueTable", *, json: bool, only_counting: bool) -> None:
    rows = [row for row in found.rows if row.in_force or not only_counting]
    if json:
        as_json(rows)
        return
    columns = [column for column in found.columns if any(row.cells[column] for row in rows)] or found.columns
    table(
        (*columns, "origin", *(() if only_counting else ("counts",))),
        (
            (*(row.cells[column] for column in columns), row.origin, *(() if only_counting else (row.in_force,)))
            for row in rows
        ),
    )
