"""Writers of one SQLite file take turns within a process, first come, first served.

SQLite lets one writer in at a time and lets the others poll for it. The charging desk takes and gives back the file
hundreds of times a second, so a polling writer, or one waiting on an ordinary lock, may starve.
"""

import threading
from collections import deque
from types import TracebackType


class WriteTurn:
    """A mutex that is handed on in the order in which it was asked for; not reentrant."""

    def __init__(self) -> None:
        """Begin free."""
        self._guard = threading.Lock()
        self._taken = False
        self._waiting: deque[threading.Lock] = deque()

    def __enter__(self) -> None:
        """Wait for the turn."""
        with self._guard:
            if not self._taken:
                self._taken = True
                return
            gate = threading.Lock()
            gate.acquire()
            self._waiting.append(gate)
        gate.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hand the turn to whoever has waited longest."""
        with self._guard:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._taken = False


_turns: dict[str, WriteTurn] = {}
_turns_guard = threading.Lock()


def write_turn(path: str) -> WriteTurn:
    """The one `WriteTurn` of the file at *path* (its real path) in this process."""
    with _turns_guard:
        return _turns.setdefault(path, WriteTurn())
