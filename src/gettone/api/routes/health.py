"""Is it alive, may it be sent requests, what does it count; and the description of everything. None needs a key."""

from typing import Any

import msgspec
from litestar import Response, Router

from gettone.api.metrics import CONTENT_TYPE
from gettone.api.routing import Given, get


class Health(msgspec.Struct, frozen=True):
    """`status` is `ok` or `unready`; `problems` says why not."""

    status: str
    problems: tuple[str, ...] = ()


@get("/healthz", security=[])
async def healthz() -> Health:
    """Whether the process is alive; asks nothing of the database."""
    return Health("ok")


@get("/readyz", sync_to_thread=True, security=[])
def readyz(services: Given) -> Response[Health]:
    """Whether requests can be answered: database reachable, schema current, charging desk taking requests."""
    problems = tuple(services.unready())
    return Response(Health("unready" if problems else "ok", problems), status_code=503 if problems else 200)


@get("/metrics", media_type=CONTENT_TYPE, sync_to_thread=True, security=[])
def metrics(services: Given) -> bytes:
    """Counters for Prometheus."""
    return services.metrics.exposition()


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    return Router("/", route_handlers=[healthz, readyz, metrics], tags=["Health"], **options)
