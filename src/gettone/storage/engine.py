"""A database by its URL: SQLite file or PostgreSQL, behind one SQLAlchemy engine, with errors in our own words.

- ``sqlite:///path``: WAL, ``synchronous = FULL``, foreign keys on. Writers of one process take turns
  (`gettone.storage.write_turn`); between processes the file's own lock decides, waited for up to 30 seconds.
- ``postgresql://user@host/name``: psycopg 3, READ COMMITTED for writing; wallets are locked by the units that write.

A writing transaction on SQLite begins with BEGIN IMMEDIATE, so that what it reads is what it changes.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import QueuePool

from gettone.errors import (
    ConfigurationError,
    Conflict,
    DatabaseBusy,
    InvalidInput,
    InvariantBroken,
    SchemaMismatch,
    StorageError,
)
from gettone.storage.write_turn import WriteTurn, write_turn

BUSY_SECONDS = 30
CONNECTIONS = 8

# Serialisation failure, deadlock, lock not available: the same again may succeed.
_TRY_AGAIN = {"40001", "40P01", "55P03"}
# The server is away or going, or the connection broke.
_AWAY = ("08", "57P")
_NO_SUCH_TABLE = {"42P01", "42703"}
_NOT_ALLOWED = "42501"
# Text, a number or a time that no column takes; without a code the driver has refused it before the server saw it.
_NO_SUCH_VALUE = {"", "22001", "22003", "22008", "22021", "22P02", "22P05"}


@dataclass(frozen=True, slots=True, eq=False)
class Database:
    """An engine with what must be known beside it; *path* is empty and *turn* None but for SQLite."""

    engine: Engine
    name: str
    path: str = ""
    turn: WriteTurn | None = None

    @property
    def is_sqlite(self) -> bool:
        """Whether this is a SQLite file."""
        return bool(self.path)

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent view of everything; nothing can be written."""
        with translated(self.name), self.engine.connect() as connection:
            if not self.is_sqlite:
                connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def writing(self) -> Iterator[Connection]:
        """One transaction, committed durably at the end, or rolled back whole when anything is raised."""
        with translated(self.name), self.turn or contextlib.nullcontext(), self.engine.connect() as connection:
            connection.execution_options(gettone_writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def open_database(url: str, *, create: bool = False, connections: int = CONNECTIONS) -> Database:
    """Open the database at *url*; nothing is asked of it yet. With *create* a missing SQLite file is made.

    Raises:
        ConfigurationError: the URL is not one of the two kinds.
        StorageError: there is no such SQLite file.
    """
    parsed = _parsed(url)
    if parsed.drivername == "sqlite":
        return _open_sqlite(parsed, create=create, connections=connections)
    engine = create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_pre_ping=True,
        pool_timeout=BUSY_SECONDS,
    )
    return Database(engine, parsed.render_as_string(hide_password=True))


def sqlite_path(url: str) -> str:
    """The real path of the file that a ``sqlite:///`` URL names; empty for another database."""
    parsed = _parsed(url)
    return os.path.realpath(parsed.database or "") if parsed.drivername == "sqlite" else ""


def _parsed(url: str) -> URL:
    remedy = "write sqlite:///PATH or postgresql://USER@HOST/NAME"
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise ConfigurationError(f"database_url {url!r} is not a URL: {remedy}") from None
    if parsed.drivername == "sqlite":
        if not parsed.database or parsed.database == ":memory:":
            raise ConfigurationError(f"database_url {url!r} names no file: {remedy}")
        return parsed
    if parsed.drivername in {"postgresql", "postgres", "postgresql+psycopg"}:
        return parsed
    shown = parsed.render_as_string(hide_password=True)
    raise ConfigurationError(f"database_url {shown!r} is of a kind that is not supported: {remedy}")


def _open_sqlite(parsed: URL, *, create: bool, connections: int) -> Database:
    path = os.path.realpath(parsed.database or "")
    if not create and not Path(path).exists():
        raise StorageError(f"{path}: there is no such database; make it with: gettone db upgrade")
    mode = "rwc" if create else "rw"
    engine = create_engine(
        "sqlite://",
        creator=lambda: _connect_sqlite(path, mode),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        pool_timeout=BUSY_SECONDS,
    )
    event.listen(engine, "begin", _begin_sqlite)
    return Database(engine, path, path, write_turn(path))


