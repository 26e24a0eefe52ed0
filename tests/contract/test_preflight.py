"""Can this user make this kind of call, and if not, what is missing? On both databases."""

import pytest

from gettone.domain.refusals import Refusal
from gettone.errors import InvalidInput, NotFound
from gettone.operations import directory, licensing
from gettone.operations.blocks import block_user
from gettone.operations.messages import Grant, StartCall
from gettone.operations.preflight import KINDS, can_call
from gettone.operations.remedies import REMEDIES


def check(world, user: str, kind: str, **options):
    return can_call(world.office, "contoso", user, kind, world.now, **options)


def missing(world, user: str, kind: str, **options) -> list[str]:
    return [one.reason for one in check(world, user, kind, **options).missing]


def test_a_domestic_call_is_paid_by_the_pool_then_credits(contoso):
    found = check(contoso, "anna", "domestic")

    assert (found.allowed, found.call_type, found.country, found.missing) == (True, "user_out", "US", ())
    assert found.payers == (
        "Minutes of the pool US/MCOPSTN1: 3,000 left",
        "Communications Credits: 10.00 USD available",
    )


def test_an_international_call_of_a_domestic_plan_is_paid_by_credits(contoso):
    found = check(contoso, "anna@contoso.example", "international")

    assert (found.allowed, found.country) == (True, "GB")
    assert found.payers == ("Communications Credits: 10.00 USD available",)


def test_a_given_number_is_asked_about(contoso):
    found = check(contoso, "anna", "+390612345678")

    assert (found.number, found.country, found.allowed) == ("+390612345678", "IT", True)
    with pytest.raises(InvalidInput, match="number '\\+12'"):
        check(contoso, "anna", "+12")
    with pytest.raises(InvalidInput, match="kind 'fax': write a number with its plus, or one of domestic"):
        check(contoso, "anna", "fax")
    with pytest.raises(NotFound, match="user 'nobody'"):
        check(contoso, "nobody", "domestic")


def test_everything_that_is_missing_is_listed_with_its_command(world):
    world.organisation("contoso", country="IT", currency="EUR", owns={})
    world.user("contoso", "dora", location="")

    found = check(world, "dora", "international")

    assert not found.allowed
    assert [(one.reason, one.remedy) for one in found.missing] == [
        ("no_usage_location", "Set it: gettone users change contoso dora@contoso.example --usage-location IT"),
        ("no_calling_plan", "Assign one: gettone licences assign contoso dora@contoso.example MCOEV MCOPSTN1"),
        ("no_credits_licence", "Assign one: gettone licences assign contoso dora@contoso.example MCOPSTNC"),
        ("insufficient_credit", "Add funds: gettone wallet credit contoso AMOUNT"),
        ("no_rate", "Import a rate deck: gettone rates import FILE --currency EUR"),
    ]


def test_what_the_check_asks_for_is_enough(world):
    """Follow every remedy, and the call is granted."""
    world.organisation("contoso")
    world.user("contoso", "dora", location="")
    assert missing(world, "dora", "international")

    licences = ["MCOEV", "MCOPSTN1", "MCOPSTNC"]
    licensing.assign(world.office, "contoso", "dora", world.now, add=licences, usage_location="US")
    world.fund("contoso", 1_000_000, reference="first")
    world.deck("country,price\nGB,0.01\n")

    found = check(world, "dora", "international")
    assert (found.allowed, found.missing) == (True, ())
    call = StartCall(session_id="s", org_id="contoso", request_number=0, user="dora", called=found.number)
    [answer] = world.charge(call)
    assert isinstance(answer, Grant)


def test_a_used_up_pool_without_a_credits_licence_says_what_is_missing(contoso):
    contoso.user("contoso", "gwen", products=["MCOPSTN5"])
    assert check(contoso, "gwen", "domestic").allowed
    with contoso.office.write("contoso") as unit:
        unit.money.write_pools("contoso", {"US/MCOPSTN5": (1, 0)})

    assert missing(contoso, "gwen", "domestic") == ["no_credits_licence"]


def test_minutes_of_the_users_own_are_counted(contoso):
    contoso.user("contoso", "emma", products=["SPE_E5_CALLINGMINUTES"])

    assert check(contoso, "emma", "domestic").payers == ("Minutes of the pool user/emma/MCOPSTN8: 120 left",)


def test_conferences_dial_out_from_the_conference_pool(contoso):
    contoso.user("contoso", "olga", products=["MCOMEETADV"])

    assert check(contoso, "olga", "conference_out").payers[0].startswith("Minutes of the pool conference/MCOMEETADV:")
    assert missing(contoso, "ben", "conference_out") == ["no_conferencing_licence"]
    assert missing(contoso, "olga", "conference_out", to="+260211234567") == ["no_credits_licence"]


def test_premium_numbers_cannot_be_set_up(contoso):
    [reason] = check(contoso, "anna", "premium").missing

    assert reason.reason == "destination_blocked"
    assert "not reached" in reason.remedy


def test_a_toll_free_number_is_paid_by_the_organisation_whoever_asks(contoso):
    assert check(contoso, "ben", "toll_free_in").payers == ("Communications Credits: 10.00 USD available",)
    assert check(contoso, "ben", "sms").allowed


def test_a_resource_account_is_asked_about_as_a_voice_application(contoso):
    contoso.user("contoso", "desk", resource=True)

    found = check(contoso, "desk", "domestic")

    assert found.call_type == "ucap_out"
    assert [one.remedy for one in found.missing] == [
        "Assign one: gettone licences assign contoso desk@contoso.example PHONESYSTEM_VIRTUALUSER"
    ]


def test_a_closed_organisation_and_a_blocked_user_are_told_together(contoso):
    block_user(contoso.office, "contoso", "anna", "tenant_requested", contoso.now, by="admin")
    directory.close_organisation(contoso.office, "contoso")

    assert missing(contoso, "anna", "domestic") == ["organisation_closed", "user_blocked"]


def test_every_reason_that_can_be_mended_has_a_remedy():
    about_the_request = {
        Refusal.INVALID_REQUEST,
        Refusal.REQUEST_CHANGED,
        Refusal.REQUEST_NUMBER_BEHIND,
        Refusal.SESSION_EXISTS,
        Refusal.UNKNOWN_SESSION,
        Refusal.SESSION_ENDED,
        Refusal.UNKNOWN_ORGANISATION,
        Refusal.UNAVAILABLE,
    }
    assert set(REMEDIES) == set(Refusal) - about_the_request


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("country", ["US", "IT", "KE", "KR", "MX"])
def test_every_kind_has_an_answer_in_every_country(world, country, kind):
    world.organisation("contoso", country=country)
    world.user("contoso", "dora", location=country)

    found = check(world, "dora", kind)

    assert found.allowed == (not found.missing)
    assert found.payers or found.missing
