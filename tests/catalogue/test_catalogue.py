"""The shipped tables say what the documents say, and the operator adds to them."""

from datetime import date, timedelta
from pathlib import Path

import pytest

from gettone.catalogue.reading import write_table
from gettone.catalogue.tables import SHAPES, TABLES, catalogue, shipped_minimum, table_rows
from gettone.domain.catalogue import ALWAYS, CALLING_PLANS, ConferenceReach, Role, UserReach
from gettone.operations.catalogue import check_table

TODAY = date(2026, 11, 23)
PAYG = "Microsoft_Teams_Calling_Plan_pay_as_you_go_"
END = "effective_from,effective_until,source"
ALLOTMENTS = f"service_plan,area,domestic_minutes,international_minutes,{END}"


def on(year: int, month: int, day: int):
    return catalogue().terms(date(year, month, day))


def minutes(terms, plan: str, country: str) -> tuple[int, int] | None:
    found = terms.allotment(plan, country)
    return found and (found.domestic_minutes, found.international_minutes)


SHIPPED_EMPTY = {"taxes"}
"""Tables without a shipped row, on purpose: which tax is due is the operator's business."""

# -- facts -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_shipped_row_says_where_it_comes_from(name):
    rows = table_rows(name)

    assert bool(rows) == (name not in SHIPPED_EMPTY)
    assert all(placed.row.source and placed.row.effective_from >= ALWAYS for placed in rows)


@pytest.mark.parametrize(
    ("plan", "country", "day", "expected"),
    [
        ("MCOPSTN1", "GB", date(2023, 1, 24), (1200, 0)),
        ("MCOPSTN1", "GB", date(2023, 1, 25), (3000, 0)),
        ("MCOPSTN2", "GB", date(2023, 1, 24), (1200, 600)),
        ("MCOPSTN2", "GB", date(2023, 1, 25), (3000, 600)),
        ("MCOPSTN1", "US", date(2018, 2, 19), (3000, 0)),
        ("MCOPSTN1", "CA", TODAY, (3000, 0)),
        ("MCOPSTN1", "IT", TODAY, (1200, 0)),
        ("MCOPSTN2", "IT", TODAY, (1200, 600)),
        ("MCOPSTN5", "IT", TODAY, (120, 0)),
        ("MCOPSTN6", "IT", TODAY, (240, 0)),
        ("MCOPSTN8", "IT", TODAY, (120, 0)),
        ("PSTN5_US", "US", TODAY, (120, 0)),
        ("MCOPSTN1_MX", "MX", TODAY, (1200, 0)),
        ("MCOPSTN2_MX", "MX", TODAY, (1200, 600)),
        ("MCOPSTN_PAYG_MX", "MX", TODAY, (0, 0)),
        ("MCOPSTN_PAYG_1", "GB", TODAY, (0, 0)),
        ("MCOPSTN_PAYG_2", "CZ", TODAY, (0, 0)),
        ("MCOPSTN_PAYG_2", "HU", TODAY, (0, 0)),
    ],
)
def test_a_plan_brings_its_minutes_from_their_day_on(plan, country, day, expected):
    assert minutes(catalogue().terms(day), plan, country) == expected


@pytest.mark.parametrize(
    ("plan", "country", "day"),
    [
        ("MCOPSTN1", "MX", TODAY),
        ("MCOPSTN1", "JP", TODAY),
        ("MCOPSTN1", "BR", TODAY),
        ("MCOPSTN_PAYG_1", "IT", TODAY),
        ("MCOPSTN_PAYG_2", "GB", TODAY),
        ("MCOPSTN_PAYG_2", "IT", date(2022, 8, 1)),
    ],
)
def test_a_plan_that_is_not_sold_in_a_country_has_no_row_there(plan, country, day):
    assert catalogue().terms(day).allotment(plan, country) is None


def test_puerto_rico_shares_pool_and_minutes_of_the_united_states():
    terms = on(2026, 11, 23)

    assert terms.area("PR") == terms.area("US") == "US"
    assert terms.area("CA") == "CA"
    for plan in ("MCOPSTN1", "MCOPSTN2", "MCOPSTN5", "MCOPSTN6", "MCOPSTN_PAYG_1"):
        assert minutes(terms, plan, "PR") == minutes(terms, plan, "US") is not None
    assert all(terms.is_domestic(one, other) for one in ("US", "PR", "CA") for other in ("US", "PR", "CA"))
    assert not terms.is_domestic("US", "MX")


