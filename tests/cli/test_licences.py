"""Licences on the command line: bought, assigned singly and in thousands, taken back, and asked about beforehand."""

import json

import pytest

ANNA = "anna@example.test"


def refused(gettone, *words):
    """What is told of a change that is refused: first that it is, then why, user by user."""
    done = gettone(*words, expect=1)
    first, *reasons = done.stderr.splitlines()
    assert first.startswith("error: ")
    return first, "\n".join(reasons)


def held(gettone, user):
    return gettone.json("users", "show", "acme", user)["licences"]


def counts(gettone):
    return {one["sku"]: (one["purchased"], one["assigned"]) for one in gettone.json("licences", "list", "acme")}


# -- what is owned -----------------------------------------------------------------------------------------------------


def test_what_is_bought_assigned_and_available_is_listed(gettone):
    listed = {one["sku"]: one for one in gettone.json("licences", "list", "acme")}
    words = gettone("licences", "list", "acme").stdout

    assert (listed["MCOEV"]["purchased"], listed["MCOEV"]["assigned"], listed["MCOEV"]["available"]) == (5, 2, 3)
    assert listed["PHONESYSTEM_VIRTUALUSER"]["included"] == 25
    assert "Domestic Calling Plan" in words
    assert "999,999" in words


def test_an_order_is_made_once_for_its_reference(gettone):
    first = gettone.json("licences", "buy", "acme", "MCOPSTN5", 3, "--reference", "PO-1")
    again = gettone.json("licences", "buy", "acme", "MCOPSTN5", 3, "--reference", "PO-1")

    assert first == again
    assert counts(gettone)["MCOPSTN5"] == (3, 0)
    assert "PO-1" in gettone.refuses("licences", "buy", "acme", "MCOPSTN5", 4, "--reference", "PO-1")
    assert "PO-1" in gettone("licences", "subscriptions", "acme").stdout


def test_communications_credits_come_in_the_quantity_of_their_order(gettone):
    told = gettone.refuses("licences", "buy", "acme", "MCOPSTNC", 5, expect=2)

    assert "1,000,000 in an order" in told


@pytest.mark.parametrize(
    ("product", "told"),
    [("MCOPSTN_6X", "did you mean MCOPSTN_6"), ("BUSINESS_VOICE", "was sold until 2022-02-28")],
)
def test_what_is_not_sold_cannot_be_bought(gettone, product, told):
    assert told in gettone.refuses("licences", "buy", "acme", product, expect=2)


def test_a_subscription_keeps_as_many_as_are_assigned(gettone):
    gettone("licences", "change", "acme", "first MCOPSTN1", 2)

    assert counts(gettone)["MCOPSTN1"] == (2, 2)
    assert "remove 1 first: gettone licences remove acme USER MCOPSTN1" in gettone.refuses(
        "licences", "change", "acme", "first MCOPSTN1", 1
    )
    assert "remove 2 first" in gettone.refuses("licences", "end", "acme", "first MCOPSTN1")
    assert gettone.json("licences", "end", "acme", "first MCOPSTN2")["ended_at"]
    assert [one["sku"] for one in gettone.json("licences", "subscriptions", "acme")] == [
        "MCOEV",
        "MCOPSTN1",
        "MCOPSTNC",
    ]
    assert "first MCOPSTN2" in gettone("licences", "subscriptions", "acme", "--ended").stdout
    assert "PO-9" in gettone.refuses("licences", "end", "acme", "PO-9")


def test_a_closed_organisation_buys_nothing(gettone):
    gettone("org", "close", "acme")

    assert "gettone org reopen acme" in gettone.refuses("licences", "buy", "acme", "MCOEV")


# -- who holds what ----------------------------------------------------------------------------------------------------


def test_a_licence_is_assigned_and_taken_away(gettone):
    assigned = gettone("licences", "assign", "acme", "bruno", "MCOPSTNC").stdout
    taken = gettone("licences", "remove", "acme", "bruno", "MCOPSTNC").stdout

    assert assigned == "bruno@example.test: +MCOPSTNC\n1 user: 1 changed, 0 unchanged, 0 refused\n"
    assert "-MCOPSTNC\n  Calls that no minutes pay for" in taken
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1"]


