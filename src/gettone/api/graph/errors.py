"""Errors in Graph's shape: ``{"error": {"code", "message", "details", "innerError"}}``.

Statuses are those of our own API, except where Graph knows another: a value that cannot be accepted, licences that are
refused among them, is 400. ``details`` has each reason against a change of licences by itself.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar.exceptions import HTTPException

from gettone.api import problems
from gettone.domain.licences import Violation, ViolationKind
from gettone.errors import InvalidInput
from gettone.operations.licence_moves import LicencesRefused

BAD_REQUEST = "Request_BadRequest"
CODES = {
    401: "InvalidAuthenticationToken",
    403: "Authorization_RequestDenied",
    404: "Request_ResourceNotFound",
    409: "Request_Conflict",
    412: "Request_PreconditionFailed",
    500: "Service_InternalServerError",
    503: "Service_Unavailable",
}
"""Graph's code for each status; every other one has `BAD_REQUEST`."""

NAMES = {
    "usage_location": "usageLocation",
    "display_name": "displayName",
    "add": "addLicenses",
    "remove": "removeLicenses",
    "limit": "$top",
    "cursor": "$skiptoken",
}
"""What Graph calls a field of the operations."""


class GraphError(msgspec.Struct, frozen=True, kw_only=True):
    """What to answer: status, message for people, *details* as (code, target, message), and headers."""

    status: int
    message: str
    details: tuple[tuple[str, str, str], ...] = ()
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    @property
    def code(self) -> str:
        """Graph's code."""
        return CODES.get(self.status, BAD_REQUEST)

    def body(self, request_id: str, client_request_id: str, now: datetime) -> bytes:
        """The body of the answer."""
        error: dict[str, Any] = {"code": self.code, "message": self.message}
        if self.details:
            error["details"] = [
                {"code": code, "target": target, "message": message} for code, target, message in self.details
            ]
        error["innerError"] = {
            "date": now.strftime("%Y-%m-%dT%H:%M:%S"),
            "request-id": request_id,
            "client-request-id": client_request_id or request_id,
        }
        return msgspec.json.encode({"error": error})


class PreconditionFailed(Exception):
    """Somebody changed meanwhile what the request's If-Match names."""


def from_error(error: Exception) -> GraphError:
    """What to answer to *error*."""
    match error:
        case PreconditionFailed():
            return GraphError(status=412, message=str(error))
        case LicencesRefused():
            return _licences(error.violations)
        case InvalidInput():
            return from_error(problems.from_error(_named(error)))
        case HTTPException():
            return _from_framework(error)
        case _:
            told = problems.from_error(error)
            status = 400 if told.problem.status == 422 else told.problem.status
            return GraphError(status=status, message=told.problem.detail or told.problem.title, headers=told.headers)


def _licences(violations: Sequence[Violation]) -> GraphError:
    changed = all(one.kind is ViolationKind.CHANGED_MEANWHILE for one in violations)
    return GraphError(
        status=412 if changed else 400,
        message=" ".join(map(str, violations)),
        details=tuple((one.kind.value, one.product, str(one)) for one in violations),
    )


def _named(error: InvalidInput) -> InvalidInput:
    """The error with the field as Graph calls it."""
    return InvalidInput(NAMES.get(error.field, error.field), error.value, error.remedy)


def _from_framework(error: HTTPException) -> GraphError:
    message = error.detail
    if error.status_code == 404:
        message = "There is nothing at this path; docs/reference/graph-api.md lists what there is."
    elif error.status_code == 405:
        message = f"Possible here: {(error.headers or {}).get('allow', '')}."
    return GraphError(status=error.status_code, message=message, headers=dict(error.headers or {}))
