"""Organisations, their users and numbers."""

from typing import Any

from litestar import Response, Router
from litestar.params import JSONBody, RawBody

from gettone.api.auth import require
from gettone.api.bodies import NewOrganisation, Organisation, OrganisationChange, organisation
from gettone.api.licence_bodies import Assignment, NewNumbers, NewUserBody, User, UserChange, new_user, users
from gettone.api.routing import (
    ADMIN,
    OPERATOR,
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
    needs,
    patch,
    plain,
    post,
    put,
)
from gettone.api.versions import IfMatch, shown, unless_changed, wanted_version
from gettone.operations import directory, directory_files, numbers
from gettone.operations.keys import EVERYWHERE
from gettone.operations.number_rules import NumberQuotaView
from gettone.operations.views import ImportedUsers, NumberView, Page


@get("/v1/organisations", opt=needs(READ), sync_to_thread=True)
def list_organisations(request: Caller, services: Given, cursor: Cursor = "", limit: Limit = 100) -> Page[Organisation]:
    """Organisations in order of id; a key of one organisation sees that one."""
    if request.auth.org_id != EVERYWHERE:
        return Page((organisation(directory.get_organisation(services.office, request.auth.org_id)),))
    found = directory.list_organisations(services.office, cursor=cursor, limit=limit)
    return Page(tuple(map(organisation, found.items)), found.next_cursor)


