"""Random programs for a world and its model: what is done, in small numbers that Hypothesis can shrink.

A program is a list of steps. ``("batch", ...)`` asks the desk several things at once; the other steps are what happens
around it: credit is bought and expires, licences come and go, time passes, supervision looks for silent calls.
"""

import random
from datetime import timedelta

import msgspec
from hypothesis import strategies as st

from gettone.operations import directory
from gettone.operations.messages import (
    Answer,
    Grant,
    RecordCall,
    Refused,
    Request,
    Settled,
    SettleSilent,
    StartCall,
    StopCall,
)
from gettone.operations.messages import UpdateCall as Update
from tests.properties.model import NUMBERS, USERS, Call, Lot, Model, Organisation
from tests.support.world import World

DECK = """country,price,connection_charge,increments
GB,0.0100,0.0200,60/60
US,0.0300,0,60/60
"""
PLAN = "MCOPSTN5"
PRODUCTS = {"payg": ["MCOPSTN_PAYG_1", "MCOPSTNC"], "plan": [PLAN, "MCOPSTNC"], "only": [PLAN]}
SPARE = "spare"
"""A user whose licence comes and goes, and with it 120 minutes."""

small = st.integers(0, 9)
seconds = st.one_of(st.sampled_from([0, 1, 59, 60, 61, 300]), st.integers(0, 5000))
REQUESTS = {
    ("start", small, st.sampled_from(sorted(USERS)), st.sampled_from(sorted(NUMBERS)), seconds): 3,
    ("update", small, seconds, seconds): 4,
    ("stop", small, seconds): 2,
    ("again", st.integers(0, 99)): 1,
    ("changed", st.integers(0, 99)): 1,
    ("out of order", small, st.integers(0, 3), seconds): 1,
    ("supervise", small): 2,
}
requests = st.one_of(*(st.tuples(st.just(name), *values) for (name, *values), _ in REQUESTS.items()))
STEPS = {
    ("batch", st.lists(requests, min_size=1, max_size=12)): 12,
    ("fund", small, st.integers(1, 60), st.integers(1, 40)): 3,
    ("wait", st.integers(1, 4000)): 3,
    ("wait", st.integers(1, 20 * 86400)): 1,
    ("licence", small): 1,
    ("expire",): 1,
}
programs = st.lists(st.one_of(*(st.tuples(st.just(name), *values) for name, *values in STEPS)), min_size=1, max_size=20)


def long_program(seed: int, length: int = 60) -> list[tuple]:
    """Return the program of *seed*: too long to shrink, and busy enough that everything meets everything."""
    draw = random.Random(seed)

    def some_seconds() -> int:
        return draw.choice([0, 1, 59, 60, 61, 300, draw.randrange(5000)])

    def request() -> tuple:
        values = {
            "start": lambda: (
                draw.randrange(9),
                draw.choice(sorted(USERS)),
                draw.choice(["GB", "US"]),
                some_seconds(),
            ),
            "update": lambda: (draw.randrange(10), some_seconds(), some_seconds()),
            "stop": lambda: (draw.randrange(10), some_seconds()),
            "again": lambda: (draw.randrange(1000),),
            "changed": lambda: (draw.randrange(1000),),
            "out of order": lambda: (draw.randrange(10), draw.randrange(4), some_seconds()),
            "supervise": lambda: (draw.randrange(10),),
        }
        [name] = draw.choices([name for name, *_ in REQUESTS], list(REQUESTS.values()))
        return (name, *values[name]())

    def step() -> tuple:
        values = {
            "batch": lambda: ([request() for _ in range(draw.randrange(1, 13))],),
            "fund": lambda: (draw.randrange(9), draw.randrange(1, 61), draw.randrange(1, 41)),
            "wait": lambda: (draw.choice([draw.randrange(1, 4000)] * 3 + [draw.randrange(1, 20 * 86400)]),),
            "licence": lambda: (draw.randrange(9),),
            "expire": tuple,
        }
        [name] = draw.choices([name for name, *_ in STEPS], list(STEPS.values()))
        return (name, *values[name]())

    return [step() for _ in range(length)]


