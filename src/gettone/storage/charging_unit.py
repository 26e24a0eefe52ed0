"""What both databases share of a charging unit: which rows have changed, and the values to write.

A unit remembers the lots and pools as they were read; what differs at the end is written.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import msgspec

from gettone.domain.lots import Lot
from gettone.domain.pools import Pool
from gettone.domain.wallet import Wallet
from gettone.operations.blocks import BLOCKED, SYSTEM
from gettone.operations.instants import instant, microseconds
from gettone.operations.ports import Account, Changes, Marks

Row = tuple[Any, ...]

_encode = msgspec.json.Encoder().encode


WALLET_COLUMNS = (
    *("org_id", "currency", "overrun_micros", "version", "entry_number", "directory_version"),
    *("trigger_micros", "recharge_at", "recharge_due_at", "low_micros", "told"),
)
"""What is read of a wallet, in the order in which `Snapshot.accounts` takes it."""

WALLET_CHANGES = (
    *("posted_micros", "held_micros", "overrun_micros", "entry_number", "directory_version"),
    *("recharge_due_at", "told"),
)
"""What a charge may change of a wallet, in the order of `Snapshot.wallet_rows`."""


def _if_any(stored: int | None) -> datetime | None:
    return None if stored is None else instant(stored)


class Snapshot:
    """Lots and pools as they were read."""

    def __init__(self) -> None:
        """Begin empty."""
        self._lots: dict[tuple[str, str], tuple[int, int]] = {}
        self._pools: dict[tuple[str, str, int], tuple[int, int]] = {}

    def accounts(
        self, wallets: Iterable[Sequence[Any]], lots: Iterable[Sequence[Any]], pools: Iterable[Sequence[Any]]
    ) -> dict[str, Account]:
        """Make accounts of rows and remember how they were.

        Rows: wallet (`WALLET_COLUMNS`), lot (org_id, lot_id, purchased_at, expires_at, amount, remaining, held), pool
        (org_id, pool_key, size, period, used, held; the last three NULL while nothing was drawn).
        """
        by_org: dict[str, list[Lot]] = {}
        for org_id, lot_id, purchased_at, expires_at, amount, remaining, held in lots:
            self._lots[org_id, lot_id] = (remaining, held)
            lot = Lot(lot_id, instant(purchased_at), instant(expires_at), amount, remaining, held)
            by_org.setdefault(org_id, []).append(lot)
        found: dict[str, Account] = {}
        for org_id, currency, overrun, version, entries, directory, trigger, recharge_at, due_at, low, told in wallets:
            wallet = Wallet(org_id, currency, by_org.get(org_id, []), overrun)
            marks = Marks(trigger, _if_any(recharge_at), _if_any(due_at), low, told)
            found[org_id] = Account(wallet, {}, {}, version, entries, directory, marks)
        for org_id, pool_key, size, period, used, held in pools:
            account = found[org_id]
            account.pool_sizes[pool_key] = size
            if period is not None:
                self._pools[org_id, pool_key, period] = (used, held)
                account.pools[pool_key, period] = Pool(pool_key, period, size, used, held)
        return found

    def older_pool(self, account: Account, pool_key: str, period: int, row: Sequence[Any] | None) -> None:
        """Put a month that was read later into *account*; *row* is (used, held), None when nothing was drawn."""
        account.new_pool(pool_key, period, *(row or ()))
        if row is not None:
            self._pools[account.wallet.org_id, pool_key, period] = (row[0], row[1])

    def own_pools(self, accounts: dict[str, Account], rows: Iterable[Sequence[Any]]) -> None:
        """Put users' own pools into their accounts, from rows (org_id, pool_key, period, used, held)."""
        for org_id, pool_key, period, used, held in rows:
            self._pools[org_id, pool_key, period] = (used, held)
            accounts[org_id].new_pool(pool_key, period, used, held)

    def wallet_rows(self, accounts: dict[str, Account]) -> list[Row]:
        """What a charge may change, then org_id and version as read: the values of `WALLET_CHANGES`, by org_id."""
        return [
            (
                account.wallet.posted_micros,
                account.wallet.held_micros,
                account.wallet.overrun_micros,
                account.entry_number,
                account.directory_version,
                microseconds(account.marks.recharge_due_at) if account.marks.recharge_due_at is not None else None,
                account.marks.told,
                org_id,
                account.version,
            )
            for org_id, account in sorted(accounts.items())
        ]

    def lot_rows(self, accounts: dict[str, Account]) -> list[Row]:
        """(remaining, held, org_id, lot_id) of the lots that have changed."""
        return [
            (lot.remaining_micros, lot.held_micros, org_id, lot.lot_id)
            for org_id, account in accounts.items()
            for lot in account.wallet.lots
            if self._lots.get((org_id, lot.lot_id)) != (lot.remaining_micros, lot.held_micros)
        ]

    def pool_rows(self, accounts: dict[str, Account]) -> list[Row]:
        """(org_id, pool_key, period, size, used, held) of the pools that have changed."""
        rows: list[Row] = []
        for org_id, account in accounts.items():
            for (pool_key, period), pool in account.pools.items():
                before = self._pools.get((org_id, pool_key, period))
                if before != (pool.used_seconds, pool.held_seconds) and (
                    before or pool.used_seconds or pool.held_seconds
                ):
                    rows.append((org_id, pool_key, period, pool.size_seconds, pool.used_seconds, pool.held_seconds))
        return rows


