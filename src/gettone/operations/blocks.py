"""Blocked users: who may not call, since when, why and until when; by hand, by the fraud guard, and what ends it.

The state of now stands in the user's row, and every block and unblock is a line of the history (facts section 8: the
report of blocked users). A block whose time is over no longer counts from that instant on; the job only clears it and
writes so. Emergency calls are never blocked.
"""

from datetime import datetime
from itertools import groupby

import msgspec

from gettone.errors import InvalidInput
from gettone.operations import checks
from gettone.operations.directory import read_user
from gettone.operations.instants import MICROSECOND, microseconds
from gettone.operations.notices import BLOCK_REASONS, USER_BLOCKED, USER_UNBLOCKED, notice
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.views import BlockView, Page, UserView

BLOCKED = "blocked"
UNBLOCKED = "unblocked"

SYSTEM = "system"
"""Who ends a block whose time is over, and who blocks for the fraud guard."""

UNBLOCKED_BY_SYSTEM = "unblocked by system"

BATCH = 200


class BlockedUser(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the report of blocked users; *explanation* is the sentence of *reason*.

    *blocked_at* is None where the history does not know. *until* is None until somebody unblocks.
    """

    user_id: str
    upn: str
    display_name: str
    numbers: tuple[str, ...]
    reason: str
    explanation: str
    action: str
    blocked_at: datetime | None
    until: datetime | None
    by: str
    detail: str


def block_user(
    office: Office,
    org_id: str,
    ref: str,
    reason: str,
    now: datetime,
    *,
    until: datetime | None = None,
    by: str,
    detail: str = "",
) -> UserView:
    """Let a user make no more calls, emergencies apart, until an instant or until somebody unblocks.

    Calls that run go on, and calls in still ring. *reason* is one of `BLOCK_REASONS`, *detail* free text. A user who is
    blocked already is blocked anew if reason or end differ. Raises `NotFound` or `InvalidInput`.
    """
    if reason not in BLOCK_REASONS:
        raise InvalidInput("reason", reason[:80], f"write one of {', '.join(BLOCK_REASONS)}; more goes into detail")
    detail = checks.text("detail", detail, empty=True)
    if until is not None and checks.instant("until", until) <= now:
        raise InvalidInput("until", until.isoformat(), f"write a time after now, which is {now.isoformat()}")
    with office.write(org_id) as unit:
        user = read_user(unit, org_id, ref)
        if (user.blocked_reason, user.blocked_until) == (reason, until):
            return user
        changed = msgspec.structs.replace(user, blocked_reason=reason, blocked_until=until)
        line = _write(unit, changed, BLOCKED, now, reason=reason, until=until, by=by, detail=detail)
        facts = {"reason": reason, "until": until.isoformat() if until else "", "by": by}
        _tell(unit, USER_BLOCKED, line, facts)
        unit.directory_changed()
        return read_user(unit, org_id, user.user_id)


def unblock_user(office: Office, org_id: str, ref: str, now: datetime, *, by: str, detail: str = "") -> UserView:
    """Let a user call again; somebody who is not blocked stays as is. Raises `NotFound` or `InvalidInput`."""
    detail = checks.text("detail", detail, empty=True)
    with office.write(org_id) as unit:
        user = read_user(unit, org_id, ref)
        if not user.blocked_reason:
            return user
        _unblock(unit, user, now, by=by, detail=detail)
        unit.directory_changed()
        return read_user(unit, org_id, user.user_id)


def blocked_users(
    office: Office, org_id: str, now: datetime, *, cursor: str = "", limit: int = 100
) -> Page[BlockedUser]:
    """Users who are blocked at *now*, in order of name; a page may be shorter than *limit*. Raises `NotFound`."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = page(unit.policies.blocked_users(org_id, cursor, limit + 1), limit, lambda user: user.upn)
        holding = [user for user in found.items if user.blocked_until is None or now < user.blocked_until]
        return Page(tuple(_blocked(unit, org_id, user) for user in holding), found.next_cursor)


def block_history(
    office: Office, org_id: str, *, user: str = "", cursor: str = "", limit: int = 100
) -> Page[BlockView]:
    """Who was blocked and unblocked, newest first; of one *user* if named. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    at, seen = _cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        # Somebody who is no longer there is found by the user id that the history remembers.
        known = unit.directory.users_by_ref(org_id, [user]).get(user) if user else None
        user_id = known.user_id if known else user
        found = unit.policies.block_history(org_id, user_id, None if at is None else at + 1, seen + limit + 1)
    rows = found[seen:]
    items = tuple(rows[:limit])
    if len(rows) <= limit:
        return Page(items)
    # Several lines may be of one instant, so the cursor says how many of the last one's were shown.
    last = microseconds(items[-1].at)
    shown = sum(microseconds(line.at) == last for line in found[: seen + limit])
    return Page(items, f"{last}.{shown}")


def end_blocks(office: Office, now: datetime) -> int:
    """Clear the blocks whose time is over, and write so into the history; returns how many there were."""
    after, ended = "", 0
    while True:
        with office.read() as unit:
            found = unit.policies.blocks_ended(now, after, BATCH)
        for org_id, group in groupby(found, key=lambda pair: pair[0]):
            ended += _end(office, org_id, [user_id for _, user_id in group], now)
        if len(found) < BATCH:
            return ended
        after = "/".join(found[-1])


def _end(office: Office, org_id: str, user_ids: list[str], now: datetime) -> int:
    with office.write(org_id) as unit:
        users = unit.directory.users_by_ref(org_id, user_ids)
        # Somebody may have unblocked them, or blocked them for longer, since they were found.
        over = [
            user
            for user_id in user_ids
            if (user := users.get(user_id)) and user.blocked_reason and user.blocked_until and user.blocked_until <= now
        ]
        for user in over:
            _unblock(unit, user, now, by=SYSTEM, detail=UNBLOCKED_BY_SYSTEM)
        if over:
            unit.directory_changed()
    return len(over)


def _unblock(unit: OrganisationUnit, user: UserView, now: datetime, *, by: str, detail: str) -> None:
    changed = msgspec.structs.replace(user, blocked_reason="", blocked_until=None)
    line = _write(unit, changed, UNBLOCKED, now, reason=user.blocked_reason, until=None, by=by, detail=detail)
    _tell(unit, USER_UNBLOCKED, line, {"reason": user.blocked_reason, "by": by})


def _write(
    unit: OrganisationUnit,
    changed: UserView,
    action: str,
    now: datetime,
    *,
    reason: str,
    until: datetime | None,
    by: str,
    detail: str,
) -> BlockView:
    """Write the user and a line of the history, which stands behind the user's line before."""
    org_id = unit.organisation.org_id
    before = unit.policies.block_history(org_id, changed.user_id, None, 1)
    at = max(now, before[0].at + MICROSECOND) if before else now
    line = BlockView(user_id=changed.user_id, at=at, action=action, reason=reason, until=until, by=by, detail=detail)
    unit.directory.change_users(org_id, [changed])
    unit.policies.add_block(org_id, line)
    return line


def _tell(unit: OrganisationUnit, kind: str, line: BlockView, facts: dict[str, str]) -> None:
    told = notice(kind, f"user/{line.user_id}", line.at.isoformat(), facts, line.at)
    unit.policies.add_notice(unit.organisation.org_id, told)


def _blocked(unit: Unit, org_id: str, user: UserView) -> BlockedUser:
    latest = next((line for line in unit.policies.block_history(org_id, user.user_id, None, 1)), None)
    line = latest if latest and latest.action == BLOCKED else None
    return BlockedUser(
        user_id=user.user_id,
        upn=user.upn,
        display_name=user.display_name,
        numbers=user.numbers,
        reason=user.blocked_reason,
        explanation=BLOCK_REASONS.get(user.blocked_reason, user.blocked_reason),
        action=BLOCKED,
        blocked_at=line.at if line else None,
        until=user.blocked_until,
        by=line.by if line else "",
        detail=line.detail if line else "",
    )


def _cursor(cursor: str) -> tuple[int | None, int]:
    """The instant of the last line shown, in microseconds, and how many of that instant were shown."""
    if not cursor:
        return None, 0
    at, dot, shown = cursor.partition(".")
    if not (dot and at and shown):
        raise bad_cursor(cursor)
    return number_cursor(at), min(number_cursor(shown) or 0, 1_000_000)
