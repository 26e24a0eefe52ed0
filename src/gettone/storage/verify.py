"""The reads of verification in SQL (`operations.verify.Audit`): each statement returns only rows that are wrong.

A check compares two ways to the same amount. Where either side may be missing, both are stacked (UNION ALL) and added
up by key, so that a row on one side only is found too. Columns of a check: org_id, its names, what is expected, what is
found; the names fill the check's sentence.
"""

import contextlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from sqlalchemy import Connection, text

from gettone.domain.ledger import Account, EntryKind
from gettone.domain.parties import CallType
from gettone.domain.session import CallState
from gettone.errors import NotFound
from gettone.operations.tallies import COUNTED
from gettone.operations.verify import Audit, CountedCall, OpenCall, Place
from gettone.operations.views import Finding
from gettone.storage import verify_buying
from gettone.storage.checks import RANGE, Check
from gettone.storage.engine import open_database
from gettone.storage.rows import counted_for, lot_holds, pool_holds
from gettone.storage.shared_rows import SqlCatalogue

CHUNK = 500
_ROWS_AT_ONCE = 1000

_ACCOUNTS = ", ".join(f"'{account.value}'" for account in Account)
_CHARGES = f"'{EntryKind.CALL_CHARGED.value}', '{EntryKind.LATE_USAGE.value}'"

LEDGER = (
    Check(
        "unbalanced_entry",
        "entry {0}",
        f"""SELECT org_id, entry_number, 0, SUM(amount_micros) FROM ledger_posting WHERE {RANGE}
        GROUP BY org_id, entry_number HAVING SUM(amount_micros) <> 0""",
    ),
    Check(
        "entry_without_postings",
        "entry {0}",
        """SELECT e.org_id, e.entry_number, 'postings', 'none' FROM ledger_entry e
        WHERE e.org_id >= :first AND e.org_id <= :last AND NOT EXISTS (SELECT 1 FROM ledger_posting p
        WHERE p.org_id = e.org_id AND p.entry_number = e.entry_number)""",
    ),
    Check(
        "posting_without_entry",
        "posting {0}/{1}",
        """SELECT p.org_id, p.entry_number, p.line, 'an entry', 'none' FROM ledger_posting p
        WHERE p.org_id >= :first AND p.org_id <= :last AND NOT EXISTS (SELECT 1 FROM ledger_entry e
        WHERE e.org_id = p.org_id AND e.entry_number = p.entry_number)""",
    ),
    Check(
        "posting_to_unknown_account",
        "posting {0}/{1}",
        f"""SELECT org_id, entry_number, line, 'an account of the chart', account FROM ledger_posting
        WHERE {RANGE} AND account NOT IN ({_ACCOUNTS})""",
    ),
    Check(
        "posting_to_unknown_lot",
        "posting {0}/{1}",
        """SELECT p.org_id, p.entry_number, p.line, 'a lot', p.lot_id FROM ledger_posting p
        WHERE p.org_id >= :first AND p.org_id <= :last AND (p.account = 'wallet' OR p.lot_id <> '') AND NOT EXISTS
        (SELECT 1 FROM lot l WHERE l.org_id = p.org_id AND l.lot_id = p.lot_id)""",
    ),
    Check(
        "entry_number_gap",
        "ledger before entry {0}",
        f"""SELECT org_id, entry_number, before + 1, entry_number FROM (SELECT org_id, entry_number,
        LAG(entry_number, 1, 0) OVER (PARTITION BY org_id ORDER BY entry_number) AS before
        FROM ledger_entry WHERE {RANGE}) AS numbered WHERE entry_number <> before + 1""",
    ),
    Check(
        "entry_number_count",
        "wallet's last entry",
        """SELECT w.org_id, COALESCE(e.last, 0), w.entry_number FROM wallet w LEFT JOIN
        (SELECT org_id, MAX(entry_number) AS last FROM ledger_entry WHERE org_id >= :first AND org_id <= :last
        GROUP BY org_id) e ON e.org_id = w.org_id
        WHERE w.org_id >= :first AND w.org_id <= :last AND COALESCE(e.last, 0) <> w.entry_number""",
    ),
)

