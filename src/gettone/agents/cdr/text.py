"""From bytes to lines and CSV rows: streaming, in constant memory, with true line numbers.

- Text is UTF-8 with or without BOM, or UTF-16 (by BOM, or by its zero bytes). Bytes that are not UTF-8 are read as
  cp1252, one by one, so a log written by two programs stays legible.
- LF, CRLF and CR end a line. The last line keeps its lack of one, by which readers notice a cut file.
- A quoted field may run over several lines (RFC 4180). A quote that is never closed costs its own line only:
  reading goes on with the next line instead of swallowing the rest of the file.
"""

import codecs
import csv
import io
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice
from typing import BinaryIO, NamedTuple

from gettone.agents.cdr.records import BadLine, CallRecord, Reject

CHUNK_BYTES = 256 * 1024
LINE_CHARS_MAX = 100_000
ROW_LINES_MAX = 20
HEAD_LINES = 20
_CP1252_BYTES = "gettone-cp1252-bytes"


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    wrong = error.object[error.start : error.end]
    return "".join(bytes((byte,)).decode("cp1252", "ignore") or chr(byte) for byte in wrong), error.end


codecs.register_error(_CP1252_BYTES, _as_cp1252)


def _decoder_for(head: bytes) -> codecs.IncrementalDecoder:
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return codecs.getincrementaldecoder("utf-16")("replace")
    sample = head[:1024]
    half = len(sample) // 2
    zeros_even, zeros_odd = sample[0::2].count(0), sample[1::2].count(0)
    if half and zeros_odd * 10 >= half * 7 and not zeros_even:
        return codecs.getincrementaldecoder("utf-16-le")("replace")
    if half and zeros_even * 10 >= half * 7 and not zeros_odd:
        return codecs.getincrementaldecoder("utf-16-be")("replace")
    return codecs.getincrementaldecoder("utf-8-sig")(_CP1252_BYTES)


class Feed:
    """The bytes of one file, given out as lines.

    Attributes:
        raw: The file.
        bytes_read: How far reading has come, for a progress bar.
        skipped: Lines passed over for a documented reason.
    """

    __slots__ = ("_head", "_within", "bytes_read", "raw", "skipped")

    def __init__(self, raw: BinaryIO, *, within: "Feed | None" = None) -> None:
        self.raw = raw
        self.bytes_read = 0
        self.skipped = 0
        self._head: bytes | None = None
        self._within = within  # The archive this file is a member of: progress is counted there.

    def head(self) -> bytes:
        """Return the first bytes without using them up."""
        if self._head is None:
            self._head = self._read()
        return self._head

    def _read(self) -> bytes:
        chunk = self.raw.read(CHUNK_BYTES) or b""
        self.bytes_read += len(chunk)
        if self._within is not None:
            self._within.bytes_read = self._within.raw.tell()
        return chunk

    def lines(self, chars_max: int = LINE_CHARS_MAX) -> Iterator[str]:
        """Give each line with its LF; a line above *chars_max* is shortened, but not to within the limit."""
        chunk = self.head()
        newlines = io.IncrementalNewlineDecoder(_decoder_for(chunk), translate=True)
        carry = ""
        while chunk:
            lines = io.StringIO(carry + newlines.decode(chunk), newline="\n").readlines()
            carry = lines.pop()[: chars_max + 1] if lines and not lines[-1].endswith("\n") else ""
            yield from lines
            chunk = self._read()
        yield from io.StringIO(carry + newlines.decode(b"", final=True), newline="\n")

    def text(self) -> str:
        """Return the whole file decoded."""
        return "".join(self.lines())


class Row(NamedTuple):
    """A CSV row: the line it begins on, its text with its LF, its fields, whether the file ends in it without LF."""

    line: int
    raw: str
    fields: list[str]
    unterminated: bool


def peek(lines: Iterator[str]) -> tuple[list[str], Iterator[str]]:
    """Look at the first lines; return them and an iterator over all."""
    head = list(islice(lines, HEAD_LINES))
    return head, chain(head, lines)


