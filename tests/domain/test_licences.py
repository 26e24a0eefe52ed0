"""The rules of licences, each by an example, on a day in 2026 unless a test says another."""

from datetime import date

import pytest

from gettone.catalogue.tables import catalogue
from gettone.domain import licences as rules
from gettone.domain.licences import NOTHING, Holding, ViolationKind, consequences, violations

TERMS = catalogue().terms(date(2026, 11, 23))


def holding(*licences: str, at: str = "US", resource: bool = False) -> Holding:
    return Holding(at, tuple(sorted(licences)), resource)


def refused(after: Holding, before: Holding = NOTHING, *, country: str = "US", terms=TERMS) -> list[tuple[str, str]]:
    """Return (kind, product) of every violation."""
    return [(one.kind.value, one.product) for one in violations(before, after, terms, country)]


def only(after: Holding, before: Holding = NOTHING, *, country: str = "US"):
    [violation] = violations(before, after, TERMS, country)
    return violation.told_to("contoso", "anna@x")


@pytest.mark.parametrize(
    "licences",
    [
        ("MCOEV", "MCOPSTN1", "MCOPSTNC"),
        ("SPE_E5", "MCOPSTN2", "MCOPSTNC"),
        ("SPE_E5_CALLINGMINUTES", "MCOPSTN2"),
        ("MCOMEETADV", "MCOPSTNC"),
        ("MCOMEETACPEA", "MCOMEETADD_DIALOUT_US"),
        ("BUSINESS_VOICE",),
        ("ENTERPRISEPACK",),
        (),
    ],
)
def test_what_belongs_together_may_be_held(licences):
    assert refused(holding(*licences)) == []


def test_the_usage_location_comes_first():
    violation = only(holding("MCOEV", at=""), country="IT")

    assert violation.kind is ViolationKind.USAGE_LOCATION
    assert "no usage location" in violation.sentence
    assert violation.remedy.endswith("gettone users change contoso anna@x --usage-location IT")
    assert refused(holding("ENTERPRISEPACK", at="")) == []


def test_a_calling_plan_needs_phone_system_and_the_remedy_assigns_it():
    violation = only(holding("MCOPSTN1"))

    assert (violation.kind, violation.product) == (ViolationKind.DEPENDENCY, "MCOPSTN1")
    assert "needs Phone System, which the user does not hold" in violation.sentence
    assert violation.remedy == "Assign it first: gettone licences assign contoso anna@x MCOEV"


def test_a_plan_switched_off_is_not_there():
    assert refused(holding("SPE_E5!MCOEV", "MCOPSTN1")) == [("DependencyViolation", "MCOPSTN1")]
    assert refused(holding("SPE_E5!MCOMEETADV", "MCOPSTNC")) == [("DependencyViolation", "MCOPSTNC")]


def test_credits_need_conferencing_or_a_calling_plan_and_phone_system_is_neither():
    bare = only(holding("MCOEV", "MCOPSTNC"))
    conferencing = only(holding("MCOPSTNC"))

    assert bare.remedy == "Assign it first: gettone licences assign contoso anna@x MCOPSTN1"
    assert conferencing.remedy == "Assign it first: gettone licences assign contoso anna@x MCOMEETADV"
    assert "Audio Conferencing" in bare.sentence


def test_until_november_2022_credits_did_not_go_with_the_international_plan():
    wanted = holding("MCOEV", "MCOPSTN2", "MCOPSTNC")

    before = refused(wanted, terms=catalogue().terms(date(2022, 10, 31)))

    assert before == [("DependencyViolation", "MCOPSTNC")]
    assert refused(wanted, terms=catalogue().terms(date(2022, 11, 1))) == []


def test_what_a_licence_needs_is_not_taken_from_under_it():
    before = holding("MCOEV", "MCOPSTN1")

    violation = only(holding("MCOPSTN1"), before)

    assert violation.kind is ViolationKind.DEPENDENCY
    assert violation.sentence == "MCOPSTN1 would stay without what it needs when MCOEV is removed."
    assert violation.remedy == ("Remove them in one step: gettone licences remove contoso anna@x MCOEV MCOPSTN1")
    assert refused(holding(), before) == []


def test_what_was_wrong_before_does_not_stand_in_the_way_of_something_else():
    assert refused(holding("MCOMEETADV", "MCOPSTN1"), holding("MCOPSTN1")) == []


def test_a_calling_plan_is_refused_where_it_is_not_sold_and_those_sold_there_are_named():
    violation = only(holding("MCOEV", "MCOPSTN1", at="MX"))

    assert (violation.kind.value, violation.product) == ("ProhibitedInUsageLocationViolation", "MCOPSTN1")
    assert "is not sold in Mexico, where the user is" in violation.sentence
    assert "Microsoft_Teams_Domestic_Calling_Plan_(Mexico)" in violation.remedy


def test_where_no_calling_plan_is_sold_the_remedy_says_so():
    assert "No Calling Plan is sold there" in only(holding("MCOEV", "MCOPSTN1", at="KE")).remedy