def test_the_generic_plans_are_sold_in_31_countries_besides_puerto_rico_and_mexico():
    by_plan = {}
    for plan, area in on(2026, 11, 23).allotments:
        by_plan.setdefault(plan, set()).add(area)

    assert by_plan["MCOPSTN1"] == by_plan["MCOPSTN2"] == by_plan["MCOPSTN5"] == by_plan["MCOPSTN6"]
    assert by_plan["MCOPSTN1"] == by_plan["MCOPSTN8"]
    assert len(by_plan["MCOPSTN1"]) == 31
    assert by_plan["MCOPSTN_PAYG_1"] == {"US", "CA", "GB"}
    assert len(by_plan["MCOPSTN_PAYG_2"]) == 28


def test_conferences_dial_out_to_the_44_countries_of_zone_a():
    zones = on(2026, 11, 23).zones

    assert len(zones["A"]) == 44
    assert {"US", "GB", "IT", "CN", "TH"} <= zones["A"]
    assert zones["A"].isdisjoint({"ZW", "CK", "LV", "LT", "AR"})
    assert zones["US_CA"] == {"US", "CA", "PR"}


@pytest.mark.parametrize(
    ("plan", "country", "day", "expected"),
    [
        ("MCOMEETADV", "IT", date(2018, 10, 31), None),
        ("MCOMEETADV", "IT", date(2018, 11, 1), (900, "assigned", "A")),
        ("MCOMEETADV", "IT", date(2019, 11, 30), (900, "assigned", "A")),
        ("MCOMEETADV", "IT", date(2019, 12, 1), (60, "assigned", "A")),
        ("MCOMEETADV", "IT", date(2020, 10, 21), (60, "assigned", "A")),
        ("MCOMEETADV", "IT", date(2020, 10, 22), (60, "purchased", "A")),
        ("MCOMEETADV", "RU", TODAY, (900, "assigned", "A")),
        ("MCOMEETADV", "KR", TODAY, (900, "assigned", "A")),
        ("MCOMEETADV", "TW", TODAY, (900, "assigned", "A")),
        ("MCOMEETBASIC", "US", TODAY, (60, "assigned", "US_CA")),
        ("MCOMEETACPEA", "US", TODAY, None),
        ("MCOMEETADD_DIALOUT_US", "US", TODAY, None),
    ],
)
def test_conference_minutes_follow_their_dates(plan, country, day, expected):
    found = catalogue().terms(day).conference_allotment(plan, country)

    assert (found and (found.minutes, found.counted, found.zone)) == expected


def test_credits_are_not_sold_in_eleven_countries():
    terms = on(2026, 11, 23)

    unsold = {country for country in terms.countries if not terms.sells_credits(country)}
    assert unsold == {"BH", "CN", "IN", "KZ", "NI", "MK", "PK", "RU", "KR", "TW", "UA"}
    assert len(terms.countries) == 114
    assert terms.sells_credits("FO"), "a country that no document mentions"


def test_countries_differ_in_what_is_sold():
    countries = on(2026, 11, 23).countries

    assert sum(row.calling_plans for row in countries.values()) == 33
    assert {code for code, row in countries.items() if not row.conference_dial_out} == {"CN"}
    assert [countries[code].conferencing for code in ("IT", "AL", "IN", "BN")] == ["yes", "per_minute", "no", "no"]
    assert [countries[code].payg_zone for code in ("GB", "IT", "CZ", "MX", "JP")] == ["1", "2", "2", "MX", ""]
    assert [countries[code].toll_free_numbers for code in ("IT", "AL", "CN")] == [True, False, False]


def test_plans_reach_every_country_of_the_list_and_those_within_their_country_codes():
    reached = on(2026, 11, 23).destinations

    assert {"IT", "VA", "CW", "SX", "BQ", "KR", "CD", "CG", "GG", "JE", "IM", "AX"} <= reached
    assert reached.isdisjoint({"CU", "KP", "SO", "LR", ""})


