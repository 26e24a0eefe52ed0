"""Every command does what it says and names what is wrong in one line."""

import json
import os

import pytest
import typer

from gettone.agents.cdr import FORMATS
from gettone.cli import app
from gettone.cli.import_records import Format


def every_command(command=None, path=()):
    command = command or typer.main.get_command(app)
    children = getattr(command, "commands", {})
    if not children and not command.hidden:
        yield path, command
    for name, child in children.items():
        yield from every_command(child, (*path, name))


@pytest.mark.parametrize("words", [path for path, _ in every_command()], ids=" ".join)
def test_every_command_has_help_with_an_example(empty, words):
    shown = empty(*words, "--help").stdout

    assert "Usage: " in shown
    assert "Example: " in shown
    assert f"gettone {' '.join(words)}" in " ".join(shown.partition("Example: ")[2].split())


def test_the_program_tells_its_version(empty):
    assert empty("--version").stdout.startswith("gettone 0.")


def test_an_unknown_command_is_wrong_usage(empty):
    assert "No such command" in empty.refuses("charm", expect=2)


def test_an_unknown_option_is_wrong_usage(empty):
    assert "--colour" in empty.refuses("org", "list", "--colour", expect=2)


def test_without_words_a_group_shows_its_help(empty):
    assert "Usage: " in empty("rates", expect=2).stderr


def test_a_command_without_a_database_says_how_to_make_one(empty):
    assert "gettone db upgrade" in empty.refuses("org", "list")
    assert not list(empty.folder.iterdir())


def test_a_database_of_a_newer_schema_is_refused(gettone):
    import sqlite3

    with sqlite3.connect("gettone.db") as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()

    assert "newer" in gettone.refuses("org", "list")
    assert "newer" in gettone.refuses("db", "upgrade")
    assert "newer" in gettone("db", "check", expect=1).stdout


def test_a_bad_setting_is_named(gettone, monkeypatch):
    monkeypatch.setenv("GETTONE_BATCH_SIZE", "many")

    assert "batch_size 'many'" in gettone.refuses("org", "list")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write into anything")
def test_a_read_only_database_is_named(gettone):
    (gettone.folder / "gettone.db").chmod(0o400)

    assert "gettone.db" in gettone.refuses("org", "close", "acme")


def test_upgrade_and_check_tell_the_revision(empty):
    assert empty.json("db", "upgrade")["state"] == "current"
    assert empty.json("db", "check") == {"schema": empty.json("db", "upgrade"), "damage": []}


def test_a_backup_is_restored_into_an_empty_database_only(gettone, monkeypatch):
    gettone("backup", "a.backup")

    assert "is there already" in gettone.refuses("backup", "a.backup")
    assert "not empty" in gettone.refuses("restore", "a.backup")
    assert "is not there" in gettone.refuses("restore", "b.backup")
    monkeypatch.setenv("GETTONE_DATABASE_URL", "sqlite:///other.db")
    gettone("db", "restore", "a.backup")
    assert gettone.json("wallet", "balance", "acme")["available_micros"] == 50_000_000


def test_rates_are_imported_shown_and_looked_up(gettone):
    again = gettone.json("rates", "import", "deck.csv")

    assert again["already"]
    assert [deck["deck_id"] for deck in gettone.json("rates", "list")] == [again["deck"]["deck_id"]]
    assert {row["country"] for row in gettone.json("rates", "show", "--country", "GB")} <= {"GB", ""}
    assert gettone.json("rates", "lookup", "+442071838750")["country"] == "GB"
    assert "0.009" in gettone("rates", "lookup", "+442071838750").stdout
    assert "Italy, mobile" in gettone("rates", "show", "--country", "IT").stdout
    assert "standard" in gettone("rates", "list").stdout


def test_everything_wrong_in_a_deck_is_told_at_once_with_line_numbers(gettone):
    (gettone.folder / "bad.csv").write_text(
        "country,price,currency,effective_from\nGB,cheap,USD,2026-01-01\nXX,0.01,USD,2026-01-01\n"
    )

    told = gettone.refuses("rates", "import", "bad.csv")

    assert "line 2" in told
    assert "line 3" in told


