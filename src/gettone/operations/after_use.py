"""Billing after use: what calls cost is recorded as a receivable and invoiced when the month is over (D20).

    invoice_month         one invoice a month for what was posted in it, however often and whenever this runs
    switch                on or off, by the billing administrator of an organisation under a customer agreement
    begin_move, status    from prepaying to billing after use: no more credit is bought, what there is is used first

Moving leaves no gap: from its beginning on credits pay as long as there are any, and billing after use pays from the
second on at which they end, within a call too. Nothing has to be switched at zero (facts, sections 6 and 7).

Invariants of the invoices:

- each entry of usage is in exactly one invoice: every invoice begins after the last entry of the one before;
- an invoice is whole coins; what is less than one is carried over to the next, so nothing is rounded away;
- a call is billed in the month in which it was settled, in the organisation's time zone.
"""

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.domain.pools import period_of
from gettone.errors import Conflict, GettoneError
from gettone.operations import months, recharging
from gettone.operations.alarms import left_micros
from gettone.operations.billing import AGREEMENT, CUSTOMER_AGREEMENT, Invoice, Profile
from gettone.operations.books_rows import Receivables
from gettone.operations.buying import OPERATOR, Buyer, require_right
from gettone.operations.crediting import tell_once
from gettone.operations.instants import MICROSECOND
from gettone.operations.invoice_documents import (
    CARRIED_IN,
    CARRIED_OUT,
    POST_USAGE,
    USAGE,
    Line,
    document_of,
    taxed,
)
from gettone.operations.invoicing import blank, issue
from gettone.operations.notices import USAGE_INVOICED
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.orders import coin_micros, tax_on, usable
from gettone.operations.profiles import write_profile
from gettone.operations.views import OrganisationView

logger = logging.getLogger(__name__)

BATCH = 200
MOVE = "move"
SUBJECT = "after-use"

PREPAID, DRAINING, AFTER_USE = "prepaid", "draining", "after_use"

RECENT_DAYS = 30

CARRIED = {
    "en": {CARRIED_IN: "Carried over from the invoice before", CARRIED_OUT: "Carried over to the next invoice"},
    "it": {CARRIED_IN: "Riportato dalla fattura precedente", CARRIED_OUT: "Riportato alla fattura successiva"},
}


# -- the monthly invoice -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Due:
    """What is to be invoiced: the entries *first* to *last*, up to the end of the month *period*."""

    period: int
    first: int
    last: int
    usage_micros: int
    carried_micros: int
    net_micros: int


def invoice_month(office: Office, now: datetime) -> int:
    """Invoice the usage of every month that is over; returns how many invoices were issued.

    An organisation whose books do not add up is logged and left for the next run; the others get theirs.
    """
    issued, after = 0, ""
    while True:
        with office.read() as unit:
            part = unit.books.receivables(after, BATCH)
            waiting = [one.org_id for one in part if _over(one, now) and _waits(unit, one.org_id, now)]
        for org_id in waiting:
            try:
                issued += _invoice(office, org_id, now)
            except (GettoneError, AssertionError):
                logger.exception("usage of %s could not be invoiced", org_id)
        if len(part) < BATCH:
            return issued
        after = part[-1].org_id


def _over(one: Receivables, now: datetime) -> bool:
    """Whether usage waits that was posted in a month that is over; all but these are done with here."""
    zone = ZoneInfo(one.time_zone)
    return one.since is not None and one.since < months.begin(period_of(now, zone), zone)


def _waits(unit: Unit, org_id: str, now: datetime) -> bool:
    """Whether something is to be invoiced: it may come to less than a coin, or belong to a month that goes on."""
    return _due(unit, unit.directory.organisation(org_id), now) is not None


def _invoice(office: Office, org_id: str, now: datetime) -> int:
    issued = 0
    with office.write(org_id) as unit:
        while (due := _due(unit, unit.organisation, now)) is not None:
            _issue(unit, due, now)
            issued += 1
    return issued


