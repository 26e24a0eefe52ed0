"""Where a client thinks that we are: addresses in our answers begin as the client's own request did.

Behind a proxy that terminates TLS, ``X-Forwarded-Proto`` and ``X-Forwarded-Host`` say how the client wrote it. Somebody
who sends them without a proxy misleads only the answer to that request.
"""

import re
from typing import Any

from litestar import Request

GRAPH = "/graph"
VERSION = "/v1.0"

_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::[0-9]{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::[0-9]{1,5})?")


def origin_of(request: Request[Any, Any, Any]) -> str:
    """Scheme, host and port, such as ``https://gettone.contoso.com``."""
    scheme = _first(request.headers.get("x-forwarded-proto", "")).lower()
    if scheme not in {"http", "https"}:
        scheme = request.scope["scheme"]
    forwarded = _first(request.headers.get("x-forwarded-host", ""))
    host = forwarded if _HOST.fullmatch(forwarded) else request.headers.get("host", "")
    return f"{scheme}://{host if _HOST.fullmatch(host) else 'localhost'}"


def base_of(request: Request[Any, Any, Any]) -> str:
    """The address below which the client found Graph's routes."""
    raw_path: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return origin_of(request) + (GRAPH if raw_path.startswith(GRAPH.encode() + b"/") else "") + VERSION


def _first(header: str) -> str:
    return header.partition(",")[0].strip()
