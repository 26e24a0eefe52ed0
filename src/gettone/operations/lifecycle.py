"""What time does to an organisation: credit expires, and dated allotments change the size of pools (D9, D10).

Nothing here decides whether a call may go on: an expired lot cannot be spent from its instant on, whatever runs when.
Each organisation is one transaction, so a job may stop anywhere and go on later.
"""

from collections.abc import Iterator
from datetime import datetime

from gettone.domain.entitlement import Catalogue
from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.operations.directory import billing_day, pool_seconds
from gettone.operations.office import Office
from gettone.operations.views import Expired

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
        number = unit.book(entry(EntryKind.CREDIT_EXPIRED, billing_day(unit, now).isoformat(), postings), now)
    return Expired(org_id=org_id, entry_number=number, amount_micros=amount_micros, currency=wallet.currency)


def resize_pools(office: Office, catalogue: Catalogue, now: datetime) -> int:
    """Give every pool the size that today's allotments make; returns how many organisations had one to change."""
    after, changed = "", 0
    while True:
        with office.read() as unit:
            org_ids = [one.org_id for one in unit.directory.organisations(after, BATCH)]
        changed += sum(_resize(office, org_id, catalogue, now) for org_id in org_ids)
        if len(org_ids) < BATCH:
            return changed
        after = org_ids[-1]


def _resize(office: Office, org_id: str, catalogue: Catalogue, now: datetime) -> bool:
    with office.read() as unit:
        if not unit.money.pool_sizes(org_id):
            return False
    with office.write(org_id) as unit:
        today = billing_day(unit, now)
        sizes = unit.money.pool_sizes(org_id)
        right = {key: (count, pool_seconds(key, count, catalogue, today)) for key, (count, _) in sizes.items()}
        wrong = {key: size for key, size in right.items() if sizes[key] != size}
        unit.money.write_pools(org_id, wrong)
        return bool(wrong)
