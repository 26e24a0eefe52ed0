"""A database for every test of the command line: two users, a sample deck, 50.00 USD; made once, copied for each."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.cli import app

USERS = """upn,user_id,usage_location,products,number
anna@example.test,anna,IT,MCOEV MCOPSTN1 MCOPSTNC,+390612345678
bruno@example.test,bruno,IT,MCOEV MCOPSTN1,+390612345679
"""
OWNED = (("MCOEV", 5), ("MCOPSTN1", 4), ("MCOPSTN2", 1), ("MCOPSTNC",))


class Gettone:
    """The command line over a database of its own, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, *words: object, expect: int = 0) -> Result:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == expect, f"{words}: {done.exit_code}\n{done.stdout}\n{done.stderr}\n{done.exception!r}"
        return done

    def json(self, *words: object) -> Any:
        return json.loads(self(*words, "--json").stdout)

    def refuses(self, *words: object, expect: int = 1) -> str:
        """The one line that tells what is wrong."""
        done = self(*words, expect=expect)
        first, *rest = done.stderr.splitlines()
        assert first.startswith("error: ")
        assert "Traceback" not in done.stderr
        assert not [line for line in rest if not line.startswith(("try: ", "line "))]
        return done.stderr

    def program(self, *words: object, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run the real program."""
        return subprocess.run(
            [sys.executable, "-m", "gettone", *map(str, words)],
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", **environment},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    (folder / "deck.csv").write_text(sample_deck_csv())
    (folder / "users.csv").write_text(USERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        gettone = Gettone(folder)
        gettone("db", "upgrade")
        gettone("rates", "import", "deck.csv")
        gettone("org", "create", "acme", "--country", "IT", "--currency", "USD")
        for product in OWNED:
            gettone("licences", "buy", "acme", *product, "--reference", f"first {product[0]}")
        gettone("users", "import", "acme", "users.csv")
        gettone("wallet", "credit", "acme", "50.00", "--reference", "begin")
    return folder


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Gettone:
    """A folder without any database."""
    monkeypatch.chdir(tmp_path)
    return Gettone(tmp_path)


@pytest.fixture
def gettone(world: Path, empty: Gettone) -> Gettone:
    """A folder with the world's database."""
    for file in world.iterdir():
        shutil.copy(file, empty.folder)
    return empty
