"""The charging desk's transactions on PostgreSQL: two round trips a batch, rows as arrays.

psycopg in pipeline mode: the first trip locks and reads, the second writes and commits. Wallets are locked in
``org_id`` order, so that two batches cannot wait for each other; a version guard catches a writer without the lock.

Rows are found by their whole key, one index look-up each. On Citus these statements need ``AND org_id = ANY(...)`` to
stay within one shard; plain PostgreSQL would pay for it with the whole list at every look-up (docs/decisions/0009).
"""

import time
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, LiteralString, TypeVar

import psycopg
import psycopg.conninfo
from psycopg.types.numeric import Int8BinaryDumper
from psycopg.types.string import StrBinaryDumper

from gettone.domain.parties import Organisation, ServedNumber, User
from gettone.domain.policies import Tally
from gettone.domain.session import Call
from gettone.errors import InvariantBroken, StorageError
from gettone.operations.instants import instant
from gettone.operations.ports import Account, CallKey, Changes, Deck, Loaded, RequestKey, StoredAnswer
from gettone.storage.answers import Answers
from gettone.storage.charging_unit import (
    WALLET_COLUMNS,
    Snapshot,
    block_rows,
    destination_rows,
    entry_rows,
    notice_rows,
    tally_rows,
    usage_rows,
)
from gettone.storage.rows import (
    CALL_CHANGES,
    CALL_COLUMNS,
    ORGANISATION_COLUMNS,
    TALLY_COLUMNS,
    USER_COLUMNS,
    bars_by_organisation,
    call_from_row,
    changed_values,
    new_values,
    organisation_from_row,
    served_from_row,
    tally_from_row,
    user_from_row,
)

T = TypeVar("T")

CALL_BIGINTS = {
    "started_at",
    "period",
    "rate_index",
    "held_micros",
    "used_seconds",
    "granted_to",
    "last_request",
    "supervise_until",
    "ended_at",
    "billed_seconds",
    "charged_micros",
    "usage_lines",
}

WALLETS = f"""SELECT {", ".join(WALLET_COLUMNS)}
    FROM wallet WHERE org_id = ANY(%b) ORDER BY org_id FOR UPDATE"""
LOTS = """SELECT org_id, lot_id, purchased_at, expires_at, amount_micros, remaining_micros, held_micros
    FROM lot WHERE org_id = ANY(%b) AND remaining_micros > 0"""
POOLS = """SELECT p.org_id, p.pool_key, p.size_seconds, u.period, u.used_seconds, u.held_seconds
    FROM pool p LEFT JOIN pool_use u ON u.org_id = p.org_id AND u.pool_key = p.pool_key
    AND u.org_id = ANY(%b) AND u.period >= %b WHERE p.org_id = ANY(%b)"""
OLDER_POOL = "SELECT used_seconds, held_seconds FROM pool_use WHERE org_id = %b AND pool_key = %b AND period = %b"
VERSIONS = "SELECT name, version FROM generation"
OWN_POOLS = """SELECT u.org_id, u.pool_key, u.period, u.used_seconds, u.held_seconds FROM pool_use u
    JOIN unnest(%b::text[], %b::text[]) AS asked(org_id, pool_key)
    ON u.org_id = asked.org_id AND u.pool_key = asked.pool_key WHERE u.period >= %b"""
DESTINATIONS = "SELECT destination, first_at, allowed FROM known_destination WHERE org_id = %b"
BARS = "SELECT org_id, direction, prefix, barred FROM number_bar WHERE org_id = ANY(%b)"
ANSWERS = """SELECT r.org_id, r.session_id, r.request_number, r.fingerprint, r.answer FROM call_request r
    JOIN unnest(%b::text[], %b::text[], %b::bigint[]) AS asked(org_id, session_id, request_number)
    ON r.org_id = asked.org_id AND r.session_id = asked.session_id AND r.request_number = asked.request_number"""
