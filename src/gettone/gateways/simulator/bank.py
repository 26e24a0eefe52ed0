"""A simulated bank and card provider: no input, no output, no threads, no sleep; time is the clock it is given.

    setup    requires_payment_method ─▶ succeeded
    charge   requires_payment_method ─▶ succeeded (─▶ disputed, refunded)
             processing ─▶ succeeded | requires_payment_method
             requires_action ─▶ succeeded | requires_payment_method | canceled
    refund   pending ─▶ succeeded ─▶ failed

Amounts are whole minor units of the currency, as on the wire of Stripe, whose objects these are.

Invariants:

- the same key with the same words is done once and answered alike for a day, declines included; with other words it is
  refused; a question that was refused for its words is not kept;
- what is refunded of a charge never exceeds what was captured and not disputed;
- what `charged` says is the sum of what moved, and nothing else moves money.

What happens by itself (slow charges and refunds, disputes) happens when its time has come and the bank is next asked.
"""

import heapq
import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, TypeVar

from gettone.gateways.simulator.cards import TEST_CARDS, Behaviour, TestCard
from gettone.gateways.simulator.faults import Faults, Question
from gettone.gateways.simulator.things import (
    Card,
    Charge,
    Customer,
    Dispute,
    Event,
    Failure,
    Refund,
    Setup,
    Sums,
    Thing,
)

T = TypeVar("T")

KEY_KEPT = timedelta(hours=24)
SLOW = timedelta(minutes=1)
DISPUTED_AFTER = timedelta(hours=1)

NOTHING: Final[Mapping[str, str]] = MappingProxyType({})

_CARD_ID = re.compile(r"pm_card_(\d{12,19})_\w+")


class BankError(Exception):
    """A question that is refused, in the words of the wire: *status*, *kind* (its type), *code*, maybe the charge."""

    def __init__(self, status: int, kind: str, code: str, message: str, charge: Charge | None = None) -> None:
        """Refuse with these."""
        super().__init__(message)
        self.status, self.kind, self.code, self.message, self.charge = status, kind, code, message, charge

    @property
    def kept(self) -> bool:
        """Whether the same key gets this answer again: only what was tried is kept."""
        return self.kind == "card_error"


class LostError(Exception):
    """No answer comes back; whether the question was done is not known to who asked."""


class LateError(Exception):
    """The answer comes, too late for who waits for it."""

    def __init__(self, answer: object) -> None:
        """Give *answer* late."""
        super().__init__("the answer is late")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Kept:
    """The answer to a key."""

    words: Any
    at: datetime
    answer: Any
    error: BankError | None


@dataclass(slots=True)
class _Agenda:
    """What is to happen at its time, in order."""

    items: list[tuple[datetime, int, Any]] = field(default_factory=list)
    count: "itertools.count[int]" = field(default_factory=itertools.count)

    def add(self, at: datetime, item: object) -> None:
        heapq.heappush(self.items, (at, next(self.count), item))

    def due(self, now: datetime) -> Any:  # noqa: ANN401 - what was put in
        return heapq.heappop(self.items)[2] if self.items and self.items[0][0] <= now else None


