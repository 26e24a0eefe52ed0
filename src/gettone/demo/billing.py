"""The money side of the demo: who pays how, who is told, and what came of it by the end of the day."""

import contextlib
import mailbox
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path

from gettone.config import SIMULATOR
from gettone.domain.money import render_micros
from gettone.operations import directory, recharging, recipients
from gettone.operations.billing import CARD, RECHARGE, Method
from gettone.operations.buying import OPERATOR, Buyer
from gettone.operations.invoicing import list_invoices
from gettone.operations.office import Office
from gettone.operations.profiles import set_profile
from gettone.operations.recharging import NewRule
from gettone.operations.sellers import DEFAULT_ID, set_seller

DEMO = Buyer(OPERATOR, "the demo")
TRIGGER_MICROS = 100_000_000
AMOUNT_MICROS = 200_000_000
DAY_COUNT = 20
"""More than the shipped limit a day: this day is a busy one."""
ADMINISTRATOR = "ada"
ACCOUNTING = "contabilita@gettone.example"

SETTLED_SECONDS_MAX = 20


def prepare_billing(office: Office, org_id: str, now: datetime) -> None:
    """Let an organisation have a profile, a card of the simulator's, auto-recharge, and people who are told."""
    set_seller(
        office,
        DEFAULT_ID,
        now,
        name="Gettone Sample Seller",
        seller_address="1 Sample Street\nNew York NY 10001\nUnited States",
        prefix="DEMO-",
    )
    name = directory.get_organisation(office, org_id).name
    set_profile(
        office, org_id, DEMO, now, legal_name=f"{name} Inc.", postal_address="2 Sample Street\nNew York NY 10001"
    )
    card = Method(
        method_id="card",
        kind=CARD,
        provider=SIMULATOR,
        label="Visa 4242",
        position=1,
        created_at=now,
        # A simulator knows its test cards by the number in their names.
        provider_ref="pm_card_4242424242424242_demo",
        customer_ref="cus_demo",
        expires=203012,
    )
    with office.write(org_id) as unit:
        unit.buying.write_method(org_id, card)
    rule = NewRule(enabled=True, trigger_micros=TRIGGER_MICROS, amount_micros=AMOUNT_MICROS, day_count=DAY_COUNT)
    recharging.set_rule(office, org_id, rule, DEMO, now)
    recipients.grant_role(office, org_id, ADMINISTRATOR, "global_admin", now, by=DEMO.name)
    recipients.set_recipient(office, org_id, ACCOUNTING, now, by=DEMO.name, language="it")


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail of the mailbox: to whom, about what, and its text."""

    to: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Billed:
    """What the day was in money: *recharges* and *invoices* a line each, and the mails in order."""

    recharges: Sequence[str]
    invoices: Sequence[str]
    mails: Sequence[Mail]


def wait_until_settled(office: Office, now: datetime) -> bool:
    """Wait until recharges are paid, invoices numbered and mails sent; False when that takes too long."""
    ends = time.monotonic() + SETTLED_SECONDS_MAX
    while not _settled(office, now + timedelta(days=1)):
        if time.monotonic() > ends:
            return False
        time.sleep(0.1)
    return True


def _settled(office: Office, soon: datetime) -> bool:
    with office.read() as unit:
        return not (
            unit.buying.recharges_marked(1)
            or unit.buying.due_payments(soon, 1)
            or unit.invoices.unnumbered(1)
            or unit.telling.new_notices(("", ""), 1)
            or unit.telling.due_deliveries(soon, 1)
        )


def billed(office: Office, org_id: str, mails: Path) -> Billed:
    """What the day was in money; *mails* is the mailbox."""
    currency = directory.get_organisation(office, org_id).currency
    with office.read() as unit:
        orders = unit.buying.orders(org_id, RECHARGE, "~", 1000)
    recharges = [
        f"{_amount(order.amount_micros, currency)} when {_amount(order.available_micros, currency)} were available: "
        f"{order.state}"
        for order in reversed(orders)
    ]
    issued = [
        f"{invoice.number} {_amount(invoice.net_micros + invoice.tax_micros, currency)}"
        for invoice in reversed(list_invoices(office, org_id, limit=1000).items)
    ]
    return Billed(recharges, issued, _read(mails))


def _amount(micros: int, currency: str) -> str:
    return f"{render_micros(micros, currency)} {currency}"


def _read(path: Path) -> list[Mail]:
    if not path.exists():
        return []
    with contextlib.closing(mailbox.mbox(path, create=False)) as box:
        return [_mail(message) for message in box]


def _mail(message: mailbox.mboxMessage) -> Mail:
    parsed = message_from_bytes(message.as_bytes(), policy=policy.default)
    body = parsed.get_body(("plain",))
    return Mail(parsed["to"], parsed["subject"], body.get_content().strip() if body is not None else "")