WALLETS = (
    Check(
        "wallet_missing",
        "wallet",
        """SELECT o.org_id, 'a wallet', 'none' FROM organisation o WHERE o.org_id >= :first AND o.org_id <= :last
        AND NOT EXISTS (SELECT 1 FROM wallet w WHERE w.org_id = o.org_id)""",
    ),
    Check(
        "wallet_currency",
        "wallet's currency",
        """SELECT o.org_id, o.currency, w.currency FROM organisation o JOIN wallet w ON w.org_id = o.org_id
        WHERE o.org_id >= :first AND o.org_id <= :last AND o.currency <> w.currency""",
    ),
    *(
        Check(
            kind,
            f"wallet's {column}",
            f"""SELECT org_id, SUM(expected), SUM(found) FROM (
            SELECT org_id, {lot_column} AS expected, 0 AS found FROM lot WHERE {RANGE}
            UNION ALL SELECT org_id, 0, {column} FROM wallet WHERE {RANGE}) AS both_sides
            GROUP BY org_id HAVING SUM(expected) <> SUM(found)""",
        )
        for kind, column, lot_column in (
            ("wallet_posted", "posted_micros", "remaining_micros"),
            ("wallet_held", "held_micros", "held_micros"),
        )
    ),
    Check(
        "wallet_overrun",
        "wallet's overrun_micros",
        f"""SELECT org_id, SUM(expected), SUM(found) FROM (
        SELECT org_id, -amount_micros AS expected, 0 AS found FROM ledger_posting WHERE {RANGE} AND account = 'overrun'
        UNION ALL SELECT org_id, 0, overrun_micros FROM wallet WHERE {RANGE}) AS both_sides
        GROUP BY org_id HAVING SUM(expected) <> SUM(found)""",
    ),
    Check(
        "lot_remaining",
        "lot {0!r}",
        f"""SELECT org_id, lot_id, SUM(expected), SUM(found) FROM (
        SELECT org_id, lot_id, amount_micros AS expected, 0 AS found FROM ledger_posting
        WHERE {RANGE} AND account = 'wallet'
        UNION ALL SELECT org_id, lot_id, 0, remaining_micros FROM lot WHERE {RANGE}) AS both_sides
        GROUP BY org_id, lot_id HAVING SUM(expected) <> SUM(found)""",
    ),
)

# What each call was charged in the ledger, by kind of entry.
_BOOKED = f"""SELECT e.org_id, e.reference, SUM(p.amount_micros) AS micros,
    COUNT(DISTINCT CASE WHEN e.kind = '{EntryKind.CALL_CHARGED.value}' THEN e.entry_number END) AS charged,
    COUNT(DISTINCT CASE WHEN e.kind = '{EntryKind.LATE_USAGE.value}' THEN e.entry_number END) AS late
    FROM ledger_entry e JOIN ledger_posting p ON p.org_id = e.org_id AND p.entry_number = e.entry_number
    WHERE e.org_id >= :first AND e.org_id <= :last AND e.kind IN ({_CHARGES}) AND p.account = 'usage'
    GROUP BY e.org_id, e.reference"""

