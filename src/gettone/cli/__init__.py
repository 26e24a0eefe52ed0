"""The command line: ``gettone``. Commands translate words into operations and print what those answer.

Exit status: 0 done, 1 refused or failed, 2 wrong usage. Data goes to standard output, as a table or with ``--json`` as
JSON; everything else, errors and progress, to standard error. A command imports what it needs when it runs, so that
``gettone --help`` answers at once.
"""

import sys
from typing import Annotated

import typer

from gettone.cli import (
    billing,
    buying,
    calls,
    catalogue,
    database,
    directory,
    finance,
    invoices,
    keys,
    licence_files,
    licences,
    methods,
    money,
    notices,
    numbers,
    policies,
    quote,
    rates,
    recharge,
    service,
    simulate,
    users,
    webhooks,
)
from gettone.cli.base import Root, new_group

__all__ = ["app", "main"]

app = new_group(
    """Prepaid charging for an organisation's telephony.

    Settings are environment variables GETTONE_… or gettone.toml; the database is gettone.db in the working directory
    unless GETTONE_DATABASE_URL says otherwise.

    Example: gettone demo
    """,
    cls=Root,
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"gettone {version('gettone')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and end.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    del version


service.add_to(app)
simulate.add_to(app)
database.add_to(app)
app.add_typer(rates.app, name="rates")
app.add_typer(catalogue.app, name="catalogue")
quote.add_to(app)
app.add_typer(directory.app, name="org")
app.add_typer(users.app, name="users")
licence_files.add_to(licences.app)
app.add_typer(licences.app, name="licences")
app.add_typer(numbers.app, name="numbers")
policies.add_to(app)
notices.add_to(app)
app.add_typer(webhooks.app, name="webhooks")
app.add_typer(money.wallet, name="wallet")
app.add_typer(money.pools, name="pools")
app.add_typer(buying.app, name="credits")
app.add_typer(methods.app, name="methods")
app.add_typer(recharge.app, name="recharge")
app.add_typer(invoices.app, name="invoices")
app.add_typer(billing.app, name="billing")
app.add_typer(finance.app, name="finance")
app.add_typer(calls.app, name="calls")
app.add_typer(calls.usage, name="usage")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Run the command line; the entry point of the program."""
    app(prog_name="gettone")
    sys.exit(0)
