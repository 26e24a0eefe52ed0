"""Can this user make this kind of call, and if not, what is missing? On both databases."""

import contextlib

import pytest

from gettone.domain.refusals import Refusal
from gettone.errors import InvalidInput, NotFound
from gettone.operations import directory, licensing
from gettone.operations.bars import add_bar
from gettone.operations.blocks import block_user
from gettone.operations.messages import Grant, StartCall
from gettone.operations.policies import PolicyChanges, change_policies, change_user_policy
from gettone.operations.preflight import KINDS, can_call
from gettone.operations.quoting import Quoting
from gettone.operations.remedies import REMEDIES
from tests.support.world import charging_store, tables


def check(world, user: str, kind: str, **options):
    with contextlib.closing(Quoting(charging_store(world.url), tables(), clock=lambda: world.now)) as quoting:
        return can_call(world.office, "contoso", user, kind, world.now, try_call=quoting.try_call, **options)


def priced(world, rows: str) -> None:
    """Let a later deck of *rows* price calls."""
    world.deck(rows, effective_from=world.now)


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
    priced(contoso, "country,price\nGB,0.01\n")

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
        (
            "no_rate",
            "Import a rate deck that prices it: gettone rates import FILE --name standard --currency EUR",
        ),
        ("insufficient_credit", "Add funds: gettone wallet credit contoso AMOUNT"),
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
    assert missing(contoso, "olga", "conference_out", to="+260211234567") == ["no_credits_licence", "no_rate"]
    priced(contoso, "country,price\nZM,0.4\n")
    assert missing(contoso, "olga", "conference_out", to="+260211234567") == ["no_credits_licence"]


def test_premium_numbers_cannot_be_set_up(contoso):
    [reason] = check(contoso, "anna", "premium").missing

    assert reason.reason == "destination_blocked"
    assert "not reached" in reason.remedy


def test_a_toll_free_number_of_the_organisations_is_paid_by_it_whoever_asks(contoso):
    contoso.number("contoso", "+18005550100", use="conference")

    found = check(contoso, "ben", "toll_free_in")

    assert (found.number, found.call_type, found.allowed) == ("+18005550100", "conf_in", True)
    assert found.payers == ("Communications Credits: 10.00 USD available",)


def test_without_a_toll_free_number_one_is_missing_before_anything_else(contoso):
    [found] = check(contoso, "ben", "toll_free_in").missing

    assert (found.reason, found.remedy) == (
        "unknown_number",
        (
            "Choose one of gettone numbers list contoso, or assign one: "
            "gettone numbers assign contoso NUMBER --use conference"
        ),
    )
    assert missing(contoso, "ben", "toll_free_in", to="+441632960123") == ["unknown_number"]


def test_messages_are_asked_for_by_their_own_rate(contoso):
    assert missing(contoso, "ben", "sms") == ["no_rate"]
    priced(contoso, "country,service,price\nUS,sms,0.05\n")
    assert check(contoso, "ben", "sms").allowed


# -- what the moment leaves --------------------------------------------------------------------------------------------


def change(world, **changes) -> None:
    change_policies(world.office, "contoso", PolicyChanges(**changes), world.now, "the test")


def test_a_destination_without_a_rate_is_named(contoso):
    [found] = check(contoso, "anna", "+33142685300").missing

    assert found.reason == "no_rate"
    assert found.what == "There is no published rate for this destination. +33142685300 (FR, fixed)"
    assert found.remedy.endswith("gettone rates import FILE --name standard --currency USD")


def test_credit_must_cover_the_connection_charge_and_the_first_increment(contoso):
    priced(contoso, "country,price,connection_charge,increments\nIT,6.00,5.00,60/60\n")

    [found] = check(contoso, "anna", "+390612345678").missing
    assert (found.reason, found.what) == (
        "insufficient_credit",
        "The Communications Credits balance does not cover the call; add funds. 10.00 USD are available.",
    )
    contoso.fund("contoso", 1_000_000, reference="second")
    assert check(contoso, "anna", "+390612345678").allowed


