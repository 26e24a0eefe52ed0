"""What an organisation allows its own people: dial-out policies, barred numbers, spending limits, and the fraud guard.

Sources: facts section 8 (twelve outbound calling restriction policies, spend limits, blocked users), open questions
section D 9 (callers who drain credits, per-department limits) and E. What the documents leave open is decided here: a
limit counts what calls of a calendar month of the billing time zone have cost and what running ones may still cost;
the guard's hour is a clock hour; how much its amounts are, by the currency. Emergency calls are asked nothing of this.

A *subject* is what spending is counted for: ``user/<id>``, ``department/<name>``, ``cost_centre/<name>``, and ``""``
for the whole organisation.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from gettone.domain.catalogue import ConferenceReach, DialOutPolicy, Terms, UserReach
from gettone.domain.refusals import Refusal

ORGANISATION = ""
"""The subject that stands for the whole organisation."""

WARN_PERCENT = (80, 100)
"""Shares of a spending limit at which the administrator is told, once each in a month."""

GUARD_BLOCK = "high_international_spend"
"""Why the fraud guard blocks a user."""


@dataclass(frozen=True, slots=True)
class Guard:
    """The fraud guard's limits; None switches one off. The defaults are ours: no document publishes any.

    *concurrent_calls*: calls at once that one user makes; *conference_calls*: that one organiser's conferences dial
    out; *resource_calls*: that one resource account makes. *user_hour_micros* and *organisation_hour_micros*: credit
    that international calls may commit within a clock hour. *new_premium_per_day*: premium destinations never called
    before by the organisation that may be called in one day; premium is a number of that kind, or a price a minute from
    *premium_minute_micros* on. *block_hours*: how long the user is blocked who reached the hour's limit; 0 for never.

    How much is a lot depends on the currency: without one there are no amounts, `shipped` gives those of one.
    """

    concurrent_calls: int | None = 10
    conference_calls: int | None = None
    resource_calls: int | None = None
    user_hour_micros: int | None = None
    organisation_hour_micros: int | None = None
    new_premium_per_day: int | None = 5
    premium_minute_micros: int | None = None
    block_hours: int = 24

    @classmethod
    def shipped(cls, minimum_micros: int | None) -> Self:
        """The guard of an organisation that set nothing, from the least that may be bought in its currency.

        With 50.00: 100.00 an hour for a user, 1000.00 for the organisation, premium from 1.00 a minute on. None, of a
        currency of which no minimum is shipped, leaves the amounts off; premium is then told by the kind of number.
        """
        if minimum_micros is None:
            return cls()
        return cls(
            user_hour_micros=2 * minimum_micros,
            organisation_hour_micros=20 * minimum_micros,
            premium_minute_micros=minimum_micros // 50,
        )


@dataclass(frozen=True, slots=True)
class Bars:
    """Numbers that are barred, by prefix of their digits; the longest prefix decides, and may exempt (False)."""

    prefixes: Mapping[str, bool] = field(default_factory=dict)

    def hit(self, digits: str) -> bool:
        """Whether *digits* are barred."""
        prefixes = self.prefixes
        if not prefixes:
            return False
        for length in range(len(digits), 0, -1):
            barred = prefixes.get(digits[:length])
            if barred is not None:
                return barred
        return False


@dataclass(frozen=True, slots=True)
class Policies:
    """An organisation's own rules.

    *dial_out* is the policy of users who have none of their own, empty for the catalogue's default.
    *user_limit_micros* is the spending limit a month of users who have none of their own, *group_limits_micros* those
    of departments and cost centres by subject. *conference_uses_calling_plan*: when the conference minutes are used up,
    the organiser's own plan pays before credits do (open question Q18; off, as documented).
    """

    dial_out: str = ""
    user_limit_micros: int | None = None
    group_limits_micros: Mapping[str, int] = field(default_factory=dict)
    conference_uses_calling_plan: bool = False
    guard: Guard = field(default_factory=Guard)
    barred_called: Bars = field(default_factory=Bars)
    barred_calling: Bars = field(default_factory=Bars)


@dataclass(frozen=True, slots=True)
class Block:
    """A user is blocked for *reason*; until an instant, or until somebody unblocks when *until* is None."""

    reason: str
    until: datetime | None

    def holds(self, now: datetime) -> bool:
        """Whether it still counts."""
        return self.until is None or now < self.until


@dataclass(slots=True)
class Tally:
    """What one subject has open and has spent in one month (*period* as yyyymm).

    *spent_micros* is what settled calls of the month cost, *held_micros* what running ones may cost up to their grant;
    *hour_micros* what international calls committed within the clock hour *hour* (hours since 1970). *warned_percent*
    is the highest share of the limit that was told of. The tally of the whole organisation counts international calls.
    """

    subject: str
    period: int
    open_calls: int = 0
    spent_micros: int = 0
    held_micros: int = 0
    hour: int = 0
    hour_micros: int = 0
    warned_percent: int = 0

    @property
    def committed_micros(self) -> int:
        """What the month has cost so far, and what running calls may add."""
        return self.spent_micros + self.held_micros

    def in_hour(self, hour: int) -> int:
        """What international calls committed within *hour*."""
        return self.hour_micros if self.hour == hour else 0

    def commit(self, micros: int, hour: int) -> None:
        """Count *micros* more (less, when negative) for international calls within *hour*."""
        self.hour_micros = max(0, self.in_hour(hour) + micros)
        self.hour = hour


@dataclass(frozen=True, slots=True)
class Cap:
    """Credit that a policy leaves, and the reason to give when it is used up; *subject* is whose limit it is."""

    left_micros: int
    reason: Refusal
    subject: str


def dial_out_policy(own: str, policies: Policies, terms: Terms) -> DialOutPolicy:
    """The policy in force for a user: the user's own, else the organisation's, else the catalogue's default."""
    return terms.dial_out_policies.get(own) or terms.dial_out_policies.get(policies.dial_out) or terms.default_policy


def user_may_reach(policy: DialOutPolicy, home: str, destination: str) -> bool:
    """Whether a user whose country is *home* may call *destination*.

    Domestic means the same country: the border between the United States and Canada counts here (Q24).
    """
    return policy.user is UserReach.ANYWHERE or (policy.user is UserReach.DOMESTIC and destination == home)


def conference_may_reach(policy: DialOutPolicy, home: str, destination: str, terms: Terms) -> bool:
    """Whether conferences of an organiser whose country is *home* may dial out to *destination*."""
    match policy.conference:
        case ConferenceReach.ANYWHERE:
            return True
        case ConferenceReach.ZONE_A:
            return destination in terms.zones.get("A", frozenset())
        case ConferenceReach.DOMESTIC:
            return destination == home
        case ConferenceReach.NOWHERE:
            return False


def hour_of(at: datetime) -> int:
    """The clock hour of an instant, as hours since 1970."""
    return int(at.timestamp()) // 3600


def take_warning(tally: Tally, limit_micros: int) -> int:
    """Note the share of the limit that *tally* has reached; answer it, in percent, if it is to be told of, else 0.

    A share that it has fallen below, as when the limit was raised, is told of again when it is reached again.
    """
    reached = [percent for percent in WARN_PERCENT if tally.committed_micros * 100 >= limit_micros * percent]
    highest = max(reached, default=0)
    due = highest if highest > tally.warned_percent else 0
    tally.warned_percent = highest
    return due
