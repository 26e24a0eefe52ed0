"""Put the whole service together: office, charging desks, quoting, jobs, and all of it behind HTTP.

open_gettone(settings)   everything over the settings' database
serve(settings)          the same behind HTTP, until told to stop
work(settings)           its jobs alone, until told to stop
"""

import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gettone import logs
from gettone.api import server
from gettone.api.app import App, create_app
from gettone.api.desks import Desks, OpenDesk
from gettone.api.metrics import MeteredCharging, Metrics
from gettone.api.services import Services
from gettone.bootstrap import Clock, open_store, shipped_tables, utc_now
from gettone.bootstrap.jobs import Working, job_table
from gettone.bootstrap.paying import opened_paying
from gettone.bootstrap.telling import channels_of
from gettone.config import YES, Settings
from gettone.errors import GettoneError
from gettone.jobs.leases import Leases
from gettone.jobs.runner import Jobs
from gettone.operations.desk import ChargingDesk
from gettone.operations.opening import Tables
from gettone.operations.quoting import Quoting
from gettone.storage.engine import sqlite_path
from gettone.storage.office import open_office
from gettone.storage.placement import Placement
from gettone.storage.supervision import open_calls_of
from gettone.storage.upgrade import CURRENT, check, require_current, upgrade

logger = logging.getLogger(__name__)


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
    jobs: Jobs | None = None

    def recharge_due() -> None:
        if jobs is not None:
            jobs.wake("payments")

    with contextlib.ExitStack() as stack:
        office = stack.enter_context(contextlib.closing(open_office(url)))
        quoting = stack.enter_context(contextlib.closing(Quoting(open_store(url), tables, clock=clock)))
        paying = opened_paying(settings, office, clock)
        channels = channels_of(settings)
        desks = stack.enter_context(contextlib.closing(_open_desks(settings, tables, metrics, clock, recharge_due)))
        metrics.watch_queue(lambda: desks.queued)
        open_calls = stack.enter_context(contextlib.closing(open_calls_of(url)))
        services = Services(
            office=office,
            charge=desks.charge,
            quoting=quoting,
            paying=paying,
            unready=partial(_unready, url, desks),
            metrics=metrics,
            clock=clock,
            quota_seconds=settings.quota_seconds,
            channels=channels,
            link=settings.link,
        )
        stopping = threading.Event()
        working = Working(
            settings=settings,
            office=office,
            paying=paying,
            charge=desks.charge_and_wait,
            open_calls=open_calls,
            count_open_calls=metrics.open_calls.set,
            channels=channels,
            clock=clock,
            stopping=stopping.is_set,
        )
        jobs = Jobs(job_table(working), clock=clock, tally=metrics, leases=Leases(office, clock), stopping=stopping)
        stack.callback(jobs.close)
        yield Gettone(services, desks, jobs)


def serve(settings: Settings, *, ready: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT: API, charging desk and jobs, unless the settings leave these to ``gettone work``.

    *ready* is called with the address when it listens.

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
            if settings.jobs == YES:
                gettone.jobs.start()
            logger.info("serving on %s", address)
            if ready is not None:
                ready(address)

        server.serve(gettone.app, settings.host, port, ready=listening, closing=gettone.desks.turn_away)
    logger.info("stopped; every accepted request was answered")


def work(settings: Settings, *, ready: Callable[[], None] | None = None) -> None:
    """Run the jobs until SIGTERM or SIGINT, in the main thread of a process; *ready* is called when they run.

    Raises as `serve`, but for the address: nothing is listened on.
    """
    logs.configure(settings.log_level, settings.log_format)
    prepare_database(settings.database_url)
    told = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: told.set())
    with open_gettone(settings) as gettone:
        gettone.jobs.start()
        logger.info("jobs are running: %s", ", ".join(gettone.jobs.names))
        if ready is not None:
            ready()
        told.wait()
    logger.info("stopped; what was not finished is found again")


def _open_desks(
    settings: Settings, tables: Tables, metrics: Metrics, clock: Clock, recharge_due: Callable[[], None]
) -> Desks:
    placement = Placement(settings.database_url)

    def open_desk(partition: int) -> OpenDesk:
        store = open_store(placement.dsn(partition))
        charging = MeteredCharging(store, tables, clock=clock, grace_seconds=settings.grace_seconds)
        charging.metrics = metrics
        charging.recharge_due = recharge_due
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
