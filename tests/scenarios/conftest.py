"""Worlds for scenarios: an empty SQLite file, or an empty PostgreSQL database, migrated."""

import pytest

from gettone.storage.upgrade import upgrade
from tests.support import postgres
from tests.support.world import World, sqlite_url


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    """As the one of all tests, upgraded within this process, which is quicker."""
    with postgres.database(postgres_server) as url:
        upgrade(url)
        yield postgres.name_of(url)


@pytest.fixture
def sqlite_world(tmp_path):
    with World(sqlite_url(tmp_path)) as world:
        yield world


@pytest.fixture
def postgres_world(migrated_postgres_url):
    with World(migrated_postgres_url) as world:
        yield world