WRITE_WALLETS = """UPDATE wallet w SET posted_micros = u.posted, held_micros = u.held, overrun_micros = u.overrun,
    entry_number = u.entries, directory_version = u.directory, recharge_due_at = u.due_at, told = u.told,
    version = w.version + 1
    FROM unnest(%b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::smallint[],
    %b::text[], %b::bigint[]) AS u(posted, held, overrun, entries, directory, due_at, told, org_id, version)
    WHERE w.org_id = u.org_id AND w.version = u.version"""
WRITE_LOTS = """UPDATE lot l SET remaining_micros = u.remaining, held_micros = u.held
    FROM unnest(%b::bigint[], %b::bigint[], %b::text[], %b::text[]) AS u(remaining, held, org_id, lot_id)
    WHERE l.org_id = u.org_id AND l.lot_id = u.lot_id"""
WRITE_POOLS = """INSERT INTO pool_use (org_id, pool_key, period, size_seconds, used_seconds, held_seconds)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[])
    ON CONFLICT (org_id, pool_key, period) DO UPDATE SET size_seconds = excluded.size_seconds,
    used_seconds = excluded.used_seconds, held_seconds = excluded.held_seconds"""
NEW_ENTRIES = """INSERT INTO ledger_entry (org_id, entry_number, kind, reference, reason, posted_at)
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[])"""
NEW_POSTINGS = """INSERT INTO ledger_posting (org_id, entry_number, line, account, lot_id, amount_micros)
    SELECT * FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::text[], %b::text[], %b::bigint[])"""
NEW_USAGE = """INSERT INTO usage_record (org_id, session_id, line, payer, pool_key, capability, from_second, seconds,
    billed_seconds, charge_micros, connection_micros, entry_number)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::text[], %b::bigint[],
    %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bigint[])"""
NEW_ANSWERS = """INSERT INTO call_request (org_id, session_id, request_number, fingerprint, answer)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::bigint[], %b::bytea[])"""


NEW_DESTINATIONS = """INSERT INTO known_destination (org_id, destination, first_at)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[]) ON CONFLICT (org_id, destination) DO NOTHING"""
BLOCK_USERS = """UPDATE subscriber s SET blocked_reason = u.reason, blocked_until = u.until, version = s.version + 1
    FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::text[]) AS u(reason, until, org_id, user_id)
    WHERE s.org_id = u.org_id AND s.user_id = u.user_id"""
NEW_BLOCKS = """INSERT INTO user_block (org_id, user_id, at, action, reason, until, by, detail)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::bigint[], %b::text[], %b::text[], %b::bigint[], %b::text[],
    %b::text[]) ON CONFLICT (org_id, user_id, at, action) DO NOTHING"""
NEW_NOTICES = """INSERT INTO notice (org_id, notice_id, kind, subject, written_at, facts)
    SELECT * FROM unnest(%b::text[], %b::text[], %b::text[], %b::text[], %b::bigint[], %b::text[])
    ON CONFLICT (org_id, notice_id) DO NOTHING"""


def _array(column: str) -> str:
    kind = "bigint" if column in CALL_BIGINTS else "bytea" if column == "recent_answers" else "text"
    return f"%b::{kind}[]"


# Column names are our own constants; nothing from outside enters these statements.
CALLS = f"""SELECT {", ".join(f"c.{column}" for column in CALL_COLUMNS)} FROM call c
    JOIN unnest(%b::text[], %b::text[]) AS asked(org_id, session_id)
    ON c.org_id = asked.org_id AND c.session_id = asked.session_id"""
NEW_CALLS = f"""INSERT INTO call ({", ".join(CALL_COLUMNS)})
    SELECT * FROM unnest({", ".join(_array(column) for column in CALL_COLUMNS)})"""
WRITE_CALLS = f"""UPDATE call c SET {", ".join(f"{column} = u.{column}" for column in CALL_CHANGES)}
    FROM unnest({", ".join(_array(column) for column in CALL_CHANGES)}, %b::text[], %b::text[])
    AS u({", ".join(CALL_CHANGES)}, org_id, session_id)
    WHERE c.org_id = u.org_id AND c.session_id = u.session_id"""
