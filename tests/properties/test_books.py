"""Whatever happens to a wallet, finance and invoices say what the ledger says, to the micro."""

from datetime import UTC, datetime, timedelta
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from gettone.errors import Conflict
from gettone.operations import after_use, agreements, directory, finance, invoicing, months
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.payments import LOST, OPENED, WON, take_news
from gettone.operations.providers import DisputeNews
from tests.support.shop import UNITS, Shop
from tests.support.world import World, sqlite_url

BRITISH = "+442079460123"
BEGIN = datetime(2026, 10, 20, 7, tzinfo=UTC)

ACTS = st.one_of(
    st.tuples(st.just("buy"), st.integers(50, 90)),
    st.tuples(st.just("owe"), st.integers(50, 90)),
    st.tuples(st.just("fund"), st.integers(1, 40_000_000)),
    st.tuples(st.just("adjust"), st.integers(-5_000_000, 5_000_000).filter(bool)),
    st.tuples(st.just("talk"), st.integers(1, 40)),
    st.tuples(st.just("refund"), st.integers(1, 60)),
    st.tuples(st.just("dispute"), st.integers(1, 100)),
    st.tuples(st.just("decide"), st.sampled_from([WON, LOST])),
    st.tuples(st.just("collect"), st.just(0)),
    st.tuples(st.just("wait"), st.integers(1, 40)),
    st.tuples(st.just("wait"), st.just(366)),
    st.tuples(st.just("bill_after_use"), st.booleans()),
)


class History:
    """Plays acts against one organisation and remembers what came of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        world.now = BEGIN
        world.deck("country,price,increments\nGB,0.7133,60/60\n")
        world.organisation("acme", time_zone="America/New_York")
        world.user("acme", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
        self.shop = Shop(world, "acme")
        self.card = self.shop.card().method_id
        self.agreement = self.shop.agreement(on_confirmation=False).method_id
        self.shop.taxed("US", "tax", "8.875")
        self.count = 0

    def act(self, what: str, value) -> None:
        self.count += 1
        getattr(self, what)(str(self.count), value)

    def buy(self, name: str, units: int) -> None:
        self.shop.buy(units, name, method_id=self.card)

    def owe(self, name: str, units: int) -> None:
        self.shop.buy(units, name, method_id=self.agreement)

    def fund(self, name: str, micros: int) -> None:
        self.world.fund("acme", micros, reference=name)

    def adjust(self, name: str, micros: int) -> None:
        self.world.adjust("acme", micros, reference=name)

    def refund(self, _name: str, units: int) -> None:
        self.shop.refund(self.latest(), amount_micros=units * UNITS)

    def dispute(self, _name: str, percent: int) -> None:
        payment = self.latest()
        self.tell(payment, OPENED, payment.gross_micros * percent // 100 // 10_000 * 10_000 or 10_000)

    def decide(self, _name: str, stage: str) -> None:
        payment = self.latest()
        self.tell(payment, stage, payment.gross_micros)

    def collect(self, _name: str, _value: int) -> None:
        for owed in finance.receivables(self.shop.office, self.shop.now)[:1]:
            agreements.collected(self.shop.office, "acme", owed.invoice_id, by="x", now=self.shop.now)

    def wait(self, _name: str, days: int) -> None:
        self.world.now += timedelta(days=days, hours=5)
        self.world.expire()
        after_use.invoice_month(self.shop.office, self.shop.now)

    def bill_after_use(self, _name: str, on: bool) -> None:
        directory.change_organisation(self.shop.office, "acme", post_usage=on)

    def latest(self):
        """Take the latest charge, or refuse where there is none."""
        with self.shop.office.read() as unit:
            found = [one for one in unit.buying.payments("acme", None, 50) if one.kind == "charge"]
        if not found:
            raise Conflict("nothing was bought yet")
        return found[0]

    def tell(self, payment, stage: str, gross: int) -> None:
        if payment.provider != "card":
            raise Conflict("only cards are disputed")
        news = DisputeNews(
            event_id=str(self.count), org_id="acme", payment_id=payment.payment_id, stage=stage, gross_micros=gross
        )
        take_news(self.shop.office, payment.provider, news, self.shop.now)

    def talk(self, name: str, minutes: int) -> None:
        start = StartCall(session_id=name, org_id="acme", user="anna", called=BRITISH, requested_seconds=600)
        self.world.charge(start)
        self.world.charge(StopCall(session_id=name, org_id="acme", request_number=1, used_seconds=60 * minutes))


@given(st.lists(ACTS, min_size=3, max_size=25))
@settings(max_examples=20, deadline=None)
def test_finance_and_invoices_say_what_the_ledger_says(acts):
    with TemporaryDirectory() as folder, World(sqlite_url(folder)) as world:
        history = History(world)
        for what, value in acts:
            try:
                history.act(what, value)
            except Conflict:
                continue
        check_months(history)
        check_receivables(history)
        assert world.findings() == []


def check_months(history: History) -> None:
    """Every month opens where the one before closed, and the last one closes with what is in the wallet."""
    world, office = history.world, history.shop.office
    period, closing = months.preceding(202610), 0
    while period <= world.now.year * 100 + world.now.month + 1:
        month = finance.revenue(office, "acme", period)
        moved = month.bought_micros + month.added_micros + month.adjusted_micros - month.used_micros
        moved -= month.expired_micros + month.refunded_micros + month.disputed_micros
        assert month.opening_micros == closing
        assert month.opening_micros + moved == month.closing_micros
        assert month.closing_micros + month.overrun_micros == month.wallet_micros
        closing = month.closing_micros
        period = months.following(period)
    wallet, ledger = world.wallet("acme"), world.ledger("acme")
    assert closing == wallet.posted_micros - wallet.overrun_micros
    assert month.tax_micros == ledger.get("tax", 0)
    assert sum(one.remaining_micros for one in finance.expiry(office, "acme")) == wallet.posted_micros


def check_receivables(history: History) -> None:
    """What invoices leave unpaid is what the ledger calls invoiced, and each call is in one invoice or still waits."""
    office, world = history.shop.office, history.world
    ledger = world.ledger("acme")
    assert sum(one.outstanding_micros for one in finance.receivables(office, world.now)) == -ledger.get("invoiced", 0)
    seen: list[tuple[int, int]] = []
    charged = 0
    for one in invoicing.list_invoices(office, "acme", limit=1000).items:
        for part in invoicing.billed_parts(office, "acme", one.invoice_id):
            seen += [(call.entry_number, call.line) for call in part]
            charged += sum(call.charge_micros for call in part)
    stands = after_use.status(office, "acme", world.now)
    with office.read() as unit:
        every = unit.books.billed_calls("acme", 1, 2**40, None, 10_000)
    assert len(seen) == len(set(seen))
    assert stands.not_invoiced_micros == -ledger.get("receivable", 0)
    waiting = [call for call in every if (call.entry_number, call.line) not in set(seen)]
    assert charged + sum(call.charge_micros for call in waiting) == sum(call.charge_micros for call in every)
    if seen and waiting:
        assert min(call.entry_number for call in waiting) > max(number for number, _ in seen)
