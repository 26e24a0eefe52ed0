"""The schema of a database: which revision it has, and bringing it to the newest.

A database of a newer schema is refused, never touched: the rows could mean something this program does not know.
An upgrade is one transaction: it happens whole or not at all, and only one process does it.
"""

import logging
from functools import cache
from pathlib import Path

import msgspec
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gettone.errors import SchemaMismatch, StorageError
from gettone.storage.engine import open_database, sqlite_path

logger = logging.getLogger(__name__)

# Any number, the same in every process: who holds it upgrades, the others wait.
_UPGRADE_LOCK = 0x6765_7474_6F6E_65

MISSING = "missing"
OLDER = "older"
CURRENT = "current"
NEWER = "newer"


class SchemaState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a database stands: *state* is missing, older, current or newer; *detail* is one line for people."""

    state: str
    revision: str
    newest: str
    detail: str


@cache
def newest_revision() -> str:
    """The revision that this program makes and needs."""
    return _scripts().get_current_head() or ""


@cache
def known_revisions() -> frozenset[str]:
    """Every revision that this program can bring to the newest, and the newest."""
    return frozenset(script.revision for script in _scripts().walk_revisions())


def check(url: str) -> SchemaState:
    """Say which schema the database at *url* has; a database that is not there is ``missing``.

    Raises:
        StorageError: it cannot be reached.
    """
    path = sqlite_path(url)
    if path and not Path(path).exists():
        return _state("")
    database = open_database(url)
    try:
        with database.reading() as connection:
            return _state(_revision(connection))
    finally:
        database.close()


def require_current(url: str) -> None:
    """Return when the database has the schema this program needs.

    Raises:
        SchemaMismatch: it has not; the message says what to run.
    """
    state = check(url)
    if state.state != CURRENT:
        raise SchemaMismatch(state.detail)


def upgrade(url: str, *, revision: str = "") -> SchemaState:
    """Bring the database at *url* to the newest schema, making it if it is not there; return the state after.

    With *revision* it is brought up to that one only, to take a backup of that age.

    Raises:
        SchemaMismatch: its schema is newer than this program.
    """
    database = open_database(url, create=True)
    try:
        with database.writing() as connection:
            if not database.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _UPGRADE_LOCK})
            before = _state(_revision(connection))
            if before.state == NEWER:
                raise SchemaMismatch(before.detail)
            if before.state != CURRENT:
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, revision or "head")
                logger.info("schema upgraded from %s to %s", before.revision or "nothing", revision or before.newest)
            return _state(_revision(connection))
    finally:
        database.close()


def integrity(url: str, *, quick: bool = False) -> list[str]:
    """What SQLite finds wrong with its own file; empty when nothing. PostgreSQL looks after its files by itself."""
    database = open_database(url)
    try:
        if not database.is_sqlite:
            with database.reading():
                return []
        with database.reading() as connection:
            found = (
                connection.exec_driver_sql(f"PRAGMA {'quick_check' if quick else 'integrity_check'}").scalars().all()
            )
            orphans = connection.exec_driver_sql("PRAGMA foreign_key_check").all()
    except StorageError as error:
        return [str(error)]
    finally:
        database.close()
    return [str(line) for line in found if line != "ok"] + [
        f"a row of {row[0]} refers to a row of {row[2]} that is not there" for row in orphans
    ]


def _state(revision: str) -> SchemaState:
    newest, known = newest_revision(), known_revisions()
    if not revision:
        state, detail = MISSING, "the database has no tables yet: run: gettone db upgrade"
    elif revision == newest:
        state, detail = CURRENT, f"the database has schema revision {revision}, the newest"
    elif revision in known:
        state, detail = OLDER, f"database is of an older schema (revision {revision}): run: gettone db upgrade"
    else:
        state, detail = (
            NEWER,
            (
                f"database is of a newer schema (revision {revision}), this program knows up to {newest}: "
                "run the newer gettone"
            ),
        )
    return SchemaState(state=state, revision=revision, newest=newest, detail=detail)


def _revision(connection: Connection) -> str:
    return MigrationContext.configure(connection).get_current_revision() or ""


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "gettone.storage:migrations")
    return config


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())
