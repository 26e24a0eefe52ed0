"""Licences from files, thousands at once and back again, on both databases."""

import contextlib

import pytest

from gettone.errors import InvalidFile
from gettone.operations import directory, numbers
from gettone.operations.bulk_licensing import import_licences
from gettone.operations.directory_files import import_users
from tests.support.licences import PLAN, assign, buy, counts, held, numbers_of


def load(world, text: str, **options):
    return import_licences(world.office, "contoso", text.encode(), world.now, **options)


def test_a_file_assigns_to_many_and_its_undo_file_takes_everybody_back(small):
    assign(small, "ben", *PLAN, "MCOPSTNC")
    small.number("contoso", "+14255550100", user="ben")
    directory.change_user(small.office, "contoso", "carl", small.now, usage_location="")
    before = {name: held(small, name) for name in ("anna", "ben", "carl")}

    done = load(
        small,
        "user,add,remove,usage_location\n"
        "anna,MCOEV MCOPSTN2,,\n"
        "ben@contoso.example,,MCOPSTN1;MCOPSTNC,\n"
        "carl,MCOEV,,gb\n",
    )

    assert (done.written, done.lines, done.changed, done.refused, done.problems) == (True, 3, 3, 0, ())
    assert done.gained == {"MCOEV": 2, "MCOPSTN2": 1}
    assert done.lost == {"MCOPSTN1": 1, "MCOPSTNC": 1}
    assert done.numbers_unassigned == 1
    assert ("Calls to telephone numbers are refused: no Calling Plan is left.", 1) in done.consequences
    assert numbers_of(small)["+14255550100"] == ("unassigned", "")
    assert small.findings() == []

    back = load(small, done.undo_csv)

    assert (back.written, back.changed) == (True, 3)
    assert {name: held(small, name) for name in before} == before
    assert numbers_of(small)["+14255550100"] == ("user", "ben")
    assert directory.get_user(small.office, "contoso", "carl").usage_location == ""
    assert small.findings() == []


def test_every_bad_line_of_a_file_is_named_at_once_and_nothing_is_done(small):
    for name in ("dora", "emil", "fred", "gina"):
        small.user("contoso", name)
    before = small.contents()

    done = load(
        small,
        "user,add,remove,usage_location,number\n"
        "anna,MCOEV,,,\n"
        "nobody,MCOEV,,,\n"
        "ben,MCOPSTM1,,,\n"
        "anna@contoso.example,MCOPSTN1,,,\n"
        "carl,MCOEV,MCOEV,,\n"
        "dora,MCOPSTN1,,,\n"
        "emil,MCOEV,,XX,\n"
        "fred,MCOEV MCOPSTN1,,,12\n"
        "gina,MCOEV MCOPSTN1,,,+14255550199\n"
        "short\n",
    )

    assert [(problem.line, problem.field) for problem in done.problems] == [
        (3, "user"),
        (4, "add"),
        (5, "user"),
        (6, "remove"),
        (7, "add"),
        (8, "usage_location"),
        (9, "number"),
        (10, "number"),
        (11, ""),
    ]
    said = "\n".join(map(str, done.problems))
    assert "there is no user with this id" in said
    assert "did you mean MCOPSTN1" in said
    assert "it is in line 2 already" in said
    assert "gettone licences assign contoso dora@contoso.example MCOEV" in said
    assert (done.written, done.lines, done.refused, done.undo_csv) == (False, 10, 9, "")
    assert small.contents() == before


def test_more_licences_than_owned_are_named_with_owned_assigned_and_asked(small):
    assign(small, "anna", "MCOEV")
    small.user("contoso", "dora")

    done = load(small, "user,add\nben,MCOEV\ncarl,MCOEV\ndora,MCOEV\n")

    [problem] = done.problems
    assert (problem.line, problem.field, problem.value) == (4, "add", "MCOEV")
    assert "MCOEV: 3 owned, 1 assigned, 3 more asked for" in problem.remedy
    assert not done.written


