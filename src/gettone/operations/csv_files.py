"""CSV files that people give: read line by line, with everything that is wrong in them named at once.

Encodings and delimiters are those of `gettone.domain.tabular`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from gettone.domain.tabular import TableError, decode_csv, read_lines
from gettone.errors import GettoneError, InvalidFile, InvalidInput, Problem

_BETWEEN = re.compile(r"[\s,;|+]+")

Cells = dict[str, str]


def parts(cell: str) -> tuple[str, ...]:
    """The codes in a cell, separated by blanks or any of ``, ; | +``."""
    return tuple(part for part in _BETWEEN.split(cell) if part)


@dataclass(slots=True)
class CsvFile:
    """A file being read, and what is wrong with it so far."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def lines(self, data: bytes, known: tuple[str, ...], one_of: set[str]) -> Iterator[tuple[int, Cells]]:
        """Yield number and cells by column of the good lines; the bad ones become problems."""
        try:
            text, dialect = decode_csv(data)
        except TableError as error:
            raise InvalidFile(self.name, [Problem(0, "", "", str(error))]) from None
        lines = read_lines(text, dialect.delimiter)
        header = next(lines, None)
        if header is None:
            raise InvalidFile(self.name, [Problem(0, "", "", f"it is empty; begin with a line {','.join(known)}")])
        columns = [cell.strip().lower() for cell in header.cells]
        self._check_header(header.number, columns, known, one_of)
        for line in lines:
            if line.problem:
                self.problems.append(Problem(line.number, "", "", line.problem))
            elif len(line.cells) != len(columns):
                counts = f"{len(line.cells)} cells where the header has {len(columns)}"
                self.problems.append(Problem(line.number, "", "", f"{counts}; the line is cut or lacks quotes"))
            else:
                yield line.number, {name: cell.strip() for name, cell in zip(columns, line.cells, strict=True)}

    def _check_header(self, number: int, columns: list[str], known: tuple[str, ...], one_of: set[str]) -> None:
        problems = [
            Problem(number, "column", column[:80], f"there is no such column; known are {', '.join(known)}")
            for column in columns
            if column not in known
        ]
        problems += [
            Problem(number, "column", column, "it is there twice; leave one out")
            for column in sorted({column for column in columns if columns.count(column) > 1})
        ]
        if not one_of & set(columns):
            problems.append(Problem(number, "", "", f"the first line must name a column {' or '.join(sorted(one_of))}"))
        if problems:
            raise InvalidFile(self.name, problems)

    def wrong(self, line: int, error: GettoneError) -> None:
        """Remember what is wrong in *line*."""
        if isinstance(error, InvalidInput):
            self.problems.append(Problem(line, error.field, str(error.value), error.remedy))
        else:
            self.problems.append(Problem(line, "", "", str(error)))

    def once(self, line: int, column: str, value: str) -> bool:
        """Whether *value* is new in this file; else that is a problem."""
        first = self.seen.setdefault((column, value), line)
        if first != line:
            self.problems.append(Problem(line, column, value, f"it is in line {first} already; leave one out"))
        return first == line

    def raise_problems(self) -> None:
        """Refuse the file if anything is wrong with it."""
        if self.problems:
            raise InvalidFile(self.name, self.problems)
