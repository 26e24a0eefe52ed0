"""What the operations need of the outside: storage, as protocols; `storage/` implements them.

One transaction touches one partition (design, section 3): a unit is opened for organisations of the same partition,
locks their wallets in ``org_id`` order, and is committed or rolled back whole.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

from gettone.domain.ledger import Entry
from gettone.domain.parties import Organisation, ServedNumber, User
from gettone.domain.policies import Tally
from gettone.domain.pools import Pool
from gettone.domain.session import Call
from gettone.domain.usage import UsageRecord
from gettone.domain.wallet import Wallet

T = TypeVar("T")

CallKey = tuple[str, str]
"""(org_id, session_id)."""

RequestKey = tuple[str, str, int]
"""(org_id, session_id, request_number): the idempotency key of a charging request."""


NOTHING_LEFT = 1
LITTLE_LEFT = 2


@dataclass(slots=True)
class Marks:
    """What a wallet is watched for (`gettone.operations.alarms`), stored beside its money.

    *trigger_micros* and *recharge_at* are of the auto-recharge: it buys below the one, from the other on; None while it
    is off, suspended, or has a recharge open. *recharge_due_at* is since when it should. Below *low_micros* little is
    left. *told* are the bits of what has been told since the last top-up.
    """

    trigger_micros: int = 0
    recharge_at: datetime | None = None
    recharge_due_at: datetime | None = None
    low_micros: int = 0
    told: int = NOTHING_LEFT | LITTLE_LEFT


@dataclass(slots=True)
class Account:
    """An organisation's money and minutes, locked for the length of a unit.

    *entry_number* is the number of its last ledger entry; *directory_version* counts the changes of its users, numbers
    and settings, so that a cache of them knows when it is stale. *order_number* is that of its last credit order, as
    far as the back office reads it.
    """

    wallet: Wallet
    pool_sizes: dict[str, int]
    pools: dict[tuple[str, int], Pool]
    version: int
    entry_number: int
    directory_version: int
    marks: Marks = field(default_factory=Marks)
    order_number: int = 0

    def new_pool(self, pool_key: str, period: int, used_seconds: int = 0, held_seconds: int = 0) -> None:
        """Put in a month of a pool, at the size that the pool has now."""
        size = self.pool_sizes.get(pool_key, 0)
        self.pools[pool_key, period] = Pool(pool_key, period, size, used_seconds, held_seconds)

    def set_size(self, pool_key: str, seconds: int) -> None:
        """Let a pool have *seconds*: one that is a user's own has no size in storage."""
        self.pool_sizes[pool_key] = seconds
        for (key, _), pool in self.pools.items():
            if key == pool_key:
                pool.size_seconds = seconds


@dataclass(frozen=True, slots=True)
class StoredAnswer:
    """An answer as it was given, with the fingerprint of the request it was given to."""

    fingerprint: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Deck:
    """A rate deck as stored, without its rows."""

    deck_id: str
    name: str
    currency: str
    effective_from: datetime


@dataclass(slots=True)
class Loaded:
    """What a batch concerns, read and locked."""

    accounts: dict[str, Account]
    calls: dict[CallKey, Call]
    rates_version: int
    catalogue_version: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something an administrator should know; *notice_id* names the crossing, and is written once."""

    org_id: str
    notice_id: str
    kind: str
    subject: str
    facts: dict[str, str]


@dataclass(frozen=True, slots=True)
class UserBlocked:
    """The fraud guard blocks a user; *detail* is the number that was called."""

    org_id: str
    user_id: str
    reason: str
    until: datetime
    detail: str


@dataclass(slots=True)
class Changes:
    """What a batch has decided, to be written at once.

    Accounts and pools are those of `Loaded`, changed in place; entries are numbered by the account's entry number.
    A usage record stands with its call, its line, and the number of the entry that moved its money (0 when none did).
    *tallies* are by (org_id, subject, period), *destinations* premium ones with when they
    were first called, as far as is known here.
    """

    accounts: dict[str, Account] = field(default_factory=dict)
    new_calls: dict[CallKey, Call] = field(default_factory=dict)
    changed_calls: dict[CallKey, Call] = field(default_factory=dict)
    entries: list[tuple[str, int, Entry]] = field(default_factory=list)
    usage: list[tuple[str, str, int, UsageRecord, int]] = field(default_factory=list)
    answers: dict[RequestKey, StoredAnswer] = field(default_factory=dict)
    tallies: dict[tuple[str, str, int], Tally] = field(default_factory=dict)
    destinations: dict[tuple[str, str], datetime] = field(default_factory=dict)
    blocks: list[UserBlocked] = field(default_factory=list)
    notices: dict[tuple[str, str], Notice] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.accounts or self.answers or self.tallies or self.notices or self.blocks)


class ChargingUnit(Protocol):
    """One open transaction of the charging desk."""

    def number_owners(self, digits: Iterable[str]) -> dict[str, str]:
        """Which organisation each of these numbers belongs to."""

    def load(self, org_ids: Sequence[str], calls: Sequence[CallKey], first_period: int) -> Loaded:
        """Lock the organisations' wallets in order of id; read them, the calls, and pools from *first_period* on."""

    def older_pool(self, account: Account, pool_key: str, period: int) -> None:
        """Read a month of a pool that lies before the first period of `load` into *account*."""

    def own_pools(self, accounts: dict[str, Account], keys: Sequence[tuple[str, str]], first_period: int) -> None:
        """Read the months from *first_period* on of pools that are users' own, (org_id, pool_key), into *accounts*."""

    def tallies(self, keys: Sequence[tuple[str, str]], first_period: int) -> list[tuple[str, Tally]]:
        """The tallies of (org_id, subject) from *first_period* on, each with its org_id."""

    def destinations(self, org_id: str) -> dict[str, datetime | None]:
        """The premium destinations that are known, with when they were first called; None for one that was allowed."""

    def catalogue_tables(self) -> dict[str, str]:
        """The operator's own rows of the catalogue: CSV text by table."""

    def organisations(self, org_ids: Sequence[str]) -> dict[str, Organisation]:
        """The organisations' settings."""

    def users(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], User]:
        """Users by (org_id, user id or user principal name)."""

    def numbers(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], ServedNumber]:
        """Numbers by (org_id, digits), with their users."""

    def answers(self, keys: Sequence[RequestKey]) -> dict[RequestKey, StoredAnswer]:
        """Answers given earlier."""

    def decks(self) -> list[Deck]:
        """Every rate deck, without its rows."""

    def deck_content(self, deck_id: str) -> str:
        """The canonical CSV of a deck."""

    def save(self, changes: Changes, now: datetime) -> None:
        """Write everything that changed; visible and durable when the unit commits."""


class ChargingStore(Protocol):
    """Opens units for the charging desk. Not to be shared between threads."""

    def transaction(self, body: Callable[[ChargingUnit], T]) -> T:
        """Run *body* in one transaction and commit it durably; run it again whole when the database asks for that.

        Raises `StorageError` when nothing was committed.
        """

    def close(self) -> None:
        """Give the connection back."""