@post("/v1/organisations", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def create_organisation(services: Given, data: JSONBody[NewOrganisation]) -> Organisation:
    """Make an organisation with its empty wallet."""
    made = directory.create_organisation(
        services.office,
        org_id=data.org_id,
        name=data.name,
        country=data.country,
        currency=data.currency,
        time_zone=data.time_zone,
        price_list=data.price_list,
        post_usage=data.post_usage,
        now=services.clock(),
    )
    return organisation(made)


@get(ORGANISATION, opt=needs(READ), sync_to_thread=True)
def get_organisation(services: Given, org_id: InPath) -> Organisation:
    """One organisation."""
    return organisation(directory.get_organisation(services.office, org_id))


@patch(ORGANISATION, opt=needs(ADMIN), sync_to_thread=True)
def change_organisation(
    request: Caller, services: Given, org_id: InPath, data: JSONBody[OrganisationChange]
) -> Organisation:
    """Change settings; they count from the next call on."""
    if data.price_list is not None or data.post_usage is not None:
        require(request.auth, OPERATOR, org_id)
    changed = directory.change_organisation(
        services.office,
        org_id,
        name=data.name,
        country=data.country,
        time_zone=data.time_zone,
        price_list=data.price_list,
        post_usage=data.post_usage,
        now=services.clock(),
    )
    return organisation(changed)


@post(f"{ORGANISATION}/close", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def close_organisation(services: Given, org_id: InPath) -> Organisation:
    """Refuse new calls from now on; credit and records stay."""
    return organisation(directory.close_organisation(services.office, org_id))


@post(f"{ORGANISATION}/reopen", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def reopen_organisation(services: Given, org_id: InPath) -> Organisation:
    """Take calls again."""
    return organisation(directory.reopen_organisation(services.office, org_id))


# -- users -------------------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/users", opt=needs(READ), sync_to_thread=True)
def list_users(
    services: Given, org_id: InPath, search: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[User]:
    """Users in order of user principal name; *search* is a part of it, of the display name or of the user id."""
    return users(directory.list_users(services.office, org_id, search=search, cursor=cursor, limit=limit))


@post(f"{ORGANISATION}/users", opt=needs(ADMIN), sync_to_thread=True)
def create_user(services: Given, org_id: InPath, data: JSONBody[NewUserBody]) -> Response[User]:
    """Make a user, with licences and a number if they are given."""
    return shown(directory.create_user(services.office, org_id, new_user(data), services.clock()))


@get(f"{ORGANISATION}/users/{{user:str}}", opt=needs(READ), sync_to_thread=True)
def get_user(services: Given, org_id: InPath, user: InPath) -> Response[User]:
    """One user, by user id or user principal name."""
    return shown(directory.get_user(services.office, org_id, plain(user)))


@patch(f"{ORGANISATION}/users/{{user:str}}", opt=needs(ADMIN), sync_to_thread=True)
def change_user(
    services: Given, org_id: InPath, user: InPath, data: JSONBody[UserChange], if_match: IfMatch = ""
) -> Response[User]:
    """Change a user; `licences` replaces all that are held."""
    version = wanted_version(if_match)
    with unless_changed(services.office, org_id, plain(user), version):
        changed = directory.change_user(
            services.office,
            org_id,
            plain(user),
            services.clock(),
            upn=data.upn,
            display_name=data.display_name,
            usage_location=data.usage_location,
            products=data.licences,
            department=data.department,
            cost_centre=data.cost_centre,
            if_version=version,
        )
    return shown(changed)


@delete(f"{ORGANISATION}/users/{{user:str}}", opt=needs(ADMIN), sync_to_thread=True)
def remove_user(services: Given, org_id: InPath, user: InPath) -> None:
    """Take a user out: numbers are released, licences given back, records stay."""
    directory.remove_user(services.office, org_id, plain(user), services.clock())


@post(f"{ORGANISATION}/imports/users", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def import_users(services: Given, org_id: InPath, body: RawBody) -> ImportedUsers:
    """Make and change users from a CSV file: all of it or, with every bad line named, nothing."""
    return directory_files.import_users(services.office, org_id, body, services.clock())


# -- numbers -----------------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/numbers", opt=needs(READ), sync_to_thread=True)
def list_numbers(
    *, services: Given, org_id: InPath, user: Text = "", search: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[NumberView]:
    """Numbers in order of digits, of one user, or with *search* in them."""
    return numbers.list_numbers(services.office, org_id, user=user, search=search, cursor=cursor, limit=limit)


@post(f"{ORGANISATION}/numbers", opt=needs(ADMIN), sync_to_thread=True)
def acquire_numbers(services: Given, org_id: InPath, data: JSONBody[NewNumbers]) -> Page[NumberView]:
    """Take numbers for later use, all or none; they ring nobody yet."""
    return Page(
        numbers.acquire_numbers(
            services.office, org_id, data.numbers, services.clock(), source=data.source, label=data.label
        )
    )


@get(f"{ORGANISATION}/numbers/quotas", opt=needs(READ), sync_to_thread=True)
def list_number_quotas(services: Given, org_id: InPath) -> Page[NumberQuotaView]:
    """How many numbers the licences allow, and how many are taken: user, toll, toll_free."""
    return Page(numbers.number_quotas(services.office, org_id, services.clock()))


@put(f"{ORGANISATION}/numbers/{{number:str}}", opt=needs(ADMIN), sync_to_thread=True)
def assign_number(services: Given, org_id: InPath, number: InPath, data: JSONBody[Assignment]) -> NumberView:
    """Let a number ring a user or a service; the same again changes nothing."""
    return numbers.assign_number(
        services.office,
        org_id,
        number,
        services.clock(),
        user=data.user,
        use=data.use,
        label=data.label,
        source=data.source,
    )


@post(f"{ORGANISATION}/numbers/{{number:str}}/unassign", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def unassign_number(services: Given, org_id: InPath, number: InPath) -> NumberView:
    """Let a number ring nobody; it stays with the organisation."""
    return numbers.unassign_number(services.office, org_id, number, services.clock())


@delete(f"{ORGANISATION}/numbers/{{number:str}}", opt=needs(ADMIN), sync_to_thread=True)
def release_number(services: Given, org_id: InPath, number: InPath) -> None:
    """Give a number back."""
    numbers.release_number(services.office, org_id, number)


@post(f"{ORGANISATION}/imports/numbers", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def import_numbers(services: Given, org_id: InPath, body: RawBody) -> ImportedUsers:
    """Assign numbers from a CSV file: all of it or, with every bad line named, nothing."""
    return directory_files.import_numbers(services.office, org_id, body, services.clock())


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_organisations, create_organisation, get_organisation, change_organisation),
        *(close_organisation, reopen_organisation),
        *(list_users, create_user, get_user, change_user, remove_user, import_users),
        *(list_numbers, acquire_numbers, list_number_quotas, assign_number, unassign_number, release_number),
        import_numbers,
    ]
    return Router("/", route_handlers=handlers, tags=["Organisations"], **options)
