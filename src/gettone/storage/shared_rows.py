"""Rate decks and API keys in SQL (`operations.office.DeckRows` and `KeyRows`): what no single organisation owns."""

import zlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from gettone.operations.office import StoredKey
from gettone.operations.views import DeckView, Key
from gettone.storage.rows import instant, microseconds
from gettone.storage.schema import api_key, generation, rate_deck

RATES = "rates"

_DECK_COLUMNS = [column for column in rate_deck.c if column.name != "content"]


class SqlDecks:
    """See `DeckRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def decks(self, name: str = "") -> list[DeckView]:
        """See `DeckRows`."""
        query = select(*_DECK_COLUMNS).order_by(rate_deck.c.name, rate_deck.c.currency, rate_deck.c.effective_from)
        if name:
            query = query.where(rate_deck.c.name == name)
        return [_deck(row) for row in self._connection.execute(query)]

    def deck(self, deck_id: str) -> DeckView | None:
        """See `DeckRows`."""
        row = self._connection.execute(select(*_DECK_COLUMNS).where(rate_deck.c.deck_id == deck_id)).one_or_none()
        return _deck(row) if row else None

    def content(self, deck_id: str) -> str:
        """See `DeckRows`."""
        query = select(rate_deck.c.content).where(rate_deck.c.deck_id == deck_id)
        packed = self._connection.execute(query).scalar_one()
        return zlib.decompress(packed).decode()

    def add_deck(self, deck: DeckView, content: str) -> None:
        """See `DeckRows`."""
        raised = self._connection.execute(
            update(generation).where(generation.c.name == RATES).values(version=generation.c.version + 1)
        )
        if raised.rowcount == 0:
            self._connection.execute(insert(generation), {"name": RATES, "version": 1})
        self._connection.execute(
            insert(rate_deck),
            {
                "deck_id": deck.deck_id,
                "name": deck.name,
                "currency": deck.currency,
                "effective_from": microseconds(deck.effective_from),
                "imported_at": microseconds(deck.imported_at),
                "rows": deck.rows,
                "content": zlib.compress(content.encode()),
            },
        )


class SqlKeys:
    """See `KeyRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def keys(self, org_id: str = "") -> list[Key]:
        """See `KeyRows`."""
        query = select(api_key).order_by(api_key.c.created_at, api_key.c.key_id)
        if org_id:
            query = query.where(api_key.c.org_id == org_id)
        return [_key(row) for row in self._connection.execute(query)]

    def key(self, key_id: str) -> StoredKey | None:
        """See `KeyRows`."""
        row = self._connection.execute(select(api_key).where(api_key.c.key_id == key_id)).one_or_none()
        return StoredKey(_key(row), bytes(row.secret_hash)) if row else None

    def add_key(self, key: Key, secret_hash: bytes) -> None:
        """See `KeyRows`."""
        self._connection.execute(
            insert(api_key),
            {
                "key_id": key.key_id,
                "org_id": key.org_id,
                "scope": key.scope,
                "label": key.label,
                "secret_hash": secret_hash,
                "created_at": microseconds(key.created_at),
                "revoked_at": None,
            },
        )

    def revoke(self, key_id: str, now: datetime) -> None:
        """See `KeyRows`."""
        self._connection.execute(update(api_key).where(api_key.c.key_id == key_id).values(revoked_at=microseconds(now)))


def _deck(row: Row[Any]) -> DeckView:
    return DeckView(
        deck_id=row.deck_id,
        name=row.name,
        currency=row.currency,
        effective_from=instant(row.effective_from),
        imported_at=instant(row.imported_at),
        rows=row.rows,
    )


def _key(row: Row[Any]) -> Key:
    return Key(
        key_id=row.key_id,
        org_id=row.org_id,
        scope=row.scope,
        label=row.label,
        created_at=instant(row.created_at),
        revoked_at=None if row.revoked_at is None else instant(row.revoked_at),
    )
