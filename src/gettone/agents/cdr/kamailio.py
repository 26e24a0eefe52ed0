"""Kamailio ``acc``: log lines (CDRs, or INVITE and BYE to be joined, missed calls) and the ``acc_cdrs`` table as CSV.

A call is known by its Call-ID, so a CDR line, the join of its transactions and its row of the table all have the
same ``record_id`` and count once, even when a log holds both kinds or is cut by rotation between them.

Invariants:

- An INVITE waits for its BYE. What still waits at the end of the file, or a BYE without its INVITE, becomes a
  ``BadLine``: the answer to it is to read both logs as one.
- The number charged is the Request-URI's (``dst_user``, ``callee``) before the To header's (``dst_ouser``): a caller
  writes what he likes into To, while the Request-URI is what was routed.

Source: kamailio 5.6 acc, seen (protocol notes, section 5); RFC 3261 for Call-ID and the codes.
"""

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from gettone.agents.cdr import fields
from gettone.agents.cdr.records import (
    SECONDS_MAX,
    BadLine,
    CallRecord,
    FormatError,
    Occurrences,
    Reject,
    digest_id,
    shown,
)
from gettone.agents.cdr.text import CsvRows, Feed, Row, peek, translate, truncated
from gettone.agents.cdr.times import LocalClock, check_span, epoch_utc, span

CALLING = ("caller", "src_user", "calling", "from_user", "src", "from_uri", "src_uri")
CALLED = ("callee", "dst_user", "called", "to_user", "dst", "dst_uri", "ruri", "dst_ouser", "to_uri")
CALL_ID = ("ci", "call_id", "callid")
ACCOUNT = ("account", "accountcode", "auth_user", "username", "user")

_FIELDS = frozenset(
    (*CALLING, *CALLED, *CALL_ID, *ACCOUNT, "timestamp", "method", "code", "start_time", "end_time", "duration")
)
_OPEN_CALLS_MAX = 200_000
_ENDED_CALLS_REMEMBERED = 50_000
_CHALLENGES = ("401", "407")
_URI_PARAMETERS = frozenset({"phone", "ip", "udp", "tcp", "tls"})
_ACC = re.compile(r"ACC: (transaction answered|call missed|request accounted|request acknowledged): ")
_CDR = "start_time="


def _values(text: str) -> dict[str, str]:
    """Split ``name=value;`` pairs; URI parameters (``user=phone``) are no fields.

    A caller may write semicolons into his own name, so a field that comes twice with two values is refused.
    """
    values: dict[str, str] = {}
    for pair in text.split(";"):
        name, equals, value = pair.strip().partition("=")
        if not equals or value in _URI_PARAMETERS:
            continue
        if values.setdefault(name, value) != value and name in _FIELDS:
            raise Reject(f"{name}: given twice ({shown(values[name])}, {shown(value)}); correct the line")
    return values


def _first(values: dict[str, str], names: tuple[str, ...]) -> str:
    for name in names:
        if value := values.get(name):
            return value
    return ""


def _missed_id(call_id: str) -> str:
    return f"{call_id};missed"


_Moments = Callable[[str, str], tuple[datetime, ...]]


def _cdr(line: int, values: dict[str, str], moments: _Moments, row_id: str) -> CallRecord:
    """Build the record of a CDR line or of a row of ``acc_cdrs``."""
    started = values.get("start_time", "")
    seconds = fields.seconds("duration", values.get("duration", ""))
    answered = values["duration"].strip("0.,") != ""
    started_at, ended_at = span(
        moments("start_time", started), moments("end_time", values.get("end_time", "")), seconds
    )
    check_span(started_at, ended_at, seconds)
    call_id = _first(values, CALL_ID)
    own_id = (call_id if answered else _missed_id(call_id)) if call_id else row_id
    return CallRecord(
        line,
        own_id,
        call_id or None,
        _first(values, ACCOUNT) or None,
        fields.caller_number(_first(values, CALLING)),
        fields.dialled("callee", _first(values, CALLED), answered=answered),
        started_at,
        seconds,
        answered,
    )


def _whole_seconds(invite: datetime, bye: datetime) -> int:
    if bye < invite:
        raise Reject(f"timestamp: the BYE ({bye.isoformat()}) is before the INVITE; correct the clock")
    length = (bye - invite) // timedelta(seconds=1)
    if length > SECONDS_MAX:
        raise Reject(f"timestamp: {length} s from INVITE to BYE are more than 7 days; correct the times")
    return length


