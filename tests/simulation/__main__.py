"""Play one seed and tell its story, or many and tell what went wrong.

python -m tests.simulation 4711
python -m tests.simulation 0-9999
"""

import sys
import time
import traceback
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from os import cpu_count

from tests.simulation.running import Played, play_all

AT_ONCE = 50


def main(words: list[str]) -> int:
    """Return 0 when everything held."""
    if len(words) != 1:
        say(__doc__)
        return 2
    first, dash, last = words[0].partition("-")
    return many(int(first), int(last)) if dash else one(int(first))


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def one(seed: int) -> int:
    """Play a seed and tell what happened in it."""
    [played] = play_all([seed])
    for line in played.story:
        say(line)
    say(f"seed {seed}: {played.wrong or 'everything held'}")
    return bool(played.wrong)


def many(first: int, last: int) -> int:
    """Play the seeds from *first* to *last* on every core."""
    begun, wrong, seen = time.monotonic(), [], Counter()
    parts = [range(at, min(at + AT_ONCE, last + 1)) for at in range(first, last + 1, AT_ONCE)]
    with ProcessPoolExecutor(cpu_count()) as pool:
        for done in pool.map(quietly, parts):
            for played in done:
                seen.update(played.seen)
                if played.wrong:
                    wrong.append(played.seed)
                    say(f"python -m tests.simulation {played.seed}    {played.wrong[:300]}")
    took = time.monotonic() - begun
    for what, count in sorted(seen.items()):
        say(f"{count:>9} {what}")
    say(f"{last - first + 1} seeds in {took:.0f} s: {len(wrong)} went wrong")
    return bool(wrong)


def quietly(seeds: range) -> list[Played]:
    """Play *seeds* in a process of its own."""
    try:
        return play_all(seeds)
    except Exception:
        traceback.print_exc()
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
