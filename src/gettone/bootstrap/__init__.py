"""The composition root: the one place that knows everything, and where concrete things are chosen.

Here is what works on one thing at a time: the command line, imports, benchmarks. `gettone.bootstrap.service` puts the
whole service together; it is apart because HTTP takes longer to import than most commands take to run.
"""

import contextlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from gettone.catalogue.numbering import emergency_numbers, number_plan
from gettone.config import Settings
from gettone.operations.charging import Charging
from gettone.operations.office import Office
from gettone.operations.opening import Tables
from gettone.operations.ports import ChargingStore
from gettone.operations.quoting import Quoting
from gettone.storage.backup import BackupSummary, Progress, backup, restore
from gettone.storage.engine import open_database, sqlite_path
from gettone.storage.import_progress import SqlProgress
from gettone.storage.office import open_office
from gettone.storage.placement import Placement
from gettone.storage.postgres_charging import PostgresCharging
from gettone.storage.sqlite_charging import SqliteCharging
from gettone.storage.upgrade import SchemaState, check, integrity, require_current, upgrade
from gettone.storage.verify import SqlAudit, open_audit
from gettone.storage.write_turn import write_turn

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The machine's clock, the default for whatever needs one."""
    return datetime.now(UTC)


def shipped_tables() -> Tables:
    """The tables that decisions read, as shipped."""
    return Tables(number_plan(), emergency_numbers())


def open_store(url: str) -> ChargingStore:
    """A charging store of its own over the database at *url*, for one thread."""
    path = sqlite_path(url)
    if path:
        return SqliteCharging(path, turn=write_turn(path))
    return PostgresCharging(url.replace("postgresql+psycopg://", "postgresql://", 1))


@contextlib.contextmanager
def opened_office(settings: Settings) -> Iterator[Office]:
    """The back office. Raises `SchemaMismatch` when the schema is not current."""
    require_current(settings.database_url)
    with contextlib.closing(open_office(settings.database_url)) as office:
        yield office


@contextlib.contextmanager
def opened_charging(settings: Settings, *, clock: Clock = utc_now, partition: int = 0) -> Iterator[Charging]:
    """What decides charging requests, for one thread and without a desk. Raises as `opened_office`."""
    require_current(settings.database_url)
    store = open_store(Placement(settings.database_url).dsn(partition))
    charging = Charging(store, shipped_tables(), clock=clock, grace_seconds=settings.grace_seconds)
    with contextlib.closing(charging):
        yield charging


@contextlib.contextmanager
def opened_quoting(settings: Settings, *, clock: Clock = utc_now) -> Iterator[Quoting]:
    """What answers quotes, for one thread. Raises as `opened_office`."""
    require_current(settings.database_url)
    with contextlib.closing(Quoting(open_store(settings.database_url), shipped_tables(), clock=clock)) as quoting:
        yield quoting


@contextlib.contextmanager
def opened_progress(settings: Settings) -> Iterator[SqlProgress]:
    """How far imports of files have come. Raises as `opened_office`."""
    require_current(settings.database_url)
    with contextlib.closing(open_database(settings.database_url, connections=1)) as database:
        yield SqlProgress(database)


@contextlib.contextmanager
def opened_audit(settings: Settings) -> Iterator[SqlAudit]:
    """The database as it is at this moment, for verification. Raises as `opened_office`."""
    require_current(settings.database_url)
    with open_audit(settings.database_url) as audit:
        yield audit


def upgrade_database(settings: Settings) -> SchemaState:
    """Bring the database to the newest schema; see `gettone.storage.upgrade.upgrade`."""
    return upgrade(settings.database_url)


def check_database(settings: Settings) -> SchemaState:
    """Say which schema the database has."""
    return check(settings.database_url)


def database_integrity(settings: Settings) -> list[str]:
    """What the database finds wrong with its own file."""
    return integrity(settings.database_url)


def backup_database(settings: Settings, path: Path, *, on_progress: Progress | None = None) -> BackupSummary:
    """Write the database into the new file *path*."""
    return backup(settings.database_url, path, on_progress=on_progress)


def restore_database(settings: Settings, path: Path, *, on_progress: Progress | None = None) -> BackupSummary:
    """Fill the empty database from the backup at *path*."""
    return restore(settings.database_url, path, on_progress=on_progress)