@dataclass(slots=True)
class _Waiting:
    line: int
    raw: str
    at: datetime
    values: dict[str, str]


class _LogReader:
    """Joins transactions; remembers only calls in progress and, for a while, calls just ended."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._occurrences = Occurrences()
        # OrderedDict, because a plain dict finds its oldest key ever more slowly as older ones are removed.
        self._invites: OrderedDict[str, _Waiting] = OrderedDict()
        self._byes: OrderedDict[str, _Waiting] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()
        self._transactions_seen = False

    def read(self, lines: Iterator[str]) -> Iterator[CallRecord | BadLine]:
        for number, line in enumerate(lines, start=1):
            raw = line.rstrip("\n")
            if not raw or raw.isspace():
                continue
            try:
                yield from self._line(number, raw, cut=not line.endswith("\n"))
            except Reject as refusal:
                yield BadLine(number, raw, str(refusal))
        for waiting in sorted((*self._invites.values(), *self._byes.values()), key=lambda waiting: waiting.line):
            yield self._never_joined(waiting)

    def _line(self, number: int, raw: str, *, cut: bool) -> Iterator[CallRecord | BadLine]:
        transaction = _ACC.search(raw)
        cdr_at = raw.find(_CDR)
        if transaction is None and cdr_at < 0:
            self._feed.skipped += 1
            return
        if cut:
            raise Reject("line: truncated, it has no newline; take the file again when it is complete")
        if "\0" in raw:
            raise Reject("line: holds NUL bytes, as a crash of the machine leaves them; take them out")
        if transaction is not None:
            yield from self._transaction(number, raw, transaction[1], _values(raw[transaction.end() :]))
        else:
            yield from self._cdr_line(number, raw[cdr_at:])

    def _cdr_line(self, number: int, text: str) -> Iterator[CallRecord]:
        values = _values(text)
        call_id = _first(values, CALL_ID)
        if not call_id and self._transactions_seen:
            raise Reject(
                "ci: missing, while INVITE and BYE are logged too, so the call would count twice;"
                " add ci=$dlg(callid) to cdr_extra"
            )
        row_id = "" if call_id else self._occurrences.label(digest_id([text]), values.get("end_time", ""))
        record = _cdr(number, values, lambda field, value: (epoch_utc(field, value),), row_id)
        if call_id and record.answered:
            for waiting in (self._invites, self._byes):
                self._feed.skipped += waiting.pop(call_id, None) is not None
        if self._is_new(record):
            yield record

    def _transaction(self, number: int, raw: str, what: str, values: dict[str, str]) -> Iterator[CallRecord | BadLine]:
        self._transactions_seen = True
        method, code, call_id = values.get("method", ""), values.get("code", ""), _first(values, CALL_ID)
        if method not in ("INVITE", "BYE") or what.startswith("request") or code in _CHALLENGES:
            self._feed.skipped += 1
            return
        at = epoch_utc("timestamp", values.get("timestamp", ""))
        if not call_id:
            raise Reject("call_id: missing; INVITE and BYE cannot be joined without it")
        waiting = _Waiting(number, raw, at, values)
        if method == "BYE":
            yield from self._bye(call_id, waiting)
        elif what == "call missed" or not code.startswith("2"):
            record = self._record(call_id, waiting, seconds=0, answered=False)
            if self._is_new(record):
                yield record
        elif call_id in self._invites or call_id in self._ended:
            self._feed.skipped += 1  # A re-INVITE within the call, or its retransmission.
        elif (bye := self._byes.pop(call_id, None)) is not None:
            yield from self._join(call_id, waiting, bye)
        else:
            self._invites[call_id] = waiting
            yield from self._give_up(self._invites, at)

    def _bye(self, call_id: str, bye: _Waiting) -> Iterator[CallRecord | BadLine]:
        if (invite := self._invites.pop(call_id, None)) is not None:
            yield from self._join(call_id, invite, bye)
        elif call_id in self._ended or call_id in self._byes:
            self._feed.skipped += 1  # Both sides hung up, or the BYE was sent again.
        else:
            self._byes[call_id] = bye
            yield from self._give_up(self._byes, bye.at)

    def _join(self, call_id: str, invite: _Waiting, bye: _Waiting) -> Iterator[CallRecord | BadLine]:
        try:
            length = _whole_seconds(invite.at, bye.at)
            record = self._record(call_id, invite, seconds=length, answered=True)
        except Reject as refusal:
            yield BadLine(invite.line, invite.raw, str(refusal))
            yield BadLine(bye.line, bye.raw, f"its INVITE on line {invite.line} was refused: {refusal}")
        else:
            self._feed.skipped += 1  # The BYE's line, told by its INVITE's record.
            if self._is_new(record):
                yield record

    @staticmethod
    def _record(call_id: str, invite: _Waiting, *, seconds: int, answered: bool) -> CallRecord:
        values = invite.values
        return CallRecord(
            invite.line,
            call_id if answered else _missed_id(call_id),
            call_id,
            _first(values, ACCOUNT) or None,
            fields.caller_number(_first(values, CALLING)),
            fields.dialled("dst_user", _first(values, CALLED), answered=answered),
            invite.at,
            seconds,
            answered,
        )

    def _is_new(self, record: CallRecord) -> bool:
        """Note a call as ended; a second report of it is a documented skip."""
        if record.record_id in self._ended:
            self._feed.skipped += 1
            return False
        self._ended[record.record_id] = None
        if len(self._ended) > _ENDED_CALLS_REMEMBERED:
            self._ended.popitem(last=False)
        return True

    def _give_up(self, waiting: OrderedDict[str, _Waiting], now: datetime) -> Iterator[BadLine]:
        """Keep memory bounded: what has waited for a week, or is the oldest of very many, is given back."""
        call_id, oldest = next(iter(waiting.items()))
        if len(waiting) > _OPEN_CALLS_MAX or now - oldest.at > timedelta(seconds=SECONDS_MAX):
            del waiting[call_id]
            yield self._never_joined(oldest)

    @staticmethod
    def _never_joined(waiting: _Waiting) -> BadLine:
        if waiting.values["method"] == "BYE":
            reason = "call_id: a BYE without its INVITE; give the earlier log and this one as one file"
        else:
            reason = "call_id: an INVITE without its BYE; give this log and the next one as one file"
        return BadLine(waiting.line, waiting.raw, f"{reason} ({shown(_first(waiting.values, CALL_ID))})")


class _TableReader:
    """Rows of ``acc_cdrs``; times are epochs or, as the database shows them, local."""

    def __init__(self, header: list[str], zone: ZoneInfo) -> None:
        self._header = header
        self._clock = LocalClock(zone)
        self._occurrences = Occurrences()

    def _moments(self, field: str, text: str) -> tuple[datetime, ...]:
        return self._clock.moments(field, text) if "-" in text else (epoch_utc(field, text),)

    def record(self, row: Row) -> CallRecord:
        if row.unterminated and (len(row.fields) < len(self._header) or not row.raw.endswith('"')):
            raise truncated(row, len(self._header))
        if len(row.fields) != len(self._header):
            raise Reject(f"line: {len(row.fields)} columns where the header has {len(self._header)}; quote the values")
        values = dict(zip(self._header, map(str.strip, row.fields), strict=True))
        row_id = self._occurrences.label(digest_id(row.fields), values["end_time"])
        return _cdr(row.line, values, self._moments, row_id)


def _header_of(line: str) -> tuple[str, list[str]] | None:
    """Return separator and column names when *line* is the header of ``acc_cdrs``."""

    def names(delimiter: str) -> list[str]:
        return [name.strip().strip('"').lower() for name in line.strip().split(delimiter)]

    for delimiter in ",;\t|":
        if {"start_time", "end_time", "duration"} <= set(header := names(delimiter)):
            return delimiter, header
    return None


def read(feed: Feed, zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read a log with acc's lines, or ``acc_cdrs`` as CSV; *zone* is that of the table's times."""
    head, lines = peek(feed.lines())
    found = _header_of(next((line for line in head if line.strip()), ""))
    if found is None:
        return _LogReader(feed).read(lines)
    delimiter, header = found
    rows = iter(CsvRows(feed, lines, delimiter))
    if not isinstance(next(rows), Row):
        raise FormatError("header: cannot be read; write the column names of acc_cdrs without quotes")
    feed.skipped += 1
    return translate(rows, _TableReader(header, zone).record)
