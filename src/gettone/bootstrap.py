"""The composition root: the one place that knows everything, and where concrete things are chosen.

open_gettone(settings)   office, charging desks, quoting and jobs over the settings' database
serve(settings)          all of it behind HTTP, until told to stop
"""

import contextlib
import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from gettone import logs
from gettone.api import server
from gettone.api.app import App, create_app
from gettone.api.desks import Desks, OpenDesk
from gettone.api.metrics import MeteredCharging, Metrics
from gettone.api.services import Services, utc_now
from gettone.catalogue.numbering import emergency_numbers, number_plan
from gettone.catalogue.tables import catalogue
from gettone.config import Settings
from gettone.errors import GettoneError
from gettone.jobs.runner import Job, Jobs, Supervision
from gettone.operations.charging import Charging
from gettone.operations.desk import ChargingDesk
from gettone.operations.lifecycle import expire_lots, resize_pools
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
from gettone.storage.supervision import OpenCalls, open_calls_of
from gettone.storage.upgrade import CURRENT, SchemaState, check, integrity, require_current, upgrade
from gettone.storage.verify import SqlAudit, open_audit
from gettone.storage.write_turn import write_turn

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

SUPERVISION_EVERY = timedelta(seconds=5)
EXPIRY_EVERY = timedelta(minutes=5)
RESIZING_EVERY = timedelta(hours=1)


def shipped_tables() -> Tables:
    """The tables that decisions read, as shipped."""
    return Tables(number_plan(), emergency_numbers(), catalogue())


def open_store(url: str) -> ChargingStore:
    """A charging store of its own over the database at *url*, for one thread."""
    path = sqlite_path(url)
    if path:
        return SqliteCharging(path, turn=write_turn(path))
    return PostgresCharging(url.replace("postgresql+psycopg://", "postgresql://", 1))


# -- one thing at a time: the command line, imports, benchmarks --------------------------------------------------------


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


# -- all of it together ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Gettone:
    """Everything that runs in one process."""

    services: Services
    desks: Desks
    jobs: Jobs

    @property
    def app(self) -> App:
        """The HTTP application over it."""
        return create_app(self.services)


def prepare_database(url: str) -> None:
    """Make the database if it is a SQLite file that does not exist yet; else see that its schema is current.

    Raises:
        SchemaMismatch: it is not; the message says what to run.
    """
    path = sqlite_path(url)
    if path and not Path(path).exists():
        upgrade(url)
        logger.info("made the database %s", path)
    require_current(url)


@contextlib.contextmanager
def open_gettone(settings: Settings, *, clock: Clock = utc_now) -> Iterator[Gettone]:
    """Open everything over the settings' database, whose schema must be current; closed in order at the end.

    The jobs are there but not started. Closing answers every charging request that was taken.
    """
    url, tables, metrics = settings.database_url, shipped_tables(), Metrics()
    with contextlib.ExitStack() as stack:
        office = stack.enter_context(contextlib.closing(open_office(url)))
        quoting = stack.enter_context(contextlib.closing(Quoting(open_store(url), tables, clock=clock)))
        desks = stack.enter_context(contextlib.closing(_open_desks(settings, tables, metrics, clock)))
        metrics.watch_queue(lambda: desks.queued)
        open_calls = stack.enter_context(contextlib.closing(open_calls_of(url)))
        services = Services(
            office=office,
            charge=desks.charge,
            quoting=quoting,
            catalogue=tables.catalogue,
            unready=partial(_unready, url, desks),
            metrics=metrics,
            clock=clock,
            quota_seconds=settings.quota_seconds,
        )
        jobs = Jobs(_jobs(office, tables, desks, open_calls, metrics), clock=clock, tally=metrics)
        stack.callback(jobs.close)
        yield Gettone(services, desks, jobs)


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT: API, charging desk and jobs. *ready* is called with the address when it listens.

    Raises:
        ConfigurationError: the address cannot be listened on.
        SchemaMismatch: the schema is not current; the message says what to run.
        StorageError: the database cannot be reached.
    """
    logs.configure(settings.log_level, settings.log_format)
    prepare_database(settings.database_url)
    port = server.check_address(settings.host, settings.port)
    shown_host = f"[{settings.host}]" if ":" in settings.host else settings.host
    address = f"http://{shown_host}:{port}"
    with open_gettone(settings) as gettone:

        def listening() -> None:
            gettone.jobs.start()
            logger.info("serving on %s", address)
            if ready is not None:
                ready(address)

        server.serve(gettone.app, settings.host, port, ready=listening, closing=gettone.desks.turn_away)
    logger.info("stopped; every accepted request was answered")


def _open_desks(settings: Settings, tables: Tables, metrics: Metrics, clock: Clock) -> Desks:
    placement = Placement(settings.database_url)

    def open_desk(partition: int) -> OpenDesk:
        store = open_store(placement.dsn(partition))
        charging = MeteredCharging(store, tables, clock=clock, grace_seconds=settings.grace_seconds)
        charging.metrics = metrics
        return lambda deliver: ChargingDesk(charging, deliver, batch_size=settings.batch_size)

    return Desks([open_desk(partition) for partition in placement.partitions], placement.partition)


def _unready(url: str, desks: Desks) -> list[str]:
    """Why requests cannot be answered now."""
    problems = [] if desks.accepting else ["the charging desk is closing"]
    try:
        schema = check(url)
    except GettoneError as error:
        return [*problems, str(error)]
    return problems if schema.state == CURRENT else [*problems, schema.detail]


def _jobs(office: Office, tables: Tables, desks: Desks, open_calls: OpenCalls, metrics: Metrics) -> list[Job]:
    def count_open_calls(_now: datetime) -> int:
        metrics.open_calls.set(open_calls.open_calls())
        return 0

    return [
        Job("supervision", SUPERVISION_EVERY, Supervision(open_calls, desks.charge_and_wait)),
        Job("open_calls", SUPERVISION_EVERY, count_open_calls),
        Job("expiry", EXPIRY_EVERY, lambda now: sum(1 for _ in expire_lots(office, now))),
        Job("pool_sizes", RESIZING_EVERY, lambda now: resize_pools(office, tables.catalogue, now)),
    ]
