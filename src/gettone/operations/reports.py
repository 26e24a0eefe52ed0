"""What is there and what happened: wallets, ledger, calls, usage, pools. Each answer is one moment's truth."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.catalogue import Terms
from gettone.domain.ledger import EntryKind
from gettone.domain.pools import period_of, split_key
from gettone.domain.session import CallState
from gettone.errors import InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.instants import EPOCH, microseconds
from gettone.operations.office import CallFilter, Office, Unit, add_totals
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.terms import terms_now
from gettone.operations.views import (
    CallDetail,
    CallView,
    EntryView,
    LotView,
    Page,
    PoolView,
    UsageTotal,
    WalletView,
)

USAGE_BY = ("day", "user", "destination", "payer")
SPAN_DAYS_MAX = 366

_QUARTER = timedelta(minutes=15)
_ANY_CALL = CallFilter()


def wallet(office: Office, org_id: str, now: datetime) -> WalletView:
    """The wallet as it is at *now*; raises `NotFound`."""
    with office.read() as unit:
        purse = unit.money.account(org_id).wallet
        views = unit.money.lots_by_id(org_id, [lot.lot_id for lot in purse.lots])
    alive = [lot for lot in purse.lots if now < lot.expires_at]
    first = alive[0].expires_at if alive else None
    return WalletView(
        org_id=org_id,
        currency=purse.currency,
        posted_micros=purse.posted_micros,
        held_micros=purse.held_micros,
        overrun_micros=purse.overrun_micros,
        expired_micros=sum(lot.expired_micros(now) for lot in purse.lots),
        available_micros=purse.available_micros(now),
        next_expiry_at=first,
        next_expiry_micros=sum(lot.remaining_micros for lot in alive if lot.expires_at == first),
        lots=tuple(views[lot.lot_id] for lot in purse.lots),
    )


def lots(
    office: Office, org_id: str, *, unspent_only: bool = False, cursor: str = "", limit: int = 100
) -> Page[LotView]:
    """Lots in order of id, which is their age; raises `NotFound`."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.money.lots(org_id, cursor, limit + 1, unspent_only=unspent_only)
    return page(found, limit, lambda lot: lot.lot_id)


def entries(
    office: Office, org_id: str, *, kind: str = "", reference: str = "", cursor: str = "", limit: int = 100
) -> Page[EntryView]:
    """Ledger entries, newest first; of one *kind*, or of one *reference*, such as a session id. Raises `NotFound`."""
    check_limit(limit)
    known = [entry_kind.value for entry_kind in EntryKind]
    if kind and kind not in known:
        raise InvalidInput("kind", kind[:80], f"write one of {', '.join(known)}")
    before = number_cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.money.entries(org_id, kind, reference, before, limit + 1)
    return page(found, limit, lambda entry: str(entry.entry_number))


def calls(
    office: Office, org_id: str, wanted: CallFilter = _ANY_CALL, *, cursor: str = "", limit: int = 100
) -> Page[CallView]:
    """Calls and messages, newest first. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    states = [state.value for state in CallState]
    if wanted.state and wanted.state not in states:
        raise InvalidInput("state", wanted.state[:80], f"write one of {', '.join(states)}")
    if wanted.since is not None and wanted.until is not None:
        _check_span(wanted.since, wanted.until)
    before = _call_cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        # Somebody who is no longer there is found by the user id that the calls remember.
        known = unit.directory.users_by_ref(org_id, [wanted.user]).get(wanted.user) if wanted.user else None
        if known is not None:
            wanted = msgspec.structs.replace(wanted, user=known.user_id)
        found = unit.calls.calls(org_id, wanted, before, limit + 1)
    return page(found, limit, lambda one: f"{microseconds(one.started_at)}.{one.session_id}")


def call(office: Office, org_id: str, session_id: str) -> CallDetail:
    """One call and who paid which seconds of it; raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.calls.call(org_id, session_id)
        if found is None:
            raise NotFound(f"session_id {session_id!r}: organisation {org_id!r} has no such call")
        return CallDetail(call=found, usage=tuple(unit.calls.usage_of(org_id, session_id)))


def usage(office: Office, org_id: str, *, by: str, since: datetime, until: datetime) -> tuple[UsageTotal, ...]:
    """Sums over ended calls that started from *since* on, before *until*; days are the organisation's.

    Raises `NotFound`, or `InvalidInput` for a span longer than 366 days or another *by* than those of `USAGE_BY`.
    """
    if by not in USAGE_BY:
        raise InvalidInput("by", by[:80], f"write one of {', '.join(USAGE_BY)}")
    _check_span(since, until)
    if until - since > timedelta(days=SPAN_DAYS_MAX):
        raise InvalidInput("until", until.isoformat(), f"write a time at most {SPAN_DAYS_MAX} days after since")
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        if by != "day":
            return tuple(unit.calls.usage_totals(org_id, by, since, until))
        quarters = unit.calls.usage_totals(org_id, "quarter", since, until)
    return _by_day(quarters, ZoneInfo(organisation.time_zone))


def pools(office: Office, org_id: str, now: datetime, *, period: int | None = None) -> tuple[PoolView, ...]:
    """Minute pools in a month given as yyyymm, or in the one that it is now. Raises `NotFound` or `InvalidInput`."""
    if period is not None and not (197001 <= period <= 999912 and 1 <= period % 100 <= 12):
        raise InvalidInput("period", period, "write year and month, such as 202601")
    with office.read() as unit:
        at_hand = _period_now(unit, org_id, now)
        wanted = at_hand if period is None else period
        found = unit.money.pools(org_id, wanted, current=wanted == at_hand)
        terms = terms_now(unit, unit.directory.organisation(org_id), now)
    return tuple(_with_names(one, terms) for one in found)


def _period_now(unit: Unit, org_id: str, now: datetime) -> int:
    return period_of(now, ZoneInfo(unit.directory.organisation(org_id).time_zone))


def _with_names(pool: PoolView, terms: Terms) -> PoolView:
    """The pool with what its key is made of, and the code under which reports show its calls."""
    area, plan, counter = split_key(pool.pool_key)
    known = terms.service_plans.get(plan)
    return msgspec.structs.replace(
        pool, area=area, product=plan, counter=counter, capability=known.capability if known else plan
    )


def _by_day(quarters: list[UsageTotal], zone: ZoneInfo) -> tuple[UsageTotal, ...]:
    """Add quarters of an hour up to days; every zone's days begin on one."""
    days: dict[str, UsageTotal] = {}
    for quarter in quarters:
        begins = EPOCH + int(quarter.key) * _QUARTER
        day = begins.astimezone(zone).date().isoformat()
        days[day] = add_totals(days.get(day, UsageTotal(key=day)), quarter)
    return tuple(days[day] for day in sorted(days))


def _check_span(since: datetime, until: datetime) -> None:
    if checks.instant("since", since) >= checks.instant("until", until):
        raise InvalidInput("until", until.isoformat(), f"write a time after since, which is {since.isoformat()}")


def _call_cursor(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    started_at, dot, session_id = cursor.partition(".")
    if not (dot and session_id):
        raise bad_cursor(cursor)
    return number_cursor(started_at) or 0, session_id
