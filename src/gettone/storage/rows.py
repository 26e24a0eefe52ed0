"""Rows of the hot tables to domain values and back, the same for both databases.

Column order is fixed here, once: a statement and the tuple that fills it are made from the same list.
``call.funding`` is a JSON array: the chain of payers, the phases, the lots held, the refusal at its end; then, in calls
of users, the groups that the cost counts for, whether it is international, and what post-usage billing is to pay.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.entitlement import Payer, PayerKind
from gettone.domain.parties import NumberUse, Organisation, ServedNumber, User
from gettone.domain.policies import Block, Tally
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call, CallState, EndedBy, Phase
from gettone.operations.instants import EPOCH, instant, microseconds
from gettone.operations.policies import policies_from
from gettone.operations.views import BarView

CALL_COLUMNS = (
    "org_id",
    "session_id",
    "state",
    "call_type",
    "calling",
    "called",
    "user_id",
    "country",
    "kind",
    "destination",
    "started_at",
    "period",
    "deck_id",
    "rate_index",
    "funding",
    "held_micros",
    "used_seconds",
    "granted_to",
    "last_request",
    "supervise_until",
    "ended_at",
    "ended_by",
    "refusal",
    "billed_seconds",
    "charged_micros",
    "usage_lines",
    "recent_answers",
)

# What can change after a call is opened, in the order of `changed_values`.
CALL_CHANGES = (
    "state",
    "funding",
    "held_micros",
    "used_seconds",
    "granted_to",
    "last_request",
    "supervise_until",
    "ended_at",
    "ended_by",
    "billed_seconds",
    "charged_micros",
    "usage_lines",
    "recent_answers",
)


class _Funding(msgspec.Struct, array_like=True):
    """What ``call.funding`` says; a call that was opened by an earlier version lacks the last three."""

    payers: list[tuple[str, str, str]]
    phases: list[tuple[int, int, int]]
    holds: dict[str, int]
    when_exhausted: str
    groups: tuple[str, ...] = ()
    international: bool = False
    promised_micros: int = 0


_encode = msgspec.json.Encoder().encode
_decode_funding = msgspec.json.Decoder(_Funding).decode

_REFUSALS = {reason.value: reason for reason in Refusal}
_STATES = {state.value: state for state in CallState}
_ENDED_BY = {by.value: by for by in EndedBy}
_PAYER_KINDS = {kind.value: kind for kind in PayerKind}


@lru_cache(maxsize=4096)
def _payer(code: str, pool_key: str, capability: str) -> Payer:
    return Payer(_PAYER_KINDS[code], pool_key, capability)


def funding(call: Call) -> str:
    """The text of ``call.funding``."""
    return _encode(
        (
            [(payer.kind._value_, payer.pool_key, payer.capability) for payer in call.payers],
            [(phase.payer, phase.from_second, phase.to_second) for phase in call.phases],
            call.lot_holds,
            call.when_exhausted._value_,
            call.groups,
            call.international,
            call.promised_micros,
        )
    ).decode()


def lot_holds(text: str) -> dict[str, int]:
    """What a call holds of each lot, from the text of its ``funding``."""
    return _decode_funding(text).holds


def counted_for(text: str) -> tuple[tuple[str, ...], bool, int]:
    """The groups of a call, whether it is international, and what it has promised, from the text of its ``funding``."""
    found = _decode_funding(text)
    return found.groups, found.international, found.promised_micros


def pool_holds(text: str) -> list[tuple[str, int]]:
    """The seconds a running call holds of each pool, from the text of its ``funding``."""
    found = _decode_funding(text)
    return [
        (found.payers[payer][1], to_second - from_second)
        for payer, from_second, to_second in found.phases
        if found.payers[payer][0] == PayerKind.POOL.value
    ]


def new_values(call: Call, recent_answers: bytes) -> tuple[Any, ...]:
    """A call's row, in the order of `CALL_COLUMNS`."""
    return (
        call.org_id,
        call.session_id,
        call.state._value_,
        call.call_type,
        call.calling,
        call.called,
        call.user_id,
        call.country,
        call.kind,
        call.destination,
        microseconds(call.started_at),
        call.period,
        call.deck_id,
        call.rate_index,
        funding(call),
        sum(call.lot_holds.values()),
        call.used_seconds,
        call.granted_to,
        call.last_request,
        microseconds(call.supervise_until) if call.supervise_until else None,
        microseconds(call.ended_at) if call.ended_at else None,
        call.ended_by._value_ if call.ended_by else "",
        call.refusal._value_ if call.refusal else "",
        call.billed_seconds,
        call.charged_micros,
        call.usage_lines,
        recent_answers,
    )


