"""Policies: dial-out, spending limits, barred numbers, the fraud guard; blocked users, spending and notices."""

from typing import Annotated, Any

from litestar import Router
from litestar.params import JSONBody, QueryParameter

from gettone.api import policy_bodies
from gettone.api.policy_bodies import (
    NewBar,
    NewBlock,
    NewDestination,
    Notice,
    PoliciesChange,
    PolicySettings,
    Spend,
    Unblock,
    UserPolicy,
    UserPolicyChange,
)
from gettone.api.routing import (
    ADMIN,
    ORGANISATION,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    Text,
    delete,
    get,
    instant,
    needs,
    patch,
    plain,
    post,
)
from gettone.operations import bars, blocks, notices, policies, spending
from gettone.operations.blocks import BlockedUser
from gettone.operations.policies import DialOutView
from gettone.operations.views import BarView, BlockView, DestinationView, Key, Page

Prefix = Annotated[str, QueryParameter(description="First digits of E.164 numbers; a plus is written %2B.")]
Direction = Annotated[str, QueryParameter(description="called or calling.")]
Period = Annotated[int | None, QueryParameter(description="A month as yyyymm; without it this month.")]
OfKind = Annotated[str, QueryParameter(description="Only notices of this kind, such as user_blocked.")]

USER = f"{ORGANISATION}/users/{{user:str}}"


@get("/v1/dial-out-policies", opt=needs(READ), sync_to_thread=True)
def list_dial_out_policies(services: Given) -> Page[DialOutView]:
    """The dial-out policies that users may have, and what each allows."""
    return Page(policies.dial_out_policies(services.office, services.clock()))


@get(f"{ORGANISATION}/policies", opt=needs(READ), sync_to_thread=True)
def get_policies(services: Given, org_id: InPath) -> PolicySettings:
    """The organisation's rules."""
    return policy_bodies.policy_settings(policies.get_policies(services.office, org_id, services.clock()))


@patch(f"{ORGANISATION}/policies", opt=needs(ADMIN), sync_to_thread=True)
def change_policies(request: Caller, services: Given, org_id: InPath, data: JSONBody[PoliciesChange]) -> PolicySettings:
    """Change the organisation's rules; they count from the next call on."""
    changes = policy_bodies.policy_changes(data, services.currency(org_id))
    changed = policies.change_policies(services.office, org_id, changes, services.clock(), _by(request.auth))
    return policy_bodies.policy_settings(changed)


@patch(f"{USER}/policy", opt=needs(ADMIN), sync_to_thread=True)
def change_user_policy(
    request: Caller, services: Given, org_id: InPath, user: InPath, data: JSONBody[UserPolicyChange]
) -> UserPolicy:
    """Change the rules of one user; they count from the next call on."""
    changed = policies.change_user_policy(
        services.office,
        org_id,
        plain(user),
        services.clock(),
        _by(request.auth),
        dial_out=data.dial_out,
        limit_micros=policy_bodies.limit("limit", data.limit, services.currency(org_id)),
    )
    return policy_bodies.user_policy(changed)


@get(f"{USER}/policy", opt=needs(READ), sync_to_thread=True)
def get_user_policy(services: Given, org_id: InPath, user: InPath) -> UserPolicy:
    """The rules for one user: the user's own and those in force."""
    return policy_bodies.user_policy(policies.get_user_policy(services.office, org_id, plain(user), services.clock()))


# -- barred numbers ----------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/policies/bars", opt=needs(READ), sync_to_thread=True)
def list_bars(services: Given, org_id: InPath) -> Page[BarView]:
    """Barred and exempted prefixes, in order of direction and prefix."""
    return Page(bars.list_bars(services.office, org_id))


