"""``gettone users …`` and ``gettone numbers …``: who calls, and on which numbers."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, new_group, now, opened_office, read_bytes, refuse
from gettone.cli.output import as_json, facts, table

if TYPE_CHECKING:
    from gettone.operations.views import ImportedUsers, UserView

app = new_group("""Users of an organisation and the products assigned to them.""")
numbers = new_group("""Telephone numbers of an organisation: of its users, conferences, attendants and queues.""")

_User = Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)]
_Search = Annotated[str, typer.Option(help="Only those in which this text occurs.", show_default=False)]
_CsvFile = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")]
_Number = Annotated[str, typer.Argument(metavar="NUMBER", help="A number in E.164, such as +390612345678.")]


def _print(found: "UserView", json: bool) -> None:
    if json:
        as_json(found)
        return
    facts(
        {
            "user": found.user_id,
            "name": found.upn,
            "display name": found.display_name,
            "usage location": found.usage_location,
            "products": found.products,
            "numbers": found.numbers,
            "created": found.created_at,
        }
    )


@app.command()
def create(
    org: Org,
    upn: Annotated[str, typer.Argument(metavar="UPN", help="User principal name, such as anna@contoso.com.")],
    *,
    user_id: Annotated[str, typer.Option("--id", help="User id; made up if not given.", show_default=False)] = "",
    display_name: Annotated[str, typer.Option(help="Name for people.", show_default=False)] = "",
    usage_location: Annotated[str, typer.Option(help="ISO 3166-1 country.", show_default=False)] = "",
    product: Annotated[
        list[str] | None, typer.Option(help="Product to assign, such as MCOPSTN1.", show_default=False)
    ] = None,
    number: Annotated[str, typer.Option(help="Telephone number to assign, in E.164.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Create a user.

    Example: gettone users create contoso anna@contoso.com --usage-location IT --product MCOPSTN1 --number +390612345678
    """
    from gettone.operations.directory import NewUser, create_user

    new = NewUser(
        upn=upn,
        user_id=user_id,
        display_name=display_name,
        usage_location=usage_location,
        products=tuple(product or ()),
        number=number,
    )
    with opened_office() as office:
        _print(create_user(office, org, new, now()), json)


