"""Every row of the truth table comes out as it is written: live and as a call record, on SQLite and on PostgreSQL."""

import pytest

from gettone.domain.entitlement import RULES
from gettone.domain.refusals import Refusal
from gettone.storage.upgrade import upgrade
from tests.scenarios.truth import Play, Row, rates, rows
from tests.support import postgres
from tests.support.world import World, sqlite_url

ROWS = rows()
each_row = pytest.mark.parametrize("row", ROWS, ids=str)

WHEN_USED_UP = {"insufficient_credit", "credits_not_sold", "spend_limit_reached"}
"""Reasons that keep a call from beginning, but not one that was made from being charged."""
OWN_RULES = {"user_blocked", "dial_out_restricted", "number_barred", "caller_barred"}


def is_charged_as_record(row: Row) -> bool:
    """Whether a record comes to the same as the live call: what was made is charged, used up or forbidden or not."""
    return row.refused not in WHEN_USED_UP | OWN_RULES and not (row.refused and row.has("used"))


charged_as_record = pytest.mark.parametrize("row", [row for row in ROWS if is_charged_as_record(row)], ids=str)


@pytest.fixture(scope="module")
def sqlite_table(tmp_path_factory):
    with World(sqlite_url(tmp_path_factory.mktemp("truth"))) as world:
        world.deck(rates())
        yield world
        assert not world.findings()


@pytest.fixture(scope="module")
def postgres_table(postgres_server):
    with postgres.database(postgres_server) as url:
        upgrade(url)
        with World(url) as world:
            world.deck(rates())
            yield world
            assert not world.findings()


@each_row
def test_a_call_is_paid_as_the_table_says(row, sqlite_table):
    Play(sqlite_table, row, as_record=False).run()


@charged_as_record
def test_a_record_of_the_call_is_paid_as_the_table_says(row, sqlite_table):
    Play(sqlite_table, row, as_record=True).run()


@pytest.mark.slow
@each_row
def test_a_call_is_paid_as_the_table_says_on_postgresql(row, postgres_table):
    Play(postgres_table, row, as_record=False).run()


@pytest.mark.slow
@charged_as_record
def test_a_record_of_the_call_is_paid_as_the_table_says_on_postgresql(row, postgres_table):
    Play(postgres_table, row, as_record=True).run()


def test_the_table_has_a_row_for_every_kind_of_call_that_has_a_rule():
    kinds = {row.call for row in ROWS}

    # Messages are not calls: their rule has scenarios of its own.
    assert {call_type.value for call_type in RULES} - {"sms_out"} <= kinds


def test_the_table_has_a_row_for_every_reason_that_entitlement_gives():
    reasons = {
        Refusal.NO_CREDITS_LICENCE,
        Refusal.INSUFFICIENT_CREDIT,
        Refusal.CREDITS_NOT_SOLD,
        Refusal.NO_CALLING_PLAN,
        Refusal.NO_USAGE_LOCATION,
        Refusal.NO_CONFERENCING_LICENCE,
        Refusal.NO_RESOURCE_ACCOUNT_LICENCE,
        Refusal.DESTINATION_BLOCKED,
        Refusal.DIAL_OUT_RESTRICTED,
        Refusal.USER_BLOCKED,
    }

    assert {reason.value for reason in reasons} <= {row.refused for row in ROWS}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (Row(900, "user_out", "+12125550123", "US domestic", (), "10m", "credits 10m", "0", ""), "pool"),
        (Row(901, "user_out", "+12125550123", "US domestic", (), "10m", "pool 10m", "0.20", ""), "charged_micros=0"),
        (Row(902, "user_out", "+12125550123", "US domestic", (), "10m", "", "", "no_credits_licence"), "Settled"),
        (Row(903, "user_out", "+12125550123", "US -", (), "10m", "pool 10m", "0", ""), "no_calling_plan"),
    ],
    ids=["payer", "amount", "refusal", "payment"],
)
def test_a_row_that_expects_something_else_fails(wrong, complaint, sqlite_table):
    with pytest.raises(AssertionError, match=complaint):
        Play(sqlite_table, wrong, as_record=False).run()