@post(f"{ORGANISATION}/policies/bars", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def add_bar(services: Given, org_id: InPath, data: JSONBody[NewBar]) -> BarView:
    """Bar numbers by their first digits, or exempt them; the same again changes nothing."""
    return bars.add_bar(
        services.office,
        org_id,
        data.prefix,
        services.clock(),
        direction=data.direction,
        barred=data.barred,
        label=data.label,
    )


@delete(f"{ORGANISATION}/policies/bars", opt=needs(ADMIN), sync_to_thread=True)
def remove_bar(services: Given, org_id: InPath, prefix: Prefix, direction: Direction = policies.CALLED) -> None:
    """Take a bar or an exemption away."""
    bars.remove_bar(services.office, org_id, prefix, direction=direction)


# -- blocked users -----------------------------------------------------------------------------------------------------


@post(f"{USER}/block", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def block_user(request: Caller, services: Given, org_id: InPath, user: InPath, data: JSONBody[NewBlock]) -> UserPolicy:
    """Let a user make no more calls, emergency calls apart; calls that run go on."""
    blocks.block_user(
        services.office,
        org_id,
        plain(user),
        data.reason,
        services.clock(),
        until=instant("until", data.until) if data.until else None,
        by=_by(request.auth),
        detail=data.detail,
    )
    return _user_policy(services, org_id, user)


@post(f"{USER}/unblock", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def unblock_user(request: Caller, services: Given, org_id: InPath, user: InPath, data: JSONBody[Unblock]) -> UserPolicy:
    """Let a user call again; somebody who is not blocked stays as is."""
    by, now = _by(request.auth), services.clock()
    blocks.unblock_user(services.office, org_id, plain(user), now, by=by, detail=data.detail)
    return _user_policy(services, org_id, user)


@get(f"{ORGANISATION}/blocked-users", opt=needs(READ), sync_to_thread=True)
def list_blocked_users(services: Given, org_id: InPath, cursor: Cursor = "", limit: Limit = 100) -> Page[BlockedUser]:
    """Users who are blocked now, in order of name; a page may be shorter than the limit."""
    return blocks.blocked_users(services.office, org_id, services.clock(), cursor=cursor, limit=limit)


@get(f"{ORGANISATION}/block-history", opt=needs(READ), sync_to_thread=True)
def list_block_history(
    services: Given, org_id: InPath, user: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[BlockView]:
    """Who was blocked and unblocked, newest first; of one *user* if named."""
    return blocks.block_history(services.office, org_id, user=user, cursor=cursor, limit=limit)


# -- spending, destinations, notices -----------------------------------------------------------------------------------


@get(f"{ORGANISATION}/spending", opt=needs(READ), sync_to_thread=True)
def list_spending(
    services: Given, org_id: InPath, period: Period = None, cursor: Cursor = "", limit: Limit = 100
) -> Page[Spend]:
    """What users and groups have spent in a month, beside their limits, in order of subject."""
    found = spending.spending_page(services.office, org_id, services.clock(), period=period, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(policy_bodies.spend(view, currency) for view in found.items), found.next_cursor)


@get(f"{ORGANISATION}/destinations", opt=needs(READ), sync_to_thread=True)
def list_destinations(
    services: Given, org_id: InPath, cursor: Cursor = "", limit: Limit = 100
) -> Page[DestinationView]:
    """Premium destinations that the fraud guard knows: called before, or allowed."""
    return spending.list_destinations(services.office, org_id, cursor=cursor, limit=limit)


@post(f"{ORGANISATION}/destinations", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def allow_destination(services: Given, org_id: InPath, data: JSONBody[NewDestination]) -> DestinationView:
    """Let a premium destination count as known, so that first calls to it go through."""
    return spending.allow_destination(services.office, org_id, data.destination, services.clock())


@get(f"{ORGANISATION}/notices", opt=needs(READ), sync_to_thread=True)
def list_notices(
    services: Given, org_id: InPath, kind: OfKind = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[Notice]:
    """What an administrator should know, newest first."""
    found = notices.list_notices(services.office, org_id, kind=kind, cursor=cursor, limit=limit)
    currency = services.currency(org_id)
    return Page(tuple(policy_bodies.notice(view, currency) for view in found.items), found.next_cursor)


def _by(key: Key) -> str:
    return f"API key {key.key_id}" + (f" ({key.label})" if key.label else "")


def _user_policy(services: Given, org_id: str, user: str) -> UserPolicy:
    return policy_bodies.user_policy(policies.get_user_policy(services.office, org_id, plain(user), services.clock()))


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_dial_out_policies, get_policies, change_policies, get_user_policy, change_user_policy),
        *(list_bars, add_bar, remove_bar),
        *(block_user, unblock_user, list_blocked_users, list_block_history),
        *(list_spending, list_destinations, allow_destination, list_notices),
    ]
    return Router("/", route_handlers=handlers, tags=["Policies"], **options)
