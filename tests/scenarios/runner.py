"""Run scenarios against a world: each command does one thing and compares what came of it with what the line says.

With *repeat* every charging request is sent twice: the answer must be the same and nothing may change.
"""

from collections.abc import Callable

from gettone.errors import GettoneError
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
from tests.scenarios import back_office, money
from tests.scenarios.back_office import CALLER, Found
from tests.scenarios.language import Line, amount, instant, lines_of, seconds
from tests.support.world import World


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
            if line.command not in REQUESTS:
                self.do(line)
            elif self.batch is None:
                self.ask([line])
            else:
                self.batch.append(line)
        self.flush_batch()
        findings = self.world.findings()
        assert not findings, "\n".join(map(str, findings))

    def do(self, line: Line) -> None:
        """Do what is no charging request; with ``error`` it must be turned down and leave everything as it was."""
        if not line.has("error"):
            found = self.outcome(line)
            self.compare(line, found or {}, found)
            return
        before = self.world.contents()
        try:
            self.outcome(line)
        except GettoneError as error:
            self.compare(line, {"error": error}, error)
        else:
            raise AssertionError(f"line {line.number}: {line.text}\n  was not refused")
        assert self.world.contents() == before, f"line {line.number}: what was refused left something behind"

    def outcome(self, line: Line) -> Found:
        own = COMMANDS.get(line.command)
        return own[2](self, line) if own else OF_THE_WORLD[line.command][2](self.world, line)

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
            read = money.READ.get((line.command, word)) or READ.get(word)
            expected = read(line.said[word]) if read else line.said[word]
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
        used, live, call_type = seconds(line.get("used", "0s")), line.get("live"), line.get("type")
        return RecordCall(used_seconds=used, live_session_id=live, call_type=call_type, **self.opening(line))

    def supervise(self, line: Line) -> Request:
        [session_id] = line.about
        return SettleSilent(session_id=session_id, org_id=self.org_of[session_id])

    # -- the world around ----------------------------------------------------------------------------------------

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

    # -- what is there -------------------------------------------------------------------------------------------

    def quote(self, line: Line) -> Found:
        """Ask what a call would cost; it must change nothing."""
        org_id, called = line.org, line.about[1]
        by, call_type, wants = line.get("by", CALLER), line.get("type"), seconds(line.get("wants", "300s"))
        request = StartCall(
            session_id="quote",
            org_id=org_id,
            called=called,
            user=by,
            call_type=call_type,
            requested_seconds=wants,
        )
        before = self.world.contents()
        found = self.world.quote(request)
        assert self.world.contents() == before, f"line {line.number}: a quote changed something"
        why = found.reason.value if found.reason else "none"
        return {"lasts": found.affordable_seconds, "charged": found.charged_micros, "why": why}

    def call(self, line: Line) -> Found:
        """Compare the record of a call; ``paid`` lists who paid which seconds, ``as`` under which codes."""
        [session_id] = line.about
        detail = self.world.call(self.org_of[session_id], session_id)
        paid = ",".join(f"{part.payer}:{part.from_second}-{part.from_second + part.seconds}" for part in detail.usage)
        return {
            "state": detail.call.state,
            "was": detail.call.call_type,
            "by": detail.call.user_id,
            "ended-by": detail.call.ended_by,
            "to": detail.call.country,
            "kind": detail.call.kind,
            "billed": detail.call.billed_seconds,
            "charged": detail.call.charged_micros,
            "paid": paid,
            "pools": ",".join(part.pool_key for part in detail.usage if part.pool_key),
            "as": ",".join(part.capability for part in detail.usage),
        }


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
    "record": (3, f"{_OPENING} type used live", Runner.record),
    "supervise": (1, "", Runner.supervise),
}
COMMANDS: dict[str, tuple[int, str, Callable[[Runner, Line], Found]]] = {
    "call": (1, "", Runner.call),
    "deck": (1, "currency", Runner.begin_deck),
    "quote": (2, "by type wants", Runner.quote),
    "rate": (3, "connect steps days hours zone minimum maximum rounding", Runner.rate),
    "together": (0, "", Runner.together),
}
OF_THE_WORLD = {**back_office.COMMANDS, **money.COMMANDS}
_ALL = {**REQUESTS, **COMMANDS, **OF_THE_WORLD}
WORDS = {name: about for name, (about, *_) in _ALL.items()}
INPUTS = {name: set(words.split()) for name, (_, words, _) in _ALL.items()}

AMOUNTS = {"posted", "available", "overrun", "expired", "usage", "breakage", "receivable", "adjustment", "remaining"}
AMOUNTS |= {"funding", "charged", "connection", "overran", "holds", "covered", "lost", "spent", "left"}
SPANS = {"granted", "billed", "lasted", "lasts", "reconciled", "valid", "size", "used"}
COUNTS = {"bought", "assigned", "calls", "changed", "count", "ended"}
READ: dict[str, Callable[[str | None], object]] = {
    **{word: lambda text: amount(text or "") for word in AMOUNTS},
    **{word: lambda text: seconds(text or "") for word in SPANS},
    **{word: lambda text: int(text or "") for word in COUNTS},
    # Credit of a wallet or lot, seconds of a pool.
    "held": lambda text: seconds(text) if text and text[-1].isalpha() else amount(text or ""),
    **{word: lambda text: Containing(text or "") for word in ("because", "says", "error")},
    "until": lambda text: instant(text or ""),
}


class Containing(str):
    """A text that equals whatever contains it, underscores standing for blanks."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self.replace("_", " ") in str(other).replace("_", " ")

    __hash__ = str.__hash__
