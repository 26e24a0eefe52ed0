"""What every command shares: its group, one-line errors with their exit status, and the settings' doors."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer
from typer.core import TyperGroup

from gettone.errors import GettoneError, InvalidInput

if TYPE_CHECKING:
    from gettone.config import Settings
    from gettone.operations.office import Office
    from gettone.operations.views import Page

T = TypeVar("T")

REFUSED = 1
USAGE = 2

Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
Org = Annotated[str, typer.Argument(metavar="ORG", help="Id of the organisation.", show_default=False)]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="Print at most so many rows.")]


class Root(TyperGroup):
    """The whole command line: what goes wrong on purpose ends in one line on standard error, never in a traceback."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *_: Any, **extra: Any) -> Any:  # noqa: ANN401 - Typer's own signature
        """Run, and leave with the exit status."""
        extra["standalone_mode"] = False
        try:
            status = super().main(args, prog_name, **extra)
        except typer.TyperException as error:
            status = _usage(error)
        except typer.Abort:
            status = complain("stopped", REFUSED)
        sys.exit(status if isinstance(status, int) else 0)

    def invoke(self, ctx: Any) -> Any:  # noqa: ANN401 - Typer's own class
        """Run the command; turn our errors into their line and exit status."""
        try:
            return super().invoke(ctx)
        except InvalidInput as error:
            raise typer.Exit(complain(str(error), USAGE)) from error
        except GettoneError as error:
            raise typer.Exit(complain(str(error), REFUSED)) from error


def _usage(error: typer.TyperException) -> int:
    ctx = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError" and ctx is not None:
        typer.echo(ctx.get_help(), err=True)
        return USAGE
    complain(error.format_message().replace("\n", " "), error.exit_code)
    if ctx is not None:
        typer.echo(f"try: {ctx.command_path} --help", err=True)
    return error.exit_code


def complain(message: str, status: int = REFUSED) -> int:
    """Print *message* as an error and return *status*."""
    typer.echo(f"error: {message}", err=True)
    return status


def refuse(message: str, status: int = REFUSED) -> NoReturn:
    """Print *message* as an error and end with *status*."""
    raise typer.Exit(complain(message, status))


def new_group(text: str, **how: Any) -> typer.Typer:  # noqa: ANN401 - passed on to Typer
    """Make a group of commands with *text* as its help."""
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
        **how,
    )


def settings() -> "Settings":
    """The settings of this process."""
    from gettone.config import load

    return load(os.environ, Path.cwd())


@contextmanager
def opened_office() -> "Iterator[Office]":
    """The back office of the configured database, whose schema must be current."""
    from gettone.bootstrap import opened_office as opened

    with opened(settings()) as office:
        yield office


def now() -> datetime:
    """The present time."""
    return datetime.now(UTC)


def read_bytes(path: Path) -> bytes:
    """The content of a file; ``-`` is standard input. Ends with one line when it cannot be read."""
    try:
        return sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        refuse(f"{path}: {error.strerror or error}")


def instant(field: str, text: str, *, zone: str = "UTC") -> datetime:
    """Read a time: ISO 8601 with an offset, or in *zone* without one; a date is its midnight."""
    from zoneinfo import ZoneInfo

    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidInput(
            field, text, "write a time such as 2026-11-23T19:00:00Z, or a date such as 2026-11-23"
        ) from None
    return found if found.tzinfo else found.replace(tzinfo=ZoneInfo(zone))


def amount(field: str, text: str, currency: str) -> int:
    """Read an amount of *currency* as micros."""
    from gettone.domain.money import MoneyError, parse_micros

    try:
        return parse_micros(text, currency)
    except MoneyError as error:
        raise InvalidInput(field, text, str(error)) from error


def all_pages(ask: "Callable[[str, int], Page[T]]", limit: int) -> list[T]:
    """Up to *limit* items of a paged list; *ask* takes cursor and page size and answers a `Page`."""
    items: list[T] = []
    cursor = ""
    while len(items) < limit:
        page = ask(cursor, min(1000, limit - len(items)))
        items.extend(page.items)
        cursor = page.next_cursor
        if not cursor:
            break
    return items
