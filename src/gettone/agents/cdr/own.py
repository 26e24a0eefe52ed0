"""Gettone's own call-record CSV: a header line, one call a line; what we would wish every switch wrote.

Columns, in any order: ``record_id, session_id, user, calling, called, started_at, seconds, answered, call_type,
charge, currency``. Required: ``record_id, calling, called, started_at, seconds``. ``started_at`` is ISO 8601 with an
offset; ``answered`` is ``yes`` or ``no`` and, left empty, means that there were seconds to charge.

Invariant: what ``write_records`` writes, ``read`` gives back equal, apart from the line number.
"""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC
from typing import BinaryIO
from zoneinfo import ZoneInfo

from gettone.agents.cdr import fields
from gettone.agents.cdr.header import Columns, open_table
from gettone.agents.cdr.records import BadLine, CallRecord, FormatError, Reject, shown
from gettone.agents.cdr.text import Feed, Row, translate
from gettone.agents.cdr.times import iso_utc

COLUMNS = (
    "record_id", "session_id", "user", "calling", "called", "started_at", "seconds", "answered", "call_type",
    "charge", "currency",
)  # fmt: skip
REQUIRED = frozenset({"record_id", "calling", "called", "started_at", "seconds"})
_SAFE_LAST = frozenset({"answered", "call_type", "charge", "currency"})
_ANSWERED = {"yes": True, "no": False, "true": True, "false": False, "1": True, "0": False}


class _Reader:
    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        # Absent columns point behind the row, where one empty cell is appended.
        self._places = [columns.places.get(name, -1) for name in COLUMNS]

    def record(self, row: Row) -> CallRecord:
        cells = [*self._columns.cells(row, _SAFE_LAST), ""]
        record_id, session_id, user, calling, called, started, seconds, answered, call_type, charge, currency = [
            cells[place].strip() for place in self._places
        ]
        if not record_id:
            raise Reject("record_id: '' is empty; give each call an id of its own, so that it counts once")
        started_at = iso_utc("started_at", started)
        duration = fields.seconds("seconds", seconds)
        was_answered = self._answered(answered, duration)
        reported = fields.charge("charge", charge, decimal_comma=self._columns.decimal_comma) if charge else None
        return CallRecord(
            row.line,
            record_id,
            session_id or None,
            user or None,
            fields.caller_number(calling),
            fields.dialled("called", called, answered=was_answered),
            started_at,
            duration,
            was_answered,
            fields.call_type("call_type", call_type) if call_type else None,
            reported,
            fields.currency("currency", currency, reported) if currency or reported else None,
        )

    @staticmethod
    def _answered(text: str, seconds: int) -> bool:
        if not text:
            return seconds > 0
        answered = _ANSWERED.get(text.lower())
        if answered is None:
            raise Reject(f"answered: {shown(text)} is neither yes nor no; write one of them")
        if seconds and not answered:
            raise Reject(f"answered: {shown(text)} with {seconds} seconds; correct one of them")
        return answered


def read(feed: Feed, _zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read our own CSV; its times carry their offsets.

    Raises:
        FormatError: Required columns are missing, or there are columns we do not know (a misspelt one would be lost).
    """
    columns, rows, unknown = open_table(feed, COLUMNS, REQUIRED)
    if unknown:
        raise FormatError(
            f"header: unknown column {', '.join(map(shown, unknown))}; remove or rename it;"
            f" known are {', '.join(COLUMNS)}"
        )
    return translate(rows, _Reader(columns).record)


def write_records(records: Iterable[CallRecord], target: BinaryIO) -> int:
    """Write *records* to *target* as our own CSV in UTF-8; return how many.

    Raises:
        ValueError: A record would not be read back as it is; nothing of that record is written.
    """
    text = io.TextIOWrapper(target, encoding="utf-8", newline="")
    writer = csv.writer(text, lineterminator="\n")
    check = _Reader(Columns(list(COLUMNS), COLUMNS, ","))
    count = 0
    try:
        writer.writerow(COLUMNS)
        for record in records:
            writer.writerow(_checked_cells(record, check))
            count += 1
        text.flush()
    finally:
        text.detach()
    return count


def _checked_cells(record: CallRecord, check: _Reader) -> list[str]:
    """Return the cells of *record*, having read them back."""
    cells = _cells(record)
    for name, cell in zip(COLUMNS, cells, strict=True):
        if not cell.isprintable():
            raise ValueError(f"{name}: {cell!r} holds control characters; take them out")
    came_back = check.record(Row(record.line, "", cells, unterminated=False))
    for name in CallRecord.__slots__:
        given, got = getattr(record, name), getattr(came_back, name)
        if given != got:
            raise ValueError(f"{name}: {given!r} would come back as {got!r}; clean it")
    return cells


def _cells(record: CallRecord) -> list[str]:
    return [
        record.record_id,
        record.session_id or "",
        record.user or "",
        record.calling,
        record.called,
        record.started_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        str(record.seconds),
        "yes" if record.answered else "no",
        record.call_type or "",
        record.reported_charge or "",
        record.currency or "",
    ]
