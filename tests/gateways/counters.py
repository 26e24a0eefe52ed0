"""Counters: a card provider each, with somebody behind it who can be asked what has really moved.

The same contract is held against the simulator in this process, against the simulator over HTTP through Stripe's own
client, and against localstripe through the same client (`DIFFERENCES`: where that one is known to be otherwise).
"""

import itertools
import json
import socket
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from gettone.gateways.card_payments import CardProvider
from gettone.gateways.simulated import SECRET, SimulatedProvider
from gettone.gateways.simulator.bank import Bank
from gettone.gateways.simulator.http import SimulatorApp
from gettone.gateways.simulator.wire import signed_message
from gettone.operations.billing import CARD, Method
from gettone.operations.providers import Movement, News

BEGIN = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
KEY = "sk_test_counter"

PAYS = "4242424242424242"
NO_FUNDS = "4000000000009995"
LOST = "4000000000009987"
DECLINES = "4000000000000341"
AUTHENTICATES = "4000002760003184"
PAYS_LATER = "4000000000004210"
DECLINES_LATER = "4000000000004228"

_orgs = itertools.count(1)

LOCALSTRIPE = "localstripe"
DIFFERENCES = {
    "test_the_same_key_moves_money_once": "it ignores idempotency keys",
    "test_a_charge_whose_answer_was_lost_is_found_by_asking_again": "it ignores idempotency keys",
    "test_a_question_under_a_used_key_with_another_amount_settles_nothing": "it ignores idempotency keys",
    "test_a_refund_is_done_once_for_its_key": "it ignores idempotency keys",
    "test_a_charge_is_found_after_its_key_was_forgotten": "it neither searches nor lists payment intents",
    "test_what_never_arrived_is_said_to_have_never_arrived": "it neither searches nor lists payment intents",
    "test_a_decline_tells_its_reason": "it refuses such a card when it is entered",
    "test_a_lost_card_is_declined_for_good": "it refuses such a card when it is entered",
    "test_a_person_confirms_at_the_link": "a card that wants authentication cannot be entered",
    "test_a_person_refuses_at_the_link": "a card that wants authentication cannot be entered",
    "test_a_charge_that_waits_is_given_up": "a card that wants authentication cannot be entered",
    "test_a_slow_charge_is_processing_and_then_done": "its cards are never slow",
    "test_a_slow_charge_is_processing_and_then_declined": "its cards are never slow",
    "test_no_more_than_the_charge_is_refunded": "it refunds more than was charged",
    "test_a_dispute_takes_the_charge_back_and_gives_it_back": "it has no disputes",
}


class Counter:
    """A provider, and what a test may do behind its back."""

    provider: CardProvider
    enters_cards_itself = False

    def __init__(self) -> None:
        self.org_id = f"org{next(_orgs)}"
        self.now = BEGIN

    def method(self, number: str = PAYS) -> Method:
        setup = self.provider.begin_setup(self.org_id, "Contoso", "")
        self.enter(setup.reference, number)
        card = self.provider.finish_setup(setup.reference)
        return Method(
            method_id="m1",
            kind=CARD,
            provider="card",
            label=card.label,
            position=1,
            created_at=self.now,
            provider_ref=card.provider_ref,
            customer_ref=card.customer_ref,
            fingerprint=card.fingerprint,
            expires=card.expires,
        )

    def movement(self, method: Method, payment_id: str = "00000001-1", **facts) -> Movement:
        known = {
            "org_id": self.org_id,
            "payment_id": payment_id,
            "idempotency_key": f"{self.org_id}/{payment_id}",
            "gross_micros": 50_000_000,
            "currency": "USD",
            "method": method,
            "description": "Communications Credits, order 00000001",
            "now": self.now,
            "first_asked_at": BEGIN,
        }
        return Movement(**known | facts)

    def enter(self, reference: str, number: str) -> None:
        raise AssertionError

    def captured(self) -> int:
        """What was charged for this organisation and not given back, in minor units."""
        raise AssertionError

    def later(self, by: timedelta) -> None:
        self.now += by


class BankCounter(Counter):
    """A counter whose bank is at hand."""

    def __init__(self) -> None:
        super().__init__()
        self.bank = Bank(lambda: self.now)

    def enter(self, reference: str, number: str) -> None:
        self.bank.enter_card(reference.removeprefix("cs_"), number)

    def captured(self) -> int:
        return sum(sums.net for sums in self.bank.charged(org_id=self.org_id).values())

    def news(self) -> list[News | None]:
        """What the messages that are due say."""
        sent = [signed_message(event, SECRET, self.now) for event in self.bank.messages()]
        return [self.provider.news(body, headers, self.now) for body, headers in sent]


class SimulatedCounter(BankCounter):
    enters_cards_itself = True

    def __init__(self) -> None:
        super().__init__()
        self.provider = SimulatedProvider(self.bank)


class StripeCounter(BankCounter):
    """The bank behind HTTP, asked by Stripe's client."""

    def __init__(self) -> None:
        from gettone.gateways.stripe_provider import StripeProvider

        super().__init__()
        self.address = ""
        self.app = SimulatorApp(self.bank, key=KEY, late_seconds=2)
        self._make = lambda address: StripeProvider(KEY, SECRET, api_base=address, answer_seconds=1)

    def serve(self, address: str) -> None:
        self.address = address
        self.provider = self._make(address)


class LocalstripeCounter(Counter):
    def __init__(self, address: str) -> None:
        from gettone.gateways.stripe_provider import StripeProvider

        super().__init__()
        self.address = address
        self.provider = StripeProvider(KEY, SECRET, api_base=address, return_url="")
        put = self.provider._line.charge
        # It takes no description.
        self.provider._line.charge = lambda words, key: put(
            {name: value for name, value in words.items() if name != "description"}, key
        )
        self._customers: set[str] = set()

    def method(self, number: str = PAYS) -> Method:
        method = super().method(number)
        self._customers.add(method.customer_ref)
        return method

    def enter(self, reference: str, number: str) -> None:
        card = {"type": "card", "card[number]": number, "card[exp_month]": 12, "card[exp_year]": 2030, "card[cvc]": 123}
        made = self._ask("/v1/payment_methods", card)
        self._ask(f"/v1/setup_intents/{reference}/confirm", {"payment_method": made["id"]})

    def captured(self) -> int:
        charges = [
            one for name in self._customers for one in self._ask(f"/v1/charges?customer={name}&limit=100")["data"]
        ]
        return sum(one["amount"] - one["amount_refunded"] for one in charges if one["status"] == "succeeded")

    def _ask(self, path: str, words: dict | None = None) -> dict:
        body = urllib.parse.urlencode(words).encode() if words else None
        request = urllib.request.Request(self.address + path, body, {"Authorization": f"Bearer {KEY}"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                raise AssertionError(f"localstripe: {error.read().decode()}") from None


@contextmanager
def served(app: Callable) -> Iterator[str]:
    """Serve an ASGI application on loopback in a thread; yields its address."""
    import uvicorn

    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off", ws="none", access_log=False))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the server ended"
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join(10)
