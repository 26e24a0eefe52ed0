"""Who is asking: bearer API keys and access tokens (RFC 6750), looked up at most once in a few seconds.

A key's answer is remembered for `REMEMBERED_SECONDS`, so that the charging path asks no database who a switch is. A key
that is revoked, or a token that expires, stops working at most that much later, in every process. Unknown tokens are
remembered no longer.
"""

import asyncio
import time
from collections.abc import Callable

from gettone.api.problems import ApiError, problem
from gettone.operations.keys import EVERYWHERE, allows, well_formed
from gettone.operations.views import Key

REMEMBERED_SECONDS = 5.0
REMEMBERED_MAX = 10_000

Find = Callable[[str], Key | None]


class Authenticator:
    """Remembers for a short time which key an ``Authorization`` header stands for."""

    def __init__(self, find: Find, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Ask *find*, which may block, for the key of a token."""
        self._find = find
        self._monotonic = monotonic
        self._remembered: dict[bytes, tuple[float, Key | None]] = {}
        self._asking: dict[bytes, asyncio.Task[Key | None]] = {}

    def remembered(self, header: bytes) -> Key | None:
        """The key of *header* if it is known and fresh."""
        known = self._remembered.get(header)
        return known[1] if known is not None and known[0] > self._monotonic() else None

    async def key(self, header: bytes | None) -> Key:
        """The key of *header*; raises `ApiError` 401. Many who ask for one header at once ask the database once."""
        if header is None:
            raise unauthorised("Send an API key: Authorization: Bearer KEY")
        known = self._remembered.get(header)
        if known is not None and known[0] > self._monotonic():
            found = known[1]
        else:
            task = self._asking.get(header)
            if task is None:
                task = self._asking[header] = asyncio.create_task(self._ask(header))
                task.add_done_callback(lambda _: self._asking.pop(header, None))
            found = await asyncio.shield(task)
        if found is None:
            raise unauthorised(
                "The API key or access token is not known, was revoked, or has expired.", 'error="invalid_token"'
            )
        return found

    async def _ask(self, header: bytes) -> Key | None:
        scheme, _, token = header.decode("latin-1").strip().partition(" ")
        token = token.strip()
        usable = scheme.lower() == "bearer" and token and well_formed(token)
        found = await asyncio.to_thread(self._find, token) if usable else None
        if len(self._remembered) >= REMEMBERED_MAX:
            self._remembered.clear()
        self._remembered[header] = (self._monotonic() + REMEMBERED_SECONDS, found)
        return found


def require(key: Key, scope: str, org_id: str) -> None:
    """Raise `ApiError` 403 unless *key* may do what needs *scope* in *org_id* (``*``: in all)."""
    if allows(key, scope, org_id):
        return
    if key.org_id not in {EVERYWHERE, org_id}:
        where = "all organisations" if org_id == EVERYWHERE else f"organisation {org_id!r}"
        raise forbidden(f"This API key belongs to organisation {key.org_id!r}; this needs a key of {where}.", scope)
    raise forbidden(f"This API key has the scope {key.scope!r}; this needs {scope!r}.", scope)


def unauthorised(detail: str, error: str = "") -> ApiError:
    """The answer to a request without a good key."""
    challenge = 'Bearer realm="gettone"' + (f", {error}" if error else "")
    return ApiError(problem(401, detail=detail), {"WWW-Authenticate": challenge})


def forbidden(detail: str, scope: str) -> ApiError:
    """The answer to a request whose key may not do this."""
    challenge = f'Bearer realm="gettone", error="insufficient_scope", scope="{scope}"'
    return ApiError(problem(403, detail=detail), {"WWW-Authenticate": challenge})
