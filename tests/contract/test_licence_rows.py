"""Subscriptions and who holds what, as stored, on both databases."""

from collections.abc import Iterator
from datetime import timedelta

import msgspec
import pytest

from gettone.errors import Conflict, InvariantBroken
from gettone.operations.office import Office
from gettone.operations.views import NumberView, SubscriptionView
from tests.support.rows import MIDDAY, organisation, user

ZONE_1 = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)"
ZONE_1_US = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1_US)"


@pytest.fixture
def office(office: Office) -> Iterator[Office]:
    """Two organisations; whatever is asked of one must not touch the other."""
    with office.write_shared() as unit:
        for org_id in ("contoso", "fabrikam"):
            unit.directory.add_organisation(organisation(org_id))
    return office


def order(reference: str, sku: str = "MCOPSTN1", quantity: int = 10, later: int = 0) -> SubscriptionView:
    return SubscriptionView(
        subscription_id=f"id of {reference}",
        sku=sku,
        quantity=quantity,
        reference=reference,
        created_at=MIDDAY + timedelta(seconds=later),
    )


def test_subscriptions_are_listed_in_the_order_of_their_creation(office):
    with office.write("contoso") as unit:
        for each in (order("c", later=2), order("b"), order("a", "SPE_E5", later=1)):
            unit.licences.add_subscription("contoso", each)

    with office.read() as unit:
        assert [each.reference for each in unit.licences.subscriptions("contoso")] == ["b", "a", "c"]
        assert unit.licences.subscriptions("contoso")[1] == order("a", "SPE_E5", later=1)
        assert unit.licences.subscriptions("fabrikam") == []


def test_a_subscription_that_has_ended_is_listed_only_when_asked_for(office):
    with office.write("contoso") as unit:
        unit.licences.add_subscription("contoso", order("a"))
        unit.licences.add_subscription("contoso", order("b"))
        ended = msgspec.structs.replace(order("a"), quantity=7, ended_at=MIDDAY)
        unit.licences.change_subscription("contoso", ended)

    with office.read() as unit:
        assert unit.licences.subscriptions("contoso") == [order("b")]
        assert unit.licences.subscriptions("contoso", ended=True) == [ended, order("b")]


def test_an_order_is_found_by_its_reference_in_its_organisation_only(office):
    with office.write("contoso") as unit:
        unit.licences.add_subscription("contoso", order("PO 4711"))

    with office.read() as unit:
        assert unit.licences.subscription_by_reference("contoso", "PO 4711") == order("PO 4711")
        assert unit.licences.subscription_by_reference("contoso", "PO 4712") is None
        assert unit.licences.subscription_by_reference("fabrikam", "PO 4711") is None


def test_the_same_reference_twice_is_a_conflict(office):
    with office.write("contoso") as unit:
        unit.licences.add_subscription("contoso", order("a"))

    again = msgspec.structs.replace(order("a"), subscription_id="another")
    with pytest.raises(Conflict), office.write("contoso") as unit:
        unit.licences.add_subscription("contoso", again)


def test_an_order_of_nothing_is_refused_by_the_database_itself(office):
    with pytest.raises(InvariantBroken), office.write("contoso") as unit:
        unit.licences.add_subscription("contoso", order("a", quantity=0))


def test_counts_are_replaced_and_those_not_named_stay(office):
    with office.write("contoso") as unit:
        unit.licences.write_assigned("contoso", {"MCOPSTN1": 3, "MCOPSTNC": 2, "SPE_E5": 1})
        unit.licences.write_assigned("contoso", {"MCOPSTN1": 4, "SPE_E5": 0, "MCOEV": 5})
        unit.licences.write_assigned("contoso", {})

    with office.read() as unit:
        assert unit.licences.assigned("contoso") == {"MCOEV": 5, "MCOPSTN1": 4, "MCOPSTNC": 2}
        assert unit.licences.assigned("fabrikam") == {}


def test_a_count_below_zero_is_refused_by_the_database_itself(office):
    with pytest.raises(InvariantBroken), office.write("contoso") as unit:
        unit.licences.write_assigned("contoso", {"MCOPSTN1": -1})


@pytest.fixture
def holders(office: Office) -> Office:
    """Users whose licences are easily mistaken for one another."""
    held = {
        "anna": ("MCOPSTN1",),
        "ben": ("MCOPSTN_1_GOV", "MCOPSTN5_US"),
        "carla": ("MCOEV", "MCOPSTN1!OTHER", "MCOPSTNC"),
        "dario": ("SPE_E5!MCOPSTN1!MCOEV",),
        "elena": (ZONE_1_US,),
        "fabio": (ZONE_1,),
        "gina": (),
        "hugo": ("SPE_E5_NOPSTNCONF", "mcopstn1"),
    }
    with office.write("contoso") as unit:
        unit.directory.add_users("contoso", [user(name, licences=licences) for name, licences in held.items()])
    with office.write("fabrikam") as unit:
        unit.directory.add_users("fabrikam", [user("zoe", "fabrikam", licences=("MCOPSTN1",))])
    return office


@pytest.mark.parametrize(
    ("sku", "expected"),
    [
        ("MCOPSTN1", ["anna", "carla"]),
        ("MCOPSTN5", []),
        ("MCOPSTN5_US", ["ben"]),
        ("MCOPSTN_1", []),
        ("MCOPSTN__1_GOV", []),
        ("MCOPSTN%", []),
        ("MCOEV", ["carla"]),
        ("OTHER", []),
        ("SPE_E5", ["dario"]),
        ("SPE_E5_NOPSTNCONF", ["hugo"]),
        (ZONE_1, ["fabio"]),
        (ZONE_1_US, ["elena"]),
    ],
)
def test_holders_are_those_of_the_very_product(holders, sku, expected):
    with holders.read() as unit:
        assert [each.user_id for each in unit.licences.holders("contoso", sku, "", 10)] == expected


def test_holders_come_in_pages_with_their_numbers(holders):
    with holders.write("contoso") as unit:
        number = NumberView(number="+14255550100", use="user", user_id="carla", label="")
        unit.directory.add_numbers("contoso", [number])

    with holders.read() as unit:
        [first] = unit.licences.holders("contoso", "MCOPSTN1", "", 1)
        [second] = unit.licences.holders("contoso", "MCOPSTN1", first.upn, 1)
        assert unit.licences.holders("contoso", "MCOPSTN1", second.upn, 1) == []
    assert (first.user_id, first.numbers) == ("anna", ())
    assert (second.user_id, second.numbers) == ("carla", ("+14255550100",))


def test_numbers_are_counted_by_use_source_and_beginning(office):
    numbers = [
        ("+14255550100", "user", "plan"),
        ("+14255550199", "user", "plan"),
        ("+14255560100", "user", "plan"),
        ("+14255550101", "user", "ported"),
        ("+18005550100", "conference", "direct"),
        ("+18005550101", "conference", ""),
        ("+2907", "unassigned", "direct"),
    ]
    with office.write("contoso") as unit:
        views = [NumberView(number=one, use=use, user_id="", label="", source=src) for one, use, src in numbers]
        unit.directory.add_numbers("contoso", views)

    with office.read() as unit:
        assert unit.licences.number_counts("contoso") == [
            ("conference", "direct", "1800555", 2),
            ("unassigned", "direct", "2907", 1),
            ("user", "plan", "1425555", 2),
            ("user", "plan", "1425556", 1),
            ("user", "ported", "1425555", 1),
        ]
        assert unit.licences.number_counts("fabrikam") == []
