"""What no single organisation owns, in SQL: rate decks, API keys, the operator's rows of the catalogue.

See `DeckRows`, `KeyRows` and `CatalogueRows` in `operations.office`. Whoever changes rates or catalogue raises the
version of it in ``generation``, which every process compares with its own before it decides.
"""

import zlib
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from gettone.operations.instants import instant, microseconds
from gettone.operations.office import StoredKey
from gettone.operations.views import DeckView, Key
from gettone.storage.schema import access_token, api_key, catalogue_table, generation, rate_deck

RATES = "rates"
CATALOGUE = "catalogue"

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
        _raise_version(self._connection, RATES)
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

    def add_token(self, token_hash: bytes, key_id: str, expires_at: datetime, now: datetime) -> None:
        """See `KeyRows`."""
        self._connection.execute(delete(access_token).where(access_token.c.expires_at <= microseconds(now)))
        self._connection.execute(
            insert(access_token),
            {"token_hash": token_hash, "key_id": key_id, "expires_at": microseconds(expires_at)},
        )

    def key_of_token(self, token_hash: bytes, now: datetime) -> Key | None:
        """See `KeyRows`; a token is good until the instant it expires at, and no longer than its key."""
        query = (
            select(api_key)
            .join(access_token, access_token.c.key_id == api_key.c.key_id)
            .where(access_token.c.token_hash == token_hash, access_token.c.expires_at > microseconds(now))
            .where(api_key.c.revoked_at.is_(None))
        )
        row = self._connection.execute(query).one_or_none()
        return _key(row) if row else None


class SqlCatalogue:
    """See `CatalogueRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def catalogue_tables(self) -> dict[str, str]:
        """See `CatalogueRows`."""
        query = select(catalogue_table.c.name, catalogue_table.c.content).order_by(catalogue_table.c.name)
        return {row.name: zlib.decompress(row.content).decode() for row in self._connection.execute(query)}

    def write_catalogue_table(self, name: str, content: str, now: datetime) -> None:
        """See `CatalogueRows`."""
        # First of all: the row of the version is locked until the end, so whoever else imports waits for this.
        _raise_version(self._connection, CATALOGUE)
        self._connection.execute(delete(catalogue_table).where(catalogue_table.c.name == name))
        if content:
            packed = zlib.compress(content.encode())
            self._connection.execute(
                insert(catalogue_table), {"name": name, "content": packed, "imported_at": microseconds(now)}
            )


def _raise_version(connection: Connection, name: str) -> None:
    raised = connection.execute(
        update(generation).where(generation.c.name == name).values(version=generation.c.version + 1)
    )
    if raised.rowcount == 0:
        connection.execute(insert(generation), {"name": name, "version": 1})


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
