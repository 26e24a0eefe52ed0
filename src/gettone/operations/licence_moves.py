"""What follows when users come, change or go: licences are counted, rules asked, pools resized (D7, D8).

A `Move` is one user before and after. `Licences.judge` finds everything that speaks against a set of moves, over the
whole set: the rules of `gettone.domain.licences`, and whether the organisation owns enough. `Licences.write` does those
that nothing speaks against. Equal moves are decided once, so that a hundred thousand take seconds.

What an organisation owns is what its subscriptions say, and what comes with it without being bought. Only a product of
which more would be assigned than before is counted against what is owned.

Removing the last Calling Plan unassigns the user's numbers that came with a plan or were ported; they stay with the
organisation (facts section 3). A swap in one move keeps them.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

import msgspec

from gettone.domain import licences as rules
from gettone.domain.licences import Holding, Rules, Violation, ViolationKind
from gettone.domain.parties import NumberUse
from gettone.errors import Conflict
from gettone.operations.office import OrganisationUnit, Unit
from gettone.operations.pool_sizes import holding_of, move_pools
from gettone.operations.terms import terms_now
from gettone.operations.views import NumberView, OrganisationView, UserView

ONE_BY_ONE_MAX = 5000
"""So many users are looked up by name; for more the whole directory is read."""

TERMS_ARE_NEW_FOR = timedelta(hours=1)
"""So long after a day began with other terms nobody relies on the pools having been counted by them."""


class LicencesRefused(Conflict):
    """A change of licences that was refused; *violations* are all the reasons."""

    def __init__(self, user: str, violations: Sequence[Violation]) -> None:
        """Name the *user* and every reason."""
        self.violations = tuple(violations)
        super().__init__("\n".join(f"{user}: {violation}" for violation in self.violations))


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What moves from one holding to another have in common; decided once for all of them, and told by identity."""

    before: Holding
    after: Holding
    violations: tuple[Violation, ...]
    gained: frozenset[str]
    lost: frozenset[str]
    loses_calling: bool
    consequences: tuple[str, ...]


@dataclass(slots=True)
class Move:
    """A user before and after a change; None is one who was not there, or is no more.

    *violations* speak against it. *lost* are the numbers that it unassigns, *given* unassigned ones that it assigns.
    With *licences_only* nothing but licences and usage location may differ, which is all that is written then.
    """

    before: UserView | None
    after: UserView | None
    violations: list[Violation] = field(default_factory=list)
    lost: tuple[NumberView, ...] = ()
    given: tuple[NumberView, ...] = ()
    step: Step | None = None
    licences_only: bool = False

    @property
    def user(self) -> str:
        """The user principal name, for people."""
        shown = self.after or self.before
        return shown.upn if shown else ""

    @property
    def numbers_before(self) -> tuple[NumberView, ...]:
        """The numbers that it moves, as they are before."""
        return (*self.lost, *map(_unassigned, self.given))

    @property
    def changes(self) -> bool:
        """Whether there is anything to write."""
        return self.before != self.after or bool(self.lost or self.given)


def no_such_user(org_id: str, ref: str) -> str:
    """The sentence for a user who is not there."""
    return f"user {ref!r}: organisation {org_id!r} has none with this user id or user principal name"


def purchased(unit: Unit, org_id: str) -> dict[str, int]:
    """How many licences of each product an organisation has bought and not given back."""
    owned: Counter[str] = Counter()
    for one in unit.licences.subscriptions(org_id):
        owned[one.sku] += one.quantity
    return dict(owned)


