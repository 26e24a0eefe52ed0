"""Who changes a user at the same time: ``ETag`` says which version an answer shows, ``If-Match`` which one is meant.

A change that names another version than the user has is answered 412 with the user as it is now (RFC 9110, 13.1.1).
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, TypeVar

import msgspec
from litestar import Response
from litestar.params import HeaderParameter

from gettone.api.licence_bodies import User, user
from gettone.api.problems import ApiError, FieldError, invalid, problem
from gettone.errors import Conflict
from gettone.operations import directory
from gettone.operations.office import Office
from gettone.operations.views import UserView

T = TypeVar("T")

IfMatch = Annotated[
    str,
    HeaderParameter(
        name="If-Match",
        description="The ETag of the answer on which the change was decided; without it the change is always done.",
    ),
]

_TAG = re.compile(r'(?:W/)?"(\d{1,18})"')


def wanted_version(if_match: str) -> int | None:
    """The version that a change is meant for; None for whichever. Raises `ApiError` 422."""
    text = if_match.strip()
    if text in {"", "*"}:
        return None
    found = _TAG.fullmatch(text)
    if found is None:
        raise invalid([FieldError('send one ETag as it came, such as "3"', "If-Match", repr(text[:80]))])
    return int(found[1])


def tagged(content: T, version: int) -> Response[T]:
    """An answer with the version of the user that it shows."""
    return Response(content, headers={"ETag": f'"{version}"'})


def shown(view: UserView) -> Response[User]:
    """A user with its version."""
    return tagged(user(view), view.version)


@contextmanager
def unless_changed(office: Office, org_id: str, ref: str, version: int | None) -> Iterator[None]:
    """Answer a conflict inside with 412 and the present state when the user is not of *version*."""
    try:
        yield
    except Conflict as error:
        present = directory.get_user(office, org_id, ref) if version is not None else None
        if present is None or present.version == version:
            raise
        told = problem(412, "changed_meanwhile", str(error), title="Somebody has changed the user meanwhile.")
        current = msgspec.to_builtins(user(present))
        headers = {"ETag": f'"{present.version}"'}
        raise ApiError(msgspec.structs.replace(told, current=current), headers) from error
