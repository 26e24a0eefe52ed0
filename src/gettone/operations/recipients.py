"""Who is written to: the roles that are told of themselves, users who have them, chosen addresses, and who is muted.

Sixteen roles are told by default (facts, section 2 and notification_recipients.csv; seed 000: "e-mails to the
administrators"). A role is told of every kind of notice but those in which administrators read what they did
themselves. A recipient may be a role or an address: it limits the kinds, says another language, or is muted. What
stands for an address counts before what stands for the roles of its user.

A user is written to at the user principal name. A role that was given to a user who is no more counts for nobody, also
not for a later user of the same id.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from types import MappingProxyType

import msgspec

from gettone.errors import InvalidInput, NotFound
from gettone.operations.billing import LANGUAGES, AdminRole, Recipient, Webhook
from gettone.operations.directory import read_user
from gettone.operations.notices import KINDS, POLICIES_CHANGED, USER_UNBLOCKED
from gettone.operations.office import Office, Unit
from gettone.operations.views import UserView

ROLES: Mapping[str, str] = MappingProxyType(
    {
        "global_admin": "Global Administrator",
        "billing_admin": "Billing Administrator",
        "skype_admin": "Skype for Business Administrator",
        "user_admin": "User Administrator",
        "helpdesk_admin": "Helpdesk Administrator",
        "service_support_admin": "Service Support Administrator",
        "device_admin": "Azure AD Joined Device Local Administrator",
        "application_admin": "Application Administrator",
        "license_admin": "License Administrator",
        "cloud_device_admin": "Cloud Device Administrator",
        "authentication_admin": "Authentication Administrator",
        "privileged_authentication_admin": "Privileged Authentication Administrator",
        "teams_communications_admin": "Teams Communications Administrator",
        "teams_communications_support_engineer": "Teams Communications Support Engineer",
        "teams_communications_support_specialist": "Teams Communications Support Specialist",
        "teams_admin": "Teams Administrator",
    }
)
"""The roles that are told by default, each with its title, as the service's own page lists them (2023-01-25)."""

ROLE_KINDS = frozenset(KINDS) - {POLICIES_CHANGED, USER_UNBLOCKED}
"""What roles are told of unless a recipient says otherwise."""

ROLE = "role/"
"""Before the name of a role that is a recipient."""

ADDRESS_MAX = 254

