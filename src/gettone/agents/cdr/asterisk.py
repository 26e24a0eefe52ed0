"""Asterisk ``Master.csv``, as ``cdr_csv`` writes it and as ``cdr_custom``'s sample orders it.

The two orders are told apart row by row: the word of the disposition stands in the 15th column of the one and the
14th of the other. There is no header; a first line that repeats the column names is skipped.

Source of the columns: cdr_csv.c and cdr_custom.conf.sample (protocol notes, section 5).
"""

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from gettone.agents.cdr import fields
from gettone.agents.cdr.records import BadLine, CallRecord, Occurrences, Reject, digest_id, shown
from gettone.agents.cdr.text import CsvRows, Feed, Row, delimiter_of, peek, translate, truncated
from gettone.agents.cdr.times import LocalClock, check_span, epoch_utc, span

DISPOSITIONS = {"ANSWERED": True, "NO ANSWER": False, "BUSY": False, "FAILED": False, "CONGESTION": False}

CDR_CSV = (
    "accountcode", "src", "dst", "dcontext", "clid", "channel", "dstchannel", "lastapp", "lastdata",
    "start", "answer", "end", "duration", "billsec", "disposition", "amaflags",
)  # fmt: skip
CDR_CUSTOM = (
    "clid", "src", "dst", "dcontext", "channel", "dstchannel", "lastapp", "lastdata",
    "start", "answer", "end", "duration", "billsec", "disposition", "amaflags", "accountcode", "uniqueid", "userfield",
)  # fmt: skip
_CSV_COLUMNS = range(16, 22)
_CUSTOM_COLUMNS = range(18, 65)
_UNIQUEID = re.compile(r"(?:.*-)?(\d{9,11})\.\d+", re.ASCII)
_REMEDY = "give cdr_csv's 16 to 21 columns or the order of cdr_custom.conf.sample"


def plausible(cells: list[str]) -> int:
    """Score a row for the choice of the separator."""
    return int(_is_cdr_csv(cells) or _is_custom(cells) or len(cells) >= len(CDR_CSV))


def _is_cdr_csv(cells: list[str]) -> bool:
    return len(cells) in _CSV_COLUMNS and cells[14] in DISPOSITIONS


def _is_custom(cells: list[str]) -> bool:
    return len(cells) in _CUSTOM_COLUMNS and cells[13] in DISPOSITIONS


def _optional_columns(cells: list[str]) -> tuple[str, str, str]:
    """Return uniqueid, linkedid and sequence of a cdr_csv row; empty where its settings leave them out.

    ``loguniqueid`` and ``loguserfield`` add a column each, ``newcdrcolumns`` adds peeraccount, linkedid, sequence.
    With only one of the first two, the shape of the value says which it is.
    """
    count = len(cells)
    linkedid, sequence = (cells[-2], cells[-1]) if count >= 19 else ("", "")
    unnamed = count - (19 if count >= 19 else 16)
    has_uniqueid = unnamed == 2 or (unnamed == 1 and _UNIQUEID.fullmatch(cells[16]) is not None)
    return (cells[16] if has_uniqueid else ""), linkedid, sequence


class _Reader:
    def __init__(self, zone: ZoneInfo, widest: int) -> None:
        self._clock = LocalClock(zone)
        self._occurrences = Occurrences()
        self._widest = widest

    def record(self, row: Row) -> CallRecord:
        cells = row.fields
        count = len(cells)
        if row.unterminated and (count < self._widest or (count >= 17 and not row.raw.endswith('"'))):
            raise truncated(row, max(self._widest, len(CDR_CSV)))
        if _is_cdr_csv(cells):
            account, src, dst, _, clid = cells[:5]
            times, disposition = cells[9:14], cells[14]
            uniqueid, linkedid, sequence = _optional_columns(cells)
        elif _is_custom(cells):
            clid, src, dst = cells[:3]
            times, disposition, account, uniqueid = cells[8:13], cells[13], cells[15], cells[16]
            linkedid, sequence = "", cells[18] if count >= 19 else ""
        else:
            raise self._unlike(cells)
        self._widest = max(self._widest, count)
        answered = DISPOSITIONS[disposition]
        started_at, seconds = self._timed(times, disposition, uniqueid)
        if uniqueid and sequence:
            record_id = f"{uniqueid}/{sequence}"
        else:
            record_id = self._occurrences.label(digest_id(cells), times[2])
        return CallRecord(
            row.line,
            record_id,
            uniqueid or linkedid or None,
            account or None,
            fields.caller_number(src or clid),
            fields.dialled("dst", dst, answered=answered),
            started_at,
            seconds,
            answered,
        )

    def _timed(self, times: list[str], disposition: str, uniqueid: str) -> tuple[datetime, int]:
        start, answer, end, duration_text, billsec_text = times
        seconds = fields.seconds("billsec", billsec_text)
        duration = fields.seconds("duration", duration_text)
        if disposition == "ANSWERED":
            if not answer:
                raise Reject("answer: '' is empty though disposition is ANSWERED; write the time of the answer")
            answers, ends = self._clock.moments("answer", answer), self._clock.moments("end", end)
            answered_at, ended_at = span(answers, ends, seconds)
            if len(answers) == len(ends) == 2:
                answered_at = self._in_the_repeated_hour(start, answered_at, answers, duration - seconds, uniqueid)
                ended_at = span((answered_at,), ends, seconds)[1]
            check_span(answered_at, ended_at, seconds)
            return answered_at, seconds
        if seconds:
            raise Reject(f"billsec: {shown(billsec_text)} for a call that is {disposition}; correct one of them")
        began = self._clock.moments("start", start)
        started_at, ended_at = span(began, self._clock.moments("end", end), duration)
        check_span(started_at, ended_at, duration)
        return started_at, 0

    def _in_the_repeated_hour(
        self, start: str, found: datetime, choices: tuple[datetime, ...], ringing: int, uniqueid: str
    ) -> datetime:
        """Ask the start, then the epoch within the uniqueid, which of the two answers is meant."""
        began = self._clock.moments("start", start)
        if len(began) == 1:
            return span(began, choices, ringing)[1]
        match = _UNIQUEID.fullmatch(uniqueid)
        if match is None:
            return found
        return span((epoch_utc("uniqueid", match[1]),), choices, ringing)[1]

    @staticmethod
    def _unlike(cells: list[str]) -> Reject:
        if len(cells) in _CSV_COLUMNS:
            return Reject(f"disposition: {shown(cells[14])} is none of {', '.join(DISPOSITIONS)}; {_REMEDY}")
        return Reject(f"line: {len(cells)} columns; {_REMEDY}")


def _headerless(feed: Feed, rows: CsvRows) -> Iterator[Row | BadLine]:
    each = iter(rows)
    for first in each:
        if isinstance(first, Row) and tuple(first.fields[:3]) in (CDR_CSV[:3], CDR_CUSTOM[:3]):
            feed.skipped += 1
        else:
            yield first
        break
    yield from each


def read(feed: Feed, zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read ``Master.csv``; *zone* is the switch's, or UTC with ``usegmtime=yes``."""
    head, lines = peek(feed.lines())
    rows = CsvRows(feed, lines, delimiter_of(head, plausible))
    return translate(_headerless(feed, rows), _Reader(zone, len(CDR_CSV)).record)