def test_own_minutes_are_switched_off_where_they_are_not_sold():
    violation = only(holding("SPE_E5_CALLINGMINUTES", at="KE"))

    assert violation.remedy.endswith("gettone licences assign contoso anna@x 'SPE_E5_CALLINGMINUTES!MCOPSTN8'")
    assert refused(holding("SPE_E5_CALLINGMINUTES!MCOPSTN8", at="KE")) == []


def test_who_moves_to_a_country_without_the_plan_is_refused():
    before = holding("MCOEV", "MCOPSTN1", at="IT")

    moved = holding("MCOEV", "MCOPSTN1", at="MX")

    assert refused(moved, before) == [("ProhibitedInUsageLocationViolation", "MCOPSTN1")]


def test_puerto_rico_has_the_plans_of_the_united_states():
    assert refused(holding("MCOEV", "MCOPSTN1", at="PR")) == []


def test_credits_are_refused_in_an_organisation_of_a_country_where_they_are_not_sold():
    violation = only(holding("MCOMEETADV", "MCOPSTNC", at="KR"), country="KR")

    assert (violation.kind.value, violation.product) == ("ProhibitedInUsageLocationViolation", "MCOPSTNC")
    assert violation.remedy.endswith("gettone org change contoso --post-usage")


def test_a_user_has_one_calling_plan_beside_minutes_of_the_users_own():
    violation = only(holding("MCOEV", "MCOPSTN1", "MCOPSTN2"))

    assert violation.kind is ViolationKind.EXCLUSIVE
    assert violation.remedy.endswith("gettone licences assign contoso anna@x MCOPSTN2 --remove MCOPSTN1")
    assert refused(holding("SPE_E5_CALLINGMINUTES", "MCOPSTN1")) == []


def test_the_same_calling_plan_through_two_products_is_a_conflict_and_the_same_phone_system_is_none():
    twice = holding("BUSINESS_VOICE", "MCOPSTN1", at="GB")

    assert refused(twice) == [("MutuallyExclusiveViolation", "MCOPSTN1")]
    assert refused(holding("MCOEV", "SPE_E5")) == []
    assert refused(holding("BUSINESS_VOICE!MCOPSTN1", "MCOPSTN1", at="GB")) == []


def test_a_resource_account_holds_its_own_licence_a_plan_and_credits_and_no_persons_licence():
    fits = holding("PHONESYSTEM_VIRTUALUSER", "MCOPSTN_PAYG_1", "MCOPSTNC", resource=True)
    payg = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)"
    fits = holding("PHONESYSTEM_VIRTUALUSER", payg, "MCOPSTNC", resource=True)

    assert refused(fits) == []
    assert refused(holding("SPE_E5", resource=True)) == [("AccountKindViolation", "SPE_E5")]
    assert (
        "gettone licences assign contoso anna@x PHONESYSTEM_VIRTUALUSER" in only(holding("MCOEV", resource=True)).remedy
    )


def test_a_person_holds_no_resource_account_licence():
    violation = only(holding("PHONESYSTEM_VIRTUALUSER"))

    assert (violation.kind, violation.kind.graph) == (ViolationKind.ACCOUNT, "Others")
    assert violation.remedy.endswith("gettone users create contoso UPN --account resource")


def test_graph_knows_four_kinds_by_name():
    named = {kind.graph for kind in ViolationKind}

    assert named == {
        "CountViolation",
        "DependencyViolation",
        "MutuallyExclusiveViolation",
        "ProhibitedInUsageLocationViolation",
        "Others",
    }


# -- what a change takes away ------------------------------------------------------------------------------------------


def taken(before: Holding, after: Holding = NOTHING, *numbers: str, country: str = "US") -> str:
    return " ".join(consequences(before, after, TERMS, country, numbers))


def test_minutes_calls_and_numbers_that_go_are_told():
    said = taken(holding("MCOEV", "MCOPSTN1"), holding("MCOEV"), "+14255550100")

    assert "The pool US/MCOPSTN1 loses 3,000 minutes a month, at once." in said
    assert "no Calling Plan is left" in said
    assert "The number +14255550100 is unassigned; it stays with the organisation." in said


def test_both_counters_of_an_international_plan_go():
    said = taken(holding("MCOEV", "MCOPSTN2", at="GB"), holding("MCOEV", at="GB"))

    assert "GB/MCOPSTN2/domestic loses 3,000 minutes" in said
    assert "GB/MCOPSTN2/international loses 600 minutes" in said


def test_a_swap_of_plans_does_not_end_calling():
    said = taken(holding("MCOEV", "MCOPSTN1"), holding("MCOEV", "MCOPSTN2"))

    assert "US/MCOPSTN1 loses" in said
    assert "no Calling Plan is left" not in said


def test_credits_conferences_add_on_and_own_minutes_that_go_are_told():
    before = holding("SPE_E5_CALLINGMINUTES", "MCOMEETADD_DIALOUT_US", "MCOPSTNC")

    said = taken(before)

    assert "no longer paid from Communications Credits" in said
    assert "Conferences of this user no longer dial out." in said
    assert "US and Canada are no longer included" in said
    assert "The user's own 120 minutes a month (MCOPSTN8) end." in said


