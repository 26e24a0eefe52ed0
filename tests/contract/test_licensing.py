"""Licences of one user, of a selection and of a list, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import catalogue, directory, licensing, lifecycle
from gettone.operations.directory import NewUser
from gettone.operations.licence_moves import LicencesRefused
from gettone.operations.licensing import LicenceChange, Selection
from tests.support.licences import PLAN, assign, counts, held, numbers_of

# -- one user ----------------------------------------------------------------------------------------------------------


def test_licences_are_assigned_and_counted_and_the_pool_follows(small):
    outcome = assign(small, "anna", "MCOPSTN1", "MCOEV")

    assert (outcome.before, outcome.after) == ((), ("MCOEV", "MCOPSTN1"))
    assert (outcome.user_id, outcome.version, outcome.violations) == ("anna", 2, ())
    assert held(small, "anna") == ("MCOEV", "MCOPSTN1")
    assert counts(small)["MCOPSTN1"] == (3, 1, 2)
    assert small.pools("contoso")["US/MCOPSTN1"].size_seconds == 180_000
    assert small.findings() == []


def test_a_licence_that_is_held_already_changes_nothing(small):
    assign(small, "anna", *PLAN)

    again = assign(small, "anna", *PLAN)

    assert not again.changes
    assert again.version == 2
    assert counts(small)["MCOPSTN1"] == (3, 1, 2)


def test_service_plans_are_switched_off_and_on_again(bare):
    bare.own("contoso", {"SPE_E5": 1})
    assign(bare, "anna", "SPE_E5!mcoev")
    assert held(bare, "anna") == ("SPE_E5!MCOEV",)
    assert counts(bare)["SPE_E5"] == (1, 1, 0)

    assign(bare, "anna", "SPE_E5")

    assert held(bare, "anna") == ("SPE_E5",)
    with pytest.raises(InvalidInput, match=r"SPE_E5 has no service plan 'MCOPSTN1'; it has MCOEV, MCOMEETADV"):
        assign(bare, "anna", "SPE_E5!MCOPSTN1")
    assert bare.findings() == []


def test_a_refused_assignment_names_every_reason_and_changes_nothing(small):
    before = small.contents()

    with pytest.raises(LicencesRefused) as refused:
        assign(small, "anna", "MCOPSTN1", "MCOPSTN2")

    kinds = [(one.kind.value, one.product) for one in refused.value.violations]
    assert kinds == [
        ("DependencyViolation", "MCOPSTN1"),
        ("DependencyViolation", "MCOPSTN2"),
        ("MutuallyExclusiveViolation", "MCOPSTN2"),
    ]
    assert "gettone licences assign contoso anna@contoso.example MCOEV" in str(refused.value)
    assert small.contents() == before


def test_a_dry_run_tells_everything_and_writes_nothing(small):
    before = small.contents()

    good = assign(small, "anna", *PLAN, dry_run=True)
    bad = assign(small, "anna", "MCOPSTN1", dry_run=True)

    assert good.after == ("MCOEV", "MCOPSTN1")
    assert [one.kind.value for one in bad.violations] == ["DependencyViolation"]
    assert small.contents() == before


def test_the_usage_location_can_be_set_in_the_same_step(small):
    directory.create_user(small.office, "contoso", NewUser(upn="d@x", user_id="dora"), small.now)

    with pytest.raises(LicencesRefused, match="--usage-location US"):
        assign(small, "dora", "MCOEV")
    assign(small, "dora", "MCOEV", usage_location="GB")

    assert directory.get_user(small.office, "contoso", "dora").usage_location == "GB"


def test_more_than_is_owned_is_refused_with_the_numbers(small):
    for name in ("anna", "ben", "carl"):
        assign(small, name, *PLAN)
    small.user("contoso", "dora")

    with pytest.raises(LicencesRefused, match=r"MCOEV: 3 owned, 3 assigned, 1 more asked for. Buy more: "):
        assign(small, "dora", "MCOEV")


def test_who_is_not_there_and_what_is_not_known_are_named(small):
    with pytest.raises(NotFound, match="user 'nobody'"):
        assign(small, "nobody", "MCOEV")
    with pytest.raises(InvalidInput, match="remove 'MCOEV': it is to be added as well"):
        assign(small, "anna", "MCOEV", remove=("MCOEV",))


def test_two_administrators_do_not_undo_each_other_unseen(small):
    seen = directory.get_user(small.office, "contoso", "anna").version
    assign(small, "anna", *PLAN, if_version=seen)

    with pytest.raises(LicencesRefused, match=r"changed meanwhile: version 2, not 1; holds MCOEV, MCOPSTN1 now"):
        assign(small, "anna", remove=PLAN, if_version=seen)
    with pytest.raises(Conflict, match="changed meanwhile"):
        directory.change_user(small.office, "contoso", "anna", small.now, display_name="A", if_version=seen)

    assert (
        directory.change_user(small.office, "contoso", "anna", small.now, display_name="A", if_version=2).version == 3
    )


def test_the_last_calling_plan_takes_the_numbers_along_and_leaves_them_to_the_organisation(small):
    assign(small, "anna", *PLAN, "MCOPSTNC")
    small.number("contoso", "+14255550100", user="anna")
    small.number("contoso", "+14255550101", user="anna", source="ported")
    small.number("contoso", "+14255550102", user="anna", source="direct")

    outcome = assign(small, "anna", remove=("MCOPSTN1", "MCOPSTNC"))

    assert outcome.numbers_unassigned == ("+14255550100", "+14255550101")
    assert "The number +14255550100 is unassigned; it stays with the organisation." in outcome.consequences
    assert numbers_of(small) == {
        "+14255550100": ("unassigned", ""),
        "+14255550101": ("unassigned", ""),
        "+14255550102": ("user", "anna"),
    }
    assert small.findings() == []


def test_a_swap_in_one_step_keeps_the_number(small):
    assign(small, "anna", *PLAN)
    small.number("contoso", "+14255550100", user="anna")

    outcome = assign(small, "anna", "MCOPSTN2", remove=("MCOPSTN1",))

    assert outcome.numbers_unassigned == ()
    assert numbers_of(small) == {"+14255550100": ("user", "anna")}
    pools = {key: pool.licences for key, pool in small.pools("contoso").items() if pool.area == "US"}
    assert pools == {"US/MCOPSTN1": 0, "US/MCOPSTN2/domestic": 1, "US/MCOPSTN2/international": 1}


def test_who_moves_takes_the_licence_along_and_not_where_it_is_not_sold(small):
    assign(small, "anna", *PLAN)

    with pytest.raises(LicencesRefused, match="not sold in Mexico"):
        directory.change_user(small.office, "contoso", "anna", small.now, usage_location="MX")
    directory.change_user(small.office, "contoso", "anna", small.now, usage_location="IT")

    pools = small.pools("contoso")
    assert (pools["US/MCOPSTN1"].licences, pools["IT/MCOPSTN1"].licences) == (0, 1)
    assert small.findings() == []


def test_a_user_who_is_removed_gives_licences_back(small):
    assign(small, "anna", *PLAN)

    directory.remove_user(small.office, "contoso", "anna", small.now)

    assert counts(small)["MCOPSTN1"] == (3, 0, 3)
    assert small.findings() == []


def test_a_resource_account_holds_its_own_licence(small):
    small.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)

    assert directory.get_user(small.office, "contoso", "desk").resource
    assert counts(small)["PHONESYSTEM_VIRTUALUSER"] == (0, 1, 24)
    with pytest.raises(LicencesRefused, match="is for persons, and this is a resource account"):
        assign(small, "desk", "MCOEV")
    with pytest.raises(LicencesRefused, match="is for resource accounts, and this is a person"):
        assign(small, "anna", "PHONESYSTEM_VIRTUALUSER")


def test_holders_are_listed_by_product(small):
    assign(small, "ben", "MCOEV")
    assign(small, "anna", *PLAN)

    first = licensing.holders(small.office, "contoso", "mcoev", small.now, limit=1)
    rest = licensing.holders(small.office, "contoso", "MCOEV", small.now, cursor=first.next_cursor)

    assert [user.user_id for user in (*first.items, *rest.items)] == ["anna", "ben"]
    assert [user.user_id for user in licensing.holders(small.office, "contoso", "MCOPSTN1", small.now).items] == [
        "anna"
    ]


# -- many users --------------------------------------------------------------------------------------------------------


def select(world, selection: Selection, *add: str, remove: tuple[str, ...] = (), **options):
    return licensing.assign_selection(world.office, "contoso", selection, world.now, add=add, remove=remove, **options)


def test_a_selection_is_all_or_nothing_and_reports_every_refusal(small):
    directory.change_user(small.office, "contoso", "ben", small.now, usage_location="")
    before = small.contents()

    report = select(small, Selection(users=("anna", "ben", "nobody", "carl")), *PLAN)

    assert (report.written, report.changed, report.refused) == (False, 2, 2)
    assert {one.user: [v.kind.value for v in one.violations] for one in report.outcomes} == {
        "anna": [],
        "ben": ["UsageLocationMissing"],
        "nobody": ["UnknownUser"],
        "carl": [],
    }
    assert small.contents() == before


def test_with_partial_the_good_ones_are_done(small):
    directory.change_user(small.office, "contoso", "ben", small.now, usage_location="")

    report = select(small, Selection(users=("anna", "ben", "carl")), *PLAN, partial=True)

    assert (report.written, report.changed, report.refused) == (True, 2, 1)
    assert [held(small, name) for name in ("anna", "ben", "carl")] == [PLAN, (), PLAN]
    assert small.findings() == []


def test_licences_that_do_not_suffice_go_to_the_first_of_a_selection(bare):
    bare.own("contoso", {"MCOEV": 2})

    report = select(bare, Selection(users=("carl", "anna", "ben")), "MCOEV", partial=True)

    assert [bool(one.violations) for one in report.outcomes] == [False, False, True]
    [violation] = report.outcomes[2].violations
    assert violation.sentence == "Not enough licences of MCOEV: 2 owned, 0 assigned, 3 more asked for."
    assert violation.remedy == "Buy more: gettone licences buy contoso MCOEV 1"
    assert counts(bare)["MCOEV"] == (2, 2, 0)


def test_a_licence_that_one_user_gives_back_serves_another_of_the_same_list(bare):
    bare.own("contoso", {"MCOEV": 1})
    assign(bare, "anna", "MCOEV")
    changes = [LicenceChange(user="ben", add=("MCOEV",)), LicenceChange(user="anna", remove=("MCOEV",))]

    report = licensing.run(bare.office, "contoso", bare.now, lambda _: changes)

    assert (report.written, report.changed) == (True, 2)
    assert (held(bare, "anna"), held(bare, "ben")) == ((), ("MCOEV",))


def test_what_a_refused_user_would_have_given_back_serves_nobody(bare):
    bare.own("contoso", {"MCOEV": 1, "MCOMEETADV": 1})
    assign(bare, "anna", "MCOEV")
    assign(bare, "carl", "MCOMEETADV")
    changes = [
        LicenceChange(user="ben", add=("MCOEV",)),
        LicenceChange(user="anna", add=("MCOMEETADV",), remove=("MCOEV",)),
    ]

    report = licensing.run(bare.office, "contoso", bare.now, lambda _: changes, partial=True)

    assert (report.changed, report.refused) == (0, 2)
    assert held(bare, "anna") == ("MCOEV",)
    assert bare.findings() == []


def test_users_are_selected_by_department_location_and_what_they_hold(small):
    directory.change_user(small.office, "contoso", "anna", small.now, department="Sales", cost_centre="4711")
    directory.change_user(small.office, "contoso", "ben", small.now, department="Sales", usage_location="GB")

    def found(**conditions):
        report = select(small, Selection(**conditions), "MCOEV", dry_run=True)
        return [one.user_id for one in report.outcomes]

    assert found(department="Sales") == ["anna", "ben"]
    assert found(department="Sales", usage_location="US") == ["anna"]
    assert found(cost_centre="4711") == ["anna"]
    assert found(search="CAR") == ["carl"]
    assign(small, "carl", *PLAN)
    assert found(holds="mcopstn1") == ["carl"]
    assert found(department="Marketing") == []
    with pytest.raises(InvalidInput, match="name users, or give a condition"):
        found()


@pytest.mark.parametrize("field", ["search", "department", "cost_centre", "usage_location", "holds"])
def test_a_condition_of_blanks_selects_nobody(small, field):
    with pytest.raises(InvalidInput, match=f"{field} ' ': it is only blanks"):
        select(small, Selection(**{field: " "}), "MCOEV")


def test_one_list_names_a_user_once(small):
    changes = [LicenceChange(user="anna", add=("MCOEV",)), LicenceChange(user="anna@contoso.example", add=("MCOEV",))]

    report = licensing.run(small.office, "contoso", small.now, lambda _: changes)

    assert [one.kind.value for one in report.outcomes[1].violations] == ["DuplicateUser"]
    assert not report.written


def test_caches_are_told_once_for_a_whole_selection(small):
    def version():
        with small.office.read() as unit:
            return unit.money.account("contoso").directory_version

    before = version()
    select(small, Selection(users=("anna", "ben", "carl")), *PLAN)
    assert version() == before + 1
    select(small, Selection(users=("anna", "ben", "carl")), *PLAN)
    assert version() == before + 1


# -- what time does ----------------------------------------------------------------------------------------------------


def test_pools_that_are_wrong_are_put_right_and_right_ones_are_left_alone(small):
    assign(small, "anna", *PLAN)
    assert lifecycle.resize_pools(small.office, small.now) == 0
    with small.office.write("contoso") as unit:
        unit.money.write_pools("contoso", {"US/MCOPSTN1": (7, 60), "GB/MCOPSTN1": (1, 60)})

    assert lifecycle.resize_pools(small.office, small.now) == 1

    assert small.findings() == []
    assert small.pools("contoso")["US/MCOPSTN1"].size_seconds == 180_000
    assert small.pools("contoso")["GB/MCOPSTN1"].licences == 0


END = "effective_from,effective_until,source"
NEW_YEAR = datetime(2027, 1, 1, tzinfo=UTC)


@pytest.fixture
def parted(small):
    """The same organisation with plans in both areas; Puerto Rico has pools of its own from the new year on."""
    directory.change_user(small.office, "contoso", "ben", small.now, usage_location="PR")
    directory.change_user(small.office, "contoso", "carl", small.now, usage_location="PR")
    assign(small, "anna", *PLAN)
    assign(small, "ben", *PLAN)
    part_puerto_rico(small, "2027-01-01")
    return small


def part_puerto_rico(world, day: str) -> None:
    minutes = "service_plan,area,domestic_minutes,international_minutes"
    for name, text in {
        "allotments": f"{minutes},{END}\nMCOPSTN1,PR,1000,0,{day},,price list\n",
        "areas": f"country,pool_area,domestic_countries,{END}\nPR,PR,CA PR US,{day},,price list\n",
    }.items():
        catalogue.import_table(world.office, name, text.encode(), world.now)


def pool_licences(world) -> dict[str, int]:
    """Return how many licences count in each pool of a Calling Plan."""
    return {key: pool.licences for key, pool in world.pools("contoso").items() if key.endswith("/MCOPSTN1")}


@pytest.mark.parametrize("late", [timedelta(minutes=10), timedelta(days=3)], ids=["at once", "days later"])
def test_a_licence_counted_by_the_terms_of_yesterday_is_taken_away(parted, late):
    parted.now = NEW_YEAR + late

    assign(parted, "ben", remove=("MCOPSTN1",))

    assert pool_licences(parted) == {"US/MCOPSTN1": 1}
    assert parted.findings() == []


def test_a_licence_assigned_when_new_terms_began_joins_those_from_before(parted):
    parted.now = NEW_YEAR + timedelta(minutes=10)

    assign(parted, "carl", *PLAN)

    assert pool_licences(parted) == {"US/MCOPSTN1": 1, "PR/MCOPSTN1": 2}
    assert parted.findings() == []


def test_pools_of_another_size_than_the_terms_make_are_all_counted_anew(small):
    assign(small, "anna", *PLAN)
    with small.office.write("contoso") as unit:
        unit.money.write_pools("contoso", {"US/MCOPSTN1": (5, 60)})

    assign(small, "ben", *PLAN)

    assert pool_licences(small) == {"US/MCOPSTN1": 2}
    assert small.findings() == []


def test_an_import_of_terms_that_count_today_gives_every_pool_its_size(small):
    assign(small, "anna", *PLAN)
    directory.change_user(small.office, "contoso", "ben", small.now, usage_location="PR")
    assign(small, "ben", *PLAN)

    part_puerto_rico(small, "2026-11-01")

    assert pool_licences(small) == {"US/MCOPSTN1": 1, "PR/MCOPSTN1": 1}
    assert small.findings() == []


def test_at_the_turn_of_terms_pools_follow_where_that_day_began(parted):
    parted.organisation("rome", country="IT", time_zone="Europe/Rome")
    quarter = timedelta(minutes=15)

    before = lifecycle.resize_at_the_turn(parted.office, NEW_YEAR - timedelta(minutes=1), quarter)
    at_the_turn = lifecycle.resize_at_the_turn(parted.office, NEW_YEAR + timedelta(minutes=1), quarter)
    later = lifecycle.resize_at_the_turn(parted.office, NEW_YEAR + timedelta(minutes=2), quarter)

    assert (before, at_the_turn, later) == (0, 1, 0)
    assert pool_licences(parted) == {"US/MCOPSTN1": 1, "PR/MCOPSTN1": 1}


def test_another_time_zone_gives_pools_the_size_of_the_day_it_is_there(parted):
    parted.now = NEW_YEAR - timedelta(hours=5)

    directory.change_organisation(parted.office, "contoso", time_zone="Asia/Tokyo", now=parted.now)

    assert pool_licences(parted) == {"US/MCOPSTN1": 1, "PR/MCOPSTN1": 1}
