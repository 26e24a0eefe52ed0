"""Reads the truth table (docs/reference/truth-table.md) and plays its rows: each is a call, and who pays for it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gettone.domain.money import parse_micros
from gettone.operations import bars, blocks, directory, numbers, policies, subscriptions, topups
from gettone.operations.messages import Grant, RecordCall, Refused, Settled, StartCall, StopCall
from tests.support.documentation import code_blocks
from tests.support.world import World

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "truth-table.md"
HEADER = ["call", "number", "who", "before", "talks", "paid by", "charged", "refused"]
RATES_HEADER = "prefix,country,kind,service,price,per,increments,connection_charge"

PAYG = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_{})"
LICENCES = {
    "domestic": ("MCOEV", "MCOPSTN1"),
    "120": ("MCOEV", "MCOPSTN_5"),
    "intl": ("MCOEV", "MCOPSTN2"),
    "credits": ("MCOPSTNC",),
    "conf": ("MCOMEETADV",),
    "conf-us-ca": ("Microsoft_Teams_Audio_Conferencing_select_dial_out",),
    "conf-minute": ("MCOMEETACPEA",),
    "add-on": ("MCOMEETADD_DIALOUT_US",),
    "e5-minutes": ("SPE_E5_CALLINGMINUTES",),
    "e5": ("SPE_E5",),
    "resource": ("PHONESYSTEM_VIRTUALUSER",),
    "voice": ("BUSINESS_VOICE_MED2",),
    "voice-no-plan": ("BUSINESS_VOICE_DIRECTROUTING_MED",),
}
SOLD = datetime(2022, 1, 10, 12, tzinfo=UTC)
"""A day on which everything was sold that the table speaks of: what was bought then is still held."""


@dataclass(frozen=True)
class Row:
    """A line of the table, by column."""

    line: int
    call: str
    number: str
    who: str
    before: tuple[str, ...]
    talks: str
    paid: str
    charged: str
    refused: str

    def __str__(self) -> str:
        before = " ".join(self.before)
        return re.sub(r"[^\w+.-]+", "-", f"{self.line} {self.call} {self.number} {self.who} {before}").strip("-")

    def states(self, word: str) -> list[str]:
        """What the statements that begin with *word* say behind it."""
        return [said[len(word) :].strip() for said in self.before if said.split()[0] == word]

    def state(self, word: str) -> str:
        return next(iter(self.states(word)), "")

    def has(self, word: str) -> bool:
        return bool(self.states(word))


def rows() -> list[Row]:
    """Every line of every table of the page."""
    found: list[Row] = []
    in_table = False
    for line, text in enumerate(PAGE.read_text().splitlines(), start=1):
        cells = [cell.strip() for cell in text.strip().strip("|").split("|")]
        if not text.startswith("|"):
            in_table = False
        elif cells == HEADER:
            in_table = True
        elif in_table and set(text) - set("|- "):
            call, number, who, before, *rest = cells
            stated = tuple(said.strip() for said in before.split(",") if said.strip())
            found.append(Row(line, call, number, who, stated, *rest))
    return found


def block(word: str) -> list[list[str]]:
    """The words of each line of the block of the page that is marked with *word*."""
    [text] = [block.text for block in code_blocks(PAGE) if block.words == (word,)]
    return [line.split() for line in text.splitlines() if line.strip()]


def rates() -> str:
    """The rate deck of the page."""
    lines = [RATES_HEADER]
    for where, price in block("rates"):
        country, _, kind = where.partition("/")
        prefix = country.removeprefix("+") if country.startswith("+") else ""
        lines.append(f"{prefix},{'' if prefix else country},{kind},voice,{price},minute,60/60,0")
    return "\n".join(lines) + "\n"


def seconds(text: str) -> int:
    return int(text.removesuffix("m")) * 60


class Play:
    """Plays one row in an organisation of its own."""

    def __init__(self, world: World, row: Row, *, as_record: bool) -> None:
        self.world = world
        self.row = row
        self.as_record = as_record
        self.org = f"row{row.line}{'r' if as_record else ''}"
        self.now = self.world.now
        self.user = ""

    def run(self) -> None:
        """Make what was there before, make the call, compare, and leave the numbers to the next row."""
        row, office = self.row, self.world.office
        if on := row.state("on"):
            self.world.now = datetime.fromisoformat(on).replace(hour=12, tzinfo=UTC)
        directory.create_organisation(
            office,
            org_id=self.org,
            name=self.org,
            country="US",
            currency="USD",
            now=SOLD,
        )
        self.make_user()
        owned = self.make_number()
        directory.change_organisation(
            office,
            self.org,
            country=row.state("country") or "US",
            post_usage=row.has("post-usage"),
            now=self.world.now,
        )
        self.prepare()
        try:
            self.compare(self.record() if self.as_record else self.live())
        finally:
            self.world.now = self.now
            if owned:
                numbers.release_number(office, self.org, owned)

    # -- what is there -------------------------------------------------------------------------------------------

    def make_user(self) -> None:
        location, *names = self.row.who.split()
        if location == "-":
            location = ""
        products = [product for name in names if name != "-" for product in self.products(name, location)]
        for product in products:
            self.buy(product, 1)
        if location or products or not self.row.call.endswith("_in"):
            self.user = "caller"
            new = directory.NewUser(
                user_id=self.user,
                upn=f"caller@{self.org}.example",
                usage_location=location,
                products=tuple(products),
                resource="resource" in names,
            )
            directory.create_user(self.world.office, self.org, new, self.world.now)

    def products(self, name: str, location: str) -> tuple[str, ...]:
        if name == "payg":
            products = ("MCOEV", PAYG.format(1 if location in {"US", "PR", "CA", "GB"} else 2))
        else:
            products = LICENCES[name]
        # A resource account has a licence of its own in place of Phone System.
        return tuple(product for product in products if "resource" not in self.row.who or product != "MCOEV")

    def buy(self, product: str, quantity: int) -> None:
        reference = f"{product} {quantity}"
        sold = None if product == "MCOPSTNC" else quantity
        subscriptions.buy(
            self.world.office, self.org, product, self.bought_on(product), reference=reference, quantity=sold
        )

    def bought_on(self, product: str) -> datetime:
        """The day of the order: what is no longer sold was bought while it was, what is new when it began."""
        return self.now if product.startswith("Microsoft_Teams_Calling_Plan") else SOLD

    def make_number(self) -> str:
        """Let the organisation have the number that rings, if the call comes in."""
        uses = dict(block("numbers"))
        use = uses.get(self.row.number)
        if use is None:
            return ""
        subscriptions.buy(self.world.office, self.org, "MCOEV", SOLD, reference="numbers", quantity=50)
        self.buy("MCOPSTNC", 1)
        user = self.user if use == "user" else ""
        numbers.assign_number(
            self.world.office, self.org, self.row.number, self.world.now, user=user, use=use, source="direct"
        )
        return self.row.number

    def prepare(self) -> None:
        row, office, now = self.row, self.world.office, self.world.now
        for many in row.states("bought"):
            quantity, product = many.split()
            for sku in LICENCES.get(product, (product,)):
                self.buy(sku, int(quantity))
        if credit := row.state("credit"):
            topups.add_funds(office, self.org, parse_micros(credit, "USD"), reference="first", now=now)
        for used in row.states("used"):
            length, _, number = used.partition(" ")
            self.talked(seconds(length), number or row.number)
        self.set_rules()

    def set_rules(self) -> None:
        """What the organisation allows."""
        row, office, now = self.row, self.world.office, self.world.now
        for direction, word, barred in (
            ("called", "barred", True),
            ("called", "exempt", False),
            ("calling", "barred-caller", True),
        ):
            for prefix in row.states(word):
                bars.add_bar(office, self.org, prefix, now, direction=direction, barred=barred)
        if name := row.state("policy"):
            policies.change_user_policy(office, self.org, self.user, now, "test", dial_out=name)
        if limit := row.state("limit"):
            policies.change_user_policy(
                office, self.org, self.user, now, "test", limit_micros=parse_micros(limit, "USD")
            )
        if row.has("plan-pays-conferences"):
            policies.change_policies(
                office, self.org, policies.PolicyChanges(conference_uses_calling_plan=True), now, "test"
            )
        if row.has("blocked"):
            blocks.block_user(office, self.org, self.user, "tenant_requested", now, by="test")
        if row.has("closed"):
            directory.close_organisation(office, self.org)

    def talked(self, used: int, number: str) -> None:
        at = self.world.now.replace(day=1, hour=0, minute=1)
        request = RecordCall(
            session_id=f"before {number}",
            org_id=self.org,
            user=self.user,
            called=number,
            call_type=self.row.call,
            used_seconds=used,
            at=at,
        )
        [answer] = self.world.charge(request)
        assert isinstance(answer, Settled), answer
        assert answer.charged_micros == 0, f"line {self.row.line}: what was talked before was not included: {answer}"

    # -- the call ------------------------------------------------------------------------------------------------

    def opening(self) -> dict:
        called = {"org_id": self.org, "session_id": "call", "called": self.row.number, "call_type": self.row.call}
        return {**called, "user": self.user, "calling": self.row.state("caller")}

    def live(self) -> Settled | Refused:
        talks = seconds(self.row.talks)
        [grant] = self.world.charge(StartCall(requested_seconds=talks, **self.opening()))
        if isinstance(grant, Refused):
            return grant
        assert isinstance(grant, Grant)
        assert grant.granted_seconds == talks, f"line {self.row.line}: {grant}"
        self.world.wait(talks)
        [settled] = self.world.charge(
            StopCall(session_id="call", org_id=self.org, request_number=1, used_seconds=talks)
        )
        assert isinstance(settled, Settled), settled
        return settled

    def record(self) -> Settled | Refused:
        talks = seconds(self.row.talks)
        request = RecordCall(used_seconds=talks, at=self.world.now - timedelta(seconds=talks), **self.opening())
        [answer] = self.world.charge(request)
        assert isinstance(answer, Settled | Refused), answer
        return answer

    def compare(self, answer: Settled | Refused) -> None:
        shown = f"line {self.row.line}: {answer}"
        if isinstance(answer, Refused):
            assert answer.reason.value == self.row.refused, shown
            return
        assert not self.row.refused, shown
        paid = [f"{part.payer} {part.seconds // 60}m" for part in answer.parts]
        assert ", ".join(paid) == self.row.paid, shown
        assert answer.charged_micros == parse_micros(self.row.charged, "USD"), shown
        assert answer.overrun_micros == 0, shown
