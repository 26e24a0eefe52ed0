"""A whole Gettone in a test: a migrated database, the back office, the charging decisions, and a clock to turn."""

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from sqlalchemy import MetaData, create_engine, select, update

from gettone.catalogue.numbering import emergency_numbers, number_plan
from gettone.catalogue.tables import catalogue
from gettone.domain.catalogue import Role
from gettone.domain.licences import ONE_AT_A_TIME, roles_of
from gettone.operations import directory, licensing, lifecycle, numbers, rates, reports, topups
from gettone.operations.charging import Charging
from gettone.operations.licence_moves import Licences
from gettone.operations.messages import Answer, Request, StartCall
from gettone.operations.opening import Tables
from gettone.operations.pool_sizes import wrong_pools
from gettone.operations.ports import ChargingStore
from gettone.operations.quoting import Quote, Quoting
from gettone.operations.verify import verify
from gettone.operations.views import SubscriptionView
from gettone.storage.office import open_office
from gettone.storage.postgres_charging import PostgresCharging
from gettone.storage.schema import call, metadata, rate_deck
from gettone.storage.sqlite_charging import SqliteCharging
from gettone.storage.upgrade import upgrade
from gettone.storage.verify import open_audit
from gettone.storage.write_turn import write_turn

MIDDAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
"""A Monday, when nothing is special."""

OWNED = (
    *("MCOEV", "MCOPSTN1", "MCOPSTN2", "MCOPSTN5", "MCOPSTN_6", "MCOPSTN_PAYG_1", "MCOPSTN_PAYG_2", "MCOPSTNC"),
    *("MCOMEETADV", "MCOMEETBASIC", "MCOMEETACPEA", "MCOMEETADD_DIALOUT_US"),
    *("PHONESYSTEM_VIRTUALUSER", "SPE_E5", "SPE_E5_CALLINGMINUTES", "BUSINESS_VOICE"),
)
"""What an organisation owns that says nothing else: more than any test assigns."""

PLENTY = 1_000_000


@cache
def tables() -> Tables:
    """Return the shipped tables, read once."""
    return Tables(number_plan(), emergency_numbers())


def charging_store(url: str) -> ChargingStore:
    """Open the desk's own connection to the database at *url*."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        return SqliteCharging(path, turn=write_turn(os.path.realpath(path)))
    return PostgresCharging(url)


@cache
def _empty_file() -> bytes:
    """Return the bytes of a SQLite database with the present schema."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "empty.db"
        upgrade(f"sqlite:///{path}")
        return _whole_file(path)


def _whole_file(path: Path) -> bytes:
    """Return the bytes of a SQLite database, with what its write-ahead log holds."""
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path.read_bytes()


def sqlite_url(folder: Path, name: str = "world.db") -> str:
    """Make an empty, migrated database in *folder*; much faster than migrating it."""
    path = Path(folder) / name
    path.write_bytes(_empty_file())
    return f"sqlite:///{path}"


def copy_of(url: str, folder: Path) -> str:
    """Copy the SQLite database at *url*, which nobody is writing to, into *folder*."""
    path = Path(folder) / "copy.db"
    path.write_bytes(_whole_file(Path(url.removeprefix("sqlite:///"))))
    return f"sqlite:///{path}"


