"""Lots, the ledger and minute pools in SQL (`operations.office.MoneyRows`)."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Row, insert, literal, select, text, tuple_, update

from gettone.domain.ledger import Entry
from gettone.domain.lots import Lot
from gettone.errors import NotFound
from gettone.operations.instants import instant, microseconds
from gettone.operations.office import chunks
from gettone.operations.ports import Account
from gettone.operations.views import EntryView, ExpiringLot, LotView, PoolView, PostingView
from gettone.storage.charging_unit import WALLET_CHANGES, WALLET_COLUMNS, Snapshot
from gettone.storage.schema import ledger_entry, ledger_posting, lot, organisation, pool, pool_use, usage_record, wallet

# The condition of the index of unspent lots word for word, as both databases want it.
_UNSPENT = text("lot.remaining_micros > 0")


class SqlMoney:
    """See `MoneyRows`; every statement names its organisation."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection
        self._snapshot = Snapshot()

    def account(self, org_id: str, *, lock: bool = False) -> Account:
        """See `MoneyRows`; with *lock* the wallet row stays ours until the end (SQLite has locked the file already)."""
        columns = [wallet.c[column] for column in (*WALLET_COLUMNS, "order_number")]
        query = select(*columns).where(wallet.c.org_id == org_id)
        wallets = self._connection.execute(query.with_for_update() if lock else query).all()
        if not wallets:
            raise NotFound(f"organisation {org_id!r}: there is none with this id; list them, or create it")
        unspent = select(
            lot.c.org_id,
            lot.c.lot_id,
            lot.c.purchased_at,
            lot.c.expires_at,
            lot.c.amount_micros,
            lot.c.remaining_micros,
            lot.c.held_micros,
        ).where(lot.c.org_id == org_id, lot.c.remaining_micros > 0)
        lots = self._connection.execute(unspent).all()
        account = self._snapshot.accounts([row[:-1] for row in wallets], lots, ())[org_id]
        account.order_number = wallets[0].order_number
        return account

    def save(self, account: Account) -> bool:
        """Write a locked account back; False when another writer changed it under the lock."""
        accounts = {account.wallet.org_id: account}
        marks = account.marks
        settings = {
            "trigger_micros": marks.trigger_micros,
            "recharge_at": None if marks.recharge_at is None else microseconds(marks.recharge_at),
            "low_micros": marks.low_micros,
            "order_number": account.order_number,
        }
        for *changed, org_id, version in self._snapshot.wallet_rows(accounts):
            values = dict(zip(WALLET_CHANGES, changed, strict=True)) | settings
            written = self._connection.execute(
                update(wallet)
                .where(wallet.c.org_id == org_id, wallet.c.version == version)
                .values(values | {"version": version + 1})
            )
            if written.rowcount != 1:
                return False
        for remaining, held, org_id, lot_id in self._snapshot.lot_rows(accounts):
            self._connection.execute(
                update(lot)
                .where(lot.c.org_id == org_id, lot.c.lot_id == lot_id)
                .values(remaining_micros=remaining, held_micros=held)
            )
        return True

    def add_lot(self, org_id: str, lot_: Lot, source: str, reference: str) -> None:
        """See `MoneyRows`."""
        self._connection.execute(
            insert(lot),
            {
                "org_id": org_id,
                "lot_id": lot_.lot_id,
                "source": source,
                "reference": reference,
                "purchased_at": microseconds(lot_.purchased_at),
                "expires_at": microseconds(lot_.expires_at),
                "amount_micros": lot_.amount_micros,
                "remaining_micros": lot_.remaining_micros,
                "held_micros": lot_.held_micros,
            },
        )

    def lots(self, org_id: str, after: str, limit: int, *, unspent_only: bool) -> list[LotView]:
        """See `MoneyRows`."""
        query = select(lot).where(lot.c.org_id == org_id, lot.c.lot_id > after)
        if unspent_only:
            query = query.where(lot.c.remaining_micros > 0)
        return [_lot(row) for row in self._connection.execute(query.order_by(lot.c.lot_id).limit(limit))]

    def lots_by_id(self, org_id: str, lot_ids: Collection[str]) -> dict[str, LotView]:
        """See `MoneyRows`."""
        found: dict[str, LotView] = {}
        for part in chunks(lot_ids):
            query = select(lot).where(lot.c.org_id == org_id, lot.c.lot_id.in_(part))
            found |= {row.lot_id: _lot(row) for row in self._connection.execute(query)}
        return found

    def add_entry(self, org_id: str, entry_number: int, entry: Entry, now: datetime) -> None:
        """See `MoneyRows`."""
        self._connection.execute(
            insert(ledger_entry),
            {
                "org_id": org_id,
                "entry_number": entry_number,
                "kind": entry.kind.value,
                "reference": entry.reference,
                "reason": entry.reason,
                "posted_at": microseconds(now),
            },
        )
        self._connection.execute(
            insert(ledger_posting),
            [
                {
                    "org_id": org_id,
                    "entry_number": entry_number,
                    "line": line,
                    "account": posting.account.value,
                    "lot_id": posting.lot_id,
                    "amount_micros": posting.micros,
                }
                for line, posting in enumerate(entry.postings)
            ],
        )

    def entries(self, org_id: str, kind: str, reference: str, before: int | None, limit: int) -> list[EntryView]:
        """See `MoneyRows`."""
        query = select(ledger_entry).where(ledger_entry.c.org_id == org_id)
        if kind:
            query = query.where(ledger_entry.c.kind == kind)
        if reference:
            query = query.where(self._refers_to(org_id, reference))
        if before is not None:
            query = query.where(ledger_entry.c.entry_number < before)
        rows = self._connection.execute(query.order_by(ledger_entry.c.entry_number.desc()).limit(limit)).all()
        postings = self._postings(org_id, [row.entry_number for row in rows])
        return [
            EntryView(
                entry_number=row.entry_number,
                kind=row.kind,
                reference=row.reference,
                reason=row.reason,
                posted_at=instant(row.posted_at),
                postings=tuple(postings.get(row.entry_number, ())),
            )
            for row in rows
        ]

    def _refers_to(self, org_id: str, reference: str) -> ColumnElement[bool]:
        """Entries of a reference by index: bookings by their own, charges of a call by its usage records."""
        charges = select(usage_record.c.entry_number).where(
            usage_record.c.org_id == org_id, usage_record.c.session_id == reference
        )
        numbers = set(self._connection.execute(charges).scalars())
        # The condition of the index word for word, as both databases want it, and SQLite has to be told.
        booked = (
            select(ledger_entry.c.entry_number)
            .where(
                ledger_entry.c.org_id == org_id, ledger_entry.c.reference == reference, text("kind <> 'call_charged'")
            )
            .with_hint(ledger_entry, "INDEXED BY ix_ledger_entry_booking", "sqlite")
        )
        numbers |= set(self._connection.execute(booked).scalars())
        return ledger_entry.c.entry_number.in_(sorted(numbers))

    def _postings(self, org_id: str, entry_numbers: list[int]) -> dict[int, list[PostingView]]:
        found: dict[int, list[PostingView]] = {}
        for start in range(0, len(entry_numbers), 500):
            query = select(ledger_posting).where(
                ledger_posting.c.org_id == org_id,
                ledger_posting.c.entry_number.in_(entry_numbers[start : start + 500]),
            )
            for row in self._connection.execute(query.order_by(ledger_posting.c.entry_number, ledger_posting.c.line)):
                posting = PostingView(account=row.account, amount_micros=row.amount_micros, lot_id=row.lot_id)
                found.setdefault(row.entry_number, []).append(posting)
        return found

    def organisations_with_expired_lots(self, now: datetime, after: str, limit: int) -> list[str]:
        """See `MoneyRows`."""
        query = (
            select(lot.c.org_id)
            .where(lot.c.org_id > after, lot.c.expires_at <= microseconds(now))
            # Both, so that the index of unspent lots serves.
            .where(_UNSPENT, lot.c.remaining_micros > lot.c.held_micros)
            .distinct()
            .order_by(lot.c.org_id)
            .limit(limit)
        )
        return list(self._connection.execute(query).scalars())

    def lots_expiring(self, since: datetime, until: datetime, after: tuple[str, str], limit: int) -> list[ExpiringLot]:
        """See `MoneyRows`; in the order of the index of unspent lots."""
        columns = lot.c
        query = (
            select(columns.org_id, columns.lot_id, columns.purchased_at, columns.expires_at, organisation.c.time_zone)
            .join_from(lot, organisation, organisation.c.org_id == columns.org_id)
            .where(
                # For the index; then exactly.
                columns.org_id >= after[0],
                tuple_(columns.org_id, columns.lot_id) > tuple_(*map(literal, after)),
                _UNSPENT,
                columns.expires_at > microseconds(since),
                columns.expires_at <= microseconds(until),
            )
            .order_by(columns.org_id, columns.lot_id)
            .limit(limit)
        )
        return [
            ExpiringLot(
                org_id=row.org_id,
                lot_id=row.lot_id,
                purchased_at=instant(row.purchased_at),
                expires_at=instant(row.expires_at),
                time_zone=row.time_zone,
            )
            for row in self._connection.execute(query)
        ]

    def pool_sizes(self, org_id: str) -> dict[str, tuple[int, int]]:
        """See `MoneyRows`."""
        rows = self._connection.execute(select(pool).where(pool.c.org_id == org_id))
        return {row.pool_key: (row.licences, row.size_seconds) for row in rows}

    def write_pools(self, org_id: str, pools: Mapping[str, tuple[int, int]]) -> None:
        """See `MoneyRows`."""
        known = self.pool_sizes(org_id)
        for pool_key, (licences, size_seconds) in pools.items():
            values = {"licences": licences, "size_seconds": size_seconds}
            if pool_key in known:
                self._connection.execute(
                    update(pool).where(pool.c.org_id == org_id, pool.c.pool_key == pool_key).values(values)
                )
            else:
                self._connection.execute(insert(pool), {"org_id": org_id, "pool_key": pool_key, **values})

    def pools(self, org_id: str, period: int, *, current: bool) -> list[PoolView]:
        """See `MoneyRows`."""
        query = select(pool_use).where(pool_use.c.org_id == org_id, pool_use.c.period == period)
        rows = self._connection.execute(query).all()
        uses = {row.pool_key: _Use(row.pool_key, period, row.used_seconds, row.held_seconds) for row in rows}
        found = {row.pool_key: _pool(uses[row.pool_key], row.size_seconds, None) for row in rows}
        if current:
            for pool_key, (licences, size_seconds) in self.pool_sizes(org_id).items():
                found[pool_key] = _pool(uses.get(pool_key, _Use(pool_key, period, 0, 0)), size_seconds, licences)
        return [found[pool_key] for pool_key in sorted(found)]


class _Use(NamedTuple):
    """What a month has drawn from a pool."""

    pool_key: str
    period: int
    used_seconds: int
    held_seconds: int


def _pool(use: _Use, size_seconds: int, licences: int | None) -> PoolView:
    return PoolView(
        pool_key=use.pool_key,
        area="",
        product="",
        period=use.period,
        licences=licences,
        size_seconds=size_seconds,
        used_seconds=use.used_seconds,
        held_seconds=use.held_seconds,
        free_seconds=max(0, size_seconds - use.used_seconds - use.held_seconds),
    )


def _lot(row: Row[Any]) -> LotView:
    return LotView(
        lot_id=row.lot_id,
        source=row.source,
        reference=row.reference,
        purchased_at=instant(row.purchased_at),
        expires_at=instant(row.expires_at),
        amount_micros=row.amount_micros,
        remaining_micros=row.remaining_micros,
        held_micros=row.held_micros,
    )
