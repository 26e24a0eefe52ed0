"""``gettone wallet …`` and ``gettone pools …``: what there is to pay calls with."""

from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, amount, instant, new_group, now, opened_office
from gettone.cli.output import as_json, clock, facts, money, table, time

if TYPE_CHECKING:
    from gettone.operations.views import Booking

wallet = new_group("""The wallet of an organisation: its credit, lot by lot, and the ledger.""")
pools = new_group("""Minute pools of an organisation.""")

_Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Amount in the wallet's currency, such as 20.00.")]
_Reference = Annotated[
    str,
    typer.Option(help="Your own name for this booking: the same again books nothing twice.", show_default=False),
]


@wallet.command()
def balance(org: Org, json: Json = False) -> None:
    """Show what is posted, held and available.

    Example: gettone wallet balance contoso
    """
    from gettone.operations import reports

    with opened_office() as office:
        found = reports.wallet(office, org, now())
    if json:
        as_json(found)
        return
    lines: dict[str, object] = {
        "available": money(found.available_micros, found.currency),
        "posted": money(found.posted_micros, found.currency),
        "held by calls": money(found.held_micros, found.currency),
    }
    if found.overrun_micros:
        lines["owed for overrun"] = money(found.overrun_micros, found.currency)
    if found.expired_micros:
        lines["expired"] = money(found.expired_micros, found.currency)
    if found.next_expiry_at:
        lines["next expiry"] = f"{money(found.next_expiry_micros, found.currency)} on {time(found.next_expiry_at)}"
    facts(lines)


@wallet.command()
def lots(
    org: Org,
    unspent: Annotated[bool, typer.Option("--unspent", help="Only lots with credit left.")] = False,
    limit: Limit = 1000,
    json: Json = False,
) -> None:
    """List the purchases and grants that the credit consists of.

    Example: gettone wallet lots contoso --unspent
    """
    from gettone.operations import reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(
            lambda cursor, size: reports.lots(office, org, unspent_only=unspent, cursor=cursor, limit=size), limit
        )
    if json:
        as_json(found)
        return
    table(
        ("lot", "source", "reference", "purchased", "expires", ">amount", ">left", ">held"),
        (
            (
                lot.lot_id,
                lot.source,
                lot.reference,
                lot.purchased_at,
                lot.expires_at,
                money(lot.amount_micros, currency),
                money(lot.remaining_micros, currency),
                money(lot.held_micros, currency),
            )
            for lot in found
        ),
    )


@wallet.command()
def credit(
    org: Org,
    value: _Amount,
    *,
    reference: _Reference = "",
    reason: Annotated[str, typer.Option(help="Why, for the ledger.", show_default=False)] = "",
    expires: Annotated[
        str, typer.Option(help="When it expires, ISO 8601; 12 months from now if not given.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Add credit by hand.

    Example: gettone wallet credit contoso 100.00 --reference PO-4711
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.topups import add_funds

    with opened_office() as office:
        organisation = get_organisation(office, org)
        booked = add_funds(
            office,
            org,
            amount("amount", value, organisation.currency),
            reference=reference or f"cli-{uuid4()}",
            now=now(),
            reason=reason,
            expires_at=instant("expires", expires, zone=organisation.time_zone) if expires else None,
        )
    _booked(booked, json)


@wallet.command(context_settings={"ignore_unknown_options": True})
def adjust(
    org: Org,
    value: _Amount,
    reason: Annotated[str, typer.Option(help="Why, for the ledger.", show_default=False)],
    reference: _Reference = "",
    json: Json = False,
) -> None:
    """Correct the credit, up or down; down goes as far as the credit that no call holds.

    Example: gettone wallet adjust contoso -5.00 --reason "booked twice"
    """
    from gettone.operations import topups
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        micros = amount("amount", value, get_organisation(office, org).currency)
        booked = topups.adjust(office, org, micros, reference=reference or f"cli-{uuid4()}", reason=reason, now=now())
    _booked(booked, json)


def _booked(booked: "Booking", json: bool) -> None:
    if json:
        as_json(booked)
        return
    facts(
        {
            "booked": money(booked.amount_micros, booked.currency)
            + (" (before, under this reference: nothing was done now)" if booked.repeated else ""),
            "reference": booked.reference,
            "entry": booked.entry_number,
            "expires": booked.expires_at,
            "available": money(booked.available_micros, booked.currency),
        }
    )


@wallet.command()
def ledger(
    org: Org,
    kind: Annotated[str, typer.Option(help="Only entries of this kind.", show_default=False)] = "",
    reference: Annotated[str, typer.Option(help="Only entries about this call or booking.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Show the ledger, newest first; the lines of each entry sum to zero.

    Example: gettone wallet ledger contoso --limit 10
    """
    from gettone.operations import reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(
            lambda cursor, size: reports.entries(
                office, org, kind=kind, reference=reference, cursor=cursor, limit=size
            ),
            limit,
        )
    if json:
        as_json(found)
        return
    table(
        (">entry", "posted", "kind", "reference", "account", "lot", ">amount"),
        (
            (
                *((e.entry_number, e.posted_at, e.kind, e.reference or e.reason) if first else (" ", " ", " ", " ")),
                posting.account,
                posting.lot_id,
                money(posting.amount_micros, currency),
            )
            for e in found
            for first, posting in zip([True, *[False] * len(e.postings)], e.postings, strict=False)
        ),
    )


@pools.command("show")
def show_pools(
    org: Org,
    period: Annotated[
        int | None,
        typer.Option(min=200001, max=999912, help="A month as yyyymm; this one if not given.", show_default=False),
    ] = None,
    json: Json = False,
) -> None:
    """Show the minute pools of a month: their size, what is used, held and free.

    Example: gettone pools show contoso --period 202611
    """
    from gettone.operations import reports

    with opened_office() as office:
        found = reports.pools(office, org, now(), period=period)
    if json:
        as_json(found)
        return
    table(
        ("pool", "area", "product", ">month", ">licences", ">size", ">used", ">held", ">free"),
        (
            (
                p.pool_key,
                p.area,
                p.product,
                p.period,
                p.licences,
                clock(p.size_seconds),
                clock(p.used_seconds),
                clock(p.held_seconds),
                clock(p.free_seconds),
            )
            for p in found
        ),
    )
