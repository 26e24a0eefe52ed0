"""``gettone methods …``: cards and agreements to pay by."""

from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Org, amount, new_group, now, opened_office
from gettone.cli.buying import as_given, buyer, paying
from gettone.cli.output import as_json, facts, money, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gettone.operations.methods import MethodView

app = new_group("""Payment methods: cards, and Enterprise Agreements. They are tried in order.""")

_Method = Annotated[str, typer.Argument(metavar="METHOD", help="Id of the payment method.", show_default=False)]
_Limit = Annotated[
    str, typer.Option("--credit-limit", help="How much may be unpaid, or none for no limit.", show_default=False)
]
_AtOnce = Annotated[
    bool | None,
    typer.Option(
        "--at-once/--on-confirmation",
        help="Whether credit counts at once, or once the operator has confirmed the order.",
        show_default=False,
    ),
]


@app.command("list")
def list_all(org: Org, json: Json = False) -> None:
    """List the payment methods in the order in which they are tried.

    Example: gettone methods list contoso
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.methods import list_methods

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = list_methods(office, org)
    as_json(found) if json else _print(found, currency)


def _print(found: "Sequence[MethodView]", currency: str) -> None:
    table(
        ("method", "label", "state", "expires", "purchase order", ">unpaid", ">credit limit", "credit counts"),
        (
            (
                *(m.method_id, m.label, m.state, f"{m.expires % 100:02d}/{m.expires // 100}" if m.expires else ""),
                m.purchase_order,
                *(_agreement(one, currency) if m.kind == "agreement" else ("", "", "")),
            )
            for one in found
            for m in (one.method,)
        ),
    )


def _agreement(one: "MethodView", currency: str) -> tuple[str, str, str]:
    limit = one.method.credit_limit_micros
    return (
        money(one.unpaid_micros, currency),
        "none" if limit is None else money(limit, currency),
        "on confirmation" if one.method.on_confirmation else "at once",
    )


@app.command()
def add_card(
    org: Org,
    provider: Annotated[
        str, typer.Option(help="Who keeps the card; the provider that is set up if not given.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Prepare for a card to be entered at the payment provider; when that is done: gettone methods finish-card.

    Example: gettone methods add-card contoso
    """
    from gettone.operations.methods import begin_card

    with opened_office() as office:
        providers = paying(office).providers
        begun = begin_card(office, org, buyer(), now(), providers=providers, provider=provider)
    if json:
        as_json(begun)
        return
    facts({"method": begun.method.method_id, "enter it at": begun.link, "secret for a page of yours": begun.secret})
    typer.echo(f"then: gettone methods finish-card {org} {begun.method.method_id}", err=True)


@app.command()
def finish_card(org: Org, method: _Method, json: Json = False) -> None:
    """Take in the card that was entered. A new card lets a suspended auto-recharge go on.

    Example: gettone methods finish-card contoso card-1
    """
    from gettone.operations import methods

    with opened_office() as office:
        finished = methods.finish_card(office, org, method, buyer(), now(), providers=paying(office).providers)
    as_json(finished) if json else typer.echo(f"{finished.method_id}: {finished.label} is ready")


@app.command()
def add_agreement(
    org: Org,
    number: Annotated[str, typer.Argument(metavar="NUMBER", help="Number of the agreement.", show_default=False)],
    *,
    country: Annotated[str, typer.Option(help="Where it is billed, ISO 3166-1, such as IT.", show_default=False)],
    purchase_order: Annotated[str, typer.Option(help="Orders take it over.", show_default=False)] = "",
    credit_limit: _Limit = "none",
    at_once: _AtOnce = False,
    json: Json = False,
) -> None:
    """Add an Enterprise Agreement to pay by; there may be several.

    Example: gettone methods add-agreement contoso E1234567 --country US --credit-limit 5000 --at-once
    """
    from gettone.operations import methods
    from gettone.operations.directory import get_organisation

    with opened_office() as office, as_given():
        new = methods.NewAgreement(
            number=number,
            billing_country=country,
            purchase_order=purchase_order,
            credit_limit_micros=_limit(credit_limit, get_organisation(office, org).currency),
            on_confirmation=not at_once,
        )
        added = methods.add_agreement(office, org, new, buyer(), now())
    as_json(added) if json else typer.echo(f"{added.method_id}: {added.label} is ready")


def _limit(text: str, currency: str) -> int | None:
    return None if text == "none" else amount("credit-limit", text, currency)


@app.command("credit")
def change_credit(
    org: Org, method: _Method, *, credit_limit: _Limit = "", at_once: _AtOnce = None, json: Json = False
) -> None:
    """Change what credit an agreement gives.

    Example: gettone methods credit contoso agreement-2 --credit-limit 10000 --at-once
    """
    from msgspec import UNSET

    from gettone.operations import methods
    from gettone.operations.directory import get_organisation

    with opened_office() as office, as_given():
        currency = get_organisation(office, org).currency
        changes = methods.MethodChanges(
            credit_limit_micros=_limit(credit_limit, currency) if credit_limit else UNSET,
            on_confirmation=UNSET if at_once is None else not at_once,
        )
        methods.change(office, org, method, buyer(), now(), changes=changes)
        found = methods.get_method(office, org, method)
    as_json(found) if json else _print([found], currency)


@app.command()
def order(
    org: Org,
    methods: Annotated[
        list[str], typer.Argument(metavar="METHOD...", help="Every method that is ready, first to last.")
    ],
    json: Json = False,
) -> None:
    """Change the order in which methods are tried: the first is charged, the others step in after a decline.

    Example: gettone methods order contoso card-2 card-1
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.methods import order as order_methods

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = order_methods(office, org, methods, buyer(), now())
    as_json(found) if json else _print(found, currency)


@app.command()
def remove(org: Org, method: _Method, json: Json = False) -> None:
    """Take a payment method away; refused while a payment by it is open, or while the auto-recharge has no other.

    Example: gettone methods remove contoso card-1
    """
    from gettone.operations import methods

    with opened_office() as office:
        removed = methods.remove(office, org, method, buyer(), now())
    as_json(removed) if json else typer.echo(f"{removed.method_id}: {removed.label} removed")


@app.command("purchase-order")
def purchase_order(
    org: Org,
    method: _Method,
    number: Annotated[
        str, typer.Argument(metavar="NUMBER", help='The purchase order; "" for none.', show_default=False)
    ],
    json: Json = False,
) -> None:
    """Change the purchase order that orders by a method take over, those of the auto-recharge too.

    Example: gettone methods purchase-order contoso agreement-2 PO-4712
    """
    from gettone.operations import methods

    with opened_office() as office:
        changes = methods.MethodChanges(purchase_order=number)
        changed = methods.change(office, org, method, buyer(), now(), changes=changes)
    if json:
        as_json(changed)
    else:
        typer.echo(f"{changed.method_id}: {changed.label}, purchase order {changed.purchase_order or 'none'}")


@app.command()
def history(org: Org, method: _Method, json: Json = False) -> None:
    """Show who changed what of a payment method, newest first.

    Example: gettone methods history contoso agreement-2
    """
    from gettone.operations import methods

    with opened_office() as office:
        found = methods.history(office, org, method)
    if json:
        as_json(found)
        return
    table(
        ("at", "by", "action", "what", "before", "after"),
        (
            (entry.at, entry.by, entry.action, name, before, after)
            for entry in found
            for name, (before, after) in (entry.changes or {"": ("", "")}).items()
        ),
    )
