"""``gettone catalogue``: tables are shown, checked and imported, and every error names its line."""

import pytest

HEADER = "service_plan,area,domestic_minutes,international_minutes,effective_from,effective_until,source\n"


@pytest.fixture
def rows(gettone):
    """A good file for the table of its name."""
    file = gettone.folder / "allotments.csv"
    file.write_text(f"{HEADER}MCOPSTN1,IT,1500,0,2100-01-01,,our contract\n")
    return file


def test_tables_are_listed_with_their_size(gettone):
    found = {table["name"]: table for table in gettone.json("catalogue", "show")}

    assert found["countries"]["rows"] == 114
    assert found["allotments"]["last_from"] == "2023-01-25"
    assert "dial_out_policies" in gettone("catalogue", "show").stdout


def test_a_table_is_shown_as_it_counts_on_a_day(gettone):
    def british(*words):
        shown = gettone.json("catalogue", "show", "allotments", *words)
        rows = [row for row in shown if row["cells"]["service_plan"] + row["cells"]["area"] == "MCOPSTN1GB"]
        return [(row["cells"]["domestic_minutes"], row["in_force"]) for row in rows]

    assert british("--on", "2023-01-24") == [("1200", True)]
    assert british("--on", "2023-01-25") == [("3000", True)]
    assert british() == [("1200", False), ("3000", True)]


def test_a_table_is_printed_with_origin_and_whether_it_counts_today(gettone):
    first, *rest = gettone("catalogue", "show", "features").stdout.splitlines()

    assert first.split() == ["feature", "on", "effective_from", "source", "origin", "counts"]
    assert len(rest) == 4
    [shown] = [line for line in rest if "2024-01-23" in line.split()]
    assert shown.split()[-2:] == ["shipped", "yes"]


def test_rows_are_checked_and_imported_and_count(gettone, rows):
    assert gettone("catalogue", "check", rows).stdout == "allotments: OK\n"
    assert gettone("catalogue", "import", rows).stdout == (
        "allotments: 1 row imported, 0 in place of shipped rows; 0 rows there before\n"
    )

    [mine] = [row for row in gettone.json("catalogue", "show", "allotments") if row["origin"] == "operator"]
    assert mine["cells"]["domestic_minutes"] == "1500"
    assert not mine["in_force"]


def test_a_table_may_be_named_beside_the_file(gettone, rows):
    rows = rows.rename(gettone.folder / "new.csv")

    assert "'new': there is no such table" in gettone.refuses("catalogue", "check", rows, expect=2)
    assert gettone.json("catalogue", "import", rows, "--table", "allotments")["rows"] == 1


def test_every_error_is_printed_with_its_line(gettone, rows):
    rows.write_text(f"{HEADER}MCOPSTN1,IT,x,0,2100-01-01,,ours\nMCOPSTN7,IT,1,0,2100-01-01,,ours\n")

    for command in ("check", "import"):
        told = gettone.refuses("catalogue", command, rows)
        assert "2 errors; nothing was imported" in told
        assert "line 2: domestic_minutes 'x'" in told
        assert "line 3: service_plan 'MCOPSTN7'" in told


def test_a_file_can_be_checked_without_a_database(empty):
    file = empty.folder / "allotments.csv"
    file.write_text(f"{HEADER}MCOPSTN1,IT,1500,0,2100-01-01,,our contract\n")

    assert empty("catalogue", "check", file, "--shipped").stdout == "allotments: OK\n"
    assert "gettone db upgrade" in empty.refuses("catalogue", "check", file)


def test_standard_input_needs_the_name_of_a_table(gettone):
    assert "--table" in gettone.refuses("catalogue", "check", "-", expect=2)


def test_a_day_that_is_none_is_refused(gettone):
    assert "on 'soon'" in gettone.refuses("catalogue", "show", "zones", "--on", "soon", expect=2)
