"""Assign licences to users and take them away: one user, a selection, or a list of changes, in one transaction.

`change_licences` is the heart. Without *partial* any refusal keeps everything as it was, and every refusal is reported;
with it the good changes are done and the others reported. A dry run computes the same report and writes nothing.

A change may name the version of the user that it was decided on; when somebody changed the user meanwhile it is
refused. Sources: seeds 002 and 004 (assigning Communications Credits), facts section 3.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

import msgspec

from gettone.domain.catalogue import Terms
from gettone.domain.licences import Violation, ViolationKind, numbers_lost, sku_of
from gettone.domain.parties import NumberUse
from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.licence_moves import Licences, LicencesRefused, Move, no_such_user
from gettone.operations.number_rules import NumberQuotas, number_wanted
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.paging import check_limit, page
from gettone.operations.views import NumberView, OrganisationView, Page, UserView

CLEARED = "-"
"""As a usage location: none."""


class LicenceChange(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of one *user* (user id or user principal name).

    *add* are products, each with the service plans switched off in it behind exclamation marks; one that is held
    already gets these plans. *remove* are products; one that is not held is no error. *exactly*, when given, replaces
    all. *usage_location* is set in the same step, ``-`` takes it away. *numbers* are unassigned numbers of the
    organisation's that are to ring the user.
    """

    user: str
    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    exactly: tuple[str, ...] | None = None
    usage_location: str = ""
    numbers: tuple[str, ...] = ()
    if_version: int | None = None


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Users by name, or all who meet every condition that is given; *holds* is a product.

    A condition that is only blanks is refused: it would meet everybody.
    """

    users: tuple[str, ...] = ()
    search: str = ""
    department: str = ""
    cost_centre: str = ""
    usage_location: str = ""
    holds: str = ""


class LicenceOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did, or would do, to one user; nothing while there are *violations*.

    *user* is as asked for. *consequences* say what is taken away. *version* is that of the user afterwards.
    """

    user: str
    user_id: str = ""
    upn: str = ""
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    location_before: str = ""
    location_after: str = ""
    numbers_unassigned: tuple[str, ...] = ()
    numbers_given: tuple[str, ...] = ()
    consequences: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    version: int = 0

    @property
    def changes(self) -> bool:
        """Whether the user is another afterwards."""
        same = self.before == self.after and self.location_before == self.location_after
        return not self.violations and (not same or bool(self.numbers_unassigned or self.numbers_given))


class LicenceReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of changes did; *written* False when it was a dry run, or everything stayed because of a refusal."""

    outcomes: tuple[LicenceOutcome, ...]
    changed: int
    unchanged: int
    refused: int
    written: bool


def assign(
    office: Office,
    org_id: str,
    ref: str,
    now: datetime,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    usage_location: str = "",
    dry_run: bool = False,
    if_version: int | None = None,
) -> LicenceOutcome:
    """Assign and remove products of one user, in one step.

    Raises `NotFound`, `InvalidInput`, or `LicencesRefused` with every violation; a dry run returns these instead.
    """
    change = LicenceChange(
        user=ref, add=tuple(add), remove=tuple(remove), usage_location=usage_location, if_version=if_version
    )
    return _one(office, org_id, change, now, dry_run=dry_run)


def set_exactly(
    office: Office,
    org_id: str,
    ref: str,
    licences: Iterable[str],
    now: datetime,
    *,
    dry_run: bool = False,
    if_version: int | None = None,
) -> LicenceOutcome:
    """Let one user hold exactly these licences. Raises as `assign` does."""
    change = LicenceChange(user=ref, exactly=tuple(licences), if_version=if_version)
    return _one(office, org_id, change, now, dry_run=dry_run)


def assign_selection(
    office: Office,
    org_id: str,
    selection: Selection,
    now: datetime,
    *,
    add: Iterable[str] = (),
    remove: Iterable[str] = (),
    partial: bool = False,
    dry_run: bool = False,
) -> LicenceReport:
    """Assign and remove products of every user of a selection. Raises `NotFound` or `InvalidInput`.

    Who is refused, and why, stands in the report; without *partial* one refusal keeps everybody as they were.
    """
    added, removed = tuple(add), tuple(remove)
    _check_selection(selection)

    def changes(unit: Unit) -> list[LicenceChange]:
        refs = dict.fromkeys(selection.users) or _selected(unit, unit.directory.organisation(org_id), selection, now)
        return [LicenceChange(user=ref, add=added, remove=removed) for ref in refs]

    return run(office, org_id, now, changes, partial=partial, dry_run=dry_run)


def change_licences(
    unit: OrganisationUnit, changes: Sequence[LicenceChange], now: datetime, *, partial: bool = False
) -> LicenceReport:
    """Do all of *changes* in this unit, or with *partial* those that nothing speaks against, and report on each.

    Raises `InvalidInput` for a product that is not known or a usage location that is none.
    """
    licences, moves = _judged(unit, unit.organisation, changes, now)
    return write_moves(unit, licences, [change.user for change in changes], moves, partial=partial)


def plan_changes(
    unit: Unit, organisation: OrganisationView, changes: Sequence[LicenceChange], now: datetime
) -> LicenceReport:
    """What `change_licences` would do: writes nothing."""
    licences, moves = _judged(unit, organisation, changes, now)
    return report_on(licences, [change.user for change in changes], moves, written=False)


def holders(
    office: Office, org_id: str, product: str, now: datetime, *, cursor: str = "", limit: int = 100
) -> Page[UserView]:
    """Users who hold a product, in order of user principal name. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    with office.read() as unit:
        licences = Licences(unit, unit.directory.organisation(org_id), now)
        sku = checks.product(product, licences.terms).sku
        return page(unit.licences.holders(org_id, sku, cursor, limit + 1), limit, lambda user: user.upn)


def _one(office: Office, org_id: str, change: LicenceChange, now: datetime, *, dry_run: bool) -> LicenceOutcome:
    [outcome] = run(office, org_id, now, lambda _: [change], dry_run=dry_run).outcomes
    if any(one.kind is ViolationKind.UNKNOWN_USER for one in outcome.violations):
        raise NotFound(no_such_user(org_id, change.user))
    if outcome.violations and not dry_run:
        raise LicencesRefused(outcome.upn, outcome.violations)
    return outcome


# -- how it is done ----------------------------------------------------------------------------------------------------


class _KeptAsItWas(Exception):
    def __init__(self, report: LicenceReport) -> None:
        self.report = report
        super().__init__()


def end_without_trace(report: LicenceReport) -> LicenceReport:
    """Return a report of something written; else end the unit, which `run` answers with the report."""
    if not report.written:
        raise _KeptAsItWas(report)
    return report


def run(
    office: Office,
    org_id: str,
    now: datetime,
    changes_of: Callable[[Unit], Sequence[LicenceChange]],
    *,
    partial: bool = False,
    dry_run: bool = False,
) -> LicenceReport:
    """Find the changes and do them, in one unit; a report of which nothing was written leaves no trace."""
    if dry_run:
        with office.read() as unit:
            return plan_changes(unit, unit.directory.organisation(org_id), changes_of(unit), now)
    try:
        with office.write(org_id) as unit:
            return end_without_trace(change_licences(unit, changes_of(unit), now, partial=partial))
    except _KeptAsItWas as kept:
        return kept.report


def _judged(
    unit: Unit, organisation: OrganisationView, changes: Sequence[LicenceChange], now: datetime
) -> tuple[Licences, list[Move]]:
    licences = Licences(unit, organisation, now)
    users = licences.find([change.user for change in changes])
    moves: list[Move] = []
    seen: set[str] = set()
    read = ChangeReader(licences)
    read.load_numbers(unit, changes)
    for change in changes:
        user = users.get(change.user)
        if user is None:
            sentence = f"{no_such_user(organisation.org_id, change.user)}."
            remedy = f"List the users: gettone users list {organisation.org_id}"
            moves.append(Move(None, None, [Violation(ViolationKind.UNKNOWN_USER, "", sentence, remedy)]))
        elif user.user_id in seen:
            sentence = f"User {user.upn} stands in this list twice."
            moves.append(Move(None, None, [Violation(ViolationKind.DUPLICATE_USER, "", sentence, "Leave one out.")]))
        else:
            seen.add(user.user_id)
            moves.append(read.move(user, change))
    licences.judge(moves)
    return licences, moves


