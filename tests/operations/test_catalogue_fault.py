"""The operator's rows of the catalogue may stop to fit; calls go on all the same."""

import logging

import pytest

from gettone.operations.messages import Grant, StartCall
from tests.support.world import World, sqlite_url

UNKNOWN_QUOTA = (
    "quota,roles,base,add,for_each,effective_from,effective_until,source\nold,phone_system,1,1,1,2020-01-01,,ours\n"
)


@pytest.fixture
def world(tmp_path):
    with World(sqlite_url(tmp_path)) as made:
        made.organisation("contoso")
        made.user("contoso", "anna", products=["MCOPSTN1"])
        with made.office.write_shared() as unit:
            # As an earlier version would have accepted it.
            unit.catalogue.write_catalogue_table("quotas", UNKNOWN_QUOTA, made.now)
        yield made


@pytest.mark.parametrize("called", ["911", "+12125550123"])
def test_calls_go_on_when_the_operators_rows_cannot_be_used(world, caplog, called):
    call = StartCall(session_id="a", org_id="contoso", user="anna", called=called)

    with caplog.at_level(logging.ERROR):
        [answer] = world.charge(call)

    assert isinstance(answer, Grant)
    assert "rows of the catalogue cannot be used" in caplog.text


def test_the_fault_is_told_once_and_not_for_each_call(world, caplog):
    with caplog.at_level(logging.ERROR):
        for number in range(3):
            world.charge(StartCall(session_id=str(number), org_id="contoso", user="anna", called="911"))

    assert caplog.text.count("cannot be used") == 1
