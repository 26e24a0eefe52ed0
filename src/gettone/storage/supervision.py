"""Open calls as supervision sees them (D12): which have fallen silent, and how many there are.

Open calls are walked in the order of their key, a stretch at a time, so that no statement grows with their number.
An index by supervision time would be quicker here and would cost every update of every call one more page to write.
"""

from datetime import datetime

from sqlalchemy import func, literal, select, tuple_

from gettone.operations.instants import microseconds
from gettone.operations.ports import CallKey
from gettone.storage.engine import Database, open_database
from gettone.storage.schema import call

STRETCH = 5_000
"""Open calls looked at in one transaction."""


class OpenCalls:
    """Reads open calls; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        """Read from *database*, which is closed with this."""
        self._database = database

    def silent_calls(self, now: datetime, after: CallKey | None = None) -> tuple[list[CallKey], CallKey | None]:
        """Look at the stretch of open calls behind *after*: those whose supervision time is past, and where to go on.

        The second value is None when this stretch was the last.
        """
        key = tuple_(call.c.org_id, call.c.session_id)
        stretch = (
            select(call.c.org_id, call.c.session_id, call.c.supervise_until)
            .where(call.c.state == "open", key > tuple_(*map(literal, after or ("", ""))))
            .order_by(call.c.org_id, call.c.session_id)
            .limit(STRETCH)
        )
        with self._database.reading() as connection:
            rows = connection.execute(stretch).all()
        last = (rows[-1][0], rows[-1][1]) if len(rows) == STRETCH else None
        limit = microseconds(now)
        return [(org_id, session_id) for org_id, session_id, until in rows if until is not None and until < limit], last

    def open_calls(self) -> int:
        """How many calls are open."""
        with self._database.reading() as connection:
            return connection.execute(select(func.count()).where(call.c.state == "open")).scalar_one()

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def open_calls_of(url: str) -> OpenCalls:
    """Open the calls of the database at *url*, whose schema must be current."""
    return OpenCalls(open_database(url, connections=1))
