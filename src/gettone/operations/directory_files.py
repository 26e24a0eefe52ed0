"""Users and numbers from CSV files, thousands at once: all of a file or nothing, with every bad line named.

A line whose user is known (by user id, or else by user principal name) changes that user, any other makes one, so a
file may be given again. A column that is not in the file changes nothing; an empty cell empties what it stands for,
except ``user_id``, ``upn`` and ``number``. Encodings and delimiters are those of `gettone.domain.tabular`.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from gettone.domain.tabular import TableError, decode_csv, read_lines
from gettone.errors import GettoneError, InvalidFile, InvalidInput, Problem
from gettone.operations import checks
from gettone.operations.directory import NewUser, changed_user, count_licences, new_user, users_number, whose
from gettone.operations.numbers import number_of
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.views import ImportedUsers, NumberView, UserView

USER_COLUMNS = ("user_id", "upn", "display_name", "usage_location", "products", "number")
NUMBER_COLUMNS = ("number", "use", "user", "label")

_BETWEEN_PRODUCTS = re.compile(r"[\s,;|+]+")

Cells = dict[str, str]


def import_users(office: Office, org_id: str, data: bytes, now: datetime, *, name: str = "users.csv") -> ImportedUsers:
    """Make and change users from a CSV of ``user_id, upn, display_name, usage_location, products, number``.

    Product codes are separated by blanks or any of ``, ; | +``. Raises `InvalidFile` or `NotFound`.
    """
    file = _File(name)
    lines = list(file.lines(data, USER_COLUMNS, {"upn", "user_id"}))
    with office.write(org_id) as unit:
        batch = _UserBatch(unit, file, now)
        batch.read(lines)
        file.raise_problems()
        return batch.write()


def import_numbers(office: Office, org_id: str, data: bytes, *, name: str = "numbers.csv") -> ImportedUsers:
    """Assign numbers from a CSV of ``number, use, user, label``. Raises `InvalidFile` or `NotFound`."""
    file = _File(name)
    lines = list(file.lines(data, NUMBER_COLUMNS, {"number"}))
    with office.write(org_id) as unit:
        batch = _NumberBatch(unit, file)
        for line, cells in lines:
            batch.add(line, cells)
        batch.check_owners()
        file.raise_problems()
        return batch.write()


@dataclass(slots=True)
class _File:
    """A file being read, and what is wrong with it so far."""

    name: str
    problems: list[Problem] = field(default_factory=list)
    seen: dict[tuple[str, str], int] = field(default_factory=dict)

    def lines(self, data: bytes, known: tuple[str, ...], one_of: set[str]) -> Iterator[tuple[int, Cells]]:
        """Yield number and cells by column of the good lines; the bad ones become problems."""
        try:
            text, dialect = decode_csv(data)
        except TableError as error:
            raise InvalidFile(self.name, [Problem(0, "", "", str(error))]) from None
        lines = read_lines(text, dialect.delimiter)
        header = next(lines, None)
        if header is None:
            raise InvalidFile(self.name, [Problem(0, "", "", f"it is empty; begin with a line {','.join(known)}")])
        columns = [cell.strip().lower() for cell in header.cells]
        self._check_header(header.number, columns, known, one_of)
        for line in lines:
            if line.problem:
                self.problems.append(Problem(line.number, "", "", line.problem))
            elif len(line.cells) != len(columns):
                counts = f"{len(line.cells)} cells where the header has {len(columns)}"
                self.problems.append(Problem(line.number, "", "", f"{counts}; the line is cut or lacks quotes"))
            else:
                yield line.number, {name: cell.strip() for name, cell in zip(columns, line.cells, strict=True)}

    def _check_header(self, number: int, columns: list[str], known: tuple[str, ...], one_of: set[str]) -> None:
        problems = [
            Problem(number, "column", column[:80], f"there is no such column; known are {', '.join(known)}")
            for column in columns
            if column not in known
        ]
        problems += [
            Problem(number, "column", column, "it is there twice; leave one out")
            for column in sorted({column for column in columns if columns.count(column) > 1})
        ]
        if not one_of & set(columns):
            problems.append(Problem(number, "", "", f"the first line must name a column {' or '.join(sorted(one_of))}"))
        if problems:
            raise InvalidFile(self.name, problems)

    def wrong(self, line: int, error: GettoneError) -> None:
        """Remember what is wrong in *line*."""
        if isinstance(error, InvalidInput):
            self.problems.append(Problem(line, error.field, str(error.value), error.remedy))
        else:
            self.problems.append(Problem(line, "", "", str(error)))

    def once(self, line: int, column: str, value: str) -> bool:
        """Whether *value* is new in this file; else that is a problem."""
        first = self.seen.setdefault((column, value), line)
        if first != line:
            self.problems.append(Problem(line, column, value, f"it is in line {first} already; leave one out"))
        return first == line

    def raise_problems(self) -> None:
        """Refuse the file if anything is wrong with it."""
        if self.problems:
            raise InvalidFile(self.name, self.problems)


class _UserBatch:
    """The users of a file, against those that are there."""

    def __init__(self, unit: OrganisationUnit, file: _File, now: datetime) -> None:
        self._unit = unit
        self._file = file
        self._now = now
        self._there: Mapping[str, UserView] = {}
        self._new: list[UserView] = []
        self._changed: list[tuple[UserView, UserView]] = []
        self._unchanged = 0
        self._numbers: dict[str, tuple[int, str]] = {}

    def read(self, lines: list[tuple[int, Cells]]) -> None:
        """Decide every line."""
        refs = {cells.get(column, "") for _, cells in lines for column in ("user_id", "upn")} - {""}
        self._there = self._unit.directory.users_by_ref(self._unit.organisation.org_id, refs)
        for line, cells in lines:
            try:
                self._decide(line, cells)
            except GettoneError as error:
                self._file.wrong(line, error)
        self._check_numbers()

    def _decide(self, line: int, cells: Cells) -> None:
        user_id, upn = cells.get("user_id", ""), cells.get("upn", "")
        known = self._there.get(user_id or upn) or self._there.get(upn)
        self._check_other(upn, known)
        if known is None or (user_id and known.user_id != user_id):
            if known is not None:
                raise InvalidInput(
                    "user_id", user_id, f"user {known.upn} has the user id {known.user_id}; write that one"
                )
            user = new_user(_new_user(cells), self._now)
            self._new.append(user)
        else:
            user = _changed(known, cells)
            if user == known:
                self._unchanged += 1
            else:
                self._changed.append((known, user))
        fresh = [self._file.once(line, "upn", user.upn), self._file.once(line, "user_id", user.user_id)]
        if all(fresh) and cells.get("number"):
            digits = checks.digits("number", cells["number"])
            if self._file.once(line, "number", "+" + digits):
                self._numbers[digits] = (line, user.user_id)

    def _check_other(self, upn: str, known: UserView | None) -> None:
        other = self._there.get(upn)
        if known is not None and other is not None and other.user_id != known.user_id:
            raise InvalidInput("upn", upn, f"user {other.user_id} has it already; change that user, or choose another")

    def _check_numbers(self) -> None:
        org_id = self._unit.organisation.org_id
        elsewhere = self._unit.directory.owned_elsewhere(org_id, self._numbers)
        here = self._unit.directory.numbers_by_digits(org_id, self._numbers)
        for digits, (line, user_id) in list(self._numbers.items()):
            if digits in elsewhere:
                remedy = "it belongs to another organisation; that one must release it first"
                self._file.problems.append(Problem(line, "number", "+" + digits, remedy))
            elif digits in here and here[digits].user_id != user_id:
                remedy = f"{whose(here[digits])} has it; release it first"
                self._file.problems.append(Problem(line, "number", "+" + digits, remedy))
            elif digits in here:
                del self._numbers[digits]

    def write(self) -> ImportedUsers:
        """Write what was decided."""
        unit, org_id = self._unit, self._unit.organisation.org_id
        with_number = {user_id for _, user_id in self._numbers.values()}
        unit.directory.add_users(org_id, self._new)
        unit.directory.change_users(org_id, [after for _, after in self._changed])
        unit.directory.add_numbers(org_id, [users_number(one, user_id) for one, (_, user_id) in self._numbers.items()])
        count_licences(unit, [*((None, user) for user in self._new), *self._changed], self._now)
        if self._new or self._changed or with_number:
            unit.directory_changed()
        only_number = with_number - {user.user_id for user in self._new} - {user.user_id for _, user in self._changed}
        return ImportedUsers(
            created=len(self._new),
            changed=len(self._changed) + len(only_number),
            unchanged=self._unchanged - len(only_number),
        )


def _new_user(cells: Cells) -> NewUser:
    return NewUser(
        upn=cells.get("upn", ""),
        user_id=cells.get("user_id", ""),
        display_name=cells.get("display_name", ""),
        usage_location=cells.get("usage_location", "").upper(),
        products=_products(cells.get("products", "")),
    )


def _changed(user: UserView, cells: Cells) -> UserView:
    """The user with the columns of the file; those that it has not stay."""

    def given(column: str, read: Callable[[str], str] = str) -> str | None:
        return read(cells[column]) if column in cells else None

    return changed_user(
        user,
        upn=cells.get("upn") or None,
        display_name=given("display_name"),
        usage_location=given("usage_location", str.upper),
        products=_products(cells["products"]) if "products" in cells else None,
    )


def _products(cell: str) -> tuple[str, ...]:
    return tuple(part for part in _BETWEEN_PRODUCTS.split(cell) if part)


class _NumberBatch:
    """The numbers of a file, against those that are there."""

    def __init__(self, unit: OrganisationUnit, file: _File) -> None:
        self._unit = unit
        self._file = file
        self._wanted: dict[str, tuple[int, NumberView]] = {}
        self._there: Mapping[str, NumberView] = {}

    def add(self, line: int, cells: Cells) -> None:
        """Decide one line by itself."""
        try:
            digits = checks.digits("number", cells["number"])
            if self._file.once(line, "number", "+" + digits):
                use, label = cells.get("use", "").lower(), cells.get("label", "")
                self._wanted[digits] = (line, number_of(self._unit, digits, cells.get("user", ""), use, label))
        except GettoneError as error:
            self._file.wrong(line, error)

    def check_owners(self) -> None:
        """Compare all lines with the numbers that are in use."""
        org_id = self._unit.organisation.org_id
        elsewhere = self._unit.directory.owned_elsewhere(org_id, self._wanted)
        self._there = self._unit.directory.numbers_by_digits(org_id, self._wanted)
        for digits, (line, wanted) in self._wanted.items():
            known = self._there.get(digits)
            if digits in elsewhere:
                remedy = "it belongs to another organisation; that one must release it first"
                self._file.problems.append(Problem(line, "number", wanted.number, remedy))
            elif known is not None and (known.use, known.user_id) != (wanted.use, wanted.user_id):
                remedy = f"{whose(known)} has it; release it first"
                self._file.problems.append(Problem(line, "number", wanted.number, remedy))

    def write(self) -> ImportedUsers:
        """Write what was decided."""
        org_id = self._unit.organisation.org_id
        new = [wanted for digits, (_, wanted) in self._wanted.items() if digits not in self._there]
        changed = [
            wanted
            for digits, (_, wanted) in self._wanted.items()
            if digits in self._there and self._there[digits] != wanted
        ]
        self._unit.directory.add_numbers(org_id, new)
        self._unit.directory.change_numbers(org_id, changed)
        if new:
            self._unit.directory_changed()
        unchanged = len(self._wanted) - len(new) - len(changed)
        return ImportedUsers(created=len(new), changed=len(changed), unchanged=unchanged)
