"""``gettone calls …`` and ``gettone usage …``: call records in, calls and usage out."""

from datetime import datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, instant, new_group, now, opened_office, refuse
from gettone.cli.import_records import import_records
from gettone.cli.output import as_json, clock, facts, money, table

app = new_group("""Import call records, list calls.""")
usage = new_group("""Sums over the calls of an organisation.""")

_Since = Annotated[str, typer.Option(help="From this time on, ISO 8601.", show_default=False)]
_Until = Annotated[str, typer.Option(help="Before this time, ISO 8601.", show_default=False)]

app.command("import")(import_records)


@app.command("list")
def list_calls(
    org: Org,
    *,
    state: Annotated[str, typer.Option(help="Only open, ended or refused calls.", show_default=False)] = "",
    user: Annotated[str, typer.Option(help="Only calls of this user id.", show_default=False)] = "",
    called: Annotated[str, typer.Option(help="Only calls to this number.", show_default=False)] = "",
    call_type: Annotated[str, typer.Option(help="Only calls of this type.", show_default=False)] = "",
    since: _Since = "",
    until: _Until = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List calls, newest first.

    Example: gettone calls list contoso --state refused --since 2026-11-01
    """
    from gettone.operations import reports
    from gettone.operations.directory import get_organisation
    from gettone.operations.office import CallFilter

    wanted = CallFilter(
        state=state,
        user=user,
        called=called,
        call_type=call_type,
        since=instant("since", since) if since else None,
        until=instant("until", until) if until else None,
    )
    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(lambda cursor, size: reports.calls(office, org, wanted, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(
        ("started", "state", "type", "user", "calling", "called", "destination", ">used", ">charged", "call"),
        (
            (
                c.started_at,
                f"refused: {c.refusal}" if c.refusal else c.state,
                c.call_type,
                c.user_id,
                c.calling,
                c.called,
                c.destination or c.country,
                c.used_seconds if c.call_type == "sms_out" else clock(c.used_seconds),
                money(c.charged_micros, currency),
                c.session_id,
            )
            for c in found
        ),
    )


@app.command()
def show(
    org: Org,
    session_id: Annotated[str, typer.Argument(metavar="SESSION", help="Id of the call.", show_default=False)],
    json: Json = False,
) -> None:
    """Show a call and who paid which seconds of it.

    Example: gettone calls show contoso asterisk:1772440200.26/41
    """
    from gettone.operations import reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = reports.call(office, org, session_id)
    if json:
        as_json(found)
        return
    call = found.call
    facts(
        {
            "call": call.session_id,
            "state": f"refused: {call.refusal}" if call.refusal else call.state,
            "type": call.call_type,
            "user": call.user_id,
            "from": call.calling,
            "to": f"{call.called} ({call.destination or call.country or 'unknown'}, {call.kind or 'unknown kind'})",
            "started": call.started_at,
            "ended": call.ended_at,
            "used": clock(call.used_seconds),
            "billed": clock(call.billed_seconds),
            "charged": money(call.charged_micros, currency),
            "held": money(call.held_micros, currency),
        }
    )
    table(
        ("payer", "pool", ">from second", ">seconds", ">billed", ">charged", ">of it connection"),
        (
            (
                part.payer,
                part.pool_key,
                part.from_second,
                part.seconds,
                part.billed_seconds,
                money(part.charged_micros, currency),
                money(part.connection_micros, currency),
            )
            for part in found.usage
        ),
    )


@usage.command("show")
def show_usage(
    org: Org,
    by: Annotated[str, typer.Option(help="Sum by day, user, destination or payer.")] = "day",
    since: _Since = "",
    until: _Until = "",
    json: Json = False,
) -> None:
    """Show what was used and charged; without --since and --until in the present month.

    Example: gettone usage show contoso --by destination --since 2026-11-01 --until 2026-12-01
    """
    from gettone.operations import reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        organisation = get_organisation(office, org)
        zone = organisation.time_zone
        begin = instant("since", since, zone=zone) if since else _month_begin(now(), zone)
        end = instant("until", until, zone=zone) if until else now() + timedelta(days=1)
        if begin >= end:
            refuse("--since must lie before --until", 2)
        found = reports.usage(office, org, by=by, since=begin, until=end)
    if json:
        as_json(found)
        return
    table(
        (by, ">calls", ">messages", ">duration", ">billed", ">charged"),
        (
            (
                total.key,
                f"{total.calls:,}",
                f"{total.messages:,}",
                clock(total.seconds),
                clock(total.billed_seconds),
                money(total.charged_micros, organisation.currency),
            )
            for total in found
        ),
    )


def _month_begin(at: datetime, zone: str) -> datetime:
    return at.astimezone(ZoneInfo(zone)).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
