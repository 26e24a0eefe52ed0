"""The catalogue for operators: show its tables, check rows before they count, import them (D9).

What is shipped cannot be changed, only added to: an operator's row with the key and first day of a shipped one takes
its place. Each table of the operator's is imported as a whole and replaces the one before; the whole catalogue must
hold together with it, or nothing is done. Every import raises the version of the catalogue, so that every process
decides the next call with it. Where a table says how large pools are, the pools of every organisation follow at once,
one organisation after the other; whatever stops that, the job that looks after the pools goes on with it.
"""

from collections.abc import Sequence
from datetime import date, datetime
from functools import partial

import msgspec

from gettone.catalogue.reading import Placed, Table, key_of, read_table, write_table
from gettone.catalogue.tables import SHAPES, TABLES, catalogue, check_file, table_rows
from gettone.domain.catalogue import Catalogue, in_force
from gettone.domain.tabular import TableError, decode_csv
from gettone.errors import InvalidFile, InvalidInput, Problem
from gettone.operations.lifecycle import resize_pools
from gettone.operations.office import Office

_SIZE_POOLS = {"product_plans", "service_plans", "allotments", "conference_allotments", "areas"}
"""Tables by which pools have other keys or sizes."""


class CatalogueRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row: *cells* by column as they are written; *origin* is shipped or operator.

    *in_force* says whether it counts on the day that was asked for; None when no day was.
    """

    origin: str
    in_force: bool | None
    cells: dict[str, str]


class CatalogueTable(msgspec.Struct, frozen=True, kw_only=True):
    """A table with its columns and rows; a row that is replaced by the operator's is not among them."""

    name: str
    columns: tuple[str, ...]
    rows: tuple[CatalogueRow, ...]


class TableSummary(msgspec.Struct, frozen=True, kw_only=True):
    """How much a table holds; *last_from* is the latest first day of any row, None of an empty one."""

    name: str
    rows: int
    operator_rows: int
    last_from: date | None


class ImportedTable(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did: so many rows of the operator's now, *replaced* of them in place of shipped ones.

    *before* is how many the operator had.
    """

    name: str
    rows: int
    replaced: int
    before: int


def current(office: Office) -> Catalogue:
    """The catalogue with the operator's rows as they are now."""
    return catalogue(_present(office))


def summaries(office: Office) -> tuple[TableSummary, ...]:
    """Every table."""
    present = _present(office)
    return tuple(_summary(name, table_rows(name, present.get(name, ""))) for name in TABLES)


def show(office: Office, table: str, on: date | None) -> CatalogueTable:
    """The rows of a table, each with whether it counts on a day, if one is given.

    Raises `InvalidInput` for a table that is not there.
    """
    shape = _shape(table)
    rows = table_rows(table, _present(office).get(table, ""))
    counting: set[int] = set()
    if on is not None:
        counting = {id(row) for row in in_force([placed.row for placed in rows], partial(key_of, shape), on).values()}
    return CatalogueTable(
        name=table,
        columns=shape.columns,
        rows=tuple(
            CatalogueRow(
                origin="operator" if placed.operator else "shipped",
                in_force=None if on is None else id(placed.row) in counting,
                cells=dict(placed.cells),
            )
            for placed in rows
        ),
    )


def check_table(name: str, data: bytes, office: Office | None = None) -> list[Problem]:
    """Everything that would keep the file from being imported, in the order of its lines; empty when it is good.

    It is held against the shipped rows, and against what the operator has in *office*, if given. Raises `InvalidInput`
    for a table that is not there.
    """
    _shape(name)
    try:
        text, dialect = decode_csv(data)
    except TableError as error:
        return [Problem(0, "", "", str(error))]
    return check_file(name, text, dialect, _present(office) if office else {})[1]


def import_table(office: Office, name: str, data: bytes, now: datetime) -> ImportedTable:
    """Put the rows of a file in place of the operator's of table *name*; a file with only a header takes them away.

    Raises `InvalidFile` with everything that is wrong, in this table or between it and the others, or `InvalidInput`
    for a table that is not there.
    """
    shape = _shape(name)
    try:
        text, dialect = decode_csv(data)
    except TableError as error:
        raise InvalidFile(f"{name}.csv", [Problem(0, "", "", str(error))]) from None
    rows, _ = read_table(shape, text, dialect, operator=True)
    with office.write_shared() as unit:
        before = unit.catalogue.catalogue_tables().get(name, "")
        # Written before it is checked: from here on nobody else imports, and what does not hold is rolled back.
        unit.catalogue.write_catalogue_table(name, write_table(shape, rows) if rows else "", now)
        _, problems = check_file(name, text, dialect, unit.catalogue.catalogue_tables())
        if problems:
            raise InvalidFile(f"{name}.csv", problems)
    if name in _SIZE_POOLS:
        resize_pools(office, now)
    shipped = {key_of(shape, placed.row, dated=True) for placed in table_rows(name)}
    return ImportedTable(
        name=name,
        rows=len(rows),
        replaced=sum(key_of(shape, placed.row, dated=True) in shipped for placed in rows),
        before=sum(placed.operator for placed in table_rows(name, before)),
    )


def _present(office: Office) -> dict[str, str]:
    with office.read() as unit:
        return unit.catalogue.catalogue_tables()


def _shape(name: str) -> Table:
    found = SHAPES.get(name)
    if found is None:
        raise InvalidInput("table", name[:80], f"there is no such table; write one of {', '.join(TABLES)}")
    return found


def _summary(name: str, rows: Sequence[Placed]) -> TableSummary:
    return TableSummary(
        name=name,
        rows=len(rows),
        operator_rows=sum(placed.operator for placed in rows),
        last_from=max((placed.row.effective_from for placed in rows), default=None),
    )
