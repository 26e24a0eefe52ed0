"""Refunds in any parts, some of them refused by the provider, always add up to the whole."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.money import MICROS
from gettone.domain.payments import PaymentState
from gettone.operations.billing import CHARGE, Payment
from gettone.operations.orders import coin_micros
from gettone.operations.payments import gross_of

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def charge(net: int, tax: int, refunded: int) -> Payment:
    return Payment(
        payment_id="1",
        order_id="1",
        kind=CHARGE,
        method_id="card",
        provider="bank",
        state=PaymentState.SUCCEEDED,
        gross_micros=net + tax,
        net_micros=net,
        idempotency_key="k",
        created_at=NOW,
        refunded_micros=refunded,
    )


@given(
    st.sampled_from(["JPY", "EUR", "KWD"]),
    st.integers(20, 10_000),
    st.integers(0, 3000),
    st.lists(st.tuples(st.integers(1, 10**6), st.booleans()), max_size=12),
)
def test_refunds_never_come_to_more_than_was_charged_and_the_last_brings_the_rest(currency, units, per_myriad, parts):
    coin = coin_micros(currency)
    net = units * MICROS
    tax = net * per_myriad // 10_000 // coin * coin
    refunded = moved = 0
    for coins, done in [*parts, (10**9, True)]:
        part = min(coins * coin, net - refunded)
        gross = gross_of(charge(net, tax, refunded), part, moved, currency)
        assert gross % coin == 0
        assert gross >= 0
        assert moved + gross <= net + tax
        # What is paid back is what belongs to the credit that is given back, within one coin.
        assert abs((moved + gross) * net - (refunded + part) * (net + tax)) < coin * net or refunded + part == net
        if done:
            refunded, moved = refunded + part, moved + gross

    assert (refunded, moved) == (net, net + tax)
