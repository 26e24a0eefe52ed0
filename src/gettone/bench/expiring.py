"""A night in which the credit of very many organisations expires: each wallet is written off in its own transaction.

The limit is the driver of the standard library: the very rows of that night, in the same transactions, on an equal
file, and nothing read or decided.
"""

import contextlib
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import event, update

from gettone.bench import world
from gettone.bench.measuring import NotMeasured, Result, rate, timed
from gettone.bench.sizes import Sizes
from gettone.bench.sqlite import RawSqlite, Write
from gettone.operations.instants import microseconds
from gettone.operations.lifecycle import expire_lots
from gettone.storage import schema
from gettone.storage.engine import open_database
from gettone.storage.office import SqlOffice

ROUNDS = 10
_REPLAYED = 10
"""One transaction in so many is given to the bare driver, or the night would be long."""


def night(name: str, folder: Path, sizes: Sizes) -> Result:
    """Wallets a second of `Sizes.expiring_wallets` that expire together: the whole night, in rounds."""
    ours, equal = folder / f"{name}.db", folder / f"{name}-equal.db"
    now = datetime.now(UTC)
    world.make(f"sqlite:///{ours}", sizes.expiring_wallets)
    _expired(f"sqlite:///{ours}", now)
    shutil.copy(ours, equal)
    each = max(1, sizes.expiring_wallets // ROUNDS)
    samples, limits = [], []
    database = open_database(f"sqlite:///{ours}")
    with contextlib.closing(SqlOffice(database)) as office, contextlib.closing(RawSqlite(equal)) as raw:
        expired = expire_lots(office, now)
        for _ in range(ROUNDS):
            transactions: list[list[Write]] = []
            with noting(database.engine, transactions):
                samples.append(timed(lambda: sum(1 for _ in islice(expired, each))))
            limits.append(timed(_replaying(raw, transactions[: max(1, each // _REPLAYED)])))
    done = sum(sample.operations for sample in samples)
    if done != each * ROUNDS:
        raise NotMeasured(f"{done} of {each * ROUNDS} wallets expired")
    return rate(name, "wallets/s", samples, limits)


def _expired(url: str, now: datetime) -> None:
    """Let every lot be past its end."""
    database = open_database(url)
    try:
        with database.writing() as connection:
            past = {"purchased_at": now - timedelta(days=366), "expires_at": now - timedelta(hours=1)}
            connection.execute(update(schema.lot).values({key: microseconds(at) for key, at in past.items()}))
    finally:
        database.close()
    world.settle(url)


def _replaying(raw: RawSqlite, transactions: list[list[Write]]) -> Callable[[], int]:
    def work() -> int:
        raw.replay(transactions)
        return len(transactions)

    return work


@contextlib.contextmanager
def noting(engine: Any, transactions: list[list[Write]]) -> Iterator[None]:  # noqa: ANN401 - an engine, or what events take for one
    """Note what *engine* writes, a list for each transaction that wrote something."""
    written: list[Write] = []

    def note(_connection: Any, _cursor: Any, statement: str, rows: Any, _context: Any, many: bool) -> None:  # noqa: ANN401, FBT001 - SQLAlchemy's event
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            written.append((statement, list(rows) if many else [rows]))

    def end(_connection: Any) -> None:  # noqa: ANN401 - SQLAlchemy's event
        if written:
            transactions.append(list(written))
            written.clear()

    event.listen(engine, "before_cursor_execute", note)
    event.listen(engine, "commit", end)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
        event.remove(engine, "commit", end)
