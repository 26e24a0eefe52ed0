"""The catalogue: the shipped tables, and those of the operator on top of them (D9).

`catalogue` reads both into one value of the domain, strictly: tables that do not hold together are refused, with
everything that is wrong in it. An operator's row with the key and first day of a shipped one takes its place; any other
is added. The shipped files are ``data/*.csv``; each row says where it comes from.
"""

from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files

from gettone.catalogue import reading as cell
from gettone.catalogue.checking import REFERENCES, Found, check_tables, told
from gettone.catalogue.reading import Placed, Table, key_of, read_table
from gettone.domain.catalogue import (
    ANYWHERE,
    Allotment,
    Area,
    BillingRegion,
    Catalogue,
    ConferenceAllotment,
    ConferenceReach,
    Country,
    Dependency,
    Destination,
    DialOutPolicy,
    Feature,
    MinimumFunding,
    Premium,
    Product,
    ProductPlan,
    Quota,
    Role,
    ServiceNumberQuota,
    ServicePlan,
    Tax,
    UserReach,
    Zone,
)
from gettone.domain.tabular import Dialect, find_delimiter
from gettone.errors import InvalidFile, Problem

_ALL = (
    Table(
        "products",
        Product,
        ("sku",),
        {
            "sku": cell.code,
            "sku_id": cell.guid,
            "name": cell.text,
            "per_order": cell.optional_positive,
            "aliases": cell.codes,
        },
    ),
    Table(
        "product_plans",
        ProductPlan,
        ("sku", "service_plan"),
        {"sku": cell.code, "service_plan": cell.code, "plan_id": cell.guid},
    ),
    Table(
        "service_plans",
        ServicePlan,
        ("service_plan",),
        {"service_plan": cell.code, "name": cell.text, "role": cell.member(Role), "capability": cell.code},
    ),
    Table("dependencies", Dependency, ("role",), {"role": cell.member(Role), "needs": cell.members(Role)}),
    Table(
        "allotments",
        Allotment,
        ("service_plan", "area"),
        {
            "service_plan": cell.code,
            "area": cell.country,
            "domestic_minutes": cell.count,
            "international_minutes": cell.count,
        },
    ),
    Table(
        "conference_allotments",
        ConferenceAllotment,
        ("service_plan", "country"),
        {
            "service_plan": cell.code,
            "country": cell.country_or(ANYWHERE),
            "minutes": cell.count,
            "counted": cell.one_of("assigned", "purchased"),
            "zone": cell.code,
        },
    ),
    Table(
        "areas",
        Area,
        ("country",),
        {"country": cell.country, "pool_area": cell.country, "domestic_countries": cell.countries},
    ),
    Table("premium", Premium, ("usage_location", "prefix"), {"usage_location": cell.country, "prefix": cell.digits}),
    Table(
        "countries",
        Country,
        ("country",),
        {
            "country": cell.country,
            "name": cell.text,
            "credits": cell.yes_no,
            "phone_system": cell.yes_no,
            "calling_plans": cell.yes_no,
            "conferencing": cell.one_of("yes", "no", "per_minute"),
            "conference_dial_out": cell.yes_no,
            "payg_zone": cell.optional_code,
            "toll_numbers": cell.yes_no,
            "toll_free_numbers": cell.yes_no,
        },
    ),
    Table("zones", Zone, ("zone", "country"), {"zone": cell.code, "country": cell.country}),
    Table("destinations", Destination, ("country",), {"country": cell.country}),
    Table(
        "minimum_funding",
        MinimumFunding,
        ("currency",),
        {"currency": cell.currency, "minimum": cell.amount},
        {"minimum": "minimum_micros"},
    ),
    Table(
        "quotas",
        Quota,
        ("quota",),
        {
            "quota": cell.code,
            "roles": cell.members(Role),
            "base": cell.count,
            "add": cell.count,
            "for_each": cell.positive,
        },
    ),
    Table(
        "service_number_quotas",
        ServiceNumberQuota,
        ("licences_from",),
        {"licences_from": cell.positive, "toll": cell.count, "toll_free": cell.count},
    ),
    Table(
        "dial_out_policies",
        DialOutPolicy,
        ("policy",),
        {
            "policy": cell.code,
            "conference": cell.member(ConferenceReach),
            "user": cell.member(UserReach),
            "default": cell.yes_no,
        },
    ),
    Table("features", Feature, ("feature",), {"feature": cell.code, "on": cell.yes_no}),
    Table(
        "taxes",
        Tax,
        ("country",),
        {"country": cell.country, "label": cell.text, "percent": cell.percent},
        {"percent": "millionths"},
    ),
    Table("billing_regions", BillingRegion, ("country",), {"country": cell.country, "region": cell.code}),
)