@pytest.mark.parametrize(
    ("location", "number", "may"),
    [
        ("GB", "448431234567", True),
        ("GB", "448721234567", True),
        ("GB", "449091234567", False),
        ("FR", "33891234567", True),
        ("AT", "43900123456", True),
        ("IT", "39899123456", False),
        ("FR", "448431234567", False),
    ],
)
def test_premium_numbers_may_be_called_where_a_row_says_so(location, number, may):
    assert on(2026, 11, 23).may_call_premium(location, number) is may


@pytest.mark.parametrize(
    ("quota", "licences", "allowed"),
    [
        ("user_numbers", 0, 0),
        ("user_numbers", 1, 11),
        ("user_numbers", 30, 43),
        ("user_numbers", 50, 65),
        ("user_numbers", 25, 37),
        ("payg_numbers", 20, 20),
        ("resource_accounts", 0, 0),
        ("resource_accounts", 9, 25),
        ("resource_accounts", 600, 85),
        ("select_conferencing_numbers", 0, 0),
        ("select_conferencing_numbers", 500, 1),
    ],
)
def test_a_quota_grows_with_licences(quota, licences, allowed):
    assert on(2026, 11, 23).quotas[quota].allowed(licences) == allowed


def test_thirty_domestic_and_twenty_pay_as_you_go_licences_allow_63_numbers():
    quotas = on(2026, 11, 23).quotas

    assert quotas["user_numbers"].allowed(30) + quotas["payg_numbers"].allowed(20) == 63


@pytest.mark.parametrize(
    ("licences", "numbers"),
    [(1, 5), (25, 5), (26, 10), (51, 20), (999, 110), (1001, 125), (49_999, 1000), (50_000, 1500), (10**6, 1500)],
)
def test_service_numbers_come_in_tiers(licences, numbers):
    found = on(2026, 11, 23).service_number_quota(licences)

    assert (found.toll, found.toll_free) == (numbers, numbers)


def test_without_licences_there_are_no_service_numbers():
    assert on(2026, 11, 23).service_number_quota(0) is None


def test_one_of_the_twelve_policies_is_the_default():
    terms = on(2026, 11, 23)

    assert len(terms.dial_out_policies) == 12
    assert len({(row.conference, row.user) for row in terms.dial_out_policies.values()}) == 12
    assert terms.default_policy.policy == "DialoutCPCandPSTNInternational"
    assert (terms.default_policy.conference, terms.default_policy.user) == (
        ConferenceReach.ANYWHERE,
        UserReach.ANYWHERE,
    )
    zone_a = terms.dial_out_policies["DialoutCPCZoneAPSTNDisabled"]
    assert (zone_a.conference, zone_a.user) == (ConferenceReach.ZONE_A, UserReach.NOWHERE)


def test_credits_needed_conferencing_or_a_domestic_plan_until_other_plans_were_added():
    before, after = on(2022, 10, 31).dependencies, on(2022, 11, 1).dependencies
    first = {Role.CONFERENCING, Role.CONFERENCING_SELECT, Role.DOMESTIC_PLAN}

    assert before[Role.CREDITS] == first
    assert after[Role.CREDITS] == first | {
        Role.CONFERENCING_PER_MINUTE,
        Role.INTERNATIONAL_PLAN,
        Role.PAY_AS_YOU_GO,
        Role.OWN_MINUTES,
    }


@pytest.mark.parametrize("role", sorted(set(CALLING_PLANS) - {Role.OWN_MINUTES}, key=lambda role: role.value))
def test_a_calling_plan_needs_a_phone_system_or_a_resource_account(role):
    assert on(2026, 11, 23).dependencies[role] == {Role.PHONE_SYSTEM, Role.RESOURCE_ACCOUNT}