def _connect_sqlite(path: str, mode: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{_quoted(path)}?mode={mode}",
        uri=True,
        isolation_level=None,
        timeout=BUSY_SECONDS,
        check_same_thread=False,
    )
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()
    return connection


def _quoted(path: str) -> str:
    return path.replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _begin_sqlite(connection: Connection) -> None:
    # The driver is told to leave transactions alone (isolation_level None); here is where they begin.
    writes = connection.get_execution_options().get("gettone_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextlib.contextmanager
def translated(name: str) -> Iterator[None]:
    """Raise errors of the database called *name* as ours."""
    try:
        yield
    except DBAPIError as error:
        raise _our_error(name, error) from error
    except sqlite3.Error as error:
        raise _sqlite_error(name, error) from error
    except psycopg.Error as error:
        raise _postgres_error(name, error) from error
    except SQLAlchemyError as error:
        raise StorageError(f"{name}: {_first_line(error)}") from error
    except UnicodeEncodeError as error:
        # Half a surrogate pair: what the command line makes of bytes that are no UTF-8.
        raise _no_such_value(error.object, str(error)) from error


def _our_error(name: str, error: DBAPIError) -> Exception:
    original: Any = error.orig
    if isinstance(original, sqlite3.Error):
        return _sqlite_error(name, original)
    if isinstance(original, psycopg.Error):
        return _postgres_error(name, original, error.params)
    kind = Conflict if isinstance(error, IntegrityError) else StorageError
    return kind(f"{name}: {_first_line(original or error)}")


def _sqlite_error(name: str, error: sqlite3.Error) -> Exception:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return DatabaseBusy(f"{name} is locked by another program; try again")
    if code in {"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}:
        return Conflict(f"{name}: this is there already ({error})")
    if code.startswith("SQLITE_CONSTRAINT"):
        return InvariantBroken(f"{name}: {error}")
    if code == "SQLITE_NOTADB":
        return StorageError(f"{name} is not a SQLite database; name another file")
    if "no such table" in str(error) or "no such column" in str(error):
        return SchemaMismatch(f"{name} has not the tables of this program ({error}); run: gettone db upgrade")
    return StorageError(f"{name}: {error}")


def _postgres_error(name: str, error: psycopg.Error, values: object = ()) -> Exception:
    """Our error for *error*, of a statement with these *values* where they are known."""
    code = error.sqlstate or ""
    text = _first_line(error)
    if isinstance(error, psycopg.DataError) and code in _NO_SUCH_VALUE:
        return _no_such_value(next((one for one in _texts(values) if "\0" in one), ""), text)
    if code in _TRY_AGAIN:
        return DatabaseBusy(f"{name} is busy ({text}); try again")
    if code == "23505":
        return Conflict(f"{name}: this is there already ({text})")
    if code.startswith("23"):
        return InvariantBroken(f"{name}: {text}")
    if code in _NO_SUCH_TABLE:
        return SchemaMismatch(f"{name} has not the tables of this program ({text}); run: gettone db upgrade")
    if code == _NOT_ALLOWED:
        return StorageError(f"{name}: {text}; the role may not do this")
    if code.startswith(_AWAY) or not code:
        return StorageError(f"{name} cannot be reached: {text}")
    return StorageError(f"{name}: {text}")


def _no_such_value(value: str, why: str) -> InvalidInput:
    """The error for a value that came from outside and cannot be kept; which field it stood in is not known here."""
    return InvalidInput("value", value[:80], f"the database takes no such value ({why}); write another")


def _texts(values: object) -> Iterator[str]:
    """Every text within the parameters of a statement."""
    if isinstance(values, str):
        yield values
    elif isinstance(values, Mapping):
        yield from _texts(list(values.values()))
    elif isinstance(values, Iterable) and not isinstance(values, bytes):
        for one in values:
            yield from _texts(one)


def _first_line(error: BaseException) -> str:
    return str(error).strip().split("\n", 1)[0]
