"""A second opinion on charging, as plain as can be: minutes counted one by one, lots as rows of a list.

It knows calls billed by the minute, from a pool and from credits, which is all that the random programs of
`tests.properties.play` make. It shares no code with what it checks but the requests.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gettone.operations.messages import Request, SettleSilent, StartCall, StopCall, UpdateCall

GRACE_SECONDS = 60
CONNECT = {"GB": 20_000, "US": 0}
PER_MINUTE = {"GB": 10_000, "US": 30_000}
NUMBERS = {"GB": "+442079460123", "US": "+12125550123"}
COUNTRY = {number: country for country, number in NUMBERS.items()}
USERS = {"payg": {"credits"}, "plan": {"pool", "credits"}, "only": {"pool"}}
"""Who may draw on what for a call to the US; nobody has minutes for calls to GB."""


def minutes(seconds: int) -> int:
    return -(-seconds // 60)


@dataclass
class Lot:
    """One purchase."""

    reference: str
    expires_at: datetime
    remaining: int
    held: int = 0


@dataclass
class Call:
    """A call: *pool* and *credit* count the minutes that are found for it so far."""

    chain: set[str]
    price: int
    connect: int
    pool_period: int
    last_number: int
    state: str = "open"
    pool: int = 0
    credit: int = 0
    used: int = 0
    granted_to: int = 0
    covered_to: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    supervise_until: datetime | None = None
    billed: int = 0
    charged: int = 0
    late: bool = False
    answers: dict[int, tuple[Request, tuple]] = field(default_factory=dict)

    def cost(self, pool: int, credit: int) -> int:
        if not credit or "credits" not in self.chain:
            return 0
        return credit * self.price + (0 if pool else self.connect)


@dataclass
class Organisation:
    """An organisation's money and minutes."""

    lots: list[Lot] = field(default_factory=list)
    owed: int = 0
    bought: int = 0
    expired: int = 0
    licences: int = 1
    pool_used: dict[int, int] = field(default_factory=dict)
    pool_held: dict[int, int] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)

    def in_order(self) -> list[Lot]:
        return sorted(self.lots, key=lambda lot: (lot.expires_at, lot.reference))

    def free(self, now: datetime) -> int:
        return sum(lot.remaining - lot.held for lot in self.lots if lot.expires_at > now)

    def free_minutes(self, period: int) -> int:
        size = self.licences * 120
        return max(0, size - self.pool_used.get(period, 0) - self.pool_held.get(period, 0))

    def take(self, amount: int, now: datetime) -> int:
        """Spend *amount* of free credit; return what was not there."""
        for lot in self.in_order():
            if lot.expires_at > now:
                spent = min(amount, lot.remaining - lot.held)
                lot.remaining -= spent
                amount -= spent
        return amount

    def cover(self, now: datetime) -> None:
        self.owed = self.take(self.owed, now)


