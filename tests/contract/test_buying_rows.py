"""Profiles, payment methods, the auto-recharge, orders and payments, as stored, on both databases."""

from datetime import datetime, timedelta

import msgspec
import pytest

from gettone.domain.payments import PaymentState
from gettone.errors import Conflict, InvariantBroken
from gettone.operations.billing import (
    AGREEMENT,
    CARD,
    CHARGE,
    CUSTOMER_AGREEMENT,
    FAILED,
    FULFILLED,
    OPEN,
    PURCHASE,
    RECHARGE,
    REFUND,
    REMOVED,
    CreditOrder,
    Method,
    Payment,
    PaymentEvent,
    Profile,
    RechargeRule,
)
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from tests.support.rows import MIDDAY, organisation


@pytest.fixture
def office(office: Office) -> Office:
    """Two organisations; whatever is asked of one must not touch the other."""
    with office.write_shared() as unit:
        for org_id in ("contoso", "fabrikam"):
            unit.directory.add_organisation(organisation(org_id))
    return office


def after(seconds: int) -> datetime:
    return MIDDAY + timedelta(seconds=seconds)


def order(order_id: str, kind: str = PURCHASE, state: str = FULFILLED, seconds: int = 0, **more) -> CreditOrder:
    whole = {
        "order_id": order_id,
        "kind": kind,
        "state": state,
        "amount_micros": 50_000_000,
        "reference": f"r{order_id}",
        "ordered_by": "anna",
        "ordered_at": after(seconds),
    }
    return CreditOrder(**(whole | more))


def payment(payment_id: str, state: PaymentState = PaymentState.REQUESTED, seconds: int = 0, **more) -> Payment:
    whole = {
        "payment_id": payment_id,
        "order_id": payment_id.partition("-")[0],
        "kind": CHARGE,
        "method_id": "card",
        "provider": "simulator",
        "state": state,
        "gross_micros": 61_000_000,
        "net_micros": 50_000_000,
        "idempotency_key": f"k{payment_id}",
        "created_at": after(seconds),
    }
    return Payment(**(whole | more))


# -- profile, methods, rule --------------------------------------------------------------------------------------------


def test_a_profile_is_all_defaults_until_it_is_written(office):
    profile = Profile(legal_name="Contoso S.p.A.", address="Via Roma 1\n00100 Roma", language="it", moving_since=MIDDAY)
    with office.write("contoso") as unit:
        unit.buying.write_profile("contoso", Profile(agreement=CUSTOMER_AGREEMENT))
        unit.buying.write_profile("contoso", profile)

    with office.read() as unit:
        assert unit.buying.profile("contoso") == profile
        assert unit.buying.profile("fabrikam") == Profile()


def test_methods_come_in_the_order_in_which_they_are_tried_and_removed_ones_only_when_asked_for(office):
    def method(method_id: str, position: int, **more) -> Method:
        whole = {"kind": CARD, "provider": "simulator", "label": "Visa", "created_at": MIDDAY}
        return Method(method_id=method_id, position=position, **(whole | more))

    first = method("b", 1, provider_ref="pm_1", customer_ref="cus_1", fingerprint="f", expires=203012)
    same = method("c", 1, created_at=after(1))
    gone = method("a", 0, state=REMOVED)
    last = method(
        "d", 2, kind=AGREEMENT, agreement_number="12345", credit_limit_micros=10**15, on_confirmation=True, version=3
    )
    with office.write("contoso") as unit:
        for each in (last, same, msgspec.structs.replace(first, label="old"), gone, first):
            unit.buying.write_method("contoso", each)

    with office.read() as unit:
        assert unit.buying.methods("contoso") == [first, same, last]
        assert unit.buying.methods("contoso", removed=True) == [gone, first, same, last]
        assert unit.buying.methods("fabrikam") == []


def test_the_rule_is_there_once_it_is_written_with_limits_or_without(office):
    rule = RechargeRule(enabled=True, trigger_micros=1, amount_micros=2, suspended_at=MIDDAY, suspended_because="lost")
    limited = msgspec.structs.replace(
        rule, day_count=1, day_micros=2, month_count=3, month_micros=10**15, enabled=False, suspended_at=None
    )
    with office.write("contoso") as unit:
        assert unit.buying.rule("contoso") is None
        unit.buying.write_rule("contoso", rule)
        assert unit.buying.rule("contoso") == rule
        unit.buying.write_rule("contoso", limited)

    with office.read() as unit:
        assert unit.buying.rule("contoso") == limited
        assert unit.buying.rule("fabrikam") is None


# -- orders ------------------------------------------------------------------------------------------------------------


