"""`SimulatedProvider`: cards charged at the simulator in this very process, for the demo and for tests.

Everything but the wire is that of Stripe: the same questions in the same order, the same reading of the answers.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from gettone.gateways.card_news import Json
from gettone.gateways.card_payments import RETURN_URL, CardProvider, NoAnswerError, RefusedError
from gettone.gateways.simulator import wire
from gettone.gateways.simulator.bank import Bank, BankError, LateError, LostError
from gettone.operations.providers import Card, Setup

T = TypeVar("T")

SECRET = "whsec_simulator"  # noqa: S105 - of a simulator, where nothing is secret
CARD = "4242424242424242"


class SimulatedProvider(CardProvider):
    """Cards of a bank in this process; goes by the name of simulator.

    Nobody is there to enter a card: `finish_setup` enters one that pays, unless `bank.enter_card` was called before.
    """

    def __init__(self, bank: Bank, *, return_url: str = RETURN_URL, pages: str = wire.PAGES) -> None:
        """Charge at *bank*; links lead to *pages*."""
        self.bank = bank
        self._pages = pages
        self._bank_line = BankLine(bank, pages)
        super().__init__(self._bank_line, SECRET, return_url=return_url)

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        """Prepare for a card to be entered; raises `PaymentUnavailable`."""
        begun = super().begin_setup(org_id, name, customer_ref)
        return begun if self._pages != wire.PAGES else replace(begun, link="", secret=f"{begun.reference}_secret")

    def finish_setup(self, reference: str) -> Card:
        """The card that was entered, or one that pays; raises `PaymentUnavailable`."""
        with self._bank_line.turn:
            setup_id = reference.removeprefix("cs_")
            if self.bank.knows_setup(setup_id) and self.bank.setup(setup_id).card is None:
                self.bank.enter_card(setup_id, CARD)
        return super().finish_setup(reference)

    def messages(self, now: datetime) -> list[tuple[bytes, dict[str, str]]]:
        """The messages to be delivered now, for `news`: body and headers."""
        with self._bank_line.turn:
            return [wire.signed_message(event, SECRET, now, self._pages) for event in self.bank.messages()]


class BankLine:
    """A line to a bank in this process; one question at a time."""

    def __init__(self, bank: Bank, pages: str) -> None:
        """Ask *bank*."""
        self._bank = bank
        self._pages = pages
        self.turn = threading.RLock()

    def _ask(self, question: Callable[[], Json]) -> Json:
        try:
            with self.turn:
                return self._bank.ask(question)
        except (LostError, LateError) as error:
            raise NoAnswerError(f"the simulated provider did not answer: {error}") from error
        except BankError as error:
            raise RefusedError(error.status, wire.error_json(error, self._pages)) from error

    def create_customer(self, words: Json) -> Json:
        """Make a customer."""
        return self._ask(lambda: wire.customer_json(self._bank.add_customer(words["name"], words["metadata"])))

    def create_setup(self, words: Json) -> Json:
        """Prepare for a card to be entered."""
        return self._ask(lambda: wire.setup_json(self._bank.begin_setup(words["customer"], words["metadata"])))

    def create_setup_page(self, words: Json) -> Json:
        """Prepare for a card to be entered on a page of the simulator."""
        return self._ask(
            lambda: wire.setup_page_json(
                self._bank.begin_setup(words["customer"], words["metadata"], words["success_url"]), self._pages
            )
        )

    def setup(self, reference: str) -> Json:
        """A setup, with its card in full."""
        return self._ask(lambda: wire.setup_json(self._bank.setup(reference)))

    def setup_page(self, reference: str) -> Json:
        """A page for a card."""
        return self._ask(lambda: wire.setup_page_json(self._bank.setup(reference.removeprefix("cs_")), self._pages))

    def charge(self, words: Json, key: str) -> Json:
        """Charge a card."""
        return self._ask(
            lambda: wire.charge_json(
                self._bank.charge(
                    amount=words["amount"],
                    currency=words["currency"],
                    customer_id=words["customer"],
                    card_id=words["payment_method"],
                    metadata=words["metadata"],
                    description=words["description"],
                    key=key,
                ),
                self._pages,
            )
        )

    def confirm(self, reference: str, words: Json, key: str) -> Json:
        """Confirm a charge."""
        return self._ask(lambda: wire.charge_json(self._bank.confirm(reference, words["return_url"], key), self._pages))

    def cancel(self, reference: str, words: Json) -> Json:
        """Withdraw a charge."""
        return self._ask(
            lambda: wire.charge_json(self._bank.cancel(reference, words["cancellation_reason"]), self._pages)
        )

    def charge_of(self, reference: str) -> Json:
        """A charge by name."""
        return self._ask(lambda: wire.charge_json(self._bank.charge_of(reference), self._pages))

    def search_charges(self, metadata: Mapping[str, str]) -> list[Json]:
        """Charges with these values."""
        return self._listed(
            lambda: [
                wire.charge_json(one, self._pages)
                for one in self._bank.charges()
                if metadata.items() <= one.metadata.items()
            ]
        )

    def charges_of_customer(self, customer: str, since: datetime) -> list[Json]:
        """All charges of a customer."""
        return self._listed(lambda: [wire.charge_json(one, self._pages) for one in self._bank.charges(customer, since)])

    def refund(self, words: Json, key: str) -> Json:
        """Refund a part of a charge."""
        return self._ask(
            lambda: wire.refund_json(
                self._bank.refund(words["payment_intent"], words["amount"], words["metadata"], key)
            )
        )

    def refund_of(self, reference: str) -> Json:
        """A refund by name."""
        return self._ask(lambda: wire.refund_json(self._bank.refund_of(reference)))

    def refunds_of_charge(self, reference: str) -> list[Json]:
        """All refunds of a charge."""
        return self._listed(lambda: [wire.refund_json(one) for one in self._bank.refunds(reference)])

    def _listed(self, question: Callable[[], list[Json]]) -> list[Json]:
        answer: list[Json] = self._ask(lambda: wire.list_json(question(), ""))["data"]
        return answer
