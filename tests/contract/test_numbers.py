"""What numbers may ring, how many licences allow, and when toll-free ones may be had, on both databases."""

import pytest

from gettone.errors import Conflict, InvalidFile, InvalidInput, NotFound
from gettone.operations import directory, numbers
from gettone.operations.directory_files import import_numbers, import_users

TOLL_FREE = "+18005550100"


def assign(world, number: str, **options):
    return numbers.assign_number(world.office, "contoso", number, world.now, **options)


def quotas(world) -> dict[str, tuple[int, int]]:
    return {one.kind: (one.used, one.allowed) for one in numbers.number_quotas(world.office, "contoso", world.now)}


@pytest.fixture
def small(world):
    """An organisation with three calling plans and a user who holds one."""
    world.organisation("contoso", owns={"MCOEV": 3, "MCOPSTN1": 3})
    world.user("contoso", "anna", products=["MCOPSTN1"])
    world.user("contoso", "ben", products=["MCOEV"])
    return world


def test_a_number_of_a_user_with_a_plan_came_with_it_and_another_is_by_direct_routing(small):
    assert assign(small, "+14255550100", user="anna").source == "plan"
    assert assign(small, "+14255550101", user="ben").source == "direct"
    assert assign(small, "+14255550102", user="anna", source="ported").source == "ported"


@pytest.mark.parametrize("source", ["plan", "ported"])
def test_a_number_of_a_plan_rings_only_who_has_one(small, source):
    with pytest.raises(InvalidInput, match=r"gettone licences assign contoso ben@contoso.example MCOPSTN1,") as refused:
        assign(small, "+14255550101", user="ben", source=source)

    assert (refused.value.field, refused.value.value) == ("source", source)


def test_who_lacks_phone_system_is_told_to_take_it_first_and_a_plan_that_is_sold_there(small):
    small.user("contoso", "carl", location="GB")
    small.user("contoso", "hana", location="IT")
    told = {}
    for name in ("carl", "hana"):
        with pytest.raises(InvalidInput) as refused:
            assign(small, "+14255550101", user=name, source="plan")
        told[name] = refused.value.remedy

    assert "assign contoso carl@contoso.example MCOEV MCOPSTN1," in told["carl"]
    assert "assign contoso hana@contoso.example MCOEV MCOPSTN1," in told["hana"]


def test_numbers_are_acquired_for_later_and_keep_their_source(small):
    acquired = numbers.acquire_numbers(small.office, "contoso", ["+14255550100", "+1 425 555 0101"], small.now)

    assert [(one.number, one.use, one.source) for one in acquired] == [
        ("+14255550100", "unassigned", "plan"),
        ("+14255550101", "unassigned", "plan"),
    ]
    assert assign(small, "+14255550100", user="anna").source == "plan"
    with pytest.raises(InvalidInput, match="rings a user who has a Calling Plan"):
        assign(small, "+14255550101", user="ben")
    with pytest.raises(Conflict, match="user anna has it; release it first"):
        numbers.acquire_numbers(small.office, "contoso", ["+14255550102", "+14255550100"], small.now)
    assert len(numbers.list_numbers(small.office, "contoso").items) == 2
    assert small.findings() == []


def test_a_number_is_unassigned_and_stays(small):
    assign(small, "+14255550100", user="anna")

    freed = numbers.unassign_number(small.office, "contoso", "+14255550100", small.now)

    assert (freed.use, freed.user_id, freed.source) == ("unassigned", "", "plan")
    assert directory.get_user(small.office, "contoso", "anna").numbers == ()
    assert assign(small, "+14255550100", use="auto_attendant").use == "auto_attendant"
    with pytest.raises(NotFound, match=r"\+14255550199"):
        numbers.unassign_number(small.office, "contoso", "+14255550199", small.now)


