"""Runs the benchmarks that are asked for, one after the other, and shows what came of them."""

import contextlib
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec

from gettone.bench import (
    NAMES,
    expiring,
    growth,
    http,
    importing,
    invoicing,
    licensing,
    postgres,
    rating,
    recharging,
    sqlite,
    workers,
    world,
)
from gettone.bench.measuring import Result
from gettone.bench.sizes import FULL, Sizes
from gettone.errors import GettoneError
from gettone.storage.private_postgres import PostgresUnavailable, PrivatePostgres, private_postgres

DONE, FAILED, USAGE = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Place:
    """Where a benchmark runs and how much it does."""

    folder: Path
    sizes: Sizes
    server: "Callable[[], PrivatePostgres]"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One benchmark: its figures' names, and what measures them."""

    names: tuple[str, ...]
    measure: Callable[[Place], Sequence[Result]]


def _sqlite(name: str, batch: int, called: str = world.PAID_BY_CREDITS) -> Benchmark:
    return Benchmark(
        (name,), lambda place: [sqlite.charge(name, place.folder, place.sizes, batch=batch, called=called)]
    )


def _postgres(batch: int) -> Benchmark:
    name = f"charge_postgres_b{batch}"
    return Benchmark((name,), lambda place: [postgres.charge(name, place.server(), place.sizes, batch=batch)])


def _workers(name: str) -> Benchmark:
    return Benchmark((name,), lambda place: [workers.charge(name, place.server(), place.sizes, batch=100, workers=2)])


def _rating(name: str, measure: Callable[[str, Sizes], Result]) -> Benchmark:
    return Benchmark((name,), lambda place: [measure(name, place.sizes)])


def _in_folder(name: str, measure: Callable[[str, Path, Sizes], Result]) -> Benchmark:
    return Benchmark((name,), lambda place: [measure(name, place.folder, place.sizes)])


def _organisations_apart(name: str, folder: Path, sizes: Sizes) -> Result:
    return growth.organisations(name, folder, sizes, batch=sizes.organisations, apart=True)


BENCHMARKS = (
    *(_sqlite(f"charge_sqlite_b{batch}", batch) for batch in (1, 10, 100, 500)),
    _sqlite("charge_sqlite_pool_b100", 100, world.PAID_BY_POOL),
    *(_postgres(batch) for batch in (1, 10, 100, 500)),
    _workers("charge_postgres_b100_w2"),
    Benchmark(
        ("charge_http", "charge_http_p50_ms", "charge_http_p99_ms", "charge_http_batch"),
        lambda place: http.charge(place.folder, place.sizes),
    ),
    _rating("rate_single_us", lambda name, sizes: rating.single(name, rating.sample_deck, sizes)),
    _rating("rate_single_100k_us", lambda name, sizes: rating.single(name, partial(rating.large_deck, sizes), sizes)),
    _rating("rate_bulk", rating.bulk),
    _in_folder("import_records", importing.records),
    _in_folder("charge_growth_orgs", _organisations_apart),
    _in_folder("charge_growth_orgs_b100", partial(growth.organisations, batch=100, apart=False)),
    _in_folder("charge_growth_sessions", partial(growth.sessions, batch=100)),
    _in_folder("charge_licensed", partial(growth.licensed, batch=100, alike=False)),
    _in_folder("charge_licensed_alike", partial(growth.licensed, batch=100, alike=True)),
    Benchmark(
        ("charge_licensed_postgres",),
        lambda place: [growth.licensed_on_postgres("charge_licensed_postgres", place.server(), place.sizes, batch=100)],
    ),
    _in_folder("licence_bulk", licensing.bulk),
    _in_folder("recharge_on", recharging.on_against_off),
    _in_folder("expiry_night", expiring.night),
    Benchmark(
        ("invoices_10k", "invoices_pdf"),
        lambda place: invoicing.issued(("invoices_10k", "invoices_pdf"), place.folder, place.sizes),
    ),
)


def run(only: Sequence[str], *, as_json: bool, folder: Path | None = None, sizes: Sizes = FULL) -> int:
    """Measure and print; see `gettone.bench.main`."""
    unknown = [name for name in only if name not in NAMES]
    if unknown:
        _say(f"error: --only {unknown[0]}: there is no such benchmark; choose from {', '.join(NAMES)}")
        return USAGE
    wanted = [benchmark for benchmark in BENCHMARKS if not only or set(only) & set(benchmark.names)]
    results: list[Result] = []
    status = DONE
    # What charging logs of single requests would stand between the notes; a benchmark that fails says so itself.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with _servers() as server:
        for benchmark in wanted:
            _say(f"{', '.join(benchmark.names)} ...")
            begin = time.perf_counter()
            try:
                with tempfile.TemporaryDirectory(prefix="gettone-bench-", dir=folder) as made:
                    measured = benchmark.measure(Place(Path(made), sizes, server))
            except PostgresUnavailable as error:
                _say(f"  left out: {error}")
                status = FAILED if only else status
            except (GettoneError, OSError) as error:
                _say(f"  error: {error}")
                status = FAILED
            else:
                results += [result for result in measured if not only or result.name in only]
                _say(f"  done in {time.perf_counter() - begin:.0f} s")
    _show(results, as_json=as_json)
    return status


@contextlib.contextmanager
def _servers() -> "Iterator[Callable[[], PrivatePostgres]]":
    """What gives the one PostgreSQL server of this run, started when it is first asked for."""
    with contextlib.ExitStack() as stack:
        started: list[PrivatePostgres] = []

        def server() -> PrivatePostgres:
            if not started:
                started.append(stack.enter_context(private_postgres(durable=True)))
            return started[0]

        yield server


def _show(results: Sequence[Result], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(list(results)), indent=2).decode() + "\n")
        return
    from rich.console import Console  # noqa: PLC0415 - for people only
    from rich.table import Table  # noqa: PLC0415 - for people only

    table = Table("benchmark", box=None, header_style="bold", pad_edge=False)
    for column in ("value", "unit", "limit", "ratio", "our CPU, us"):
        table.add_column(column, justify="left" if column == "unit" else "right")
    for result in results:
        numbers = (result.limit, result.ratio, result.cpu_us)
        limit, ratio, cpu = ("-" if number is None else _shown(number) for number in numbers)
        table.add_row(result.name, _shown(result.value), result.unit, limit, ratio, cpu)
    Console(highlight=False).print(table)


def _shown(number: float) -> str:
    return f"{number:,.0f}" if number >= 1000 else f"{number:.3g}"


def _say(note: str) -> None:
    sys.stderr.write(note + "\n")
    sys.stderr.flush()
