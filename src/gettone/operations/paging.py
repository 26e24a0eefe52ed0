"""Lists in pages: a cursor says where the next page begins, so that pages stay right while rows come and go."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from gettone.errors import InvalidInput
from gettone.operations.views import Page

T = TypeVar("T")

LIMIT_MAX = 1000


def check_limit(limit: int) -> int:
    """Return *limit*; raise `InvalidInput` when it is not from 1 to 1000."""
    if not 1 <= limit <= LIMIT_MAX:
        raise InvalidInput("limit", limit, f"write a number from 1 to {LIMIT_MAX}")
    return limit


def page(rows: Sequence[T], limit: int, cursor_of: Callable[[T], str]) -> Page[T]:
    """Make a page of *rows*, of which one more than *limit* was asked for to know whether there is more."""
    items = tuple(rows[:limit])
    return Page(items, cursor_of(items[-1]) if len(rows) > limit else "")


def number_cursor(cursor: str) -> int | None:
    """Read a cursor that is a number; None when it is empty."""
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 18):
        raise bad_cursor(cursor)
    return int(cursor)


def bad_cursor(cursor: str) -> InvalidInput:
    """The error for a cursor that no page ever gave."""
    return InvalidInput("cursor", cursor[:80], "send the next_cursor of the page before, or none for the first page")
