"""What invoicing and finance read of the ledger in SQL (`operations.books_rows.BooksRows`).

The condition of the index of receivables stands in every statement word for word, so that both databases use it: it
holds only what billing after use has to pay for, however long the ledger is.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Connection, case, cast, func, literal, select, text, tuple_

from gettone.domain.entitlement import PayerKind
from gettone.domain.parties import CallType
from gettone.operations.billing import Invoice
from gettone.operations.books_rows import BilledCall, LotLeft, PostingSum, Receivables, UsageSum
from gettone.operations.instants import instant, microseconds
from gettone.operations.office import chunks
from gettone.storage.billing_schema import invoice
from gettone.storage.invoice_rows import INVOICES
from gettone.storage.schema import ledger_entry, ledger_posting, lot

_RECEIVABLE = "p.account = 'receivable' AND p.amount_micros < 0"

# Jumps from one organisation to the next: each step is one look into the index, however many entries there are.
_ORGANISATIONS = text(
    f"""WITH RECURSIVE found (org_id, place) AS (
    SELECT (SELECT MIN(p.org_id) FROM ledger_posting p WHERE {_RECEIVABLE} AND p.org_id > :after), 1
    UNION ALL
    SELECT (SELECT MIN(p.org_id) FROM ledger_posting p WHERE {_RECEIVABLE} AND p.org_id > found.org_id), place + 1
    FROM found WHERE org_id IS NOT NULL AND place < :limit)
    SELECT o.org_id AS org_id, o.time_zone AS time_zone,
    (SELECT e.posted_at FROM ledger_posting p
    JOIN ledger_entry e ON e.org_id = p.org_id AND e.entry_number = p.entry_number
    WHERE {_RECEIVABLE} AND p.org_id = o.org_id AND p.entry_number >
    (SELECT COALESCE(MAX(i.last_entry), 0) FROM invoice i WHERE i.org_id = o.org_id AND i.kind = 'post_usage')
    ORDER BY p.entry_number LIMIT 1) AS since
    FROM found JOIN organisation o ON o.org_id = found.org_id ORDER BY o.org_id"""
)
_ENTRIES = f"""FROM ledger_posting p JOIN ledger_entry e ON e.org_id = p.org_id AND e.entry_number = p.entry_number
    WHERE {_RECEIVABLE} AND p.org_id = :org_id AND p.entry_number > :after"""
_FIRST = text(f"SELECT e.entry_number, e.posted_at {_ENTRIES} ORDER BY p.entry_number LIMIT 1")
_LAST = text(f"SELECT MAX(p.entry_number) {_ENTRIES} AND e.posted_at < :before")
_SUM = text(
    f"""SELECT COALESCE(SUM(p.amount_micros), 0) FROM ledger_posting p
    WHERE {_RECEIVABLE} AND p.org_id = :org_id AND p.entry_number > :after AND p.entry_number <= :last"""
)
# An entry of a call names its session; its usage records name the entry.
_USAGE = f"""FROM ledger_posting p
    JOIN ledger_entry e ON e.org_id = p.org_id AND e.entry_number = p.entry_number
    JOIN usage_record u ON u.org_id = p.org_id AND u.session_id = e.reference AND u.entry_number = p.entry_number
    JOIN call c ON c.org_id = u.org_id AND c.session_id = u.session_id
    WHERE {_RECEIVABLE} AND p.org_id = :org_id AND p.entry_number >= :first AND p.entry_number <= :last
    AND u.payer = '{PayerKind.POST_USAGE.value}'"""
_BY_DESTINATION = text(
    f"""SELECT c.destination AS destination, c.call_type AS call_type, COUNT(DISTINCT c.session_id) AS sessions,
    SUM(u.seconds) AS seconds, SUM(u.billed_seconds) AS billed_seconds, SUM(u.charge_micros) AS charge_micros
    {_USAGE} GROUP BY c.destination, c.call_type ORDER BY c.destination, c.call_type"""
)
_BY_CALL = text(
    f"""SELECT p.entry_number AS entry_number, u.line AS line, c.session_id AS session_id, c.started_at AS started_at,
    c.call_type AS call_type, c.user_id AS user_id, c.called AS called, c.country AS country,
    c.destination AS destination, u.seconds AS seconds, u.billed_seconds AS billed_seconds,
    u.charge_micros AS charge_micros
    {_USAGE} AND (p.entry_number > :after_entry OR (p.entry_number = :after_entry AND u.line > :after_line))
    ORDER BY p.entry_number, u.line LIMIT :limit"""
)


class SqlBooks:
    """See `BooksRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read through *connection*, which is in a transaction."""
        self._connection = connection

    def receivables(self, after: str, limit: int) -> list[Receivables]:
        """See `BooksRows`."""
        return [
            Receivables(
                org_id=row.org_id,
                time_zone=row.time_zone,
                since=None if row.since is None else instant(row.since),
            )
            for row in self._connection.execute(_ORGANISATIONS, {"after": after, "limit": limit})
        ]

    def first_receivable(self, org_id: str, after_entry: int) -> tuple[int, datetime] | None:
        """See `BooksRows`."""
        row = self._connection.execute(_FIRST, {"org_id": org_id, "after": after_entry}).one_or_none()
        return (row.entry_number, instant(row.posted_at)) if row is not None else None

    def last_receivable(self, org_id: str, after_entry: int, before: datetime) -> int:
        """See `BooksRows`."""
        values = {"org_id": org_id, "after": after_entry, "before": microseconds(before)}
        last: int | None = self._connection.execute(_LAST, values).scalar_one()
        return after_entry if last is None else last

    def receivable_micros(self, org_id: str, after_entry: int, last_entry: int | None = None) -> int:
        """See `BooksRows`."""
        values = {"org_id": org_id, "after": after_entry, "last": 2**62 if last_entry is None else last_entry}
        return -int(self._connection.execute(_SUM, values).scalar_one())

    def usage_billed(self, org_id: str, first_entry: int, last_entry: int) -> list[UsageSum]:
        """See `BooksRows`."""
        sums: dict[str, UsageSum] = {}
        values = {"org_id": org_id, "first": first_entry, "last": last_entry}
        for row in self._connection.execute(_BY_DESTINATION, values):
            message = row.call_type == CallType.SMS_OUT.value
            before = sums.get(row.destination, _nothing(row.destination))
            sums[row.destination] = UsageSum(
                destination=row.destination,
                calls=before.calls + (0 if message else row.sessions),
                messages=before.messages + (int(row.seconds) if message else 0),
                seconds=before.seconds + (0 if message else int(row.seconds)),
                billed_seconds=before.billed_seconds + (0 if message else int(row.billed_seconds)),
                charge_micros=before.charge_micros + int(row.charge_micros),
            )
        return list(sums.values())

    def billed_calls(
        self, org_id: str, first_entry: int, last_entry: int, after: tuple[int, int] | None, limit: int
    ) -> list[BilledCall]:
        """See `BooksRows`."""
        after_entry, after_line = after or (first_entry - 1, 0)
        values: dict[str, Any] = {"org_id": org_id, "first": max(first_entry, after_entry), "last": last_entry}
        values |= {"after_entry": after_entry, "after_line": after_line, "limit": limit}
        return [
            BilledCall(**{**row._mapping, "started_at": instant(row.started_at)})  # noqa: SLF001 - documented, not private
            for row in self._connection.execute(_BY_CALL, values)
        ]

    def posting_sums(self, org_ids: Collection[str], since: datetime, until: datetime) -> list[PostingSum]:
        """See `BooksRows`; reads the ledgers of these organisations up to the end of the span once."""
        entry, posting = ledger_entry.c, ledger_posting.c
        early = entry.posted_at < microseconds(since)
        amount = posting.amount_micros
        same = (posting.org_id == entry.org_id) & (posting.entry_number == entry.entry_number)
        found: list[PostingSum] = []
        for part in chunks(org_ids):
            query = (
                select(
                    entry.org_id,
                    entry.kind,
                    posting.account,
                    # A sum of BIGINT is NUMERIC on PostgreSQL.
                    cast(func.sum(case((early, amount), else_=0)), BigInteger).label("before_micros"),
                    cast(func.sum(case((early, 0), else_=amount)), BigInteger).label("within_micros"),
                )
                .select_from(ledger_entry.join(ledger_posting, same))
                .where(entry.org_id.in_(part), entry.posted_at < microseconds(until))
                .group_by(entry.org_id, entry.kind, posting.account)
            )
            found += [PostingSum(**row._mapping) for row in self._connection.execute(query)]  # noqa: SLF001 - documented, not private
        return found

    def lots_left(self, org_ids: Collection[str]) -> list[LotLeft]:
        """See `BooksRows`."""
        found: list[LotLeft] = []
        for part in chunks(org_ids):
            query = select(lot.c.org_id, lot.c.expires_at, lot.c.remaining_micros).where(
                lot.c.org_id.in_(part), lot.c.remaining_micros > 0
            )
            found += [
                LotLeft(org_id=row.org_id, expires_at=instant(row.expires_at), remaining_micros=row.remaining_micros)
                for row in self._connection.execute(query)
            ]
        return found

    def unpaid_invoices(self, after: tuple[str, str], limit: int, *, org_id: str = "") -> list[tuple[str, Invoice]]:
        """See `BooksRows`; the condition of the index word for word, so that it serves."""
        columns = invoice.c
        query = (
            select(invoice)
            .where(text("paid_at IS NULL AND kind <> 'credit_note'"))
            .where(tuple_(columns.org_id, columns.invoice_id) > tuple_(*map(literal, after)))
            .order_by(columns.org_id, columns.invoice_id)
            .limit(limit)
        )
        if org_id:
            query = query.where(columns.org_id == org_id)
        return [(row.org_id, INVOICES.read(row)) for row in self._connection.execute(query)]


def _nothing(destination: str) -> UsageSum:
    return UsageSum(destination=destination, calls=0, messages=0, seconds=0, billed_seconds=0, charge_micros=0)
