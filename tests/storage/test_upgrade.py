"""The schema: made, recognised, refused, and never to be changed by the back door."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from gettone.errors import Conflict, InvariantBroken, SchemaMismatch, StorageError
from gettone.storage.engine import open_database
from gettone.storage.schema import metadata
from gettone.storage.upgrade import check, integrity, newest_revision, require_current, upgrade

APPEND_ONLY = ("ledger_entry", "ledger_posting", "usage_record", "call_request")

ROWS = (
    "INSERT INTO organisation (org_id, created_at) VALUES ('contoso', 0)",
    "INSERT INTO ledger_entry (org_id, entry_number, posted_at) VALUES ('contoso', 1, 0)",
    "INSERT INTO ledger_posting (org_id, entry_number, line, amount_micros) VALUES ('contoso', 1, 0, 5)",
    "INSERT INTO usage_record (org_id, session_id, line) VALUES ('contoso', 'a', 0)",
    "INSERT INTO call_request (org_id, session_id, request_number, answer) VALUES ('contoso', 'a', 0, '')",
)


def run(url: str, *statements: str) -> None:
    database = open_database(url)
    try:
        with database.writing() as connection:
            for statement in statements:
                connection.execute(text(statement))
    finally:
        database.close()


def definitions(connection: Connection) -> Iterator[tuple[str, str]]:
    """Yield everything that makes the tables, as the database itself writes it down."""
    if connection.dialect.name == "sqlite":
        queries = [
            "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND tbl_name <> 'alembic_version'",
        ]
    else:
        queries = [
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'alembic_version'",
            """SELECT conrelid::regclass || '.' || conname, pg_get_constraintdef(oid) FROM pg_constraint
            WHERE connamespace = 'public'::regnamespace AND conrelid::regclass::text <> 'alembic_version'""",
            """SELECT table_name || '.' || column_name, concat(data_type, is_nullable, column_default)
            FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'alembic_version'""",
        ]
    for query in queries:
        yield from ((name, " ".join((sql or "").split())) for name, sql in connection.execute(text(query)))


def test_a_database_is_missing_then_made_then_current(bare_url):
    before = check(bare_url)
    made = upgrade(bare_url)

    assert (before.state, before.revision) == ("missing", "")
    assert "gettone db upgrade" in before.detail
    assert (made.state, made.revision, made.newest) == ("current", newest_revision(), newest_revision())
    assert check(bare_url) == made
    require_current(bare_url)


def test_upgrading_again_changes_nothing(bare_url):
    upgrade(bare_url)
    run(bare_url, *ROWS)

    assert upgrade(bare_url).state == "current"
    assert integrity(bare_url) == []


def test_the_migrations_make_exactly_the_schema(bare_url):
    upgrade(bare_url)
    database = open_database(bare_url)

    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()

    assert differences == []


def test_the_migrations_make_every_constraint_and_index_of_the_schema(bare_url, tmp_path):
    upgrade(bare_url)
    migrated = open_database(bare_url)
    with migrated.reading() as connection:
        made = dict(definitions(connection))
    with migrated.writing() as connection:
        if not migrated.is_sqlite:
            connection.execute(text("DROP SCHEMA public CASCADE"))
            connection.execute(text("CREATE SCHEMA public"))
    migrated.close()
    direct = open_database(bare_url if not migrated.is_sqlite else f"sqlite:///{tmp_path / 'direct.db'}", create=True)
    with direct.writing() as connection:
        metadata.create_all(connection)
        wanted = dict(definitions(connection))
    direct.close()

    assert made == wanted
    assert any("held_micros" in definition for definition in made.values())


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_is_written_once_can_neither_be_changed_nor_taken_out(ready_url, table):
    run(ready_url, *ROWS)

    for statement in (f"UPDATE {table} SET org_id = 'fabrikam'", f"DELETE FROM {table}"):
        with pytest.raises(StorageError, match=r"append-only|permission denied"):
            run(ready_url, statement)

    engine = create_engine(ready_url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        assert connection.execute(text(f"SELECT org_id FROM {table}")).scalar_one() == "contoso"
    engine.dispose()


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO wallet (org_id, posted_micros, held_micros) VALUES ('contoso', 1, 2)",
        "INSERT INTO wallet (org_id, overrun_micros) VALUES ('contoso', -1)",
        "INSERT INTO wallet (org_id) VALUES ('nobody')",
        """INSERT INTO lot (org_id, lot_id, purchased_at, expires_at, amount_micros, remaining_micros)
        VALUES ('contoso', 'a', 0, 0, 1, 2)""",
        "INSERT INTO pool_use (org_id, pool_key, period, held_seconds) VALUES ('contoso', 'a', 0, -1)",
        "INSERT INTO call (org_id, session_id, state, started_at, held_micros) VALUES ('contoso', 'a', 'ended', 0, 1)",
    ],
)
def test_the_database_itself_refuses_what_must_never_be(ready_url, statement):
    run(ready_url, ROWS[0])

    with pytest.raises(InvariantBroken):
        run(ready_url, statement)


def test_the_same_key_twice_is_a_conflict(ready_url):
    run(ready_url, *ROWS)

    with pytest.raises(Conflict):
        run(ready_url, ROWS[4])


def test_a_newer_schema_is_refused_and_left_alone(bare_url):
    upgrade(bare_url)
    run(bare_url, "UPDATE alembic_version SET version_num = '9999'")
    line = f"newer schema (revision 9999), this program knows up to {newest_revision()}: run the newer gettone"

    assert check(bare_url).state == "newer"
    assert check(bare_url).detail.endswith(line)
    for refused in (upgrade, require_current):
        with pytest.raises(SchemaMismatch) as error:
            refused(bare_url)
        assert str(error.value).endswith(line)
    assert check(bare_url).revision == "9999"


def test_a_database_without_tables_says_what_to_run(bare_url):
    with pytest.raises(SchemaMismatch, match="gettone db upgrade"):
        require_current(bare_url)


def test_two_upgrades_at_once_are_one(bare_url):
    with ThreadPoolExecutor(4) as threads:
        states = list(threads.map(upgrade, [bare_url] * 4))

    assert {state.state for state in states} == {"current"}


def test_a_damaged_file_is_found_out(tmp_path):
    path = tmp_path / "damaged.db"
    url = f"sqlite:///{path}"
    upgrade(url)
    run(url, *ROWS)
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
    connection.close()
    with path.open("r+b") as file:
        for page in range(2, pages):
            file.seek(page * 4096)
            file.write(os.urandom(2000))

    assert integrity(url) != []


def test_a_row_that_refers_to_nothing_is_found_out(tmp_path):
    path = tmp_path / "orphan.db"
    url = f"sqlite:///{path}"
    upgrade(url)
    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO wallet (org_id) VALUES ('nobody')")
    connection.close()

    assert integrity(url) == ["a row of wallet refers to a row of organisation that is not there"]


def test_a_file_that_is_no_database_says_so(tmp_path):
    path = tmp_path / "letter.db"
    path.write_text("Dear Sir or Madam, " * 400)

    with pytest.raises(StorageError, match="is not a SQLite database"):
        check(f"sqlite:///{path}")
