"""``gettone policies``, ``gettone users block`` and ``gettone notices``: exact words and exit statuses."""

import sqlite3

import pytest

DEFAULT = "DialoutCPCandPSTNInternational"
DOMESTIC = "DialoutCPCandPSTNDomestic"


def lines(text: str) -> dict[str, str]:
    """What is printed below each other, by name."""
    return {name.strip(): value.strip() for name, _, value in (line.partition("  ") for line in text.splitlines())}


def test_the_rules_of_an_organisation_are_shown_as_shipped(gettone):
    shown = lines(gettone("policies", "show", "acme").stdout)

    assert shown["organisation"] == "acme"
    assert shown["dial-out policy"] == f"{DEFAULT} (the default)"
    assert shown["user limit"] == "none"
    assert shown["guard user_hour"] == "100.00 USD"
    assert shown["barred prefixes"] == "0"


def test_rules_are_set_and_taken_away(gettone):
    options = ["--dial-out", DOMESTIC, "--user-limit", "50.00", "--conference-uses-calling-plan"]
    groups = ["--group-limit", "department/R&D = x=500", "--group-limit", "cost_centre/4711=0.50"]
    shown = lines(gettone("policies", "set", "acme", *options, *groups, "--guard", "concurrent-calls=none").stdout)
    gettone("policies", "set", "acme", "--user-limit", "none", "--group-limit", "cost_centre/4711=none")
    found = gettone.json("policies", "set", "acme", "--dial-out", "default", "--guard", "user_hour=80.5")

    assert shown["dial-out policy"] == DOMESTIC
    assert shown["user limit"] == "50.00 USD"
    assert shown["limit of department R&D = x"] == "500.00 USD"
    assert shown["limit of cost centre 4711"] == "0.50 USD"
    assert shown["conference uses calling plan"] == "yes"
    assert shown["guard concurrent_calls"] == "none"
    assert (found["dial_out"], found["dial_out_in_force"], found["user_limit_micros"]) == ("", DEFAULT, None)
    assert found["group_limits_micros"] == {"department/R&D = x": 500_000_000}
    assert (found["guard"]["concurrent_calls"], found["guard"]["user_hour_micros"]) == (None, 80_500_000)
    assert found["guard"]["premium_minute_micros"] == 1_000_000
    assert gettone.json("policies", "show", "acme") == found


def test_limits_on_conferences_and_resource_accounts_are_off_until_they_are_set(gettone):
    before = lines(gettone("policies", "show", "acme").stdout)
    limits = ["--guard", "conference-calls=40", "--guard", "resource_calls=20", "--guard", "premium_minute=none"]
    after = lines(gettone("policies", "set", "acme", *limits).stdout)

    names = ("guard conference_calls", "guard resource_calls", "guard premium_minute")
    assert [before[name] for name in names] == ["none", "none", "1.00 USD"]
    assert [after[name] for name in names] == ["40", "20", "none"]


