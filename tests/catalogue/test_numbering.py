"""The compiled table says of every number what libphonenumber says, region by region."""

import os
import random
import re._parser as re_parser
import subprocess
import sys
import zlib
from itertools import pairwise

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType
from phonenumbers.phonemetadata import PhoneMetadata

from gettone.catalogue.compile_numbering import TARGET, compile_numbering, first_steps
from gettone.catalogue.numbering import (
    dialled_to_e164,
    emergency_numbers,
    number_plan,
    numbering,
    pack,
    unpack,
)
from gettone.domain.numbers import Kind, Number, NumberError

KINDS = {
    PhoneNumberType.FIXED_LINE: Kind.FIXED,
    PhoneNumberType.MOBILE: Kind.MOBILE,
    PhoneNumberType.FIXED_LINE_OR_MOBILE: Kind.FIXED_OR_MOBILE,
    PhoneNumberType.TOLL_FREE: Kind.TOLL_FREE,
    PhoneNumberType.PREMIUM_RATE: Kind.PREMIUM,
    PhoneNumberType.SHARED_COST: Kind.SHARED_COST,
    PhoneNumberType.VOIP: Kind.VOIP,
    PhoneNumberType.PERSONAL_NUMBER: Kind.PERSONAL,
    PhoneNumberType.PAGER: Kind.PAGER,
    PhoneNumberType.UAN: Kind.UAN,
    PhoneNumberType.VOICEMAIL: Kind.VOICEMAIL,
    PhoneNumberType.UNKNOWN: Kind.UNKNOWN,
}
DESCRIPTIONS = [
    "general_desc",
    "fixed_line",
    "mobile",
    "toll_free",
    "premium_rate",
    "shared_cost",
    "personal_number",
    "voip",
    "pager",
    "uan",
    "voicemail",
]
REGIONS = [
    (code, region) for code, regions in sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items()) for region in regions
]


def library(digits):
    """What libphonenumber says, or None when it does not take these digits as the E.164 form of a number."""
    try:
        number = phonenumbers.parse("+" + digits)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164) != "+" + digits:
        return None
    country = phonenumbers.region_code_for_number(number) or ""
    return Number(digits, country, KINDS[phonenumbers.number_type(number)])


def agreed(numbers):
    """Compare the table with the library; return how many numbers could be compared."""
    plan, compared = number_plan(), 0
    for digits in numbers:
        if 6 <= len(digits) <= 15 and (expected := library(digits)) is not None:
            assert plan.lookup(digits) == expected
            compared += 1
    return compared


def descriptions(code, region):
    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    return [found for name in DESCRIPTIONS if (found := getattr(metadata, name)) and found.national_number_pattern]


def drawn(parsed, rng):
    """Return a random text that fits a pattern, as Python itself understands the pattern."""
    text = ""
    for op, what in parsed:
        match str(op):
            case "LITERAL":
                text += chr(what)
            case "IN":
                kind, value = rng.choice(what)
                choice = {"LITERAL": chr, "RANGE": lambda v: chr(rng.randint(*v))}
                text += choice.get(str(kind), lambda _: rng.choice("0123456789"))(value)
            case "BRANCH":
                text += drawn(rng.choice(what[1]), rng)
            case "SUBPATTERN":
                text += drawn(what[3], rng)
            case "MAX_REPEAT":
                text += "".join(drawn(what[2], rng) for _ in range(rng.randint(*what[:2])))
            case other:
                raise AssertionError(other)
    return text


def near_misses(digits, rng):
    at = rng.randrange(len(digits))
    return (
        digits[:-1],
        digits + rng.choice("0123456789"),
        digits[:at] + rng.choice("0123456789") + digits[at + 1 :],
    )


def generated(code, region, draws, rng):
    for description in descriptions(code, region):
        parsed = re_parser.parse(description.national_number_pattern)
        for _ in range(draws):
            digits = str(code) + drawn(parsed, rng)
            yield digits
            yield from near_misses(digits, rng)


def test_every_example_number_of_the_library_has_its_country_and_kind():
    compared = sum(
        agreed(str(code) + found.example_number for found in descriptions(code, region) if found.example_number)
        for code, region in REGIONS
    )
    assert compared > 1000


def test_generated_numbers_and_near_misses_of_every_region_agree_with_the_library():
    rng = random.Random(20260101)
    compared = sum(agreed(generated(code, region, 1, rng)) for code, region in REGIONS)
    assert compared > 3000


