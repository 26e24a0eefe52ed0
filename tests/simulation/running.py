"""Play seeds: one after the other, from its first step to the last look at the books."""

import contextlib
import logging
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from tests.simulation.hostile import Wrong
from tests.simulation.invariants import Books
from tests.simulation.places import BEGIN, TEMPLATES, template
from tests.simulation.player import Player
from tests.support.world import World

LOOK_EVERY = 8


@dataclass(slots=True)
class Played:
    """What came of a seed: *wrong* is empty when everything held."""

    seed: int
    wrong: str = ""
    story: list[str] = field(default_factory=list)
    seen: Counter[str] = field(default_factory=Counter)


class Stage:
    """One database file for seed after seed: statements are put together once and not for every seed."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "world.db"
        self._path.write_bytes(template(0).database)
        self.world = World(f"sqlite:///{self._path}", BEGIN)

    def begin(self, database: bytes) -> World:
        """Put *database* in place of the one of the seed before, and begin everything anew."""
        self.world.office.close()
        self.world.charging.close()
        for end in ("-wal", "-shm"):
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)
        self._path.write_bytes(database)
        self.world.now = BEGIN
        self.world.restart()
        return self.world


def play(seed: int, stage: Stage) -> Played:
    """Play one seed."""
    random, start = Random(seed), template(seed % TEMPLATES)
    world, played = stage.begin(start.database), Played(seed)
    player = Player(random, world, start.least)
    books = Books(world, player.bank)
    try:
        for number in range(random.randrange(60, 150)):
            player.step()
            books.after_a_step()
            if number % LOOK_EVERY == 0:
                books.at_any_time()
        player.settle()
        books.after_a_step()
        books.at_the_end()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is told with the seed that shows it
        played.wrong = str(error) if isinstance(error, Wrong) else f"{type(error).__name__}: {error}"
    finally:
        books.close()
    played.story = player.told
    played.seen = Counter(player.done) + Counter(player.bank.seen)
    return played


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Say nothing of what goes wrong on purpose, hundreds of times a second."""
    ours = logging.getLogger("gettone")
    before = ours.level
    ours.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        ours.setLevel(before)


def play_all(seeds: Iterable[int], *, until_wrong: bool = False) -> list[Played]:
    """Play *seeds* in memory where the machine lets us, or *until* one goes *wrong*; returns what came of each."""
    shared = Path("/dev/shm")
    with _quietly(), tempfile.TemporaryDirectory(dir=shared if shared.is_dir() else None) as folder:
        stage = Stage(Path(folder))
        with stage.world:
            done: list[Played] = []
            for seed in seeds:
                done.append(play(seed, stage))
                if until_wrong and done[-1].wrong:
                    break
            return done
