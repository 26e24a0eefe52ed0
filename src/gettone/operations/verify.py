"""Rebuild what must be from what was written down, and name every difference (D14; style, habit 5).

The ledger and the usage records are the truth that cannot be changed; wallets, lots, pools and calls are checked
against them, and against each other. What one statement can compare, storage compares (`Audit.differences`); what must
be read out of calls and licences is added up here. Organisations are taken some hundred at a time, so memory does not
grow with the database. One verification is one consistent view, taken while calls go on.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

from gettone.catalogue.tables import catalogue
from gettone.domain.catalogue import Terms
from gettone.domain.licences import Holding, included_licences, pool_seconds, pools_of, purchased_pools
from gettone.operations.tallies import conference_subject, counted_subjects
from gettone.operations.views import Finding

KINDS = {
    "unbalanced_entry": "the postings of an entry do not sum to zero",
    "entry_without_postings": "an entry has no postings",
    "posting_without_entry": "a posting belongs to no entry",
    "posting_to_unknown_account": "a posting names an account that is not in the chart of accounts",
    "posting_to_unknown_lot": "a posting to the wallet names a lot that is not there",
    "entry_number_gap": "a number is missing in the ledger of an organisation",
    "entry_number_count": "the wallet counts other entries than the ledger has",
    "wallet_missing": "an organisation has no wallet",
    "wallet_currency": "wallet and organisation differ in currency",
    "wallet_posted": "the wallet's posted amount is not what its lots contain",
    "wallet_held": "the wallet's held amount is not what its lots hold",
    "wallet_overrun": "what the wallet owes is not what the ledger says",
    "lot_remaining": "what a lot contains is not what was posted to it",
    "lot_held": "what a lot holds is not what running calls hold of it",
    "call_held": "what a call holds is not what it holds of its lots",
    "call_held_after_end": "a call that is over holds something",
    "call_unsupervised": "a running call has no time by which it is settled",
    "call_charge": "a call's charge or billed time is not that of its usage records",
    "call_usage_lines": "usage records of a call are missing or too many",
    "usage_without_call": "a usage record belongs to no call",
    "charge_not_booked": "a charged call has no entry in the ledger",
    "charge_booked_twice": "a call is charged twice in the ledger",
    "charge_differs": "a call's charge is not what the ledger booked for it",
    "charge_without_call": "an entry charges a call that is not there",
    "usage_not_booked": "usage records and the entry that booked them differ",
    "pool_used": "what a pool has used is not what usage records drew on it",
    "pool_held": "what a pool holds is not what running calls hold of it",
    "pool_licences": "a pool counts other licences than are assigned",
    "pool_size": "a pool's size is not what its licences make",
    "licence_count": "the count of a product's assigned licences is not how many users hold it",
    "licence_not_owned": "users hold more licences of a product than the organisation owns",
    "tally_open_calls": "a tally counts other running calls than there are",
    "tally_held": "what a tally holds is not what running calls may cost",
    "tally_spent": "what a tally has spent is not what its calls cost",
    "answer_without_call": "an answer is kept for a call that is not there",
    "number_owned_twice": "a number of one organisation belongs to another",
    "number_without_owner": "a number is not in the list of owners",
    "owner_without_number": "the list of owners names a number that the organisation has not",
    "number_of_unknown_user": "a number rings a user who is not there",
    "payment_not_booked": "a payment that succeeded has no entry in the ledger",
    "payment_booked_twice": "a payment is booked twice in the ledger",
    "payment_differs": "a payment's amount or tax is not what the ledger booked for it",
    "booking_without_payment": "an entry books a payment that is not there or has not succeeded",
    "payment_refunded": "what was refunded of a payment is not what its refunds come to",
    "payment_disputed": "what a bank took back of a payment is not what the ledger says",
    "payment_history": "the last step of a payment's history is not how it stands",
    "payment_unasked": "nobody will ask about an open payment, or somebody will about one that is closed",
    "payment_without_order": "a payment belongs to no order",
    "payment_without_method": "a payment names a payment method that is not there",
    "refund_without_charge": "a refund names a payment that is not there",
    "payment_lot": "what a payment bought is not the lot that it names",
    "lot_without_payment": "a lot was bought by a payment that is not there or has not succeeded",
    "refunding_balance": "the account refunding is not what open refunds come to",
    "invoiced_balance": "the account invoiced is not what is invoiced and unpaid",
    "order_state": "an order's state is not what its payments make it",
    "order_charged_twice": "an order has more than one charge that succeeded or may",
    "order_amount": "a payment is of another amount than its order",
    "order_number_count": "the wallet counts other orders than there are",
    "two_open_recharges": "more than one recharge is open",
    "recharge_trigger": "the wallet watches for another trigger than the auto-recharge has",
    "recharge_mark": "the wallet's auto-recharge waits although it may buy, or is ready although it may not",
    "recharge_due_mark": "the wallet is marked as due for a recharge that may not be",
    "told_mark": "a wallet is empty and that has not been told",
    "invoice_missing": "a payment that succeeded has no invoice, or a refund no credit note",
    "invoice_differs": "an invoice is of another amount than its payment",
    "invoice_without_payment": "an invoice is for a payment that is not there or has not succeeded",
    "invoice_number_not_given": "an invoice has a number that was not given to it",
    "invoice_number_unused": "a number was given to an invoice that is not there",
    "invoice_number_gap": "a number is missing in a seller's invoices",
    "delivery_without_notice": "a delivery is of a notice that is not there",
    "unknown_organisation": "rows belong to an organisation that is not there",
}
"""Every kind of finding, and what it means."""


@dataclass(frozen=True, slots=True)
class OpenCall:
    """What a running call says that it holds."""

    org_id: str
    session_id: str
    period: int
    held_micros: int
    lot_holds: dict[str, int]
    pool_holds: list[tuple[str, int]]
    supervised: bool


@dataclass(frozen=True, slots=True)
class CountedCall:
    """A call of a user as limits count it: running with what it may cost, or over with what it has cost."""

    org_id: str
    user_id: str
    period: int
    groups: tuple[str, ...]
    international: bool
    conference: bool
    open: bool
    held_micros: int
    spent_micros: int


@dataclass(frozen=True, slots=True)
class Place:
    """Where an organisation is: its billing time zone and its country."""

    time_zone: str
    country: str


class Audit(Protocol):
    """Reads for verification, in one consistent view; *first* and *last* bound the organisations, both inclusive."""

    def organisations(self, org_id: str) -> Iterator[dict[str, Place]]:
        """Organisations in order of id, some hundred at a time; or the one that is named."""

    def catalogue_tables(self) -> dict[str, str]:
        """The operator's rows of the catalogue, as CSV by table."""

    def shared_differences(self) -> Iterator[Finding]:
        """What is wrong beyond any one organisation."""

    def differences(self, first: str, last: str) -> Iterator[Finding]:
        """What the database can compare by itself."""

    def open_calls(self, first: str, last: str) -> Iterator[OpenCall]:
        """Running calls."""

    def lot_holds(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """(org_id, lot_id, held) of lots that hold something."""

    def pool_holds(self, first: str, last: str) -> Iterator[tuple[str, str, int, int]]:
        """(org_id, pool_key, period, held) of pools that hold something."""

    def licences(self, first: str, last: str) -> Iterator[tuple[str, str, str, bool]]:
        """(org_id, usage location, licences, whether it is a resource account) of accounts with licences."""

    def subscriptions(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """(org_id, product, quantity) of subscriptions that count."""

    def licence_counts(self, first: str, last: str) -> Iterator[tuple[str, str, int]]:
        """(org_id, product, how many are assigned)."""

    def counted_calls(self, first: str, last: str) -> Iterator[CountedCall]:
        """Calls that count for spending limits, refused ones apart."""

    def tallies(self, first: str, last: str) -> Iterator[tuple[str, str, int, int, int, int]]:
        """(org_id, subject, period, open calls, held, spent) of every tally."""

    def pools(self, first: str, last: str) -> Iterator[tuple[str, str, int, int]]:
        """(org_id, pool_key, licences, size in seconds) of every pool."""


def verify(
    audit: Audit,
    now: datetime,
    *,
    org_id: str = "",
    on_organisations: Callable[[int], None] | None = None,
) -> Iterator[Finding]:
    """Yield everything that is not as it must be; of one organisation when it is named.

    *on_organisations* is told, as they are done, how many organisations more have been checked.
    """
    if not org_id:
        yield from audit.shared_differences()
    rows = catalogue(audit.catalogue_tables())
    for chunk in audit.organisations(org_id):
        first, last = min(chunk), max(chunk)
        terms = {one: rows.terms(now.astimezone(ZoneInfo(place.time_zone)).date()) for one, place in chunk.items()}
        yield from audit.differences(first, last)
        yield from _holds(audit, first, last)
        yield from _Licences(audit, chunk, terms).findings()
        yield from _tallies(audit, first, last)
        if on_organisations is not None:
            on_organisations(len(chunk))


def _holds(audit: Audit, first: str, last: str) -> Iterator[Finding]:
    """Compare what running calls hold with what lots and pools say is held."""
    lots: Counter[tuple[str, str]] = Counter()
    pools: Counter[tuple[str, str, int]] = Counter()
    for call in audit.open_calls(first, last):
        for lot_id, micros in call.lot_holds.items():
            lots[call.org_id, lot_id] += micros
        for key, seconds in call.pool_holds:
            pools[call.org_id, key, call.period] += seconds
        what = f"call {call.session_id!r}"
        if sum(call.lot_holds.values()) != call.held_micros:
            yield _finding("call_held", call.org_id, what, sum(call.lot_holds.values()), call.held_micros)
        if not call.supervised:
            yield _finding("call_unsupervised", call.org_id, what, "a time", "none")
    held_lots = {(org_id, lot_id): held for org_id, lot_id, held in audit.lot_holds(first, last)}
    for lot in sorted(lots.keys() | held_lots.keys()):
        if lots[lot] != held_lots.get(lot, 0):
            yield _finding("lot_held", lot[0], f"lot {lot[1]!r}", lots[lot], held_lots.get(lot, 0))
    held_pools = {(org_id, key, period): held for org_id, key, period, held in audit.pool_holds(first, last)}
    for pool in sorted(pools.keys() | held_pools.keys()):
        if pools[pool] != held_pools.get(pool, 0):
            what = f"pool {pool[1]!r} in {pool[2]}"
            yield _finding("pool_held", pool[0], what, pools[pool], held_pools.get(pool, 0))


class _Licences:
    """Licences of some organisations, and the pools that they make."""

    def __init__(self, audit: Audit, places: dict[str, Place], terms: dict[str, Terms]) -> None:
        """Read what is held and what is owned."""
        self._audit = audit
        self._places = places
        self._terms = terms
        self._range = (min(places), max(places))
        self._assigned: Counter[tuple[str, str]] = Counter()
        self._pooled: Counter[tuple[str, str]] = Counter()
        self._owned: dict[str, dict[str, int]] = {}
        for org_id, sku, quantity in audit.subscriptions(*self._range):
            of_org = self._owned.setdefault(org_id, {})
            of_org[sku] = of_org.get(sku, 0) + quantity
        for org_id, owned in self._owned.items():
            for key, count in purchased_pools(owned, places[org_id].country, terms[org_id]).items():
                self._pooled[org_id, key] += count
        for org_id, location, licences, resource in audit.licences(*self._range):
            holding = Holding(location, tuple(licences.split()), resource)
            self._assigned.update((org_id, sku) for sku in holding.products)
            self._pooled.update((org_id, key) for key in pools_of(holding, places[org_id].country, terms[org_id]))

    def findings(self) -> Iterator[Finding]:
        """Compare counts with users, holdings with orders, and pools with both."""
        yield from self._counts()
        there: set[tuple[str, str]] = set()
        for org_id, key, licences, size_seconds in self._audit.pools(*self._range):
            there.add((org_id, key))
            if licences != self._pooled[org_id, key]:
                yield _finding("pool_licences", org_id, f"pool {key!r}", self._pooled[org_id, key], licences)
            right = pool_seconds(key, licences, self._places[org_id].country, self._terms[org_id])
            if size_seconds != right:
                yield _finding("pool_size", org_id, f"pool {key!r}", right, size_seconds)
        for org_id, key in sorted(self._pooled.keys() - there):
            if self._pooled[org_id, key]:
                yield _finding("pool_licences", org_id, f"pool {key!r}", self._pooled[org_id, key], "no pool")

    def _counts(self) -> Iterator[Finding]:
        counted = {(org_id, sku): count for org_id, sku, count in self._audit.licence_counts(*self._range)}
        for org_id, sku in sorted(self._assigned.keys() | counted.keys()):
            held, count = self._assigned[org_id, sku], counted.get((org_id, sku), 0)
            if held != count:
                yield _finding("licence_count", org_id, f"product {sku!r}", held, count)
        for (org_id, sku), held in sorted(self._assigned.items()):
            owned = self._owned.get(org_id, {})
            right = owned.get(sku, 0) + included_licences(owned, self._terms[org_id]).get(sku, 0)
            if held > right:
                yield _finding("licence_not_owned", org_id, f"product {sku!r}", f"at most {right}", held)


def _tallies(audit: Audit, first: str, last: str) -> Iterator[Finding]:
    """Compare the tallies of limits with the calls that they count."""
    right: dict[tuple[str, str, int], list[int]] = {}
    for call in audit.counted_calls(first, last):
        for subject in counted_subjects(
            call.user_id, call.groups, conference=call.conference, abroad=call.international
        ):
            sums = right.setdefault((call.org_id, subject, call.period), [0, 0, 0])
            # A call that a conference dials runs in the conference, not beside the organiser's own.
            sums[0] += call.open and call.conference == (subject == conference_subject(call.user_id))
            sums[1] += call.held_micros
            sums[2] += call.spent_micros
    there = {(org_id, subject, period): sums for org_id, subject, period, *sums in audit.tallies(first, last)}
    kinds = ("tally_open_calls", "tally_held", "tally_spent")
    for key in sorted(right.keys() | there.keys()):
        org_id, subject, period = key
        what = f"tally of {subject or 'the organisation'!r} in {period}"
        for kind, expected, found in zip(kinds, right.get(key, _NONE), there.get(key, _NONE), strict=True):
            if expected != found:
                yield _finding(kind, org_id, what, expected, found)


_NONE = [0, 0, 0]


def _finding(kind: str, org_id: str, what: str, expected: object, found: object) -> Finding:
    return Finding(kind=kind, org_id=org_id, what=what, expected=str(expected), found=str(found))
