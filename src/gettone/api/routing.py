"""What the back office's routes share: who may call them, how values of paths and queries are read."""

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, TypeVar

from litestar import Request, delete, get, patch, post, put
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath, FromQuery, HeaderParameter, QueryParameter, SkipValidation

from gettone.api.auth import require
from gettone.api.services import Services
from gettone.errors import InvalidInput
from gettone.operations.buying import BILLING_ADMIN, GLOBAL_ADMIN, Buyer
from gettone.operations.keys import ADMIN, BILLING, CHARGING, EVERYWHERE, OPERATOR, READ
from gettone.operations.views import Key

Caller = Request[Any, Key, State]
Given = NamedDependency[SkipValidation[Services]]
InPath = FromPath[str]
Text = FromQuery[str]
Limit = Annotated[int, QueryParameter(ge=1, le=1000, description="At most so many items.")]
Cursor = Annotated[str, QueryParameter(description="The next_cursor of the page before.")]
Reference = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        required=True,
        description="Names this booking; the same again books nothing and gets the same answer.",
    ),
]

ORGANISATION = "/v1/organisations/{org_id:str}"
YEARS = range(2000, 2200)
"""Times of other years are mistakes, and their arithmetic may leave the calendar."""
SLASH = "\x1f"
"""Stands for a slash within one segment of a path, from `app` to `plain`."""

NEEDS = "needs"
ACROSS = "across"

__all__ = ["ADMIN", "BILLING", "CHARGING", "OPERATOR", "READ", "delete", "get", "patch", "post", "put"]

F = TypeVar("F", bound=Callable[..., Any])


def needs(scope: str, *, across: bool = False) -> dict[str, Any]:
    """Options of a route that needs *scope*: in the organisation of its path, or *across* all organisations."""
    return {NEEDS: scope, ACROSS: across}


async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """Let a request through if its key may do what its route is for; raises `ApiError` 401 or 403."""
    scope = handler.opt.get(NEEDS)
    if scope is None:
        return
    services: Services = connection.app.state.services
    header = connection.headers.get("authorization")
    key = await services.authenticator.key(header.encode("latin-1", "replace") if header is not None else None)
    require(key, scope, EVERYWHERE if handler.opt[ACROSS] else connection.path_params.get("org_id", key.org_id))
    connection.scope["auth"] = key


def buyer(key: Key) -> Buyer:
    """Who buys with *key*: its scope says in which role; the history names the key."""
    role = {ADMIN: GLOBAL_ADMIN, BILLING: BILLING_ADMIN}.get(key.scope, key.scope)
    return Buyer(role, f"API key {key.key_id}" + (f" ({key.label})" if key.label else ""))


def plain(segment: str) -> str:
    """A segment of a path as it was before it was percent-encoded."""
    return segment.replace(SLASH, "/")


def instant(field: str, value: datetime) -> datetime:
    """A time of a query: aware, and in a year that calls can be in."""
    if value.tzinfo is None:
        raise InvalidInput(field, value.isoformat(), "write the time with its offset, such as 2026-11-23T19:00:00Z")
    if value.year not in YEARS:
        raise InvalidInput(field, value.isoformat(), f"give a time between the years {YEARS.start} and {YEARS.stop}")
    return value
