"""Credit bought from the simulator by the whole of Gettone, while questions, answers and messages get lost.

The hostile provider of `tests/simulation` reaches further; this holds the shipped one against the same sum: what was
charged at the provider is what was credited.
"""

import random
from collections import Counter
from datetime import timedelta

import pytest

from gettone.domain.payments import PaymentState
from gettone.gateways.simulated import SimulatedProvider
from gettone.gateways.simulator.bank import Bank
from gettone.gateways.simulator.cards import TEST_CARDS, Behaviour
from gettone.gateways.simulator.faults import Faults
from gettone.operations import buying, payments
from gettone.operations.billing import CARD, CHARGE, Method
from gettone.operations.buying import GLOBAL_ADMIN, Buyer, NewOrder
from gettone.operations.paying import Paying
from tests.support.world import World, sqlite_url

ORG = "acme"
SIMULATOR = "simulator"
BUYER = Buyer(GLOBAL_ADMIN, "the administrator")


def enter_a_card(world: World, provider: SimulatedProvider, number: str) -> str:
    setup = provider.begin_setup(ORG, "Acme", "")
    provider.bank.enter_card(setup.reference.removeprefix("cs_"), number)
    card = provider.finish_setup(setup.reference)
    with world.office.write(ORG) as unit:
        position = len(unit.buying.methods(ORG, removed=True)) + 1
        method = Method(
            method_id=f"m{position}",
            kind=CARD,
            provider=SIMULATOR,
            label=card.label,
            position=position,
            created_at=world.now,
            provider_ref=card.provider_ref,
            customer_ref=card.customer_ref,
        )
        unit.buying.write_method(ORG, method)
    return method.method_id


def hear(world: World, provider: SimulatedProvider) -> None:
    for body, headers in provider.messages(world.now):
        if (news := provider.news(body, headers, world.now)) is not None:
            payments.take_news(world.office, SIMULATOR, news, world.now)


def at_the_provider(bank: Bank) -> Counter[str]:
    """What each payment has moved, in micros of USD."""
    moved: Counter[str] = Counter()
    for charge in bank.charges():
        if charge.status == "succeeded":
            moved[charge.metadata["payment_id"]] += charge.amount * 10_000
    return moved


@pytest.mark.parametrize("seed", [*range(3), *(pytest.param(n, marks=pytest.mark.slow) for n in range(3, 24))])
def test_what_was_charged_at_the_simulator_is_what_was_credited(tmp_path, seed):
    rng = random.Random(seed)
    with World(sqlite_url(tmp_path)) as world:
        world.organisation(ORG)
        world.user(ORG, "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
        bank = Bank(lambda: world.now, Faults(seed))
        provider = SimulatedProvider(bank)
        paying = Paying(world.office, {SIMULATOR: provider}, lambda: world.now)
        bank.faults, faults = Faults(), bank.faults
        numbers = [number for number, card in TEST_CARDS.items() if card.behaviour is not Behaviour.PAYS_AND_DISPUTES]
        methods = [enter_a_card(world, provider, rng.choice(numbers)) for _ in range(4)]
        bank.faults = faults

        for reference in range(8):
            amount = rng.randrange(50, 200) * 1_000_000
            order = NewOrder(amount_micros=amount, reference=str(reference), method_id=rng.choice(methods))
            buying.place_order(world.office, ORG, order, BUYER, world.now)
            for _ in range(rng.randrange(4)):
                paying.work(world.now)
                for charge in bank.charges():
                    if charge.status == "requires_action" and rng.random() < 0.5:
                        bank.authenticate(charge.charge_id, confirmed=rng.random() < 0.7)
                hear(world, provider)
                world.now += timedelta(seconds=rng.choice([1, 40, 400, 4000, 40_000]))
        bank.faults = Faults()
        for _ in range(6):
            world.now += timedelta(days=1, seconds=1)
            paying.work(world.now)
            hear(world, provider)

        with world.office.read() as unit:
            charges = [one for one in unit.buying.payments(ORG, None, 100) if one.kind == CHARGE]
        assert len(charges) == 8
        assert {one.state for one in charges} <= {PaymentState.SUCCEEDED, PaymentState.DECLINED}
        credited = Counter({one.payment_id: one.gross_micros for one in charges if one.lot_id})
        assert credited == at_the_provider(bank)
        assert world.wallet(ORG).available_micros == sum(one.net_micros for one in charges if one.lot_id)
        assert world.findings() == []
