"""Tables for people, JSON for programs, and progress bars; Rich is imported when something is printed, not before."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import msgspec
import typer

NONE = "-"

WIDE = 100_000
"""Columns of a table that goes into a file or a pipe: nothing is folded there."""


def as_json(value: object) -> None:
    """Print *value* (any of the views) as indented JSON; amounts in micros, times in UTC."""
    typer.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def named(value: msgspec.Struct) -> dict[str, Any]:
    """The fields of *value* by name, also where it is stored without names."""
    return {name: getattr(value, name) for name in value.__struct_fields__}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
    """Print *rows*; a column whose name begins with ``>`` stands to the right."""
    from rich.console import Console
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        right = column.startswith(">")
        made.add_column(column.removeprefix(">"), justify="right" if right else "left", overflow="fold")
    count = 0
    for row in rows:
        made.add_row(*(_cell(value) for value in row))
        count += 1
    Console(highlight=False, width=None if sys.stdout.isatty() else WIDE).print(made)
    if not count:
        typer.echo("nothing found", err=True)


def facts(pairs: Mapping[str, object]) -> None:
    """Print names and values below each other."""
    width = max(len(name) for name in pairs)
    for name, value in pairs.items():
        typer.echo(f"{name:<{width}}  {_plain(value)}")


def _cell(value: object) -> str:
    from rich.markup import escape

    return escape(_plain(value))


def _plain(value: object) -> str:
    if value is None or value == "":
        return NONE
    if isinstance(value, datetime):
        return time(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple | list):
        return " ".join(map(str, value)) or NONE
    return str(value)


def time(value: datetime | None) -> str:
    """A time to the second, in UTC."""
    return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ") if value else NONE


def money(micros: int, currency: str) -> str:
    """An amount with its currency."""
    from gettone.domain.money import render_micros

    return f"{render_micros(micros, currency)} {currency}"


def clock(seconds: int) -> str:
    """A duration as h:mm:ss."""
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def plural(count: int, noun: str) -> str:
    """``1 call``, ``2 calls``, with thousands separated."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


class Meter:
    """Shows how far something is: a bar on a terminal, nothing anywhere else."""

    def __init__(self, progress: Any, task: Any) -> None:  # noqa: ANN401 - Rich's, imported late
        """Move *task* of *progress*; both None where there is no terminal."""
        self._progress = progress
        self._task = task

    def to(self, done: int, total: int | None = None, note: str = "") -> None:
        """Say that *done* of *total* is done."""
        if self._progress is not None:
            self._progress.update(self._task, completed=done, total=total, note=note)


@contextmanager
def meter(title: str) -> Iterator[Meter]:
    """A progress bar on standard error while the block runs, if that is a terminal."""
    if not sys.stderr.isatty():
        yield Meter(None, None)
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Meter(progress, progress.add_task(title, total=None, note=""))
