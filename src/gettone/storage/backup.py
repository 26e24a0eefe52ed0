"""A backup: one file with every row, the same for SQLite and PostgreSQL, so that it also moves a database between them.

The file is a zip: ``<table>.jsonl`` for each table, a JSON array of a row's values in each line (binary values in
base64), and ``manifest.json``: schema revision, columns, row counts, SHA-256 of each member. It is one consistent view,
taken while calls go on, and memory does not grow with it.

A backup is restored into an empty database only, after every checksum has been compared, in one transaction. One of an
older schema is restored as such and then upgraded; one of a newer schema is refused.
"""

import contextlib
import hashlib
import os
import zipfile
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec
from sqlalchemy import Connection, LargeBinary, Table, column, func, insert, literal, select, table

from gettone.errors import Conflict, InvalidFile, Problem, SchemaMismatch, StorageError
from gettone.storage import upgrade as schema_upgrade
from gettone.storage.engine import open_database
from gettone.storage.schema import organisation

metadata = organisation.metadata
"""Every table there is."""

FORMAT = 1
MANIFEST = "manifest.json"
ROWS_AT_ONCE = 1000

Progress = Callable[[str, int], None]
"""Told the table at work and how many of its rows are done."""

_encode = msgspec.json.Encoder().encode
_decode_row = msgspec.json.Decoder(list[int | str | None]).decode


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One table in a backup; *binary* names the columns in base64."""

    table: str
    columns: tuple[str, ...]
    binary: tuple[str, ...]
    rows: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds; tables stand in the order in which they can be restored."""

    format: int
    revision: str
    tables: tuple[Member, ...]


class BackupSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What was written or restored: rows by table, and the size of the file in bytes."""

    revision: str
    tables: dict[str, int]
    size_bytes: int


def backup(url: str, path: Path, *, on_progress: Progress | None = None) -> BackupSummary:
    """Write the database at *url* into the new file *path*; either all of it is there at the end, or no file.

    Raises:
        Conflict: there is such a file.
        StorageError: the database or the file cannot be used.
    """
    if path.exists():
        raise Conflict(f"{path} is there already; choose another name, so that no backup is lost")
    schema_upgrade.require_current(url)
    partial = path.with_name(path.name + ".partial")
    database = open_database(url, connections=1)
    try:
        with _file_errors(path), database.reading() as connection:
            # For its owner only: it holds the hashes of keys and whom everybody called.
            with os.fdopen(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "w+b") as file:
                manifest = _write(connection, file, on_progress)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
    finally:
        database.close()
        partial.unlink(missing_ok=True)
    return _summary(manifest, path)


def restore(url: str, path: Path, *, on_progress: Progress | None = None) -> BackupSummary:
    """Fill the empty database at *url* from the backup at *path*; all or nothing.

    Raises:
        InvalidFile: the file is no backup, is damaged or is cut.
        SchemaMismatch: it was made by a newer program.
        Conflict: the database is not empty, or empty and of a newer schema than the backup.
        StorageError: the database or the file cannot be used.
    """
    with _file_errors(path), _opened(path) as archive:
        manifest = check_backup(archive, path.name)
        _check_revision(manifest)
        found = schema_upgrade.upgrade(url, revision=manifest.revision).revision
        if found != manifest.revision:
            raise Conflict(
                f"the backup is of schema revision {manifest.revision}, the database has {found} already; "
                "restore into a new one, which gets the backup's schema first and is upgraded then"
            )
        database = open_database(url, connections=1)
        try:
            with database.writing() as connection:
                _check_empty(connection, manifest)
                for member in manifest.tables:
                    _fill(connection, archive, member, on_progress)
        finally:
            database.close()
    schema_upgrade.upgrade(url)
    return _summary(manifest, path)


def check_backup(archive: zipfile.ZipFile, name: str) -> Manifest:
    """Read every byte of a backup and compare it with its manifest. Raises `InvalidFile`."""
    try:
        manifest = msgspec.json.decode(archive.read(MANIFEST), type=Manifest)
    except (KeyError, msgspec.DecodeError, zipfile.BadZipFile, zlib.error):
        raise _bad(name, "it has no readable manifest: it is not a backup made by gettone backup") from None
    if manifest.format != FORMAT:
        raise _bad(name, f"it is of format {manifest.format}, this program reads {FORMAT}: run the newer gettone")
    problems = [problem for member in manifest.tables if (problem := _damage(archive, member))]
    if problems:
        raise InvalidFile(name, problems)
    return manifest


def _damage(archive: zipfile.ZipFile, member: Member) -> Problem | None:
    digest, rows = hashlib.sha256(), 0
    try:
        with archive.open(f"{member.table}.jsonl") as lines:
            for line in lines:
                digest.update(line)
                rows += 1
    except (KeyError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        return Problem(0, "table", member.table, f"is damaged ({error}); take another backup")
    if (rows, digest.hexdigest()) != (member.rows, member.sha256):
        return Problem(0, "table", member.table, "is not what was written (checksum differs); take another backup")
    return None


def _write(connection: Connection, file: IO[bytes], on_progress: Progress | None) -> Manifest:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
        members = tuple(_write_table(connection, archive, each, on_progress) for each in metadata.sorted_tables)
        manifest = Manifest(format=FORMAT, revision=schema_upgrade.newest_revision(), tables=members)
        archive.writestr(MANIFEST, msgspec.json.format(_encode(manifest), indent=1))
    return manifest


def _write_table(
    connection: Connection, archive: zipfile.ZipFile, source: Table, on_progress: Progress | None
) -> Member:
    digest, done = hashlib.sha256(), 0
    options = {"stream_results": True, "yield_per": ROWS_AT_ONCE}
    with archive.open(f"{source.name}.jsonl", "w", force_zip64=True) as lines:
        rows = connection.execute(select(source), execution_options=options)
        for part in rows.partitions():
            block = b"".join(_encode(tuple(row)) + b"\n" for row in part)
            lines.write(block)
            digest.update(block)
            done += len(part)
            if on_progress is not None:
                on_progress(source.name, done)
    return Member(
        table=str(source.name),
        columns=tuple(str(name) for name in source.c.keys()),  # noqa: SIM118 - columns are no dict
        binary=tuple(str(each.name) for each in source.c if isinstance(each.type, LargeBinary)),
        rows=done,
        sha256=digest.hexdigest(),
    )


def _fill(connection: Connection, archive: zipfile.ZipFile, member: Member, on_progress: Progress | None) -> None:
    target = table(member.table, *(column(name) for name in member.columns))
    done = 0
    with archive.open(f"{member.table}.jsonl") as lines:
        while part := [_values(member, line) for line in islice(lines, ROWS_AT_ONCE)]:
            connection.execute(insert(target), part)
            done += len(part)
            if on_progress is not None:
                on_progress(member.table, done)
    found = connection.execute(select(func.count()).select_from(target)).scalar_one()
    if found != member.rows:
        raise StorageError(f"table {member.table} has {found} rows after the restore, {member.rows} were written")


def _values(member: Member, line: bytes) -> dict[str, Any]:
    values: dict[str, Any] = dict(zip(member.columns, _decode_row(line), strict=True))
    for name in member.binary:
        if values[name] is not None:
            values[name] = b64decode(values[name])
    return values


def _check_empty(connection: Connection, manifest: Manifest) -> None:
    for member in manifest.tables:
        if connection.execute(select(literal(1)).select_from(table(member.table)).limit(1)).first() is not None:
            raise Conflict(f"the database is not empty (table {member.table} has rows); restore into a new one")


def _check_revision(manifest: Manifest) -> None:
    if manifest.revision not in schema_upgrade.known_revisions():
        raise SchemaMismatch(
            f"the backup is of a newer schema (revision {manifest.revision}), this program knows up to "
            f"{schema_upgrade.newest_revision()}: run the newer gettone"
        )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile:
        raise _bad(path.name, "it is not a backup made by gettone backup, or it is cut") from None
    with archive:
        yield archive


@contextlib.contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror or error}") from error


def _bad(name: str, remedy: str) -> InvalidFile:
    return InvalidFile(name, [Problem(0, "", "", remedy)])


def _summary(manifest: Manifest, path: Path) -> BackupSummary:
    return BackupSummary(
        revision=manifest.revision,
        tables={member.table: member.rows for member in manifest.tables},
        size_bytes=path.stat().st_size,
    )
