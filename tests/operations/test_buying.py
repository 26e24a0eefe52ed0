"""Who may buy credit, how much, and what the order comes to."""

from datetime import UTC, datetime

import pytest

from gettone.domain.money import parse_micros
from gettone.errors import Conflict, Forbidden, InvalidInput, NotFound
from gettone.operations import buying, directory, payment_reports
from gettone.operations.billing import CUSTOMER_AGREEMENT, RESELLER
from gettone.operations.buying import BILLING_ADMIN, OPERATOR, Buyer, NewOrder
from tests.support.shop import ADMIN, BEFORE_NCE, UNITS, Shop
from tests.support.world import World, sqlite_url

EARLY = datetime(2018, 2, 19, 12, tzinfo=UTC)


def reasons(shop: Shop, units: int = 50, **settings) -> list[str]:
    """Return what stands in the way of an order."""
    new = NewOrder(amount_micros=units * UNITS, reference="review", **settings)
    return [one.reason for one in buying.review(shop.office, shop.org_id, new, ADMIN, shop.now).obstacles]


@pytest.fixture
def empty(tmp_path):
    """A maker of worlds at any instant with one organisation."""
    opened = []

    def make(now=None, **settings) -> Shop:
        world = World(sqlite_url(tmp_path, f"{len(opened)}.db"), **({"now": now} if now else {}))
        opened.append(world)
        world.organisation("contoso", **settings)
        shop = Shop(world)
        shop.card()
        return shop

    yield make
    for world in opened:
        assert world.findings() == []
        world.close()


# -- how much ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("now", "currency", "least", "too_little"),
    [
        (EARLY, "USD", "20.00", "19.00"),
        (None, "USD", "50.00", "49.00"),
        (datetime(2018, 6, 19, 23, tzinfo=UTC), "USD", "20.00", "19.00"),
        (datetime(2018, 6, 20, tzinfo=UTC), "USD", "50.00", "49.00"),
        (None, "EUR", "50.00", "49.00"),
        (None, "JPY", "5000", "4999"),
        (None, "KWD", "15.000", "14.000"),
    ],
)
def test_the_minimum_goes_by_currency_and_date(empty, now, currency, least, too_little):
    shop = empty(now, currency=currency)
    wrong = NewOrder(amount_micros=parse_micros(too_little, currency), reference="a")
    right = NewOrder(amount_micros=parse_micros(least, currency), reference="a")

    with pytest.raises(InvalidInput, match=f"amount_micros '{too_little}': .*{currency}, at least {least}"):
        buying.place_order(shop.office, "contoso", wrong, ADMIN, shop.now)

    placed = buying.place_order(shop.office, "contoso", right, ADMIN, shop.now)
    assert placed.order.amount_micros == parse_micros(least, currency)


@pytest.mark.parametrize("amount", ["50.01", "50.5", "99.99", "-50", "0", "100000000001"])
def test_only_whole_units_of_the_currency_are_sold(shop, amount):
    micros = parse_micros(amount, "USD")

    with pytest.raises(InvalidInput, match=r"write a whole number of USD, at least 50.00"):
        buying.place_order(shop.office, "contoso", NewOrder(amount_micros=micros, reference="a"), ADMIN, shop.now)

    assert payment_reports.payments(shop.office, "contoso").items == ()


def test_tax_is_on_top_and_rounded_half_up_to_a_whole_coin(empty):
    shop = empty(country="JP", currency="JPY")
    shop.taxed("JP", "JCT", "10")

    found = buying.review(shop.office, "contoso", NewOrder(amount_micros=5_005 * UNITS, reference="a"), ADMIN, shop.now)

    assert (found.tax_micros, found.total_micros) == (501 * UNITS, 5_506 * UNITS)
    assert (found.tax_label, found.tax_millionths) == ("JCT", 100_000)


