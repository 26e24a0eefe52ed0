"""Check the values of a charging request before anything is decided; every fault names field, value and remedy."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from gettone.domain.numbers import NumberError, parse_e164
from gettone.operations.messages import (
    LONGEST_CALL_SECONDS,
    ChargeEvent,
    RecordCall,
    Request,
    SettleSilent,
    StartCall,
    StopCall,
    UpdateCall,
)

TEXT_LENGTH_MAX = 255
DIALLED_LENGTH_MAX = 6
"""Dial strings of fewer digits are judged later, as emergency numbers."""
UNITS_MAX = 1000
REQUEST_NUMBER_MAX = 2**32 - 1
"""CC-Request-Number is an Unsigned32 (RFC 8506, section 8.2)."""
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD_MAX = timedelta(days=1)
"""How far ahead of ours a switch's clock may be."""


def fault_of(request: Request, now: datetime) -> str:
    """What is wrong with *request*, asked at *now*; empty when nothing is."""
    if not request.session_id:
        return f"session_id '': give 1 to {TEXT_LENGTH_MAX} characters"
    return (
        _text("session_id", request.session_id)
        or _text("org_id", request.org_id)
        or (_at(request.at, now) if request.at is not None else "")
        or _FAULTS[type(request)](request)
    )


def used_less(used_seconds: int, before: int) -> str:
    """The fault of a report that takes usage back."""
    return f"used_seconds {used_seconds}: {before} were reported before; send all that the call used since its answer"


def _start(request: StartCall) -> str:
    return _number(request.request_number) or _requested(request.requested_seconds) or _parties(request)


def _update(request: UpdateCall) -> str:
    return _number(request.request_number) or _used(request.used_seconds) or _requested(request.requested_seconds)


def _stop(request: StopCall) -> str:
    return _number(request.request_number) or _used(request.used_seconds)


def _event(request: ChargeEvent) -> str:
    if not 1 <= request.units <= UNITS_MAX:
        return f"units {request.units}: give 1 to {UNITS_MAX}"
    if request.event != "sms":
        return f"event {request.event!r}: only 'sms' can be charged"
    return _number(request.request_number) or _parties(request)


def _record(request: RecordCall) -> str:
    return _used(request.used_seconds) or _text("live_session_id", request.live_session_id) or _parties(request)


def _settle_silent(_request: SettleSilent) -> str:
    return ""


_FAULTS: Mapping[type, Callable[[Any], str]] = {
    StartCall: _start,
    UpdateCall: _update,
    StopCall: _stop,
    ChargeEvent: _event,
    RecordCall: _record,
    SettleSilent: _settle_silent,
}


def _number(request_number: int) -> str:
    if 0 <= request_number <= REQUEST_NUMBER_MAX:
        return ""
    return f"request_number {request_number}: count from 0 upwards, to {REQUEST_NUMBER_MAX}"


def _text(name: str, value: str) -> str:
    if len(value) > TEXT_LENGTH_MAX or "\0" in value or not (value.isascii() or _is_unicode(value)):
        return f"{name} {value[:40]!r}: give at most {TEXT_LENGTH_MAX} characters of Unicode, without NUL"
    return ""


def _is_unicode(value: str) -> bool:
    """Whether no half of a surrogate pair stands alone; no database would take it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _at(at: datetime, now: datetime) -> str:
    if at.tzinfo is None:
        return f"at {at.isoformat()!r}: give the offset from UTC, such as 2026-11-23T19:00:00Z"
    if not EARLIEST <= at <= now + AHEAD_MAX:
        return (
            f"at {at.isoformat()!r}: give the time of the call, from {EARLIEST.year} to now; check the switch's clock"
        )
    return ""


def _parties(request: StartCall | ChargeEvent | RecordCall) -> str:
    call_type = "" if isinstance(request, ChargeEvent) else request.call_type
    return (
        _text("calling", request.calling)
        or _text("user", request.user)
        or _text("call_type", call_type)
        or _called(request.called)
    )


def _used(used_seconds: int) -> str:
    if 0 <= used_seconds <= LONGEST_CALL_SECONDS:
        return ""
    return f"used_seconds {used_seconds}: give the whole seconds since the answer, at most {LONGEST_CALL_SECONDS}"


def _requested(requested_seconds: int) -> str:
    if 1 <= requested_seconds <= LONGEST_CALL_SECONDS:
        return ""
    return f"requested_seconds {requested_seconds}: ask for 1 to {LONGEST_CALL_SECONDS}"


def _called(called: str) -> str:
    digits = called[1:] if called[:1] == "+" else called
    if len(digits) < DIALLED_LENGTH_MAX and digits.isascii() and digits.isdigit():
        return ""
    try:
        wanted = parse_e164(called)
    except NumberError as error:
        return f"called {called[:40]!r}: {error}"
    return "" if wanted == digits else f"called {called[:40]!r}: write it without separators, +{wanted}"
