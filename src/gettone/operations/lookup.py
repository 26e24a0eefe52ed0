"""What a charging batch looks up besides money: organisations, users, numbers, the catalogue and rate decks.

Organisations, users and numbers go through a cache that is never stale: every change of them raises the
`directory_version` in the organisation's wallet row, in the same transaction; a batch reads that row anyway, under
lock, and a cached value of another version is read again. The lists of rate decks and of the operator's own rows of the
catalogue have a version for all organisations, which a batch reads too. Any number of processes may share one database.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Generic, TypeVar

from gettone.domain.catalogue import Catalogue, Terms
from gettone.domain.deck import parse_deck
from gettone.domain.parties import Organisation, ServedNumber, User
from gettone.domain.rates import CompiledDeck, compile_deck
from gettone.errors import InvalidFile
from gettone.operations.ports import Account, ChargingUnit, Deck

logger = logging.getLogger(__name__)

K = TypeVar("K")
V = TypeVar("V")

CACHE_ENTRIES_MAX = 500_000


class VersionedCache(Generic[K, V]):
    """Values by key, each with the version of its organisation's directory under which it was read."""

    def __init__(self) -> None:
        """Begin empty."""
        self._entries: dict[K, tuple[int, V | None]] = {}

    def refresh(self, wanted: Iterable[tuple[K, int]], read: Callable[[list[K]], dict[K, V]]) -> None:
        """Make sure every wanted (key, version) is here, reading all the missing ones at once."""
        entries = self._entries
        missing: dict[K, int] = {}
        for key, version in wanted:
            known = entries.get(key)
            if known is None or known[0] != version:
                missing[key] = version
        if not missing:
            return
        if len(entries) + len(missing) > CACHE_ENTRIES_MAX:
            entries.clear()
        found = read(list(missing))
        for key, version in missing.items():
            entries[key] = (version, found.get(key))

    def get(self, key: K) -> V | None:
        """The value, or None when there is none; `refresh` has asked for it in this batch."""
        known = self._entries.get(key)
        return known[1] if known else None


class Directory:
    """Organisations, users and numbers, as the batch at hand sees them."""

    def __init__(self) -> None:
        """Begin empty."""
        self._organisations: VersionedCache[str, Organisation] = VersionedCache()
        self._users: VersionedCache[tuple[str, str], User] = VersionedCache()
        self._numbers: VersionedCache[tuple[str, str], ServedNumber] = VersionedCache()

    def refresh(
        self,
        unit: ChargingUnit,
        accounts: dict[str, Account],
        users: Sequence[tuple[str, str]],
        numbers: Sequence[tuple[str, str]],
    ) -> None:
        """Read what the batch refers to and is not here in its newest version."""
        self._organisations.refresh(((o, a.directory_version) for o, a in accounts.items()), unit.organisations)
        if users:
            self._users.refresh(((r, accounts[r[0]].directory_version) for r in users if r[0] in accounts), unit.users)
        if numbers:
            self._numbers.refresh(
                ((r, accounts[r[0]].directory_version) for r in numbers if r[0] in accounts), unit.numbers
            )

    def organisation(self, org_id: str) -> Organisation:
        """The settings of an organisation whose account was loaded."""
        found = self._organisations.get(org_id)
        assert found is not None, "an organisation has its row before it has a wallet"
        return found

    def user(self, org_id: str, ref: str) -> User | None:
        """A user by id or user principal name."""
        return self._users.get((org_id, ref))

    def number(self, org_id: str, digits: str) -> ServedNumber | None:
        """One of the organisation's numbers."""
        return self._numbers.get((org_id, digits))


class CatalogueShelf:
    """The catalogue, shipped rows and the operator's; made again when any process has imported some.

    Operator's rows that no longer fit the shipped ones, as after an upgrade, must not stop calls: the last catalogue
    that could be made stays, or the shipped one alone, and an error is logged.
    """

    def __init__(self, make: Callable[[Mapping[str, str]], Catalogue]) -> None:
        """*make* a catalogue of the operator's rows by table name, and the shipped ones."""
        self._make = make
        self._version = -1
        self._catalogue: Catalogue | None = None

    def refresh(self, unit: ChargingUnit, version: int) -> None:
        """Read the operator's rows if *version* is not the one known here."""
        if version == self._version:
            return
        try:
            self._catalogue = self._make(unit.catalogue_tables())
        except InvalidFile as error:
            problems = "; ".join(map(str, error.problems[:3]))
            logger.exception("the operator's rows of the catalogue cannot be used, others count on: %s", problems)
            self._catalogue = self._catalogue or self._make({})
        self._version = version

    def terms(self, day: date) -> Terms:
        """What counts on *day*."""
        assert self._catalogue is not None, "a batch refreshes the shelf before it decides"
        return self._catalogue.terms(day)


class DeckShelf:
    """The rate decks, each compiled once; the list is read again when any process has imported one."""

    def __init__(self) -> None:
        """Begin empty."""
        self._version = -1
        self._decks: list[Deck] = []
        self._compiled: dict[str, CompiledDeck] = {}

    def refresh(self, unit: ChargingUnit, version: int) -> None:
        """Read the list of decks if *version* is not the one known here."""
        if version != self._version:
            self._decks = sorted(unit.decks(), key=lambda deck: deck.effective_from, reverse=True)
            self._version = version

    def in_force(self, name: str, currency: str, at: datetime) -> Deck | None:
        """The deck called *name* in *currency* that applies to calls starting at *at*: the latest that is effective."""
        for deck in self._decks:
            if deck.name == name and deck.currency == currency and deck.effective_from <= at:
                return deck
        return None

    def compiled(self, unit: ChargingUnit, deck_id: str) -> CompiledDeck:
        """The rows of a deck, ready to look numbers up."""
        found = self._compiled.get(deck_id)
        if found is None:
            deck = parse_deck(unit.deck_content(deck_id), name=deck_id)
            found = self._compiled[deck_id] = compile_deck(deck)
        return found