def test_a_review_says_what_will_be_and_writes_nothing(shop):
    shop.taxed("US", "sales tax", "22")
    shop.card("card-2", 2, purchase_order="PO-7")
    before = shop.world.contents()

    new = NewOrder(amount_micros=50 * UNITS, reference="a", method_id="card-2")
    found = buying.review(shop.office, "contoso", new, ADMIN, shop.now)

    assert (found.amount_micros, found.tax_micros, found.total_micros) == (50 * UNITS, 11 * UNITS, 61 * UNITS)
    assert (found.method_label, found.purchase_order) == ("Visa card-2", "PO-7")
    assert (found.available_micros, found.available_after_micros) == (0, 50 * UNITS)
    assert found.expires_at == datetime(2027, 11, 24, tzinfo=UTC)
    assert found.obstacles == ()
    assert shop.world.contents() == before


# -- who may -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ["user_admin", "license_admin", "teams_communications_admin", "read", "charging", ""])
def test_a_role_that_does_not_buy_is_refused_and_told_whom_to_ask(shop, role):
    somebody = Buyer(role, "somebody")

    with pytest.raises(Forbidden, match="ask a global or billing administrator"):
        shop.order(50, buyer=somebody)
    with pytest.raises(Forbidden, match="may not buy credits"):
        buying.review(shop.office, "contoso", NewOrder(amount_micros=50 * UNITS, reference="a"), somebody, shop.now)

    assert payment_reports.payments(shop.office, "contoso").items == ()


@pytest.mark.parametrize("role", [OPERATOR, "global_admin", BILLING_ADMIN])
def test_operator_global_and_billing_administrators_buy(shop, role):
    placed = shop.order(50, buyer=Buyer(role, "somebody"))

    assert (placed.order.ordered_by, placed.order.kind, placed.order.state) == ("somebody", "purchase", "open")


@pytest.mark.parametrize("country", ["BH", "CN", "IN", "KZ", "NI", "MK", "PK", "RU", "KR", "TW", "UA"])
def test_credits_are_not_sold_in_eleven_countries(empty, country):
    shop = empty(country=country)

    assert "credits_not_sold" in reasons(shop)
    with pytest.raises(Conflict, match=f"not sold in {country}"):
        shop.order(50)


def test_the_new_commerce_experience_buys_until_its_day_and_not_after(empty):
    for now, found in ((BEFORE_NCE, []), (datetime(2022, 11, 22, 12, tzinfo=UTC), ["billed_after_use"])):
        shop = empty(now)
        shop.profile(agreement=CUSTOMER_AGREEMENT)

        assert reasons(shop) == found

    with pytest.raises(Conflict, match=r"bills calls after use.*gettone billing after-use contoso on"):
        shop.order(50)


def test_who_buys_through_a_reseller_has_to_buy_directly(shop):
    shop.profile(agreement=RESELLER)

    assert reasons(shop) == ["reseller"]
    with pytest.raises(Conflict, match="through a reseller"):
        shop.order(50)


@pytest.mark.parametrize("owns", [{}, {"MCOEV": 5}])
def test_phone_system_alone_is_nothing_to_use_credits_with(empty, owns):
    shop = empty(owns=owns)

    assert reasons(shop) == ["nothing_to_use_them"]
    with pytest.raises(Conflict, match="gettone licences buy contoso MCOMEETADV"):
        shop.order(50)


@pytest.mark.parametrize("product", ["MCOMEETADV", "MCOPSTN1", "MCOPSTN2", "MCOPSTN_PAYG_1", "MCOMEETACPEA"])
def test_conferencing_or_any_calling_plan_is_enough(empty, product):
    assert reasons(empty(owns={product: 1})) == []


def test_an_agreement_of_another_region_does_not_pay_but_a_card_does(shop):
    german = shop.agreement("E-DE", "DE")
    american = shop.agreement("E-CA", "CA")

    assert reasons(shop, method_id=german.method_id) == ["another_region"]
    assert reasons(shop, method_id=american.method_id) == []
    assert reasons(shop) == []
    with pytest.raises(Conflict, match="Agreement E-DE is billed in DE"):
        shop.order(50, method_id=german.method_id)


def test_without_a_payment_method_the_order_says_how_to_add_one(tmp_path):
    with World(sqlite_url(tmp_path)) as world:
        world.organisation("contoso")
        shop = Shop(world)

        assert reasons(shop) == ["no_payment_method"]
        with pytest.raises(Conflict, match="gettone methods add-card contoso"):
            shop.order(50)


