"""An organisation's own rules and those of its users: kept as text, read and changed.

The rules are one JSON object in the organisation's row, without whatever is as shipped for its currency; bars have rows
of their own.
A change raises the directory version, so that the next call is decided by it, and leaves a notice that says who
changed what. Whoever sets a user's own rule sets it for that user alone; taking it away lets the organisation's count.

Sources: facts section 8 (dial-out policies, spending limits), open questions section D 9; what the fraud guard allows
where nothing is set stands in `gettone.domain.policies`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import cache
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from gettone.catalogue.tables import shipped_minimum
from gettone.domain.catalogue import ConferenceReach, Terms, UserReach
from gettone.domain.money import render_micros
from gettone.domain.policies import Bars, Guard, Policies, dial_out_policy
from gettone.errors import InvalidInput, SchemaMismatch
from gettone.operations import checks
from gettone.operations.directory import read_user
from gettone.operations.notices import POLICIES_CHANGED, named, notice
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.terms import terms_now, terms_of
from gettone.operations.views import BarView, OrganisationView, UserView

CALLED = "called"
CALLING = "calling"
DIRECTIONS = (CALLED, CALLING)
"""What a bar is about: numbers that are called, or numbers that call."""

GROUPS = ("department", "cost_centre")
"""What, beside users, may have a spending limit; a slash and the name follow."""


@cache
def shipped_guard(currency: str) -> Guard:
    """The fraud guard of an organisation that set nothing: its amounts are multiples of the least that may be bought.

    Rows that the operator adds to the minimums do not move it: what a guard allows changes only by its own settings.
    """
    return Guard.shipped(shipped_minimum(currency))


class DialOutView(msgspec.Struct, frozen=True, kw_only=True):
    """One of the fixed dial-out policies; *conference* and *user* are its codes, *allows* says it in words."""

    policy: str
    conference: str
    user: str
    default: bool
    allows: str


class PoliciesView(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation's rules; *dial_out* is empty where the catalogue's default, *dial_out_in_force*, counts.

    *user_limit_micros* and *group_limits_micros* are spending limits a month, None for none. *bars* is how many
    prefixes are barred or exempted.
    """

    org_id: str
    currency: str
    dial_out: str
    dial_out_in_force: str
    user_limit_micros: int | None
    group_limits_micros: dict[str, int]
    conference_uses_calling_plan: bool
    guard: Guard
    bars: int


class PolicyChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to change of an organisation's rules; the rest stays.

    *dial_out* empty goes back to the catalogue's default. None takes a limit away. *group_limits_micros* names groups
    as ``department/…`` or ``cost_centre/…``, *guard* the fields of `Guard`.
    """

    dial_out: str | UnsetType = UNSET
    user_limit_micros: int | UnsetType | None = UNSET
    group_limits_micros: Mapping[str, int | None] = MappingProxyType({})
    conference_uses_calling_plan: bool | UnsetType = UNSET
    guard: Mapping[str, int | None] = MappingProxyType({})


class UserPolicyView(msgspec.Struct, frozen=True, kw_only=True):
    """The rules for one user: the user's own, empty or None where there are none, and those in force.

    Blocked while *blocked_reason* is not empty, until *blocked_until*, or until somebody unblocks when that is None.
    """

    user_id: str
    upn: str
    display_name: str
    department: str
    cost_centre: str
    currency: str
    dial_out: str
    dial_out_in_force: str
    limit_micros: int | None
    limit_in_force_micros: int | None
    blocked_reason: str
    blocked_until: datetime | None


# -- as text -----------------------------------------------------------------------------------------------------------


class _StoredGuard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is not as shipped; null is a limit that is off."""

    concurrent_calls: int | UnsetType | None = UNSET
    conference_calls: int | UnsetType | None = UNSET
    resource_calls: int | UnsetType | None = UNSET
    user_hour_micros: int | UnsetType | None = UNSET
    organisation_hour_micros: int | UnsetType | None = UNSET
    new_premium_per_day: int | UnsetType | None = UNSET
    premium_minute_micros: int | UnsetType | None = UNSET
    block_hours: int | UnsetType = UNSET


