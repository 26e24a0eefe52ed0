"""``gettone credits …``: buying Communications Credits, the payments for them, and refunds."""

from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from gettone.cli.base import USAGE, Json, Limit, Org, all_pages, amount, new_group, now, opened_office, refuse, settings
from gettone.cli.licences import on_terminal
from gettone.cli.output import as_json, facts, money, table, time
from gettone.cli.policies import BY
from gettone.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gettone.operations.billing import CreditOrder, Payment
    from gettone.operations.buying import Buyer, NewOrder, Review
    from gettone.operations.office import Office
    from gettone.operations.paying import Paying
    from gettone.operations.payment_reports import OrderView

app = new_group("""Buying credit: what an order comes to, the order, its payments, and refunds.""")

Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before money moves.")]
_Amount = Annotated[str, typer.Argument(metavar="AMOUNT", help="Whole units of the currency, such as 50.")]
_Method = Annotated[str, typer.Option("--method", help="Payment method; the first if not given.", show_default=False)]
_PurchaseOrder = Annotated[
    str, typer.Option("--purchase-order", help="Your purchase order; the method's if not given.", show_default=False)
]


def buyer() -> "Buyer":
    """Whoever may use the command line has the database, and is the operator."""
    from gettone.operations.buying import OPERATOR, Buyer

    return Buyer(OPERATOR, BY)


def paying(office: "Office") -> "Paying":
    """What asks the payment providers that the settings name."""
    from gettone.bootstrap.paying import opened_paying

    return opened_paying(settings(), office, now)


def asked(question: str, *, yes: bool) -> None:
    """Go on after a yes: given beforehand, or on a terminal. Money is not moved for a program that did not say so."""
    if yes:
        return
    if not on_terminal():
        refuse(f"{question} Nothing was done: give --yes to go on without being asked", USAGE)
    typer.echo(question, err=True)
    typer.confirm("Go on?", abort=True, err=True)


@contextmanager
def as_given() -> "Iterator[None]":
    """Name the fields of an error as the command line does: trigger, not trigger_micros."""
    try:
        yield
    except InvalidInput as error:
        raise InvalidInput(error.field.removesuffix("_micros"), error.value, error.remedy) from error


@app.command()
def review(
    org: Org, value: _Amount, *, method: _Method = "", purchase_order: _PurchaseOrder = "", json: Json = False
) -> None:
    """Show what an order would come to, with its tax, and what stands in its way. Nothing is ordered.

    Example: gettone credits review contoso 50
    """
    from gettone.operations import buying

    with opened_office() as office, as_given():
        new = _order(office, org, value, method=method, purchase_order=purchase_order, reference="review")
        found = buying.review(office, org, new, buyer(), now())
    if json:
        as_json(found)
        return
    _print_review(found)
    for number, obstacle in enumerate(found.obstacles, 1):
        typer.echo(f"{number}. {obstacle.what} {obstacle.remedy}")


def _order(office: "Office", org: str, value: str, *, method: str, purchase_order: str, reference: str) -> "NewOrder":
    from gettone.operations.buying import NewOrder
    from gettone.operations.directory import get_organisation

    currency = get_organisation(office, org).currency
    return NewOrder(
        amount_micros=amount("amount", value, currency),
        reference=reference,
        method_id=method,
        purchase_order=purchase_order,
    )


def _print_review(found: "Review") -> None:
    from gettone.operations.payment_reports import percent

    currency = found.currency
    lines: dict[str, object] = {"credit": money(found.amount_micros, currency)}
    if found.tax_micros:
        lines[f"{found.tax_label} {percent(found.tax_millionths)} %"] = money(found.tax_micros, currency)
    lines |= {
        "total": money(found.total_micros, currency),
        "payment method": found.method_label,
        "purchase order": found.purchase_order,
        "available now": money(found.available_micros, currency),
        "available after": money(found.available_after_micros, currency),
        "expires": found.expires_at,
    }
    facts(lines)


