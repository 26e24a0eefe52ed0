"""The charging desk: order, batches, and what becomes of requests when it closes or fails."""

import threading
from collections.abc import Sequence

import pytest

from gettone.domain.refusals import Refusal
from gettone.operations import desk as desks
from gettone.operations.charging import Charging, refused
from gettone.operations.desk import ChargingDesk, Delivery, DeskClosed, DeskFull
from gettone.operations.messages import Answer, Refused, Request, StopCall


class SlowCharging:
    """Answers every request with its own number, in batches that wait for a gate."""

    def __init__(self) -> None:
        """Begin with the gate shut."""
        self.gate = threading.Event()
        self.batches: list[int] = []
        self.closed = False

    def charge(self, requests: Sequence[Request]) -> list[Answer]:
        """Wait for the gate, then answer."""
        self.gate.wait(10)
        self.batches.append(len(requests))
        if any(request.session_id == "poison" for request in requests):
            raise RuntimeError
        return [refused(request, Refusal.UNKNOWN_SESSION) for request in requests]

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True


class Office:
    """A desk over `SlowCharging`, and what it has delivered."""

    def __init__(self, batch_size: int = 500) -> None:
        """Open the desk."""
        self.charging = SlowCharging()
        self.delivered: Delivery = []
        self.desk = ChargingDesk(self.charging, self.delivered.extend, batch_size=batch_size)  # type: ignore[arg-type]  # a stand-in

    def finish(self) -> None:
        """Let everything be answered and close."""
        self.charging.gate.set()
        self.desk.close()


def stop(number: int, session_id: str = "c") -> StopCall:
    """A request that tells its number."""
    return StopCall(session_id=session_id, org_id="acme", request_number=number, used_seconds=0)


def test_everything_accepted_is_answered_in_order_even_when_closing() -> None:
    """Also what still waits when the desk is told to close."""
    office = Office()
    for number in range(1000):
        office.desk.submit([stop(number)], number)
    office.finish()

    assert [ticket for ticket, _ in office.delivered] == list(range(1000))
    assert all(answers[0].request_number == ticket for ticket, answers in office.delivered)
    assert office.charging.closed


def test_what_waits_while_one_batch_runs_forms_the_next_one() -> None:
    """Few transactions under load, without any timer."""
    office = Office(batch_size=100)
    for number in range(1000):
        office.desk.submit([stop(number)], number)
    office.finish()

    assert sum(office.charging.batches) == 1000
    assert len(office.charging.batches) <= 11
    assert max(office.charging.batches) <= 100


def test_a_submission_larger_than_a_batch_is_answered_together() -> None:
    """A submission is never split."""
    office = Office(batch_size=10)
    office.desk.submit([stop(number) for number in range(25)], "all")
    office.finish()

    [(ticket, answers)] = office.delivered
    assert ticket == "all"
    assert [answer.request_number for answer in answers] == list(range(25))


def test_a_closed_desk_takes_nothing() -> None:
    """The switch is told at once."""
    office = Office()
    office.finish()

    with pytest.raises(DeskClosed):
        office.desk.submit([stop(1)], 1)


def test_a_full_desk_says_so_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    """Better told at once than answered too late."""
    monkeypatch.setattr(desks, "QUEUE_MAX", 3)
    office = Office()
    office.desk.submit([stop(0)], "kept")
    with pytest.raises(DeskFull):
        office.desk.submit([stop(number) for number in range(4)], "refused")
    office.finish()

    assert [ticket for ticket, _ in office.delivered] == ["kept"]


def test_the_desk_outlives_a_batch_that_fails() -> None:
    """Whoever waited is told to ask again; the next batch is answered."""
    office = Office(batch_size=1)
    office.desk.submit([stop(1, "poison")], "bad")
    office.desk.submit([stop(2)], "good")
    office.finish()

    reasons = [answer.reason for _, [answer] in office.delivered if isinstance(answer, Refused)]
    assert reasons == [Refusal.UNAVAILABLE, Refusal.UNKNOWN_SESSION]


def test_a_stand_in_has_the_methods_of_charging() -> None:
    """So that these tests fail when the real one changes."""
    assert {"charge", "close"} <= set(dir(Charging))
