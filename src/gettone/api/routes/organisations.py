"""Organisations, their users and numbers."""

from typing import Any

from litestar import Router
from litestar.params import JSONBody, RawBody

from gettone.api.auth import EVERYWHERE, require
from gettone.api.bodies import Assignment, NewOrganisation, NewUserBody, OrganisationChange, Products, UserChange
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
from gettone.operations import directory, directory_files, numbers
from gettone.operations.views import ImportedUsers, NumberView, OrganisationView, Page, UserView


@get("/v1/organisations", opt=needs(READ), sync_to_thread=True)
def list_organisations(
    request: Caller, services: Given, cursor: Cursor = "", limit: Limit = 100
) -> Page[OrganisationView]:
    """Organisations in order of id; a key of one organisation sees that one."""
    if request.auth.org_id != EVERYWHERE:
        return Page((directory.get_organisation(services.office, request.auth.org_id),))
    return directory.list_organisations(services.office, cursor=cursor, limit=limit)


@post("/v1/organisations", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def create_organisation(services: Given, data: JSONBody[NewOrganisation]) -> OrganisationView:
    """Make an organisation with its empty wallet."""
    return directory.create_organisation(
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


@get(ORGANISATION, opt=needs(READ), sync_to_thread=True)
def get_organisation(services: Given, org_id: InPath) -> OrganisationView:
    """One organisation."""
    return directory.get_organisation(services.office, org_id)


@patch(ORGANISATION, opt=needs(ADMIN), sync_to_thread=True)
def change_organisation(
    request: Caller, services: Given, org_id: InPath, data: JSONBody[OrganisationChange]
) -> OrganisationView:
    """Change settings; they count from the next call on."""
    if data.price_list is not None or data.post_usage is not None:
        require(request.auth, OPERATOR, org_id)
    return directory.change_organisation(
        services.office,
        org_id,
        name=data.name,
        country=data.country,
        time_zone=data.time_zone,
        price_list=data.price_list,
        post_usage=data.post_usage,
    )


@post(f"{ORGANISATION}/close", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def close_organisation(services: Given, org_id: InPath) -> OrganisationView:
    """Refuse new calls from now on; credit and records stay."""
    return directory.close_organisation(services.office, org_id)


@post(f"{ORGANISATION}/reopen", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def reopen_organisation(services: Given, org_id: InPath) -> OrganisationView:
    """Take calls again."""
    return directory.reopen_organisation(services.office, org_id)


# -- users -------------------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/users", opt=needs(READ), sync_to_thread=True)
def list_users(
    services: Given, org_id: InPath, search: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[UserView]:
    """Users in order of user principal name; *search* is a part of it, of the display name or of the user id."""
    return directory.list_users(services.office, org_id, search=search, cursor=cursor, limit=limit)


@post(f"{ORGANISATION}/users", opt=needs(ADMIN), sync_to_thread=True)
def create_user(services: Given, org_id: InPath, data: JSONBody[NewUserBody]) -> UserView:
    """Make a user, with licences and a number if they are given."""
    new = directory.NewUser(
        upn=data.upn,
        user_id=data.user_id,
        display_name=data.display_name,
        usage_location=data.usage_location,
        products=data.products,
        number=data.number,
    )
    return directory.create_user(services.office, org_id, new, services.clock())


@get(f"{ORGANISATION}/users/{{user:str}}", opt=needs(READ), sync_to_thread=True)
def get_user(services: Given, org_id: InPath, user: InPath) -> UserView:
    """One user, by user id or user principal name."""
    return directory.get_user(services.office, org_id, plain(user))


@patch(f"{ORGANISATION}/users/{{user:str}}", opt=needs(ADMIN), sync_to_thread=True)
def change_user(services: Given, org_id: InPath, user: InPath, data: JSONBody[UserChange]) -> UserView:
    """Change a user; `products` replaces all licences."""
    return directory.change_user(
        services.office,
        org_id,
        plain(user),
        services.clock(),
        upn=data.upn,
        display_name=data.display_name,
        usage_location=data.usage_location,
        products=data.products,
    )


@delete(f"{ORGANISATION}/users/{{user:str}}", opt=needs(ADMIN), sync_to_thread=True)
def remove_user(services: Given, org_id: InPath, user: InPath) -> None:
    """Take a user out: numbers are released, licences given back, records stay."""
    directory.remove_user(services.office, org_id, plain(user), services.clock())


@put(f"{ORGANISATION}/users/{{user:str}}/products", opt=needs(ADMIN), sync_to_thread=True)
def set_products(services: Given, org_id: InPath, user: InPath, data: JSONBody[Products]) -> UserView:
    """Replace all licences of a user."""
    return directory.set_products(services.office, org_id, plain(user), data.products, services.clock())


@post(f"{ORGANISATION}/users/{{user:str}}/products", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def add_products(services: Given, org_id: InPath, user: InPath, data: JSONBody[Products]) -> UserView:
    """Give a user more licences."""
    return directory.add_products(services.office, org_id, plain(user), data.products, services.clock())


@delete(
    f"{ORGANISATION}/users/{{user:str}}/products/{{product:str}}",
    opt=needs(ADMIN),
    status_code=200,
    sync_to_thread=True,
)
def remove_product(services: Given, org_id: InPath, user: InPath, product: InPath) -> UserView:
    """Take a licence from a user."""
    return directory.remove_products(services.office, org_id, plain(user), [product], services.clock())


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


@put(f"{ORGANISATION}/numbers/{{number:str}}", opt=needs(ADMIN), sync_to_thread=True)
def assign_number(services: Given, org_id: InPath, number: InPath, data: JSONBody[Assignment]) -> NumberView:
    """Let a number ring a user or a service; the same again changes nothing."""
    return numbers.assign_number(services.office, org_id, number, user=data.user, use=data.use, label=data.label)


@delete(f"{ORGANISATION}/numbers/{{number:str}}", opt=needs(ADMIN), sync_to_thread=True)
def release_number(services: Given, org_id: InPath, number: InPath) -> None:
    """Give a number back."""
    numbers.release_number(services.office, org_id, number)


@post(f"{ORGANISATION}/imports/numbers", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def import_numbers(services: Given, org_id: InPath, body: RawBody) -> ImportedUsers:
    """Assign numbers from a CSV file: all of it or, with every bad line named, nothing."""
    return directory_files.import_numbers(services.office, org_id, body)


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_organisations, create_organisation, get_organisation, change_organisation),
        *(close_organisation, reopen_organisation),
        *(list_users, create_user, get_user, change_user, remove_user, set_products, add_products, remove_product),
        *(list_numbers, assign_number, release_number, import_users, import_numbers),
    ]
    return Router("/", route_handlers=handlers, tags=["Organisations"], **options)
