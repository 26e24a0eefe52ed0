"""The contract of the back office is the same on SQLite and on PostgreSQL: every test here runs on both."""

import contextlib
from collections.abc import Iterator

import pytest

from gettone.operations.office import Office
from gettone.storage.office import open_office
from gettone.storage.upgrade import upgrade
from tests.support import postgres
from tests.support.emptied import Emptied, emptied_database
from tests.support.world import World, sqlite_url


@pytest.fixture(scope="session")
def postgres_template(postgres_server):
    """As the one of all tests, upgraded within this process, which is quicker."""
    with postgres.database(postgres_server) as url:
        upgrade(url)
        yield postgres.name_of(url)


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


@pytest.fixture
def office(url) -> Iterator[Office]:
    """The back office of an empty database, for tests of its rows by themselves."""
    with contextlib.closing(open_office(url)) as made:
        yield made


@pytest.fixture
def world(url) -> Iterator[World]:
    """An empty world."""
    with World(url) as made:
        yield made


@pytest.fixture
def contoso(world) -> World:
    """A world with one American organisation that has rates, money and two users."""
    world.organisation("contoso")
    world.deck("country,price\nUS,0.01\nIT,0.05\n")
    world.user("contoso", "anna", products=["MCOPSTN1", "MCOPSTNC"])
    world.user("contoso", "ben", products=["MCOPSTN_PAYG_1", "MCOPSTNC"])
    world.number("contoso", "+14255550100", user="anna")
    world.fund("contoso", 10_000_000, reference="first")
    return world


@pytest.fixture
def bare(world):
    """An organisation that owns nothing yet, with three users in the United States."""
    world.organisation("contoso", owns={})
    for name in ("anna", "ben", "carl"):
        world.user("contoso", name)
    return world


@pytest.fixture
def small(bare):
    """The same with three of each licence of a plan, and credits."""
    bare.own("contoso", {"MCOEV": 3, "MCOPSTN1": 3, "MCOPSTN2": 3, "MCOPSTNC": 1_000_000, "MCOMEETADV": 2})
    return bare