@pytest.mark.slow
def test_a_great_many_generated_numbers_agree_with_the_library():
    rng = random.Random()
    compared = sum(agreed(generated(code, region, 45, rng)) for code, region in REGIONS)
    assert compared > 200_000


def edges(starts):
    """The first number of each interval and the last one before it."""
    for key in starts:
        for edge in (key - 1, key):
            length, value = divmod(edge, 10**15)
            yield f"{value:0{length}d}" if value < 10**length else ""


def test_the_table_changes_class_exactly_where_the_library_does():
    starts = number_plan().starts
    assert agreed(edges(starts[i] for i in range(1, len(starts), 40))) > 1000


@pytest.mark.slow
def test_the_table_changes_class_exactly_where_the_library_does_at_every_edge():
    assert agreed(edges(number_plan().starts[1:])) > 60_000


@pytest.mark.parametrize(
    ("digits", "country", "kind"),
    [
        ("12125550123", "US", Kind.FIXED_OR_MOBILE),
        ("14165550123", "CA", Kind.FIXED_OR_MOBILE),
        ("18765230123", "JM", Kind.FIXED_OR_MOBILE),
        ("18002345678", "US", Kind.TOLL_FREE),
        ("442071838750", "GB", Kind.FIXED),
        ("447781123456", "GG", Kind.MOBILE),
        ("79123456789", "RU", Kind.MOBILE),
        ("77710009998", "KZ", Kind.MOBILE),
        ("390612345678", "IT", Kind.FIXED),
        ("390669812345", "VA", Kind.FIXED),
        ("393331234567", "IT", Kind.MOBILE),
        ("39800123456", "IT", Kind.TOLL_FREE),
        ("80012345678", "001", Kind.TOLL_FREE),
        ("979123456789", "001", Kind.PREMIUM),
    ],
)
def test_well_known_numbers_have_their_country_and_kind(digits, country, kind):
    assert number_plan().lookup(digits) == Number(digits, country, kind)


def test_a_number_that_no_pattern_fits_keeps_its_country_when_the_code_has_only_one():
    for code, regions in phonenumbers.COUNTRY_CODE_TO_REGION_CODE.items():
        numbers = [number_plan().lookup(f"{code}{'0' * (length - len(str(code)))}") for length in range(6, 16)]
        unfitting = {number.country for number in numbers if number.kind is Kind.UNKNOWN}
        assert unfitting <= ({regions[0]} if len(regions) == 1 else {"", *regions})


def test_a_number_of_a_shared_code_that_no_region_has_is_of_no_country():
    assert number_plan().lookup("10000000000") == Number("10000000000", "", Kind.UNKNOWN)
    assert number_plan().lookup("440000000000") == Number("440000000000", "", Kind.UNKNOWN)


def test_a_code_that_nobody_has_is_of_no_country():
    assert number_plan().lookup("2100000000") == Number("2100000000", "", Kind.UNKNOWN)
    assert number_plan().lookup("999999999999999") == Number("999999999999999", "", Kind.UNKNOWN)


def test_the_table_is_sorted_joined_and_covers_everything():
    plan = number_plan()
    pairs = list(zip(plan.starts, plan.codes, strict=True))
    assert all(one[0] < two[0] and one[1] != two[1] for one, two in pairwise(pairs))
    assert plan.starts[0] == 0
    assert set(plan.codes) == set(range(len(plan.classes)))
    assert plan.classes[plan.codes[-1]] == ("", Kind.UNKNOWN)


def test_the_packaged_table_was_made_from_the_installed_library():
    assert numbering().version == phonenumbers.__version__, "run python -m gettone.catalogue.compile_numbering"


@pytest.mark.slow
def test_the_packaged_table_is_byte_for_byte_what_the_installed_library_gives():
    # Compared after unpacking, because zlib libraries may pack the same bytes differently.
    assert zlib.decompress(pack(compile_numbering())) == zlib.decompress(TARGET.read_bytes())


def test_the_packaged_table_is_packed_and_unpacked_without_change():
    again = unpack(pack(numbering()))
    assert (again.version, again.emergency) == (numbering().version, numbering().emergency)
    assert (again.plan.starts, again.plan.codes, again.plan.classes) == (
        number_plan().starts,
        number_plan().codes,
        number_plan().classes,
    )


