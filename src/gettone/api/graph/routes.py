"""Graph's routes: what the organisation owns, its users, their licences.

The organisation is the one that the key or the token is for. Lists of users are read a part at a time: a page may be
shorter than ``$top``, even empty, and still have an ``@odata.nextLink``; only the last one has none.
"""

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from litestar import MediaType, Response, Router
from litestar.params import RawBody

from gettone.api.auth import forbidden
from gettone.api.decoding import decoded, explained
from gettone.api.graph import query, shapes
from gettone.api.graph.errors import PreconditionFailed
from gettone.api.graph.filters import GUID, Asks, Condition
from gettone.api.graph.links import base_of
from gettone.api.problems import invalid
from gettone.api.routing import ADMIN, READ, Caller, Given, InPath, get, needs, patch, plain, post
from gettone.api.services import Services
from gettone.domain.catalogue import SEPARATOR, Terms
from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import catalogue, directory, licensing, subscriptions, user_counts
from gettone.operations.keys import EVERYWHERE
from gettone.operations.paging import LIMIT_MAX
from gettone.operations.terms import billing_day
from gettone.operations.views import OrganisationView, Page, UserView

ROOT = "/graph/v1.0"
USER = f"{ROOT}/users/{{user:str}}"

PAGES_READ = 5
"""So many times `LIMIT_MAX` users are looked at for one page, so that a rare condition takes no longer than others."""

_ETAG = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_ANNOTATION = "@odata."


