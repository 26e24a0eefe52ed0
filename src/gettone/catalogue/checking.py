"""What must hold between the tables of the catalogue, whoever wrote their rows.

Every product, service plan and zone that a row names is there; a name belongs to one product; minutes belong to plans
that have minutes; on every day one dial-out policy is the default and the US dollar has a minimum; and a rule or quota
that the program does not know is refused, for it would change nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gettone.catalogue.reading import Placed
from gettone.domain.catalogue import (
    CALLING_PLANS,
    CONFERENCING,
    DialOutPolicy,
    MinimumFunding,
    Role,
    days_of_change,
    in_force,
)
from gettone.errors import Problem

Rows = Mapping[str, Sequence[Placed]]


@dataclass(frozen=True, slots=True)
class Found:
    """Something wrong in a table; *operator* says in whose rows."""

    table: str
    operator: bool
    problem: Problem


REFERENCES = (
    ("product_plans", "sku", "products", "sku"),
    ("product_plans", "service_plan", "service_plans", "service_plan"),
    ("allotments", "service_plan", "service_plans", "service_plan"),
    ("conference_allotments", "service_plan", "service_plans", "service_plan"),
    ("conference_allotments", "zone", "zones", "zone"),
)
"""Column of a table whose values must stand in the column of another."""

_WITH_MINUTES = {
    "allotments": (frozenset(CALLING_PLANS), "a plan to call with"),
    "conference_allotments": (CONFERENCING, "a conferencing plan"),
}


PROGRAMMED = (("quotas", "quota"), ("features", "feature"))
"""Columns whose values mean something to the program only when it is one of those that are shipped."""


def check_tables(rows: Rows, shipped: Rows) -> Iterator[Found]:
    """Yield everything that is wrong between tables whose cells were all good, *shipped* rows and others."""
    for table, column, other, named in REFERENCES:
        there = {getattr(placed.row, named) for placed in rows[other]}
        for placed in rows[table]:
            if getattr(placed.row, column) not in there:
                yield _found(table, placed, column, f"there is no such {column} in {other}; add it there first")
    yield from _plans_without_minutes(rows)
    yield from _names_taken(rows["products"])
    for table, column in PROGRAMMED:
        known = sorted({getattr(placed.row, column) for placed in shipped[table]})
        for placed in rows[table]:
            if getattr(placed.row, column) not in known:
                yield _found(table, placed, column, f"the program has no such {column}; known are {', '.join(known)}")
    yield from _days_without_default(rows["dial_out_policies"])
    yield from _days_without_minimum(rows["minimum_funding"])


def _plans_without_minutes(rows: Rows) -> Iterator[Found]:
    roles: dict[str, set[Role]] = {}
    for placed in rows["service_plans"]:
        roles.setdefault(placed.row.service_plan, set()).add(placed.row.role)
    for table, (wanted, what) in _WITH_MINUTES.items():
        for placed in rows[table]:
            of_plan = roles.get(placed.row.service_plan, wanted)
            if wanted.isdisjoint(of_plan):
                yield _found(table, placed, "service_plan", f"it is not {what}: its role in service_plans is another")


def _names_taken(products: Sequence[Placed]) -> Iterator[Found]:
    """A part number, id or alias may stand for one product only, letter case apart."""
    owners: dict[str, str] = {}
    for placed in sorted(products, key=lambda placed: placed.operator):
        product = placed.row
        for column, names in (("sku", (product.sku,)), ("sku_id", (product.sku_id,)), ("aliases", product.aliases)):
            for name in names:
                owner = owners.setdefault(name.lower(), product.sku)
                if owner != product.sku:
                    remedy = f"{name} is a name of the product {owner} already; choose another"
                    yield _found("products", placed, column, remedy)


def _days_without_default(rows: Sequence[Placed]) -> Iterator[Found]:
    policies: list[DialOutPolicy] = [placed.row for placed in rows]
    for day in days_of_change(policies):
        counting = in_force(policies, lambda row: row.policy, day).values()
        defaults = sorted(row.policy for row in counting if row.default)
        if len(defaults) != 1:
            remedy = "let exactly one policy have yes in the column default on every day"
            value = f"{' '.join(defaults) or 'none'} on {day}"
            yield _whole("dial_out_policies", rows, "default", value, remedy)
            return


def _days_without_minimum(rows: Sequence[Placed]) -> Iterator[Found]:
    dollars: list[MinimumFunding] = [placed.row for placed in rows if placed.row.currency == "USD"]
    for day in days_of_change(dollars):
        if not in_force(dollars, lambda row: row.currency, day):
            remedy = "let a row of USD count on every day: it counts for currencies without a row"
            yield _whole("minimum_funding", rows, "currency", f"none of USD on {day}", remedy)
            return


def _found(table: str, placed: Placed, column: str, remedy: str) -> Found:
    return Found(table, placed.operator, Problem(placed.line, column, placed.cells[column][:80], remedy))


def _whole(table: str, rows: Iterable[Placed], column: str, value: str, remedy: str) -> Found:
    return Found(table, any(placed.operator for placed in rows), Problem(0, column, value, remedy))


def told(found: Iterable[Found], table: str = "") -> list[Problem]:
    """The problems as those of one file, the operator's rows of *table*; the place of any other is said in words."""
    return [
        one.problem if one.operator and one.table == table else _elsewhere(one)
        for one in sorted(found, key=lambda one: (one.table != table, one.table, one.problem.line))
    ]


def _elsewhere(one: Found) -> Problem:
    place = f"{'operator rows of ' if one.operator else ''}{one.table}"
    line = f" line {one.problem.line}" if one.problem.line else ""
    field = f" {one.problem.field}" if one.problem.field else ""
    return Problem(0, f"{place}{line}{field}", one.problem.value, one.problem.remedy)
