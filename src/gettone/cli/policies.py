"""``gettone policies …``: what an organisation allows its people."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gettone.cli.base import Json, Limit, Org, all_pages, amount, new_group, now, opened_office, read_bytes, refuse
from gettone.cli.output import NONE, as_json, facts, money, plural, table, time
from gettone.errors import InvalidInput

if TYPE_CHECKING:
    from gettone.operations.policies import PoliciesView, UserPolicyView
    from gettone.operations.views import BarView

app = new_group("""Rules of an organisation: dial-out policies, spending limits, barred numbers, the fraud guard.""")

BY = "the command line"
"""In whose name commands change something."""

_NONE = "none"
_DEFAULT = "default"
_SHARED = " (the organisation's)"

_User = Annotated[str, typer.Argument(metavar="USER", help="User id or user principal name.", show_default=False)]
_Prefix = Annotated[
    str, typer.Argument(metavar="PREFIX", help="First digits of E.164 numbers, such as +1900.", show_default=False)
]
_Direction = Annotated[str, typer.Option(help="called: numbers that are called; calling: numbers that call.")]
_Label = Annotated[str, typer.Option(help="What it is, for people.", show_default=False)]


# -- rules -------------------------------------------------------------------------------------------------------------


def _print(found: "PoliciesView", json: bool) -> None:
    if json:
        as_json(found)
        return
    from gettone.operations.policies import described

    rules = described(found, found.currency)
    facts(
        {
            "organisation": found.org_id,
            **rules,
            "dial-out policy": f"{found.dial_out_in_force}{'' if found.dial_out else ' (the default)'}",
            "barred prefixes": found.bars,
        }
    )


@app.command()
def show(org: Org, json: Json = False) -> None:
    """Show the rules of an organisation.

    Example: gettone policies show contoso
    """
    from gettone.operations.policies import get_policies

    with opened_office() as office:
        _print(get_policies(office, org, now()), json)


@app.command("set")
def change(
    org: Org,
    *,
    dial_out: Annotated[
        str | None, typer.Option(help="Dial-out policy of users without one of their own, or default.")
    ] = None,
    user_limit: Annotated[
        str | None, typer.Option(help="Spending limit a month of users without one of their own, or none.")
    ] = None,
    group_limit: Annotated[
        list[str] | None,
        typer.Option(help="department/NAME=AMOUNT or cost_centre/NAME=AMOUNT, a month; =none takes it away."),
    ] = None,
    guard: Annotated[
        list[str] | None, typer.Option(help="A limit of the fraud guard, NAME=VALUE; =none switches it off.")
    ] = None,
    conference_uses_calling_plan: Annotated[
        bool | None,
        typer.Option(
            "--conference-uses-calling-plan/--no-conference-uses-calling-plan",
            help="Let the organiser's own plan pay when the conference minutes are used up.",
            show_default=False,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Change the rules of an organisation; what is not given stays. Amounts are in the organisation's currency.

    Example: gettone policies set contoso --user-limit 50.00 --group-limit department/Sales=500 --guard user_hour=80
    """
    from msgspec import UNSET

    from gettone.operations.directory import get_organisation
    from gettone.operations.policies import PolicyChanges, change_policies

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        changes = PolicyChanges(
            dial_out=UNSET if dial_out is None else "" if dial_out == _DEFAULT else dial_out,
            user_limit_micros=UNSET if user_limit is None else _limit("user-limit", user_limit, currency),
            group_limits_micros={
                group: _limit("group-limit", text, currency)
                for group, text in _pairs("group-limit", group_limit, "department/Sales=500.00").items()
            },
            conference_uses_calling_plan=(
                UNSET if conference_uses_calling_plan is None else conference_uses_calling_plan
            ),
            guard=_guard(_pairs("guard", guard, "concurrent_calls=5"), currency),
        )
        if changes == PolicyChanges():
            refuse("nothing to change: give at least one of the options", 2)
        _print(change_policies(office, org, changes, now(), BY), json)


