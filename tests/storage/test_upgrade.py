"""The schema: made, recognised, refused, and never to be changed by the back door."""

import os
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import msgspec
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, create_engine, text

from gettone.errors import Conflict, InvariantBroken, SchemaMismatch, StorageError
from gettone.operations.messages import StartCall, StopCall, UpdateCall
from gettone.storage.engine import open_database
from gettone.storage.schema import metadata
from gettone.storage.upgrade import check, integrity, newest_revision, require_current, upgrade
from tests.support.filled_0001 import LEFT_AT, fill_0001, leave_as_0001_did
from tests.support.world import World

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


UNTOUCHED = (
    "lot",
    *APPEND_ONLY,
    "call",
    "pool",
    "pool_use",
    "number_owner",
    "api_key",
)
ZONE_1 = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_1)"
ZONE_2 = "Microsoft_Teams_Calling_Plan_pay_as_you_go_(country_zone_2)"


def rows(url: str, query: str) -> list[tuple]:
    database = open_database(url)
    try:
        with database.reading() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        database.close()


@pytest.fixture
def upgraded_url(bare_url) -> tuple[str, dict[str, list[tuple]]]:
    """Return a database filled under 0001 and upgraded, and what stood in the tables that must stay as they are."""
    fill_0001(bare_url)
    before = untouched(bare_url)
    upgrade(bare_url)
    return bare_url, before


def untouched(url: str) -> dict[str, list[tuple]]:
    """Return what 0001 had of money, calls and pools; wallets have got more columns since."""
    wallets = "SELECT org_id, currency, posted_micros, held_micros, overrun_micros, version, entry_number FROM wallet"
    return {"wallet": rows(url, wallets)} | {table: rows(url, f"SELECT * FROM {table}") for table in UNTOUCHED}


def test_users_of_0001_keep_what_they_had_under_its_part_number(upgraded_url):
    url, _ = upgraded_url

    kept = "user_id, upn, display_name, usage_location, licences, created_at, version"
    assert rows(url, f"SELECT {kept} FROM subscriber ORDER BY user_id") == [
        ("anna", "anna@contoso.example", "Anna", "US", "MCOPSTN1 MCOPSTNC", 10, 1),
        ("ben", "ben@contoso.example", "", "US", f"MCOPSTNC {ZONE_1} {ZONE_2}", 11, 1),
        ("carla", "carla@contoso.example", "", "GB", "MCOPSTN_5 MCOPSTN_6", 12, 1),
        ("dario", "dario@contoso.example", "", "", "", 13, 1),
        ("elena", "elena@contoso.example", "", "US", "MCOPSTN1", 14, 1),
        ("fabio", "fabio@fabrikam.example", "", "IT", "MCOPSTN1 MCOPSTNC", 15, 1),
    ]
    new = "resource, department, cost_centre, dial_out_policy, limit_micros, blocked_reason, blocked_until"
    assert rows(url, f"SELECT DISTINCT {new} FROM subscriber") == [(0, "", "", "", None, "", None)]
    assert integrity(url) == []


def test_an_organisation_of_0001_owns_exactly_what_it_had_assigned(upgraded_url):
    url, _ = upgraded_url
    held = [
        ("contoso", "MCOPSTN1", 2, 1000),
        ("contoso", "MCOPSTNC", 2, 1000),
        ("contoso", "MCOPSTN_5", 1, 1000),
        ("contoso", "MCOPSTN_6", 1, 1000),
        ("contoso", ZONE_1, 1, 1000),
        ("contoso", ZONE_2, 1, 1000),
        ("fabrikam", "MCOPSTN1", 1, 2000),
        ("fabrikam", "MCOPSTNC", 1, 2000),
    ]

    assert sorted(rows(url, "SELECT org_id, sku, assigned FROM licence_count")) == [each[:3] for each in held]
    bought = rows(url, "SELECT org_id, sku, quantity, created_at, reference, ended_at FROM subscription")
    assert sorted(bought) == [(*each, f"migration 0002: {each[1]}", None) for each in held]
    ids = [each[0] for each in rows(url, "SELECT subscription_id FROM subscription")]
    assert len(set(ids)) == len(held)


def test_the_same_database_upgraded_elsewhere_gets_the_same_subscriptions(upgraded_url, tmp_path):
    url, _ = upgraded_url
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    fill_0001(elsewhere)
    upgrade(elsewhere)

    query = "SELECT * FROM subscription"
    assert sorted(map(repr, rows(url, query))) == sorted(map(repr, rows(elsewhere, query)))


def test_money_calls_and_pools_of_0001_are_untouched(upgraded_url):
    url, before = upgraded_url

    assert untouched(url) == before
    assert all(before.values())


def test_numbers_of_0001_came_by_direct_routing(upgraded_url):
    url, _ = upgraded_url

    assert sorted(rows(url, "SELECT * FROM phone_number")) == [
        ("contoso", "14255550100", "user", "anna", "desk", "direct"),
        ("contoso", "18005550100", "conference", "", "", "direct"),
    ]


