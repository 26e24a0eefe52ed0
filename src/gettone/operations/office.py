"""What the back office needs of storage: units of one transaction, with the rows of each matter behind its own door.

    with office.read() as unit: ...                  one consistent view, nothing can be written
    with office.write("contoso") as unit: ...        the organisation's wallet row locked, its account loaded
    with office.write_shared() as unit: ...          what no single organisation owns: rates, keys, new organisations

A writing unit is committed durably when its block ends, and rolled back whole when the block raises. The wallet row of
the organisation is written back with its account, `version` raised, so that charging batches see every change.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from gettone.domain.ledger import Entry
from gettone.domain.lots import Lot
from gettone.domain.policies import Tally
from gettone.operations.billing_rows import AuditRows, BuyingRows, InvoiceRows, LeaseRows, TellingRows
from gettone.operations.books_rows import BooksRows
from gettone.operations.ports import Account
from gettone.operations.views import (
    BarView,
    BlockView,
    CallView,
    DeckView,
    DestinationView,
    EntryView,
    ExpiringLot,
    Key,
    LotView,
    NoticeView,
    NumberView,
    OrganisationView,
    PoolView,
    SubscriptionView,
    UsageTotal,
    UsageView,
    UserView,
)


class CallFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which calls are wanted; empty or None does not narrow. *since* is inclusive, *until* exclusive, of the start.

    *state* is open, ended or refused; *user* a user id, or name of one who is there; *called* E.164 with plus.
    """

    state: str = ""
    user: str = ""
    called: str = ""
    call_type: str = ""
    since: datetime | None = None
    until: datetime | None = None


class DirectoryRows(Protocol):
    """Organisations, users and numbers."""

    def organisation(self, org_id: str) -> OrganisationView:
        """One organisation; raises `NotFound`."""

    def organisations(self, after: str, limit: int) -> list[OrganisationView]:
        """Organisations in order of id, those after *after*."""

    def add_organisation(self, new: OrganisationView, low_micros: int = 0) -> None:
        """Write a new organisation with its empty wallet, of which less than *low_micros* is little.

        Raises `Conflict` when the id is taken.
        """

    def change_organisation(self, changed: OrganisationView) -> None:
        """Write the settings of an organisation."""

    def users_by_ref(self, org_id: str, refs: Collection[str]) -> dict[str, UserView]:
        """Users by what they were asked for: user id, or user principal name in lower case."""

    def users(self, org_id: str, search: str, after: str, limit: int) -> list[UserView]:
        """Users in order of user principal name, those after *after*."""

    def all_users(self, org_id: str) -> Iterator[UserView]:
        """Every user, in order of user id, without their numbers."""

    def add_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """Write new users, without their numbers."""

    def change_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """Write changed users, without their numbers."""

    def set_licences(
        self, org_id: str, user_ids: Collection[str], usage_location: str, licences: Sequence[str]
    ) -> None:
        """Let these users hold exactly these licences at this usage location; nothing else of them is written."""

    def remove_user(self, org_id: str, user_id: str) -> None:
        """Take a user out."""

    def numbers(self, org_id: str, user_id: str, search: str, after: str, limit: int) -> list[NumberView]:
        """Numbers in order of digits, those after *after*."""

    def numbers_by_digits(self, org_id: str, digits: Collection[str]) -> dict[str, NumberView]:
        """The organisation's numbers among *digits*."""

    def owned_elsewhere(self, org_id: str, digits: Collection[str]) -> set[str]:
        """Which of *digits* belong to another organisation."""

    def add_numbers(self, org_id: str, numbers: Sequence[NumberView]) -> None:
        """Write new numbers and who owns them; raises `Conflict` when another organisation was faster."""

    def change_numbers(self, org_id: str, numbers: Sequence[NumberView]) -> None:
        """Write changed numbers."""

    def remove_numbers(self, org_id: str, digits: Collection[str]) -> None:
        """Release numbers."""


