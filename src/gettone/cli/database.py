"""``gettone db …``, ``backup`` and ``restore``: schema and data care."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import REFUSED, Json, complain, new_group, refuse, settings
from gettone.cli.output import as_json, facts, meter, plural

if TYPE_CHECKING:
    from gettone.cli.output import Meter

_BackupFile = Annotated[Path, typer.Argument(metavar="FILE", help="The backup file.", show_default=False)]

app = new_group("""Care for the database's schema and data.""")


@app.command()
def upgrade(json: Json = False) -> None:
    """Bring the database to the schema of this program, making it if it is not there.

    One transaction: it happens whole or not at all. A database of a newer schema is refused.

    Example: gettone db upgrade
    """
    from gettone import bootstrap

    state = bootstrap.upgrade_database(settings())
    as_json(state) if json else typer.echo(state.detail)


@app.command()
def check(
    quick: Annotated[bool, typer.Option("--quick", help="Skip the search for damage in the file.")] = False,
    json: Json = False,
) -> None:
    """Say which schema the database has, and whether its file is sound; exit 1 unless both are as they must be.

    Example: gettone db check
    """
    from gettone import bootstrap

    wanted = settings()
    state = bootstrap.check_database(wanted)
    damage = [] if quick or state.state == "missing" else bootstrap.database_integrity(wanted)
    if json:
        as_json({"schema": state, "damage": damage})
    else:
        for line in damage:
            complain(line)
        typer.echo(state.detail)
    if state.state != "current" or damage:
        raise typer.Exit(REFUSED)


def backup(file: _BackupFile, json: Json = False) -> None:
    """Write the whole database into one new file, while the service runs.

    The file is the same for SQLite and PostgreSQL: it also moves a database from one to the other.

    Example: gettone backup gettone-2026-11-23.backup
    """
    from gettone import bootstrap

    if file.exists():
        refuse(f"{file} is there already; name a new file")
    with meter("backup") as shown:
        made = bootstrap.backup_database(settings(), file, on_progress=_rows(shown))
    as_json(made) if json else typer.echo(
        f"{file}: {plural(sum(made.tables.values()), 'row')} of {len(made.tables)} tables, {made.size_bytes:,} bytes"
    )


def restore(file: _BackupFile, json: Json = False) -> None:
    """Fill an empty database from a backup file, after checking that the file is whole.

    Example: GETTONE_DATABASE_URL=sqlite:///new.db gettone restore gettone-2026-11-23.backup
    """
    from gettone import bootstrap

    if not file.is_file():
        refuse(f"{file} is not there; name the file that gettone backup wrote")
    with meter("restore") as shown:
        made = bootstrap.restore_database(settings(), file, on_progress=_rows(shown))
    as_json(made) if json else facts({"schema revision": made.revision} | dict(made.tables.items()))


def _rows(shown: "Meter") -> Callable[[str, int], None]:
    """Count rows while a backup is written or read."""
    done: dict[str, int] = {}

    def count(table: str, rows: int) -> None:
        done[table] = rows
        shown.to(sum(done.values()), None, table)

    return count


# The same under both names: a backup is looked for beside the other care of the database, too.
app.command("backup", hidden=True)(backup)
app.command("restore", hidden=True)(restore)


def add_to(root: typer.Typer) -> None:
    """Put these commands into the command line."""
    root.add_typer(app, name="db")
    root.command("backup")(backup)
    root.command("restore")(restore)
