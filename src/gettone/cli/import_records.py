"""``gettone calls import``: charge the records of a file, with progress, totals and a file of what was rejected."""

import hashlib
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, now, opened_office, refuse, settings
from gettone.cli.output import as_json, meter, money, plural, table
from gettone.errors import InvalidInput, StorageError

if TYPE_CHECKING:
    from gettone.agents.cdr import RecordReader
    from gettone.cli.output import Meter
    from gettone.operations.call_import import ImportTotals

_HASH_BYTES = 1 << 20
_DIFFERENCES_SHOWN = 20


class Format(Enum):
    """The formats of `agents.cdr.FORMATS`, by name; a test compares the two."""

    ASTERISK = "asterisk"
    FREESWITCH = "freeswitch"
    KAMAILIO = "kamailio"
    GRAPH = "graph"
    TEAMS = "teams"
    GETTONE = "gettone"


_File = Annotated[Path, typer.Argument(metavar="FILE", help="The file of call records.", show_default=False)]
_Format = Annotated[Format, typer.Option("--format", help="What wrote the file.", show_default=False)]
_Owner = Annotated[
    str, typer.Option("--org", help="Whose calls they are; else each is its number owner's.", show_default=False)
]
_Zone = Annotated[str, typer.Option("--zone", help="IANA time zone of the switch, for formats with local times.")]
_Country = Annotated[
    str,
    typer.Option(help="Country in which numbers are dialled; the organisation's if not given.", show_default=False),
]
_International = Annotated[
    bool, typer.Option("--international", help="Digits without a plus are full international numbers.")
]
_Rejects = Annotated[
    Path | None, typer.Option(help="Where rejected records go; FILE.rejects.csv if not given.", show_default=False)
]


def import_records(
    file: _File,
    *,
    format_: _Format,
    org: _Owner = "",
    zone: _Zone = "UTC",
    country: _Country = "",
    international: _International = False,
    rejects: _Rejects = None,
    json: Json = False,
) -> None:
    """Rate and charge the call records of a file.

    Each record is charged once, however often the file is given; an import that was stopped goes on where it was. A
    call that was charged live is compared with its record, not charged again. What cannot be charged goes to the
    rejects file with its line number and the reason; the rest is charged.

    Example: gettone calls import Master.csv --format asterisk --zone Europe/Rome --org contoso
    """
    from gettone.agents.cdr import read_records

    rejected_to = rejects or file.with_name(file.name + ".rejects.csv")
    digest = _digest(file)
    country = _country(org, country)
    try:
        reader = read_records(file, format_.value, zone=zone)
    except ValueError as error:
        raise InvalidInput("zone", zone, str(error)) from error
    with reader, meter(f"importing {file.name}") as shown:
        totals = _run(
            reader,
            file,
            rejected_to,
            digest=digest,
            format_name=format_.value,
            org=org,
            country=country,
            international=international,
            shown=shown,
        )
    if json:
        as_json(totals)
    else:
        _report(totals, rejected_to)


def _digest(file: Path) -> str:
    found = hashlib.sha256()
    try:
        with file.open("rb") as content:
            while block := content.read(_HASH_BYTES):
                found.update(block)
    except OSError as error:
        refuse(f"{file}: {error.strerror or error}")
    return found.hexdigest()


def _country(org: str, country: str) -> str:
    """Where numbers are dialled: as given, else in the country of the organisation."""
    from gettone.operations.checks import country as checked
    from gettone.operations.directory import get_organisation

    if country or not org:
        return checked("country", country) if country else ""
    with opened_office() as office:
        return get_organisation(office, org).country


def _run(
    reader: "RecordReader",
    file: Path,
    rejected_to: Path,
    *,
    digest: str,
    format_name: str,
    org: str,
    country: str,
    international: bool,
    shown: "Meter",
) -> "ImportTotals":
    from gettone.bootstrap import opened_charging, opened_progress
    from gettone.cli.rejects import RejectsFile, is_zip
    from gettone.operations.call_import import import_calls, import_key

    rejects = RejectsFile(rejected_to, file, by_lines=format_name != "graph" and not is_zip(file))
    wanted = settings()
    try:
        with opened_progress(wanted) as progress, opened_charging(wanted) as charging, _cause_named():
            return import_calls(
                reader,
                charging,
                progress,
                file_digest=import_key(digest, format_name=format_name, org_id=org),
                format_name=format_name,
                clock=now,
                rejects=rejects,
                org_id=org,
                country=country,
                international=international,
                on_progress=_shows(reader, shown),
            )
    except OSError as error:
        refuse(f"{error.filename or file}: {error.strerror or error}")
    finally:
        rejects.close()


def _shows(reader: "RecordReader", shown: "Meter") -> "Callable[[ImportTotals], None]":
    def show(totals: "ImportTotals") -> None:
        shown.to(reader.bytes_read, reader.bytes_total, f"{totals.records:,} records, {totals.rejected:,} rejected")

    return show


class _LastError(logging.Handler):
    """Keeps the last error that charging logged: the database's own words."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        if record.exc_info:
            self.error = record.exc_info[1]


@contextmanager
def _cause_named() -> Iterator[None]:
    """Put the database's own words before the sentence that nothing more was charged."""
    logger, last = logging.getLogger("gettone.operations.charging"), _LastError()
    logger.addHandler(last)
    try:
        yield
    except StorageError as error:
        raise StorageError(f"{last.error}: {error}" if last.error else str(error)) from error
    finally:
        logger.removeHandler(last)


def _report(totals: "ImportTotals", rejected_to: Path) -> None:
    if totals.resumed_at:
        typer.echo(f"went on after {plural(totals.resumed_at, 'record')} of an earlier, interrupted import")
    typer.echo(
        f"{plural(totals.records, 'record')}: {totals.charged:,} charged, {totals.unanswered:,} unanswered,"
        f" {totals.duplicates:,} charged before, {totals.reconciled:,} charged live, {totals.rejected:,} rejected"
    )
    if totals.payers:
        table(
            ("payer", ">calls", ">seconds", ">billed", ">charged"),
            (
                (
                    p.payer,
                    f"{p.calls:,}",
                    f"{p.seconds:,}",
                    f"{p.billed_seconds:,}",
                    money(p.charged_micros, p.currency),
                )
                for p in totals.payers
                if p.currency
            ),
        )
    if totals.overruns:
        typer.echo(f"{plural(totals.overruns, 'call')} went past the credit: the rest is owed as overrun")
    for difference in totals.differences[:_DIFFERENCES_SHOWN]:
        typer.echo(str(difference))
    if totals.differences_total > _DIFFERENCES_SHOWN:
        typer.echo(f"and {totals.differences_total - _DIFFERENCES_SHOWN:,} more differences: see --json")
    if totals.rejected:
        if totals.reasons:
            table((">rejected", "reason"), ((f"{n:,}", reason) for reason, n in sorted(totals.reasons.items())))
        typer.echo(f"rejected records: {rejected_to}")
