"""What users and groups have spent in a month, beside their limits; and premium destinations that are known.

Charging counts (`gettone.operations.tallies`); here it is read. A month is one of the organisation's billing time zone.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from zoneinfo import ZoneInfo

import msgspec

from gettone.domain.policies import ORGANISATION, Policies, Tally
from gettone.domain.pools import period_of
from gettone.errors import InvalidInput
from gettone.operations import checks
from gettone.operations.notices import named
from gettone.operations.office import Office, Unit
from gettone.operations.paging import check_limit, page
from gettone.operations.policies import read_policies
from gettone.operations.views import DestinationView, Page, UserView

BATCH = 1000

_USER = "user/"


class SpendView(msgspec.Struct, frozen=True, kw_only=True):
    """What one subject has spent in a month (*period*, yyyymm), and what its running calls hold.

    *subject* is ``user/<id>``, ``department/<name>``, ``cost_centre/<name>``, or empty for the organisation, whose
    figures are those of its international calls; *display* names it for people. *left_micros* and *percent*, the share
    of the limit that is spent or held, are None without a limit.
    """

    subject: str
    display: str
    period: int
    limit_micros: int | None
    spent_micros: int
    held_micros: int
    left_micros: int | None
    open_calls: int
    percent: int | None


def spending(office: Office, org_id: str, now: datetime, *, period: int | None = None) -> list[SpendView]:
    """What was spent in a month given as yyyymm, or in this one: the organisation, then groups, then users.

    Users and groups who have spent something or have a call open, and groups with a limit; within each kind the biggest
    spender stands first. Raises `NotFound`, or `InvalidInput` for something that is no month.
    """
    if period is not None and not (197001 <= period <= 999912 and 1 <= period % 100 <= 12):
        raise InvalidInput("period", period, "write year and month, such as 202601")
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        policies = read_policies(unit, organisation)
        month = period_of(now, ZoneInfo(organisation.time_zone)) if period is None else period
        tallies = {tally.subject: tally for tally in _tallies(unit, org_id, month)}
        for group in policies.group_limits_micros:
            tallies.setdefault(group, Tally(group, month))
        user_ids = [subject.removeprefix(_USER) for subject in tallies if subject.startswith(_USER)]
        users = unit.directory.users_by_ref(org_id, user_ids)
    return sorted((_view(tally, policies, users) for tally in tallies.values()), key=_place)


def spending_page(
    office: Office, org_id: str, now: datetime, *, period: int | None = None, cursor: str = "", limit: int = 100
) -> Page[SpendView]:
    """The same in pages, in order of subject. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    found = sorted(spending(office, org_id, now, period=period), key=lambda view: view.subject)
    rest = [view for view in found if view.subject > cursor or not cursor]
    return page(rest, limit, lambda view: view.subject)


def _tallies(unit: Unit, org_id: str, period: int) -> Iterator[Tally]:
    """The tallies of a month that count something."""
    after = ""
    while True:
        found = unit.policies.tallies(org_id, period, after, BATCH)
        yield from (tally for tally in found if tally.open_calls or tally.committed_micros)
        if len(found) < BATCH:
            return
        after = found[-1].subject


def _view(tally: Tally, policies: Policies, users: Mapping[str, UserView]) -> SpendView:
    user = users.get(tally.subject.removeprefix(_USER)) if tally.subject.startswith(_USER) else None
    limit = _limit(tally.subject, policies, user)
    committed = tally.committed_micros
    return SpendView(
        subject=tally.subject,
        display=(user.display_name or user.upn) if user else named(tally.subject),
        period=tally.period,
        limit_micros=limit,
        spent_micros=tally.spent_micros,
        held_micros=tally.held_micros,
        left_micros=None if limit is None else max(0, limit - committed),
        open_calls=tally.open_calls,
        percent=committed * 100 // limit if limit else None if limit is None else 100,
    )


def _limit(subject: str, policies: Policies, user: UserView | None) -> int | None:
    if not subject.startswith(_USER):
        return policies.group_limits_micros.get(subject)
    own = user.limit_micros if user else None
    return policies.user_limit_micros if own is None else own


def _place(view: SpendView) -> tuple[bool, bool, int, str]:
    return (
        view.subject != ORGANISATION,
        view.subject.startswith(_USER),
        -(view.spent_micros + view.held_micros),
        view.subject,
    )


# -- premium destinations ----------------------------------------------------------------------------------------------


def list_destinations(office: Office, org_id: str, *, cursor: str = "", limit: int = 100) -> Page[DestinationView]:
    """Premium destinations that were called before, or were allowed, in order. Raises `NotFound`."""
    check_limit(limit)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.policies.destinations(org_id, cursor, limit + 1)
    return page(found, limit, lambda one: one.destination)


def allow_destination(office: Office, org_id: str, destination: str, now: datetime) -> DestinationView:
    """Let a premium destination count as known, so that the fraud guard does not stop the first calls to it.

    *destination* is named as the rate deck and the records of calls name it. Raises `NotFound` or `InvalidInput`.
    """
    destination = checks.text("destination", destination)
    with office.write(org_id) as unit:
        unit.policies.allow_destination(org_id, destination, now)
        known = unit.policies.destinations(org_id, "", 1_000_000)
        return next(one for one in known if one.destination == destination)
