"""E.164 numbers are read strictly, and every number lies in exactly one interval of a plan."""

from array import array
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.domain.numbers import EmergencyNumbers, Kind, Number, NumberError, NumberPlan, number_key, parse_e164

digits_of_numbers = st.from_regex(r"[1-9][0-9]{5,14}", fullmatch=True)
NOBODY, FIXED, MOBILE = ("", Kind.UNKNOWN), ("IT", Kind.FIXED), ("IT", Kind.MOBILE)


@pytest.fixture
def plan():
    """Italian numbers of nine digits: +39 0…, fixed, and +39 3…, mobile; ten digits: nobody's."""
    starts = [0, *(number_key(digits) for digits in ("390000000", "391000000", "393000000", "394000000"))]
    return NumberPlan(array("q", starts), array("H", [0, 1, 0, 2, 0]), (NOBODY, FIXED, MOBILE))


@given(digits_of_numbers)
def test_a_plus_and_digits_are_read_as_they_are(digits):
    assert parse_e164("+" + digits) == digits


@given(digits_of_numbers, st.data())
def test_visual_separators_after_the_plus_are_dropped(digits, data):
    text = "+" + "".join(data.draw(st.sampled_from(["", "", " ", "-", ".", "(", ") "])) + digit for digit in digits)
    assert parse_e164(text) == digits


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("", "does not begin with '\\+'"),
        ("390612345678", "does not begin with '\\+'"),
        ("00390612345678", "write the country code first"),
        (" 390612345678", "written %2B"),
        ("+", "write '\\+' and digits"),
        ("++390612345678", "write '\\+' and digits"),
        ("+39 06 123456 ext 7", "write '\\+' and digits"),
        ("+39/0612345678", "write '\\+' and digits"),
        ("+390612345678\n", "write '\\+' and digits"),
        ("+٣٩٠٦١٢٣٤٥٦٧٨", "write '\\+' and digits"),
        ("+39061234567²", "write '\\+' and digits"),
        ("+0390612345678", "begins with 0"),
        ("+00390612345678", "without any 00"),
        ("+39061", "has 5 digits: .* has 6 to 15"),
        ("+3906123456789012", "has 16 digits: .* has 6 to 15"),
        ("+" + "9" * 1000, "has 1000 digits"),
    ],
)
def test_what_is_no_number_is_refused_with_the_remedy(text, remedy):
    with pytest.raises(NumberError, match=remedy) as refused:
        parse_e164(text)
    assert len(str(refused.value)) < 200


def test_a_number_is_written_with_its_plus_and_cannot_be_changed():
    number = Number("390612345678", "IT", Kind.FIXED)
    assert number.e164 == "+390612345678"
    with pytest.raises(FrozenInstanceError):
        number.country = "VA"


@pytest.mark.parametrize(
    ("digits", "expected"),
    [
        ("389999999", NOBODY),
        ("390000000", FIXED),
        ("390999999", FIXED),
        ("391000000", NOBODY),
        ("392999999", NOBODY),
        ("393000000", MOBILE),
        ("393999999", MOBILE),
        ("394000000", NOBODY),
        ("39300000", NOBODY),
        ("3930000000", NOBODY),
        ("999999999999999", NOBODY),
    ],
)
def test_a_number_has_the_class_of_the_interval_it_lies_in(plan, digits, expected):
    assert plan.lookup(digits) == Number(digits, *expected)


@given(digits_of_numbers, digits_of_numbers)
def test_numbers_are_ordered_by_length_and_then_by_digits(one, other):
    assert (number_key(one) < number_key(other)) == ((len(one), one) < (len(other), other))


@pytest.mark.parametrize(("starts", "codes"), [([], []), ([5], [0]), ([0, 7], [0])])
def test_a_plan_with_a_hole_is_not_made(starts, codes):
    with pytest.raises(AssertionError):
        NumberPlan(array("q", starts), array("H", codes), (NOBODY,))


def test_every_kind_has_its_label_and_is_found_by_it():
    assert [kind.label for kind in Kind] == (
        [
            "unknown",
            "fixed",
            "mobile",
            "fixed-or-mobile",
            "toll-free",
            "premium",
            "shared-cost",
            "voip",
            "personal",
            "pager",
            "uan",
            "voicemail",
        ]
    )
    assert all(Kind.from_label(kind.label) is kind for kind in Kind)


@pytest.mark.parametrize("label", ["", "Fixed", "toll_free", "landline"])
def test_an_unknown_kind_is_refused_with_the_kinds_there_are(label):
    with pytest.raises(NumberError, match="write one of unknown, fixed, mobile, fixed-or-mobile, toll-free"):
        Kind.from_label(label)


def test_an_emergency_number_counts_only_where_it_is_one():
    emergency = EmergencyNumbers({"IT": frozenset({"112", "118"}), "US": frozenset({"911"})})
    assert emergency.is_emergency("112", "IT")
    assert emergency.is_emergency("+112", "IT")
    assert emergency.is_emergency("1-1-2", "IT")
    assert not emergency.is_emergency("112", "US")
    assert not emergency.is_emergency("911", "IT")
    assert not emergency.is_emergency("1120", "IT")
    assert not emergency.is_emergency("11", "IT")
    assert not emergency.is_emergency("", "IT")
    assert not emergency.is_emergency("112", "")
