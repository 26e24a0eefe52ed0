"""Put the whole service together: office, charging desks, quoting, jobs, and all of it behind HTTP.

open_gettone(settings)   everything over the settings' database
serve(settings)          the same behind HTTP, until told to stop
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
from gettone.api.services import Services
from gettone.bootstrap import Clock, open_store, shipped_tables, utc_now
from gettone.config import Settings
from gettone.errors import GettoneError
from gettone.jobs.runner import Job, Jobs, Supervision
from gettone.operations.blocks import end_blocks
from gettone.operations.desk import ChargingDesk
from gettone.operations.lifecycle import expire_lots, resize_at_the_turn, resize_pools
from gettone.operations.office import Office
from gettone.operations.opening import Tables
from gettone.operations.quoting import Quoting
from gettone.storage.engine import sqlite_path
from gettone.storage.office import open_office
from gettone.storage.placement import Placement
from gettone.storage.supervision import OpenCalls, open_calls_of
from gettone.storage.upgrade import CURRENT, check, require_current, upgrade

logger = logging.getLogger(__name__)

SUPERVISION_EVERY = timedelta(seconds=5)
BLOCKS_EVERY = timedelta(minutes=1)
EXPIRY_EVERY = timedelta(minutes=5)
RESIZING_EVERY = timedelta(hours=1)
TURN_EVERY = timedelta(minutes=1)
TURN_WITHIN = timedelta(minutes=15)
"""So long after midnight the pools are sized by new terms; several turns of the job, in case one fails."""


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
            unready=partial(_unready, url, desks),
            metrics=metrics,
            clock=clock,
            quota_seconds=settings.quota_seconds,
        )
        jobs = Jobs(_jobs(office, desks, open_calls, metrics), clock=clock, tally=metrics)
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


def _jobs(office: Office, desks: Desks, open_calls: OpenCalls, metrics: Metrics) -> list[Job]:
    def count_open_calls(_now: datetime) -> int:
        metrics.open_calls.set(open_calls.open_calls())
        return 0

    return [
        Job("supervision", SUPERVISION_EVERY, Supervision(open_calls, desks.charge_and_wait)),
        Job("open_calls", SUPERVISION_EVERY, count_open_calls),
        Job("ended_blocks", BLOCKS_EVERY, lambda now: end_blocks(office, now)),
        Job("expiry", EXPIRY_EVERY, lambda now: sum(1 for _ in expire_lots(office, now))),
        Job("turn_of_terms", TURN_EVERY, lambda now: resize_at_the_turn(office, now, TURN_WITHIN)),
        Job("pool_sizes", RESIZING_EVERY, lambda now: resize_pools(office, now)),
    ]
