"""What a query asks for: ``$select``, ``$top``, ``$filter``, ``$search``, ``$count``, ``$orderby``, ``$skiptoken``.

An option that cannot be honoured is refused, never overlooked: a list that looks filtered and is not would be worse
than none. As in Graph the dollar may be left out. Parameters that are no options of OData are none of our business.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import msgspec

from gettone.api.graph.filters import Condition, read_filter, read_search
from gettone.errors import InvalidInput

TOP_MAX = 999
TOP_DEFAULT = 100

SELECT = "select"
TOP = "top"
FILTER = "filter"
SEARCH = "search"
COUNT = "count"
ORDER_BY = "orderby"
SKIP_TOKEN = "skiptoken"  # noqa: S105 - a place in a list, no secret
OPTIONS = {SELECT, TOP, FILTER, SEARCH, COUNT, ORDER_BY, SKIP_TOKEN, "apply", "compute", "expand", "format", "skip"}
OPTIONS_OF_USERS = (SELECT, TOP, FILTER, SEARCH, COUNT, ORDER_BY, SKIP_TOKEN)

_ORDERS = {"userprincipalname", "userprincipalname asc"}


class UserQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which users are wanted: at most *top* of those after *after* (a user principal name) who meet *conditions*."""

    top: int
    select: tuple[str, ...]
    conditions: tuple[Condition, ...]
    count: bool
    after: str


def options(query_string: bytes, allowed: Collection[str]) -> dict[str, str]:
    """The options of a query, without their dollar. Raises `InvalidInput` for one that cannot be used here."""
    found: dict[str, str] = {}
    for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True):
        option = name.removeprefix("$").lower()
        if option not in allowed:
            if name.startswith("$") or option in OPTIONS:
                possible = ", ".join(f"${one}" for one in sorted(allowed)) or "none"
                raise InvalidInput(name[:80], value[:80], f"this option cannot be used here; possible are: {possible}")
            continue
        if option in found:
            raise InvalidInput(f"${option}", value[:80], "it stands here twice; write it once")
        found[option] = value
    return found


def user_query(given: Mapping[str, str]) -> UserQuery:
    """Read the options of a list of users. Raises `InvalidInput`."""
    order = " ".join(given.get(ORDER_BY, "").lower().split())
    if order and order not in _ORDERS:
        raise InvalidInput(
            "$orderby", given[ORDER_BY][:80], "users come in order of userPrincipalName; leave it out, or sort them"
        )
    count = given.get(COUNT, "false").lower()
    if count not in {"true", "false"}:
        raise InvalidInput("$count", given[COUNT][:80], "write true or false")
    return UserQuery(
        top=_top(given.get(TOP)),
        select=selection(given),
        conditions=(*read_filter(given.get(FILTER, "")), *read_search(given.get(SEARCH, ""))),
        count=count == "true",
        after=_after(given.get(SKIP_TOKEN, "")),
    )


def selection(given: Mapping[str, str]) -> tuple[str, ...]:
    """The names in ``$select``."""
    return tuple(name for one in given.get(SELECT, "").split(",") if (name := one.strip()))


def only(body: Mapping[str, Any], select: Collection[str], *, absent: Collection[str] = ()) -> dict[str, Any]:
    """The properties of *body* that are selected; *absent* are known and have no value here.

    Annotations of OData stay. Raises `InvalidInput` for a name that is not known.
    """
    if not select:
        return dict(body)
    known = {name.lower(): name for name in (*absent, *body) if not name.startswith("@")}
    wanted: set[str] = set()
    for name in select:
        found = known.get(name.lower())
        if found is None:
            remedy = f"there is no such property; there are {', '.join(sorted(known.values()))}"
            raise InvalidInput("$select", name[:80], remedy)
        wanted.add(found)
    shown = {name: value for name, value in body.items() if name.startswith("@") or name in wanted}
    return shown | {name: None for name in absent if name in wanted}


def next_query(query_string: bytes, after: str) -> str:
    """The query of the page that begins after user principal name *after*."""
    token = base64.urlsafe_b64encode(after.encode()).decode().rstrip("=")
    kept = [
        (name, value)
        for name, value in parse_qsl(query_string.decode("latin-1"), keep_blank_values=True)
        if name.removeprefix("$").lower() not in {SKIP_TOKEN, COUNT}
    ]
    return urlencode([*kept, ("$skiptoken", token)], quote_via=quote, safe="$")


def _top(value: str | None) -> int:
    if value is None:
        return TOP_DEFAULT
    if not (value.isascii() and value.isdigit() and len(value) < 5 and 1 <= int(value) <= TOP_MAX):
        raise InvalidInput("$top", value[:80], f"write a number from 1 to {TOP_MAX}")
    return int(value)


def _after(token: str) -> str:
    if not token:
        return ""
    try:
        after = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        after = ""
    if not after or not after.isprintable():
        raise InvalidInput("$skiptoken", token[:80], "follow the @odata.nextLink of the page before as it is")
    return after