def delimiter_of(lines: Iterable[str], score: Callable[[list[str]], int]) -> str:
    """Choose the separator (comma, semicolon, TAB, bar) under which *lines* score best; comma when none does."""
    kept = [line for line in lines if line.strip() and len(line) <= LINE_CHARS_MAX]

    def total(delimiter: str) -> int:
        return sum(score([cell.strip() for cell in row]) for row in csv.reader(kept, delimiter=delimiter))

    try:
        return max(",;\t|", key=total)
    except csv.Error:  # An unclosed quote over very long lines; the rows themselves will say so.
        return ","


class CsvRows:
    """The rows of a CSV file; iterate once."""

    __slots__ = ("_delimiter", "_feed", "_finished", "_line", "_lines", "_pending", "_taken")

    def __init__(self, feed: Feed, lines: Iterator[str], delimiter: str) -> None:
        self._feed = feed
        self._lines = lines
        self._delimiter = delimiter
        self._pending: deque[str] = deque()
        self._taken: list[str] = []  # The lines of the row being read.
        self._line = 0  # Lines before that row.
        self._finished = False

    def __iter__(self) -> Iterator[Row | BadLine]:
        while not self._finished:
            try:
                for fields in csv.reader(self._supply(), delimiter=self._delimiter):
                    if self._finished:
                        raise Reject("quote: opened and never closed; close it or double it")  # noqa: TRY301
                    row = self._row(fields)
                    if row is not None:
                        yield row
            except (Reject, csv.Error) as error:
                yield self._give_back(str(error))

    def _supply(self) -> Iterator[str]:
        pending, lines, taken = self._pending, self._lines, self._taken
        for line in lines if not pending else self._pending_first():
            taken.append(line)
            if len(taken) > ROW_LINES_MAX:
                raise Reject(f"quote: not closed within {ROW_LINES_MAX} lines; close it or double it")
            if len(line) > LINE_CHARS_MAX:
                raise Reject(f"line: longer than {LINE_CHARS_MAX} characters; this is no call record, remove it")
            yield line
        self._finished = True

    def _pending_first(self) -> Iterator[str]:
        while self._pending:
            yield self._pending.popleft()
        yield from self._lines

    def _row(self, fields: list[str]) -> Row | BadLine | None:
        taken = self._taken
        raw = taken[0] if len(taken) == 1 else "".join(taken)
        line = self._line + 1
        self._line += len(taken)
        taken.clear()
        unterminated = raw[-1] != "\n"
        if "\0" in raw:
            return BadLine(
                line, raw.rstrip("\n"), "line: holds NUL bytes, as a crash of the switch leaves them; take them out"
            )
        if not fields or raw.isspace():
            return None
        if not any(fields):
            self._feed.skipped += 1
            return None
        return Row(line, raw, fields, unterminated)

    def _give_back(self, reason: str) -> BadLine:
        first, *others = self._taken
        self._taken.clear()
        self._line += 1
        self._pending.extendleft(reversed(others))
        self._finished = False
        if not others and not first.endswith("\n"):
            reason = "line: truncated, the file ends inside a quoted field; take the file again when it is complete"
        return BadLine(self._line, first.rstrip("\n"), reason)


def truncated(row: Row, columns: int) -> Reject:
    """Return the refusal of a last line that was cut while it was being written."""
    return Reject(
        f"line: truncated, it has {len(row.fields)} of {columns} columns, or its last one may be cut, and no newline;"
        " take the file again when it is complete"
    )


def translate(rows: Iterable[Row | BadLine], to_record: Callable[[Row], CallRecord]) -> Iterator[CallRecord | BadLine]:
    """Turn rows into records; a row that is refused becomes a ``BadLine`` and reading goes on."""
    for row in rows:
        if isinstance(row, BadLine):
            yield row
            continue
        try:
            yield to_record(row)
        except Reject as refusal:
            yield BadLine(row.line, row.raw.rstrip("\n"), str(refusal))