def test_a_file_that_is_not_there_is_named(gettone):
    assert "gone.csv: No such file" in gettone.refuses("rates", "import", "gone.csv")
    assert "gone.csv: No such file" in gettone.refuses("calls", "import", "gone.csv", "--format", "asterisk")


def test_a_number_without_a_rate_or_plus_is_refused(gettone):
    assert "does not begin with '+'" in gettone.refuses("rates", "lookup", "00441", expect=2)


def test_a_quote_tells_price_and_payer(gettone):
    quote = gettone.json(
        "quote", "--user", "anna@example.test", "--org", "acme", "--to", "+442071838750", "--seconds", 600
    )

    assert (quote["charged_micros"], [part["payer"] for part in quote["parts"]]) == (90_000, ["credits"])
    assert "credits" in gettone("quote", "--from", "+390612345678", "--to", "+442071838750").stdout


def test_a_quote_of_a_call_that_would_be_refused_says_why(gettone):
    done = gettone("quote", "--user", "bruno", "--org", "acme", "--to", "+442071838750", expect=1)

    assert "no_credits_licence" in done.stdout


def test_a_quote_by_a_deck_needs_no_database(gettone):
    (gettone.folder / "gettone.db").unlink()

    assert (
        gettone.json("quote", "--to", "+442071838750", "--seconds", 600, "--deck", "deck.csv")["charged_micros"]
        == 90_000
    )


def test_a_quote_needs_to_know_who_calls(gettone):
    assert "--from or --user" in gettone.refuses("quote", "--to", "+442071838750", expect=2)


def test_organisations_are_made_changed_closed_and_opened(gettone):
    gettone("org", "create", "globex", "--country", "US", "--currency", "USD", "--name", "Globex")

    assert "exists" in gettone.refuses("org", "create", "globex", "--country", "US", "--currency", "USD")
    assert "country 'Italy'" in gettone.refuses(
        "org", "create", "x", "--country", "Italy", "--currency", "USD", expect=2
    )
    assert gettone.json("org", "change", "globex", "--time-zone", "America/New_York")["time_zone"] == "America/New_York"
    assert gettone.json("org", "close", "globex")["closed"]
    assert not gettone.json("org", "reopen", "globex")["closed"]
    assert [org["org_id"] for org in gettone.json("org", "list")] == ["acme", "globex"]
    assert "Globex" in gettone("org", "list").stdout
    assert "Globex" in gettone("org", "show", "globex").stdout
    assert "nobody" in gettone.refuses("org", "show", "nobody")


def test_users_are_made_changed_and_removed(gettone):
    gettone("users", "create", "acme", "cleo@example.test", "--usage-location", "IT", "--product", "MCOEV")

    changed = gettone.json(
        *("users", "change", "acme", "cleo@example.test", "--display-name", "Cleo", "--department", "Sales"),
    )
    assert (changed["display_name"], changed["department"], changed["licences"]) == ("Cleo", "Sales", ["MCOEV"])
    assert "MCOPSTN9" in gettone.refuses(
        *("users", "create", "acme", "x@example.test", "--usage-location", "IT", "--product", "MCOPSTN9"), expect=2
    )
    gettone("users", "remove", "acme", "cleo@example.test")
    assert [user["user_id"] for user in gettone.json("users", "list", "acme")] == ["anna", "bruno"]
    assert "cleo" in gettone.refuses("users", "show", "acme", "cleo@example.test")
    assert "+390612345678" in gettone("users", "show", "acme", "anna").stdout
    assert "bruno" in gettone("users", "list", "acme", "--search", "brun").stdout


def test_the_account_of_a_voice_application_answers_its_number(gettone):
    words = ("users", "create", "acme", "desk@example.test", "--usage-location", "IT", "--account", "resource")
    gettone(*words, "--product", "PHONESYSTEM_VIRTUALUSER")

    number = gettone.json("numbers", "assign", "acme", "+390612345670", "--user", "desk@example.test")

    assert (number["use"], number["source"]) == ("auto_attendant", "plan")
    assert "resource" in gettone("users", "show", "acme", "desk@example.test").stdout


