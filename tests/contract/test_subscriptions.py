"""What organisations buy: orders, quantities, and what follows from them, on both databases."""

from datetime import UTC, datetime

import pytest

from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import directory, subscriptions
from tests.support.licences import PLAN, assign, buy, counts


def test_an_order_is_made_once_for_its_reference(bare):
    first = buy(bare, "mcopstn1", 25, "PO-1")

    again = buy(bare, "MCOPSTN1", 25, "PO-1")

    assert again == first
    assert (first.sku, first.quantity, first.ended_at) == ("MCOPSTN1", 25, None)
    assert counts(bare) == {"MCOPSTN1": (25, 0, 25)}
    with pytest.raises(Conflict, match="reference 'PO-1' was an order of 25 licences of MCOPSTN1"):
        buy(bare, "MCOPSTN1", 26, "PO-1")
    assert subscriptions.list_subscriptions(bare.office, "contoso") == (first,)


def test_products_are_bought_by_part_number_by_id_and_by_alias(bare):
    assert buy(bare, "0dab259f-bf13-4952-b7f8-7db8f131b28d", 1).sku == "MCOPSTN1"
    assert buy(bare, "MCOPSTN_PAYG_2", 1).sku == "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_2)"
    with pytest.raises(InvalidInput, match=r"product 'MCOPSTM1': there is no such product; did you mean MCOPSTN1"):
        buy(bare, "MCOPSTM1", 1)


def test_communications_credits_come_with_a_fixed_quantity_in_each_order(bare):
    assert buy(bare, "MCOPSTNC").quantity == 1_000_000
    assert buy(bare, "MCOPSTNC", reference="another").quantity == 1_000_000
    with pytest.raises(InvalidInput, match=r"quantity 5: MCOPSTNC comes 1,000,000 in an order; leave the quantity out"):
        buy(bare, "MCOPSTNC", 5, "third")
    with pytest.raises(InvalidInput, match="leave it, order once more, or end it"):
        subscriptions.change_quantity(bare.office, "contoso", "another", 7, bare.now)


def test_what_is_not_sold_any_more_is_refused(bare):
    with pytest.raises(InvalidInput, match="BUSINESS_VOICE_MED2 was sold until 2022-02-28"):
        buy(bare, "BUSINESS_VOICE_MED2", 1)

    bare.now = datetime(2022, 2, 28, 12, tzinfo=UTC)
    assert buy(bare, "BUSINESS_VOICE_MED2", 1).quantity == 1


def test_credits_are_not_sold_where_the_seeds_list_none(world):
    world.organisation("contoso", country="KR", currency="KRW", owns={})

    with pytest.raises(InvalidInput, match=r"not sold to organisations in .*Korea.*gettone org change contoso"):
        buy(world, "MCOPSTNC")


def test_a_closed_organisation_buys_nothing(bare):
    directory.close_organisation(bare.office, "contoso")

    with pytest.raises(Conflict, match="gettone org reopen contoso"):
        buy(bare, "MCOPSTN1", 1)


@pytest.mark.parametrize("quantity", [0, -1, 10_000_001])
def test_a_quantity_is_sensible(bare, quantity):
    with pytest.raises(InvalidInput, match="quantity"):
        buy(bare, "MCOPSTN1", quantity)


def test_the_conference_pool_grows_with_what_is_bought_at_once(bare):
    def size():
        return bare.pools("contoso")["conference/MCOMEETADV"].size_seconds

    buy(bare, "MCOMEETADV", 100)
    assert size() == 100 * 3600
    buy(bare, "SPE_E5", 15)
    assert size() == 115 * 3600
    subscriptions.change_quantity(bare.office, "contoso", "order of MCOMEETADV", 10, bare.now)
    assert size() == 25 * 3600
    subscriptions.end_subscription(bare.office, "contoso", "order of SPE_E5", bare.now)
    assert size() == 10 * 3600
    assert bare.findings() == []


def test_less_than_what_is_assigned_cannot_be_owned(small):
    assign(small, "anna", *PLAN)
    assign(small, "ben", *PLAN)
    [order] = [one for one in subscriptions.list_subscriptions(small.office, "contoso") if one.sku == "MCOPSTN1"]

    with pytest.raises(Conflict, match=r"MCOPSTN1: 2 licences are assigned and 1 would be left; remove 1 first: "):
        subscriptions.change_quantity(small.office, "contoso", order.subscription_id, 1, small.now)
    with pytest.raises(Conflict, match=r"2 licences are assigned and 0 would be left; remove 2 first"):
        subscriptions.end_subscription(small.office, "contoso", order.subscription_id, small.now)

    subscriptions.change_quantity(small.office, "contoso", order.subscription_id, 2, small.now)
    assert counts(small)["MCOPSTN1"] == (2, 2, 0)


def test_an_ended_subscription_counts_no_more_and_stays_to_be_seen(bare):
    order = buy(bare, "MCOPSTN1", 5)

    ended = subscriptions.end_subscription(bare.office, "contoso", order.reference, bare.now)

    assert ended.ended_at == bare.now
    assert counts(bare) == {}
    assert subscriptions.list_subscriptions(bare.office, "contoso") == ()
    assert subscriptions.list_subscriptions(bare.office, "contoso", ended=True) == (ended,)
    with pytest.raises(NotFound, match="subscription 'order of MCOPSTN1'"):
        subscriptions.end_subscription(bare.office, "contoso", order.reference, bare.now)


def test_the_reference_of_an_order_that_ended_is_not_used_again(bare):
    order = buy(bare, "MCOPSTN1", 5)
    subscriptions.end_subscription(bare.office, "contoso", order.subscription_id, bare.now)

    with pytest.raises(Conflict, match=f"an order of 5 licences of MCOPSTN1 .*{order.subscription_id}.* ended on 2026"):
        buy(bare, "MCOPSTN1", 5)

    assert counts(bare) == {}


def test_resource_account_licences_come_free_with_phone_system(bare):
    buy(bare, "MCOEV", 600)

    [phone, resource] = subscriptions.list_products(bare.office, "contoso", bare.now)

    assert (phone.sku, phone.included) == ("MCOEV", 0)
    assert (resource.sku, resource.purchased, resource.included, resource.available) == (
        *("PHONESYSTEM_VIRTUALUSER", 0, 85, 85),
    )
    buy(bare, "PHONESYSTEM_VIRTUALUSER", 5)
    assert counts(bare)["PHONESYSTEM_VIRTUALUSER"] == (5, 0, 90)


def test_phone_system_is_not_given_back_under_the_resource_accounts_that_came_with_it(bare):
    order = buy(bare, "MCOEV", 10)
    bare.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)

    with pytest.raises(Conflict, match="PHONESYSTEM_VIRTUALUSER: 1 licences are assigned and 0 would be left"):
        subscriptions.end_subscription(bare.office, "contoso", order.reference, bare.now)


def test_a_product_shows_its_service_plans_with_their_ids(bare):
    buy(bare, "SPE_E5_CALLINGMINUTES", 1)

    [_, product] = subscriptions.list_products(bare.office, "contoso", bare.now)

    plans = {plan.service_plan: plan for plan in product.service_plans}
    assert {"MCOEV", "MCOMEETADV", "MCOPSTN8"} <= plans.keys()
    assert (plans["MCOPSTN8"].role, plans["MCOPSTN8"].capability) == ("own_minutes", "MCOPSTN8")
    assert len(plans["MCOEV"].plan_id) == 36
    assert len(product.subscription_ids) == 1
