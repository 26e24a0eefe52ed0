"""The calls of a monthly invoice one by one, as CSV (RFC 4180, UTF-8)."""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC

from gettone.domain.money import render_micros
from gettone.operations.books_rows import BilledCall

COLUMNS = (
    *("started_at", "session_id", "call_type", "user", "called", "country", "destination"),
    *("seconds", "billed_seconds", "currency", "charge"),
)

Part = tuple[Iterable[BilledCall], Callable[[str], str]]
"""Some calls, and what says how their users are called by their ids."""


def calls_csv(parts: Iterable[Part], currency: str) -> Iterator[str]:
    """The calls with a header, part by part; times in UTC, charges exact."""
    yield _rows([COLUMNS])
    for calls, name_of in parts:
        yield _rows(_cells(call, currency, name_of) for call in calls)


def _cells(call: BilledCall, currency: str, name_of: Callable[[str], str]) -> tuple[object, ...]:
    return (
        call.started_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        call.session_id,
        call.call_type,
        name_of(call.user_id),
        call.called,
        call.country,
        call.destination,
        call.seconds,
        call.billed_seconds,
        currency,
        render_micros(call.charge_micros, currency),
    )


def _rows(rows: Iterable[tuple[object, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()
