"""``gettone licences …``: what an organisation buys, who holds it, and whether somebody can call.

Words after the organisation are users and products: what the catalogue knows by part number, id or alias is a product,
everything else a user. So the commands that refusals name can be typed as they stand. ``--user``, ``--add`` and
``--remove`` say it outright, for scripts.

On a terminal whatever a change takes away is shown and asked about before it is done; ``--yes`` answers beforehand.
"""

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated
from uuid import uuid4

import typer

from gettone.cli.base import (
    REFUSED,
    USAGE,
    Json,
    Limit,
    Org,
    all_pages,
    complain,
    new_group,
    now,
    opened_office,
    refuse,
    settings,
)
from gettone.cli.output import as_json, facts, plural, table

if TYPE_CHECKING:
    from gettone.domain.catalogue import Terms
    from gettone.operations.licensing import LicenceOutcome, LicenceReport, Selection
    from gettone.operations.office import Office
    from gettone.operations.views import SubscriptionView

app = new_group("""Licences: what an organisation owns, who holds what, and whether somebody can call.""")

SHOWN_MAX = 20
"""So many users are told of one by one; --json tells of all."""

_Names = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="NAME",
        help="Users (user id or user principal name) and products (part number, id or alias).",
        show_default=False,
    ),
]
_Product = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="Part number, id or alias of a product.", show_default=False)
]
_Subscription = Annotated[
    str, typer.Argument(metavar="SUBSCRIPTION", help="Id or reference of the subscription.", show_default=False)
]
_Users = Annotated[list[str] | None, typer.Option("--user", help="A user.", show_default=False)]
_Add = Annotated[
    list[str] | None,
    typer.Option("--add", help="A product to assign; PRODUCT!PLAN is without that service plan.", show_default=False),
]
_Remove = Annotated[list[str] | None, typer.Option("--remove", help="A product to take away.", show_default=False)]
_Without = Annotated[
    list[str] | None,
    typer.Option("--without", help="A service plan to switch off in what is assigned.", show_default=False),
]
_Search = Annotated[str, typer.Option(help="All users in whose name or id this text occurs.", show_default=False)]
_Department = Annotated[str, typer.Option(help="All users of this department.", show_default=False)]
_CostCentre = Annotated[str, typer.Option(help="All users of this cost centre.", show_default=False)]
_Location = Annotated[str, typer.Option(help="All users with this usage location.", show_default=False)]
_Holding = Annotated[str, typer.Option(help="All users who hold this product.", show_default=False)]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and change nothing.")]
Partial = Annotated[bool, typer.Option("--partial", help="Do what can be done, and report the rest.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask about what is taken away.")]


# -- what is owned -----------------------------------------------------------------------------------------------------


@app.command("list")
def list_products(org: Org, json: Json = False) -> None:
    """List the products of an organisation: how many are bought, assigned and available.

    Example: gettone licences list contoso
    """
    from gettone.operations.subscriptions import list_products as listed

    with opened_office() as office:
        found = listed(office, org, now())
    if json:
        as_json(found)
        return
    table(
        ("product", "name", ">bought", ">included", ">assigned", ">available"),
        ((p.sku, p.name, f"{p.purchased:,}", f"{p.included:,}", f"{p.assigned:,}", f"{p.available:,}") for p in found),
    )


@app.command()
def buy(
    org: Org,
    product: _Product,
    quantity: Annotated[
        int | None,
        typer.Argument(
            metavar="QUANTITY", help="How many; 1, or what an order of the product has.", show_default=False
        ),
    ] = None,
    reference: Annotated[
        str, typer.Option(help="Your own name for this order: the same again buys nothing twice.", show_default=False)
    ] = "",
    json: Json = False,
) -> None:
    """Buy licences.

    Example: gettone licences buy contoso MCOPSTN1 25 --reference PO-4711
    """
    from gettone.operations import subscriptions

    with opened_office() as office:
        bought = subscriptions.buy(
            office, org, product, now(), reference=reference or f"cli-{uuid4()}", quantity=quantity
        )
    _print_subscription(bought, json=json)