def test_nothing_is_told_when_nothing_goes():
    assert taken(holding("MCOEV"), holding("MCOEV", "MCOPSTN1")) == ""


# -- pools -------------------------------------------------------------------------------------------------------------


def test_licences_count_in_the_pools_of_their_area():
    assert rules.pools_of(holding("MCOEV", "MCOPSTN1", at="PR"), "US", TERMS) == ("US/MCOPSTN1",)
    assert rules.pools_of(holding("MCOEV", "MCOPSTN2", at="IT"), "US", TERMS) == (
        *("IT/MCOPSTN2/domestic", "IT/MCOPSTN2/international"),
    )
    assert rules.pools_of(holding("SPE_E5_CALLINGMINUTES", "MCOPSTNC"), "US", TERMS) == ()


def test_conference_minutes_grow_with_purchased_licences_but_with_assigned_ones_of_the_select_variant():
    select = "Microsoft_Teams_Audio_Conferencing_select_dial_out"
    owned = {"MCOMEETADV": 15, "SPE_E5": 100, select: 100, "MCOEV": 3}

    assert rules.purchased_pools(owned, "US", TERMS) == {"conference/MCOMEETADV": 115}
    assert rules.pool_seconds("conference/MCOMEETADV", 115, "US", TERMS) == 6900 * 60
    assert rules.pools_of(holding(select), "US", TERMS) == ("conference/MCOMEETBASIC",)
    assert rules.pool_seconds("conference/MCOMEETBASIC", 20, "US", TERMS) == 1200 * 60


def test_where_the_old_terms_stayed_conference_minutes_grow_with_assigned_licences():
    assert rules.purchased_pools({"MCOMEETADV": 10}, "KR", TERMS) == {}
    assert rules.pools_of(holding("MCOMEETADV", at="KR"), "KR", TERMS) == ("conference/MCOMEETADV",)
    assert rules.pool_seconds("conference/MCOMEETADV", 2, "KR", TERMS) == 1800 * 60


def test_a_pool_where_the_plan_is_not_sold_is_empty():
    assert rules.pool_seconds("KE/MCOPSTN1", 7, "US", TERMS) == 0


# -- how many ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("phone_systems", "free"), [(0, 0), (1, 25), (9, 25), (10, 26), (600, 85)])
def test_resource_account_licences_come_with_phone_system(phone_systems, free):
    expected = {"PHONESYSTEM_VIRTUALUSER": free} if free else {}

    assert rules.included_licences({"MCOEV": phone_systems}, TERMS) == expected


def test_numbers_for_users_follow_the_documented_examples():
    payg = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)"

    def numbers(owned):
        return sum(rules.allowed_by(quota, owned, TERMS) for quota in ("user_numbers", "payg_numbers"))

    assert numbers({"MCOPSTN1": 30, payg: 20}) == 63
    assert numbers({"MCOPSTN1": 50}) == 65
    assert numbers({"MCOEV": 50}) == 0


def test_service_numbers_follow_the_tiers_of_phone_system_and_conferencing_licences():
    select = "Microsoft_Teams_Audio_Conferencing_select_dial_out"

    assert rules.service_numbers({"MCOEV": 50, "MCOMEETADV": 1}, TERMS) == (20, 20)
    assert rules.service_numbers({"SPE_E5": 1001}, TERMS) == (125, 125)
    assert rules.service_numbers({select: 500}, TERMS) == (1, 0)
    assert rules.service_numbers({}, TERMS) == (0, 0)


def test_a_product_named_to_who_lacks_one_is_plain_and_sold():
    named = {role: rules.product_for(role, TERMS) for role in rules.Role}

    assert named[rules.Role.PHONE_SYSTEM] == "MCOEV"
    assert named[rules.Role.CONFERENCING] == "MCOMEETADV"
    assert named[rules.Role.DOMESTIC_PLAN] == "MCOPSTN1"
    assert named[rules.Role.CREDITS] == "MCOPSTNC"
    assert named[rules.Role.RESOURCE_ACCOUNT] == "PHONESYSTEM_VIRTUALUSER"


@pytest.mark.parametrize(
    ("held", "named"),
    [
        (holding(), ("MCOEV", "MCOPSTN1")),
        (holding("MCOEV"), ("MCOPSTN1",)),
        (holding("MCOEV", at=""), ("MCOPSTN1",)),
        (holding("MCOEV", at="KE"), ()),
        (holding(resource=True), ("PHONESYSTEM_VIRTUALUSER", "MCOPSTN1")),
        (holding("PHONESYSTEM_VIRTUALUSER", resource=True), ("MCOPSTN1",)),
    ],
)
def test_who_has_no_calling_plan_is_named_one_of_their_country_and_what_it_needs(held, named):
    assert rules.calling_products(held, TERMS, "US") == named


def test_a_product_is_named_as_a_shell_takes_it():
    zone_one = next(sku for sku in TERMS.products if "(country_zone_1)" in sku)

    assert rules.command_word(rules.Role.PAY_AS_YOU_GO, TERMS, "US") == f"'{zone_one}'"
    assert rules.command_word(rules.Role.DOMESTIC_PLAN, TERMS, "KE") == "PRODUCT"
