"""``gettone webhooks …``: where an organisation's own programs hear of its notices."""

from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Org, new_group, now, opened_office, settings
from gettone.cli.notices import told
from gettone.cli.output import as_json, facts, table
from gettone.cli.policies import BY

if TYPE_CHECKING:
    from gettone.operations.webhooks import NewSecret

app = new_group("""Webhooks: signed messages about notices, to an organisation's own programs.""")

_Webhook = Annotated[str, typer.Argument(metavar="WEBHOOK", help="Id of the webhook.", show_default=False)]


@app.command("list")
def list_all(org: Org, json: Json = False) -> None:
    """List the webhooks, without their secrets.

    Example: gettone webhooks list contoso
    """
    from gettone.operations.webhooks import list_webhooks

    with opened_office() as office:
        found = list_webhooks(office, org)
    if json:
        as_json(found)
        return
    table(
        ("webhook", "url", "kinds", "active", "created", "old secret until"),
        (
            (one.webhook_id, one.url, one.kinds or "all", one.active, one.created_at, one.old_secret_until)
            for one in found
        ),
    )


@app.command()
def add(
    org: Org,
    url: Annotated[str, typer.Argument(metavar="URL", help="Where to post, https://….", show_default=False)],
    *,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only this kind of notice; may be given several times.")
    ] = None,
    json: Json = False,
) -> None:
    """Let notices be posted to an address. The secret that signs them is shown now and never again.

    Example: gettone webhooks add contoso https://example.com/gettone --kind balance_zero --kind recharge_failed
    """
    from gettone.operations.webhooks import add_webhook

    with opened_office() as office:
        made = add_webhook(office, org, url, now(), by=BY, kinds=kind or [])
    _shown(made, json)


@app.command()
def rotate(org: Org, webhook: _Webhook, json: Json = False) -> None:
    """Give a webhook a new secret; for 24 hours the old one signs beside it.

    Example: gettone webhooks rotate contoso 8d1f0c2ab3e4f567
    """
    from gettone.operations.webhooks import rotate_secret

    with opened_office() as office:
        made = rotate_secret(office, org, webhook, now(), by=BY)
    _shown(made, json)


@app.command()
def remove(org: Org, webhook: _Webhook) -> None:
    """Take a webhook out; what is on its way to it is not sent any more.

    Example: gettone webhooks remove contoso 8d1f0c2ab3e4f567
    """
    from gettone.operations.webhooks import remove_webhook

    with opened_office() as office:
        remove_webhook(office, org, webhook, now(), by=BY)
    typer.echo(f"{webhook}: taken out")


@app.command("test")
def try_out(org: Org, webhook: _Webhook, json: Json = False) -> None:
    """Post a message of the kind test now, and say what was answered.

    Example: gettone webhooks test contoso 8d1f0c2ab3e4f567
    """
    from gettone.bootstrap.telling import channels_of
    from gettone.operations.telling import send_test_message

    channels = channels_of(settings())
    with opened_office() as office:
        outcome = send_test_message(office, org, webhook, channels, now())
    told(outcome, json)


def _shown(made: "NewSecret", json: bool) -> None:
    if json:
        as_json(made)
        return
    facts({"secret": made.secret, "webhook": made.webhook.webhook_id, "url": made.webhook.url})
    typer.echo("keep the secret: it cannot be shown again", err=True)
