"""``gettone numbers …``: on which numbers an organisation is called, and how many its licences allow."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, new_group, now, opened_office, read_bytes
from gettone.cli.output import as_json, facts, table
from gettone.cli.users import imported

if TYPE_CHECKING:
    from gettone.operations.views import NumberView

app = new_group("""Telephone numbers of an organisation: of its users, conferences, attendants and queues.""")

_Number = Annotated[
    str,
    typer.Argument(metavar="NUMBER", help="A number in E.164, such as +390612345678.", show_default=False),
]
_Source = Annotated[
    str,
    typer.Option(
        help="Where it comes from: plan, ported or direct (Direct Routing); plan if not given, but direct for a user "
        "without a Calling Plan.",
        show_default=False,
    ),
]


@app.command()
def acquire(
    org: Org,
    numbers: Annotated[
        list[str], typer.Argument(metavar="NUMBER", help="Numbers in E.164, such as +390612345678.", show_default=False)
    ],
    *,
    source: _Source = "",
    label: Annotated[str, typer.Option(help="A note for people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Take numbers for later use, all or none; they ring nobody yet.

    Example: gettone numbers acquire contoso +390612345678 +390612345679
    """
    from gettone.operations.numbers import acquire_numbers

    with opened_office() as office:
        made = acquire_numbers(office, org, numbers, now(), source=source, label=label)
    if json:
        as_json(made)
        return
    for one in made:
        typer.echo(f"{one.number} acquired")


@app.command()
def assign(
    org: Org,
    number: _Number,
    *,
    user: Annotated[
        str, typer.Option(help="The user it rings, or the resource account that answers.", show_default=False)
    ] = "",
    use: Annotated[
        str, typer.Option(help="What it rings: user, conference, auto_attendant or call_queue.", show_default=False)
    ] = "",
    label: Annotated[
        str | None, typer.Option(help="A note for people; what is there stays if not given.", show_default=False)
    ] = None,
    source: _Source = "",
    json: Json = False,
) -> None:
    """Let a number ring a user, a conference, an auto attendant or a call queue; acquires it if need be.

    Example: gettone numbers assign contoso +18005550100 --use conference --label "US toll-free"
    """
    from gettone.operations.numbers import assign_number

    with opened_office() as office:
        made = assign_number(office, org, number, now(), user=user, use=use, label=label, source=source)
    _print(made, json=json)


@app.command()
def unassign(org: Org, number: _Number, json: Json = False) -> None:
    """Let a number ring nobody; it stays with the organisation.

    Example: gettone numbers unassign contoso +390612345678
    """
    from gettone.operations.numbers import unassign_number

    with opened_office() as office:
        changed = unassign_number(office, org, number, now())
    _print(changed, json=json)


@app.command()
def release(org: Org, number: _Number) -> None:
    """Take a number away from the organisation.

    Example: gettone numbers release contoso +18005550100
    """
    from gettone.operations.numbers import release_number

    with opened_office() as office:
        release_number(office, org, number)
    typer.echo(f"{number} released")


@app.command("list")
def list_all(
    org: Org,
    user: Annotated[str, typer.Option(help="Only the numbers of this user.", show_default=False)] = "",
    search: Annotated[str, typer.Option(help="Only those in which this text occurs.", show_default=False)] = "",
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List the numbers of an organisation.

    Example: gettone numbers list contoso
    """
    from gettone.operations.numbers import list_numbers

    with opened_office() as office:
        found = all_pages(
            lambda cursor, size: list_numbers(office, org, user=user, search=search, cursor=cursor, limit=size), limit
        )
    if json:
        as_json(found)
        return
    table(
        ("number", "use", "user", "source", "label"), ((n.number, n.use, n.user_id, n.source, n.label) for n in found)
    )


@app.command("import")
def import_file(
    org: Org,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")],
    json: Json = False,
) -> None:
    """Assign numbers from a CSV file: all of them, or nothing and every error with its line number.

    Columns: number, and if wanted use, user, label, source.

    Example: gettone numbers import contoso numbers.csv
    """
    from gettone.operations.directory_files import import_numbers

    data = read_bytes(file)
    with opened_office() as office:
        imported(import_numbers(office, org, data, now(), name=file.name), "numbers", json=json)


@app.command()
def quotas(org: Org, json: Json = False) -> None:
    """Show how many numbers the licences allow, and how many are taken; ported and Direct Routing ones do not count.

    Example: gettone numbers quotas contoso
    """
    from gettone.operations.numbers import number_quotas

    with opened_office() as office:
        found = number_quotas(office, org, now())
    if json:
        as_json(found)
        return
    table(("kind", ">taken", ">allowed"), ((q.kind, f"{q.used:,}", f"{q.allowed:,}") for q in found))


def _print(made: "NumberView", *, json: bool) -> None:
    if json:
        as_json(made)
        return
    facts(
        {
            "number": made.number,
            "use": made.use,
            "user": made.user_id,
            "source": made.source,
            "label": made.label,
        }
    )