@app.command()
def change(
    org: Org,
    subscription: _Subscription,
    quantity: Annotated[int, typer.Argument(metavar="QUANTITY", help="How many from now on.", show_default=False)],
    json: Json = False,
) -> None:
    """Change how many licences a subscription has; not below what is assigned.

    Example: gettone licences change contoso PO-4711 30
    """
    from gettone.operations import subscriptions

    with opened_office() as office:
        changed = subscriptions.change_quantity(office, org, subscription, quantity, now())
    _print_subscription(changed, json=json)


@app.command()
def end(org: Org, subscription: _Subscription, json: Json = False) -> None:
    """End a subscription; not while its licences are assigned.

    Example: gettone licences end contoso PO-4711
    """
    from gettone.operations import subscriptions

    with opened_office() as office:
        ended = subscriptions.end_subscription(office, org, subscription, now())
    _print_subscription(ended, json=json)


@app.command("subscriptions")
def list_subscriptions(
    org: Org,
    ended: Annotated[bool, typer.Option("--ended", help="Also those that are over.")] = False,
    json: Json = False,
) -> None:
    """List what an organisation has bought, order by order.

    Example: gettone licences subscriptions contoso
    """
    from gettone.operations import subscriptions

    with opened_office() as office:
        found = subscriptions.list_subscriptions(office, org, ended=ended)
    if json:
        as_json(found)
        return
    table(
        ("subscription", "product", ">quantity", "reference", "bought", *(("ended",) if ended else ())),
        (
            (
                s.subscription_id,
                s.sku,
                f"{s.quantity:,}",
                s.reference,
                s.created_at,
                *((s.ended_at,) if ended else ()),
            )
            for s in found
        ),
    )


def _print_subscription(found: "SubscriptionView", *, json: bool) -> None:
    if json:
        as_json(found)
        return
    facts(
        {
            "subscription": found.subscription_id,
            "product": found.sku,
            "quantity": f"{found.quantity:,}",
            "reference": found.reference,
            "bought": found.created_at,
            **({"ended": found.ended_at} if found.ended_at else {}),
        }
    )


# -- who holds what ----------------------------------------------------------------------------------------------------


