"""The charging routes: a plain ASGI application, chosen before any framework sees the request (design, section 3).

    POST /v1/calls    /v1/calls/{session_id}/update    /v1/calls/{session_id}/stop    /v1/events    /v1/calls/batch

A request is read, its key is known from memory, its message goes to a desk, and the answer is written when it is
committed. Nothing here decides about a call. The session id comes percent-encoded: a SIP Call-ID may contain anything.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from gettone.api.auth import Authenticator, forbidden, require
from gettone.api.decoding import (
    batch_items,
    decode_event,
    decode_start,
    decode_stop,
    decode_update,
    decoded,
)
from gettone.api.metrics import Metrics
from gettone.api.problems import MEDIA_TYPE, ApiError, FieldError, from_error, invalid, problem, refusal_problem
from gettone.api.wire import BatchAnswer, SingleRequest, message, wire_answer
from gettone.operations.keys import EVERYWHERE
from gettone.operations.messages import QUOTA_SECONDS, Answer, Refused, Request
from gettone.operations.views import Key

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Charge = Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]]

JSON = "application/json"
NDJSON = "application/x-ndjson"
SINGLE_BYTES_MAX = 64 * 1024
BATCH_BYTES_MAX = 4 * 1024 * 1024
SCOPE = "charging"

_encoder = msgspec.json.Encoder()


def is_charging(path: str) -> bool:
    """Whether *path* is one of the charging routes, or below them."""
    return path.startswith("/v1/calls/") or path in {"/v1/calls", "/v1/events"}


class ClientGone(Exception):
    """The client hung up before its request was complete."""


class ChargingRoutes:
    """Answers the charging routes."""

    def __init__(
        self, charge: Charge, authenticator: Authenticator, metrics: Metrics, *, quota_seconds: int = QUOTA_SECONDS
    ) -> None:
        """Hand messages to *charge*; *quota_seconds* are asked for when a request does not say how many it wants."""
        self._charge = charge
        self._authenticator = authenticator
        self._metrics = metrics
        self._quota_seconds = quota_seconds
        self._singles: Mapping[str, msgspec.json.Decoder[Any]] = {
            "/v1/calls": decode_start,
            "/v1/events": decode_event,
            "/v1/calls/{session_id}/update": decode_update,
            "/v1/calls/{session_id}/stop": decode_stop,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        started = time.perf_counter()
        route = "unmatched"
        headers: Mapping[str, str] = {}
        try:
            route, session_id = _routed(scope.get("raw_path") or scope["path"].encode())
            status, media_type, body = await self._answer(scope, receive, route, session_id)
        except ClientGone:
            return
        except Exception as error:
            told = from_error(error)
            if told.problem.status == 500:
                logger.exception("a charging request could not be answered")
            status, media_type, body = told.problem.status, MEDIA_TYPE, _encoder.encode(told.problem)
            headers = told.headers
        await _send(send, status, media_type, body, headers)
        self._metrics.http(scope["method"], route, status, time.perf_counter() - started)

    async def _answer(
        self, scope: Scope, receive: Receive, route: str, session_id: str | None
    ) -> tuple[int, str, bytes]:
        if scope["method"] != "POST":
            raise ApiError(
                problem(405, detail=f"{scope['method']} is not possible here; send POST."), {"Allow": "POST"}
            )
        authorization, media_type = _headers(scope["headers"])
        key = self._authenticator.remembered(authorization) if authorization else None
        key = key or await self._authenticator.key(authorization)
        require(key, SCOPE, key.org_id)
        if route == "/v1/calls/batch":
            return await self._batch(key, media_type, await _body(receive, BATCH_BYTES_MAX))
        _check_media_type(media_type, JSON)
        body = await _body(receive, SINGLE_BYTES_MAX)
        request: SingleRequest = decoded(self._singles[route], body)
        if session_id is not None and request.session_id not in {"", session_id}:
            shown = repr(request.session_id[:80])
            raise invalid([FieldError("leave it out of the body, or write what the path says", "session_id", shown)])
        [answer] = await self._charge([self._message(request, session_id or request.session_id, key)])
        if isinstance(answer, Refused):
            told = refusal_problem(answer)
            if told.status == 503:
                raise ApiError(told, {"Retry-After": "1"})
            return told.status, MEDIA_TYPE, _encoder.encode(told)
        return 200, JSON, _encoder.encode(wire_answer(answer))

    async def _batch(self, key: Key, media_type: str, body: bytes) -> tuple[int, str, bytes]:
        """Answer many; the whole batch is turned down only when nothing of it can be read, or a key may not do it."""
        _check_media_type(media_type, JSON, NDJSON)
        lines = media_type == NDJSON
        items = batch_items(body, lines=lines)
        requests = [self._message(item, item.session_id, key) for item in items if not isinstance(item, Refused)]
        charged = iter(await self._charge(requests) if requests else ())
        answers = [wire_answer(item if isinstance(item, Refused) else next(charged)) for item in items]
        if lines:
            return 200, NDJSON, _encoder.encode_lines(answers)
        return 200, JSON, _encoder.encode(BatchAnswer(answers))

    def _message(self, request: SingleRequest, session_id: str, key: Key) -> Request:
        """The message of *request*, with the organisation of the key filled in and the quota."""
        org_id = request.org_id
        if key.org_id != EVERYWHERE:
            if org_id not in {"", key.org_id}:
                raise forbidden(
                    f"This API key belongs to organisation {key.org_id!r}, the request is for {org_id[:80]!r}.", SCOPE
                )
            org_id = key.org_id
        return message(request, session_id=session_id, org_id=org_id, quota_seconds=self._quota_seconds)


def _routed(raw_path: bytes) -> tuple[str, str | None]:
    """The route of a path, and the session id in it; raises `ApiError` 404."""
    match raw_path.split(b"/"):
        case [b"", b"v1", b"calls"]:
            return "/v1/calls", None
        case [b"", b"v1", b"events"]:
            return "/v1/events", None
        case [b"", b"v1", b"calls", b"batch"]:
            return "/v1/calls/batch", None
        case [b"", b"v1", b"calls", encoded, (b"update" | b"stop") as what] if encoded:
            return f"/v1/calls/{{session_id}}/{what.decode()}", _session_id(encoded)
    raise ApiError(problem(404, "not_found", "There is nothing at this path; /openapi.json lists what there is."))


def _session_id(encoded: bytes) -> str:
    try:
        return unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        raise invalid([FieldError("percent-encode the session id in UTF-8", "session_id")]) from None


def _headers(headers: Sequence[tuple[bytes, bytes]]) -> tuple[bytes | None, str]:
    """What the request says of its key and its body; raises `ApiError` 415 for a compressed one."""
    authorization, media_type = None, JSON
    for name, value in headers:
        if name == b"authorization":
            authorization = value
        elif name == b"content-type":
            media_type = value.partition(b";")[0].strip().lower().decode("latin-1")
        elif name == b"content-encoding" and value.lower() != b"identity":
            raise ApiError(problem(415, detail="Compressed bodies are not read; send it without Content-Encoding."))
    return authorization, media_type


def _check_media_type(media_type: str, *allowed: str) -> None:
    if media_type not in allowed:
        raise ApiError(
            problem(415, detail=f"Content-Type {media_type[:80]!r} is not read here; send {' or '.join(allowed)}.")
        )


async def _body(receive: Receive, bytes_max: int) -> bytes:
    """The whole body; raises `ApiError` 413 when it is longer than *bytes_max*."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if message.get("more_body"):
        pieces, length = [body], len(body)
        while message.get("more_body") and length <= bytes_max:
            message = await receive()
            pieces.append(message.get("body", b""))
            length += len(pieces[-1])
        body = b"".join(pieces)
    if message["type"] == "http.disconnect":
        raise ClientGone
    if len(body) > bytes_max:
        raise ApiError(problem(413, detail=f"The body is longer than {bytes_max} bytes; send less at once."))
    return body


async def _send(send: Send, status: int, media_type: str, body: bytes, more: Mapping[str, str]) -> None:
    headers = [(b"content-type", media_type.encode()), (b"content-length", b"%d" % len(body))]
    headers += [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in more.items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
