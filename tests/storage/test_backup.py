"""A backup holds everything, moves between databases, and is refused when anything about it is wrong."""

import json
import sqlite3
import threading
import zipfile
from pathlib import Path

import pytest

from gettone.errors import Conflict, InvalidFile, SchemaMismatch, StorageError
from gettone.operations import keys
from gettone.operations.messages import StartCall, StopCall
from gettone.storage import backup as backup_module
from gettone.storage.backup import backup, restore
from gettone.storage.upgrade import check
from tests.support.world import World, sqlite_url


def call(world, name: str, *, end: bool) -> None:
    world.charge(StartCall(session_id=name, org_id="contoso", called="+390612345678", user="anna"))
    if end:
        world.charge(StopCall(session_id=name, org_id="contoso", request_number=1, used_seconds=61))


def fill(world) -> None:
    """Make rows in many tables, a call running, and signs that files stumble over."""
    world.organisation("contoso")
    world.deck("country,price\nIT,0.05\n")
    world.user("contoso", "anna", products=["MCOPSTN1", "MCOPSTNC"])
    world.number("contoso", "+14255550100", user="anna")
    world.fund("contoso", 10_000_000, reference='PO "4711", José\'s \\ – 1')
    call(world, "over", end=True)
    call(world, "running", end=False)
    keys.create_key(world.office, scope="read", org_id="contoso", now=world.now)


@pytest.fixture
def source(ready_url):
    """A world worth saving."""
    with World(ready_url) as world:
        fill(world)
        yield world


@pytest.fixture(scope="module")
def good_backup(tmp_path_factory) -> bytes:
    """The bytes of a backup of a small world."""
    folder = tmp_path_factory.mktemp("good")
    with World(sqlite_url(folder)) as world:
        fill(world)
        backup(world.url, folder / "good")
    return (folder / "good").read_bytes()


@pytest.fixture
def saved(good_backup, tmp_path) -> Path:
    """A backup of one's own."""
    path = tmp_path / "gettone.backup"
    path.write_bytes(good_backup)
    return path


@pytest.fixture
def empty_url(tmp_path) -> str:
    return f"sqlite:///{tmp_path / 'restored.db'}"


