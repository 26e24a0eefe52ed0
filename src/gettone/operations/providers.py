"""What operations need of those who move the money: payment providers, as one protocol; `gateways/` implements it.

A provider is asked outside of any transaction. It never raises for what may happen on the way: whatever leaves open
whether money has moved is `Unknown`. The same idempotency key stands for the same movement, however often it is asked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gettone.domain.payments import Outcome
from gettone.operations.billing import Method

NEVER_ARRIVED = "never_arrived"
"""The code of a `Declined` that says: the provider has no movement with this key, the question never reached it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Movement:
    """Money that is to move: a charge of *method*, or, with *refund_of*, the refund of the charge of that name.

    *gross_micros* of *currency* are whole in the currency's smallest coin. *provider_ref* is the provider's name for
    this movement, empty until it is known. *unpaid_micros* is what earlier orders by the same agreement still owe.
    *first_asked_at* and *now* tell how old the key is.
    """

    org_id: str
    payment_id: str
    idempotency_key: str
    gross_micros: int
    currency: str
    method: Method
    description: str
    now: datetime
    first_asked_at: datetime
    provider_ref: str = ""
    refund_of: str = ""
    unpaid_micros: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A card that is to be entered at the provider: *secret* for the page that takes it, or *link* to that page."""

    reference: str
    customer_ref: str
    secret: str = ""
    link: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card as the provider keeps it; *expires* is yyyymm."""

    provider_ref: str
    customer_ref: str
    fingerprint: str
    label: str
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNews:
    """A provider says how a movement stands now; *idempotency_key* is the key it was asked under, when it says so."""

    event_id: str
    org_id: str
    payment_id: str
    outcome: Outcome
    idempotency_key: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeNews:
    """The payer's bank has taken a charge back (*stage* opened), or decided (won, lost); amounts gross."""

    event_id: str
    org_id: str
    payment_id: str
    stage: str
    gross_micros: int
    idempotency_key: str = ""


News = PaymentNews | DisputeNews


class Provider(Protocol):
    """Moves money."""

    def move(self, movement: Movement) -> Outcome:
        """Charge or refund, once for its key."""

    def ask(self, movement: Movement) -> Outcome:
        """How a movement that was asked for stands; `Declined` with `NEVER_ARRIVED` when there is none."""

    def give_up(self, movement: Movement) -> Outcome:
        """Withdraw a charge that waits for a person, and say how it stands then."""

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        """Prepare for a card to be entered; raises `PaymentUnavailable`."""

    def finish_setup(self, reference: str) -> Card:
        """The card that was entered; raises `PaymentUnavailable`, or `Conflict` when none was yet."""

    def news(self, body: bytes, headers: Mapping[str, str], now: datetime) -> News | None:
        """Read a message of the provider's; None when it is about nothing of ours. Raises `BadMessage`."""


Providers = Mapping[str, Provider]
"""Providers by name."""
