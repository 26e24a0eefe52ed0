"""Databases for properties: a new one for each example."""

import contextlib

import pytest

from gettone.storage.upgrade import upgrade
from tests.support import postgres


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    """As the one of all tests, upgraded within this process, which is quicker."""
    with postgres.database(postgres_server) as url:
        upgrade(url)
        yield postgres.name_of(url)


@pytest.fixture
def postgres_urls(postgres_server, postgres_template):
    """Return a maker of empty, migrated PostgreSQL databases; the one made before is dropped."""
    with contextlib.ExitStack() as latest:

        def make() -> str:
            latest.close()
            return latest.enter_context(postgres.database(postgres_server, template=postgres_template))

        yield make
