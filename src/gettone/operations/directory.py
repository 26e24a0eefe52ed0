"""Organisations and their users (design, section 4; D7: a pool grows with every licence assigned, at once).

Every function is one transaction. A user's licences count in the minute pools of their usage location: whatever changes
products or usage location goes through the rules of licences, resizes the pools of the organisation in the same
transaction, and raises its directory version, so that the next call is decided by it.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import uuid4

import msgspec

from gettone.domain.catalogue import Terms
from gettone.errors import Conflict, NotFound
from gettone.operations import checks
from gettone.operations.licence_moves import Licences, Move, no_such_user
from gettone.operations.licensing import changed_meanwhile
from gettone.operations.number_rules import NumberQuotas, number_wanted
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.paging import check_limit, page
from gettone.operations.pool_sizes import wrong_pools
from gettone.operations.terms import terms_now
from gettone.operations.views import NumberView, OrganisationView, Page, UserView

LOW_PART = 5
"""Little credit is left below a fifth of the minimum funding, unless an organisation says otherwise."""

STANDARD = "standard"
"""The price list of an organisation that names none."""


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be made; without *user_id* one is given. *number* is E.164, one of the user's own.

    *products* may each have service plans switched off behind exclamation marks. *resource* makes an account of a voice
    application, for good.
    """

    upn: str
    user_id: str = ""
    display_name: str = ""
    usage_location: str = ""
    products: tuple[str, ...] = ()
    number: str = ""
    resource: bool = False
    department: str = ""
    cost_centre: str = ""


# -- organisations -----------------------------------------------------------------------------------------------------


def create_organisation(
    office: Office,
    *,
    org_id: str,
    name: str,
    country: str,
    currency: str,
    now: datetime,
    time_zone: str = "UTC",
    price_list: str = STANDARD,
    post_usage: bool = False,
) -> OrganisationView:
    """Make an organisation with its empty wallet; the currency is for good.

    Raises `InvalidInput`, or `Conflict` when the id is taken.
    """
    new = OrganisationView(
        org_id=checks.org_id(org_id),
        name=checks.text("name", name),
        country=checks.country("country", country),
        currency=checks.currency(currency),
        time_zone=checks.time_zone(time_zone),
        price_list=checks.text("price_list", price_list),
        closed=False,
        post_usage=post_usage,
        created_at=now,
    )
    with office.write_shared() as unit:
        low_micros = terms_now(unit, new, now).minimum(new.currency) // LOW_PART
        unit.directory.add_organisation(new, low_micros)
    return new


def get_organisation(office: Office, org_id: str) -> OrganisationView:
    """One organisation; raises `NotFound`."""
    with office.read() as unit:
        return unit.directory.organisation(org_id)


def list_organisations(office: Office, *, cursor: str = "", limit: int = 100) -> Page[OrganisationView]:
    """Organisations in order of id."""
    check_limit(limit)
    with office.read() as unit:
        return page(unit.directory.organisations(cursor, limit + 1), limit, lambda one: one.org_id)


def change_organisation(
    office: Office,
    org_id: str,
    *,
    name: str | None = None,
    country: str | None = None,
    time_zone: str | None = None,
    price_list: str | None = None,
    post_usage: bool | None = None,
    now: datetime | None = None,
) -> OrganisationView:
    """Change the settings that are given; they count from the next call on. Raises `NotFound` or `InvalidInput`.

    With *now* another country or time zone gives the pools their size at once, else within the hour.
    """
    changes: dict[str, object] = {}
    if name is not None:
        changes["name"] = checks.text("name", name)
    if country is not None:
        changes["country"] = checks.country("country", country)
    if time_zone is not None:
        changes["time_zone"] = checks.time_zone(time_zone)
    if price_list is not None:
        changes["price_list"] = checks.text("price_list", price_list)
    if post_usage is not None:
        changes["post_usage"] = post_usage
    return _change(office, org_id, changes, now)


