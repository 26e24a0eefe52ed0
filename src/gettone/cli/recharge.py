"""``gettone recharge …``: auto-recharge."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gettone.cli.base import USAGE, Json, Limit, Org, all_pages, amount, new_group, now, opened_office, refuse
from gettone.cli.buying import Yes, as_given, asked, buyer, outcome, paying, print_orders
from gettone.cli.output import as_json, facts, money, time

if TYPE_CHECKING:
    from gettone.operations.office import Office
    from gettone.operations.recharging import NewRule, RechargeView

app = new_group("""Auto-recharge: buying credit when the balance falls below a trigger.""")

_NONE = "none"
_DayCount = Annotated[str, typer.Option(help="Recharges in a day at most, or none.", show_default=False)]
_DayAmount = Annotated[str, typer.Option(help="Amount in a day at most, or none.", show_default=False)]
_MonthCount = Annotated[str, typer.Option(help="Recharges in a month at most, or none.", show_default=False)]
_MonthAmount = Annotated[str, typer.Option(help="Amount in a month at most, or none.", show_default=False)]


@app.command("show")
def show_rule(org: Org, json: Json = False) -> None:
    """Show the rule, what it does now, and what it has bought.

    Example: gettone recharge show contoso
    """
    from gettone.operations import recharging

    with opened_office() as office:
        found = recharging.show(office, org, now())
    as_json(found) if json else _print(org, found)


def _print(org: str, found: "RechargeView") -> None:
    rule, currency = found.rule, found.currency
    if rule is None:
        facts({"auto-recharge": "off (never set)", "available": money(found.available_micros, currency)})
        return
    lines: dict[str, object] = {
        "auto-recharge": _state(org, found),
        "recharge with": money(rule.amount_micros, currency),
        "when balance falls below": money(rule.trigger_micros, currency),
        "payment method": rule.method_id or "the first",
        "purchase order": rule.purchase_order,
        "in a day at most": _caps(rule.day_count, rule.day_micros, currency),
        "in a month at most": _caps(rule.month_count, rule.month_micros, currency),
        "bought today": f"{found.bought_day_count} for {money(found.bought_day_micros, currency)}",
        "bought this month": f"{found.bought_month_count} for {money(found.bought_month_micros, currency)}",
        "available": money(found.available_micros, currency),
    }
    facts(lines)


def _state(org: str, found: "RechargeView") -> str:
    rule = found.rule
    if rule is None or not rule.enabled:
        return "off"
    match found.paused:
        case "suspended":
            return f"suspended ({rule.suspended_because}); resume it: gettone recharge resume {org}"
        case "backing_off":
            return f"on, waiting until {time(found.next_at)} after {rule.declines} declined"
        case "recharge_open":
            return f"on, order {found.open_order_id} is open"
        case "day_cap" | "month_cap":
            return f"on, its limit of a {found.paused.removesuffix('_cap')} is reached"
    return "on"


def _caps(count: int | None, micros: int | None, currency: str) -> str:
    told = [] if count is None else [str(count)]
    if micros is not None:
        told.append(money(micros, currency))
    return " and ".join(told) or _NONE


@app.command("set")
def set_rule(
    org: Org,
    *,
    trigger: Annotated[
        str, typer.Option(help='"When balance falls below": whole units, such as 100.', show_default=False)
    ] = "",
    value: Annotated[
        str, typer.Option("--amount", help='"Recharge with": whole units, such as 200.', show_default=False)
    ] = "",
    method: Annotated[
        str | None, typer.Option(help='Payment method to try first; "" for the first.', show_default=False)
    ] = None,
    purchase_order: Annotated[
        str | None, typer.Option(help='Purchase order; "" for the method\'s.', show_default=False)
    ] = None,
    day_count: _DayCount = "",
    day_amount: _DayAmount = "",
    month_count: _MonthCount = "",
    month_amount: _MonthAmount = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Turn auto-recharge on, or change it; what is not given stays as it is.

    At most four recharges a day unless said otherwise.
    A rule that is due at once is asked about first, for saving it charges. Setting it resumes one that was suspended.

    Example: gettone recharge set contoso --trigger 100 --amount 200
    """
    given = {"method_id": method, "purchase_order": purchase_order}
    with opened_office() as office, as_given():
        changes = {name: text for name, text in given.items() if text is not None}
        amounts = {"trigger": trigger, "amount": value}
        caps = _given_caps(day_count, day_amount, month_count, month_amount)
        _save(office, org, amounts=amounts, caps=caps, others=changes, yes=yes, json=json)


