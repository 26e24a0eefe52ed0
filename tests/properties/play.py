"""Random programs for a world and its model: what is done, in small numbers that Hypothesis can shrink.

A program is a list of steps. ``("batch", ...)`` asks the desk several things at once; the other steps are what happens
around it: credit is bought and expires, licences, limits and settings come and go, people change departments, time
passes, supervision looks for silent calls.
"""

import random
from datetime import timedelta

import msgspec
from hypothesis import strategies as st
from sqlalchemy import select

from gettone.domain.policies import Tally, hour_of
from gettone.operations import directory
from gettone.operations.blocks import unblock_user
from gettone.operations.messages import (
    Answer,
    Grant,
    Reconciled,
    RecordCall,
    Refused,
    Request,
    Settled,
    SettleSilent,
    StartCall,
    StopCall,
)
from gettone.operations.messages import UpdateCall as Update
from gettone.operations.policies import PolicyChanges, change_policies, change_user_policy
from gettone.storage.schema import pool_use, tally
from tests.properties.model import NUMBERS, ORGANISATION, TWIN, USERS, Call, Lot, Model, Organisation, month
from tests.support.world import World

DECK = """country,price,connection_charge,increments
GB,0.0100,0.0200,60/60
US,0.0300,0,60/60
"""
PLAN = "MCOPSTN5"
PRODUCTS = {
    "payg": ["MCOPSTN_PAYG_1", "MCOPSTNC"],
    "plan": [PLAN, "MCOPSTNC"],
    "only": [PLAN],
    "own": ["SPE_E5_CALLINGMINUTES", "MCOPSTNC"],
    "world": ["MCOPSTN2", "MCOPSTNC"],
}
POOL_KEYS = {
    "shared": f"US/{PLAN}",
    "own": "user/own/MCOPSTN8",
    "domestic": "US/MCOPSTN2/domestic",
    "international": "US/MCOPSTN2/international",
}
SIZES = {"shared": 240, "own": 120, "domestic": 3000, "international": 600}
DRAWN = [("only", "US", 200), ("own", "US", 90), ("world", "US", 2985), ("world", "GB", 590)]
"""Minutes that are used up before a program begins: few enough are left that calls run into the end."""

SPARE = "spare"
"""A user whose licence comes and goes, and with it 120 minutes."""

DEPARTMENTS = ("", "Sales", "Support")
GROUPS = ("department/Sales", "department/Support", "cost_centre/4711")
COST_CENTRE = {"plan": "4711", "world": "4711"}
LIMITED = (*(f"user/{user}" for user in USERS), *GROUPS, "everybody")
GUARD = {
    "concurrent": lambda value: None if value == 9 else value % 3 + 1,
    "user": lambda value: None if value == 9 else (value + 1) * 20_000,
    "organisation": lambda value: None if value == 9 else (value + 1) * 40_000,
    "block": lambda value: value % 3,
}

small = st.integers(0, 9)
seconds = st.one_of(st.sampled_from([0, 1, 59, 60, 61, 300]), st.integers(0, 5000))
REQUESTS = {
    ("start", small, st.sampled_from(USERS), st.sampled_from(sorted(NUMBERS)), seconds, small): 4,
    ("update", small, seconds, seconds): 4,
    ("stop", small, seconds): 2,
    ("record", small, st.sampled_from(USERS), st.sampled_from(sorted(NUMBERS)), seconds): 1,
    ("again", st.integers(0, 99)): 1,
    ("changed", st.integers(0, 99)): 1,
    ("out of order", small, st.integers(0, 3), seconds): 1,
    ("supervise", small): 2,
}
requests = st.one_of(*(st.tuples(st.just(name), *values) for (name, *values), _ in REQUESTS.items()))
cents = st.one_of(st.none(), st.integers(0, 60))
STEPS = {
    ("batch", st.lists(requests, min_size=1, max_size=12)): 16,
    ("fund", small, st.integers(1, 60), st.integers(1, 40)): 3,
    ("wait", st.integers(1, 4000)): 3,
    ("wait", st.integers(1, 20 * 86400)): 1,
    ("licence", small): 1,
    ("limit", small, st.sampled_from(LIMITED), cents): 4,
    ("guard", small, st.sampled_from(sorted(GUARD)), small): 4,
    ("regroup", small, st.sampled_from(USERS), st.sampled_from(DEPARTMENTS)): 1,
    ("unblock", small, st.sampled_from(USERS)): 1,
    ("post usage", small): 1,
    ("expire",): 1,
}
programs = st.lists(st.one_of(*(st.tuples(st.just(name), *values) for name, *values in STEPS)), min_size=1, max_size=20)