class Bank:
    """The provider's books. Not safe in several threads at once: who shares it between them locks."""

    def __init__(self, clock: Callable[[], datetime], faults: Faults | None = None) -> None:
        """Open empty books at the time of *clock*; *faults* befall what is put through `ask` and what is announced."""
        self.faults = faults or Faults()
        self._clock = clock
        # Names of another day's bank never come again: who asks keeps what he knows by them.
        self._mark = f"{clock():%y%m%d%H%M%S%f}"
        self._count = itertools.count(1)
        self._customers: dict[str, Customer] = {}
        self._cards: dict[str, Card] = {}
        self._setups: dict[str, Setup] = {}
        self._charges: dict[str, Charge] = {}
        self._refunds: dict[str, Refund] = {}
        self._disputes: dict[str, Dispute] = {}
        self._kept: dict[str, _Kept] = {}
        self._agenda = _Agenda()
        self._messages = _Agenda()

    # -- the line ----------------------------------------------------------------------------------------------------

    def ask(self, act: Callable[[], T]) -> T:
        """Do *act* by way of a line that can fail.

        Raises `BankError` where *act* does, and by the fault drawn `LostError`, `LateError` or a `BankError` of the
        line.
        """
        match self.faults.of_question():
            case Question.QUESTION_LOST:
                raise LostError("the connection broke")
            case Question.SERVER_ERROR:
                raise BankError(500, "api_error", "", "something went wrong on the provider's side")
            case Question.RATE_LIMITED:
                raise BankError(429, "invalid_request_error", "rate_limit", "too many questions at once")
            case Question.IN_PROGRESS:
                raise BankError(409, "invalid_request_error", "idempotency_key_in_use", "the key is just being used")
            case Question.ANSWER_LOST:
                self._done(act)
                raise LostError("the connection broke")
            case Question.ANSWER_LATE:
                raise LateError(self._done(act))
            case _:
                return act()

    def _done(self, act: Callable[[], T]) -> T | BankError:
        try:
            return act()
        except BankError as error:
            return error

    def _once(self, key: str, words: object, act: Callable[[], T]) -> T:
        """Do *act* once for *key*."""
        now = self._settled()
        kept = self._kept.get(key)
        if not key or kept is None or now - kept.at >= KEY_KEPT:
            return self._first(key, words, now, act)
        if kept.words != words:
            raise BankError(
                400, "idempotency_error", "", f"the key {key} was used for a question with other parameters"
            )
        if kept.error is not None:
            raise kept.error
        answer: T = kept.answer
        return answer

    def _first(self, key: str, words: object, now: datetime, act: Callable[[], T]) -> T:
        try:
            answer = act()
        except BankError as error:
            if key and error.kept:
                self._kept[key] = _Kept(words, now, None, error)
            raise
        if key:
            self._kept[key] = _Kept(words, now, answer, None)
        return answer

    def _settled(self) -> datetime:
        """Let happen what is due, and tell the time."""
        now = self._clock()
        while (due := self._agenda.due(now)) is not None:
            due()
        return now

    def _name(self, kind: str) -> str:
        return f"{kind}_{self._mark}{next(self._count)}"

    # -- cards -------------------------------------------------------------------------------------------------------

    def add_customer(self, name: str, metadata: Mapping[str, str] = NOTHING) -> Customer:
        """Make a customer."""
        customer = Customer(customer_id=self._name("cus"), name=name, metadata=dict(metadata), created=self._settled())
        self._customers[customer.customer_id] = customer
        return customer

    def customer(self, customer_id: str) -> Customer:
        """A customer by name."""
        return _known(self._customers, customer_id, "customer")

    def begin_setup(self, customer_id: str, metadata: Mapping[str, str] = NOTHING, return_url: str = "") -> Setup:
        """Prepare for a card to be entered."""
        setup_id = self._name("seti")
        setup = Setup(
            setup_id=setup_id,
            customer_id=customer_id,
            status="requires_payment_method",
            secret=f"{setup_id}_secret",
            metadata=dict(metadata),
            created=self._settled(),
            return_url=return_url,
        )
        self._setups[setup_id] = setup
        return setup

    def setup(self, setup_id: str) -> Setup:
        """A setup by name."""
        return _known(self._setups, setup_id, "setupintent")

    def knows_setup(self, setup_id: str) -> bool:
        """Whether there is a setup of this name."""
        return setup_id in self._setups

    def enter_card(self, setup_id: str, number: str, expires: int = 203012) -> Setup:
        """Enter a test card; the last one that is entered counts."""
        setup = self.setup(setup_id)
        test = TEST_CARDS.get(number.replace(" ", ""))
        if test is None:
            raise BankError(402, "card_error", "incorrect_number", "this is none of the simulator's test cards")
        card = Card(
            card_id=f"pm_card_{test.number}_{self._mark}{next(self._count)}",
            customer_id=setup.customer_id,
            test=test,
            expires=expires,
        )
        self._cards[card.card_id] = card
        self._setups[setup_id] = replace(setup, status="succeeded", card=card)
        return self._setups[setup_id]

    def card(self, card_id: str, customer_id: str = "") -> Card:
        """A card by name. One that another simulator took is known by its number, which its name holds."""
        card = self._cards.get(card_id)
        found = _CARD_ID.fullmatch(card_id)
        if card is None and found and found[1] in TEST_CARDS:
            return Card(card_id=card_id, customer_id=customer_id, test=TEST_CARDS[found[1]], expires=203012)
        return card or _known(self._cards, card_id, "payment_method")

    # -- charges -----------------------------------------------------------------------------------------------------

    def charge(
        self,
        *,
        amount: int,
        currency: str,
        customer_id: str,
        card_id: str,
        metadata: Mapping[str, str] = NOTHING,
        description: str = "",
        key: str = "",
    ) -> Charge:
        """Charge a card whose holder is not present; raises `BankError`."""
        words = ("charge", amount, currency, customer_id, card_id, tuple(sorted(metadata.items())), description)

        def act() -> Charge:
            if amount <= 0:
                raise BankError(400, "invalid_request_error", "parameter_invalid_integer", "the amount must be above 0")
            card = self.card(card_id, customer_id)
            if card.customer_id != customer_id:
                raise BankError(
                    400, "invalid_request_error", "", f"the card {card_id} does not belong to customer {customer_id}"
                )
            made = Charge(
                charge_id=self._name("pi"),
                customer_id=customer_id,
                card=card,
                amount=amount,
                currency=currency,
                status="requires_confirmation",
                created=self._clock(),
                metadata=dict(metadata),
                description=description,
            )
            return self._try(made)

        return self._once(key, words, act)

    def _try(self, charge: Charge) -> Charge:
        """Let the card do what it does without its holder."""
        match charge.card.test.behaviour:
            case Behaviour.DECLINES:
                failed = self._fail(charge, _decline(charge.card.test))
                raise _card_error(failed)
            case Behaviour.WANTS_AUTHENTICATION:
                failed = self._fail(charge, _AUTHENTICATION_WANTED)
                raise _card_error(failed)
            case Behaviour.PAYS_LATER | Behaviour.DECLINES_LATER:
                charge_id = charge.charge_id
                self._agenda.add(self._clock() + SLOW, lambda: self._end_slow(charge_id))
                return self._change(charge, "payment_intent.processing", status="processing")
            case _:
                return self._succeed(charge)

    def _end_slow(self, charge_id: str) -> None:
        charge = self._charges[charge_id]
        if charge.card.test.behaviour is Behaviour.PAYS_LATER:
            self._succeed(charge)
        else:
            self._fail(charge, _decline(charge.card.test))

    def _succeed(self, charge: Charge) -> Charge:
        if charge.card.test.behaviour is Behaviour.PAYS_AND_DISPUTES:
            charge_id = charge.charge_id
            self._agenda.add(self._clock() + DISPUTED_AFTER, lambda: self._dispute_if_left(charge_id))
        return self._change(charge, "payment_intent.succeeded", status="succeeded", failure=None)

    def _fail(self, charge: Charge, failure: Failure) -> Charge:
        return self._change(charge, "payment_intent.payment_failed", status="requires_payment_method", failure=failure)

    def _change(self, charge: Charge, kind: str, **values: Any) -> Charge:  # noqa: ANN401 - fields of the charge
        changed = replace(charge, **values)
        self._charges[changed.charge_id] = changed
        self._announce(kind, changed)
        return changed

    def charge_of(self, charge_id: str) -> Charge:
        """A charge as it stands."""
        self._settled()
        return _known(self._charges, charge_id, "payment_intent")

    def charges(self, customer_id: str = "", since: datetime | None = None) -> list[Charge]:
        """Charges, newest first."""
        self._settled()
        found = (one for one in self._charges.values() if customer_id in {"", one.customer_id})
        return [one for one in reversed(list(found)) if since is None or one.created >= since]

    def confirm(self, charge_id: str, return_url: str, key: str = "") -> Charge:
        """Confirm a charge as if the holder were present."""

        def act() -> Charge:
            charge = self._in_state(charge_id, "requires_payment_method", "requires_confirmation")
            if charge.card.test.behaviour is not Behaviour.WANTS_AUTHENTICATION:
                return self._try(charge)
            return self._change(
                charge, "payment_intent.requires_action", status="requires_action", failure=None, return_url=return_url
            )

        return self._once(key, ("confirm", charge_id, return_url), act)

    def authenticate(self, charge_id: str, *, confirmed: bool) -> Charge:
        """What a person says on the bank's page."""
        charge = self._in_state(charge_id, "requires_action")
        return self._succeed(charge) if confirmed else self._fail(charge, _AUTHENTICATION_FAILED)

    def cancel(self, charge_id: str, reason: str = "") -> Charge:
        """Withdraw a charge that has not moved."""
        charge = self._in_state(charge_id, "requires_payment_method", "requires_confirmation", "requires_action")
        return self._change(charge, "payment_intent.canceled", status="canceled", cancelled_because=reason)

    def _in_state(self, charge_id: str, *states: str) -> Charge:
        charge = self.charge_of(charge_id)
        if charge.status not in states:
            raise BankError(
                400,
                "invalid_request_error",
                "payment_intent_unexpected_state",
                f"the charge is {charge.status}, not {' or '.join(states)}",
                charge,
            )
        return charge

    # -- money that goes back ----------------------------------------------------------------------------------------

    def refund(self, charge_id: str, amount: int, metadata: Mapping[str, str] = NOTHING, key: str = "") -> Refund:
        """Give a part of a charge back; never more than there is left of it."""

        def act() -> Refund:
            charge = self._in_state(charge_id, "succeeded")
            if charge.disputed:
                raise BankError(400, "invalid_request_error", "charge_disputed", "the charge is disputed")
            if not 0 < amount <= charge.amount - charge.refunded:
                left = charge.amount - charge.refunded
                code = "charge_already_refunded" if not left else "amount_too_large"
                raise BankError(400, "invalid_request_error", code, f"{left} of the charge are left, not {amount}")
            return self._refunded(charge, amount, metadata)

        return self._once(key, ("refund", charge_id, amount, tuple(sorted(metadata.items()))), act)

    def _refunded(self, charge: Charge, amount: int, metadata: Mapping[str, str]) -> Refund:
        behaviour, refund_id = charge.card.test.behaviour, self._name("re")
        slow = behaviour is Behaviour.PAYS_AND_REFUNDS_LATER
        made = Refund(
            refund_id=refund_id,
            charge_id=charge.charge_id,
            amount=amount,
            currency=charge.currency,
            status="pending" if slow else "succeeded",
            created=self._clock(),
            metadata=dict(metadata),
        )
        self._charges[charge.charge_id] = replace(charge, refunded=charge.refunded + amount)
        self._refunds[refund_id] = made
        self._announce("refund.created", made)
        if slow:
            self._agenda.add(
                self._clock() + SLOW, lambda: self._change_refund(refund_id, "refund.updated", "succeeded")
            )
        elif behaviour is Behaviour.PAYS_AND_LOSES_REFUNDS:
            self._agenda.add(self._clock() + SLOW, lambda: self._lose_refund(refund_id))
        return made

    def _change_refund(self, refund_id: str, kind: str, status: str, failure: str = "") -> None:
        self._refunds[refund_id] = replace(self._refunds[refund_id], status=status, failure=failure)
        self._announce(kind, self._refunds[refund_id])

    def _lose_refund(self, refund_id: str) -> None:
        refund = self._refunds[refund_id]
        charge = self._charges[refund.charge_id]
        self._charges[charge.charge_id] = replace(charge, refunded=charge.refunded - refund.amount)
        self._change_refund(refund_id, "refund.failed", "failed", "lost_or_stolen_card")

    def refund_of(self, refund_id: str) -> Refund:
        """A refund as it stands."""
        self._settled()
        return _known(self._refunds, refund_id, "refund")

    def refunds(self, charge_id: str) -> list[Refund]:
        """The refunds of a charge, newest first."""
        self._settled()
        return [one for one in reversed(self._refunds.values()) if one.charge_id == charge_id]

    def _dispute_if_left(self, charge_id: str) -> None:
        charge = self._charges[charge_id]
        if charge.amount > charge.refunded and not charge.disputed:
            self._dispute(charge, charge.amount - charge.refunded)

    def dispute(self, charge_id: str, amount: int | None = None) -> Dispute:
        """Let the cardholder's bank take a charge back, what is left of it or *amount*."""
        charge = self._in_state(charge_id, "succeeded")
        left = charge.amount - charge.refunded
        wanted = left if amount is None else amount
        if charge.disputed or not 0 < wanted <= left:
            raise BankError(400, "invalid_request_error", "charge_disputed", "nothing is left to be disputed", charge)
        return self._dispute(charge, wanted)

    def _dispute(self, charge: Charge, amount: int) -> Dispute:
        made = Dispute(
            dispute_id=self._name("du"),
            charge_id=charge.charge_id,
            amount=amount,
            currency=charge.currency,
            status="needs_response",
            created=self._clock(),
        )
        self._charges[charge.charge_id] = replace(charge, disputed=amount)
        self._disputes[made.dispute_id] = made
        self._announce("charge.dispute.created", made)
        self._announce("charge.dispute.funds_withdrawn", made)
        return made

    def close_dispute(self, dispute_id: str, *, won: bool) -> Dispute:
        """Let the merchant win or lose a dispute."""
        dispute = _known(self._disputes, dispute_id, "dispute")
        if dispute.status != "needs_response":
            raise BankError(400, "invalid_request_error", "", f"the dispute is {dispute.status} already")
        closed = replace(dispute, status="won" if won else "lost")
        self._disputes[dispute_id] = closed
        if won:
            charge = self._charges[dispute.charge_id]
            self._charges[charge.charge_id] = replace(charge, disputed=0)
            self._announce("charge.dispute.funds_reinstated", closed)
        self._announce("charge.dispute.closed", closed)
        return closed

    def disputes(self) -> list[Dispute]:
        """All disputes, newest first."""
        self._settled()
        return list(reversed(self._disputes.values()))

    # -- books and messages ------------------------------------------------------------------------------------------

    def charged(self, **metadata: str) -> dict[str, Sums]:
        """What has moved of charges with this *metadata*, by currency."""
        self._settled()
        sums: dict[str, Sums] = {}
        for charge in self._charges.values():
            if charge.status == "succeeded" and metadata.items() <= charge.metadata.items():
                of_currency = sums.setdefault(charge.currency, Sums())
                of_currency.captured += charge.amount
                of_currency.refunded += charge.refunded
                of_currency.withdrawn += charge.disputed
        return sums

    def _announce(self, kind: str, thing: Thing) -> None:
        now = self._clock()
        event = Event(event_id=self._name("evt"), kind=kind, created=now, thing=thing)
        for delay in self.faults.of_message():
            self._messages.add(now + delay, event)

    def send_again(self, event: Event, after: timedelta) -> None:
        """Deliver a message once more, because it was not taken."""
        self._messages.add(self._clock() + after, event)

    def messages(self) -> list[Event]:
        """The messages to be delivered now, in the order in which they arrive; each is handed out once."""
        now = self._settled()
        due: list[Event] = []
        while (event := self._messages.due(now)) is not None:
            due.append(event)
        return due


_AUTHENTICATION_WANTED = Failure(
    "authentication_required", "authentication_required", "", "the card's bank wants its holder to confirm this"
)
_AUTHENTICATION_FAILED = Failure(
    "payment_intent_authentication_failure", "", "", "the holder of the card did not confirm this"
)


def _decline(test: TestCard) -> Failure:
    code = "expired_card" if test.code == "expired_card" else "card_declined"
    return Failure(code, test.code, test.advice, "the card was declined")


def _card_error(charge: Charge) -> BankError:
    assert charge.failure is not None, "a charge that failed says why"
    return BankError(402, "card_error", charge.failure.code, charge.failure.message, charge)


def _known(things: Mapping[str, T], name: str, kind: str) -> T:
    if name not in things:
        raise BankError(404, "invalid_request_error", "resource_missing", f"no such {kind}: {name!r}")
    return things[name]
