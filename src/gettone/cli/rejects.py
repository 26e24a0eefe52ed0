"""``FILE.rejects.csv``: the records of an import that were not charged, each with its line, the reason and its text.

The file is made when there is something to put into it. An import that goes on after a kill keeps as many of its rows
as its progress counts, so that none is there twice and none is missing.
"""

import contextlib
import csv
import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from gettone.agents.cdr.text import ROW_LINES_MAX, Feed
from gettone.operations.call_import import Rejected

COLUMNS = ("line", "reason", "explanation", "raw")
_ZIP = b"PK\x03\x04"


class RejectsFile:
    """See `call_import.Rejects`."""

    def __init__(self, path: Path, source: Path, *, by_lines: bool) -> None:
        """Write to *path* what is rejected of *source*; *by_lines* when its records are lines of text."""
        self.path = path
        self._lines = SourceLines(source) if by_lines else None
        self._file: IO[str] | None = None
        self._writer: Any = None

    def begin(self, kept: int) -> bool:
        """See `Rejects`."""
        self.close()
        rows = self._rows(kept)
        if len(rows) < kept:
            return False
        self.path.unlink(missing_ok=True)
        for row in rows:
            self._write(row)
        return True

    def _rows(self, count: int) -> list[list[str]]:
        if not count or not self.path.exists():
            return []
        with self.path.open(encoding="utf-8", newline="") as earlier, contextlib.suppress(csv.Error):
            rows = csv.reader(earlier)
            if tuple(next(rows, ())) == COLUMNS:
                return list(islice(rows, count))
        return []

    def add(self, rejected: Rejected) -> None:
        """See `Rejects`."""
        raw = rejected.raw
        if not raw and rejected.record is not None:
            raw = (self._lines and self._lines.at(rejected.line)) or msgspec.json.encode(rejected.record).decode()
        self._write([str(rejected.line), rejected.reason, rejected.explanation, raw])

    def _write(self, row: list[str]) -> None:
        if self._file is None:
            self._file = self.path.open("w", encoding="utf-8", errors="replace", newline="")
            self._writer = csv.writer(self._file)
            self._writer.writerow(COLUMNS)
        self._writer.writerow(row)

    def flush(self) -> None:
        """See `Rejects`."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lines is not None:
            self._lines.close()


class SourceLines:
    """The text of records by the line on which they begin; asked for in ascending order."""

    def __init__(self, path: Path) -> None:
        """Read *path* a second time, as far as it is asked for."""
        self._path = path
        self._file: IO[bytes] | None = None
        self._each: Iterator[str] = iter(())
        self._next = 1

    def at(self, line: int) -> str:
        """The record that begins on *line*, with every line over which its quoted fields run; empty when none does."""
        if self._file is None or line < self._next:
            self.close()
            self._file = self._path.open("rb")
            self._each = Feed(self._file).lines()
            self._next = 1
        text = next(islice(self._each, line - self._next, None), "")
        self._next = line + 1
        while text.count('"') % 2 and text.count("\n") < ROW_LINES_MAX and (more := next(self._each, "")):
            text += more
            self._next += 1
        return text.rstrip("\r\n")

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()
            self._file = None


def is_zip(path: Path) -> bool:
    """Whether a file is an archive, and so has no lines of its own."""
    with path.open("rb") as file:
        return file.read(len(_ZIP)) == _ZIP
