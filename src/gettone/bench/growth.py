"""Does a request cost more when there is more in the database? A large one and a small one take turns.

The figure is how many times as much a request costs on the large one; 1 is best. Both sides run in one process, over
the same code, with batches of the same shape; calls are taken at random, so that the large side finds nothing warm
that a large installation would not.
"""

import contextlib
from pathlib import Path
from statistics import median

from gettone.bench import postgres, world
from gettone.bench.load import Load
from gettone.bench.measuring import Result, Sample, interleaved, rounded
from gettone.bench.rounds import Rounds
from gettone.bench.sizes import Sizes
from gettone.operations.charging import Charging
from gettone.storage.postgres_charging import PostgresCharging
from gettone.storage.private_postgres import PrivatePostgres
from gettone.storage.sqlite_charging import SqliteCharging
from gettone.storage.write_turn import WriteTurn


def organisations(name: str, folder: Path, sizes: Sizes, *, batch: int, apart: bool) -> Result:
    """Many organisations against few (`Sizes.organisations`), with as many calls in progress in all.

    *apart*: each request of a batch is of another organisation, on both sides; else of any.
    """
    sides = []
    for side, count in (("small", sizes.organisations), ("large", sizes.growth_organisations)):
        path = folder / f"{name}-{side}.db"
        ids = world.make(f"sqlite:///{path}", count)
        charging, load = _open(path), Load(ids, open_calls=sizes.growth_open_calls)
        for _ in range(-(-sizes.growth_open_calls // 500)):
            charging.charge(load.take(500))
        sides.append(Rounds(charging, load, sizes, batch, apart=apart))
    return _compared(name, sizes, *sides)


def sessions(name: str, folder: Path, sizes: Sizes, *, batch: int) -> Result:
    """Many calls in progress against a hundred, in as many organisations."""
    sides = []
    open_calls = min(100, sizes.open_calls)
    for side, count in (("small", open_calls), ("large", sizes.growth_sessions)):
        path = folder / f"{name}-{side}.db"
        url = f"sqlite:///{path}"
        ids = world.make(url, sizes.organisations)
        charging, load = _open(path), Load(ids, open_calls=open_calls)
        # Calls of every age, as there are at any moment; the copies are of the same ages.
        for _ in range(20):
            charging.charge(load.take(open_calls))
        copies = count // open_calls
        if copies > 1:
            charging.close()
            world.multiply_open_calls(url, copies)
            load.multiply(copies)
        sides.append(Rounds(charging, load, sizes, batch))
    return _compared(name, sizes, *sides)


def licensed(name: str, folder: Path, sizes: Sizes, *, batch: int, alike: bool) -> Result:
    """Organisations with many licensed users, limits and the fraud guard, against one user each and neither.

    *alike*: there are as many organisations on both sides; else the small side is that of the core's benchmarks.
    """
    sides = []
    few = sizes.licensed_organisations if alike else sizes.organisations
    for side, count, users in (("small", few, 1), ("large", sizes.licensed_organisations, sizes.licensed_users)):
        path = folder / f"{name}-{side}.db"
        ids = world.make(f"sqlite:///{path}", count, users=users, guarded=users > 1)
        load = Load(ids, open_calls=sizes.open_calls, users=users)
        sides.append(Rounds(_open(path), load, sizes, batch))
    return _compared(name, sizes, *sides)


def licensed_on_postgres(name: str, server: PrivatePostgres, sizes: Sizes, *, batch: int) -> Result:
    """The large side of `licensed` against the world of the core's benchmarks, both on PostgreSQL."""
    sides = []
    with contextlib.ExitStack() as stack:
        for count, users in ((sizes.organisations, 1), (sizes.licensed_organisations, sizes.licensed_users)):
            url = stack.enter_context(postgres.database(server))
            ids = world.make(url, count, users=users, guarded=users > 1)
            load = Load(ids, open_calls=sizes.open_calls, users=users)
            sides.append(Rounds(world.charging(PostgresCharging(url)), load, sizes, batch))
        return _compared(name, sizes, *sides)


def _open(path: Path) -> Charging:
    return world.charging(SqliteCharging(str(path), turn=WriteTurn()))


def _compared(name: str, sizes: Sizes, small: Rounds, large: Rounds) -> Result:
    try:
        samples = interleaved(sizes.rounds, small, large)
    finally:
        small.close()
        large.close()
    return ratio(name, *samples)


def ratio(name: str, small: list[Sample], large: list[Sample]) -> Result:
    """How many times as much an operation of *large* costs; the median of pairs that ran one after the other."""
    pairs = [
        (ours.seconds / ours.operations) / (base.seconds / base.operations)
        for base, ours in zip(small, large, strict=True)
    ]
    value = median(pairs)
    return Result(name=name, value=rounded(value), unit="x")
