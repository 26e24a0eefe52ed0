"""What the books say, month by month: deferred revenue and breakage, what is owed, and when credit expires.

Credit that is bought is a debt to the customer (deferred revenue) until calls use it or it expires. The report is made
of nothing but ledger postings. What counts is the credit in the wallet less the overrun, for an overrun is usage that
the next credit pays:

    opening + bought + added - used - expired - refunded - disputed + adjusted = closing
    closing + overrun = what the wallet holds, to the micro

Each column is the sum of the postings to ``wallet`` and ``overrun`` by the kinds of entry in `COLUMNS`. Months are
those of each organisation's time zone, entries count when they were posted. The whole ledger of an organisation is read
for it: this is a report, not a page.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from types import MappingProxyType
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.ledger import Account, EntryKind
from gettone.domain.pools import period_of
from gettone.operations import months
from gettone.operations.books_rows import PostingSum
from gettone.operations.invoice_documents import document_of
from gettone.operations.invoicing import credited_micros
from gettone.operations.office import Office, Unit
from gettone.operations.views import OrganisationView

BATCH = 200

COLUMNS: Mapping[EntryKind, str] = MappingProxyType(
    {
        EntryKind.CREDIT_BOUGHT: "bought",
        EntryKind.FUNDS_ADDED: "added",
        EntryKind.CALL_CHARGED: "used",
        EntryKind.LATE_USAGE: "used",
        EntryKind.CREDIT_EXPIRED: "expired",
        EntryKind.REFUND_BEGUN: "refunded",
        EntryKind.REFUND_FAILED: "refunded",
        EntryKind.REFUNDED: "refunded",
        EntryKind.DISPUTED: "disputed",
        EntryKind.DISPUTE_WON: "disputed",
        EntryKind.ADJUSTED: "adjusted",
        EntryKind.USAGE_INVOICED: "",
        EntryKind.INVOICE_PAID: "",
    }
)
"""In which column what an entry does to credit stands; empty where it does nothing to it."""

_OUT = frozenset({"used", "expired", "refunded", "disputed"})
"""Columns of what leaves; they are shown without a sign."""

_CREDIT = (Account.WALLET.value, Account.OVERRUN.value)


class Revenue(msgspec.Struct, frozen=True, kw_only=True):
    """Deferred revenue of a month, in micros of *currency*; where *org_id* is empty, of all organisations together.

    *opening*, *closing* and the columns between are credit less overrun. At the end of the month: *overrun* is owed by
    customers, *wallet* is what wallets hold, *receivable* usage not yet invoiced, *invoiced* invoices not yet paid,
    *tax* owed to the state, *refunding* refunds on their way. Earned in the month: *used*, *expired* (breakage), and
    *after_use*, which is usage that is billed after the month.
    """

    org_id: str
    period: int
    currency: str
    opening_micros: int = 0
    bought_micros: int = 0
    added_micros: int = 0
    used_micros: int = 0
    expired_micros: int = 0
    refunded_micros: int = 0
    disputed_micros: int = 0
    adjusted_micros: int = 0
    closing_micros: int = 0
    overrun_micros: int = 0
    wallet_micros: int = 0
    after_use_micros: int = 0
    receivable_micros: int = 0
    invoiced_micros: int = 0
    tax_micros: int = 0
    refunding_micros: int = 0


class Expiry(msgspec.Struct, frozen=True, kw_only=True):
    """Credit that expires in a month unless it is used before; of all organisations where *org_id* is empty."""

    org_id: str
    period: int
    currency: str
    lots: int
    remaining_micros: int


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice that is not paid, *days* after it was issued; *outstanding_micros* is its total less credit notes."""

    org_id: str
    invoice_id: str
    number: str
    kind: str
    buyer: str
    issued_at: datetime
    days: int
    currency: str
    purchase_order: str
    agreement_number: str
    outstanding_micros: int


# -- deferred revenue --------------------------------------------------------------------------------------------------


def revenue(office: Office, org_id: str, period: int) -> Revenue:
    """Deferred revenue of one organisation in a month. Raises `NotFound` or `InvalidInput`."""
    months.check(period)
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        since, until = months.bounds(period, ZoneInfo(organisation.time_zone))
        return _revenue(organisation, period, unit.books.posting_sums([org_id], since, until))


def revenue_by_organisation(
    office: Office, period: int, done: Callable[[int], None] | None = None
) -> Iterator[Revenue]:
    """Deferred revenue of every organisation, in order of id; *done* is told how many have been read."""
    months.check(period)
    count = 0
    for part in _organisations(office):
        by_org: dict[str, list[PostingSum]] = {}
        with office.read() as unit:
            for zone, org_ids in _by_zone(part).items():
                for found in unit.books.posting_sums(org_ids, *months.bounds(period, ZoneInfo(zone))):
                    by_org.setdefault(found.org_id, []).append(found)
        for organisation in part:
            yield _revenue(organisation, period, by_org.get(organisation.org_id, ()))
        count += len(part)
        if done is not None:
            done(count)


