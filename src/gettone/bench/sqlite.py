"""Charging on a SQLite file, and the same rows written by the driver alone."""

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from gettone.bench import world
from gettone.bench.load import Load
from gettone.bench.measuring import Result, Work, interleaved, rate
from gettone.bench.rounds import Rounds
from gettone.bench.sizes import Sizes
from gettone.operations.ports import ChargingUnit
from gettone.storage.sqlite_charging import SqliteCharging, SqliteUnit
from gettone.storage.write_turn import WriteTurn

T = TypeVar("T")

Write = tuple[str, list[tuple[Any, ...]]]
"""A statement and the rows it was run for."""


class RecordingSqlite:
    """A `ChargingStore` that notes what each transaction writes."""

    def __init__(self, path: Path) -> None:
        """Charge on the file at *path*."""
        self._store = SqliteCharging(str(path), turn=WriteTurn())
        self.transactions: list[list[Write]] = []

    def transaction(self, body: Callable[[ChargingUnit], T]) -> T:
        """See `ChargingStore`."""
        writes: list[Write] = []
        result = self._store.transaction(lambda unit: body(_RecordingUnit(unit, writes)))
        self.transactions.append(writes)
        return result

    def close(self) -> None:
        """See `ChargingStore`."""
        self._store.close()


class _RecordingUnit(SqliteUnit):
    def __init__(self, unit: SqliteUnit, writes: list[Write]) -> None:
        super().__init__(_RecordingConnection(unit._connection, writes))  # type: ignore[arg-type]  # noqa: SLF001 - stands in for it, and has all that a unit uses


class _RecordingConnection:
    """The two methods of a connection that a unit uses."""

    def __init__(self, connection: sqlite3.Connection, writes: list[Write]) -> None:
        self.execute = connection.execute
        self._executemany = connection.executemany
        self._writes = writes

    def executemany(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> sqlite3.Cursor:
        kept = list(rows)
        self._writes.append((statement, kept))
        return self._executemany(statement, kept)


class RawSqlite:
    """The limit: the rows of others, written to an equal file with the same settings, and nothing read or decided."""

    def __init__(self, path: Path) -> None:
        """Write to the file at *path*."""
        self._connection = SqliteCharging(str(path), turn=WriteTurn())._connect()  # noqa: SLF001 - the very same settings

    def replay(self, transactions: Sequence[Sequence[Write]]) -> None:
        """Write each transaction and commit it durably."""
        run, run_many = self._connection.execute, self._connection.executemany
        for writes in transactions:
            run("BEGIN IMMEDIATE")
            for statement, rows in writes:
                if rows:
                    run_many(statement, rows)
            run("COMMIT")

    def close(self) -> None:
        """Close the file."""
        self._connection.close()


def charge(name: str, folder: Path, sizes: Sizes, *, batch: int, called: str = world.PAID_BY_CREDITS) -> Result:
    """Charge in batches of *batch*, each committed durably, beside the same writes without us."""
    path, equal = folder / f"{name}.db", folder / f"{name}-equal.db"
    organisations = world.make(f"sqlite:///{path}", sizes.organisations)
    shutil.copy(path, equal)
    store, raw = RecordingSqlite(path), RawSqlite(equal)
    load = Load(organisations, open_calls=sizes.open_calls, called=called)
    charged = Rounds(world.charging(store), load, sizes, batch)

    def replayed() -> Work:
        transactions, store.transactions = store.transactions, []

        def work() -> int:
            raw.replay(transactions)
            return charged.done

        return work

    try:
        samples, limits = interleaved(sizes.rounds, charged, replayed)
    finally:
        charged.close()
        raw.close()
    return rate(name, "requests/s", samples, limits)