def test_an_auto_attendant_and_a_queue_may_name_their_resource_account(small):
    small.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)

    assert assign(small, "+14255550100", user="desk").use == "auto_attendant"
    assert assign(small, "+14255550101", user="desk", use="call_queue").user_id == "desk"
    assert assign(small, "+14255550102", use="call_queue").user_id == ""
    assert directory.get_user(small.office, "contoso", "desk").numbers == ("+14255550100", "+14255550101")


def test_persons_and_resource_accounts_are_rung_on_numbers_of_their_own_kind(small):
    small.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)

    with pytest.raises(InvalidInput, match=r"anna@contoso\.example is a person; name a resource account"):
        assign(small, "+14255550100", user="anna", use="call_queue")
    with pytest.raises(InvalidInput, match=r"desk@contoso\.example is a resource account; give it a number of an"):
        assign(small, "+14255550100", user="desk", use="user")
    with pytest.raises(InvalidInput, match="leave it out: the number is for nobody"):
        assign(small, "+14255550100", user="anna", use="unassigned")
    with pytest.raises(InvalidInput, match="write one of plan, ported, direct"):
        assign(small, "+14255550100", user="anna", source="stolen")


def test_numbers_for_users_are_as_many_as_the_licences_allow(small):
    assert quotas(small)["user"] == (0, 13)
    for last in range(13):
        assign(small, f"+14255550{last:03d}", use="unassigned")

    with pytest.raises(Conflict, match=r"13 of 13 numbers for users .* buy more Calling Plan licences: "):
        assign(small, "+14255550999", user="anna")
    assert quotas(small)["user"] == (13, 13)
    assert assign(small, "+14255550000", user="anna").use == "user"
    assert assign(small, "+14255550999", user="anna", source="ported").source == "ported"
    assert assign(small, "+14255550998", user="ben").source == "direct"
    small.own("contoso", {"MCOPSTN1": 1})
    assert quotas(small)["user"] == (13, 14)
    assign(small, "+14255550997", user="anna")


def test_service_numbers_are_as_many_as_phone_system_and_conferencing_licences_allow(small):
    assert quotas(small) == {"user": (0, 13), "toll": (0, 5), "toll_free": (0, 5)}
    for last in range(5):
        assign(small, f"+14255550{last:03d}", use="call_queue")

    with pytest.raises(Conflict, match="5 of 5 toll numbers for services"):
        assign(small, "+14255550999", use="conference")
    numbers.unassign_number(small.office, "contoso", "+14255550000", small.now)
    assert quotas(small) == {"user": (1, 13), "toll": (4, 5), "toll_free": (0, 5)}
    assign(small, "+14255550999", use="conference")


def test_conferencing_with_dial_out_to_us_and_canada_gives_one_toll_number(world):
    world.organisation("contoso", owns={"MCOMEETBASIC": 100})

    assign(world, "+14255550100", use="conference")
    with pytest.raises(Conflict, match="1 of 1 toll numbers"):
        assign(world, "+14255550101", use="conference")


def test_a_toll_free_number_waits_until_credits_are_set_up(small):
    with pytest.raises(Conflict, match=r"it is toll-free, and nothing pays .* gettone licences buy contoso MCOPSTNC"):
        assign(small, TOLL_FREE, use="conference")
    with pytest.raises(Conflict, match="nothing pays"):
        numbers.acquire_numbers(small.office, "contoso", [TOLL_FREE], small.now)

    small.fund("contoso", 1_000_000, reference="first")

    assert assign(small, TOLL_FREE, use="conference").use == "conference"
    assert quotas(small)["toll_free"] == (1, 5)


def test_credits_that_are_bought_or_billing_after_use_also_pay_for_toll_free_numbers(world):
    world.organisation("contoso", owns={"MCOEV": 1, "MCOPSTNC": 1_000_000})
    world.organisation("fabrikam", owns={"MCOEV": 1}, post_usage=True)

    assert assign(world, TOLL_FREE, use="conference").number == TOLL_FREE
    late = numbers.assign_number(world.office, "fabrikam", "+18005550101", world.now, use="call_queue")
    assert late.number == "+18005550101"


