"""Jobs run when they are due, in threads of their own, once in all processes where that is wanted."""

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from gettone.jobs.leases import LEASE, Leases
from gettone.jobs.runner import DELIVERIES, PAUSE_MAX, PAYMENTS, Job, Jobs
from gettone.storage.office import open_office

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> None:
        self.now += timedelta(**by)


class Heard:
    """Notes how jobs went."""

    def __init__(self) -> None:
        self.ok: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()

    def job(self, name, *, done):
        (self.failed if done is None else self.ok)[name] += 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def heard() -> Heard:
    return Heard()


def counting(name: str, **more) -> Job:
    return Job(name, more.pop("every", timedelta(minutes=1)), lambda _now: 1, **more)


def test_after_a_sleep_a_job_runs_once_and_not_for_every_turn_it_missed(clock, heard):
    jobs = Jobs([counting("a")], clock=clock, tally=heard)
    jobs.run_due()
    clock.turn(days=3)
    jobs.run_due()
    jobs.run_due()

    assert heard.ok["a"] == 2


def test_a_clock_that_is_put_back_delays_no_job(clock, heard):
    jobs = Jobs([counting("a", every=timedelta(hours=1))], clock=clock, tally=heard)
    jobs.run_due()
    clock.turn(days=-30)
    jobs.run_due()
    clock.turn(minutes=59)
    jobs.run_due()
    assert heard.ok["a"] == 2

    clock.turn(minutes=1)
    jobs.run_due()
    assert heard.ok["a"] == 3


def test_a_clock_that_leaps_ahead_within_a_run_makes_the_job_wait_for_minutes_at_most(clock, heard):
    def leap(_now):
        if heard.ok["a"] == 0:
            clock.turn(days=365)
        return 0

    jobs = Jobs([Job("a", timedelta(seconds=1), leap)], clock=clock, tally=heard)
    jobs.run_due()
    clock.turn(days=-365)
    clock.turn(seconds=PAUSE_MAX.total_seconds())
    jobs.run_due()

    assert heard.ok["a"] == 2


def test_a_job_that_people_wait_for_does_not_pause_after_long_work(clock, heard):
    def long_work(_now):
        clock.turn(seconds=30)
        return 1

    every = timedelta(seconds=1)
    jobs = Jobs(
        [Job("payments", every, long_work, breathes=False), Job("rest", every, long_work)], clock=clock, tally=heard
    )
    for _ in range(3):
        jobs.run_due()

    assert heard.ok == {"payments": 3, "rest": 1}


def test_a_job_that_fails_is_tried_again_soon_then_ever_later_and_at_its_own_pace_at_last(clock, heard):
    failing = True

    def fail(_now):
        if failing:
            raise RuntimeError("the disk is full")
        return 1

    jobs = Jobs([Job("hourly", timedelta(hours=1), fail)], clock=clock, tally=heard)
    tried = []
    for second in range(2 * 3600):
        before = heard.failed["hourly"]
        jobs.run_due()
        if heard.failed["hourly"] > before:
            tried.append(second)
        clock.turn(seconds=1)
    assert tried == [0, 10, 30, 70, 150, 310, 630, 1270, 2550, 5110]

    failing = False
    clock.turn(hours=1)
    jobs.run_due()
    clock.turn(minutes=59)
    jobs.run_due()
    assert heard.ok["hourly"] == 1


def test_a_job_that_is_woken_runs_before_it_is_due_also_after_it_failed(clock, heard):
    def fail(_now):
        raise RuntimeError("not now")

    jobs = Jobs([counting("a"), Job("b", timedelta(minutes=1), fail), counting("c")], clock=clock, tally=heard)
    jobs.run_due()
    jobs.wake("a")
    jobs.wake("b")
    jobs.run_due()
    jobs.run_due()

    assert heard.ok == {"a": 2, "c": 1}
    assert heard.failed == {"b": 2}


def test_nobody_can_wake_a_job_that_is_not_there(clock, heard):
    with pytest.raises(KeyError):
        Jobs([counting("a")], clock=clock, tally=heard).wake("b")


