"""The test cards of the simulator: by its number a card is known to do this or that.

The numbers are those of Stripe's own test cards where Stripe has one with that behaviour. Unlike there, every card can
be entered; what is wrong with it shows when it is charged.

Source: docs.stripe.com/testing, read in November 2026; the three numbers marked as ours are made up, with a right
check digit.
"""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


class Behaviour(enum.Enum):
    """What a card does when it is charged."""

    PAYS = "pays"
    DECLINES = "declines"
    WANTS_AUTHENTICATION = "wants authentication"
    PAYS_LATER = "pays after a minute"
    DECLINES_LATER = "declines after a minute"
    PAYS_AND_DISPUTES = "pays, and disputes it after an hour"
    PAYS_AND_REFUNDS_LATER = "pays; a refund takes a minute"
    PAYS_AND_LOSES_REFUNDS = "pays; a refund fails after a minute"


@dataclass(frozen=True, slots=True)
class TestCard:
    """A number and what it does; *code* and *advice* are those of its decline."""

    number: str
    brand: str
    behaviour: Behaviour
    code: str = ""
    advice: str = ""

    @property
    def fingerprint(self) -> str:
        """The same for the same number, whoever enters it."""
        return hashlib.sha256(self.number.encode()).hexdigest()[:16]


_CARDS: Final = (
    TestCard("4242424242424242", "visa", Behaviour.PAYS),
    TestCard("5555555555554444", "mastercard", Behaviour.PAYS),
    TestCard("378282246310005", "amex", Behaviour.PAYS),
    TestCard("4000000000000341", "visa", Behaviour.DECLINES, "generic_decline", "try_again_later"),
    TestCard("4000000000009995", "visa", Behaviour.DECLINES, "insufficient_funds", "try_again_later"),
    TestCard("4000000000000069", "visa", Behaviour.DECLINES, "expired_card", "confirm_card_data"),
    TestCard("4000000000009987", "visa", Behaviour.DECLINES, "lost_card", "do_not_try_again"),
    TestCard("4000000000009979", "visa", Behaviour.DECLINES, "stolen_card", "do_not_try_again"),
    TestCard("4000000000004236", "visa", Behaviour.DECLINES, "do_not_honor", "do_not_try_again"),  # Ours.
    TestCard("4000002760003184", "visa", Behaviour.WANTS_AUTHENTICATION),
    TestCard("4000000000004210", "visa", Behaviour.PAYS_LATER),  # Ours.
    TestCard("4000000000004228", "visa", Behaviour.DECLINES_LATER, "generic_decline", "try_again_later"),  # Ours.
    TestCard("4000000000000259", "visa", Behaviour.PAYS_AND_DISPUTES),
    TestCard("4000000000007726", "visa", Behaviour.PAYS_AND_REFUNDS_LATER),
    TestCard("4000000000005126", "visa", Behaviour.PAYS_AND_LOSES_REFUNDS),
)

TEST_CARDS: Final[Mapping[str, TestCard]] = MappingProxyType({card.number: card for card in _CARDS})
"""The cards by number."""
