"""Deferred revenue, breakage, expiry and receivables come out of the ledger to the micro, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from gettone.domain.ledger import EntryKind
from gettone.errors import InvalidInput, NotFound
from gettone.operations import after_use, finance, invoice_numbers, payments
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.providers import DisputeNews
from tests.support.shop import UNITS, Shop

BRITISH = "+442079460123"


@pytest.fixture
def shop(world):
    """An American organisation with a card and a user who may call; 10 % are due on top of what it buys."""
    world.deck("country,price\nGB,1.25\n")
    world.organisation("contoso")
    world.user("contoso", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
    made = Shop(world)
    made.card()
    made.taxed("US", "sales tax", "10")
    yield made
    assert world.findings() == []


def talk(shop, session_id: str, minutes: int, granted: int = 300) -> None:
    """Let anna call; what goes past the grant is an overrun."""
    start = StartCall(session_id=session_id, org_id=shop.org_id, user="anna", called=BRITISH, requested_seconds=granted)
    shop.world.charge(start)
    stop = StopCall(session_id=session_id, org_id=shop.org_id, request_number=1, used_seconds=60 * minutes)
    shop.world.charge(stop)


def dispute(shop, payment, stage: str) -> None:
    news = DisputeNews(
        event_id=stage,
        org_id=shop.org_id,
        payment_id=payment.payment_id,
        stage=stage,
        gross_micros=payment.gross_micros,
    )
    payments.take_news(shop.office, "card", news, shop.now)


def units(found: finance.Revenue) -> dict[str, float]:
    """What is not nothing, in whole currency."""
    return {
        name.removesuffix("_micros"): getattr(found, name) / UNITS
        for name in found.__struct_fields__
        if name.endswith("_micros") and getattr(found, name)
    }


def test_a_month_opens_buys_uses_and_closes(shop):
    payment = shop.buy(100)
    talk(shop, "one", 8)
    shop.refund(payment, amount_micros=20 * UNITS)
    shop.world.adjust("contoso", -5 * UNITS, reference="goodwill the other way")
    shop.world.fund("contoso", 7 * UNITS, reference="a transfer")

    assert units(finance.revenue(shop.office, "contoso", 202611)) == {
        "bought": 100,
        "added": 7,
        "used": 10,
        "refunded": 20,
        "adjusted": -5,
        "closing": 72,
        "wallet": 72,
        "tax": 8,
    }


def test_a_month_opens_with_what_the_one_before_closed(shop):
    shop.buy(100)
    shop.world.now = datetime(2026, 12, 5, tzinfo=UTC)
    talk(shop, "one", 8)

    november, december = (finance.revenue(shop.office, "contoso", period) for period in (202611, 202612))

    assert (november.closing_micros, december.opening_micros) == (100 * UNITS, 100 * UNITS)
    assert units(december) == {"opening": 100, "used": 10, "closing": 90, "wallet": 90, "tax": 10}
    assert units(finance.revenue(shop.office, "contoso", 202610)) == {}


def test_an_overrun_is_used_when_it_is_talked_and_paid_by_the_next_credit(shop):
    shop.world.fund("contoso", 5 * UNITS, reference="little")
    talk(shop, "one", 10)
    assert units(finance.revenue(shop.office, "contoso", 202611)) == {
        "added": 5,
        "used": 12.5,
        "closing": -7.5,
        "overrun": 7.5,
    }

    shop.buy(50)

    assert units(finance.revenue(shop.office, "contoso", 202611)) == {
        "bought": 50,
        "added": 5,
        "used": 12.5,
        "closing": 42.5,
        "wallet": 42.5,
        "tax": 5,
    }


def test_expired_credit_is_breakage_of_the_month_in_which_it_expired(shop):
    shop.buy(50)
    shop.world.now = datetime(2027, 11, 24, 0, 0, 1, tzinfo=UTC)
    shop.world.expire()

    assert units(finance.revenue(shop.office, "contoso", 202711)) == {"opening": 50, "expired": 50, "tax": 5}


def test_a_dispute_takes_back_and_gives_back(shop):
    payment = shop.buy(50)
    talk(shop, "one", 8)
    dispute(shop, payment, payments.OPENED)
    assert units(finance.revenue(shop.office, "contoso", 202611)) == {
        "bought": 50,
        "used": 10,
        "disputed": 50,
        "closing": -10,
        "overrun": 10,
    }

    dispute(shop, payment, payments.WON)

    assert units(finance.revenue(shop.office, "contoso", 202611)) == {
        "bought": 50,
        "used": 10,
        "closing": 40,
        "wallet": 40,
        "tax": 5,
    }


def test_the_months_are_those_of_the_organisation(shop):
    shop.world.organisation("fabrikam", time_zone="Asia/Tokyo")
    shop.world.now = datetime(2026, 11, 30, 18, tzinfo=UTC)
    shop.world.fund("fabrikam", 50 * UNITS, reference="first")

    assert finance.revenue(shop.office, "fabrikam", 202611).closing_micros == 0
    assert finance.revenue(shop.office, "fabrikam", 202612).added_micros == 50 * UNITS


def test_the_operator_sees_the_sums_by_currency(shop, monkeypatch):
    monkeypatch.setattr(finance, "BATCH", 2)
    for index, currency in enumerate(("EUR", "USD", "EUR")):
        shop.world.organisation(f"org{index}", currency=currency, time_zone="Asia/Tokyo" if index else "UTC")
        shop.world.fund(f"org{index}", (index + 1) * UNITS, reference="first")
    done: list[int] = []

    euro, dollar = finance.revenue_by_currency(shop.office, 202611, done.append)

    assert (euro.currency, euro.org_id, euro.closing_micros) == ("EUR", "", 4 * UNITS)
    assert (dollar.currency, dollar.closing_micros) == ("USD", 2 * UNITS)
    assert done == [2, 4]
    each = list(finance.revenue_by_organisation(shop.office, 202611))
    assert [one.org_id for one in each] == ["contoso", "org0", "org1", "org2"]


def test_every_kind_of_entry_has_its_column():
    assert set(finance.COLUMNS) == set(EntryKind)


@pytest.mark.parametrize("period", [0, 202600, 202613, 2026, 199912])
def test_a_month_that_is_none_is_refused(shop, period):
    with pytest.raises(InvalidInput, match="month"):
        finance.revenue(shop.office, "contoso", period)


def test_of_an_organisation_that_is_not_there_nothing_is_said(shop):
    for ask in (lambda: finance.revenue(shop.office, "x", 202611), lambda: finance.expiry(shop.office, "x")):
        with pytest.raises(NotFound):
            ask()
    with pytest.raises(NotFound):
        finance.receivables(shop.office, shop.now, org_id="x")


# -- expiry ------------------------------------------------------------------------------------------------------------


def test_the_calendar_says_in_which_month_how_much_expires(shop):
    shop.buy(50)
    shop.wait(days=10)
    shop.world.fund("contoso", 7 * UNITS, reference="second")
    talk(shop, "one", 8)
    shop.world.organisation("fabrikam", currency="EUR")
    shop.world.fund("fabrikam", UNITS, reference="first")

    own = [(one.period, one.lots, one.remaining_micros) for one in finance.expiry(shop.office, "contoso")]
    everywhere = [(one.currency, one.period, one.remaining_micros) for one in finance.expiry_by_currency(shop.office)]

    assert own == [(202711, 1, 40 * UNITS), (202712, 1, 7 * UNITS)]
    assert everywhere == [("EUR", 202712, UNITS), ("USD", 202711, 40 * UNITS), ("USD", 202712, 7 * UNITS)]
    assert sum(micros for _, _, micros in own) == shop.world.wallet("contoso").posted_micros


# -- what is owed ------------------------------------------------------------------------------------------------------


def test_invoices_that_are_not_paid_are_what_the_ledger_says_is_owed(shop, monkeypatch):
    monkeypatch.setattr(finance, "BATCH", 2)
    method = shop.agreement(number="EA-1", on_confirmation=False, purchase_order="PO-1").method_id
    for index in range(4):
        shop.wait(seconds=1)
        shop.buy(50, str(index), method_id=method)
    shop.buy(50, "by card", method_id="card-1")
    payment = shop.payment("00000001-1")
    shop.refund(payment, amount_micros=20 * UNITS)
    shop.wait(days=3)
    invoice_numbers.give_numbers(shop.office)

    owed = finance.receivables(shop.office, shop.now)

    assert [one.outstanding_micros for one in owed] == [33 * UNITS, 55 * UNITS, 55 * UNITS, 55 * UNITS]
    assert {(one.org_id, one.purchase_order, one.agreement_number, one.days) for one in owed} == {
        ("contoso", "PO-1", "EA-1", 3)
    }
    assert sum(one.outstanding_micros for one in owed) == -shop.world.ledger("contoso")["invoiced"]
    assert finance.receivables(shop.office, shop.now, org_id="contoso") == owed
    assert finance.revenue(shop.office, "contoso", 202611).invoiced_micros == 198 * UNITS


def test_usage_that_is_not_invoiced_is_receivable_and_then_invoiced(shop):
    shop.world.organisation("late", post_usage=True)
    shop.world.user("late", "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
    late = Shop(shop.world, "late")
    talk(late, "one", 8)
    before = units(finance.revenue(shop.office, "late", 202611))
    shop.world.now = datetime(2026, 12, 1, tzinfo=UTC) + timedelta(minutes=1)
    after_use.invoice_month(shop.office, shop.now)

    assert before == {"after_use": 10, "receivable": 10}
    assert units(finance.revenue(shop.office, "late", 202612)) == {"invoiced": 11, "tax": 1}
    assert [one.outstanding_micros for one in finance.receivables(shop.office, shop.now)] == [11 * UNITS]
