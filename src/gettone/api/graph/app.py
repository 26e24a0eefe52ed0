"""The Graph-shaped API as an application of its own, beside the back office: other errors, other headers.

Its routes are below ``/graph/v1.0`` and, for clients that can only be given a host, below ``/v1.0``.
"""

import logging
import re
from collections.abc import MutableMapping
from typing import Any
from uuid import uuid4

from litestar import Litestar, MediaType, Request, Response
from litestar.datastructures import State
from litestar.di import Provide

from gettone.api.charging import Receive, Scope, Send
from gettone.api.graph import errors, routes, tokens
from gettone.api.graph.links import GRAPH, VERSION
from gettone.api.problems import ApiError
from gettone.api.routing import guard
from gettone.api.services import Services

logger = logging.getLogger(__name__)

BODY_BYTES_MAX = 1024 * 1024

_REQUEST_ID = b"request-id"
_CLIENT_REQUEST_ID = b"client-request-id"
_SAFE_ID = re.compile(rb"[!-~]{1,128}")


def is_graph(path: str) -> bool:
    """Whether a request to *path* is answered here."""
    return path.startswith((f"{GRAPH}/", f"{VERSION}/")) or path.endswith((tokens.TOKEN, tokens.DISCOVERY))


class GraphApp:
    """Answers what `is_graph` says, an ASGI application."""

    def __init__(self, services: Services) -> None:
        """Work with *services*."""
        self._clock = services.clock
        self._app = Litestar(
            route_handlers=[routes.router(guards=[guard]), tokens.router()],
            dependencies={"services": Provide(lambda: services, sync_to_thread=False)},
            state=State({"services": services}),
            exception_handlers={Exception: _told},
            openapi_config=None,
            request_max_body_size=BODY_BYTES_MAX,
            logging_config=None,
        )

    async def tell(self, error: ApiError, send: Send) -> None:
        """Answer a request whose path cannot be read."""
        answer, request_id = errors.from_error(error), str(uuid4())
        body = answer.body(request_id, "", self._clock())
        headers = [
            (b"content-type", MediaType.JSON.value.encode()),
            (b"content-length", b"%d" % len(body)),
            (_REQUEST_ID, request_id.encode()),
        ]
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with a ``request-id`` of ours, and the client's own ``client-request-id``."""
        theirs = next((value for name, value in scope["headers"] if name == _CLIENT_REQUEST_ID), b"")
        ids = [(_REQUEST_ID, str(uuid4()).encode())]
        if _SAFE_ID.fullmatch(theirs):
            ids.append((_CLIENT_REQUEST_ID, theirs))
        # Whoever answers finds both ids beside the request's other headers.
        scope["headers"] = [*(one for one in scope["headers"] if one[0] not in {_REQUEST_ID, _CLIENT_REQUEST_ID}), *ids]
        if scope["path"].startswith(f"{VERSION}/"):
            scope["path"] = GRAPH + scope["path"]

        async def naming(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *ids]
            await send(message)

        await self._app(scope, receive, naming)  # type: ignore[arg-type]  # Litestar has its own names for ASGI's types


def _told(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    services: Services = request.app.state.services
    now = services.clock()
    if request.scope["path"].endswith(tokens.TOKEN):
        return tokens.told(error, request, now)
    answer = errors.from_error(error)
    if answer.status == 500:
        logger.error("%s %s could not be answered", request.method, request.url.path, exc_info=error)
    body = answer.body(request.headers.get("request-id", ""), request.headers.get("client-request-id", ""), now)
    return Response(body, status_code=answer.status, media_type=MediaType.JSON, headers=dict(answer.headers))
