"""Organisations, users and numbers in SQL (`operations.office.DirectoryRows`)."""

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from gettone.errors import Conflict, NotFound
from gettone.operations.office import chunks
from gettone.operations.views import NumberView, OrganisationView, UserView
from gettone.storage.rows import instant, microseconds
from gettone.storage.schema import number_owner, organisation, phone_number, subscriber, wallet


class SqlDirectory:
    """See `DirectoryRows`; every statement names its organisation."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def organisation(self, org_id: str) -> OrganisationView:
        """See `DirectoryRows`."""
        row = self._connection.execute(select(organisation).where(organisation.c.org_id == org_id)).one_or_none()
        if row is None:
            raise NotFound(f"organisation {org_id!r}: there is none with this id; list them, or create it")
        return _organisation(row)

    def organisations(self, after: str, limit: int) -> list[OrganisationView]:
        """See `DirectoryRows`."""
        query = select(organisation).where(organisation.c.org_id > after).order_by(organisation.c.org_id).limit(limit)
        return [_organisation(row) for row in self._connection.execute(query)]

    def add_organisation(self, new: OrganisationView) -> None:
        """See `DirectoryRows`."""
        taken = select(organisation.c.org_id).where(organisation.c.org_id == new.org_id)
        if self._connection.execute(taken).first():
            raise Conflict(f"org_id {new.org_id!r}: an organisation with this id exists; choose another id")
        self._connection.execute(insert(organisation), _organisation_values(new))
        self._connection.execute(insert(wallet), {"org_id": new.org_id, "currency": new.currency})

    def change_organisation(self, changed: OrganisationView) -> None:
        """See `DirectoryRows`."""
        values = _organisation_values(changed)
        self._connection.execute(update(organisation).where(organisation.c.org_id == changed.org_id).values(values))

    def users_by_ref(self, org_id: str, refs: Collection[str]) -> dict[str, UserView]:
        """See `DirectoryRows`; a user id goes before a user principal name."""
        found: dict[str, UserView] = {}
        for part in chunks(dict.fromkeys(refs)):
            same = or_(subscriber.c.user_id.in_(part), subscriber.c.upn.in_([ref.lower() for ref in part]))
            users = self._with_numbers(org_id, select(subscriber).where(subscriber.c.org_id == org_id, same))
            by_id = {user.user_id: user for user in users}
            by_upn = {user.upn: user for user in users}
            for ref in part:
                user = by_id.get(ref) or by_upn.get(ref.lower())
                if user is not None:
                    found[ref] = user
        return found

    def users(self, org_id: str, search: str, after: str, limit: int) -> list[UserView]:
        """See `DirectoryRows`."""
        query = select(subscriber).where(subscriber.c.org_id == org_id, subscriber.c.upn > after)
        if search:
            columns = (subscriber.c.upn, subscriber.c.display_name, subscriber.c.user_id)
            query = query.where(or_(*(column.icontains(search, autoescape=True) for column in columns)))
        return self._with_numbers(org_id, query.order_by(subscriber.c.upn).limit(limit))

    def add_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """See `DirectoryRows`."""
        if users:
            self._connection.execute(insert(subscriber), [_user_values(org_id, user) for user in users])

    def change_users(self, org_id: str, users: Sequence[UserView]) -> None:
        """See `DirectoryRows`."""
        if not users:
            return
        statement = update(subscriber).where(
            subscriber.c.org_id == bindparam("of_org"), subscriber.c.user_id == bindparam("of_user")
        )
        rows = [
            {
                "of_org": org_id,
                "of_user": user.user_id,
                "upn": user.upn,
                "display_name": user.display_name,
                "usage_location": user.usage_location,
                "products": " ".join(user.products),
            }
            for user in users
        ]
        columns = ("upn", "display_name", "usage_location", "products")
        self._connection.execute(statement.values({column: bindparam(column) for column in columns}), rows)

    def remove_user(self, org_id: str, user_id: str) -> None:
        """See `DirectoryRows`."""
        self._connection.execute(
            delete(subscriber).where(subscriber.c.org_id == org_id, subscriber.c.user_id == user_id)
        )

    def numbers(self, org_id: str, user_id: str, search: str, after: str, limit: int) -> list[NumberView]:
        """See `DirectoryRows`."""
        query = select(phone_number).where(phone_number.c.org_id == org_id, phone_number.c.digits > after)
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
        for part in chunks(digits):
            query = select(phone_number).where(phone_number.c.org_id == org_id, phone_number.c.digits.in_(part))
            found |= {row.digits: _number(row) for row in self._connection.execute(query)}
        return found

    def owned_elsewhere(self, org_id: str, digits: Collection[str]) -> set[str]:
        """See `DirectoryRows`."""
        found: set[str] = set()
        for part in chunks(digits):
            query = select(number_owner.c.digits).where(
                number_owner.c.digits.in_(part), number_owner.c.org_id != org_id
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
        for number in numbers:
            values = _number_values(org_id, number)
            self._connection.execute(
                update(phone_number)
                .where(phone_number.c.org_id == org_id, phone_number.c.digits == values["digits"])
                .values(values)
            )

    def remove_numbers(self, org_id: str, digits: Collection[str]) -> None:
        """See `DirectoryRows`."""
        for part in chunks(digits):
            for table in (phone_number, number_owner):
                self._connection.execute(delete(table).where(table.c.org_id == org_id, table.c.digits.in_(part)))

    def _with_numbers(self, org_id: str, query: Select[Any]) -> list[UserView]:
        rows = self._connection.execute(query).all()
        numbers: dict[str, list[str]] = {}
        for part in chunks(row.user_id for row in rows):
            of_users = select(phone_number.c.user_id, phone_number.c.digits).where(
                phone_number.c.org_id == org_id, phone_number.c.user_id.in_(part)
            )
            for user_id, digits in self._connection.execute(of_users.order_by(phone_number.c.digits)):
                numbers.setdefault(user_id, []).append("+" + digits)
        return [
            UserView(
                user_id=row.user_id,
                upn=row.upn,
                display_name=row.display_name,
                usage_location=row.usage_location,
                products=tuple(row.products.split()),
                numbers=tuple(numbers.get(row.user_id, ())),
                created_at=instant(row.created_at),
            )
            for row in rows
        ]


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
    }


def _user_values(org_id: str, user: UserView) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "user_id": user.user_id,
        "upn": user.upn,
        "display_name": user.display_name,
        "usage_location": user.usage_location,
        "products": " ".join(user.products),
        "created_at": microseconds(user.created_at),
    }


def _number(row: Row[Any]) -> NumberView:
    return NumberView(number="+" + row.digits, use=row.use, user_id=row.user_id, label=row.label)


def _number_values(org_id: str, number: NumberView) -> dict[str, Any]:
    return {
        "org_id": org_id,
        "digits": number.number.lstrip("+"),
        "use": number.use,
        "user_id": number.user_id,
        "label": number.label,
    }