def revenue_by_currency(office: Office, period: int, done: Callable[[int], None] | None = None) -> list[Revenue]:
    """Deferred revenue of all organisations together, by currency."""
    sums: dict[str, Revenue] = {}
    for one in revenue_by_organisation(office, period, done):
        before = sums.get(one.currency)
        sums[one.currency] = _added(before, one) if before else msgspec.structs.replace(one, org_id="")
    return [sums[currency] for currency in sorted(sums)]


def _revenue(organisation: OrganisationView, period: int, sums: Iterable[PostingSum]) -> Revenue:
    columns = dict.fromkeys({column for column in COLUMNS.values() if column}, 0)
    balance = dict.fromkeys((account.value for account in Account), 0)
    opening = after_use = 0
    for one in sums:
        balance[one.account] += one.before_micros + one.within_micros
        column = COLUMNS[EntryKind(one.kind)]
        if one.account in _CREDIT:
            opening += one.before_micros
            assert column or not one.within_micros, f"entries of kind {one.kind} do not touch credit"
            if column:
                columns[column] += -one.within_micros if column in _OUT else one.within_micros
        elif one.account == Account.RECEIVABLE.value and column == "used":
            after_use -= one.within_micros
    return Revenue(
        org_id=organisation.org_id,
        period=period,
        currency=organisation.currency,
        opening_micros=opening,
        closing_micros=sum(balance[account] for account in _CREDIT),
        overrun_micros=-balance[Account.OVERRUN.value],
        wallet_micros=balance[Account.WALLET.value],
        after_use_micros=after_use,
        receivable_micros=-balance[Account.RECEIVABLE.value],
        invoiced_micros=-balance[Account.INVOICED.value],
        tax_micros=balance[Account.TAX.value],
        refunding_micros=balance[Account.REFUNDING.value],
        **{f"{column}_micros": micros for column, micros in columns.items()},
    )


def _added(one: Revenue, other: Revenue) -> Revenue:
    amounts = {
        name: getattr(one, name) + getattr(other, name)
        for name in Revenue.__struct_fields__
        if name.endswith("_micros")
    }
    return msgspec.structs.replace(one, **amounts)


# -- expiry ------------------------------------------------------------------------------------------------------------


def expiry(office: Office, org_id: str) -> list[Expiry]:
    """When the credit of one organisation expires, month by month. Raises `NotFound`."""
    with office.read() as unit:
        return _expiries(unit, [unit.directory.organisation(org_id)], {})


def expiry_by_currency(office: Office) -> list[Expiry]:
    """When the credit of all organisations expires, by currency and month."""
    sums: dict[tuple[str, str, int], Expiry] = {}
    found: list[Expiry] = []
    for part in _organisations(office):
        with office.read() as unit:
            found = _expiries(unit, part, sums, together=True)
    return found


def _expiries(
    unit: Unit,
    organisations: list[OrganisationView],
    sums: dict[tuple[str, str, int], Expiry],
    *,
    together: bool = False,
) -> list[Expiry]:
    """Add the lots of *organisations* to *sums*, and return these in order."""
    by_id = {one.org_id: one for one in organisations}
    for lot in unit.books.lots_left(list(by_id)):
        of = by_id[lot.org_id]
        # At the first instant of a month the credit is lost in that month, and so is its breakage booked.
        period = period_of(lot.expires_at, ZoneInfo(of.time_zone))
        org_id = "" if together else of.org_id
        before = sums.get((of.currency, org_id, period)) or Expiry(
            org_id=org_id, period=period, currency=of.currency, lots=0, remaining_micros=0
        )
        sums[of.currency, org_id, period] = msgspec.structs.replace(
            before, lots=before.lots + 1, remaining_micros=before.remaining_micros + lot.remaining_micros
        )
    return [sums[key] for key in sorted(sums)]


# -- what is owed ------------------------------------------------------------------------------------------------------


def receivables(office: Office, now: datetime, *, org_id: str = "") -> list[Owed]:
    """Invoices that are not paid, of one organisation if named, in order of organisation and invoice."""
    found: list[Owed] = []
    after = ("", "")
    while True:
        with office.read() as unit:
            if org_id:
                unit.directory.organisation(org_id)
            part = unit.books.unpaid_invoices(after, BATCH, org_id=org_id)
            for owner, invoice in part:
                document = document_of(invoice)
                total = document.gross_micros - credited_micros(unit, owner, invoice)
                found.append(
                    Owed(
                        org_id=owner,
                        invoice_id=invoice.invoice_id,
                        number=invoice.number,
                        kind=invoice.kind,
                        buyer=document.buyer.name,
                        issued_at=invoice.issued_at,
                        days=(now - invoice.issued_at).days,
                        currency=invoice.currency,
                        purchase_order=invoice.purchase_order,
                        agreement_number=document.agreement_number,
                        outstanding_micros=total,
                    )
                )
        if len(part) < BATCH:
            return found
        after = (part[-1][0], part[-1][1].invoice_id)


# -- organisations -----------------------------------------------------------------------------------------------------


def _organisations(office: Office) -> Iterator[list[OrganisationView]]:
    after = ""
    while True:
        with office.read() as unit:
            part = unit.directory.organisations(after, BATCH)
        if part:
            yield part
        if len(part) < BATCH:
            return
        after = part[-1].org_id


def _by_zone(organisations: Iterable[OrganisationView]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in organisations:
        found.setdefault(one.time_zone, []).append(one.org_id)
    return found