def test_spending_limits_of_user_and_group_are_both_told(contoso):
    contoso.user("contoso", "gwen", products=["MCOPSTN1", "MCOPSTNC"], department="Sales")
    change_user_policy(contoso.office, "contoso", "gwen", contoso.now, "the test", limit_micros=0)
    change(contoso, group_limits_micros={"department/Sales": 0})

    found = check(contoso, "gwen", "+390612345678").missing

    assert {one.reason for one in found} == {"spend_limit_reached", "group_spend_limit_reached"}
    assert check(contoso, "gwen", "domestic").allowed


def test_what_the_fraud_guard_has_counted_stands_in_the_way_with_the_limit_to_raise(contoso):
    change(contoso, guard={"concurrent_calls": 1, "user_hour_micros": 250_000})
    call = StartCall(session_id="s", org_id="contoso", request_number=0, user="anna", called="+390612345678")
    [answer] = contoso.charge(call)
    assert isinstance(answer, Grant)

    found = check(contoso, "anna", "+390612345678").missing

    assert [(one.reason, one.remedy.rpartition("gettone ")[2]) for one in found] == [
        ("too_many_calls", "policies set contoso --guard concurrent_calls=NUMBER"),
        ("international_spend_limit", "policies set contoso --guard user_hour=AMOUNT"),
    ]


def test_a_new_premium_destination_is_asked_of_the_fraud_guard(contoso):
    priced(contoso, "country,price\nIT,1.50\n")
    change(contoso, guard={"new_premium_per_day": 0})

    assert missing(contoso, "anna", "+390612345678") == ["new_destination_limit"]


def test_a_barred_number_and_a_dial_out_policy_are_told_together(contoso):
    add_bar(contoso.office, "contoso", "+39", contoso.now)
    change(contoso, dial_out="DialoutCPCandPSTNDomestic")

    assert missing(contoso, "anna", "+390612345678") == ["number_barred", "dial_out_restricted"]


@pytest.mark.parametrize("kind", [*KINDS, "+390612345678"])
@pytest.mark.parametrize("user", ["anna", "ben", "gwen", "dora", "desk"])
def test_the_charging_desk_gives_the_answer_that_was_foretold(contoso, user, kind):
    contoso.user("contoso", "gwen", products=["MCOPSTN5"])
    contoso.user("contoso", "dora", location="")
    contoso.user("contoso", "desk", resource=True)
    contoso.number("contoso", "+18005550100", use="conference")

    found = check(contoso, user, kind)
    call = StartCall(
        session_id="s",
        org_id="contoso",
        request_number=0,
        user=user,
        called=found.number,
        call_type=found.call_type,
        requested_seconds=1,
    )
    [answer] = contoso.charge(call)

    assert isinstance(answer, Grant) == found.allowed
    if not found.allowed:
        assert answer.reason.value == found.missing[0].reason


def test_a_check_leaves_nothing_behind(contoso):
    before = contoso.contents()

    assert missing(contoso, "ben", "conference_out")
    assert check(contoso, "anna", "domestic").allowed

    assert contoso.contents() == before


def test_what_was_supposed_is_not_met_by_who_asks_next(contoso):
    contoso.user("contoso", "dora", location="")
    with contextlib.closing(Quoting(charging_store(contoso.url), tables(), clock=lambda: contoso.now)) as quoting:
        asked = can_call(contoso.office, "contoso", "dora", "domestic", contoso.now, try_call=quoting.try_call)
        quoted = quoting.quote(StartCall(session_id="q", org_id="contoso", user="dora", called=asked.number))

    assert len(asked.missing) > 1
    assert quoted.reason is Refusal.NO_USAGE_LOCATION


def test_a_plan_that_is_assigned_brings_minutes_for_the_call(world):
    world.organisation("contoso")
    world.user("contoso", "dora")

    assert missing(world, "dora", "domestic") == ["no_calling_plan"]


def test_a_country_without_numbers_says_that_there_are_none(world):
    world.organisation("contoso", country="AQ")
    world.user("contoso", "dora", location="BV")

    with pytest.raises(InvalidInput, match="there are no fixed numbers in BV; give the number that is to be called"):
        check(world, "dora", "domestic")
    with pytest.raises(InvalidInput, match="there are no toll-free numbers in AQ"):
        check(world, "dora", "toll_free_in")
    assert missing(world, "dora", "domestic", to="+672101234")


# -- words -------------------------------------------------------------------------------------------------------------


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