@app.command("caps")
def set_caps(
    org: Org,
    *,
    day_count: _DayCount = "",
    day_amount: _DayAmount = "",
    month_count: _MonthCount = "",
    month_amount: _MonthAmount = "",
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Change how often and how much auto-recharge may buy in a day and in a month of the organisation's time zone.

    Example: gettone recharge caps contoso --day-count 2 --month-amount 1000
    """
    caps = _given_caps(day_count, day_amount, month_count, month_amount)
    if not caps:
        refuse("nothing to change: give at least one of the options", USAGE)
    with opened_office() as office, as_given():
        _save(office, org, amounts={}, caps=caps, others={}, yes=yes, json=json)


def _given_caps(day_count: str, day_amount: str, month_count: str, month_amount: str) -> dict[str, str]:
    caps = {
        "day_count": day_count,
        "day_micros": day_amount,
        "month_count": month_count,
        "month_micros": month_amount,
    }
    return {name: text for name, text in caps.items() if text}


def _save(
    office: "Office",
    org: str,
    *,
    amounts: dict[str, str],
    caps: dict[str, str],
    others: dict[str, str],
    yes: bool,
    json: bool,
) -> None:
    """Set the rule as it is with these changes, after asking when that charges at once."""
    from gettone.operations import recharging

    at = now()
    present = recharging.show(office, org, at)
    if present.rule is None and not (amounts.get("trigger") and amounts.get("amount")):
        refuse("auto-recharge was never set: give --trigger and --amount: gettone recharge set", USAGE)
    rule = _changed(present, amounts, caps, others)
    found = recharging.preview(office, org, rule, buyer(), at)
    if found.due_now and not found.paused:
        available, trigger = money(found.available_micros, found.currency), money(rule.trigger_micros, found.currency)
        asked(
            f"Saving this charges {money(found.would_buy_micros, found.currency)} at once: "
            f"{available} are available, less than {trigger}.",
            yes=yes,
        )
    version = present.rule.version if present.rule else 0
    recharging.set_rule(office, org, rule, buyer(), at, expected_version=version)
    _show_after(office, org, json=json)


def _changed(
    present: "RechargeView", amounts: dict[str, str], caps: dict[str, str], others: dict[str, str]
) -> "NewRule":
    from gettone.operations.recharging import DAY_COUNT, NewRule

    values: dict[str, Any] = {"day_count": DAY_COUNT}
    if present.rule is not None:
        values = {name: getattr(present.rule, name) for name in NewRule.__struct_fields__}
    values |= others
    for name, text in amounts.items():
        if text:
            values[f"{name}_micros"] = amount(name, text, present.currency)
    for name, text in caps.items():
        values[name] = _cap(name, text, present.currency)
    return NewRule(**(values | {"enabled": True}))


def _cap(name: str, text: str, currency: str) -> int | None:
    if text == _NONE:
        return None
    option = name.replace("_micros", "_amount").replace("_", "-")
    if name.endswith("_micros"):
        return amount(option, text, currency)
    if not (text.isascii() and text.isdigit() and len(text) <= 6):
        refuse(f"{option} {text!r}: write a whole number, or none for no limit", USAGE)
    return int(text)


def _show_after(office: "Office", org: str, *, json: bool) -> None:
    """Pay for what became due, and show how things stand."""
    from gettone.operations import methods, recharging
    from gettone.operations.checkout import pay_now

    found = recharging.show(office, org, now())
    if found.open_order_id:
        view = pay_now(office, paying(office), org, found.open_order_id)
        label = methods.get_method(office, org, view.payments[-1].method_id).method.label
        typer.echo(outcome(org, view, found.currency, label), err=True)
        found = recharging.show(office, org, now())
    as_json(found) if json else _print(org, found)


@app.command("off")
def switch_off(org: Org, json: Json = False) -> None:
    """Turn auto-recharge off; a recharge that is open goes on.

    Example: gettone recharge off contoso
    """
    from gettone.operations import recharging

    with opened_office() as office:
        recharging.switch_off(office, org, buyer(), now())
        found = recharging.show(office, org, now())
    as_json(found) if json else _print(org, found)


@app.command()
def resume(org: Org, *, yes: Yes = False, json: Json = False) -> None:
    """Let an auto-recharge that is suspended, or that waits after a decline, go on at once.

    Example: gettone recharge resume contoso
    """
    from gettone.operations import recharging

    with opened_office() as office:
        found = recharging.show(office, org, now())
        if found.due_now and found.paused in {"suspended", "backing_off"}:
            asked(f"This charges {money(found.would_buy_micros, found.currency)} at once.", yes=yes)
        recharging.resume(office, org, buyer(), now())
        _show_after(office, org, json=json)


@app.command()
def history(org: Org, limit: Limit = 50, json: Json = False) -> None:
    """List what auto-recharge has ordered, newest first, and why what failed has failed.

    Example: gettone recharge history contoso
    """
    from gettone.operations import recharging
    from gettone.operations.directory import get_organisation

    with opened_office() as office:
        currency = get_organisation(office, org).currency
        found = all_pages(lambda cursor, size: recharging.history(office, org, cursor=cursor, limit=size), limit)
    as_json(found) if json else print_orders(found, currency)
