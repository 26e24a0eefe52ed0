"""What a scenario does and reads in the back office: each command is a function of a world and a line.

A function returns what the line's expectations are compared with, by word, or nothing when there is nothing to expect.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta

from gettone.operations import (
    bars,
    blocks,
    directory,
    licensing,
    lifecycle,
    notices,
    numbers,
    policies,
    spending,
    subscriptions,
)
from gettone.operations import catalogue as tables
from gettone.operations.policies import GUARD_LIMITS, PolicyChanges
from tests.scenarios.language import Line, amount, instant, seconds
from tests.support.world import World

Found = dict[str, object] | None

PRODUCTS = {
    "domestic": "MCOPSTN1",
    "domestic-120": "MCOPSTN5",
    "domestic-240": "MCOPSTN6",
    "intl": "MCOPSTN2",
    "payg": "MCOPSTN_PAYG_1",
    "credits": "MCOPSTNC",
    "phone": "MCOEV",
    "conf": "MCOMEETADV",
    "conf-us-ca": "MCOMEETBASIC",
    "conf-minute": "MCOMEETACPEA",
    "add-on": "MCOMEETADD_DIALOUT_US",
    "e5": "SPE_E5",
    "e5-minutes": "SPE_E5_CALLINGMINUTES",
    "resource": "PHONESYSTEM_VIRTUALUSER",
}
PLANS = {**PRODUCTS, "e5-minutes": "MCOPSTN8"}
"""The service plans by which pools are named."""

CALLER = "caller"
"""The user of the organisations that ``wallet`` makes: may call anywhere, paid from credits."""

BY = "a scenario"
NONE = "none"
ORGANISATION = "organisation"
"""How a scenario names the subject that stands for all."""


def products(text: str) -> list[str]:
    """Read a list of products by their short names, or by any name that Gettone knows."""
    return [PRODUCTS.get(name, name) for name in text.split(",") if name not in {"", "-"}]


def pool_key(text: str) -> str:
    """Read ``US/domestic``, ``GB/intl/international``, ``conference/conf`` or ``user/anna/e5-minutes``."""
    parts = text.split("/")
    place = 2 if parts[0] == "user" else 1
    parts[place] = PLANS.get(parts[place], parts[place])
    return "/".join(parts)


def _limit(text: str) -> int | None:
    return None if text == NONE else amount(text)


def _subject(text: str) -> str:
    return "" if text == ORGANISATION else text


def _month(line: Line) -> int | None:
    return int(line.get("month", "0")) or None


# -- organisations, users, licences, numbers ---------------------------------------------------------------------------


def organisation(world: World, line: Line) -> Found:
    owned = [one.partition("=") for one in line.get("owns").split(",") if one not in {"", "-"}]
    world.organisation(
        line.org,
        country=line.get("country", "US"),
        currency=line.get("currency", "USD"),
        owns={PRODUCTS.get(name, name): int(count) for name, _, count in owned} if line.has("owns") else None,
        time_zone=line.get("zone", "UTC"),
        post_usage=line.has("post-usage"),
    )


def setting(world: World, line: Line) -> Found:
    """Change an organisation; what it holds and owns stays."""
    changes = {"post_usage": line.has("post-usage")} if line.has("post-usage") or line.has("no-post-usage") else {}
    if line.has("country"):
        changes["country"] = line.get("country")
    directory.change_organisation(world.office, line.org, now=world.now, **changes)


def close(world: World, line: Line) -> Found:
    directory.close_organisation(world.office, line.org)


def user(world: World, line: Line) -> Found:
    _, name, location = line.about
    world.user(
        line.org,
        name,
        "" if location == "-" else location,
        products(line.get("with")),
        department=line.get("in"),
        cost_centre=line.get("centre"),
        resource=line.has("resource"),
    )


def change(world: World, line: Line) -> Found:
    """Change what is known of a user."""
    location = line.get("location") if line.has("location") else None
    directory.change_user(
        world.office,
        line.org,
        line.about[1],
        world.now,
        usage_location="" if location == "-" else location,
        department=line.get("in") if line.has("in") else None,
        cost_centre=line.get("centre") if line.has("centre") else None,
    )


def remove(world: World, line: Line) -> Found:
    directory.remove_user(world.office, line.org, line.about[1], world.now)


def licences(world: World, line: Line) -> Found:
    """Let a user hold exactly what is named and what that needs; or add and remove just what is named."""
    name = line.about[1]
    if line.has("with"):
        world.license(line.org, name, products(line.get("with")))
        return None
    added, removed = products(line.get("add")), products(line.get("remove"))
    licensing.assign(world.office, line.org, name, world.now, add=added, remove=removed)


def buy(world: World, line: Line) -> Found:
    """Order licences; ``-`` for the quantity that the product comes in."""
    _, product, quantity = line.about
    count = None if quantity == "-" else int(quantity)
    reference, sku = line.get("as", f"line {line.number}"), PRODUCTS.get(product, product)
    subscriptions.buy(world.office, line.org, sku, world.now, reference=reference, quantity=count)


def quantity(world: World, line: Line) -> Found:
    """Let an order have another quantity; 0 gives it back."""
    _, reference, count = line.about
    if count == "0":
        subscriptions.end_subscription(world.office, line.org, reference, world.now)
    else:
        subscriptions.change_quantity(world.office, line.org, reference, int(count), world.now)


def count(world: World, line: Line) -> Found:
    """Compare how many licences of a product there are."""
    sku = PRODUCTS.get(line.about[1], line.about[1])
    found = {one.sku: one for one in subscriptions.list_products(world.office, line.org, world.now)}[sku]
    return {"bought": found.purchased, "assigned": found.assigned}


def number(world: World, line: Line) -> Found:
    world.number(line.org, line.about[1], user=line.get("for"), use=line.get("rings"), source=line.get("source"))


def whose(world: World, line: Line) -> Found:
    """Compare what a number rings."""
    listed = numbers.list_numbers(world.office, line.org, search=line.about[1]).items
    [found] = [one for one in listed if one.number == line.about[1]]
    return {"rings": found.use, "for": found.user_id}


# -- what an organisation allows ---------------------------------------------------------------------------------------


def policy(world: World, line: Line) -> Found:
    """Change rules of an organisation, groups and limits of the guard as ``name=value``; or those of one user."""
    office, org_id = world.office, line.org
    changes: dict[str, object] = {"dial_out": line.get("dial-out")} if line.has("dial-out") else {}
    if line.has("of"):
        if line.has("limit"):
            changes["limit_micros"] = _limit(line.get("limit"))
        policies.change_user_policy(office, org_id, line.get("of"), world.now, BY, **changes)
        return
    group, _, of_group = line.get("group").rpartition("=")
    changes["group_limits_micros"] = {group: _limit(of_group)} if group else {}
    changes["guard"] = dict(_guard(one) for one in line.get("guard").split(",") if one)
    if line.has("user-limit"):
        changes["user_limit_micros"] = _limit(line.get("user-limit"))
    if line.has("plan-pays-conferences"):
        changes["conference_uses_calling_plan"] = line.get("plan-pays-conferences") == "yes"
    policies.change_policies(office, org_id, PolicyChanges(**changes), world.now, BY)


def _guard(text: str) -> tuple[str, int | None]:
    name, _, value = text.partition("=")
    in_money = f"{name}_micros" in GUARD_LIMITS
    if value == NONE:
        return (f"{name}_micros" if in_money else name), None
    return (f"{name}_micros", amount(value)) if in_money else (name, int(value))


def bar(world: World, line: Line) -> Found:
    direction = policies.CALLING if line.has("calling") else policies.CALLED
    barred = not line.has("exempt")
    bars.add_bar(world.office, line.org, line.about[1], world.now, direction=direction, barred=barred)


def unbar(world: World, line: Line) -> Found:
    direction = policies.CALLING if line.has("calling") else policies.CALLED
    bars.remove_bar(world.office, line.org, line.about[1], direction=direction)


def block(world: World, line: Line) -> Found:
    until = instant(line.get("until")) if line.has("until") else None
    reason = notices.TENANT_REQUESTED
    blocks.block_user(world.office, line.org, line.about[1], reason, world.now, until=until, by=BY)


def unblock(world: World, line: Line) -> Found:
    blocks.unblock_user(world.office, line.org, line.about[1], world.now, by=BY)


def blocked(world: World, line: Line) -> Found:
    """Compare how somebody stands in the list of blocked users."""
    found = {one.user_id: one for one in blocks.blocked_users(world.office, line.org, world.now).items}
    one = found.get(line.about[1])
    return {"reason": one.reason, "by": one.by, "until": one.until} if one else {"reason": NONE}


def allow(world: World, line: Line) -> Found:
    """Let a premium destination count as known."""
    spending.allow_destination(world.office, line.org, line.about[1].replace("_", " "), world.now)


def tally(world: World, line: Line) -> Found:
    """Compare what a subject has open, has spent and may yet spend in a month."""
    subject = _subject(line.about[1])
    views = spending.spending(world.office, line.org, world.now, period=_month(line))
    one = next((view for view in views if view.subject == subject), None)
    if one is None:
        return {"calls": 0, "spent": 0, "held": 0}
    return {"calls": one.open_calls, "spent": one.spent_micros, "held": one.held_micros, "left": one.left_micros}


def told(world: World, line: Line) -> Found:
    """Compare how many notices of a kind there are, and what the latest one says."""
    found = notices.list_notices(world.office, line.org, kind=line.about[1]).items
    if line.has("of"):
        found = tuple(one for one in found if one.subject == _subject(line.get("of")))
    currency = directory.get_organisation(world.office, line.org).currency
    return {"count": len(found), "says": notices.sentence(found[0], currency) if found else ""}


# -- money -------------------------------------------------------------------------------------------------------------


def wallet(world: World, line: Line) -> Found:
    _, value, currency = line.about
    world.organisation(line.org, currency=currency)
    world.user(line.org, CALLER, "US", products("payg,credits"))
    return _put(world, line, value, "first") if amount(value) else None


def fund(world: World, line: Line) -> Found:
    return _put(world, line, line.about[1], line.get("as", f"line {line.number}"))


def _put(world: World, line: Line, value: str, reference: str) -> Found:
    expires = instant(line.get("expires")) if line.has("expires") else None
    booked = world.fund(line.org, amount(value), reference=reference, expires_at=expires)
    return {"covered": booked.covered_micros}


def adjust(world: World, line: Line) -> Found:
    world.adjust(line.org, amount(line.about[1]), reference=f"line {line.number}")


def check(world: World, line: Line) -> Found:
    """Compare the wallet and the accounts of the ledger."""
    purse, books = world.wallet(line.org), world.ledger(line.org)
    accounts = ("funding", "usage", "breakage", "receivable", "adjustment")
    return {
        "posted": purse.posted_micros,
        "held": purse.held_micros,
        "available": purse.available_micros,
        "overrun": purse.overrun_micros,
        "expired": purse.expired_micros,
        **{account: books.get(account, 0) for account in accounts},
    }


def lot(world: World, line: Line) -> Found:
    one = world.lots(line.org)[line.about[1]]
    return {"remaining": one.remaining_micros, "held": one.held_micros}


# -- pools, tables and jobs --------------------------------------------------------------------------------------------


def pool(world: World, line: Line) -> Found:
    key = pool_key(line.about[1])
    pools = world.pools(line.org, _month(line))
    assert key in pools, f"line {line.number}: there is no pool {key}, only {', '.join(pools) or 'none'}"
    return {"size": pools[key].size_seconds, "used": pools[key].used_seconds, "held": pools[key].held_seconds}


def allotment(world: World, line: Line) -> Found:
    """Add a row of the operator's: a plan brings so many minutes from a day on, ``3000`` or ``3000+600``."""
    plan, area, minutes = line.about
    domestic, _, international = minutes.partition("+")
    with world.office.read() as unit:
        text = unit.catalogue.catalogue_tables().get("allotments", "")
    header = "service_plan,area,domestic_minutes,international_minutes,effective_from,effective_until,source"
    row = [PLANS.get(plan, plan), area, domestic, international or "0", line.get("from"), "", "a scenario"]
    rows = "\n".join([text.strip() or header, ",".join(row)])
    tables.import_table(world.office, "allotments", rows.encode(), world.now)


