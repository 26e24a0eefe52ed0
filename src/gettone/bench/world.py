"""The organisations that benchmarks charge, put into a database in bulk: each with a wallet, a pool and its users.

The same statements fill SQLite and PostgreSQL; the database makes the rows itself, so a hundred thousand organisations
take a moment. Opening balances have no ledger entries: these databases are for measuring, not for `gettone verify`.
"""

import zlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, Connection, Table, Text, cast, insert, literal, select, text, update

from gettone.catalogue.numbering import emergency_numbers, number_plan
from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.domain.policies import Guard, Policies
from gettone.operations.charging import Charging
from gettone.operations.instants import microseconds
from gettone.operations.opening import Tables
from gettone.operations.policies import shipped_guard, text_of
from gettone.operations.ports import ChargingStore
from gettone.storage import schema
from gettone.storage.engine import open_database
from gettone.storage.upgrade import upgrade

DEPARTMENTS = 10
LICENCES = ("MCOEV", "MCOPSTN1", "MCOPSTNC")
"""What users hold: Phone System, a Calling Plan with its pool, Communications Credits."""
PAID_BY_CREDITS = "+442071838750"
PAID_BY_POOL = "+12125550123"

_MONEY_MICROS = 10**15
_POOL_SECONDS = 10**12
UNGUARDED = Guard(concurrent_calls=None, user_hour_micros=None, organisation_hour_micros=None, new_premium_per_day=None)
# Odd, so that it maps the numbers below 2**32 one to one onto themselves, far apart from each other.
_SCATTER = 2_654_435_761


def user(number: int) -> str:
    """The id of a user; each organisation has those from 0 up."""
    return f"user{number}"


def make(
    url: str, organisations: int, *, users: int = 1, guarded: bool = False, licences: Sequence[str] = LICENCES
) -> list[str]:
    """Make a database at *url* with the newest schema and so many organisations of *users* each; returns their ids.

    Users hold *licences* and belong to departments; *guarded* organisations have the fraud guard as shipped and
    spending limits, which no call of a benchmark reaches, others have neither.
    """
    upgrade(url)
    database = open_database(url)
    try:
        with database.writing() as connection:
            _organisations(connection, organisations, users, licences, guarded=guarded)
            _deck(connection)
    finally:
        database.close()
    settle(url)
    return [f"org{i}" for i in range(organisations)]


def charging(store: ChargingStore) -> Charging:
    """Charge over *store* with the shipped tables and the real clock."""
    return Charging(store, Tables(number_plan(), emergency_numbers()), clock=lambda: datetime.now(UTC))


def multiply_open_calls(url: str, copies: int) -> None:
    """Let each open call stand there *copies* times; `copied_id` names copy 1, 2, ... of a call."""
    database = open_database(url)
    call = schema.call
    try:
        with database.writing() as connection:
            series = _series(copies - 1)
            scattered = cast((series.c.i + 1) * _SCATTER % 2**32, Text)
            columns = [
                (scattered + "-" + column if column is call.c.session_id else column).label(column.name)
                for column in call.c
            ]
            # On one condition that is always true: rows times series.
            copied = select(*columns).select_from(call.join(series, literal(1) == 1)).where(call.c.state == "open")
            connection.execute(insert(call).from_select([column.name for column in call.c], copied))
            for table in (schema.wallet, schema.lot):
                connection.execute(update(table).values(held_micros=table.c.held_micros * copies))
            counted = {name: schema.tally.c[name] * copies for name in ("open_calls", "held_micros")}
            connection.execute(update(schema.tally).values(counted))
    finally:
        database.close()
    settle(url)


def copied_id(session_id: str, copy: int) -> str:
    """The session id of a copy made by `multiply_open_calls`; copy 0 is the call itself."""
    return f"{copy * _SCATTER % 2**32}-{session_id}" if copy else session_id


def settle(url: str) -> None:
    """Let the database put in order what was filled in bulk, so that no measurement pays for it."""
    database = open_database(url)
    try:
        with database.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            if database.is_sqlite:
                connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    finally:
        database.close()


def _organisations(connection: Connection, count: int, users: int, licences: Sequence[str], *, guarded: bool) -> None:
    now = datetime.now(UTC)
    bought = {"purchased_at": microseconds(now), "expires_at": microseconds(now + timedelta(days=365))}
    money = {"amount_micros": _MONEY_MICROS, "remaining_micros": _MONEY_MICROS}
    place = {"country": "US", "currency": "USD", "time_zone": "UTC", "price_list": "standard"}
    watched = Policies(user_limit_micros=_MONEY_MICROS, guard=shipped_guard("USD"))
    place["policies"] = text_of(watched if guarded else Policies(guard=UNGUARDED), "USD")
    _fill(connection, schema.organisation, count, name="An organisation", created_at=0, **place)
    _fill(connection, schema.wallet, count, currency="USD", posted_micros=_MONEY_MICROS)
    _fill(connection, schema.lot, count, lot_id="lot", source="manual", **bought, **money)
    _fill(connection, schema.pool, count, pool_key="US/MCOPSTN1", licences=users, size_seconds=_POOL_SECONDS)
    _users(connection, count, users, {"usage_location": "US", "licences": " ".join(sorted(licences)), "created_at": 0})


def _users(connection: Connection, organisations: int, users: int, values: dict[str, object]) -> None:
    """Put *users* users into each organisation, in departments of equal size."""
    series = _series(organisations * users)
    of_organisation = series.c.i // users
    number = cast(series.c.i % users, Text)
    columns = {
        "org_id": literal("org", Text) + cast(of_organisation, Text),
        "user_id": literal("user", Text) + number,
        "upn": literal("user", Text) + number + literal("@example.org", Text),
        "department": literal("department ", Text) + cast(series.c.i % DEPARTMENTS, Text),
        **{name: literal(value, schema.subscriber.c[name].type) for name, value in values.items()},
    }
    connection.execute(insert(schema.subscriber).from_select(list(columns), select(*columns.values())))


def _fill(connection: Connection, table: Table, count: int, **values: object) -> None:
    """Put *values* into *table* once for each of *count* organisations."""
    series = _series(count)
    org_id = literal("org", Text) + cast(series.c.i, Text)
    columns = [literal(value, table.c[name].type) for name, value in values.items()]
    connection.execute(insert(table).from_select(["org_id", *values], select(org_id, *columns)))


def _series(count: int) -> Any:  # noqa: ANN401 - a common table expression, whose class SQLAlchemy keeps generic
    """The numbers from 0 up to *count*, as a table with one column."""
    first = select(cast(0, BigInteger).label("i")).where(literal(count, BigInteger) > 0)
    series = first.cte("series", recursive=True)
    return series.union_all(select(series.c.i + 1).where(series.c.i + 1 < count))


def _deck(connection: Connection) -> None:
    content = sample_deck_csv()
    row = {"deck_id": "sample", "name": "standard", "currency": "USD", "effective_from": 0, "imported_at": 0}
    connection.execute(
        insert(schema.rate_deck), row | {"rows": content.count("\n"), "content": zlib.compress(content.encode())}
    )
    connection.execute(insert(schema.generation), {"name": "rates", "version": 1})