def test_everything_wrong_in_a_file_of_users_is_told_at_once(gettone):
    (gettone.folder / "bad.csv").write_text("upn,usage_location,products\na@x.test,ZZ,\nb@x.test,IT,MCOPSTN9\n")

    told = gettone.refuses("users", "import", "acme", "bad.csv")

    assert "line 2" in told
    assert "line 3" in told
    assert gettone.json("users", "import", "acme", "users.csv") == {"created": 0, "changed": 0, "unchanged": 2}


def test_numbers_are_assigned_listed_imported_and_released(gettone):
    (gettone.folder / "numbers.csv").write_text("number,use\n+18885550123,call_queue\n")
    gettone("numbers", "assign", "acme", "+18005550100", "--use", "conference", "--label", "meet")

    assert gettone.json("numbers", "import", "acme", "numbers.csv")["created"] == 1
    assert [number["number"] for number in gettone.json("numbers", "list", "acme")] == [
        "+18005550100",
        "+18885550123",
        "+390612345678",
        "+390612345679",
    ]
    gettone("numbers", "release", "acme", "+18885550123")
    assert "+18885550123" not in gettone("numbers", "list", "acme").stdout
    assert "+18885550123" in gettone.refuses("numbers", "release", "acme", "+18885550123")


def test_numbers_are_acquired_assigned_and_unassigned(gettone):
    gettone("numbers", "acquire", "acme", "+390612345671", "+390612345672", "--source", "ported")
    rings = gettone.json("numbers", "assign", "acme", "+390612345671", "--user", "bruno")
    silent = gettone.json("numbers", "unassign", "acme", "+390612345671")

    assert (rings["user_id"], rings["source"]) == ("bruno", "ported")
    assert (silent["use"], silent["user_id"], silent["source"]) == ("unassigned", "", "ported")
    assert "+390612345672  unassigned  -      ported" in gettone("numbers", "list", "acme").stdout


def test_quotas_count_the_numbers_that_came_with_a_plan(gettone):
    before = {quota["kind"]: quota for quota in gettone.json("numbers", "quotas", "acme")}
    gettone("numbers", "acquire", "acme", "+390612345671")
    gettone("numbers", "acquire", "acme", "+390612345672", "--source", "direct")
    after = {quota["kind"]: quota for quota in gettone.json("numbers", "quotas", "acme")}

    assert before["user"] == {"kind": "user", "used": 2, "allowed": 15}
    assert (after["user"]["used"], after["toll"], after["toll_free"]["allowed"]) == (3, before["toll"], 5)
    assert "15" in gettone("numbers", "quotas", "acme").stdout


def test_a_number_beyond_the_quota_says_how_to_get_more(gettone):
    gettone("numbers", "acquire", "acme", *(f"+3906123457{line:02}" for line in range(13)))

    told = gettone.refuses("numbers", "acquire", "acme", "+390612345799")

    assert "15 of 15 numbers for users" in told
    assert "gettone licences buy acme MCOPSTN1 QUANTITY" in told


def test_a_toll_free_number_without_credits_is_refused_with_what_to_set_up(gettone):
    gettone("org", "create", "globex", "--country", "US", "--currency", "USD")
    gettone("licences", "buy", "globex", "MCOMEETADV", 5)

    told = gettone.refuses("numbers", "assign", "globex", "+18005550100", "--use", "conference")

    assert "gettone licences buy globex MCOPSTNC" in told
    gettone("licences", "buy", "globex", "MCOPSTNC")
    gettone("numbers", "assign", "globex", "+18005550100", "--use", "conference")


