"""Charging cards: what is asked, in which order, and what the answers mean, whoever answers.

`CardProvider` implements `operations.providers.Provider` over a `Line` to somebody who speaks Stripe's objects: Stripe
itself (`stripe_provider`) or the simulator in this process (`simulated`). So both are one behaviour, tested once.

A question is put again with the same key and the same words while the key is surely kept (`REPEAT_WITHIN`, Stripe keeps
keys for a day). After that the charge is searched for; the index of the search lags behind, so the customer's charges
are listed before it is said that there is none.

A bank that wants a person to confirm refuses a charge made without one. The same charge is then confirmed as if the
person were present, which gives the link to the bank's page.

Invariants:

- whatever leaves open whether money has moved is `Unknown`, never `Declined`: only the question to move it can be
  declined, not one about how it stands;
- everything sent under one key is a function of the movement alone, so that a repetition is word for word the same.
"""

import hashlib
import logging
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Protocol

from gettone.domain.payments import REPEAT_WITHIN, Declined, Outcome, Unknown
from gettone.errors import BadMessage, Conflict, InvalidInput, PaymentUnavailable
from gettone.gateways.card_news import (
    Json,
    declined,
    news_of,
    outcome_of_intent,
    outcome_of_refund,
    outcome_of_refusal,
    undecided,
    verified,
    wants_authentication,
)
from gettone.gateways.stripe_units import to_minor
from gettone.operations.providers import NEVER_ARRIVED, Card, Movement, News, Setup

logger = logging.getLogger(__name__)

RETURN_URL = "http://127.0.0.1:8080"
"""Where people are sent back to if nothing is set: the service's own default address."""

BAD_REQUEST = 400
CARD_DECLINED = 402

_KEY_LENGTH_MAX = 200
_PLAIN = re.compile(r"[!-~]+")
_SESSION = "cs_"


class RefusedError(Exception):
    """The other side said no: its status, and the error in its words."""

    def __init__(self, status: int, error: Json) -> None:
        """Keep *status* and *error*."""
        super().__init__(f"{status} {error.get('message', '')}")
        self.status = status
        self.error = error


class NoAnswerError(Exception):
    """Nobody knows whether the question arrived."""


class Line(Protocol):
    """Puts questions. Each answers with the object's JSON, or raises `RefusedError` or `NoAnswerError`."""

    def create_customer(self, words: Json) -> Json:
        """Make a customer."""

    def create_setup(self, words: Json) -> Json:
        """Prepare for a card to be entered on a page of ours."""

    def create_setup_page(self, words: Json) -> Json:
        """Prepare for a card to be entered on a page of the other side."""

    def setup(self, reference: str) -> Json:
        """A setup, with its card in full."""

    def setup_page(self, reference: str) -> Json:
        """A page for a card, with its setup and the card in full."""

    def charge(self, words: Json, key: str) -> Json:
        """Charge a card."""

    def confirm(self, reference: str, words: Json, key: str) -> Json:
        """Confirm a charge."""

    def cancel(self, reference: str, words: Json) -> Json:
        """Withdraw a charge."""

    def charge_of(self, reference: str) -> Json:
        """A charge by name."""

    def search_charges(self, metadata: Mapping[str, str]) -> list[Json]:
        """Charges with these values; those of the last minutes may be missing."""

    def charges_of_customer(self, customer: str, since: datetime) -> list[Json]:
        """All charges of a customer."""

    def refund(self, words: Json, key: str) -> Json:
        """Refund a part of a charge."""

    def refund_of(self, reference: str) -> Json:
        """A refund by name."""

    def refunds_of_charge(self, reference: str) -> list[Json]:
        """All refunds of a charge."""


