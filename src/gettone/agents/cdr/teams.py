"""The Teams PSTN usage export: ``PSTN.calls.{date}.csv``, alone or in its zip ``Calls.Export.{id}.zip``.

Separated by commas; files of the Skype for Business era, also named .csv, by TABs. In the zip the Direct Routing file
and ``parameters.json`` are passed over. Times are UTC.

Source of the columns: Teams PSTN usage report, Italian edition of 2023-01-25 (protocol notes, section 5).
"""

import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

from gettone.agents.cdr.header import Columns, key, open_table
from gettone.agents.cdr.pstn import Names, PstnRow, pstn_record
from gettone.agents.cdr.records import BadLine, CallRecord, FormatError, Occurrences, digest_id
from gettone.agents.cdr.text import Feed, Row, translate

COLUMNS = (
    "UsageId", "Call ID", "Conference ID", "User Location", "AAD ObjectId", "UPN", "User Display Name", "Caller ID",
    "Call Type", "Number Type", "Domestic/International", "Destination Dialed", "Destination Number", "Start Time",
    "End Time", "Duration Seconds", "Connection Fee", "Charge", "Currency", "Capability",
)  # fmt: skip
REQUIRED = frozenset({"UsageId", "Caller ID", "Call Type", "Destination Number", "Start Time", "Duration Seconds"})
_WANTED = (
    "UsageId", "Call ID", "UPN", "AAD ObjectId", "Caller ID", "Destination Number", "Start Time", "End Time",
    "Duration Seconds", "Call Type", "Charge", "Connection Fee", "Currency",
)  # fmt: skip
_NAMES = Names(
    "Caller ID", "Destination Number", "Start Time", "End Time", "Duration Seconds", "Call Type", "Charge",
    "Connection Fee", "Currency",
)  # fmt: skip
_SAFE_LAST = frozenset(COLUMNS) - REQUIRED
_EMPTY_WORDS = frozenset({"No data", "N/A", "null"})
_MEMBER = re.compile(r"pstn\.calls[^/]*\.csv$", re.IGNORECASE)
_SPOOL_BYTES = 32 * 1024 * 1024


class _Reader:
    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self._places = [columns.places.get(name, -1) for name in _WANTED]
        self._occurrences = Occurrences()

    def record(self, row: Row) -> CallRecord:
        cells = [*self._columns.cells(row, _SAFE_LAST), ""]
        wanted = [cells[place].strip() for place in self._places]
        if not _EMPTY_WORDS.isdisjoint(wanted):
            wanted = ["" if cell in _EMPTY_WORDS else cell for cell in wanted]
        row_id, call_id, upn, object_id, *others = wanted
        if not row_id:
            row_id = self._occurrences.label(digest_id(row.fields), wanted[6])
        return pstn_record(
            row.line,
            PstnRow(row_id, call_id, upn or object_id, *others),
            _NAMES,
            decimal_comma=self._columns.decimal_comma,
        )


def _read_csv(feed: Feed) -> Iterator[CallRecord | BadLine]:
    """Read the CSV; columns that Microsoft adds are passed over."""
    try:
        columns, rows, _ = open_table(feed, COLUMNS, REQUIRED)
    except FormatError as error:
        if b"correlationid" in key(feed.head()[:4096].decode("utf-8", "ignore").replace("\0", "")).encode():
            raise FormatError(
                "header: this is the Direct Routing export, whose durations include ringing; give PSTN.calls.*.csv"
            ) from error
        raise
    return translate(rows, _Reader(columns).record)


def _seekable(feed: Feed) -> BinaryIO:
    """Return the archive as a file that can be read at any place, as a zip must be."""
    if feed.raw.seekable():
        feed.raw.seek(0)
        return feed.raw
    spool = cast("BinaryIO", SpooledTemporaryFile(_SPOOL_BYTES))  # noqa: SIM115 - closed by who reads the archive.
    spool.write(feed.head())
    shutil.copyfileobj(feed.raw, spool)
    spool.seek(0)
    feed.raw = spool  # Progress is counted there from now on.
    return spool


def _members(archive: zipfile.ZipFile) -> list[str]:
    names = [name for name in archive.namelist() if _MEMBER.search(name)]
    if not names:
        raise FormatError("file: the zip holds no PSTN.calls.*.csv; give the usage export as it was downloaded")
    return names


def _read_zip(feed: Feed) -> Iterator[CallRecord | BadLine]:
    given = feed.raw
    archive_file = _seekable(feed)
    try:
        with zipfile.ZipFile(archive_file) as archive:
            for name in _members(archive):
                with archive.open(name) as member:
                    inner = Feed(cast("BinaryIO", member), within=feed)
                    yield from _read_csv(inner)
                    feed.skipped += inner.skipped
    except FormatError:
        raise
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError, OverflowError) as error:
        raise FormatError(f"file: the zip cannot be read ({error}); download it again") from error
    finally:
        if archive_file is not given:
            archive_file.close()


def read(feed: Feed, _zone: ZoneInfo) -> Iterator[CallRecord | BadLine]:
    """Read the CSV or its zip.

    Raises:
        FormatError: It is neither, or it is the Direct Routing file, or required columns are missing.
    """
    return _read_zip(feed) if feed.head().startswith(b"PK\x03\x04") else _read_csv(feed)