@app.command("list")
def list_all(org: Org, search: _Search = "", limit: Limit = 1000, json: Json = False) -> None:
    """List the users of an organisation.

    Example: gettone users list contoso --search anna
    """
    from gettone.operations.directory import list_users

    with opened_office() as office:
        found = all_pages(lambda cursor, size: list_users(office, org, search=search, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(
        ("name", "user", "display name", "location", "products", "numbers"),
        ((u.upn, u.user_id, u.display_name, u.usage_location, u.products, u.numbers) for u in found),
    )


@app.command()
def show(org: Org, user: _User, json: Json = False) -> None:
    """Show a user.

    Example: gettone users show contoso anna@contoso.com
    """
    from gettone.operations.directory import get_user

    with opened_office() as office:
        _print(get_user(office, org, user), json)


@app.command()
def change(
    org: Org,
    user: _User,
    *,
    upn: Annotated[str | None, typer.Option(help="User principal name.", show_default=False)] = None,
    display_name: Annotated[str | None, typer.Option(help="Name for people.", show_default=False)] = None,
    usage_location: Annotated[str | None, typer.Option(help="ISO 3166-1 country.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Change a user; what is not given stays.

    Example: gettone users change contoso anna@contoso.com --usage-location DE
    """
    from gettone.operations.directory import change_user

    with opened_office() as office:
        changed = change_user(
            office, org, user, now(), upn=upn, display_name=display_name, usage_location=usage_location
        )
    _print(changed, json)


@app.command()
def products(
    org: Org,
    user: _User,
    *,
    only: Annotated[
        list[str] | None,
        typer.Option("--set", help="Assign these and no others; '' takes all away.", show_default=False),
    ] = None,
    add: Annotated[list[str] | None, typer.Option("--add", help="Assign this too.", show_default=False)] = None,
    remove: Annotated[list[str] | None, typer.Option("--remove", help="Take this away.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Assign products to a user or take them away; minute pools follow at once.

    Example: gettone users products contoso anna@contoso.com --add MCOPSTNC
    """
    from gettone.operations import directory

    if (only is not None) + (add is not None) + (remove is not None) != 1:
        refuse("--set, --add or --remove: give one of them (it may be repeated)", 2)
    wanted = [product for product in (only or add or remove or []) if product]
    with opened_office() as office:
        if only is not None:
            changed = directory.set_products(office, org, user, wanted, now())
        elif add is not None:
            changed = directory.add_products(office, org, user, wanted, now())
        else:
            changed = directory.remove_products(office, org, user, wanted, now())
    _print(changed, json)


@app.command()
def remove(org: Org, user: _User) -> None:
    """Remove a user; the user's numbers are released and the products given back.

    Example: gettone users remove contoso anna@contoso.com
    """
    from gettone.operations.directory import remove_user

    with opened_office() as office:
        remove_user(office, org, user, now())
    typer.echo(f"{user} removed")


@app.command("import")
def import_file(org: Org, file: _CsvFile, json: Json = False) -> None:
    """Create and change users from a CSV file: all of them, or nothing and every error with its line number.

    Columns: upn, and if wanted user_id, display_name, usage_location, products, number.

    Example: gettone users import contoso users.csv
    """
    from gettone.operations.directory_files import import_users

    data = read_bytes(file)
    with opened_office() as office:
        _imported(import_users(office, org, data, now(), name=file.name), "users", json)


def _imported(done: "ImportedUsers", what: str, json: bool) -> None:
    if json:
        as_json(done)
    else:
        typer.echo(f"{what}: {done.created:,} created, {done.changed:,} changed, {done.unchanged:,} unchanged")


@numbers.command()
def assign(
    org: Org,
    number: _Number,
    *,
    user: Annotated[str, typer.Option(help="The user it rings.", show_default=False)] = "",
    use: Annotated[
        str, typer.Option(help="What it rings: user, conference, auto_attendant or call_queue.", show_default=False)
    ] = "",
    label: Annotated[str, typer.Option(help="A note for people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Give the organisation a number: for a user, or for a conference, an auto attendant or a call queue.

    Example: gettone numbers assign contoso +18005550100 --use conference --label "US toll-free"
    """
    from gettone.operations.numbers import assign_number

    with opened_office() as office:
        made = assign_number(office, org, number, user=user, use=use, label=label)
    as_json(made) if json else facts(
        {"number": made.number, "use": made.use, "user": made.user_id, "label": made.label}
    )


@numbers.command()
def release(org: Org, number: _Number) -> None:
    """Take a number away from the organisation.

    Example: gettone numbers release contoso +18005550100
    """
    from gettone.operations.numbers import release_number

    with opened_office() as office:
        release_number(office, org, number)
    typer.echo(f"{number} released")


@numbers.command("list")
def list_numbers(
    org: Org,
    user: Annotated[str, typer.Option(help="Only the numbers of this user.", show_default=False)] = "",
    search: _Search = "",
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List the numbers of an organisation.

    Example: gettone numbers list contoso
    """
    from gettone.operations.numbers import list_numbers as listed

    with opened_office() as office:
        found = all_pages(
            lambda cursor, size: listed(office, org, user=user, search=search, cursor=cursor, limit=size), limit
        )
    if json:
        as_json(found)
        return
    table(("number", "use", "user", "label"), ((n.number, n.use, n.user_id, n.label) for n in found))


@numbers.command("import")
def import_numbers_file(org: Org, file: _CsvFile, json: Json = False) -> None:
    """Assign numbers from a CSV file: all of them, or nothing and every error with its line number.

    Columns: number, and if wanted use, user, label.

    Example: gettone numbers import contoso numbers.csv
    """
    from gettone.operations.directory_files import import_numbers

    data = read_bytes(file)
    with opened_office() as office:
        _imported(import_numbers(office, org, data, name=file.name), "numbers", json)
