"""Rules of an organisation and of its users, and its barred numbers, on both databases."""

from dataclasses import replace
from datetime import timedelta

import pytest

from gettone.domain.policies import Guard, Policies
from gettone.errors import InvalidFile, InvalidInput, NotFound, SchemaMismatch
from gettone.operations.bars import add_bar, import_bars, list_bars, remove_bar
from gettone.operations.policies import (
    change_user_policy,
    described,
    dial_out_policies,
    get_policies,
    get_user_policy,
    policies_from,
    shipped_guard,
    text_of,
)
from gettone.operations.views import BarView
from gettone.storage.rows import ORGANISATION_COLUMNS, organisation_from_row
from tests.support.rows import MIDDAY
from tests.support.sales import EURO, change, peopled, told, version

SHIPPED = shipped_guard("EUR")


@pytest.fixture
def office(office):
    with peopled(office) as made:
        yield made


# -- rules -------------------------------------------------------------------------------------------------------------


def test_an_organisation_without_rules_has_the_shipped_ones(office):
    shown = get_policies(office, "contoso", MIDDAY)

    assert (shown.dial_out, shown.dial_out_in_force) == ("", "DialoutCPCandPSTNInternational")
    assert (shown.user_limit_micros, shown.group_limits_micros, shown.bars) == (None, {}, 0)
    assert shown.guard == SHIPPED
    with pytest.raises(NotFound):
        get_policies(office, "nobody", MIDDAY)


def test_a_change_counts_from_the_next_call_and_is_told_with_who_made_it(office):
    before = version(office)

    changed = change(
        office,
        dial_out="DialoutCPCandPSTNDomestic",
        user_limit_micros=50 * EURO,
        group_limits_micros={"department/Sales": 500 * EURO, "cost_centre/4711": 0},
        conference_uses_calling_plan=True,
        guard={"concurrent_calls": 3, "user_hour_micros": None},
    )

    assert version(office) == before + 1
    assert changed == get_policies(office, "contoso", MIDDAY)
    assert changed.dial_out_in_force == "DialoutCPCandPSTNDomestic"
    assert changed.group_limits_micros == {"cost_centre/4711": 0, "department/Sales": 500 * EURO}
    assert changed.guard == replace(SHIPPED, concurrent_calls=3, user_hour_micros=None)
    assert told(office) == [
        (
            "The rules of the organisation were changed by the test: "
            "dial-out policy from the default to DialoutCPCandPSTNDomestic; user limit from none to 50.00 EUR; "
            "conference uses calling plan from no to yes; guard concurrent_calls from 10 to 3; "
            "guard user_hour from 100.00 EUR to none; limit of cost centre 4711 from none to 0.00 EUR; "
            "limit of department Sales from none to 500.00 EUR."
        )
    ]


def test_what_is_not_named_stays_and_what_is_taken_away_is_gone(office):
    change(office, user_limit_micros=EURO, group_limits_micros={"department/A": EURO, "department/B": EURO})

    change(office, group_limits_micros={"department/A": None}, guard={"block_hours": 1})
    changed = change(office, user_limit_micros=None, dial_out="")

    assert (changed.user_limit_micros, changed.group_limits_micros) == (None, {"department/B": EURO})
    assert changed.guard == replace(SHIPPED, block_hours=1)
    assert len(told(office)) == 3


def test_the_same_again_changes_nothing(office):
    change(office, user_limit_micros=EURO)
    before = version(office)

    change(office, user_limit_micros=EURO, guard={"concurrent_calls": 10})

    assert version(office) == before
    assert len(told(office)) == 1