def close_organisation(office: Office, org_id: str) -> OrganisationView:
    """Refuse new calls from now on, emergencies apart; running ones end as they would. Credit and records stay."""
    return _change(office, org_id, {"closed": True})


def reopen_organisation(office: Office, org_id: str) -> OrganisationView:
    """Take calls again."""
    return _change(office, org_id, {"closed": False})


def _change(
    office: Office, org_id: str, changes: Mapping[str, object], now: datetime | None = None
) -> OrganisationView:
    with office.write(org_id) as unit:
        changed = msgspec.structs.replace(unit.organisation, **changes)
        if changed != unit.organisation:
            unit.directory.change_organisation(changed)
            unit.directory_changed()
        before = unit.organisation
        if now is not None and (changed.country, changed.time_zone) != (before.country, before.time_zone):
            unit.money.write_pools(org_id, wrong_pools(unit, Licences(unit, changed, now)))
    return changed


# -- users -------------------------------------------------------------------------------------------------------------


def create_user(office: Office, org_id: str, new: NewUser, now: datetime) -> UserView:
    """Make a user, with licences and a number of their own where given.

    The id of a user who was removed may be given again once none of their calls is open; what counts by user id, such
    as the spending of the month, goes on. Raises `InvalidInput`, `NotFound`, `LicencesRefused`, or `Conflict` when the
    user or the number is there already, or the id still has calls.
    """
    digits = checks.digits("number", new.number) if new.number else ""
    with office.write(org_id) as unit:
        licences = Licences(unit, unit.organisation, now)
        made = new_user(new, now, licences.terms)
        check_free(unit, made, new=True)
        if new.user_id:
            check_no_calls(made.user_id, unit.calls.users_in_calls(org_id))
        move = Move(None, made)
        licences.accept(move)
        number = number_wanted(digits, user=made, use="", label="", source="", licences=licences) if digits else None
        if number is not None:
            check_numbers_free(unit, [digits])
            NumberQuotas(unit, licences).take(number, None)
        licences.write(unit, [move])
        unit.directory.add_numbers(org_id, [number] if number else [])
        return read_user(unit, org_id, made.user_id)


def get_user(office: Office, org_id: str, ref: str) -> UserView:
    """One user by user id or user principal name; raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return read_user(unit, org_id, ref)


def list_users(office: Office, org_id: str, *, search: str = "", cursor: str = "", limit: int = 100) -> Page[UserView]:
    """Users in order of user principal name; *search* is a part of it, of the display name or of the user id."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return page(unit.directory.users(org_id, search.strip(), cursor, limit + 1), limit, lambda user: user.upn)


def change_user(
    office: Office,
    org_id: str,
    ref: str,
    now: datetime,
    *,
    upn: str | None = None,
    display_name: str | None = None,
    usage_location: str | None = None,
    products: Iterable[str] | None = None,
    department: str | None = None,
    cost_centre: str | None = None,
    if_version: int | None = None,
) -> UserView:
    """Change what is given of a user; *products* replaces all that are held.

    With *if_version* only if nobody changed the user since that version was read. Raises `NotFound`, `InvalidInput`,
    `LicencesRefused` or `Conflict`.
    """
    with office.write(org_id) as unit:
        before = read_user(unit, org_id, ref)
        if if_version is not None and if_version != before.version:
            raise changed_meanwhile(before, if_version)
        licences = Licences(unit, unit.organisation, now)
        changed = changed_user(
            before,
            licences.terms,
            upn=upn,
            display_name=display_name,
            usage_location=usage_location,
            products=products,
            department=department,
            cost_centre=cost_centre,
        )
        if changed == before:
            return before
        if changed.upn != before.upn:
            check_free(unit, changed, new=False)
        move = Move(before, changed)
        licences.accept(move)
        licences.write(unit, [move])
        return read_user(unit, org_id, before.user_id)