class _Stored(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    dial_out: str = ""
    user_limit_micros: int | None = None
    group_limits_micros: dict[str, int] = {}
    conference_uses_calling_plan: bool = False
    guard: _StoredGuard = _StoredGuard()


_decode = msgspec.json.Decoder(_Stored).decode


def policies_from(text: str, bars: Sequence[BarView], currency: str) -> Policies:
    """The rules that the row of an organisation of a *currency* holds as *text*, with its *bars*.

    Raises `SchemaMismatch` when a newer version of the program wrote rules that are not known here: leaving them out
    would allow what somebody forbade.
    """
    try:
        stored = _decode(text or "{}")
    except msgspec.ValidationError as error:
        raise SchemaMismatch(
            f"the policies of an organisation cannot be read: {error}; a newer version of Gettone wrote them, use that"
        ) from None
    own = {name: value for name, value in msgspec.structs.asdict(stored.guard).items() if value is not UNSET}
    return Policies(
        dial_out=stored.dial_out,
        user_limit_micros=stored.user_limit_micros,
        group_limits_micros=stored.group_limits_micros,
        conference_uses_calling_plan=stored.conference_uses_calling_plan,
        guard=replace(shipped_guard(currency), **own),
        barred_called=_bars(bars, CALLED),
        barred_calling=_bars(bars, CALLING),
    )


def text_of(policies: Policies, currency: str) -> str:
    """The rules as the row of an organisation of a *currency* holds them: without bars, and what is as shipped."""
    rules, shipped = _plain(policies), _plain(Policies(guard=shipped_guard(currency)))
    changed = {name: value for name, value in rules.items() if value != shipped[name]}
    if "guard" in changed:
        changed["guard"] = {name: value for name, value in rules["guard"].items() if value != shipped["guard"][name]}
    return msgspec.json.encode(changed, order="deterministic").decode() if changed else ""


def _plain(policies: Policies) -> dict[str, Any]:
    return {
        "dial_out": policies.dial_out,
        "user_limit_micros": policies.user_limit_micros,
        "group_limits_micros": dict(policies.group_limits_micros),
        "conference_uses_calling_plan": policies.conference_uses_calling_plan,
        "guard": asdict(policies.guard),
    }


def _bars(bars: Sequence[BarView], direction: str) -> Bars:
    return Bars({bar.prefix: bar.barred for bar in bars if bar.direction == direction})


# -- what is there -----------------------------------------------------------------------------------------------------


def dial_out_policies(office: Office, now: datetime) -> tuple[DialOutView, ...]:
    """The dial-out policies there are; none can be edited or added but by the catalogue's tables."""
    with office.read() as unit:
        terms = terms_of(unit, now.astimezone(UTC).date())
    return tuple(
        DialOutView(
            policy=row.policy,
            conference=row.conference.value,
            user=row.user.value,
            default=row.default,
            allows=f"{_CONFERENCES[row.conference]}; {_USERS[row.user]}",
        )
        for row in terms.dial_out_policies.values()
    )


_CONFERENCES = {
    ConferenceReach.ANYWHERE: "conferences may dial out anywhere",
    ConferenceReach.ZONE_A: "conferences may dial out to countries of Zone A",
    ConferenceReach.DOMESTIC: "conferences may dial out within the organiser's country",
    ConferenceReach.NOWHERE: "conferences may not dial out",
}
_USERS = {
    UserReach.ANYWHERE: "the user may call anywhere",
    UserReach.DOMESTIC: "the user may call within the user's country",
    UserReach.NOWHERE: "the user may call emergency numbers only",
}


def get_policies(office: Office, org_id: str, now: datetime) -> PoliciesView:
    """An organisation's rules; raises `NotFound`."""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        return _view(organisation, read_policies(unit, organisation), terms_now(unit, organisation, now))


def get_user_policy(office: Office, org_id: str, ref: str, now: datetime) -> UserPolicyView:
    """The rules for one user, by user id or user principal name; raises `NotFound`."""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        user = read_user(unit, org_id, ref)
        return _user_view(user, organisation, read_policies(unit, organisation), terms_now(unit, organisation, now))


def read_policies(unit: Unit, organisation: OrganisationView) -> Policies:
    """The rules of *organisation* with its bars."""
    return policies_from(organisation.policies, unit.policies.bars(organisation.org_id), organisation.currency)


def _view(organisation: OrganisationView, policies: Policies, terms: Terms) -> PoliciesView:
    return PoliciesView(
        org_id=organisation.org_id,
        currency=organisation.currency,
        dial_out=policies.dial_out,
        dial_out_in_force=dial_out_policy("", policies, terms).policy,
        user_limit_micros=policies.user_limit_micros,
        group_limits_micros=dict(sorted(policies.group_limits_micros.items())),
        conference_uses_calling_plan=policies.conference_uses_calling_plan,
        guard=policies.guard,
        bars=len(policies.barred_called.prefixes) + len(policies.barred_calling.prefixes),
    )


def _user_view(user: UserView, organisation: OrganisationView, policies: Policies, terms: Terms) -> UserPolicyView:
    own = user.limit_micros
    return UserPolicyView(
        user_id=user.user_id,
        upn=user.upn,
        display_name=user.display_name,
        department=user.department,
        cost_centre=user.cost_centre,
        currency=organisation.currency,
        dial_out=user.dial_out_policy,
        dial_out_in_force=dial_out_policy(user.dial_out_policy, policies, terms).policy,
        limit_micros=own,
        limit_in_force_micros=policies.user_limit_micros if own is None else own,
        blocked_reason=user.blocked_reason,
        blocked_until=user.blocked_until,
    )


# -- changes -----------------------------------------------------------------------------------------------------------


def change_policies(office: Office, org_id: str, changes: PolicyChanges, now: datetime, by: str) -> PoliciesView:
    """Change what is given of an organisation's rules, in the name of *by*. Raises `NotFound` or `InvalidInput`."""
    with office.write(org_id) as unit:
        organisation, before = unit.organisation, read_policies(unit, unit.organisation)
        terms = terms_now(unit, organisation, now)
        after = _changed(before, changes, terms, organisation.currency)
        if after != before:
            text = text_of(after, organisation.currency)
            unit.directory.change_organisation(msgspec.structs.replace(organisation, policies=text))
            told = _differences(described(before, organisation.currency), described(after, organisation.currency))
            _tell(unit, "", told, now, by)
        return _view(organisation, after, terms)


def change_user_policy(
    office: Office,
    org_id: str,
    ref: str,
    now: datetime,
    by: str,
    *,
    dial_out: str | UnsetType = UNSET,
    limit_micros: int | UnsetType | None = UNSET,
) -> UserPolicyView:
    """Change what is given of a user's own rules.

    An empty *dial_out*, or a limit of None, lets the organisation's count.
    Raises `NotFound` or `InvalidInput`.
    """
    with office.write(org_id) as unit:
        organisation = unit.organisation
        terms, user = terms_now(unit, organisation, now), read_user(unit, org_id, ref)
        changes: dict[str, Any] = {}
        if dial_out is not UNSET:
            changes["dial_out_policy"] = _known_policy(dial_out, terms)
        if limit_micros is not UNSET:
            changes["limit_micros"] = _limit("limit", limit_micros, organisation.currency)
        changed = msgspec.structs.replace(user, **changes)
        if changed != user:
            unit.directory.change_users(org_id, [changed])
            told = _differences(_own(user, organisation.currency), _own(changed, organisation.currency))
            _tell(unit, f"user/{user.user_id}", told, now, by)
        return _user_view(changed, organisation, read_policies(unit, organisation), terms)


def _tell(unit: OrganisationUnit, subject: str, changes: str, now: datetime, by: str) -> None:
    unit.directory_changed()
    # Every change of the directory has a version of its own, so that no two notices share a name.
    crossing = str(unit.account.directory_version)
    facts = {"by": by, "changes": changes}
    unit.policies.add_notice(unit.organisation.org_id, notice(POLICIES_CHANGED, subject, crossing, facts, now))


def _changed(policies: Policies, changes: PolicyChanges, terms: Terms, currency: str) -> Policies:
    new: dict[str, Any] = {}
    if changes.dial_out is not UNSET:
        new["dial_out"] = _known_policy(changes.dial_out, terms)
    if changes.user_limit_micros is not UNSET:
        new["user_limit_micros"] = _limit("user_limit", changes.user_limit_micros, currency)
    if changes.group_limits_micros:
        limits = {_group(group): micros for group, micros in changes.group_limits_micros.items()}
        wanted = {**policies.group_limits_micros, **limits}
        new["group_limits_micros"] = {
            group: checked
            for group, micros in wanted.items()
            if (checked := _limit(f"group_limits {group}", micros, currency)) is not None
        }
    if changes.conference_uses_calling_plan is not UNSET:
        new["conference_uses_calling_plan"] = changes.conference_uses_calling_plan
    if changes.guard:
        guard: dict[str, Any] = {name: _guard_limit(name, value, currency) for name, value in changes.guard.items()}
        new["guard"] = replace(policies.guard, **guard)
    return replace(policies, **new)


# -- checks ------------------------------------------------------------------------------------------------------------


_GUARD_COUNTS = {
    "concurrent_calls": (1, 10_000),
    "conference_calls": (1, 10_000),
    "resource_calls": (1, 10_000),
    "new_premium_per_day": (0, 10_000),
    "block_hours": (0, 8_760),
}
_GUARD_AMOUNTS = ("user_hour_micros", "organisation_hour_micros", "premium_minute_micros")
GUARD_LIMITS = (*_GUARD_COUNTS, *_GUARD_AMOUNTS)
"""The limits of the fraud guard, by the fields of `Guard`."""


def _known_policy(value: str, terms: Terms) -> str:
    if value and value not in terms.dial_out_policies:
        known = ", ".join(terms.dial_out_policies)
        raise InvalidInput("dial_out", value[:80], f"there is no such dial-out policy; known are {known}")
    return value


def _group(value: str) -> str:
    kind, slash, name = value.partition("/")
    if kind not in GROUPS or not slash:
        wanted = " or ".join(f"{group}/NAME" for group in GROUPS)
        raise InvalidInput("group_limits", value[:80], f"write {wanted}")
    return f"{kind}/{checks.text('group_limits', name)}"


def _limit(field: str, micros: int | None, currency: str, *, least: int = 0) -> int | None:
    if micros is not None and not least <= micros <= checks.AMOUNT_MAX:
        most = render_micros(checks.AMOUNT_MAX, currency)
        remedy = f"write an amount from {render_micros(least, currency)} to {most} {currency}, or none for no limit"
        raise InvalidInput(field, render_micros(micros, currency), remedy)
    return micros


def _guard_limit(name: str, value: int | None, currency: str) -> int | None:
    field = f"guard.{name.removesuffix('_micros')}"
    if name in _GUARD_COUNTS:
        least, most = _GUARD_COUNTS[name]
        if value is None:
            return 0 if name == "block_hours" else None
        if not least <= value <= most:
            raise InvalidInput(field, value, f"write a number from {least} to {most}, or none for no limit")
        return value
    if name not in _GUARD_AMOUNTS:
        known = ", ".join(one.removesuffix("_micros") for one in GUARD_LIMITS)
        raise InvalidInput("guard", name[:80], f"the fraud guard has no such limit; known are {known}")
    return _limit(field, value, currency, least=1)


# -- in words ----------------------------------------------------------------------------------------------------------


def described(policies: Policies | PoliciesView, currency: str) -> dict[str, str]:
    """The rules by name, in words; bars are not among them."""
    guard = policies.guard
    return {
        "dial-out policy": policies.dial_out or "the default",
        "user limit": _amount(policies.user_limit_micros, currency),
        **{
            f"limit of {named(group)}": _amount(micros, currency)
            for group, micros in sorted(policies.group_limits_micros.items())
        },
        "conference uses calling plan": "yes" if policies.conference_uses_calling_plan else "no",
        "guard concurrent_calls": _count(guard.concurrent_calls),
        "guard conference_calls": _count(guard.conference_calls),
        "guard resource_calls": _count(guard.resource_calls),
        "guard user_hour": _amount(guard.user_hour_micros, currency),
        "guard organisation_hour": _amount(guard.organisation_hour_micros, currency),
        "guard new_premium_per_day": _count(guard.new_premium_per_day),
        "guard premium_minute": _amount(guard.premium_minute_micros, currency),
        "guard block_hours": str(guard.block_hours),
    }


def _own(user: UserView, currency: str) -> dict[str, str]:
    return {
        "dial-out policy": user.dial_out_policy or "the organisation's",
        "limit": "the organisation's" if user.limit_micros is None else _amount(user.limit_micros, currency),
    }


def _amount(micros: int | None, currency: str) -> str:
    return "none" if micros is None else f"{render_micros(micros, currency)} {currency}"


def _count(value: int | None) -> str:
    return "none" if value is None else str(value)


def _differences(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    names = list(dict.fromkeys([*before, *after]))
    pairs = [(name, before.get(name, "none"), after.get(name, "none")) for name in names]
    return "; ".join(f"{name} from {old} to {new}" for name, old, new in pairs if old != new)
