"""Each format's fixture becomes the calls it tells of, and every bad line says why."""

import io
import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gettone.agents.cdr import FORMATS, BadLine, CallRecord, FormatError, read_records

FIXTURES = Path(__file__).parent / "fixtures"


def read(source, form, zone="Europe/Rome"):
    given = (
        io.BytesIO(source.encode() if isinstance(source, str) else source) if not isinstance(source, Path) else source
    )
    items = list(read_records(given, form, zone=zone))
    return [item for item in items if isinstance(item, CallRecord)], [
        item for item in items if isinstance(item, BadLine)
    ]


def fixture(name, form):
    return read(FIXTURES / name, form)


def at(hour, minute, second, micros=0):
    return datetime(2026, 3, 2, hour, minute, second, micros, tzinfo=UTC)


def reasons(bad):
    return [(item.line, item.reason.split(";")[0].split(",")[0]) for item in bad]


def test_asterisk_master_csv_in_each_of_its_widths():
    records, bad = fixture("asterisk.csv", "asterisk")

    assert records[0] == CallRecord(
        1,
        "1772440200.26/41",
        "1772440200.26",
        "acme",
        "+390612345678",
        "00442071838750",
        at(8, 30, 5),
        60,
        answered=True,
    )
    assert [(r.line, r.calling, r.called, r.seconds, r.answered, r.session_id) for r in records[1:]] == [
        (2, "+390612345678", "00442071838750", 0, False, "1772440320.28"),
        (3, "", "+390612345679", 10, True, "1772440800.30"),
        (7, "+390612345678", "+12125550100", 6, True, "1772442060.34"),
        (8, "+390612345678", "+12125550100", 0, False, None),
        (9, "+390612345678", "+12125550100", 0, False, None),
    ]
    assert records[1].started_at == at(8, 32, 0)
    assert reasons(bad) == [
        (6, "billsec: '-6' is negative"),
        (10, "end: 2026-03-02T09:04:01+00:00 is before the start 2026-03-02T09:04:05+00:00"),
        (11, "billsec: '864000' is longer than 7 days (604800 s)"),
        (12, "line: truncated"),
    ]


def test_the_order_of_cdr_custom_is_recognised_and_gives_the_same_ids():
    records, bad = fixture("asterisk_custom.csv", "asterisk")

    assert not bad
    assert [(r.record_id, r.user, r.called, r.seconds) for r in records[:2]] == [
        ("1772440200.26/41", "acme", "00442071838750", 60),
        ("1772440380.28/42", "acme", "+12125550100", 5),
    ]
    assert (records[2].answered, records[2].session_id, len(records[2].record_id)) == (False, "1772440440.30", 64)


def test_freeswitch_names_with_quotes_and_commas_do_not_move_the_columns():
    records, bad = fixture("freeswitch.csv", "freeswitch")

    assert [(r.line, r.user, r.calling, r.called, r.started_at, r.seconds, r.answered) for r in records] == [
        (1, "acme", "+390612345678", "00442071838750", at(8, 30, 5), 60, True),
        (2, "acme", "+390612345679", "+12125550100", at(8, 32, 0), 0, False),
        (3, None, "", "+390612345678", at(8, 33, 2), 10, True),
    ]
    assert {r.record_id == r.session_id for r in records} == {True}
    assert reasons(bad) == [(4, "billsec: '7' without an answer_stamp"), (5, "line: 5 of 15 columns")]


def test_a_kamailio_log_tells_each_call_once():
    with read_records(FIXTURES / "kamailio.log", "kamailio") as reader:
        items = list(reader)
        records = [item for item in items if isinstance(item, CallRecord)]
        bad = [item for item in items if isinstance(item, BadLine)]

        assert reader.skipped == 4

    assert [(r.line, r.record_id, r.calling, r.called, r.started_at, r.seconds) for r in records] == [
        (4, "2-28367@127.0.0.1;missed", "447700900123", "12125550101", at(9, 30, 7), 0),
        (2, "1-28367@127.0.0.1", "447700900123", "12125550100", at(9, 30, 5), 4),
        (7, "3-28367@127.0.0.1", "", "+12125550102", at(9, 30, 0), 60),
        (8, "4-28367@127.0.0.1;missed", "447700900123", "+12125550103", at(9, 31, 0), 0),
    ]
    assert reasons(bad) == [
        (11, "ci: missing"),
        (12, "dst_user: given twice ('18005550100'"),
        (9, "call_id: an INVITE without its BYE"),
        (10, "call_id: a BYE without its INVITE"),
    ]


def test_a_row_of_acc_cdrs_has_the_id_that_the_log_gives_its_call():
    records, bad = fixture("acc_cdrs.csv", "kamailio")

    assert [(r.record_id, r.started_at, r.seconds) for r in records] == [
        ("1-28367@127.0.0.1", at(9, 30, 5, 816000), 4),
        ("8-28367@127.0.0.1", at(9, 31, 0), 60),
    ]
    assert [item.line for item in bad] == [4]


