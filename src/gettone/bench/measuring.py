"""Rounds that take turns, and the figures that come of them."""

import gc
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import msgspec

from gettone.errors import GettoneError

Work = Callable[[], int]
"""Does one round and returns how many operations it was."""

Contestant = Callable[[], Work]
"""Makes ready for one round, untimed, and returns the work to be timed."""


class NotMeasured(GettoneError):
    """A benchmark could not be run as it must; a figure would mean nothing."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One figure.

    *limit* is the raw reference of the same run, in the same unit, and *ratio* how much of it is reached (1 is all);
    both None where there is nothing to compare with. *cpu_us* is our own processor time for an operation.
    """

    name: str
    value: float
    unit: str
    limit: float | None = None
    ratio: float | None = None
    cpu_us: float | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One timed round."""

    operations: int
    seconds: float
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Operations in a second."""
        return self.operations / self.seconds


def timed(work: Work) -> Sample:
    """Run *work* once against the clocks."""
    cpu, begin = time.process_time(), time.perf_counter()
    operations = work()
    seconds = time.perf_counter() - begin
    return Sample(operations, seconds, time.process_time() - cpu)


def interleaved(rounds: int, *contestants: Contestant) -> list[list[Sample]]:
    """Let the *contestants* take turns for so many rounds, after one that warms up; returns the samples of each."""
    samples: list[list[Sample]] = [[] for _ in contestants]
    for turn in range(rounds + 1):
        for contestant, found in zip(contestants, samples, strict=True):
            work = contestant()
            gc.collect()
            sample = timed(work)
            if turn:
                found.append(sample)
    return samples


def rate(name: str, unit: str, samples: Sequence[Sample], limits: Sequence[Sample] = ()) -> Result:
    """Operations a second, beside those of the limit."""
    value = median(sample.rate for sample in samples)
    limit = median(sample.rate for sample in limits) if limits else None
    cpu_us = median(sample.cpu_seconds / sample.operations for sample in samples) * 1e6
    return Result(
        name=name,
        value=rounded(value),
        unit=unit,
        limit=rounded(limit) if limit else None,
        ratio=rounded(value / limit) if limit else None,
        cpu_us=rounded(cpu_us),
    )


def duration(name: str, unit: str, value: float, limit: float | None = None) -> Result:
    """A duration, beside the one that cannot be beaten."""
    return Result(
        name=name,
        value=rounded(value),
        unit=unit,
        limit=rounded(limit) if limit else None,
        ratio=rounded(limit / value) if limit else None,
    )


def microseconds(samples: Sequence[Sample]) -> float:
    """The median time of one operation."""
    return median(sample.seconds / sample.operations for sample in samples) * 1e6


def rounded(value: float) -> float:
    """Three significant digits: no more are real; whole numbers stay whole."""
    return float(f"{value:.3g}") if value < 1000 else float(round(value))