def test_the_guard_of_an_organisation_follows_its_currency(gettone):
    gettone("org", "create", "tokyo", "--name", "Tokyo", "--country", "JP", "--currency", "JPY")

    shown = lines(gettone("policies", "show", "tokyo").stdout)
    assert (shown["guard user_hour"], shown["guard premium_minute"]) == ("10000 JPY", "100 JPY")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to change: give at least one of the options"),
        (["--user-limit", "much"], "user-limit 'much': amount 'much' is not a decimal number"),
        (["--user-limit", "-1"], "user_limit '-1.00': write an amount from 0.00 to"),
        (["--dial-out", "Open"], "dial_out 'Open': there is no such dial-out policy; known are Dialout"),
        (["--group-limit", "Sales"], "group-limit 'Sales': write a name, an equals sign and a value"),
        (["--group-limit", "Sales=5"], "group_limits 'Sales': write department/NAME or cost_centre/NAME"),
        (["--guard", "user_hour=1", "--guard", "user_hour=2"], "guard 'user_hour=2': it is given twice"),
        (["--guard", "speed=5"], "guard 'speed': the fraud guard has no such limit; known are concurrent_calls, "),
        (["--guard", "block_hours=1.5"], "guard block_hours '1.5': write a whole number, or none for no limit"),
        (["--guard", "conference_calls=0"], "guard.conference_calls 0: write a number from 1 to 10000, or none"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_in_one_line(gettone, words, message):
    told = gettone.refuses("policies", "set", "acme", *words, expect=2)

    assert told.startswith(f"error: {message}")
    assert gettone.json("policies", "show", "acme")["user_limit_micros"] is None


def test_an_organisation_that_is_not_there_is_named(gettone):
    assert "'nobody'" in gettone.refuses("policies", "show", "nobody")
    assert "'nobody'" in gettone.refuses("policies", "set", "nobody", "--user-limit", "5")


def test_a_users_own_rules_are_shown_set_and_taken_away(gettone):
    gettone("policies", "set", "acme", "--user-limit", "50")
    before = lines(gettone("policies", "user", "acme", "anna@example.test").stdout)
    own = lines(gettone("policies", "user", "acme", "anna", "--limit", "20.00", "--dial-out", DOMESTIC).stdout)
    back = gettone.json("policies", "user", "acme", "anna", "--limit", "none", "--dial-out", "default")

    assert before["spending limit"] == "50.00 USD (the organisation's)"
    assert before["dial-out policy"] == f"{DEFAULT} (the organisation's)"
    assert (own["spending limit"], own["dial-out policy"], own["blocked"]) == ("20.00 USD", DOMESTIC, "no")
    assert (back["limit_micros"], back["limit_in_force_micros"], back["dial_out"]) == (None, 50_000_000, "")
    assert "user 'dora'" in gettone.refuses("policies", "user", "acme", "dora")


def test_the_twelve_dial_out_policies_are_listed(gettone):
    found = gettone.json("policies", "dial-out")

    assert len(found) == 12
    assert [one["policy"] for one in found if one["default"]] == [DEFAULT]
    assert "the user may call emergency numbers only" in gettone("policies", "dial-out").stdout


def test_prefixes_are_barred_exempted_listed_and_removed(gettone):
    assert (
        gettone("policies", "bar", "acme", "+1900", "--label", "premium").stdout == "+1900: called numbers are barred\n"
    )
    assert gettone("policies", "exempt", "acme", "19005550123").stdout == "+19005550123: called numbers are exempt\n"
    assert gettone("policies", "bar", "acme", "44", "--direction", "calling").exit_code == 0

    assert [(one["direction"], one["prefix"], one["barred"]) for one in gettone.json("policies", "bars", "acme")] == [
        ("called", "1900", True),
        ("called", "19005550123", False),
        ("calling", "44", True),
    ]
    assert "premium" in gettone("policies", "bars", "acme").stdout
    assert gettone("policies", "unbar", "acme", "+1900").stdout == "+1900: removed for called numbers\n"
    assert "no bar for called numbers" in gettone.refuses("policies", "unbar", "acme", "+1900")
    assert "from the country code on" in gettone.refuses("policies", "bar", "acme", "0044", expect=2)
    assert "write called or calling" in gettone.refuses("policies", "bar", "acme", "44", "--direction", "in", expect=2)


def test_bars_are_imported_all_or_none(gettone):
    (gettone.folder / "bars.csv").write_text("prefix,barred\n1900,yes\n1901,no\n")
    (gettone.folder / "bad.csv").write_text("prefix,barred\n1900,maybe\nx,\n")

    assert gettone("policies", "import-bars", "acme", "bars.csv").stdout == "2 bars added, 0 changed, 0 unchanged\n"
    told = gettone.refuses("policies", "import-bars", "acme", "bad.csv")

    assert told.splitlines()[0] == "error: bad.csv: 2 errors; nothing was imported"
    assert "line 2: barred 'maybe': write yes to bar, no to exempt" in told
    assert "line 3: prefix 'x'" in told
    assert gettone.json("policies", "import-bars", "acme", "bars.csv") == {"created": 0, "changed": 0, "unchanged": 2}


def test_a_premium_destination_is_allowed_and_listed(gettone):
    assert gettone("policies", "allow-destination", "acme", "GB premium").stdout == "GB premium: allowed\n"
    assert [one["destination"] for one in gettone.json("policies", "destinations", "acme")] == ["GB premium"]
    assert "GB premium" in gettone("policies", "destinations", "acme").stdout


def test_spending_is_shown_beside_its_limit(gettone):
    gettone("policies", "set", "acme", "--user-limit", "50")
    with sqlite3.connect("gettone.db") as database:
        database.execute(
            "INSERT INTO tally (org_id, subject, period, spent_micros, held_micros, open_calls)"
            " VALUES ('acme', 'user/anna', 202611, 12000000, 500000, 2)"
        )
    database.close()

    [header, row] = gettone("policies", "spending", "acme", "--month", "202611").stdout.splitlines()
    [found] = gettone.json("policies", "spending", "acme", "--month", "202611")

    assert header.split()[:3] == ["subject", "name", "limit"]
    assert row.split() == [
        *("user/anna", "anna@example.test", "50.00", "USD", "12.00", "USD", "0.50", "USD"),
        *("37.50", "USD", "25", "%", "2"),
    ]
    assert (found["left_micros"], found["percent"]) == (37_500_000, 25)
    assert "write year and month" in gettone.refuses("policies", "spending", "acme", "--month", "13", expect=2)


# -- blocked users -----------------------------------------------------------------------------------------------------


def test_a_user_is_blocked_reported_and_unblocked(gettone):
    done = gettone("users", "block", "acme", "anna", "--until", "2199-01-01", "--detail", "phone was stolen")
    [report] = gettone.json("users", "blocked", "acme")
    table = gettone("users", "blocked", "acme").stdout
    shown = lines(gettone("policies", "user", "acme", "anna").stdout)
    undone = gettone("users", "unblock", "acme", "anna", "--detail", "found it")

    assert done.stdout == "anna@example.test blocked until 2199-01-01 00:00:00Z\n"
    assert (report["reason"], report["action"], report["by"]) == ("tenant_requested", "blocked", "the command line")
    assert report["numbers"] == ["+390612345678"]
    assert "block time (UTC)" in table
    assert "phone was stolen" in table
    assert shown["blocked"] == "tenant_requested, until 2199-01-01 00:00:00Z"
    assert undone.stdout == "anna@example.test is not blocked\n"
    assert gettone.json("users", "blocked", "acme") == []
    assert [line["action"] for line in gettone.json("users", "blocked", "acme", "--history")] == [
        "unblocked",
        "blocked",
    ]
    assert "found it" in gettone("users", "blocked", "acme", "--history").stdout


def test_a_block_without_end_says_so(gettone):
    done = gettone("users", "block", "acme", "anna", "--reason", "high_international_spend")

    assert done.stdout == "anna@example.test blocked until somebody unblocks\n"


def test_a_block_that_makes_no_sense_is_refused(gettone):
    refuses = gettone.refuses

    assert "reason 'mood': write one of" in refuses("users", "block", "acme", "anna", "--reason", "mood", expect=2)
    assert "after now" in refuses("users", "block", "acme", "anna", "--until", "2020-01-01", expect=2)
    assert "until 'soon': write a time" in refuses("users", "block", "acme", "anna", "--until", "soon", expect=2)
    assert "user 'dora'" in refuses("users", "block", "acme", "dora")
    assert "user 'dora'" in refuses("users", "unblock", "acme", "dora")


def test_notices_are_sentences_newest_first(gettone):
    gettone("policies", "set", "acme", "--user-limit", "50")
    gettone("users", "block", "acme", "anna")

    shown = gettone("notices", "list", "acme").stdout
    found = gettone.json("notices", "list", "acme", "--kind", "user_blocked")

    assert "The rules of the organisation were changed by the command line: user limit from none to 50.00 USD." in shown
    assert "User anna is blocked from calling until somebody unblocks." in shown
    assert [one["subject"] for one in found] == ["user/anna"]
    assert "write one of spend_warning" in gettone.refuses("notices", "list", "acme", "--kind", "gossip", expect=2)