def test_billing_after_use_does_not_pay_for_toll_free_numbers_before_it_could(world):
    world.organisation("contoso", owns={"MCOEV": 1}, post_usage=True)
    world.now = world.now.replace(year=2023)

    with pytest.raises(Conflict, match="nothing pays"):
        assign(world, TOLL_FREE, use="conference")


def test_a_file_of_numbers_names_source_and_resource_accounts_and_every_bad_line(small):
    small.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)
    good = b"number,use,user,label,source\n+14255550100,,anna,,ported\n+14255550101,call_queue,desk,Sales,\n"

    done = import_numbers(small.office, "contoso", good, small.now)

    assert (done.created, done.changed) == (2, 0)
    found = {one.number: one for one in numbers.list_numbers(small.office, "contoso").items}
    assert found["+14255550100"].source == "ported"
    assert (found["+14255550101"].user_id, found["+14255550101"].label) == ("desk", "Sales")
    bad = f"number,use,user,source\n+14255550102,,ben,plan\n{TOLL_FREE},conference,,\n+14255550103,user,desk,\n"
    with pytest.raises(InvalidFile) as refused:
        import_numbers(small.office, "contoso", bad.encode(), small.now)
    assert [(one.line, one.field) for one in refused.value.problems] == [(2, "source"), (3, ""), (4, "use")]


def test_a_file_of_numbers_counts_against_the_quota_line_by_line(small):
    lines = "".join(f"+14255550{last:03d},unassigned\n" for last in range(15))

    with pytest.raises(InvalidFile) as refused:
        import_numbers(small.office, "contoso", f"number,use\n{lines}".encode(), small.now)

    assert [one.line for one in refused.value.problems] == [15, 16]
    assert numbers.list_numbers(small.office, "contoso").items == ()


def test_a_file_of_users_gives_out_numbers_that_rang_nobody(small):
    small.own("contoso", {"MCOPSTN1": 1, "MCOEV": 1})
    numbers.acquire_numbers(small.office, "contoso", ["+14255550100"], small.now, source="ported", label="old desk")
    data = b"upn,usage_location,products,number\nd@x,US,MCOEV MCOPSTN1,+14255550100\n"

    done = import_users(small.office, "contoso", data, small.now)

    assert done.created == 1
    [number] = numbers.list_numbers(small.office, "contoso", user="d@x").items
    assert (number.use, number.source, number.label) == ("user", "ported", "old desk")
    assert small.findings() == []


def test_a_file_of_users_makes_departments_and_resource_accounts(small):
    data = (
        b"user_id,upn,department,cost_centre,account,usage_location,products\n"
        b"d,d@x,Sales,4711,person,,\n"
        b"e,e@x,,,resource,US,PHONESYSTEM_VIRTUALUSER\n"
    )

    import_users(small.office, "contoso", data, small.now)

    dora, desk = (directory.get_user(small.office, "contoso", ref) for ref in ("d", "e"))
    assert (dora.department, dora.cost_centre, dora.resource) == ("Sales", "4711", False)
    assert desk.resource
    bad = b"user_id,upn,account\nd,d@x,resource\nf,f@x,robot\n"
    with pytest.raises(InvalidFile) as refused:
        import_users(small.office, "contoso", bad, small.now)
    assert [(one.line, one.field) for one in refused.value.problems] == [(2, "account"), (3, "account")]


def test_licences_of_a_file_of_users_are_counted_over_the_whole_file(small):
    data = b"upn,usage_location,products\nd@x,US,MCOEV\ne@x,US,MCOEV\n"

    with pytest.raises(InvalidFile) as refused:
        import_users(small.office, "contoso", data, small.now)

    [problem] = refused.value.problems
    assert (problem.line, problem.field) == (3, "products")
    assert "MCOEV: 3 owned, 2 assigned, 2 more asked for" in problem.remedy
