"""Organisations, users, numbers and licences, on both databases."""

import pytest

from gettone.errors import Conflict, InvalidFile, InvalidInput, NotFound
from gettone.operations import directory, licensing, numbers
from gettone.operations.directory import NewUser
from gettone.operations.directory_files import import_users
from gettone.operations.licence_moves import LicencesRefused
from gettone.operations.messages import StartCall, StopCall
from tests.support.licences import assign, held


def sizes(world):
    """Licences and size of the pools of calling plans."""
    pools = world.pools("contoso").values()
    return {pool.pool_key: (pool.licences, pool.size_seconds) for pool in pools if pool.area != "conference"}


def directory_version(world, org_id="contoso"):
    with world.office.read() as unit:
        return unit.money.account(org_id).directory_version


def test_an_organisation_is_made_with_an_empty_wallet_in_its_currency(world):
    made = directory.create_organisation(
        world.office,
        org_id="contoso",
        name=" Contoso Ltd ",
        country="GB",
        currency="GBP",
        time_zone="Europe/London",
        now=world.now,
    )

    assert made.name == "Contoso Ltd"
    assert directory.get_organisation(world.office, "contoso") == made
    wallet = world.wallet("contoso")
    assert (wallet.currency, wallet.posted_micros, wallet.available_micros) == ("GBP", 0, 0)


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("org_id", "Contoso", "small letters"),
        ("org_id", "", "small letters"),
        ("name", "  ", "write something"),
        ("name", "two\nlines", "one line"),
        ("country", "UK", "ISO 3166-1"),
        ("country", "001", "ISO 3166-1"),
        ("currency", "EURO", "ISO 4217"),
        ("time_zone", "Rome", "IANA"),
    ],
)
def test_a_bad_setting_is_refused_with_field_value_and_remedy(world, field, value, remedy):
    settings = {"org_id": "contoso", "name": "Contoso", "country": "US", "currency": "USD", field: value}

    with pytest.raises(InvalidInput) as refused:
        directory.create_organisation(world.office, now=world.now, **settings)

    assert refused.value.field == field
    assert refused.value.value == value
    assert remedy in refused.value.remedy


def test_an_id_is_taken_once(contoso):
    with pytest.raises(Conflict, match="'contoso': an organisation with this id exists"):
        contoso.organisation("contoso")


def test_an_unknown_organisation_is_named_by_everything_that_is_asked_of_it(world):
    asked = [
        lambda: directory.get_organisation(world.office, "nobody"),
        lambda: directory.change_organisation(world.office, "nobody", name="x"),
        lambda: directory.list_users(world.office, "nobody"),
        lambda: numbers.list_numbers(world.office, "nobody"),
        lambda: world.wallet("nobody"),
    ]
    for ask in asked:
        with pytest.raises(NotFound, match="'nobody'"):
            ask()


def test_organisations_are_listed_in_pages(world):
    for name in ("c", "a", "b", "e", "d"):
        world.organisation(name)

    first = directory.list_organisations(world.office, limit=2)
    second = directory.list_organisations(world.office, cursor=first.next_cursor, limit=2)
    third = directory.list_organisations(world.office, cursor=second.next_cursor, limit=2)

    assert [[one.org_id for one in page.items] for page in (first, second, third)] == [["a", "b"], ["c", "d"], ["e"]]
    assert third.next_cursor == ""


def test_settings_change_and_caches_are_told(contoso):
    before = directory_version(contoso)

    directory.change_organisation(contoso.office, "contoso", time_zone="Europe/Rome", post_usage=True)

    changed = directory.get_organisation(contoso.office, "contoso")
    assert (changed.time_zone, changed.post_usage, changed.name) == ("Europe/Rome", True, "contoso")
    assert directory_version(contoso) == before + 1


def test_a_change_that_changes_nothing_tells_nobody(contoso):
    before = directory_version(contoso)

    directory.change_organisation(contoso.office, "contoso", name="contoso")

    assert directory_version(contoso) == before


def test_an_organisation_is_closed_and_opened_again(contoso):
    assert directory.close_organisation(contoso.office, "contoso").closed
    with pytest.raises(Conflict, match="closed"):
        contoso.fund("contoso", 1, reference="second")
    assert not directory.reopen_organisation(contoso.office, "contoso").closed


def test_a_user_is_found_by_id_and_by_name_whatever_its_case(contoso):
    by_id = directory.get_user(contoso.office, "contoso", "anna")

    assert directory.get_user(contoso.office, "contoso", "Anna@Contoso.Example") == by_id
    assert by_id.numbers == ("+14255550100",)


def test_a_user_without_an_id_is_given_one(contoso):
    made = directory.create_user(contoso.office, "contoso", NewUser(upn="Carl@Contoso.example"), contoso.now)

    assert made.upn == "carl@contoso.example"
    assert directory.get_user(contoso.office, "contoso", made.user_id) == made


