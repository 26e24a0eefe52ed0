"""What every call-record reader gives: a call, or a line it could not read and why.

Invariants:

- A ``record_id`` depends only on what the switch wrote, never on where the line stands or when it is read:
  the same call has the same id however often, and in whichever file, it is given (D15).
- ``started_at`` is aware UTC and is the answer; for a call nobody answered it is the start.
- ``seconds`` is answered time and is 0 when nobody answered. Fractions are dropped, as Asterisk and FreeSWITCH
  drop them when they write whole seconds.
- Nothing is dropped in silence: a line becomes a record, a ``BadLine``, or one of the skips that
  docs/reference/call-record-formats.md names (counted in ``skipped``).
"""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from gettone.errors import GettoneError

SECONDS_MAX = 7 * 24 * 3600
"""Longest duration believed: a week. Longer is a switch's error (an epoch in place of a duration has been seen)."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """One call as its switch reported it; numbers as dialled, nothing decided, nothing priced.

    Attributes:
        line: Where it stands in the file, counting from 1; in a JSON document, which row it is.
        record_id: Unique within the format; what makes a call count once.
        session_id: The switch's own call id, by which a call charged live can be found.
        user: Sign-in name, user id or account code; None when the switch does not say.
        calling: The caller's number; empty when withheld.
        called: The number dialled.
        started_at: Answer (or, unanswered, start) in UTC.
        seconds: Answered whole seconds.
        answered: Whether anybody answered.
        call_type: A word of the usage export (``user_out``, ``conf_in``, ...); None to derive it from the numbers.
        reported_charge: What the source says the call cost, connection charge included, as plain decimal text.
        currency: ISO 4217 code of ``reported_charge``.
    """

    line: int
    record_id: str
    session_id: str | None
    user: str | None
    calling: str
    called: str
    started_at: datetime
    seconds: int
    answered: bool
    call_type: str | None = None
    reported_charge: str | None = None
    currency: str | None = None


@dataclass(slots=True)
class BadLine:
    """A line that is not charged: its number, its text, and a reason that names field, value and remedy."""

    line: int
    raw: str
    reason: str


class FormatError(GettoneError, ValueError):
    """The file as a whole is not what its format promises; nothing of it should be charged."""


class Reject(ValueError):
    """A row cannot be read; the message says why. Readers turn it into a ``BadLine``; it never leaves the package."""


def shown(value: str) -> str:
    """Quote *value* for a reason, shortened so that one bad field cannot fill a screen."""
    return repr(value if len(value) <= 60 else value[:57] + "...")


def digest_id(fields: Iterable[str]) -> str:
    """SHA-256 of *fields*, for formats and rows without an id of their own."""
    return hashlib.sha256("\x1f".join(fields).encode("utf-8", "surrogatepass")).hexdigest()


class Occurrences:
    """Tells equal lines of one file apart, in constant memory.

    Equal lines carry equal times, so true twins stand together in a log. A line that comes back after the
    clock has moved on is the same call given twice (logs joined with an overlap) and keeps its first id.
    """

    __slots__ = ("_counts", "_moment")

    def __init__(self) -> None:
        self._moment = ""
        self._counts: dict[str, int] = {}

    def label(self, digest: str, moment: str) -> str:
        """Return *digest*, or ``digest#2`` for its second occurrence among lines of the same *moment*."""
        if moment != self._moment:
            self._moment = moment
            self._counts.clear()
        count = self._counts[digest] = self._counts.get(digest, 0) + 1
        return digest if count == 1 else f"{digest}#{count}"
