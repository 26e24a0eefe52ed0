"""``gettone notices …`` and ``gettone roles …``: what administrators are told, who is told, and whether it arrived."""

from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, new_group, now, opened_office, refuse, settings
from gettone.cli.output import as_json, facts, table
from gettone.cli.policies import BY

if TYPE_CHECKING:
    from gettone.operations.telling import DeliveryView, NotSent, Sent

app = new_group("""Notices: what administrators are told, who is written to, and whether it arrived.""")
recipients = new_group("""Who is written to beside, or instead of, those whom their roles name.""")
roles = new_group("""Administrators: the roles of users, which say who is told of notices.""")
app.add_typer(recipients, name="recipients")

SIGNATURE = "\n-- \n"
"""Parts what a mail says from why somebody gets it."""

_Notice = Annotated[str, typer.Argument(metavar="NOTICE", help="Id of the notice.", show_default=False)]
_User = Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)]
_Role = Annotated[str, typer.Argument(metavar="ROLE", help="Such as billing_admin.", show_default=False)]
_Target = Annotated[
    str, typer.Argument(metavar="TARGET", help="A mail address, or role/NAME such as role/teams_admin.")
]
_Kinds = Annotated[
    list[str] | None, typer.Option("--kind", help="Only this kind of notice; may be given several times.")
]


# -- notices -----------------------------------------------------------------------------------------------------------