class ChangeReader:
    """Makes moves of changes; what many of them have in common is read once."""

    def __init__(self, licences: Licences) -> None:
        """Read by the terms of *licences*."""
        self._licences = licences
        self._terms: Terms = licences.terms
        self._after: dict[tuple[object, ...], tuple[str, ...]] = {}
        self._numbers: Mapping[str, NumberView] = {}
        self._quotas: NumberQuotas | None = None
        self._promised: dict[str, str] = {}

    def load_numbers(self, unit: Unit, changes: Iterable[LicenceChange]) -> None:
        """Look up the numbers that are to be given."""
        wanted = {checks.digits("numbers", number) for change in changes for number in change.numbers}
        if wanted:
            self._quotas = NumberQuotas(unit, self._licences)
            self._numbers = unit.directory.numbers_by_digits(self._licences.org_id, wanted)

    def move(self, user: UserView, change: LicenceChange) -> Move:
        """The user as the change wants it. Raises `InvalidInput`."""
        licences = self._licences_after(user.licences, change)
        location = user.usage_location
        if change.usage_location:
            location = (
                "" if change.usage_location == CLEARED else checks.country("usage_location", change.usage_location)
            )
        after = user
        if licences != user.licences or location != user.usage_location:
            after = msgspec.structs.replace(user, licences=licences, usage_location=location)
        move = Move(user, after, licences_only=True)
        if change.if_version is not None and change.if_version != user.version:
            move.violations.append(_changed_meanwhile(user, change.if_version))
        if change.numbers:
            self._give(move, change.numbers)
        return move

    def _licences_after(self, held: tuple[str, ...], change: LicenceChange) -> tuple[str, ...]:
        key = (held, change.add, change.remove, change.exactly)
        found = self._after.get(key)
        if found is None:
            found = self._after[key] = self._changed(held, change)
        return found

    def _changed(self, held: tuple[str, ...], change: LicenceChange) -> tuple[str, ...]:
        added = {sku_of(one): one for one in checks.licences(change.add, self._terms, field="add")}
        removed = set(checks.products(change.remove, self._terms, field="remove"))
        for sku in sorted(removed & added.keys()):
            raise InvalidInput("remove", sku, "it is to be added as well; write it on one side")
        if change.exactly is not None:
            return checks.licences(change.exactly, self._terms)
        kept = {sku_of(licence): licence for licence in held if sku_of(licence) not in removed}
        return tuple(sorted({**kept, **added}.values()))

    def _give(self, move: Move, numbers: Iterable[str]) -> None:
        assert move.after is not None, "numbers are given to somebody"
        given: list[NumberView] = []
        for digits in dict.fromkeys(checks.digits("numbers", number) for number in numbers):
            known = self._numbers.get(digits)
            if known is not None and known.user_id == move.after.user_id:
                continue
            found = self._take(digits, known, move.after)
            if isinstance(found, Violation):
                move.violations.append(found)
            else:
                given.append(found)
        move.given = tuple(given)

    def _take(self, digits: str, known: NumberView | None, user: UserView) -> NumberView | Violation:
        """The number as it will ring the user, or why it cannot; the same is asked as when it is assigned by itself."""
        number, remedy = f"+{digits}", ""
        sentence = f"The number {number} cannot ring {user.upn}."
        if known is None or known.use != NumberUse.UNASSIGNED.value:
            sentence = f"The number {number} is not an unassigned number of the organisation's."
            remedy = f"See which are: gettone numbers list {self._licences.org_id}"
        elif digits in self._promised:
            sentence = f"The number {number} is given to {self._promised[digits]} in this list already."
            remedy = "A number rings one user; leave one out."
        else:
            assert self._quotas is not None, "numbers are looked up before they are given"
            try:
                wanted = number_wanted(
                    digits, user=user, use="", label=known.label, source=known.source, licences=self._licences
                )
                self._quotas.take(wanted, known)
            except InvalidInput as error:
                remedy = error.remedy[:1].upper() + error.remedy[1:]
            except Conflict as error:
                remedy = str(error)
            else:
                self._promised[digits] = user.upn
                return wanted
        return Violation(ViolationKind.NUMBER, "", sentence, remedy)