class CardProvider:
    """Moves money of cards. Safe in any number of threads if its line is."""

    def __init__(self, line: Line, webhook_secret: str, *, return_url: str = RETURN_URL) -> None:
        """Ask over *line*; people who have confirmed a charge or entered a card are sent back to *return_url*.

        With an empty *return_url* cards are entered on a page of ours, which gets a secret instead of a link.
        """
        self._line = line
        self._secret = webhook_secret
        self._return_url = return_url

    # -- movements ---------------------------------------------------------------------------------------------------

    def move(self, movement: Movement) -> Outcome:
        """Charge or refund, once for its key."""
        return self._guarded(lambda: self._put(movement, repeated=False), movement)

    def ask(self, movement: Movement) -> Outcome:
        """How a movement stands: by its name, by the same question again, or by searching for it."""
        if movement.provider_ref:
            return self._guarded(lambda: self._look_up(movement), movement)
        if movement.now - movement.first_asked_at < REPEAT_WITHIN:
            return self._guarded(lambda: self._put(movement, repeated=True), movement)
        return self._guarded(lambda: self._find(movement), movement)

    def give_up(self, movement: Movement) -> Outcome:
        """Withdraw a charge that waits for a person, and say how it stands then."""
        if not movement.provider_ref:
            return self.ask(movement)
        return self._guarded(lambda: self._withdraw(movement), movement)

    def _guarded(self, question: Callable[[], Outcome], movement: Movement) -> Outcome:
        try:
            return question()
        except InvalidInput as error:
            # Nothing was asked. The same amount will never do, so it is no use to ask for it again.
            return Declined("amount_not_possible", str(error), final=True)
        except NoAnswerError as error:
            logger.warning("payment %s of %s: %s", movement.payment_id, movement.org_id, error)
            return Unknown(str(error))
        except RefusedError as refused:
            # Whatever looks a movement up may be refused without the movement being so.
            return undecided(refused.status, refused.error)

    def _put(self, movement: Movement, *, repeated: bool) -> Outcome:
        """Put the question itself: the only one whose refusal declines a movement."""
        key = _sent_key(movement.idempotency_key)
        try:
            if movement.refund_of:
                return outcome_of_refund(self._line.refund(_refund_words(movement), key))
            intent = self._line.charge(self._charge_words(movement), key)
        except RefusedError as refused:
            reference = str((refused.error.get("payment_intent") or {}).get("id") or "")
            if not reference or not wants_authentication(refused.error):
                return outcome_of_refusal(refused.status, refused.error, repeated=repeated)
            # The refusal may be the stored answer of an earlier question, so how it stands now is looked up.
            intent = self._line.charge_of(reference)
        return self._standing(intent, movement)

    def _look_up(self, movement: Movement) -> Outcome:
        if movement.refund_of:
            return outcome_of_refund(self._line.refund_of(movement.provider_ref))
        return self._standing(self._line.charge_of(movement.provider_ref), movement)

    def _find(self, movement: Movement) -> Outcome:
        if movement.refund_of:
            found = _with_key(self._line.refunds_of_charge(movement.refund_of), movement)
            return outcome_of_refund(found) if found else Declined(NEVER_ARRIVED)
        sought = {"payment_id": movement.payment_id, "idempotency_key": movement.idempotency_key}
        found = _with_key(self._line.search_charges(sought), movement)
        if found is None:
            listed = self._line.charges_of_customer(movement.method.customer_ref, movement.first_asked_at)
            found = _with_key(listed, movement)
        return self._standing(found, movement) if found else Declined(NEVER_ARRIVED)

    def _withdraw(self, movement: Movement) -> Outcome:
        try:
            return outcome_of_intent(self._line.cancel(movement.provider_ref, {"cancellation_reason": "abandoned"}))
        except RefusedError as refused:
            if refused.status != BAD_REQUEST:
                raise
        # It cannot be withdrawn any more, so it has come to an end.
        return self._look_up(movement)

    def _standing(self, intent: Json, movement: Movement) -> Outcome:
        """How a charge stands; one whose bank wants a person is confirmed as if the person were present."""
        error = intent.get("last_payment_error") or {}
        if intent["status"] != "requires_payment_method" or not wants_authentication(error):
            return outcome_of_intent(intent)
        reference = str(intent["id"])
        if not self._return_url:
            return declined(error, reference)
        words = {"payment_method": movement.method.provider_ref, "return_url": self._return_url}
        key = _sent_key(f"{movement.idempotency_key}/confirm")
        try:
            return outcome_of_intent(self._line.confirm(reference, words, key))
        except RefusedError as refused:
            if refused.status == CARD_DECLINED:
                return declined(refused.error, reference)
            if refused.status != BAD_REQUEST:
                raise
        # It cannot be confirmed, because it was already, or because the address is not one to be sent back to.
        return outcome_of_intent(self._line.charge_of(reference))

    def _charge_words(self, movement: Movement) -> Json:
        return {
            "amount": to_minor(movement.gross_micros, movement.currency),
            "currency": movement.currency.lower(),
            "customer": movement.method.customer_ref,
            "payment_method": movement.method.provider_ref,
            "payment_method_types": ["card"],
            "off_session": True,
            "confirm": True,
            "description": movement.description,
            "metadata": _metadata(movement),
        }

    # -- cards -------------------------------------------------------------------------------------------------------

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        """Prepare for a card to be entered; raises `PaymentUnavailable`."""
        metadata = {"org_id": org_id}
        try:
            customer = customer_ref or str(self._line.create_customer({"name": name, "metadata": metadata})["id"])
            words = {"customer": customer, "payment_method_types": ["card"], "metadata": metadata}
            if not self._return_url:
                made = self._line.create_setup({**words, "usage": "off_session"})
                return Setup(reference=str(made["id"]), customer_ref=customer, secret=str(made["client_secret"]))
            urls = {"success_url": self._return_url, "cancel_url": self._return_url}
            page = self._line.create_setup_page({**words, "mode": "setup", **urls})
            return Setup(reference=str(page["id"]), customer_ref=customer, link=str(page["url"]))
        except (RefusedError, NoAnswerError) as error:
            raise _unavailable(error) from error

    def finish_setup(self, reference: str) -> Card:
        """The card that was entered; raises `PaymentUnavailable`, or `Conflict` when none was yet."""
        try:
            if reference.startswith(_SESSION):
                setup = self._line.setup_page(reference).get("setup_intent") or {}
            else:
                setup = self._line.setup(reference)
        except (RefusedError, NoAnswerError) as error:
            raise _unavailable(error) from error
        method = setup.get("payment_method")
        if setup.get("status") != "succeeded" or not isinstance(method, dict):
            raise Conflict("no card has been entered yet; open the link, enter it there, and finish then")
        card = method["card"]
        return Card(
            provider_ref=str(method["id"]),
            customer_ref=str(setup["customer"]),
            fingerprint=str(card.get("fingerprint") or ""),
            label=f"{_brand(card)} {card['last4']}",
            expires=int(card["exp_year"]) * 100 + int(card["exp_month"]),
        )

    # -- messages ----------------------------------------------------------------------------------------------------

    def news(self, body: bytes, headers: Mapping[str, str], now: datetime) -> News | None:
        """Read a message; None when it is about nothing of ours.

        Raises `BadMessage`, or `PaymentUnavailable` when what it is about cannot be looked up: it will be sent again.
        """
        message = verified(body, headers, self._secret, now)
        try:
            return news_of(message, self._line.charge_of)
        except (RefusedError, NoAnswerError) as error:
            raise _unavailable(error) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise BadMessage(f"the message is signed, but not of the form it should have ({error!r})") from error