@pytest.mark.parametrize(
    ("name", "sku", "plan"),
    [
        ("MCOPSTN1", "MCOPSTN1", "MCOPSTN1"),
        ("mcopstn5", "MCOPSTN5", "MCOPSTN5"),
        ("MCOPSTN6", "MCOPSTN_6", "MCOPSTN6"),
        ("MCOPSTN_PAYG_1", f"{PAYG}(country_zone_1)", "MCOPSTN_PAYG_1"),
        ("MCOPSTN_PAYG_2", f"{PAYG}(country_zone_2)", "MCOPSTN_PAYG_2"),
        ("MCOPSTN_PAYG_MX", f"{PAYG}(Mexico)", "MCOPSTN_PAYG_MX"),
        ("MCOPSTNPP", "MCOPSTNC", "MCOPSTNC"),
        ("47794CD0-f0e5-45c5-9033-2eb6b5fc84e0", "MCOPSTNC", "MCOPSTNC"),
        ("PHONESYSTEM_VIRTUALUSER", "PHONESYSTEM_VIRTUALUSER", "MCOEV_VIRTUALUSER"),
    ],
)
def test_a_product_is_found_by_part_number_id_or_alias(name, sku, plan):
    terms = on(2026, 11, 23)

    assert terms.product(name).sku == sku
    assert plan in terms.plans_of[sku]


@pytest.mark.parametrize("name", ["MCOPSTN8", "MCOPSTN", "", "E5"])
def test_other_names_are_no_product(name):
    assert on(2026, 11, 23).product(name) is None


@pytest.mark.parametrize(
    ("sku", "roles"),
    [
        ("BUSINESS_VOICE", {Role.PHONE_SYSTEM, Role.CONFERENCING, Role.DOMESTIC_PLAN}),
        ("BUSINESS_VOICE_MED2_TELCO", {Role.PHONE_SYSTEM, Role.CONFERENCING, Role.DOMESTIC_PLAN}),
        ("BUSINESS_VOICE_DIRECTROUTING", {Role.PHONE_SYSTEM, Role.CONFERENCING}),
        ("MCOTEAMS_ESSENTIALS", {Role.PHONE_SYSTEM, Role.DOMESTIC_PLAN}),
        ("SPE_E3", {Role.OTHER}),
        ("SPE_E5", {Role.PHONE_SYSTEM, Role.CONFERENCING, Role.OTHER}),
        ("SPE_E5_NOPSTNCONF", {Role.PHONE_SYSTEM, Role.OTHER}),
        ("SPE_E5_CALLINGMINUTES", {Role.PHONE_SYSTEM, Role.CONFERENCING, Role.OWN_MINUTES, Role.OTHER}),
        ("Microsoft_Teams_Audio_Conferencing_select_dial_out", {Role.CONFERENCING_SELECT}),
        ("MCOMEETACPEA", {Role.CONFERENCING_PER_MINUTE}),
        ("MCOMEETADD_DIALOUT_US", {Role.DIAL_OUT_ADD_ON}),
        ("MCOPSTN2", {Role.INTERNATIONAL_PLAN}),
        ("MCOPSTNC", {Role.CREDITS}),
        ("PHONESYSTEM_VIRTUALUSER", {Role.RESOURCE_ACCOUNT}),
    ],
)
def test_a_product_lets_its_holder_do_what_is_in_it(sku, roles):
    assert set(on(2026, 11, 23).holdings(frozenset({sku})).by_role) == roles


def test_calls_are_reported_under_the_capability_of_their_plan():
    plans = on(2026, 11, 23).service_plans

    assert plans["MCOPSTNC"].capability == "MCOPSTNPP"
    assert plans["PSTN5_US"].capability == "MCOPSTN5"
    assert plans["MCOMEETADV"].capability == plans["MCOMEETBASIC"].capability == "MCOMEETADD"
    assert plans["MCOEV_VIRTUALUSER"].capability == "MCOEV_VIRTUALUSER"


def test_business_voice_was_sold_until_the_end_of_february_2022():
    products = on(2026, 11, 23).products

    ended = {sku for sku, product in products.items() if product.effective_until == date(2022, 2, 28)}
    assert ended == {sku for sku in products if sku.startswith("BUSINESS_VOICE")}
    assert len(ended) == 5


def test_an_order_of_credits_brings_a_fixed_number_of_licences():
    assert on(2022, 3, 30).products["MCOPSTNC"].per_order == 10_000_000
    assert on(2022, 3, 31).products["MCOPSTNC"].per_order == 1_000_000
    assert on(2026, 11, 23).products["MCOPSTN1"].per_order is None


