"""The pages about the domain are true: their scenarios run, and they say what they must."""

from pathlib import Path

import pytest

from gettone.domain.ledger import Account
from tests.scenarios.runner import Runner
from tests.support.documentation import code_blocks, headings

FOLDER = Path(__file__).parent.parent.parent / "docs" / "domain"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
SCENARIOS = [block for page in PAGES for block in code_blocks(page) if block.words == ("scenario",)]
CHAPTERS = ["Model", "Time", "Calculation", "Invariants", "Boundaries"]


@pytest.mark.parametrize("block", SCENARIOS, ids=lambda block: f"{block.page.stem}-{block.line}")
def test_a_worked_amount_is_what_comes_out(block, sqlite_world):
    Runner(sqlite_world).run(block.text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_has_its_chapters_in_order_and_a_worked_amount(page):
    assert [heading for heading in headings(page) if heading in CHAPTERS] == CHAPTERS
    assert any(block.page == page for block in SCENARIOS)


def test_every_account_of_the_ledger_has_its_heading():
    assert {account.value for account in Account} <= set(headings(FOLDER / "ledger.md"))


def test_every_page_is_in_the_table_of_contents():
    contents = (FOLDER / "README.md").read_text()

    assert all(f"({page.name})" in contents for page in PAGES)
