"""Conformance: prices and longest calls, at the exact numbers of the case files."""

import json

import pytest

from tests.conformance.loader import case_files, ceiling_of, expectation, load_cases, micros

UNLIMITED = 10**18

COST = load_cases("cost")
MAX_USAGE = [case for case in load_cases("max_usage") if not case.has_pools]


@pytest.mark.parametrize("case", COST, ids=lambda case: case.name)
def test_a_call_costs_what_the_case_says(case):
    charge = case.rate.charge(case.body["call"]["duration_s"], at=case.start)

    assert charge.micros == micros(expectation(case.body, "cost"))


@pytest.mark.parametrize("case", MAX_USAGE, ids=lambda case: case.name)
def test_a_wallet_pays_for_as_long_as_the_case_says(case):
    account, duration = case.body["account"], case.body["call"]["duration_s"]
    budget = UNLIMITED if account.get("allow_negative") else micros(account["money"])

    longest = case.rate.affordable(budget, duration, at=case.start, ceiling=ceiling_of(case.body))

    assert longest == expectation(case.body, "max_usage_s")


def test_every_file_of_the_folder_is_read():
    written = sum(len(json.loads(path.read_text(encoding="utf-8"))["cases"]) for path in case_files())

    assert written >= len(load_cases()) >= 1


def test_a_folder_without_cases_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("GETTONE_CONFORMANCE_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="GETTONE_CONFORMANCE_DIR"):
        load_cases()

    (tmp_path / "empty.json").write_text('{"tariffs": {}, "cases": []}', encoding="utf-8")
    with pytest.raises(ValueError, match="no case of kind"):
        load_cases()


def test_a_case_of_an_unknown_kind_is_ignored_beside_known_ones(tmp_path, monkeypatch):
    tariff = {
        "rounding": {"method": "up", "decimals": 20},
        "bands": [
            {
                "weekdays": [1],
                "from": "08:00:00",
                "to": "24:00:00",
                "priority": 10,
                "connect_fee": "0",
                "steps": [{"from_s": 0, "price": "0.6", "per_s": 60, "increment_s": 1}],
            }
        ],
    }
    cases = [{"id": "a", "kind": "weather"}, {"id": "b", "kind": "cost", "expect": {"cost": "1", "cost_exact": "2"}}]
    (tmp_path / "two.json").write_text(json.dumps({"tariffs": {"T": tariff}, "cases": cases}), encoding="utf-8")
    monkeypatch.setenv("GETTONE_CONFORMANCE_DIR", str(tmp_path))

    (case,) = load_cases()

    assert (case.name, expectation(case.body, "cost")) == ("two/b", "2")
    assert len(case.rates["T"].bands) == 2
