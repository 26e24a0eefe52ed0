"""Bodies about policies, blocks, spending and notices; amounts are decimal strings in the organisation's currency."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from gettone.api.bodies import shown
from gettone.api.problems import FieldError, invalid
from gettone.api.wire import money
from gettone.domain.money import MoneyError, parse_micros
from gettone.operations.notices import TENANT_REQUESTED, sentence
from gettone.operations.policies import PoliciesView, PolicyChanges, UserPolicyView
from gettone.operations.views import NoticeView

Limit = Annotated[
    str, msgspec.Meta(pattern=r"^[0-9]+(\.[0-9]+)?$", description="A decimal number that is not negative.")
]
Count = Annotated[int, msgspec.Meta(ge=0)]
Group = Annotated[str, msgspec.Meta(description="department/NAME or cost_centre/NAME.")]


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- in ----------------------------------------------------------------------------------------------------------------


class GuardChange(_Input, frozen=True, kw_only=True):
    """What is given changes; null switches a limit off. The two hours and `premium_minute` are amounts."""

    concurrent_calls: Count | UnsetType | None = UNSET
    conference_calls: Count | UnsetType | None = UNSET
    resource_calls: Count | UnsetType | None = UNSET
    user_hour: Limit | UnsetType | None = UNSET
    organisation_hour: Limit | UnsetType | None = UNSET
    new_premium_per_day: Count | UnsetType | None = UNSET
    premium_minute: Limit | UnsetType | None = UNSET
    block_hours: Count | UnsetType = UNSET


class PoliciesChange(_Input, frozen=True, kw_only=True):
    """What is given changes; null takes a limit away.

    `dial_out` empty goes back to the catalogue's default. `group_limits` changes the groups that it names.
    """

    dial_out: str | UnsetType = UNSET
    user_limit: Limit | UnsetType | None = UNSET
    group_limits: dict[Group, Limit | None] = {}
    conference_uses_calling_plan: bool | UnsetType = UNSET
    guard: GuardChange = GuardChange()


class UserPolicyChange(_Input, frozen=True, kw_only=True):
    """What is given changes; `dial_out` empty, and `limit` null, let the organisation's count."""

    dial_out: str | UnsetType = UNSET
    limit: Limit | UnsetType | None = UNSET


class NewBar(_Input, frozen=True, kw_only=True):
    """Numbers to bar by their first digits, or with `barred` false to exempt from a shorter prefix."""

    prefix: str
    direction: str = "called"
    barred: bool = True
    label: str = ""


class NewBlock(_Input, frozen=True, kw_only=True):
    """Why and until when a user is blocked; without `until`, until somebody unblocks."""

    reason: str = TENANT_REQUESTED
    until: datetime | None = None
    detail: str = ""


class Unblock(_Input, frozen=True, kw_only=True):
    """Why a user is unblocked, for people."""

    detail: str = ""


class NewDestination(_Input, frozen=True, kw_only=True):
    """A premium destination to allow, as the rate deck names it."""

    destination: str


# -- out ---------------------------------------------------------------------------------------------------------------


class GuardLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The fraud guard's limits; null where one is off."""

    concurrent_calls: int | None
    conference_calls: int | None
    resource_calls: int | None
    user_hour: str | None
    organisation_hour: str | None
    new_premium_per_day: int | None
    premium_minute: str | None
    block_hours: int