def test_a_product_is_known_by_its_alias_and_its_plans_can_be_switched_off(gettone):
    gettone("licences", "buy", "acme", "SPE_E5", 1)
    gettone("users", "create", "acme", "cleo@example.test", "--usage-location", "IT")
    gettone("licences", "assign", "acme", "cleo@example.test", "--add", "SPE_E5", "--without", "MCOEV")
    gettone("licences", "assign", "acme", "bruno", "MCOPSTNPP")

    assert held(gettone, "cleo@example.test") == ["SPE_E5!MCOEV"]
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]
    assert "--without 'MCOPSTN7'" in gettone.refuses(
        "licences", "assign", "acme", "bruno", "SPE_E5", "--without", "MCOPSTN7", expect=2
    )


def test_a_swap_in_one_step_keeps_the_number(gettone):
    shown = gettone("licences", "assign", "acme", ANNA, "MCOPSTN2", "--remove", "MCOPSTN1").stdout

    assert f"{ANNA}: +MCOPSTN2 -MCOPSTN1" in shown
    assert "unassigned" not in shown
    assert gettone.json("users", "show", "acme", "anna")["numbers"] == ["+390612345678"]


def test_the_last_calling_plan_takes_the_number_away_and_says_so_before(gettone):
    tried = gettone("licences", "remove", "acme", ANNA, "MCOPSTN1", "MCOPSTNC", "--dry-run").stdout

    assert "The number +390612345678 is unassigned; it stays with the organisation." in tried
    assert "nothing was written: this was a dry run" in tried
    assert "MCOPSTN1" in held(gettone, "anna")
    _, why = refused(gettone, "licences", "remove", "acme", ANNA, "MCOPSTN1")
    gettone(*why.partition("gettone ")[2].split())
    assert "+390612345678  unassigned" in gettone("numbers", "list", "acme").stdout


def test_a_missing_prerequisite_is_named_with_a_command_that_mends_it(gettone):
    gettone("users", "create", "acme", "cleo@example.test", "--usage-location", "IT")

    first, why = refused(gettone, "licences", "assign", "acme", "cleo@example.test", "MCOPSTN1")

    assert first == "error: 1 of 1 user refused; nothing was changed"
    assert why == (
        "cleo@example.test: MCOPSTN1 needs Phone System, which the user does not hold. "
        "Assign it first: gettone licences assign acme cleo@example.test MCOEV"
    )
    gettone(*why.partition("gettone ")[2].split())
    gettone("licences", "assign", "acme", "cleo@example.test", "MCOPSTN1")
    assert held(gettone, "cleo@example.test") == ["MCOEV", "MCOPSTN1"]


def test_without_a_usage_location_nothing_is_assigned(gettone):
    gettone("users", "create", "acme", "cleo@example.test")

    _, why = refused(gettone, "licences", "assign", "acme", "cleo@example.test", "MCOEV")

    assert "gettone users change acme cleo@example.test --usage-location IT" in why


def test_one_refusal_keeps_everybody_as_they_were_unless_partial_is_wanted(gettone):
    everybody = ("anna", "bruno", "nobody")

    first, why = refused(gettone, "licences", "assign", "acme", *everybody, "MCOPSTNC")
    after_first = held(gettone, "bruno")
    partly = gettone("licences", "assign", "acme", *everybody, "MCOPSTNC", "--partial", expect=1)

    assert first == "error: 1 of 3 users refused; nothing was changed"
    assert why.startswith("nobody: user 'nobody': organisation 'acme' has none with this user id")
    assert after_first == ["MCOEV", "MCOPSTN1"]
    assert partly.stdout.endswith("3 users: 1 changed, 1 unchanged, 1 refused\n")
    assert partly.stderr.startswith("error: 1 of 3 users refused\n")
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]


def test_more_than_is_owned_is_not_assigned(gettone):
    _, why = refused(gettone, "licences", "assign", "acme", "anna", "bruno", "MCOPSTN2", "--remove", "MCOPSTN1")

    assert "Not enough licences of MCOPSTN2: 1 owned, 0 assigned, 2 more asked for." in why
    assert "gettone licences buy acme MCOPSTN2 1" in why
    assert counts(gettone)["MCOPSTN2"] == (1, 0)


