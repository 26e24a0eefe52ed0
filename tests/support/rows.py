"""Plain values for tests of what is stored, where no rule of the operations is wanted."""

from datetime import UTC, datetime

from gettone.operations.views import OrganisationView, UserView

MIDDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday, when nothing is special."""


def organisation(org_id: str, **settings) -> OrganisationView:
    """Return an American organisation with nothing set but *settings*."""
    whole = {
        "org_id": org_id,
        "name": org_id,
        "country": "US",
        "currency": "USD",
        "time_zone": "UTC",
        "price_list": "standard",
        "closed": False,
        "post_usage": False,
        "created_at": MIDDAY,
    }
    return OrganisationView(**(whole | settings))


def user(name: str, org_id: str = "contoso", **settings) -> UserView:
    """Return a user with nothing set but *settings*."""
    whole = {
        "user_id": name,
        "upn": f"{name.lower()}@{org_id}.example",
        "display_name": "",
        "usage_location": "US",
        "licences": (),
        "numbers": (),
        "created_at": MIDDAY,
    }
    return UserView(**(whole | settings))