CALLS = (
    Check(
        "call_held_after_end",
        "call {0!r}",
        f"""SELECT org_id, session_id, 0, held_micros FROM call
        WHERE {RANGE} AND state <> 'open' AND held_micros <> 0""",
    ),
    *(
        Check(
            kind,
            f"call {{0!r}}, {column}",
            f"""SELECT org_id, session_id, SUM(expected), SUM(found) FROM (
            SELECT org_id, session_id, {usage_column} AS expected, 0 AS found FROM usage_record WHERE {RANGE}
            UNION ALL SELECT org_id, session_id, 0, {column} FROM call WHERE {RANGE}) AS both_sides
            GROUP BY org_id, session_id HAVING SUM(expected) <> SUM(found)""",
        )
        for kind, column, usage_column in (
            ("call_charge", "charged_micros", "charge_micros"),
            ("call_charge", "billed_seconds", "billed_seconds"),
            ("call_usage_lines", "usage_lines", "1"),
        )
    ),
    Check(
        "call_usage_lines",
        "call {0!r}, last line",
        f"""SELECT org_id, session_id, COUNT(*) - 1, MAX(line) FROM usage_record WHERE {RANGE}
        GROUP BY org_id, session_id HAVING MAX(line) <> COUNT(*) - 1 OR MIN(line) <> 0""",
    ),
    Check(
        "usage_without_call",
        "usage record {0!r}/{1}",
        """SELECT u.org_id, u.session_id, u.line, 'a call', 'none' FROM usage_record u
        WHERE u.org_id >= :first AND u.org_id <= :last AND NOT EXISTS (SELECT 1 FROM call c
        WHERE c.org_id = u.org_id AND c.session_id = u.session_id)""",
    ),
    Check(
        "charge_not_booked",
        "call {0!r}",
        f"""SELECT c.org_id, c.session_id, c.charged_micros, 'no entry' FROM call c
        LEFT JOIN ({_BOOKED}) AS b ON b.org_id = c.org_id AND b.reference = c.session_id
        WHERE c.org_id >= :first AND c.org_id <= :last AND c.charged_micros <> 0 AND b.reference IS NULL""",
    ),
    Check(
        "charge_booked_twice",
        "call {0!r}",
        f"""SELECT org_id, reference, 1, charged + late FROM ({_BOOKED}) AS booked WHERE charged > 1 OR late > 1""",
    ),
    Check(
        "charge_differs",
        "call {0!r}",
        f"""SELECT c.org_id, c.session_id, c.charged_micros, b.micros FROM ({_BOOKED}) AS b
        JOIN call c ON c.org_id = b.org_id AND c.session_id = b.reference WHERE c.charged_micros <> b.micros""",
    ),
    Check(
        "charge_without_call",
        "entry {0} of {1!r}",
        f"""SELECT e.org_id, e.entry_number, e.reference, 'a call', 'none' FROM ledger_entry e
        WHERE e.org_id >= :first AND e.org_id <= :last AND e.kind IN ({_CHARGES}) AND NOT EXISTS
        (SELECT 1 FROM call c WHERE c.org_id = e.org_id AND c.session_id = e.reference)""",
    ),
    Check(
        "usage_not_booked",
        "usage records of entry {0}",
        f"""SELECT org_id, entry_number, SUM(expected), SUM(found) FROM (
        SELECT org_id, entry_number, charge_micros AS expected, 0 AS found FROM usage_record WHERE {RANGE}
        UNION ALL SELECT org_id, entry_number, 0, amount_micros FROM ledger_posting
        WHERE {RANGE} AND account = 'usage') AS both_sides
        GROUP BY org_id, entry_number HAVING SUM(expected) <> SUM(found)""",
    ),
    Check(
        "answer_without_call",
        "answer {0!r}/{1}",
        """SELECT r.org_id, r.session_id, r.request_number, 'a call', 'none' FROM call_request r
        WHERE r.org_id >= :first AND r.org_id <= :last AND NOT EXISTS
        (SELECT 1 FROM call c WHERE c.org_id = r.org_id AND c.session_id = r.session_id)""",
    ),
)

POOLS = (
    Check(
        "pool_used",
        "pool {0!r} in {1}",
        f"""SELECT org_id, pool_key, period, SUM(expected), SUM(found) FROM (
        SELECT u.org_id AS org_id, u.pool_key AS pool_key, c.period AS period, u.billed_seconds AS expected, 0 AS found
        FROM usage_record u JOIN call c ON c.org_id = u.org_id AND c.session_id = u.session_id
        WHERE u.org_id >= :first AND u.org_id <= :last AND u.payer = 'P'
        UNION ALL SELECT org_id, pool_key, period, 0, used_seconds FROM pool_use WHERE {RANGE}) AS both_sides
        GROUP BY org_id, pool_key, period HAVING SUM(expected) <> SUM(found)""",
    ),
)

