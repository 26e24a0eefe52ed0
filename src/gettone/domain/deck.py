"""Rate decks: dated tables of prices by destination, read from CSV as a whole and written back as the same deck.

A row names a prefix, or a country and a kind of number, or a country. Rows that name the same and differ in days or
hours are the bands of one rate; they agree in destination, zone and rounding.

Invariants:

- A deck has no overlapping bands, no part of the week without a price, one currency and one effective date; otherwise
  it does not exist, and `DeckErrors` names every line at fault.
- ``parse_deck(deck_to_csv(deck), name=deck.name) == deck``: a deck may be kept as its text.

Sources: D2, D3; the columns are in `gettone.domain.rate_fields`.
"""

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gettone.domain.bands import DAY_SECONDS, Band, MaximumAction, RateError, Step, exact_micros
from gettone.domain.money import check_currency
from gettone.domain.numbers import Kind
from gettone.domain.rate_fields import COLUMNS, DECK_COLUMNS, SMS, VOICE, Column, Days, PriceStep
from gettone.domain.rating import Rate, Rounding
from gettone.domain.tabular import Line, find_delimiter, read_lines

Key = tuple[str, str, str, Kind | None]
"""Service, prefix, country, kind: what a rate prices. With a prefix the last two are empty."""

_HOLIDAY_PRIORITY = 10
_EVERY_DAY = Days()
_ALIKE = ("destination", "zone", "rounding")
"""What the rows of one rate have in common."""