def rewrite(path: Path, change) -> None:
    """Let *change* edit the members of a backup, by name."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_what_is_restored_is_what_was_there(source, tmp_path, empty_url):
    saved = tmp_path / "gettone.backup"
    backup(source.url, saved)

    done = restore(empty_url, saved)

    with World(empty_url, source.now) as restored:
        assert restored.contents() == source.contents()
        assert restored.findings() == []
        call(restored, "later", end=True)
        assert restored.findings() == []
    assert done.tables["call"] == 2
    assert done.size_bytes == saved.stat().st_size


@pytest.mark.slow
def test_a_database_moves_to_postgresql(tmp_path, postgres_url):
    with World(sqlite_url(tmp_path)) as small:
        fill(small)
        backup(small.url, tmp_path / "b")

        restore(postgres_url, tmp_path / "b")

        with World(postgres_url, small.now) as large:
            assert large.contents() == small.contents()
            large.charge(StopCall(session_id="running", org_id="contoso", request_number=1, used_seconds=61))
            assert large.call("contoso", "running").call.charged_micros == 100_000
            assert large.findings() == []


def test_a_restored_ledger_is_still_append_only(saved, empty_url):
    restore(empty_url, saved)

    connection = sqlite3.connect(empty_url.removeprefix("sqlite:///"))
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        connection.execute("DELETE FROM ledger_entry")
    connection.close()


def test_a_backup_taken_while_calls_go_on_is_one_moment(source, tmp_path, monkeypatch):
    path, first = tmp_path / "busy.backup", threading.Event()
    monkeypatch.setattr(backup_module, "ROWS_AT_ONCE", 1)

    def go_on(_table: str, _rows: int) -> None:
        if not first.is_set():
            first.set()
            for name in ("a", "b", "c"):
                call(source, name, end=True)
            source.organisation("fabrikam")

    backup(source.url, path, on_progress=go_on)
    assert first.is_set()
    restore(f"sqlite:///{tmp_path / 'moment.db'}", path)

    with World(f"sqlite:///{tmp_path / 'moment.db'}", source.now) as restored:
        assert restored.findings() == []
        assert {one[1] for one in restored.contents()["call"]} == {"over", "running"}


def test_progress_is_told_by_table(source, tmp_path):
    told: dict[str, int] = {}

    done = backup(source.url, tmp_path / "b", on_progress=told.__setitem__)

    assert {table: rows for table, rows in done.tables.items() if rows} == told


def test_a_backup_never_replaces_another(saved, tmp_path):
    before = saved.read_bytes()

    with pytest.raises(Conflict, match="choose another name"):
        backup(sqlite_url(tmp_path), saved)

    assert saved.read_bytes() == before


def test_a_backup_is_for_its_owner_only(tmp_path):
    backup(sqlite_url(tmp_path), tmp_path / "b")

    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o600


def test_a_backup_that_fails_leaves_no_file(tmp_path, monkeypatch):
    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_module.os, "fsync", no_space)

    with pytest.raises(StorageError, match="No space left on device"):
        backup(sqlite_url(tmp_path), tmp_path / "b")

    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("b")] == []


def test_only_an_empty_database_is_filled(source, saved):
    before = source.contents()

    with pytest.raises(Conflict, match="not empty"):
        restore(source.url, saved)

    assert source.contents() == before


def test_a_damaged_backup_is_refused_before_anything_is_written(saved, empty_url):
    def spoil(members):
        members["ledger_posting.jsonl"] = members["ledger_posting.jsonl"].replace(b"10000000", b"99999999")

    rewrite(saved, spoil)

    with pytest.raises(InvalidFile, match="'ledger_posting': is not what was written"):
        restore(empty_url, saved)

    assert check(empty_url).state == "missing"


def test_a_backup_without_a_table_is_refused(saved, empty_url):
    rewrite(saved, lambda members: members.pop("lot.jsonl"))

    with pytest.raises(InvalidFile, match="'lot': is damaged"):
        restore(empty_url, saved)


def test_a_backup_that_is_cut_is_refused(saved, empty_url):
    saved.write_bytes(saved.read_bytes()[:-200])

    with pytest.raises(InvalidFile, match="not a backup"):
        restore(empty_url, saved)


@pytest.mark.parametrize("content", [b"", b"a letter"])
def test_a_file_of_another_sort_is_refused(tmp_path, empty_url, content):
    path = tmp_path / "letter"
    path.write_bytes(content)

    with pytest.raises(InvalidFile, match="not a backup"):
        restore(empty_url, path)


def test_a_zip_of_another_sort_is_refused(tmp_path, empty_url):
    path = tmp_path / "other.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello", "world")

    with pytest.raises(InvalidFile, match="no readable manifest"):
        restore(empty_url, path)


def test_a_file_that_is_not_there_is_named(tmp_path, empty_url):
    with pytest.raises(StorageError, match=r"missing: No such file"):
        restore(empty_url, tmp_path / "missing")


def with_manifest(path: Path, **values) -> None:
    def change(members):
        members["manifest.json"] = json.dumps(json.loads(members["manifest.json"]) | values).encode()

    rewrite(path, change)


def test_a_backup_of_a_newer_schema_is_refused(saved, empty_url):
    with_manifest(saved, revision="9999")

    with pytest.raises(SchemaMismatch, match="run the newer gettone"):
        restore(empty_url, saved)


def test_a_backup_of_a_newer_format_is_refused(saved, empty_url):
    with_manifest(saved, format=2)

    with pytest.raises(InvalidFile, match="format 2"):
        restore(empty_url, saved)