NUMBERS = (
    Check(
        "number_owned_twice",
        "number '+{0}'",
        """SELECT n.org_id, n.digits, n.org_id, o.org_id FROM phone_number n JOIN number_owner o ON o.digits = n.digits
        WHERE n.org_id >= :first AND n.org_id <= :last AND o.org_id <> n.org_id""",
    ),
    Check(
        "number_without_owner",
        "number '+{0}'",
        """SELECT n.org_id, n.digits, n.org_id, 'none' FROM phone_number n
        WHERE n.org_id >= :first AND n.org_id <= :last AND NOT EXISTS
        (SELECT 1 FROM number_owner o WHERE o.digits = n.digits)""",
    ),
    Check(
        "owner_without_number",
        "number '+{0}'",
        """SELECT o.org_id, o.digits, 'a number', 'none' FROM number_owner o
        WHERE o.org_id >= :first AND o.org_id <= :last AND NOT EXISTS
        (SELECT 1 FROM phone_number n WHERE n.org_id = o.org_id AND n.digits = o.digits)""",
    ),
    Check(
        "number_of_unknown_user",
        "number '+{0}'",
        """SELECT n.org_id, n.digits, 'a user', n.user_id FROM phone_number n
        WHERE n.org_id >= :first AND n.org_id <= :last AND n.user_id <> '' AND NOT EXISTS
        (SELECT 1 FROM subscriber s WHERE s.org_id = n.org_id AND s.user_id = n.user_id)""",
    ),
)

# Beyond the organisations: rows that no chunk of them would reach.
SHARED = tuple(
    Check(
        "unknown_organisation",
        f"rows of {table}",
        f"""SELECT DISTINCT t.org_id, 'an organisation', 'none' FROM {table} t
        WHERE NOT EXISTS (SELECT 1 FROM organisation o WHERE o.org_id = t.org_id)""",
    )
    for table in (
        *("number_owner", "call", "ledger_entry", "ledger_posting", "usage_record", "call_request"),
        *verify_buying.TABLES,
    )
)

CHECKS = LEDGER + WALLETS + CALLS + POOLS + NUMBERS + verify_buying.CHECKS

OPEN_CALLS = f"""SELECT org_id, session_id, period, held_micros, funding, supervise_until FROM call
    WHERE {RANGE} AND state = 'open'"""
LOT_HOLDS = f"SELECT org_id, lot_id, held_micros FROM lot WHERE {RANGE} AND held_micros <> 0"
POOL_HOLDS = f"SELECT org_id, pool_key, period, held_seconds FROM pool_use WHERE {RANGE} AND held_seconds <> 0"
LICENCES = f"SELECT org_id, usage_location, licences, resource FROM subscriber WHERE {RANGE} AND licences <> ''"
SUBSCRIPTIONS = f"SELECT org_id, sku, quantity FROM subscription WHERE {RANGE} AND ended_at IS NULL"
LICENCE_COUNTS = f"SELECT org_id, sku, assigned FROM licence_count WHERE {RANGE}"
TALLIES = f"SELECT org_id, subject, period, open_calls, held_micros, spent_micros FROM tally WHERE {RANGE}"
COUNTED_CALLS = f"""SELECT org_id, user_id, period, call_type, funding, state, held_micros, charged_micros FROM call
    WHERE {RANGE} AND user_id <> '' AND state <> 'refused' AND (state = 'open' OR charged_micros <> 0)
    AND call_type IN ({", ".join(f"'{call_type}'" for call_type in sorted(COUNTED))})"""
POOL_SIZES = f"SELECT org_id, pool_key, licences, size_seconds FROM pool WHERE {RANGE} ORDER BY org_id, pool_key"
ORGANISATIONS = "SELECT org_id, time_zone, country FROM organisation WHERE org_id > :after ORDER BY org_id LIMIT :limit"
ORGANISATION = "SELECT org_id, time_zone, country FROM organisation WHERE org_id = :org_id"


