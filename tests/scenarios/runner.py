"""Run scenarios against a world: each command does one thing and compares what came of it with what the line says.

With *repeat* every charging request is sent twice: the answer must be the same and nothing may change.
"""

from collections.abc import Callable
from datetime import timedelta

from gettone.operations import directory
from gettone.operations.messages import (
    Answer,
    ChargeEvent,
    Grant,
    Reconciled,
    RecordCall,
    Refused,
    Request,
    Settled,
    SettleSilent,
    StartCall,
    StopCall,
    UpdateCall,
)
from tests.scenarios.language import Line, amount, instant, lines_of, seconds
from tests.support.world import World

PRODUCTS = {
    "domestic": "MCOPSTN1",
    "domestic-120": "MCOPSTN5",
    "domestic-240": "MCOPSTN6",
    "payg": "MCOPSTN_PAYG_1",
    "credits": "MCOPSTNC",
}
CALLER = "caller"
"""The user of the organisations that ``wallet`` makes: may call anywhere, paid from credits."""


class Runner:
    """Runs one scenario."""

    def __init__(self, world: World, *, repeat: bool = False) -> None:
        self.world = world
        self.repeat = repeat
        self.org_of: dict[str, str] = {}
        self.used: dict[str, int] = {}
        self.number: dict[str, int] = {}
        self.rates: list[list[str]] = []
        self.deck = {"from": "2020-01-01", "currency": "USD"}
        self.batch: list[Line] | None = None

    def run(self, text: str) -> None:
        """Do every line of *text*; at the end the books must be in order."""
        for line in lines_of(text, WORDS):
            if self.batch is not None and not line.batched:
                self.flush_batch()
            if line.command not in {"rate", "deck"}:
                self.flush_deck()
            if line.command in REQUESTS:
                if self.batch is None:
                    self.ask([line])
                else:
                    self.batch.append(line)
            else:
                COMMANDS[line.command][2](self, line)
        self.flush_batch()
        findings = self.world.findings()
        assert not findings, "\n".join(map(str, findings))

    # -- charging requests ---------------------------------------------------------------------------------------

    def flush_batch(self) -> None:
        batch, self.batch = self.batch, None
        if batch:
            self.ask(batch)

    def ask(self, lines: list[Line]) -> None:
        requests = [REQUESTS[line.command][2](self, line) for line in lines]
        answers = self.world.charge(*requests)
        for line, answer in zip(lines, answers, strict=True):
            self.compare(line, answer_says(answer), answer)
        if self.repeat:
            before = self.world.contents()
            again = self.world.charge(*requests)
            assert self.world.contents() == before, f"line {lines[0].number}: a repeated request changed something"
            for request, answer, second in zip(requests, answers, again, strict=True):
                if not isinstance(request, RecordCall | SettleSilent):
                    assert second == answer, f"line {lines[0].number}: a repeated request got another answer"

    def compare(self, line: Line, found: dict[str, object], shown: object) -> None:
        for word in line.said.keys() - INPUTS[line.command]:
            expected = READ[word](line.said[word]) if word in READ else line.said[word]
            assert word in found, f"line {line.number}: {line.text}\n  no {word!r} in {shown}"
            assert found[word] == expected, f"line {line.number}: {line.text}\n  {word}: {found[word]}\n  in {shown}"
        if line.command in REQUESTS:
            refused = isinstance(shown, Refused)
            assert refused == line.has("refused"), f"line {line.number}: {line.text}\n  answered {shown}"

    def next_number(self, line: Line, session_id: str) -> int:
        number = int(line.get("number", "-1"))
        if number < 0:
            number = self.number.get(session_id, -1) + 1
        self.number[session_id] = max(number, self.number.get(session_id, -1))
        return number

    def opening(self, line: Line) -> dict:
        session_id, org_id, called = line.about
        self.org_of[session_id] = org_id = "" if org_id == "-" else org_id.lower()
        calling = line.get("from")
        by = line.get("by") or ("" if calling else CALLER)
        return {
            "session_id": session_id,
            "org_id": org_id,
            "called": called,
            "calling": calling,
            "user": "" if by == "-" else by,
            "at": instant(line.get("at")) if line.has("at") else None,
        }

    def start(self, line: Line) -> Request:
        number = self.next_number(line, line.about[0])
        wants, call_type = seconds(line.get("wants", "300s")), line.get("type")
        opening = self.opening(line)
        return StartCall(request_number=number, requested_seconds=wants, call_type=call_type, **opening)

    def update(self, line: Line) -> Request:
        [session_id] = line.about
        return UpdateCall(
            session_id=session_id,
            org_id=self.org_of.get(session_id) or line.get("of").lower(),
            request_number=self.next_number(line, session_id),
            used_seconds=seconds(line.get("used", "0s")),
            requested_seconds=seconds(line.get("wants", "300s")),
        )

    def stop(self, line: Line) -> Request:
        [session_id] = line.about
        return StopCall(
            session_id=session_id,
            org_id=self.org_of.get(session_id) or line.get("of").lower(),
            request_number=self.next_number(line, session_id),
            used_seconds=seconds(line.get("used", "0s")),
        )

    def event(self, line: Line) -> Request:
        number = self.next_number(line, line.about[0])
        event, units = line.get("event", "sms"), int(line.get("units", "1"))
        return ChargeEvent(request_number=number, event=event, units=units, **self.opening(line))

    def record(self, line: Line) -> Request:
        used, live = seconds(line.get("used", "0s")), line.get("live")
        return RecordCall(used_seconds=used, live_session_id=live, **self.opening(line))

    def supervise(self, line: Line) -> Request:
        [session_id] = line.about
        return SettleSilent(session_id=session_id, org_id=self.org_of[session_id])

    # -- the world around ----------------------------------------------------------------------------------------

    def clock(self, line: Line) -> None:
        [when] = line.about
        if when.startswith("+"):
            self.world.now += timedelta(seconds=seconds(when[1:]))
        else:
            self.world.now = instant(when)

    def together(self, _line: Line) -> None:
        self.batch = []

    def begin_deck(self, line: Line) -> None:
        self.flush_deck()
        self.deck = {"from": line.about[0], "currency": line.get("currency", "USD")}

    def rate(self, line: Line) -> None:
        where, price, increments = line.about
        value, _, per = price.partition("/")
        prefix = where.removeprefix("+") if where.startswith("+") else ""
        country, _, kind = ("", "", "") if prefix else where.partition("/")
        service = "sms" if per == "message" else "voice"
        increments = "" if service == "sms" else increments
        per = {"min": "minute"}.get(per, per)
        days, hours, zone = line.get("days"), line.get("hours"), line.get("zone", "UTC")
        extra = [line.get("connect", "0"), line.get("steps").replace(",", " "), days, hours, zone]
        limits = [line.get("minimum"), line.get("maximum"), line.get("rounding").replace(",", " ")]
        self.rates.append([prefix, country, kind, service, value, per, increments, *extra, *limits])

    def flush_deck(self) -> None:
        if self.rates:
            rows = "\n".join(",".join(f'"{cell}"' for cell in row) for row in self.rates)
            csv = f"{','.join(DECK_HEADER)}\n{rows}\n"
            self.rates = []
            self.world.deck(csv, currency=self.deck["currency"], effective_from=instant(self.deck["from"]))

    def organisation(self, line: Line) -> None:
        self.world.organisation(
            line.org,
            country=line.get("country", "US"),
            currency=line.get("currency", "USD"),
            time_zone=line.get("zone", "UTC"),
            post_usage=line.has("post-usage"),
        )

    def close(self, line: Line) -> None:
        directory.close_organisation(self.world.office, line.org)

    def wallet(self, line: Line) -> None:
        _, value, currency = line.about
        org_id = line.org
        self.world.organisation(org_id, currency=currency)
        self.world.user(org_id, CALLER, "US", [PRODUCTS["payg"], PRODUCTS["credits"]])
        if amount(value):
            self.put(org_id, value, line, "first")

    def fund(self, line: Line) -> None:
        org_id, value = line.org, line.about[1]
        self.put(org_id, value, line, line.get("as", f"line {line.number}"))

    def put(self, org_id: str, value: str, line: Line, reference: str) -> None:
        expires = instant(line.get("expires")) if line.has("expires") else None
        booked = self.world.fund(org_id, amount(value), reference=reference, expires_at=expires)
        self.compare(line, {"covered": booked.covered_micros}, booked)

    def adjust(self, line: Line) -> None:
        org_id, value = line.org, line.about[1]
        self.world.adjust(org_id, amount(value), reference=f"line {line.number}")

    def user(self, line: Line) -> None:
        _, name, location = line.about
        products = [PRODUCTS[product] for product in line.get("with").split(",") if product not in {"", "-"}]
        self.world.user(line.org, name, "" if location == "-" else location, products)

    def licences(self, line: Line) -> None:
        """Give a user other products."""
        org_id, name = line.org, line.about[1]
        products = [PRODUCTS[product] for product in line.get("with").split(",") if product not in {"", "-"}]
        directory.set_products(self.world.office, org_id, name, products, self.world.now)

    def serve(self, line: Line) -> None:
        org_id, number = line.org, line.about[1]
        self.world.number(org_id, number, user=line.get("for"), use=line.get("rings"))

    def expire(self, line: Line) -> None:
        lost = sum(expired.amount_micros for expired in self.world.expire())
        self.compare(line, {"lost": lost}, lost)

    # -- what is there -------------------------------------------------------------------------------------------

    def check(self, line: Line) -> None:
        org_id = line.org
        wallet, books = self.world.wallet(org_id), self.world.ledger(org_id)
        found = {
            "posted": wallet.posted_micros,
            "held": wallet.held_micros,
            "available": wallet.available_micros,
            "overrun": wallet.overrun_micros,
            "expired": wallet.expired_micros,
            **{
                account: books.get(account, 0)
                for account in ("funding", "usage", "breakage", "receivable", "adjustment")
            },
        }
        self.compare(line, found, wallet)

    def lot(self, line: Line) -> None:
        org_id, reference = line.org, line.about[1]
        lot = self.world.lots(org_id)[reference]
        self.compare(line, {"remaining": lot.remaining_micros, "held": lot.held_micros}, lot)

    def pool(self, line: Line) -> None:
        org_id, key = line.org, line.about[1]
        pool = self.world.pools(org_id, int(line.get("month", "0")) or None)[_pool_key(key)]
        found = {"size": pool.size_seconds, "used": pool.used_seconds, "held": pool.held_seconds}
        self.compare(line, found, pool)

    def call(self, line: Line) -> None:
        """Compare the record of a call; ``paid`` lists who paid which seconds."""
        [session_id] = line.about
        detail = self.world.call(self.org_of[session_id], session_id)
        paid = ",".join(f"{part.payer}:{part.from_second}-{part.from_second + part.seconds}" for part in detail.usage)
        found = {
            "state": detail.call.state,
            "was": detail.call.call_type,
            "ended-by": detail.call.ended_by,
            "to": detail.call.country,
            "kind": detail.call.kind,
            "billed": detail.call.billed_seconds,
            "charged": detail.call.charged_micros,
            "paid": paid,
        }
        self.compare(line, found, detail)

    def verify(self, line: Line) -> None:
        findings = self.world.findings()
        assert not findings, f"line {line.number}:\n" + "\n".join(map(str, findings))


