"""What a scenario does and reads of invoices and the books: each command is a function of a world and a line."""

from collections.abc import Callable, Mapping

from gettone.domain.payments import Declined
from gettone.operations import after_use, agreements, finance, invoice_numbers, invoicing
from gettone.operations.billing import AGREEMENT, CARD
from gettone.operations.buying import OPERATOR, Buyer
from tests.scenarios.back_office import Found
from tests.scenarios.language import Line, amount
from tests.support.shop import Shop
from tests.support.world import World

OPERATING = Buyer(OPERATOR, "a scenario")


def _shop(world: World, line: Line) -> Shop:
    return Shop(world, line.org)


def tax(world: World, line: Line) -> Found:
    """Let tax be due on what is sold in a country."""
    country, percent = line.about
    Shop(world).taxed(country, line.get("as", "tax"), percent)


def order(world: World, line: Line) -> Found:
    """Buy credit by card, or by an agreement that is paid later."""
    shop, by = _shop(world, line), line.get("by", CARD)
    with shop.office.read() as unit:
        known = [one.method_id for one in unit.buying.methods(line.org) if one.kind == by]
    method = known[0] if known else _method(shop, by)
    payment = shop.buy(amount(line.about[1]) // 1_000_000, line.get("as", "order"), method_id=method)
    return {"payment": payment.payment_id, "total": payment.gross_micros, "credited": payment.net_micros}


def _method(shop: Shop, by: str) -> str:
    return (shop.agreement(on_confirmation=False) if by == AGREEMENT else shop.card()).method_id


def recharge(world: World, line: Line) -> Found:
    """Set the auto-recharge: buy an amount below a trigger."""
    shop = _shop(world, line)
    shop.card()
    shop.recharge(amount(line.about[1]) // 1_000_000, amount(line.about[2]) // 1_000_000)
    return {}


def recharges(world: World, line: Line) -> Found:
    """Let the jobs run, the provider declining or not; what the auto-recharge says then."""
    shop = _shop(world, line)
    if line.get("by", "") == "declined":
        shop.teller.says = [Declined("card_declined")]
    asked = shop.work()
    return {"asked": asked, "paused": shop.state.paused or "no", "available": shop.available}


def refund(world: World, line: Line) -> Found:
    """Pay the unused part of a payment back, or so much of it."""
    shop = _shop(world, line)
    micros = amount(line.get("of")) if line.has("of") else None
    paid_back = shop.refund(shop.payment(line.about[1]), amount_micros=micros)
    return {"total": paid_back.gross_micros, "credited": paid_back.net_micros}


def invoice_months(world: World, _line: Line) -> Found:
    """Run the jobs that invoice months that are over and give numbers."""
    issued = after_use.invoice_month(world.office, world.now)
    return {"issued": issued, "numbered": invoice_numbers.give_numbers(world.office)}


def invoice(world: World, line: Line) -> Found:
    found = invoicing.get_invoice(world.office, line.org, line.about[1])
    document = found.document
    owed = 0 if found.paid_at else document.gross_micros - found.credited_micros
    return {
        "number": found.number or "none",
        "kind": document.kind,
        "net": document.net_micros,
        "tax": document.tax_micros,
        "total": document.gross_micros,
        "carried": document.carried_over_micros,
        "owed": owed,
        "calls": sum(one.calls for one in document.lines),
    }


def collect(world: World, line: Line) -> Found:
    agreements.collected(world.office, line.org, line.about[1], by=OPERATING.name, now=world.now)


def move(world: World, line: Line) -> Found:
    """Move an organisation over to billing after use."""
    return {"phase": after_use.begin_move(world.office, line.org, OPERATING, world.now).phase}


def stands(world: World, line: Line) -> Found:
    found = after_use.status(world.office, line.org, world.now)
    return {"phase": found.phase, "left": found.left_micros, "waits": found.not_invoiced_micros}


def revenue(world: World, line: Line) -> Found:
    """Read deferred revenue of a month; every amount by the name of its column."""
    found = finance.revenue(world.office, line.org, int(line.about[1].replace("-", "")))
    return {
        name.removesuffix("_micros").replace("_", "-"): getattr(found, name)
        for name in found.__struct_fields__
        if name.endswith("_micros")
    }


COMMANDS: Mapping[str, tuple[int, str, Callable[[World, Line], Found]]] = {
    "after-use": (1, "", stands),
    "collect": (2, "", collect),
    "invoice": (2, "", invoice),
    "invoice-months": (0, "", invoice_months),
    "move": (1, "", move),
    "order": (2, "by as", order),
    "recharge": (3, "", recharge),
    "recharges": (1, "by", recharges),
    "refund": (2, "of", refund),
    "revenue": (2, "", revenue),
    "tax": (2, "as", tax),
}
"""Of each command: how many words it is about, the words that say what to do, and what does it."""

_AMOUNTS = ("net", "tax", "total", "carried", "owed", "credited", "left", "waits")
_REVENUE = ("opening", "bought", "added", "used", "expired", "refunded", "disputed", "adjusted", "closing", "overrun")
_REVENUE += ("wallet", "after-use", "receivable", "invoiced", "tax", "refunding")
READ: Mapping[tuple[str, str], Callable[[str], object]] = {
    **{(command, word): amount for command in COMMANDS for word in _AMOUNTS},
    **{("revenue", word): amount for word in _REVENUE},
    ("recharges", "asked"): int,
    ("recharges", "available"): amount,
    **{("invoice-months", word): int for word in ("issued", "numbered")},
}
"""How expectations of these commands are read, by command and word."""