class World:
    """One database and everything that works on it, at an instant that the test sets."""

    def __init__(self, url: str, now: datetime = MIDDAY, *, store: ChargingStore | None = None) -> None:
        self.url = url
        self.now = now
        self.office = open_office(url)
        self.charging = Charging(store or charging_store(url), tables(), clock=lambda: self.now)
        self._engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))

    def close(self) -> None:
        self.charging.close()
        self.office.close()
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- the charging desk ---------------------------------------------------------------------------------------

    def charge(self, *requests: Request) -> list[Answer]:
        """Answer *requests* in one batch."""
        return self.charging.charge(requests)

    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    def restart(self) -> None:
        """Begin charging anew, with nothing known but what is stored."""
        self.charging.close()
        self.charging = Charging(charging_store(self.url), tables(), clock=lambda: self.now)

    def quote(self, request: StartCall) -> Quote:
        """Quote *request* as another process does."""
        quoting = Quoting(charging_store(self.url), tables(), clock=lambda: self.now)
        try:
            return quoting.quote(request)
        finally:
            quoting.close()

    # -- the back office -----------------------------------------------------------------------------------------

    def organisation(
        self,
        org_id: str,
        *,
        country: str = "US",
        currency: str = "USD",
        owns: Mapping[str, int] | None = None,
        **settings,
    ) -> None:
        """Make an organisation that *owns* so many licences by product, or plenty of everything."""
        directory.create_organisation(
            self.office, org_id=org_id, name=org_id, country=country, currency=currency, now=self.now, **settings
        )
        self.own(org_id, dict.fromkeys(OWNED, PLENTY) if owns is None else owns)

    def own(self, org_id: str, owns: Mapping[str, int]) -> None:
        """Let an organisation have bought so many licences more; only what is sold then and there."""
        with self.office.write(org_id) as unit:
            terms = Licences(unit, unit.organisation, self.now).terms
            there = len(unit.licences.subscriptions(org_id, ended=True))
            for number, (product, quantity) in enumerate(owns.items(), there + 1):
                found = terms.product(product)
                if found is None or (found.sku == "MCOPSTNC" and not terms.sells_credits(unit.organisation.country)):
                    continue
                order = SubscriptionView(
                    subscription_id=f"{org_id}-{number}",
                    sku=found.sku,
                    quantity=quantity,
                    reference=f"order {number}",
                    created_at=self.now,
                )
                unit.licences.add_subscription(org_id, order)
            unit.money.write_pools(org_id, wrong_pools(unit, Licences(unit, unit.organisation, self.now)))

    def user(self, org_id: str, name: str, location: str = "US", products: Sequence[str] = (), **settings) -> None:
        """Make a user with *products*, and with what those need."""
        needed = () if settings.get("resource") else self.needed(products)
        new = directory.NewUser(
            user_id=name,
            upn=f"{name}@{org_id}.example",
            usage_location=location,
            products=(*products, *needed),
            **settings,
        )
        directory.create_user(self.office, org_id, new, self.now)

    def license(self, org_id: str, name: str, products: Sequence[str]) -> None:
        """Let a user hold exactly *products*, and what those need."""
        licensing.set_exactly(self.office, org_id, name, [*products, *self.needed(products)], self.now)

    def needed(self, products: Sequence[str]) -> list[str]:
        """Return what a person must hold beside *products*, so that a test need not speak of it."""
        terms = catalogue().terms(self.now.date())
        roles = {role for name in products for role in roles_of(terms.product(name.partition("!")[0]).sku, terms)}
        needed = ["MCOEV"] if roles & ONE_AT_A_TIME and Role.PHONE_SYSTEM not in roles else []
        pays_for = terms.dependencies[Role.CREDITS]
        return [*needed, "MCOMEETADV"] if Role.CREDITS in roles and not roles & pays_for else needed

    def number(self, org_id: str, number: str, *, user: str = "", use: str = "", source: str = "") -> None:
        numbers.assign_number(self.office, org_id, number, self.now, user=user, use=use, source=source)

    def fund(self, org_id: str, micros: int, *, reference: str, expires_at: datetime | None = None):
        return topups.add_funds(self.office, org_id, micros, reference=reference, now=self.now, expires_at=expires_at)

    def adjust(self, org_id: str, micros: int, *, reference: str):
        return topups.adjust(self.office, org_id, micros, reference=reference, reason="by hand", now=self.now)

    def deck(self, csv: str, *, currency: str = "USD", effective_from: datetime = datetime(2020, 1, 1, tzinfo=UTC)):
        """Import a standard deck of *csv* without currency and date."""
        return rates.import_deck(self.office, csv.encode(), self.now, currency=currency, effective_from=effective_from)

    def spoil_decks(self) -> None:
        """Put bytes that are no rate deck in place of every stored one."""
        with self._engine.begin() as connection:
            connection.execute(update(rate_deck).values(content=b"damaged"))

    def expire(self) -> list:
        return list(lifecycle.expire_lots(self.office, self.now))

    # -- what is there -------------------------------------------------------------------------------------------

    def wallet(self, org_id: str):
        return reports.wallet(self.office, org_id, self.now)

    def lots(self, org_id: str) -> dict:
        """Return the lots by the reference of their purchase."""
        return {lot.reference: lot for lot in reports.lots(self.office, org_id, limit=1000).items}

    def ledger(self, org_id: str) -> dict[str, int]:
        """Return the sum of every account of the ledger."""
        sums: dict[str, int] = {}
        cursor = ""
        while True:
            page = reports.entries(self.office, org_id, cursor=cursor, limit=1000)
            for posting in (posting for entry in page.items for posting in entry.postings):
                sums[posting.account] = sums.get(posting.account, 0) + posting.amount_micros
            if not (cursor := page.next_cursor):
                return sums

    def pools(self, org_id: str, period: int | None = None) -> dict:
        return {pool.pool_key: pool for pool in reports.pools(self.office, org_id, self.now, period=period)}

    def call(self, org_id: str, session_id: str):
        return reports.call(self.office, org_id, session_id)

    def open_calls(self) -> list[tuple[str, str]]:
        """Return (org_id, session_id) of every open call."""
        with self._engine.connect() as connection:
            query = select(call.c.org_id, call.c.session_id).where(call.c.state == "open")
            return sorted((row.org_id, row.session_id) for row in connection.execute(query))

    def findings(self) -> list:
        """Return what ``gettone verify`` complains about."""
        with open_audit(self.url) as audit:
            return list(verify(audit, self.now))

    def contents(self, tables_: MetaData = metadata) -> dict[str, list]:
        """Return every row of every table, to compare two instants or two worlds."""
        with self._engine.connect() as connection:
            return {
                table.name: sorted(map(tuple, connection.execute(select(table))), key=repr)
                for table in tables_.sorted_tables
            }
