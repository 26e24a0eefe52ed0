"""A day of calls, drawn from a seed: who calls whom, when, for how long. The same seed gives the same day.

Times are seconds since midnight of the virtual day. The profile of the day (a morning rise, a dip at lunch, a tail in
the evening) and durations (log-normal with a long tail) are those of an office; no real traffic was used.
"""

import random
from dataclasses import dataclass

from gettone.demo.sample import (
    CONFERENCE,
    DESTINATIONS,
    EMERGENCY,
    PEOPLE,
    PREMIUM,
    QUEUE,
    QUEUE_ACCOUNT,
    Person,
)

CALLS = 6000

# Weight of each hour of the day.
PROFILE = (1, 1, 1, 1, 2, 4, 12, 35, 70, 95, 100, 90, 45, 75, 95, 92, 80, 60, 35, 22, 14, 8, 4, 2)

MEDIAN_SECONDS = 110
SPREAD = 1.15
LONGEST_SECONDS = 3 * 3600
CONFERENCE_MEDIAN_SECONDS = 1500
DIALLED_OUT_MEDIAN_SECONDS = 900

CALLERS = tuple(person for person in PEOPLE if person.calls)
ORGANISERS = tuple(person for person in PEOPLE if person.meets)
LICENSED = tuple(person for person in PEOPLE if person.products)


@dataclass(frozen=True, slots=True)
class Planned:
    """One call, message or mistake of the day; *seconds* 0 is a call that nobody answers after *ringing* seconds.

    *call_type* is empty where the numbers say it all.
    """

    at: int
    session_id: str
    user: str
    calling: str
    called: str
    seconds: int
    ringing: int = 0
    messages: int = 0
    call_type: str = ""


_KINDS = (
    ("domestic", 52),
    ("international", 13),
    ("queue", 14),
    ("conference", 3),
    ("dial_out", 2),
    ("transfer", 2),
    ("received", 9),
    ("message", 6),
    ("premium", 0.8),
    ("mistake", 1.5),
    ("emergency", 0.1),
)


def day_of_calls(seed: int, count: int = CALLS) -> list[Planned]:
    """The calls of a day in order of their beginning."""
    draw = random.Random(seed)  # noqa: S311 - a demo's dice, no secrets
    hours = draw.choices(range(24), weights=PROFILE, k=count)
    kinds = draw.choices([kind for kind, _ in _KINDS], weights=[weight for _, weight in _KINDS], k=count)
    calls = [
        _call(draw, f"demo-{number:05d}", hour * 3600 + draw.randrange(3600), kind)
        for number, (hour, kind) in enumerate(zip(hours, kinds, strict=True))
    ]
    # Help is called for at least once a day.
    calls.append(_call(draw, "demo-emergency", 10 * 3600 + 240, "emergency"))
    return sorted(calls, key=lambda call: (call.at, call.session_id))


def _call(draw: random.Random, session_id: str, at: int, kind: str) -> Planned:
    person = draw.choice(_WHO.get(kind, CALLERS))
    if kind in {"queue", "conference", "received"}:
        return _received(draw, session_id, at, kind, person)
    if kind in {"dial_out", "transfer"}:
        return _for_others(draw, session_id, at, kind, person)
    if kind == "message":
        called = _number(draw, draw.choice(DESTINATIONS[person.location][1:]))
        return Planned(at, session_id, person.upn, "", called, 0, messages=draw.choice((1, 1, 1, 2, 3)))
    if kind == "mistake":
        return _mistake(draw, session_id, at, person)
    if kind == "emergency":
        return Planned(at, session_id, person.upn, "", EMERGENCY[person.location], _seconds(draw, 180))
    if kind == "premium":
        called = _number(draw, PREMIUM)
    else:
        country = person.location
        if kind == "international":
            country = draw.choice([other for other in DESTINATIONS if other != person.location])
        called = _number(draw, draw.choice(DESTINATIONS[country]))
    seconds, ringing = _answered(draw)
    return Planned(at, session_id, person.upn, "", called, seconds, ringing)


_WHO = {"received": LICENSED, "emergency": LICENSED, "dial_out": ORGANISERS, "mistake": PEOPLE}
"""Who does it, where that is not somebody with a Calling Plan."""


def _for_others(draw: random.Random, session_id: str, at: int, kind: str, person: Person) -> Planned:
    """A call that the service makes: a conference dials somebody in, the customer line puts a caller through."""
    if kind == "transfer":
        called = _number(draw, draw.choice(DESTINATIONS["US"]))
        return Planned(at, session_id, QUEUE_ACCOUNT, "", called, _seconds(draw, MEDIAN_SECONDS), call_type="ucap_out")
    # Every other guest is at home, the rest anywhere.
    country = person.location if draw.random() < 0.5 else draw.choice(list(DESTINATIONS))
    called = _number(draw, draw.choice(DESTINATIONS[country]))
    seconds = _seconds(draw, DIALLED_OUT_MEDIAN_SECONDS)
    return Planned(at, session_id, person.upn, "", called, seconds, call_type="conf_out")


def _received(draw: random.Random, session_id: str, at: int, kind: str, person: Person) -> Planned:
    """A call that rings here: the customer line, the conference, or somebody's telephone."""
    caller = _number(draw, draw.choice(DESTINATIONS["US"]))
    if kind == "conference":
        return Planned(at, session_id, "", caller, CONFERENCE, _seconds(draw, CONFERENCE_MEDIAN_SECONDS))
    if kind == "queue":
        return Planned(at, session_id, "", caller, QUEUE, _seconds(draw, MEDIAN_SECONDS))
    seconds, ringing = _answered(draw)
    return Planned(at, session_id, "", caller, person.number, seconds, ringing)


def _mistake(draw: random.Random, session_id: str, at: int, person: Person) -> Planned:
    """What goes wrong in an office: people without a plan, wrong numbers, people who have left."""
    somewhere = _number(draw, draw.choice(DESTINATIONS[draw.choice(list(DESTINATIONS))]))
    user, called = draw.choice(
        (
            ("front.desk@gettone.example", somewhere),
            ("new.starter@gettone.example", somewhere),
            ("long.gone@gettone.example", somewhere),
            (person.upn, "+0" + somewhere[2:]),
            (person.upn, "+21055501234"),
        )
    )
    return Planned(at, session_id, user, "", called, 60)


def _answered(draw: random.Random) -> tuple[int, int]:
    """Duration and ringing; one call in five is never answered."""
    ringing = draw.randrange(4, 40)
    return (0 if draw.random() < 0.2 else _seconds(draw, MEDIAN_SECONDS)), ringing


def _seconds(draw: random.Random, median: int) -> int:
    return min(LONGEST_SECONDS, max(3, round(median * draw.lognormvariate(0, SPREAD))))


def _number(draw: random.Random, pattern: str) -> str:
    return "".join(draw.choice("0123456789") if sign == "#" else sign for sign in pattern)
