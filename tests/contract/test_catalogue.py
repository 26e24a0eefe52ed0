"""The operator's rows of the catalogue, on both databases."""

from datetime import UTC, date, datetime

import pytest

from gettone.errors import InvalidFile, InvalidInput
from gettone.operations import catalogue

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
END = "effective_from,effective_until,source"
ALLOTMENTS = f"service_plan,area,domestic_minutes,international_minutes,{END}\n"
MORE_FOR_ITALY = f"{ALLOTMENTS}MCOPSTN1,IT,1500,0,2027-01-01,,our contract\n"
NEW_YEAR = date(2027, 1, 1)


def bring_in(world, name: str, text: str) -> catalogue.ImportedTable:
    return catalogue.import_table(world.office, name, text.encode(), NOW)


def version(world) -> int:
    from sqlalchemy import select

    from gettone.storage.schema import generation

    with world._engine.connect() as connection:
        query = select(generation.c.version).where(generation.c.name == "catalogue")
        return connection.execute(query).scalar() or 0


def italian_minutes(world, day: date) -> int:
    return catalogue.current(world.office).terms(day).allotment("MCOPSTN1", "IT").domestic_minutes


def test_without_rows_of_the_operator_the_shipped_ones_count(world):
    assert italian_minutes(world, NEW_YEAR) == 1200
    summaries = catalogue.summaries(world.office)
    assert not any(table.operator_rows for table in summaries)
    # What tax is due is the operator's business.
    assert [table.name for table in summaries if not table.rows] == ["taxes"]


def test_imported_rows_count_from_their_day_on_and_are_told_to_every_process(world):
    before = version(world)

    made = bring_in(world, "allotments", MORE_FOR_ITALY)

    assert (made.rows, made.replaced, made.before) == (1, 0, 0)
    assert (italian_minutes(world, date(2026, 12, 31)), italian_minutes(world, NEW_YEAR)) == (1200, 1500)
    assert version(world) == before + 1


def test_an_import_replaces_the_operators_rows_of_that_table_alone(world):
    bring_in(world, "allotments", MORE_FOR_ITALY)
    bring_in(world, "zones", f"zone,country,{END}\nA,SM,2027-01-01,,ours\n")

    made = bring_in(world, "allotments", f"{ALLOTMENTS}MCOPSTN1,IT,900,0,2017-10-01,,our contract\n")

    assert (made.rows, made.replaced, made.before) == (1, 1, 1)
    assert italian_minutes(world, NEW_YEAR) == 900
    assert "SM" in catalogue.current(world.office).terms(NEW_YEAR).zones["A"]


def test_a_file_with_only_a_header_takes_the_operators_rows_away(world):
    bring_in(world, "allotments", MORE_FOR_ITALY)

    made = bring_in(world, "allotments", ALLOTMENTS)

    assert (made.rows, made.before) == (0, 1)
    assert italian_minutes(world, NEW_YEAR) == 1200
    assert version(world) == 2


def test_rows_are_shown_with_their_origin_and_whether_they_count_on_a_day(world):
    bring_in(world, "allotments", MORE_FOR_ITALY)

    def italy(on):
        shown = catalogue.show(world.office, "allotments", on)
        assert shown.columns[-3:] == ("effective_from", "effective_until", "source")
        return [
            (row.origin, row.cells["domestic_minutes"], row.in_force)
            for row in shown.rows
            if (row.cells["service_plan"], row.cells["area"]) == ("MCOPSTN1", "IT")
        ]

    assert italy(NEW_YEAR) == [("shipped", "1200", False), ("operator", "1500", True)]
    assert italy(NOW.date()) == [("shipped", "1200", True), ("operator", "1500", False)]
    assert italy(None) == [("shipped", "1200", None), ("operator", "1500", None)]


def test_a_summary_tells_how_much_a_table_holds(world):
    bring_in(world, "allotments", MORE_FOR_ITALY)

    [found] = [table for table in catalogue.summaries(world.office) if table.name == "allotments"]

    assert (found.rows, found.operator_rows, found.last_from) == (194, 1, NEW_YEAR)


def test_every_bad_line_is_named_and_nothing_is_kept(world):
    bring_in(world, "allotments", MORE_FOR_ITALY)
    bad = f"{ALLOTMENTS}MCOPSTN1,FR,x,0,2027-01-01,,ours\nNOTHING,FR,1,0,2027-01-01,,ours\n"

    with pytest.raises(InvalidFile) as refused:
        bring_in(world, "allotments", bad)

    assert [(problem.line, problem.field) for problem in refused.value.problems] == [
        (2, "domestic_minutes"),
        (3, "service_plan"),
    ]
    assert italian_minutes(world, NEW_YEAR) == 1500
    assert version(world) == 1
    assert catalogue.check_table("allotments", bad.encode(), world.office) == list(refused.value.problems)


def test_rows_that_others_name_cannot_be_taken_away(world):
    header = f"service_plan,name,role,capability,{END}\n"
    bring_in(world, "service_plans", f"{header}TALK,Talk,domestic_plan,TALK,2027-01-01,,ours\n")
    bring_in(world, "allotments", f"{ALLOTMENTS}TALK,IT,5000,0,2027-01-01,,ours\n")

    with pytest.raises(InvalidFile, match=r"operator rows of allotments line 2 service_plan 'TALK'"):
        bring_in(world, "service_plans", header)

    assert "TALK" in catalogue.current(world.office).terms(NEW_YEAR).service_plans
    assert catalogue.check_table("service_plans", header.encode(), world.office)
    assert not catalogue.check_table("service_plans", header.encode())


@pytest.mark.parametrize(
    "ask",
    [
        lambda office: catalogue.show(office, "prices", None),
        lambda office: catalogue.check_table("prices", b"", office),
        lambda office: catalogue.import_table(office, "prices", b"", NOW),
    ],
    ids=["show", "check", "import"],
)
def test_a_table_that_is_not_there_is_named(world, ask):
    with pytest.raises(InvalidInput, match="'prices': there is no such table; write one of products, "):
        ask(world.office)


def test_a_file_that_is_no_text_is_refused(world):
    with pytest.raises(InvalidFile, match="not text"):
        catalogue.import_table(world.office, "zones", b"\x00\x01", NOW)