def spoil(world: World, _line: Line) -> Found:
    """Damage every stored rate deck, as a bad disk would, and start the charging desk anew so that it reads them."""
    world.spoil_decks()
    world.restart()


def restart(world: World, _line: Line) -> Found:
    """Start the charging desk anew: it knows only what is stored."""
    world.restart()


def expire(world: World, _line: Line) -> Found:
    return {"lost": sum(expired.amount_micros for expired in world.expire())}


def resize(world: World, _line: Line) -> Found:
    """Run the job that gives pools the size of today's tables."""
    return {"changed": lifecycle.resize_pools(world.office, world.now)}


def end_blocks(world: World, _line: Line) -> Found:
    """Run the job that clears blocks whose time is over."""
    return {"ended": blocks.end_blocks(world.office, world.now)}


def verify(world: World, line: Line) -> Found:
    findings = world.findings()
    assert not findings, f"line {line.number}:\n" + "\n".join(map(str, findings))


def clock(world: World, line: Line) -> Found:
    [when] = line.about
    world.now = world.now + timedelta(seconds=seconds(when[1:])) if when.startswith("+") else instant(when)


COMMANDS: Mapping[str, tuple[int, str, Callable[[World, Line], Found]]] = {
    "adjust": (2, "", adjust),
    "allotment": (3, "from", allotment),
    "allow": (2, "", allow),
    "bar": (2, "exempt calling", bar),
    "block": (2, "until", block),
    "blocked": (2, "", blocked),
    "buy": (3, "as", buy),
    "change": (2, "in centre location", change),
    "check": (1, "", check),
    "clock": (1, "", clock),
    "close": (1, "", close),
    "count": (2, "", count),
    "end-blocks": (0, "", end_blocks),
    "expire": (0, "", expire),
    "fund": (2, "as expires", fund),
    "licences": (2, "with add remove", licences),
    "lot": (2, "", lot),
    "notices": (2, "of", told),
    "number": (2, "for rings source", number),
    "org": (1, "country currency zone post-usage owns", organisation),
    "policy": (1, "of limit user-limit dial-out group guard plan-pays-conferences", policy),
    "pool": (2, "month", pool),
    "quantity": (3, "", quantity),
    "remove": (2, "", remove),
    "resize": (0, "", resize),
    "restart": (0, "", restart),
    "setting": (1, "country post-usage no-post-usage", setting),
    "spoil": (0, "", spoil),
    "tally": (2, "month", tally),
    "unbar": (2, "calling", unbar),
    "unblock": (2, "", unblock),
    "user": (3, "with in centre resource", user),
    "verify": (0, "", verify),
    "wallet": (3, "expires", wallet),
    "whose": (2, "", whose),
}
"""Of each command: how many words it is about, the words that say what to do, and what does it."""
