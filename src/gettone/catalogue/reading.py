"""Read a table of the catalogue: every cell strictly, every bad one a `Problem` with its line.

A table is CSV with a header that names each of its columns once, in any order. Cells hold one thing, or several parted
by blanks; yes or no; dates as 2027-01-31; amounts as decimals. The last three columns of every table are
``effective_from``, ``effective_until`` (the last day, may be empty) and ``source``. Two rows of a table may have the
same key only with different first days.
"""

import csv
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from enum import Enum
from typing import Any

from gettone.domain.money import MoneyError, check_currency, parse_micros
from gettone.domain.rate_fields import COUNTRIES
from gettone.domain.tabular import Dialect, read_lines
from gettone.errors import Problem

DATES = ("effective_from", "effective_until", "source")

COUNT_MAX = 1_000_000_000
TEXT_MAX = 300

_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_().+-]{0,99}")
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DECIMAL_COMMA = re.compile(r"^([0-9]+),([0-9]+)$")

Cell = Callable[[str], object]
"""Turns the text of a cell into its value; raises `ValueError` with what to write instead."""


@dataclass(frozen=True, slots=True)
class Table:
    """What a table looks like: its columns with how their cells are read, and which columns tell rows apart.

    *row* makes a row from the values by column; *fields* says where the name of its field is not that of the column.
    """

    name: str
    row: Callable[..., Any]
    key: tuple[str, ...]
    cells: Mapping[str, Cell]
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column, in the order in which the table is written."""
        return (*self.cells, *DATES)


@dataclass(frozen=True, slots=True)
class Placed:
    """A row with the line on which it stands, its cells as they were written, and whether the operator added it."""

    row: Any
    line: int
    cells: Mapping[str, str]
    operator: bool


def read_table(
    table: Table, text: str, dialect: Dialect, *, operator: bool = False
) -> tuple[list[Placed], list[Problem]]:
    """The good rows of *text*, and everything that is wrong with the others or with the header."""
    lines = read_lines(text, dialect.delimiter)
    header = next(lines, None)
    if header is None:
        return [], [Problem(0, "", "", f"it is empty; begin with a line {','.join(table.columns)}")]
    columns = [cell.strip().lower() for cell in header.cells]
    problems = [Problem(header.number, "", "", header.problem)] if header.problem else []
    problems = problems or list(_wrong_columns(table, header.number, columns))
    if problems:
        return [], problems
    amounts = [name for name, read in table.cells.items() if read in {amount, percent} and dialect.decimal_comma]
    rows: list[Placed] = []
    seen: dict[tuple[object, ...], int] = {}
    for line in lines:
        if line.problem or len(line.cells) != len(columns):
            counted = f"{len(line.cells)} cells where the header has {len(columns)}; the line is cut or lacks quotes"
            problems.append(Problem(line.number, "", "", line.problem or counted))
            continue
        cells = {name: cell.strip() for name, cell in zip(columns, line.cells, strict=True)}
        for name in amounts:
            cells[name] = _DECIMAL_COMMA.sub(r"\1.\2", cells[name])
        row = _read_row(table, line.number, cells, problems)
        if row is None:
            continue
        key = key_of(table, row, dated=True)
        if key in seen:
            remedy = f"line {seen[key]} says the same from the same day on; keep one of them"
            problems.append(Problem(line.number, " ".join(table.key), _shown(cells, table.key), remedy))
        seen.setdefault(key, line.number)
        rows.append(Placed(row, line.number, {name: cells[name] for name in table.columns}, operator))
    return rows, problems


def key_of(table: Table, row: object, *, dated: bool = False) -> tuple[Any, ...]:
    """What a row is about; *dated* with its first day, which makes it the only one."""
    names = (*table.key, "effective_from") if dated else table.key
    return tuple(getattr(row, table.fields.get(name, name)) for name in names)


def write_table(table: Table, rows: Iterable[Placed]) -> str:
    """The rows as CSV with commas, columns in the order of the table."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows([row.cells[name] for name in table.columns] for row in rows)
    return out.getvalue()


def _wrong_columns(table: Table, line: int, columns: Sequence[str]) -> Iterator[Problem]:
    known = ", ".join(table.columns)
    for name in dict.fromkeys(columns):
        if name not in table.columns:
            remedy = f"there is no such column in {table.name}; its columns are {known}"
            yield Problem(line, "column", name[:80], remedy)
        elif columns.count(name) > 1:
            yield Problem(line, "column", name, "it is there twice; keep one")
    for name in table.columns:
        if name not in columns:
            yield Problem(line, "column", name, f"it is missing; the columns of {table.name} are {known}")


def _read_row(table: Table, line: int, cells: Mapping[str, str], problems: list[Problem]) -> object | None:
    before = len(problems)
    values: dict[str, object] = {}
    readers: dict[str, Cell] = {**table.cells, "effective_from": day, "effective_until": last_day, "source": text}
    for name, read in readers.items():
        try:
            values[table.fields.get(name, name)] = read(cells[name])
        except ValueError as error:
            problems.append(Problem(line, name, cells[name][:80], str(error)))
    since, until = values.get("effective_from"), values.get("effective_until")
    if isinstance(since, date) and isinstance(until, date) and until < since:
        remedy = f"it is before the first day, {since}; write a later day, or leave it empty for no end"
        problems.append(Problem(line, "effective_until", cells["effective_until"], remedy))
    return table.row(**values) if len(problems) == before else None


