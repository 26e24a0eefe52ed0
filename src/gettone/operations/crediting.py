"""Credit that comes into a wallet, whatever brings it: a lot of its own; what is owed is paid first (D10, D12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.domain.lots import Lot, expiry_of
from gettone.domain.money import render_micros
from gettone.errors import InvalidInput
from gettone.operations import checks
from gettone.operations.alarms import topped_up, watch
from gettone.operations.notices import notice
from gettone.operations.office import OrganisationUnit
from gettone.operations.views import NoticeView


@dataclass(frozen=True, slots=True)
class Credited:
    """What became of credit: its entry, its lot, and how much of it paid what was owed."""

    entry_number: int
    lot_id: str
    expires_at: datetime
    covered_micros: int


def credit(
    unit: OrganisationUnit,
    kind: EntryKind,
    origins: Sequence[Posting],
    *,
    source: str,
    reference: str,
    now: datetime,
    reason: str = "",
    expires_at: datetime | None = None,
) -> Credited:
    """Put what *origins* give (their sum, negative) into the wallet, to expire 12 months from now or at *expires_at*.

    Raises `InvalidInput` when the wallet would hold more than it can.
    """
    wallet, amount_micros = unit.account.wallet, -sum(posting.micros for posting in origins)
    if wallet.posted_micros + amount_micros > checks.AMOUNT_MAX:
        most = render_micros(checks.AMOUNT_MAX, wallet.currency)
        raise InvalidInput("amount_micros", amount_micros, f"the wallet would hold more than {most} {wallet.currency}")
    expires = expires_at or expiry_of(now, ZoneInfo(unit.organisation.time_zone))
    # Numbered like its entry: unique, and in order of age wherever ids are compared.
    lot = Lot(f"{unit.account.entry_number + 1:012d}", now, expires, amount_micros, amount_micros)
    unit.money.add_lot(wallet.org_id, lot, source, reference)
    wallet.add(lot)
    covered = wallet.cover_overrun(now)
    covered_micros = sum(burn.micros for burn in covered)
    postings = [
        *origins,
        Posting(Account.WALLET, amount_micros, lot.lot_id),
        *(Posting(Account.WALLET, -burn.micros, burn.lot_id) for burn in covered),
        Posting(Account.OVERRUN, covered_micros),
    ]
    number = unit.book(entry(kind, reference, postings, reason), now)
    topped_up(unit.account, now)
    watched(unit, now)
    return Credited(number, lot.lot_id, expires, covered_micros)


def watched(unit: OrganisationUnit, now: datetime) -> None:
    """Look at the wallet after it changed, as charging does after every batch (`alarms.watch`)."""
    for told in watch(unit.account, now):
        view = NoticeView(
            notice_id=told.notice_id, kind=told.kind, subject=told.subject, written_at=now, facts=told.facts
        )
        unit.policies.add_notice(told.org_id, view)


def tell_once(
    unit: OrganisationUnit, kind: str, crossing: str, now: datetime, *, subject: str = "", **facts: str
) -> None:
    """Write a notice of a *kind* once for its *crossing*, with *facts* to say."""
    unit.policies.add_notice(unit.organisation.org_id, notice(kind, subject, crossing, facts, now))