def _brand(card: Json) -> str:
    brand = str(card.get("brand") or "card")
    return {"amex": "American Express", "unionpay": "UnionPay", "jcb": "JCB"}.get(brand, brand.capitalize())


def _refund_words(movement: Movement) -> Json:
    return {
        "payment_intent": movement.refund_of,
        "amount": to_minor(movement.gross_micros, movement.currency),
        "metadata": _metadata(movement),
    }


def _metadata(movement: Movement) -> dict[str, str]:
    return {
        "org_id": movement.org_id,
        "payment_id": movement.payment_id,
        "idempotency_key": movement.idempotency_key,
    }


def _with_key(found: list[Json], movement: Movement) -> Json | None:
    """The one of *found* that is this movement; two never have one key."""
    wanted = _metadata(movement).items()
    return next((one for one in found if wanted <= (one.get("metadata") or {}).items()), None)


def _sent_key(key: str) -> str:
    """A key as it can stand in a header: any that is long, or more than plain ASCII, by its digest."""
    if len(key) <= _KEY_LENGTH_MAX and _PLAIN.fullmatch(key):
        return key
    return hashlib.sha256(key.encode()).hexdigest()


def _unavailable(error: Exception) -> PaymentUnavailable:
    return PaymentUnavailable(f"the payment provider did not do it: {error}; nothing was charged, try again")
