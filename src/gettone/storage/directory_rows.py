"""Organisations, users and numbers in SQL (`operations.office.DirectoryRows`).

What takes thousands of rows at once asks with lists and writes with one statement for all of them, so that a file of a
hundred thousand users takes seconds.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Row,
    Select,
    Table,
    Text,
    Update,
    any_,
    bindparam,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import IntegrityError

from gettone.errors import Conflict, NotFound
from gettone.operations.instants import instant, microseconds
from gettone.operations.office import chunks
from gettone.operations.ports import Marks
from gettone.operations.views import NumberView, OrganisationView, UserView
from gettone.storage.schema import number_owner, organisation, phone_number, subscriber, wallet

LIST_SIZE = 5000
"""How many values one statement is asked for, and how many users are read at once."""

_encode = msgspec.json.Encoder().encode

_USER_CHANGES = (
    "upn",
    "display_name",
    "usage_location",
    "licences",
    "resource",
    "department",
    "cost_centre",
    "dial_out_policy",
    "limit_micros",
    "blocked_reason",
    "blocked_until",
)
_NUMBER_CHANGES = ("use", "user_id", "label", "source")


class SqlDirectory:
    """See `DirectoryRows`; every statement names its organisation."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def organisation(self, org_id: str) -> OrganisationView:
        """See `DirectoryRows`."""
        query = select(organisation).where(organisation.c.org_id == org_id)
        row = self._connection.execute(query).one_or_none() if org_id.isprintable() else None
        if row is None:
            raise NotFound(f"organisation {org_id!r}: there is none with this id; list them, or create it")
        return _organisation(row)

    def organisations(self, after: str, limit: int) -> list[OrganisationView]:
        """See `DirectoryRows`."""
        query = select(organisation).where(organisation.c.org_id > after).order_by(organisation.c.org_id).limit(limit)
        return [_organisation(row) for row in self._connection.execute(query)]

    def add_organisation(self, new: OrganisationView, low_micros: int = 0) -> None:
        """See `DirectoryRows`."""
        taken = select(organisation.c.org_id).where(organisation.c.org_id == new.org_id)
        if self._connection.execute(taken).first():
            raise Conflict(f"org_id {new.org_id!r}: an organisation with this id exists; choose another id")
        self._connection.execute(insert(organisation), _organisation_values(new))
        self._connection.execute(
            insert(wallet),
            {"org_id": new.org_id, "currency": new.currency, "low_micros": low_micros, "told": Marks().told},
        )

    def change_organisation(self, changed: OrganisationView) -> None:
        """See `DirectoryRows`."""
        values = _organisation_values(changed)
        self._connection.execute(update(organisation).where(organisation.c.org_id == changed.org_id).values(values))

    def users_by_ref(self, org_id: str, refs: Collection[str]) -> dict[str, UserView]:
        """See `DirectoryRows`; a user id goes before a user principal name.

        Both are printable, so nobody is looked for by what is not: PostgreSQL takes no NUL.
        """
        found: dict[str, UserView] = {}
        here = select(subscriber).where(subscriber.c.org_id == org_id)
        for part in chunks(dict.fromkeys(filter(str.isprintable, refs)), LIST_SIZE):
            by_id = here.where(among(self._connection, subscriber.c.user_id, part))
            found |= {user.user_id: user for user in users_of(self._connection, org_id, by_id)}
            names = {ref: ref.lower() for ref in part if ref not in found}
            by_upn = here.where(among(self._connection, subscriber.c.upn, set(names.values())))
            users = {user.upn: user for user in users_of(self._connection, org_id, by_upn)} if names else {}
            found |= {ref: users[upn] for ref, upn in names.items() if upn in users}
        return found

    def users(self, org_id: str, search: str, after: str, limit: int) -> list[UserView]:
        """See `DirectoryRows`; nothing that is kept has a control character, so nobody is found by one."""
        query = select(subscriber).where(subscriber.c.org_id == org_id, subscriber.c.upn > after)
        if not search.isprintable():
            return []
        if search:
            columns = (subscriber.c.upn, subscriber.c.display_name, subscriber.c.user_id)
            query = query.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
        return users_of(self._connection, org_id, query.order_by(subscriber.c.upn).limit(limit))

    def all_users(self, org_id: str) -> Iterator[UserView]:
        """See `DirectoryRows`; a part at a time, so that whoever reads may write as well."""
        here = select(subscriber).where(subscriber.c.org_id == org_id).order_by(subscriber.c.user_id).limit(LIST_SIZE)
        after = ""
        while True:
            rows = self._connection.execute(here.where(subscriber.c.user_id > after)).all()
            yield from (_user(row, ()) for row in rows)
            if len(rows) < LIST_SIZE:
                return
            after = rows[-1].user_id

    def add_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """See `DirectoryRows`."""
        if users:
            self._connection.execute(insert(subscriber), [_user_values(org_id, user) for user in users])

    def change_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """See `DirectoryRows`; each row's version is raised by one."""
        if not users:
            return
        statement = _by_key(subscriber, subscriber.c.user_id, _USER_CHANGES)
        self._connection.execute(
            statement.values(version=subscriber.c.version + 1),
            [_keyed(_user_values(org_id, user), "user_id", _USER_CHANGES) for user in users],
        )

    def set_licences(
        self, org_id: str, user_ids: Collection[str], usage_location: str, licences: Sequence[str]
    ) -> None:
        """See `DirectoryRows`; one statement for thousands, and each row's version is raised by one."""
        columns = subscriber.c
        for part in chunks(user_ids, LIST_SIZE):
            theirs = (columns.org_id == org_id, among(self._connection, columns.user_id, part))
            values = {"usage_location": usage_location, "licences": " ".join(licences), "version": columns.version + 1}
            self._connection.execute(update(subscriber).where(*theirs).values(values))

    def remove_user(self, org_id: str, user_id: str) -> None:
        """See `DirectoryRows`."""
        self._connection.execute(
            delete(subscriber).where(subscriber.c.org_id == org_id, subscriber.c.user_id == user_id)
        )

    def numbers(self, org_id: str, user_id: str, search: str, after: str, limit: int) -> list[NumberView]:
        """See `DirectoryRows`; as with users, nothing is found by a control character."""
        query = select(phone_number).where(phone_number.c.org_id == org_id, phone_number.c.digits > after)
        if not (search.isprintable() and user_id.isprintable()):
            return []
        if user_id:
            query = query.where(phone_number.c.user_id == user_id)
        if search:
            columns = (phone_number.c.digits, phone_number.c.label)
            query = query.where(or_(*(column.icontains(search.lstrip("+"), autoescape=True) for column in columns)))
        rows = self._connection.execute(query.order_by(phone_number.c.digits).limit(limit))
        return [_number(row) for row in rows]

    def numbers_by_digits(self, org_id: str, digits: Collection[str]) -> dict[str, NumberView]:
        """See `DirectoryRows`."""
        found: dict[str, NumberView] = {}
        for part in chunks(digits, LIST_SIZE):
            query = select(phone_number).where(
                phone_number.c.org_id == org_id, among(self._connection, phone_number.c.digits, part)
            )
            found |= {row.digits: _number(row) for row in self._connection.execute(query)}
        return found

    def owned_elsewhere(self, org_id: str, digits: Collection[str]) -> set[str]:
        """See `DirectoryRows`."""
        found: set[str] = set()
        for part in chunks(digits, LIST_SIZE):
            query = select(number_owner.c.digits).where(
                among(self._connection, number_owner.c.digits, part), number_owner.c.org_id != org_id
            )
            found |= set(self._connection.execute(query).scalars())
        return found

    def add_numbers(self, org_id: str, numbers: Sequence[NumberView]) -> None:
        """See `DirectoryRows`; in order of digits, so that two imports cannot wait for each other."""
        if not numbers:
            return
        rows = sorted((_number_values(org_id, number) for number in numbers), key=lambda row: row["digits"])
        try:
            self._connection.execute(insert(number_owner), [{"digits": r["digits"], "org_id": org_id} for r in rows])
        except IntegrityError as error:
            raise Conflict("another organisation has taken one of these numbers just now; try again") from error
        self._connection.execute(insert(phone_number), rows)

    def change_numbers(self, org_id: str, numbers: Sequence[NumberView]) -> None:
        """See `DirectoryRows`."""
        if numbers:
            self._connection.execute(
                _by_key(phone_number, phone_number.c.digits, _NUMBER_CHANGES),
                [_keyed(_number_values(org_id, number), "digits", _NUMBER_CHANGES) for number in numbers],
            )

    def remove_numbers(self, org_id: str, digits: Collection[str]) -> None:
        """See `DirectoryRows`."""
        for part in chunks(digits, LIST_SIZE):
            for table in (phone_number, number_owner):
                listed = among(self._connection, table.c.digits, part)
                self._connection.execute(delete(table).where(table.c.org_id == org_id, listed))


