"""Users and numbers from CSV files, thousands at once: all of a file or nothing, with every bad line named.

A line whose user is known (by user id, or else by user principal name) changes that user, any other makes one, so a
file may be given again. A column that is not in the file changes nothing; an empty cell empties what it stands for,
except ``user_id``, ``upn``, ``number``, ``account`` and ``source``. Encodings and delimiters are those of
`gettone.domain.tabular`.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from functools import cached_property

from gettone.domain.licences import ViolationKind
from gettone.domain.parties import NumberUse
from gettone.errors import GettoneError, InvalidInput, Problem
from gettone.operations import checks
from gettone.operations.csv_files import Cells, CsvFile, parts
from gettone.operations.directory import NewUser, changed_user, check_no_calls, new_user, read_user, whose
from gettone.operations.licence_moves import Licences, Move
from gettone.operations.number_rules import NumberQuotas, number_wanted
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.views import ImportedUsers, NumberView, UserView

USER_COLUMNS = (
    *("user_id", "upn", "display_name", "usage_location", "products", "number"),
    *("department", "cost_centre", "account"),
)
NUMBER_COLUMNS = ("number", "use", "user", "label", "source")

ACCOUNTS = {"": False, "person": False, "resource": True}
"""Whether an account is a voice application's, by what its cell says."""


def import_users(office: Office, org_id: str, data: bytes, now: datetime, *, name: str = "users.csv") -> ImportedUsers:
    """Make and change users from a CSV with a header of `USER_COLUMNS`, of which ``upn`` or ``user_id`` is needed.

    Products are separated by blanks or any of ``, ; | +``; each may have service plans switched off behind exclamation
    marks. *account* is person or resource. Raises `InvalidFile` or `NotFound`.
    """
    file = CsvFile(name)
    lines = list(file.lines(data, USER_COLUMNS, {"upn", "user_id"}))
    with office.write(org_id) as unit:
        batch = _UserBatch(unit, file, now)
        batch.read(lines)
        file.raise_problems()
        return batch.write()


def import_numbers(
    office: Office, org_id: str, data: bytes, now: datetime, *, name: str = "numbers.csv"
) -> ImportedUsers:
    """Assign numbers from a CSV of ``number, use, user, label, source``. Raises `InvalidFile` or `NotFound`."""
    file = CsvFile(name)
    lines = list(file.lines(data, NUMBER_COLUMNS, {"number"}))
    with office.write(org_id) as unit:
        batch = _NumberBatch(unit, file, now)
        batch.read(lines)
        file.raise_problems()
        return batch.write()


