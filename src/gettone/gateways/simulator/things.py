"""What the simulated provider keeps: customers, cards, charges and what becomes of them. Amounts are minor units.

Nothing is changed in place: whoever was answered with a thing, or hears of it in a message, has it as it was then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from gettone.gateways.simulator.cards import TestCard


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    """Who holds cards."""

    customer_id: str
    name: str
    metadata: Mapping[str, str]
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A card that was entered; *expires* is yyyymm."""

    card_id: str
    customer_id: str
    test: TestCard
    expires: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """A card that is to be entered."""

    setup_id: str
    customer_id: str
    status: str
    secret: str
    metadata: Mapping[str, str]
    created: datetime
    card: Card | None = None
    return_url: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a charge failed."""

    code: str
    decline_code: str
    advice: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A charge of a card; *refunded* and *disputed* are the parts that went back."""

    charge_id: str
    customer_id: str
    card: Card
    amount: int
    currency: str
    status: str
    created: datetime
    metadata: Mapping[str, str]
    description: str = ""
    failure: Failure | None = None
    return_url: str = ""
    cancelled_because: str = ""
    refunded: int = 0
    disputed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """Money that goes back to a card."""

    refund_id: str
    charge_id: str
    amount: int
    currency: str
    status: str
    created: datetime
    metadata: Mapping[str, str]
    failure: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A charge that the cardholder's bank has taken back; *status* is needs_response, won or lost."""

    dispute_id: str
    charge_id: str
    amount: int
    currency: str
    status: str
    created: datetime


Thing = Charge | Refund | Dispute


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A message: *thing* as it was when *kind* happened to it."""

    event_id: str
    kind: str
    created: datetime
    thing: Thing


@dataclass(slots=True)
class Sums:
    """What has moved, in minor units."""

    captured: int = 0
    refunded: int = 0
    withdrawn: int = 0

    @property
    def net(self) -> int:
        """What the merchant has of it."""
        return self.captured - self.refunded - self.withdrawn
