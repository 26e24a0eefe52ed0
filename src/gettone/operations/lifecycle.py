"""What time does to an organisation: credit expires, and dated allotments change the size of pools (D9, D10).

Nothing here decides whether a call may go on: an expired lot cannot be spent from its instant on, whatever runs when.
Each organisation is one transaction, so a job may stop anywhere and go on later.
"""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.operations.crediting import tell_once, watched
from gettone.operations.licence_moves import Licences
from gettone.operations.notices import CREDIT_EXPIRED
from gettone.operations.office import Office, Unit
from gettone.operations.pool_sizes import wrong_pools
from gettone.operations.terms import billing_day, terms_now
from gettone.operations.views import Expired, OrganisationView

BATCH = 200


def expire_lots(office: Office, now: datetime) -> Iterator[Expired]:
    """Write off what has expired and no call holds; yields one value for each organisation that lost credit."""
    after = ""
    while True:
        with office.read() as unit:
            org_ids = unit.money.organisations_with_expired_lots(now, after, BATCH)
        for org_id in org_ids:
            expired = _expire(office, org_id, now)
            if expired is not None:
                yield expired
        if len(org_ids) < BATCH:
            return
        after = org_ids[-1]


def _expire(office: Office, org_id: str, now: datetime) -> Expired | None:
    with office.write(org_id) as unit:
        wallet = unit.account.wallet
        burns = wallet.expire(now)
        if not burns:
            return None
        amount_micros = sum(burn.micros for burn in burns)
        postings = [
            *(Posting(Account.WALLET, -burn.micros, burn.lot_id) for burn in burns),
            Posting(Account.BREAKAGE, amount_micros),
        ]
        number = unit.book(
            entry(EntryKind.CREDIT_EXPIRED, billing_day(unit.organisation, now).isoformat(), postings), now
        )
        tell_once(unit, CREDIT_EXPIRED, str(number), now, amount=str(amount_micros))
        watched(unit, now)
    return Expired(org_id=org_id, entry_number=number, amount_micros=amount_micros, currency=wallet.currency)


def resize_pools(office: Office, now: datetime) -> int:
    """Give every pool the size that today's terms and licences make; returns how many organisations had a wrong one."""
    return _resize_where(office, now, lambda _unit, _organisation: True)


def resize_at_the_turn(office: Office, now: datetime, within: timedelta) -> int:
    """As `resize_pools`, for organisations where a day with other terms began *within* so long before *now*."""

    def turned(unit: Unit, organisation: OrganisationView) -> bool:
        return terms_now(unit, organisation, now) is not terms_now(unit, organisation, now - within)

    return _resize_where(office, now, turned)


def _resize_where(office: Office, now: datetime, wanted: Callable[[Unit, OrganisationView], bool]) -> int:
    after, changed = "", 0
    while True:
        with office.read() as unit:
            part = unit.directory.organisations(after, BATCH)
            org_ids = [one.org_id for one in part if wanted(unit, one)]
        changed += sum(_resize(office, org_id, now) for org_id in org_ids)
        if len(part) < BATCH:
            return changed
        after = part[-1].org_id


def _resize(office: Office, org_id: str, now: datetime) -> bool:
    with office.read() as unit:
        if not wrong_pools(unit, Licences(unit, unit.directory.organisation(org_id), now)):
            return False
    with office.write(org_id) as unit:
        wrong = wrong_pools(unit, Licences(unit, unit.organisation, now))
        unit.money.write_pools(org_id, wrong)
        return bool(wrong)
