"""CSV files with a header line: columns are found by name, whatever their order and separator."""

from collections.abc import Iterable, Iterator

from gettone.agents.cdr.records import FormatError, Reject
from gettone.agents.cdr.text import CsvRows, Feed, Row, delimiter_of, peek, truncated

_MARKS = str.maketrans("", "", " _-/()\ufeff\"'")


def key(name: str) -> str:
    """Return *name* without case, spaces and marks, so that ``Call ID`` and ``CallId`` are one column."""
    return name.translate(_MARKS).lower()


class Columns:
    """Where each known column stands, and how a file with them is separated."""

    __slots__ = ("_width", "delimiter", "last", "places")

    def __init__(self, header: list[str], known: Iterable[str], delimiter: str) -> None:
        names = {key(name): name for name in known}
        self.delimiter = delimiter
        self._width = len(header)
        self.last = names.get(key(header[-1]), "") if header else ""
        self.places: dict[str, int] = {}
        for place, cell in enumerate(header):
            if (name := names.get(key(cell))) is not None:
                if name in self.places:
                    raise FormatError(f"header: column {name!r} is there twice; keep one")
                self.places[name] = place

    @property
    def decimal_comma(self) -> bool:
        """Whether amounts follow the habit of files separated by semicolons."""
        return self.delimiter == ";"

    def cells(self, row: Row, safe_last: frozenset[str]) -> list[str]:
        """Return the row's cells; refuse a row of another width, and a last row that may be cut.

        Args:
            row: The row.
            safe_last: Columns in which a cut could not change what is charged.
        """
        cells = row.fields
        if row.unterminated and (
            len(cells) < self._width or (self.last not in safe_last and not row.raw.endswith('"'))
        ):
            raise truncated(row, self._width)
        if len(cells) < self._width or any(cells[self._width :]):
            raise Reject(
                f"line: {len(cells)} columns where the header has {self._width}; quote values that hold the separator"
            )
        return cells


def open_table(feed: Feed, known: tuple[str, ...], required: frozenset[str]) -> tuple[Columns, CsvRows, list[str]]:
    """Read the header; return its known columns, the rows after it, and the names that are not known.

    Raises:
        FormatError: The file is empty, its first line is no header, or required columns are missing.
    """
    head, lines = peek(feed.lines())
    keys = {key(name) for name in known}
    first = [line for line in head if line.strip()][:1]
    if not first:
        raise FormatError("file: empty; a header line with the column names is needed")
    delimiter = delimiter_of(first, lambda cells: sum(key(cell) in keys for cell in cells))
    rows = CsvRows(feed, lines, delimiter)
    header = _first_row(rows)
    columns = Columns(header, known, delimiter)
    missing = [name for name in known if name in required and name not in columns.places]
    if missing:
        raise FormatError(
            f"header: {', '.join(missing)} missing; the first line must name the columns {', '.join(known)}"
        )
    return columns, rows, [cell for cell in header if cell.strip() and key(cell) not in keys]


def _first_row(rows: CsvRows) -> list[str]:
    iterator: Iterator[object] = iter(rows)
    row = next(iterator, None)
    if not isinstance(row, Row):
        raise FormatError("header: the first line cannot be read; write the column names there")
    return row.fields
