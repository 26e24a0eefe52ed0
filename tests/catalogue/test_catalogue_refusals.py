"""A row of the catalogue that cannot be right is named with its line, and all of them at once."""

import pytest

from gettone.catalogue.tables import catalogue
from gettone.errors import InvalidFile
from gettone.operations.catalogue import check_table

END = "effective_from,effective_until,source"


def problems(table: str, *lines: str) -> list[tuple[int, str, str]]:
    found = check_table(table, "\n".join(lines).encode())
    return [(problem.line, problem.field, problem.value) for problem in found]


BAD_CELLS = [
    (
        "products",
        "sku,sku_id,name,per_order,aliases",
        ["NEW", "00000000-0000-4000-8000-000000000001", "New", "", ""],
        {
            "sku": ["", "A B", "A!B"],
            "sku_id": ["", "x", "00000000-0000-4000-8000-00000000000A"],
            "name": ["", "a\tb"],
            "per_order": ["0", "-1", "1.5", "many"],
            "aliases": ["A A!B"],
        },
    ),
    (
        "service_plans",
        "service_plan,name,role,capability",
        ["NEW", "New", "other", "NEW"],
        {"role": ["", "boss", "OTHER"], "capability": [""]},
    ),
    (
        "dependencies",
        "role,needs",
        ["credits", "phone_system"],
        {"role": ["money"], "needs": ["", "phone_system,credits", "phone"]},
    ),
    (
        "allotments",
        "service_plan,area,domestic_minutes,international_minutes",
        ["MCOPSTN1", "SM", "1200", "0"],
        {
            "service_plan": ["MCOPSTN9", "MCOEV"],
            "area": ["", "*", "XX", "it", "001"],
            "domestic_minutes": ["", "-1", "1e3", "²", "10000000000"],
            "international_minutes": ["none"],
        },
    ),
    (
        "conference_allotments",
        "service_plan,country,minutes,counted,zone",
        ["MCOMEETADV", "*", "60", "assigned", "A"],
        {"service_plan": ["MCOPSTN1"], "country": ["**"], "counted": ["bought"], "zone": ["B", ""]},
    ),
    (
        "areas",
        "country,pool_area,domestic_countries",
        ["SM", "IT", "SM IT VA"],
        {"pool_area": [""], "domestic_countries": ["", "SM,IT", "SM XX"]},
    ),
    ("premium", "usage_location,prefix", ["IT", "39899"], {"prefix": ["", "+39", "039", "1" * 16]}),
    (
        "countries",
        "country,name,credits,phone_system,calling_plans,conferencing,conference_dial_out,payg_zone,toll_numbers,toll_free_numbers",
        ["SM", "San Marino", "yes", "yes", "no", "per_minute", "yes", "", "no", "no"],
        {"credits": ["", "maybe", "1"], "conferencing": ["perhaps"], "payg_zone": ["2 3"]},
    ),
    ("zones", "zone,country", ["B", "ZW"], {"zone": ["", "B C"], "country": [""]}),
    (
        "minimum_funding",
        "currency,minimum",
        ["KES", "2500.00"],
        {"currency": ["", "usd", "XTS"], "minimum": ["", "0", "-5", "20,00", "0.0000001", "ten"]},
    ),
    (
        "quotas",
        "quota,roles,base,add,for_each",
        ["payg_numbers", "pay_as_you_go", "0", "1", "1"],
        {"quota": ["cars"], "for_each": ["0"], "base": ["-1"]},
    ),
    (
        "service_number_quotas",
        "licences_from,toll,toll_free",
        ["60000", "2000", "2000"],
        {"licences_from": ["0"], "toll": ["x"]},
    ),
    (
        "dial_out_policies",
        "policy,conference,user,default",
        ["Mine", "zone A", "domestic", "no"],
        {"conference": ["zone B", "Zone A"], "user": ["zone A"], "default": ["true"]},
    ),
    ("features", "feature,on", ["toll_free_post_usage", "no"], {"feature": ["magic"], "on": ["off"]}),
]
"""By table: columns, a good row, and cells that make it bad."""


@pytest.mark.parametrize(
    ("table", "header", "good", "column", "bad"),
    [
        pytest.param(table, header, good, column, bad, id=f"{table}-{column}-{bad or 'empty'}")
        for table, header, good, cells in BAD_CELLS
        for column, values in cells.items()
        for bad in values
    ],
)
def test_a_bad_cell_is_named_with_its_line(table, header, good, column, bad):
    columns = header.split(",")
    cells = [bad if name == column else cell for name, cell in zip(columns, good, strict=True)]
    rows = [",".join(f'"{cell}"' for cell in row) for row in (good, cells)]

    found = problems(table, f"{header},{END}", f"{rows[0]},2027-01-01,,ours", f"{rows[1]},2027-02-01,,ours")

    assert found == [(3, column, bad)]


