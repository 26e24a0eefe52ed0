"""One PostgreSQL database for many tests, emptied before each: much quicker than making one for each."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine, text

from gettone.storage.private_postgres import PrivatePostgres
from gettone.storage.schema import metadata
from gettone.storage.upgrade import upgrade
from tests.support import postgres

APPEND_ONLY = "ledger_entry, ledger_posting, usage_record, call_request"


class Emptied:
    """A database with the present schema, made when first asked for."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._engine: Engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))

    def empty(self) -> str:
        """Take every row out, as the owner, who alone can allow himself to, and return the URL."""
        with self._engine.begin() as connection:
            connection.execute(text(f"GRANT DELETE ON {APPEND_ONLY} TO CURRENT_USER"))
            for table in reversed(metadata.sorted_tables):
                connection.execute(table.delete())
            connection.execute(text(f"REVOKE DELETE ON {APPEND_ONLY} FROM CURRENT_USER"))
        return self.url

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def emptied_database(server: PrivatePostgres) -> Iterator[Emptied]:
    """Yield such a database, and drop it afterwards."""
    with postgres.database(server) as url:
        upgrade(url)
        made = Emptied(url)
        try:
            yield made
        finally:
            made.close()
