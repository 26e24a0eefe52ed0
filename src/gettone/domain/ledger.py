"""The double-entry ledger: append-only entries whose postings sum to zero (D14).

Chart of accounts (an amount is what the posting adds to the account):

- ``wallet``: credit that customers have bought and not yet used; each posting names its lot.
- ``funding``: the world outside, from which purchases and grants come (negative by what came in).
- ``usage``: revenue earned by calls and messages.
- ``breakage``: revenue from credit that expired unused.
- ``overrun``: usage beyond what the wallet held; negative is what the organisation still owes, and the next funding
  covers it first (D12).
- ``receivable``: usage that is billed after the month, negative until it is invoiced (D20).
- ``adjustment``: corrections that an operator made by hand, with the reason in the entry.
- ``tax``: tax that was paid with purchases and is owed to the state; a refund takes its part back.
- ``invoiced``: what is invoiced and not yet paid, by agreement or after use; negative until the money comes in.
- ``refunding``: credit taken out of a wallet whose refund is on its way to the payer.
"""

import enum
from collections.abc import Sequence
from dataclasses import dataclass


class Account(enum.Enum):
    """An account of the chart above."""

    WALLET = "wallet"
    FUNDING = "funding"
    USAGE = "usage"
    BREAKAGE = "breakage"
    OVERRUN = "overrun"
    RECEIVABLE = "receivable"
    ADJUSTMENT = "adjustment"
    TAX = "tax"
    INVOICED = "invoiced"
    REFUNDING = "refunding"


class EntryKind(enum.Enum):
    """What happened."""

    FUNDS_ADDED = "funds_added"
    CALL_CHARGED = "call_charged"
    LATE_USAGE = "late_usage"
    CREDIT_EXPIRED = "credit_expired"
    ADJUSTED = "adjusted"
    CREDIT_BOUGHT = "credit_bought"
    REFUND_BEGUN = "refund_begun"
    REFUNDED = "refunded"
    REFUND_FAILED = "refund_failed"
    DISPUTED = "disputed"
    DISPUTE_WON = "dispute_won"
    USAGE_INVOICED = "usage_invoiced"
    INVOICE_PAID = "invoice_paid"


@dataclass(frozen=True, slots=True)
class Posting:
    """*micros* added to *account*; ``lot_id`` for wallet postings, else empty."""

    account: Account
    micros: int
    lot_id: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One indivisible movement of money: *reference* is the session id or the document that caused it."""

    kind: EntryKind
    reference: str
    postings: tuple[Posting, ...]
    reason: str = ""


def entry(kind: EntryKind, reference: str, postings: Sequence[Posting], reason: str = "") -> Entry:
    """Make an entry; its postings must sum to zero."""
    assert sum(posting.micros for posting in postings) == 0, "an entry's postings sum to zero"
    return Entry(kind, reference, tuple(posting for posting in postings if posting.micros), reason)
