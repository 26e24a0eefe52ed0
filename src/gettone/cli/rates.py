"""``gettone rates …``: rate decks."""

from pathlib import Path
from typing import Annotated

import typer

from gettone.cli.base import Json, Limit, all_pages, instant, new_group, now, opened_office, read_bytes
from gettone.cli.output import as_json, facts, table, time

_Deck = Annotated[str, typer.Option("--name", help="Name of the price list.")]
_Currency = Annotated[str, typer.Option(help="ISO 4217 currency of the deck.")]
_At = Annotated[str, typer.Option(help="At this time, ISO 8601; now if not given.", show_default=False)]

app = new_group("""Import rate decks and look prices up.""")


@app.command("import")
def import_file(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")],
    name: _Deck = "standard",
    currency: Annotated[
        str, typer.Option(help="The currency, if the file has no such column.", show_default=False)
    ] = "",
    effective_from: Annotated[
        str, typer.Option(help="First moment at which it applies, if the file has no such column.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Import a rate deck: all of it, or nothing and every error with its line number.

    A deck never changes once imported; a later one of the same name takes over on its effective date. The very same
    file again changes nothing.

    Example: gettone rates import deck.csv --currency USD --effective-from 2026-12-01
    """
    from gettone.operations.rates import import_deck

    data = read_bytes(file)
    since = instant("effective_from", effective_from) if effective_from else None
    with opened_office() as office:
        made = import_deck(office, data, now(), name=name, currency=currency or None, effective_from=since)
    if json:
        as_json(made)
    else:
        deck = made.deck
        done = "was there already, nothing changed" if made.already else "imported"
        typer.echo(
            f"{deck.name} {deck.currency}: {deck.rows:,} rows, in force from {time(deck.effective_from)}: {done}"
            f" ({deck.deck_id})"
        )


@app.command("list")
def list_all(
    name: Annotated[str, typer.Option("--name", help="Only the decks of this name.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """List the rate decks.

    Example: gettone rates list
    """
    from gettone.operations.rates import list_decks

    with opened_office() as office:
        decks = list_decks(office, name=name)
    if json:
        as_json(decks)
        return
    table(
        ("deck", "name", "currency", "in force from", "imported", ">rows"),
        ((d.deck_id, d.name, d.currency, d.effective_from, d.imported_at, f"{d.rows:,}") for d in decks),
    )


@app.command()
def show(
    deck: Annotated[str, typer.Argument(metavar="[DECK]", help="Id of a deck; the one in force if not given.")] = "",
    *,
    name: _Deck = "standard",
    currency: _Currency = "USD",
    at: _At = "",
    country: Annotated[str, typer.Option(help="Only rows of this country (ISO 3166-1).", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Show the rows of a rate deck, as they stand in its file.

    Example: gettone rates show --currency USD --country IT
    """
    from gettone.operations.rates import deck_in_force, show_rows

    with opened_office() as office:
        deck_id = deck or deck_in_force(office, name, currency, instant("at", at) if at else now()).deck_id
        rows = all_pages(
            lambda cursor, size: show_rows(office, deck_id, country=country, cursor=cursor, limit=size), limit
        )
    if json:
        as_json(rows)
        return
    columns = [column for column in (rows[0] if rows else {}) if any(row[column] for row in rows)]
    table(columns or ("prefix", "country", "price"), ([row[column] for column in columns] for row in rows))


@app.command()
def lookup(
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="A number in E.164, such as +442071838750.")],
    name: _Deck = "standard",
    currency: _Currency = "USD",
    at: _At = "",
    json: Json = False,
) -> None:
    """Say what calling a number costs, by which rows of which deck.

    Example: gettone rates lookup +442071838750 --currency USD
    """
    from gettone.operations.rates import lookup as look_up

    with opened_office() as office:
        found = look_up(office, number, name=name, currency=currency, at=instant("at", at) if at else now())
    if json:
        as_json(found)
        return
    facts(
        {
            "number": found.number,
            "country": found.country,
            "kind": found.kind,
            "deck": f"{found.deck.name} {found.deck.currency}, in force from {time(found.deck.effective_from)}",
        }
    )
    for row in found.rows:
        typer.echo()
        facts({column: value for column, value in row.items() if value})