@dataclass(frozen=True, slots=True)
class DeckRow:
    """A line of a deck; the fields are its columns (see `rate_fields`), amounts in units of the deck's currency."""

    price: Decimal
    prefix: str = ""
    country: str = ""
    kind: Kind | None = None
    service: str = VOICE
    destination: str = ""
    per: int = 60
    connection_charge: Decimal = Decimal(0)
    increments: tuple[int, int] = (60, 60)
    steps: tuple[PriceStep, ...] = ()
    days: Days = _EVERY_DAY
    hours: tuple[int, int] = (0, DAY_SECONDS)
    zone: str = "UTC"
    minimum_charge: Decimal = Decimal(0)
    maximum_charge: Decimal | None = None
    maximum_action: MaximumAction = MaximumAction.FREE
    rounding: tuple[Rounding, int] = (Rounding.UP, 4)

    @property
    def key(self) -> Key:
        """What the row prices; rows of one key are one rate."""
        return (self.service, self.prefix, "", None) if self.prefix else (self.service, "", self.country, self.kind)

    @property
    def label(self) -> str:
        """The key for people: ``+3906``, ``IT mobile`` or ``IT``."""
        if self.prefix:
            return f"+{self.prefix}"
        return f"{self.country} {self.kind.label}" if self.kind is not None else self.country

    def problems(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that contradict each other, and what to do."""
        if not self.prefix and not self.country:
            yield "prefix", "the line names no destination; fill in prefix, or country and kind, or country"
        if self.service == SMS and (self.per != 1 or self.increments != (60, 60) or self.steps):
            yield "service", "a message has one price; leave per, increments and steps empty"
        if self.maximum_charge is not None and self.maximum_charge < self.minimum_charge:
            yield "maximum_charge", "is below the minimum charge; raise it or leave it empty"

    def overlaps(self, other: "DeckRow") -> bool:
        """Say whether some instant belongs to both rows; a day of the year beats weekdays and overlaps none."""
        if self.days.month_day != other.days.month_day or not self.days.weekdays & other.days.weekdays:
            return False
        return self.hours[0] < other.hours[1] and other.hours[0] < self.hours[1]


@dataclass(frozen=True, slots=True)
class Deck:
    """A validated deck: its prices count from ``effective_from`` (aware, UTC) until those of the next deck."""

    name: str
    currency: str
    effective_from: datetime
    rows: tuple[DeckRow, ...]

    def groups(self) -> dict[Key, list[DeckRow]]:
        """Return the rows by what they price, in the order of the deck: each group is one rate."""
        groups: dict[Key, list[DeckRow]] = {}
        for row in self.rows:
            groups.setdefault(row.key, []).append(row)
        return groups


def rate_of(rows: Sequence[DeckRow]) -> Rate:
    """Build the rate whose bands are *rows*, which have one key.

    Raises:
        RateError: they leave a part of the week without a price.
    """
    zone = UTC if rows[0].zone == "UTC" else ZoneInfo(rows[0].zone)
    return Rate(tuple(map(_band, rows)), *rows[0].rounding, zone)


def _band(row: DeckRow) -> Band:
    return Band(
        steps=_steps(row),
        connection=exact_micros(row.connection_charge),
        minimum=exact_micros(row.minimum_charge),
        maximum=None if row.maximum_charge is None else exact_micros(row.maximum_charge),
        maximum_action=row.maximum_action,
        weekdays=row.days.weekdays,
        starts=row.hours[0],
        ends=row.hours[1],
        priority=0 if row.days.month_day is None else _HOLIDAY_PRIORITY,
        month_day=row.days.month_day,
    )


def _steps(row: DeckRow) -> tuple[Step, ...]:
    """Lay the row's price steps over its increments: the first increment once, then the next ones."""
    if row.service == SMS:
        return (Step(0, 1, exact_micros(row.price)),)
    first, following = row.increments
    later = {step.from_second: step for step in row.steps}
    edges = {0, *later} if first == following else {0, first, *later}
    step = PriceStep(0, row.price)
    steps = []
    for second in sorted(edges):
        step = later.get(second, step)
        increment = step.increment_seconds or (first if second < first else following)
        steps.append(Step(second, increment, exact_micros(step.price) / row.per))
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class DeckError:
    """What is wrong in one line of a deck (line 0: in the whole of it)."""

    line: int
    column: str
    value: str
    problem: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        cell = f"{self.column} {self.value!r}: " if self.column else ""
        return f"{where}{cell}{self.problem}"


class DeckErrors(ValueError):
    """The deck cannot be used; ``errors`` holds everything that is wrong with it, in the order of its lines."""

    def __init__(self, name: str, errors: Iterable[DeckError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: error.line))
        count = "1 error" if len(self.errors) == 1 else f"{len(self.errors)} errors"
        super().__init__("\n".join([f"rate deck {name!r}: {count}", *map(str, self.errors)]))


def deck_to_csv(deck: Deck) -> str:
    """Write *deck* as canonical text, with every column."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*DECK_COLUMNS, *COLUMNS])
    common = [column.write(getattr(deck, name)) for name, column in DECK_COLUMNS.items()]
    for row in deck.rows:
        writer.writerow([*common, *(column.write(getattr(row, name)) for name, column in COLUMNS.items())])
    return text.getvalue()


def parse_deck(
    source: str | Iterable[str], *, name: str, currency: str | None = None, effective_from: datetime | None = None
) -> Deck:
    """Read a deck from decoded text (or its lines); currency and date stand in columns of it or are given here.

    *effective_from* is aware. A column of the header that is not needed may be left out; an empty cell has the default.

    Raises:
        DeckErrors: everything that is wrong with it.
        MoneyError: the *currency* asked for does not exist.
    """
    text = source if isinstance(source, str) else "\n".join(line.rstrip("\r\n") for line in source)
    reader = _DeckReader(find_delimiter(text))
    reader.read(text)
    given = {
        "currency": currency and check_currency(currency),
        "effective_from": effective_from and effective_from.astimezone(UTC),
    }
    common = {column: reader.common(column, value) for column, value in given.items()}
    if reader.errors:
        raise DeckErrors(name, reader.errors)
    return Deck(name=name, rows=tuple(row for _, row in reader.rows), **common)


class _DeckReader:
    """Collects the rows of a deck, and all that is wrong with it."""

    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self.rows: list[tuple[int, DeckRow]] = []
        self.errors: list[DeckError] = []
        self._values: dict[tuple[str, str], Any] = {}
        self._common: dict[str, dict[Any, int]] = {name: {} for name in DECK_COLUMNS}
        self._incomplete: set[Key] = set()

    def read(self, text: str) -> None:
        """Read every line of *text*, unless the header makes none of them readable."""
        lines = read_lines(text, self.delimiter)
        header = next(lines, Line(1, ()))
        names = [cell.strip().lower() for cell in header.cells]
        if not self._header_serves(header.number, names):
            return
        for line in lines:
            if line.problem:
                self._complain(line.number, line.problem)
            elif len(line.cells) != len(names):
                self._complain(
                    line.number,
                    f"{len(line.cells)} columns where the header has {len(names)}; "
                    "the line is cut off, or a text that holds the delimiter lacks its quotes",
                )
            else:
                self._read_row(line.number, dict(zip(names, map(str.strip, line.cells), strict=True)))
        if not self.rows and not self.errors:
            self._complain(0, "there is no rate in it; add a line below the header")
        self._check_groups()

    def common(self, column: str, given: Any) -> Any:  # noqa: ANN401 - a currency or a date, each with its own reader.
        """Return the one value of a column of the whole deck, or complain."""
        seen = self._common[column]
        write = DECK_COLUMNS[column].write
        if given is None and not seen:
            self._complain(0, f"there is no {column}; add the column, or give it beside the file", column)
            return None
        wanted, source = (given, "what was given beside the file") if given else (next(iter(seen)), "the lines before")
        for value, line in seen.items():
            if value != wanted:
                self._complain(
                    line, f"differs from {source}, {write(wanted)}; a deck has one {column}", column, write(value)
                )
        return wanted

    def _header_serves(self, line: int, names: list[str]) -> bool:
        for name in dict.fromkeys(names):
            if name not in COLUMNS and name not in DECK_COLUMNS:
                known = ", ".join([*COLUMNS, *DECK_COLUMNS])
                self._complain(line, f"is not a column; remove it or write one of {known}", "header", name)
            if names.count(name) > 1:
                self._complain(line, "stands twice; remove one", "header", name)
        if missing := [column for column in ("price",) if column not in names]:
            self._complain(line, "there is no such column; add it", "header", missing[0])
        if not {"prefix", "country"} & set(names):
            self._complain(line, "there is no column prefix or country to name a destination; add one", "header")
        return "price" in names and bool({"prefix", "country"} & set(names))

    def _read_row(self, line: int, cells: dict[str, str]) -> None:
        known = len(self.errors)
        for name in self._common.keys() & cells.keys():
            if (value := self._value(line, name, cells[name], DECK_COLUMNS[name])) is not None:
                self._common[name].setdefault(value, line)
        filled = {name: text for name, text in cells.items() if text and name in COLUMNS}
        values = {name: self._value(line, name, text, COLUMNS[name]) for name, text in filled.items()}
        if "price" not in filled:
            self._complain(line, "is empty; write the price, 0 if it is free", "price")
        if len(self.errors) > known:
            row = DeckRow(**{"price": Decimal(0), **{name: v for name, v in values.items() if v is not None}})
            self._incomplete.add(row.key)
            return
        if values.get("service") == SMS:
            values.setdefault("per", 1)
        row = DeckRow(**values)
        for column, problem in row.problems():
            self._complain(line, problem, column, cells.get(column, ""))
        self.rows.append((line, row))

    def _value(self, line: int, name: str, text: str, column: Column) -> Any:  # noqa: ANN401 - each column has its type.
        """Read a cell, each text of a column once, or complain and return None."""
        if (name, text) in self._values:
            return self._values[name, text]
        plain = text.replace(",", ".") if column.has_decimals and self.delimiter == ";" else text
        try:
            value = self._values[name, text] = column.read(plain)
        except ValueError as error:
            self._complain(line, str(error).removeprefix(f"{name} {text!r}").lstrip(": "), name, text)
            return None
        return value

    def _check_groups(self) -> None:
        groups: dict[Key, list[tuple[int, DeckRow]]] = {}
        for line, row in self.rows:
            groups.setdefault(row.key, []).append((line, row))
        for key, group in groups.items():
            if len(group) > 1 or group[0][1].days != _EVERY_DAY or group[0][1].hours != (0, DAY_SECONDS):
                self._check_group(group, whole=key not in self._incomplete)

    def _check_group(self, group: list[tuple[int, DeckRow]], *, whole: bool) -> None:
        """Check that the rows of a rate agree, do not overlap and, when none is missing, cover the week."""
        known = len(self.errors)
        first_line, first = group[0]
        for line, row in group[1:]:
            for column in _ALIKE:
                if (value := getattr(row, column)) != getattr(first, column):
                    problem = f"differs from line {first_line}, which prices the same {row.label}; make them the same"
                    self._complain(line, problem, column, COLUMNS[column].write(value))
        for (earlier, one), (line, row) in itertools.combinations(group, 2):
            if row.overlaps(one):
                when = "the same time" if (row.days, row.hours) == (one.days, one.hours) else "overlapping times"
                problem = f"{row.label} has {when} in line {earlier}; remove one, or part their days or hours"
                self._complain(line, problem, "hours", COLUMNS["hours"].write(row.hours))
        if whole and len(self.errors) == known:
            try:
                rate_of([row for _, row in group])
            except RateError as error:
                self._complain(first_line, f"{first.label}: {error}", "days", COLUMNS["days"].write(first.days))

    def _complain(self, line: int, problem: str, column: str = "", value: str = "") -> None:
        self.errors.append(DeckError(line, column, value, problem))
