"""Call-record files: one reader per format, all giving the same ``CallRecord`` (D15; translate, never decide).

    >>> for item in read_records(Path("Master.csv"), "asterisk", zone="Europe/Rome"):  # doctest: +SKIP
    ...     reject(item) if isinstance(item, BadLine) else charge(item)

A reader streams, never raises for a bad line, and raises ``FormatError`` for a file that is no such format at all.
The formats, their columns and their traps: docs/reference/call-record-formats.md.
"""

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import BinaryIO, Self
from zoneinfo import ZoneInfo

from gettone.agents.cdr import asterisk, freeswitch, graph, kamailio, own, teams
from gettone.agents.cdr.own import write_records
from gettone.agents.cdr.records import SECONDS_MAX, BadLine, CallRecord, FormatError
from gettone.agents.cdr.text import Feed
from gettone.agents.cdr.times import zone_named

__all__ = [
    "FORMATS",
    "SECONDS_MAX",
    "BadLine",
    "CallRecord",
    "Format",
    "FormatError",
    "RecordReader",
    "read_records",
    "write_records",
]


@dataclass(frozen=True, slots=True)
class Format:
    """A call-record format: what it is, whether its times are local (and so need a zone), and its reader."""

    title: str
    local_times: bool
    read: Callable[[Feed, ZoneInfo], Iterator[CallRecord | BadLine]]


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        "asterisk": Format("Asterisk Master.csv", local_times=True, read=asterisk.read),
        "freeswitch": Format("FreeSWITCH cdr_csv", local_times=True, read=freeswitch.read),
        "kamailio": Format("Kamailio acc log lines, or acc_cdrs as CSV", local_times=True, read=kamailio.read),
        "graph": Format("Microsoft Graph pstnCallLogRow JSON", local_times=False, read=graph.read),
        "teams": Format("Teams PSTN usage export, CSV or zip", local_times=False, read=teams.read),
        "gettone": Format("Gettone's own CSV", local_times=False, read=own.read),
    }
)


class RecordReader(Iterator[CallRecord | BadLine]):
    """The records of one file, with the progress of reading them; a context manager.

    A file given by its path is opened when reading begins and closed when it ends or at ``close``.

    Attributes:
        bytes_total: Size of the file; None when it cannot be known (a pipe).
    """

    def __init__(self, source: BinaryIO | Path, how: Format, zone: ZoneInfo) -> None:
        self.bytes_total = _size(source)
        self._source = source
        self._feed: Feed | None = None
        self._records = self._read(how, zone)

    @property
    def bytes_read(self) -> int:
        """How many bytes have been read, for a progress bar; in a zip, how far into the zip."""
        return 0 if self._feed is None else self._feed.bytes_read

    @property
    def skipped(self) -> int:
        """How many lines were passed over for a documented reason (headers, other programs' log lines, ...)."""
        return 0 if self._feed is None else self._feed.skipped

    def _read(self, how: Format, zone: ZoneInfo) -> Generator[CallRecord | BadLine]:
        if isinstance(self._source, Path):
            with self._source.open("rb") as raw:
                self._feed = Feed(raw)
                yield from how.read(self._feed, zone)
        else:
            self._feed = Feed(self._source)
            yield from how.read(self._feed, zone)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> CallRecord | BadLine:
        return next(self._records)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Stop reading and close the file if its path was given."""
        self._records.close()


def _size(source: BinaryIO | Path) -> int | None:
    if isinstance(source, Path):
        return source.stat().st_size or None
    try:
        here = source.tell()
        size = source.seek(0, 2)
        source.seek(here)
    except (OSError, AttributeError):
        return None
    return size


def read_records(source: BinaryIO | Path, format: str, *, zone: str = "UTC") -> RecordReader:  # noqa: A002 - the option's name.
    """Read the call records of *source*.

    Args:
        source: A file opened for reading bytes, or a path.
        format: A name from ``FORMATS``.
        zone: The IANA zone of formats with local times (Asterisk, FreeSWITCH, Kamailio's table).

    Returns:
        An iterator over records and bad lines, with ``bytes_read``, ``bytes_total`` and ``skipped``.

    Raises:
        ValueError: The format or the zone is unknown.
        OSError: The path cannot be read.
        FormatError: While reading: the file as a whole is not of this format.
    """
    if format not in FORMATS:
        raise ValueError(f"format: {format!r} is unknown; choose one of {', '.join(FORMATS)}")
    return RecordReader(source, FORMATS[format], zone_named(zone))
