"""What is wrong with real files costs the line it is in, and no more."""

import io
from datetime import UTC, datetime

import pytest

from gettone.agents.cdr import BadLine, CallRecord, read_records
from gettone.agents.cdr.asterisk import CDR_CSV
from gettone.agents.cdr.fields import caller_number, charge, phone_number
from gettone.agents.cdr.records import Reject

HEADER = "record_id,calling,called,started_at,seconds,user\n"


def own(number, user="u"):
    return f"R-{number},+390612345678,+12125550100,2026-03-02T09:30:05Z,60,{user}\n"


def items(source, form="gettone", zone="UTC"):
    data = source if isinstance(source, bytes) else source.encode()
    return list(read_records(io.BytesIO(data), form, zone=zone))


def shape(found):
    return [(item.line, isinstance(item, CallRecord)) for item in found]


def test_a_quoted_field_over_lines_keeps_the_numbering():
    found = items(HEADER + own(1, '"a\nb\nc"') + own(2))

    assert shape(found) == [(2, True), (5, True)]
    assert found[0].user == "a\nb\nc"


def test_a_quote_never_closed_costs_one_line():
    found = items(HEADER + own(1, '"oh') + "".join(own(n) for n in range(2, 40)))

    assert shape(found) == [(2, False), *((n, True) for n in range(3, 41))]
    assert "quote: not closed within 20 lines" in found[0].reason
    assert found[0].raw == own(1, '"oh').rstrip("\n")


def test_a_quote_never_closed_near_the_end_costs_one_line():
    found = items(HEADER + own(1) + own(2, '"oh') + own(3))

    assert shape(found) == [(2, True), (3, False), (4, True)]
    assert "never closed" in found[1].reason


def test_nul_bytes_are_named():
    found = items(HEADER + "\0" * 600 + own(1) + own(2))

    assert shape(found) == [(2, False), (3, True)]
    assert "NUL" in found[0].reason


def test_an_endless_line_is_given_up_and_reading_goes_on():
    found = items(HEADER + "x" * 700_000 + "\n" + own(2))

    assert shape(found) == [(2, False), (3, True)]
    assert "longer than 100000" in found[0].reason
    assert len(found[0].raw) < 500_000


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_and_line_ends_do_not_matter(encoding, newline):
    text = HEADER + own(1, "Zoë") + own(2, "Renée") + "".join(own(n, "Björn") for n in range(3, 6000))

    found = items(text.replace("\n", newline).encode(encoding))

    assert [item.user for item in found[:3]] == ["Zoë", "Renée", "Björn"]
    assert shape(found) == [(n, True) for n in range(2, 6001)]


def test_two_encodings_in_one_file_are_both_legible():
    found = items((HEADER + own(1, "Zoë")).encode() + own(2, "Zoë €").encode("cp1252") + b"x\x81\n")

    assert [item.user for item in found[:2]] == ["Zoë", "Zoë €"]
    assert shape(found) == [(2, True), (3, True), (4, False)]


@pytest.mark.parametrize(
    ("last", "accepted"),
    [
        ("R-9,+390612345678,+12125550100,2026-03-02T09:30:05Z,60", False),
        ('R-9,+390612345678,+12125550100,2026-03-02T09:30:05Z,60,"u"', True),
        ("R-9,+390612345678,+12125550100,2026-03-02T09:30:05Z,60,u", False),
    ],
)
def test_a_last_line_without_newline_counts_only_when_it_is_surely_whole(last, accepted):
    found = items(HEADER + own(1) + last)

    assert shape(found) == [(2, True), (3, accepted)]
    assert accepted or "truncated" in found[1].reason


def test_a_last_line_of_our_own_order_is_whole_at_its_currency():
    head = "record_id,calling,called,started_at,seconds,currency\n"

    assert shape(items(head + "R-1,1,2,2026-03-02T09:30:05Z,60,EUR")) == [(2, True)]
    assert shape(items(head + "R-1,1,2,2026-03-02T09:30:05Z,60,EU")) == [(2, False)]


ASTERISK = (
    '"a","100","200","c","","SIP/1","","Dial","x","{start}","{answer}","{end}",{duration},{billsec},'
    '"{disposition}","DOCUMENTATION"{rest}\n'
)


def asterisk(start, answer, end, billsec, rest="", disposition="ANSWERED", duration=None):
    line = ASTERISK.format(
        start=start, answer=answer, end=end, duration=billsec if duration is None else duration, billsec=billsec,
        disposition=disposition, rest=rest,
    )  # fmt: skip
    [found] = items(line, "asterisk", "Europe/Rome")
    return found


def utc(day, hour, minute):
    return datetime(2026, 10, day, hour, minute, tzinfo=UTC)


def test_the_end_tells_which_of_two_equal_times_is_meant():
    # 25 October 2026: at 03:00 summer time the clocks of Rome go back to 02:00.
    first = asterisk("2026-10-25 02:50:00", "2026-10-25 02:50:00", "2026-10-25 03:20:00", 90 * 60)
    second = asterisk("2026-10-25 02:50:00", "2026-10-25 02:50:00", "2026-10-25 03:20:00", 30 * 60)

    assert (first.started_at, second.started_at) == (utc(25, 0, 50), utc(25, 1, 50))


def test_the_end_may_show_less_than_the_start():
    found = asterisk("2026-10-25 02:50:00", "2026-10-25 02:50:00", "2026-10-25 02:10:00", 20 * 60)

    assert found.started_at == utc(25, 0, 50)