class MoneyRows(Protocol):
    """Lots, the ledger and minute pools."""

    def account(self, org_id: str) -> Account:
        """Wallet with unspent lots, as of now and not locked; raises `NotFound`."""

    def add_lot(self, org_id: str, lot: Lot, source: str, reference: str) -> None:
        """Write a new lot as it is."""

    def lots(self, org_id: str, after: str, limit: int, *, unspent_only: bool) -> list[LotView]:
        """Lots in order of id, those after *after*."""

    def lots_by_id(self, org_id: str, lot_ids: Collection[str]) -> dict[str, LotView]:
        """Lots by id."""

    def add_entry(self, org_id: str, entry_number: int, entry: Entry, now: datetime) -> None:
        """Write a ledger entry."""

    def entries(self, org_id: str, kind: str, reference: str, before: int | None, limit: int) -> list[EntryView]:
        """Entries, newest first, those numbered below *before*.

        By *reference* the charges of a call are those with usage records; an entry of a call of no seconds, which only
        paid what was owed before, is found by its number.
        """

    def organisations_with_expired_lots(self, now: datetime, after: str, limit: int) -> list[str]:
        """Ids, after *after*, of organisations with a lot that has expired with credit that no call holds."""

    def lots_expiring(self, since: datetime, until: datetime, after: tuple[str, str], limit: int) -> list[ExpiringLot]:
        """Lots with credit left that expire after *since*, not after *until*; those behind *after* (org_id, lot_id)."""

    def pool_sizes(self, org_id: str) -> dict[str, tuple[int, int]]:
        """Licences and size in seconds of each pool."""

    def write_pools(self, org_id: str, pools: Mapping[str, tuple[int, int]]) -> None:
        """Write licences and size in seconds of these pools, new or not."""

    def pools(self, org_id: str, period: int, *, current: bool) -> list[PoolView]:
        """Pools in a month, area and product left empty.

        In the *current* month those that exist, with the size of today; in another those drawn on, with the size then.
        """


class CallRows(Protocol):
    """Calls and usage records."""

    def call(self, org_id: str, session_id: str) -> CallView | None:
        """One call."""

    def users_in_calls(self, org_id: str) -> set[str]:
        """Ids of the users whose calls are open now, also of those who are no more."""

    def usage_of(self, org_id: str, session_id: str) -> list[UsageView]:
        """The usage records of a call, in order."""

    def calls(self, org_id: str, wanted: CallFilter, before: tuple[int, str] | None, limit: int) -> list[CallView]:
        """Calls, newest first, those before (microseconds, session id)."""

    def usage_totals(self, org_id: str, by: str, since: datetime, until: datetime) -> list[UsageTotal]:
        """Sums over ended calls that started in the span, by user, destination, payer, or quarter of an hour.

        The key of a quarter of an hour is its number since 1970 as text; days in any time zone are made of them.
        """


class DeckRows(Protocol):
    """Rate decks."""

    def decks(self, name: str = "") -> list[DeckView]:
        """Decks by name, currency and date, without their rows."""

    def deck(self, deck_id: str) -> DeckView | None:
        """One deck."""

    def content(self, deck_id: str) -> str:
        """The canonical CSV of a deck that is there."""

    def add_deck(self, deck: DeckView, content: str) -> None:
        """Write a deck and raise the version of the rates."""


class CatalogueRows(Protocol):
    """The operator's own rows of the catalogue."""

    def catalogue_tables(self) -> dict[str, str]:
        """The operator's rows as CSV text, by table name."""

    def write_catalogue_table(self, name: str, content: str, now: datetime) -> None:
        """Put *content* in place of the operator's rows of a table (empty: take them away); raises the version."""


class LicenceRows(Protocol):
    """Subscriptions and how many users hold what."""

    def subscriptions(self, org_id: str, *, ended: bool = False) -> list[SubscriptionView]:
        """Subscriptions in order of creation; with *ended* also those that are over."""

    def subscription_by_reference(self, org_id: str, reference: str) -> SubscriptionView | None:
        """The subscription of one order."""

    def add_subscription(self, org_id: str, new: SubscriptionView) -> None:
        """Write a new subscription."""

    def change_subscription(self, org_id: str, changed: SubscriptionView) -> None:
        """Write quantity and end of a subscription."""

    def assigned(self, org_id: str) -> dict[str, int]:
        """How many users hold each product; products that nobody holds may be missing."""

    def write_assigned(self, org_id: str, counts: Mapping[str, int]) -> None:
        """Write how many users hold these products."""

    def holders(self, org_id: str, sku: str, after: str, limit: int) -> list[UserView]:
        """Users who hold a product, in order of user principal name, those after *after*."""

    def number_counts(self, org_id: str) -> list[tuple[str, str, str, int]]:
        """How many numbers the organisation has by (use, source, leading digits of at most seven)."""


class PolicyRows(Protocol):
    """Barred numbers, blocks, limits and notices."""

    def bars(self, org_id: str) -> list[BarView]:
        """Barred and exempted prefixes, in order of direction and prefix."""

    def write_bars(self, org_id: str, bars: Sequence[BarView]) -> None:
        """Write bars, new or not."""

    def remove_bars(self, org_id: str, keys: Collection[tuple[str, str]]) -> None:
        """Take out bars by (direction, prefix)."""

    def blocked_users(self, org_id: str, after: str, limit: int) -> list[UserView]:
        """Users with a block, also one that is over but not cleared, in order of name."""

    def add_block(self, org_id: str, block: BlockView) -> None:
        """Write one line of the history of blocks."""

    def block_history(self, org_id: str, user_id: str, before: int | None, limit: int) -> list[BlockView]:
        """The history of blocks, newest first, those before an instant in microseconds; of one user if named."""

    def blocks_ended(self, now: datetime, after: str, limit: int) -> list[tuple[str, str]]:
        """(org_id, user_id) of users whose block ended by itself, those after ``org_id/user_id``."""

    def tallies(self, org_id: str, period: int, after: str, limit: int) -> list[Tally]:
        """Tallies of a month in order of subject, those after *after*."""

    def destinations(self, org_id: str, after: str, limit: int) -> list[DestinationView]:
        """Premium destinations that are known, in order."""

    def allow_destination(self, org_id: str, destination: str, now: datetime) -> None:
        """Let a premium destination count as known."""

    def add_notice(self, org_id: str, notice: NoticeView) -> None:
        """Write a notice unless one with its id is there."""

    def notices(self, org_id: str, kind: str, before: tuple[int, str] | None, limit: int) -> list[NoticeView]:
        """Notices, newest first, those before (microseconds, notice id); of one kind if named."""


