"""Databases for tests of storage, on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.support.emptied import Emptied, emptied_database
from tests.support.world import sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def bare_url(request, tmp_path) -> str:
    """The URL of a database that has no tables, or of a file that is not there yet."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'bare.db'}"
    return request.getfixturevalue("postgres_url")


@pytest.fixture(scope="session")
def emptied_postgres(postgres_server) -> Iterator[Emptied]:
    """A database that is emptied before each test."""
    with emptied_database(postgres_server) as made:
        yield made


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def ready_url(request, tmp_path) -> str:
    """The URL of an empty database with the present schema."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path, "ready.db")
    return request.getfixturevalue("emptied_postgres").empty()
