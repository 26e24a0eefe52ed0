"""Calls and usage records in SQL (`operations.office.CallRows`)."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Text,
    and_,
    cast,
    func,
    literal_column,
    or_,
    select,
)

from gettone.domain.entitlement import PayerKind
from gettone.domain.parties import CallType
from gettone.domain.session import CallState
from gettone.operations.instants import instant, microseconds
from gettone.operations.office import CallFilter, add_totals
from gettone.operations.views import CallView, UsageTotal, UsageView
from gettone.storage.schema import call, usage_record

QUARTER_MICROSECONDS = 15 * 60 * 1_000_000

_PAYER_NAMES = {kind.value: kind.name.lower() for kind in PayerKind}


class SqlCalls:
    """See `CallRows`; every statement names its organisation."""

    def __init__(self, connection: Connection) -> None:
        """Read through *connection*, which is in a transaction."""
        self._connection = connection

    def call(self, org_id: str, session_id: str) -> CallView | None:
        """See `CallRows`."""
        query = select(call).where(call.c.org_id == org_id, call.c.session_id == session_id)
        row = self._connection.execute(query).one_or_none()
        return _call(row) if row else None

    def users_in_calls(self, org_id: str) -> set[str]:
        """See `CallRows`; the state is written out, so that the index of the open calls is used."""
        query = select(call.c.user_id).where(call.c.org_id == org_id, call.c.state == literal_column("'open'"))
        return {user_id for user_id in self._connection.execute(query.distinct()).scalars() if user_id}

    def usage_of(self, org_id: str, session_id: str) -> list[UsageView]:
        """See `CallRows`."""
        query = select(usage_record).where(usage_record.c.org_id == org_id, usage_record.c.session_id == session_id)
        return [_usage(row) for row in self._connection.execute(query.order_by(usage_record.c.line))]

    def calls(self, org_id: str, wanted: CallFilter, before: tuple[int, str] | None, limit: int) -> list[CallView]:
        """See `CallRows`."""
        query = select(call).where(call.c.org_id == org_id, *_conditions(wanted))
        if before is not None:
            started_at, session_id = before
            query = query.where(
                call.c.started_at <= started_at,
                or_(call.c.started_at < started_at, call.c.session_id < session_id),
            )
        query = query.order_by(call.c.started_at.desc(), call.c.session_id.desc()).limit(limit)
        return [_call(row) for row in self._connection.execute(query)]

    def usage_totals(self, org_id: str, by: str, since: datetime, until: datetime) -> list[UsageTotal]:
        """See `CallRows`."""
        key, sums, source = _by_payer() if by == "payer" else _by_call(by)
        query = (
            select(key.label("key"), call.c.call_type, *sums)
            .select_from(source)
            .where(
                call.c.org_id == org_id,
                call.c.started_at >= microseconds(since),
                call.c.started_at < microseconds(until),
                call.c.state == CallState.ENDED.value,
            )
            .group_by(key, call.c.call_type)
        )
        totals: dict[str, UsageTotal] = {}
        for row in self._connection.execute(query):
            name = _PAYER_NAMES[row.key] if by == "payer" else row.key
            total = _total(name, row)
            totals[name] = add_totals(totals[name], total) if name in totals else total
        return [totals[name] for name in sorted(totals)]


Sums = tuple[ColumnElement[int], ...]


def _by_call(by: str) -> tuple[ColumnElement[str], Sums, FromClause]:
    """Key, sums and source of totals that need only the calls."""
    keys: dict[str, ColumnElement[str]] = {
        "user": call.c.user_id,
        "destination": call.c.destination,
        "quarter": cast(call.c.started_at // QUARTER_MICROSECONDS, Text),
    }
    return keys[by], _sums(func.count(), call.c.used_seconds, call.c.billed_seconds, call.c.charged_micros), call


def _by_payer() -> tuple[ColumnElement[str], Sums, FromClause]:
    """Key, sums and source of totals by who paid; a call of two payers is counted once under each."""
    same = and_(usage_record.c.org_id == call.c.org_id, usage_record.c.session_id == call.c.session_id)
    part = usage_record.c
    sums = _sums(func.count(call.c.session_id.distinct()), part.seconds, part.billed_seconds, part.charge_micros)
    return part.payer, sums, call.join(usage_record, same)


def _sums(
    sessions: ColumnElement[int], used: ColumnElement[int], billed: ColumnElement[int], charged: ColumnElement[int]
) -> Sums:
    # A sum of BIGINT is NUMERIC on PostgreSQL.
    return (
        sessions.label("sessions"),
        cast(func.sum(used), BigInteger).label("seconds"),
        cast(func.sum(billed), BigInteger).label("billed"),
        cast(func.sum(charged), BigInteger).label("charged"),
    )


def _total(key: str, row: Row[Any]) -> UsageTotal:
    message = row.call_type == CallType.SMS_OUT.value
    return UsageTotal(
        key=key,
        calls=0 if message else row.sessions,
        messages=row.seconds if message else 0,
        seconds=0 if message else row.seconds,
        billed_seconds=0 if message else row.billed,
        charged_micros=row.charged,
    )


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    columns = {
        call.c.state: wanted.state,
        call.c.user_id: wanted.user,
        call.c.called: wanted.called,
        call.c.call_type: wanted.call_type,
    }
    conditions = [column == value for column, value in columns.items() if value]
    if wanted.since is not None:
        conditions.append(call.c.started_at >= microseconds(wanted.since))
    if wanted.until is not None:
        conditions.append(call.c.started_at < microseconds(wanted.until))
    return conditions


def _call(row: Row[Any]) -> CallView:
    return CallView(
        session_id=row.session_id,
        state=row.state,
        call_type=row.call_type,
        calling=row.calling,
        called=row.called,
        user_id=row.user_id,
        country=row.country,
        kind=row.kind,
        destination=row.destination,
        started_at=instant(row.started_at),
        ended_at=None if row.ended_at is None else instant(row.ended_at),
        ended_by=row.ended_by,
        refusal=row.refusal,
        used_seconds=row.used_seconds,
        billed_seconds=row.billed_seconds,
        charged_micros=row.charged_micros,
        held_micros=row.held_micros,
        granted_seconds=row.granted_to,
        deck_id=row.deck_id,
    )


def _usage(row: Row[Any]) -> UsageView:
    return UsageView(
        line=row.line,
        payer=_PAYER_NAMES.get(row.payer, row.payer),
        pool_key=row.pool_key,
        capability=row.capability,
        from_second=row.from_second,
        seconds=row.seconds,
        billed_seconds=row.billed_seconds,
        charged_micros=row.charge_micros,
        connection_micros=row.connection_micros,
    )