def test_a_closed_organisation_buys_nothing(shop):
    directory.close_organisation(shop.office, "contoso")

    assert reasons(shop) == ["organisation_closed"]


def test_everything_that_stands_in_the_way_is_named_at_once(empty):
    shop = empty(country="IN", owns={"MCOEV": 1})
    shop.profile(agreement=RESELLER)

    assert reasons(shop) == ["credits_not_sold", "reseller", "nothing_to_use_them"]
    with pytest.raises(Conflict, match=r"not sold in IN.*reseller.*bought neither"):
        shop.order(50)


def test_a_method_that_is_not_ready_or_not_there_is_not_charged(shop):
    shop.card("card-2", 2, state="setting_up")

    with pytest.raises(InvalidInput, match="method_id 'card-2': it is setting_up"):
        shop.order(50, method_id="card-2")
    with pytest.raises(NotFound, match="'card-9'"):
        shop.order(50, method_id="card-9")


# -- once --------------------------------------------------------------------------------------------------------------


def test_the_same_reference_is_the_same_order(shop):
    first = shop.order(50, "PO-1")
    again = shop.order(50, "PO-1")

    assert (again.repeated, again.order, again.payments) == (True, first.order, first.payments)
    assert len(payment_reports.payments(shop.office, "contoso").items) == 1


def test_the_same_reference_for_another_amount_is_refused(shop):
    shop.order(50, "PO-1")

    with pytest.raises(Conflict, match="reference 'PO-1' was used for another order"):
        shop.order(51, "PO-1")


def test_a_reference_cannot_be_that_of_a_recharge(shop):
    with pytest.raises(InvalidInput, match="begin it with something else than a slash"):
        shop.order(50, "/recharge/00000001")


def test_a_repeated_order_is_found_also_when_the_organisation_may_no_longer_buy(shop):
    shop.order(50, "PO-1")
    shop.profile(agreement=RESELLER)

    assert shop.order(50, "PO-1").repeated


def test_an_order_takes_the_purchase_order_of_its_method_unless_it_has_its_own(shop):
    shop.card("card-2", 2, purchase_order="PO-7")

    taken = shop.order(50, "a", method_id="card-2").order.purchase_order
    own = shop.order(50, "b", method_id="card-2", purchase_order="PO-8").order.purchase_order

    assert (taken, own) == ("PO-7", "PO-8")


def test_orders_are_listed_newest_first_in_pages_and_by_kind(shop):
    for number in range(5):
        shop.order(50, f"order {number}")

    first = buying.orders(shop.office, "contoso", limit=3)
    rest = buying.orders(shop.office, "contoso", limit=3, cursor=first.next_cursor)

    assert [one.reference for one in (*first.items, *rest.items)] == [f"order {number}" for number in (4, 3, 2, 1, 0)]
    assert rest.next_cursor == ""
    assert buying.orders(shop.office, "contoso", kind="recharge").items == ()
    with pytest.raises(InvalidInput, match="kind 'gift': write purchase or recharge"):
        buying.orders(shop.office, "contoso", kind="gift")


def test_payments_are_listed_newest_first_in_pages(shop):
    for number in range(5):
        shop.order(50, f"order {number}")

    first = payment_reports.payments(shop.office, "contoso", limit=3)
    rest = payment_reports.payments(shop.office, "contoso", limit=3, cursor=first.next_cursor)

    assert [one.payment_id for one in (*first.items, *rest.items)] == [f"{number:08d}-1" for number in (5, 4, 3, 2, 1)]
    for cursor in ("1", "x/1", "1/", "9" * 19 + "/a"):
        with pytest.raises(InvalidInput, match="cursor"):
            payment_reports.payments(shop.office, "contoso", cursor=cursor)


def test_what_is_not_there_is_not_found(shop):
    with pytest.raises(NotFound, match=r"order '1'.*gettone credits orders contoso"):
        payment_reports.order(shop.office, "contoso", "1")
    with pytest.raises(NotFound, match=r"payment '1'.*gettone credits payments contoso"):
        payment_reports.payment(shop.office, "contoso", "1")
    with pytest.raises(NotFound, match="'nobody'"):
        payment_reports.payments(shop.office, "nobody")
