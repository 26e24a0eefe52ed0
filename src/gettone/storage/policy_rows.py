"""Barred numbers, blocks, spending and notices in SQL (`operations.office.PolicyRows`)."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    bindparam,
    delete,
    insert,
    literal_column,
    or_,
    select,
    tuple_,
    update,
)

from gettone.domain.policies import ORGANISATION, Tally
from gettone.operations.instants import instant, microseconds
from gettone.operations.views import BarView, BlockView, DestinationView, NoticeView, UserView
from gettone.storage.directory_rows import users_of
from gettone.storage.schema import known_destination, notice, number_bar, subscriber, tally, user_block

# Written out, not bound: else SQLite does not see that the index of blocked users covers the condition.
NOBODY: ColumnElement[str] = literal_column("''")

_encode = msgspec.json.Encoder().encode
_decode_facts = msgspec.json.Decoder(dict[str, str]).decode


class SqlPolicies:
    """See `PolicyRows`; every statement names its organisation, but for `blocks_ended`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def bars(self, org_id: str) -> list[BarView]:
        """See `PolicyRows`."""
        query = select(number_bar).where(number_bar.c.org_id == org_id)
        rows = self._connection.execute(query.order_by(number_bar.c.direction, number_bar.c.prefix))
        return [
            BarView(
                direction=row.direction,
                prefix=row.prefix,
                barred=bool(row.barred),
                label=row.label,
                created_at=instant(row.created_at),
            )
            for row in rows
        ]

    def write_bars(self, org_id: str, bars: Sequence[BarView]) -> None:
        """See `PolicyRows`; of one prefix given twice the last counts."""
        latest = {(bar.direction, bar.prefix): bar for bar in bars}
        self.remove_bars(org_id, latest.keys())
        rows = [
            {
                "org_id": org_id,
                "direction": bar.direction,
                "prefix": bar.prefix,
                "barred": int(bar.barred),
                "label": bar.label,
                "created_at": microseconds(bar.created_at),
            }
            for bar in latest.values()
        ]
        if rows:
            self._connection.execute(insert(number_bar), rows)

    def remove_bars(self, org_id: str, keys: Collection[tuple[str, str]]) -> None:
        """See `PolicyRows`."""
        if not keys:
            return
        columns = number_bar.c
        named = (columns.direction == bindparam("of_direction"), columns.prefix == bindparam("of_prefix"))
        self._connection.execute(
            delete(number_bar).where(columns.org_id == bindparam("of_org"), *named),
            [{"of_org": org_id, "of_direction": direction, "of_prefix": prefix} for direction, prefix in keys],
        )

    def blocked_users(self, org_id: str, after: str, limit: int) -> list[UserView]:
        """See `PolicyRows`."""
        query = (
            select(subscriber)
            .where(subscriber.c.org_id == org_id, subscriber.c.upn > after, subscriber.c.blocked_reason != NOBODY)
            .order_by(subscriber.c.upn)
            .limit(limit)
        )
        return users_of(self._connection, org_id, query)

    def add_block(self, org_id: str, block: BlockView) -> None:
        """See `PolicyRows`."""
        self._connection.execute(
            insert(user_block),
            {
                "org_id": org_id,
                "user_id": block.user_id,
                "at": microseconds(block.at),
                "action": block.action,
                "reason": block.reason,
                "until": None if block.until is None else microseconds(block.until),
                "by": block.by,
                "detail": block.detail,
            },
        )

    def block_history(self, org_id: str, user_id: str, before: int | None, limit: int) -> list[BlockView]:
        """See `PolicyRows`."""
        query = select(user_block).where(user_block.c.org_id == org_id)
        if user_id:
            query = query.where(user_block.c.user_id == user_id)
        if before is not None:
            query = query.where(user_block.c.at < before)
        newest = query.order_by(user_block.c.at.desc(), user_block.c.user_id, user_block.c.action)
        return [_block(row) for row in self._connection.execute(newest.limit(limit))]

    def blocks_ended(self, now: datetime, after: str, limit: int) -> list[tuple[str, str]]:
        """See `PolicyRows`."""
        org_id, _, user_id = after.partition("/")
        keys = (subscriber.c.org_id, subscriber.c.user_id)
        query = (
            select(*keys)
            .where(subscriber.c.blocked_until <= microseconds(now), subscriber.c.blocked_reason != NOBODY)
            .where(tuple_(*keys) > tuple_(org_id, user_id))
            .order_by(*keys)
            .limit(limit)
        )
        return [(row.org_id, row.user_id) for row in self._connection.execute(query)]

    def tallies(self, org_id: str, period: int, after: str, limit: int) -> list[Tally]:
        """See `PolicyRows`; the organisation's own subject is empty and comes first, after nothing."""
        query = select(tally).where(tally.c.org_id == org_id, tally.c.period == period)
        if after != ORGANISATION:
            query = query.where(tally.c.subject > after)
        rows = self._connection.execute(query.order_by(tally.c.subject).limit(limit))
        return [
            Tally(
                subject=row.subject,
                period=row.period,
                open_calls=row.open_calls,
                spent_micros=row.spent_micros,
                held_micros=row.held_micros,
                hour=row.hour,
                hour_micros=row.hour_micros,
                warned_percent=row.warned_percent,
            )
            for row in rows
        ]

    def destinations(self, org_id: str, after: str, limit: int) -> list[DestinationView]:
        """See `PolicyRows`."""
        known = known_destination.c
        query = select(known_destination).where(known.org_id == org_id, known.destination > after)
        return [
            DestinationView(destination=row.destination, first_at=instant(row.first_at), allowed=bool(row.allowed))
            for row in self._connection.execute(query.order_by(known.destination).limit(limit))
        ]

    def allow_destination(self, org_id: str, destination: str, now: datetime) -> None:
        """See `PolicyRows`; one that was called before keeps the time of its first call."""
        known = known_destination.c
        allowed = self._connection.execute(
            update(known_destination).where(known.org_id == org_id, known.destination == destination).values(allowed=1)
        )
        if allowed.rowcount == 0:
            self._connection.execute(
                insert(known_destination),
                {"org_id": org_id, "destination": destination, "first_at": microseconds(now), "allowed": 1},
            )

    def add_notice(self, org_id: str, new: NoticeView) -> None:
        """See `PolicyRows`."""
        there = select(notice.c.notice_id).where(notice.c.org_id == org_id, notice.c.notice_id == new.notice_id)
        if self._connection.execute(there).first() is None:
            self._connection.execute(
                insert(notice),
                {
                    "org_id": org_id,
                    "notice_id": new.notice_id,
                    "kind": new.kind,
                    "subject": new.subject,
                    "written_at": microseconds(new.written_at),
                    "facts": _encode(new.facts).decode(),
                },
            )

    def notices(self, org_id: str, kind: str, before: tuple[int, str] | None, limit: int) -> list[NoticeView]:
        """See `PolicyRows`."""
        query = select(notice).where(notice.c.org_id == org_id)
        if kind:
            query = query.where(notice.c.kind == kind)
        if before is not None:
            written_at, notice_id = before
            query = query.where(
                notice.c.written_at <= written_at,
                or_(notice.c.written_at < written_at, notice.c.notice_id < notice_id),
            )
        newest = query.order_by(notice.c.written_at.desc(), notice.c.notice_id.desc()).limit(limit)
        return [
            NoticeView(
                notice_id=row.notice_id,
                kind=row.kind,
                subject=row.subject,
                written_at=instant(row.written_at),
                facts=_decode_facts(row.facts),
            )
            for row in self._connection.execute(newest)
        ]


def _block(row: Row[Any]) -> BlockView:
    return BlockView(
        user_id=row.user_id,
        at=instant(row.at),
        action=row.action,
        reason=row.reason,
        until=None if row.until is None else instant(row.until),
        by=row.by,
        detail=row.detail,
    )
