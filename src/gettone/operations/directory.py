"""Organisations and their users (design, section 4; D7: a pool grows with every licence assigned, at once).

Every function is one transaction. A user's licences count in the minute pools of their usage location: whatever changes
products or usage location resizes the pools of the organisation in the same transaction, and raises its directory
version, so that the next call is decided by it.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

import msgspec

from gettone.catalogue.tables import catalogue
from gettone.domain.entitlement import Catalogue, pool_key
from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.paging import check_limit, page
from gettone.operations.views import NumberView, OrganisationView, Page, UserView

STANDARD = "standard"
"""The price list of an organisation that names none."""


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user to be made; without *user_id* one is given. *number* is E.164, one of the user's own."""

    upn: str
    user_id: str = ""
    display_name: str = ""
    usage_location: str = ""
    products: tuple[str, ...] = ()
    number: str = ""


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
        unit.directory.add_organisation(new)
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
) -> OrganisationView:
    """Change the settings that are given; they count from the next call on. Raises `NotFound` or `InvalidInput`."""
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
    return _change(office, org_id, changes)


def close_organisation(office: Office, org_id: str) -> OrganisationView:
    """Refuse new calls from now on, emergencies apart; running ones end as they would. Credit and records stay."""
    return _change(office, org_id, {"closed": True})


def reopen_organisation(office: Office, org_id: str) -> OrganisationView:
    """Take calls again."""
    return _change(office, org_id, {"closed": False})


def _change(office: Office, org_id: str, changes: Mapping[str, object]) -> OrganisationView:
    with office.write(org_id) as unit:
        changed = msgspec.structs.replace(unit.organisation, **changes)
        if changed != unit.organisation:
            unit.directory.change_organisation(changed)
            unit.directory_changed()
    return changed


# -- users -------------------------------------------------------------------------------------------------------------


def create_user(office: Office, org_id: str, new: NewUser, now: datetime) -> UserView:
    """Make a user, with licences and a number of their own where given.

    Raises `InvalidInput`, `NotFound`, or `Conflict` when the user or the number is there already.
    """
    made = new_user(new, now)
    digits = checks.digits("number", new.number) if new.number else ""
    with office.write(org_id) as unit:
        check_free(unit, made, new=True)
        if digits:
            check_numbers_free(unit, [digits])
        unit.directory.add_users(org_id, [made])
        if digits:
            unit.directory.add_numbers(org_id, [users_number(digits, made.user_id)])
        count_licences(unit, [(None, made)], now)
        unit.directory_changed()
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
) -> UserView:
    """Change what is given of a user. Raises `NotFound`, `InvalidInput` or `Conflict`."""
    with office.write(org_id) as unit:
        before = read_user(unit, org_id, ref)
        changed = changed_user(
            before, upn=upn, display_name=display_name, usage_location=usage_location, products=products
        )
        save_user(unit, before, changed, now)
    return changed


def remove_user(office: Office, org_id: str, ref: str, now: datetime) -> None:
    """Take a user out: numbers are released and licences given back; what they used stays recorded."""
    with office.write(org_id) as unit:
        user = read_user(unit, org_id, ref)
        unit.directory.remove_numbers(org_id, [number.lstrip("+") for number in user.numbers])
        unit.directory.remove_user(org_id, user.user_id)
        count_licences(unit, [(user, None)], now)
        unit.directory_changed()


def set_products(office: Office, org_id: str, ref: str, products: Iterable[str], now: datetime) -> UserView:
    """Let the user hold exactly these products. Raises `NotFound` or `InvalidInput`."""
    return change_user(office, org_id, ref, now, products=products)


def add_products(office: Office, org_id: str, ref: str, products: Iterable[str], now: datetime) -> UserView:
    """Assign products; those held stay. Raises `NotFound` or `InvalidInput`."""
    added = checks.products(products)
    with office.write(org_id) as unit:
        before = read_user(unit, org_id, ref)
        changed = changed_user(before, products={*before.products, *added})
        save_user(unit, before, changed, now)
    return changed


def remove_products(office: Office, org_id: str, ref: str, products: Iterable[str], now: datetime) -> UserView:
    """Take products away; the pool shrinks at once, minutes already used are never charged later (D8)."""
    removed = checks.products(products)
    with office.write(org_id) as unit:
        before = read_user(unit, org_id, ref)
        changed = changed_user(before, products=set(before.products) - set(removed))
        save_user(unit, before, changed, now)
    return changed


# -- what users, numbers and files of them share -----------------------------------------------------------------------


def read_user(unit: Unit, org_id: str, ref: str) -> UserView:
    """One user by id or user principal name; raises `NotFound`."""
    found = unit.directory.users_by_ref(org_id, [ref]).get(ref)
    if found is None:
        raise NotFound(f"user {ref!r}: organisation {org_id!r} has none with this user id or user principal name")
    return found


