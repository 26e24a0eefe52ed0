"""A populated database for tests of the jobs in a whole service."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.world import Tokens, populate
from tests.support.emptied import Emptied, emptied_database
from tests.support.world import sqlite_url


@pytest.fixture(scope="session")
def populated_for_jobs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Tokens]:
    path = tmp_path_factory.mktemp("jobs") / "gettone.db"
    return path, populate(f"sqlite:///{path}")


@pytest.fixture
def database(populated_for_jobs: tuple[Path, Tokens], tmp_path: Path) -> Path:
    """A populated database of the test's own."""
    return Path(shutil.copy(populated_for_jobs[0], tmp_path / "gettone.db"))


@pytest.fixture
def tokens(populated_for_jobs: tuple[Path, Tokens]) -> Tokens:
    return populated_for_jobs[1]


@pytest.fixture(scope="session")
def emptied_postgres(postgres_server) -> Iterator[Emptied]:
    """A database that is emptied before each test."""
    with emptied_database(postgres_server) as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def url(request, tmp_path) -> str:
    """The URL of an empty database with the present schema."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path)
    return request.getfixturevalue("emptied_postgres").empty()
