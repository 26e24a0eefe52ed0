"""What the back office answers: plain values, the same for the API, the command line and the pages.

Amounts are micros of the organisation's currency, durations whole seconds, times aware UTC, countries ISO 3166-1
alpha-2, numbers E.164 with the plus. A view is what was true in one transaction; it is never written back.
"""

from datetime import datetime
from typing import Generic, TypeVar

import msgspec

from gettone.domain.catalogue import SEPARATOR

T = TypeVar("T")


class Page(msgspec.Struct, Generic[T], frozen=True):
    """A part of a list; *next_cursor* asks for the part that follows, empty when this was the last."""

    items: tuple[T, ...]
    next_cursor: str = ""


class OrganisationView(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation and its settings; *time_zone* is where its months and days begin.

    *policies* is the JSON object of its own rules, as `gettone.operations.policies` reads it.
    """

    org_id: str
    name: str
    country: str
    currency: str
    time_zone: str
    price_list: str
    closed: bool
    post_usage: bool
    created_at: datetime
    policies: str = ""


class UserView(msgspec.Struct, frozen=True, kw_only=True):
    """A user with licences and numbers; *usage_location* is empty until set.

    *licences* are part numbers of products, each followed by the service plans switched off in it, every one behind an
    exclamation mark. *resource* marks an account of a voice application. *version* counts the changes of this user.
    *limit_micros* is the user's own spending limit a month. Blocked while *blocked_reason* is not empty, until
    *blocked_until*, or until somebody unblocks when that is None.
    """

    user_id: str
    upn: str
    display_name: str
    usage_location: str
    licences: tuple[str, ...]
    numbers: tuple[str, ...]
    created_at: datetime
    resource: bool = False
    department: str = ""
    cost_centre: str = ""
    dial_out_policy: str = ""
    limit_micros: int | None = None
    blocked_reason: str = ""
    blocked_until: datetime | None = None
    version: int = 1

    @property
    def products(self) -> tuple[str, ...]:
        """Part numbers of the products held."""
        return tuple(licence.partition(SEPARATOR)[0] for licence in self.licences)


class NumberView(msgspec.Struct, frozen=True, kw_only=True):
    """A number of the organisation's; *use* is user, conference, auto_attendant, call_queue or unassigned.

    *user_id* is the user it rings, or the resource account of the voice application. *source* is plan, ported or
    direct.
    """

    number: str
    use: str
    user_id: str
    label: str
    source: str = "direct"


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """An order of licences of one product; *reference* names the order, *ended_at* is None while it counts."""

    subscription_id: str
    sku: str
    quantity: int
    reference: str
    created_at: datetime
    ended_at: datetime | None = None


class BarView(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers beginning with *prefix* (digits) that are not called, or not answered, by *direction*.

    *barred* False exempts them from a shorter prefix.
    """

    direction: str
    prefix: str
    barred: bool
    label: str
    created_at: datetime


class BlockView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the history of blocks; *action* is blocked or unblocked, *by* who did it."""

    user_id: str
    at: datetime
    action: str
    reason: str
    until: datetime | None
    by: str
    detail: str


class DestinationView(msgspec.Struct, frozen=True, kw_only=True):
    """A premium destination that was called, or was *allowed* by an administrator."""

    destination: str
    first_at: datetime
    allowed: bool


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """Something an administrator should know; *facts* say what, by name, as text."""

    notice_id: str
    kind: str
    subject: str
    written_at: datetime
    facts: dict[str, str]


class LotView(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase or grant of credit; *source* is how it came: manual or adjustment."""

    lot_id: str
    source: str
    reference: str
    purchased_at: datetime
    expires_at: datetime
    amount_micros: int
    remaining_micros: int
    held_micros: int


class ExpiringLot(msgspec.Struct, frozen=True, kw_only=True):
    """A lot with credit left whose end is near, and the billing time zone of its organisation."""

    org_id: str
    lot_id: str
    purchased_at: datetime
    expires_at: datetime
    time_zone: str


class WalletView(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet at an instant.

    ``posted`` is what the lots contain, ``held`` what running calls reserve of it, ``expired`` what can no longer be
    spent but is not yet written off, ``overrun`` what is owed; ``available`` is what new calls may spend, and negative
    while something is owed. *lots* are those with credit left, in burn order.
    """

    org_id: str
    currency: str
    posted_micros: int
    held_micros: int
    overrun_micros: int
    expired_micros: int
    available_micros: int
    next_expiry_at: datetime | None
    next_expiry_micros: int
    lots: tuple[LotView, ...]


class Booking(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was put into a wallet, or taken out, by hand.

    *covered_micros* of it paid what was owed for an earlier overrun. *repeated* says that this very reference had been
    booked before and nothing was done now. *lot_id* is empty for a debit.
    """

    org_id: str
    entry_number: int
    reference: str
    amount_micros: int
    currency: str
    lot_id: str
    expires_at: datetime | None
    covered_micros: int
    available_micros: int
    repeated: bool


class PostingView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an entry."""

    account: str
    amount_micros: int
    lot_id: str


class EntryView(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger; its postings sum to zero."""

    entry_number: int
    kind: str
    reference: str
    reason: str
    posted_at: datetime
    postings: tuple[PostingView, ...]


class CallView(msgspec.Struct, frozen=True, kw_only=True):
    """A call as recorded; *state* is open, ended or refused.

    For messages (*call_type* ``sms_out``) the seconds count messages.
    """

    session_id: str
    state: str
    call_type: str
    calling: str
    called: str
    user_id: str
    country: str
    kind: str
    destination: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str
    refusal: str
    used_seconds: int
    billed_seconds: int
    charged_micros: int
    held_micros: int
    granted_seconds: int
    deck_id: str


class UsageView(msgspec.Struct, frozen=True, kw_only=True):
    """One payer's part of a call; *payer* is free, pool, credits or post_usage."""

    line: int
    payer: str
    pool_key: str
    capability: str
    from_second: int
    seconds: int
    billed_seconds: int
    charged_micros: int
    connection_micros: int


class CallDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A call with who paid which seconds of it."""

    call: CallView
    usage: tuple[UsageView, ...]


class UsageTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over ended calls that have *key* in common: a day (ISO), a user id, a destination or a payer.

    Messages are counted apart from calls and add no seconds.
    """

    key: str
    calls: int = 0
    messages: int = 0
    seconds: int = 0
    billed_seconds: int = 0
    charged_micros: int = 0


class PoolView(msgspec.Struct, frozen=True, kw_only=True):
    """A minute pool in a month (*period* is yyyymm).

    *product* is the service plan that makes it, *counter* which of its two counters when it has two, *capability* the
    code under which reports show its calls.
    The month at hand shows the size and licences of now; any other the size when it was last drawn on, and no licences.
    """

    pool_key: str
    area: str
    product: str
    period: int
    licences: int | None
    size_seconds: int
    used_seconds: int
    held_seconds: int
    free_seconds: int
    counter: str = ""
    capability: str = ""


class DeckView(msgspec.Struct, frozen=True, kw_only=True):
    """A rate deck as stored; *rows* is how many lines it has."""

    deck_id: str
    name: str
    currency: str
    effective_from: datetime
    imported_at: datetime
    rows: int


class ImportedDeck(msgspec.Struct, frozen=True, kw_only=True):
    """The deck that was imported; *already* when the very same was there before and nothing was done."""

    deck: DeckView
    already: bool


class RateView(msgspec.Struct, frozen=True, kw_only=True):
    """What one number costs: where it is and the deck's rows that price it (columns of the deck by name)."""

    number: str
    country: str
    kind: str
    deck: DeckView
    rows: tuple[dict[str, str], ...]


class ImportedUsers(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of users or numbers did."""

    created: int
    changed: int
    unchanged: int


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An API key; *org_id* is ``*`` for all organisations. *scope*: operator, admin, billing, charging or read."""

    key_id: str
    org_id: str
    scope: str
    label: str
    created_at: datetime
    revoked_at: datetime | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key just made: the only time that its *token* is seen."""

    key: Key
    token: str


class Expired(msgspec.Struct, frozen=True, kw_only=True):
    """Credit of one organisation that was written off."""

    org_id: str
    entry_number: int
    amount_micros: int
    currency: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it must be. *kind* is stable; *what* names the row, and the amounts are as text."""

    kind: str
    org_id: str
    what: str
    expected: str
    found: str

    def __str__(self) -> str:
        where = f"{self.org_id}: " if self.org_id else ""
        return f"{self.kind}: {where}{self.what}: expected {self.expected}, found {self.found}"
