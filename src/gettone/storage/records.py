"""Tables whose rows are kept as structs: a field is a column of the same name, beside the organisation.

Times are microseconds in the database and aware UTC in the struct, truth is 0 or 1, enums are their values, and
mappings are JSON.
"""

import enum
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from types import UnionType
from typing import Any, Generic, TypeVar, get_args, get_type_hints

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, Table, bindparam, insert, select, update

from gettone.operations.instants import instant, microseconds

S = TypeVar("S", bound=msgspec.Struct)

Turn = Callable[[Any], Any]


class Records(Generic[S]):
    """Reads and writes one table as values of one struct."""

    def __init__(self, table: Table, struct: type[S]) -> None:
        """Of *table* as *struct*: every field is a column, and every column but ``org_id`` is written from one."""
        self.table = table
        self._struct = struct
        hints = get_type_hints(struct)
        self._reading: dict[str, Turn | None] = {name: _turn(hint)[0] for name, hint in hints.items()}
        self._writing: dict[str, Turn | None] = {name: _turn(hint)[1] for name, hint in hints.items()}
        columns = {column.name for column in table.columns}
        assert set(hints) <= columns, f"{struct.__name__} has fields that {table.name} has not"
        self._key = [column.name for column in table.primary_key]
        self._in_organisation = "org_id" in columns
        # Made once: putting a statement of thirty columns together costs more than running it.
        self._insert = insert(table)
        self._update = (
            update(table)
            .where(*(table.c[name] == bindparam(f"_{name}") for name in self._key))
            .values({name: bindparam(f"_{name}") for name in hints if name not in self._key})
        )

    def read(self, row: Row[Any]) -> S:
        """The value of a row."""
        return self._struct(
            **{name: turn(getattr(row, name)) if turn else getattr(row, name) for name, turn in self._reading.items()}
        )

    def all(
        self,
        connection: Connection,
        *where: ColumnElement[bool],
        order: Sequence[ColumnElement[Any]] = (),
        limit: int | None = None,
    ) -> list[S]:
        """Values of the rows where all conditions hold."""
        query = select(self.table).where(*where).order_by(*order)
        return [self.read(row) for row in connection.execute(query if limit is None else query.limit(limit))]

    def one(self, connection: Connection, *where: ColumnElement[bool]) -> S | None:
        """The value of the row, if there is one."""
        row = connection.execute(select(self.table).where(*where)).one_or_none()
        return self.read(row) if row is not None else None

    def add(self, connection: Connection, org_id: str, values: Iterable[S]) -> None:
        """Write new rows."""
        rows = [self._values(org_id, value) for value in values]
        if rows:
            connection.execute(self._insert, rows)

    def change(self, connection: Connection, org_id: str, value: S) -> bool:
        """Write a row that is there; False when it is not."""
        values = {f"_{name}": one for name, one in self._values(org_id, value).items()}
        return connection.execute(self._update, values).rowcount == 1

    def put(self, connection: Connection, org_id: str, value: S) -> None:
        """Write a row, new or not; the organisation's lock keeps others away."""
        if not self.change(connection, org_id, value):
            self.add(connection, org_id, [value])

    def _values(self, org_id: str, value: S) -> dict[str, Any]:
        values = {
            name: turn(getattr(value, name)) if turn else getattr(value, name) for name, turn in self._writing.items()
        }
        return {"org_id": org_id, **values} if self._in_organisation else values


def _turn(hint: Any) -> tuple[Turn | None, Turn | None]:  # noqa: ANN401 - any type of a field
    """How a value of type *hint* is read from the database, and how it is written."""
    if isinstance(hint, UnionType):
        [inner] = [kind for kind in get_args(hint) if kind is not type(None)]
        reading, writing = _turn(inner)
        return _unless_none(reading), _unless_none(writing)
    if hint is datetime:
        return instant, microseconds
    if hint is bool:
        return bool, int
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return hint, lambda value: value.value
    if hint in {str, int, bytes}:
        return None, None
    return msgspec.json.Decoder(hint).decode, lambda value: msgspec.json.encode(value).decode()


def _unless_none(turn: Turn | None) -> Turn | None:
    return (lambda value: None if value is None else turn(value)) if turn else None