def test_back_at_what_is_shipped_nothing_is_kept(office):
    change(office, user_limit_micros=EURO, guard={"block_hours": 1})

    change(office, user_limit_micros=None, guard={"block_hours": 24})

    with office.read() as unit:
        assert unit.directory.organisation("contoso").policies == ""


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dial_out": "Domestic"}, "dial_out 'Domestic': there is no such dial-out policy; known are Dialout"),
        ({"user_limit_micros": -EURO}, "user_limit '-1.00': write an amount from 0.00 to 100000000000.00 EUR, or none"),
        ({"group_limits_micros": {"team/A": EURO}}, "group_limits 'team/A': write department/NAME or cost_centre/NAME"),
        ({"group_limits_micros": {"department/ ": EURO}}, "group_limits ' ': write something"),
        ({"group_limits_micros": {"department/A": -1}}, "group_limits department/A '-0.000001': write an amount"),
        ({"guard": {"concurrent_calls": 0}}, "guard.concurrent_calls 0: write a number from 1 to 10000, or none"),
        ({"guard": {"block_hours": 8761}}, "guard.block_hours 8761: write a number from 0 to 8760"),
        ({"guard": {"user_hour_micros": 0}}, "guard.user_hour '0.00': write an amount from 0.000001"),
        (
            {"guard": {"conference_calls": 10_001}},
            "guard.conference_calls 10001: write a number from 1 to 10000, or none",
        ),
        ({"guard": {"resource_calls": 0}}, "guard.resource_calls 0: write a number from 1 to 10000, or none"),
        ({"guard": {"speed": 1}}, "guard 'speed': the fraud guard has no such limit; known are concurrent_calls, "),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_name_and_nothing_changes(office, changes, message):
    before = version(office)

    with pytest.raises(InvalidInput) as refused:
        change(office, conference_uses_calling_plan=True, **changes)

    assert message in str(refused.value)
    assert version(office) == before
    assert not get_policies(office, "contoso", MIDDAY).conference_uses_calling_plan


def test_an_unknown_dial_out_policy_is_answered_with_the_twelve(office):
    with pytest.raises(InvalidInput) as refused:
        change(office, dial_out="x")

    names = [one.policy for one in dial_out_policies(office, MIDDAY)]
    assert len(names) == 12
    assert refused.value.remedy.endswith(", ".join(names))


def test_each_dial_out_policy_says_what_it_allows(office):
    shown = {one.policy: one for one in dial_out_policies(office, MIDDAY)}

    assert [name for name, one in shown.items() if one.default] == ["DialoutCPCandPSTNInternational"]
    assert shown["DialoutCPCZoneAPSTNDisabled"].allows == (
        "conferences may dial out to countries of Zone A; the user may call emergency numbers only"
    )


def test_rules_survive_their_text_with_everything_set():
    rules = Policies(
        dial_out="DialoutCPCandPSTNDomestic",
        user_limit_micros=0,
        group_limits_micros={"department/Über": 1},
        conference_uses_calling_plan=True,
        guard=Guard(None, 2, 3, None, None, None, 7, 0),
    )

    assert policies_from(text_of(rules, "EUR"), [], "EUR") == rules
    assert text_of(Policies(guard=replace(SHIPPED, block_hours=0)), "EUR") == '{"guard":{"block_hours":0}}'
    assert (text_of(Policies(guard=SHIPPED), "EUR"), policies_from("", [], "EUR")) == ("", Policies(guard=SHIPPED))


@pytest.mark.parametrize(
    ("currency", "user_hour", "organisation_hour", "premium_minute"),
    [
        ("USD", "100.00", "1000.00", "1.00"),
        ("JPY", "10000", "100000", "100"),
        ("KWD", "30.000", "300.000", "0.300"),
        ("IDR", "1400000.00", "14000000.00", "14000.00"),
    ],
)
def test_the_amounts_of_the_guard_follow_the_currency(currency, user_hour, organisation_hour, premium_minute):
    shown = described(policies_from("", [], currency), currency)

    amounts = [shown[f"guard {name}"] for name in ("user_hour", "organisation_hour", "premium_minute")]
    assert amounts == [f"{amount} {currency}" for amount in (user_hour, organisation_hour, premium_minute)]


def test_a_currency_of_which_no_minimum_is_shipped_has_no_amounts_until_they_are_set():
    assert shipped_guard("ZWG") == Guard(10, None, None, None, None, 5, None, 24)

    own = Policies(guard=replace(shipped_guard("ZWG"), user_hour_micros=EURO))
    assert text_of(own, "ZWG") == '{"guard":{"user_hour_micros":1000000}}'
    assert policies_from(text_of(own, "ZWG"), [], "ZWG") == own


def test_what_was_switched_off_stays_off_whatever_is_shipped():
    text = text_of(Policies(guard=replace(SHIPPED, user_hour_micros=None)), "EUR")

    assert text == '{"guard":{"user_hour_micros":null}}'
    assert policies_from(text, [], "JPY").guard == replace(shipped_guard("JPY"), user_hour_micros=None)


def test_charging_reads_the_guard_of_the_currency():
    columns = {"org_id": "contoso", "name": "", "country": "JP", "currency": "JPY", "time_zone": "UTC"}
    row = [columns.get(name, "") for name in ORGANISATION_COLUMNS.split(", ")]

    assert organisation_from_row(row, []).policies.guard == shipped_guard("JPY")


