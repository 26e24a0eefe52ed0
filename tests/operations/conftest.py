"""Where storage is concerned, operations are tried on SQLite and on PostgreSQL."""

from collections.abc import Iterator

import pytest

from tests.support.shop import Shop
from tests.support.world import World, sqlite_url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def database_url(request, tmp_path) -> str:
    """The URL of an empty database with the present schema, of either kind."""
    return sqlite_url(tmp_path) if request.param == "sqlite" else request.getfixturevalue("migrated_postgres_url")


@pytest.fixture
def shop(tmp_path) -> Iterator[Shop]:
    """An American organisation that owns plenty and has a card; in the end its books must be in order."""
    with World(sqlite_url(tmp_path)) as world:
        world.organisation("contoso")
        made = Shop(world)
        made.card()
        yield made
        assert world.findings() == []


@pytest.fixture
def taxed(shop: Shop) -> Shop:
    """The shop where 22 % are due on top."""
    shop.taxed("US", "sales tax", "22")
    return shop
