"""Telephone numbers of organisations: each belongs to one organisation, and rings one user, one service, or nobody.

What may ring what, and how many numbers licences allow, is said by `gettone.operations.number_rules`.
"""

from collections.abc import Iterable
from datetime import datetime

import msgspec

from gettone.domain.parties import NumberUse
from gettone.errors import Conflict, NotFound
from gettone.operations import checks
from gettone.operations.directory import check_numbers_free, read_user, whose
from gettone.operations.licence_moves import Licences
from gettone.operations.number_rules import NumberQuotas, NumberQuotaView, number_wanted
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.paging import check_limit, page
from gettone.operations.views import NumberView, Page

_NOBODY = NumberUse.UNASSIGNED.value


def assign_number(
    office: Office,
    org_id: str,
    number: str,
    now: datetime,
    *,
    user: str = "",
    use: str = "",
    label: str | None = None,
    source: str = "",
) -> NumberView:
    """Let *number* ring *user* (id or user principal name), or a service: conference, auto_attendant or call_queue.

    With *use* unassigned the organisation acquires it for later. A number that rings nobody yet keeps its source. The
    same again changes nothing. Raises `InvalidInput`, `NotFound`, or `Conflict` when the number is in use or more than
    the licences allow.
    """
    digits = checks.digits("number", number)
    with office.write(org_id) as unit:
        licences = Licences(unit, unit.organisation, now)
        known = unit.directory.numbers_by_digits(org_id, [digits]).get(digits)
        wanted = number_wanted(
            digits,
            user=read_user(unit, org_id, user) if user else None,
            use=use,
            label=label if label is not None else known.label if known else "",
            source=source or (known.source if known else ""),
            licences=licences,
        )
        if known == wanted:
            return known
        if known is not None and (known.use, known.user_id) not in {(wanted.use, wanted.user_id), (_NOBODY, "")}:
            raise Conflict(f"number {wanted.number!r}: {whose(known)} has it; release it first")
        if known is None:
            check_numbers_free(unit, [digits])
        NumberQuotas(unit, licences).take(wanted, known)
        if known is None:
            unit.directory.add_numbers(org_id, [wanted])
        else:
            unit.directory.change_numbers(org_id, [wanted])
        if known is None or (known.use, known.user_id) != (wanted.use, wanted.user_id):
            unit.directory_changed()
    return wanted


def acquire_numbers(
    office: Office, org_id: str, numbers: Iterable[str], now: datetime, *, source: str = "", label: str = ""
) -> tuple[NumberView, ...]:
    """Take numbers for later use, all or none; they ring nobody yet.

    Raises `InvalidInput`, `NotFound`, or `Conflict` when one is in use or more than the licences allow.
    """
    digits = list(dict.fromkeys(checks.digits("number", number) for number in numbers))
    with office.write(org_id) as unit:
        licences = Licences(unit, unit.organisation, now)
        quotas = NumberQuotas(unit, licences)
        check_numbers_free(unit, digits)
        acquired = tuple(
            number_wanted(one, user=None, use=_NOBODY, label=label, source=source, licences=licences) for one in digits
        )
        for one in acquired:
            quotas.take(one, None)
        unit.directory.add_numbers(org_id, acquired)
        if acquired:
            unit.directory_changed()
    return acquired


def unassign_number(office: Office, org_id: str, number: str, now: datetime) -> NumberView:
    """Let a number ring nobody; it stays with the organisation.

    Raises `NotFound`, or `Conflict` when the licences do not allow one more number of users, which it then counts as.
    """
    digits = checks.digits("number", number)
    with office.write(org_id) as unit:
        known = _known(unit, digits)
        changed = msgspec.structs.replace(known, use=_NOBODY, user_id="")
        if changed != known:
            NumberQuotas(unit, Licences(unit, unit.organisation, now)).take(changed, known)
            unit.directory.change_numbers(org_id, [changed])
            unit.directory_changed()
    return changed


def release_number(office: Office, org_id: str, number: str) -> None:
    """Give a number back; raises `NotFound` when it is not the organisation's."""
    digits = checks.digits("number", number)
    with office.write(org_id) as unit:
        _known(unit, digits)
        unit.directory.remove_numbers(org_id, [digits])
        unit.directory_changed()


def list_numbers(
    office: Office, org_id: str, *, user: str = "", search: str = "", cursor: str = "", limit: int = 100
) -> Page[NumberView]:
    """Numbers in order; of one *user*, or with *search* in the number or its label. Raises `NotFound`."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        user_id = read_user(unit, org_id, user).user_id if user else ""
        found = unit.directory.numbers(org_id, user_id, search.strip(), cursor.lstrip("+"), limit + 1)
        return page(found, limit, lambda number: number.number)


def number_quotas(office: Office, org_id: str, now: datetime) -> tuple[NumberQuotaView, ...]:
    """How many numbers came with a plan, and how many the licences allow: user, toll, toll_free. Raises `NotFound`."""
    with office.read() as unit:
        return NumberQuotas(unit, Licences(unit, unit.directory.organisation(org_id), now)).views()


def _known(unit: OrganisationUnit, digits: str) -> NumberView:
    org_id = unit.organisation.org_id
    known = unit.directory.numbers_by_digits(org_id, [digits]).get(digits)
    if known is None:
        raise NotFound(f"number '+{digits}': organisation {org_id!r} has no such number; list its numbers")
    return known
