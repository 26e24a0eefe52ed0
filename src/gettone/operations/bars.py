"""Barred numbers: prefixes that an organisation does not call, or does not take calls from, and exemptions from them.

A prefix is the first digits of E.164 numbers, from the country code on; the longest one that fits a number decides, and
may exempt. Emergency numbers are never barred: charging lets such a call through before it asks for bars.

Bars come from files, too: all of a file or nothing, with every bad line named.
"""

import re
from datetime import datetime

import msgspec

from gettone.domain.tabular import Line, TableError, decode_csv, read_lines
from gettone.errors import InvalidFile, InvalidInput, NotFound, Problem
from gettone.operations import checks
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.policies import CALLED, DIRECTIONS
from gettone.operations.views import BarView

COLUMNS = ("prefix", "direction", "barred", "label")
BARS_MAX = 10_000
"""So many bars of one organisation: all of them stand in memory where calls are decided.

After any change of the organisation's directory they are read again there, while other calls wait: 10 to 15 ms for so
many, and in proportion for fewer.
"""

_PREFIX = re.compile(r"\+?([1-9][0-9]{0,14})")
_YES = frozenset({"yes", "true", "1"})
_NO = frozenset({"no", "false", "0"})

BarKey = tuple[str, str]
"""(direction, prefix)."""