def test_calls_of_conferences_and_of_resource_accounts_are_not_limited_until_it_is_set(office):
    changed = change(office, guard={"conference_calls": 40, "resource_calls": 20, "premium_minute_micros": None})

    assert changed.guard == replace(SHIPPED, conference_calls=40, resource_calls=20, premium_minute_micros=None)
    assert told(office)[-1].endswith(
        "guard conference_calls from none to 40; guard resource_calls from none to 20; "
        "guard premium_minute from 1.00 EUR to none."
    )


@pytest.mark.parametrize("text", ['{"night_limit_micros":5}', '{"guard":{"countries":3}}', '{"dial_out":7}'])
def test_rules_of_a_newer_version_are_refused_rather_than_left_out(text):
    with pytest.raises(SchemaMismatch, match="newer version"):
        policies_from(text, [], "EUR")


def test_bars_become_what_charging_asks_by_direction():
    bars = [
        BarView(direction=direction, prefix=prefix, barred=barred, label="", created_at=MIDDAY)
        for direction, prefix, barred in [("called", "1900", True), ("called", "19005", False), ("calling", "44", True)]
    ]

    rules = policies_from("", bars, "EUR")

    assert (rules.barred_called.hit("19001"), rules.barred_called.hit("19005550")) == (True, False)
    assert (rules.barred_called.hit("44"), rules.barred_calling.hit("4420")) == (False, True)


# -- users -------------------------------------------------------------------------------------------------------------


def test_a_users_own_rules_win_until_they_are_taken_away(office):
    change(office, user_limit_micros=50 * EURO, dial_out="DialoutCPCandPSTNDomestic")
    before = version(office)

    own = change_user_policy(
        office,
        "contoso",
        "ANNA@contoso.example".lower(),
        MIDDAY,
        "the test",
        dial_out="DialoutCPCandPSTNDisabled",
        limit_micros=0,
    )
    shown = get_user_policy(office, "contoso", "anna", MIDDAY)
    back = change_user_policy(office, "contoso", "anna", MIDDAY, "the test", dial_out="", limit_micros=None)

    assert own == shown
    assert (own.dial_out_in_force, own.limit_micros, own.limit_in_force_micros) == ("DialoutCPCandPSTNDisabled", 0, 0)
    assert (back.dial_out, back.dial_out_in_force) == ("", "DialoutCPCandPSTNDomestic")
    assert (back.limit_micros, back.limit_in_force_micros) == (None, 50 * EURO)
    assert version(office) == before + 2
    assert told(office)[1:] == [
        (
            "The rules of user anna were changed by the test: dial-out policy from the organisation's to "
            "DialoutCPCandPSTNDisabled; limit from the organisation's to 0.00 EUR."
        ),
        (
            "The rules of user anna were changed by the test: dial-out policy from DialoutCPCandPSTNDisabled to "
            "the organisation's; limit from 0.00 EUR to the organisation's."
        ),
    ]


def test_a_users_rule_that_makes_no_sense_is_refused(office):
    with pytest.raises(InvalidInput, match="dial_out 'x'"):
        change_user_policy(office, "contoso", "anna", MIDDAY, "me", dial_out="x")
    with pytest.raises(InvalidInput, match=r"limit '-1\.00'"):
        change_user_policy(office, "contoso", "anna", MIDDAY, "me", limit_micros=-EURO)
    with pytest.raises(NotFound, match="user 'dora'"):
        change_user_policy(office, "contoso", "dora", MIDDAY, "me", limit_micros=1)
    assert told(office) == []


def test_the_same_rule_for_a_user_again_changes_nothing(office):
    change_user_policy(office, "contoso", "anna", MIDDAY, "me", limit_micros=1)
    before = version(office)

    change_user_policy(office, "contoso", "anna", MIDDAY, "me", limit_micros=1)

    assert version(office) == before


# -- bars --------------------------------------------------------------------------------------------------------------


def prefixes(office) -> list[tuple[str, str, bool, str]]:
    return [(bar.direction, bar.prefix, bar.barred, bar.label) for bar in list_bars(office, "contoso")]


