"""Supervision: calls whose switch has fallen silent are settled with what was last reported (D12)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from gettone.operations.desk import DeskClosed, DeskFull
from gettone.operations.messages import Answer, Request, Settled, SettleSilent
from gettone.operations.ports import CallKey

CHUNK = 200
"""Silent calls settled in one go: few enough that live calls hardly wait for them."""


class OpenCalls(Protocol):
    """Open calls, in stretches."""

    def silent_calls(self, now: datetime, after: CallKey | None = None) -> tuple[list[CallKey], CallKey | None]:
        """Silent ones of the stretch behind *after*, and where the next stretch begins; None when there is none."""

    def open_calls(self) -> int:
        """How many calls are open."""


Charge = Callable[[Sequence[Request]], Sequence[Answer]]


class Supervision:
    """Settles calls whose switch has fallen silent."""

    def __init__(self, calls: OpenCalls, charge: Charge) -> None:
        """Find silent ones among *calls*; *charge* has them settled by the desk, which judges them afresh."""
        self._calls = calls
        self._charge = charge

    def __call__(self, now: datetime) -> int:
        """Settle all that are silent at *now*; returns how many were settled by us."""
        after: CallKey | None = None
        settled = 0
        while True:
            silent, after = self._calls.silent_calls(now, after)
            for start in range(0, len(silent), CHUNK):
                chunk = silent[start : start + CHUNK]
                requests = [SettleSilent(org_id=org_id, session_id=session_id) for org_id, session_id in chunk]
                try:
                    answers = self._charge(requests)
                except (DeskClosed, DeskFull):
                    # Live calls come first; what is left is found again at the next turn.
                    return settled
                settled += sum(isinstance(answer, Settled) for answer in answers)
            if after is None:
                return settled