class Model:
    """Organisations in a dict, and what each request must be answered."""

    def __init__(self) -> None:
        self.orgs: dict[str, Organisation] = {}

    def answer(self, request: Request, now: datetime) -> tuple:
        org = self.orgs.get(request.org_id)
        if org is None:
            return ("refused", "unknown_organisation")
        call = org.calls.get(request.session_id)
        if isinstance(request, SettleSilent):
            return self.supervise(org, call, now)
        if call is not None and (known := self.known(request, call)) is not None:
            return known
        match request:
            case StartCall():
                answer = self.start(org, request, now)
            case UpdateCall():
                answer = self.update(org, call, request, now)
            case StopCall():
                answer = self.stop(org, call, request, now)
        call = org.calls.get(request.session_id)
        if call is not None and call.last_number == request.request_number:
            call.answers[request.request_number] = (request, answer)
        return answer

    def known(self, request: Request, call: Call) -> tuple | None:
        if request.request_number > call.last_number:
            return ("refused", "session_exists") if isinstance(request, StartCall) else None
        if request.request_number not in call.answers:
            return ("refused", "request_number_behind")
        before, answer = call.answers[request.request_number]
        return answer if before == request else ("refused", "request_changed")

    def start(self, org: Organisation, request: StartCall, now: datetime) -> tuple:
        country = COUNTRY[request.called]
        chain = USERS[request.user] - ({"pool"} if country == "GB" else set())
        price, connect = PER_MINUTE[country], CONNECT[country]
        call = Call(chain, price, connect, now.year * 100 + now.month, request.request_number)
        org.calls[request.session_id] = call
        self.extend(org, call, request.requested_seconds, now)
        if not call.pool + call.credit:
            call.state = "refused"
            return ("refused", "insufficient_credit" if "credits" in chain else "no_credits_licence")
        return self.grant(org, call, request.requested_seconds, now)

    def update(self, org: Organisation, call: Call | None, request: UpdateCall, now: datetime) -> tuple:
        if call is None:
            return ("refused", "unknown_session")
        if call.state != "open":
            return ("refused", "session_ended")
        if request.used_seconds < call.used:
            return ("refused", "invalid_request")
        call.used, call.last_number = request.used_seconds, request.request_number
        return self.grant(org, call, request.used_seconds + request.requested_seconds, now)

    def stop(self, org: Organisation, call: Call | None, request: StopCall, now: datetime) -> tuple:
        if call is None:
            return ("refused", "unknown_session")
        if call.state != "open" and not (call.state == "silent" and not call.late):
            return ("refused", "session_ended")
        if request.used_seconds < call.used:
            return ("refused", "invalid_request")
        call.last_number = request.request_number
        if call.state == "silent":
            owed = self.settle_late(org, call, request.used_seconds, now)
        else:
            owed = self.settle(org, call, request.used_seconds, now)
            call.state = "ended"
        return ("settled", call.billed, call.charged, owed)

    def supervise(self, org: Organisation, call: Call | None, now: datetime) -> tuple:
        if call is None:
            return ("refused", "unknown_session")
        if call.state != "open" or call.supervise_until > now:
            return ("refused", "session_ended")
        owed = self.settle(org, call, call.used, now)
        call.state = "silent"
        return ("settled", call.billed, call.charged, owed)

    def grant(self, org: Organisation, call: Call, want_to: int, now: datetime) -> tuple:
        more = self.extend(org, call, want_to, now)
        to_second = min(want_to, 60 * (call.pool + call.credit))
        call.granted_to = max(call.granted_to, to_second)
        left = max(0, call.granted_to - call.used)
        call.supervise_until = now + timedelta(seconds=left + GRACE_SECONDS)
        granted = max(0, to_second - call.used)
        return ("granted", granted, to_second < want_to or not more, sum(call.holds.values()))

    def extend(self, org: Organisation, call: Call, want_to: int, now: datetime) -> bool:
        """Find minutes up to *want_to*, hold them, and say whether yet another second could be found."""
        wanted = minutes(want_to)
        budget = max(0, org.free(now) - org.owed) + sum(call.holds.values())
        free = org.free_minutes(call.pool_period) if "pool" in call.chain and not call.credit else 0
        taken = min(max(0, wanted - call.pool - call.credit), free)
        call.pool += taken
        org.pool_held[call.pool_period] = org.pool_held.get(call.pool_period, 0) + taken
        while (
            call.pool + call.credit < wanted
            and "credits" in call.chain
            and call.cost(call.pool, call.credit + 1) <= budget
        ):
            call.credit += 1
        self.hold(org, call, call.cost(call.pool, call.credit), now)
        # A call that has begun to be paid for past the second asked for goes on that long at least.
        found = 60 * (call.pool + call.credit)
        next_minute = free > taken or ("credits" in call.chain and call.cost(call.pool, call.credit + 1) <= budget)
        return found > 0 and (found > want_to or next_minute)

    def hold(self, org: Organisation, call: Call, target: int, now: datetime) -> None:
        need = target - sum(call.holds.values())
        assert need >= 0
        for lot in org.in_order():
            if lot.expires_at > now and need:
                taken = min(need, lot.remaining - lot.held)
                lot.held += taken
                call.holds[lot.reference] = call.holds.get(lot.reference, 0) + taken
                need -= taken
        assert need == 0

    def settle(self, org: Organisation, call: Call, used: int, now: datetime) -> int:
        talked = minutes(used)
        if talked > call.pool + call.credit:
            self.extend(org, call, used, now)
        from_pool = min(talked, call.pool)
        org.pool_held[call.pool_period] = org.pool_held.get(call.pool_period, 0) - call.pool
        org.pool_used[call.pool_period] = org.pool_used.get(call.pool_period, 0) + from_pool
        from_credit = talked - from_pool
        due = charged = call.cost(from_pool, from_credit)
        for lot in org.in_order():
            held = call.holds.pop(lot.reference, 0)
            spent = min(due, held)
            lot.held -= held
            lot.remaining -= spent
            due -= spent
        owed = org.take(due, now)
        org.owed += owed
        org.cover(now)
        call.pool, call.credit, call.used = from_pool, from_credit, used
        call.billed = 60 * (from_pool + (from_credit if "credits" in call.chain else 0))
        call.charged = charged
        return owed

    def settle_late(self, org: Organisation, call: Call, used: int, now: datetime) -> int:
        """Charge the minutes that a stop adds to a call that supervision has settled."""
        call.late = True
        before = call.pool + call.credit
        more = minutes(used) - before
        call.used = max(call.used, used)
        if more <= 0 or "credits" not in call.chain:
            return 0
        cost = call.cost(call.pool, call.credit + more) - call.cost(call.pool, call.credit)
        call.credit += more
        call.billed += 60 * more
        call.charged += cost
        owed = org.take(cost, now)
        org.owed += owed
        org.cover(now)
        return owed
