"""A payment provider that does everything a provider may do, drawn from a seed, and keeps its own books.

It loses questions and answers, declines for all sorts of reasons, takes its time, wants people to confirm, forgets keys
after a day, finds new movements only after a while, sends its messages twice, late, in any order, wrong or never, and
takes money back for banks. Two things it does not do, because no real one does: lie in a direct answer, and keep back
for good that a bank has taken money (it repeats that until it is taken in).

Its books are the truth that Gettone's are held against. It complains at once when it is asked for what must never be.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from gettone.domain.payments import (
    REPEAT_WITHIN,
    ActionRequired,
    Declined,
    Outcome,
    Processing,
    Succeeded,
    Unknown,
)
from gettone.operations.billing import AGREEMENT
from gettone.operations.providers import NEVER_ARRIVED, Card, DisputeNews, Movement, News, PaymentNews, Setup

KEYS_KEPT = timedelta(hours=24)
INDEX_LAG = timedelta(minutes=2)
SOFT = ("insufficient_funds", "card_declined", "processing_error", "expired_card")
HARD = ("lost_card", "stolen_card", "fraudulent")


class Wrong(AssertionError):
    """Something has happened that must never be."""


@dataclass(slots=True)
class Moved:
    """One movement as the provider knows it; *ends* is what becomes of it at *ends_at* while it is open."""

    ref: str
    org_id: str
    payment_id: str
    key: str
    gross_micros: int
    currency: str
    made_at: datetime
    stands: Outcome
    first: Outcome
    refund_of: str = ""
    by_agreement: bool = False
    ends: Outcome | None = None
    ends_at: datetime | None = None
    refunded_micros: int = 0
    withdrawn_micros: int = 0
    dispute: str = ""

    @property
    def live(self) -> bool:
        """Whether its money has moved or still may."""
        return not isinstance(self.stands, Declined)

    @property
    def captured(self) -> bool:
        """Whether its money has moved."""
        return isinstance(self.stands, Succeeded)

    @property
    def order(self) -> tuple[str, str]:
        """The order that it pays for."""
        return self.org_id, self.payment_id.partition("-")[0]


@dataclass(slots=True)
class Message:
    """Something that the provider says; it *insists* until that is taken in."""

    at: datetime
    news: News
    insists: bool = False


@dataclass(slots=True)
class Hostile:
    """See the module. *calm* makes it behave, so that everything can be settled."""

    random: Random
    clock: Callable[[], datetime]
    moved: dict[str, Moved] = field(default_factory=dict)
    keys: dict[str, tuple[datetime, Moved]] = field(default_factory=dict)
    of_order: dict[tuple[str, str], list[Moved]] = field(default_factory=lambda: defaultdict(list))
    messages: list[Message] = field(default_factory=list)
    calm: bool = False
    numbers: int = 0
    seen: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    # -- what is asked of it (`operations.providers.Provider`) -------------------------------------------------------

    def move(self, movement: Movement) -> Outcome:
        return self._faultily(lambda: self._by_key(movement))

    def ask(self, movement: Movement) -> Outcome:
        return self._faultily(lambda: self._asked(movement))

    def give_up(self, movement: Movement) -> Outcome:
        return self._faultily(lambda: self._given_up(movement))

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        return Setup(reference=f"setup-{org_id}", customer_ref=customer_ref or f"customer-{name}")

    def finish_setup(self, reference: str) -> Card:
        return Card(
            provider_ref=f"card-{reference}", customer_ref="", fingerprint=reference, label="Visa", expires=203012
        )

    def news(self, body: bytes, headers: Mapping[str, str], now: datetime) -> News | None:
        del body, headers, now
        return None

    def _faultily(self, answer: Callable[[], Outcome]) -> Outcome:
        fault = 1.0 if self.calm else self.random.random()
        if fault < 0.08:
            self.seen["question lost"] += 1
            return Unknown("the connection could not be made")
        outcome = answer()
        if fault < 0.18:
            self.seen["answer lost"] += 1
            return Unknown("the connection broke")
        if fault < 0.2:
            self.seen["failure of our own"] += 1
            raise RuntimeError("the answer could not be read")
        return outcome

    def _by_key(self, movement: Movement) -> Outcome:
        known = self.keys.get(movement.idempotency_key)
        if known is not None and self.clock() - known[0] < KEYS_KEPT:
            self._same(known[1], movement)
            self.seen["key repeated"] += 1
            return known[1].first
        return self._new(movement)

    def _asked(self, movement: Movement) -> Outcome:
        if movement.provider_ref:
            return self.moved[movement.provider_ref].stands
        if movement.now - movement.first_asked_at < REPEAT_WITHIN:
            return self._by_key(movement)
        self.seen["searched"] += 1
        known = self.keys.get(movement.idempotency_key)
        if known is None or self.clock() - known[0] < INDEX_LAG:
            return Declined(NEVER_ARRIVED)
        return known[1].stands

    def _given_up(self, movement: Movement) -> Outcome:
        one = self.moved[movement.provider_ref]
        if isinstance(one.stands, ActionRequired):
            self.seen["given up"] += 1
            self._becomes(one, Declined("abandoned", reference=one.ref))
        return one.stands

    def _same(self, one: Moved, movement: Movement) -> None:
        asked = (movement.org_id, movement.payment_id, movement.gross_micros, movement.currency)
        if (one.org_id, one.payment_id, one.gross_micros, one.currency) != asked:
            raise Wrong(f"key {one.key} came with {asked}, and was of {one}")

    # -- what it does ----------------------------------------------------------------------------------------------

    def _new(self, movement: Movement) -> Outcome:
        self.numbers += 1
        ref = f"mv_{self.numbers}"
        outcome, ends, after = self._refund(movement, ref) if movement.refund_of else self._charge(movement, ref)
        one = Moved(
            ref=ref,
            org_id=movement.org_id,
            payment_id=movement.payment_id,
            key=movement.idempotency_key,
            gross_micros=movement.gross_micros,
            currency=movement.currency,
            made_at=self.clock(),
            stands=Processing(ref),
            first=outcome,
            refund_of=movement.refund_of,
            by_agreement=movement.method.kind == AGREEMENT,
            ends=ends,
            ends_at=self.clock() + after if ends is not None else None,
        )
        others = [other for other in self.of_order[one.order] if other.live and not other.refund_of]
        if others and not one.refund_of:
            raise Wrong(f"a second charge {movement.payment_id} while {others} has moved or may")
        self.moved[ref] = one
        self.keys[one.key] = (self.clock(), one)
        self.of_order[one.order].append(one)
        self._becomes(one, outcome)
        one.first = one.stands
        return one.stands

    def _charge(self, movement: Movement, ref: str) -> tuple[Outcome, Outcome | None, timedelta]:
        method, soon = movement.method, timedelta(seconds=self.random.choice((20, 600, 20_000, 200_000)))
        if method.kind == AGREEMENT:
            limit = method.credit_limit_micros
            if limit is not None and movement.unpaid_micros + movement.gross_micros > limit:
                return Declined("credit_limit", "the agreement's limit is used up", reference=ref), None, soon
            if not method.on_confirmation:
                return Succeeded(ref), None, soon
            ends = Succeeded(ref) if self.calm or self.random.random() < 0.8 else Declined("rejected", reference=ref)
            return Processing(ref), ends, soon
        if "always" in method.provider_ref:
            return Declined("insufficient_funds", reference=ref), None, soon
        mood = self.random.random()
        if mood < 0.62 or (self.calm and mood > 0.78):
            return Succeeded(ref), None, soon
        if mood < 0.74:
            return Declined(self.random.choice(SOFT), "it was not to be", reference=ref), None, soon
        if mood < 0.78:
            return Declined(self.random.choice(HARD), final=True), None, soon
        failed: Outcome = Declined("authentication_failed" if mood < 0.9 else "do_not_honor", reference=ref)
        ends = Succeeded(ref) if self.random.random() < 0.7 else failed
        if mood < 0.9:
            never = self.random.random() < 0.3
            return ActionRequired(ref, f"https://bank.example/{ref}"), None if never else ends, soon
        return Processing(ref), ends, soon

    def _refund(self, movement: Movement, ref: str) -> tuple[Outcome, Outcome | None, timedelta]:
        charge = self.moved[movement.refund_of]
        soon = timedelta(seconds=self.random.choice((20, 20_000)))
        pending = sum(
            one.gross_micros for one in self.moved.values() if one.refund_of == charge.ref and one.ends is not None
        )
        if charge.dispute in {"opened", "lost"}:
            self.seen["refund of a disputed charge"] += 1
            return Declined("charge_disputed", "the bank has it", reference=ref), None, soon
        if movement.gross_micros > charge.gross_micros - charge.refunded_micros - pending:
            raise Wrong(f"{movement.payment_id} refunds {movement.gross_micros} of {charge}, {pending} on their way")
        mood = self.random.random()
        if mood < 0.6:
            return Succeeded(ref), None, soon
        if mood < 0.75:
            return Declined("refund_refused", "the card is closed", reference=ref), None, soon
        return Processing(ref), Succeeded(ref) if mood < 0.9 else Declined("refund_failed", reference=ref), soon

    def _becomes(self, one: Moved, outcome: Outcome) -> None:
        """Let a movement stand so, enter it into the books, and say it to Gettone."""
        one.stands = outcome
        if not isinstance(outcome, Processing | ActionRequired):
            one.ends = one.ends_at = None
        if isinstance(outcome, Succeeded) and one.refund_of:
            charge = self.moved[one.refund_of]
            if charge.dispute in {"opened", "lost"}:
                one.stands = outcome = Declined("charge_disputed", reference=one.ref)
            else:
                charge.refunded_micros += one.gross_micros
        self.seen[f"{'refund' if one.refund_of else 'charge'} {type(outcome).__name__}"] += 1
        self._say(one, outcome)

    def pass_time(self) -> None:
        """Let everything happen whose time has come."""
        now = self.clock()
        for one in self.moved.values():
            if one.ends is not None and one.ends_at is not None and one.ends_at <= now:
                self._becomes(one, one.ends)

    # -- what banks do -----------------------------------------------------------------------------------------------

    def dispute(self) -> None:
        """Let a bank take back some or all of a charge of which something is left, or decide what it took before."""
        charges = [one for one in self.moved.values() if one.captured and not one.refund_of and not one.by_agreement]
        if not charges:
            return
        one = self.random.choice(charges)
        left = one.gross_micros - one.refunded_micros
        if not one.dispute and left > 0:
            coin = 10**6
            whole = self.random.random() < 0.7 or left <= coin
            one.withdrawn_micros = left if whole else self.random.randrange(coin, left, coin)
            one.dispute = "opened"
        elif one.dispute == "opened":
            one.dispute = self.random.choice(("won", "lost"))
        else:
            return
        self.seen[f"dispute {one.dispute}"] += 1
        self._dispute_said(one)
        if one.dispute == "won":
            one.withdrawn_micros = 0

    def _dispute_said(self, one: Moved) -> None:
        news = DisputeNews(
            event_id=f"{one.ref}/{one.dispute}",
            org_id=one.org_id,
            payment_id=one.payment_id,
            stage=one.dispute,
            gross_micros=one.withdrawn_micros,
        )
        self._send(news, insists=True)

    # -- what it says ------------------------------------------------------------------------------------------------

    def _say(self, one: Moved, outcome: Outcome) -> None:
        self.numbers += 1
        if not self.calm and self.random.random() < 0.3:
            self.seen["message lost"] += 1
        else:
            self._send(self._news(one, f"ev_{self.numbers}", outcome))
        if not self.calm and self.random.random() < 0.1:
            wrong = self.random.choice((Declined("card_declined", reference=one.ref), Processing(one.ref), one.first))
            self.seen["message wrong"] += 1
            self._send(self._news(one, f"ev_{self.numbers}_wrong", wrong))

    def _news(self, one: Moved, event_id: str, outcome: Outcome) -> PaymentNews:
        return PaymentNews(event_id=event_id, org_id=one.org_id, payment_id=one.payment_id, outcome=outcome)

    def _send(self, news: News, *, insists: bool = False) -> None:
        late = timedelta(seconds=0 if self.calm else self.random.choice((0, 0, 5, 600, 40_000)))
        self.messages.append(Message(self.clock() + late, news, insists))
        if not self.calm and self.random.random() < 0.2:
            self.seen["message doubled"] += 1
            self.messages.append(Message(self.clock() + late, news))

    def take_messages(self) -> list[Message]:
        """Hand over the messages whose time has come, in any order."""
        now = self.clock()
        due = [message for message in self.messages if message.at <= now]
        self.messages = [message for message in self.messages if message.at > now]
        self.random.shuffle(due)
        return due

    # -- its books ---------------------------------------------------------------------------------------------------

    def kept(self) -> dict[tuple[str, str], tuple[int, int, int]]:
        """What was charged, refunded and withdrawn, by payment."""
        return {
            (one.org_id, one.payment_id): (one.gross_micros, one.refunded_micros, one.withdrawn_micros)
            for one in self.moved.values()
            if one.captured and not one.refund_of
        }
