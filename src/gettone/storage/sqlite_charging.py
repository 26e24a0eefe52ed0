"""The charging desk's transactions on SQLite: one writer, rows read by key, written by ``executemany``.

The standard library's driver, by hand: at these sizes the cost of a request is the number of statements it runs. So the
rows of a whole batch are read by one statement for each table, its keys given as one JSON array and taken one by one
in the order of the array (``CROSS JOIN`` fixes it), each found by the table's key.
"""

import sqlite3
import zlib
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from gettone.domain.parties import Organisation, ServedNumber, User
from gettone.domain.policies import Tally
from gettone.domain.session import Call, CallState
from gettone.errors import DatabaseBusy, InvariantBroken, StorageError
from gettone.operations.instants import instant
from gettone.operations.ports import Account, CallKey, Changes, Deck, Loaded, RequestKey, StoredAnswer
from gettone.storage.answers import Answers
from gettone.storage.charging_unit import (
    WALLET_CHANGES,
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
from gettone.storage.write_turn import WriteTurn

T = TypeVar("T")

_encode = msgspec.json.Encoder().encode

# One value a key, or two.
EACH = "json_each(?1) AS asked CROSS JOIN"
FIRST, SECOND = "asked.value ->> 0", "asked.value ->> 1"

WALLETS = f"""SELECT {", ".join(f"w.{column}" for column in WALLET_COLUMNS)}
    FROM {EACH} wallet w ON w.org_id = asked.value"""
LOTS = f"""SELECT l.org_id, l.lot_id, l.purchased_at, l.expires_at, l.amount_micros, l.remaining_micros, l.held_micros
    FROM {EACH} lot l INDEXED BY ix_lot_unspent ON l.org_id = asked.value AND l.remaining_micros > 0"""
POOLS = f"""SELECT p.org_id, p.pool_key, p.size_seconds, u.period, u.used_seconds, u.held_seconds
    FROM {EACH} pool p ON p.org_id = asked.value
    LEFT JOIN pool_use u ON u.org_id = p.org_id AND u.pool_key = p.pool_key AND u.period >= ?2"""
OLDER_POOL = "SELECT used_seconds, held_seconds FROM pool_use WHERE org_id = ? AND pool_key = ? AND period = ?"
OWN_POOLS = f"""SELECT u.org_id, u.pool_key, u.period, u.used_seconds, u.held_seconds
    FROM {EACH} pool_use u ON u.org_id = {FIRST} AND u.pool_key = {SECOND} AND u.period >= ?2"""
TALLIES = f"""SELECT {", ".join(f"t.{column}" for column in TALLY_COLUMNS)}
    FROM {EACH} tally t ON t.org_id = {FIRST} AND t.subject = {SECOND} AND t.period >= ?2"""
DESTINATIONS = "SELECT destination, first_at, allowed FROM known_destination WHERE org_id = ?"
CALLS = f"""SELECT {", ".join(f"c.{column}" for column in CALL_COLUMNS)}
    FROM {EACH} call c ON c.org_id = {FIRST} AND c.session_id = {SECOND}"""
ANSWER = "SELECT fingerprint, answer FROM call_request WHERE org_id = ? AND session_id = ? AND request_number = ?"
ORGANISATION = f"SELECT {ORGANISATION_COLUMNS} FROM organisation WHERE org_id = ?"  # our own constant
BARS = "SELECT org_id, direction, prefix, barred FROM number_bar WHERE org_id = ?"
USER = f"SELECT {', '.join(USER_COLUMNS)} FROM subscriber WHERE org_id = ? AND user_id = ?"  # our own constant
USER_BY_NAME = f"SELECT {', '.join(USER_COLUMNS)} FROM subscriber WHERE org_id = ? AND upn = ?"  # our own constant
NUMBER = f"""SELECT n.digits, n.use, {", ".join(f"s.{column}" for column in USER_COLUMNS)} FROM phone_number n
    LEFT JOIN subscriber s ON s.org_id = n.org_id AND s.user_id = n.user_id WHERE n.org_id = ? AND n.digits = ?"""

WRITE_WALLET = f"""UPDATE wallet SET {", ".join(f"{column} = ?" for column in WALLET_CHANGES)},
    version = version + 1 WHERE org_id = ? AND version = ?"""
WRITE_LOT = "UPDATE lot SET remaining_micros = ?, held_micros = ? WHERE org_id = ? AND lot_id = ?"
WRITE_POOL = """INSERT INTO pool_use (org_id, pool_key, period, size_seconds, used_seconds, held_seconds)
    VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, pool_key, period) DO UPDATE SET
    size_seconds = excluded.size_seconds, used_seconds = excluded.used_seconds, held_seconds = excluded.held_seconds"""
NEW_CALL = f"INSERT INTO call ({', '.join(CALL_COLUMNS)}) VALUES ({', '.join('?' * len(CALL_COLUMNS))})"
WRITE_CALL = f"UPDATE call SET {', '.join(f'{c} = ?' for c in CALL_CHANGES)} WHERE org_id = ? AND session_id = ?"
# A call that stays open keeps its state: even unchanged, writing it would redo its entry in the index of open calls.
WRITE_OPEN_CALL = (
    f"UPDATE call SET {', '.join(f'{column} = ?' for column in CALL_CHANGES[1:])} WHERE org_id = ? AND session_id = ?"
)
NEW_ENTRY = """INSERT INTO ledger_entry (org_id, entry_number, kind, reference, reason, posted_at)
    VALUES (?, ?, ?, ?, ?, ?)"""
NEW_POSTING = """INSERT INTO ledger_posting (org_id, entry_number, line, account, lot_id, amount_micros)
    VALUES (?, ?, ?, ?, ?, ?)"""
NEW_USAGE = """INSERT INTO usage_record (org_id, session_id, line, payer, pool_key, capability, from_second, seconds,
    billed_seconds, charge_micros, connection_micros, entry_number) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
WRITE_TALLY = f"""INSERT INTO tally ({", ".join(TALLY_COLUMNS)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (org_id, subject, period) DO UPDATE SET
    {", ".join(f"{column} = excluded.{column}" for column in TALLY_COLUMNS[3:])}"""
NEW_DESTINATION = """INSERT INTO known_destination (org_id, destination, first_at) VALUES (?, ?, ?)
    ON CONFLICT (org_id, destination) DO NOTHING"""
BLOCK_USER = """UPDATE subscriber SET blocked_reason = ?, blocked_until = ?, version = version + 1
    WHERE org_id = ? AND user_id = ?"""
NEW_BLOCK = """INSERT INTO user_block (org_id, user_id, at, action, reason, until, by, detail)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, user_id, at, action) DO NOTHING"""
NEW_NOTICE = """INSERT INTO notice (org_id, notice_id, kind, subject, written_at, facts) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (org_id, notice_id) DO NOTHING"""
NEW_ANSWER = """INSERT INTO call_request (org_id, session_id, request_number, fingerprint, answer)
    VALUES (?, ?, ?, ?, ?)"""


class SqliteCharging:
    """A `ChargingStore` over one SQLite file, with a connection of its own."""

    def __init__(self, path: str, *, turn: WriteTurn, busy_seconds: int = 30) -> None:
        """Open *path*; *turn* is taken by every writer of this process, one after the other."""
        self._path = path
        self._turn = turn
        self._busy_seconds = busy_seconds
        self._connection: sqlite3.Connection | None = None

    def transaction(self, body: "Callable[[SqliteUnit], T]") -> T:
        """Run *body* between BEGIN IMMEDIATE and COMMIT; nothing of it remains when this raises."""
        with self._turn:
            try:
                connection = self._connection or self._connect()
                connection.execute("BEGIN IMMEDIATE")
                try:
                    result = body(SqliteUnit(connection))
                    connection.execute("COMMIT")
                except BaseException:
                    if connection.in_transaction:
                        connection.execute("ROLLBACK")
                    raise
            except (sqlite3.IntegrityError, OverflowError) as error:
                raise InvariantBroken(str(error)) from error
            except sqlite3.OperationalError as error:
                self._disconnect()
                if error.sqlite_errorname.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
                    raise DatabaseBusy(f"{self._path} is locked by another program: {error}") from error
                raise StorageError(f"{self._path}: {error}") from error
            except sqlite3.Error as error:
                self._disconnect()
                raise StorageError(f"{self._path}: {error}") from error
            return result

    def close(self) -> None:
        """Close the connection."""
        self._disconnect()

    def _connect(self) -> sqlite3.Connection:
        # "rw": a file that is missing is an error, never a new empty database.
        connection = sqlite3.connect(
            f"file:{self._path}?mode=rw",
            uri=True,
            isolation_level=None,
            timeout=self._busy_seconds,
            check_same_thread=False,
        )
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            "foreign_keys = ON",
            "cache_size = -131072",
            "wal_autocheckpoint = 4000",
            "temp_store = MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}").close()
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class SqliteUnit:
    """A `ChargingUnit` inside one transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection
        self._snapshot = Snapshot()
        self._answers = Answers()

    def number_owners(self, digits: Iterable[str]) -> dict[str, str]:
        """See `ChargingUnit`."""
        rows = self._each("SELECT digits, org_id FROM number_owner WHERE digits = ?", [(d,) for d in digits])
        return dict(rows)

    def load(self, org_ids: Sequence[str], calls: Sequence[CallKey], first_period: int) -> Loaded:
        """See `ChargingUnit`; BEGIN IMMEDIATE has locked the whole file."""
        pools = self._all(POOLS, org_ids, first_period)
        accounts = self._snapshot.accounts(self._all(WALLETS, org_ids), self._all(LOTS, org_ids), pools)
        found: dict[CallKey, Call] = {}
        for row in self._all(CALLS, calls):
            found[row[0], row[1]] = call_from_row(row)
            self._answers.read((row[0], row[1]), row[-1])
        versions = dict(self._connection.execute("SELECT name, version FROM generation").fetchall())
        return Loaded(accounts, found, versions.get("rates", 0), versions.get("catalogue", 0))

    def older_pool(self, account: Account, pool_key: str, period: int) -> None:
        """See `ChargingUnit`."""
        key = (account.wallet.org_id, pool_key, period)
        self._snapshot.older_pool(account, pool_key, period, self._connection.execute(OLDER_POOL, key).fetchone())

    def own_pools(self, accounts: dict[str, Account], keys: Sequence[tuple[str, str]], first_period: int) -> None:
        """See `ChargingUnit`."""
        self._snapshot.own_pools(accounts, self._all(OWN_POOLS, keys, first_period))

    def tallies(self, keys: Sequence[tuple[str, str]], first_period: int) -> list[tuple[str, Tally]]:
        """See `ChargingUnit`."""
        return [tally_from_row(row) for row in self._all(TALLIES, keys, first_period)]

    def destinations(self, org_id: str) -> dict[str, datetime | None]:
        """See `ChargingUnit`."""
        rows = self._connection.execute(DESTINATIONS, (org_id,)).fetchall()
        return {destination: None if allowed else instant(first_at) for destination, first_at, allowed in rows}

    def catalogue_tables(self) -> dict[str, str]:
        """See `ChargingUnit`."""
        rows = self._connection.execute("SELECT name, content FROM catalogue_table").fetchall()
        return {name: zlib.decompress(content).decode() for name, content in rows}

    def organisations(self, org_ids: Sequence[str]) -> dict[str, Organisation]:
        """See `ChargingUnit`."""
        keys = [(org_id,) for org_id in org_ids]
        bars = bars_by_organisation(self._each(BARS, keys))
        return {row[0]: organisation_from_row(row, bars.get(row[0], [])) for row in self._each(ORGANISATION, keys)}

    def users(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], User]:
        """See `ChargingUnit`."""
        found: dict[tuple[str, str], User] = {}
        for org_id, ref in refs:
            row = (
                self._connection.execute(USER, (org_id, ref)).fetchone()
                or self._connection.execute(USER_BY_NAME, (org_id, ref.lower())).fetchone()
            )
            if row is not None:
                found[org_id, ref] = user_from_row(row)
        return found

    def numbers(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ServedNumber]:
        """See `ChargingUnit`."""
        found: dict[tuple[str, str], ServedNumber] = {}
        for ref in refs:
            row = self._connection.execute(NUMBER, ref).fetchone()
            if row is not None:
                found[ref] = served_from_row(row)
        return found

    def answers(self, keys: Sequence[RequestKey]) -> dict[RequestKey, StoredAnswer]:
        """See `ChargingUnit`."""
        found = self._answers.find(keys)
        for key in keys:
            row = None if key in found else self._connection.execute(ANSWER, key).fetchone()
            if row is not None:
                found[key] = StoredAnswer(*row)
        return found

    def decks(self) -> list[Deck]:
        """See `ChargingUnit`."""
        rows = self._connection.execute("SELECT deck_id, name, currency, effective_from FROM rate_deck").fetchall()
        return [Deck(deck_id, name, currency, instant(effective)) for deck_id, name, currency, effective in rows]

    def deck_content(self, deck_id: str) -> str:
        """See `ChargingUnit`."""
        row = self._connection.execute("SELECT content FROM rate_deck WHERE deck_id = ?", (deck_id,)).fetchone()
        return zlib.decompress(row[0]).decode()

    def save(self, changes: Changes, now: datetime) -> None:
        """See `ChargingUnit`."""
        run = self._connection.executemany
        wallets = self._snapshot.wallet_rows(changes.accounts)
        if run(WRITE_WALLET, wallets).rowcount != len(wallets):
            raise InvariantBroken("a wallet changed under the lock that was held on it")
        run(WRITE_LOT, self._snapshot.lot_rows(changes.accounts))
        run(WRITE_POOL, self._snapshot.pool_rows(changes.accounts))
        run(NEW_ANSWER, self._answers.add(changes.answers))
        recent = self._answers.recent
        run(NEW_CALL, [new_values(call, recent(key)) for key, call in changes.new_calls.items()])
        still_open: list[tuple[Any, ...]] = []
        ended: list[tuple[Any, ...]] = []
        for key, call in changes.changed_calls.items():
            state, *values = changed_values(call, recent(key))
            if call.state is CallState.OPEN:
                still_open.append((*values, *key))
            else:
                ended.append((state, *values, *key))
        run(WRITE_OPEN_CALL, still_open)
        run(WRITE_CALL, ended)
        entries, postings = entry_rows(changes, now)
        run(NEW_ENTRY, entries)
        run(NEW_POSTING, postings)
        run(NEW_USAGE, usage_rows(changes))
        run(WRITE_TALLY, tally_rows(changes))
        if changes.notices or changes.destinations or changes.blocks:
            run(NEW_NOTICE, notice_rows(changes, now))
            run(NEW_DESTINATION, destination_rows(changes))
            users, history = block_rows(changes, now)
            run(BLOCK_USER, users)
            run(NEW_BLOCK, history)

    def _all(self, statement: str, keys: Sequence[str | tuple[str, str]], *values: int) -> list[tuple[Any, ...]]:
        """All rows of one statement run once, for keys that it takes as a JSON array."""
        return self._connection.execute(statement, (_encode(keys).decode(), *values)).fetchall()

    def _each(self, statement: str, keys: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """All rows of one statement run for each of the keys."""
        execute = self._connection.execute
        rows: list[tuple[Any, ...]] = []
        for key in keys:
            rows += execute(statement, key).fetchall()
        return rows