def long_program(seed: int, length: int = 60) -> list[tuple]:
    """Return the program of *seed*: too long to shrink, and busy enough that everything meets everything."""
    draw = random.Random(seed)

    def some_seconds() -> int:
        return draw.choice([0, 1, 59, 60, 61, 300, draw.randrange(5000)])

    def call() -> tuple:
        return (draw.randrange(9), draw.choice(USERS), draw.choice(["GB", "US"]), some_seconds())

    def request() -> tuple:
        values = {
            "start": lambda: (*call(), draw.randrange(10)),
            "update": lambda: (draw.randrange(10), some_seconds(), some_seconds()),
            "stop": lambda: (draw.randrange(10), some_seconds()),
            "record": call,
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
            "limit": lambda: (draw.randrange(9), draw.choice(LIMITED), draw.choice([None, *range(0, 41, 2)])),
            "guard": lambda: (draw.randrange(9), draw.choice(sorted(GUARD)), draw.randrange(10)),
            "regroup": lambda: (draw.randrange(9), draw.choice(USERS), draw.choice(DEPARTMENTS)),
            "unblock": lambda: (draw.randrange(9), draw.choice(USERS)),
            "post usage": lambda: (draw.randrange(9),),
            "expire": tuple,
        }
        [name] = draw.choices([name for name, *_ in STEPS], list(STEPS.values()))
        return (name, *values[name]())

    return [step() for _ in range(length)]


