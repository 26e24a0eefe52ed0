"""Who is told, deliveries, the audit log and leases in SQL (`TellingRows`, `AuditRows`, `LeaseRows`)."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, literal, select, text, tuple_, update

from gettone.operations.billing import AdminRole, AuditEntry, Delivery, Recipient, Webhook
from gettone.operations.instants import microseconds
from gettone.operations.views import NoticeView
from gettone.storage.billing_schema import admin_role, audit_entry, delivery, lease, recipient, webhook
from gettone.storage.records import Records
from gettone.storage.schema import notice

ROLES = Records(admin_role, AdminRole)
RECIPIENTS = Records(recipient, Recipient)
WEBHOOKS = Records(webhook, Webhook)
DELIVERIES = Records(delivery, Delivery)
NOTICES = Records(notice, NoticeView)
AUDIT = Records(audit_entry, AuditEntry)


class SqlTelling:
    """See `TellingRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def roles(self, org_id: str) -> list[AdminRole]:
        """See `TellingRows`."""
        columns = admin_role.c
        return ROLES.all(self._connection, columns.org_id == org_id, order=(columns.user_id, columns.role))

    def add_role(self, org_id: str, role: AdminRole) -> None:
        """See `TellingRows`."""
        ROLES.put(self._connection, org_id, role)

    def remove_role(self, org_id: str, user_id: str, role: str) -> bool:
        """See `TellingRows`."""
        columns = admin_role.c
        where = (columns.org_id == org_id, columns.user_id == user_id, columns.role == role)
        return self._connection.execute(delete(admin_role).where(*where)).rowcount > 0

    def recipients(self, org_id: str) -> list[Recipient]:
        """See `TellingRows`."""
        columns = recipient.c
        return RECIPIENTS.all(self._connection, columns.org_id == org_id, order=(columns.target,))

    def write_recipient(self, org_id: str, recipient: Recipient) -> None:
        """See `TellingRows`."""
        RECIPIENTS.put(self._connection, org_id, recipient)

    def remove_recipient(self, org_id: str, target: str) -> bool:
        """See `TellingRows`."""
        columns = recipient.c
        where = (columns.org_id == org_id, columns.target == target)
        return self._connection.execute(delete(recipient).where(*where)).rowcount > 0

    def webhooks(self, org_id: str) -> list[Webhook]:
        """See `TellingRows`."""
        columns = webhook.c
        return WEBHOOKS.all(self._connection, columns.org_id == org_id, order=(columns.created_at, columns.webhook_id))

    def write_webhook(self, org_id: str, webhook: Webhook) -> None:
        """See `TellingRows`."""
        WEBHOOKS.put(self._connection, org_id, webhook)

    def remove_webhook(self, org_id: str, webhook_id: str) -> bool:
        """See `TellingRows`."""
        columns = webhook.c
        where = (columns.org_id == org_id, columns.webhook_id == webhook_id)
        return self._connection.execute(delete(webhook).where(*where)).rowcount > 0

    def new_notices(self, after: tuple[str, str], limit: int) -> list[tuple[str, str]]:
        """See `TellingRows`; the condition of the index word for word, so that it serves."""
        columns = notice.c
        query = (
            select(columns.org_id, columns.notice_id)
            .where(text("addressed = 0"), tuple_(columns.org_id, columns.notice_id) > tuple_(*map(literal, after)))
            .order_by(columns.org_id, columns.notice_id)
            .limit(limit)
        )
        return [(org_id, notice_id) for org_id, notice_id in self._connection.execute(query)]

    def notice(self, org_id: str, notice_id: str) -> NoticeView | None:
        """See `TellingRows`."""
        return NOTICES.one(self._connection, notice.c.org_id == org_id, notice.c.notice_id == notice_id)

    def addressed(self, org_id: str, notice_id: str) -> bool:
        """See `TellingRows`."""
        columns = notice.c
        where = (columns.org_id == org_id, columns.notice_id == notice_id, columns.addressed == 0)
        return self._connection.execute(update(notice).where(*where).values(addressed=1)).rowcount == 1

    def add_deliveries(self, org_id: str, deliveries: Sequence[Delivery]) -> None:
        """See `TellingRows`."""
        DELIVERIES.add(self._connection, org_id, deliveries)

    def change_delivery(self, org_id: str, delivery: Delivery) -> None:
        """See `TellingRows`."""
        DELIVERIES.change(self._connection, org_id, delivery)

    def delivery(self, org_id: str, delivery_id: str) -> Delivery | None:
        """See `TellingRows`."""
        columns = delivery.c
        return DELIVERIES.one(self._connection, columns.org_id == org_id, columns.delivery_id == delivery_id)

    def deliveries(
        self, org_id: str, notice_id: str, state: str, before: tuple[int, str] | None, limit: int
    ) -> list[Delivery]:
        """See `TellingRows`."""
        columns = delivery.c
        where = [columns.org_id == org_id]
        if notice_id:
            where.append(columns.notice_id == notice_id)
        if state:
            where.append(columns.state == state)
        if before is not None:
            at, delivery_id = before
            where.append(tuple_(columns.created_at, columns.delivery_id) < tuple_(literal(at), literal(delivery_id)))
        order = (columns.created_at.desc(), columns.delivery_id.desc())
        return DELIVERIES.all(self._connection, *where, order=order, limit=limit)

    def due_deliveries(self, now: datetime, limit: int) -> list[tuple[str, str]]:
        """See `TellingRows`."""
        columns = delivery.c
        query = (
            select(columns.org_id, columns.delivery_id)
            .where(columns.next_at.is_not(None), columns.next_at <= microseconds(now))
            .order_by(columns.next_at, columns.org_id, columns.delivery_id)
            .limit(limit)
        )
        return [(org_id, delivery_id) for org_id, delivery_id in self._connection.execute(query)]


class SqlAudit:
    """See `AuditRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def add_audit(self, org_id: str, entry: AuditEntry) -> None:
        """See `AuditRows`."""
        AUDIT.add(self._connection, org_id, [entry])

    def audit(self, org_id: str, subject: str, before: tuple[int, int] | None, limit: int) -> list[AuditEntry]:
        """See `AuditRows`."""
        columns = audit_entry.c
        where = [columns.org_id == org_id]
        if subject:
            where.append(columns.subject == subject)
        if before is not None:
            where.append(tuple_(columns.version, columns.line) < tuple_(*map(literal, before)))
        return AUDIT.all(self._connection, *where, order=(columns.version.desc(), columns.line.desc()), limit=limit)


class SqlLeases:
    """See `LeaseRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def take_lease(self, name: str, holder: str, now: datetime, until: datetime) -> bool:
        """See `LeaseRows`; of two that come at once, one changes the row or adds it, the other finds that done.

        One that runs longer than twice as long as ours would was written before a clock was put back: nobody has it.
        """
        columns = lease.c
        put_back = columns.until > microseconds(until + (until - now))
        free = (columns.holder == holder) | (columns.until <= microseconds(now)) | put_back
        values = {"holder": holder, "until": microseconds(until)}
        if self._connection.execute(update(lease).where(columns.name == name, free).values(values)).rowcount:
            return True
        if self._connection.execute(select(columns.name).where(columns.name == name)).first() is not None:
            return False
        added = text(
            'INSERT INTO lease (name, holder, "until") VALUES (:name, :holder, :until) ON CONFLICT (name) DO NOTHING'
        )
        return self._connection.execute(added, {"name": name, **values}).rowcount == 1

    def drop_lease(self, name: str, holder: str) -> None:
        """See `LeaseRows`."""
        self._connection.execute(delete(lease).where(lease.c.name == name, lease.c.holder == holder))
