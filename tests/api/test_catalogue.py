"""The catalogue over HTTP: who may read and change it, files with their errors, and what the next decision sees."""

import pytest

from tests.api.test_charging import problem

CATALOGUE = "/v1/catalogue"
ALLOTMENTS = f"{CATALOGUE}/allotments"
HEADER = "service_plan,area,domestic_minutes,international_minutes,effective_from,effective_until,source\n"
GOOD = f"{HEADER}MCOPSTN1,US,4000,0,2026-06-01,,our contract\n"
BAD = f"{HEADER}MCOPSTN1,US,x,0,2026-06-01,,ours\nMCOPSTN7,US,1,0,2026-06-01,,ours\n"
CSV = {"Content-Type": "text/csv"}


def put(api, rows: str, table: str = ALLOTMENTS, *, key: str = "operator"):
    return api.request("PUT", table, content=rows, headers=CSV, key=key)


def check(api, rows: str, table: str = ALLOTMENTS, *, key: str = "operator"):
    return api.request("POST", f"{table}/check", content=rows, headers=CSV, key=key)


def american(api, query: str = "") -> list[tuple[str, str, bool]]:
    rows = api.get(f"{ALLOTMENTS}{query}").json()["rows"]
    found = [row for row in rows if (row["cells"]["service_plan"], row["cells"]["area"]) == ("MCOPSTN1", "US")]
    return [(row["cells"]["domestic_minutes"], row["origin"], row["in_force"]) for row in found]


@pytest.mark.parametrize("key", ["operator", "admin", "charging", "charging_everywhere", "read", "foreign"])
def test_every_key_may_read_the_tables(api, key):
    tables = {table["name"]: table for table in api.get(CATALOGUE, key=key).json()["items"]}
    countries = api.get(f"{CATALOGUE}/countries", key=key).json()

    assert tables["countries"] == {"name": "countries", "rows": 114, "operator_rows": 0, "last_from": "2017-10-01"}
    assert (countries["name"], countries["columns"][0], len(countries["rows"])) == ("countries", "country", 114)


@pytest.mark.parametrize("key", [None, "gtn_0123456789abcdef_nonsense"])
def test_nobody_reads_them_without_a_key_that_counts(api, key):
    for path in (CATALOGUE, ALLOTMENTS):
        problem(api.get(path, key=key), 401)


@pytest.mark.parametrize("key", ["admin", "charging", "read", "foreign"])
def test_only_the_operator_checks_and_imports_rows(api, key):
    problem(check(api, GOOD, key=key), 403)
    problem(put(api, GOOD, key=key), 403)
    assert american(api, "?on=2026-06-01") == [("3000", "shipped", True)]


def test_rows_are_checked_then_imported_and_count_from_their_day(api):
    checked = check(api, GOOD)
    assert (checked.status_code, checked.json()) == (200, {"name": "allotments", "good": True, "errors": []})
    assert american(api, "?on=2026-06-01") == [("3000", "shipped", True)]

    imported = put(api, GOOD)

    assert imported.status_code == 200
    assert imported.json() == {"name": "allotments", "rows": 1, "replaced": 0, "before": 0}
    assert american(api, "?on=2026-05-31") == [("3000", "shipped", True)]
    assert american(api, "?on=2026-06-01") == [("4000", "operator", True)]
    # Today is the 11th of May: both are there, and the shipped one counts.
    assert american(api) == [("3000", "shipped", True), ("4000", "operator", False)]


def test_the_same_again_and_an_empty_file_leave_what_they_say(api):
    put(api, GOOD)

    assert put(api, GOOD).json()["before"] == 1
    assert put(api, HEADER).json() == {"name": "allotments", "rows": 0, "replaced": 0, "before": 1}
    assert american(api) == [("3000", "shipped", True)]


def test_every_error_of_a_file_is_named_with_its_line_and_nothing_is_imported(api):
    checked = check(api, BAD).json()
    refused = problem(put(api, BAD), 422)

    assert checked["good"] is False
    assert checked["errors"] == refused["errors"]
    assert refused["type"] == "urn:gettone:problem:invalid_file"
    told = [(error["line"], error["field"], error["value"]) for error in refused["errors"]]
    assert told == [(2, "domestic_minutes", "x"), (3, "service_plan", "MCOPSTN7")]
    assert american(api) == [("3000", "shipped", True)]


def test_a_file_of_no_text_is_refused_as_a_whole(api):
    [error] = problem(put(api, ""), 422)["errors"]

    assert "empty" in error["remedy"]


def test_a_table_or_a_day_that_is_none_is_named(api):
    for answer in (api.get(f"{CATALOGUE}/prices"), check(api, GOOD, f"{CATALOGUE}/prices")):
        [error] = problem(answer, 422)["errors"]
        assert (error["field"], error["value"]) == ("table", "'prices'")
        assert "products" in error["remedy"]
    [error] = problem(api.get(f"{ALLOTMENTS}?on=soon"), 422)["errors"]
    assert error["field"] == "on"


def test_the_description_says_that_files_are_csv(api):
    paths = api.get("/openapi.json", key=None).json()["paths"]

    for path, method in (("/v1/catalogue/{table}", "put"), ("/v1/catalogue/{table}/check", "post")):
        assert list(paths[path][method]["requestBody"]["content"]) == ["text/csv"]
    assert "requestBody" not in paths["/v1/catalogue/{table}"]["get"]
