"""``gettone billing …``: who an organisation is on invoices, who sells to it, and whether use is billed afterwards."""

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import USAGE, Json, Org, new_group, now, opened_office, refuse
from gettone.cli.buying import buyer
from gettone.cli.output import as_json, facts, money, table, time
from gettone.cli.policies import BY

if TYPE_CHECKING:
    from gettone.operations.after_use import AfterUse
    from gettone.operations.billing import Payment

app = new_group("""Billing: profile, sellers, purchase orders, agreements, and billing after use.""")


class OnOff(StrEnum):
    """Whether something shall be on."""

    ON = "on"
    OFF = "off"


_Payment = Annotated[str, typer.Argument(metavar="PAYMENT", help="Id of the payment.", show_default=False)]
_Address = Annotated[
    str | None, typer.Option("--address", help=r"Postal address; \n begins a new line.", show_default=False)
]
_TaxId = Annotated[str | None, typer.Option("--tax-id", help="Tax number.", show_default=False)]


@app.command()
def profile(
    org: Org,
    *,
    legal_name: Annotated[str | None, typer.Option(help="Name on invoices.", show_default=False)] = None,
    address: _Address = None,
    tax_id: _TaxId = None,
    language: Annotated[str | None, typer.Option(help="Of invoices and mails: en or it.", show_default=False)] = None,
    agreement: Annotated[
        str | None,
        typer.Option(help="direct, enterprise, reseller or customer_agreement.", show_default=False),
    ] = None,
    seller: Annotated[str | None, typer.Option(help="Who sells to it; empty for default.", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Show who an organisation is on invoices, or change what is given of it.

    Example: gettone billing profile contoso --legal-name "Contoso S.p.A." --tax-id IT12345678901 --language it
    """
    from gettone.operations import profiles

    given = {
        "legal_name": legal_name,
        "postal_address": _lines(address),
        "tax_id": tax_id,
        "language": language,
        "agreement": agreement,
        "seller_id": seller,
    }
    with opened_office() as office:
        if any(value is not None for value in given.values()):
            found = profiles.set_profile(office, org, buyer(), now(), **given)
        else:
            found = profiles.get_profile(office, org)
    if json:
        as_json(found)
        return
    facts(
        {
            "legal name": found.legal_name,
            "address": found.address.replace("\n", ", "),
            "tax number": found.tax_id,
            "language": found.language,
            "agreement": found.agreement,
            "seller": found.seller_id or "default",
            **({"moving since": time(found.moving_since)} if found.moving_since else {}),
        }
    )


def _lines(text: str | None) -> str | None:
    return None if text is None else text.replace("\\n", "\n")


@app.command()
def seller(
    seller_id: Annotated[str, typer.Argument(metavar="SELLER", help="Id of the seller.")] = "default",
    *,
    name: Annotated[str | None, typer.Option(help="Name on invoices.", show_default=False)] = None,
    address: _Address = None,
    tax_id: _TaxId = None,
    email: Annotated[str | None, typer.Option(help="Address for questions.", show_default=False)] = None,
    prefix: Annotated[
        str | None, typer.Option(help="Stands before the numbers of its invoices.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Name a seller of credit, as invoices show it, or change what is given of one.

    Example: gettone billing seller --name "Example Telecom S.r.l." --tax-id IT98765432109 --prefix E-
    """
    from gettone.operations import sellers

    with opened_office() as office:
        made = sellers.set_seller(
            office,
            seller_id,
            now(),
            name=name,
            seller_address=_lines(address),
            tax_id=tax_id,
            email=email,
            prefix=prefix,
        )
    if json:
        as_json(made)
        return
    facts(
        {
            "seller": made.seller_id,
            "name": made.name,
            "address": made.address.replace("\n", ", "),
            "tax number": made.tax_id,
            "email": made.email,
            "first number": f"{made.prefix}1",
        }
    )


@app.command("sellers")
def list_sellers(json: Json = False) -> None:
    """List those who sell; the default sells to every organisation that names no other.

    Example: gettone billing sellers
    """
    from gettone.operations import sellers

    with opened_office() as office:
        found = sellers.list_sellers(office, now())
    if json:
        as_json(found)
        return
    table(
        ("seller", "name", "tax number", "email", "prefix"),
        ((one.seller_id, one.name, one.tax_id, one.email, one.prefix) for one in found),
    )


@app.command("after-use")
def after_use(
    org: Org,
    wanted: Annotated[OnOff | None, typer.Argument(metavar="[on|off]", show_default=False)] = None,
    json: Json = False,
) -> None:
    """Show where an organisation stands between prepaying and billing after use, or switch the latter on or off.

    Example: gettone billing after-use contoso on
    """
    from gettone.operations import after_use as operations

    with opened_office() as office:
        if wanted is None:
            found = operations.status(office, org, now())
        else:
            found = operations.switch(office, org, buyer(), now(), on=wanted is OnOff.ON)
    _stands(found, json)


@app.command()
def move(
    org: Org,
    cancel: Annotated[bool, typer.Option("--cancel", help="Take the move back, while credit is left.")] = False,
    json: Json = False,
) -> None:
    """Move an organisation over to billing after use: auto-recharge off, credit drains, then use is billed.

    Example: gettone billing move contoso
    """
    from gettone.operations import after_use as operations

    with opened_office() as office:
        act = operations.cancel_move if cancel else operations.begin_move
        found = act(office, org, buyer(), now())
    _stands(found, json)


def _stands(found: "AfterUse", json: bool) -> None:
    if json:
        as_json(found)
        return
    phases = {
        "prepaid": "credit pays; nothing is billed after use",
        "draining": "credit that is left pays first, then use is billed",
        "after_use": "use is billed after the month",
    }
    facts(
        {
            "phase": f"{found.phase}: {phases[found.phase]}",
            "agreement": found.agreement,
            **({"moving since": time(found.moving_since)} if found.moving_since else {}),
            "credit left": money(found.left_micros, found.currency),
            "spent in 30 days": money(found.spent_30_days_micros, found.currency),
            "credit ends about": found.expected_end or "",
            "used, not invoiced": money(found.not_invoiced_micros, found.currency),
        }
    )


@app.command("purchase-order")
def purchase_order(
    org: Org,
    number: Annotated[str, typer.Argument(metavar="PURCHASE_ORDER", help="Empty for none.", show_default=False)],
    *,
    order: Annotated[str, typer.Option(help="The order of credit that it is for.", show_default=False)] = "",
    invoice: Annotated[str, typer.Option(help="Or the invoice, by number or id.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Write another purchase order into an order and its invoices; what it was stays in the history.

    Example: gettone billing purchase-order contoso PO-4712 --invoice 17
    """
    from gettone.operations import profiles

    if bool(order) == bool(invoice):
        refuse("name what it is for: --order ORDER or --invoice INVOICE", USAGE)
    with opened_office() as office:
        changed = profiles.change_purchase_order(office, org, number, buyer(), now(), order_id=order, invoice=invoice)
    if json:
        from gettone.operations.invoicing import summary

        as_json([summary(one) for one in changed])
        return
    names = ", ".join(one.number or one.invoice_id for one in changed) or "none yet"
    typer.echo(f"purchase order {number or 'taken away'}; invoices that show it: {names}")


@app.command()
def confirm(org: Org, payment: _Payment, json: Json = False) -> None:
    """Confirm an order by agreement: its credit counts from now on.

    Example: gettone billing confirm contoso 00000007-1
    """
    from gettone.operations import agreements

    with opened_office() as office:
        _decided(agreements.confirm(office, org, payment, by=BY, now=now()), json)


@app.command()
def reject(
    org: Org,
    payment: _Payment,
    reason: Annotated[str, typer.Option(help="Why, for the one who ordered.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Turn an order by agreement down.

    Example: gettone billing reject contoso 00000007-1 --reason "the agreement has ended"
    """
    from gettone.operations import agreements

    with opened_office() as office:
        _decided(agreements.reject(office, org, payment, by=BY, now=now(), reason=reason), json)


def _decided(payment: "Payment", json: bool) -> None:
    if json:
        as_json(payment)
        return
    typer.echo(
        f"payment {payment.payment_id}: {payment.state.value}" + (f" ({payment.detail})" if payment.detail else "")
    )
