"""Barred numbers, blocks, spending, premium destinations and notices, as stored, on both databases."""

from datetime import datetime, timedelta

import msgspec
import pytest
from sqlalchemy import insert

from gettone.domain.policies import Tally
from gettone.errors import Conflict, InvariantBroken
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from gettone.operations.views import BarView, BlockView, DestinationView, NoticeView
from gettone.storage.engine import open_database
from gettone.storage.schema import known_destination, tally
from tests.support.rows import MIDDAY, organisation, user


@pytest.fixture
def office(office: Office) -> Office:
    """Two organisations; whatever is asked of one must not touch the other."""
    with office.write_shared() as unit:
        for org_id in ("contoso", "fabrikam"):
            unit.directory.add_organisation(organisation(org_id))
            unit.directory.add_users(org_id, [user(name, org_id) for name in ("anna", "ben", "carla")])
    return office


def put(url: str, table, *rows: dict) -> None:
    """Write rows that the charging desk writes."""
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(insert(table), list(rows))
    database.close()


def after(seconds: int) -> datetime:
    return MIDDAY + timedelta(seconds=seconds)


# -- barred numbers ------------------------------------------------------------------------------------------------


def bar(prefix: str, direction: str = "called", *, barred: bool = True, label: str = "") -> BarView:
    return BarView(direction=direction, prefix=prefix, barred=barred, label=label, created_at=MIDDAY)


def test_bars_are_listed_by_direction_and_prefix(office):
    bars = [bar("44"), bar("1900", "calling"), bar("4420", barred=False, label="London is all right"), bar("1900")]
    with office.write("contoso") as unit:
        unit.policies.write_bars("contoso", bars)
        unit.policies.write_bars("contoso", [])

    with office.read() as unit:
        assert unit.policies.bars("contoso") == [bars[3], bars[0], bars[2], bars[1]]
        assert unit.policies.bars("fabrikam") == []


def test_a_bar_written_again_is_replaced_and_the_last_counts(office):
    with office.write("contoso") as unit:
        unit.policies.write_bars("contoso", [bar("44"), bar("39")])
        unit.policies.write_bars("contoso", [bar("44", label="first"), bar("44", barred=False, label="last")])

    with office.read() as unit:
        assert unit.policies.bars("contoso") == [bar("39"), bar("44", barred=False, label="last")]


def test_a_bar_is_taken_out_in_its_direction_and_organisation_only(office):
    for org_id in ("contoso", "fabrikam"):
        with office.write(org_id) as unit:
            unit.policies.write_bars(org_id, [bar("44"), bar("44", "calling"), bar("39")])

    with office.write("contoso") as unit:
        unit.policies.remove_bars("contoso", {("called", "44"), ("calling", "39")})
        unit.policies.remove_bars("contoso", set())

    with office.read() as unit:
        assert unit.policies.bars("contoso") == [bar("39"), bar("44", "calling")]
        assert len(unit.policies.bars("fabrikam")) == 3


def test_a_bar_in_no_direction_is_refused_by_the_database_itself(office):
    with pytest.raises(InvariantBroken), office.write("contoso") as unit:
        unit.policies.write_bars("contoso", [bar("44", "sideways")])


# -- blocks --------------------------------------------------------------------------------------------------------


def block(office: Office, org_id: str, name: str, until: datetime | None, reason: str = "fraud") -> None:
    with office.write(org_id) as unit:
        before = unit.directory.users_by_ref(org_id, [name])[name]
        blocked = msgspec.structs.replace(before, blocked_reason=reason, blocked_until=until)
        unit.directory.change_users(org_id, [blocked])


def test_users_with_a_block_are_listed_also_when_it_is_over(office):
    block(office, "contoso", "carla", None)
    block(office, "contoso", "anna", after(-60))
    block(office, "fabrikam", "ben", None)

    with office.read() as unit:
        blocked = unit.policies.blocked_users("contoso", "", 10)
        rest = unit.policies.blocked_users("contoso", blocked[0].upn, 10)
        first = unit.policies.blocked_users("contoso", "", 1)
    assert [(each.user_id, each.blocked_reason, each.blocked_until) for each in blocked] == [
        ("anna", "fraud", after(-60)),
        ("carla", "fraud", None),
    ]
    assert (first, rest) == (blocked[:1], blocked[1:])


def test_blocks_that_ended_by_themselves_are_found_everywhere_in_pages(office):
    block(office, "contoso", "anna", after(0))
    block(office, "contoso", "ben", after(-1))
    block(office, "contoso", "carla", after(1))
    block(office, "fabrikam", "anna", after(-1))
    block(office, "fabrikam", "ben", None)
    block(office, "fabrikam", "carla", after(-1), reason="")

    ended, cursor = [], ""
    with office.read() as unit:
        while page := unit.policies.blocks_ended(MIDDAY, cursor, 1):
            ended += page
            cursor = "/".join(page[-1])
        assert unit.policies.blocks_ended(MIDDAY, "", 10) == ended
    assert ended == [("contoso", "anna"), ("contoso", "ben"), ("fabrikam", "anna")]


