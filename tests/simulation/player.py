"""One seed played out: what organisations, their administrators, workers, clocks and banks do, in a drawn order.

The real operations run over a real SQLite file. Two workers carry payments out step by step (claim, ask, record), so
that anything may happen between two of their steps, a crash too. Whatever an administrator may not do is refused, and
that is part of the play.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

import msgspec

from gettone.domain.payments import Outcome
from gettone.errors import Conflict, GettoneError
from gettone.operations import buying, invoice_numbers, payments, recharging
from gettone.operations.billing import REMOVED
from gettone.operations.buying import GLOBAL_ADMIN, Buyer, NewOrder
from gettone.operations.messages import Refused, StartCall, StopCall, UpdateCall
from gettone.operations.paying import Paying
from gettone.operations.payments import Claim
from gettone.operations.recharging import NewRule
from tests.simulation.hostile import Hostile, Message, Wrong
from tests.simulation.places import BEGIN, CALLED, method
from tests.support.world import World

ROUNDS_MAX = 60
"""So often is looked for something to do at one moment; more means that it never ends."""

ANNA = Buyer(GLOBAL_ADMIN, "anna")


@dataclass(slots=True)
class Worker:
    """A process that carries payments out: what it has claimed, and what it was answered."""

    claim: Claim | None = None
    outcome: Outcome | None = None


@dataclass(slots=True)
class Talk:
    """A call as its switch knows it."""

    org_id: str
    number: int = 0
    used: int = 0


@dataclass(slots=True)
class Player:
    """See the module; *true_now* is the time that passes also while Gettone's clock is set back."""

    random: Random
    world: World
    least: dict[str, int]
    true_now: datetime = BEGIN
    talks: dict[str, Talk] = field(default_factory=dict)
    begun: int = 0
    references: list[tuple[str, str, int]] = field(default_factory=list)
    done: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    told: list[str] = field(default_factory=list)
    bank: Hostile = field(init=False)
    paying: Paying = field(init=False)
    workers: list[Worker] = field(default_factory=lambda: [Worker(), Worker()])

    def __post_init__(self) -> None:
        self.bank = Hostile(Random(self.random.random()), lambda: self.true_now)
        self.paying = Paying(self.world.office, {"hostile": self.bank}, lambda: self.world.now)

    # -- one step ------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """Do one thing."""
        deeds, weights = zip(*DEEDS, strict=True)
        deed = self.random.choices(deeds, weights)[0]
        org_id = self.random.choice(list(self.least))
        self.done[deed] += 1
        said = ""
        try:
            said = getattr(self, deed)(org_id) or ""
        except GettoneError as error:
            self.done[f"{deed} refused"] += 1
            said = f"refused: {error}"
        self.told.append(f"{self.world.now:%Y-%m-%d %H:%M:%S} {deed} {org_id} {said}")

    # -- calls ---------------------------------------------------------------------------------------------------

    def call(self, org_id: str) -> str:
        if self.talks and self.random.random() < 0.6:
            return self.go_on()
        self.begun += 1
        session_id = f"call{self.begun}"
        start = StartCall(
            session_id=session_id,
            org_id=org_id,
            user="anna",
            called=self.random.choice(CALLED),
            requested_seconds=self.random.choice((60, 300, 900)),
        )
        [answer] = self.world.charge(start)
        if not isinstance(answer, Refused):
            self.talks[session_id] = Talk(org_id)
        return f"{session_id} {answer.reason.value if isinstance(answer, Refused) else 'granted'}"

    def go_on(self) -> str:
        session_id = self.random.choice(list(self.talks))
        talk = self.talks[session_id]
        talk.number += 1
        talk.used += self.random.choice((0, 30, 290, 900))
        words = {"session_id": session_id, "org_id": talk.org_id, "request_number": talk.number}
        if self.random.random() < 0.5:
            return self.hang_up(session_id)
        [answer] = self.world.charge(UpdateCall(**words, used_seconds=talk.used, requested_seconds=300))
        return f"{session_id} {type(answer).__name__}"

    def hang_up(self, session_id: str) -> str:
        talk = self.talks.pop(session_id)
        stop = StopCall(
            session_id=session_id, org_id=talk.org_id, request_number=talk.number + 1, used_seconds=talk.used
        )
        [answer] = self.world.charge(stop)
        return f"{session_id} {answer}"

    # -- administrators ------------------------------------------------------------------------------------------

    def top_up(self, org_id: str) -> None:
        days = self.random.choice((None, None, 2, 40))
        expires_at = None if days is None else self.world.now + timedelta(days=days)
        reference = f"hand{self.random.randrange(12)}"
        self.world.fund(org_id, self.random.randrange(1, 30) * 1_000_000, reference=reference, expires_at=expires_at)

    def adjust(self, org_id: str) -> None:
        micros = self.random.choice((-3_000_000, -500_001, 999_999))
        self.world.adjust(org_id, micros, reference=f"hand{self.random.randrange(12)}")

    def buy(self, org_id: str) -> str:
        """Order credit, often the same again: the same reference is the same order."""
        if self.references and self.random.random() < 0.3:
            org_id, reference, amount = self.random.choice(self.references)
            amount += self.random.choice((0, 0, 1_000_000))
        else:
            reference = f"order{len(self.references)}"
            amount = self.least[org_id] + self.random.randrange(40) * 1_000_000
            self.references.append((org_id, reference, amount))
        with self.world.office.read() as unit:
            ready = [one.method_id for one in unit.buying.methods(org_id)]
        method_id = self.random.choice(["", *ready])
        new = NewOrder(amount_micros=amount, reference=reference, method_id=method_id)
        placed = buying.place_order(self.world.office, org_id, new, ANNA, self.world.now)
        return f"{placed.order.order_id} {'again' if placed.repeated else ''}"

    def set_rule(self, org_id: str) -> str:
        least, draw = self.least[org_id], self.random
        amount = least + draw.randrange(20) * 1_000_000
        new = NewRule(
            enabled=draw.random() < 0.9,
            trigger_micros=least + draw.randrange(60) * 1_000_000,
            amount_micros=amount,
            day_count=draw.choice((None, 1, 4, 20)),
            day_micros=draw.choice((None, None, amount, 3 * amount)),
            month_count=draw.choice((None, None, 5)),
            month_micros=draw.choice((None, None, 9 * amount)),
        )
        recharging.set_rule(self.world.office, org_id, new, ANNA, self.world.now)
        return str(new)

    def switch_off(self, org_id: str) -> None:
        recharging.switch_off(self.world.office, org_id, ANNA, self.world.now)

    def resume(self, org_id: str) -> None:
        recharging.resume(self.world.office, org_id, ANNA, self.world.now)

    def refund(self, org_id: str) -> str:
        with self.world.office.read() as unit:
            found = [one for one in unit.buying.payments(org_id, None, 50) if one.lot_id]
        if not found:
            return "nothing"
        payment = self.random.choice(found)
        # A third, in whole coins of every currency, and sometimes a few coins more.
        part = payment.net_micros // 3_000_000 * 1_000_000 + self.random.choice((0, 10_000, 7_000_000))
        amount = self.random.choice((None, part, part))
        new = payments.refund(
            self.world.office, org_id, payment.payment_id, self.world.now, by="anna", amount_micros=amount
        )
        return new.payment_id

    def change_methods(self, org_id: str) -> str:
        """Add a way to pay, or take one out."""
        with self.world.office.write(org_id) as unit:
            ready = unit.buying.methods(org_id)
            if len(ready) > 1 and self.random.random() < 0.5:
                gone = self.random.choice(ready)
                unit.buying.write_method(org_id, msgspec.structs.replace(gone, state=REMOVED))
                return f"without {gone.method_id}"
            position = len(unit.buying.methods(org_id, removed=True)) + 1
            unit.buying.write_method(org_id, method(self.random, position, self.least[org_id], self.world.now))
            recharging.resume_in(unit, self.world.now)
            return f"with way{position}"

    # -- workers ---------------------------------------------------------------------------------------------------

    def work_a(self, _: str) -> str:
        return self._work(self.workers[0])

    def work_b(self, _: str) -> str:
        return self._work(self.workers[1])

    def _work(self, worker: Worker) -> str:
        """Go one step further with a payment, or begin one."""
        office, now = self.world.office, self.world.now
        if worker.claim is None:
            with office.read() as unit:
                due = unit.buying.due_payments(now, 10)
            if not due:
                return "nothing due"
            org_id, payment_id = self.random.choice(due)
            worker.claim = payments.claim(office, org_id, payment_id, now)
            return f"claims {payment_id}: {worker.claim and worker.claim.what}"
        movement = worker.claim.movement
        if worker.outcome is None:
            worker.outcome = self.paying._ask(worker.claim)
            return f"asks about {movement.payment_id}: {worker.outcome}"
        payment = payments.record(office, movement.org_id, movement.payment_id, worker.outcome, now)
        worker.claim = worker.outcome = None
        return f"records {movement.payment_id}: {payment.state.value}"

    def crash(self, _: str) -> None:
        """Let one worker forget everything."""
        self.workers[self.random.randrange(2)] = Worker()

    def work(self, _: str) -> str:
        return f"asked {self.paying.work(self.world.now)}"

    def open_due(self, _: str) -> str:
        return f"ordered {recharging.open_due(self.world.office, self.world.now)}"

    def expire(self, _: str) -> None:
        self.world.expire()

    def give_numbers(self, _: str) -> None:
        invoice_numbers.give_numbers(self.world.office)

    def restart(self, _: str) -> None:
        self.world.restart()

    # -- time and banks ----------------------------------------------------------------------------------------------

    def wait(self, _: str) -> str:
        draw = self.random
        scale = draw.choices((30, 600, 7200, 86_400, 86_400 * 32, 86_400 * 400), (40, 25, 20, 10, 4, 1))[0]
        seconds = draw.randrange(1, scale)
        self.pass_time(seconds)
        return f"{seconds} s"

    def pass_time(self, seconds: int) -> None:
        self.world.now += timedelta(seconds=seconds)
        self.true_now += timedelta(seconds=seconds)
        self.bank.pass_time()

    def set_back(self, _: str) -> None:
        self.world.now -= timedelta(seconds=self.random.randrange(1, 30))

    def dispute(self, _: str) -> None:
        self.bank.dispute()

    def messages(self, _: str) -> str:
        """Take in what the provider says; what is refused it says again, if it insists."""
        due = self.bank.take_messages()
        for message in due:
            self._take(message)
        return "; ".join(str(message.news) for message in due)

    def _take(self, message: Message) -> None:
        try:
            payments.take_news(self.world.office, "hostile", message.news, self.world.now)
        except Conflict:
            self.bank.seen["message refused"] += 1
            if message.insists:
                self.bank.messages.append(Message(self.true_now + timedelta(hours=1), message.news, insists=True))

    # -- the end -----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything that is under way come to its end: no faults any more, and weeks of time."""
        self.bank.calm = True
        self.workers = [Worker(), Worker()]
        for session_id in list(self.talks):
            self.hang_up(session_id)
        for seconds in (300, 4000, 50_000, 90_000, 90_000, 90_000, 400_000):
            self.pass_time(seconds)
            self._jobs()
        self._jobs()
        self.told.append(f"{self.world.now:%Y-%m-%d %H:%M:%S} settled")

    def _jobs(self) -> None:
        """Run what runs by itself until nothing is left to do at this moment."""
        office = self.world.office
        self.world.expire()
        for _ in range(ROUNDS_MAX):
            if not (
                self.messages("") or recharging.open_due(office, self.world.now) + self.paying.work(self.world.now)
            ):
                break
        else:
            raise Wrong(f"there is still something to do after {ROUNDS_MAX} rounds")
        invoice_numbers.give_numbers(office)


DEEDS = (
    ("call", 30),
    ("wait", 16),
    ("messages", 12),
    ("work_a", 10),
    ("work_b", 10),
    ("work", 4),
    ("open_due", 6),
    ("buy", 6),
    ("set_rule", 4),
    ("refund", 4),
    ("dispute", 3),
    ("expire", 2),
    ("give_numbers", 2),
    ("top_up", 2),
    ("adjust", 1),
    ("crash", 2),
    ("set_back", 2),
    ("switch_off", 1),
    ("resume", 1),
    ("change_methods", 1),
    ("restart", 1),
)
"""What is done, and how often."""