class Licences:
    """The licences of one organisation, as one unit sees them."""

    def __init__(self, unit: Unit, organisation: OrganisationView, now: datetime) -> None:
        """Decide by the terms of the day that it is for *organisation*."""
        self.organisation = organisation
        self.org_id = organisation.org_id
        self.terms = terms_now(unit, organisation, now)
        self._unit = unit
        self._now = now
        self._rules = Rules(self.terms, organisation.country)
        self._steps: dict[tuple[object, ...], Step] = {}

    @cached_property
    def purchased(self) -> Mapping[str, int]:
        """Bought licences by product."""
        return purchased(self._unit, self.org_id)

    @cached_property
    def owned(self) -> Mapping[str, int]:
        """Licences that may be assigned by product: bought ones, and those that come with them."""
        return Counter(self.purchased) + Counter(rules.included_licences(self.purchased, self.terms))

    @cached_property
    def terms_are_new(self) -> bool:
        """Whether other terms counted a short while ago."""
        return terms_now(self._unit, self.organisation, self._now - TERMS_ARE_NEW_FOR) is not self.terms

    @cached_property
    def assigned(self) -> Mapping[str, int]:
        """How many users hold each product."""
        return self._unit.licences.assigned(self.org_id)

    def find(self, refs: Sequence[str]) -> Mapping[str, UserView]:
        """Users by user id or user principal name; those of a long list without their numbers."""
        if len(refs) <= ONE_BY_ONE_MAX:
            return self._unit.directory.users_by_ref(self.org_id, refs)
        by_ref: dict[str, UserView] = {}
        by_id: dict[str, UserView] = {}
        for user in self._unit.directory.all_users(self.org_id):
            by_ref[user.upn] = user
            by_id[user.user_id] = user
        return {ref: found for ref in refs if (found := by_id.get(ref) or by_ref.get(ref.lower()))}

    def accept(self, move: Move) -> None:
        """Judge one move; raises `LicencesRefused` when something speaks against it."""
        self.judge([move])
        if move.violations:
            raise LicencesRefused(move.user, move.violations)

    def judge(self, moves: Sequence[Move], *, by_rules: bool = True) -> None:
        """Find what speaks against *moves*, over all of them together, and which numbers they unassign.

        Without *by_rules* only what is owned is asked: for a way back to what was held before.
        """
        for move in moves:
            step = self.step(move)
            if step.violations and by_rules:
                move.violations += [one.told_to(self.org_id, move.user) for one in step.violations]
        self._find_shortages(moves)
        losers = {
            move.before.user_id: move
            for move in moves
            if move.before is not None
            and move.after is not None
            and not move.violations
            and self.step(move).loses_calling
        }
        for user_id, numbers in self._plan_numbers(losers).items():
            losers[user_id].lost = tuple(numbers)

    def step(self, move: Move) -> Step:
        """What a move has in common with all like it; *consequences* leave out the numbers that it unassigns."""
        if move.step is None:
            key = (*_key(move.before), *_key(move.after))
            found = self._steps.get(key)
            if found is None:
                found = self._steps[key] = self._make_step(holding_of(move.before), holding_of(move.after))
            move.step = found
        return move.step

    def _make_step(self, before: Holding, after: Holding) -> Step:
        had, has = frozenset(before.products), frozenset(after.products)
        same = before == after
        return Step(
            before,
            after,
            violations=() if same else self._rules.violations(before, after),
            gained=has - had,
            lost=had - has,
            loses_calling=before.licences != after.licences and rules.loses_calling(before, after, self.terms),
            consequences=() if same else rules.consequences(before, after, self.terms, self.organisation.country),
        )

    def write(self, unit: OrganisationUnit, moves: Iterable[Move]) -> int:
        """Write the moves that nothing speaks against, with all that follows; returns how many changed something."""
        done = [move for move in moves if not move.violations and move.changes]
        self._relicense(unit, done)
        pairs = [(move.before, move.after) for move in done if not move.licences_only]
        unit.directory.add_users(self.org_id, [after for before, after in pairs if after and not before])
        unit.directory.change_users(
            self.org_id, [after for before, after in pairs if before and after and before != after]
        )
        for before, after in pairs:
            if before and not after:
                unit.directory.remove_user(self.org_id, before.user_id)
        unassigned = [_unassigned(number) for move in done for number in move.lost]
        unit.directory.change_numbers(self.org_id, unassigned + [number for move in done for number in move.given])
        self._count(unit, done)
        if done:
            unit.directory_changed()
        return len(done)

    def _relicense(self, unit: OrganisationUnit, done: Iterable[Move]) -> None:
        """Write what only licences and usage location differ in, all who end up alike with one statement."""
        alike: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for move in done:
            if move.licences_only and move.after is not None and move.before != move.after:
                alike.setdefault((move.after.usage_location, move.after.licences), []).append(move.after.user_id)
        for (location, licences), user_ids in alike.items():
            unit.directory.set_licences(self.org_id, user_ids, location, licences)

    # -- counting ------------------------------------------------------------------------------------------------------

    def _find_shortages(self, moves: Sequence[Move]) -> None:
        """Refuse what is more than owned, later moves before earlier ones; what a refused move frees does not count."""
        asked = self._gains(self._counted(moves))
        if not asked:
            return
        while True:
            counted = self._counted(moves)
            free = {sku: self.owned.get(sku, 0) - self.assigned.get(sku, 0) for sku in asked}
            for step, count in counted.items():
                for sku in step.lost & asked.keys():
                    free[sku] += count
            if all(count <= free[sku] for sku, count in self._gains(counted).items()):
                return
            for move in moves:
                if not move.violations:
                    self._take(move, free, asked)

    @staticmethod
    def _gains(counted: Mapping[Step, int]) -> Counter[str]:
        gains: Counter[str] = Counter()
        for step, count in counted.items():
            for sku in step.gained:
                gains[sku] += count
        return gains

    def _counted(self, moves: Iterable[Move]) -> Counter[Step]:
        """How many moves of each step nothing speaks against."""
        return Counter(self.step(move) for move in moves if not move.violations)

    def _take(self, move: Move, free: dict[str, int], asked: Mapping[str, int]) -> None:
        """Take a move's licences from those that are free; it is refused when there are not enough."""
        gained = self.step(move).gained
        missing = sorted(sku for sku in gained if free[sku] < 1)
        move.violations += [self._shortage(sku, asked[sku]) for sku in missing]
        if not missing:
            for sku in gained:
                free[sku] -= 1

    def _shortage(self, sku: str, asked: int) -> Violation:
        owned, assigned = self.owned.get(sku, 0), self.assigned.get(sku, 0)
        short = max(1, assigned + asked - owned)
        product = self.terms.products.get(sku)
        quantity = "" if product is not None and product.per_order else f" {short}"
        return Violation(
            ViolationKind.COUNT,
            sku,
            f"Not enough licences of {sku}: {owned:,} owned, {assigned:,} assigned, {asked:,} more asked for.",
            f"Buy more: gettone licences buy {self.org_id} {rules.typed(sku)}{quantity}",
        )

    def _count(self, unit: OrganisationUnit, done: Iterable[Move]) -> None:
        """Count licences by product and by pool."""
        products: Counter[str] = Counter()
        pools: Counter[str] = Counter()
        country = self.organisation.country
        for step, count in Counter(self.step(move) for move in done).items():
            for holding, sign in ((step.before, -count), (step.after, count)):
                for sku in holding.products:
                    products[sku] += sign
                for key in rules.pools_of(holding, country, self.terms):
                    pools[key] += sign
        counts = {sku: self.assigned.get(sku, 0) + change for sku, change in products.items() if change}
        assert all(count >= 0 for count in counts.values()), "a licence is given back once"
        if counts:
            unit.licences.write_assigned(self.org_id, counts)
        moved = {key: change for key, change in pools.items() if change}
        if moved:
            move_pools(unit, self, moved)

    # -- numbers -------------------------------------------------------------------------------------------------------

    def _plan_numbers(self, user_ids: Collection[str]) -> dict[str, list[NumberView]]:
        """The numbers that ring these users only while they have a Calling Plan."""
        found: dict[str, list[NumberView]] = {}
        for number in self._numbers_of(user_ids) if user_ids else ():
            needs_a_plan = number.use == NumberUse.USER.value and number.source in rules.RING_WITH_A_PLAN
            if needs_a_plan and number.user_id in user_ids:
                found.setdefault(number.user_id, []).append(number)
        return found

    def _numbers_of(self, user_ids: Collection[str]) -> Iterator[NumberView]:
        """Numbers, among them all of these users'."""
        directory = self._unit.directory
        if len(user_ids) <= ONE_BY_ONE_MAX:
            users = directory.users_by_ref(self.org_id, user_ids)
            digits = [number.lstrip("+") for user in users.values() for number in user.numbers]
            yield from directory.numbers_by_digits(self.org_id, digits).values()
            return
        after = ""
        while part := directory.numbers(self.org_id, "", "", after, ONE_BY_ONE_MAX):
            yield from part
            after = part[-1].number.lstrip("+")


def _key(user: UserView | None) -> tuple[object, ...]:
    return (user.usage_location, user.licences, user.resource) if user else ()


def _unassigned(number: NumberView) -> NumberView:
    return msgspec.structs.replace(number, use=NumberUse.UNASSIGNED.value, user_id="")
