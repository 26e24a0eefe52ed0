"""docs/reference/call-record-formats.md describes every format, and its sample lines are what the readers read."""

import io
import re
from pathlib import Path

import pytest

from gettone.agents.cdr import FORMATS, CallRecord, read_records
from gettone.agents.cdr.fields import CALL_DIRECTIONS

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "call-record-formats.md"
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE.read_text(), re.DOTALL | re.MULTILINE))


def test_every_format_has_its_heading():
    assert set(FORMATS) <= set(SECTIONS)


@pytest.mark.parametrize("name", FORMATS)
def test_the_sample_of_a_format_is_one_answered_call(name):
    [sample] = re.findall(r"^```\w+\n(.*?)^```", SECTIONS[name], re.DOTALL | re.MULTILINE)

    [record] = read_records(io.BytesIO(sample.encode()), name, zone="Europe/Rome")

    assert isinstance(record, CallRecord)
    assert record.answered
    assert record.called.endswith(("442071838750", "12125550100"))
    assert record.session_id


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_says_what_it_skips_and_where_its_traps_are(name):
    assert re.search(r"^Skipped", SECTIONS[name], re.MULTILINE)
    assert re.search(r"^Traps:", SECTIONS[name], re.MULTILINE)


def test_every_call_type_is_listed():
    assert set(CALL_DIRECTIONS) <= set(re.findall(r"`(\w+)`", SECTIONS["Call types"]))
