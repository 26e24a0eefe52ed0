"""``gettone users …``: who calls."""

import enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import (
    Json,
    Limit,
    Org,
    all_pages,
    instant,
    new_group,
    now,
    opened_office,
    read_bytes,
)
from gettone.cli.output import as_json, facts, table, time
from gettone.cli.policies import BY

if TYPE_CHECKING:
    from gettone.operations.views import ImportedUsers, UserView

app = new_group("""Users of an organisation, and accounts of its voice applications.""")

_User = Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)]
_Search = Annotated[str, typer.Option(help="Only those in which this text occurs.", show_default=False)]
_CsvFile = Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")]
_DepartmentChange = Annotated[str | None, typer.Option("--department", help="Department.", show_default=False)]
_CostCentreChange = Annotated[str | None, typer.Option("--cost-centre", help="Cost centre.", show_default=False)]


class AccountKind(enum.Enum):
    """Who an account is for."""

    person = "person"
    resource = "resource"


def account(*, resource: bool) -> str:
    """Who an account is for, in a word."""
    return "resource" if resource else "person"


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
            "licences": found.licences,
            "numbers": found.numbers,
            "account": account(resource=found.resource),
            "department": found.department,
            "cost centre": found.cost_centre,
            **({"blocked": found.blocked_reason} if found.blocked_reason else {}),
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
    account_kind: Annotated[
        AccountKind, typer.Option("--account", help="Who it is for: a person, or a voice application.")
    ] = AccountKind.person,
    department: Annotated[str, typer.Option(help="Department; spending is limited by it.", show_default=False)] = "",
    cost_centre: Annotated[str, typer.Option(help="Cost centre; spending is limited by it.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Create a user, or with --account resource the account of an auto attendant or a call queue.

    Licences must be owned before they are assigned: gettone licences buy.

    Example: gettone users create contoso anna@contoso.com --usage-location IT --product MCOEV --product MCOPSTN1
    """
    from gettone.operations.directory import NewUser, create_user

    new = NewUser(
        upn=upn,
        user_id=user_id,
        display_name=display_name,
        usage_location=usage_location,
        products=tuple(product or ()),
        number=number,
        resource=account_kind is AccountKind.resource,
        department=department,
        cost_centre=cost_centre,
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
        ("name", "user", "display name", "location", "licences", "numbers", "department"),
        ((u.upn, u.user_id, u.display_name, u.usage_location, u.licences, u.numbers, u.department) for u in found),
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
    department: _DepartmentChange = None,
    cost_centre: _CostCentreChange = None,
    json: Json = False,
) -> None:
    """Change a user; what is not given stays. Licences are changed with: gettone licences assign.

    Example: gettone users change contoso anna@contoso.com --usage-location DE
    """
    from gettone.operations.directory import change_user

    with opened_office() as office:
        changed = change_user(
            office,
            org,
            user,
            now(),
            upn=upn,
            display_name=display_name,
            usage_location=usage_location,
            department=department,
            cost_centre=cost_centre,
        )
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


@app.command()
def block(
    org: Org,
    user: _User,
    *,
    until: Annotated[
        str, typer.Option(help="When the block ends, such as 2026-12-01; without it, never.", show_default=False)
    ] = "",
    reason: Annotated[str, typer.Option(help="tenant_requested or high_international_spend.")] = "tenant_requested",
    detail: Annotated[str, typer.Option(help="More about it, for people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Block a user from calling, emergency calls apart; calls that run go on.

    Example: gettone users block contoso anna@contoso.com --until 2026-12-01 --detail "phone was stolen"
    """
    from gettone.operations.blocks import block_user
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        zone = get_organisation(office, org).time_zone
        end = instant("until", until, zone=zone) if until else None
        changed = block_user(office, org, user, reason, now(), until=end, by=BY, detail=detail)
    if json:
        as_json(changed)
        return
    typer.echo(f"{changed.upn} blocked until {time(changed.blocked_until) if end else 'somebody unblocks'}")


@app.command()
def unblock(
    org: Org,
    user: _User,
    *,
    detail: Annotated[str, typer.Option(help="More about it, for people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Let a blocked user call again.

    Example: gettone users unblock contoso anna@contoso.com
    """
    from gettone.operations.blocks import unblock_user

    with opened_office() as office:
        changed = unblock_user(office, org, user, now(), by=BY, detail=detail)
    if json:
        as_json(changed)
        return
    typer.echo(f"{changed.upn} is not blocked")


@app.command()
def blocked(
    org: Org,
    *,
    history: Annotated[bool, typer.Option("--history", help="Every block and unblock, newest first.")] = False,
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List the users who are blocked, or the history of blocks.

    Example: gettone users blocked contoso
    """
    from gettone.operations.blocks import block_history, blocked_users

    with opened_office() as office:
        if history:
            lines = all_pages(lambda cursor, size: block_history(office, org, cursor=cursor, limit=size), limit)
        else:
            found = all_pages(lambda cursor, size: blocked_users(office, org, now(), cursor=cursor, limit=size), limit)
    if json:
        as_json(lines if history else found)
    elif history:
        table(
            ("time (UTC)", "user", "action", "reason", "until", "by", "detail"),
            ((line.at, line.user_id, line.action, line.reason, line.until, line.by, line.detail) for line in lines),
        )
    else:
        table(
            ("display name", "name", "phone numbers", "reason", "action", "block time (UTC)", "until", "detail"),
            ((u.display_name, u.upn, u.numbers, u.reason, u.action, u.blocked_at, u.until, u.detail) for u in found),
        )


@app.command("import")
def import_file(org: Org, file: _CsvFile, json: Json = False) -> None:
    """Create and change users from a CSV file: all of them, or nothing and every error with its line number.

    Columns: upn or user_id, and if wanted display_name, usage_location, products, number, department, cost_centre,
    account (person or resource).

    Example: gettone users import contoso users.csv
    """
    from gettone.operations.directory_files import import_users

    data = read_bytes(file)
    with opened_office() as office:
        imported(import_users(office, org, data, now(), name=file.name), "users", json=json)


def imported(done: "ImportedUsers", what: str, *, json: bool) -> None:
    """Tell what a file of users or numbers did."""
    if json:
        as_json(done)
    else:
        typer.echo(f"{what}: {done.created:,} created, {done.changed:,} changed, {done.unchanged:,} unchanged")