def _pool_key(text: str) -> str:
    area, _, product = text.partition("/")
    return f"{area}/{PRODUCTS.get(product, product)}"


def answer_says(answer: Answer) -> dict[str, object]:
    """Return an answer in the words of a scenario."""
    match answer:
        case Grant():
            said = {"granted": answer.granted_seconds, "holds": answer.held_micros, "payer": answer.payer}
            said |= {"valid": answer.valid_seconds, "why": answer.reason.value if answer.reason else ""}
            return said | ({"final": None} if answer.final else {"more": None})
        case Settled():
            connection = sum(part.connection_micros for part in answer.parts)
            said = {"billed": answer.billed_seconds, "charged": answer.charged_micros, "connection": connection}
            return said | {"overran": answer.overrun_micros, "lasted": answer.used_seconds}
        case Reconciled():
            said = {"reconciled": answer.difference_seconds, "charged": answer.charged_micros}
            said |= {"duplicate": None} if answer.duplicate else {}
            return said | ({"open": None} if answer.still_open else {})
        case Refused():
            return {"refused": answer.reason.value, "because": answer.detail}


DECK_HEADER = ("prefix", "country", "kind", "service", "price", "per", "increments", "connection_charge", "steps")
DECK_HEADER += ("days", "hours", "zone", "minimum_charge", "maximum_charge", "rounding")

