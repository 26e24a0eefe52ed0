"""Orders under an agreement."""

from datetime import UTC, datetime

import pytest

from gettone.domain.payments import Declined, Processing, Succeeded
from gettone.errors import BadMessage, PaymentUnavailable
from gettone.gateways.agreement import AgreementProvider
from gettone.operations.billing import AGREEMENT, Method
from gettone.operations.providers import Movement

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
PROVIDER = AgreementProvider()


def movement(*, limit: int | None = None, unpaid: int = 0, on_confirmation: bool = False, **facts) -> Movement:
    method = Method(
        method_id="ea",
        kind=AGREEMENT,
        provider="agreement",
        label="EA 4711",
        position=1,
        created_at=NOW,
        agreement_number="4711",
        credit_limit_micros=limit,
        on_confirmation=on_confirmation,
    )
    known = {
        "org_id": "acme",
        "payment_id": "00000001-1",
        "idempotency_key": "acme/00000001-1",
        "gross_micros": 24_400_000,
        "currency": "EUR",
        "method": method,
        "description": "",
        "now": NOW,
        "first_asked_at": NOW,
        "unpaid_micros": unpaid,
    }
    return Movement(**known | facts)


def test_without_a_limit_every_order_is_taken():
    assert PROVIDER.move(movement(unpaid=10**15)) == Succeeded("agreement/00000001-1")


@pytest.mark.parametrize(
    ("unpaid", "taken"), [(0, True), (75_600_000, True), (75_610_000, False), (100_000_000, False)]
)
def test_an_order_is_taken_up_to_the_limit_with_its_tax(unpaid, taken):
    outcome = PROVIDER.move(movement(limit=100_000_000, unpaid=unpaid))

    assert isinstance(outcome, Succeeded if taken else Declined)


def test_an_order_past_the_limit_tells_the_amounts():
    outcome = PROVIDER.move(movement(limit=100_000_000, unpaid=80_000_000))

    assert outcome == Declined(
        "credit_limit",
        "80.00 EUR of the agreement are unpaid, 24.40 EUR would be added, and its limit is 100.00 EUR",
        final=False,
    )


def test_an_order_on_confirmation_waits_however_often_it_is_asked_about():
    waiting = movement(on_confirmation=True)

    assert {PROVIDER.move(waiting), PROVIDER.ask(waiting), PROVIDER.give_up(waiting)} == {
        Processing("agreement/00000001-1")
    }


def test_a_refund_is_done_whatever_the_agreement_says():
    refund = movement(limit=0, unpaid=10**9, on_confirmation=True, payment_id="r1", refund_of="agreement/00000001-1")

    assert PROVIDER.move(refund) == Succeeded("agreement/r1")


def test_an_agreement_has_neither_card_nor_messages():
    with pytest.raises(PaymentUnavailable, match="add it with its number"):
        PROVIDER.begin_setup("acme", "Acme", "")
    with pytest.raises(PaymentUnavailable, match="add it with its number"):
        PROVIDER.finish_setup("x")
    with pytest.raises(BadMessage, match="nobody sends"):
        PROVIDER.news(b"", {}, NOW)