class _UserBatch:
    """The users of a file, against those that are there."""

    def __init__(self, unit: OrganisationUnit, file: CsvFile, now: datetime) -> None:
        self._unit = unit
        self._file = file
        self._now = now
        self._licences = Licences(unit, unit.organisation, now)
        self._there: Mapping[str, UserView] = {}
        self._moves: list[tuple[int, Move]] = []
        self._numbers: dict[str, tuple[int, UserView]] = {}
        self._acquired: list[NumberView] = []
        self._given: list[NumberView] = []

    def read(self, lines: list[tuple[int, Cells]]) -> None:
        """Decide every line."""
        refs = {cells.get(column, "") for _, cells in lines for column in ("user_id", "upn")} - {""}
        self._there = self._licences.find(sorted(refs))
        for line, cells in lines:
            try:
                self._decide(line, cells)
            except GettoneError as error:
                self._file.wrong(line, error)
        self._licences.judge([move for _, move in self._moves])
        for line, move in self._moves:
            for violation in move.violations:
                column = "usage_location" if violation.kind is ViolationKind.USAGE_LOCATION else "products"
                self._file.problems.append(Problem(line, column, violation.product, str(violation)))
        self._check_numbers()

    def _decide(self, line: int, cells: Cells) -> None:
        user_id, upn = cells.get("user_id", ""), cells.get("upn", "")
        known = self._there.get(user_id or upn) or self._there.get(upn)
        self._check_other(upn, known)
        if known is None:
            user = new_user(_new_user(cells), self._now, self._licences.terms)
            if user_id:
                check_no_calls(user.user_id, self._in_calls)
        elif user_id and known.user_id != user_id:
            raise InvalidInput("user_id", user_id, f"user {known.upn} has the user id {known.user_id}; write that one")
        else:
            user = self._changed(known, cells)
        fresh = [self._file.once(line, "upn", user.upn), self._file.once(line, "user_id", user.user_id)]
        if not all(fresh):
            return
        self._moves.append((line, Move(known, user)))
        if cells.get("number"):
            digits = checks.digits("number", cells["number"])
            if self._file.once(line, "number", "+" + digits):
                self._numbers[digits] = (line, user)

    @cached_property
    def _in_calls(self) -> set[str]:
        return self._unit.calls.users_in_calls(self._unit.organisation.org_id)

    def _check_other(self, upn: str, known: UserView | None) -> None:
        other = self._there.get(upn)
        if known is not None and other is not None and other.user_id != known.user_id:
            raise InvalidInput("upn", upn, f"user {other.user_id} has it already; change that user, or choose another")

    def _changed(self, user: UserView, cells: Cells) -> UserView:
        """The user with the columns of the file; those that it has not stay."""

        def given(column: str, read: Callable[[str], str] = str) -> str | None:
            return read(cells[column]) if column in cells else None

        if cells.get("account") and _is_resource(cells) != user.resource:
            remedy = "what an account is stays for good; remove it and make another"
            raise InvalidInput("account", cells["account"], remedy)
        return changed_user(
            user,
            self._licences.terms,
            upn=cells.get("upn") or None,
            display_name=given("display_name"),
            usage_location=given("usage_location", str.upper),
            products=parts(cells["products"]) if "products" in cells else None,
            department=given("department"),
            cost_centre=given("cost_centre"),
        )

    def _check_numbers(self) -> None:
        """Decide the numbers, which are new or the user's already."""
        org_id = self._unit.organisation.org_id
        elsewhere = self._unit.directory.owned_elsewhere(org_id, self._numbers)
        here = self._unit.directory.numbers_by_digits(org_id, self._numbers)
        quotas = NumberQuotas(self._unit, self._licences)
        for digits, (line, user) in self._numbers.items():
            known = here.get(digits)
            free = known is None or known.use == NumberUse.UNASSIGNED.value
            if digits in elsewhere:
                remedy = "it belongs to another organisation; that one must release it first"
                self._file.problems.append(Problem(line, "number", "+" + digits, remedy))
            elif known is not None and not free and known.user_id != user.user_id:
                remedy = f"{whose(known)} has it; release it first"
                self._file.problems.append(Problem(line, "number", "+" + digits, remedy))
            elif free:
                self._take(line, digits, user, known, quotas)

    def _take(self, line: int, digits: str, user: UserView, known: NumberView | None, quotas: NumberQuotas) -> None:
        """Give a user a number that is new, or the organisation's and rings nobody."""
        label, source = (known.label, known.source) if known else ("", "")
        try:
            wanted = number_wanted(digits, user=user, use="", label=label, source=source, licences=self._licences)
            quotas.take(wanted, known)
        except GettoneError as error:
            self._file.wrong(line, error)
        else:
            (self._given if known else self._acquired).append(wanted)

    def write(self) -> ImportedUsers:
        """Write what was decided."""
        unit, moves = self._unit, [move for _, move in self._moves]
        changes = self._licences.write(unit, moves)
        unit.directory.add_numbers(unit.organisation.org_id, self._acquired)
        unit.directory.change_numbers(unit.organisation.org_id, self._given)
        numbers = self._acquired + self._given
        if numbers and not changes:
            unit.directory_changed()
        new = sum(1 for move in moves if move.before is None)
        with_number = {number.user_id for number in numbers}
        changed = sum(
            1
            for move in moves
            if move.before is not None and (move.before != move.after or move.before.user_id in with_number)
        )
        return ImportedUsers(created=new, changed=changed, unchanged=len(moves) - new - changed)