def test_orders_are_listed_newest_first_in_pages_and_by_kind(office):
    orders = [order("00000003"), order("00000002", RECHARGE, closed_at=after(9), reason="x"), order("00000001")]
    with office.write("contoso") as unit:
        for each in reversed(orders):
            unit.buying.write_order("contoso", each)

    with office.read() as unit:
        assert unit.buying.orders("contoso", "", "", 10) == orders
        assert unit.buying.orders("contoso", "", "", 2) == orders[:2]
        assert unit.buying.orders("contoso", "", "00000002", 10) == orders[2:]
        assert unit.buying.orders("contoso", RECHARGE, "", 10) == [orders[1]]
        assert unit.buying.orders("fabrikam", "", "", 10) == []
        assert unit.buying.order("contoso", "00000002") == orders[1]
        assert unit.buying.order("fabrikam", "00000002") is None
        assert unit.buying.order_by_reference("contoso", "r00000003") == orders[0]
        assert unit.buying.order_by_reference("contoso", "r3") is None


def test_a_reference_stands_for_one_order(office):
    with office.write("contoso") as unit:
        unit.buying.write_order("contoso", order("00000001", reference="mine"))
    with office.write("fabrikam") as unit:
        unit.buying.write_order("fabrikam", order("00000001", reference="mine"))

    with pytest.raises(Conflict), office.write("contoso") as unit:
        unit.buying.write_order("contoso", order("00000002", reference="mine"))


def test_at_most_one_recharge_is_open(office):
    with office.write("contoso") as unit:
        unit.buying.write_order("contoso", order("00000001", RECHARGE, FAILED))
        unit.buying.write_order("contoso", order("00000002", PURCHASE, OPEN))
        unit.buying.write_order("contoso", order("00000003", PURCHASE, OPEN))
        assert unit.buying.open_recharge("contoso") is None
        unit.buying.write_order("contoso", order("00000004", RECHARGE, OPEN))
    with office.write("fabrikam") as unit:
        unit.buying.write_order("fabrikam", order("00000004", RECHARGE, OPEN))

    with office.read() as unit:
        assert unit.buying.open_recharge("contoso") == order("00000004", RECHARGE, OPEN)
    with pytest.raises(Conflict), office.write("contoso") as unit:
        unit.buying.write_order("contoso", order("00000005", RECHARGE, OPEN))


def test_what_was_bought_counts_recharges_that_did_not_fail(office):
    with office.write("contoso") as unit:
        for number, (kind, state, seconds) in enumerate(
            (
                (RECHARGE, FULFILLED, 0),
                (RECHARGE, OPEN, 5),
                (RECHARGE, FAILED, 5),
                (PURCHASE, FULFILLED, 5),
                (RECHARGE, FULFILLED, -1),
            )
        ):
            unit.buying.write_order("contoso", order(f"{number:08d}", kind, state, seconds))

    with office.read() as unit:
        assert unit.buying.bought("contoso", MIDDAY) == (2, 100_000_000)
        assert unit.buying.bought("contoso", after(-1)) == (3, 150_000_000)
        assert unit.buying.bought("fabrikam", MIDDAY) == (0, 0)


# -- payments ----------------------------------------------------------------------------------------------------------


def test_payments_are_listed_newest_first_and_those_of_an_order_in_their_order(office):
    newest_first = [payment("00000002-1", seconds=1), payment("00000001-2"), payment("00000001-1")]
    refund = payment("00000001-1-refund-1", seconds=-1, kind=REFUND, refund_of="00000001-1")
    with office.write("contoso") as unit:
        for each in (*newest_first, refund):
            unit.buying.write_payment("contoso", each)

    told, before = [], None
    with office.read() as unit:
        while page := unit.buying.payments("contoso", before, 2):
            told += page
            before = (microseconds(page[-1].created_at), page[-1].payment_id)
        assert unit.buying.payments_of("contoso", "00000001") == [refund, newest_first[2], newest_first[1]]
        assert unit.buying.payments("fabrikam", None, 9) == []
    assert told == [*newest_first, refund]


def test_a_payment_is_kept_with_all_that_is_known_of_it(office):
    known = payment(
        "00000001-1",
        PaymentState.ACTION_REQUIRED,
        provider_ref="pi_1",
        code="authentication_required",
        detail="José's bank",
        link="https://bank.example/1?a=b&c=d",
        asks=3,
        first_asked_at=after(1),
        next_at=after(2),
        settled_at=after(3),
        collected_at=after(4),
        lot_id="000000000001",
        refunded_micros=1,
        disputed_micros=2,
        version=9,
    )
    with office.write("contoso") as unit:
        unit.buying.write_payment("contoso", payment("00000001-1"))
        unit.buying.write_payment("contoso", known)

    with office.read() as unit:
        assert unit.buying.payment("contoso", "00000001-1") == known
        assert unit.buying.payment("fabrikam", "00000001-1") is None


def test_payments_to_be_asked_about_are_found_everywhere_the_longest_waiting_first(office):
    for org_id, payment_id, seconds in (
        ("contoso", "00000001-1", 0),
        ("contoso", "00000002-1", -5),
        ("contoso", "00000003-1", 1),
        ("contoso", "00000004-1", None),
        ("fabrikam", "00000001-1", -9),
    ):
        with office.write(org_id) as unit:
            next_at = None if seconds is None else after(seconds)
            unit.buying.write_payment(org_id, payment(payment_id, next_at=next_at))

    with office.read() as unit:
        due = [("fabrikam", "00000001-1"), ("contoso", "00000002-1"), ("contoso", "00000001-1")]
        assert unit.buying.due_payments(MIDDAY, 10) == due
        assert unit.buying.due_payments(MIDDAY, 1) == due[:1]