@pytest.mark.parametrize(
    "new", [NewUser(upn="ANNA@contoso.example"), NewUser(upn="a@b", user_id="anna"), NewUser(upn="anna")]
)
def test_two_users_never_answer_to_the_same_name(contoso, new):
    with pytest.raises(Conflict, match=r"user anna@contoso\.example has it already"):
        directory.create_user(contoso.office, "contoso", new, contoso.now)


def test_a_user_is_renamed_but_not_to_anothers_name(contoso):
    directory.change_user(contoso.office, "contoso", "anna", contoso.now, upn="anna.b@contoso.example")

    assert directory.get_user(contoso.office, "contoso", "anna.b@contoso.example").user_id == "anna"
    with pytest.raises(Conflict, match="ben@contoso"):
        directory.change_user(contoso.office, "contoso", "anna", contoso.now, upn="ben@contoso.example")


def test_users_are_searched_and_listed_in_pages(contoso):
    directory.create_user(contoso.office, "contoso", NewUser(upn="c@x", display_name="Carl 100%"), contoso.now)

    first = directory.list_users(contoso.office, "contoso", limit=2)
    rest = directory.list_users(contoso.office, "contoso", cursor=first.next_cursor, limit=2)
    found = directory.list_users(contoso.office, "contoso", search="0%")

    assert [user.user_id for user in first.items] == ["anna", "ben"]
    assert [user.upn for user in rest.items] == ["c@x"]
    assert [user.upn for user in found.items] == ["c@x"]
    assert directory.list_users(contoso.office, "contoso", search="CARL").items == found.items


@pytest.mark.parametrize("limit", [0, 1001, -1])
def test_a_page_has_a_sensible_size(contoso, limit):
    with pytest.raises(InvalidInput, match="limit"):
        directory.list_users(contoso.office, "contoso", limit=limit)


def test_a_licence_grows_the_pool_of_its_area_at_once(contoso):
    assert sizes(contoso) == {"US/MCOPSTN1": (1, 180_000)}

    directory.create_user(
        contoso.office,
        "contoso",
        NewUser(upn="d@x", usage_location="US", products=("MCOEV", "MCOPSTN1")),
        contoso.now,
    )

    assert sizes(contoso) == {"US/MCOPSTN1": (2, 360_000)}
    assert contoso.findings() == []


def test_puerto_rico_shares_the_pool_of_the_united_states(contoso):
    contoso.user("contoso", "carla", location="PR", products=["MCOPSTN1"])

    assert sizes(contoso) == {"US/MCOPSTN1": (2, 360_000)}


def test_who_moves_takes_the_licence_along(contoso):
    directory.change_user(contoso.office, "contoso", "anna", contoso.now, usage_location="IT")

    assert sizes(contoso) == {"US/MCOPSTN1": (0, 0), "IT/MCOPSTN1": (1, 72_000)}
    assert contoso.findings() == []


def test_a_licence_taken_away_shrinks_the_pool_at_once(contoso):
    assign(contoso, "anna", remove=("MCOPSTN1", "MCOPSTNC"))

    assert sizes(contoso) == {"US/MCOPSTN1": (0, 0)}
    assert directory.get_user(contoso.office, "contoso", "anna").products == ("MCOEV",)


def test_products_are_set_as_given(contoso):
    wanted = ["MCOPSTNC", "MCOPSTN5", "MCOEV", "MCOPSTNC"]

    licensing.set_exactly(contoso.office, "contoso", "ben", wanted, contoso.now)

    assert held(contoso, "ben") == ("MCOEV", "MCOPSTN5", "MCOPSTNC")
    assert sizes(contoso)["US/MCOPSTN5"] == (1, 7200)


def test_a_product_that_does_not_exist_is_named_with_those_that_are_called_nearly_so(contoso):
    with pytest.raises(InvalidInput, match=r"add 'MCOPSTN9': there is no such product; did you mean MCOPSTN"):
        assign(contoso, "anna", "MCOPSTN9")


def test_a_licence_wants_a_usage_location_first(contoso):
    with pytest.raises(LicencesRefused, match="gettone users change contoso d@x --usage-location US"):
        directory.create_user(contoso.office, "contoso", NewUser(upn="d@x", products=("MCOMEETADV",)), contoso.now)
    with pytest.raises(LicencesRefused, match="the user has no usage location"):
        directory.change_user(contoso.office, "contoso", "anna", contoso.now, usage_location="")


def test_who_leaves_gives_back_licences_and_numbers(contoso):
    directory.remove_user(contoso.office, "contoso", "anna", contoso.now)

    with pytest.raises(NotFound, match="'anna'"):
        directory.get_user(contoso.office, "contoso", "anna")
    assert sizes(contoso) == {"US/MCOPSTN1": (0, 0)}
    assert numbers.list_numbers(contoso.office, "contoso").items == ()
    contoso.organisation("fabrikam")
    contoso.number("fabrikam", "+14255550100", use="call_queue")
    assert contoso.findings() == []


