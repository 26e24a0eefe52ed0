"""What every test may ask for: a PostgreSQL server, a database of its own on it, and settled Hypothesis profiles.

``GETTONE_TEST_POSTGRES_URL`` names a server to use instead of starting one; ``GETTONE_TEST_NO_POSTGRES=1`` skips what
needs one; ``GETTONE_TEST_HYPOTHESIS=thorough`` searches wider, from fresh seeds.
"""

import os
import signal
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from gettone.storage.private_postgres import PrivatePostgres
from tests.support import postgres

# In the background of a shell Ctrl-C is ignored, by us and then by every program that a test starts and interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("quick", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile(
    "thorough", deadline=None, max_examples=2000, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile(os.environ.get("GETTONE_TEST_HYPOTHESIS", "quick"))


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PrivatePostgres]:
    """The session's PostgreSQL server; it does not wait for the disk."""
    with postgres.session_server() as server:
        yield server


@pytest.fixture
def postgres_url(postgres_server: PrivatePostgres) -> Iterator[str]:
    """The URL of an empty database that only this test knows, as its owner, who is no superuser."""
    with postgres.database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PrivatePostgres) -> Iterator[str]:
    """The name of a database with the present schema and nothing in it."""
    with postgres.database(postgres_server) as url:
        postgres.upgrade(url)
        yield postgres.name_of(url)


@pytest.fixture
def migrated_postgres_url(postgres_server: PrivatePostgres, postgres_template: str) -> Iterator[str]:
    """As *postgres_url*, with the present schema."""
    with postgres.database(postgres_server, template=postgres_template) as url:
        yield url
