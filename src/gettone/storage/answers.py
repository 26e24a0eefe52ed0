"""The answers that a call has been given, kept where they cost least.

A repeat comes soon after the request it repeats, so the latest answers stand in the call's own row, which is written
anyway: one line ``[request_number, fingerprint, answer]`` each. When they grow past `RECENT_BYTES_MAX`, all of them
move to ``call_request``, one row each, and stay there for good.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from gettone.operations.ports import CallKey, RequestKey, StoredAnswer

RECENT_BYTES_MAX = 2000

_decode_lines = msgspec.json.Decoder(tuple[int, int, msgspec.Raw]).decode_lines


class Answers:
    """The answers of the calls of one unit: as read, and as they are to be written."""

    def __init__(self) -> None:
        """Begin empty."""
        self._recent: dict[CallKey, bytes] = {}

    def read(self, key: CallKey, recent: bytes) -> None:
        """Note the ``recent_answers`` of a call's row."""
        self._recent[key] = recent

    def find(self, keys: Iterable[RequestKey]) -> dict[RequestKey, StoredAnswer]:
        """Those of the answers that stand in the calls' rows."""
        found: dict[RequestKey, StoredAnswer] = {}
        for org_id, session_id, number in keys:
            for line_number, fingerprint, body in _decode_lines(self._recent.get((org_id, session_id), b"")):
                if line_number == number:
                    found[org_id, session_id, number] = StoredAnswer(fingerprint, bytes(body))
        return found

    def add(self, given: dict[RequestKey, StoredAnswer]) -> list[tuple[Any, ...]]:
        """Put new answers into their calls' rows; returns the rows that move to ``call_request``."""
        moved: list[tuple[Any, ...]] = []
        recent = self._recent
        for (org_id, session_id, number), stored in given.items():
            key = (org_id, session_id)
            lines = recent.get(key, b"")
            if len(lines) > RECENT_BYTES_MAX:
                moved += [
                    (org_id, session_id, line_number, fingerprint, bytes(body))
                    for line_number, fingerprint, body in _decode_lines(lines)
                ]
                lines = b""
            recent[key] = b"%b[%d,%d,%b]\n" % (lines, number, stored.fingerprint, stored.body)
        return moved

    def recent(self, key: CallKey) -> bytes:
        """The ``recent_answers`` to write for a call."""
        return self._recent.get(key, b"")