def test_a_cdr_line_before_the_bye_is_not_joined_a_second_time():
    invite, bye, cdr = [
        line for line in (FIXTURES / "kamailio.log").read_text().splitlines(keepends=True) if "1-28367" in line
    ]

    records, bad = read(invite + cdr + bye, "kamailio")

    assert [(r.record_id, r.seconds) for r in records] == [("1-28367@127.0.0.1", 4)]
    assert not bad


GRAPH_PAGE = json.loads((FIXTURES / "graph.json").read_text())
GRAPH_ROWS = GRAPH_PAGE["value"]


@pytest.mark.parametrize(
    "document",
    [
        (FIXTURES / "graph.json").read_text(),
        json.dumps(GRAPH_PAGE),
        json.dumps([GRAPH_PAGE], indent=1),
        json.dumps(GRAPH_ROWS),
        "\n".join(json.dumps(row) for row in GRAPH_ROWS) + "\n",
        json.dumps({"value": GRAPH_ROWS[:2]}) + "\n" + json.dumps({"value": GRAPH_ROWS[2:]}) + "\n",
    ],
    ids=["page", "page on one line", "list of pages", "array of rows", "rows as lines", "pages as lines"],
)
def test_graph_rows_are_the_same_in_every_wrapping(document):
    records, bad = read(document, "graph")

    assert [
        (r.session_id, r.user, r.calling, r.called, r.started_at, r.seconds, r.call_type, r.currency) for r in records
    ] == [
        ("1835317186_112562680@61.221.3.176", "anna@example.test", "+390612345678", "+442071838***",
         at(9, 30, 5, 784391), 60, "user_out", "EUR"),
        (None, None, "", "", at(10, 0, 0), 30, "ucap_in", "EUR"),
    ]  # fmt: skip
    assert [item.reason.split(":")[0] for item in bad] == ["duration", "row", "correlationId"]


def test_the_digits_of_a_graph_charge_are_never_a_float():
    row = (
        '{"id":"a","startDateTime":"2026-03-02T10:00:00Z","duration":60,"calleeNumber":"+12125550100","currency":"EUR"'
    )

    records, bad = read(
        f'{row},"charge":0.12345678901234567890123,"connectionCharge":1E-07}}\n{row},"charge":1e400}}\n', "graph"
    )

    assert [r.reported_charge for r in records] == ["0.12345688901234567890123"]
    assert [item.reason.split(":")[0] for item in bad] == ["charge"]


def test_an_error_that_graph_answered_is_not_taken_for_an_empty_page():
    with pytest.raises(FormatError, match=r"TooManyRequests.*slow down"):
        read('{"error": {"code": "TooManyRequests", "message": "slow down"}}', "graph")


@pytest.mark.parametrize("document", ["", " \n", '{"value": [', '[{"id": 1}', "<html>"])
def test_a_document_that_is_not_json_is_refused_as_a_whole(document):
    with pytest.raises(FormatError, match="file: "):
        read(document, "graph")


def test_a_cut_json_line_costs_only_itself():
    good = json.dumps(GRAPH_ROWS[0])

    records, bad = read(f"{good}\n{good[:-9]}\n{good}\n{good[:40]}", "graph")

    assert [r.line for r in records] == [1, 3]
    assert [(item.line, "line: truncated" in item.reason) for item in bad] == [(2, False), (4, True)]


TEAMS = (FIXTURES / "teams.csv").read_text()


def zipped(**members):
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return target.getvalue()


TEAMS_ZIP = zipped(**{
    "DirectRouting.calls.2026-03-02.csv": "CorrelationId,Duration (seconds)\nx,900\n",
    "parameters.json": "{}",
    "PSTN.calls.2026-03-02.csv": "\ufeff" + TEAMS,
})  # fmt: skip


@pytest.mark.parametrize(
    "source",
    [TEAMS, "\ufeff" + TEAMS.replace("\n", "\r\n"), TEAMS.replace('"Rossi, Anna"', "Anna").replace(",", "\t"),
     TEAMS.encode("utf-16"), TEAMS.encode("utf-16-be"), TEAMS_ZIP],
    ids=["plain", "BOM and CRLF", "TAB", "UTF-16", "UTF-16 without BOM", "zip"],
)  # fmt: skip
def test_the_teams_export_reads_the_same_in_every_wrapping(source):
    records, bad = read(source, "teams")

    assert [(r.line, r.user, r.called, r.seconds, r.call_type, r.reported_charge, r.currency) for r in records] == [
        (2, "anna@example.test", "+442071838750", 60, "user_out", "0.15", "EUR"),
        (3, "db03c14b-06eb-4189-939b-7cbf3a20ba28", "+390687654321", 120, "conf_out", "0", "EUR"),
        (4, None, "", 120, "ucap_in", None, None),
    ]
    assert reasons(bad) == [
        (5, "number: '4.42072E+11' was rewritten by a spreadsheet"),
        (6, "Call Type: 'user_teleport' is no known call type"),
        (7, "Start Time: '02/03/2026 09:30' is not ISO 8601"),
    ]