class AddLicense(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """A product to assign, by its id, without some of its service plans."""

    sku_id: str
    disabled_plans: tuple[str, ...] = ()


class AssignLicense(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """Products to assign and to take away; both lists must be there."""

    add_licenses: tuple[AddLicense, ...]
    remove_licenses: tuple[str, ...]


class UserPatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """What is given changes; null takes a value away."""

    usage_location: str | msgspec.UnsetType | None = msgspec.UNSET
    display_name: str | msgspec.UnsetType | None = msgspec.UNSET
    department: str | msgspec.UnsetType | None = msgspec.UNSET


# -- what the organisation owns ----------------------------------------------------------------------------------------


@get(f"{ROOT}/organization", opt=needs(READ), sync_to_thread=True)
def list_organizations(request: Caller, services: Given) -> Response[bytes]:
    """The organisation, as a list of one."""
    select = _selection(request)
    body = shapes.organisation_body(_organisation(request, services))
    return _collection(request, "organization", [query.only(body, select)])


@get(f"{ROOT}/organization/{{org_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_organization(request: Caller, services: Given) -> Response[bytes]:
    """The organisation; the path has its id, which `guard` has compared with the key's."""
    select = _selection(request)
    body = shapes.organisation_body(_organisation(request, services))
    return _entity(request, "organization", query.only(body, select))


@get(f"{ROOT}/subscribedSkus", opt=needs(READ), sync_to_thread=True)
def list_subscribed_skus(request: Caller, services: Given) -> Response[bytes]:
    """The products that the organisation owns, with how many licences it has and how many are assigned."""
    select = _selection(request)
    return _collection(
        request, "subscribedSkus", [query.only(body, select) for body in _subscribed_skus(request, services)]
    )


@get(f"{ROOT}/subscribedSkus/{{sku_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_subscribed_sku(request: Caller, services: Given, sku_id: InPath) -> Response[bytes]:
    """One of them, by its ``id``."""
    select, wanted = _selection(request), plain(sku_id)
    for body in _subscribed_skus(request, services):
        if body["id"].lower() == wanted.lower():
            return _entity(request, "subscribedSkus", query.only(body, select))
    raise NotFound(f"subscribedSku {wanted[:200]!r}: the organisation has none with this id; list them")


# -- users -------------------------------------------------------------------------------------------------------------


@get(f"{ROOT}/users", opt=needs(READ), sync_to_thread=True)
def list_users(request: Caller, services: Given) -> Response[bytes]:
    """Users in order of user principal name, page by page."""
    query_string: bytes = request.scope["query_string"]
    asked = query.user_query(query.options(query_string, query.OPTIONS_OF_USERS))
    organisation, terms = _terms(request, services)
    reader = _Users(services, organisation.org_id, asked.conditions, services.clock())
    found, after = reader.page(asked.top, asked.after)
    more: dict[str, Any] = {}
    # As in Graph the number of all stands on the first page.
    if asked.count and not asked.after:
        more["@odata.count"] = reader.count()
    if after:
        more["@odata.nextLink"] = f"{base_of(request)}/users?{query.next_query(query_string, after)}"
    bodies = [query.only(shapes.user_body(one, terms), asked.select, absent=shapes.NOT_KEPT) for one in found]
    return _collection(request, "users", bodies, more)


@get(f"{ROOT}/users/$count", opt=needs(READ), media_type=MediaType.TEXT, sync_to_thread=True)
def count_users(request: Caller, services: Given) -> str:
    """How many users there are."""
    given = query.options(request.scope["query_string"], (query.FILTER, query.SEARCH))
    organisation, _ = _terms(request, services)
    conditions = query.user_query(given).conditions
    return str(_Users(services, organisation.org_id, conditions, services.clock()).count())


@get(USER, opt=needs(READ), sync_to_thread=True)
def get_user(request: Caller, services: Given, user: InPath) -> Response[bytes]:
    """One user, by id or user principal name."""
    select = _selection(request)
    organisation, terms = _terms(request, services)
    found = directory.get_user(services.office, organisation.org_id, plain(user))
    return _user(request, found, terms, select)


@patch(USER, opt=needs(ADMIN), sync_to_thread=True)
def change_user(request: Caller, services: Given, user: InPath, body: RawBody) -> Response[None]:
    """Change usage location, display name or department of a user."""
    change = _read(UserPatch, body)
    org_id, ref = _org_id(request), plain(user)
    version = _if_match(request, services, ref)
    changed = _unless_changed(
        services,
        org_id,
        ref,
        version,
        lambda: directory.change_user(
            services.office,
            org_id,
            ref,
            services.clock(),
            usage_location=_given(change.usage_location),
            display_name=_given(change.display_name),
            department=_given(change.department),
            if_version=version,
        ),
    )
    return Response(None, status_code=204, headers={"ETag": shapes.etag(changed)})


@get(f"{USER}/licenseDetails", opt=needs(READ), sync_to_thread=True)
def list_license_details(request: Caller, services: Given, user: InPath) -> Response[bytes]:
    """The products that a user holds, each with its service plans, on or off."""
    select = _selection(request)
    organisation, terms = _terms(request, services)
    found = directory.get_user(services.office, organisation.org_id, plain(user))
    bodies = [query.only(body, select) for body in shapes.license_details(found, terms)]
    return _collection(request, f"users('{found.user_id}')/licenseDetails", bodies)


@post(f"{USER}/assignLicense", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def assign_license(request: Caller, services: Given, user: InPath, body: RawBody) -> Response[bytes]:
    """Assign products to a user and take others away, in one step: all of it or nothing."""
    change = _read(AssignLicense, body)
    organisation, terms = _terms(request, services)
    org_id, ref = organisation.org_id, plain(user)
    added = [
        SEPARATOR.join(
            [_guid("addLicenses", one.sku_id), *(_guid("disabledPlans", plan) for plan in one.disabled_plans)]
        )
        for one in change.add_licenses
    ]
    removed = [_guid("removeLicenses", one) for one in change.remove_licenses]
    version = _if_match(request, services, ref)
    _unless_changed(
        services,
        org_id,
        ref,
        version,
        lambda: licensing.assign(
            services.office, org_id, ref, services.clock(), add=added, remove=removed, if_version=version
        ),
    )
    return _user(request, directory.get_user(services.office, org_id, ref), terms, ())


# -- how it is done ----------------------------------------------------------------------------------------------------


class _Users:
    """Reads the users who meet some conditions, a part at a time, from where there are the fewest."""

    def __init__(self, services: Services, org_id: str, conditions: Sequence[Condition], now: datetime) -> None:
        self._office, self._org_id, self._now = services.office, org_id, now
        self._conditions = conditions
        self._holding = next((one.text for one in conditions if one.asks is Asks.HOLDS), "")
        self._named = next(
            (one.written for one in conditions if one.asks is Asks.EQUALS and one.fields in {("upn",), ("user_id",)}),
            "",
        )

    def page(self, top: int, after: str) -> tuple[list[UserView], str]:
        """At most *top* users after *after*, and after whom the next page begins; empty when this was the last."""
        found: list[UserView] = []
        for part in self._parts(after, LIMIT_MAX if self._conditions else top, PAGES_READ):
            for user in part.items:
                if self._wanted(user):
                    if len(found) == top:
                        return found, found[-1].upn
                    found.append(user)
            after = part.next_cursor
            if len(found) == top:
                break
        return found, after

    def count(self) -> int:
        """How many there are in all."""
        if self._holding or self._named:
            return sum(self._wanted(user) for part in self._parts("", LIMIT_MAX, None) for user in part.items)
        return user_counts.count_users(self._office, self._org_id, self._wanted)

    def _wanted(self, user: UserView) -> bool:
        return all(condition.met_by(user) for condition in self._conditions)

    def _parts(self, after: str, limit: int, parts_max: int | None) -> Iterator[Page[UserView]]:
        if self._named:
            yield Page(self._by_name(after))
            return
        read = 0
        while parts_max is None or read < parts_max:
            part = self._part(after, limit)
            yield part
            read, after = read + 1, part.next_cursor
            if not after:
                return

    def _part(self, after: str, limit: int) -> Page[UserView]:
        if self._holding:
            return licensing.holders(self._office, self._org_id, self._holding, self._now, cursor=after, limit=limit)
        return directory.list_users(self._office, self._org_id, cursor=after, limit=limit)

    def _by_name(self, after: str) -> tuple[UserView, ...]:
        # User ids regard letter case: what was written comes first.
        for name in dict.fromkeys((self._named, self._named.lower())):
            with contextlib.suppress(NotFound):
                user = directory.get_user(self._office, self._org_id, name)
                if self._wanted(user):
                    return (user,) if user.upn > after else ()
        return ()


def _org_id(request: Caller) -> str:
    """The organisation that the key or token is for. Raises `ApiError` 403 when it is for all."""
    if request.auth.org_id == EVERYWHERE:
        raise forbidden(
            "This key is for all organisations; ask for a token of one, with its id as the tenant: "
            "POST /{org_id}/oauth2/v2.0/token.",
            request.auth.scope,
        )
    return request.auth.org_id


def _organisation(request: Caller, services: Services) -> OrganisationView:
    return directory.get_organisation(services.office, _org_id(request))


def _terms(request: Caller, services: Services) -> tuple[OrganisationView, Terms]:
    """The organisation, and what counts for it today."""
    organisation = _organisation(request, services)
    return organisation, catalogue.current(services.office).terms(billing_day(organisation, services.clock()))


def _subscribed_skus(request: Caller, services: Services) -> list[dict[str, Any]]:
    organisation = _organisation(request, services)
    counts = subscriptions.list_products(services.office, organisation.org_id, services.clock())
    return [shapes.subscribed_sku(count, organisation) for count in counts if count.sku_id]


def _if_match(request: Caller, services: Services, ref: str) -> int | None:
    """The version of the user that ``If-Match`` names; None when it names none, or any. Raises `PreconditionFailed`."""
    header = request.headers.get("if-match", "").strip()
    if header in {"", "*"}:
        return None
    versions = {int(found) for found in _ETAG.findall(header)}
    known = directory.get_user(services.office, _org_id(request), ref)
    if known.version not in versions:
        raise _changed(known)
    return known.version


def _unless_changed(services: Services, org_id: str, ref: str, version: int | None, change: Callable[[], Any]) -> Any:  # noqa: ANN401 - what the change returns
    """Do *change*; raises `PreconditionFailed` when somebody else was faster."""
    try:
        return change()
    except Conflict:
        known = directory.get_user(services.office, org_id, ref)
        if version is not None and known.version != version:
            raise _changed(known) from None
        raise


def _changed(user: UserView) -> PreconditionFailed:
    return PreconditionFailed(
        f"user {user.upn} was changed meanwhile and is {shapes.etag(user)} now; read the user again and decide anew"
    )


def _given(value: str | msgspec.UnsetType | None) -> str | None:
    """A text to set, empty to take it away; None to leave it."""
    return None if value is msgspec.UNSET else value or ""


def _guid(field: str, value: str) -> str:
    if not GUID.fullmatch(value):
        remedy = "write the GUID as GET /subscribedSkus shows it"
        raise InvalidInput(field, value[:80], remedy)
    return value


def _read(kind: Any, body: bytes) -> Any:  # noqa: ANN401 - what the body is read as
    """Read a body without OData's annotations. Raises `ApiError` for one that is not what is asked for."""
    found = decoded(_ANYTHING, body)
    try:
        return msgspec.convert(_without_annotations(found), kind)
    except msgspec.ValidationError as error:
        raise invalid([explained(error, msgspec.json.encode(found))], status=400) from None


def _without_annotations(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {name: _without_annotations(inner) for name, inner in value.items() if not name.startswith(_ANNOTATION)}
    return [_without_annotations(inner) for inner in value] if isinstance(value, list) else value


_ANYTHING = msgspec.json.Decoder(Any)


def _selection(request: Caller) -> tuple[str, ...]:
    return query.selection(query.options(request.scope["query_string"], (query.SELECT,)))


def _user(request: Caller, user: UserView, terms: Terms, select: Sequence[str]) -> Response[bytes]:
    body = query.only(shapes.user_body(user, terms), select, absent=shapes.NOT_KEPT)
    return _entity(request, "users", body, {"ETag": shapes.etag(user)})


def _entity(
    request: Caller, kind: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Response[bytes]:
    context = f"{base_of(request)}/$metadata#{kind}/$entity"
    return _json({"@odata.context": context, **body}, headers)


def _collection(
    request: Caller, kind: str, bodies: Sequence[Mapping[str, Any]], more: Mapping[str, Any] | None = None
) -> Response[bytes]:
    return _json({"@odata.context": f"{base_of(request)}/$metadata#{kind}", **(more or {}), "value": bodies})


def _json(body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response[bytes]:
    return Response(
        msgspec.json.encode(body), media_type=MediaType.JSON, headers={"OData-Version": "4.0", **(headers or {})}
    )


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_organizations, get_organization, list_subscribed_skus, get_subscribed_sku),
        *(list_users, count_users, get_user, change_user, list_license_details, assign_license),
    ]
    return Router("/", route_handlers=handlers, **options)