def remove_user(office: Office, org_id: str, ref: str, now: datetime) -> None:
    """Take a user out: numbers are released and licences given back; what they used stays recorded."""
    with office.write(org_id) as unit:
        user = read_user(unit, org_id, ref)
        unit.directory.remove_numbers(org_id, [number.lstrip("+") for number in user.numbers])
        Licences(unit, unit.organisation, now).write(unit, [Move(user, None)])


# -- what users, numbers and files of them share -----------------------------------------------------------------------


def read_user(unit: Unit, org_id: str, ref: str) -> UserView:
    """One user by id or user principal name; raises `NotFound`."""
    found = unit.directory.users_by_ref(org_id, [ref]).get(ref)
    if found is None:
        raise NotFound(no_such_user(org_id, ref))
    return found


def new_user(new: NewUser, now: datetime, terms: Terms) -> UserView:
    """Check *new* and make a user of it; without numbers yet, and without asking whether the licences are allowed."""
    return UserView(
        user_id=checks.identifier("user_id", new.user_id) if new.user_id else str(uuid4()),
        upn=checks.upn(new.upn),
        display_name=checks.text("display_name", new.display_name, empty=True),
        usage_location=checks.country("usage_location", new.usage_location, empty=True),
        licences=checks.licences(new.products, terms),
        numbers=(),
        created_at=now,
        resource=new.resource,
        department=checks.text("department", new.department, empty=True),
        cost_centre=checks.text("cost_centre", new.cost_centre, empty=True),
    )


def changed_user(
    user: UserView,
    terms: Terms,
    *,
    upn: str | None = None,
    display_name: str | None = None,
    usage_location: str | None = None,
    products: Iterable[str] | None = None,
    department: str | None = None,
    cost_centre: str | None = None,
) -> UserView:
    """The user with what is given changed, checked; whether the licences are allowed is not asked here."""
    texts = {"display_name": display_name, "department": department, "cost_centre": cost_centre}
    changes: dict[str, object] = {
        field: checks.text(field, value, empty=True) for field, value in texts.items() if value is not None
    }
    if upn is not None:
        changes["upn"] = checks.upn(upn)
    if usage_location is not None:
        changes["usage_location"] = checks.country("usage_location", usage_location, empty=True)
    if products is not None:
        changes["licences"] = checks.licences(products, terms)
    return msgspec.structs.replace(user, **changes) if changes else user


def check_free(unit: OrganisationUnit, user: UserView, *, new: bool) -> None:
    """Raise `Conflict` when another user (any user, for a *new* one) has this id or name, as id or as name."""
    refs = {user.user_id: "user_id", user.upn: "upn"}
    there = unit.directory.users_by_ref(unit.organisation.org_id, refs)
    for ref, field in refs.items():
        other = there.get(ref)
        if other is not None and (new or other.user_id != user.user_id):
            raise Conflict(f"{field} {ref!r}: user {other.upn} has it already; change that user, or choose another")


def check_no_calls(user_id: str, in_calls: Collection[str]) -> None:
    """Raise `Conflict` when a removed user left open calls behind under the id of a new one."""
    if user_id in in_calls:
        raise Conflict(
            f"user_id {user_id!r}: calls of a removed user with this id are still open; wait for their end, or choose "
            f"another id"
        )


def check_numbers_free(unit: OrganisationUnit, digits: list[str]) -> None:
    """Raise `Conflict` when one of these numbers is in use, here or elsewhere."""
    org_id = unit.organisation.org_id
    here = unit.directory.numbers_by_digits(org_id, digits)
    elsewhere = unit.directory.owned_elsewhere(org_id, digits)
    for one in digits:
        if one in elsewhere:
            raise Conflict(f"number '+{one}': it belongs to another organisation; that one must release it first")
        if one in here:
            raise Conflict(f"number '+{one}': {whose(here[one])} has it; release it first")


def whose(number: NumberView) -> str:
    """Who has a number, for people."""
    return f"user {number.user_id}" if number.user_id else f"a {number.use.replace('_', ' ')}"