class KeyRows(Protocol):
    """API keys."""

    def keys(self, org_id: str = "") -> list[Key]:
        """Keys, of one organisation when it is named, oldest first."""

    def key(self, key_id: str) -> "StoredKey | None":
        """One key with the hash of its secret."""

    def add_key(self, key: Key, secret_hash: bytes) -> None:
        """Write a new key."""

    def revoke(self, key_id: str, now: datetime) -> None:
        """Mark a key as revoked."""

    def add_token(self, token_hash: bytes, key_id: str, expires_at: datetime, now: datetime) -> None:
        """Write an access token of a key, and forget those that expired before *now*."""

    def key_of_token(self, token_hash: bytes, now: datetime) -> Key | None:
        """The key that a token stands for, while the token is good."""


@dataclass(frozen=True, slots=True)
class StoredKey:
    """A key as stored."""

    key: Key
    secret_hash: bytes


class Unit(Protocol):
    """One open transaction."""

    @property
    def directory(self) -> DirectoryRows:
        """Organisations, users and numbers."""

    @property
    def money(self) -> MoneyRows:
        """Lots, the ledger and minute pools."""

    @property
    def calls(self) -> CallRows:
        """Calls and usage records."""

    @property
    def licences(self) -> LicenceRows:
        """Subscriptions and how many users hold what."""

    @property
    def policies(self) -> PolicyRows:
        """Barred numbers, blocks, limits and notices."""

    @property
    def catalogue(self) -> CatalogueRows:
        """The operator's own rows of the catalogue."""

    @property
    def decks(self) -> DeckRows:
        """Rate decks."""

    @property
    def keys(self) -> KeyRows:
        """API keys."""

    @property
    def buying(self) -> BuyingRows:
        """Profiles, payment methods, the auto-recharge, orders and payments."""

    @property
    def invoices(self) -> InvoiceRows:
        """Invoices, their numbers, and sellers."""

    @property
    def books(self) -> BooksRows:
        """What invoicing and finance read of the ledger."""

    @property
    def telling(self) -> TellingRows:
        """Who is told, and deliveries of notices on their way."""

    @property
    def audit(self) -> AuditRows:
        """Who changed what."""

    @property
    def leases(self) -> LeaseRows:
        """Which process does what at the moment."""


class OrganisationUnit(Unit, Protocol):
    """One open transaction with one organisation's wallet row locked."""

    @property
    def organisation(self) -> OrganisationView:
        """The organisation, as read under the lock."""

    @property
    def account(self) -> Account:
        """Its account; changed in place, written back at the end."""

    def book(self, entry: Entry, now: datetime) -> int:
        """Write *entry* under the next number, which is returned."""

    def directory_changed(self) -> None:
        """Say that users, numbers or settings changed, so that every cache of them is read again."""

    def note(self, by: str, action: str, subject: str, changes: Mapping[str, tuple[str, str]], now: datetime) -> None:
        """Write into the audit log who did what: *changes* are (before, after) by field."""


class Office(Protocol):
    """Opens units. May be shared between threads."""

    def read(self) -> AbstractContextManager[Unit]:
        """One consistent view of everything."""

    def write(self, org_id: str) -> AbstractContextManager[OrganisationUnit]:
        """A writing unit with the organisation's wallet locked; raises `NotFound`."""

    def write_shared(self) -> AbstractContextManager[Unit]:
        """A writing unit for what belongs to no single organisation."""


def chunks(values: Iterable[str], size: int = 500) -> Iterable[list[str]]:
    """Cut *values* into lists that fit into one statement."""
    whole = list(values)
    return (whole[start : start + size] for start in range(0, len(whole), size))


def add_totals(one: UsageTotal, other: UsageTotal) -> UsageTotal:
    """The sums of both under the key of *one*."""
    return UsageTotal(
        key=one.key,
        calls=one.calls + other.calls,
        messages=one.messages + other.messages,
        seconds=one.seconds + other.seconds,
        billed_seconds=one.billed_seconds + other.billed_seconds,
        charged_micros=one.charged_micros + other.charged_micros,
    )
