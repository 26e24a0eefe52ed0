"""The pools that an organisation's licences make, as they are stored (D7, D9).

A change of licences moves the counts of the pools that it concerns. These were counted by the terms of their day: when
other terms count since, or a setting changed, all pools are counted anew from what every user holds.
"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gettone.domain import licences as rules
from gettone.domain.licences import Holding, pool_seconds, pools_of, purchased_pools
from gettone.operations.office import Unit
from gettone.operations.views import UserView

if TYPE_CHECKING:
    from gettone.operations.licence_moves import Licences


def holding_of(user: UserView | None) -> Holding:
    """What decides about the licences of a user, or of nobody."""
    return Holding(user.usage_location, user.licences, user.resource) if user else rules.NOTHING


def move_pools(unit: Unit, licences: "Licences", moved: Mapping[str, int]) -> None:
    """Let so many licences more or fewer count in these pools.

    The users must be written already: when the stored pools were counted by other terms than those of *licences*, they
    are counted anew. Within the hour after terms began to count that is taken for granted.
    """
    known = unit.money.pool_sizes(licences.org_id)
    counts = {key: known.get(key, (0, 0))[0] + change for key, change in moved.items()}
    country, terms = licences.organisation.country, licences.terms
    as_counted = all(size == pool_seconds(key, count, country, terms) for key, (count, size) in known.items())
    if licences.terms_are_new or not as_counted or any(count < 0 for count in counts.values()):
        unit.money.write_pools(licences.org_id, wrong_pools(unit, licences))
    else:
        write_pools(unit, licences, counts)


def write_pools(unit: Unit, licences: "Licences", counts: Mapping[str, int]) -> None:
    """Write pools with the size that so many licences make."""
    country = licences.organisation.country
    sizes = {key: (count, pool_seconds(key, count, country, licences.terms)) for key, count in counts.items()}
    unit.money.write_pools(licences.org_id, sizes)


def right_pools(unit: Unit, licences: "Licences") -> dict[str, tuple[int, int]]:
    """Licences and size in seconds of every pool, as users hold licences and subscriptions own them now."""
    country, terms = licences.organisation.country, licences.terms
    counts = Counter(purchased_pools(licences.purchased, country, terms))
    holdings = Counter(holding_of(user) for user in unit.directory.all_users(licences.org_id) if user.licences)
    for holding, users in holdings.items():
        for key in pools_of(holding, country, terms):
            counts[key] += users
    return {key: (count, pool_seconds(key, count, country, terms)) for key, count in counts.items()}


def wrong_pools(unit: Unit, licences: "Licences") -> dict[str, tuple[int, int]]:
    """The pools whose size or licences are not right, as they should be; one that nothing makes any more is empty."""
    there, right = unit.money.pool_sizes(licences.org_id), right_pools(unit, licences)
    return {
        key: right.get(key, (0, 0))
        for key in sorted(there.keys() | right.keys())
        if there.get(key, (0, 0)) != right.get(key, (0, 0))
    }
