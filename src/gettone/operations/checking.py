"""Check the values of a charging request before anything is decided; every fault names field, value and remedy."""

from collections.abc import Callable, Mapping
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

SESSION_ID_LENGTH_MAX = 255
DIALLED_LENGTH_MAX = 6
"""Short dial strings of up to this many digits are judged later, as emergency numbers."""
UNITS_MAX = 1000


def fault_of(request: Request) -> str:
    """What is wrong with *request*; empty when nothing is."""
    if not 0 < len(request.session_id) <= SESSION_ID_LENGTH_MAX:
        return f"session_id {request.session_id[:40]!r}: give 1 to {SESSION_ID_LENGTH_MAX} characters"
    if request.at is not None and request.at.tzinfo is None:
        return f"at {request.at.isoformat()!r}: give the offset from UTC, such as 2026-11-23T19:00:00Z"
    return _FAULTS[type(request)](request)


def used_less(used_seconds: int, before: int) -> str:
    """The fault of a report that takes usage back."""
    return f"used_seconds {used_seconds}: {before} were reported before; send all that the call used since its answer"


def _start(request: StartCall) -> str:
    return _number(request.request_number) or _requested(request.requested_seconds) or _called(request.called)


def _update(request: UpdateCall) -> str:
    return _number(request.request_number) or _used(request.used_seconds) or _requested(request.requested_seconds)


def _stop(request: StopCall) -> str:
    return _number(request.request_number) or _used(request.used_seconds)


def _event(request: ChargeEvent) -> str:
    if not 1 <= request.units <= UNITS_MAX:
        return f"units {request.units}: give 1 to {UNITS_MAX}"
    if request.event != "sms":
        return f"event {request.event!r}: only 'sms' can be charged"
    return _number(request.request_number) or _called(request.called)


def _record(request: RecordCall) -> str:
    return _used(request.used_seconds) or _called(request.called)


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
    return f"request_number {request_number}: count from 0 upwards" if request_number < 0 else ""


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
    if called[:1] != "+" and len(digits) <= DIALLED_LENGTH_MAX and digits.isascii() and digits.isdigit():
        return ""
    try:
        wanted = parse_e164(called)
    except NumberError as error:
        return f"called {called[:40]!r}: {error}"
    return "" if wanted == digits else f"called {called[:40]!r}: write it without separators, +{wanted}"
