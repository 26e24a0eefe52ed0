"""Several worker processes on one PostgreSQL, all at once.

Each worker charges organisations of its own, as it does behind anything that sends an organisation's requests to one
worker: two batches with the same organisation would wait for each other's commit.
"""

import multiprocessing
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from statistics import median

from gettone.bench import world
from gettone.bench.load import Load
from gettone.bench.measuring import NotMeasured, Result, Work, rounded
from gettone.bench.postgres import RawPostgres, RecordingPostgres, equal_databases, made_ready
from gettone.bench.rounds import Rounds
from gettone.bench.sizes import Sizes
from gettone.storage.private_postgres import PrivatePostgres

ANSWER_SECONDS_MAX = 120


def charge(name: str, server: PrivatePostgres, sizes: Sizes, *, batch: int, workers: int) -> Result:
    """What *workers* processes charge in a second together, beside the same statements of as many without us."""
    count = sizes.organisations * workers
    with equal_databases(server, count) as ((url, equal), organisations):
        shares = [organisations[number::workers] for number in range(workers)]
        spawning = multiprocessing.get_context("spawn")
        started = []
        try:
            for share in shares:
                ours, theirs = spawning.Pipe()
                process = spawning.Process(target=_work, args=(theirs, (url, equal), share, sizes, batch), daemon=True)
                process.start()
                started.append((process, ours))
            pipes = [pipe for _, pipe in started]
            rates: dict[str, list[float]] = {"charge": [], "replay": []}
            for turn in range(sizes.rounds + 1):
                for what, found in rates.items():
                    reached = _together(pipes, what)
                    if turn:
                        found.append(reached)
        finally:
            for process, pipe in started:
                pipe.close()
                process.join(ANSWER_SECONDS_MAX)
    value, limit = median(rates["charge"]), median(rates["replay"])
    return Result(
        name=name, value=rounded(value), unit="requests/s", limit=rounded(limit), ratio=rounded(value / limit)
    )


def _together(pipes: Sequence[Connection], what: str) -> float:
    """Let every worker do a round of *what*; returns the operations a second of all of them, by the slowest."""
    for pipe in pipes:
        pipe.send(f"ready {what}")
    _answers(pipes)
    for pipe in pipes:
        pipe.send("go")
    done = _answers(pipes)
    # Rounds are bounded by time, so all of them last about as long.
    return sum(operations / seconds for operations, seconds in done)


def _answers(pipes: Sequence[Connection]) -> list[tuple[int, float]]:
    answers = []
    for pipe in pipes:
        try:
            if not pipe.poll(ANSWER_SECONDS_MAX):
                raise NotMeasured(f"a worker said nothing for {ANSWER_SECONDS_MAX} s")
            answers.append(pipe.recv())
        except EOFError:
            raise NotMeasured("a worker has ended; its own words stand above") from None
    return answers


def _work(pipe: Connection, urls: tuple[str, str], share: list[str], sizes: Sizes, batch: int) -> None:
    """The life of a worker: make ready, go, answer; until the pipe is closed."""
    store, raw = RecordingPostgres(urls[0]), RawPostgres(urls[1])
    charged = Rounds(world.charging(store), Load(share, open_calls=sizes.open_calls), sizes, batch)

    def replayed() -> Work:
        ready = made_ready(store.transactions)
        store.transactions = []

        def work() -> int:
            raw.replay(ready)
            return charged.done

        return work

    contestants: dict[str, Callable[[], Work]] = {"ready charge": charged, "ready replay": replayed}
    try:
        while True:
            work = contestants[pipe.recv()]()
            pipe.send((0, 0.0))
            pipe.recv()
            begin = time.perf_counter()
            operations = work()
            pipe.send((operations, time.perf_counter() - begin))
    except EOFError:
        charged.close()
        raw.close()