def line(name: str, seconds: int, action: str = "blocked", until: datetime | None = None) -> BlockView:
    return BlockView(
        user_id=name, at=after(seconds), action=action, reason="fraud", until=until, by="guard", detail="3 USD in 1 h"
    )


def test_the_history_of_blocks_is_told_newest_first(office):
    lines = [line("anna", 3), line("ben", 2, until=after(99)), line("anna", 1, "unblocked"), line("anna", 0)]
    with office.write("contoso") as unit:
        for each in lines:
            unit.policies.add_block("contoso", each)

    with office.read() as unit:
        assert unit.policies.block_history("contoso", "", None, 10) == lines
        assert unit.policies.block_history("contoso", "", None, 2) == lines[:2]
        assert unit.policies.block_history("contoso", "", microseconds(after(2)), 10) == lines[2:]
        assert unit.policies.block_history("contoso", "anna", None, 10) == [lines[0], *lines[2:]]
        assert unit.policies.block_history("fabrikam", "", None, 10) == []


def test_the_same_line_of_history_twice_is_a_conflict(office):
    with office.write("contoso") as unit:
        unit.policies.add_block("contoso", line("anna", 0))

    with pytest.raises(Conflict), office.write("contoso") as unit:
        unit.policies.add_block("contoso", line("anna", 0))


# -- what is spent and where ---------------------------------------------------------------------------------------


def test_tallies_of_a_month_begin_with_the_organisation(office, url):
    spent = [
        Tally("", 202611, 2, 5_000_000, 1_000_000, 498_765, 70, 80),
        Tally("department/Sales", 202611),
        Tally("user/anna", 202611, open_calls=1),
    ]
    rows = [{"org_id": "contoso", **{name: getattr(each, name) for name in Tally.__slots__}} for each in spent]
    put(url, tally, *rows, rows[2] | {"period": 202610}, rows[2] | {"org_id": "fabrikam", "subject": "user/ben"})

    with office.read() as unit:
        assert unit.policies.tallies("contoso", 202611, "", 10) == spent
        assert unit.policies.tallies("contoso", 202611, "", 1) == spent[:1]
        assert unit.policies.tallies("contoso", 202611, "department/Sales", 10) == spent[2:]
        assert unit.policies.tallies("contoso", 202612, "", 10) == []


def test_an_allowed_destination_keeps_the_time_of_its_first_call(office, url):
    called = {"org_id": "contoso", "destination": "UK premium", "first_at": microseconds(after(-60)), "allowed": 0}
    put(url, known_destination, called, called | {"destination": "IT premium"})

    with office.write("contoso") as unit:
        unit.policies.allow_destination("contoso", "UK premium", MIDDAY)
        unit.policies.allow_destination("contoso", "FR premium", MIDDAY)
        unit.policies.allow_destination("contoso", "FR premium", after(1))

    expected = [
        DestinationView(destination="FR premium", first_at=MIDDAY, allowed=True),
        DestinationView(destination="IT premium", first_at=after(-60), allowed=False),
        DestinationView(destination="UK premium", first_at=after(-60), allowed=True),
    ]
    with office.read() as unit:
        assert unit.policies.destinations("contoso", "", 10) == expected
        assert unit.policies.destinations("contoso", "FR premium", 1) == expected[1:2]
        assert unit.policies.destinations("fabrikam", "", 10) == []


# -- notices -------------------------------------------------------------------------------------------------------


def notice(name: str, seconds: int = 0, kind: str = "spend_warning", **facts: str) -> NoticeView:
    return NoticeView(notice_id=name, kind=kind, subject="user/anna", written_at=after(seconds), facts=facts)


def test_a_notice_is_written_once_for_its_id(office):
    first = notice("a", percent="80", limit='José\'s \\ "50" €')
    with office.write("contoso") as unit:
        unit.policies.add_notice("contoso", first)
    with office.write("contoso") as unit:
        unit.policies.add_notice("contoso", notice("a", 60, percent="100"))
    with office.write("fabrikam") as unit:
        unit.policies.add_notice("fabrikam", notice("a", 60))

    with office.read() as unit:
        assert unit.policies.notices("contoso", "", None, 10) == [first]
        assert unit.policies.notices("fabrikam", "", None, 10) == [notice("a", 60)]


def test_notices_are_listed_newest_first_in_pages_and_by_kind(office):
    newest_first = [notice("b", 2), notice("d", 1), notice("c", 1, "user_blocked"), notice("a", 1), notice("z")]
    with office.write("contoso") as unit:
        for each in reversed(newest_first):
            unit.policies.add_notice("contoso", each)

    told, before = [], None
    with office.read() as unit:
        while page := unit.policies.notices("contoso", "", before, 2):
            told += page
            before = (microseconds(page[-1].written_at), page[-1].notice_id)
        assert unit.policies.notices("contoso", "user_blocked", None, 10) == [newest_first[2]]
    assert told == newest_first
