"""The HTTP application: charging requests to the plain routes, everything else to the framework.

Pure ASGI: any server runs it. It owns nothing; what it works with is opened and closed by whoever made `Services`.
"""

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec
from litestar import Litestar, MediaType, Request, Response, get
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException, ValidationException
from litestar.openapi.config import OpenAPIConfig

from gettone.api import openapi
from gettone.api.charging import ChargingRoutes, Receive, Scope, Send, is_charging
from gettone.api.decoding import in_our_words
from gettone.api.graph.app import GraphApp, is_graph
from gettone.api.problems import MEDIA_TYPE, ApiError, FieldError, from_error, invalid, problem
from gettone.api.routes import (
    billing,
    buying,
    catalogue,
    health,
    invoices,
    licences,
    money,
    organisations,
    policies,
    rates,
    recharge,
    telling,
)
from gettone.api.routing import SLASH, guard
from gettone.api.services import Services

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 64 * 1024 * 1024
"""Rate decks and files of users may be large."""

DOCUMENT = "openapi_document"

App = Callable[[Scope, Receive, Send], Awaitable[None]]
Tell = Callable[[ApiError, Send], Awaitable[None]]


def create_app(services: Services) -> App:
    """Make the application that works with *services*."""
    charging = ChargingRoutes(
        services.charge, services.authenticator, services.metrics, quota_seconds=services.quota_seconds
    )
    office = _office_app(services)
    graph = GraphApp(services)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await office(scope, receive, send)  # type: ignore[arg-type]  # Litestar has its own names for ASGI's types

    office_measured = _measured(answer, _tell, services)
    graph_measured = _measured(graph, graph.tell, services)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await answer(scope, receive, send)
        elif is_charging(scope["path"]):
            await charging(scope, receive, send)
        elif is_graph(scope["path"]):
            await graph_measured(scope, receive, send)
        else:
            await office_measured(scope, receive, send)

    return app


def _office_app(services: Services, description: OpenAPIConfig | None = None) -> Litestar:
    """The back office: everything that is not charging. With a *description* it can be described, and shows it too."""
    return Litestar(
        route_handlers=[
            *(module.router(guards=[guard]) for module in (organisations, licences, money, policies, rates, catalogue)),
            *(module.router(guards=[guard]) for module in (buying, recharge, telling)),
            *(module.router(guards=[guard]) for module in (billing, invoices)),
            health.router(),
            openapi_json,
        ],
        dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
        state=State({"services": services}),
        exception_handlers={Exception: _problem_response},
        openapi_config=description,
        request_max_body_size=BODY_BYTES_MAX,
        logging_config=None,
    )


@get("/openapi.json", include_in_schema=False, media_type=MediaType.JSON, sync_to_thread=True)
def openapi_json(request: Request[Any, Any, State]) -> bytes:
    """The description of the API; written when it is first asked for."""
    state = request.app.state
    if DOCUMENT not in state:
        state[DOCUMENT] = openapi.document(_office_app(state.services, openapi.config()))
    document: bytes = state[DOCUMENT]
    return document


def _measured(answer: App, tell: Tell, services: Services) -> App:
    """Let *answer* do it, or *tell* what is wrong with the path, and count what was answered."""

    async def measured(scope: Scope, receive: Receive, send: Send) -> None:
        started, status = time.perf_counter(), 500

        async def watching(message: MutableMapping[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        path = _segments(scope.get("raw_path") or scope["path"].encode())
        if path is None or b"%00" in scope["query_string"]:
            told = invalid(
                [FieldError("write it in UTF-8, percent-encoded, without control characters", "path")], status=400
            )
            await tell(told, watching)
        else:
            scope["path"] = path
            await answer(scope, receive, watching)
        services.metrics.http(
            scope["method"], scope.get("path_template") or "unmatched", status, time.perf_counter() - started
        )

    return measured


def _segments(raw_path: bytes) -> str | None:
    """The path, decoded segment by segment, so that an encoded slash stays within its own; None if it cannot be."""
    try:
        segments = [unquote_to_bytes(segment).decode() for segment in raw_path.split(b"/")]
    except UnicodeDecodeError:
        return None
    if any(sign < " " or sign == "\x7f" for segment in segments for sign in segment):
        return None
    return "/".join(segment.replace("/", SLASH) for segment in segments)


async def _tell(error: ApiError, send: Send) -> None:
    body = msgspec.json.encode(error.problem)
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": error.problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _problem_response(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    told = _from_framework(error) if isinstance(error, HTTPException) else from_error(error)
    if told.problem.status == 500:
        logger.error("%s %s could not be answered", request.method, request.url.path, exc_info=error)
    body = msgspec.json.encode(told.problem)
    return Response(body, status_code=told.problem.status, media_type=MEDIA_TYPE, headers=told.headers)


def _from_framework(error: HTTPException) -> ApiError:
    """Tell an error of the framework's own in our shape."""
    headers = {**(error.headers or {})}
    if isinstance(error, ValidationException):
        found = error.extra if isinstance(error.extra, list) else []
        return invalid([_field_error(one) for one in found] or [in_our_words(error.detail, "")])
    if error.status_code == 404:
        return ApiError(problem(404, "not_found", "There is nothing at this path; /openapi.json lists what there is."))
    if error.status_code == 400:
        return invalid([FieldError(error.detail)], status=400)
    detail = f"Possible here: {headers['Allow']}." if "Allow" in headers else error.detail
    return ApiError(problem(error.status_code, detail=detail), headers)


def _field_error(found: Any) -> FieldError:  # noqa: ANN401 - whatever the framework found
    if not isinstance(found, dict):
        return FieldError(str(found))
    key = str(found.get("key", ""))
    if found.get("source") in {None, "body"}:
        # The framework's own name for the whole body.
        key = key.removeprefix("data").lstrip(".")
    return in_our_words(str(found.get("message", "")), key)
