"""What invoicing and finance read of the ledger, as the units of `gettone.operations.office` have it.

Usage that is billed after the month stands in the account ``receivable``; each posting belongs to one entry of a call,
and the usage records of that entry say what it was. Entries are numbered in the order of posting, so a range of numbers
is a span of time that never has a gap or an overlap.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

import msgspec

from gettone.operations.billing import Invoice


class Receivables(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation with usage billed after the month; *since* is the first that no invoice covers, None for none."""

    org_id: str
    time_zone: str
    since: datetime | None


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Usage billed after the month to one destination; messages are counted apart and add no seconds."""

    destination: str
    calls: int
    messages: int
    seconds: int
    billed_seconds: int
    charge_micros: int


class BilledCall(msgspec.Struct, frozen=True, kw_only=True):
    """What one call cost after the month: *seconds* are those that billing after use pays for.

    For messages the seconds count messages. *entry_number* and *line* name the usage record, and order the calls.
    """

    entry_number: int
    line: int
    session_id: str
    started_at: datetime
    call_type: str
    user_id: str
    called: str
    country: str
    destination: str
    seconds: int
    billed_seconds: int
    charge_micros: int


class PostingSum(msgspec.Struct, frozen=True, kw_only=True):
    """What entries of one kind have added to one account of an organisation: before a month, and within it."""

    org_id: str
    kind: str
    account: str
    before_micros: int
    within_micros: int


class LotLeft(msgspec.Struct, frozen=True, kw_only=True):
    """Credit left in a lot, whether calls hold it or not."""

    org_id: str
    expires_at: datetime
    remaining_micros: int


class BooksRows(Protocol):
    """Reads of the ledger for invoices and finance."""

    def receivables(self, after: str, limit: int) -> list[Receivables]:
        """Organisations, those after *after*, that have ever had usage billed after the month."""

    def first_receivable(self, org_id: str, after_entry: int) -> tuple[int, datetime] | None:
        """Number and time of the first entry after *after_entry* with usage to be billed."""

    def last_receivable(self, org_id: str, after_entry: int, before: datetime) -> int:
        """Number of the last entry after *after_entry* that was posted before then; *after_entry* if there is none."""

    def receivable_micros(self, org_id: str, after_entry: int, last_entry: int | None = None) -> int:
        """Usage to be billed of the entries after *after_entry*, up to *last_entry* if given."""

    def usage_billed(self, org_id: str, first_entry: int, last_entry: int) -> list[UsageSum]:
        """The usage to be billed of these entries by destination, both ends inclusive."""

    def billed_calls(
        self, org_id: str, first_entry: int, last_entry: int, after: tuple[int, int] | None, limit: int
    ) -> list[BilledCall]:
        """The calls of `usage_billed` one by one, in order of entry and line, those after (entry, line)."""

    def posting_sums(self, org_ids: Collection[str], since: datetime, until: datetime) -> list[PostingSum]:
        """What was posted to each account by each kind of entry before *since*, and from then on before *until*."""

    def lots_left(self, org_ids: Collection[str]) -> list[LotLeft]:
        """Every lot with credit left."""

    def unpaid_invoices(self, after: tuple[str, str], limit: int, *, org_id: str = "") -> list[tuple[str, Invoice]]:
        """(org_id, invoice) of invoices that are not paid, those after (org_id, invoice_id)."""
