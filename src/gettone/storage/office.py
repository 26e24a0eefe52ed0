"""The back office's transactions on SQLite and PostgreSQL alike (`operations.office.Office`)."""

import contextlib
from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy import Connection

from gettone.domain.ledger import Entry
from gettone.errors import InvariantBroken
from gettone.operations.billing import AuditEntry
from gettone.operations.office import Office
from gettone.operations.ports import Account
from gettone.operations.views import OrganisationView
from gettone.storage.books_rows import SqlBooks
from gettone.storage.buying_rows import SqlBuying
from gettone.storage.call_rows import SqlCalls
from gettone.storage.directory_rows import SqlDirectory
from gettone.storage.engine import Database, open_database
from gettone.storage.invoice_rows import SqlInvoices
from gettone.storage.licence_rows import SqlLicences
from gettone.storage.money_rows import SqlMoney
from gettone.storage.policy_rows import SqlPolicies
from gettone.storage.shared_rows import SqlCatalogue, SqlDecks, SqlKeys
from gettone.storage.telling_rows import SqlAudit, SqlLeases, SqlTelling


class SqlUnit:
    """See `Unit`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self.directory = SqlDirectory(connection)
        self.money = SqlMoney(connection)
        self.calls = SqlCalls(connection)
        self.licences = SqlLicences(connection)
        self.policies = SqlPolicies(connection)
        self.catalogue = SqlCatalogue(connection)
        self.decks = SqlDecks(connection)
        self.keys = SqlKeys(connection)
        self.buying = SqlBuying(connection)
        self.invoices = SqlInvoices(connection)
        self.books = SqlBooks(connection)
        self.telling = SqlTelling(connection)
        self.audit = SqlAudit(connection)
        self.leases = SqlLeases(connection)


class SqlOrganisationUnit(SqlUnit):
    """See `OrganisationUnit`."""

    organisation: OrganisationView
    account: Account

    def __init__(self, connection: Connection, org_id: str) -> None:
        """Lock the organisation's wallet and read what belongs to it."""
        super().__init__(connection)
        self.account = self.money.account(org_id, lock=True)
        self.organisation = self.directory.organisation(org_id)
        self._notes = 0

    def book(self, entry: Entry, now: datetime) -> int:
        """See `OrganisationUnit`."""
        self.account.entry_number += 1
        self.money.add_entry(self.organisation.org_id, self.account.entry_number, entry, now)
        return self.account.entry_number

    def directory_changed(self) -> None:
        """See `OrganisationUnit`."""
        self.account.directory_version += 1

    def note(self, by: str, action: str, subject: str, changes: Mapping[str, tuple[str, str]], now: datetime) -> None:
        """See `OrganisationUnit`; the version is the one that this unit's commit makes."""
        self._notes += 1
        entry = AuditEntry(
            version=self.account.version + 1,
            line=self._notes,
            at=now,
            by=by,
            action=action,
            subject=subject,
            changes=dict(changes),
        )
        self.audit.add_audit(self.organisation.org_id, entry)


class SqlOffice:
    """See `Office`; safe to share between threads."""

    def __init__(self, database: Database) -> None:
        """Work on *database*, which is closed with this."""
        self._database = database

    @contextlib.contextmanager
    def read(self) -> Iterator[SqlUnit]:
        """See `Office`."""
        with self._database.reading() as connection:
            yield SqlUnit(connection)

    @contextlib.contextmanager
    def write(self, org_id: str) -> Iterator[SqlOrganisationUnit]:
        """See `Office`."""
        with self._database.writing() as connection:
            unit = SqlOrganisationUnit(connection, org_id)
            yield unit
            if not unit.money.save(unit.account):
                raise InvariantBroken(f"organisation {org_id!r}: its wallet changed under the lock that was held on it")

    @contextlib.contextmanager
    def write_shared(self) -> Iterator[SqlUnit]:
        """See `Office`."""
        with self._database.writing() as connection:
            yield SqlUnit(connection)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()


def open_office(url: str) -> SqlOffice:
    """Open the back office of the database at *url*, whose schema must be current."""
    return SqlOffice(open_database(url))


def _is_an_office(office: SqlOffice) -> Office:
    """Let the type checker compare the two."""
    return office
