"""For any bytes a reader gives records and reasons or refuses the file; our own CSV comes back as it was written."""

import io
import zipfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gettone.agents.cdr import FORMATS, SECONDS_MAX, BadLine, CallRecord, FormatError, read_records, write_records
from gettone.agents.cdr.fields import CALL_DIRECTIONS

FIXTURES = Path(__file__).parent / "fixtures"
SEEDS = {
    "asterisk": ["asterisk.csv", "asterisk_custom.csv"],
    "freeswitch": ["freeswitch.csv"],
    "kamailio": ["kamailio.log", "acc_cdrs.csv"],
    "graph": ["graph.json"],
    "teams": ["teams.csv"],
    "gettone": ["gettone.csv"],
}
LINE_FORMATS = ["asterisk", "freeswitch", "kamailio", "teams", "gettone"]

texts = st.text(st.characters(categories=("L", "N", "P", "S")), min_size=1, max_size=20)
numbers = st.from_regex(r"(\+|00)?[0-9*#]{1,15}", fullmatch=True)
amounts = st.decimals(0, 9999, places=6).map(lambda amount: f"{amount:f}")


@st.composite
def records(draw):
    answered = draw(st.booleans())
    reported = draw(st.none() | amounts)
    return CallRecord(
        line=1,
        record_id=draw(texts),
        session_id=draw(st.none() | texts),
        user=draw(st.none() | texts),
        calling=draw(st.just("") | numbers),
        called=draw(numbers),
        started_at=draw(st.datetimes(datetime(1990, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC))),
        seconds=draw(st.integers(0, SECONDS_MAX)) if answered else 0,
        answered=answered,
        call_type=draw(st.none() | st.sampled_from(sorted(CALL_DIRECTIONS))),
        reported_charge=reported,
        currency=None if reported is None else draw(st.sampled_from(["EUR", "USD", "JPY"])),
    )


@given(st.lists(records(), max_size=8))
def test_what_is_written_comes_back(written):
    target = io.BytesIO()

    assert write_records(written, target) == len(written)

    target.seek(0)
    assert [replace(item, line=1) for item in read_records(target, "gettone")] == written


@pytest.mark.parametrize(
    "change",
    [{"user": " u"}, {"user": "a\nb"}, {"called": "sip:1@host"}, {"calling": "anonymous"}, {"session_id": ""},
     {"record_id": ""}, {"seconds": -1}, {"answered": False}, {"call_type": "x"}, {"currency": None}],
)  # fmt: skip
def test_what_would_not_come_back_is_not_written(change):
    good = CallRecord(1, "a", "s", "u", "1", "2", datetime(2026, 1, 1, tzinfo=UTC), 5, True, None, "0.1", "EUR")

    with pytest.raises(ValueError, match=r": "):
        write_records([replace(good, **change)], io.BytesIO())


def outcome(data, form):
    """Return (records and bad lines, skipped), or None when the file as a whole is refused."""
    reader = read_records(io.BytesIO(data), form, zone="Europe/Rome")
    try:
        items = list(reader)
    except FormatError:
        return None
    assert all(isinstance(item, CallRecord | BadLine) for item in items)
    return items, reader.skipped


@pytest.mark.parametrize("form", FORMATS)
@given(st.binary(max_size=300))
def test_no_bytes_break_a_reader(form, data):
    outcome(data, form)


@pytest.mark.parametrize("form", FORMATS)
@given(st.data())
def test_no_damage_to_a_real_file_breaks_its_reader(form, data):
    content = bytearray((FIXTURES / data.draw(st.sampled_from(SEEDS[form]))).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, len(content)))
        content[at : at + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=12))

    outcome(bytes(content), form)


@given(st.integers(0, 3000), st.binary(min_size=1, max_size=20))
def test_no_damage_to_a_zip_breaks_its_reader(at, damage):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("PSTN.calls.2026-03-02.csv", (FIXTURES / "teams.csv").read_text())
    content = bytearray(target.getvalue())
    at %= len(content)
    content[at : at + len(damage)] = damage

    outcome(bytes(content), "teams")


@pytest.mark.parametrize("form", LINE_FORMATS)
@given(st.data())
def test_every_line_is_accounted_for(form, data):
    """Lines without quotes or NUL, in any order and cut anywhere: each is a record, a bad line or a counted skip."""
    seed = data.draw(st.sampled_from(SEEDS[form]))
    text = (FIXTURES / seed).read_bytes().decode("utf-8-sig", "replace").replace("\r\n", "\n")
    header, *lines = text.replace("two\nlines", "two lines").replace('"', "").split("\n")
    noise = st.text(st.characters(codec="utf-8", exclude_characters='"\0\r\n\ufeff'), max_size=60)
    cut = st.sampled_from([line for line in lines if line]).flatmap(
        lambda line: st.integers(0, len(line)).map(lambda length: line[:length])
    )
    drawn = data.draw(st.lists(st.sampled_from(lines) | cut | noise, max_size=15))
    given_lines = [header, *drawn, ""]

    found = outcome("\n".join(given_lines).encode(), form)

    if found is not None:
        items, skipped = found
        headers = 1 if form in ("teams", "gettone") else 0
        assert len(items) + skipped + headers == sum(1 for line in given_lines if line and not line.isspace())