def _first(unit: Unit, org_id: str, before: Invoice | None, zone: ZoneInfo) -> tuple[int, int] | None:
    """The first entry that no invoice covers, and the month in which it is invoiced.

    An entry that a slow clock dates into a month that is invoiced already belongs to the next one.
    """
    found = unit.books.first_receivable(org_id, before.last_entry if before else 0)
    if found is None:
        return None
    number, posted_at = found
    period = period_of(posted_at, zone)
    return number, max(period, months.following(before.period)) if before else period


def _due(unit: Unit, organisation: OrganisationView, now: datetime) -> _Due | None:
    """What the next invoice covers; None while its month is not over or it would not come to a coin."""
    org_id = organisation.org_id
    zone, coin = ZoneInfo(organisation.time_zone), coin_micros(organisation.currency)
    before = unit.invoices.last_usage_invoice(org_id)
    found = _first(unit, org_id, before, zone)
    if found is None:
        return None
    first, period = found
    covered = before.last_entry if before else 0
    carried = document_of(before).carried_over_micros if before else 0
    while (end := months.begin(months.following(period), zone)) <= now:
        last = unit.books.last_receivable(org_id, covered, end)
        usage = unit.books.receivable_micros(org_id, covered, last)
        net = (carried + usage) // coin * coin
        if net:
            return _Due(period, first, last, usage, carried, net)
        # Less than a coin: it waits for the month that makes it one.
        period = months.following(period)
    return None


def _issue(unit: OrganisationUnit, due: _Due, now: datetime) -> Invoice:
    org_id, organisation = unit.organisation.org_id, unit.organisation
    zone = ZoneInfo(organisation.time_zone)
    last_instant = months.begin(months.following(due.period), zone) - MICROSECOND
    tax = tax_on(unit, organisation, due.net_micros, last_instant)
    document = blank(unit, POST_USAGE, f"usage/{due.period}", now)
    carried_over = due.carried_micros + due.usage_micros - due.net_micros
    agreement = next((one for one in usable(unit.buying.methods(org_id)) if one.kind == AGREEMENT), None)
    document = msgspec.structs.replace(
        document,
        lines=_lines(unit, due, carried_over, document.language),
        taxes=taxed(tax.label, tax.millionths, due.net_micros, tax.micros),
        net_micros=due.net_micros,
        tax_micros=tax.micros,
        gross_micros=due.net_micros + tax.micros,
        purchase_order=agreement.purchase_order if agreement else "",
        agreement_number=agreement.agreement_number if agreement else "",
        method_label=agreement.label if agreement else "",
        period=due.period,
        carried_over_micros=carried_over,
    )
    invoice = issue(unit, document, paid_at=None, first_entry=due.first, last_entry=due.last)
    postings = [
        Posting(Account.RECEIVABLE, due.net_micros),
        Posting(Account.TAX, tax.micros),
        Posting(Account.INVOICED, -document.gross_micros),
    ]
    unit.book(entry(EntryKind.USAGE_INVOICED, invoice.invoice_id, postings), now)
    tell_once(unit, USAGE_INVOICED, invoice.invoice_id, now, month=str(due.period), amount=str(document.gross_micros))
    return invoice


def _lines(unit: OrganisationUnit, due: _Due, carried_over: int, language: str) -> tuple[Line, ...]:
    """Usage by destination, and what is carried over from the invoice before and to the next."""
    lines = [
        Line(
            kind=USAGE,
            text=one.destination,
            amount_micros=one.charge_micros,
            calls=one.calls,
            messages=one.messages,
            seconds=one.seconds,
            billed_seconds=one.billed_seconds,
        )
        for one in unit.books.usage_billed(unit.organisation.org_id, due.first, due.last)
    ]
    for kind, micros in ((CARRIED_IN, due.carried_micros), (CARRIED_OUT, -carried_over)):
        if micros:
            lines.append(Line(kind=kind, text=CARRIED[language][kind], amount_micros=micros))
    return tuple(lines)


# -- on and off --------------------------------------------------------------------------------------------------------