@app.command()
def assign(
    org: Org,
    names: _Names = None,
    *,
    user: _Users = None,
    add: _Add = None,
    without: _Without = None,
    remove: _Remove = None,
    search: _Search = "",
    department: _Department = "",
    cost_centre: _CostCentre = "",
    location: _Location = "",
    holding: _Holding = "",
    dry_run: DryRun = False,
    partial: Partial = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Assign products to users, and take others away in the same step; minute pools follow at once.

    Without --partial one refusal keeps everybody as they were. A swap in one step keeps the number.

    Example: gettone licences assign contoso anna@contoso.com MCOEV MCOPSTN1

    Example: gettone licences assign contoso --department Sales --add MCOPSTN2 --remove MCOPSTN1 --dry-run
    """
    from gettone.operations.licensing import Selection

    with opened_office() as office:
        users, products, terms = _sorted_out(office, names)
        products += add or []
        if not products and not remove:
            _check_last_is_a_product(users, terms)
        picked = Selection(
            users=(*users, *(user or ())),
            search=search,
            department=department,
            cost_centre=cost_centre,
            usage_location=location,
            holds=holding,
        )
        adds = _switched_off(products, without or [], terms)
        do = _changing(office, org, picked, adds, tuple(remove or ()), partial=partial)
        report = _asked(do, dry_run=dry_run, partial=partial, yes=yes)
    _print_report(report, dry_run=dry_run, json=json)


@app.command()
def remove(
    org: Org,
    names: _Names = None,
    *,
    user: _Users = None,
    search: _Search = "",
    department: _Department = "",
    cost_centre: _CostCentre = "",
    location: _Location = "",
    holding: _Holding = "",
    dry_run: DryRun = False,
    partial: Partial = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Take products away from users; pools shrink at once, minutes already used are never charged later.

    Example: gettone licences remove contoso anna@contoso.com MCOPSTN1
    """
    from gettone.operations.licensing import Selection

    with opened_office() as office:
        users, products, terms = _sorted_out(office, names)
        if not products:
            _check_last_is_a_product(users, terms)
        picked = Selection(
            users=(*users, *(user or ())),
            search=search,
            department=department,
            cost_centre=cost_centre,
            usage_location=location,
            holds=holding,
        )
        do = _changing(office, org, picked, (), tuple(products), partial=partial)
        report = _asked(do, dry_run=dry_run, partial=partial, yes=yes)
    _print_report(report, dry_run=dry_run, json=json)


@app.command("set")
def set_licences(
    org: Org,
    user: Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)],
    products: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="PRODUCT",
            help="Products to hold; none takes all away. PRODUCT!PLAN is without that service plan.",
            show_default=False,
        ),
    ] = None,
    *,
    dry_run: DryRun = False,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Let a user hold exactly these products and no others.

    Example: gettone licences set contoso anna@contoso.com SPE_E5 MCOPSTN2
    """
    from gettone.operations.licensing import LicenceChange, run

    change = LicenceChange(user=user, exactly=tuple(products or ()))
    with opened_office() as office:

        def do(trying: bool) -> "LicenceReport":
            return run(office, org, now(), lambda _: [change], dry_run=trying)

        report = _asked(do, dry_run=dry_run, partial=False, yes=yes)
    _print_report(report, dry_run=dry_run, json=json)


@app.command()
def holders(org: Org, product: _Product, limit: Limit = 1000, json: Json = False) -> None:
    """List the users who hold a product.

    Example: gettone licences holders contoso MCOPSTN1
    """
    from gettone.operations.licensing import holders as held_by

    with opened_office() as office:
        found = all_pages(lambda cursor, size: held_by(office, org, product, now(), cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(
        ("name", "user", "location", "licences", "numbers"),
        ((u.upn, u.user_id, u.usage_location, u.licences, u.numbers) for u in found),
    )


def _sorted_out(office: "Office", names: Sequence[str] | None) -> "tuple[list[str], list[str], Terms]":
    """Which of *names* are users and which are products, and the terms of today that say so."""
    from gettone.domain.catalogue import SEPARATOR
    from gettone.operations.catalogue import current

    terms = current(office).terms(now().date())
    users: list[str] = []
    products: list[str] = []
    for name in names or ():
        known = terms.product(name.partition(SEPARATOR)[0])
        (users if known is None else products).append(name)
    return users, products, terms


def _check_last_is_a_product(users: Sequence[str], terms: "Terms") -> None:
    """End with what is wrong when no product is named; the last word was most likely to be one."""
    from gettone.domain.catalogue import SEPARATOR
    from gettone.operations import checks

    if len(users) > 1:
        checks.product(users[-1].partition(SEPARATOR)[0], terms)
    refuse("PRODUCT: name a product; list them: gettone catalogue show products", USAGE)


def _switched_off(products: Sequence[str], without: Sequence[str], terms: "Terms") -> tuple[str, ...]:
    """The licences to assign: each product without those of the service plans that it has."""
    from gettone.domain.catalogue import SEPARATOR
    from gettone.errors import InvalidInput

    made = list(products)
    for plan in without:
        having = [
            position
            for position, product in enumerate(made)
            if (known := terms.product(product.partition(SEPARATOR)[0])) is not None
            and plan in terms.plans_of.get(known.sku, {})
        ]
        if not having:
            raise InvalidInput("--without", plan, "no product that is assigned here has this service plan")
        for position in having:
            made[position] += SEPARATOR + plan
    return tuple(made)


_Do = Callable[[bool], "LicenceReport"]
"""Do it, or with True only try."""


def _changing(
    office: "Office",
    org: str,
    selection: "Selection",
    add: tuple[str, ...],
    remove: tuple[str, ...],
    *,
    partial: bool,
) -> "_Do":
    from gettone.operations.licensing import assign_selection

    def do(trying: bool) -> "LicenceReport":
        return assign_selection(office, org, selection, now(), add=add, remove=remove, partial=partial, dry_run=trying)

    return do


def _asked(do: "_Do", *, dry_run: bool, partial: bool, yes: bool) -> "LicenceReport":
    """Do it, after asking on a terminal about what is taken away."""
    if dry_run or yes or not on_terminal():
        return do(dry_run)
    tried = do(True)
    if tried.refused and not partial:
        return tried
    taken = [f"{one.upn}: {line}" for one in tried.outcomes if one.changes for line in one.consequences]
    if taken:
        print_some(taken, "more: see --dry-run --json")
        typer.confirm("Go on?", abort=True, err=True)
    return do(False)


def on_terminal() -> bool:
    """Whether there is somebody to ask."""
    return sys.stdin.isatty()


def print_some(lines: Sequence[str], rest: str) -> None:
    """Print the first of *lines* on standard error."""
    for line in lines[:SHOWN_MAX]:
        typer.echo(line, err=True)
    if len(lines) > SHOWN_MAX:
        typer.echo(f"and {len(lines) - SHOWN_MAX:,} {rest}", err=True)


def _print_report(report: "LicenceReport", *, dry_run: bool, json: bool) -> None:
    """Tell what was done; ends with 1 when anybody was refused."""
    if json:
        as_json(report)
    else:
        changed = [one for one in report.outcomes if one.changes]
        if report.written or dry_run:
            for one in changed[:SHOWN_MAX]:
                typer.echo(_told(one))
                for line in one.consequences:
                    typer.echo(f"  {line}")
            if len(changed) > SHOWN_MAX:
                typer.echo(f"and {len(changed) - SHOWN_MAX:,} more: see --json")
        if report.written or not report.refused:
            typer.echo(
                f"{plural(len(report.outcomes), 'user')}: {report.changed:,} changed, {report.unchanged:,} unchanged, "
                f"{report.refused:,} refused" + ("; nothing was written: this was a dry run" if dry_run else "")
            )
    if report.refused:
        _refuse_users(report, dry_run=dry_run)


def _told(one: "LicenceOutcome") -> str:
    """One user's change in a line."""
    gained = [f"+{licence}" for licence in one.after if licence not in one.before]
    lost = [f"-{licence}" for licence in one.before if licence not in one.after]
    given = [f"+{number}" if not number.startswith("+") else number for number in one.numbers_given]
    return f"{one.upn}: {' '.join([*gained, *lost, *given]) or 'usage location ' + (one.location_after or '-')}"


