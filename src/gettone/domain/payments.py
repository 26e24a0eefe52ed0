"""Payments: what a provider may answer, and what a payment becomes by it (D18).

    requested ─▶ pending ─▶ succeeded ─▶ disputed ─▶ succeeded (won)
                   │  ▲         ▲
                   │  ├─ action_required
                   │  └─ unknown
                   └──▶ declined

A payment is one movement of money at a provider, under one idempotency key: a charge, or the refund of one. The
provider is asked outside of any transaction; what it answers is one of five outcomes:

- `Succeeded`: the money has moved.
- `Processing`: the provider works on it, and will say.
- `ActionRequired`: a person has to confirm it first, at the link.
- `Declined`: it has not moved and will not under this key.
- `Unknown`: nobody knows, because the question or the answer was lost. It is asked again with the same key.

Invariants:

- money that has moved is booked exactly once: success counts whatever was believed before, and counts once;
- after a success nothing a provider says makes it a decline: late and repeated news of a payment are no news;
- while the outcome of a payment is open there is no other charge for the same order.
"""

import enum
from dataclasses import dataclass
from datetime import datetime, timedelta


class PaymentState(enum.Enum):
    """Where a payment stands."""

    REQUESTED = "requested"
    PENDING = "pending"
    ACTION_REQUIRED = "action_required"
    UNKNOWN = "unknown"
    SUCCEEDED = "succeeded"
    DECLINED = "declined"
    DISPUTED = "disputed"

    @property
    def open(self) -> bool:
        """Whether money may still move."""
        return self in _OPEN


_OPEN = frozenset({PaymentState.REQUESTED, PaymentState.PENDING, PaymentState.ACTION_REQUIRED, PaymentState.UNKNOWN})


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The money has moved; *reference* is the provider's name for it."""

    reference: str


@dataclass(frozen=True, slots=True)
class Processing:
    """The provider works on it."""

    reference: str


@dataclass(frozen=True, slots=True)
class ActionRequired:
    """A person has to confirm it at *link* (strong customer authentication)."""

    reference: str
    link: str


@dataclass(frozen=True, slots=True)
class Declined:
    """It will not be done; *code* says why, in the provider's word. *final*: asking for more of them is no use.

    *reference* may be empty: a charge that was refused before the provider gave it a name.
    """

    code: str
    detail: str = ""
    final: bool = False
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """Nobody knows; *detail* is what went wrong on the way."""

    detail: str


Outcome = Succeeded | Processing | ActionRequired | Declined | Unknown

_BECOMES: dict[type, PaymentState] = {
    Succeeded: PaymentState.SUCCEEDED,
    Processing: PaymentState.PENDING,
    ActionRequired: PaymentState.ACTION_REQUIRED,
    Declined: PaymentState.DECLINED,
    Unknown: PaymentState.UNKNOWN,
}

_SETTLED = frozenset({PaymentState.SUCCEEDED, PaymentState.DISPUTED})


def after(state: PaymentState, outcome: Outcome) -> PaymentState:
    """What a payment in *state* becomes by *outcome*; the same state when that is no news.

    Success always counts. Unknown is no news of a payment whose outcome is known or that waits for a person; nothing
    but success is news of one that was declined.
    """
    if state in _SETTLED:
        return state
    becomes = _BECOMES[type(outcome)]
    if state is PaymentState.DECLINED and becomes is not PaymentState.SUCCEEDED:
        return state
    if state is PaymentState.ACTION_REQUIRED and becomes is PaymentState.UNKNOWN:
        return state
    return becomes


ASK_AGAIN = (
    timedelta(seconds=30),
    timedelta(minutes=5),
    timedelta(hours=1),
    timedelta(days=1),
)
"""How long to wait before an outcome that is open is asked for again; the last one from then on."""

REPEAT_WITHIN = timedelta(hours=23)
"""So long the same key is safe to be sent again: providers keep keys for a day (Stripe: 24 hours)."""

ACTION_WITHIN = timedelta(hours=23)
"""So long a person may take to confirm; then the payment is given up at the provider."""


def ask_again_at(asks: int, now: datetime) -> datetime:
    """When to ask again after *asks* questions, the latest of them *now*."""
    return now + ASK_AGAIN[min(max(asks, 1), len(ASK_AGAIN)) - 1]
