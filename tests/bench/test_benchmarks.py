"""Each benchmark measures what it says, at a size that takes a moment; how fast it is, is not looked at."""

import json
import re
import sqlite3
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from gettone.bench import (
    NAMES,
    expiring,
    growth,
    invoicing,
    licensing,
    load,
    main,
    measuring,
    recharging,
    running,
    sqlite,
    world,
)
from gettone.bench.measuring import NotMeasured, Sample
from gettone.bench.sizes import TINY
from gettone.domain.entitlement import PayerKind
from gettone.domain.refusals import Refusal
from gettone.operations.messages import Refused, StartCall, StopCall, UpdateCall

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "benchmarks.md"

INVOICES = [name for name in NAMES if name.startswith("invoices_")]
IN_PROCESS = [
    name for name in NAMES if "postgres" not in name and not name.startswith("charge_http") and name not in INVOICES
]
POSTGRES = [name for name in NAMES if "postgres" in name]
HTTP = [name for name in NAMES if name.startswith("charge_http")]
WITHOUT_LIMIT = {name for name in NAMES if name.startswith(("charge_growth", "charge_licensed"))}


def measured(capsys, tmp_path, *only: str) -> list[dict]:
    assert running.run(only, as_json=True, folder=tmp_path, sizes=TINY) == 0
    return json.loads(capsys.readouterr().out)


def assert_sound(result: dict) -> None:
    assert {"name", "value", "unit", "limit", "ratio"} <= result.keys()
    assert result["value"] > 0
    if result["name"] in WITHOUT_LIMIT:
        assert (result["unit"], result["limit"], result["ratio"]) == ("x", None, None)
        return
    is_duration = result["unit"] in {"us", "ms"}
    reached = result["limit"] / result["value"] if is_duration else result["value"] / result["limit"]
    assert result["ratio"] == pytest.approx(reached, rel=0.02)


@pytest.mark.parametrize("name", IN_PROCESS)
def test_a_benchmark_gives_its_figure(capsys, tmp_path, name):
    [result] = measured(capsys, tmp_path, name)

    assert result["name"] == name
    assert_sound(result)
    assert not list(tmp_path.iterdir())


def test_invoices_are_measured_with_their_pdf(capsys, tmp_path):
    results = measured(capsys, tmp_path, *INVOICES)

    assert [result["name"] for result in results] == INVOICES
    for result in results:
        assert_sound(result)


@pytest.mark.slow
def test_postgres_benchmarks_give_their_figures(capsys, tmp_path, postgres_server, monkeypatch):
    monkeypatch.setattr(running, "private_postgres", lambda **_: running.contextlib.nullcontext(postgres_server))

    results = measured(capsys, tmp_path, *POSTGRES)

    assert [result["name"] for result in results] == POSTGRES
    for result in results:
        assert_sound(result)


@pytest.mark.slow
def test_http_benchmarks_give_their_figures(capsys, tmp_path):
    results = measured(capsys, tmp_path, *HTTP)

    assert [result["name"] for result in results] == HTTP
    for result in results:
        assert_sound(result)


def test_without_a_postgres_its_benchmarks_are_left_out(capsys, tmp_path, monkeypatch):
    def none_to_be_had(**_):
        raise running.PostgresUnavailable("none here")

    monkeypatch.setattr(running, "private_postgres", none_to_be_had)
    postgres, cheap = (
        next(benchmark for benchmark in running.BENCHMARKS if name in benchmark.names)
        for name in ("charge_postgres_b1", "charge_sqlite_b1")
    )
    monkeypatch.setattr(running, "BENCHMARKS", (postgres, cheap))

    assert running.run((), as_json=True, folder=tmp_path, sizes=TINY) == 0

    told = capsys.readouterr()
    assert [result["name"] for result in json.loads(told.out)] == ["charge_sqlite_b1"]
    assert "none here" in told.err


