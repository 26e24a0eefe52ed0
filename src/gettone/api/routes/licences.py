"""Subscriptions and licences: what an organisation owns, who holds what, and whether somebody can call."""

from typing import Annotated, Any

from litestar import Response, Router
from litestar.params import FromQuery, HeaderParameter, JSONBody, QueryParameter, RawBody

from gettone.api import licence_bodies
from gettone.api.licence_bodies import (
    ImportedLicences,
    LicenceAssignment,
    LicenceOutcomes,
    LicenceSet,
    LicenceStep,
    NewSubscription,
    SubscriptionChange,
    User,
    UserOutcome,
)
from gettone.api.problems import licences_refused
from gettone.api.routing import (
    ADMIN,
    ORGANISATION,
    READ,
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
from gettone.api.versions import IfMatch, tagged, unless_changed, wanted_version
from gettone.errors import InvalidFile
from gettone.operations import bulk_licensing, licensing, preflight, subscriptions
from gettone.operations.licensing import LicenceOutcome
from gettone.operations.preflight import Preflight
from gettone.operations.subscriptions import LicenceCount
from gettone.operations.views import Page, SubscriptionView

SUBSCRIPTION = f"{ORGANISATION}/subscriptions/{{subscription:str}}"
USER = f"{ORGANISATION}/users/{{user:str}}"

Order = Annotated[
    str,
    HeaderParameter(
        name="Idempotency-Key",
        required=True,
        description="Your own name for this order; the same again buys nothing and gets the same answer.",
    ),
]
CallKind = Annotated[
    str,
    QueryParameter(
        description="domestic, international, premium, sms, conference_out, toll_free_in, or a number (+ is %2B)."
    ),
]


# -- what is owned -----------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/subscriptions", opt=needs(READ), sync_to_thread=True)
def list_subscriptions(services: Given, org_id: InPath, *, ended: FromQuery[bool] = False) -> Page[SubscriptionView]:
    """Orders of licences, oldest first; with *ended* also those that are over."""
    return Page(subscriptions.list_subscriptions(services.office, org_id, ended=ended))


@post(f"{ORGANISATION}/subscriptions", opt=needs(ADMIN), sync_to_thread=True)
def buy_licences(
    services: Given, org_id: InPath, data: JSONBody[NewSubscription], reference: Order
) -> SubscriptionView:
    """Buy licences, once for each Idempotency-Key."""
    return subscriptions.buy(
        services.office, org_id, data.product, services.clock(), reference=reference, quantity=data.quantity
    )


@patch(SUBSCRIPTION, opt=needs(ADMIN), sync_to_thread=True)
def change_subscription(
    services: Given, org_id: InPath, subscription: InPath, data: JSONBody[SubscriptionChange]
) -> SubscriptionView:
    """Change how many licences a subscription has, named by its id or reference; not below what is assigned."""
    return subscriptions.change_quantity(services.office, org_id, plain(subscription), data.quantity, services.clock())


@delete(SUBSCRIPTION, opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def end_subscription(services: Given, org_id: InPath, subscription: InPath) -> SubscriptionView:
    """End a subscription, named by its id or reference; not while its licences are assigned."""
    return subscriptions.end_subscription(services.office, org_id, plain(subscription), services.clock())


@get(f"{ORGANISATION}/licences", opt=needs(READ), sync_to_thread=True)
def list_licences(services: Given, org_id: InPath) -> Page[LicenceCount]:
    """Products that are owned or assigned, and how many of each."""
    return Page(subscriptions.list_products(services.office, org_id, services.clock()))


@get(f"{ORGANISATION}/licences/{{product:str}}/holders", opt=needs(READ), sync_to_thread=True)
def list_holders(
    services: Given, org_id: InPath, product: InPath, cursor: Cursor = "", limit: Limit = 100
) -> Page[User]:
    """Users who hold a product, in order of user principal name."""
    found = licensing.holders(services.office, org_id, plain(product), services.clock(), cursor=cursor, limit=limit)
    return licence_bodies.users(found)


# -- who holds what ----------------------------------------------------------------------------------------------------


@put(f"{USER}/licences", opt=needs(ADMIN), sync_to_thread=True)
def set_licences(
    services: Given, org_id: InPath, user: InPath, data: JSONBody[LicenceSet], if_match: IfMatch = ""
) -> Response[UserOutcome]:
    """Let a user hold exactly these licences."""
    version = wanted_version(if_match)
    with unless_changed(services.office, org_id, plain(user), version):
        done = licensing.set_exactly(
            services.office,
            org_id,
            plain(user),
            data.licences,
            services.clock(),
            dry_run=data.dry_run,
            if_version=version,
        )
    return _outcome(done)


@patch(f"{USER}/licences", opt=needs(ADMIN), sync_to_thread=True)
def change_licences(
    services: Given, org_id: InPath, user: InPath, data: JSONBody[LicenceStep], if_match: IfMatch = ""
) -> Response[UserOutcome]:
    """Assign and remove licences of a user in one step; a swap of Calling Plans keeps the number."""
    version = wanted_version(if_match)
    with unless_changed(services.office, org_id, plain(user), version):
        done = licensing.assign(
            services.office,
            org_id,
            plain(user),
            services.clock(),
            add=data.add,
            remove=data.remove,
            usage_location=data.usage_location,
            dry_run=data.dry_run,
            if_version=version,
        )
    return _outcome(done)


@post(f"{ORGANISATION}/licences/assign", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def assign_licences(services: Given, org_id: InPath, data: JSONBody[LicenceAssignment]) -> LicenceOutcomes:
    """Assign and remove licences of many users in one transaction, and say what happened to each."""
    done = licence_bodies.outcomes(
        licensing.assign_selection(
            services.office,
            org_id,
            data.selection,
            services.clock(),
            add=data.add,
            remove=data.remove,
            partial=data.partial,
            dry_run=data.dry_run,
        )
    )
    if done.refused and not data.partial and not data.dry_run:
        found = [violation for one in done.outcomes for violation in one.violations]
        detail = f"{done.refused} of {len(done.outcomes)} users are refused; nothing was changed"
        raise licences_refused(detail, found)
    return done


@get(f"{ORGANISATION}/licences/check", opt=needs(READ), sync_to_thread=True)
def check_call(services: Given, org_id: InPath, *, user: FromQuery[str], call: CallKind, to: Text = "") -> Preflight:
    """Can this user make this kind of call now, and if not, what is missing?"""
    return preflight.can_call(services.office, org_id, user, call, services.clock(), try_call=services.try_call, to=to)


@post(f"{ORGANISATION}/licences/import", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def import_licences(
    services: Given,
    org_id: InPath,
    body: RawBody,
    *,
    dry_run: FromQuery[bool] = False,
    partial: FromQuery[bool] = False,
) -> ImportedLicences:
    """Assign and remove licences from a CSV file: all of it or, with every bad line named, nothing.

    With *partial* the good lines are done; with *dry_run* nothing is.
    """
    done = bulk_licensing.import_licences(
        services.office, org_id, body, services.clock(), dry_run=dry_run, partial=partial
    )
    if done.refused and not partial and not dry_run:
        raise InvalidFile("licences.csv", done.problems)
    return licence_bodies.imported(done)


def _outcome(done: LicenceOutcome) -> Response[UserOutcome]:
    return tagged(licence_bodies.outcome(done), done.version)


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_subscriptions, buy_licences, change_subscription, end_subscription),
        *(list_licences, list_holders, set_licences, change_licences, assign_licences),
        *(import_licences, check_call),
    ]
    return Router("/", route_handlers=handlers, tags=["Licences"], **options)
