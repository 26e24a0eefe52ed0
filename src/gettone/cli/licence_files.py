"""``gettone licences import`` and ``undo``: licences of thousands of users from a file, and the way back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import REFUSED, Json, Org, complain, now, opened_office, read_bytes, refuse
from gettone.cli.licences import SHOWN_MAX, DryRun, Partial, Yes, on_terminal, print_some
from gettone.cli.output import as_json, meter, plural, table

if TYPE_CHECKING:
    from gettone.operations.bulk_licensing import BulkOutcome

_File = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")]


def add_to(app: typer.Typer) -> None:
    """Add these commands to the group of licences."""
    app.command("import")(import_file)
    app.command()(undo)


def import_file(
    org: Org,
    file: _File,
    *,
    undo_file: Annotated[
        Path | None,
        typer.Option("--undo", metavar="UNDO.CSV", help="Write a file here that takes everybody back.", dir_okay=False),
    ] = None,
    dry_run: DryRun = False,
    partial: Partial = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Assign and take away licences of thousands of users from a CSV file, in one transaction.

    Columns: user, and if wanted add, remove (products with blanks between them), usage_location, number. Without
    --partial one bad line keeps everybody as they were; every bad line is told with its number.

    Example: gettone licences import contoso licences.csv --undo undo.csv
    """
    _import(org, file, undo_file, undoing=False, dry_run=dry_run, partial=partial, yes=yes, json=json)


def undo(
    org: Org,
    file: _File,
    *,
    dry_run: DryRun = False,
    partial: Partial = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take everybody back to what they held before an import, numbers included.

    The file is the one that --undo wrote. What may be held together is not asked again, since somebody may have held it
    from before there was a rule; that enough licences are owned is.

    Example: gettone licences undo contoso undo.csv
    """
    _import(org, file, None, undoing=True, dry_run=dry_run, partial=partial, yes=yes, json=json)


def _import(
    org: str,
    file: Path,
    undo_file: Path | None,
    *,
    undoing: bool,
    dry_run: bool,
    partial: bool,
    yes: bool,
    json: bool,
) -> None:
    import msgspec

    from gettone.operations.bulk_licensing import import_licences

    data = read_bytes(file)

    def do(trying: bool) -> "BulkOutcome":
        title = f"{'trying' if trying else 'reading'} {file.name}"
        with opened_office() as office, meter(title) as shown:
            return import_licences(
                office,
                org,
                data,
                now(),
                name=file.name,
                dry_run=trying,
                partial=partial,
                undo=undoing,
                progress=shown.to,
            )

    with _undo_to(None if dry_run else undo_file) as keep:
        done = _asked_about_file(do, dry_run=dry_run, partial=partial, yes=yes)
        keep(done.undo_csv)
    if json:
        as_json(msgspec.structs.replace(done, undo_csv="") if undo_file else done)
    else:
        _print_bulk(done, dry_run=dry_run)
        if undo_file and done.written:
            typer.echo(f"to go back: gettone licences undo {org} {undo_file}")
    if done.refused:
        kept = "" if done.written or dry_run else "; nothing was changed"
        complain(f"{file.name}: {done.refused:,} of {plural(done.lines, 'line')} refused{kept}")
        for problem in done.problems:
            typer.echo(str(problem), err=True)
        raise typer.Exit(REFUSED)


@contextmanager
def _undo_to(file: Path | None) -> Iterator[Callable[[str], None]]:
    """Where to write the way back: made before anything is done, and taken away when there is nothing to undo."""
    if file is None:
        yield lambda _: None
        return
    kept = ""

    def keep(text: str) -> None:
        nonlocal kept
        kept = text

    try:
        target = file.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        refuse(f"{file}: it is there already; name another file for the way back")
    except OSError as error:
        refuse(f"{file}: {error.strerror or error}")
    try:
        with target:
            yield keep
            target.write(kept)
    finally:
        if not kept:
            file.unlink()


def _asked_about_file(do: "Callable[[bool], BulkOutcome]", *, dry_run: bool, partial: bool, yes: bool) -> "BulkOutcome":
    """Do it, after asking on a terminal about what is taken away."""
    if dry_run or yes or not on_terminal():
        return do(dry_run)
    tried = do(True)
    if tried.refused and not partial:
        return tried
    if tried.consequences:
        print_some(
            [f"{plural(users, 'user')}: {line}" for line, users in tried.consequences], "more: see --dry-run --json"
        )
        typer.confirm("Go on?", abort=True, err=True)
    return do(False)


def _print_bulk(done: "BulkOutcome", *, dry_run: bool) -> None:
    if done.refused and not (done.written or dry_run):
        return
    typer.echo(
        f"{plural(done.lines, 'line')}: {done.changed:,} changed, {done.unchanged:,} unchanged, "
        f"{done.refused:,} refused" + ("; nothing was written: this was a dry run" if dry_run else "")
    )
    products = sorted(done.gained.keys() | done.lost.keys())
    if products:
        rows = ((sku, f"{done.gained.get(sku, 0):,}", f"{done.lost.get(sku, 0):,}") for sku in products)
        table(("product", ">assigned", ">taken away"), rows)
    for line in _taken_away(done)[:SHOWN_MAX]:
        typer.echo(line)


def _taken_away(done: "BulkOutcome") -> list[str]:
    """What is taken away, and from how many users."""
    lines = [f"{plural(users, 'user')}: {line}" for line, users in done.consequences]
    if done.numbers_unassigned:
        lines.append(f"{plural(done.numbers_unassigned, 'number')} unassigned; they stay with the organisation")
    return lines
