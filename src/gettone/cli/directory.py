"""``gettone org …``: organisations."""

from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, new_group, now, opened_office
from gettone.cli.output import as_json, facts, table

if TYPE_CHECKING:
    from gettone.operations.views import OrganisationView

app = new_group("""Organisations: those whose calls are charged.""")

_Zone = Annotated[str, typer.Option(help="IANA time zone in which its months and days begin.")]
_PriceList = Annotated[str, typer.Option(help="Name of the rate decks that price its calls.")]


def _print(found: "OrganisationView", json: bool) -> None:
    if json:
        as_json(found)
        return
    facts(
        {
            "organisation": found.org_id,
            "name": found.name,
            "country": found.country,
            "currency": found.currency,
            "time zone": found.time_zone,
            "price list": found.price_list,
            "post-usage billing": found.post_usage,
            "state": "closed" if found.closed else "open",
            "created": found.created_at,
        }
    )


@app.command()
def create(
    org: Org,
    *,
    country: Annotated[str, typer.Option(help="ISO 3166-1 country, such as IT.", show_default=False)],
    currency: Annotated[str, typer.Option(help="ISO 4217 currency of its wallet; never changes.", show_default=False)],
    name: Annotated[str, typer.Option(help="Its name; the id if not given.", show_default=False)] = "",
    time_zone: _Zone = "UTC",
    price_list: _PriceList = "standard",
    post_usage: Annotated[
        bool, typer.Option("--post-usage", help="Bill usage afterwards when credit is used up.")
    ] = False,
    json: Json = False,
) -> None:
    """Create an organisation with an empty wallet.

    Example: gettone org create contoso --country IT --currency EUR --time-zone Europe/Rome
    """
    from gettone.operations.directory import create_organisation

    with opened_office() as office:
        made = create_organisation(
            office,
            org_id=org,
            name=name or org,
            country=country,
            currency=currency,
            now=now(),
            time_zone=time_zone,
            price_list=price_list,
            post_usage=post_usage,
        )
    _print(made, json)


@app.command("list")
def list_all(limit: Limit = 1000, json: Json = False) -> None:
    """List the organisations.

    Example: gettone org list
    """
    from gettone.operations.directory import list_organisations

    with opened_office() as office:
        found = all_pages(lambda cursor, size: list_organisations(office, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(
        ("organisation", "name", "country", "currency", "time zone", "price list", "state"),
        (
            (o.org_id, o.name, o.country, o.currency, o.time_zone, o.price_list, "closed" if o.closed else "open")
            for o in found
        ),
    )


@app.command()
def show(org: Org, json: Json = False) -> None:
    """Show an organisation.

    Example: gettone org show contoso
    """
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        _print(get_organisation(office, org), json)


@app.command()
def change(
    org: Org,
    *,
    name: Annotated[str | None, typer.Option(help="Its name.", show_default=False)] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166-1 country.", show_default=False)] = None,
    time_zone: Annotated[str | None, typer.Option(help="IANA time zone.", show_default=False)] = None,
    price_list: Annotated[str | None, typer.Option(help="Name of its rate decks.", show_default=False)] = None,
    post_usage: Annotated[
        bool | None,
        typer.Option("--post-usage/--no-post-usage", help="Bill usage afterwards or not.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Change the settings of an organisation; what is not given stays.

    Example: gettone org change contoso --price-list gold
    """
    from gettone.operations.directory import change_organisation

    with opened_office() as office:
        changed = change_organisation(
            office,
            org,
            name=name,
            country=country,
            time_zone=time_zone,
            price_list=price_list,
            post_usage=post_usage,
            now=now(),
        )
    _print(changed, json)


@app.command()
def close(org: Org, json: Json = False) -> None:
    """Close an organisation: its calls are refused from now on, except emergency calls.

    Example: gettone org close contoso
    """
    from gettone.operations.directory import close_organisation

    with opened_office() as office:
        _print(close_organisation(office, org), json)


@app.command()
def reopen(org: Org, json: Json = False) -> None:
    """Open a closed organisation again.

    Example: gettone org reopen contoso
    """
    from gettone.operations.directory import reopen_organisation

    with opened_office() as office:
        _print(reopen_organisation(office, org), json)