def test_users_are_chosen_by_what_they_have_in_common(gettone):
    gettone("users", "change", "acme", "bruno", "--department", "Sales")

    by_department = gettone.json("licences", "assign", "acme", "--department", "Sales", "--add", "MCOPSTNC")
    by_product = gettone.json("licences", "remove", "acme", "--holding", "MCOPSTNC", "MCOPSTNC")
    nobody = gettone.json("licences", "assign", "acme", "--location", "FR", "--add", "MCOPSTNC")

    assert [one["user_id"] for one in by_department["outcomes"]] == ["bruno"]
    assert [one["user_id"] for one in by_product["outcomes"]] == ["anna", "bruno"]
    assert nobody["outcomes"] == []


def test_exactly_these_licences_are_set(gettone):
    gettone("licences", "set", "acme", "anna", "MCOEV", "MCOPSTN2")
    exactly = held(gettone, "anna")
    gettone("licences", "set", "acme", "anna")

    assert exactly == ["MCOEV", "MCOPSTN2"]
    assert held(gettone, "anna") == []


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("assign", "acme", "anna", "MCOPSTN9"), "product 'MCOPSTN9': there is no such product"),
        (("assign", "acme", "anna"), "name a product"),
        (("remove", "acme", "anna"), "name a product"),
        (("assign", "acme", "MCOPSTNC"), "name users, or give a condition"),
        (("assign", "acme", "anna", "MCOPSTNC", "--remove", "MCOPSTNC"), "write it on one side"),
        (("set", "acme", "anna", "MCOPSTN9"), "'MCOPSTN9': there is no such product"),
    ],
)
def test_wrong_words_are_wrong_usage(gettone, words, told):
    assert told in gettone.refuses("licences", *words, expect=2)


def test_holders_of_a_product_are_listed(gettone):
    assert [user["user_id"] for user in gettone.json("licences", "holders", "acme", "MCOPSTNC")] == ["anna"]
    assert "bruno@example.test" in gettone("licences", "holders", "acme", "MCOEV").stdout


def test_on_a_terminal_what_is_taken_away_is_asked_about_first(gettone, monkeypatch):
    answers = iter(["n", "y"])
    monkeypatch.setattr("gettone.cli.licences.on_terminal", lambda: True)
    monkeypatch.setattr("typer.confirm", lambda *_, **__: confirmed(next(answers)))

    kept = gettone("licences", "remove", "acme", "anna", "MCOPSTNC", expect=1)
    still = held(gettone, "anna")
    done = gettone("licences", "remove", "acme", "anna", "MCOPSTNC")
    gettone("licences", "remove", "acme", "bruno", "MCOPSTN1", "--yes")
    gettone("licences", "assign", "acme", "bruno", "MCOPSTN1")

    assert "anna@example.test: Calls that no minutes pay for" in kept.stderr
    assert kept.stderr.endswith("error: stopped\n")
    assert "MCOPSTNC" in still
    assert "1 changed" in done.stdout


def confirmed(answer):
    import typer

    if answer != "y":
        raise typer.Abort


# -- thousands at once -------------------------------------------------------------------------------------------------


def test_a_file_assigns_licences_and_its_undo_file_takes_everybody_back(gettone):
    (gettone.folder / "licences.csv").write_text("user,add,remove\nanna,MCOPSTN2,MCOPSTN1\nbruno,,MCOPSTN1\n")
    before = gettone.json("users", "list", "acme")
    shown = gettone("licences", "import", "acme", "licences.csv", "--undo", "undo.csv").stdout
    between = gettone.json("users", "list", "acme")
    gettone("licences", "undo", "acme", "undo.csv")
    after = gettone.json("users", "list", "acme")

    assert "2 lines: 2 changed, 0 unchanged, 0 refused" in shown
    assert "MCOPSTN1         0           2" in shown
    assert "1 user: Calls to telephone numbers are refused: no Calling Plan is left." in shown
    assert "1 number unassigned; they stay with the organisation" in shown
    assert "to go back: gettone licences undo acme undo.csv" in shown
    assert [user["licences"] for user in between] == [["MCOEV", "MCOPSTN2", "MCOPSTNC"], ["MCOEV"]]
    assert [(user["licences"], user["numbers"]) for user in after] == [
        (user["licences"], user["numbers"]) for user in before
    ]