_OPENING = "by from at number"
# Of each command: how many words it is about, and the words that say what to do; every other word is an expectation.
REQUESTS: dict[str, tuple[int, str, Callable[[Runner, Line], Request]]] = {
    "start": (3, f"{_OPENING} type wants", Runner.start),
    "update": (1, "of number used wants", Runner.update),
    "stop": (1, "of number used", Runner.stop),
    "event": (3, f"{_OPENING} event units", Runner.event),
    "record": (3, f"{_OPENING} used live", Runner.record),
    "supervise": (1, "", Runner.supervise),
}
COMMANDS: dict[str, tuple[int, str, Callable[[Runner, Line], None]]] = {
    "adjust": (2, "", Runner.adjust),
    "call": (1, "", Runner.call),
    "check": (1, "", Runner.check),
    "clock": (1, "", Runner.clock),
    "close": (1, "", Runner.close),
    "deck": (1, "currency", Runner.begin_deck),
    "expire": (0, "", Runner.expire),
    "fund": (2, "as expires", Runner.fund),
    "licences": (2, "with", Runner.licences),
    "lot": (2, "", Runner.lot),
    "number": (2, "for rings", Runner.serve),
    "org": (1, "country currency zone post-usage", Runner.organisation),
    "pool": (2, "month", Runner.pool),
    "rate": (3, "connect steps days hours zone minimum maximum rounding", Runner.rate),
    "together": (0, "", Runner.together),
    "user": (3, "with", Runner.user),
    "verify": (0, "", Runner.verify),
    "wallet": (3, "expires", Runner.wallet),
}
WORDS = {name: about for name, (about, *_) in {**REQUESTS, **COMMANDS}.items()}
INPUTS = {name: set(words.split()) for name, (_, words, _) in {**REQUESTS, **COMMANDS}.items()}

AMOUNTS = {"posted", "available", "overrun", "expired", "usage", "breakage", "receivable", "adjustment", "remaining"}
AMOUNTS |= {"funding", "charged", "connection", "overran", "holds", "covered", "lost"}
SPANS = {"granted", "billed", "lasted", "reconciled", "valid", "size", "used"}
READ: dict[str, Callable[[str | None], object]] = {
    **{word: lambda text: amount(text or "") for word in AMOUNTS},
    **{word: lambda text: seconds(text or "") for word in SPANS},
    # Credit of a wallet or lot, seconds of a pool.
    "held": lambda text: seconds(text) if text and text[-1].isalpha() else amount(text or ""),
    "because": lambda text: Containing(text or ""),
}


class Containing(str):
    """A text that equals whatever contains it, underscores standing for blanks."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self.replace("_", " ") in str(other).replace("_", " ")

    __hash__ = str.__hash__
