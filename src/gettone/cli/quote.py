"""``gettone quote``: what would this call cost, and who would pay?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import REFUSED, USAGE, Json, instant, now, read_bytes, refuse, settings
from gettone.cli.output import as_json, clock, facts, money, named, table

if TYPE_CHECKING:
    from datetime import datetime

    from gettone.operations.messages import StartCall
    from gettone.operations.quoting import Quote


def quote(
    *,
    to: Annotated[str, typer.Option("--to", help="The number to call, in E.164.", show_default=False)],
    calling: Annotated[str, typer.Option("--from", help="The calling number, in E.164.", show_default=False)] = "",
    at: Annotated[str, typer.Option("--at", help="When, ISO 8601; now if not given.", show_default=False)] = "",
    seconds: Annotated[int, typer.Option("--seconds", min=0, max=604800, help="How long.")] = 60,
    org: Annotated[
        str, typer.Option("--org", help="The organisation; else the owner of the calling number.", show_default=False)
    ] = "",
    user: Annotated[
        str, typer.Option("--user", help="Who calls: user id or user principal name.", show_default=False)
    ] = "",
    deck: Annotated[
        Path | None,
        typer.Option("--deck", help="Price by this deck file alone, without a database.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Say what a call would cost and who would pay for it, now, without charging anything.

    With --deck only the published price is worked out: no organisation, no pools, no balance.

    Example: gettone quote --org contoso --user anna@contoso.com --to +442071838750 --seconds 600
    """
    from gettone.operations.messages import StartCall

    when = instant("at", at) if at else now()
    if deck is not None:
        _by_deck(deck, to, when, seconds, json)
    else:
        request = StartCall(
            session_id="quote",
            org_id=org,
            called=to,
            calling=calling,
            user=user,
            at=when,
            requested_seconds=max(1, seconds),
        )
        _by_organisation(request, json)


def _by_deck(file: Path, to: str, at: "datetime", seconds: int, json: bool) -> None:
    from gettone.catalogue.numbering import number_plan
    from gettone.domain.numbers import NumberError
    from gettone.domain.rates import compile_deck
    from gettone.errors import InvalidInput
    from gettone.operations.quoting import quote_rate
    from gettone.operations.rates import read_deck

    parsed = read_deck(read_bytes(file), name=file.name)
    try:
        found = quote_rate(compile_deck(parsed), number_plan(), to, at=at, seconds=seconds)
    except NumberError as error:
        raise InvalidInput("to", to, str(error)) from error
    if json:
        as_json({"currency": parsed.currency} | named(found))
        return
    facts(
        {
            "to": f"{found.called} ({found.destination or found.country}, {found.kind})",
            "duration": f"{clock(seconds)}, billed {clock(found.billed_seconds)}",
            "price": money(found.charged_micros, parsed.currency),
            "of it connection": money(found.connection_micros, parsed.currency),
        }
    )


def _by_organisation(request: "StartCall", json: bool) -> None:
    from gettone.bootstrap import opened_quoting

    if not request.user and not request.calling:
        refuse("--from or --user: say who calls", USAGE)
    with opened_quoting(settings()) as quoting:
        found = quoting.quote(request)
    if json:
        as_json(named(found) | {"parts": [named(part) for part in found.parts]})
    else:
        _show(found)
    if found.reason is not None:
        raise typer.Exit(REFUSED)


def _show(found: "Quote") -> None:
    lines: dict[str, object] = {
        "organisation": found.org_id,
        "to": f"{found.called} ({found.destination or found.country or 'unknown'}, {found.kind or 'unknown kind'})",
        "call type": found.call_type,
    }
    if found.reason is not None:
        facts(lines | {"answer": f"refused: {found.reason.value}"})
        typer.echo(f"{found.reason.sentence} {found.detail}".rstrip(), err=True)
        return
    facts(
        lines
        | {
            "duration": f"{clock(found.seconds)}, billed {clock(found.billed_seconds)}",
            "affordable": clock(found.affordable_seconds),
            "price": money(found.charged_micros, found.currency),
        }
    )
    table(
        ("payer", "pool", ">from second", ">seconds", ">billed", ">charged"),
        (
            (p.payer, p.pool_key, p.from_second, p.seconds, p.billed_seconds, money(p.charged_micros, found.currency))
            for p in found.parts
        ),
    )


def add_to(root: typer.Typer) -> None:
    """Put this command into the command line."""
    root.command("quote")(quote)