def test_the_minimum_was_raised_in_june_2018_and_counts_for_currencies_without_one():
    before, after = on(2018, 6, 19), on(2018, 6, 20)

    assert [before.minimum(code) // 10**6 for code in ("USD", "EUR", "JPY", "ZWG")] == [20, 20, 2000, 20]
    assert [after.minimum(code) // 10**6 for code in ("USD", "EUR", "JPY", "ZWG")] == [50, 50, 5000, 50]


# ISO 4217 as of 2026: which of the catalogue's countries use which currency.
CURRENCIES = {
    "AED": "AE",
    "ALL": "AL",
    "ARS": "AR",
    "AUD": "AU",
    "BAM": "BA",
    "BBD": "BB",
    "BDT": "BD",
    "BHD": "BH",
    "BMD": "BM",
    "BND": "BN",
    "BRL": "BR",
    "BSD": "BS",
    "BYN": "BY",
    "BZD": "BZ",
    "CAD": "CA",
    "CHF": "CH",
    "CLP": "CL",
    "CNY": "CN",
    "COP": "CO",
    "CRC": "CR",
    "CZK": "CZ",
    "DKK": "DK",
    "DOP": "DO",
    "DZD": "DZ",
    "EGP": "EG",
    "EUR": "AT BE BG CY DE EE ES FI FR GR HR IE IT LT LU LV MC MT NL PT SI SK",
    "GBP": "GB",
    "GEL": "GE",
    "GHS": "GH",
    "GTQ": "GT",
    "HKD": "HK",
    "HNL": "HN",
    "HUF": "HU",
    "IDR": "ID",
    "ILS": "IL",
    "INR": "IN",
    "JMD": "JM",
    "JOD": "JO",
    "JPY": "JP",
    "KES": "KE",
    "KHR": "KH",
    "KRW": "KR",
    "KWD": "KW",
    "KYD": "KY",
    "KZT": "KZ",
    "LKR": "LK",
    "MAD": "MA",
    "MDL": "MD",
    "MKD": "MK",
    "MXN": "MX",
    "MYR": "MY",
    "NGN": "NG",
    "NIO": "NI",
    "NOK": "NO",
    "NZD": "NZ",
    "PAB": "PA",
    "PEN": "PE",
    "PHP": "PH",
    "PKR": "PK",
    "PLN": "PL",
    "PYG": "PY",
    "QAR": "QA",
    "RON": "RO",
    "RSD": "RS",
    "RUB": "RU",
    "SAR": "SA",
    "SEK": "SE",
    "SGD": "SG",
    "SVC": "SV",
    "THB": "TH",
    "TND": "TN",
    "TRY": "TR",
    "TTD": "TT",
    "TWD": "TW",
    "UAH": "UA",
    "UGX": "UG",
    "USD": "EC GU MP PA PR SV TC US",
    "UYU": "UY",
    "VES": "VE",
    "VND": "VN",
    "XAF": "CM",
    "XCD": "AG DM GD KN LC",
    "XOF": "BJ",
    "ZAR": "ZA",
}


def test_every_currency_of_a_country_where_something_is_sold_has_a_minimum():
    used = {country for countries in CURRENCIES.values() for country in countries.split()}

    assert used == set(on(2026, 11, 23).countries)
    assert [code for code in CURRENCIES if code not in on(2017, 10, 1).minimum_funding] == []
    assert [code for code in CURRENCIES if code not in on(2026, 11, 23).minimum_funding] == []


def test_the_shipped_minimum_of_a_currency_is_that_of_its_latest_row():
    assert shipped_minimum("USD") == 50_000_000
    assert shipped_minimum("JPY") == 5_000_000_000
    assert shipped_minimum("ZWG") is None


def test_a_fiftieth_of_every_shipped_minimum_is_a_whole_number_of_micros():
    assert [code for code in CURRENCIES if shipped_minimum(code) % 50] == []


def test_toll_free_after_use_and_sale_of_credits_to_new_commerce_follow_their_dates():
    assert on(2022, 11, 21).features == {"nce_buys_credits"}
    assert on(2022, 11, 22).features == set()
    assert on(2024, 1, 22).features == set()
    assert on(2024, 1, 23).features == {"toll_free_post_usage"}


def test_days_before_the_first_have_its_terms():
    assert catalogue().terms(date(2001, 1, 1)) is catalogue().terms(ALWAYS)


def test_days_between_two_changes_share_one_value():
    assert on(2026, 11, 23) is on(2024, 1, 23)
    assert on(2024, 1, 23) is not on(2024, 1, 22)


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_is_written_reads_the_same(name):
    written = write_table(SHAPES[name], table_rows(name))

    assert [placed.row for placed in table_rows(name, written)] == [placed.row for placed in table_rows(name)]
    assert check_table(name, written.encode()) == []


# -- the operator's rows -----------------------------------------------------------------------------------------------


def test_an_operators_row_counts_from_its_day_on():
    added = catalogue({"allotments": f"{ALLOTMENTS}\nMCOPSTN1,IT,1500,0,2027-01-01,,our contract\n"})

    assert minutes(added.terms(date(2026, 12, 31)), "MCOPSTN1", "IT") == (1200, 0)
    assert minutes(added.terms(date(2027, 1, 1)), "MCOPSTN1", "IT") == (1500, 0)
    assert minutes(on(2027, 1, 1), "MCOPSTN1", "IT") == (1200, 0)


def test_an_operators_row_takes_the_place_of_the_shipped_one_of_the_same_day():
    content = f"{ALLOTMENTS}\nMCOPSTN1,IT,900,0,2017-10-01,2026-11-22,our contract\n"
    rows = [placed for placed in table_rows("allotments", content) if placed.row.area == "IT"]

    assert [placed.row.domestic_minutes for placed in rows if placed.row.service_plan == "MCOPSTN1"] == [900]
    terms = catalogue({"allotments": content}).terms
    assert minutes(terms(TODAY - timedelta(days=1)), "MCOPSTN1", "IT") == (900, 0)
    assert minutes(terms(TODAY), "MCOPSTN1", "IT") is None, "its last day is over"


def test_an_operator_adds_a_product_of_his_own():
    added = catalogue(
        {
            "products": f"sku,sku_id,name,per_order,aliases,{END}\n"
            "TALK_MORE,00000000-0000-4000-8000-000000000001,Talk More,,TM,2027-01-01,,price list\n",
            "service_plans": f"service_plan,name,role,capability,{END}\n"
            "TALK,Talk,domestic_plan,TALK,2027-01-01,,price list\n",
            "product_plans": f"sku,service_plan,plan_id,{END}\n"
            "TALK_MORE,TALK,00000000-0000-4000-8000-000000000002,2027-01-01,,price list\n"
            "TALK_MORE,MCOEV,4828c8ec-dc2e-4779-b502-87ac9ce28ab7,2027-01-01,,price list\n",
            "allotments": f"{ALLOTMENTS}\nTALK,IT,5000,0,2027-01-01,,price list\n",
        }
    )
    terms = added.terms(date(2027, 1, 1))

    assert terms.product("tm").name == "Talk More"
    assert set(terms.holdings(frozenset({"TALK_MORE"})).by_role) == {Role.PHONE_SYSTEM, Role.DOMESTIC_PLAN}
    assert minutes(terms, "TALK", "IT") == (5000, 0)
    assert added.terms(TODAY).product("TM") is None


def test_a_quota_of_the_program_may_be_changed_from_its_first_day():
    content = f"quota,roles,base,add,for_each,{END}\npayg_numbers,pay_as_you_go,5,2,1,2017-10-01,,ours\n"

    assert catalogue({"quotas": content}).terms(TODAY).quotas["payg_numbers"].allowed(10) == 25


def test_a_table_saved_by_a_spreadsheet_with_semicolons_and_decimal_commas_is_read():
    text = f"currency;minimum;{END.replace(',', ';')}\nKES;2500,50;2027-01-01;;ours\n"

    assert check_table("minimum_funding", text.encode("utf-16")) == []


@pytest.mark.parametrize("name", TABLES)
def test_every_table_and_column_is_explained_in_the_reference(name):
    page = (Path(__file__).parents[2] / "docs" / "reference" / "catalogue.md").read_text(encoding="utf-8")
    section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]

    assert [column for column in SHAPES[name].cells if f"`{column}`" not in section] == []
    assert [column for column in SHAPES[name].key if f"**`{column}`**" not in section] == []
