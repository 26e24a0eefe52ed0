"""Files of every format are imported, twice, after a kill, and with what cannot be charged put aside."""

import csv
import json
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

FIXTURES = Path(__file__).parents[1] / "agents" / "cdr" / "fixtures"
HEADER = "record_id,session_id,user,calling,called,started_at,seconds\n"

# File, format, records, charged, unanswered, rejected: the fixtures are full of traps.
FILES = [
    ("asterisk.csv", "asterisk", 10, 3, 3, 4),
    ("asterisk_custom.csv", "asterisk", 3, 2, 1, 0),
    ("freeswitch.csv", "freeswitch", 5, 2, 1, 2),
    ("kamailio.log", "kamailio", 8, 1, 2, 5),
    ("acc_cdrs.csv", "kamailio", 3, 2, 0, 1),
    ("graph.json", "graph", 5, 0, 0, 5),
    ("teams.csv", "teams", 6, 1, 0, 5),
    ("gettone.csv", "gettone", 8, 2, 1, 5),
]


def rejects(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize(("file", "format_", "records", "charged", "unanswered", "rejected"), FILES, ids=str)
def test_a_file_of_each_format_is_charged_once_however_often_it_is_given(
    gettone, file, format_, records, charged, unanswered, rejected
):
    gettone("licences", "buy", "acme", "MCOPSTN_PAYG_1", "1", "--reference", "payg")
    gettone(
        "users",
        "create",
        "acme",
        "gus@example.test",
        "--usage-location",
        "GB",
        "--product",
        "MCOEV",
        "--product",
        "MCOPSTN_PAYG_1",
    )
    gettone("licences", "assign", "acme", "gus@example.test", "MCOPSTNC")
    gettone("numbers", "assign", "acme", "+447700900123", "--user", "gus@example.test")
    words = ("calls", "import", FIXTURES / file, "--format", format_, "--org", "acme", "--rejects", "r.csv")

    first = gettone.json(*words)
    balance = gettone.json("wallet", "balance", "acme")
    again = gettone.json(*words)

    assert (first["records"], first["charged"], first["unanswered"], first["rejected"]) == (
        records,
        charged,
        unanswered,
        rejected,
    )
    assert (again["charged"], again["duplicates"], again["rejected"]) == (0, charged, rejected)
    assert gettone.json("wallet", "balance", "acme") == balance
    assert len(rejects(Path("r.csv")) if rejected else []) == rejected
    gettone("verify")


def test_rejected_records_stand_beside_the_file_with_line_reason_and_text(gettone):
    lines = [
        "r1,,anna,,+442071838750,2026-03-02T09:30:05Z,60",
        "r2,,anna,,+442071838750,2026-03-02T09:30:05,60",
        'r3,,bruno,,+442071838750,2026-03-02T09:30:05Z,"60"',
    ]
    Path("a.csv").write_text(HEADER + "\n".join(lines) + "\n")

    told = gettone("calls", "import", "a.csv", "--format", "gettone", "--org", "acme").stdout

    assert "3 records: 1 charged" in told
    assert "a.csv.rejects.csv" in told
    assert [(row["line"], row["reason"], row["raw"]) for row in rejects(Path("a.csv.rejects.csv"))] == [
        ("3", "bad_line", lines[1]),
        ("4", "no_credits_licence", lines[2]),
    ]
    assert "+01:00" in rejects(Path("a.csv.rejects.csv"))[0]["explanation"]


def test_when_everything_is_charged_no_rejects_file_is_left(gettone):
    Path("a.csv").write_text(HEADER + "r1,,bruno,,+442071838750,2026-03-02T09:30:05Z,60\n")
    gettone("calls", "import", "a.csv", "--format", "gettone", "--org", "acme")
    gettone("licences", "assign", "acme", "bruno", "MCOPSTNC")

    gettone("calls", "import", "a.csv", "--format", "gettone", "--org", "acme")

    assert not Path("a.csv.rejects.csv").exists()


def test_totals_are_told_by_payer_and_reason(gettone):
    Path("a.csv").write_text(
        HEADER
        + "r1,,anna,,+442071838750,2026-03-02T09:30:05Z,60\n"
        + "r2,,bruno,,+390687654321,2026-03-02T09:30:05Z,61\n"
        + "r3,,bruno,,+442071838750,2026-03-02T09:30:05Z,60\n"
    )

    told = gettone("calls", "import", "a.csv", "--format", "gettone", "--org", "acme").stdout

    assert "0.009 USD" in told
    assert [line.split()[:3] for line in told.splitlines() if line.startswith(("credits", "pool"))] == [
        ["credits", "1", "60"],
        ["pool", "1", "61"],
    ]
    assert "1  no_credits_licence" in told


def test_imported_calls_are_listed_shown_and_summed(gettone):
    Path("a.csv").write_text(HEADER + "r1,,anna,,+442071838750,2026-03-02T09:30:05Z,60\n")
    gettone("calls", "import", "a.csv", "--format", "gettone", "--org", "acme")

    [call] = gettone.json("calls", "list", "acme", "--user", "anna", "--since", "2026-03-01", "--until", "2026-04-01")
    [total] = gettone.json("usage", "show", "acme", "--by", "payer", "--since", "2026-03-01", "--until", "2026-04-01")

    assert call["session_id"] == "gettone:r1"
    assert gettone.json("calls", "show", "acme", "gettone:r1")["usage"][0]["payer"] == "credits"
    assert "0.009 USD" in gettone("calls", "show", "acme", "gettone:r1").stdout
    assert "gettone:r1" in gettone("calls", "list", "acme", "--called", "+442071838750").stdout
    assert (total["key"], total["charged_micros"]) == ("credits", 9_000)
    assert (
        "credits"
        in gettone("usage", "show", "acme", "--by", "payer", "--since", "2026-03-01", "--until", "2026-04-01").stdout
    )
    assert "nothing found" in gettone("usage", "show", "acme").stderr
    assert "r9" in gettone.refuses("calls", "show", "acme", "r9")
    assert "--since must lie before" in gettone.refuses(
        "usage", "show", "acme", "--since", "2026-04-01", "--until", "2026-03-01", expect=2
    )
    assert "since 'yesterday'" in gettone.refuses("calls", "list", "acme", "--since", "yesterday", expect=2)


@pytest.mark.parametrize(
    ("words", "told", "status"),
    [
        (("--format", "gettone", "--org", "nobody"), "nobody", 1),
        (("--format", "gettone", "--org", "acme", "--zone", "Mars/Phobos"), "Mars/Phobos", 2),
        (("--format", "gettone", "--country", "Italy"), "country 'Italy'", 2),
        (("--format", "winamp", "--org", "acme"), "winamp", 2),
        (("--format", "teams", "--org", "acme"), "column", 1),
    ],
)
def test_a_wrong_import_is_refused_in_one_line(gettone, words, told, status):
    Path("a.csv").write_text(HEADER)

    assert told in gettone.refuses("calls", "import", "a.csv", *words, expect=status)


def many_records(path, count):
    path.write_text(
        HEADER
        + "".join(
            f"r{line},,anna,,+4420718{line % 100000:05},2026-03-02T09:30:05Z,60\n" if line % 50 else f"r{line},,,,,,\n"
            for line in range(count)
        )
    )


@pytest.mark.slow
def test_a_killed_import_goes_on_where_it_was_and_charges_each_record_once(gettone):
    many_records(gettone.folder / "a.csv", 20_000)
    words = [
        sys.executable,
        "-m",
        "gettone",
        "calls",
        "import",
        "a.csv",
        "--format",
        "gettone",
        "--org",
        "acme",
        "--json",
    ]
    kills = 0
    while kills < 5:
        running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        before = calls_charged()
        while running.poll() is None and calls_charged() <= before + 700 * (kills + 1):
            time.sleep(0.01)
        if running.poll() is not None:
            break
        running.send_signal(signal.SIGKILL)
        running.communicate()
        kills += 1

    done = json.loads(gettone.program(*words[3:]).stdout)

    assert kills
    assert (done["records"], done["charged"] + done["duplicates"], done["rejected"]) == (20_000, 19_600, 400)
    assert calls_charged() == 19_600
    assert [int(row["line"]) for row in rejects(Path("a.csv.rejects.csv"))] == [
        2 + line for line in range(0, 20_000, 50)
    ]
    gettone("verify")


def calls_charged() -> int:
    import sqlite3

    with sqlite3.connect("file:gettone.db?mode=ro", uri=True) as database:
        count = database.execute("SELECT count(*) FROM call").fetchone()[0]
    database.close()
    return count


@pytest.mark.slow
def test_an_interrupt_ends_an_import_without_a_traceback(gettone):
    many_records(gettone.folder / "a.csv", 20_000)
    words = [sys.executable, "-m", "gettone", "calls", "import", "a.csv", "--format", "gettone", "--org", "acme"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while running.poll() is None and not calls_charged():
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)

    assert running.returncode == 130
    assert "Traceback" not in told
    gettone("verify")


@pytest.mark.slow
def test_a_full_disk_is_named_and_the_import_goes_on_when_there_is_room(gettone):
    many_records(gettone.folder / "a.csv", 20_000)
    words = [
        sys.executable,
        "-m",
        "gettone",
        "calls",
        "import",
        "a.csv",
        "--format",
        "gettone",
        "--org",
        "acme",
        "--json",
    ]
    room = (gettone.folder / "gettone.db").stat().st_size + 3_000_000

    def without_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))

    full = subprocess.run(words, capture_output=True, text=True, preexec_fn=without_room, check=False)
    charged = calls_charged()
    done = json.loads(gettone.program(*words[3:]).stdout)

    assert (full.returncode, full.stdout) == (1, "")
    assert full.stderr.startswith("error: ")
    assert "run the same import again" in full.stderr
    assert full.stderr.count("\n") == 1
    assert 0 < charged < 19_600
    assert (done["charged"] + done["duplicates"], done["rejected"]) == (19_600, 400)
    assert calls_charged() == 19_600


def test_a_rejects_file_that_cannot_be_written_is_named(gettone):
    Path("a.csv").write_text(HEADER + "r1,,bruno,,+442071838750,2026-03-02T09:30:05Z,60\n")

    told = gettone.refuses(
        "calls",
        "import",
        "a.csv",
        "--format",
        "gettone",
        "--org",
        "acme",
        "--rejects",
        gettone.folder / "none" / "r.csv",
    )

    assert "No such file" in told