def users_of(connection: Connection, org_id: str, query: Select[Any]) -> list[UserView]:
    """The users whose rows *query* selects, in its order, with their numbers."""
    rows = connection.execute(query).all()
    numbers: dict[str, list[str]] = {}
    columns = phone_number.c
    for part in chunks((row.user_id for row in rows), LIST_SIZE):
        theirs = select(columns.user_id, columns.digits).where(
            columns.org_id == org_id, among(connection, columns.user_id, part)
        )
        for user_id, digits in connection.execute(theirs.order_by(columns.digits)):
            numbers.setdefault(user_id, []).append("+" + digits)
    return [_user(row, tuple(numbers.get(row.user_id, ()))) for row in rows]


def among(connection: Connection, column: Column[str], values: Collection[str]) -> ColumnElement[bool]:
    """Whether *column* is one of *values*: one parameter, however many they are."""
    if connection.dialect.name == "sqlite":
        listed = func.json_each(_encode(list(values)).decode()).table_valued("value")
        return column.in_(select(listed.c.value))
    return column == any_(bindparam(None, list(values), type_=ARRAY(Text)))


def _by_key(table: Table, key: Column[str], columns: Iterable[str]) -> Update:
    """An update of *columns* of many rows, each named by ``of_org`` and ``of_key`` (`_keyed`)."""
    same = (table.c.org_id == bindparam("of_org"), key == bindparam("of_key"))
    return update(table).where(*same).values({column: bindparam(f"new_{column}") for column in columns})