_ADDRESS = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}@[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?")


class Addressee(msgspec.Struct, frozen=True):
    """An address to write to, in a *language* (empty: the organisation's), and the title of the *role* that is why."""

    address: str
    language: str = ""
    role: str = ""


class RoleView(msgspec.Struct, frozen=True, kw_only=True):
    """A user administers something; *address* is empty when the user principal name is no address."""

    user_id: str
    upn: str
    role: str
    title: str
    granted_at: datetime
    address: str


class RecipientView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is written to: a role or an address as *target*; *chosen* when somebody said something about it.

    *kinds* are the kinds of notice wanted, empty for the usual ones. *addresses* are those it stands for.
    """

    target: str
    chosen: bool
    muted: bool
    kinds: tuple[str, ...]
    language: str
    addresses: tuple[str, ...]


# -- roles -------------------------------------------------------------------------------------------------------------


def list_roles(office: Office, org_id: str) -> tuple[RoleView, ...]:
    """Which user administers what, in order of user principal name and role. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return tuple(sorted(_holders(unit, org_id), key=lambda one: (one.upn, one.role)))


def grant_role(office: Office, org_id: str, user: str, role: str, now: datetime, *, by: str) -> RoleView:
    """Let a user have a role; again changes nothing. Raises `NotFound` or `InvalidInput`."""
    role = _known_role("role", role)
    with office.write(org_id) as unit:
        found = read_user(unit, org_id, user)
        there = [one for one in _holders(unit, org_id) if (one.user_id, one.role) == (found.user_id, role)]
        if there:
            return there[0]
        granted = AdminRole(user_id=found.user_id, role=role, granted_at=now)
        unit.telling.add_role(org_id, granted)
        unit.note(by, "grant_role", f"user/{found.user_id}", {"role": ("", role)}, now)
        return _role_view(granted, found)


def revoke_role(office: Office, org_id: str, user: str, role: str, now: datetime, *, by: str) -> None:
    """Take a role from a user, also from one who is no more, by id. Raises `NotFound` or `InvalidInput`."""
    role = _known_role("role", role)
    with office.write(org_id) as unit:
        found = unit.directory.users_by_ref(org_id, [user]).get(user)
        user_id = found.user_id if found is not None else user
        if not unit.telling.remove_role(org_id, user_id, role):
            raise NotFound(f"user {user[:80]!r} does not have the role {role!r}; list the roles")
        unit.note(by, "revoke_role", f"user/{user_id}", {"role": (role, "")}, now)


def _known_role(field: str, value: str) -> str:
    name = value.strip().lower().replace("-", "_").replace(" ", "_")
    if name in ROLES:
        return name
    by_title = {title.lower(): role for role, title in ROLES.items()}
    if value.strip().lower() in by_title:
        return by_title[value.strip().lower()]
    near = get_close_matches(name, ROLES, n=1, cutoff=0.6)
    guess = f"did you mean {near[0]}? " if near else ""
    raise InvalidInput(field, value[:80], f"{guess}write one of {', '.join(ROLES)}")


def _holders(unit: Unit, org_id: str) -> list[RoleView]:
    """The roles of users who are there, and were when they got them."""
    roles = [one for one in unit.telling.roles(org_id) if one.role in ROLES]
    users = unit.directory.users_by_ref(org_id, sorted({one.user_id for one in roles}))
    found = []
    for one in roles:
        user = users.get(one.user_id)
        # Another's user principal name may be what an id once was.
        if user is not None and user.user_id == one.user_id and user.created_at <= one.granted_at:
            found.append(_role_view(one, user))
    return found


def _role_view(role: AdminRole, user: UserView) -> RoleView:
    return RoleView(
        user_id=user.user_id,
        upn=user.upn,
        role=role.role,
        title=ROLES[role.role],
        granted_at=role.granted_at,
        address=user.upn if is_address(user.upn) else "",
    )


# -- recipients --------------------------------------------------------------------------------------------------------


def list_recipients(office: Office, org_id: str) -> tuple[RecipientView, ...]:
    """Every role that somebody has or somebody said something about, then every chosen address. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        rows = {one.target: one for one in unit.telling.recipients(org_id)}
        holders = _holders(unit, org_id)
    targets = {*rows, *(ROLE + one.role for one in holders)}
    return tuple(
        _recipient_view(target, rows.get(target), holders)
        for target in sorted(targets, key=lambda target: (not target.startswith(ROLE), target))
    )


def set_recipient(
    office: Office,
    org_id: str,
    target: str,
    now: datetime,
    *,
    by: str,
    kinds: Collection[str] = (),
    language: str = "",
    muted: bool = False,
) -> RecipientView:
    """Choose an address, or say how a role (``role/NAME``) is told; what was said of it before is replaced.

    *kinds* are the kinds of notice wanted, none for the usual ones (all of them for an address); a *muted* one is not
    written to, whatever else stands for it. Raises `NotFound` or `InvalidInput`.
    """
    target = _target(target)
    if language and language not in LANGUAGES:
        raise InvalidInput("language", language[:80], f"write one of {', '.join(LANGUAGES)}, or nothing")
    wanted = known_kinds(kinds)
    with office.write(org_id) as unit:
        rows = {one.target: one for one in unit.telling.recipients(org_id)}
        old = rows.get(target)
        new = Recipient(
            target=target, created_at=old.created_at if old else now, kinds=wanted, language=language, muted=muted
        )
        if new != old:
            unit.telling.write_recipient(org_id, new)
            unit.note(by, "set_recipient", f"recipient/{target}", {"told": (_said(old), _said(new))}, now)
        return _recipient_view(target, new, _holders(unit, org_id))


def remove_recipient(office: Office, org_id: str, target: str, now: datetime, *, by: str) -> None:
    """Take out what was said of an address or a role; a role is told as usual again. Raises `NotFound`."""
    target = _target(target)
    with office.write(org_id) as unit:
        rows = {one.target: one for one in unit.telling.recipients(org_id)}
        if not unit.telling.remove_recipient(org_id, target):
            raise NotFound(f"target {target!r}: it is no chosen recipient; list the recipients")
        unit.note(by, "remove_recipient", f"recipient/{target}", {"told": (_said(rows[target]), "")}, now)


def known_kinds(kinds: Iterable[str]) -> str:
    """Kinds of notice as they are kept: in order, parted by blanks. Raises `InvalidInput`."""
    wanted = sorted({kind.strip() for kind in kinds if kind.strip()})
    for kind in wanted:
        if kind not in KINDS:
            near = get_close_matches(kind, KINDS, n=1, cutoff=0.6)
            guess = f"did you mean {near[0]}? " if near else ""
            raise InvalidInput("kinds", kind[:80], f"{guess}write some of {', '.join(KINDS)}")
    return " ".join(wanted)


def mail_address(field: str, value: str) -> str:
    """An address for mails, in small letters. Raises `InvalidInput`."""
    cleaned = value.strip().lower()
    if not is_address(cleaned):
        raise InvalidInput(
            field, value[:80], "write an ASCII mail address such as finance@example.com (a domain in its xn-- form)"
        )
    return cleaned


def is_address(value: str) -> bool:
    """Whether a text in small letters can be written to."""
    return len(value) <= ADDRESS_MAX and _ADDRESS.fullmatch(value) is not None and ".." not in value


def _target(value: str) -> str:
    if value.startswith(ROLE):
        return ROLE + _known_role("target", value.removeprefix(ROLE))
    return mail_address("target", value)


def _recipient_view(target: str, row: Recipient | None, holders: Iterable[RoleView]) -> RecipientView:
    if target.startswith(ROLE):
        addresses = sorted({one.address for one in holders if ROLE + one.role == target and one.address})
    else:
        addresses = [target]
    return RecipientView(
        target=target,
        chosen=row is not None,
        muted=row.muted if row else False,
        kinds=tuple(row.kinds.split()) if row else (),
        language=row.language if row else "",
        addresses=tuple(addresses),
    )


def _said(row: Recipient | None) -> str:
    if row is None:
        return ""
    return "muted" if row.muted else f"{row.kinds or 'all kinds'}{f' in {row.language}' if row.language else ''}"


# -- who is told of what -----------------------------------------------------------------------------------------------


class Audience:
    """Who of one organisation is told of a kind of notice, as it is when this is made."""

    def __init__(self, unit: Unit, org_id: str) -> None:
        """Read roles, recipients and webhooks."""
        self._rows = {one.target: one for one in unit.telling.recipients(org_id)}
        self._holders = _holders(unit, org_id)
        self._webhooks = [one for one in unit.telling.webhooks(org_id) if one.active]

    def addressees(self, kind: str) -> list[Addressee]:
        """Whom to write to, each address once, in order of address."""
        found: dict[str, Addressee] = {}
        for one in self._holders:
            row = self._rows.get(ROLE + one.role)
            if one.address and one.address not in found and _role_wants(row, kind):
                found[one.address] = Addressee(one.address, row.language if row else "", one.title)
        for target, row in self._rows.items():
            if target.startswith(ROLE):
                continue
            by_role = found.pop(target, None)
            if not row.muted and _wants(row.kinds, kind):
                language = row.language or (by_role.language if by_role else "")
                found[target] = Addressee(target, language, by_role.role if by_role else "")
        return [found[address] for address in sorted(found)]

    def webhooks(self, kind: str) -> list[Webhook]:
        """The webhooks that want to hear of it, oldest first."""
        return [one for one in self._webhooks if _wants(one.kinds, kind)]


def _wants(kinds: str, kind: str) -> bool:
    return not kinds or kind in kinds.split()


def _role_wants(row: Recipient | None, kind: str) -> bool:
    if row is None or not (row.kinds or row.muted):
        # A kind that a newer version wrote is told to everybody: it may be urgent.
        return kind in ROLE_KINDS or kind not in KINDS
    return not row.muted and kind in row.kinds.split()
