"""Auto-recharge: when a wallet buys credit by itself, how much, and when it stops (D17, D18).

A rule says: when less than the *trigger* is available, buy the *amount*. It is asked inside the transaction that lowers
what is available. At most one recharge is open at a time.

- **How much**: the amount, or the smallest multiple of it with which available is at or above the trigger again, within
  the caps.
- **Caps** protect the payer: so many recharges, and so much money, in a day and in a month of the organisation's
  billing time zone. What people buy by hand is not counted and never blocked.
- **After a decline** it waits 1, 2, 4 hours; three declines in a row, or one that the provider calls final, suspend it
  until a payment succeeds, a payment method comes in, or somebody resumes it.

Example: with trigger 400 and amount 500, an available 399.99 buys 500, and -700 buys 1,500: with 1,000 it would be 300.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta

from gettone.domain.money import ceil_div

DECLINES_MAX = 3
"""Declines in a row that suspend a rule."""

BACK_OFF = (timedelta(hours=1), timedelta(hours=2), timedelta(hours=4))


class Paused(enum.Enum):
    """Why a rule does not buy although it is on."""

    SUSPENDED = "suspended"
    BACKING_OFF = "backing_off"
    RECHARGE_OPEN = "recharge_open"
    DAY_CAP = "day_cap"
    MONTH_CAP = "month_cap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What an organisation has set; caps are None for no limit. Amounts in micros."""

    trigger_micros: int
    amount_micros: int
    day_count: int | None = None
    day_micros: int | None = None
    month_count: int | None = None
    month_micros: int | None = None

    def __post_init__(self) -> None:
        """A rule buys something."""
        assert self.trigger_micros > 0, "a trigger is positive"
        assert self.amount_micros > 0, "an amount is positive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bought:
    """What the rule has bought in this day and in this month, open recharges included."""

    day_count: int = 0
    day_micros: int = 0
    month_count: int = 0
    month_micros: int = 0


def due(available_micros: int, trigger_micros: int) -> bool:
    """Whether what is available has fallen below the trigger; at the trigger it has not (facts, Q2)."""
    return available_micros < trigger_micros


def to_buy(rule: Rule, available_micros: int, bought: Bought) -> int | Paused:
    """How much to buy in micros, or the cap that leaves no room for even one amount."""
    multiples = max(1, ceil_div(rule.trigger_micros - available_micros, rule.amount_micros))
    for count, micros, count_max, micros_max, cap in (
        (bought.day_count, bought.day_micros, rule.day_count, rule.day_micros, Paused.DAY_CAP),
        (bought.month_count, bought.month_micros, rule.month_count, rule.month_micros, Paused.MONTH_CAP),
    ):
        if count_max is not None and count >= count_max:
            return cap
        if micros_max is not None:
            multiples = min(multiples, (micros_max - micros) // rule.amount_micros)
            if multiples < 1:
                return cap
    return multiples * rule.amount_micros


def after_decline(declines: int, now: datetime, *, final: bool) -> datetime | None:
    """When to try again after so many *declines* in a row, this one included; None: not before somebody resumes."""
    if final or declines >= DECLINES_MAX:
        return None
    return now + BACK_OFF[min(declines, len(BACK_OFF)) - 1]