def test_with_partial_the_good_lines_of_a_file_are_done(small):
    done = load(small, "user,add\nanna,MCOEV\nnobody,MCOEV\nben,MCOPSTN1\n", partial=True)

    assert (done.written, done.changed, done.refused) == (True, 1, 2)
    assert held(small, "anna") == ("MCOEV",)
    assert done.undo_csv == "user,add,remove,usage_location,number\nanna,,MCOEV,,\n"


def test_a_dry_run_of_a_file_writes_nothing_and_says_what_it_would_do(small):
    before = small.contents()

    done = load(small, "user,add\nanna,MCOEV\n", dry_run=True)

    assert (done.written, done.changed, done.gained, done.undo_csv) == (False, 1, {"MCOEV": 1}, "")
    assert small.contents() == before


def test_a_file_that_is_no_list_of_licences_says_so(small):
    with pytest.raises(InvalidFile, match="column 'sku': there is no such column; known are user, add, remove"):
        load(small, "user,sku\nanna,MCOEV\n")
    with pytest.raises(InvalidFile, match="must name a column user"):
        load(small, "add\nMCOEV\n")


def test_thousands_of_lines_are_done_in_one_go_and_progress_is_told(world):
    world.organisation("contoso")
    lines = "\n".join(f"u{n:05d},user{n:05d}@x,US,MCOEV" for n in range(6000))
    people = f"user_id,upn,usage_location,products\n{lines}\n"
    import_users(world.office, "contoso", people.encode(), world.now)
    told: list[tuple[int, int]] = []

    done = load(
        world,
        "user,add\n" + "".join(f"USER{n:05d}@x,MCOPSTN1\n" for n in range(6000)),
        progress=lambda count, total: told.append((count, total)),
    )

    assert (done.changed, done.refused) == (6000, 0)
    assert (told[0], told[-1]) == ((0, 6000), (6000, 6000))
    assert world.pools("contoso")["US/MCOPSTN1"].licences == 6000
    back = load(world, done.undo_csv)
    assert (back.changed, world.pools("contoso")["US/MCOPSTN1"].licences) == (6000, 0)
    assert world.findings() == []


# -- between reading and writing ---------------------------------------------------------------------------------------


def before_the_lock(world, monkeypatch, do) -> None:
    """Let *do* be done by somebody else when the file has been decided and the wallet is not locked yet."""
    write, waiting = world.office.write, [do]

    @contextlib.contextmanager
    def locked(org_id):
        if waiting:
            waiting.pop()()
        with write(org_id) as unit:
            yield unit

    monkeypatch.setattr(world.office, "write", locked)


def test_who_was_changed_while_the_file_was_decided_is_decided_again(small, monkeypatch):
    before_the_lock(small, monkeypatch, lambda: assign(small, "anna", "MCOMEETADV"))

    done = load(small, "user,add\nanna,MCOEV\nben,MCOEV\n")

    assert (done.written, done.changed) == (True, 2)
    assert held(small, "anna") == ("MCOEV", "MCOMEETADV")
    assert counts(small)["MCOEV"] == (3, 2, 1)
    assert small.findings() == []


def test_licences_that_were_taken_while_the_file_was_decided_are_refused_and_nothing_is_done(small, monkeypatch):
    before_the_lock(small, monkeypatch, lambda: assign(small, "carl", "MCOMEETADV"))
    small.user("contoso", "dora")

    done = load(small, "user,add\nanna,MCOEV MCOMEETADV\nben,MCOMEETADV\n")

    assert (done.written, done.refused, done.undo_csv) == (False, 1, "")
    assert "MCOMEETADV: 2 owned, 1 assigned, 2 more asked for" in str(done.problems[0])
    assert (held(small, "anna"), held(small, "ben")) == ((), ())


def test_licences_that_were_bought_while_the_file_was_decided_stay_counted(small, monkeypatch):
    before_the_lock(small, monkeypatch, lambda: buy(small, "MCOMEETADV", 5))

    done = load(small, "user,add\nanna,MCOMEETADV\n")

    assert done.written
    assert counts(small)["MCOMEETADV"] == (7, 1, 6)
    assert small.findings() == []