def test_a_table_cut_short_or_of_another_format_is_not_loaded():
    whole = zlib.decompress(pack(numbering()))
    with pytest.raises(AssertionError, match="cut short: compile it again"):
        unpack(zlib.compress(whole[:-2]))
    with pytest.raises(AssertionError, match="has format 9: compile it again"):
        unpack(zlib.compress(whole.replace(b'"format":1', b'"format":9', 1)))


@pytest.mark.parametrize("pattern", ["1(2)", "[0-9", "1*", r"\w", "1)", "(?:1"])
def test_a_pattern_that_the_compiler_cannot_read_is_refused(pattern):
    with pytest.raises(ValueError, match="is not understood"):
        first_steps(pattern)


def test_the_emergency_numbers_of_every_country_are_those_of_the_library():
    emergency = emergency_numbers()
    assert len(emergency.by_country) > 230
    for country, dials in emergency.by_country.items():
        near = {text for dial in dials for text in (dial[:-1], dial + "0", dial + dial[-1], dial[:-1] + "4") if text}
        for dialled in dials | near:
            expected = phonenumbers.is_emergency_number(dialled, country)
            assert emergency.is_emergency(dialled, country) == expected, (dialled, country)


@pytest.mark.slow
def test_every_dial_string_of_up_to_three_digits_is_an_emergency_number_just_where_the_library_says_so():
    emergency = emergency_numbers()
    dials = [f"{value:0{length}d}" for length in (1, 2, 3) for value in range(10**length)]
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        for dialled in dials:
            assert emergency.is_emergency(dialled, country) == phonenumbers.is_emergency_number(dialled, country)


def test_no_emergency_number_with_a_plus_is_somebodys_full_number():
    for dials in emergency_numbers().by_country.values():
        assert all(number_plan().lookup(dialled).kind is Kind.UNKNOWN for dialled in dials)


@pytest.mark.parametrize(
    ("dialled", "country", "digits"),
    [
        ("0612345678", "IT", "390612345678"),
        ("3331234567", "IT", "393331234567"),
        ("+39 06 1234-5678", "GB", "390612345678"),
        ("00442071838750", "IT", "442071838750"),
        ("011442071838750", "US", "442071838750"),
        ("00442071838750", "US", "442071838750"),
        ("0011442071838750", "AU", "442071838750"),
        ("0114420718", "IT", "390114420718"),
        ("(020) 7183 8750", "GB", "442071838750"),
        ("442071838750", "GB", "442071838750"),
        ("+44 (0)20 7183 8750", "IT", "442071838750"),
        ("212-555-0123", "US", "12125550123"),
        ("12125550123", "US", "12125550123"),
        ("12125550123", "JM", "12125550123"),
        ("800123456", "IT", "39800123456"),
    ],
)
def test_a_dialled_number_is_understood_as_in_the_country_it_is_dialled_from(dialled, country, digits):
    assert dialled_to_e164(dialled, country) == digits


@pytest.mark.parametrize(
    ("dialled", "country", "remedy"),
    [
        ("", "IT", "give the digits dialled"),
        ("+", "IT", "give the digits dialled"),
        ("*31#0612345678", "IT", "give the digits dialled"),
        ("anonymous", "IT", "give the digits dialled"),
        ("+39061234٥٦٧٨", "IT", "give the digits dialled"),
        ("112", "IT", "no full number as seen from IT"),
        ("5550123", "US", "with its area code"),
        ("9" * 18, "IT", "no full number"),
        ("00", "IT", "no full number"),
        ("+9991234567", "IT", "no full number"),
        ("0612345678", "XX", "country 'XX' is not known"),
        ("0612345678", "it", "country 'it' is not known"),
        ("+390612345678", "", "country '' is not known"),
    ],
)
def test_a_dialled_text_that_is_no_full_number_is_refused_with_the_remedy(dialled, country, remedy):
    with pytest.raises(NumberError, match=remedy):
        dialled_to_e164(dialled, country)


@pytest.mark.slow
def test_the_library_is_not_imported_before_a_dialled_number_needs_it():
    program = (
        "import sys; from gettone.catalogue.numbering import number_plan, dialled_to_e164\n"
        "number_plan().lookup('390612345678'); assert 'phonenumbers' not in sys.modules\n"
        "dialled_to_e164('0612345678', 'IT'); assert 'phonenumbers' in sys.modules\n"
    )
    path = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ran = subprocess.run([sys.executable, "-c", program], env=path, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