def _shown(cells: Mapping[str, str], names: Iterable[str]) -> str:
    return " ".join(cells[name] for name in names)[:80]


# -- cells -------------------------------------------------------------------------------------------------------------


def text(cell: str) -> str:
    """A line for people, never empty."""
    if not cell or len(cell) > TEXT_MAX or not cell.isprintable():
        raise ValueError(f"write one line of 1 to {TEXT_MAX} printable signs")
    return cell


def code(cell: str) -> str:
    """A name without blanks."""
    if not _CODE.fullmatch(cell):
        raise ValueError("write 1 to 100 letters, digits or signs of _().+- without blanks")
    return cell


def codes(cell: str) -> tuple[str, ...]:
    """Any number of names, parted by blanks."""
    return tuple(code(part) for part in cell.split())


def optional_code(cell: str) -> str:
    """A name without blanks, or nothing."""
    return code(cell) if cell else ""


def guid(cell: str) -> str:
    """A GUID in small letters."""
    if not _GUID.fullmatch(cell):
        raise ValueError("write a GUID in small letters, such as 47794cd0-f0e5-45c5-9033-2eb6b5fc84e0")
    return cell


def count(cell: str) -> int:
    """A whole number from 0 on."""
    if not (cell.isascii() and cell.isdigit()) or len(cell) > 10 or int(cell) > COUNT_MAX:
        raise ValueError(f"write a whole number from 0 to {COUNT_MAX}")
    return int(cell)


def positive(cell: str) -> int:
    """A whole number from 1 on."""
    if not (found := count(cell)):
        raise ValueError(f"write a whole number from 1 to {COUNT_MAX}")
    return found


def optional_positive(cell: str) -> int | None:
    """A whole number from 1 on, or nothing."""
    return positive(cell) if cell else None


def yes_no(cell: str) -> bool:
    """Yes or no."""
    return {"yes": True, "no": False}[one_of("yes", "no")(cell.lower())]


def one_of(*words: str) -> Callable[[str], str]:
    """Make a cell that holds one of *words*."""

    def read(cell: str) -> str:
        if cell not in words:
            raise ValueError(f"write one of {', '.join(words)}")
        return cell

    return read


def member(values: type[Enum]) -> Cell:
    """Make a cell that holds the value of one of an enumeration's members."""
    word = one_of(*(value.value for value in values))
    return lambda cell: values(word(cell))


def members(values: type[Enum]) -> Cell:
    """Make a cell that holds one or more of an enumeration's values, parted by blanks."""
    one = member(values)

    def read(cell: str) -> object:
        if not cell:
            raise ValueError(f"write one or more of {', '.join(value.value for value in values)}, parted by blanks")
        return frozenset(one(part) for part in cell.split())

    return read


def country(cell: str) -> str:
    """A country by its ISO code."""
    if cell not in COUNTRIES or len(cell) != 2:  # 001 is a code of numbers that no country has
        raise ValueError("write an ISO 3166-1 code of two capital letters, such as IT")
    return cell


def countries(cell: str) -> frozenset[str]:
    """One or more countries, parted by blanks."""
    if not cell:
        raise ValueError("write one or more ISO 3166-1 codes, parted by blanks")
    return frozenset(country(part) for part in cell.split())


def country_or(word: str) -> Callable[[str], str]:
    """Make a cell that holds a country or *word*."""
    return lambda cell: cell if cell == word else country(cell)


def digits(cell: str) -> str:
    """The first digits of numbers, from the country code on."""
    if not (cell.isascii() and cell.isdigit()) or len(cell) > 15 or cell.startswith("0"):
        raise ValueError("write the digits from the country code on, without plus, such as 44843")
    return cell


def currency(cell: str) -> str:
    """A currency by its ISO code."""
    try:
        return check_currency(cell)
    except MoneyError:
        raise ValueError("write an active ISO 4217 code, such as EUR") from None


def amount(cell: str) -> int:
    """An amount above zero as micros; of which currency stands in another column and changes nothing here."""
    try:
        found = parse_micros(cell, "USD")
    except MoneyError:
        found = 0
    if found <= 0:
        raise ValueError("write an amount above zero with a decimal point, such as 20.00")
    return found


def percent(cell: str) -> int:
    """A percentage from 0 up to 100, as millionths of the whole: ``22`` is 220,000, ``7.7`` is 77,000."""
    try:
        found = parse_micros(cell, "USD") // 100
    except MoneyError:
        found = -1
    if not 0 <= found <= 1_000_000:
        raise ValueError("write a percentage from 0 to 100 with a decimal point, such as 22 or 7.7")
    return found


def day(cell: str) -> date:
    """A day."""
    try:
        return date.fromisoformat(cell if _DATE.fullmatch(cell) else "")
    except ValueError:
        raise ValueError("write a day as year, month and day, such as 2027-01-31") from None


def last_day(cell: str) -> date | None:
    """A day, or nothing."""
    return day(cell) if cell else None