def said(answer: Answer) -> tuple:
    """Return what the model has an opinion on."""
    match answer:
        case Grant():
            reason = answer.reason.value if answer.reason else ""
            return ("granted", answer.granted_seconds, answer.final, answer.held_micros, reason)
        case Settled():
            return ("settled", answer.billed_seconds, answer.charged_micros, answer.overrun_micros)
        case Reconciled():
            return ("reconciled", answer.charged_micros)
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
        self.look()
        world.deck(DECK)
        for index in range(organisations):
            org_id = f"org{index}"
            mine = self.model.orgs[org_id] = Organisation(size=dict(SIZES))
            world.organisation(org_id)
            for place, user in enumerate(USERS):
                self.user(org_id, user, self.number(index, place))
            world.user(org_id, SPARE, "US")
            mine.hour_limits = {"user": 100_000_000, "organisation": 1_000_000_000}
            self.fund(index, 40, 30)
            drawn = [
                RecordCall(
                    session_id=f"{user}-{to}", org_id=org_id, user=user, called=NUMBERS[to], used_seconds=60 * used
                )
                for user, to, used in DRAWN
            ]
            self.charge(drawn)

    def user(self, org_id: str, user: str, number: str) -> None:
        centre = COST_CENTRE.get(user, "")
        self.world.user(org_id, user, "US", PRODUCTS[user], department="Sales", cost_centre=centre)
        self.world.number(org_id, number, user=user)
        self.model.orgs[org_id].groups[user] = groups_of("Sales", user)

    def number(self, org: int, place: int) -> str:
        return f"+1425555{org:02d}{place:02d}"

    def run(self, program) -> None:
        for kind, *rest in program:
            getattr(self, kind.replace(" ", "_"))(*rest)
            self.compare()
        assert not (findings := self.world.findings()), "\n".join(map(str, findings))

    def ask(self, requests: list[Request]) -> list[Answer]:
        return self.world.charge(*requests)

    def agree(self, found: tuple, expected: tuple) -> bool:
        return found == expected

    # -- steps ---------------------------------------------------------------------------------------------------

    def batch(self, ideas) -> None:
        self.charge([request for idea in ideas if (request := getattr(self, idea[0].replace(" ", "_"))(*idea[1:]))])

    def charge(self, asked: list[Request]) -> None:
        """Ask all at once: every answer is the model's, and no grant went past a limit."""
        tallies, pools = self.tallies, self.pools
        expected = [self.model.answer(request, self.world.now) for request in asked]
        answers = self.ask(asked)
        for request, expect, answer in zip(asked, expected, answers, strict=True):
            assert self.agree(said(answer), expect), f"{request}\n{answer}\nexpected {expect}"
            self.past.append((request, answer))
        self.look()
        self.check_limits(tallies, answers)
        self.check_counters(pools)

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
        products = [PLAN] if mine.size["shared"] == SIZES["shared"] else []
        self.world.license(org_id, SPARE, products)
        mine.size["shared"] = SIZES["shared"] + (120 if products else 0)

    def limit(self, org: int, subject: str, cents: int | None) -> None:
        org_id, now = self.org(org), self.world.now
        mine, micros = self.model.orgs[org_id], None if cents is None else cents * 10_000
        if subject == "everybody":
            change_policies(self.world.office, org_id, PolicyChanges(user_limit_micros=micros), now, "the test")
            mine.user_limit = micros
            return
        if subject.startswith("user/"):
            user = subject.removeprefix("user/")
            change_user_policy(self.world.office, org_id, user, now, "the test", limit_micros=micros)
        else:
            changes = PolicyChanges(group_limits_micros={subject: micros})
            change_policies(self.world.office, org_id, changes, now, "the test")
        mine.limits[subject] = micros

    def guard(self, org: int, which: str, value: int) -> None:
        org_id, limit = self.org(org), GUARD[which](value)
        fields = {
            "concurrent": "concurrent_calls",
            "user": "user_hour_micros",
            "organisation": "organisation_hour_micros",
            "block": "block_hours",
        }
        changes = PolicyChanges(guard={fields[which]: limit})
        change_policies(self.world.office, org_id, changes, self.world.now, "the test")
        mine = self.model.orgs[org_id]
        match which:
            case "concurrent":
                mine.concurrent = limit
            case "block":
                mine.block_hours = limit
            case _:
                mine.hour_limits[which] = limit

    def regroup(self, org: int, user: str, department: str) -> None:
        org_id = self.org(org)
        directory.change_user(self.world.office, org_id, user, self.world.now, department=department)
        self.model.orgs[org_id].groups[user] = groups_of(department, user)

    def unblock(self, org: int, user: str) -> None:
        org_id = self.org(org)
        unblock_user(self.world.office, org_id, user, self.world.now, by="the test")
        self.model.orgs[org_id].blocked.pop(user, None)

    def post_usage(self, org: int) -> None:
        org_id = self.org(org)
        mine = self.model.orgs[org_id]
        mine.post_usage = not mine.post_usage
        directory.change_organisation(self.world.office, org_id, post_usage=mine.post_usage)

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

    def new_session(self, org: int) -> dict[str, str]:
        key = (self.org(org), f"s{len(self.sessions)}")
        self.sessions.append(key)
        return {"org_id": key[0], "session_id": key[1]}

    def start(self, org: int, user: str, country: str, wants: int, named: int) -> Request:
        words = self.new_session(org)
        org_id = words["org_id"]
        caller = {"user": user if named < 6 else f"{user}@{org_id}.example"}
        if named > 7:
            caller = {"calling": self.number(int(org_id.removeprefix("org")), USERS.index(user))}
        return StartCall(**words, **caller, called=NUMBERS[country], requested_seconds=wants + 1)

    def record(self, org: int, user: str, country: str, used: int) -> Request:
        return RecordCall(**self.new_session(org), user=user, called=NUMBERS[country], used_seconds=used)

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

    def periods(self) -> list[int]:
        began = {month(call.started_at) for org in self.model.orgs.values() for call in org.calls.values()}
        return sorted({*began, month(self.world.now)})

    def look(self) -> None:
        """Read every tally by organisation, subject and month, and what is used and held of every pool likewise."""
        names = {key: name for name, key in POOL_KEYS.items()}
        with self.world._engine.connect() as connection:
            self.tallies = {
                (row.org_id, row.subject, row.period): Tally(*row[1:]) for row in connection.execute(select(tally))
            }
            self.pools = {
                (row.org_id, names[row.pool_key], row.period): (row.used_seconds, row.held_seconds)
                for row in connection.execute(select(pool_use))
            }

    def check_limits(self, before: dict[tuple[str, str, int], Tally], answers: list[Answer]) -> None:
        """No grant commits more than a limit allows; only what calls turned out to cost may go beyond it."""
        at = hour_of(self.world.now)
        for (org_id, subject, period), now in self.tallies.items():
            mine = self.model.orgs[org_id]
            was = before.get((org_id, subject, period), Tally(subject, period))
            settled = sum(
                answer.charged_micros
                for answer in answers
                if isinstance(answer, Settled | Reconciled)
                and answer.org_id == org_id
                and subject in mine.calls[answer.session_id].subjects
            )
            limit = mine.limit(subject)
            if limit is not None:
                assert now.committed_micros <= max(limit, was.committed_micros) + settled, (org_id, subject)
            of_hour = mine.hour_limits["user" if subject else "organisation"]
            if of_hour is not None and (subject == ORGANISATION or subject.startswith("user/")):
                assert now.in_hour(at) <= max(of_hour, was.in_hour(at)) + settled, (org_id, subject)
            if mine.concurrent is not None and subject.startswith("user/"):
                assert now.open_calls <= max(mine.concurrent, was.open_calls), (org_id, subject)

    def check_counters(self, before: dict[tuple[str, str, int], tuple[int, int]]) -> None:
        """When one counter of a plan is used up, nothing more is drawn from the other, and none goes past its size."""
        for (org_id, pool, period), (used, held) in self.pools.items():
            twin = TWIN.get(pool)
            if twin is None:
                continue
            assert used + held <= SIZES[pool] * 60
            if before.get((org_id, twin, period), (0, 0))[0] >= SIZES[twin] * 60:
                assert used + held <= sum(before.get((org_id, pool, period), (0, 0))), (org_id, pool, period)

    def compare(self) -> None:
        """Compare every wallet, lot, pool and tally, and check what must hold of them whatever the model thinks."""
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
            receivable = sum(call.receivable for call in mine.calls.values())
            assert books.get("usage", 0) == charged
            assert -books.get("receivable", 0) == receivable
            assert books.get("breakage", 0) == mine.expired
            assert mine.bought + mine.owed == charged - receivable + mine.expired + wallet.posted_micros
        self.look()
        self.compare_pools()
        self.compare_tallies()

    def compare_pools(self) -> None:
        for org_id, mine in self.model.orgs.items():
            for pool, period in {*mine.used, *mine.held}:
                expected = (mine.used.get((pool, period), 0) * 60, mine.held.get((pool, period), 0) * 60)
                assert self.pools.get((org_id, pool, period), (0, 0)) == expected, (org_id, pool, period)

    def compare_tallies(self) -> None:
        """Every tally says what the calls add up to."""
        now = self.world.now
        for org_id, mine in self.model.orgs.items():
            for period in self.periods():
                for subject in (*LIMITED[:-1], ORGANISATION):
                    there = self.tallies.get((org_id, subject, period), Tally(subject, period))
                    figures = (there.open_calls, there.held_micros, there.spent_micros)
                    assert figures == mine.tally(subject, period), (org_id, subject, period)
                    of_hour = mine.in_hour(subject, period, now)
                    assert there.in_hour(hour_of(now)) == of_hour, (org_id, subject, period)


def groups_of(department: str, user: str) -> list[str]:
    """Return the subjects that the spending of *user* counts for, beside the user."""
    groups = [f"department/{department}"] if department else []
    return [*groups, f"cost_centre/{COST_CENTRE[user]}"] if user in COST_CENTRE else groups