@pytest.fixture
def left(bare_url) -> Iterator[World]:
    """The world that the program of 0001 left, upgraded, ten minutes later."""
    leave_as_0001_did(bare_url)
    upgrade(bare_url)
    with World(bare_url, LEFT_AT + timedelta(minutes=10)) as world:
        yield world


def tallies(world: World) -> dict[tuple[str, str, int], tuple[int, int, int]]:
    """Return running calls, held and spent by organisation, subject and month, where there is anything."""
    query = "SELECT org_id, subject, period, open_calls, held_micros, spent_micros FROM tally"
    return {tuple(row[:3]): tuple(row[3:]) for row in rows(world.url, query) if any(row[3:])}


def test_what_the_program_of_0001_left_is_in_order_after_the_upgrade(left):
    assert left.findings() == []
    assert integrity(left.url) == []


def test_calls_of_0001_count_for_the_limits_of_their_users(left):
    assert tallies(left) == {
        ("contoso", "user/anna", 202611): (1, 0, 270_000),
        ("contoso", "user/ben", 202609): (0, 0, 120_000),
        ("contoso", "user/ben", 202610): (1, 3_220_000, 120_000),
        ("contoso", "user/ben", 202611): (1, 520_000, 140_000),
        ("fabrikam", "user/elena", 202611): (0, 0, 70_000),
        ("fabrikam", "user/fabio", 202611): (1, 0, 1_720_000),
    }


def test_calls_that_were_running_during_the_upgrade_go_on_and_settle(left):
    def ask(kind, org_id, session_id, request_number, used_seconds, **words):
        asked = kind(session_id=session_id, org_id=org_id, request_number=request_number, used_seconds=used_seconds)
        [answer] = left.charge(msgspec.structs.replace(asked, **words))
        assert left.findings() == []
        return answer

    more = ask(UpdateCall, "contoso", "running", 1, 590, requested_seconds=1200)
    assert (more.granted_seconds, more.held_micros) == (1200, 1_520_000)
    assert tallies(left)["contoso", "user/ben", 202611] == (1, 1_520_000, 140_000)
    assert ask(StopCall, "contoso", "running", 2, 1000).charged_micros == 870_000
    assert ask(StopCall, "contoso", "across", 2, 3800).charged_micros == 3_220_000
    assert ask(StopCall, "contoso", "running-pool", 1, 200).parts[0].pool_key == "US/MCOPSTN1"
    # By the time of 0001 nobody noted what was promised to be billed later; from the next grant on it is.
    assert ask(UpdateCall, "fabrikam", "running", 1, 500, requested_seconds=300).granted_seconds == 300
    assert tallies(left)["fabrikam", "user/fabio", 202611] == (1, 720_000, 1_720_000)
    assert ask(StopCall, "fabrikam", "running", 2, 600).charged_micros == 520_000
    assert ask(StopCall, "contoso", "silent", 1, 61).charged_micros == 120_000
    assert tallies(left)["contoso", "user/ben", 202610] == (0, 0, 3_340_000)
    assert tallies(left)["contoso", "user/ben", 202611] == (0, 0, 1_130_000)
    assert tallies(left)["fabrikam", "user/fabio", 202611] == (0, 0, 2_240_000)


def test_an_answer_of_0001_is_still_given_again_after_the_upgrade(left):
    again = StartCall(session_id="running", org_id="contoso", user="ben", called="+390612345678", requested_seconds=600)

    [granted] = left.charge(again)

    assert (granted.granted_seconds, granted.held_micros) == (600, 520_000)
    assert left.findings() == []


@pytest.mark.parametrize("table", APPEND_ONLY)
def test_what_was_append_only_in_0001_still_is(upgraded_url, table):
    url, _ = upgraded_url

    for statement in (f"UPDATE {table} SET org_id = 'fabrikam'", f"DELETE FROM {table}"):
        with pytest.raises(StorageError, match=r"append-only|permission denied"):
            run(url, statement)


def test_a_database_of_0001_with_nobody_in_it_is_upgraded_too(bare_url):
    upgrade(bare_url, revision="0001")
    run(bare_url, ROWS[0])

    assert upgrade(bare_url).state == "current"
    assert rows(bare_url, "SELECT * FROM subscription") == []


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
        """INSERT INTO subscription (org_id, subscription_id, quantity, created_at) VALUES ('contoso', 'a', 0, 0)""",
        "INSERT INTO licence_count (org_id, sku, assigned) VALUES ('contoso', 'a', -1)",
        "INSERT INTO tally (org_id, subject, period, open_calls) VALUES ('contoso', '', 202611, -1)",
        """INSERT INTO number_bar (org_id, direction, prefix, created_at) VALUES ('contoso', 'sideways', '44', 0)""",
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
