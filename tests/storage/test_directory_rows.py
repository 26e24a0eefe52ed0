"""Organisations, users and numbers as stored: nothing is lost on the way, and nothing else is touched."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import msgspec
import pytest

from gettone.operations.office import Office
from gettone.operations.views import NumberView
from gettone.storage import directory_rows
from gettone.storage.office import open_office
from tests.support.rows import MIDDAY, organisation, user

FULL = user(
    "anna",
    display_name="Anna Núñez",
    usage_location="",
    licences=("MCOEV", "SPE_E5!MCOSTANDARD!TEAMS1"),
    resource=True,
    department="Sales & Service",
    cost_centre="4711",
    dial_out_policy="DialoutCPCDomesticPSTNInternational",
    limit_micros=0,
    blocked_reason="high_international_spend",
    blocked_until=MIDDAY + timedelta(hours=24),
)


@pytest.fixture
def office(ready_url) -> Iterator[Office]:
    with closing(open_office(ready_url)) as made:
        with made.write_shared() as unit:
            for org_id in ("contoso", "fabrikam"):
                unit.directory.add_organisation(organisation(org_id))
        yield made


@pytest.fixture
def small_lists(monkeypatch) -> None:
    """Let a few rows be more than one statement asks for."""
    monkeypatch.setattr(directory_rows, "LIST_SIZE", 2)


def number(digits: str, name: str = "anna", use: str = "user", source: str = "plan") -> NumberView:
    return NumberView(number=f"+{digits}", use=use, user_id=name, label="", source=source)


def add(office: Office, *users, org_id: str = "contoso") -> None:
    with office.write(org_id) as unit:
        unit.directory.add_users(org_id, users)


def found(office: Office, *refs: str, org_id: str = "contoso") -> dict:
    with office.read() as unit:
        return unit.directory.users_by_ref(org_id, refs)


def test_the_rules_of_an_organisation_are_kept(office):
    with office.write("contoso") as unit:
        assert unit.organisation.policies == ""
        unit.directory.change_organisation(organisation("contoso", policies='{"dial_out":"Nowhere"}'))

    with office.read() as unit:
        assert unit.directory.organisation("contoso").policies == '{"dial_out":"Nowhere"}'
        assert unit.directory.organisation("fabrikam").policies == ""


def test_a_user_is_read_as_written(office):
    add(office, FULL, user("ben"))

    assert found(office, "anna", "ben") == {"anna": FULL, "ben": user("ben")}


def test_a_change_raises_the_version_of_its_user_by_one(office):
    add(office, user("anna"), user("ben"))
    add(office, user("anna", "fabrikam"), org_id="fabrikam")

    for version in (2, 3):
        with office.write("contoso") as unit:
            unit.directory.change_users("contoso", [FULL])
            unit.directory.change_users("contoso", [])
        assert found(office, "anna")["anna"] == msgspec.structs.replace(FULL, version=version)
    assert found(office, "ben")["ben"].version == 1
    assert found(office, "anna", org_id="fabrikam")["anna"] == user("anna", "fabrikam")


def test_what_is_taken_from_a_user_is_gone(office):
    add(office, FULL)

    with office.write("contoso") as unit:
        unit.directory.change_users("contoso", [user("anna")])

    assert found(office, "anna")["anna"] == user("anna", version=2)


@pytest.mark.usefixtures("small_lists")
def test_users_are_found_by_id_or_name_in_any_case_and_the_id_goes_first(office):
    anna = user("anna")
    tricky = user("Zoe", upn="anna@fabrikam.example")
    named = user("anna@contoso.example", upn="other@contoso.example")
    add(office, anna, tricky, named, user("ben"), user("carla"))

    refs = ["anna", "ANNA@contoso.example", "anna@contoso.example", "zoe", "Zoe", "Anna@Fabrikam.example", "nobody", ""]
    assert found(office, *refs, *refs) == {
        "anna": anna,
        "ANNA@contoso.example": anna,
        "anna@contoso.example": named,
        "Zoe": tricky,
        "Anna@Fabrikam.example": tricky,
    }
    assert found(office) == {}
    assert found(office, "anna", org_id="fabrikam") == {}


@pytest.mark.parametrize("awkward", ["a'b", 'a"b', "a\\b", "{a,b}", "a%b", "a,b", "NULL", "[1]"])
def test_signs_that_mean_something_to_a_database_are_only_signs(office, awkward):
    add(office, user("ben", upn=awkward.lower()), user(awkward, upn="x"))

    assert found(office, awkward)[awkward].user_id == awkward
    assert found(office, awkward.upper() + "!") == {}


@pytest.mark.usefixtures("small_lists")
def test_numbers_come_with_their_user_and_resource_account(office):
    add(office, user("anna"), user("ben"), user("desk", resource=True))
    with office.write("contoso") as unit:
        unit.directory.add_numbers(
            "contoso",
            [
                number("14255550102", "desk", "auto_attendant", "direct"),
                number("14255550101"),
                number("14255550100"),
                number("14255550103", "", "unassigned"),
            ],
        )

    users = found(office, "anna", "ben", "desk")
    assert {name: each.numbers for name, each in users.items()} == {
        "anna": ("+14255550100", "+14255550101"),
        "ben": (),
        "desk": ("+14255550102",),
    }
    with office.read() as unit:
        assert unit.directory.numbers("contoso", "desk", "", "", 10) == [
            number("14255550102", "desk", "auto_attendant", "direct")
        ]


@pytest.mark.usefixtures("small_lists")
def test_all_users_are_told_in_order_while_they_are_changed(office):
    add(office, *(user(name) for name in ("e", "b", "d", "a", "c")))
    add(office, user("z", "fabrikam"), org_id="fabrikam")

    with office.write("contoso") as unit:
        unit.directory.add_numbers("contoso", [number("14255550100", "a")])
        seen = []
        for each in unit.directory.all_users("contoso"):
            seen.append(each)
            unit.directory.change_users("contoso", [each])

    assert seen == [user(name) for name in "abcde"]
    assert {each.version for each in found(office, *"abcde").values()} == {2}


@pytest.mark.usefixtures("small_lists")
def test_numbers_are_changed_and_released_where_they_are_meant(office):
    with office.write("contoso") as unit:
        unit.directory.add_numbers("contoso", [number(f"1425555010{n}") for n in range(5)])
    with office.write("fabrikam") as unit:
        unit.directory.add_numbers("fabrikam", [number("14255550200")])

    with office.write("contoso") as unit:
        moved = [number("14255550101", "ben", source="ported"), number("14255550103", "", "unassigned", "direct")]
        unit.directory.change_numbers("contoso", moved)
        unit.directory.change_numbers("contoso", [])
        unit.directory.remove_numbers("contoso", {"14255550100", "14255550102", "14255550104", "14255550200"})

    wanted = [f"1425555010{n}" for n in range(5)] + ["14255550200"]
    with office.read() as unit:
        assert unit.directory.numbers_by_digits("contoso", wanted) == {
            "14255550101": moved[0],
            "14255550103": moved[1],
        }
        assert unit.directory.owned_elsewhere("contoso", wanted) == {"14255550200"}
        assert unit.directory.owned_elsewhere("fabrikam", wanted) == {"14255550101", "14255550103"}
