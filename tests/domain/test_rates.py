"""Rate decks: what a file may say, everything that can be wrong with it, and which row prices a number."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.catalogue.make_sample_rates import sample_csv
from gettone.catalogue.numbering import number_plan
from gettone.catalogue.sample_rates import SAMPLE_DECK_NAME, sample_deck_csv
from gettone.domain.deck import Deck, DeckRow, rate_of
from gettone.domain.money import MoneyError
from gettone.domain.numbers import Kind, Number
from gettone.domain.rate_fields import COUNTRIES, Days, PriceStep
from gettone.domain.rates import SMS, DeckErrors, compile_deck, deck_to_csv, parse_deck
from gettone.domain.rating import MaximumAction, Rounding

NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)
MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


def deck(text: str, **given: object) -> Deck:
    return parse_deck(text, **{"name": "test", "currency": "EUR", "effective_from": NEW_YEAR, **given})


def complaints(text: str, **given: object) -> list[str]:
    with pytest.raises(DeckErrors) as caught:
        deck(text, **given)
    return [str(error) for error in caught.value.errors]


def price(text: str, seconds: int = 60, at: datetime = MONDAY_NOON) -> int:
    return rate_of(deck(text).rows).charge(seconds, at=at).micros


# --- Reading ---


def test_a_row_needs_a_destination_and_a_price_and_has_defaults_for_the_rest():
    assert deck("prefix,price\n39,0.05\n").rows == (DeckRow(prefix="39", price=Decimal("0.05")),)


def test_every_column_is_read():
    text = (
        "currency,effective_from,prefix,country,kind,service,destination,price,per,connection_charge,increments,steps,"
        "days,hours,zone,minimum_charge,maximum_charge,maximum_action,rounding\n"
        'USD,2026-02-01T00:00:00+01:00,+3906,it,Fixed,voice,"Italy, Rome",0.1,second,0.05,30/6,60:0.05 600:0.02:1,'
        "fri-mon,8:00-19:30,Europe/Rome,0.2,5,Disconnect,half-up 2\n"
        "USD,2026-01-31T23:00:00+00:00,+3906,it,Fixed,voice,"
        '"Italy, Rome",0.2,30,,,,"Mon,Tue,Wed,Thu,Fri,Sat,Sun",0:00-8:00,Europe/Rome,,,,half-up 2\n'
        'USD,2026-01-31 23:00,3906,,,,"Italy, Rome",0.2,minute,,,,,19:30-24:00,Europe/Rome,,,,half-up 2\n'
        'USD,2026-01-31 23:00,3906,,,,"Italy, Rome",0.2,,,,,Tue Wed Thu,08:00-19:30,Europe/Rome,,,,half-up 2\n'
    )

    read = parse_deck(text, name="all")

    assert (read.currency, read.effective_from) == ("USD", datetime(2026, 1, 31, 23, tzinfo=UTC))
    assert read.rows[0] == DeckRow(
        prefix="3906",
        country="IT",
        kind=Kind.FIXED,
        destination="Italy, Rome",
        price=Decimal("0.1"),
        per=1,
        connection_charge=Decimal("0.05"),
        increments=(30, 6),
        steps=(PriceStep(60, Decimal("0.05")), PriceStep(600, Decimal("0.02"), 1)),
        days=Days(frozenset({5, 6, 7, 1})),
        hours=(8 * 3600, 19 * 3600 + 1800),
        zone="Europe/Rome",
        minimum_charge=Decimal("0.2"),
        maximum_charge=Decimal(5),
        maximum_action=MaximumAction.DISCONNECT,
        rounding=(Rounding.HALF_UP, 2),
    )
    assert [row.per for row in read.rows] == [1, 30, 60, 60]
    assert parse_deck(deck_to_csv(read), name="all") == read


def test_a_file_with_semicolons_may_have_decimal_commas():
    assert deck("prefix;price;steps\n39;0,05;60:0,01\n") == deck("prefix,price,steps\n39,0.05,60:0.01\n")


def test_lines_serve_as_well_as_a_text():
    assert deck(iter(["prefix,price\r\n", "39,0.05\r\n"])) == deck("prefix,price\n39,0.05")


def test_the_header_may_be_in_capitals_and_its_columns_in_any_order():
    assert deck(" Price , PREFIX\n0.05,39\n") == deck("prefix,price\n39,0.05\n")


# --- Prices of rows ---


@pytest.mark.parametrize(
    ("columns", "cells", "seconds", "micros"),
    [
        ("price", "0.06", 61, 120_000),
        ("price,increments", "0.06,60/1", 61, 61_000),
        ("price,increments", "0.06,1/60", 2, 61_000),
        ("price,per,increments", "0.001,second,1/1", 61, 61_000),
        ("price,per", "0.03,30", 60, 60_000),
        ("price,connection_charge", "0.06,0.1", 1, 160_000),
        ("price,minimum_charge", "0.06,0.5", 1, 500_000),
        ("price,maximum_charge", "0.06,0.5", 6000, 500_000),
        ("price,maximum_charge,maximum_action", "0.06,0.5,disconnect", 6000, 6_000_000),
        ("price,steps", "0.06,120:0.03", 240, 180_000),  # 2 x 0.06 + 2 x 0.03
        ("price,increments,steps", "0.06,30/6,60:0.03:1", 61, 60_500),  # 30 + 5 x 6 s at 0.06, 1 s at 0.03
        ("price,increments,steps", "0.06,60/6,30:0.03", 66, 63_000),  # The first minute began at the first price.
        ("price,rounding", "0.0601,up 2", 60, 70_000),
        ("price,rounding", "0.0601,down 2", 60, 60_000),
        ("price,rounding", "0.065,half-up 2", 60, 70_000),
        ("price", "0.00001", 60, 100),  # The default: up to 4 decimals.
    ],
)
def test_a_row_prices_a_call(columns, cells, seconds, micros):
    assert price(f"prefix,{columns}\n39,{cells}\n", seconds) == micros


def test_rows_of_one_destination_are_bands_and_a_holiday_beats_the_week():
    text = (
        "prefix,price,days,hours,zone\n"
        "39,0.06,Mon-Fri,08:00-19:00,Europe/Rome\n"
        "39,0.03,Mon-Fri,00:00-08:00,Europe/Rome\n"
        "39,0.03,Mon-Fri,19:00-24:00,Europe/Rome\n"
        "39,0.02,Sat-Sun,,Europe/Rome\n"
        "39,0.01,03-02,12:00-14:00,Europe/Rome\n"
    )
    hours = {
        "day": (2, 9, 0),
        "holiday": (2, 12, 0),
        "next day": (3, 12, 0),
        "evening": (3, 18, 0),
        "Sunday": (1, 12, 0),
    }

    prices = {name: price(text, 60, datetime(2026, 3, *when, tzinfo=UTC)) for name, when in hours.items()}

    assert prices == {"day": 60_000, "holiday": 10_000, "next day": 60_000, "evening": 30_000, "Sunday": 20_000}


# --- Everything wrong at once ---


def test_all_errors_of_a_file_are_told_with_line_column_value_and_remedy():
    errors = complaints(
        "prefix,country,kind,service,price,per,increments,zone,rounding,days,hours,steps,maximum_action\n"
        "39x,,,,1,,,,,,,,\n"
        ",ZZ,,,1,,,,,,,,\n"
        ",IT,mobil,,1,,,,,,,,\n"
        ",IT,,fax,1,,,,,,,,\n"
        '40,,,,"1,5",,,,,,,,\n'
        "41,,,,-1,,,,,,,,\n"
        "42,,,,,,,,,,,,\n"
        "43,,,,1,hour,,,,,,,\n"
        "44,,,,1,,60,,,,,,\n"
        "45,,,,1,,,Mars/Base,,,,,\n"
        "46,,,,1,,,,round 2,,,,\n"
        "47,,,,1,,,,,Mon-Foo,,,\n"
        "48,,,,1,,,,,02-30,,,\n"
        "49,,,,1,,,,,,19:00-08:00,,\n"
        "50,,,,1,,,,,,8-19,,\n"
        "51,,,,1,,,,,,,0:1,\n"
        "52,,,,1,,,,,,,60:1 30:2,\n"
        "53,,,,1,,,,,,,,stop\n"
        "039,,,,1,,,,,,,,\n"
    )

    assert [error.split(": ", 2)[:2] for error in errors] == [
        ["line 2", "prefix '39x'"],
        ["line 3", "country 'ZZ'"],
        ["line 4", "kind 'mobil'"],
        ["line 5", "service 'fax'"],
        ["line 6", "price '1,5'"],
        ["line 7", "price '-1'"],
        ["line 8", "price ''"],
        ["line 9", "per 'hour'"],
        ["line 10", "increments '60'"],
        ["line 11", "zone 'Mars/Base'"],
        ["line 12", "rounding 'round 2'"],
        ["line 13", "days 'Mon-Foo'"],
        ["line 14", "days '02-30'"],
        ["line 15", "hours '19:00-08:00'"],
        ["line 16", "hours '8-19'"],
        ["line 17", "steps '0:1'"],
        ["line 18", "steps '60:1 30:2'"],
        ["line 19", "maximum_action 'stop'"],
        ["line 20", "prefix '039'"],
    ]
    assert all(error.count("write") == 1 for error in errors)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ["line 1: header 'price': there is no such", "line 1: header '': there is no column prefix or country"]),
        ("prefix,price\n", ["there is no rate in it"]),
        ("prefix\n39\n", ["line 1: header 'price': there is no such column"]),
        ("price\n1\n", ["line 1: header '': there is no column prefix or country"]),
        ("prefix,price,colour\n39,1,red\n", ["line 1: header 'colour': is not a column; remove it or write one of"]),
        ("prefix,price,price\n39,1,1\n", ["line 1: header 'price': stands twice"]),
        ("prefix,country,kind,price\n,,,1\n", ["line 2: prefix '': the line names no destination"]),
        ("country,kind,price\n,mobile,1\n", ["line 2: prefix '': the line names no destination"]),
        ("prefix,price,zone\n39,1,UTC\n40,2", ["line 3: 2 columns where the header has 3; the line is cut off"]),
        ("prefix,price\n39,1,2\n", ["line 2: 3 columns where the header has 2"]),
        ('prefix,price,destination\n39,1,"Ital', ["line 2: unexpected end of data: close every quote"]),
        ("prefix,price\n39,1\n+39,2\n", ["line 3: hours '': +39 has the same time in line 2; remove one"]),
        (
            "country,kind,price\nIT,mobile,1\nIT,,1\nit,mobile,2\n",
            ["line 4: hours '': IT mobile has the same time in line 2"],
        ),
        (
            "prefix,price,hours\n39,1,00:00-12:00\n39,2,11:00-24:00\n",
            ["line 3: hours '11:00-24:00': +39 has overlapping times in line 2"],
        ),
        (
            "prefix,price,days\n39,1,\n39,2,12-25\n39,3,12-25\n",
            ["line 4: hours '': +39 has the same time in line 3"],
        ),
        (
            "prefix,price,days,hours\n39,1,Mon-Fri,\n39,2,Sat,\n40,1,,00:00-12:00\n",
            [
                "line 2: days 'Mon,Tue,Wed,Thu,Fri': +39: no band on Sunday from 00:00 to 24:00",
                "line 4: days '': +40: no band on Monday from 12:00 to 24:00",
            ],
        ),
        ("prefix,price,days\n39,1,12-25\n", ["line 2: days '12-25': +39: no band on Monday"]),
        # A band is missing because its line cannot be read: one error, not two.
        ("prefix,price,days\n39,1,Mon-Fri\n39,x,Sat-Sun\n", ["line 3: price 'x': is not a plain number"]),
        (
            "prefix,price,days,zone,destination,rounding\n39,1,Mon-Fri,UTC,A,up 4\n39,1,Sat-Sun,Europe/Rome,B,up 2\n",
            [
                "line 3: destination 'B': differs from line 2",
                "line 3: zone 'Europe/Rome': differs from line 2",
                "line 3: rounding 'up 2': differs from line 2",
            ],
        ),
        (
            "prefix,price,minimum_charge,maximum_charge\n39,1,2,1\n",
            ["line 2: maximum_charge '1': is below the minimum charge"],
        ),
        (
            "prefix,price,service,per\n39,1,sms,minute\n40,1,sms,message\n",
            ["line 2: service 'sms': a message has one price"],
        ),
        (
            "prefix,price,currency\n39,1,EUR\n40,1,USD\n41,1,EURO\n",
            [
                "line 3: currency 'USD': differs from what was given beside the file, EUR; a deck has one currency",
                "line 4: currency 'EURO': is not",
            ],
        ),
        (
            "prefix,price,effective_from\n39,1,2026-01-01\n40,1,2026-01-02\n41,1,soon\n42,1,\n",
            [
                "line 3: effective_from '2026-01-02T00:00:00+00:00': differs from what was given",
                "line 4: effective_from 'soon': is not a date",
                "line 5: effective_from '': is not a date",
            ],
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_deck_is_named(text, expected):
    errors = complaints(text)

    assert len(errors) == len(expected), errors
    assert all(error.startswith(start) for error, start in zip(errors, expected, strict=True)), errors


def test_currency_and_date_must_come_from_somewhere_and_be_one():
    assert complaints("prefix,price\n39,1\n", currency=None, effective_from=None) == [
        "currency '': there is no currency; add the column, or give it beside the file",
        "effective_from '': there is no effective_from; add the column, or give it beside the file",
    ]
    mixed = complaints("prefix,price,currency\n39,1,EUR\n40,1,USD\n", currency=None)
    assert mixed == ["line 3: currency 'USD': differs from the lines before, EUR; a deck has one currency"]
    with pytest.raises(MoneyError):
        deck("prefix,price\n39,1\n", currency="EURO")


def test_the_message_counts_the_errors_and_names_the_deck():
    with pytest.raises(DeckErrors) as caught:
        deck("prefix,price\n39,a\n40,b\n", name="January")

    assert str(caught.value).splitlines()[0] == "rate deck 'January': 2 errors"
    assert str(caught.value).count("\n") == 2


# --- The canonical text ---

amounts = st.decimals(0, 1000, places=10) | st.decimals(0, 10, places=2)
rows = st.builds(
    DeckRow,
    country=st.sampled_from(sorted(COUNTRIES)),
    kind=st.none() | st.sampled_from(Kind),
    destination=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20).map(str.strip),
    price=amounts,
    per=st.sampled_from([1, 30, 60, 86400]),
    connection_charge=amounts,
    increments=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    steps=st.dictionaries(st.integers(1, 3600), st.tuples(amounts, st.none() | st.integers(1, 60)), max_size=3).map(
        lambda steps: tuple(PriceStep(second, *step) for second, step in sorted(steps.items()))
    ),
    zone=st.sampled_from(["UTC", "Europe/Rome"]),
    minimum_charge=st.decimals(0, 1, places=3),
    maximum_charge=st.none() | st.decimals(1, 9, places=3),
    maximum_action=st.sampled_from(MaximumAction),
    rounding=st.tuples(st.sampled_from(Rounding), st.integers(0, 20)),
)


@given(st.lists(rows, min_size=1, max_size=5, unique_by=lambda row: row.key))
def test_a_deck_is_read_back_from_its_text(rows):
    original = Deck("random", "EUR", NEW_YEAR, tuple(rows))

    assert parse_deck(deck_to_csv(original), name="random") == original


# --- Look-up ---

MANY = deck(
    "prefix,country,kind,service,price,destination\n"
    "39,,,,0.01,Italy\n"
    "3906,,,,0.02,Rome\n"
    "390612,,,,0.03,Rome centre\n"
    "39069,,,,0.04,Rome north\n"
    ",IT,mobile,,0.05,Italy mobile\n"
    ",US,,,0.06,USA\n"
    ",US,fixed,,0.07,USA fixed\n"
    ",US,mobile,,0.08,USA mobile\n"
    ",CA,mobile,,0.09,Canada mobile\n"
    ",GB,fixed-or-mobile,,0.10,UK either\n"
    ",GB,mobile,,0.11,\n"
    "9,,,,0.12,Zone nine\n"
    ",IT,,sms,0.13,Italy SMS\n"
)
COMPILED = compile_deck(MANY)


@pytest.mark.parametrize(
    ("digits", "country", "kind", "destination"),
    [
        ("390612345678", "IT", Kind.FIXED, "Rome centre"),
        ("39061", "IT", Kind.FIXED, "Rome"),  # Shorter than 390612: a prefix needs all its digits.
        ("3906", "IT", Kind.FIXED, "Rome"),
        ("390", "IT", Kind.FIXED, "Italy"),
        ("39069", "IT", Kind.FIXED, "Rome north"),
        ("390700000000000", "IT", Kind.FIXED, "Italy"),
        ("393471234567", "IT", Kind.MOBILE, "Italy"),  # The prefix beats country and kind.
        ("3", "IT", Kind.MOBILE, "Italy mobile"),
        ("12025550123", "US", Kind.FIXED_OR_MOBILE, "USA fixed"),
        ("12025550123", "US", Kind.TOLL_FREE, "USA"),
        ("14165550123", "CA", Kind.FIXED_OR_MOBILE, "Canada mobile"),
        ("14165550123", "CA", Kind.FIXED, None),
        ("447700900123", "GB", Kind.FIXED_OR_MOBILE, "UK either"),
        ("447700900123", "GB", Kind.MOBILE, "GB mobile"),
        ("999999999999999", "", Kind.UNKNOWN, "Zone nine"),
        ("81312345678", "JP", Kind.FIXED, None),
        ("81312345678", "", Kind.UNKNOWN, None),
    ],
)
def test_the_most_specific_row_prices_a_number(digits, country, kind, destination):
    index = COMPILED.lookup(Number(digits, country, kind))

    assert (None if index is None else COMPILED.destination(index)) == destination


def test_services_have_rates_of_their_own():
    number = Number("393471234567", "IT", Kind.MOBILE)
    index = COMPILED.lookup(number, SMS)

    assert index is not None
    assert COMPILED.destination(index) == "Italy SMS"
    assert COMPILED.rates[index].charge(2, at=MONDAY_NOON).micros == 260_000
    assert COMPILED.lookup(Number("12025550123", "US", Kind.MOBILE), SMS) is None


prefixes = st.lists(st.text("12", min_size=1, max_size=6), min_size=1, max_size=12, unique=True)


@given(prefixes, st.text("12", min_size=1, max_size=15))
def test_the_longest_whole_prefix_is_found_as_by_trying_each(prefixes, digits):
    compiled = compile_deck(
        Deck("random", "EUR", NEW_YEAR, tuple(DeckRow(prefix=prefix, price=Decimal(1)) for prefix in prefixes))
    )

    found = compiled.lookup(Number(digits, "", Kind.UNKNOWN))

    matching = [prefix for prefix in prefixes if digits.startswith(prefix)]
    assert (compiled.labels[found] if found is not None else None) == (
        f"+{max(matching, key=len)}" if matching else None
    )


def test_rows_priced_alike_share_one_rate():
    compiled = compile_deck(deck("prefix,price\n39,0.10\n40,0.1\n41,0.2\n"))

    assert compiled.rates[0] is compiled.rates[1] is not compiled.rates[2]


# --- The sample deck ---


def test_the_sample_deck_is_what_its_rules_make_and_says_that_it_is_illustrative():
    sample = parse_deck(sample_deck_csv(), name=SAMPLE_DECK_NAME)

    assert sample_deck_csv() == sample_csv()
    assert all("illustrative" in row.destination for row in sample.rows)
    assert "illustrative" in SAMPLE_DECK_NAME


def test_the_sample_deck_prices_every_kind_of_number_in_every_country():
    compiled = compile_deck(parse_deck(sample_deck_csv(), name=SAMPLE_DECK_NAME))
    classes = {(country, kind) for country, kind in number_plan().classes if country}

    assert {country for country, _ in classes} >= {"IT", "US", "XK", "001"}
    assert [c for c in classes if compiled.lookup(Number("1", *c)) is None] == []
    assert [c for c in classes if c[0] != "001" and compiled.lookup(Number("1", *c), SMS) is None] == []