def test_a_zip_that_cannot_be_sought_is_read_too():
    class Pipe(io.BytesIO):
        def seekable(self):
            return False

        def seek(self, *_):
            raise io.UnsupportedOperation

        tell = seek

    reader = read_records(Pipe(TEAMS_ZIP), "teams")

    assert reader.bytes_total is None
    assert len(list(reader)) == 6


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("CorrelationId,UPN,Duration (seconds)\nx,y,1\n", "Direct Routing"),
        (TEAMS.replace("Duration Seconds,", "Seconds,"), "header: Duration Seconds missing"),
        (zipped(**{"DirectRouting.calls.2026-03-02.csv": "x"}), "holds no PSTN.calls"),
        (TEAMS_ZIP[:200], "zip cannot be read"),
        (TEAMS_ZIP[:600] + b"\xff" * 20 + TEAMS_ZIP[620:], "zip cannot be read"),
        ("", "file: empty"),
    ],
)
def test_what_is_no_pstn_export_is_refused_as_a_whole(source, why):
    with pytest.raises(FormatError, match=why):
        read(source, "teams")


def test_our_own_csv_in_the_dress_a_spreadsheet_gives_it():
    records, bad = fixture("gettone.csv", "gettone")

    assert records == [
        CallRecord(2, "R-1", "S-1", "anna@example.test", "+390612345678", "+442071838750", at(9, 30, 5), 60,
                   answered=True, call_type="user_out", reported_charge="0.0540", currency="EUR"),
        CallRecord(3, "R-2", None, "anna@example.test", "+390612345678", "+12125550100", at(9, 30, 5), 0,
                   answered=False),
        CallRecord(4, "R-3", None, None, "", "+390612345678", at(9, 40, 0, 250000), 12, answered=True,
                   call_type="user_in"),
    ]  # fmt: skip
    assert [(item.line, item.reason.split(":")[0]) for item in bad] == [
        (5, "started_at"), (6, "record_id"), (7, "answered"), (8, "currency"), (10, "line"),
    ]  # fmt: skip
    assert "truncated" in bad[-1].reason


def test_our_own_csv_reads_columns_by_name():
    records, bad = read(
        "seconds,Started At,called,calling,record_id\n5,2026-03-02T09:30:05Z,+12125550100,+390612345678,a\n", "gettone"
    )

    assert [(r.record_id, r.seconds, r.called, r.user) for r in records] == [("a", 5, "+12125550100", None)]
    assert not bad


@pytest.mark.parametrize(
    ("header", "why"),
    [
        ("record_id,calling,called,seconds", "header: started_at missing"),
        ("record_id,calling,called,started_at,seconds,chrage", "unknown column 'chrage'"),
        ("record_id,calling,called,started_at,seconds,seconds", "column 'seconds' is there twice"),
        ("R-1,+390612345678,+12125550100", "header: record_id, calling"),
        ("record\0_id", "header: the first line cannot be read"),
        ("", "file: empty"),
    ],
)
def test_our_own_csv_with_a_wrong_header_is_refused_as_a_whole(header, why):
    with pytest.raises(FormatError, match=why):
        read(header + "\n", "gettone")


def test_an_unknown_format_names_the_known_ones():
    with pytest.raises(ValueError, match="'cdrs' is unknown; choose one of asterisk, freeswitch, kamailio"):
        read_records(io.BytesIO(), "cdrs")


@pytest.mark.parametrize("zone", ["Europe/Atlantis", "", "..", "Europe", "a\0b"])
def test_an_unknown_zone_is_refused_before_reading(zone):
    with pytest.raises(ValueError, match="is no IANA time zone"):
        read_records(io.BytesIO(), "asterisk", zone=zone)


@pytest.mark.parametrize("form", FORMATS)
def test_a_path_that_is_not_there_is_said_at_once(form, tmp_path):
    with pytest.raises(FileNotFoundError):
        read_records(tmp_path / "gone.csv", form)


def test_progress_reaches_the_size_of_the_file():
    reader = read_records(FIXTURES / "asterisk.csv", "asterisk")

    before = reader.bytes_read
    list(reader)

    assert (before, reader.bytes_read) == (0, reader.bytes_total)


def test_the_same_file_gives_the_same_ids_again():
    for name, form in [("asterisk.csv", "asterisk"), ("kamailio.log", "kamailio"), ("teams.csv", "teams")]:
        first, second = ([r.record_id for r in fixture(name, form)[0]] for _ in range(2))

        assert first == second
        assert len(set(first)) == len(first)
