"""Microsoft Graph ``pstnCallLogRow`` as JSON: one page, a list of pages, a bare array of rows, or JSON lines of these.

``charge`` and ``connectionCharge`` are JSON doubles; their digits are read as decimals, exactly as written, and never
pass through a float. Times are UTC. JSON lines are read one by one; any other document is read whole, since JSON
cannot be cut before it is parsed, and its ``line`` is the number of the row (most pages are one long line).

Source of the names: GET /communications/callRecords/getPstnCalls (protocol notes, section 5).
"""

from collections.abc import Iterator
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from gettone.agents.cdr.pstn import Names, PstnRow, pstn_record
from gettone.agents.cdr.records import BadLine, CallRecord, FormatError, Reject
from gettone.agents.cdr.text import Feed, peek

LINE_CHARS_MAX = 64 * 1024 * 1024
_NAMES = Names(
    "callerNumber", "calleeNumber", "startDateTime", "endDateTime", "duration", "callType", "charge",
    "connectionCharge", "currency",
)  # fmt: skip


class _LogRow(msgspec.Struct, rename="camel"):
    id: str
    start_date_time: str
    duration: int
    call_id: str | None = None
    user_id: str | None = None
    user_principal_name: str | None = None
    end_date_time: str | None = None
    call_type: str | None = None
    caller_number: str | None = None
    callee_number: str | None = None
    charge: Decimal | None = None
    connection_charge: Decimal | None = None
    currency: str | None = None
    correlation_id: str | None = None


class _GraphError(msgspec.Struct):
    code: str = ""
    message: str = ""


class _Object(msgspec.Struct):
    value: list[msgspec.Raw] | None = None
    error: _GraphError | None = None


_row_of = msgspec.json.Decoder(_LogRow)
_object_of = msgspec.json.Decoder(_Object)
_any_of = msgspec.json.Decoder(msgspec.Raw)
_list_of = msgspec.json.Decoder(list[msgspec.Raw])
_Unreadable = (msgspec.MsgspecError, RecursionError, UnicodeError, ArithmeticError)


def _rows(document: bytes) -> Iterator[bytes]:
    """Give the text of each row in a page, a list of pages, a list of rows, or a row."""
    _any_of.decode(document)  # A row may be refused by itself, but only within a document that is JSON.
    if document.lstrip()[:1] == b"[":
        for item in _list_of.decode(document):
            yield from _rows_of_object(bytes(item))
    else:
        yield from _rows_of_object(document)


def _rows_of_object(text: bytes) -> Iterator[bytes]:
    try:
        page = _object_of.decode(text)
    except _Unreadable:
        yield text  # Not a page; as a row it will be refused by name.
        return
    if page.error is not None:
        raise FormatError(
            f"error: Graph answered {page.error.code!r} ({page.error.message[:200]}) instead of rows; fetch them again"
        )
    if page.value is None:
        yield text
    else:
        yield from map(bytes, page.value)


def _text(amount: Decimal | None, field: str) -> str:
    if amount is None:
        return ""
    if not amount.is_finite() or abs(amount.adjusted()) > 30:
        raise Reject(f"{field}: {str(amount)[:40]!r} is not an amount; correct it")
    return f"{amount:f}"


def _values(row: _LogRow) -> PstnRow:
    if row.correlation_id is not None:
        raise Reject("correlationId: a directRoutingLogRow, whose duration includes ringing; fetch getPstnCalls")
    if not row.id:
        raise Reject("id: '' is empty; fetch the row again")
    return PstnRow(
        row.id,
        row.call_id or "",
        row.user_principal_name or row.user_id or "",
        row.caller_number or "",
        row.callee_number or "",
        row.start_date_time,
        row.end_date_time or "",
        str(row.duration),
        row.call_type or "",
        _text(row.charge, "charge"),
        _text(row.connection_charge, "connectionCharge"),
        row.currency or "",
    )


def _record(number: int, text: bytes) -> CallRecord | BadLine:
    try:
        return pstn_record(number, _values(_row_of.decode(text)), _NAMES)
    except Reject as refusal:
        reason = str(refusal)
    except _Unreadable as error:
        reason = f"row: {error}; give a pstnCallLogRow as Graph sends it"
    return BadLine(number, text.decode("utf-8", "replace"), reason)


def _is_complete(line: str) -> bool:
    try:
        _any_of.decode(line.encode("utf-8", "replace"))
    except _Unreadable:
        return False
    return True


def _json_lines(lines: Iterator[str]) -> Iterator[CallRecord | BadLine]:
    for number, line in enumerate(lines, start=1):
        raw = line.strip()
        if not raw:
            continue
        if len(line) > LINE_CHARS_MAX:
            yield BadLine(number, raw, f"line: longer than {LINE_CHARS_MAX} characters; put one page on a line")
            continue
        try:
            for text in _rows(raw.encode("utf-8", "replace")):
                yield _record(number, text)
        except _Unreadable as error:
            cut = "" if line.endswith("\n") else "truncated, "
            yield BadLine(number, raw, f"line: {cut}not JSON ({error}); take the file again when it is complete")


def _document(lines: Iterator[str]) -> Iterator[CallRecord | BadLine]:
    document = "".join(lines).encode("utf-8", "replace")
    if not document.strip():
        raise FormatError("file: empty; a page of getPstnCalls is needed")
    try:
        rows = list(_rows(document))
    except _Unreadable as error:
        raise FormatError(f"file: neither JSON nor JSON lines ({error}); fetch the pages again") from error
    del document
    for number, text in enumerate(rows, start=1):
        yield _record(number, text)


def read(feed: Feed, _zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read pages or rows.

    Raises:
        FormatError: The document is not JSON, or it is Graph's answer of an error.
    """
    head, lines = peek(feed.lines(LINE_CHARS_MAX))
    begun = [line.strip() for line in head if line.strip()]
    if len(begun) > 1 and (_is_complete(begun[0]) or (begun[0][:1] == begun[1][:1] == "{" != begun[0])):
        return _json_lines(lines)
    return _document(lines)