def test_a_bar_is_added_changed_and_removed_and_charging_hears_of_each(office):
    before = version(office)

    made = add_bar(office, "contoso", " +1900 ", MIDDAY, label="premium")
    add_bar(office, "contoso", "44", MIDDAY, direction="calling")
    exempted = add_bar(office, "contoso", "1900", MIDDAY + timedelta(days=1), barred=False)

    assert (made.prefix, made.barred, made.created_at) == ("1900", True, MIDDAY)
    assert (exempted.barred, exempted.created_at) == (False, MIDDAY)
    assert prefixes(office) == [("called", "1900", False, ""), ("calling", "44", True, "")]
    remove_bar(office, "contoso", "+1900")
    assert prefixes(office) == [("calling", "44", True, "")]
    assert version(office) == before + 4


def test_the_same_bar_again_changes_nothing(office):
    add_bar(office, "contoso", "1900", MIDDAY)
    before = version(office)

    add_bar(office, "contoso", "+1900", MIDDAY + timedelta(days=1))

    assert version(office) == before


@pytest.mark.parametrize("prefix", ["", "+", "0044", "1 900", "+1-900", "1" * 16, "١٢"])
def test_what_is_no_prefix_of_numbers_is_refused(office, prefix):
    with pytest.raises(InvalidInput, match="from the country code on"):
        add_bar(office, "contoso", prefix, MIDDAY)


def test_a_bar_that_is_not_there_or_of_no_direction_is_refused(office):
    add_bar(office, "contoso", "1900", MIDDAY)

    with pytest.raises(NotFound, match="no bar for calling numbers"):
        remove_bar(office, "contoso", "1900", direction="calling")
    with pytest.raises(InvalidInput, match="write called or calling"):
        add_bar(office, "contoso", "1900", MIDDAY, direction="both")
    with pytest.raises(NotFound):
        list_bars(office, "nobody")


def test_a_file_of_bars_adds_changes_and_leaves_the_others(office):
    add_bar(office, "contoso", "33", MIDDAY)
    add_bar(office, "contoso", "1900", MIDDAY, label="premium")
    data = b"Prefix;Direction;Barred;Label\r\n+1900;;no;hotline\r\n44;calling;YES;\r\n+882;called;;satellite\r\n"

    first = import_bars(office, "contoso", data, MIDDAY)
    before = version(office)
    again = import_bars(office, "contoso", data, MIDDAY + timedelta(days=1))

    assert (first.created, first.changed, first.unchanged) == (2, 1, 0)
    assert (again.created, again.changed, again.unchanged) == (0, 0, 3)
    assert version(office) == before
    assert prefixes(office) == [
        ("called", "1900", False, "hotline"),
        ("called", "33", True, ""),
        ("called", "882", True, "satellite"),
        ("calling", "44", True, ""),
    ]


def test_a_file_without_labels_keeps_those_that_are_there(office):
    add_bar(office, "contoso", "1900", MIDDAY, label="premium")

    done = import_bars(office, "contoso", b"prefix,barred\n1900,no\n", MIDDAY)

    assert done.changed == 1
    assert prefixes(office) == [("called", "1900", False, "premium")]


def test_every_bad_line_of_bars_is_named_and_nothing_is_kept(office):
    data = b'prefix,direction,barred\n1900,,\n0044,,\n44,both,\n45,,perhaps\n+1900,called,no\n46\n1900,calling,\n"4\n'

    with pytest.raises(InvalidFile) as refused:
        import_bars(office, "contoso", data, MIDDAY, name="bars.csv")

    problems = [(problem.line, problem.field) for problem in refused.value.problems]
    assert problems == [(3, "prefix"), (4, "direction"), (5, "barred"), (6, "prefix"), (7, ""), (9, "")]
    assert "line 6: prefix '+1900': it is in line 2 already" in str(refused.value)
    assert prefixes(office) == []


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "it is empty; begin with a line prefix,direction,barred,label"),
        (b"number,label\n1,2\n", "column 'number': there is no such column"),
        (b"prefix,prefix\n1,2\n", "it is there twice"),
        (b"label\nx\n", "must name a column prefix"),
        (b"\xff\xfe\x00", "the file is damaged or cut"),
    ],
)
def test_a_file_that_is_no_table_of_bars_is_refused_whole(office, data, message):
    with pytest.raises(InvalidFile, match=message):
        import_bars(office, "contoso", data, MIDDAY)


def test_more_bars_than_memory_should_hold_are_refused(office, monkeypatch):
    monkeypatch.setattr("gettone.operations.bars.BARS_MAX", 2)
    add_bar(office, "contoso", "1", MIDDAY)

    with pytest.raises(InvalidInput, match="at most 2 bars"):
        import_bars(office, "contoso", b"prefix\n2\n3\n", MIDDAY)
    assert len(prefixes(office)) == 1
