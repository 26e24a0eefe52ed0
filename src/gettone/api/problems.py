"""Errors on the wire: one shape for all of them, RFC 9457 problem details.

`STATUS` says which HTTP status each refusal of a single charging request has (a test keeps it complete); RFC 9110 gives
the statuses their meaning, and 402, 403 and 404 are used as 3GPP TS 32.291 does for the same reasons.
"""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from types import MappingProxyType
from typing import Any

import msgspec

from gettone.domain.licences import Violation
from gettone.domain.money import MoneyError
from gettone.domain.numbers import NumberError
from gettone.domain.refusals import Refusal
from gettone.errors import (
    BadMessage,
    Conflict,
    Forbidden,
    GettoneError,
    InvalidFile,
    InvalidInput,
    InvariantBroken,
    NotFound,
    PaymentUnavailable,
    StorageError,
)
from gettone.operations.desk import DeskClosed, DeskFull
from gettone.operations.licence_moves import LicencesRefused
from gettone.operations.messages import Refused

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:gettone:problem:"
RETRY_SECONDS = 1
DETAIL_LENGTH_MAX = 2000

STATUS: Mapping[Refusal, int] = MappingProxyType(
    {
        Refusal.INVALID_REQUEST: 422,
        Refusal.REQUEST_CHANGED: 422,
        Refusal.REQUEST_NUMBER_BEHIND: 409,
        Refusal.SESSION_EXISTS: 409,
        Refusal.UNKNOWN_SESSION: 404,
        Refusal.SESSION_ENDED: 409,
        Refusal.UNKNOWN_ORGANISATION: 404,
        Refusal.ORGANISATION_CLOSED: 403,
        Refusal.UNKNOWN_USER: 404,
        Refusal.UNKNOWN_NUMBER: 404,
        Refusal.USER_BLOCKED: 403,
        Refusal.CALLER_BARRED: 403,
        Refusal.NUMBER_BARRED: 403,
        Refusal.DIAL_OUT_RESTRICTED: 403,
        Refusal.NOT_OFFERED: 403,
        Refusal.DESTINATION_BLOCKED: 403,
        Refusal.NO_USAGE_LOCATION: 403,
        Refusal.NO_CALLING_PLAN: 403,
        Refusal.NO_CONFERENCING_LICENCE: 403,
        Refusal.NO_RESOURCE_ACCOUNT_LICENCE: 403,
        Refusal.NO_RATE: 422,
        Refusal.NO_CREDITS_LICENCE: 403,
        Refusal.CREDITS_NOT_SOLD: 403,
        Refusal.INSUFFICIENT_CREDIT: 402,
        Refusal.TOO_MANY_CALLS: 403,
        Refusal.NEW_DESTINATION_LIMIT: 403,
        Refusal.INTERNATIONAL_SPEND_LIMIT: 403,
        Refusal.SPEND_LIMIT_REACHED: 403,
        Refusal.GROUP_SPEND_LIMIT_REACHED: 403,
        Refusal.UNAVAILABLE: 503,
    }
)
"""HTTP status of a refused single request."""


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing wrong: in which *field*, with which *value*, on which *line* of a file, and what to do."""

    remedy: str
    field: str = ""
    value: str = ""
    line: int = 0


class LicenceViolation(msgspec.Struct, frozen=True, kw_only=True):
    """One reason against a change of a *user*'s licences: which rule (*kind*), which *product*, and what to do."""

    kind: str
    product: str
    detail: str
    remedy: str
    user: str = ""


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is wrong (RFC 9457). *reason* and the call's names are there when a charging request was refused.

    *violations* say why licences were not changed; *current* is what somebody else has changed meanwhile, as it is now;
    *preview* is what would come of a change that has to be confirmed.
    """

    type: str
    title: str
    status: int
    detail: str = ""
    reason: str = ""
    org_id: str = ""
    session_id: str = ""
    request_number: int | None = None
    errors: tuple[FieldError, ...] = ()
    violations: tuple[LicenceViolation, ...] = ()
    current: dict[str, Any] | None = None
    preview: dict[str, Any] | None = None


class ApiError(GettoneError):
    """A request that the API turns down; carries the problem and the headers to answer with."""

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        """Answer *problem*, with *headers* beside the usual ones."""
        super().__init__(problem.detail or problem.title)
        self.problem = problem
        self.headers = dict(headers or {})


def problem(
    status: int, code: str = "", detail: str = "", errors: Sequence[FieldError] = (), *, title: str = ""
) -> Problem:
    """Make the problem *code*, by default named as its HTTP *status* is."""
    meaning = HTTPStatus(status)
    return Problem(
        type=TYPE_PREFIX + (code or meaning.name.lower()),
        title=title or meaning.phrase,
        status=status,
        detail=detail if len(detail) <= DETAIL_LENGTH_MAX else detail[:DETAIL_LENGTH_MAX] + " …",
        errors=tuple(errors),
    )


def unavailable(detail: str) -> ApiError:
    """The error of a service that cannot answer now; the same request may be sent again."""
    return ApiError(problem(503, "unavailable", detail), {"Retry-After": str(RETRY_SECONDS)})


def invalid(errors: Sequence[FieldError], *, status: int = 422) -> ApiError:
    """The error of a request with these *errors* in it."""
    detail = "; ".join(_sentence(error) for error in errors)
    return ApiError(problem(status, "invalid_request", detail, errors, title=Refusal.INVALID_REQUEST.sentence))


def violations(found: Iterable[Violation], user: str = "") -> tuple[LicenceViolation, ...]:
    """Show the reasons against a change of licences."""
    return tuple(
        LicenceViolation(kind=one.kind.value, product=one.product, detail=one.sentence, remedy=one.remedy, user=user)
        for one in found
    )


def licences_refused(detail: str, found: Sequence[LicenceViolation]) -> ApiError:
    """The error of licences that were not changed, with every reason."""
    told = problem(409, "licences_refused", detail, title="The licences were not changed.")
    return ApiError(msgspec.structs.replace(told, violations=tuple(found)))


def refusal_problem(answer: Refused) -> Problem:
    """The problem that a refused single charging request is answered with."""
    return Problem(
        type=TYPE_PREFIX + answer.reason.value,
        title=answer.reason.sentence,
        status=STATUS[answer.reason],
        detail=answer.detail,
        reason=answer.reason.value,
        org_id=answer.org_id,
        session_id=answer.session_id,
        request_number=answer.request_number,
    )


_SAYS_IT_ITSELF: Mapping[type[GettoneError], tuple[int, str]] = MappingProxyType(
    {
        NotFound: (404, "not_found"),
        Conflict: (409, "conflict"),
        Forbidden: (403, "forbidden"),
        BadMessage: (400, "bad_message"),
    }
)
"""Status and code of the errors whose own words are the whole answer."""


def from_error(error: Exception) -> ApiError:
    """The problem that tells of *error*, which an operation raised; anything unforeseen is told without its text."""
    match error:
        case ApiError():
            return error
        case InvalidInput():
            return invalid([FieldError(error.remedy, error.field, _shown(error.value))])
        case InvalidFile():
            errors = [FieldError(one.remedy, one.field, one.value, one.line) for one in error.problems]
            return ApiError(
                problem(422, "invalid_file", str(error).partition("\n")[0], errors, title="The file was not accepted.")
            )
        case MoneyError() | NumberError():
            return invalid([FieldError(str(error))])
        case LicencesRefused():
            return licences_refused(str(error), violations(error.violations))
        case NotFound() | Conflict() | Forbidden() | BadMessage():
            status, code = next(told for kind, told in _SAYS_IT_ITSELF.items() if isinstance(error, kind))
            return ApiError(problem(status, code, str(error)))
        case DeskFull() | DeskClosed() | PaymentUnavailable():
            return unavailable(str(error))
        case StorageError() if not isinstance(error, InvariantBroken):
            return unavailable("The database cannot be used now; nothing was changed.")
        case _:
            return ApiError(problem(500, detail="Something went wrong in Gettone; its log says what."))


def _sentence(error: FieldError) -> str:
    if not error.field:
        return error.remedy
    return f"{error.field} {error.value}: {error.remedy}" if error.value else f"{error.field}: {error.remedy}"


def _shown(value: object) -> str:
    text = value if isinstance(value, str) else repr(value)
    return repr(text) if len(text) <= 100 else repr(text[:97] + "...")