@app.command()
def buy(
    org: Org,
    value: _Amount,
    *,
    method: _Method = "",
    purchase_order: _PurchaseOrder = "",
    reference: Annotated[
        str,
        typer.Option(help="Your own name for the order: the same again orders nothing more.", show_default=False),
    ] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Buy credit and pay for it at once.

    The order is shown first; on a terminal it is asked for, elsewhere --yes is needed.

    Example: gettone credits buy contoso 50 --yes
    """
    from gettone.operations import buying, methods
    from gettone.operations.checkout import pay_now

    with opened_office() as office, as_given():
        name = reference or f"cli-{uuid4()}"
        new = _order(office, org, value, method=method, purchase_order=purchase_order, reference=name)
        found = buying.review(office, org, new, buyer(), now())
        if not yes and not found.obstacles:
            total = money(found.total_micros, found.currency)
            asked(f"This charges {total} to {found.method_label}.", yes=yes)
        carrier = paying(office)
        placed = buying.place_order(office, org, new, buyer(), now())
        view = pay_now(office, carrier, org, placed.order.order_id)
        label = methods.get_method(office, org, view.payments[0].method_id).method.label
    if json:
        as_json(view)
    else:
        before = "this reference was ordered before: " if placed.repeated else ""
        typer.echo(before + outcome(org, view, found.currency, label))
    if view.order.state == "failed":
        raise typer.Exit(1)


def outcome(org: str, view: "OrderView", currency: str, label: str) -> str:
    """What became of an order, in one sentence."""
    order, payment = view.order, view.payments[-1]
    credit, total = money(order.amount_micros, currency), money(order.gross_micros, currency)
    name = f"order {order.order_id}"
    if order.state == "fulfilled":
        paid = "to be paid" if payment.provider == "agreement" else "paid"
        return f"{name}: {credit} of credit bought, {total} {paid} by {label}"
    if order.state == "failed":
        return f"{name}: declined ({payment.detail or payment.code or order.reason}); nothing was charged"
    look = f"look: gettone credits payment {org} {payment.payment_id}"
    if view.link:
        return f"{name}: {total} have to be confirmed by a person: {view.link}"
    if payment.state.value == "unknown":
        return (
            f"{name}: nobody knows yet whether {total} were paid ({payment.detail}); it is asked again "
            f"at {time(payment.next_at)} under the same key and never charged twice; {look}"
        )
    if payment.provider == "agreement":
        return f"{name}: {credit} of credit count once the operator has confirmed the order; {look}"
    return f"{name}: the payment of {total} is on its way; {look}"


@app.command("orders")
def list_orders(
    org: Org,
    kind: Annotated[str, typer.Option(help="Only purchase, or only recharge.", show_default=False)] = "",
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List what was ordered, newest first.

    Example: gettone credits orders contoso --kind recharge
    """
    from gettone.operations import buying
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(lambda cursor, size: buying.orders(office, org, kind=kind, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    print_orders(found, currency)


def print_orders(found: "list[CreditOrder]", currency: str) -> None:
    """Print orders as a table."""
    table(
        ("order", "kind", "state", "ordered", "by", ">amount", ">tax", "purchase order", "reason"),
        (
            (
                *(o.order_id, o.kind, o.state, o.ordered_at, o.ordered_by),
                *(money(o.amount_micros, currency), money(o.tax_micros, currency), o.purchase_order, o.reason),
            )
            for o in found
        ),
    )


@app.command("payments")
def list_payments(org: Org, limit: Limit = 50, json: Json = False) -> None:
    """List payments and refunds, newest first.

    Example: gettone credits payments contoso
    """
    from gettone.operations import payment_reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(lambda cursor, size: payment_reports.payments(office, org, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(
        ("payment", "kind", "state", "created", "method", ">paid", ">credit", "code"),
        (
            (
                *(p.payment_id, p.kind, p.state.value, p.created_at, p.method_id),
                *(money(p.gross_micros, currency), money(p.net_micros, currency), p.code),
            )
            for p in found
        ),
    )


@app.command("payment")
def show_payment(
    org: Org,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="Id of the payment.", show_default=False)],
    json: Json = False,
) -> None:
    """Show one payment and every step that it took.

    Example: gettone credits payment contoso 00000001-1
    """
    from gettone.operations import payment_reports
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = payment_reports.payment(office, org, payment)
    if json:
        as_json(found)
        return
    _print_payment(found.payment, currency)
    table(
        (">step", "at", "state", "code", "detail"),
        ((e.line, e.at, e.state.value, e.code, e.detail) for e in found.events),
    )


def _print_payment(payment: "Payment", currency: str) -> None:
    lines: dict[str, object] = {
        "payment": payment.payment_id,
        "kind": payment.kind,
        "state": payment.state.value,
        "paid": money(payment.gross_micros, currency),
        "credit": money(payment.net_micros, currency),
        "method": payment.method_id,
        "provider's name": payment.provider_ref,
    }
    details = {
        "refund of": payment.refund_of,
        "why": payment.detail or payment.code,
        "to confirm at": payment.link,
        "asked again": payment.next_at,
        "lot": payment.lot_id,
        "refunded": payment.refunded_micros and money(payment.refunded_micros, currency),
        "disputed": payment.disputed_micros and money(payment.disputed_micros, currency),
    }
    lines |= {name: detail for name, detail in details.items() if detail}
    facts(lines)


@app.command()
def refund(
    org: Org,
    payment: Annotated[str, typer.Argument(metavar="PAYMENT", help="Id of the payment.", show_default=False)],
    *,
    value: Annotated[
        str,
        typer.Option("--amount", help="How much of the credit; all that is unused if not given.", show_default=False),
    ] = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Pay back the unused part of what a payment bought, with its share of the tax.

    The credit leaves the wallet at once; if the provider refuses, it comes back.

    Example: gettone credits refund contoso 00000001-1 --yes
    """
    from gettone.operations import payment_reports, payments
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        micros = amount("amount", value, currency) if value else None
        before = payment_reports.payment(office, org, payment).payment
        wanted = money(micros, currency) if micros is not None else "what is unused"
        asked(f"This pays back {wanted} of payment {payment}.", yes=yes)
        carrier = paying(office)
        begun = payments.refund(
            office,
            org,
            payment,
            now(),
            by=buyer().name,
            amount_micros=micros,
            # What was looked at when the question was asked.
            expected_version=before.version,
        )
        carrier.pay(org, begun.payment_id)
        found = payment_reports.payment(office, org, begun.payment_id).payment
    if json:
        as_json(found)
    else:
        typer.echo(_refunded(found, currency))
    if found.state.value == "declined":
        raise typer.Exit(1)


def _refunded(found: "Payment", currency: str) -> str:
    credit, total = money(found.net_micros, currency), money(found.gross_micros, currency)
    if found.state.value == "succeeded":
        return f"refund {found.payment_id}: {total} paid back for {credit} of credit"
    if found.state.value == "declined":
        return f"refund {found.payment_id}: refused ({found.detail or found.code}); {credit} are in the wallet again"
    return f"refund {found.payment_id}: {total} are on their way back; {credit} have left the wallet"