USERS = f"""SELECT asked.org_id, asked.ref, {", ".join(f"s.{column}" for column in USER_COLUMNS)} FROM subscriber s
    JOIN unnest(%b::text[], %b::text[], %b::text[]) AS asked(org_id, ref, upn)
    ON s.org_id = asked.org_id AND (s.user_id = asked.ref OR s.upn = asked.upn)
    ORDER BY s.user_id = asked.ref"""
NUMBERS = f"""SELECT n.org_id, n.digits, n.use, {", ".join(f"s.{column}" for column in USER_COLUMNS)}
    FROM phone_number n JOIN unnest(%b::text[], %b::text[]) AS asked(org_id, digits)
    ON n.org_id = asked.org_id AND n.digits = asked.digits
    LEFT JOIN subscriber s ON s.org_id = n.org_id AND s.user_id = n.user_id"""
TALLIES = f"""SELECT {", ".join(f"t.{column}" for column in TALLY_COLUMNS)} FROM tally t
    JOIN unnest(%b::text[], %b::text[]) AS asked(org_id, subject)
    ON t.org_id = asked.org_id AND t.subject = asked.subject WHERE t.period >= %b"""
WRITE_TALLIES = f"""INSERT INTO tally ({", ".join(TALLY_COLUMNS)})
    SELECT * FROM unnest(%b::text[], %b::text[], {", ".join(["%b::bigint[]"] * (len(TALLY_COLUMNS) - 2))})
    ON CONFLICT (org_id, subject, period) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in TALLY_COLUMNS[3:])}"""
ORGANISATIONS = f"SELECT {ORGANISATION_COLUMNS} FROM organisation WHERE org_id = ANY(%b)"

LOOK_UP_BY_KEY = "-c enable_seqscan=off -c enable_hashjoin=off -c enable_mergejoin=off"
"""Planner settings of the desk's connection. Every hot statement touches some hundred rows by their keys. Without
these, a new table or an organisation with many calls is read whole for each batch, as statistics say nothing yet."""

RETRY_AGAIN = ("40001", "40P01")
"""SQLSTATEs after which the same transaction may simply be run again: serialisation failure, deadlock."""

ATTEMPTS = 5


