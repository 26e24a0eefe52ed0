"""PostgreSQL for the tests: one server a session, one database a test."""

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from gettone.storage.private_postgres import PostgresUnavailable, PrivatePostgres, private_postgres

SKIP_VARIABLE = "GETTONE_TEST_NO_POSTGRES"


@contextlib.contextmanager
def session_server(*, durable: bool = False) -> Iterator[PrivatePostgres]:
    """Yield a server, skip when the environment asks for it, fail with one line when there is none."""
    if os.environ.get(SKIP_VARIABLE) == "1":
        pytest.skip(f"{SKIP_VARIABLE}=1")
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(private_postgres(durable=durable))
        except PostgresUnavailable as error:
            pytest.fail(f"{error}; {SKIP_VARIABLE}=1 skips what needs it", pytrace=False)
        yield server


@contextlib.contextmanager
def database(server: PrivatePostgres, *, template: str | None = None) -> Iterator[str]:
    """Yield the owner's URL of a new database, and drop it afterwards."""
    name = f"gettone_test_{secrets.token_hex(6)}"
    url = server.create_database(name, template=template)
    try:
        yield url
    finally:
        server.drop_database(name)


def name_of(url: str) -> str:
    """Return the name of the database that *url* leads to."""
    return urlsplit(url).path.lstrip("/")


def upgrade(url: str) -> None:
    """Bring the database at *url* to the present schema, as an operator does."""
    gettone = Path(sys.executable).with_name("gettone")
    done = subprocess.run(
        [gettone, "db", "upgrade"],
        env={**os.environ, "GETTONE_DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"gettone db upgrade failed: {(done.stderr or done.stdout).strip()}", pytrace=False)