@app.command("list")
def list_all(
    org: Org,
    *,
    kind: Annotated[str, typer.Option(help="Only this kind, such as user_blocked.", show_default=False)] = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List what an administrator of an organisation should know, newest first.

    Example: gettone notices list contoso --kind spend_warning
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.notices import list_notices, sentence

    with opened_office() as office:
        organisation = get_organisation(office, org)
        found = all_pages(lambda cursor, size: list_notices(office, org, kind=kind, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    currency, zone = organisation.currency, organisation.time_zone
    table(
        ("written", "notice", "says"),
        ((one.written_at, one.notice_id, sentence(one, currency, zone=zone)) for one in found),
    )


@app.command()
def show(
    org: Org,
    notice: _Notice,
    language: Annotated[str, typer.Option(help="en or it; the organisation's if not given.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Show one notice as its mail tells it.

    Example: gettone notices show contoso balance_zero/17 --language it
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.mails import of_notice
    from gettone.operations.notices import get_notice, name_of
    from gettone.operations.telling import language_of

    with opened_office() as office:
        organisation = get_organisation(office, org)
        found = get_notice(office, org, notice)
        language = language_of(office, org, language)
        with office.read() as unit:
            name = name_of(unit, org, found.subject)
    if json:
        as_json(found)
        return
    mail = of_notice(found, organisation, language, settings().link, name=name)
    facts({"notice": found.notice_id, "kind": found.kind, "written": found.written_at, "subject": mail.subject})
    body, _, _ = mail.text.partition(SIGNATURE)
    typer.echo(f"\n{body.rstrip()}")


@app.command()
def deliveries(
    org: Org,
    *,
    notice: Annotated[str, typer.Option(help="Only of this notice.", show_default=False)] = "",
    state: Annotated[str, typer.Option(help="Only those waiting, sent, failed or cancelled.", show_default=False)] = "",
    limit: Limit = 100,
    json: Json = False,
) -> None:
    """List what was sent to whom and whether it arrived, newest first.

    Example: gettone notices deliveries contoso --state failed
    """
    from gettone.operations.telling import list_deliveries

    with opened_office() as office:
        found = all_pages(
            lambda cursor, size: list_deliveries(office, org, notice_id=notice, state=state, cursor=cursor, limit=size),
            limit,
        )
    if json:
        as_json(found)
        return
    if notice and not found and not state:
        typer.echo("nobody: no role, address or webhook wants it, or it was only just written")
        return
    table(
        ("delivery", "notice", "by", "to", "state", ">attempts", "sent", "next", "error"),
        (
            (
                *(one.delivery_id, one.notice_id, one.channel, one.target, one.state, one.attempts),
                *(one.sent_at, one.next_at, one.last_error),
            )
            for one in found
        ),
    )


@app.command()
def resend(
    org: Org,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="Id of the delivery.", show_default=False)],
    json: Json = False,
) -> None:
    """Send once more what a delivery holds; the old one stays in the history.

    Example: gettone notices resend contoso 2f6c0d5e9b7a4c1d8e3f0a1b2c3d4e5f
    """
    from gettone.operations.telling import resend as again

    with opened_office() as office:
        made = again(office, org, delivery, now(), by=BY)
    as_json(made) if json else typer.echo(_on_its_way(made))


@app.command("test")
def try_out(
    org: Org,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Where to send it.", show_default=False)],
    language: Annotated[str, typer.Option(help="en or it; the organisation's if not given.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Send a test mail now, and say what became of it.

    Example: gettone notices test contoso finance@contoso.com
    """
    from gettone.bootstrap.telling import channels_of
    from gettone.operations.telling import send_test_mail

    ours = settings()
    channels = channels_of(ours)
    with opened_office() as office:
        outcome = send_test_mail(office, org, address, channels, now(), link=ours.link, language=language)
    told(outcome, json)


def told(outcome: "Sent | NotSent", json: bool) -> None:
    """Say how a test went; one that failed ends with status 1."""
    from gettone.operations.telling import NotSent

    if json:
        as_json(outcome)
    elif not isinstance(outcome, NotSent):
        typer.echo(f"sent: {outcome.detail}")
    if isinstance(outcome, NotSent):
        refuse(outcome.reason)


def _on_its_way(made: "DeliveryView") -> str:
    return f"{made.delivery_id} is on its way to {made.target}"


# -- recipients --------------------------------------------------------------------------------------------------------


@recipients.command("list")
def list_recipients(org: Org, json: Json = False) -> None:
    """List roles and addresses that are told of notices.

    Example: gettone notices recipients list contoso
    """
    from gettone.operations.recipients import list_recipients as listed

    with opened_office() as office:
        found = listed(office, org)
    if json:
        as_json(found)
        return
    table(
        ("target", "told", "kinds", "language", "addresses"),
        ((one.target, not one.muted, one.kinds or "the usual ones", one.language, one.addresses) for one in found),
    )


@recipients.command()
def add(
    org: Org,
    target: _Target,
    *,
    kind: _Kinds = None,
    language: Annotated[str, typer.Option(help="en or it; the organisation's if not given.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Write to an address too, or say what a role is told of; what was said of it before is replaced.

    Example: gettone notices recipients add contoso finance@contoso.com --kind usage_invoiced --language it
    """
    _set(org, target, kind or [], language, json, muted=False)


@recipients.command()
def mute(org: Org, target: _Target, json: Json = False) -> None:
    """Do not write to an address or a role any more.

    Example: gettone notices recipients mute contoso role/helpdesk_admin
    """
    _set(org, target, [], "", json, muted=True)


def _set(org: str, target: str, kinds: list[str], language: str, json: bool, *, muted: bool) -> None:
    from gettone.operations.recipients import set_recipient

    with opened_office() as office:
        made = set_recipient(office, org, target, now(), by=BY, kinds=kinds, language=language, muted=muted)
    if json:
        as_json(made)
        return
    what = "not written to" if muted else f"told of {', '.join(made.kinds) or 'the usual kinds'}"
    typer.echo(f"{made.target}: {what}")


@recipients.command()
def remove(org: Org, target: _Target) -> None:
    """Take out what was said of an address or a role; the role is told as usual again.

    Example: gettone notices recipients remove contoso finance@contoso.com
    """
    from gettone.operations.recipients import remove_recipient

    with opened_office() as office:
        remove_recipient(office, org, target, now(), by=BY)
    typer.echo(f"{target}: taken out")


# -- roles -------------------------------------------------------------------------------------------------------------


@roles.command("list")
def list_roles(org: Org, json: Json = False) -> None:
    """List who administers what, and where they are written to.

    Example: gettone roles list contoso
    """
    from gettone.operations.recipients import list_roles as listed

    with opened_office() as office:
        found = listed(office, org)
    if json:
        as_json(found)
        return
    table(
        ("user", "role", "title", "since", "address"),
        ((one.upn, one.role, one.title, one.granted_at, one.address) for one in found),
    )


@roles.command()
def grant(org: Org, user: _User, role: _Role, json: Json = False) -> None:
    """Let a user have a role, and so be told of notices.

    Example: gettone roles grant contoso anna@contoso.com billing_admin
    """
    from gettone.operations.recipients import grant_role

    with opened_office() as office:
        made = grant_role(office, org, user, role, now(), by=BY)
    as_json(made) if json else typer.echo(f"{made.upn}: {made.title}")


@roles.command()
def revoke(org: Org, user: _User, role: _Role) -> None:
    """Take a role from a user.

    Example: gettone roles revoke contoso anna@contoso.com billing_admin
    """
    from gettone.operations.recipients import revoke_role

    with opened_office() as office:
        revoke_role(office, org, user, role, now(), by=BY)
    typer.echo(f"{user}: {role} taken away")


def add_to(root: typer.Typer) -> None:
    """Give *root* the groups of notices and roles."""
    root.add_typer(app, name="notices")
    root.add_typer(roles, name="roles")
