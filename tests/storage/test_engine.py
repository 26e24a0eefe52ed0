"""A database by its URL, its errors in our words, and writers that take turns."""

import os
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from gettone.errors import ConfigurationError, DatabaseBusy, InvalidInput, SchemaMismatch, StorageError
from gettone.storage import engine
from gettone.storage.engine import open_database, sqlite_path
from gettone.storage.write_turn import WriteTurn, write_turn
from tests.support.world import World, sqlite_url


@pytest.mark.parametrize(
    "url", ["mysql://host/name", "gettone.db", "sqlite://", "sqlite:///:memory:", "", "postgresql+asyncpg://h/n"]
)
def test_an_address_of_another_kind_is_refused_with_those_that_serve(url):
    with pytest.raises(ConfigurationError, match=r"write sqlite:///PATH or postgresql://USER@HOST/NAME"):
        open_database(url)


def test_a_password_is_not_shown():
    with pytest.raises(ConfigurationError) as refused:
        open_database("mysql://user:secret@host/name")

    assert "secret" not in str(refused.value)


def test_a_file_that_is_not_there_is_not_made_by_reading(tmp_path):
    path = tmp_path / "missing.db"

    with pytest.raises(StorageError, match="gettone db upgrade"):
        open_database(f"sqlite:///{path}")

    assert not path.exists()


def test_a_server_that_is_away_is_named(tmp_path):
    database = open_database(f"postgresql://nobody@localhost/name?host={tmp_path}")

    with pytest.raises(StorageError, match="cannot be reached"), database.reading():
        pass


def test_tables_that_are_not_there_say_what_to_run(bare_url):
    database = open_database(bare_url, create=True)

    with pytest.raises(SchemaMismatch, match="gettone db upgrade"), database.reading() as connection:
        connection.execute(text("SELECT org_id FROM organisation"))
    database.close()


@pytest.mark.parametrize("value", ["a\udcff", pytest.param("a\0b", marks=pytest.mark.slow)])
def test_a_value_that_no_column_takes_is_the_fault_of_who_sent_it(request, ready_url, value):
    # SQLite keeps a NUL, PostgreSQL does not.
    url = request.getfixturevalue("postgres_url") if "\0" in value else ready_url
    database = open_database(url)
    wanted = text("SELECT name FROM organisation WHERE org_id = :org_id")

    with pytest.raises(InvalidInput, match="the database takes no such value") as refused, database.reading() as here:
        here.execute(wanted, {"org_id": value})
    database.close()

    assert (refused.value.field, refused.value.value) == ("value", value)
    assert "@" not in str(refused.value)


def test_a_file_is_written_durably_and_read_while_it_is_written(tmp_path):
    database = open_database(sqlite_url(tmp_path))

    with database.reading() as connection:
        pragmas = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    database.close()

    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}


def test_a_unit_that_raises_leaves_nothing_behind(ready_url):
    database = open_database(ready_url)

    def stumble() -> None:
        with database.writing() as connection:
            connection.execute(text("INSERT INTO organisation (org_id, created_at) VALUES ('a', 0)"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stumble()

    with database.reading() as connection:
        assert connection.execute(text("SELECT COUNT(*) FROM organisation")).scalar_one() == 0
    database.close()


def test_a_read_is_one_moment_whatever_is_written_meanwhile(ready_url):
    database = open_database(ready_url)
    count = text("SELECT COUNT(*) FROM organisation")

    with database.reading() as reading:
        before = reading.execute(count).scalar_one()
        with database.writing() as writing:
            writing.execute(text("INSERT INTO organisation (org_id, created_at) VALUES ('a', 0)"))
        assert reading.execute(count).scalar_one() == before == 0
    with database.reading() as reading:
        assert reading.execute(count).scalar_one() == 1
    database.close()


def test_a_file_locked_by_another_program_is_busy(tmp_path, monkeypatch):
    monkeypatch.setattr(engine, "BUSY_SECONDS", 0.05)
    url = sqlite_url(tmp_path)
    other = sqlite3.connect(sqlite_path(url), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    database = open_database(url)

    with pytest.raises(DatabaseBusy, match="locked by another program"), database.writing():
        pass

    other.execute("ROLLBACK")
    other.close()
    with database.writing() as connection:
        connection.execute(text("INSERT INTO organisation (org_id, created_at) VALUES ('a', 0)"))
    database.close()


def test_a_full_disk_refuses_and_recovers(tmp_path):
    with World(sqlite_url(tmp_path)) as world:
        world.organisation("contoso")
        with world.office._database.writing() as connection:
            full = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        # Each connection is told by itself that the disk ends here.
        pool = world.office._database.engine.pool
        connection = pool.connect()
        connection.driver_connection.execute(f"PRAGMA max_page_count = {full}")
        connection.close()

        def fill() -> None:
            for name in range(1000):
                world.organisation(f"org-{name}")

        with pytest.raises(StorageError, match="full"):
            fill()

        connection = pool.connect()
        connection.driver_connection.execute("PRAGMA max_page_count = 1000000")
        connection.close()
        world.fund("contoso", 1_000_000, reference="after")
        assert world.lots("contoso").keys() >= {"after"}
        assert world.findings() == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_file_refuses_and_says_so(tmp_path):
    url = sqlite_url(tmp_path)
    Path(sqlite_path(url)).chmod(0o400)

    with pytest.raises(StorageError, match="readonly"), World(url) as world:
        world.organisation("contoso")


def test_one_file_has_one_turn_by_whatever_name(tmp_path):
    url = sqlite_url(tmp_path)
    (tmp_path / "link.db").symlink_to(sqlite_path(url))

    assert open_database(url).turn is open_database(f"sqlite:///{tmp_path / 'link.db'}").turn
    assert open_database(url).turn is write_turn(sqlite_path(url))


def test_turns_are_taken_in_the_order_in_which_they_were_asked_for():
    turn, order, asked = WriteTurn(), [], threading.Semaphore(0)

    def take(name: int) -> None:
        with turn:
            order.append(name)

    threads = []
    with turn:
        for name in range(20):
            threads.append(threading.Thread(target=take, args=(name,)))
            threads[-1].start()
            while len(turn._waiting) <= name:
                asked.acquire(timeout=0.001)
    for thread in threads:
        thread.join()

    assert order == list(range(20))


def test_a_turn_is_given_back_by_who_stumbles():
    turn = WriteTurn()

    with pytest.raises(ZeroDivisionError), turn:
        raise ZeroDivisionError

    with turn:
        pass
