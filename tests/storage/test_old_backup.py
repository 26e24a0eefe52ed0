"""A backup taken by the first release: restored with its schema, then upgraded."""

import importlib
from pathlib import Path

import pytest
from sqlalchemy import text

from gettone.errors import Conflict
from gettone.storage import backup as backup_module
from gettone.storage.backup import backup, restore
from gettone.storage.engine import open_database
from gettone.storage.upgrade import check
from tests.support.filled_0001 import fill_0001


def run(url: str, *statements: str) -> list[list[tuple]]:
    database = open_database(url)
    with database.writing() as connection:
        done = [connection.execute(text(statement)) for statement in statements]
        answers = [[tuple(row) for row in each] if each.returns_rows else [] for each in done]
    database.close()
    return answers


@pytest.fixture
def saved(tmp_path, monkeypatch) -> Path:
    """Return a backup as the first release wrote it."""
    url, path = f"sqlite:///{tmp_path / 'first.db'}", tmp_path / "first.backup"
    fill_0001(url)
    first = importlib.import_module("gettone.storage.migrations.versions.0001_initial")
    with monkeypatch.context() as release:
        release.setattr(backup_module, "metadata", first.metadata)
        release.setattr(backup_module.schema_upgrade, "newest_revision", lambda: "0001")
        backup(url, path)
    return path


def test_a_backup_of_0001_is_restored_and_upgraded(bare_url, saved):
    done = restore(bare_url, saved)

    assert (done.revision, check(bare_url).state) == ("0001", "current")
    users, money, counts = run(
        bare_url,
        "SELECT user_id, licences FROM subscriber WHERE user_id = 'carla'",
        "SELECT posted_micros, held_micros FROM wallet WHERE org_id = 'contoso'",
        "SELECT assigned FROM licence_count WHERE org_id = 'contoso' AND sku = 'MCOPSTN_6'",
    )
    assert (users, money, counts) == ([("carla", "MCOPSTN_5 MCOPSTN_6")], [(5_000_000, 100_000)], [(1,)])


def test_a_backup_of_0001_is_not_poured_into_newer_tables(ready_url, saved):
    with pytest.raises(Conflict, match="restore into a new one"):
        restore(ready_url, saved)

    assert run(ready_url, "SELECT * FROM organisation") == [[]]
