"""``gettone keys …``: API keys."""

from typing import Annotated

import typer

from gettone.cli.base import Json, new_group, now, opened_office
from gettone.cli.output import as_json, facts, table

app = new_group("""API keys: who may ask the service what.""")

_Organisation = Annotated[
    str, typer.Option("--org", help="The organisation it is for; * is all of them.", show_default=True)
]


@app.command()
def create(
    scope: Annotated[
        str,
        typer.Option(
            help="operator (everything), admin (all of one organisation), billing (its credit and payments), "
            "charging (calls), read."
        ),
    ],
    org: _Organisation = "*",
    label: Annotated[str, typer.Option(help="A note for people.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Make an API key. Its token is shown now and never again.

    Example: gettone keys create --scope charging --org contoso --label "the SBC in Rome"
    """
    from gettone.operations.keys import create_key

    with opened_office() as office:
        made = create_key(office, scope=scope, now=now(), org_id=org, label=label)
    if json:
        as_json(made)
        return
    facts({"token": made.token, "key": made.key.key_id, "scope": made.key.scope, "organisation": made.key.org_id})
    typer.echo("keep the token: it cannot be shown again", err=True)


@app.command("list")
def list_all(
    org: Annotated[str, typer.Option("--org", help="Only keys of this organisation.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List the API keys, without their tokens.

    Example: gettone keys list
    """
    from gettone.operations.keys import list_keys

    with opened_office() as office:
        found = list_keys(office, org_id=org)
    if json:
        as_json(found)
        return
    table(
        ("key", "organisation", "scope", "label", "created", "revoked"),
        ((k.key_id, k.org_id, k.scope, k.label, k.created_at, k.revoked_at) for k in found),
    )


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(metavar="KEY", help="Id of the key.", show_default=False)],
    json: Json = False,
) -> None:
    """Revoke an API key: it is refused from now on.

    Example: gettone keys revoke k7f3a9
    """
    from gettone.operations.keys import revoke_key

    with opened_office() as office:
        revoked = revoke_key(office, key, now())
    as_json(revoked) if json else typer.echo(f"{revoked.key_id} revoked")