def changed_meanwhile(user: UserView, version: int) -> Conflict:
    """The error for a change that was decided on another version of the user."""
    return Conflict(f"{user.upn}: {_changed_meanwhile(user, version)}")


def _changed_meanwhile(user: UserView, version: int) -> Violation:
    held = ", ".join(user.licences) or "no licences"
    return Violation(
        ViolationKind.CHANGED_MEANWHILE,
        "",
        f"The user was changed meanwhile: version {user.version}, not {version}; holds {held} now.",
        "Read the user again, and decide anew.",
    )


def write_moves(
    unit: OrganisationUnit, licences: Licences, refs: Sequence[str], moves: Sequence[Move], *, partial: bool
) -> LicenceReport:
    """Write judged moves, unless one is refused and *partial* is not wanted; report on each."""
    written = partial or not any(move.violations for move in moves)
    if written:
        licences.write(unit, moves)
    return report_on(licences, refs, moves, written=written)


def report_on(licences: Licences, refs: Sequence[str], moves: Sequence[Move], *, written: bool) -> LicenceReport:
    """What judged moves do."""
    outcomes = tuple(_outcome(licences, ref, move) for ref, move in zip(refs, moves, strict=True))
    refused = sum(1 for one in outcomes if one.violations)
    changed = sum(1 for one in outcomes if one.changes)
    return LicenceReport(
        outcomes=outcomes,
        changed=changed,
        unchanged=len(outcomes) - refused - changed,
        refused=refused,
        written=written,
    )


def _outcome(licences: Licences, ref: str, move: Move) -> LicenceOutcome:
    before, after = move.before, move.after
    if before is None or after is None:
        return LicenceOutcome(user=ref, violations=tuple(move.violations))
    return LicenceOutcome(
        user=ref,
        user_id=after.user_id,
        upn=after.upn,
        before=before.licences,
        after=after.licences,
        location_before=before.usage_location,
        location_after=after.usage_location,
        numbers_unassigned=tuple(number.number for number in move.lost),
        numbers_given=tuple(number.number for number in move.given),
        consequences=(*licences.step(move).consequences, *numbers_lost(number.number for number in move.lost)),
        violations=tuple(move.violations),
        version=before.version + (before != after and not move.violations),
    )


def _check_selection(selection: Selection) -> None:
    """Raise `InvalidInput` when it names nobody, or has a condition that says nothing."""
    if selection == Selection():
        raise InvalidInput("selection", "", "name users, or give a condition that they meet")
    for field in ("search", "department", "cost_centre", "usage_location", "holds"):
        value = getattr(selection, field)
        if value and not value.strip():
            raise InvalidInput(field, value, "it is only blanks; write what the users have in common, or leave it out")


def _selected(unit: Unit, organisation: OrganisationView, selection: Selection, now: datetime) -> list[str]:
    """The ids of the users who meet every condition."""
    sku = checks.product(selection.holds, Licences(unit, organisation, now).terms).sku if selection.holds else ""
    search = selection.search.strip().lower()
    return [
        user.user_id
        for user in unit.directory.all_users(organisation.org_id)
        if (not sku or sku in user.products)
        and (not selection.usage_location or user.usage_location == selection.usage_location)
        and (not selection.department or user.department == selection.department)
        and (not selection.cost_centre or user.cost_centre == selection.cost_centre)
        and any(search in text.lower() for text in (user.upn, user.display_name, user.user_id))
    ]
