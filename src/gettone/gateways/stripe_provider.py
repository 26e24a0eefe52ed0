"""`StripeProvider`: cards charged at Stripe, through its official client (the extra ``gettone[stripe]``).

The client is imported when it is first needed: it is large. What we set otherwise than it does by itself: it waits 20
seconds instead of 80, and does not put a question again, because our own payments do; it sends no telemetry, and makes
no file for it.

Whatever it raises is one of two things here: Stripe said no, with a status and an error; or there is no answer.
"""

import importlib.util
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gettone.errors import ConfigurationError
from gettone.gateways.card_news import Json
from gettone.gateways.card_payments import RETURN_URL, CardProvider, NoAnswerError, RefusedError

CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
LISTED_MAX = 1000


class StripeProvider(CardProvider):
    """Cards at Stripe; goes by the name of stripe."""

    def __init__(
        self,
        api_key: str,
        webhook_secret: str,
        *,
        api_base: str = "",
        return_url: str = RETURN_URL,
        answer_seconds: int = ANSWER_SECONDS,
    ) -> None:
        """Charge with *api_key*; raises `ConfigurationError` without it or without the client.

        *api_base* is where Stripe's API is, if not at Stripe. For *return_url* see `CardProvider`; live keys need one
        that begins with https.
        """
        if not api_key:
            raise ConfigurationError("payments through Stripe need a key: set GETTONE_STRIPE_KEY")
        if importlib.util.find_spec("stripe") is None:
            raise ConfigurationError("payments through Stripe need its client: install gettone[stripe]")
        super().__init__(StripeLine(api_key, api_base, answer_seconds), webhook_secret, return_url=return_url)


class StripeLine:
    """A line to Stripe. Each thread has a connection of its own."""

    def __init__(self, api_key: str, api_base: str, answer_seconds: int = ANSWER_SECONDS) -> None:
        """Ask with *api_key*, at *api_base* if that is not empty."""
        self._api_key = api_key
        self._api_base = api_base.rstrip("/")
        self._answer_seconds = answer_seconds
        self._made: Any = None
        self._turn = threading.Lock()

    def _services(self) -> Any:  # noqa: ANN401 - the client's own class, imported late
        """The services of the client, which is made when it is first needed."""
        with self._turn:
            if self._made is None:
                import stripe  # noqa: PLC0415 - large, and an extra

                stripe.enable_telemetry = False
                self._made = stripe.StripeClient(
                    self._api_key,
                    base_addresses={"api": self._api_base} if self._api_base else {},
                    max_network_retries=0,
                    http_client=stripe.RequestsClient(timeout=(CONNECT_SECONDS, self._answer_seconds)),
                ).v1
            return self._made

    def _ask(self, question: Callable[[Any], Any]) -> Json:
        import stripe  # noqa: PLC0415 - large, and an extra

        try:
            answer: Json = question(self._services()).to_dict()
        except stripe.StripeError as error:
            raise _translated(error) from error
        return answer

    def _list(self, question: Callable[[Any], Any]) -> list[Json]:
        import stripe  # noqa: PLC0415 - large, and an extra

        try:
            found = [one.to_dict() for one, _ in zip(question(self._services()), range(LISTED_MAX), strict=False)]
        except stripe.StripeError as error:
            raise _translated(error) from error
        if len(found) == LISTED_MAX:
            raise NoAnswerError(f"more than {LISTED_MAX} charges of one customer would have to be looked through")
        return found

    def create_customer(self, words: Json) -> Json:
        """Make a customer."""
        return self._ask(lambda v1: v1.customers.create(words))

    def create_setup(self, words: Json) -> Json:
        """Prepare for a card to be entered on a page of ours."""
        return self._ask(lambda v1: v1.setup_intents.create(words))

    def create_setup_page(self, words: Json) -> Json:
        """Prepare for a card to be entered on a page of Stripe's."""
        return self._ask(lambda v1: v1.checkout.sessions.create(words))

    def setup(self, reference: str) -> Json:
        """A setup, with its card in full."""
        return self._ask(lambda v1: v1.setup_intents.retrieve(reference, {"expand": ["payment_method"]}))

    def setup_page(self, reference: str) -> Json:
        """A page for a card, with its setup and the card in full."""
        words = {"expand": ["setup_intent.payment_method"]}
        return self._ask(lambda v1: v1.checkout.sessions.retrieve(reference, words))

    def charge(self, words: Json, key: str) -> Json:
        """Charge a card."""
        return self._ask(lambda v1: v1.payment_intents.create(words, {"idempotency_key": key}))

    def confirm(self, reference: str, words: Json, key: str) -> Json:
        """Confirm a charge."""
        return self._ask(lambda v1: v1.payment_intents.confirm(reference, words, {"idempotency_key": key}))

    def cancel(self, reference: str, words: Json) -> Json:
        """Withdraw a charge."""
        return self._ask(lambda v1: v1.payment_intents.cancel(reference, words))

    def charge_of(self, reference: str) -> Json:
        """A charge by name."""
        return self._ask(lambda v1: v1.payment_intents.retrieve(reference))

    def search_charges(self, metadata: Mapping[str, str]) -> list[Json]:
        """Charges with these values; those of the last minutes may be missing."""
        query = " AND ".join(f"metadata['{name}']:'{_escaped(value)}'" for name, value in metadata.items())
        return self._list(lambda v1: v1.payment_intents.search({"query": query}).auto_paging_iter())

    def charges_of_customer(self, customer: str, since: datetime) -> list[Json]:
        """All charges of a customer, from a little before *since*: clocks differ."""
        words = {"customer": customer, "created": {"gte": int(since.timestamp()) - 3600}, "limit": 100}
        return self._list(lambda v1: v1.payment_intents.list(words).auto_paging_iter())

    def refund(self, words: Json, key: str) -> Json:
        """Refund a part of a charge."""
        return self._ask(lambda v1: v1.refunds.create(words, {"idempotency_key": key}))

    def refund_of(self, reference: str) -> Json:
        """A refund by name."""
        return self._ask(lambda v1: v1.refunds.retrieve(reference))

    def refunds_of_charge(self, reference: str) -> list[Json]:
        """All refunds of a charge."""
        words = {"payment_intent": reference, "limit": 100}
        return self._list(lambda v1: v1.refunds.list(words).auto_paging_iter())


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _translated(error: Any) -> RefusedError | NoAnswerError:  # noqa: ANN401 - the client's own class
    """What an exception of the client says: a status with an error that is Stripe's, or nothing that can be known."""
    said = error.json_body.get("error") if isinstance(error.json_body, dict) else None
    if error.http_status is not None and isinstance(said, dict):
        return RefusedError(int(error.http_status), said)
    return NoAnswerError(" ".join(f"Stripe did not answer: {error.user_message or error}".split()))