SHAPES: Mapping[str, Table] = {table.name: table for table in _ALL}
"""What each table looks like, by name."""

TABLES: tuple[str, ...] = tuple(SHAPES)
"""The names of the tables."""

_SHIPPED = Dialect("utf-8", ",")


def catalogue(extra: Mapping[str, str] | None = None) -> Catalogue:
    """The catalogue with the operator's rows: *extra* is CSV text by table name.

    Raises:
        InvalidFile: the tables do not hold together; with everything that is wrong.
    """
    return _catalogue(tuple(sorted((extra or {}).items())))


@cache
def shipped_minimum(currency: str) -> int | None:
    """The least that may be bought in *currency*, in micros: the latest shipped row; None where there is none."""
    rows: list[MinimumFunding] = [placed.row for placed in _shipped("minimum_funding")]
    latest = max((row for row in rows if row.currency == currency), key=lambda row: row.effective_from, default=None)
    return latest.minimum_micros if latest else None


def table_rows(name: str, content: str = "") -> list[Placed]:
    """The rows of one table in order of key and first day, those of the operator's in *content* among them.

    Raises `InvalidFile`.
    """
    added, problems = _added(name, content)
    if problems:
        raise InvalidFile(f"{name}.csv", problems)
    return _overlaid(name, added)


def check_file(
    name: str, text: str, dialect: Dialect, present: Mapping[str, str]
) -> tuple[list[Placed], list[Problem]]:
    """The rows of a file for the operator's table *name*, and everything wrong in it or in the catalogue it would make.

    *present* is the operator's other tables, as for `catalogue`; what it says of this one does not matter.
    """
    fresh = read_table(SHAPES[name], text, dialect, operator=True)
    return fresh[0], told(_load(present, {name: fresh})[1], name)


@lru_cache(maxsize=8)
def _catalogue(extra: tuple[tuple[str, str], ...]) -> Catalogue:
    rows, problems = _load(dict(extra))
    if problems:
        raise InvalidFile("catalogue", told(problems))
    return Catalogue(**{name: tuple(placed.row for placed in rows[name]) for name in TABLES})


def _load(
    extra: Mapping[str, str], fresh: Mapping[str, tuple[list[Placed], list[Problem]]] | None = None
) -> tuple[dict[str, list[Placed]], list[Found]]:
    """All rows by table, and everything that is wrong; *fresh* are tables that were read already."""
    rows: dict[str, list[Placed]] = {}
    problems: list[Found] = []
    for name in TABLES:
        added, bad = (fresh or {}).get(name) or _added(name, extra.get(name, ""))
        rows[name] = _overlaid(name, added)
        problems += [Found(name, operator=True, problem=problem) for problem in bad]
    return rows, problems + _certain(list(check_tables(rows, _all_shipped())), {one.table for one in problems})


def _all_shipped() -> dict[str, tuple[Placed, ...]]:
    return {name: _shipped(name) for name in TABLES}


def _added(name: str, content: str) -> tuple[list[Placed], list[Problem]]:
    if not content:
        return [], []
    return read_table(SHAPES[name], content, Dialect("utf-8", find_delimiter(content)), operator=True)


def _overlaid(name: str, added: list[Placed]) -> list[Placed]:
    shape = SHAPES[name]
    rows = {key_of(shape, placed.row, dated=True): placed for placed in (*_shipped(name), *added)}
    return sorted(rows.values(), key=lambda placed: _place(shape, placed))


def _certain(found: list[Found], unread: set[str]) -> list[Found]:
    """Of what was *found* between the tables, what is wrong whatever stands in the rows that could not be read."""
    if not unread:
        return found
    in_doubt = {table for table, _, other, _ in REFERENCES if other in unread}
    return [one for one in found if one.problem.line and one.table in unread - in_doubt]


@cache
def _shipped(name: str) -> tuple[Placed, ...]:
    content = (files("gettone.catalogue") / "data" / f"{name}.csv").read_text(encoding="utf-8")
    rows, problems = read_table(SHAPES[name], content, _SHIPPED)
    if problems:
        raise InvalidFile(f"{name}.csv", problems)
    return tuple(rows)


def _place(shape: Table, placed: Placed) -> tuple[object, ...]:
    """Order of key and first day; numbers by size, the rest as written."""
    key = key_of(shape, placed.row)
    return (*(part if isinstance(part, int) else str(part) for part in key), placed.row.effective_from)
