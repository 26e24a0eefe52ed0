"""A second opinion on charging, as plain as can be: minutes counted one by one, lots as rows of a list.

It knows calls billed by the minute, from pools, from credits and by post-usage billing, and the limits on what they may
cost, which is all that the random programs of `tests.properties.play` make. Nothing is counted along the way: what a
limit is about is added up from all calls each time. It shares no code with what it checks but the requests.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from gettone.operations.messages import RecordCall, Request, SettleSilent, StartCall, StopCall, UpdateCall

GRACE_SECONDS = 60
CONNECT = {"GB": 20_000, "US": 0}
PER_MINUTE = {"GB": 10_000, "US": 30_000}
NUMBERS = {"GB": "+442079460123", "US": "+12125550123"}
COUNTRY = {number: country for country, number in NUMBERS.items()}
ABROAD = {"GB"}
"""Everybody is at home in the US."""

CREDITS = {"payg", "plan", "world", "own"}
"""Who holds the licence for credits."""

POOLS = {
    ("plan", "US"): "shared",
    ("only", "US"): "shared",
    ("own", "US"): "own",
    ("world", "US"): "domestic",
    ("world", "GB"): "international",
}
"""Whose calls whither draw on which minutes."""

TWIN = {"domestic": "international", "international": "domestic"}
USERS = ("only", "own", "payg", "plan", "world")
ORGANISATION = ""


def minutes(seconds: int) -> int:
    return -(-seconds // 60)


def month(at: datetime) -> int:
    return at.year * 100 + at.month


def hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)


@dataclass
class Lot:
    """One purchase."""

    reference: str
    expires_at: datetime
    remaining: int
    held: int = 0


@dataclass
class Call:
    """A call: *minutes* counts those that are found for it so far, by who pays them, in the order of *chain*."""

    user: str
    country: str
    chain: list[str]
    started_at: datetime
    groups: list[str]
    last_number: int = 0
    state: str = "open"
    minutes: dict[str, int] = field(default_factory=dict)
    used: int = 0
    granted_to: int = 0
    holds: dict[str, int] = field(default_factory=dict)
    supervise_until: datetime | None = None
    billed: int = 0
    charged: int = 0
    receivable: int = 0
    late: bool = False
    committed_in: dict[datetime, int] = field(default_factory=dict)
    answers: dict[int, tuple[Request, tuple]] = field(default_factory=dict)

    @property
    def pool(self) -> str:
        """The minutes that the call begins with, if any."""
        return next((payer for payer in self.chain if payer not in {"credits", "post"}), "")

    @property
    def found(self) -> int:
        return sum(self.minutes.values())

    @property
    def international(self) -> bool:
        return self.country in ABROAD

    @property
    def subjects(self) -> list[str]:
        """Whose spending it counts for."""
        return [f"user/{self.user}", *self.groups, *([ORGANISATION] if self.international else [])]

    def price(self, payer: str, count: int) -> int:
        """Price of *count* minutes that *payer* pays; whoever opens the call pays for the connection."""
        if not count or payer not in {"credits", "post"}:
            return 0
        opens = not any(self.minutes.get(before) for before in self.chain[: self.place(payer)])
        return count * PER_MINUTE[self.country] + (CONNECT[self.country] if opens else 0)

    def place(self, payer: str) -> int:
        return self.chain.index(payer) if payer in self.chain else len(self.chain)

    def cost(self, payer: str) -> int:
        return self.price(payer, self.minutes.get(payer, 0))

    @property
    def may_cost(self) -> int:
        """What it holds of credit, and what post-usage billing was promised."""
        return self.cost("credits") + self.cost("post") if self.state == "open" else 0


@dataclass
class Organisation:
    """An organisation's money, minutes and rules."""

    lots: list[Lot] = field(default_factory=list)
    owed: int = 0
    bought: int = 0
    expired: int = 0
    post_usage: bool = False
    size: dict[str, int] = field(default_factory=dict)
    used: dict[tuple[str, int], int] = field(default_factory=dict)
    held: dict[tuple[str, int], int] = field(default_factory=dict)
    calls: dict[str, Call] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)
    limits: dict[str, int | None] = field(default_factory=dict)
    user_limit: int | None = None
    concurrent: int | None = 10
    hour_limits: dict[str, int | None] = field(default_factory=dict)
    block_hours: int = 24
    blocked: dict[str, datetime] = field(default_factory=dict)

    def in_order(self) -> list[Lot]:
        return sorted(self.lots, key=lambda lot: (lot.expires_at, lot.reference))

    def free(self, now: datetime) -> int:
        return sum(lot.remaining - lot.held for lot in self.lots if lot.expires_at > now)

    def free_minutes(self, pool: str, period: int) -> int:
        twin = TWIN.get(pool)
        if twin and self.used.get((twin, period), 0) >= self.size[twin]:
            return 0
        return max(0, self.size[pool] - self.used.get((pool, period), 0) - self.held.get((pool, period), 0))

    def move(self, pool: str, period: int, *, held: int, used: int = 0) -> None:
        self.held[pool, period] = self.held.get((pool, period), 0) + held
        self.used[pool, period] = self.used.get((pool, period), 0) + used

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

    # -- limits --------------------------------------------------------------------------------------------------

    def counted(self, subject: str, period: int) -> Iterator[Call]:
        """Yield the calls that count for *subject*."""
        for call in self.calls.values():
            if call.state != "refused" and month(call.started_at) == period and subject in call.subjects:
                yield call

    def tally(self, subject: str, period: int) -> tuple[int, int, int]:
        """Running calls, what they may cost, what the others have cost."""
        calls = list(self.counted(subject, period))
        running = [call for call in calls if call.state == "open"]
        return len(running), sum(call.may_cost for call in running), sum(call.charged for call in calls)

    def in_hour(self, subject: str, period: int, now: datetime) -> int:
        """What international calls committed within the clock hour."""
        calls = (call for call in self.counted(subject, period) if call.international)
        return sum(call.committed_in.get(hour(now), 0) for call in calls)

    def limit(self, subject: str) -> int | None:
        """What *subject* may spend in a month."""
        own = self.limits.get(subject)
        return self.user_limit if own is None and subject.startswith("user/") else own

    def left(self, call: Call, now: datetime) -> tuple[int, str, str] | None:
        """What the tightest limit leaves of *call*, the reason that it gives, and whose it is."""
        period = month(call.started_at)
        found: list[tuple[int, str, str]] = []
        for subject in [f"user/{call.user}", *call.groups]:
            limit = self.limit(subject)
            if limit is not None:
                _, held, spent = self.tally(subject, period)
                kind = "spend_limit_reached" if subject.startswith("user/") else "group_spend_limit_reached"
                found.append((limit - held - spent, kind, subject))
        for subject in [f"user/{call.user}", ORGANISATION] if call.international else []:
            limit = self.hour_limits.get("organisation" if subject == ORGANISATION else "user")
            if limit is not None:
                found.append((limit - self.in_hour(subject, period, now), "international_spend_limit", subject))
        return min(found, key=lambda one: one[0]) if found else None

    def running(self, user: str, now: datetime) -> int:
        """How many calls of *user* the guard sees: those that began before last month are forgotten."""
        since = month(now - timedelta(days=32))
        calls = (call for call in self.calls.values() if call.user == user and call.state == "open")
        return sum(month(call.started_at) >= since for call in calls)


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
        if isinstance(request, RecordCall):
            return self.record(org, call, request, now)
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

    def opened(self, org: Organisation, request: StartCall | RecordCall, now: datetime) -> Call:
        user, country = who(request), COUNTRY[request.called]
        chain = [POOLS[user, country]] if (user, country) in POOLS else []
        chain += ["credits"] if user in CREDITS else []
        chain += ["post"] if org.post_usage else []
        return Call(user, country, chain, now, list(org.groups[user]), request.request_number)

    def start(self, org: Organisation, request: StartCall, now: datetime) -> tuple:
        call = self.opened(org, request, now)
        exhausted = "insufficient_credit" if call.user in CREDITS else "no_credits_licence"
        call.state, reason = "refused", ""
        if org.blocked.get(call.user, now) > now:
            reason = "user_blocked"
        elif not call.chain:
            reason = exhausted
        elif org.concurrent is not None and org.running(call.user, now) >= org.concurrent:
            reason = "too_many_calls"
        if not reason:
            org.calls[request.session_id] = call
            call.state = "open"
            answer = self.grant(org, call, request.requested_seconds, now)
            if call.found:
                return answer
            call.state, reason = "refused", answer[-1]
        org.calls[request.session_id] = call
        return ("refused", reason)

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
            owed = self.settle(org, call, request.used_seconds, now, "ended")
        return ("settled", call.billed, call.charged, owed)

    def supervise(self, org: Organisation, call: Call | None, now: datetime) -> tuple:
        if call is None:
            return ("refused", "unknown_session")
        if call.state != "open" or call.supervise_until > now:
            return ("refused", "session_ended")
        owed = self.settle(org, call, call.used, now, "silent")
        return ("settled", call.billed, call.charged, owed)

    def record(self, org: Organisation, call: Call | None, request: RecordCall, now: datetime) -> tuple:
        """Charge a call that was made, whatever forbids it; once."""
        if call is not None:
            return ("reconciled", call.charged)
        call = self.opened(org, request, now)
        if not call.chain:
            return ("refused", "no_credits_licence")
        org.calls[request.session_id] = call
        owed = self.settle(org, call, request.used_seconds, now, "ended")
        return ("settled", call.billed, call.charged, owed)

    def grant(self, org: Organisation, call: Call, want_to: int, now: datetime) -> tuple:
        """Find minutes; what is answered ends with why there are none, if so."""
        limit = org.left(call, now)
        before = call.may_cost
        allowed = None if limit is None else max(0, limit[0]) + before
        budget = max(0, org.free(now) - org.owed) + sum(call.holds.values())
        more = self.extend(org, call, want_to, now, allowed)
        by_limit = limit and not more and self.could_go_on(org, call, budget)
        reason = limit[1] if by_limit else "insufficient_credit" if call.user in CREDITS else "no_credits_licence"
        self.commit(call, call.may_cost - before, now)
        if by_limit and not call.found and reason == "international_spend_limit" and limit[2] and org.block_hours:
            committed, at_most = org.in_hour(limit[2], month(call.started_at), now), org.hour_limits["user"]
            if committed * 100 >= at_most * 80:
                org.blocked[call.user] = now + timedelta(hours=org.block_hours)
        to_second = min(want_to, 60 * call.found)
        call.granted_to = max(call.granted_to, to_second)
        left = max(0, call.granted_to - call.used)
        call.supervise_until = now + timedelta(seconds=left + GRACE_SECONDS)
        granted = max(0, to_second - call.used)
        final = to_second < want_to or not more
        return ("granted", granted, final, sum(call.holds.values()), "" if granted else reason)

    def extend(self, org: Organisation, call: Call, want_to: int, now: datetime, allowed: int | None) -> bool:
        """Find minutes up to *want_to*, hold them, and say whether yet another second could be found."""
        wallet = max(0, org.free(now) - org.owed) + sum(call.holds.values())
        wanted, more = minutes(want_to), False
        for payer in call.chain:
            if any(call.minutes.get(later) for later in call.chain[call.place(payer) + 1 :]):
                continue
            while not (more := call.found >= minutes(want_to + 1)) and self.another(org, call, payer, wallet, allowed):
                if call.found == wanted:
                    more = True
                    break
                call.minutes[payer] = call.minutes.get(payer, 0) + 1
                if payer == call.pool:
                    org.move(payer, month(call.started_at), held=1)
            if more:
                break
        self.hold(org, call, call.cost("credits"), now)
        return more

    def could_go_on(self, org: Organisation, call: Call, wallet: int) -> bool:
        """Whether another minute could be paid if there were no limit."""
        payers = [
            payer
            for payer in call.chain
            if not any(call.minutes.get(later) for later in call.chain[call.place(payer) + 1 :])
        ]
        return any(self.another(org, call, payer, wallet, None) for payer in payers)

    def another(self, org: Organisation, call: Call, payer: str, wallet: int, allowed: int | None) -> bool:
        """Whether *payer* could pay one minute more."""
        if payer == call.pool:
            return org.free_minutes(payer, month(call.started_at)) > 0
        price = call.price(payer, call.minutes.get(payer, 0) + 1)
        if payer == "credits":
            return price <= (wallet if allowed is None else min(wallet, allowed))
        return allowed is None or price + call.cost("credits") <= allowed

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

    def commit(self, call: Call, micros: int, now: datetime) -> None:
        """Count *micros* for the hour; what a call of an earlier hour gives back was not counted in this one."""
        if micros > 0 or hour(call.started_at) == hour(now):
            call.committed_in[hour(now)] = call.committed_in.get(hour(now), 0) + micros

    def settle(self, org: Organisation, call: Call, used: int, now: datetime, state: str) -> int:
        before, talked = call.may_cost, minutes(used)
        if talked > call.found:
            self.extend(org, call, used, now, None)
        for payer in call.chain:
            found = call.minutes.get(payer, 0)
            call.minutes[payer] = kept = min(found, talked)
            talked -= kept
            if payer == call.pool:
                org.move(payer, month(call.started_at), held=-found, used=kept)
        # Usage that nothing covers is charged to credits, whoever holds the licence.
        call.minutes["credits"] = call.minutes.get("credits", 0) + talked
        due, post = call.cost("credits"), call.cost("post")
        for lot in org.in_order():
            held = call.holds.pop(lot.reference, 0)
            spent = min(due, held)
            lot.held -= held
            lot.remaining -= spent
            due -= spent
        owed = org.take(due, now)
        org.owed += owed
        org.cover(now)
        call.state, call.used, call.billed = state, used, 60 * call.found
        call.charged, call.receivable = call.cost("credits") + post, post
        self.commit(call, call.charged - before, now)
        return owed

    def settle_late(self, org: Organisation, call: Call, used: int, now: datetime) -> int:
        """Charge the minutes that a stop adds to a call that supervision has settled."""
        call.late = True
        more = minutes(used) - call.found
        call.used = max(call.used, used)
        if more <= 0:
            return 0
        paid_by = next((payer for payer in reversed(call.chain) if call.minutes.get(payer)), call.chain[0])
        payer = "post" if paid_by == "post" else "credits"
        if payer == "credits" and "post" in call.chain:
            # Credits pay only what they cover, where something else can pay.
            costs = call.price(payer, call.minutes.get(payer, 0) + more) - call.cost(payer)
            if payer not in call.chain or costs > org.free(now):
                payer = "post"
        before = call.cost(payer)
        call.minutes[payer] = call.minutes.get(payer, 0) + more
        cost = call.cost(payer) - before
        call.billed += 60 * more
        call.charged += cost
        self.commit(call, cost, now)
        if payer == "post":
            call.receivable += cost
            return 0
        owed = org.take(cost, now)
        org.owed += owed
        org.cover(now)
        return owed


def who(request: StartCall | RecordCall) -> str:
    """The user who calls, whether by id, by name or by number."""
    if request.user:
        return request.user.partition("@")[0]
    return USERS[int(request.calling[-1])]
