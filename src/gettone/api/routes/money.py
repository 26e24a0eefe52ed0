"""Wallets, the ledger, calls, usage and minute pools."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Router
from litestar.params import FromQuery, JSONBody, QueryParameter

from gettone.api import bodies
from gettone.api.bodies import Adjustment, BookingAnswer, Call, CallWithUsage, Entry, Funds, Lot, UsageSum, Wallet
from gettone.api.routing import (
    OPERATOR,
    ORGANISATION,
    READ,
    Cursor,
    Given,
    InPath,
    Limit,
    Reference,
    Text,
    get,
    instant,
    needs,
    plain,
    post,
)
from gettone.operations import reports, topups
from gettone.operations.office import CallFilter
from gettone.operations.views import Page, PoolView

SINCE = QueryParameter(description="Calls that started then or later.")
UNTIL = QueryParameter(description="Calls that started before then.")
Since = Annotated[datetime, SINCE]
SinceIfAny = Annotated[datetime | None, SINCE]
Until = Annotated[datetime, UNTIL]
UntilIfAny = Annotated[datetime | None, UNTIL]
InState = Annotated[str, QueryParameter(name="state", description="open, ended or refused.")]
By = Annotated[str, QueryParameter(description="day, user, destination or payer.")]
Period = Annotated[int | None, QueryParameter(description="A month as yyyymm; without it this month.")]


@get(f"{ORGANISATION}/wallet", opt=needs(READ), sync_to_thread=True)
def get_wallet(services: Given, org_id: InPath) -> Wallet:
    """The wallet now, with the lots that have credit left in the order in which they are spent."""
    return bodies.wallet(reports.wallet(services.office, org_id, services.clock()))


@get(f"{ORGANISATION}/wallet/lots", opt=needs(READ), sync_to_thread=True)
def list_lots(
    services: Given, org_id: InPath, *, unspent_only: FromQuery[bool] = False, cursor: Cursor = "", limit: Limit = 100
) -> Page[Lot]:
    """Every purchase and grant of credit, oldest first."""
    page = reports.lots(services.office, org_id, unspent_only=unspent_only, cursor=cursor, limit=limit)
    return bodies.shown_page(Lot, page, services.currency(org_id))


@post(f"{ORGANISATION}/wallet/funds", opt=needs(OPERATOR), sync_to_thread=True)
def add_funds(services: Given, org_id: InPath, data: JSONBody[Funds], reference: Reference) -> BookingAnswer:
    """Add credit by hand, once for each Idempotency-Key."""
    currency = services.currency(org_id)
    amount = bodies.micros(data.amount, currency, data.currency)
    booking = topups.add_funds(
        services.office,
        org_id,
        amount,
        reference=reference,
        now=services.clock(),
        reason=data.reason,
        expires_at=instant("expires_at", data.expires_at) if data.expires_at else None,
    )
    return bodies.shown(BookingAnswer, booking, currency)


@post(f"{ORGANISATION}/wallet/adjustments", opt=needs(OPERATOR), sync_to_thread=True)
def adjust(services: Given, org_id: InPath, data: JSONBody[Adjustment], reference: Reference) -> BookingAnswer:
    """Correct a wallet, once for each Idempotency-Key."""
    currency = services.currency(org_id)
    amount = bodies.micros(data.amount, currency, data.currency)
    now = services.clock()
    booking = topups.adjust(services.office, org_id, amount, reference=reference, reason=data.reason, now=now)
    return bodies.shown(BookingAnswer, booking, currency)


@get(f"{ORGANISATION}/ledger", opt=needs(READ), sync_to_thread=True)
def list_entries(
    *, services: Given, org_id: InPath, kind: Text = "", reference: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[Entry]:
    """Entries of the ledger, newest first; of one *kind*, or of one *reference* such as a session id."""
    page = reports.entries(services.office, org_id, kind=kind, reference=reference, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(bodies.entry(view, currency) for view in page.items), page.next_cursor)


@get(f"{ORGANISATION}/calls", opt=needs(READ), sync_to_thread=True)
def list_calls(
    *,
    services: Given,
    org_id: InPath,
    in_state: InState = "",
    user: Text = "",
    called: Text = "",
    call_type: Text = "",
    since: SinceIfAny = None,
    until: UntilIfAny = None,
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[Call]:
    """Calls and messages, newest first."""
    wanted = CallFilter(
        state=in_state,
        user=user,
        called=called,
        call_type=call_type,
        since=instant("since", since) if since else None,
        until=instant("until", until) if until else None,
    )
    page = reports.calls(services.office, org_id, wanted, cursor=cursor, limit=limit)
    return bodies.shown_page(Call, page, services.currency(org_id))


@get(f"{ORGANISATION}/calls/{{session_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_call(services: Given, org_id: InPath, session_id: InPath) -> CallWithUsage:
    """One call and who paid which seconds of it."""
    detail = reports.call(services.office, org_id, plain(session_id))
    return bodies.call_with_usage(detail, services.currency(org_id))


@get(f"{ORGANISATION}/usage", opt=needs(READ), sync_to_thread=True)
def usage_totals(services: Given, org_id: InPath, by: By, since: Since, until: Until) -> Page[UsageSum]:
    """Sums over ended calls by day, user, destination or payer."""
    start, end = instant("since", since), instant("until", until)
    totals = reports.usage(services.office, org_id, by=by, since=start, until=end)
    return bodies.shown_page(UsageSum, Page(totals), services.currency(org_id))


@get(f"{ORGANISATION}/pools", opt=needs(READ), sync_to_thread=True)
def list_pools(services: Given, org_id: InPath, period: Period = None) -> Page[PoolView]:
    """Minute pools: their size, what is used, held and free."""
    return Page(reports.pools(services.office, org_id, services.clock(), period=period))


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(get_wallet, list_lots, add_funds, adjust, list_entries),
        *(list_calls, get_call, usage_totals, list_pools),
    ]
    return Router("/", route_handlers=handlers, tags=["Money and calls"], **options)