def test_within_the_repeated_hour_the_uniqueid_decides_and_else_the_earlier_time():
    times = ("2026-10-25 02:10:00", "2026-10-25 02:10:00", "2026-10-25 02:20:00", 600)
    epoch = int(utc(25, 1, 10).timestamp())

    assert asterisk(*times).started_at == utc(25, 0, 10)
    assert asterisk(*times, rest=f',"{epoch}.7",""').started_at == utc(25, 1, 10)
    assert asterisk(*times, rest=f',"pbx-{epoch - 3600}.7",""').started_at == utc(25, 0, 10)


def test_a_time_that_no_clock_of_the_zone_showed_is_refused():
    found = asterisk("2026-03-29 02:30:00", "2026-03-29 02:30:00", "2026-03-29 03:30:00", 60)

    assert isinstance(found, BadLine)
    assert "does not exist in Europe/Rome" in found.reason


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"answer": ""}, "answer: '' is empty"),
        ({"disposition": "BUSY"}, "billsec: '60' for a call that is BUSY"),
        ({"disposition": "HAPPY"}, "disposition: 'HAPPY' is none of"),
        ({"billsec": "sixty"}, "billsec: 'sixty' is not a number of seconds"),
        ({"billsec": "9" * 5000}, "billsec"),
        ({"billsec": 64}, "duration: 64 s do not fit"),
        ({"answer": "1970-01-01 00:00:00"}, "outside the years"),
        ({"answer": "2026-W10-1 09:30:00"}, "is not a time like"),
        ({"answer": "2026-03-02 09:30"}, "is not a time like"),
    ],
)
def test_a_contradiction_in_an_asterisk_row_is_named(change, why):
    row = {"start": "2026-03-02 09:29:50", "answer": "2026-03-02 09:30:00", "end": "2026-03-02 09:31:00", "billsec": 60}

    found = asterisk(**{"duration": 70, **row, **change})

    assert isinstance(found, BadLine)
    assert why in found.reason


def test_a_growing_master_csv_loses_no_digit_of_its_last_sequence():
    line = ASTERISK.format(
        start="2026-03-02 09:29:50", answer="2026-03-02 09:30:00", end="2026-03-02 09:31:00", duration=70, billsec=60,
        disposition="ANSWERED", rest=',"1772440200.26","","","1772440200.26",41',
    )  # fmt: skip

    found = items(line + line.rstrip("\n"), "asterisk")

    assert shape(found) == [(1, True), (2, False)]
    assert "truncated" in found[1].reason


def test_equal_lines_side_by_side_are_two_calls_and_a_line_given_again_is_one():
    one, other = (
        ASTERISK.format(start=f"2026-03-02 09:2{n}:50", answer="", end=f"2026-03-02 09:2{n}:59", duration=9, billsec=0,
                        disposition="BUSY", rest="")
        for n in (1, 2)
    )  # fmt: skip

    ids = [item.record_id for item in items(one + one + other + one, "asterisk")]

    assert len(set(ids)) == 3
    assert ids[3] == ids[0]
    assert ids[1] == ids[0] + "#2"


def test_a_repeated_header_line_is_skipped_and_semicolons_are_understood():
    header = ",".join(CDR_CSV)
    line = ASTERISK.format(
        start="2026-03-02 09:29:50", answer="", end="2026-03-02 09:31:00", duration=70, billsec=0,
        disposition="NO ANSWER", rest="",
    )  # fmt: skip

    assert shape(items((header + "\n" + line).replace(",", ";"), "asterisk")) == [(2, True)]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("+442071838750", "+442071838750"),
        ("00442071838750", "00442071838750"),
        ("sip:+442071838750@host.example.test:5060;transport=tcp", "+442071838750"),
        ("SIPS:+44;phone-context=x@host", "+44"),
        ('"Anna" <sip:%2B4420@host>', "+4420"),
        ("tel:+44-207-183", "+44-207-183"),
        ("sip:host.example.test", ""),
        ("'+4420'", "+4420"),
        ("*100#", "*100#"),
        ("+442071838***", "+442071838***"),
        ("anna.rossi", "anna.rossi"),
    ],
)
def test_a_number_is_taken_out_of_its_wrapping_and_left_as_dialled(text, number):
    assert phone_number(text) == number


@pytest.mark.parametrize(
    "text", ["anonymous", "Unknown", "<unknown>", "sip:anonymous@anonymous.invalid", "Restricted", ""]
)
def test_a_withheld_caller_has_no_number(text):
    assert caller_number(text) == ""


@pytest.mark.parametrize(
    ("text", "comma", "amount"),
    [
        ("0.0125", False, "0.0125"),
        ("0,0125", False, "0.0125"),
        ("0,125", False, "0.125"),
        ("1,234", True, "1.234"),
        ("1.234,50", True, "1234.50"),
        ("1,234.50", False, "1234.50"),
        ("1e-05", False, "0.00001"),
        ("0", False, "0"),
    ],
)
def test_an_amount_is_read_exactly(text, comma, amount):
    assert charge("charge", text, decimal_comma=comma) == amount


@pytest.mark.parametrize("text", ["-1", "1,234", "NaN", "Infinity", "1e999999999", "0x10", "1.2.3", "\u0661"])
def test_what_is_no_amount_is_refused(text):
    with pytest.raises(Reject, match="charge: "):
        charge("charge", text, decimal_comma=False)
