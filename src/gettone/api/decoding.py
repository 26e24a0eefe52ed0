"""Bodies to messages, and clear errors for those that cannot be read: the field, its value, what to do."""

import re
from typing import Any

import msgspec

from gettone.api.problems import ApiError, FieldError, invalid
from gettone.api.wire import BatchBody, Event, RawBatchBody, Start, StopBody, UpdateBody, WireRequest
from gettone.domain.refusals import Refusal
from gettone.operations.messages import Refused

BATCH_MAX = 1000

decode_start = msgspec.json.Decoder(Start)
decode_event = msgspec.json.Decoder(Event)
decode_update = msgspec.json.Decoder(UpdateBody)
decode_stop = msgspec.json.Decoder(StopBody)
decode_batch = msgspec.json.Decoder(BatchBody)
decode_raw_batch = msgspec.json.Decoder(RawBatchBody)
decode_request: "msgspec.json.Decoder[WireRequest]" = msgspec.json.Decoder(WireRequest)

_AT_FIELD = re.compile(r"^(?P<text>.*?)(?: - at `(?:key in )?\$(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (?P<what>missing required|contains unknown) field `(?P<field>[^`]*)`")
_PARAMETER_MISSING = re.compile(r"^Missing required (?P<kind>\w+ parameter) '(?P<field>[^']*)'")
_TYPES = {
    "int": "a whole number",
    "str": "a text",
    "bool": "true or false",
    "float": "a number with decimals",
    "array": "a list",
    "object": "an object",
    "datetime": "a time such as 2026-11-23T19:00:00Z",
}
_STEPS = re.compile(r"\.([^.\[]+)|\[(\d+)\]")


def decoded(decoder: "msgspec.json.Decoder[Any]", body: bytes) -> Any:  # noqa: ANN401 - what the decoder makes
    """Decode *body*; raise `ApiError` 400 when it is not JSON, 422 when it is not what is asked for."""
    try:
        value = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid([explained(error, body)]) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise not_json(error) from None
    except RecursionError:
        raise invalid([FieldError("nest it less deeply")], status=400) from None
    return value


def not_json(error: Exception) -> ApiError:
    """The error of a body that is no JSON at all."""
    return invalid([FieldError(f"the body is not JSON in UTF-8 ({error}); send one JSON object")], status=400)


def explained(error: msgspec.ValidationError, body: bytes) -> FieldError:
    """Say which field of *body* is wrong, what it has, and what is expected."""
    found = _AT_FIELD.match(str(error))
    text, path = (found["text"], found["path"] or "") if found else (str(error), "")
    told = in_our_words(text, path.lstrip("."))
    if told.field != path.lstrip("."):
        return told
    return FieldError(told.remedy, told.field or "body", _value_at(body, path))


def in_our_words(text: str, field: str) -> FieldError:
    """What the decoder's *text* about *field* means to whoever sent it."""
    if missing := _PARAMETER_MISSING.match(text):
        return FieldError(f"this {missing['kind']} is required; add it", missing["field"])
    named = _NAMED.match(text)
    if named is None:
        return FieldError(_remedy(text), field)
    inner = f"{field}.{named['field']}".lstrip(".")
    if named["what"] == "missing required":
        return FieldError("this field is required; add it", inner)
    return FieldError("there is no such field; correct its name or leave it out", inner)


def batch_items(body: bytes, *, lines: bool) -> list[WireRequest | Refused]:
    """Read a batch: requests, and in their places refusals of those that cannot be read.

    Raises `ApiError` when the batch as a whole cannot be read, is empty, or is longer than `BATCH_MAX`.
    """
    try:
        requests: list[WireRequest] = decode_request.decode_lines(body) if lines else decode_batch.decode(body).requests
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _one_by_one(body, lines=lines)
    if not 1 <= len(requests) <= BATCH_MAX:
        raise _wrong_length(len(requests))
    return list(requests)


def _one_by_one(body: bytes, *, lines: bool) -> list[WireRequest | Refused]:
    """Read a batch of which some requests cannot be read."""
    if lines:
        pieces = [line for line in body.splitlines() if line.strip()]
    else:
        pieces = [bytes(piece) for piece in decoded(decode_raw_batch, body).requests]
    if not 1 <= len(pieces) <= BATCH_MAX:
        raise _wrong_length(len(pieces))
    return [_read_or_refused(piece) for piece in pieces]


def _read_or_refused(piece: bytes) -> WireRequest | Refused:
    try:
        request: WireRequest = decoded(decode_request, piece)
    except ApiError as error:
        return _refused(piece, error.problem.detail)
    return request


def _refused(piece: bytes, detail: str) -> Refused:
    """Refuse a request that cannot be read, under as much of its name as can be."""
    try:
        names = msgspec.json.decode(piece)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        names = {}
    names = names if isinstance(names, dict) else {}
    number = names.get("request_number")
    return Refused(
        org_id=_text(names.get("org_id")),
        session_id=_text(names.get("session_id")),
        request_number=number if isinstance(number, int) and not isinstance(number, bool) else -1,
        reason=Refusal.INVALID_REQUEST,
        detail=detail,
    )


def _text(value: object) -> str:
    return value[:255] if isinstance(value, str) else ""


def _wrong_length(length: int) -> ApiError:
    return invalid([FieldError(f"send 1 to {BATCH_MAX} requests in one batch", "requests", f"{length} requests")])


def _remedy(text: str) -> str:
    """The decoder's words as what to do, without the names of its types."""
    plain = f"{text[:1].lower()}{text[1:]}".replace("expected", "give", 1)
    for name, meaning in _TYPES.items():
        plain = plain.replace(f"`{name}`", meaning)
    return plain.replace("`", "'")


def _value_at(body: bytes, path: str) -> str:
    """What stands at *path* of *body*, short; empty where it cannot be shown."""
    try:
        value = msgspec.json.decode(body)
        for name, index in _STEPS.findall(path):
            value = value[int(index)] if index else value[name]
    except (msgspec.MsgspecError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        return ""
    shown = msgspec.json.encode(value).decode()
    return shown if len(shown) <= 100 else shown[:97] + "..."