def _new_user(cells: Cells) -> NewUser:
    return NewUser(
        upn=cells.get("upn", ""),
        user_id=cells.get("user_id", ""),
        display_name=cells.get("display_name", ""),
        usage_location=cells.get("usage_location", "").upper(),
        products=parts(cells.get("products", "")),
        resource=_is_resource(cells),
        department=cells.get("department", ""),
        cost_centre=cells.get("cost_centre", ""),
    )


def _is_resource(cells: Cells) -> bool:
    account = cells.get("account", "").lower()
    if account not in ACCOUNTS:
        raise InvalidInput("account", account[:80], "write person or resource")
    return ACCOUNTS[account]


class _NumberBatch:
    """The numbers of a file, against those that are there."""

    def __init__(self, unit: OrganisationUnit, file: CsvFile, now: datetime) -> None:
        self._unit = unit
        self._file = file
        self._licences = Licences(unit, unit.organisation, now)
        self._wanted: dict[str, NumberView] = {}
        self._there: Mapping[str, NumberView] = {}

    def read(self, lines: list[tuple[int, Cells]]) -> None:
        """Decide every line."""
        org_id, directory = self._unit.organisation.org_id, self._unit.directory
        digits_of: dict[int, str] = {}
        for line, cells in lines:
            try:
                digits = checks.digits("number", cells["number"])
            except GettoneError as error:
                self._file.wrong(line, error)
            else:
                if self._file.once(line, "number", "+" + digits):
                    digits_of[line] = digits
        users = self._licences.find(sorted({cells["user"] for _, cells in lines if cells.get("user")}))
        self._there = directory.numbers_by_digits(org_id, digits_of.values())
        elsewhere = directory.owned_elsewhere(org_id, digits_of.values())
        quotas = NumberQuotas(self._unit, self._licences)
        for line, cells in lines:
            if line in digits_of:
                try:
                    self._decide(digits_of[line], cells, users, elsewhere, quotas)
                except GettoneError as error:
                    self._file.wrong(line, error)

    def _decide(
        self, digits: str, cells: Cells, users: Mapping[str, UserView], elsewhere: set[str], quotas: NumberQuotas
    ) -> None:
        if digits in elsewhere:
            raise InvalidInput(
                "number", "+" + digits, "it belongs to another organisation; that one must release it first"
            )
        known, ref = self._there.get(digits), cells.get("user", "")
        if ref and ref not in users:
            read_user(self._unit, self._unit.organisation.org_id, ref)
        wanted = number_wanted(
            digits,
            user=users[ref] if ref else None,
            use=cells.get("use", "").lower(),
            label=cells.get("label", known.label if known else ""),
            source=cells.get("source", "").lower() or (known.source if known else ""),
            licences=self._licences,
        )
        free = known is None or known.use == NumberUse.UNASSIGNED.value
        if known is not None and not free and (known.use, known.user_id) != (wanted.use, wanted.user_id):
            raise InvalidInput("number", "+" + digits, f"{whose(known)} has it; release it first")
        quotas.take(wanted, known)
        self._wanted[digits] = wanted

    def write(self) -> ImportedUsers:
        """Write what was decided."""
        org_id = self._unit.organisation.org_id
        new = [wanted for digits, wanted in self._wanted.items() if digits not in self._there]
        changed = [
            (self._there[digits], wanted)
            for digits, wanted in self._wanted.items()
            if digits in self._there and self._there[digits] != wanted
        ]
        self._unit.directory.add_numbers(org_id, new)
        self._unit.directory.change_numbers(org_id, [wanted for _, wanted in changed])
        if new or any((old.use, old.user_id) != (wanted.use, wanted.user_id) for old, wanted in changed):
            self._unit.directory_changed()
        unchanged = len(self._wanted) - len(new) - len(changed)
        return ImportedUsers(created=len(new), changed=len(changed), unchanged=unchanged)