@pytest.mark.parametrize(
    ("dates", "column", "bad"),
    [
        (",,ours", "effective_from", ""),
        ("01/02/2027,,ours", "effective_from", "01/02/2027"),
        ("2027-02-30,,ours", "effective_from", "2027-02-30"),
        ("20270101,,ours", "effective_from", "20270101"),
        ("2027-01-01,never,ours", "effective_until", "never"),
        ("2027-01-02,2027-01-01,ours", "effective_until", "2027-01-01"),
        ("2027-01-01,,", "source", ""),
    ],
)
def test_a_bad_date_or_no_source_is_named_with_its_line(dates, column, bad):
    assert problems("zones", f"zone,country,{END}", f"B,ZW,{dates}") == [(2, column, bad)]


def test_a_row_that_is_there_twice_is_named_with_the_line_of_the_first():
    text = f"zone,country,{END}\nB,ZW,2027-01-01,,ours\nB,ZW,2027-02-01,,ours\n\nB,ZW,2027-01-01,,again\n"
    [problem] = check_table("zones", text.encode())

    assert (problem.line, problem.field, problem.value) == (5, "zone country", "B ZW")
    assert "line 2" in problem.remedy


def test_columns_that_are_unknown_missing_or_double_are_named():
    assert problems("zones", "zone,land,zone,effective_from,effective_until", "B,ZW,B,2027-01-01,") == [
        (1, "column", "zone"),
        (1, "column", "land"),
        (1, "column", "country"),
        (1, "column", "source"),
    ]


def test_a_cut_line_and_open_quotes_are_named():
    found = problems("zones", f"zone,country,{END}", "B,ZW,2027-01-01", 'B,"ZW,2027-01-01,,ours')

    assert [line for line, _, _ in found] == [2, 3]


def test_every_error_of_a_file_is_named_at_once_also_those_between_tables():
    found = problems(
        "product_plans",
        f"sku,service_plan,plan_id,{END}",
        "NOBODY,MCOEV,4828c8ec-dc2e-4779-b502-87ac9ce28ab7,2027-01-01,,ours",
        "MCOEV,NOTHING,4828c8ec-dc2e-4779-b502-87ac9ce28ab7,2027-01-01,,ours",
        "MCOEV,TEAMS1,4828,01.01.2027,,ours",
    )

    assert found == [
        (2, "sku", "NOBODY"),
        (3, "service_plan", "NOTHING"),
        (4, "plan_id", "4828"),
        (4, "effective_from", "01.01.2027"),
    ]


@pytest.mark.parametrize(
    ("row", "column"),
    [
        ("NEW,47794cd0-f0e5-45c5-9033-2eb6b5fc84e0,New,,", "sku_id"),
        ("NEW,00000000-0000-4000-8000-000000000001,New,,mcopstn_payg_2", "aliases"),
        ("mcopstnc,00000000-0000-4000-8000-000000000001,New,,", "sku"),
        ("AAA,00000000-0000-4000-8000-000000000001,New,,SPE_E5", "aliases"),
    ],
)
def test_a_name_of_another_product_is_refused(row, column):
    header = f"sku,sku_id,name,per_order,aliases,{END}"

    assert [found[:2] for found in problems("products", header, f"{row},2027-01-01,,ours")] == [(2, column)]


@pytest.mark.parametrize(
    ("table", "row", "value"),
    [
        (
            "dial_out_policies",
            "policy,conference,user,default\nMine,zone A,domestic,yes",
            "DialoutCPCandPSTNInternational Mine on 2027-01-01",
        ),
        (
            "dial_out_policies",
            "policy,conference,user,default\nDialoutCPCandPSTNInternational,domestic,domestic,no",
            "none on 2027-01-01",
        ),
    ],
)
def test_one_policy_is_the_default_on_every_day(table, row, value):
    header, cells = row.split("\n")

    assert problems(table, f"{header},{END}", f"{cells},2027-01-01,,ours") == [(0, "default", value)]


def test_the_dollar_has_a_minimum_on_every_day():
    assert problems("minimum_funding", f"currency,minimum,{END}", "USD,10,2027-01-01,2027-12-31,ours") == [
        (0, "currency", "none of USD on 2028-01-01")
    ]


@pytest.mark.parametrize("data", [b"", b"\n\n"])
def test_a_file_without_a_header_is_refused(data):
    [problem] = check_table("zones", data)

    assert "begin with a line zone,country" in problem.remedy


def test_a_file_that_is_no_text_is_refused():
    [problem] = check_table("zones", b"\x00\x01")

    assert "not text" in problem.remedy


def test_tables_that_do_not_hold_together_are_no_catalogue():
    with pytest.raises(InvalidFile, match=r"operator rows of zones line 2 country 'XX'"):
        catalogue({"zones": f"zone,country,{END}\nB,XX,2027-01-01,,ours\n"})