class ImportedBars(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of bars did."""

    created: int
    changed: int
    unchanged: int


def list_bars(office: Office, org_id: str) -> tuple[BarView, ...]:
    """Bars and exemptions in order of direction and prefix; raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return tuple(unit.policies.bars(org_id))


def add_bar(
    office: Office,
    org_id: str,
    prefix: str,
    now: datetime,
    *,
    direction: str = CALLED,
    barred: bool = True,
    label: str = "",
) -> BarView:
    """Bar numbers that begin with *prefix*, or exempt them from a shorter one; the same again changes nothing.

    Raises `NotFound` or `InvalidInput`.
    """
    wanted = BarView(
        direction=_direction(direction),
        prefix=_prefix(prefix),
        barred=barred,
        label=checks.text("label", label, empty=True),
        created_at=now,
    )
    with office.write(org_id) as unit:
        there = _there(unit)
        _write(unit, there, {_key(wanted): wanted})
        known = there.get(_key(wanted))
    return wanted if known is None else msgspec.structs.replace(wanted, created_at=known.created_at)


def remove_bar(office: Office, org_id: str, prefix: str, *, direction: str = CALLED) -> None:
    """Take a bar or an exemption away. Raises `NotFound` or `InvalidInput`."""
    key = _direction(direction), _prefix(prefix)
    with office.write(org_id) as unit:
        if key not in _there(unit):
            raise NotFound(f"prefix {prefix!r}: organisation {org_id!r} has no bar for {direction} numbers with it")
        unit.policies.remove_bars(org_id, [key])
        unit.directory_changed()


def import_bars(office: Office, org_id: str, data: bytes, now: datetime, *, name: str = "bars.csv") -> ImportedBars:
    """Add and change bars from a CSV of ``prefix, direction, barred, label``; those that are not in it stay.

    Without *direction* numbers that are called are meant, without *barred* they are barred, and a known bar keeps its
    label where the file has none. Raises `InvalidFile` or `NotFound`.
    """
    problems: list[Problem] = []
    lines: dict[BarKey, int] = {}
    wanted: dict[BarKey, BarView] = {}
    with_labels = False
    for line, cells in _rows(name, data, problems):
        with_labels = "label" in cells
        try:
            bar = _bar_of(cells, now)
        except InvalidInput as error:
            problems.append(Problem(line, error.field, str(error.value), error.remedy))
            continue
        first = lines.setdefault(_key(bar), line)
        if first != line:
            remedy = f"it is in line {first} already for the same direction; leave one out"
            problems.append(Problem(line, "prefix", cells["prefix"], remedy))
        wanted[_key(bar)] = bar
    if problems:
        raise InvalidFile(name, problems)
    with office.write(org_id) as unit:
        there = _there(unit)
        if not with_labels:
            wanted = {key: _with_label_of(bar, there.get(key)) for key, bar in wanted.items()}
        written = _write(unit, there, wanted)
    created = sum(key not in there for key in wanted)
    return ImportedBars(created=created, changed=written - created, unchanged=len(wanted) - written)


def _there(unit: OrganisationUnit) -> dict[BarKey, BarView]:
    return {_key(bar): bar for bar in unit.policies.bars(unit.organisation.org_id)}


def _key(bar: BarView) -> BarKey:
    return bar.direction, bar.prefix


def _write(unit: OrganisationUnit, there: dict[BarKey, BarView], wanted: dict[BarKey, BarView]) -> int:
    """Write those of *wanted* that are not *there* as they are; returns how many."""
    org_id = unit.organisation.org_id
    if len(there.keys() | wanted.keys()) > BARS_MAX:
        raise InvalidInput("prefix", len(there.keys() | wanted.keys()), f"an organisation has at most {BARS_MAX} bars")
    fresh = []
    for key, bar in wanted.items():
        known = there.get(key)
        dated = bar if known is None else msgspec.structs.replace(bar, created_at=known.created_at)
        if dated != known:
            fresh.append(dated)
    if fresh:
        unit.policies.write_bars(org_id, fresh)
        unit.directory_changed()
    return len(fresh)


def _with_label_of(bar: BarView, known: BarView | None) -> BarView:
    return bar if known is None else msgspec.structs.replace(bar, label=known.label)


# -- values and lines --------------------------------------------------------------------------------------------------


def _prefix(value: str) -> str:
    found = _PREFIX.fullmatch(value.strip())
    if found is None:
        raise InvalidInput(
            "prefix", value[:80], "write 1 to 15 digits from the country code on, such as +1900, with or without plus"
        )
    return found[1]


def _direction(value: str) -> str:
    if value not in DIRECTIONS:
        raise InvalidInput("direction", value[:80], f"write {' or '.join(DIRECTIONS)}")
    return value


def _bar_of(cells: dict[str, str], now: datetime) -> BarView:
    barred = cells.get("barred", "").lower() or "yes"
    if barred not in _YES | _NO:
        raise InvalidInput("barred", cells["barred"][:80], "write yes to bar, no to exempt")
    return BarView(
        direction=_direction(cells.get("direction", "").lower() or CALLED),
        prefix=_prefix(cells["prefix"]),
        barred=barred in _YES,
        label=checks.text("label", cells.get("label", ""), empty=True),
        created_at=now,
    )


def _rows(name: str, data: bytes, problems: list[Problem]) -> list[tuple[int, dict[str, str]]]:
    """Number and cells by column of the good lines; the bad ones go into *problems*."""
    try:
        text, dialect = decode_csv(data)
    except TableError as error:
        raise InvalidFile(name, [Problem(0, "", "", str(error))]) from None
    lines = read_lines(text, dialect.delimiter)
    header = next(lines, None)
    if header is None:
        raise InvalidFile(name, [Problem(0, "", "", f"it is empty; begin with a line {','.join(COLUMNS)}")])
    columns = _columns(name, header)
    rows = []
    for line in lines:
        if line.problem or len(line.cells) != len(columns):
            counts = f"{len(line.cells)} cells where the header has {len(columns)}"
            problems.append(Problem(line.number, "", "", line.problem or f"{counts}; the line is cut or lacks quotes"))
        else:
            rows.append((line.number, dict(zip(columns, (cell.strip() for cell in line.cells), strict=True))))
    return rows


def _columns(name: str, header: Line) -> list[str]:
    columns = [cell.strip().lower() for cell in header.cells]
    problems = [
        Problem(header.number, "column", column[:80], f"there is no such column; known are {', '.join(COLUMNS)}")
        for column in columns
        if column not in COLUMNS
    ]
    problems += [
        Problem(header.number, "column", column, "it is there twice; leave one out")
        for column in sorted({column for column in columns if columns.count(column) > 1})
    ]
    if "prefix" not in columns:
        problems.append(Problem(header.number, "", "", "the first line must name a column prefix"))
    if problems:
        raise InvalidFile(name, problems)
    return columns
