"""The rules of the house hold for this project, and each rule catches what it is there for."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import tidy

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "gettone"
OUR_CODE = (ROOT / "src", ROOT / "tests", ROOT / "tools")

Rule = Callable[[Path], Iterator[str]]


def complaints(rule: Rule, *folders: Path) -> str:
    return "\n".join(complaint for folder in folders for complaint in rule(folder))


def test_imports_point_inwards():
    assert not complaints(tidy.wrong_arrows, SOURCE)


def test_only_storage_and_bootstrap_know_databases():
    assert not complaints(tidy.misplaced_databases, SOURCE)


def test_the_domain_is_pure():
    assert not complaints(tidy.impurities, SOURCE / "domain")


def test_the_domain_can_be_read_like_a_book():
    assert not list(tidy.import_cycles(SOURCE / "domain", "gettone.domain"))


def test_functions_fit_on_a_screen():
    assert not complaints(tidy.long_functions, *OUR_CODE)


def test_files_hold_one_thing():
    assert not complaints(tidy.long_files, *OUR_CODE)


def test_nothing_is_left_undone():
    assert not complaints(tidy.leftovers, *OUR_CODE)


def test_every_exemption_has_its_reason():
    assert not complaints(tidy.unexplained_exemptions, *OUR_CODE)
    assert not complaints(tidy.unexplained_settings, ROOT / "pyproject.toml")


def test_no_file_names_a_package_index_or_one_machine():
    assert not complaints(tidy.foreign_addresses, ROOT)


# The bar is taken out when the text is planted; it keeps these lines from being violations themselves.
PLANTED = [
    (tidy.wrong_arrows, "agents/diameter.py", "from gettone.storage import sqlite", "may not import gettone.storage"),
    (tidy.wrong_arrows, "agents/radius.py", "import gettone.storage.sqlite", "may not import gettone.storage"),
    (tidy.wrong_arrows, "domain/rates.py", "from gettone.catalogue import zones", "may not import gettone.catalogue"),
    (tidy.wrong_arrows, "domain/rates.py", "from gettone import operations", "may not import gettone.operations"),
    (tidy.wrong_arrows, "operations/charging.py", "import gettone.bootstrap", "may not import gettone.bootstrap"),
    (tidy.wrong_arrows, "elsewhere/thing.py", "import gettone.domain", "no place in MAY_IMPORT"),
    (tidy.misplaced_databases, "operations/rates.py", "import sqlite3", "belongs into storage"),
    (tidy.misplaced_databases, "api/app.py", "from sqlalchemy import select", "belongs into storage"),
    (tidy.misplaced_databases, "cli.py", "import psycopg.rows", "belongs into storage"),
    (tidy.impurities, "domain/a.py", "at = datetime.now(UTC)", ".now in the domain"),
    (tidy.impurities, "domain/a.py", "at: datetime = field(default_factory=datetime.now)", ".now in the domain"),
    (tidy.impurities, "domain/a.py", "import logging", "the module logging"),
    (tidy.impurities, "domain/a.py", "from time import monotonic", "the module time"),
    (tidy.impurities, "domain/a.py", "import numpy", "the module numpy"),
    (tidy.impurities, "domain/a.py", "from uuid import uuid4", "the module uuid"),
    (tidy.impurities, "domain/a.py", "price = float(text)", "float in the domain"),
    (tidy.impurities, "domain/a.py", "price = 0.5", "the float 0.5"),
    (tidy.impurities, "domain/a.py", "print(open('deck.csv'))", "open in the domain"),
    (tidy.long_functions, "api/a.py", "def f():\n" + "    x = 1\n" * tidy.FUNCTION_LINES_MAX, "a.py:1: f has 61 lines"),
    (tidy.long_files, "api/a.py", "x = 1\n" * (tidy.FILE_LINES_MAX + 1), "601 lines"),
    (tidy.leftovers, "api/a.py", "x = 1  # TOD¦O: two", "finish it"),
    (tidy.leftovers, "api/a.py", "raise Not¦ImplementedError", "finish it"),
    (tidy.unexplained_exemptions, "api/a.py", "import os  # n¦oqa", "say which rule"),
    (tidy.unexplained_exemptions, "api/a.py", "import os  # n¦oqa: F401", "say which rule"),
    (tidy.unexplained_exemptions, "api/a.py", "x = y  # typ¦e: ignore[attr-defined]", "say which rule"),
    (tidy.foreign_addresses, "api/a.txt", "--i¦ndex-url https://example.org", "a package index"),
    (tidy.foreign_addresses, "api/a.txt", "see https://example.org/si¦mple", "a package index"),
    (tidy.foreign_addresses, "api/a.txt", "cd /ro¦ot/gettone", "a path of one machine"),
    (tidy.foreign_addresses, "api/a.txt", "cd /ho¦me/anna/gettone", "a path of one machine"),
]


@pytest.mark.parametrize(
    ("rule", "name", "text", "complaint"), PLANTED, ids=[f"{n}-{case[0].__name__}" for n, case in enumerate(PLANTED)]
)
def test_a_rule_catches_a_planted_violation(tmp_path, rule, name, text, complaint):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text(text.replace("¦", ""), encoding="utf-8")

    found = complaints(rule, tmp_path)

    assert complaint in found
    assert name in found


def test_an_import_cycle_is_caught(tmp_path):
    for name, imports in {"rates": "rating", "rating": "money, rates", "money": None}.items():
        line = f"from gettone.domain import {imports}\n" if imports else ""
        (tmp_path / f"{name}.py").write_text(line, encoding="utf-8")

    [complaint] = tidy.import_cycles(tmp_path, "gettone.domain")

    assert "gettone.domain.rates, gettone.domain.rating" in complaint
    assert "money" not in complaint


def test_a_rule_switched_off_without_a_reason_is_caught(tmp_path):
    settings = tmp_path / "pyproject.toml"
    settings.write_text('ignore = [\n  "E501",\n  "S101",  # Asserts guard against our own mistakes.\n]\n')

    [complaint] = tidy.unexplained_settings(settings)

    assert complaint.startswith(f"{settings}:2:")


def test_what_is_allowed_is_not_complained_about(tmp_path):
    (tmp_path / "domain").mkdir()
    (tmp_path / "operations").mkdir()
    (tmp_path / "domain" / "rates.py").write_text("import csv\nfrom gettone.domain.money import micros\n")
    (tmp_path / "operations" / "rates.py").write_text(
        "from gettone.catalogue import zones\nimport os  # n¦oqa: F401 - shown to readers of the tutorial\n"
    )

    assert not complaints(tidy.wrong_arrows, tmp_path)
    assert not complaints(tidy.impurities, tmp_path / "domain")
    assert not complaints(tidy.unexplained_exemptions, tmp_path)
