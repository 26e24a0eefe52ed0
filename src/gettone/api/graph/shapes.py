"""Bodies as Graph writes them: users, their licences, products owned, the organisation.

A user's id is the user id of the directory, whatever it looks like: Graph's own are GUIDs, its clients take any text.
Products and service plans have the GUIDs of the catalogue. A product that the catalogue no longer knows has none, and
is left out. Properties that Graph knows and we do not keep are absent, or null when they are selected.
"""

from typing import Any

from gettone.domain.catalogue import SEPARATOR, Terms, plans_on
from gettone.domain.licences import sku_of
from gettone.operations.subscriptions import LicenceCount
from gettone.operations.views import OrganisationView, UserView

NOT_KEPT = ("givenName", "jobTitle", "mail", "mobilePhone", "officeLocation", "preferredLanguage", "surname")
"""Properties of users that clients are used to select, and that the directory does not have."""

FOR_USERS = "User"


def etag(user: UserView) -> str:
    """Names the user as it is now; another one after every change."""
    return f'W/"{user.version}"'


def user_body(user: UserView, terms: Terms) -> dict[str, Any]:
    """A user."""
    held = [(licence, terms.products[sku]) for licence in user.licences if (sku := sku_of(licence)) in terms.products]
    assigned = [{"skuId": product.sku_id, "disabledPlans": _plan_ids(licence, terms)} for licence, product in held]
    return {
        "@odata.etag": etag(user),
        "id": user.user_id,
        "userPrincipalName": user.upn,
        "displayName": user.display_name or None,
        "usageLocation": user.usage_location or None,
        "department": user.department or None,
        "businessPhones": list(user.numbers),
        "createdDateTime": user.created_at,
        "assignedLicenses": assigned,
        "assignedPlans": [
            {"servicePlanId": plan_id, "capabilityStatus": "Enabled"}
            for plan_id in sorted({plan_id for licence, _ in held for plan_id in _ids_on(licence, terms)})
        ],
        "licenseAssignmentStates": [
            {**one, "assignedByGroup": None, "state": "Active", "error": "None"} for one in assigned
        ],
    }


def license_details(user: UserView, terms: Terms) -> list[dict[str, Any]]:
    """What a user holds, each product with its service plans, on or off."""
    details: list[dict[str, Any]] = []
    for licence in user.licences:
        product = terms.products.get(sku_of(licence))
        if product is not None:
            on = plans_on(licence, terms)
            plans = terms.plans_of.get(product.sku, {})
            details.append(
                {
                    "id": f"{user.user_id}_{product.sku_id}",
                    "skuId": product.sku_id,
                    "skuPartNumber": product.sku,
                    "servicePlans": [
                        _service_plan(plan, plans[plan], "Success" if plan in on else "Disabled")
                        for plan in sorted(plans)
                    ],
                }
            )
    return details


def subscribed_sku(count: LicenceCount, organisation: OrganisationView) -> dict[str, Any]:
    """A product that the organisation owns, and how many licences of it are assigned.

    One that is held and no longer owned works on, which is what Graph calls Warning.
    """
    owned = count.purchased + count.included
    return {
        "id": f"{organisation.org_id}_{count.sku_id}",
        "accountId": organisation.org_id,
        "accountName": organisation.name,
        "appliesTo": FOR_USERS,
        "capabilityStatus": "Enabled" if owned else "Warning",
        "consumedUnits": count.assigned,
        "prepaidUnits": {"enabled": owned, "suspended": 0, "warning": 0, "lockedOut": 0},
        "servicePlans": [_service_plan(plan.service_plan, plan.plan_id, "Success") for plan in count.service_plans],
        "skuId": count.sku_id,
        "skuPartNumber": count.sku,
        "subscriptionIds": list(count.subscription_ids),
    }


def organisation_body(organisation: OrganisationView) -> dict[str, Any]:
    """The organisation."""
    return {
        "id": organisation.org_id,
        "displayName": organisation.name,
        "countryLetterCode": organisation.country,
        "createdDateTime": organisation.created_at,
    }


def _service_plan(name: str, plan_id: str, status: str) -> dict[str, Any]:
    return {
        "servicePlanId": plan_id,
        "servicePlanName": name,
        "provisioningStatus": status,
        "appliesTo": FOR_USERS,
    }


def _plan_ids(licence: str, terms: Terms) -> list[str]:
    """The ids of the service plans switched off in a licence."""
    sku, *off = licence.split(SEPARATOR)
    plans = terms.plans_of.get(sku, {})
    return [plans[plan] for plan in off if plan in plans]


def _ids_on(licence: str, terms: Terms) -> list[str]:
    plans = terms.plans_of.get(sku_of(licence), {})
    return [plans[plan] for plan in plans_on(licence, terms)]