def _keyed(row: dict[str, Any], key: str, columns: Iterable[str]) -> dict[str, Any]:
    """Fill `_by_key` from a whole row."""
    return {f"new_{column}": row[column] for column in columns} | {"of_org": row["org_id"], "of_key": row[key]}


def _organisation(row: Row[Any]) -> OrganisationView:
    return OrganisationView(
        org_id=row.org_id,
        name=row.name,
        country=row.country,
        currency=row.currency,
        time_zone=row.time_zone,
        price_list=row.price_list,
        closed=bool(row.closed),
        post_usage=bool(row.post_usage),
        created_at=instant(row.created_at),
        policies=row.policies,
    )


def _organisation_values(view: OrganisationView) -> dict[str, Any]:
    return {
        "org_id": view.org_id,
        "name": view.name,
        "country": view.country,
        "currency": view.currency,
        "time_zone": view.time_zone,
        "price_list": view.price_list,
        "closed": int(view.closed),
        "post_usage": int(view.post_usage),
        "created_at": microseconds(view.created_at),
        "policies": view.policies,
    }


def _user(row: Row[Any], numbers: tuple[str, ...]) -> UserView:
    return UserView(
        user_id=row.user_id,
        upn=row.upn,
        display_name=row.display_name,
        usage_location=row.usage_location,
        licences=tuple(row.licences.split()),
        numbers=numbers,
        created_at=instant(row.created_at),
        resource=bool(row.resource),
        department=row.department,
        cost_centre=row.cost_centre,
        dial_out_policy=row.dial_out_policy,
        limit_micros=row.limit_micros,
        blocked_reason=row.blocked_reason,
        blocked_until=None if row.blocked_until is None else instant(row.blocked_until),
        version=row.version,
    )


def _user_values(org_id: str, user: UserView) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "user_id": user.user_id,
        "upn": user.upn,
        "display_name": user.display_name,
        "usage_location": user.usage_location,
        "licences": " ".join(user.licences),
        "created_at": microseconds(user.created_at),
        "resource": int(user.resource),
        "department": user.department,
        "cost_centre": user.cost_centre,
        "dial_out_policy": user.dial_out_policy,
        "limit_micros": user.limit_micros,
        "blocked_reason": user.blocked_reason,
        "blocked_until": None if user.blocked_until is None else microseconds(user.blocked_until),
        "version": user.version,
    }


def _number(row: Row[Any]) -> NumberView:
    return NumberView(
        number="+" + row.digits, use=row.use, user_id=row.user_id, label=row.label, source=row.source or "direct"
    )


def _number_values(org_id: str, number: NumberView) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "digits": number.number.lstrip("+"),
        "use": number.use,
        "user_id": number.user_id,
        "label": number.label,
        "source": number.source,
    }