class AfterUse(msgspec.Struct, frozen=True, kw_only=True):
    """Where an organisation stands between prepaying and billing after use.

    *phase*: prepaid (billing after use is off), draining (credit that is left pays first) or after_use.
    *moving_since* while it moves over. *left_micros* is credit that can be spent, whether calls hold it or not.
    *not_invoiced_micros* is usage that waits for the invoice of its month. *spent_30_days_micros* is what credit has
    paid in that time, and *expected_end* the day on which credit ends if that goes on, or expires; None where neither
    is known.
    """

    org_id: str
    phase: str
    post_usage: bool
    agreement: str
    moving_since: datetime | None
    left_micros: int
    not_invoiced_micros: int
    currency: str
    spent_30_days_micros: int
    expected_end: date | None


def switch(office: Office, org_id: str, buyer: Buyer, now: datetime, *, on: bool) -> AfterUse:
    """Let usage be billed after the month where nothing else pays, or no more; it counts from the next call on.

    Raises `NotFound`, `Forbidden`, or `Conflict` when the organisation's agreement does not bill after use, or it is
    moving over.
    """
    require_right(buyer)
    with office.write(org_id) as unit:
        profile = unit.buying.profile(org_id)
        if on and profile.agreement != CUSTOMER_AGREEMENT and buyer.role != OPERATOR:
            raise Conflict(
                f"the agreement of {org_id!r} is {profile.agreement}: only a {CUSTOMER_AGREEMENT} is billed after use; "
                f"move over to it: gettone billing move {org_id}"
            )
        if not on and profile.moving_since is not None and _phase(unit, now) == DRAINING:
            raise Conflict(
                f"organisation {org_id!r} is moving to billing after use, and calls would stop when its credit ends; "
                f"take the move back: gettone billing move {org_id} --cancel"
            )
        _set_post_usage(unit, on=on)
        if on != unit.organisation.post_usage:
            changes = {"post_usage": (str(not on).lower(), str(on).lower())}
            unit.note(buyer.name, "set", SUBJECT, changes, now)
    return status(office, org_id, now)


def begin_move(office: Office, org_id: str, buyer: Buyer, now: datetime) -> AfterUse:
    """Move an organisation to a customer agreement: nothing is bought any more, credit drains, then use is billed.

    Auto-recharge is turned off; a recharge that is open still goes on. Raises `NotFound`, `Forbidden`, or `Conflict`
    when it has moved before.
    """
    require_right(buyer)
    with office.write(org_id) as unit:
        before = unit.buying.profile(org_id)
        if before.moving_since is not None:
            raise Conflict(f"organisation {org_id!r} has been moving since {before.moving_since:%Y-%m-%d} already")
        if before.agreement == CUSTOMER_AGREEMENT and unit.organisation.post_usage:
            raise Conflict(f"organisation {org_id!r} is billed after use already")
        rule = unit.buying.rule(org_id)
        recharging_now = rule is not None and rule.enabled
        if rule is not None and rule.enabled:
            unit.buying.write_rule(org_id, msgspec.structs.replace(rule, enabled=False, version=rule.version + 1))
            recharging.go_on_in(unit, now)
        changed = msgspec.structs.replace(before, agreement=CUSTOMER_AGREEMENT, moving_since=now)
        write_profile(unit, before, changed, buyer.name, now)
        changes = {
            "agreement": (before.agreement, CUSTOMER_AGREEMENT),
            "post_usage": (str(unit.organisation.post_usage).lower(), "true"),
            "auto_recharge": (str(recharging_now).lower(), "false"),
        }
        unit.note(buyer.name, "begin", MOVE, changes, now)
        _set_post_usage(unit, on=True)
    return status(office, org_id, now)