def changed_values(call: Call, recent_answers: bytes) -> tuple[Any, ...]:
    """A call's changeable columns, in the order of `CALL_CHANGES`."""
    return (
        call.state._value_,
        funding(call),
        sum(call.lot_holds.values()),
        call.used_seconds,
        call.granted_to,
        call.last_request,
        microseconds(call.supervise_until) if call.supervise_until else None,
        microseconds(call.ended_at) if call.ended_at else None,
        call.ended_by._value_ if call.ended_by else "",
        call.billed_seconds,
        call.charged_micros,
        call.usage_lines,
        recent_answers,
    )


def call_from_row(row: Sequence[Any]) -> Call:
    """A call, from its row in the order of `CALL_COLUMNS`."""
    money = _decode_funding(row[14])
    return Call(
        row[0],
        row[1],
        row[3],
        row[4],
        row[5],
        instant(row[10]),
        row[11],
        row[6],
        row[7],
        row[8],
        row[9],
        tuple([_payer(*payer) for payer in money.payers]),
        _REFUSALS[money.when_exhausted],
        row[12],
        row[13],
        _STATES[row[2]],
        [Phase(*phase) for phase in money.phases],
        money.holds,
        row[16],
        row[17],
        row[18],
        instant(row[19]) if row[19] is not None else None,
        instant(row[20]) if row[20] is not None else None,
        _ENDED_BY.get(row[21]),
        _REFUSALS.get(row[22]),
        row[23],
        row[24],
        row[25],
        money.groups,
        money.international,
        money.promised_micros,
    )


ORGANISATION_COLUMNS = "org_id, name, country, currency, time_zone, price_list, closed, post_usage, policies"

# What decides about calls, in the order of `user_from_row`.
USER_COLUMNS = (
    "user_id",
    "usage_location",
    "licences",
    "resource",
    "department",
    "cost_centre",
    "dial_out_policy",
    "limit_micros",
    "blocked_reason",
    "blocked_until",
)


def organisation_from_row(row: Sequence[Any], bars: Sequence[BarView]) -> Organisation:
    """An organisation, from a row in the order of `ORGANISATION_COLUMNS` and its barred numbers."""
    settled = policies_from(row[8], bars, row[3])
    return Organisation(row[0], row[1], row[2], row[3], ZoneInfo(row[4]), row[5], bool(row[6]), bool(row[7]), settled)


def bars_by_organisation(rows: Iterable[Sequence[Any]]) -> dict[str, list[BarView]]:
    """Barred numbers by organisation, from rows (org_id, direction, prefix, barred); without what is for people."""
    found: dict[str, list[BarView]] = {}
    for org_id, direction, prefix, barred in rows:
        bar = BarView(direction=direction, prefix=prefix, barred=bool(barred), label="", created_at=EPOCH)
        found.setdefault(org_id, []).append(bar)
    return found


@lru_cache(maxsize=10_000)
def _licences(text: str) -> frozenset[str]:
    # Thousands of users hold the same: one set, whose hash is computed once.
    return frozenset(text.split())


def user_from_row(row: Sequence[Any]) -> User:
    """A user, from a row in the order of `USER_COLUMNS`."""
    user_id, location, licences, resource, department, cost_centre, policy, limit, reason, until = row
    block = Block(reason, None if until is None else instant(until)) if reason else None
    return User(user_id, location, _licences(licences), bool(resource), department, cost_centre, policy, limit, block)


def served_from_row(row: Sequence[Any]) -> ServedNumber:
    """A number with its user, from (digits, use) and `USER_COLUMNS`, which are NULL for numbers of no user."""
    return ServedNumber(row[0], NumberUse(row[1]), user_from_row(row[2:]) if row[2] else None)


def tally_from_row(row: Sequence[Any]) -> tuple[str, Tally]:
    """A tally with its org_id, from a row in the order of `TALLY_COLUMNS`."""
    return row[0], Tally(*row[1:])


TALLY_COLUMNS = (
    "org_id",
    "subject",
    "period",
    "open_calls",
    "spent_micros",
    "held_micros",
    "hour",
    "hour_micros",
    "warned_percent",
)
