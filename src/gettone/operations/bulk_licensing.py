"""Licences from a CSV file: thousands of users in one command, tried beforehand, and undone by the file it gives back.

A line names a user once, what to add and what to remove, and if wanted the usage location to set in the same step
(``-`` takes it away) and unassigned numbers that are to ring the user. Products are separated by blanks or any of
``, ; | +``; each may have service plans switched off behind exclamation marks: ``SPE_E5!MCOEV``.

The undo file holds a line for every user who was changed, and takes everybody back to what they held and where they
were, with the numbers that the change unassigned. A number that the change gave is unassigned again when the undo takes
the Calling Plan away; otherwise it stays with the user. An undo does not ask the rules of what may be held together: a
state from before a rule may come back. Counts are asked always.

The file is decided on what is read without any lock, so that calls go on; then the wallet is locked, and what was
decided is written in one transaction if nothing it rests on has changed meanwhile. If it has, the file is decided again
under the lock.
"""

import contextlib
import csv
import io
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import msgspec

from gettone.domain.catalogue import Terms
from gettone.domain.licences import Violation, ViolationKind, sku_of
from gettone.errors import GettoneError, InvalidInput, Problem
from gettone.operations import checks
from gettone.operations.csv_files import Cells, CsvFile, parts
from gettone.operations.licence_moves import Licences, Move
from gettone.operations.licensing import CLEARED, ChangeReader, LicenceChange
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.views import OrganisationView, UserView

COLUMNS = ("user", "add", "remove", "usage_location", "number")

Progress = Callable[[int, int], None]
"""Told how many lines of how many are done."""

_EVERY = 1000
_COLUMN_OF = {ViolationKind.USAGE_LOCATION: "usage_location", ViolationKind.NUMBER: "number"}


class BulkOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a file did, or would do; *written* False after a dry run, or when a refusal kept everything as it was.

    *problems* are in order of line; *refused* counts the lines that have any. *gained* and *lost* count licences by
    product. *consequences* say, with how many users each concerns, what is taken away. *undo_csv* takes everybody back.
    """

    lines: int
    changed: int
    unchanged: int
    refused: int
    written: bool
    gained: dict[str, int]
    lost: dict[str, int]
    numbers_unassigned: int
    consequences: tuple[tuple[str, int], ...]
    problems: tuple[Problem, ...]
    undo_csv: str


class _NothingWritten(Exception):
    pass


def import_licences(
    office: Office,
    org_id: str,
    data: bytes,
    now: datetime,
    *,
    name: str = "licences.csv",
    dry_run: bool = False,
    partial: bool = False,
    undo: bool = False,
    progress: Progress | None = None,
) -> BulkOutcome:
    """Assign and remove licences from a CSV with a header of `COLUMNS`, of which ``user`` is needed.

    Without *partial* a file with any bad line changes nothing; with it the good lines are done. With *undo* the file is
    an undo file. Raises `NotFound`, or `InvalidFile` when it is no such file at all.
    """
    file = CsvFile(name)
    lines = list(file.lines(data, COLUMNS, {"user"}))
    reading = _Reading(name, lines, tuple(file.problems), now, progress or (lambda _done, _total: None), undo=undo)
    with office.read() as unit:
        batch = reading.decided(unit, unit.directory.organisation(org_id), unit.money.account(org_id).directory_version)
    written = not dry_run and (partial or not batch.problems)
    outcome = batch.outcome(written=written)
    if not written:
        return outcome
    with contextlib.suppress(_NothingWritten), office.write(org_id) as writing:
        if not batch.still_holds(writing):
            batch = reading.decided(writing, writing.organisation, writing.account.directory_version)
            written = partial or not batch.problems
            outcome = batch.outcome(written=written)
            _end_unless(written)
        batch.write(writing)
    reading.tell(len(lines), len(lines))
    return outcome


def _end_unless(written: bool) -> None:  # noqa: FBT001  It reads as a sentence where it is called.
    if not written:
        raise _NothingWritten


@dataclass(frozen=True, slots=True)
class _Basis:
    """What a decision rests on, beside the numbers that it moves."""

    directory_version: int
    organisation: OrganisationView
    terms: Terms
    purchased: Mapping[str, int]


class _Reading:
    """A file that was read, to be decided once or twice."""

    def __init__(
        self,
        name: str,
        lines: Sequence[tuple[int, Cells]],
        problems: tuple[Problem, ...],
        now: datetime,
        tell: Progress,
        *,
        undo: bool,
    ) -> None:
        self._name = name
        self._lines = lines
        self._problems = problems
        self._now = now
        self._undo = undo
        self.tell = tell

    def decided(self, unit: Unit, organisation: OrganisationView, directory_version: int) -> "_Batch":
        """Decide every line on what *unit* shows."""
        batch = _Batch(unit, organisation, CsvFile(self._name, list(self._problems)), self._now, directory_version)
        batch.decide(self._lines, self.tell, by_rules=not self._undo)
        return batch


class _Batch:
    """The lines of a file, against the users that are there."""

    def __init__(
        self, unit: Unit, organisation: OrganisationView, file: CsvFile, now: datetime, directory_version: int
    ) -> None:
        self.licences = Licences(unit, organisation, now)
        self._basis = _Basis(directory_version, organisation, self.licences.terms, self.licences.purchased)
        self._now = now
        self._unit = unit
        self._file = file
        self._moves: list[tuple[int, Cells, Move]] = []
        self._lines = 0

    @property
    def problems(self) -> Sequence[Problem]:
        """Everything that is wrong."""
        return self._file.problems

    def still_holds(self, unit: OrganisationUnit) -> bool:
        """Whether *unit* shows what was decided on."""
        now = Licences(unit, unit.organisation, self._now)
        basis = _Basis(unit.account.directory_version, unit.organisation, now.terms, now.purchased)
        moved = (one for move in self.good if move.lost or move.given for one in move.numbers_before)
        numbers = {one.number.lstrip("+"): one for one in moved}
        return basis == self._basis and numbers == unit.directory.numbers_by_digits(self.licences.org_id, numbers)

    def write(self, unit: OrganisationUnit) -> None:
        """Write the good lines; *unit* shows what was decided on."""
        Licences(unit, unit.organisation, self._now).write(unit, self.good)

    @property
    def good(self) -> list[Move]:
        """The moves that nothing speaks against."""
        return [move for _, _, move in self._moves if not move.violations]

    def decide(self, lines: Sequence[tuple[int, Cells]], tell: Progress, *, by_rules: bool) -> None:
        """Decide every line, then all of them together."""
        self._lines = len(lines) + len({problem.line for problem in self._file.problems})
        users = self.licences.find([cells["user"] for _, cells in lines])
        changes = self._changes(lines)
        reader = ChangeReader(self.licences)
        reader.load_numbers(self._unit, changes.values())
        for done, (line, cells) in enumerate(lines):
            if done % _EVERY == 0:
                tell(done, len(lines))
            if line in changes:
                try:
                    self._read(line, cells, changes[line], users, reader)
                except GettoneError as error:
                    self._file.wrong(line, error)
        self.licences.judge([move for _, _, move in self._moves], by_rules=by_rules)
        for line, cells, move in self._moves:
            for violation in move.violations:
                self._file.problems.append(_problem(line, cells, violation))

    def _changes(self, lines: Iterable[tuple[int, Cells]]) -> dict[int, LicenceChange]:
        """What each line asks for; a line with a malformed number becomes a problem."""
        changes: dict[int, LicenceChange] = {}
        for line, cells in lines:
            try:
                numbers = tuple("+" + checks.digits("number", "+" + one) for one in parts(cells.get("number", "")))
                changes[line] = LicenceChange(
                    user=cells["user"],
                    add=parts(cells.get("add", "")),
                    remove=parts(cells.get("remove", "")),
                    usage_location=cells.get("usage_location", "").upper(),
                    numbers=numbers,
                )
            except GettoneError as error:
                self._file.wrong(line, error)
        return changes

    def _read(
        self, line: int, cells: Cells, change: LicenceChange, users: Mapping[str, UserView], reader: ChangeReader
    ) -> None:
        user = users.get(change.user)
        if user is None:
            remedy = f"there is no user with this id or user principal name in {self.licences.org_id}; correct it"
            raise InvalidInput("user", change.user, remedy)
        if self._file.once(line, "user", user.upn):
            self._moves.append((line, cells, reader.move(user, change)))

    def outcome(self, *, written: bool) -> BulkOutcome:
        """What the good lines do."""
        gained: Counter[str] = Counter()
        lost: Counter[str] = Counter()
        said: Counter[str] = Counter()
        changing = [move for move in self.good if move.changes]
        for step, count in Counter(map(self.licences.step, changing)).items():
            for sums, names in ((gained, step.gained), (lost, step.lost), (said, step.consequences)):
                sums.update(dict.fromkeys(names, count))
        refused = len({problem.line for problem in self._file.problems})
        return BulkOutcome(
            lines=self._lines,
            changed=len(changing),
            unchanged=self._lines - refused - len(changing),
            refused=refused,
            written=written,
            gained=dict(sorted(gained.items())),
            lost=dict(sorted(lost.items())),
            numbers_unassigned=sum(len(move.lost) for move in changing),
            consequences=tuple(sorted(said.items())),
            problems=tuple(sorted(self._file.problems, key=lambda problem: problem.line)),
            undo_csv=_undo(changing) if written else "",
        )


def _problem(line: int, cells: Cells, violation: Violation) -> Problem:
    column = _COLUMN_OF.get(violation.kind, "add" if cells.get("add") else "remove")
    return Problem(line, column, violation.product or cells.get(column, ""), str(violation))


def _undo(moves: Iterable[Move]) -> str:
    """The file that takes everybody back."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for move in moves:
        before, after = move.before, move.after
        assert before is not None, "only users who are there are changed"
        assert after is not None, "nobody is removed"
        held = set(before.products)
        add = [licence for licence in before.licences if licence not in after.licences]
        remove = [sku for sku in map(sku_of, after.licences) if sku not in held]
        moved = before.usage_location != after.usage_location
        location = (before.usage_location or CLEARED) if moved else ""
        numbers = " ".join(number.number for number in move.lost)
        writer.writerow([before.user_id, " ".join(add), " ".join(remove), location, numbers])
    return text.getvalue()
