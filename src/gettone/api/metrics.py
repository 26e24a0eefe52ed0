"""What Prometheus is told at ``/metrics``; `docs/reference/metrics.md` has a heading for each.

Every process tells of itself. Requests are counted a batch at a time, so that counting costs the desk next to nothing.
"""

import time
from collections import Counter as Tally
from collections.abc import Callable, Sequence
from typing import Any

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)

from gettone.operations.charging import Charging
from gettone.operations.messages import Answer, Refused, Request

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

BATCH_SIZES = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
SECONDS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """The counters of one process."""

    def __init__(self) -> None:
        """Begin at zero, in a registry of their own."""
        disable_created_metrics()  # type: ignore[no-untyped-call]  # the library is not typed here
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        self._requests = Counter(
            "gettone_charging_requests",
            "Charging requests answered, by what was asked and what was said",
            ["operation", "result", "reason"],
            registry=self.registry,
        )
        self._batch_size = self._histogram("gettone_charging_batch_size", "Requests decided together", BATCH_SIZES)
        self._batch_seconds = self._histogram(
            "gettone_charging_batch_seconds", "Time to decide and commit a batch", SECONDS
        )
        self._http_seconds = Histogram(
            "gettone_http_request_seconds",
            "Time from a request's arrival to its answer",
            ["method", "route", "status"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self._http_children: dict[tuple[str, str, int], Any] = {}
        self._queued = self._gauge("gettone_charging_queue", "Charging requests that wait for a batch")
        self.open_calls = self._gauge(
            "gettone_open_calls", "Calls open in the database, as supervision last counted them"
        )
        self._job_runs = Counter("gettone_job_runs", "Runs of a job", ["job", "result"], registry=self.registry)
        self._job_done = Counter("gettone_job_done", "Things that a job has done", ["job"], registry=self.registry)

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(name, meaning, buckets=buckets, registry=self.registry)

    def _gauge(self, name: str, meaning: str) -> Gauge:
        return Gauge(name, meaning, registry=self.registry)

    def watch_queue(self, queued: Callable[[], int]) -> None:
        """Ask *queued* for the length of the queue whenever the metrics are read."""
        self._queued.set_function(queued)

    def batch(self, requests: Sequence[Request], answers: Sequence[Answer], seconds: float) -> None:
        """Count a batch that is decided."""
        tally = Tally(map(_label, requests, answers))
        for labels, count in tally.items():
            self._requests.labels(*labels).inc(count)
        self._batch_size.observe(len(requests))
        self._batch_seconds.observe(seconds)

    def http(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an HTTP request that is answered; *route* is a template, never a path with ids in it."""
        key = (method, route, status)
        child = self._http_children.get(key)
        if child is None:
            child = self._http_children[key] = self._http_seconds.labels(method, route, str(status))
        child.observe(seconds)

    def job(self, name: str, *, done: int | None) -> None:
        """Count a run of a job: what it has done, or None when it failed."""
        self._job_runs.labels(name, "failed" if done is None else "ok").inc()
        self._job_done.labels(name).inc(done or 0)

    def exposition(self) -> bytes:
        """All of them, in Prometheus's text format."""
        return generate_latest(self.registry)


def _label(request: Request, answer: Answer) -> tuple[str, str, str]:
    reason = answer.reason.value if isinstance(answer, Refused) else ""
    return request.__struct_config__.tag, answer.__struct_config__.tag, reason  # type: ignore[return-value]  # all tagged by text


class MeteredCharging(Charging):
    """`Charging` that counts its batches."""

    metrics: Metrics
    _within: bool = False

    def charge(self, requests: Sequence[Request]) -> list[Answer]:
        """See `Charging.charge`."""
        if self._within:
            # A batch that is decided request by request after all is counted once, as the batch it was.
            return super().charge(requests)
        self._within = True
        started = time.perf_counter()
        try:
            answers = super().charge(requests)
        finally:
            self._within = False
        self.metrics.batch(requests, answers, time.perf_counter() - started)
        return answers