def test_everything_wrong_in_a_file_of_licences_is_told_with_its_line(gettone):
    (gettone.folder / "licences.csv").write_text(
        "user,add,remove\nanna,MCOPSTN9,\nnobody,MCOEV,\nbruno,MCOPSTNC,\nbruno@example.test,MCOPSTN2,\n"
    )

    told = gettone.refuses("licences", "import", "acme", "licences.csv", "--undo", "undo.csv")

    assert told.startswith("error: licences.csv: 3 of 4 lines refused; nothing was changed\n")
    assert "line 2: add 'MCOPSTN9': there is no such product" in told
    assert "line 3: user 'nobody'" in told
    assert "line 5: user 'bruno@example.test': it is in line 4 already" in told
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1"]
    assert not (gettone.folder / "undo.csv").exists()


def test_the_good_lines_of_a_file_are_done_when_that_is_wanted(gettone):
    (gettone.folder / "licences.csv").write_text("user,add\nnobody,MCOPSTNC\nbruno,MCOPSTNC\n")

    tried = gettone("licences", "import", "acme", "licences.csv", "--partial", "--dry-run", expect=1)
    after_trying = held(gettone, "bruno")
    done = gettone("licences", "import", "acme", "licences.csv", "--partial", "--undo", "undo.csv", expect=1)

    assert "2 lines: 1 changed, 0 unchanged, 1 refused; nothing was written" in tried.stdout
    assert after_trying == ["MCOEV", "MCOPSTN1"]
    assert "1 of 2 lines refused\nline 2: user 'nobody'" in done.stderr
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1", "MCOPSTNC"]
    assert (gettone.folder / "undo.csv").read_text().splitlines()[1:] == ["bruno,,MCOPSTNC,,"]


def test_the_way_back_overwrites_nothing(gettone):
    (gettone.folder / "licences.csv").write_text("user,add\nbruno,MCOPSTNC\n")
    (gettone.folder / "undo.csv").write_text("the way back of yesterday")

    assert "undo.csv: it is there already" in gettone.refuses(
        "licences", "import", "acme", "licences.csv", "--undo", "undo.csv"
    )
    assert held(gettone, "bruno") == ["MCOEV", "MCOPSTN1"]
    assert (gettone.folder / "undo.csv").read_text() == "the way back of yesterday"


def test_a_file_without_users_is_refused(gettone):
    (gettone.folder / "licences.csv").write_text("name,add\nbruno,MCOPSTNC\n")

    assert "the first line must name a column user" in gettone.refuses("licences", "import", "acme", "licences.csv")


# -- before the first call ---------------------------------------------------------------------------------------------


def test_a_call_that_is_possible_names_its_payers(gettone):
    domestic = gettone("licences", "check", "acme", "anna", "domestic")
    abroad = gettone.json("licences", "check", "acme", "anna", "+442071838750")

    assert "answer  allowed\npayer 1   Minutes of the pool IT/MCOPSTN1: 2,400 left\n" in domestic.stdout
    assert "payer 2   Communications Credits: 50.00 USD available" in domestic.stdout
    assert (abroad["allowed"], abroad["country"], abroad["missing"]) == (True, "GB", [])


def test_everything_missing_is_named_with_a_command_and_the_commands_mend_it(gettone):
    gettone("users", "create", "acme", "cleo@example.test")

    told = gettone("licences", "check", "acme", "cleo@example.test", "international", expect=1).stdout
    remedies = [line.partition("gettone ")[2].split() for line in told.splitlines() if ": gettone " in line]
    for words in remedies:
        gettone(*words)

    assert [words[:2] for words in remedies] == [["users", "change"], ["licences", "assign"], ["licences", "assign"]]
    assert "answer  refused" in told
    assert gettone.json("licences", "check", "acme", "cleo@example.test", "international")["allowed"]


def test_a_check_is_machine_readable_and_ends_with_one_when_something_is_missing(gettone):
    done = gettone("licences", "check", "acme", "bruno", "international", "--json", expect=1)

    answer = json.loads(done.stdout)
    assert [one["reason"] for one in answer["missing"]] == ["no_credits_licence"]
    assert answer["missing"][0]["remedy"] == "Assign one: gettone licences assign acme bruno@example.test MCOPSTNC"


@pytest.mark.parametrize(
    ("words", "status", "told"),
    [
        (("anna", "lunar"), 2, "kind 'lunar': write a number with its plus, or one of domestic"),
        (("anna", "+39x"), 2, "number '+39x'"),
        (("nobody", "domestic"), 1, "user 'nobody'"),
    ],
)
def test_a_check_names_what_it_does_not_know(gettone, words, status, told):
    assert told in gettone.refuses("licences", "check", "acme", *words, expect=status)
