"""Subscriptions, and how many users hold what, in SQL (`operations.office.LicenceRows`)."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, insert, literal, select, update

from gettone.domain.catalogue import SEPARATOR
from gettone.domain.parties import NumberSource
from gettone.operations.instants import instant, microseconds
from gettone.operations.views import SubscriptionView, UserView
from gettone.storage.directory_rows import among, users_of
from gettone.storage.schema import licence_count, phone_number, subscriber, subscription

LEADING_DIGITS = 7
"""Enough to tell the country of every number, and a toll-free number from others."""


class SqlLicences:
    """See `LicenceRows`; every statement names its organisation."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def subscriptions(self, org_id: str, *, ended: bool = False) -> list[SubscriptionView]:
        """See `LicenceRows`."""
        query = select(subscription).where(subscription.c.org_id == org_id)
        if not ended:
            query = query.where(subscription.c.ended_at.is_(None))
        rows = self._connection.execute(query.order_by(subscription.c.created_at, subscription.c.subscription_id))
        return [_subscription(row) for row in rows]

    def subscription_by_reference(self, org_id: str, reference: str) -> SubscriptionView | None:
        """See `LicenceRows`."""
        query = select(subscription).where(subscription.c.org_id == org_id, subscription.c.reference == reference)
        row = self._connection.execute(query).one_or_none()
        return _subscription(row) if row else None

    def add_subscription(self, org_id: str, new: SubscriptionView) -> None:
        """See `LicenceRows`; a reference that is there already is a `Conflict`."""
        self._connection.execute(
            insert(subscription),
            {
                "org_id": org_id,
                "subscription_id": new.subscription_id,
                "sku": new.sku,
                "quantity": new.quantity,
                "reference": new.reference,
                "created_at": microseconds(new.created_at),
                "ended_at": None if new.ended_at is None else microseconds(new.ended_at),
            },
        )

    def change_subscription(self, org_id: str, changed: SubscriptionView) -> None:
        """See `LicenceRows`."""
        self._connection.execute(
            update(subscription)
            .where(subscription.c.org_id == org_id, subscription.c.subscription_id == changed.subscription_id)
            .values(
                quantity=changed.quantity,
                ended_at=None if changed.ended_at is None else microseconds(changed.ended_at),
            )
        )

    def assigned(self, org_id: str) -> dict[str, int]:
        """See `LicenceRows`."""
        query = select(licence_count.c.sku, licence_count.c.assigned).where(licence_count.c.org_id == org_id)
        return {row.sku: row.assigned for row in self._connection.execute(query.order_by(licence_count.c.sku))}

    def write_assigned(self, org_id: str, counts: Mapping[str, int]) -> None:
        """See `LicenceRows`; products that nobody holds leave no row."""
        listed = among(self._connection, licence_count.c.sku, counts.keys())
        self._connection.execute(delete(licence_count).where(licence_count.c.org_id == org_id, listed))
        rows = [{"org_id": org_id, "sku": sku, "assigned": users} for sku, users in counts.items() if users]
        if rows:
            self._connection.execute(insert(licence_count), rows)

    def holders(self, org_id: str, sku: str, after: str, limit: int) -> list[UserView]:
        """See `LicenceRows`."""
        query = (
            select(subscriber)
            .where(subscriber.c.org_id == org_id, subscriber.c.upn > after, _holds(sku))
            .order_by(subscriber.c.upn)
            .limit(limit)
        )
        return users_of(self._connection, org_id, query)

    def number_counts(self, org_id: str) -> list[tuple[str, str, str, int]]:
        """See `LicenceRows`."""
        source = func.coalesce(func.nullif(phone_number.c.source, ""), NumberSource.DIRECT.value)
        leading = func.substr(phone_number.c.digits, 1, LEADING_DIGITS)
        counted = (
            select(phone_number.c.use, source.label("source"), leading.label("leading"))
            .where(phone_number.c.org_id == org_id)
            .subquery()
        )
        keys = (counted.c.use, counted.c.source, counted.c.leading)
        rows = self._connection.execute(select(*keys, func.count()).group_by(*keys).order_by(*keys))
        return [(row[0], row[1], row[2], row[3]) for row in rows]


def _holds(sku: str) -> ColumnElement[bool]:
    """Whether the licences name *sku* as a product of its own: not inside a longer name, not as a service plan.

    What has the word in it changes when the word is taken out: unlike LIKE this knows no wildcards and minds case.
    """
    words = literal(" ") + func.replace(subscriber.c.licences, SEPARATOR, f" {SEPARATOR}") + literal(" ")
    return func.replace(words, f" {sku} ", "") != words


def _subscription(row: Row[Any]) -> SubscriptionView:
    return SubscriptionView(
        subscription_id=row.subscription_id,
        sku=row.sku,
        quantity=row.quantity,
        reference=row.reference,
        created_at=instant(row.created_at),
        ended_at=None if row.ended_at is None else instant(row.ended_at),
    )