def test_a_label_written_while_the_file_was_decided_stays(small, monkeypatch):
    assign(small, "ben", *PLAN)
    small.number("contoso", "+14255550100", user="ben")

    def label():
        numbers.assign_number(small.office, "contoso", "+14255550100", small.now, user="ben", label="desk")

    before_the_lock(small, monkeypatch, label)
    load(small, "user,remove\nben,MCOPSTN1\n")

    [number] = numbers.list_numbers(small.office, "contoso").items
    assert (number.use, number.label) == ("unassigned", "desk")


def test_a_file_with_a_bad_line_never_waits_for_the_wallet(small, monkeypatch):
    monkeypatch.setattr(small.office, "write", lambda _: pytest.fail("the wallet was locked"))

    assert load(small, "user,add\nnobody,MCOEV\n").refused == 1


# -- numbers -----------------------------------------------------------------------------------------------------------


def test_a_number_is_given_to_one_user_of_a_file_only(small):
    numbers.acquire_numbers(small.office, "contoso", ["+14255550100"], small.now)

    done = load(small, "user,add,number\nanna,MCOEV MCOPSTN1,+14255550100\nben,MCOEV MCOPSTN1,14255550100\n")

    [problem] = done.problems
    assert (problem.line, problem.field) == (3, "number")
    assert "+14255550100 is given to anna@contoso.example in this list already" in problem.remedy
    assert not done.written
    assert numbers_of(small)["+14255550100"] == ("unassigned", "")


def test_a_number_of_a_resource_account_is_checked_as_when_it_is_assigned_by_itself(small):
    wanted = [f"+1425555{last:04d}" for last in range(7)]
    numbers.acquire_numbers(small.office, "contoso", wanted, small.now)
    small.user("contoso", "desk", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)
    small.user("contoso", "lone", products=["PHONESYSTEM_VIRTUALUSER"], resource=True)

    load(small, f"user,number\ndesk,{' '.join(wanted[:5])}\n")
    done = load(small, f"user,number\nlone,{wanted[5]}\n")

    assert numbers_of(small)[wanted[0]] == ("auto_attendant", "desk")
    assert "5 of 5 toll numbers for services" in str(done.problems[0])
    assert numbers_of(small)[wanted[5]] == ("unassigned", "")
    assert small.findings() == []


def test_a_number_of_a_plan_names_all_that_its_user_lacks(small):
    numbers.acquire_numbers(small.office, "contoso", ["+14255550100"], small.now)

    [problem] = load(small, "user,number\nanna,+14255550100\n").problems

    assert "gettone licences assign contoso anna@contoso.example MCOEV MCOPSTN1" in problem.remedy


# -- the way back ------------------------------------------------------------------------------------------------------


def migrated(world, name: str, *licences: str) -> None:
    """Let a user hold what no rule of today would let them hold, as one who came from before it may."""
    with world.office.write("contoso") as unit:
        unit.directory.set_licences("contoso", [name], "", licences)
        unit.licences.write_assigned("contoso", dict.fromkeys(licences, 1))
        unit.directory_changed()


def test_the_way_back_leads_to_what_was_held_before_there_was_a_rule(small):
    migrated(small, "anna", "MCOPSTN1", "MCOPSTN2")
    undo = load(small, "user,remove\nanna,MCOPSTN1 MCOPSTN2\n").undo_csv

    by_the_rules = load(small, undo)
    back = load(small, undo, undo=True)

    assert (by_the_rules.written, by_the_rules.refused) == (False, 1)
    assert (back.written, held(small, "anna")) == (True, ("MCOPSTN1", "MCOPSTN2"))
    assert small.findings() == []


def test_the_way_back_is_refused_when_the_licences_went_to_others(small):
    small.user("contoso", "dora")
    for name in ("anna", "ben", "carl"):
        assign(small, name, "MCOEV")
    undo = load(small, "user,remove\nanna,MCOEV\n").undo_csv
    assign(small, "dora", "MCOEV")

    back = load(small, undo, undo=True)

    assert "MCOEV: 3 owned, 3 assigned, 1 more asked for" in str(back.problems[0])
    assert (back.written, held(small, "anna")) == (False, ())
