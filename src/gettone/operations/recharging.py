"""Auto-recharge: the rule an organisation sets, and the orders it makes (D17, D18).

Charging marks a wallet as due in the transaction that brings it below the trigger (`operations.alarms`); `open_due`
makes the order, under the wallet's lock, at most one at a time. What came of it decides when the next may be.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.money import render_micros
from gettone.domain.recharge import Bought, Paused, Rule, after_decline, due, to_buy
from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.billing import RECHARGE, CreditOrder, Method, Payment, RechargeRule
from gettone.operations.buying import Buyer, check_amount, orders, require_buyable, require_right
from gettone.operations.crediting import tell_once, watched
from gettone.operations.notices import RECHARGE_CAPPED, RECHARGE_FAILED, RECHARGE_SUSPENDED
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.orders import new_order, request_payment, usable
from gettone.operations.terms import terms_now
from gettone.operations.views import Page

BY_RULE = "auto-recharge"
"""Who orders what the rule orders."""

NO_METHOD = "no_payment_method"
BATCH = 200
DAY_COUNT = 4
"""Recharges a day that a rule has until it says otherwise: more in a day is a mistake or a fraud."""


class NewRule(msgspec.Struct, frozen=True, kw_only=True):
    """What an organisation sets; caps are None for no limit. *method_id* empty takes the first method."""

    enabled: bool
    trigger_micros: int
    amount_micros: int
    method_id: str = ""
    purchase_order: str = ""
    day_count: int | None = DAY_COUNT
    day_micros: int | None = None
    month_count: int | None = None
    month_micros: int | None = None


class RechargeView(msgspec.Struct, frozen=True, kw_only=True):
    """The auto-recharge as it is: the rule (None when none was set), and what it does now.

    *paused* says why it does not buy although it is on: suspended, backing_off, recharge_open, day_cap or month_cap;
    *next_at* when it goes on. *would_buy_micros* is what it would buy if it were due now; *due_now* that it is.
    """

    rule: RechargeRule | None
    available_micros: int
    currency: str
    paused: str
    next_at: datetime | None
    due_now: bool
    would_buy_micros: int
    open_order_id: str
    bought_day_count: int
    bought_day_micros: int
    bought_month_count: int
    bought_month_micros: int


# -- the rule ----------------------------------------------------------------------------------------------------------


def show(office: Office, org_id: str, now: datetime) -> RechargeView:
    """The auto-recharge of an organisation. Raises `NotFound`."""
    with office.read() as unit:
        zone = ZoneInfo(unit.directory.organisation(org_id).time_zone)
        account = unit.money.account(org_id)
        rule = unit.buying.rule(org_id)
        order = unit.buying.open_recharge(org_id)
        bought = _bought(unit, org_id, zone, now)
        available = account.wallet.available_micros(now)
        wanted = to_buy(_domain(rule), available, bought) if rule else 0
        return RechargeView(
            rule=rule,
            available_micros=available,
            currency=account.wallet.currency,
            paused=_paused(rule, order, account.marks.recharge_at, wanted, now),
            next_at=account.marks.recharge_at,
            due_now=bool(rule and rule.enabled and due(available, rule.trigger_micros)),
            would_buy_micros=wanted if isinstance(wanted, int) else 0,
            open_order_id=order.order_id if order else "",
            bought_day_count=bought.day_count,
            bought_day_micros=bought.day_micros,
            bought_month_count=bought.month_count,
            bought_month_micros=bought.month_micros,
        )


def preview(office: Office, org_id: str, new: NewRule, buyer: Buyer, now: datetime) -> RechargeView:
    """What the auto-recharge would be with a new rule; says with *due_now* that saving it charges at once."""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        account = unit.money.account(org_id)
        rule = _checked(unit, org_id, new, buyer, now)
        bought = _bought(unit, org_id, ZoneInfo(organisation.time_zone), now)
        order = unit.buying.open_recharge(org_id)
        available = account.wallet.available_micros(now)
        wanted = to_buy(_domain(rule), available, bought)
        return RechargeView(
            rule=rule,
            available_micros=available,
            currency=account.wallet.currency,
            paused=_paused(rule, order, now, wanted, now),
            next_at=now if rule.enabled else None,
            due_now=rule.enabled and due(available, rule.trigger_micros),
            would_buy_micros=wanted if isinstance(wanted, int) else 0,
            open_order_id=order.order_id if order else "",
            bought_day_count=bought.day_count,
            bought_day_micros=bought.day_micros,
            bought_month_count=bought.month_count,
            bought_month_micros=bought.month_micros,
        )


def set_rule(
    office: Office, org_id: str, new: NewRule, buyer: Buyer, now: datetime, *, expected_version: int | None = None
) -> RechargeRule:
    """Set the auto-recharge; one that is due by it buys at once. It also resumes one that was suspended.

    Raises `InvalidInput`, `NotFound`, `Forbidden`, or `Conflict` when another version of the rule is there than
    *expected_version*, or the organisation cannot buy.
    """
    with office.write(org_id) as unit:
        before = unit.buying.rule(org_id)
        if expected_version is not None and expected_version != (before.version if before else 0):
            raise Conflict(f"the auto-recharge of {org_id!r} was changed meanwhile; look at it again, then set it")
        rule = _checked(unit, org_id, new, buyer, now)
        rule = msgspec.structs.replace(rule, version=(before.version if before else 0) + 1)
        unit.buying.write_rule(org_id, rule)
        _note(unit, before, rule, buyer.name, now)
        _arm(unit, rule, now)
        watched(unit, now)
        open_in(unit, now)
        return rule


def switch_off(office: Office, org_id: str, buyer: Buyer, now: datetime) -> RechargeRule:
    """Turn the auto-recharge off; a recharge that is open goes on. Raises `NotFound` when no rule was set."""
    with office.write(org_id) as unit:
        require_right(buyer)
        before = _rule(unit)
        rule = msgspec.structs.replace(before, enabled=False, version=before.version + 1)
        unit.buying.write_rule(org_id, rule)
        _note(unit, before, rule, buyer.name, now)
        _arm(unit, rule, now)
        return rule


def resume(office: Office, org_id: str, buyer: Buyer, now: datetime) -> RechargeRule:
    """Let a suspended or waiting auto-recharge go on at once. Raises `NotFound` when no rule was set."""
    with office.write(org_id) as unit:
        require_right(buyer)
        rule = _rule(unit)
        unit.note(buyer.name, "resume", "auto-recharge", {}, now)
        resume_in(unit, now)
        open_in(unit, now)
        return unit.buying.rule(org_id) or rule


def _checked(unit: Unit, org_id: str, new: NewRule, buyer: Buyer, now: datetime) -> RechargeRule:
    """The rule as it would be kept; raises when it may not be."""
    require_right(buyer)
    organisation = unit.directory.organisation(org_id)
    terms = terms_now(unit, organisation, now)
    for field, micros in (("trigger_micros", new.trigger_micros), ("amount_micros", new.amount_micros)):
        check_amount(field, micros, organisation.currency, terms)
    for cap in ("day_count", "month_count"):
        count = getattr(new, cap)
        if count is not None and not 1 <= count <= 1000:
            raise InvalidInput(cap, count, "write a whole number from 1 to 1000, or leave it out for no limit")
    for cap in ("day_micros", "month_micros"):
        micros = getattr(new, cap)
        if micros is not None and micros < new.amount_micros:
            least = render_micros(new.amount_micros, organisation.currency)
            raise InvalidInput(cap, micros, f"write at least the recharge amount, {least} {organisation.currency}")
    methods = usable(unit.buying.methods(org_id))
    if new.method_id and new.method_id not in {method.method_id for method in methods}:
        raise InvalidInput("method_id", new.method_id[:80], f"choose one that is ready: gettone methods list {org_id}")
    if new.enabled and not methods:
        raise Conflict(
            f"organisation {org_id!r} has no payment method; add one first: gettone methods add-card {org_id}"
        )
    if new.enabled:
        require_buyable(unit, organisation, now)
    return RechargeRule(
        enabled=new.enabled,
        trigger_micros=new.trigger_micros,
        amount_micros=new.amount_micros,
        method_id=new.method_id,
        purchase_order=checks.text("purchase_order", new.purchase_order, empty=True),
        day_count=new.day_count,
        day_micros=new.day_micros,
        month_count=new.month_count,
        month_micros=new.month_micros,
    )


def _note(unit: OrganisationUnit, before: RechargeRule | None, rule: RechargeRule, by: str, now: datetime) -> None:
    old = msgspec.structs.asdict(before) if before else {}
    changes = {
        name: (str(old.get(name, "")), str(value))
        for name, value in msgspec.structs.asdict(rule).items()
        if name != "version" and old.get(name, "") != value
    }
    unit.note(by, "set", "auto-recharge", changes, now)


def _arm(unit: OrganisationUnit, rule: RechargeRule, now: datetime) -> None:
    """Put into the wallet what debits have to know: the trigger, and from when on it counts."""
    marks = unit.account.marks
    marks.trigger_micros = rule.trigger_micros if rule.enabled else 0
    marks.recharge_at = None
    marks.recharge_due_at = None
    if rule.enabled and rule.suspended_at is None and unit.buying.open_recharge(unit.organisation.org_id) is None:
        marks.recharge_at = now


def _rule(unit: OrganisationUnit) -> RechargeRule:
    rule = unit.buying.rule(unit.organisation.org_id)
    if rule is None:
        org_id = unit.organisation.org_id
        raise NotFound(f"organisation {org_id!r} has no auto-recharge; set one: gettone recharge set {org_id}")
    return rule


# -- what it buys ------------------------------------------------------------------------------------------------------


def open_marked(office: Office, now: datetime) -> int:
    """Order a recharge for the wallets that a debit has marked as due; returns how many were ordered."""
    with office.read() as unit:
        org_ids = unit.buying.recharges_marked(BATCH)
    return sum(_open(office, org_id, now) for org_id in org_ids)


def open_due(office: Office, now: datetime) -> int:
    """As `open_marked`, for wallets that became due without a debit: credit expired, or a wait is over."""
    made, after = 0, ""
    while True:
        with office.read() as unit:
            org_ids = unit.buying.recharges_due(now, after, BATCH)
        made += sum(_open(office, org_id, now) for org_id in org_ids)
        if len(org_ids) < BATCH:
            return made
        after = org_ids[-1]


def _open(office: Office, org_id: str, now: datetime) -> bool:
    with office.write(org_id) as unit:
        watched(unit, now)
        return open_in(unit, now) is not None


def open_in(unit: OrganisationUnit, now: datetime) -> Payment | None:
    """Order a recharge if it is due and may be, and request its payment; None otherwise."""
    marks, org_id = unit.account.marks, unit.organisation.org_id
    if marks.recharge_due_at is None or unit.buying.open_recharge(org_id) is not None:
        return None
    marks.recharge_due_at = None
    if unit.organisation.closed:
        return None
    rule = unit.buying.rule(org_id)
    if rule is None or not rule.enabled or rule.suspended_at is not None:
        marks.recharge_at = None
        return None
    zone = ZoneInfo(unit.organisation.time_zone)
    available = unit.account.wallet.available_micros(now)
    if not due(available, rule.trigger_micros):
        # Somebody else has put credit in, or a call has given back what it held.
        return None
    wanted = to_buy(_domain(rule), available, _bought(unit, org_id, zone, now))
    if isinstance(wanted, Paused):
        _capped(unit, wanted, zone, now)
        return None
    method = _first_method(unit, rule)
    if method is None:
        _suspend(unit, rule, NO_METHOD, now)
        return None
    marks.recharge_at = None
    order = new_order(
        unit,
        kind=RECHARGE,
        amount_micros=wanted,
        purchase_order=rule.purchase_order or method.purchase_order,
        ordered_by=BY_RULE,
        now=now,
    )
    return request_payment(unit, order, method, now)


def _first_method(unit: OrganisationUnit, rule: RechargeRule) -> Method | None:
    methods = usable(unit.buying.methods(unit.organisation.org_id))
    chosen = [method for method in methods if method.method_id == rule.method_id]
    return next(iter([*chosen, *methods]), None)


def _capped(unit: OrganisationUnit, cap: Paused, zone: ZoneInfo, now: datetime) -> None:
    """Wait for the next day or month."""
    local = now.astimezone(zone)
    if cap is Paused.DAY_CAP:
        following, word = local.date() + timedelta(days=1), "day"
    else:
        following, word = (local.date().replace(day=1) + timedelta(days=32)).replace(day=1), "month"
    again = datetime(following.year, following.month, following.day, tzinfo=zone).astimezone(now.tzinfo)
    unit.account.marks.recharge_at = again
    tell_once(unit, RECHARGE_CAPPED, f"{cap.value}/{following}", now, cap=word, retry_at=again.isoformat())


# -- what came of it ---------------------------------------------------------------------------------------------------


def declined_in(unit: OrganisationUnit, order: CreditOrder, payment: Payment, now: datetime, *, final: bool) -> None:
    """Every method was declined: wait longer each time, at last for somebody to look."""
    rule = unit.buying.rule(unit.organisation.org_id)
    if rule is None:
        return
    rule = msgspec.structs.replace(rule, declines=rule.declines + 1)
    again = after_decline(rule.declines, now, final=final)
    if again is None:
        _suspend(unit, rule, payment.code, now)
        return
    unit.buying.write_rule(unit.organisation.org_id, rule)
    if rule.enabled:
        unit.account.marks.recharge_at = again
        tell_once(
            unit,
            RECHARGE_FAILED,
            order.order_id,
            now,
            amount=str(order.amount_micros),
            reason=payment.detail or payment.code,
            retry_at=again.isoformat(),
        )


def _suspend(unit: OrganisationUnit, rule: RechargeRule, because: str, now: datetime) -> None:
    rule = msgspec.structs.replace(rule, suspended_at=now, suspended_because=because)
    unit.buying.write_rule(unit.organisation.org_id, rule)
    unit.account.marks.recharge_at = None
    tell_once(unit, RECHARGE_SUSPENDED, str(unit.account.version + 1), now, reason=because)


def resume_in(unit: OrganisationUnit, now: datetime) -> None:
    """Forget declines and suspension: a payment has succeeded, a method came in, or somebody says so."""
    rule = unit.buying.rule(unit.organisation.org_id)
    if rule is None:
        return
    if rule.declines or rule.suspended_at is not None:
        rule = msgspec.structs.replace(rule, declines=0, suspended_at=None, suspended_because="")
        unit.buying.write_rule(unit.organisation.org_id, rule)
    go_on_in(unit, now)


def go_on_in(unit: OrganisationUnit, now: datetime) -> None:
    """Let the rule buy again from now on, if it is on and not suspended and no recharge is open."""
    rule = unit.buying.rule(unit.organisation.org_id)
    if rule is not None:
        _arm(unit, rule, now)
        watched(unit, now)


def _bought(unit: Unit, org_id: str, zone: ZoneInfo, now: datetime) -> Bought:
    today = now.astimezone(zone).date()
    day = datetime(today.year, today.month, today.day, tzinfo=zone)
    month = day.replace(day=1)
    day_count, day_micros = unit.buying.bought(org_id, day)
    month_count, month_micros = unit.buying.bought(org_id, month)
    return Bought(day_count=day_count, day_micros=day_micros, month_count=month_count, month_micros=month_micros)


def _domain(rule: RechargeRule) -> Rule:
    return Rule(
        trigger_micros=rule.trigger_micros,
        amount_micros=rule.amount_micros,
        day_count=rule.day_count,
        day_micros=rule.day_micros,
        month_count=rule.month_count,
        month_micros=rule.month_micros,
    )


def _paused(
    rule: RechargeRule | None, order: CreditOrder | None, at: datetime | None, wanted: int | Paused, now: datetime
) -> str:
    if rule is None or not rule.enabled:
        return ""
    if rule.suspended_at is not None:
        return Paused.SUSPENDED.value
    if order is not None:
        return Paused.RECHARGE_OPEN.value
    if isinstance(wanted, Paused):
        return wanted.value
    return Paused.BACKING_OFF.value if at is not None and at > now else ""


def history(office: Office, org_id: str, *, cursor: str = "", limit: int = 100) -> Page[CreditOrder]:
    """The recharges, newest first. Raises `NotFound` or `InvalidInput`."""
    return orders(office, org_id, kind=RECHARGE, cursor=cursor, limit=limit)
