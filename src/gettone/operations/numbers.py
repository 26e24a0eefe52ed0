"""Telephone numbers of organisations: each belongs to one organisation, and rings one user or one service."""

from gettone.domain.parties import NumberUse
from gettone.errors import InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.directory import check_numbers_free, read_user
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.paging import check_limit, page
from gettone.operations.views import NumberView, Page


def assign_number(
    office: Office, org_id: str, number: str, *, user: str = "", use: str = "", label: str = ""
) -> NumberView:
    """Let *number* ring *user* (id or user principal name), or a service: conference, auto_attendant or call_queue.

    The same again changes nothing. Raises `InvalidInput`, `NotFound`, or `Conflict` when the number is in use.
    """
    digits = checks.digits("number", number)
    with office.write(org_id) as unit:
        wanted = number_of(unit, digits, user, use, label)
        known = unit.directory.numbers_by_digits(org_id, [digits]).get(digits)
        if known == wanted:
            return known
        if known is not None and (known.use, known.user_id) == (wanted.use, wanted.user_id):
            unit.directory.change_numbers(org_id, [wanted])
            return wanted
        check_numbers_free(unit, [digits])
        unit.directory.add_numbers(org_id, [wanted])
        unit.directory_changed()
    return wanted


def release_number(office: Office, org_id: str, number: str) -> None:
    """Give a number back; raises `NotFound` when it is not the organisation's."""
    digits = checks.digits("number", number)
    with office.write(org_id) as unit:
        if digits not in unit.directory.numbers_by_digits(org_id, [digits]):
            raise NotFound(f"number '+{digits}': organisation {org_id!r} has no such number; list its numbers")
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


def number_of(unit: OrganisationUnit, digits: str, user: str, use: str, label: str) -> NumberView:
    """The number as it is wanted, checked; without *use* it is a user's when a user is given."""
    wanted_use = checks.number_use(use or (NumberUse.USER.value if user else ""))
    if (wanted_use == NumberUse.USER.value) != bool(user):
        remedy = "name the user it rings" if not user else f"leave it out: the number is for a {wanted_use}"
        raise InvalidInput("user", user, remedy)
    user_id = read_user(unit, unit.organisation.org_id, user).user_id if user else ""
    return NumberView(
        number="+" + digits, use=wanted_use, user_id=user_id, label=checks.text("label", label, empty=True)
    )