class PolicySettings(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation's rules; `dial_out` is empty where the catalogue's default, `dial_out_in_force`, counts."""

    org_id: str
    currency: str
    dial_out: str
    dial_out_in_force: str
    user_limit: str | None
    group_limits: dict[str, str]
    conference_uses_calling_plan: bool
    guard: GuardLimits
    bars: int


class UserPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for one user: the user's own, and those in force. Blocked while `blocked_reason` is not empty."""

    user_id: str
    upn: str
    display_name: str
    department: str
    cost_centre: str
    currency: str
    dial_out: str
    dial_out_in_force: str
    limit: str | None
    limit_in_force: str | None
    blocked_reason: str
    blocked_until: datetime | None


class Spend(msgspec.Struct, frozen=True, kw_only=True):
    """What one subject has spent in a month, what its running calls hold, and what its limit leaves.

    `subject` is `user/ID`, `department/NAME`, `cost_centre/NAME`, or empty for the organisation's international calls.
    """

    subject: str
    display: str
    period: int
    currency: str
    limit: str | None
    spent: str
    held: str
    left: str | None
    open_calls: int
    percent: int | None


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Something an administrator should know; `sentence` says it, `facts` are for programs (amounts in micros)."""

    notice_id: str
    kind: str
    subject: str
    written_at: datetime
    sentence: str
    facts: dict[str, str]


_GUARD_AMOUNTS = frozenset({"user_hour", "organisation_hour", "premium_minute"})


def policy_settings(view: PoliciesView) -> PolicySettings:
    """Show an organisation's rules."""
    currency, guard = view.currency, view.guard
    return shown(
        PolicySettings,
        view,
        currency,
        user_limit=_shown(view.user_limit_micros, currency),
        group_limits={group: money(limit, currency) for group, limit in view.group_limits_micros.items()},
        guard=GuardLimits(
            concurrent_calls=guard.concurrent_calls,
            conference_calls=guard.conference_calls,
            resource_calls=guard.resource_calls,
            user_hour=_shown(guard.user_hour_micros, currency),
            organisation_hour=_shown(guard.organisation_hour_micros, currency),
            new_premium_per_day=guard.new_premium_per_day,
            premium_minute=_shown(guard.premium_minute_micros, currency),
            block_hours=guard.block_hours,
        ),
    )


def user_policy(view: UserPolicyView) -> UserPolicy:
    """Show the rules for a user."""
    return shown(
        UserPolicy,
        view,
        view.currency,
        limit=_shown(view.limit_micros, view.currency),
        limit_in_force=_shown(view.limit_in_force_micros, view.currency),
    )


def spend(view: msgspec.Struct, currency: str) -> Spend:
    """Show what a subject has spent."""
    limit, left = (_shown(getattr(view, name), currency) for name in ("limit_micros", "left_micros"))
    return shown(Spend, view, currency, limit=limit, left=left)


def notice(view: NoticeView, currency: str) -> Notice:
    """Show a notice with its sentence."""
    return shown(Notice, view, currency, sentence=sentence(view, currency))


def policy_changes(body: PoliciesChange, currency: str) -> PolicyChanges:
    """The changes that *body* asks for."""
    guard: dict[str, int | None] = {}
    for name, value in msgspec.structs.asdict(body.guard).items():
        if name in _GUARD_AMOUNTS and value is not UNSET:
            guard[f"{name}_micros"] = _read(f"guard.{name}", value, currency)
        elif value is not UNSET:
            guard[name] = value
    return PolicyChanges(
        dial_out=body.dial_out,
        user_limit_micros=limit("user_limit", body.user_limit, currency),
        group_limits_micros=_groups(body.group_limits, currency),
        conference_uses_calling_plan=body.conference_uses_calling_plan,
        guard=guard,
    )


def limit(field: str, value: str | UnsetType | None, currency: str) -> int | UnsetType | None:
    """Read a limit that may be absent, or null for none."""
    return UNSET if value is UNSET else _read(field, value, currency)


def _groups(limits: Mapping[str, str | None], currency: str) -> dict[str, int | None]:
    return {group: _read(f"group_limits.{group[:80]}", value, currency) for group, value in limits.items()}


def _read(field: str, value: str | None, currency: str) -> int | None:
    if value is None:
        return None
    try:
        return parse_micros(value, currency)
    except MoneyError as error:
        raise invalid([FieldError(str(error), field, repr(value[:40]))]) from None


def _shown(value: int | None, currency: str) -> str | None:
    return None if value is None else money(value, currency)
