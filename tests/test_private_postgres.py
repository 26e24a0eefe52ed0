"""The PostgreSQL that tests and benchmarks are given."""

import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from gettone.storage import private_postgres as module
from gettone.storage.private_postgres import PostgresUnavailable, private_postgres
from tests.support import postgres


def test_each_database_belongs_to_an_ordinary_role(postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE wallet (org_id text PRIMARY KEY)")
        powers = connection.execute("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user")

        assert powers.fetchone() == (False, False)


def test_a_copy_of_a_database_holds_its_tables(postgres_server, postgres_url):
    with psycopg.connect(postgres_url) as connection:
        connection.execute("CREATE TABLE wallet AS SELECT 7 AS posted_micros")

    with (
        postgres.database(postgres_server, template=postgres.name_of(postgres_url)) as copy,
        psycopg.connect(copy) as connection,
    ):
        assert connection.execute("SELECT posted_micros FROM wallet").fetchone() == (7,)


def test_a_named_server_is_used_and_its_superuser_owns_nothing(postgres_server, monkeypatch):
    monkeypatch.setenv(module.URL_VARIABLE, postgres_server.admin_url)

    with private_postgres() as named, postgres.database(named) as url:
        assert parse_qs(urlsplit(url).query) == parse_qs(urlsplit(postgres_server.admin_url).query)
        with psycopg.connect(url) as connection:
            powers = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")

            assert powers.fetchone() == (False,)


@pytest.mark.parametrize("url", ["mysql://anna@localhost/x", "postgresql:///x", "localhost:5432"])
def test_a_url_that_is_none_is_refused_with_its_form(monkeypatch, url):
    monkeypatch.setenv(module.URL_VARIABLE, url)

    with pytest.raises(PostgresUnavailable, match="must look like postgresql://USER"), private_postgres():
        pass


def test_a_named_server_that_does_not_answer_is_an_error_not_a_fallback(monkeypatch, tmp_path):
    monkeypatch.setenv(module.URL_VARIABLE, f"postgresql://anna@/x?host={tmp_path}")

    with pytest.raises(PostgresUnavailable, match="names a server that does not answer"), private_postgres():
        pass


def test_without_any_binaries_the_message_says_what_to_do(monkeypatch):
    monkeypatch.delenv(module.URL_VARIABLE, raising=False)
    monkeypatch.setattr(module, "find_binaries", lambda: None)

    with pytest.raises(PostgresUnavailable, match="apt-get install postgresql"), private_postgres():
        pass


@pytest.mark.slow
def test_a_server_of_our_own_ends_with_the_block_also_when_interrupted(tmp_path):
    program = """
from gettone.storage.private_postgres import private_postgres
with private_postgres() as server:
    print(server.admin_url, flush=True)
    raise KeyboardInterrupt
"""
    environment = {name: value for name, value in os.environ.items() if name != module.URL_VARIABLE}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    [folder] = parse_qs(urlsplit(done.stdout.strip()).query)["host"]

    assert "KeyboardInterrupt" in done.stderr
    assert not Path(folder).exists()
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(done.stdout.strip())