def test_the_id_of_who_left_is_free_again_when_their_calls_are_over(contoso):
    start = StartCall(
        org_id="contoso",
        session_id="c1",
        call_type="user_out",
        user="anna",
        called="+14255550123",
        request_number=1,
    )
    contoso.charge(start)
    directory.remove_user(contoso.office, "contoso", "anna", contoso.now)
    again = NewUser(upn="anna2@contoso.example", user_id="anna")

    with pytest.raises(Conflict, match="user_id 'anna': calls of a removed user with this id are still open"):
        directory.create_user(contoso.office, "contoso", again, contoso.now)
    with pytest.raises(InvalidFile) as refused:
        import_users(contoso.office, "contoso", b"user_id,upn\nanna,anna2@x\nother,other@x\n", contoso.now)
    contoso.charge(StopCall(org_id="contoso", session_id="c1", request_number=2, used_seconds=30))

    assert [one.line for one in refused.value.problems] == [2]
    assert directory.create_user(contoso.office, "contoso", again, contoso.now).user_id == "anna"


def test_a_refused_change_leaves_nothing_behind(contoso):
    before = contoso.contents()

    with pytest.raises(Conflict):
        directory.create_user(
            contoso.office,
            "contoso",
            NewUser(upn="d@x", usage_location="US", products=("MCOEV", "MCOPSTN1"), number="+14255550100"),
            contoso.now,
        )

    assert contoso.contents() == before


def test_a_number_belongs_to_one_organisation(contoso):
    contoso.organisation("fabrikam")

    with pytest.raises(Conflict, match=r"'\+14255550100': it belongs to another organisation"):
        numbers.assign_number(contoso.office, "fabrikam", "+1 425 555 0100", contoso.now, use="conference")


def test_a_number_in_use_is_released_first(contoso):
    with pytest.raises(Conflict, match="user anna has it; release it first"):
        numbers.assign_number(contoso.office, "contoso", "+14255550100", contoso.now, user="ben")

    numbers.release_number(contoso.office, "contoso", "+14255550100")
    assigned = numbers.assign_number(contoso.office, "contoso", "+14255550100", contoso.now, user="BEN@contoso.example")

    assert (assigned.use, assigned.user_id) == ("user", "ben")


def test_the_same_assignment_again_changes_nothing_but_its_label(contoso):
    before = directory_version(contoso)

    assert numbers.assign_number(contoso.office, "contoso", "+14255550100", contoso.now, user="anna").label == ""
    numbers.assign_number(contoso.office, "contoso", "+14255550100", contoso.now, user="anna", label="desk")

    [only] = numbers.list_numbers(contoso.office, "contoso").items
    assert only.label == "desk"
    assert directory_version(contoso) == before


def test_a_service_number_has_no_user_and_a_users_number_has_one(contoso):
    with pytest.raises(InvalidInput, match=r"user 'anna@contoso.example': leave it out"):
        numbers.assign_number(contoso.office, "contoso", "+18005550100", contoso.now, user="anna", use="conference")
    with pytest.raises(InvalidInput, match="name the user"):
        numbers.assign_number(contoso.office, "contoso", "+18005550100", contoso.now, use="user")
    with pytest.raises(InvalidInput, match="write one of user, conference"):
        numbers.assign_number(contoso.office, "contoso", "+18005550100", contoso.now)


@pytest.mark.parametrize("number", ["4255550100", "+1425", "+1 425 CALL", ""])
def test_a_malformed_number_is_refused_by_name(contoso, number):
    with pytest.raises(InvalidInput, match="number"):
        numbers.assign_number(contoso.office, "contoso", number, contoso.now, user="anna")


def test_a_number_that_is_not_there_cannot_be_released(contoso):
    with pytest.raises(NotFound, match=r"\+14255550199"):
        numbers.release_number(contoso.office, "contoso", "+14255550199")


def test_numbers_are_listed_by_user_by_part_and_in_pages(contoso):
    for last in range(3):
        contoso.number("contoso", f"+1425555020{last}", use="auto_attendant")

    first = numbers.list_numbers(contoso.office, "contoso", limit=3)
    rest = numbers.list_numbers(contoso.office, "contoso", cursor=first.next_cursor, limit=3)

    assert [one.number for one in (*first.items, *rest.items)] == [
        "+14255550100",
        "+14255550200",
        "+14255550201",
        "+14255550202",
    ]
    [hers] = numbers.list_numbers(contoso.office, "contoso", user="anna").items
    assert hers.number == "+14255550100"
    assert len(numbers.list_numbers(contoso.office, "contoso", search="+142555502").items) == 3
