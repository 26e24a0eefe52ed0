"""Charging on PostgreSQL, and the same statements sent by the driver alone, with the same answers read."""

import contextlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, LiteralString, TypeVar
from urllib.parse import urlsplit

import psycopg

from gettone.bench import world
from gettone.bench.load import Load
from gettone.bench.measuring import Result, Work, interleaved, rate
from gettone.bench.rounds import Rounds
from gettone.bench.sizes import Sizes
from gettone.operations.ports import CallKey, ChargingUnit, Loaded
from gettone.storage.postgres_charging import (
    CALLS,
    LOTS,
    POOLS,
    VERSIONS,
    WALLETS,
    PostgresCharging,
    PostgresUnit,
)
from gettone.storage.private_postgres import PrivatePostgres

T = TypeVar("T")

Statement = tuple[LiteralString, list[Any]]
Ready = tuple[list[Statement], list[Statement]]
"""The reads and the writes of a transaction, with their parameters."""


@dataclass(slots=True)
class Transaction:
    """What one transaction read, and what it wrote: a statement, its rows, and the organisations it names."""

    reads: list[Statement] = field(default_factory=list)
    writes: list[tuple[LiteralString, list[tuple[Any, ...]]]] = field(default_factory=list)


class RecordingPostgres:
    """A `ChargingStore` that notes what each transaction reads and writes."""

    def __init__(self, url: str) -> None:
        """Charge on the database at *url*."""
        self._store = PostgresCharging(url)
        self.transactions: list[Transaction] = []

    def transaction(self, body: Callable[[ChargingUnit], T]) -> T:
        """See `ChargingStore`."""

        def noted(unit: PostgresUnit) -> T:
            self.transactions.append(Transaction())
            return body(_RecordingUnit(unit, self.transactions[-1]))

        return self._store.transaction(noted)

    def close(self) -> None:
        """See `ChargingStore`."""
        self._store.close()


class _RecordingUnit(PostgresUnit):
    def __init__(self, unit: PostgresUnit, noted: Transaction) -> None:
        super().__init__(unit._connection, unit._pipeline)  # noqa: SLF001 - stands in for it
        self._noted = noted

    def load(self, org_ids: Sequence[str], calls: Sequence[CallKey], first_period: int) -> Loaded:
        orgs = list(org_ids)
        self._noted.reads = [
            (WALLETS, [orgs]),
            (LOTS, [orgs]),
            (POOLS, [orgs, first_period, orgs]),
            (CALLS, [[org for org, _ in calls], [session for _, session in calls]]),
            (VERSIONS, []),
        ]
        return super().load(org_ids, calls, first_period)

    def _write(self, statement: LiteralString, rows: list[tuple[Any, ...]]) -> psycopg.Cursor | None:
        self._noted.writes.append((statement, rows))
        return super()._write(statement, rows)


def made_ready(transactions: Sequence[Transaction]) -> list[Ready]:
    """Turn the rows of *transactions* into columns, which is not the database's work."""
    ready: list[Ready] = []
    for noted in transactions:
        writes: list[Statement] = []
        for statement, rows in noted.writes:
            if rows:
                writes.append((statement, [list(column) for column in zip(*rows, strict=True)]))
        ready.append((noted.reads, writes))
    return ready


class RawPostgres:
    """The limit: what others have read and written, sent to an equal database in two trips, and nothing decided."""

    def __init__(self, url: str) -> None:
        """Send to the database at *url*."""
        self._connection = PostgresCharging(url)._connect()  # noqa: SLF001 - the very same settings

    def replay(self, transactions: Sequence[Ready]) -> None:
        """Send each transaction and commit it durably."""
        run = self._connection.execute
        for reads, writes in transactions:
            with self._connection.pipeline(), self._connection.transaction():
                cursors = [run(statement, values, binary=True) for statement, values in reads]
                for cursor in cursors:
                    cursor.fetchall()
                for statement, values in writes:
                    run(statement, values)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


@contextlib.contextmanager
def equal_databases(
    server: PrivatePostgres, organisations: int, count: int = 2
) -> Iterator[tuple[list[str], list[str]]]:
    """Make *count* equal databases for the length of the block; gives their URLs and the organisations' ids."""
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(database(server))
        orgs = world.make(first, organisations)
        template = _name_of(first)
        yield [first, *(stack.enter_context(database(server, template)) for _ in range(count - 1))], orgs


@contextlib.contextmanager
def database(server: PrivatePostgres, template: str | None = None) -> Iterator[str]:
    """Make a database for the length of the block, empty or a copy of *template*; gives its URL."""
    url = server.create_database(f"gettone_bench_{secrets.token_hex(4)}", template=template)
    try:
        yield url
    finally:
        server.drop_database(_name_of(url))


def _name_of(url: str) -> str:
    return urlsplit(url).path.removeprefix("/")


def charge(name: str, server: PrivatePostgres, sizes: Sizes, *, batch: int) -> Result:
    """Charge in batches of *batch*, each committed durably, beside the same statements without us."""
    with equal_databases(server, sizes.organisations) as ((url, equal), organisations):
        store, raw = RecordingPostgres(url), RawPostgres(equal)
        charged = Rounds(world.charging(store), Load(organisations, open_calls=sizes.open_calls), sizes, batch)

        def replayed() -> Work:
            ready = made_ready(store.transactions)
            store.transactions = []

            def work() -> int:
                raw.replay(ready)
                return charged.done

            return work

        try:
            samples, limits = interleaved(sizes.rounds, charged, replayed)
        finally:
            charged.close()
            raw.close()
    return rate(name, "requests/s", samples, limits)
