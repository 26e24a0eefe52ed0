"""A world in which credit is bought: a teller in the provider's place, who says what the test wants and keeps books."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from gettone.domain.payments import Outcome, Succeeded
from gettone.errors import BadMessage
from gettone.operations import buying, methods, notices, payment_reports, payments, recharging
from gettone.operations.billing import AGREEMENT, CARD, Method, Payment
from gettone.operations.buying import GLOBAL_ADMIN, Buyer, NewOrder, Placed
from gettone.operations.catalogue import import_table
from gettone.operations.paying import Paying
from gettone.operations.payment_reports import OrderView
from gettone.operations.providers import Card, DisputeNews, Movement, News, Setup
from tests.support.world import World

ADMIN = Buyer(GLOBAL_ADMIN, "the administrator")
UNITS = 1_000_000
BEFORE_NCE = datetime(2022, 11, 21, 12, tzinfo=UTC)


class Teller:
    """A payment provider: says what stands in *says*, in order, then that the money has moved."""

    def __init__(self) -> None:
        self.says: list[Outcome] = []
        self.asked: list[tuple[str, Movement]] = []
        self.books: dict[str, int] = {}
        self.cards: dict[str, Card] = {}
        self.setups: list[tuple[str, str, str]] = []
        self.messages: dict[bytes, News | None] = {}

    def _answer(self, what: str, movement: Movement) -> Outcome:
        self.asked.append((what, movement))
        outcome = self.says.pop(0) if self.says else Succeeded(f"ref/{movement.payment_id}")
        if isinstance(outcome, Succeeded):
            sign = -1 if movement.refund_of else 1
            self.books[movement.idempotency_key] = sign * movement.gross_micros
        return outcome

    def move(self, movement: Movement) -> Outcome:
        return self._answer("move", movement)

    def ask(self, movement: Movement) -> Outcome:
        return self._answer("ask", movement)

    def give_up(self, movement: Movement) -> Outcome:
        return self._answer("give_up", movement)

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        self.setups.append((org_id, name, customer_ref))
        return Setup(
            reference=f"setup-{len(self.setups)}",
            customer_ref=customer_ref or f"customer/{org_id}",
            link=f"https://cards.example/{len(self.setups)}",
        )

    def finish_setup(self, reference: str) -> Card:
        return self.cards[reference]

    def news(self, body: bytes, headers: Mapping[str, str], now: datetime) -> News | None:
        if headers.get("teller-signature") != "mine":
            raise BadMessage("the signature is not the teller's")
        return self.messages[body]

    @property
    def keys(self) -> list[str]:
        return [movement.idempotency_key for _, movement in self.asked]


class Shop:
    """One organisation that can buy, and the teller who is asked for its money."""

    def __init__(self, world: World, org_id: str = "contoso") -> None:
        self.world, self.org_id = world, org_id
        self.office = world.office
        self.teller = Teller()
        self.paying = Paying(self.office, {CARD: self.teller, AGREEMENT: self.teller}, lambda: world.now)

    @property
    def now(self) -> datetime:
        return self.world.now

    def wait(self, **length: int) -> None:
        self.world.now += timedelta(**length)

    # -- what there is -------------------------------------------------------------------------------------------

    def card(self, name: str = "card-1", position: int = 1, **settings) -> Method:
        """Put a card there that is ready, as if it had been entered."""
        known = {"kind": CARD, "provider": CARD, "label": f"Visa {name}", "fingerprint": name, "expires": 203012}
        method = Method(
            method_id=name, position=position, created_at=self.now, **known | {"provider_ref": f"pm/{name}"} | settings
        )
        with self.office.write(self.org_id) as unit:
            unit.buying.write_method(self.org_id, method)
        return method

    def agreement(self, number: str = "E1", country: str = "US", **settings) -> Method:
        new = methods.NewAgreement(number=number, billing_country=country, **settings)
        return methods.add_agreement(self.office, self.org_id, new, buying.Buyer(buying.OPERATOR, "operator"), self.now)

    def profile(self, **settings) -> None:
        with self.office.write(self.org_id) as unit:
            unit.buying.write_profile(self.org_id, buying.Profile(**settings))

    def taxed(self, country: str, label: str, percent: str) -> None:
        header = "country,label,percent,effective_from,effective_until,source"
        row = f"{country},{label},{percent},2017-10-01,,test"
        import_table(self.office, "taxes", f"{header}\n{row}\n".encode(), self.now)

    # -- what is done --------------------------------------------------------------------------------------------

    def order(self, units: int, reference: str = "one", *, buyer: Buyer = ADMIN, **settings) -> Placed:
        new = NewOrder(amount_micros=units * UNITS, reference=reference, **settings)
        return buying.place_order(self.office, self.org_id, new, buyer, self.now)

    def buy(self, units: int, reference: str = "one", **settings) -> Payment:
        """Order and pay; the first payment as it is then."""
        placed = self.order(units, reference, **settings)
        self.pay(placed.payments[0].payment_id)
        return self.payment(placed.payments[0].payment_id)

    def pay(self, payment_id: str) -> Payment | None:
        return self.paying.pay(self.org_id, payment_id)

    def work(self) -> int:
        """What the jobs do at this instant."""
        recharging.open_due(self.office, self.now)
        return self.paying.work(self.now)

    def recharge(self, trigger: int, amount: int, **settings):
        new = recharging.NewRule(
            **{"enabled": True, "trigger_micros": trigger * UNITS, "amount_micros": amount * UNITS} | settings
        )
        return recharging.set_rule(self.office, self.org_id, new, ADMIN, self.now)

    def spend(self, micros: int, reference: str = "") -> None:
        self.world.adjust(self.org_id, -micros, reference=reference or f"spent at {self.now} {micros}")

    def refund(self, payment: Payment, **settings) -> Payment:
        """Begin a refund and carry it out; the refund as it is then."""
        begun = payments.refund(self.office, self.org_id, payment.payment_id, self.now, by="the test", **settings)
        self.pay(begun.payment_id)
        return self.payment(begun.payment_id)

    # -- how it stands -------------------------------------------------------------------------------------------

    @property
    def available(self) -> int:
        """What is available, in micros."""
        return self.world.wallet(self.org_id).available_micros

    @property
    def state(self) -> recharging.RechargeView:
        return recharging.show(self.office, self.org_id, self.now)

    def payment(self, payment_id: str) -> Payment:
        return payment_reports.payment(self.office, self.org_id, payment_id).payment

    def steps(self, payment_id: str) -> list[str]:
        return [one.state.value for one in payment_reports.payment(self.office, self.org_id, payment_id).events]

    def look(self, order_id: str) -> OrderView:
        return payment_reports.order(self.office, self.org_id, order_id)

    def recharges(self) -> list:
        """The recharges, oldest first."""
        return list(reversed(recharging.history(self.office, self.org_id, limit=1000).items))

    def dispute(self, payment: Payment, stage: str, gross: int | None = None, event_id: str = "") -> Payment | None:
        """Let the payer's bank dispute a payment, wholly unless *gross* says otherwise."""
        news = DisputeNews(
            event_id=event_id or f"dispute {stage}",
            org_id=self.org_id,
            payment_id=payment.payment_id,
            stage=stage,
            gross_micros=gross if gross is not None else payment.gross_micros,
        )
        return payments.take_news(self.office, "card", news, self.now)

    def told(self, kind: str = "") -> list:
        """Notices, oldest first."""
        return list(reversed(notices.list_notices(self.office, self.org_id, kind=kind, limit=1000).items))