def entry_rows(changes: Changes, now: datetime) -> tuple[list[Row], list[Row]]:
    """The rows of ledger_entry and ledger_posting."""
    posted_at = microseconds(now)
    entries: list[Row] = []
    postings: list[Row] = []
    for org_id, number, entry in changes.entries:
        entries.append((org_id, number, entry.kind._value_, entry.reference, entry.reason, posted_at))
        for line, posting in enumerate(entry.postings):
            postings.append((org_id, number, line, posting.account._value_, posting.lot_id, posting.micros))
    return entries, postings


def tally_rows(changes: Changes) -> list[Row]:
    """The rows of tally, in the order of `rows.TALLY_COLUMNS`."""
    return [
        (
            org_id,
            tally.subject,
            tally.period,
            tally.open_calls,
            tally.spent_micros,
            tally.held_micros,
            tally.hour,
            tally.hour_micros,
            tally.warned_percent,
        )
        for (org_id, _, _), tally in changes.tallies.items()
    ]


def notice_rows(changes: Changes, now: datetime) -> list[Row]:
    """The rows of notice: org_id, notice_id, kind, subject, written_at, facts."""
    written_at = microseconds(now)
    return [
        (notice.org_id, notice.notice_id, notice.kind, notice.subject, written_at, _encode(notice.facts).decode())
        for notice in changes.notices.values()
    ]


def block_rows(changes: Changes, now: datetime) -> tuple[list[Row], list[Row]]:
    """Of users blocked by the fraud guard: (reason, until, org_id, user_id), and the rows of user_block."""
    at = microseconds(now)
    users = [(block.reason, microseconds(block.until), block.org_id, block.user_id) for block in changes.blocks]
    history = [
        (block.org_id, block.user_id, at, BLOCKED, block.reason, microseconds(block.until), SYSTEM, block.detail)
        for block in changes.blocks
    ]
    return users, history


def destination_rows(changes: Changes) -> list[Row]:
    """The rows of known_destination: org_id, destination, first_at."""
    return [(org_id, destination, microseconds(first)) for (org_id, destination), first in changes.destinations.items()]


def usage_rows(changes: Changes) -> list[Row]:
    """The rows of usage_record."""
    return [
        (
            org_id,
            session_id,
            line,
            record.payer,
            record.pool_key,
            record.capability,
            record.from_second,
            record.seconds,
            record.billed_seconds,
            record.charge_micros,
            record.connection_micros,
            entry_number,
        )
        for org_id, session_id, line, record, entry_number in changes.usage
    ]