class SqlAudit:
    """See `Audit`."""

    def __init__(self, connection: Connection) -> None:
        """Read through *connection*, which is in a transaction that sees one moment."""
        self._connection = connection

    def organisations(self, org_id: str) -> Iterator[dict[str, Place]]:
        """See `Audit`."""
        if org_id:
            found = self._connection.execute(text(ORGANISATION), {"org_id": org_id}).one_or_none()
            if found is None:
                raise NotFound(f"organisation {org_id!r}: there is none with this id; list them, or create it")
            yield {found[0]: Place(found[1], found[2])}
            return
        after = ""
        while True:
            rows = self._connection.execute(text(ORGANISATIONS), {"after": after, "limit": CHUNK}).all()
            if not rows:
                return
            yield {row[0]: Place(row[1], row[2]) for row in rows}
            after = rows[-1][0]

    def shared_differences(self) -> Iterator[Finding]:
        """See `Audit`."""
        for check in SHARED + verify_buying.SHARED:
            yield from self._check(check, {})

    def differences(self, first: str, last: str) -> Iterator[Finding]:
        """See `Audit`."""
        for check in CHECKS:
            yield from self._check(check, {"first": first, "last": last})

    def open_calls(self, first: str, last: str) -> Iterator[OpenCall]:
        """See `Audit`."""
        for org_id, session_id, period, held, funding, supervise_until in self._stream(OPEN_CALLS, first, last):
            lots, pools = lot_holds(funding), pool_holds(funding)
            yield OpenCall(org_id, session_id, period, held, lots, pools, supervise_until is not None)

    def lot_holds(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """See `Audit`."""
        return self._stream(LOT_HOLDS, first, last)

    def pool_holds(self, first: str, last: str) -> Iterator[tuple[str, str, int, int]]:
        """See `Audit`."""
        return self._stream(POOL_HOLDS, first, last)

    def catalogue_tables(self) -> dict[str, str]:
        """See `Audit`."""
        return SqlCatalogue(self._connection).catalogue_tables()

    def licences(self, first: str, last: str) -> Iterator[tuple[str, str, str, bool]]:
        """See `Audit`."""
        for org_id, location, licences, resource in self._stream(LICENCES, first, last):
            yield org_id, location, licences, bool(resource)

    def subscriptions(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """See `Audit`."""
        return self._stream(SUBSCRIPTIONS, first, last)

    def licence_counts(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """See `Audit`."""
        return self._stream(LICENCE_COUNTS, first, last)

    def counted_calls(self, first: str, last: str) -> Iterator[CountedCall]:
        """See `Audit`."""
        rows = self._stream(COUNTED_CALLS, first, last)
        for org_id, user_id, period, call_type, funding, state, held, charged in rows:
            groups, international, promised = counted_for(funding)
            is_open = state == CallState.OPEN.value
            dialled = call_type == CallType.CONF_OUT.value
            spent = 0 if is_open else charged
            yield CountedCall(org_id, user_id, period, groups, international, dialled, is_open, held + promised, spent)

    def tallies(self, first: str, last: str) -> Iterator[tuple[str, str, int, int, int, int]]:
        """See `Audit`."""
        return self._stream(TALLIES, first, last)

    def pools(self, first: str, last: str) -> Iterator[tuple[str, str, int, int]]:
        """See `Audit`."""
        return self._stream(POOL_SIZES, first, last)

    def _check(self, check: Check, bounds: dict[str, str]) -> Iterator[Finding]:
        for org_id, *names, expected, found in self._rows(check.statement, bounds):
            what = check.what.format(*names)
            yield Finding(kind=check.kind, org_id=org_id, what=what, expected=_plain(expected), found=_plain(found))

    def _stream(self, statement: str, first: str, last: str) -> Iterator[Any]:
        return self._rows(statement, {"first": first, "last": last})

    def _rows(self, statement: str, bounds: dict[str, str]) -> Iterator[Any]:
        options = {"stream_results": True, "yield_per": _ROWS_AT_ONCE}
        for row in self._connection.execute(text(statement), bounds, execution_options=options):
            yield tuple(row)


@contextlib.contextmanager
def open_audit(url: str) -> Iterator[SqlAudit]:
    """Open the database at *url* for verification, as it is at this moment."""
    database = open_database(url, connections=1)
    try:
        with database.reading() as connection:
            yield SqlAudit(connection)
    finally:
        database.close()


def _plain(value: object) -> str:
    """An amount as it is written; a sum is a decimal on PostgreSQL."""
    return str(int(value)) if isinstance(value, Decimal) else str(value)


def _is_an_audit(audit: SqlAudit) -> Audit:
    """Let the type checker compare the two."""
    return audit
