"""The application over a database that is copied, not made, for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import Api, Tokens, opened_api, populate


@pytest.fixture(scope="session")
def populated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokens]:
    path = tmp_path_factory.mktemp("populated") / "gettone.db"
    return path, populate(f"sqlite:///{path}")


@pytest.fixture
def database(populated: tuple[Path, Tokens], tmp_path: Path) -> Path:
    """A populated database of the test's own."""
    return Path(shutil.copy(populated[0], tmp_path / "gettone.db"))


@pytest.fixture
def tokens(populated: tuple[Path, Tokens]) -> Tokens:
    return populated[1]


@pytest.fixture
def api(database: Path, tokens: Tokens) -> Iterator[Api]:
    with opened_api(f"sqlite:///{database}", tokens) as api:
        yield api