def test_money_is_added_once_for_each_reference(gettone):
    first = gettone.json("wallet", "credit", "acme", "20.00", "--reference", "PO-1")
    again = gettone.json("wallet", "credit", "acme", "20.00", "--reference", "PO-1")

    assert (first["repeated"], again["repeated"]) == (False, True)
    assert "before, under this reference" in gettone("wallet", "credit", "acme", "20.00", "--reference", "PO-1").stdout
    assert "PO-1" in gettone.refuses("wallet", "credit", "acme", "21.00", "--reference", "PO-1")
    assert gettone.json("wallet", "balance", "acme")["available_micros"] == 70_000_000


def test_a_wallet_is_corrected_with_a_reason(gettone):
    gettone("wallet", "adjust", "acme", "-5.00", "--reason", "booked twice")

    assert "45.00 USD" in gettone("wallet", "balance", "acme").stdout
    assert "booked twice" in json.dumps(gettone.json("wallet", "ledger", "acme", "--kind", "adjusted"))
    assert "45.00 USD" in gettone("wallet", "lots", "acme", "--unspent").stdout
    assert gettone("wallet", "ledger", "acme").stdout.index("adjusted") < gettone(
        "wallet", "ledger", "acme"
    ).stdout.index("funds_added")
    assert "amount" in gettone.refuses("wallet", "credit", "acme", "1,50", expect=2)
    gettone.refuses("wallet", "adjust", "acme", "-500.00", "--reason", "too much")


def test_pools_are_shown(gettone):
    [pool] = gettone.json("pools", "show", "acme")

    assert (pool["pool_key"], pool["licences"], pool["size_seconds"]) == ("IT/MCOPSTN1", 2, 2 * 1200 * 60)
    assert "40:00:00" in gettone("pools", "show", "acme").stdout


def test_keys_are_made_listed_and_revoked(gettone):
    made = gettone.json("keys", "create", "--scope", "charging", "--org", "acme")

    assert made["token"].startswith("gtn_")
    assert "cannot be shown again" in gettone("keys", "create", "--scope", "read").stderr
    assert made["token"] not in gettone("keys", "list").stdout
    gettone("keys", "revoke", made["key"]["key_id"])
    assert gettone.json("keys", "list", "--org", "acme")[0]["revoked_at"]
    assert "scope 'root'" in gettone.refuses("keys", "create", "--scope", "root", expect=2)


def test_sound_books_are_verified(gettone):
    assert "1 organisation verified, no differences" in gettone("verify").stdout


def test_damage_is_found_and_named(gettone):
    import sqlite3

    with sqlite3.connect("gettone.db") as database:
        database.execute("UPDATE wallet SET posted_micros = posted_micros + 1")
    database.close()

    done = gettone("verify", expect=1)

    assert "acme" in done.stdout
    assert "found" in done.stderr
    assert gettone.program("verify", "--json").returncode == 1


def test_the_formats_on_the_command_line_are_those_that_can_be_read():
    assert {each.value for each in Format} == set(FORMATS)


@pytest.mark.slow
def test_the_program_runs_and_its_help_needs_neither_database_nor_web_framework(gettone):
    shown = gettone.program("org", "list", "--json")
    refused = gettone.program("org", "show", "nobody")
    code = (
        "import sys, gettone.cli; print({'sqlalchemy', 'litestar', 'rich', 'numpy', 'phonenumbers'} & set(sys.modules))"
    )

    import subprocess
    import sys

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(shown.stdout)[0]["org_id"] == "acme"
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (1, "", 1)
    assert loaded.stdout.strip() == "set()"


@pytest.mark.slow
def test_a_port_that_is_taken_is_named(gettone):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        done = gettone.program("serve", "--bind", address)

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("error: ")
    assert address.rpartition(":")[2] in done.stderr
    assert "Traceback" not in done.stderr


def test_a_list_longer_than_a_page_is_whole(gettone):
    rows = "".join(f"u{line:04}@example.test,IT\n" for line in range(1500))
    (gettone.folder / "many.csv").write_text("upn,usage_location\n" + rows)
    gettone("users", "import", "acme", "many.csv")

    assert len(gettone.json("users", "list", "acme", "--limit", 5000)) == 1502
    assert len(gettone.json("users", "list", "acme", "--limit", 1200)) == 1200
