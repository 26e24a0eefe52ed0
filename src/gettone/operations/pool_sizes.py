"""The pools that an organisation's licences make: counted anew, for when terms or settings changed (D7, D9)."""

from collections import Counter

from gettone.domain.licences import pool_seconds, pools_of, purchased_pools
from gettone.operations.licence_moves import Licences, holding_of
from gettone.operations.office import Unit


def right_pools(unit: Unit, licences: Licences) -> dict[str, tuple[int, int]]:
    """Licences and size in seconds of every pool, as users hold licences and subscriptions own them now."""
    country, terms = licences.organisation.country, licences.terms
    counts = Counter(purchased_pools(licences.purchased, country, terms))
    holdings = Counter(holding_of(user) for user in unit.directory.all_users(licences.org_id) if user.licences)
    for holding, users in holdings.items():
        for key in pools_of(holding, country, terms):
            counts[key] += users
    return {key: (count, pool_seconds(key, count, country, terms)) for key, count in counts.items()}


def wrong_pools(unit: Unit, licences: Licences) -> dict[str, tuple[int, int]]:
    """The pools whose size or licences are not right, as they should be; one that nothing makes any more is empty."""
    there, right = unit.money.pool_sizes(licences.org_id), right_pools(unit, licences)
    return {
        key: right.get(key, (0, 0))
        for key in sorted(there.keys() | right.keys())
        if there.get(key, (0, 0)) != right.get(key, (0, 0))
    }