@app.command()
def user(
    org: Org,
    user: _User,
    *,
    dial_out: Annotated[str | None, typer.Option(help="Dial-out policy, or default for the organisation's.")] = None,
    limit: Annotated[
        str | None, typer.Option(help="Spending limit a month, or none for the organisation's.", show_default=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show the rules for one user, or change the user's own.

    Example: gettone policies user contoso anna@contoso.com --limit 20.00
    """
    from msgspec import UNSET

    from gettone.operations.directory import get_organisation
    from gettone.operations.policies import change_user_policy, get_user_policy

    with opened_office() as office:
        if dial_out is None and limit is None:
            found = get_user_policy(office, org, user, now())
        else:
            currency = get_organisation(office, org).currency
            found = change_user_policy(
                office,
                org,
                user,
                now(),
                BY,
                dial_out=UNSET if dial_out is None else "" if dial_out == _DEFAULT else dial_out,
                limit_micros=UNSET if limit is None else _limit("limit", limit, currency),
            )
    _print_user(found, json)


def _print_user(found: "UserPolicyView", json: bool) -> None:
    if json:
        as_json(found)
        return
    limit, shared = found.limit_in_force_micros, _SHARED if found.limit_micros is None else ""
    facts(
        {
            "user": found.user_id,
            "name": found.upn,
            "department": found.department,
            "cost centre": found.cost_centre,
            "dial-out policy": found.dial_out_in_force + ("" if found.dial_out else _SHARED),
            "spending limit": "none" if limit is None else money(limit, found.currency) + shared,
            "blocked": _blocked(found),
        }
    )


def _blocked(found: "UserPolicyView") -> str:
    if not found.blocked_reason:
        return "no"
    return f"{found.blocked_reason}, until {time(found.blocked_until) if found.blocked_until else 'somebody unblocks'}"


@app.command("dial-out")
def dial_out_policies(json: Json = False) -> None:
    """List the dial-out policies that there are, and what each allows.

    Example: gettone policies dial-out
    """
    from gettone.operations.policies import dial_out_policies as listed

    with opened_office() as office:
        found = listed(office, now())
    if json:
        as_json(found)
        return
    table(("policy", "default", "allows"), ((one.policy, one.default, one.allows) for one in found))


# -- barred numbers ----------------------------------------------------------------------------------------------------


def _print_bar(bar: "BarView", json: bool) -> None:
    if json:
        as_json(bar)
        return
    typer.echo(f"+{bar.prefix}: {bar.direction} numbers are {'barred' if bar.barred else 'exempt'}")


@app.command()
def bar(org: Org, prefix: _Prefix, *, direction: _Direction = "called", label: _Label = "", json: Json = False) -> None:
    """Bar numbers by their first digits. Emergency numbers are never barred.

    Example: gettone policies bar contoso +1900 --label "premium rate"
    """
    from gettone.operations.bars import add_bar

    with opened_office() as office:
        _print_bar(add_bar(office, org, prefix, now(), direction=direction, label=label), json)


@app.command()
def exempt(
    org: Org, prefix: _Prefix, *, direction: _Direction = "called", label: _Label = "", json: Json = False
) -> None:
    """Exempt numbers by their first digits from a shorter prefix that is barred.

    Example: gettone policies exempt contoso +19005550123 --label "our own hotline"
    """
    from gettone.operations.bars import add_bar

    with opened_office() as office:
        _print_bar(add_bar(office, org, prefix, now(), direction=direction, barred=False, label=label), json)


@app.command()
def unbar(org: Org, prefix: _Prefix, *, direction: _Direction = "called") -> None:
    """Take a bar or an exemption away.

    Example: gettone policies unbar contoso +1900
    """
    from gettone.operations.bars import remove_bar

    with opened_office() as office:
        remove_bar(office, org, prefix, direction=direction)
    typer.echo(f"{prefix}: removed for {direction} numbers")


@app.command()
def bars(org: Org, json: Json = False) -> None:
    """List barred and exempted prefixes.

    Example: gettone policies bars contoso
    """
    from gettone.operations.bars import list_bars

    with opened_office() as office:
        found = list_bars(office, org)
    if json:
        as_json(found)
        return
    table(
        ("prefix", "direction", "barred", "label", "since"),
        ((f"+{bar.prefix}", bar.direction, bar.barred, bar.label, bar.created_at) for bar in found),
    )


@app.command("import-bars")
def import_bars(
    org: Org,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV with a header; - is standard input.")],
    json: Json = False,
) -> None:
    """Bar and exempt prefixes from a CSV file: all of them, or nothing and every error with its line number.

    Columns: prefix, and if wanted direction (called, calling), barred (yes, no), label. Bars that are not in the file
    stay.

    Example: gettone policies import-bars contoso bars.csv
    """
    from gettone.operations.bars import import_bars as imported

    data = read_bytes(file)
    with opened_office() as office:
        done = imported(office, org, data, now(), name=file.name)
    if json:
        as_json(done)
        return
    typer.echo(f"{plural(done.created, 'bar')} added, {done.changed:,} changed, {done.unchanged:,} unchanged")


# -- destinations, spending, notices -----------------------------------------------------------------------------------


@app.command()
def destinations(org: Org, limit: Limit = 1000, json: Json = False) -> None:
    """List the premium destinations that the fraud guard knows: called before, or allowed.

    Example: gettone policies destinations contoso
    """
    from gettone.operations.spending import list_destinations

    with opened_office() as office:
        found = all_pages(lambda cursor, size: list_destinations(office, org, cursor=cursor, limit=size), limit)
    if json:
        as_json(found)
        return
    table(("destination", "known since", "allowed"), ((one.destination, one.first_at, one.allowed) for one in found))


@app.command("allow-destination")
def allow_destination(
    org: Org,
    destination: Annotated[
        str, typer.Argument(metavar="DESTINATION", help="As the rate deck names it.", show_default=False)
    ],
    json: Json = False,
) -> None:
    """Let a premium destination count as known, so that the fraud guard lets first calls to it through.

    Example: gettone policies allow-destination contoso "Italy, premium"
    """
    from gettone.operations.spending import allow_destination as allow

    with opened_office() as office:
        allowed = allow(office, org, destination, now())
    if json:
        as_json(allowed)
        return
    typer.echo(f"{allowed.destination}: allowed")


@app.command()
def spending(
    org: Org,
    *,
    month: Annotated[int | None, typer.Option(help="Year and month as yyyymm; this one if not given.")] = None,
    json: Json = False,
) -> None:
    """Show what users and groups have spent in a month, beside their limits.

    Example: gettone policies spending contoso --month 202611
    """
    from gettone.operations.directory import get_organisation
    from gettone.operations.spending import spending as spent

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = spent(office, org, now(), period=month)
    if json:
        as_json(found)
        return
    table(
        ("subject", "name", ">limit", ">spent", ">held", ">left", ">used", ">open calls"),
        (
            (
                one.subject or NONE,
                one.display,
                None if one.limit_micros is None else money(one.limit_micros, currency),
                money(one.spent_micros, currency),
                money(one.held_micros, currency),
                None if one.left_micros is None else money(one.left_micros, currency),
                None if one.percent is None else f"{one.percent} %",
                one.open_calls,
            )
            for one in found
        ),
    )


def add_to(root: typer.Typer) -> None:
    """Give *root* the group of policies."""
    root.add_typer(app, name="policies")


# -- words -------------------------------------------------------------------------------------------------------------


def _limit(option: str, text: str, currency: str) -> int | None:
    return None if text == _NONE else amount(option, text, currency)


def _pairs(option: str, values: list[str] | None, example: str) -> dict[str, str]:
    """Read ``NAME=VALUE``, each name once."""
    found: dict[str, str] = {}
    for value in values or []:
        name, sign, text = value.rpartition("=")
        if not (sign and name and text):
            raise InvalidInput(option, value, f"write a name, an equals sign and a value, such as {example}")
        if name in found:
            raise InvalidInput(option, value, "it is given twice; leave one out")
        found[name] = text
    return found


def _guard(pairs: Mapping[str, str], currency: str) -> dict[str, int | None]:
    """Limits of the fraud guard by field; amounts have ``_micros`` there."""
    from gettone.operations.policies import GUARD_LIMITS

    found: dict[str, int | None] = {}
    for name, text in pairs.items():
        field = name.replace("-", "_")
        if f"{field}_micros" in GUARD_LIMITS:
            found[f"{field}_micros"] = _limit(f"guard {name}", text, currency)
        elif text == _NONE or field not in GUARD_LIMITS:
            # A name that is not there is refused with those that are.
            found[field] = None
        elif text.isascii() and text.isdigit() and len(text) < 10:
            found[field] = int(text)
        else:
            raise InvalidInput(f"guard {name}", text, "write a whole number, or none for no limit")
    return found
