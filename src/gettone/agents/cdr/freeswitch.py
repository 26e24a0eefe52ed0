"""FreeSWITCH ``mod_cdr_csv``, the default template ``example``: 15 quoted columns, no header.

FreeSWITCH does not double the quotes inside a value. A caller's name with quotes and commas therefore falls into
several columns; since the name comes first, the other 14 are counted from the right.

Source of the columns: mod_cdr_csv's configuration (protocol notes, section 5).
"""

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from gettone.agents.cdr import fields
from gettone.agents.cdr.records import BadLine, CallRecord, Occurrences, Reject, digest_id, shown
from gettone.agents.cdr.text import CsvRows, Feed, Row, delimiter_of, peek, translate, truncated
from gettone.agents.cdr.times import LocalClock, check_span, span

COLUMNS = (
    "caller_id_name", "caller_id_number", "destination_number", "context", "start_stamp", "answer_stamp", "end_stamp",
    "duration", "billsec", "hangup_cause", "uuid", "bleg_uuid", "accountcode", "read_codec", "write_codec",
)  # fmt: skip


class _Reader:
    def __init__(self, zone: ZoneInfo) -> None:
        self._clock = LocalClock(zone)
        self._occurrences = Occurrences()

    def record(self, row: Row) -> CallRecord:
        cells = row.fields
        if len(cells) < len(COLUMNS):
            if row.unterminated:
                raise truncated(row, len(COLUMNS))
            raise Reject(f"line: {len(cells)} of 15 columns; use cdr_csv's template 'example'")
        calling, called, _, start, answer, end, duration, billsec, _, uuid, _, account, _, _ = cells[-14:]
        started_at, seconds = self._timed(start, answer, end, duration, billsec)
        return CallRecord(
            row.line,
            uuid or self._occurrences.label(digest_id(cells), end),
            uuid or None,
            account or None,
            fields.caller_number(calling),
            fields.dialled("destination_number", called, answered=bool(answer)),
            started_at,
            seconds,
            bool(answer),
        )

    def _timed(self, start: str, answer: str, end: str, duration: str, billsec: str) -> tuple[datetime, int]:
        """Take the answer and billsec, or, unanswered, the start and 0; start and duration date the end."""
        whole, seconds = fields.seconds("duration", duration), fields.seconds("billsec", billsec)
        began, ended_at = span(self._clock.moments("start_stamp", start), self._clock.moments("end_stamp", end), whole)
        if not answer:
            if seconds:
                raise Reject(f"billsec: {shown(billsec)} without an answer_stamp; write the time of the answer")
            check_span(began, ended_at, whole)
            return began, 0
        answered_at = span(self._clock.moments("answer_stamp", answer), (ended_at,), seconds)[0]
        check_span(answered_at, ended_at, seconds)
        return answered_at, seconds


def _headerless(feed: Feed, rows: CsvRows) -> Iterator[Row | BadLine]:
    each = iter(rows)
    for first in each:
        if isinstance(first, Row) and tuple(first.fields[:2]) == COLUMNS[:2]:
            feed.skipped += 1
        else:
            yield first
        break
    yield from each


def read(feed: Feed, zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read a ``cdr_csv`` file; *zone* is the switch's."""
    head, lines = peek(feed.lines())
    rows = CsvRows(feed, lines, delimiter_of(head, lambda cells: int(len(cells) >= len(COLUMNS))))
    return translate(_headerless(feed, rows), _Reader(zone).record)