def test_a_slow_delivery_holds_up_no_payment(clock, heard):
    delivering, paid = threading.Event(), threading.Event()
    go_on = threading.Event()

    def deliver(_now):
        delivering.set()
        assert go_on.wait(20)
        return 1

    def pay(_now):
        if delivering.is_set():
            paid.set()
        return 0

    jobs = Jobs(
        [
            Job("payments", timedelta(hours=1), pay, PAYMENTS),
            Job("deliveries", timedelta(hours=1), deliver, DELIVERIES),
        ],
        clock=clock,
        tally=heard,
    )
    jobs.start()
    try:
        assert delivering.wait(20)
        jobs.wake("payments")
        assert paid.wait(20)
        assert heard.ok["deliveries"] == 0
    finally:
        go_on.set()
        jobs.close()

    assert heard.ok["deliveries"] == 1
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("jobs")]


def test_when_told_to_stop_no_further_job_begins(clock, heard):
    stopping = threading.Event()
    first = Job("first", timedelta(seconds=1), lambda _now: stopping.set() or 1)
    jobs = Jobs([first, counting("second")], clock=clock, tally=heard, stopping=stopping)
    jobs.run_due()

    assert heard.ok == {"first": 1}


# -- several processes -------------------------------------------------------------------------------------------------


class Processes:
    """Two that share a database, each with its leases and its jobs."""

    def __init__(self, url, clock, jobs) -> None:
        self.offices = [open_office(url) for _ in range(2)]
        self.heard = [Heard(), Heard()]
        self.leases = [Leases(office, clock, holder=f"process {n}") for n, office in enumerate(self.offices)]
        self.jobs = [
            Jobs(jobs, clock=clock, tally=heard, leases=leases)
            for heard, leases in zip(self.heard, self.leases, strict=True)
        ]

    def run_due(self) -> list[int]:
        """Let both run what is due; how often each has run job a by now."""
        for jobs in self.jobs:
            jobs.run_due()
        return [heard.ok["a"] for heard in self.heard]


@pytest.fixture
def two(url, clock):
    made = Processes(url, clock, [counting("a", every=timedelta(hours=1), alone=True)])
    yield made
    for office in made.offices:
        office.close()


def test_a_job_that_runs_alone_runs_in_one_process(two, clock):
    assert two.run_due() == [1, 0]
    for hours in range(1, 5):
        clock.turn(minutes=59)
        two.leases[0].renew()
        clock.turn(minutes=1)
        two.leases[0].renew()
        assert two.run_due() == [1 + hours, 0]


def test_the_job_of_a_process_that_died_is_taken_over_when_its_lease_has_run_out(two, clock):
    two.run_due()
    clock.turn(seconds=LEASE.total_seconds() - 1)
    two.jobs[1].run_due()
    assert two.heard[1].ok["a"] == 0

    clock.turn(seconds=LEASE.total_seconds())
    two.jobs[1].run_due()
    assert two.heard[1].ok["a"] == 1


def test_a_process_that_ends_lets_another_go_on_at_once(two, clock):
    two.run_due()
    two.jobs[0].close()
    clock.turn(seconds=LEASE.total_seconds() - 1)
    two.jobs[1].wake("a")
    two.jobs[1].run_due()

    assert two.heard[1].ok["a"] == 1


def test_a_process_that_was_stopped_for_too_long_learns_that_another_has_taken_over(two, clock):
    two.run_due()
    clock.turn(minutes=3)
    two.jobs[1].run_due()

    assert two.leases[0].renew() == ["a"]
    assert (two.leases[0].held, two.leases[1].held) == (frozenset(), {"a"})
    clock.turn(minutes=58)
    two.leases[1].renew()
    assert two.run_due() == [1, 1]


def test_a_lease_from_before_a_clock_was_put_back_keeps_nobody_waiting(two, clock):
    two.run_due()
    clock.turn(days=-1)
    two.jobs[1].run_due()

    assert two.heard[1].ok["a"] == 1


def test_a_lease_that_runs_for_a_while_yet_is_not_written_again(two, clock):
    assert two.leases[0].take("a")
    clock.turn(seconds=20)
    with two.offices[1].write_shared() as unit:
        unit.leases.drop_lease("a", "process 0")

    assert two.leases[0].take("a")
    assert two.leases[1].take("a")


def test_of_many_threads_that_want_a_lease_one_gets_it(url, clock):
    with contextlib.closing(open_office(url)) as office, ThreadPoolExecutor(8) as threads:
        wanting = [Leases(office, clock, holder=f"process {number}") for number in range(8)]
        for name in ("a", "b", "c"):
            assert sum(threads.map(lambda leases, name=name: leases.take(name), wanting)) == 1