def new_user(new: NewUser, now: datetime) -> UserView:
    """Check *new* and make a user of it; without numbers yet."""
    return _licensed(
        UserView(
            user_id=checks.identifier("user_id", new.user_id) if new.user_id else str(uuid4()),
            upn=checks.upn(new.upn),
            display_name=checks.text("display_name", new.display_name, empty=True),
            usage_location=checks.country("usage_location", new.usage_location, empty=True),
            products=checks.products(new.products),
            numbers=(),
            created_at=now,
        )
    )


def changed_user(
    user: UserView,
    *,
    upn: str | None = None,
    display_name: str | None = None,
    usage_location: str | None = None,
    products: Iterable[str] | None = None,
) -> UserView:
    """The user with what is given changed, checked."""
    return _licensed(
        UserView(
            user_id=user.user_id,
            upn=user.upn if upn is None else checks.upn(upn),
            display_name=user.display_name
            if display_name is None
            else checks.text("display_name", display_name, empty=True),
            usage_location=user.usage_location
            if usage_location is None
            else checks.country("usage_location", usage_location, empty=True),
            products=user.products if products is None else checks.products(products),
            numbers=user.numbers,
            created_at=user.created_at,
        )
    )


def _licensed(user: UserView) -> UserView:
    if user.products and not user.usage_location:
        raise InvalidInput(
            "usage_location",
            "",
            f"set the usage location of {user.upn} first: licences are counted where they are used",
        )
    return user


def check_free(unit: OrganisationUnit, user: UserView, *, new: bool) -> None:
    """Raise `Conflict` when another user (any user, for a *new* one) has this id or name, as id or as name."""
    refs = {user.user_id: "user_id", user.upn: "upn"}
    there = unit.directory.users_by_ref(unit.organisation.org_id, refs)
    for ref, field in refs.items():
        other = there.get(ref)
        if other is not None and (new or other.user_id != user.user_id):
            raise Conflict(f"{field} {ref!r}: user {other.upn} has it already; change that user, or choose another")


def save_user(unit: OrganisationUnit, before: UserView, changed: UserView, now: datetime) -> None:
    """Write a changed user and all that follows."""
    if changed == before:
        return
    if changed.upn != before.upn:
        check_free(unit, changed, new=False)
    unit.directory.change_users(unit.organisation.org_id, [changed])
    count_licences(unit, [(before, changed)], now)
    unit.directory_changed()


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


def users_number(digits: str, user_id: str) -> NumberView:
    """A number that rings a user."""
    return NumberView(number="+" + digits, use="user", user_id=user_id, label="")


def whose(number: NumberView) -> str:
    """Who has a number, for people."""
    return f"user {number.user_id}" if number.user_id else f"a {number.use.replace('_', ' ')}"


# -- licences and pools ------------------------------------------------------------------------------------------------


def pool_keys(user: UserView | None, tables: Catalogue) -> list[str]:
    """The pools that the licences of a user count in."""
    if user is None or not user.usage_location:
        return []
    area = tables.area(user.usage_location)
    plans = (tables.calling_plans.get(product) for product in user.products)
    return [pool_key(area, plan.product) for plan in plans if plan is not None and plan.pooled]


def pool_seconds(key: str, licences: int, tables: Catalogue, on: date) -> int:
    """How much a pool holds a month with so many licences assigned."""
    area, _, product = key.partition("/")
    return licences * tables.minutes(product, area, on) * 60


def billing_day(unit: OrganisationUnit, now: datetime) -> date:
    """The day it is in the organisation's billing time zone."""
    return now.astimezone(ZoneInfo(unit.organisation.time_zone)).date()


def count_licences(
    unit: OrganisationUnit, changes: Iterable[tuple[UserView | None, UserView | None]], now: datetime
) -> None:
    """Resize the pools for users that became others; None is a user that was not, or is no more."""
    tables = catalogue()
    difference: Counter[str] = Counter()
    for before, after in changes:
        difference.update(pool_keys(after, tables))
        difference.subtract(pool_keys(before, tables))
    moved = {key: change for key, change in difference.items() if change}
    if not moved:
        return
    org_id = unit.organisation.org_id
    known = unit.money.pool_sizes(org_id)
    today = billing_day(unit, now)
    resized: dict[str, tuple[int, int]] = {}
    for key, change in moved.items():
        licences = known.get(key, (0, 0))[0] + change
        assert licences >= 0, "a licence is given back once"
        resized[key] = (licences, pool_seconds(key, licences, tables, today))
    unit.money.write_pools(org_id, resized)