def said(answer: Answer) -> tuple:
    """Return what the model has an opinion on."""
    match answer:
        case Grant():
            return ("granted", answer.granted_seconds, answer.final, answer.held_micros)
        case Settled():
            return ("settled", answer.billed_seconds, answer.charged_micros, answer.overrun_micros)
        case Refused():
            return ("refused", answer.reason.value)


class Play:
    """Runs a program on a world and its model side by side."""

    def __init__(self, world: World, organisations: int = 2) -> None:
        self.world = world
        self.model = Model()
        self.past: list[tuple[Request, Answer]] = []
        self.sessions: list[tuple[str, str]] = []
        self.references = 0
        world.deck(DECK)
        for index in range(organisations):
            org_id = f"org{index}"
            world.organisation(org_id)
            for user in (*PRODUCTS, SPARE):
                world.user(org_id, user, "US", PRODUCTS.get(user, ()))
            self.model.orgs[org_id] = Organisation(licences=2)
            self.fund(index, 40, 30)
            self.draw_on_the_pool(org_id, 200)

    def draw_on_the_pool(self, org_id: str, minutes: int) -> None:
        """Leave few enough minutes in this month that calls run into the end of the pool."""
        record = RecordCall(
            session_id="before", org_id=org_id, user="only", called=NUMBERS["US"], used_seconds=minutes * 60
        )
        self.ask([record])
        self.model.orgs[org_id].pool_used[self.world.now.year * 100 + self.world.now.month] = minutes

    def run(self, program) -> None:
        for kind, *rest in program:
            getattr(self, kind)(*rest)
            self.compare()
        assert not (findings := self.world.findings()), "\n".join(map(str, findings))

    def ask(self, requests: list[Request]) -> list[Answer]:
        return self.world.charge(*requests)

    def agree(self, found: tuple, expected: tuple) -> bool:
        return found == expected

    # -- steps ---------------------------------------------------------------------------------------------------

    def batch(self, ideas) -> None:
        asked = [request for idea in ideas if (request := getattr(self, idea[0].replace(" ", "_"))(*idea[1:]))]
        expected = [self.model.answer(request, self.world.now) for request in asked]
        answers = self.ask(asked)
        for request, expect, answer in zip(asked, expected, answers, strict=True):
            assert self.agree(said(answer), expect), f"{request}\n{answer}\nexpected {expect}"
            self.past.append((request, answer))

    def fund(self, org: int, cents: int, days: int) -> None:
        org_id = self.org(org)
        mine, now = self.model.orgs[org_id], self.world.now
        self.references += 1
        reference, expires_at = f"{self.references:06d}", now + timedelta(days=days)
        self.world.fund(org_id, cents * 10_000, reference=reference, expires_at=expires_at)
        mine.lots.append(Lot(reference, expires_at, cents * 10_000))
        mine.bought += cents * 10_000
        mine.cover(now)

    def wait(self, span: int) -> None:
        self.world.wait(span)

    def licence(self, org: int) -> None:
        org_id = self.org(org)
        mine = self.model.orgs[org_id]
        products = [PLAN] if mine.licences == 2 else []
        directory.set_products(self.world.office, org_id, SPARE, products, self.world.now)
        mine.licences = 3 if products else 2

    def expire(self) -> None:
        self.world.expire()
        for org in self.model.orgs.values():
            for lot in org.lots:
                if lot.expires_at <= self.world.now:
                    org.expired += lot.remaining - lot.held
                    lot.remaining = lot.held

    # -- requests ------------------------------------------------------------------------------------------------

    def org(self, index: int) -> str:
        return sorted(self.model.orgs)[index % len(self.model.orgs)]

    def session(self, index: int) -> tuple[str, str, Call | None]:
        """One of the latest sessions, or one that nobody started."""
        if index == 9 or not self.sessions:
            return self.org(index), "nobody", None
        running = [key for key in self.sessions if self.state(key) in {"open", "silent"}] if index < 7 else []
        latest = (running or self.sessions)[-6:]
        org_id, session_id = latest[index % len(latest)]
        return org_id, session_id, self.model.orgs[org_id].calls.get(session_id)

    def state(self, key: tuple[str, str]) -> str:
        call = self.model.orgs[key[0]].calls.get(key[1])
        return "" if call is None else "ended" if call.late else call.state

    def start(self, org: int, user: str, country: str, wants: int) -> Request:
        session_id = f"s{len(self.sessions)}"
        self.sessions.append((self.org(org), session_id))
        return StartCall(
            session_id=session_id,
            org_id=self.org(org),
            user=user,
            called=NUMBERS[country],
            requested_seconds=wants + 1,
        )

    def next_number(self, session_id: str) -> int:
        """Count upwards, also within a batch that is still being put together."""
        self.references += 1
        return self.references

    def update(self, index: int, more: int, wants: int) -> Request:
        org_id, session_id, call = self.session(index)
        used = (call.used if call else 0) + more // 4
        number = self.next_number(session_id)
        return Update(
            session_id=session_id, org_id=org_id, request_number=number, used_seconds=used, requested_seconds=wants + 1
        )

    def stop(self, index: int, more: int) -> Request:
        org_id, session_id, call = self.session(index)
        used = (call.used if call else 0) + more // 2
        number = self.next_number(session_id)
        return StopCall(session_id=session_id, org_id=org_id, request_number=number, used_seconds=used)

    def again(self, index: int) -> Request | None:
        return self.past[index % len(self.past)][0] if self.past else None

    def changed(self, index: int) -> Request | None:
        request = self.again(index)
        if isinstance(request, StopCall | Update):
            return msgspec.structs.replace(request, used_seconds=request.used_seconds + 1)
        return msgspec.structs.replace(request, called=NUMBERS["GB"]) if isinstance(request, StartCall) else None

    def out_of_order(self, index: int, back: int, more: int) -> Request | None:
        org_id, session_id, call = self.session(index)
        if call is None:
            return None
        number = max(0, call.last_number - back)
        return Update(session_id=session_id, org_id=org_id, request_number=number, used_seconds=call.used + more)

    def supervise(self, index: int) -> Request:
        org_id, session_id, _ = self.session(index)
        return SettleSilent(session_id=session_id, org_id=org_id)

    # -- invariants ----------------------------------------------------------------------------------------------

    def compare(self) -> None:
        """Compare every wallet, lot and pool, and check what must hold of them whatever the model thinks."""
        for org_id, mine in self.model.orgs.items():
            wallet, books = self.world.wallet(org_id), self.world.ledger(org_id)
            lots = {lot.reference: (lot.remaining_micros, lot.held_micros) for lot in wallet.lots}
            assert lots == {lot.reference: (lot.remaining, lot.held) for lot in mine.lots if lot.remaining}
            assert wallet.overrun_micros == mine.owed
            assert wallet.available_micros == mine.free(self.world.now) - mine.owed
            assert 0 <= wallet.held_micros <= wallet.posted_micros
            assert sum(books.values()) == 0
            assert books.get("wallet", 0) == wallet.posted_micros
            assert -books.get("overrun", 0) == wallet.overrun_micros
            charged = sum(call.charged for call in mine.calls.values())
            assert books.get("usage", 0) == charged
            assert books.get("breakage", 0) == mine.expired
            assert mine.bought + mine.owed == charged + mine.expired + wallet.posted_micros
            for period in {*mine.pool_used, *mine.pool_held}:
                pool = self.world.pools(org_id, period).get(f"US/{PLAN}")
                held, used = mine.pool_held.get(period, 0), mine.pool_used.get(period, 0)
                found = (pool.used_seconds, pool.held_seconds) if pool else (0, 0)
                assert found == (used * 60, held * 60)
