"""Money put into a wallet or taken out of it by the operator's hand, with the reason in the ledger (D10, D12 to D15).

What is added becomes a lot of its own; what is owed from an earlier overrun is paid out of it first. A booking is done
once for its reference: the same again gets the same answer, another amount under the same reference is refused. Both
are decided under the lock of the wallet.
"""

from dataclasses import dataclass
from datetime import datetime

import msgspec

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.domain.money import render_micros
from gettone.errors import Conflict, InvalidInput
from gettone.operations import checks
from gettone.operations.crediting import credit, watched
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.views import Booking, EntryView

MANUAL = "manual"
ADJUSTMENT = "adjustment"


def add_funds(
    office: Office,
    org_id: str,
    amount_micros: int,
    *,
    reference: str,
    now: datetime,
    reason: str = "",
    expires_at: datetime | None = None,
) -> Booking:
    """Add *amount_micros* of credit, which expires 12 months from now or at *expires_at*.

    Raises `NotFound`, `InvalidInput`, or `Conflict` when *reference* stands for another amount or expiry already, or
    the organisation is closed.
    """
    if checks.amount(amount_micros) < 0:
        raise InvalidInput("amount_micros", amount_micros, "write a positive amount; to take credit out, adjust")
    if expires_at is not None and checks.instant("expires_at", expires_at) <= now:
        raise InvalidInput("expires_at", expires_at.isoformat(), "write an instant that is still to come")
    wanted = _Wanted(
        EntryKind.FUNDS_ADDED,
        Account.FUNDING,
        amount_micros,
        checks.reference(reference),
        checks.text("reason", reason, empty=True),
        now,
        expires_at,
    )
    with office.write(org_id) as unit:
        done = _done_before(unit, wanted)
        if done is not None:
            return _repeat(unit, done, wanted)
        if unit.organisation.closed:
            raise Conflict(f"organisation {org_id!r} is closed; reopen it before adding funds")
        return _credit(unit, wanted)


def adjust(office: Office, org_id: str, amount_micros: int, *, reference: str, reason: str, now: datetime) -> Booking:
    """Correct a wallet by *amount_micros*: up as a new lot, down out of credit that is free now.

    Raises `NotFound`, `InvalidInput`, or `Conflict` when *reference* stands for another amount, or less is free.
    """
    wanted = _Wanted(
        EntryKind.ADJUSTED,
        Account.ADJUSTMENT,
        checks.amount(amount_micros),
        checks.reference(reference),
        checks.text("reason", reason),
        now,
    )
    with office.write(org_id) as unit:
        done = _done_before(unit, wanted)
        if done is not None:
            return _repeat(unit, done, wanted)
        return _credit(unit, wanted) if amount_micros > 0 else _debit(unit, wanted)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A booking as asked for; *origin* is the account on the other side of the wallet."""

    kind: EntryKind
    origin: Account
    amount_micros: int
    reference: str
    reason: str
    now: datetime
    expires_at: datetime | None = None


def _credit(unit: OrganisationUnit, wanted: _Wanted) -> Booking:
    done = credit(
        unit,
        wanted.kind,
        [Posting(wanted.origin, -wanted.amount_micros)],
        source=MANUAL if wanted.kind is EntryKind.FUNDS_ADDED else ADJUSTMENT,
        reference=wanted.reference,
        now=wanted.now,
        reason=wanted.reason,
        expires_at=wanted.expires_at,
    )
    return _booking(
        unit,
        wanted,
        done.entry_number,
        lot_id=done.lot_id,
        expires_at=done.expires_at,
        covered_micros=done.covered_micros,
    )


def _debit(unit: OrganisationUnit, wanted: _Wanted) -> Booking:
    wallet, taken = unit.account.wallet, -wanted.amount_micros
    available = wallet.available_micros(wanted.now)
    if taken > available:
        free = render_micros(max(0, available), wallet.currency)
        raise Conflict(
            f"amount_micros {wanted.amount_micros}: only {free} {wallet.currency} is free; take at most that"
        )
    burns, overrun = wallet.settle({}, taken, wanted.now)
    assert overrun == 0, "what is available covers it"
    postings = [
        *(Posting(Account.WALLET, -burn.micros, burn.lot_id) for burn in burns),
        Posting(wanted.origin, taken),
    ]
    number = unit.book(entry(wanted.kind, wanted.reference, postings, wanted.reason), wanted.now)
    watched(unit, wanted.now)
    return _booking(unit, wanted, number)


def _done_before(unit: OrganisationUnit, wanted: _Wanted) -> EntryView | None:
    found = unit.money.entries(unit.organisation.org_id, wanted.kind.value, wanted.reference, None, 1)
    return found[0] if found else None


def _repeat(unit: OrganisationUnit, done: EntryView, wanted: _Wanted) -> Booking:
    """The answer to a booking that was made before, if it was this one."""
    wallet = unit.account.wallet
    booked = -sum(posting.amount_micros for posting in done.postings if posting.account == wanted.origin.value)
    other = f"reference {done.reference!r} was booked"
    if booked != wanted.amount_micros:
        before = render_micros(booked, wallet.currency)
        raise Conflict(f"{other} for {before} {wallet.currency}; write another reference")
    lot_id = next((p.lot_id for p in done.postings if p.amount_micros == booked > 0), "")
    lot = unit.money.lots_by_id(wallet.org_id, [lot_id]).get(lot_id) if lot_id else None
    expires_at = lot.expires_at if lot else None
    if wanted.expires_at not in {None, expires_at}:
        raise Conflict(f"{other} to expire at {expires_at and expires_at.isoformat()}; write another reference")
    covered_micros = sum(p.amount_micros for p in done.postings if p.account == Account.OVERRUN.value)
    booking = _booking(
        unit, wanted, done.entry_number, lot_id=lot_id, expires_at=expires_at, covered_micros=covered_micros
    )
    return msgspec.structs.replace(booking, repeated=True)


def _booking(
    unit: OrganisationUnit,
    wanted: _Wanted,
    entry_number: int,
    *,
    lot_id: str = "",
    expires_at: datetime | None = None,
    covered_micros: int = 0,
) -> Booking:
    wallet = unit.account.wallet
    return Booking(
        org_id=wallet.org_id,
        entry_number=entry_number,
        reference=wanted.reference,
        amount_micros=wanted.amount_micros,
        currency=wallet.currency,
        lot_id=lot_id,
        expires_at=expires_at,
        covered_micros=covered_micros,
        available_micros=wallet.available_micros(wanted.now),
        repeated=False,
    )