class PostgresCharging:
    """A `ChargingStore` over PostgreSQL, with a connection of its own, opened again when it is lost."""

    def __init__(self, url: str) -> None:
        """Connect to *url* (libpq form) when first needed."""
        self._url = url
        self._connection: psycopg.Connection | None = None

    def transaction(self, body: "Callable[[PostgresUnit], T]") -> T:
        """Run *body* in one transaction, READ COMMITTED under row locks, and commit it."""
        for attempt in range(ATTEMPTS):
            try:
                connection = self._connection or self._connect()
                with connection.pipeline() as pipeline, connection.transaction():
                    unit = PostgresUnit(connection, pipeline)
                    result = body(unit)
                unit.check()
            except (psycopg.IntegrityError, psycopg.DataError) as error:
                raise InvariantBroken(str(error)) from error
            except psycopg.OperationalError as error:
                if error.sqlstate in RETRY_AGAIN and attempt + 1 < ATTEMPTS:
                    continue
                self._disconnect()
                # A connection that had gone stale before this transaction began is worth one more try at once.
                if attempt == 0 and self._nothing_sent(error):
                    time.sleep(0.05)
                    continue
                raise StorageError(f"PostgreSQL: {error}") from error
            except psycopg.Error as error:
                self._disconnect()
                raise StorageError(f"PostgreSQL: {error}") from error
            else:
                return result
        raise AssertionError("the last attempt returns or raises")

    @staticmethod
    def _nothing_sent(error: psycopg.OperationalError) -> bool:
        return isinstance(error, psycopg.errors.AdminShutdown | psycopg.errors.CannotConnectNow)

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def _connect(self) -> psycopg.Connection:
        given = psycopg.conninfo.conninfo_to_dict(self._url).get("options") or ""
        connection = psycopg.connect(
            self._url, autocommit=True, connect_timeout=5, options=f"{given} {LOOK_UP_BY_KEY}".strip()
        )
        # One type for one column, whatever the values: else a statement is prepared anew for each mixture.
        connection.adapters.register_dumper(int, Int8BinaryDumper)
        connection.adapters.register_dumper(str, StrBinaryDumper)
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class PostgresUnit:
    """A `ChargingUnit` inside one transaction."""

    def __init__(self, connection: psycopg.Connection, pipeline: psycopg.Pipeline) -> None:
        """Read and write through *connection*, which is in a transaction and in pipeline mode."""
        self._connection = connection
        self._pipeline = pipeline
        self._snapshot = Snapshot()
        self._answers = Answers()
        self._written: psycopg.Cursor | None = None
        self._wallets = 0

    def number_owners(self, digits: Iterable[str]) -> dict[str, str]:
        """See `ChargingUnit`."""
        return dict(self._rows("SELECT digits, org_id FROM number_owner WHERE digits = ANY(%b)", (list(digits),)))

    def load(self, org_ids: Sequence[str], calls: Sequence[CallKey], first_period: int) -> Loaded:
        """See `ChargingUnit`: one round trip."""
        orgs = list(org_ids)
        run = self._connection.execute
        wallets = run(WALLETS, (orgs,), binary=True)
        lots = run(LOTS, (orgs,), binary=True)
        pools = run(POOLS, (orgs, first_period, orgs), binary=True)
        found = run(CALLS, ([org for org, _ in calls], [sid for _, sid in calls]), binary=True)
        generations = run(VERSIONS, binary=True)
        accounts = self._snapshot.accounts(wallets.fetchall(), lots.fetchall(), pools.fetchall())
        read: dict[CallKey, Call] = {}
        for row in found.fetchall():
            read[row[0], row[1]] = call_from_row(row)
            self._answers.read((row[0], row[1]), row[-1])
        versions: dict[str, int] = dict(generations.fetchall())
        return Loaded(accounts, read, versions.get("rates", 0), versions.get("catalogue", 0))

    def older_pool(self, account: Account, pool_key: str, period: int) -> None:
        """See `ChargingUnit`."""
        rows = self._rows(OLDER_POOL, (account.wallet.org_id, pool_key, period))
        self._snapshot.older_pool(account, pool_key, period, rows[0] if rows else None)

    def own_pools(self, accounts: dict[str, Account], keys: Sequence[tuple[str, str]], first_period: int) -> None:
        """See `ChargingUnit`."""
        rows = self._rows(OWN_POOLS, ([org for org, _ in keys], [key for _, key in keys], first_period))
        self._snapshot.own_pools(accounts, rows)

    def tallies(self, keys: Sequence[tuple[str, str]], first_period: int) -> list[tuple[str, Tally]]:
        """See `ChargingUnit`."""
        rows = self._rows(TALLIES, ([org for org, _ in keys], [subject for _, subject in keys], first_period))
        return [tally_from_row(row) for row in rows]

    def destinations(self, org_id: str) -> dict[str, datetime | None]:
        """See `ChargingUnit`."""
        rows = self._rows(DESTINATIONS, (org_id,))
        return {destination: None if allowed else instant(first_at) for destination, first_at, allowed in rows}

    def catalogue_tables(self) -> dict[str, str]:
        """See `ChargingUnit`."""
        rows = self._rows("SELECT name, content FROM catalogue_table")
        return {name: zlib.decompress(content).decode() for name, content in rows}

    def organisations(self, org_ids: Sequence[str]) -> dict[str, Organisation]:
        """See `ChargingUnit`."""
        bars = bars_by_organisation(self._rows(BARS, (list(org_ids),)))
        rows = self._rows(ORGANISATIONS, (list(org_ids),))
        return {row[0]: organisation_from_row(row, bars.get(row[0], [])) for row in rows}

    def users(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], User]:
        """See `ChargingUnit`."""
        orgs, names = [org for org, _ in refs], [ref for _, ref in refs]
        # In small letters by our own rules: the server's depend on its locale.
        rows = self._rows(USERS, (orgs, names, [name.lower() for name in names]))
        return {(org_id, ref): user_from_row(user) for org_id, ref, *user in rows}

    def numbers(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ServedNumber]:
        """See `ChargingUnit`."""
        orgs, digits = [org for org, _ in refs], [number for _, number in refs]
        rows = self._rows(NUMBERS, (orgs, digits))
        return {(row[0], row[1]): served_from_row(row[1:]) for row in rows}

    def answers(self, keys: Sequence[RequestKey]) -> dict[RequestKey, StoredAnswer]:
        """See `ChargingUnit`."""
        found = self._answers.find(keys)
        older = [key for key in keys if key not in found]
        if older:
            orgs, sessions, numbers = ([key[part] for key in older] for part in range(3))
            for org_id, session_id, number, fingerprint, body in self._rows(ANSWERS, (orgs, sessions, numbers)):
                found[org_id, session_id, number] = StoredAnswer(fingerprint, body)
        return found

    def decks(self) -> list[Deck]:
        """See `ChargingUnit`."""
        rows = self._rows("SELECT deck_id, name, currency, effective_from FROM rate_deck")
        return [Deck(deck_id, name, currency, instant(effective)) for deck_id, name, currency, effective in rows]

    def deck_content(self, deck_id: str) -> str:
        """See `ChargingUnit`."""
        [(content,)] = self._rows("SELECT content FROM rate_deck WHERE deck_id = %b", (deck_id,))
        return zlib.decompress(content).decode()

    def save(self, changes: Changes, now: datetime) -> None:
        """See `ChargingUnit`: sent together with the COMMIT."""
        wallets = self._snapshot.wallet_rows(changes.accounts)
        self._wallets = len(wallets)
        self._written = self._write(WRITE_WALLETS, wallets)
        self._write(WRITE_LOTS, self._snapshot.lot_rows(changes.accounts))
        self._write(WRITE_POOLS, self._snapshot.pool_rows(changes.accounts))
        self._write(NEW_ANSWERS, self._answers.add(changes.answers))
        recent = self._answers.recent
        self._write(NEW_CALLS, [new_values(call, recent(key)) for key, call in changes.new_calls.items()])
        changed = [changed_values(call, recent(key)) + key for key, call in changes.changed_calls.items()]
        self._write(WRITE_CALLS, changed)
        entries, postings = entry_rows(changes, now)
        self._write(NEW_ENTRIES, entries)
        self._write(NEW_POSTINGS, postings)
        self._write(NEW_USAGE, usage_rows(changes))
        self._write(WRITE_TALLIES, tally_rows(changes))
        self._write(NEW_NOTICES, notice_rows(changes, now))
        self._write(NEW_DESTINATIONS, destination_rows(changes))
        users, history = block_rows(changes, now)
        self._write(BLOCK_USERS, users)
        self._write(NEW_BLOCKS, history)

    def check(self) -> None:
        """After the commit: the wallets were ours. With the rows locked this can only fail by a mistake of ours."""
        if self._written is not None and self._written.rowcount != self._wallets:
            raise InvariantBroken("a wallet changed under the lock that was held on it")

    def _rows(self, statement: LiteralString, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        return self._connection.execute(statement, values, binary=True).fetchall()

    def _write(self, statement: LiteralString, rows: list[tuple[Any, ...]]) -> psycopg.Cursor | None:
        """Send one statement for all *rows*, a column at a time; nothing when there are none."""
        if not rows:
            return None
        return self._connection.execute(statement, [list(column) for column in zip(*rows, strict=True)])