def test_what_an_agreement_owes_is_what_it_bought_less_what_was_collected_or_refunded(office):
    bought = {"settled_at": MIDDAY, "lot_id": "1", "method_id": "ea"}
    done = PaymentState.SUCCEEDED
    with office.write("contoso") as unit:
        for each in (
            payment("00000001-1", done, **bought),
            payment("00000002-1", done, **bought, collected_at=MIDDAY),
            payment("00000003-1", done, **(bought | {"method_id": "card"})),
            payment("00000004-1", PaymentState.DECLINED, method_id="ea", settled_at=MIDDAY),
            payment("00000005-1", method_id="ea"),
            payment("00000006-1", done, **bought),
            _refund("00000006-1", 1, done, gross_micros=1_000_000),
            _refund("00000006-1", 2, PaymentState.PENDING, gross_micros=2_000_000),
            _refund("00000002-1", 1, done, gross_micros=4_000_000),
        ):
            unit.buying.write_payment("contoso", each)

    with office.read() as unit:
        assert unit.buying.unpaid("contoso", "ea") == 61_000_000 + 60_000_000
        assert unit.buying.unpaid("contoso", "other") == 0
        assert unit.buying.unpaid("fabrikam", "ea") == 0


def _refund(charge: str, number: int, state: PaymentState, **more) -> Payment:
    return payment(f"{charge}-refund-{number}", state, kind=REFUND, refund_of=charge, method_id="ea", **more)


def test_a_payment_of_nothing_is_refused_by_the_database_itself(office):
    with pytest.raises(InvariantBroken), office.write("contoso") as unit:
        unit.buying.write_payment("contoso", payment("00000001-1", gross_micros=0))


def test_the_steps_of_a_payment_are_numbered_as_they_come(office):
    steps = [
        PaymentEvent(payment_id="p", line=0, at=after(5 - number), state=state, code=f"c{number}", detail="d")
        for number, state in enumerate((PaymentState.REQUESTED, PaymentState.PENDING, PaymentState.UNKNOWN))
    ]
    with office.write("contoso") as unit:
        for each in steps:
            unit.buying.add_payment_event("contoso", each)
        unit.buying.add_payment_event("contoso", msgspec.structs.replace(steps[0], payment_id="other"))

    with office.read() as unit:
        found = unit.buying.payment_events("contoso", "p")
    assert found == [msgspec.structs.replace(each, line=number) for number, each in enumerate(steps, 1)]


def test_a_message_is_taken_in_once_by_organisation_and_provider(office):
    for org_id in ("contoso", "fabrikam"):
        with office.write(org_id) as unit:
            assert unit.buying.take_event(org_id, "stripe", "evt_1", "PaymentNews", MIDDAY)
            assert unit.buying.take_event(org_id, "simulator", "evt_1", "PaymentNews", MIDDAY)
    with office.write("contoso") as unit:
        assert not unit.buying.take_event("contoso", "stripe", "evt_1", "DisputeNews", after(1))


def test_a_message_whose_effect_is_rolled_back_can_be_taken_in_again(office):
    with pytest.raises(InvariantBroken), office.write("contoso") as unit:
        _take_in_and_fail(unit)

    with office.write("contoso") as unit:
        assert unit.buying.take_event("contoso", "stripe", "evt_1", "PaymentNews", MIDDAY)


def _take_in_and_fail(unit) -> None:
    assert unit.buying.take_event("contoso", "stripe", "evt_1", "PaymentNews", MIDDAY)
    unit.buying.write_payment("contoso", payment("00000001-1", gross_micros=0))


# -- whose recharge is due ---------------------------------------------------------------------------------------------


def test_wallets_that_are_marked_are_found_the_longest_waiting_first(office):
    for org_id, due_at in (("contoso", after(5)), ("fabrikam", after(1))):
        with office.write(org_id) as unit:
            unit.account.marks.recharge_due_at = due_at

    with office.read() as unit:
        assert unit.buying.recharges_marked(10) == ["fabrikam", "contoso"]
        assert unit.buying.recharges_marked(1) == ["fabrikam"]
    with office.write("fabrikam") as unit:
        unit.account.marks.recharge_due_at = None
    with office.read() as unit:
        assert unit.buying.recharges_marked(10) == ["contoso"]


@pytest.mark.parametrize(
    ("trigger", "seconds", "found"), [(1, 0, True), (1, 1, False), (0, 0, False), (1, None, False), (1, -99, True)]
)
def test_wallets_below_their_trigger_are_found_once_they_may_buy(office, trigger, seconds, found):
    with office.write("contoso") as unit:
        unit.account.marks.trigger_micros = trigger
        unit.account.marks.recharge_at = None if seconds is None else after(seconds)

    with office.read() as unit:
        assert unit.buying.recharges_due(MIDDAY, "", 10) == (["contoso"] if found else [])
        assert unit.buying.recharges_due(MIDDAY, "contoso", 10) == []