def _refuse_users(report: "LicenceReport", *, dry_run: bool) -> None:
    kept = "" if report.written or dry_run else "; nothing was changed"
    complain(f"{report.refused:,} of {plural(len(report.outcomes), 'user')} refused{kept}")
    lines = [f"{one.upn or one.user}: {violation}" for one in report.outcomes for violation in one.violations]
    print_some(lines, "more: see --json")
    raise typer.Exit(REFUSED)


# -- before the first call ---------------------------------------------------------------------------------------------


@app.command()
def check(
    org: Org,
    user: Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)],
    call: Annotated[
        str,
        typer.Argument(
            metavar="CALL",
            help="domestic, international, premium, sms, conference_out, toll_free_in, or a number in E.164.",
            show_default=False,
        ),
    ],
    *,
    to: Annotated[str, typer.Option(help="The number, for a kind that would make one up.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Say whether a user can make this kind of call now, and if not, what is missing and which command mends it.

    A call is tried out as the charging desk would decide it, and nothing is charged. Ends with 1 when something is
    missing.

    Example: gettone licences check contoso anna@contoso.com international
    """
    from gettone.bootstrap import opened_quoting
    from gettone.operations.preflight import can_call

    with opened_office() as office, opened_quoting(settings()) as quoting:
        found = can_call(office, org, user, call, now(), try_call=quoting.try_call, to=to)
    if json:
        as_json(found)
    else:
        facts(
            {
                "user": found.upn,
                "call": f"{found.call_type} {found.number} ({found.country})",
                "answer": "allowed" if found.allowed else "refused",
            }
        )
        if found.allowed:
            for place, payer in enumerate(found.payers, 1):
                typer.echo(f"payer {place}   {payer}")
        for one in found.missing:
            typer.echo(f"missing   {one.what}\n          {one.remedy}")
    if not found.allowed:
        raise typer.Exit(REFUSED)
