"""Licensing in bulk: one file gives a product to every user of an organisation, in one transaction, on SQLite.

The limit is the driver of the standard library: the very rows that the import has just written, in one transaction, on
an equal file. Every round begins with files as they were at first.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import event

from gettone.bench import world
from gettone.bench.measuring import NotMeasured, Result, Work, interleaved, rate
from gettone.bench.sizes import Sizes
from gettone.bench.sqlite import RawSqlite, Write
from gettone.operations.bulk_licensing import import_licences
from gettone.operations.subscriptions import buy
from gettone.storage.engine import open_database
from gettone.storage.office import SqlOffice, open_office

ORG_ID = "org0"
HELD = ("MCOEV", "MCOPSTN1")
ASSIGNED = "MCOPSTNC"
"""Communications Credits, to people who have Phone System and a Calling Plan."""


def bulk(name: str, folder: Path, sizes: Sizes) -> Result:
    """Users who are given a product in a second, of a file that names `Sizes.bulk_users`."""
    first, ours, equal = (folder / f"{name}-{side}.db" for side in ("first", "ours", "equal"))
    world.make(f"sqlite:///{first}", 1, users=sizes.bulk_users, licences=HELD)
    with contextlib.closing(open_office(f"sqlite:///{first}")) as office:
        buy(office, ORG_ID, ASSIGNED, datetime.now(UTC), reference="bench")
    world.settle(f"sqlite:///{first}")
    data = _file(sizes.bulk_users)
    written: list[Write] = []

    def imported() -> Work:
        written.clear()
        _renew(first, ours)
        return lambda: _imported(ours, data, written)

    def replayed() -> Work:
        _renew(first, equal)

        def work() -> int:
            with contextlib.closing(RawSqlite(equal)) as raw:
                raw.replay([written])
            return sizes.bulk_users

        return work

    samples, limits = interleaved(sizes.bulk_rounds, imported, replayed)
    return rate(name, "users/s", samples, limits)


def _file(users: int) -> bytes:
    return "".join(["user,add\n", *(f"{world.user(number)},{ASSIGNED}\n" for number in range(users))]).encode()


def _renew(first: Path, path: Path) -> None:
    """Let *path* be as *first* is, without a log of its own."""
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    shutil.copy(first, path)


def _imported(path: Path, data: bytes, written: list[Write]) -> int:
    """Import the file *data*; *written* notes the rows."""
    database = open_database(f"sqlite:///{path}")
    with contextlib.closing(SqlOffice(database)) as office, _noting(database.engine, written):
        done = import_licences(office, ORG_ID, data, datetime.now(UTC))
    if not done.written or done.problems:
        raise NotMeasured(f"a licence was refused: {done.problems[0]}")
    return done.changed


@contextlib.contextmanager
def _noting(engine: Any, written: list[Write]) -> Iterator[None]:  # noqa: ANN401 - an engine, or what events take for one
    def note(_connection: Any, _cursor: sqlite3.Cursor, statement: str, rows: Any, _context: Any, many: bool) -> None:  # noqa: ANN401, FBT001 - SQLAlchemy's event
        if statement.startswith(("INSERT", "UPDATE", "DELETE")):
            written.append((statement, rows if many else [rows]))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)