def test_a_benchmark_that_fails_is_told_and_has_no_figure(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(running, "BENCHMARKS", (running._sqlite("charge_sqlite_b1", 1, "+999"),))

    assert running.run((), as_json=True, folder=tmp_path, sizes=TINY) == 1

    told = capsys.readouterr()
    assert json.loads(told.out) == []
    assert "refused" in told.err


def test_an_unknown_name_is_a_wrong_usage(capsys):
    assert main(("charge_sqlite_b2",), as_json=True) == 2

    told = capsys.readouterr()
    assert not told.out
    assert "charge_sqlite_b2" in told.err
    assert "charge_sqlite_b100" in told.err


def test_people_get_a_table(capsys, tmp_path):
    assert running.run(["rate_bulk"], as_json=False, folder=tmp_path, sizes=TINY) == 0

    told = capsys.readouterr()
    assert re.search(r"^rate_bulk +[\d,]+ +records/s", told.out, re.MULTILINE)
    assert "rate_bulk" in told.err


def test_names_are_those_of_the_benchmarks_in_order():
    assert tuple(name for benchmark in running.BENCHMARKS for name in benchmark.names) == NAMES


def test_every_benchmark_has_its_row_in_the_documentation():
    rows = set(re.findall(r"^\| `(\w+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    assert rows == set(NAMES)


def content(path: Path) -> dict[str, list[tuple]]:
    connection = sqlite3.connect(path)
    try:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: sorted(connection.execute(f'SELECT * FROM "{table}"').fetchall()) for table in tables}
    finally:
        connection.close()


def test_the_limit_of_charging_leaves_the_same_rows(tmp_path):
    sqlite.charge("pair", tmp_path, TINY, batch=10)

    ours, raw = content(tmp_path / "pair.db"), content(tmp_path / "pair-equal.db")

    assert ours == raw
    assert ours["call"]
    assert ours["ledger_posting"]


def test_the_limit_of_licensing_in_bulk_leaves_the_same_rows(tmp_path):
    licensing.bulk("bulk", tmp_path, TINY)

    ours, raw = content(tmp_path / "bulk-ours.db"), content(tmp_path / "bulk-equal.db")

    assert ours == raw != content(tmp_path / "bulk-first.db")
    assert sum("MCOPSTNC" in str(row) for row in ours["subscriber"]) == TINY.bulk_users


def test_the_limit_of_a_night_is_the_same_rows(tmp_path):
    expiring.night("night", tmp_path, replace(TINY, expiring_wallets=10))

    ours, raw = content(tmp_path / "night.db"), content(tmp_path / "night-equal.db")

    assert ours == raw
    assert len(ours["ledger_entry"]) == 10


def test_the_limit_of_invoices_is_the_same_rows(tmp_path):
    invoicing.issued(("invoices", "pdf"), tmp_path, TINY)

    ours, raw = content(tmp_path / "invoices.db"), content(tmp_path / "invoices-equal.db")

    assert ours == raw
    numbers = sorted(row[1] for row in ours["invoice_number"])
    assert numbers == list(range(1, TINY.invoices + 1))


def test_recharges_happen_on_one_side_only(tmp_path):
    recharging.on_against_off("pair", tmp_path, TINY)

    on, off = (content(tmp_path / f"pair-{side}.db") for side in ("on", "off"))

    assert on["payment"]
    assert len(on["lot"]) == len(off["lot"]) + len(on["payment"])
    assert not off["payment"]
    assert len(on["invoice"]) == len(on["payment"])


def test_each_benchmark_load_has_its_payer(tmp_path):
    sqlite.charge("credits", tmp_path, TINY, batch=10)
    sqlite.charge("pool", tmp_path, TINY, batch=10, called=world.PAID_BY_POOL)

    payers = [{row[3] for row in content(tmp_path / f"{name}.db")["usage_record"]} for name in ("credits", "pool")]

    assert payers == [{PayerKind.CREDITS.value}, {PayerKind.POOL.value}]


def test_calls_are_started_updated_three_times_and_stopped():
    calls = load.Load(["a", "b"], open_calls=5)

    kinds = Counter(type(request) for request in calls.take(1000))

    assert kinds[UpdateCall] == pytest.approx(600, abs=15)
    assert kinds[StartCall] == pytest.approx(200, abs=10)
    assert kinds[StopCall] == pytest.approx(200, abs=10)


def test_requests_apart_are_of_different_organisations():
    calls = load.Load([f"org{number}" for number in range(4)], open_calls=8)

    for _ in range(50):
        assert len({request.org_id for request in calls.take_apart(4)}) == 4


def test_the_large_side_has_as_many_calls_in_progress_as_it_says(tmp_path):
    growth.sessions("sessions", tmp_path, TINY, batch=10)

    open_calls = [
        sum(row[2] == "open" for row in content(tmp_path / f"sessions-{side}.db")["call"])
        for side in ("small", "large")
    ]

    assert open_calls == [TINY.open_calls, TINY.growth_sessions]


def test_a_load_that_is_refused_is_no_measurement():
    refused = Refused(org_id="a", session_id="b", request_number=0, reason=Refusal.UNKNOWN_USER)

    with pytest.raises(NotMeasured, match="unknown_user"):
        load.check([refused])


def test_figures_are_medians_of_rounds():
    ours = [Sample(100, seconds, seconds / 2) for seconds in (1.0, 2.0, 50.0)]
    limits = [Sample(100, seconds, seconds) for seconds in (0.5, 0.5, 0.1)]

    result = measuring.rate("a", "requests/s", ours, limits)

    assert (result.value, result.limit, result.ratio) == (50.0, 200.0, 0.25)
    assert result.cpu_us == 10_000


def test_the_first_round_warms_up_and_is_not_counted():
    rounds = []

    def contestant():
        rounds.append("ready")
        return lambda: len(rounds)

    [samples] = measuring.interleaved(3, contestant)

    assert [sample.operations for sample in samples] == [2, 3, 4]


def test_growth_compares_rounds_that_ran_one_after_the_other():
    small = [Sample(10, 1.0, 1.0), Sample(10, 10.0, 1.0), Sample(10, 1.0, 1.0)]
    large = [Sample(10, 1.5, 1.0), Sample(10, 12.0, 1.0), Sample(10, 1.2, 1.0)]

    assert growth.ratio("a", small, large).value == 1.2