def cancel_move(office: Office, org_id: str, buyer: Buyer, now: datetime) -> AfterUse:
    """Go back to prepaying while credit is left: agreement and billing after use are what they were before.

    Auto-recharge stays off until somebody sets it again. What was used after the month meanwhile is invoiced all the
    same. Raises `NotFound`, `Forbidden`, or `Conflict` when the organisation is not moving, or has moved.
    """
    require_right(buyer)
    with office.write(org_id) as unit:
        before = unit.buying.profile(org_id)
        if before.moving_since is None:
            raise Conflict(f"organisation {org_id!r} is not moving to billing after use")
        if _phase(unit, now) == AFTER_USE:
            raise Conflict(
                f"organisation {org_id!r} has used its credit up and is billed after use; to prepay again, the "
                f"operator changes its agreement: gettone billing profile {org_id} --agreement direct"
            )
        agreement, post_usage = _as_it_was(unit)
        changed = msgspec.structs.replace(before, agreement=agreement, moving_since=None)
        write_profile(unit, before, changed, buyer.name, now)
        unit.note(buyer.name, "cancel", MOVE, {"agreement": (before.agreement, agreement)}, now)
        _set_post_usage(unit, on=post_usage)
    return status(office, org_id, now)


def _as_it_was(unit: OrganisationUnit) -> tuple[str, bool]:
    """Agreement and billing after use before the move began."""
    for noted in unit.audit.audit(unit.organisation.org_id, MOVE, None, 10):
        if noted.action == "begin":
            return noted.changes["agreement"][0], noted.changes["post_usage"][0] == "true"
    return Profile().agreement, False


def _set_post_usage(unit: OrganisationUnit, *, on: bool) -> None:
    changed = msgspec.structs.replace(unit.organisation, post_usage=on)
    if changed != unit.organisation:
        unit.directory.change_organisation(changed)
        unit.directory_changed()


# -- where it stands ---------------------------------------------------------------------------------------------------


def status(office: Office, org_id: str, now: datetime) -> AfterUse:
    """Where an organisation stands. Raises `NotFound`."""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        profile = unit.buying.profile(org_id)
        account = unit.money.account(org_id)
        left = left_micros(account.wallet, now)
        before = unit.invoices.last_usage_invoice(org_id)
        carried = document_of(before).carried_over_micros if before else 0
        waiting = unit.books.receivable_micros(org_id, before.last_entry if before else 0)
        spent, days = _spent_lately(unit, organisation, now)
        phase = _phase_of(organisation, left, account.marks.low_micros)
        last_expiry = max((lot.expires_at for lot in account.wallet.lots if lot.expires_at > now), default=None)
    ends = [last_expiry] if last_expiry is not None else []
    if spent > 0 and left > 0:
        ends.append(now + timedelta(days=-(-left * days // spent)))
    zone = ZoneInfo(organisation.time_zone)
    return AfterUse(
        org_id=org_id,
        phase=phase,
        post_usage=organisation.post_usage,
        agreement=profile.agreement,
        moving_since=profile.moving_since,
        left_micros=left,
        not_invoiced_micros=carried + waiting,
        currency=organisation.currency,
        spent_30_days_micros=spent,
        expected_end=min(ends).astimezone(zone).date() if ends and phase != AFTER_USE else None,
    )


def _spent_lately(unit: Unit, organisation: OrganisationView, now: datetime) -> tuple[int, int]:
    """What credit has paid for calls of the last days, and how many days those are: fewer of a new organisation."""
    days = max(1, min(RECENT_DAYS, (now - organisation.created_at).days))
    totals = unit.calls.usage_totals(organisation.org_id, "payer", now - timedelta(days=days), now)
    return sum(one.charged_micros for one in totals if one.key == "credits"), days


def _phase(unit: OrganisationUnit, now: datetime) -> str:
    return _phase_of(unit.organisation, left_micros(unit.account.wallet, now), unit.account.marks.low_micros)


def _phase_of(organisation: OrganisationView, left: int, low_micros: int) -> str:
    """As `alarms` says it: with less than a tenth of "little" nothing useful is left, and hardly a call can use it."""
    if not organisation.post_usage:
        return PREPAID
    return AFTER_USE if left <= 0 or left * 10 < low_micros else DRAINING
