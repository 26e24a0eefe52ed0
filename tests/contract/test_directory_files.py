"""Users and numbers from files, on both databases."""

import pytest

from gettone.errors import InvalidFile
from gettone.operations import directory, numbers
from gettone.operations.directory_files import import_numbers, import_users


def problems(refused) -> list[tuple[int, str]]:
    return [(problem.line, problem.field) for problem in refused.value.problems]


def test_thousands_of_users_are_made_at_once_and_counted_in_their_pool(world):
    world.organisation("contoso")
    lines = [f"user{n:04d}@x,US,MCOEV MCOPSTN1 MCOPSTNC,+1425555{n:04d}" for n in range(3000)]

    done = import_users(
        world.office, "contoso", "\n".join(["upn,usage_location,products,number", *lines]).encode(), world.now
    )

    assert (done.created, done.changed, done.unchanged) == (3000, 0, 0)
    pool = world.pools("contoso")["US/MCOPSTN1"]
    assert (pool.licences, pool.size_seconds) == (3000, 3000 * 3000 * 60)
    assert directory.get_user(world.office, "contoso", "user2999@x").numbers == ("+14255552999",)
    assert world.findings() == []


def test_the_same_file_again_changes_nothing(contoso):
    data = b"upn,display_name,usage_location,products,number\nc@x,Carl,US,MCOPSTN1|MCOEV,+14255550111\nd@x,,,,\n"
    import_users(contoso.office, "contoso", data, contoso.now)
    before = {name: rows for name, rows in contoso.contents().items() if name != "wallet"}

    done = import_users(contoso.office, "contoso", data, contoso.now)

    assert (done.created, done.changed, done.unchanged) == (0, 0, 2)
    assert {name: rows for name, rows in contoso.contents().items() if name != "wallet"} == before


def test_only_the_columns_of_the_file_change(contoso):
    done = import_users(
        contoso.office, "contoso", b"user_id,products\nanna,\nben,MCOPSTN1;MCOPSTNC;MCOEV\n", contoso.now
    )

    assert done.changed == 2
    anna, ben = (directory.get_user(contoso.office, "contoso", ref) for ref in ("anna", "ben"))
    assert (anna.products, anna.usage_location, anna.numbers) == ((), "US", ())
    assert ben.products == ("MCOEV", "MCOPSTN1", "MCOPSTNC")
    assert contoso.pools("contoso")["US/MCOPSTN1"].licences == 1
    assert contoso.findings() == []


def test_a_spreadsheet_with_byte_order_mark_and_semicolons_is_read(contoso):
    data = "﻿UPN;Display_Name\r\njosé@x;José Núñez\r\n".encode()

    import_users(contoso.office, "contoso", data, contoso.now)

    assert directory.get_user(contoso.office, "contoso", "JOSÉ@x").display_name == "José Núñez"


def test_every_bad_line_is_named_and_nothing_is_kept(contoso):
    before = contoso.contents()
    data = b"""user_id,upn,usage_location,products,number
c,c@x,US,MCOEV MCOPSTN1,+14255550111
d,d@x,XX,,
e,e@x,,MCOEV MCOPSTN1,
f,f@x,US,MCOPSTN9,
g,c@x,US,,
h,h@x,US,,12345
i,i@x,US,,+14255550111
j,j@x,US,,+14255550100
k,anna@contoso.example,US,,
l,,US,,
m,m@x
"""

    with pytest.raises(InvalidFile) as refused:
        import_users(contoso.office, "contoso", data, contoso.now)

    assert problems(refused) == [
        (3, "usage_location"),
        (4, "usage_location"),
        (5, "products"),
        (6, "upn"),
        (7, "number"),
        (8, "number"),
        (9, "number"),
        (10, "user_id"),
        (11, "upn"),
        (12, ""),
    ]
    assert "it is in line 2 already" in str(refused.value)
    assert "user anna has it; release it first" in str(refused.value)
    assert contoso.contents() == before


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "it is empty"),
        (b"name,upn\nx,y\n", "column 'name': there is no such column; known are user_id, upn"),
        (b"upn,upn\nx,y\n", "it is there twice"),
        (b"products\nMCOPSTN1\n", "must name a column upn or user_id"),
        (b"upn\nx\xff\xfe\x00\n", "not text"),
        (b'upn,display_name\n"c@x,Carl\n', "quote"),
    ],
)
def test_a_file_that_is_no_list_of_users_says_so(contoso, data, complaint):
    with pytest.raises(InvalidFile, match=complaint):
        import_users(contoso.office, "contoso", data, contoso.now)


def test_numbers_of_users_and_services_are_assigned_from_a_file(contoso):
    data = b"number,use,user,label\n+18005550100,conference,,Main bridge\n+14255550111,,ben@contoso.example,\n"

    done = import_numbers(contoso.office, "contoso", data, contoso.now)
    again = import_numbers(contoso.office, "contoso", data.replace(b"Main", b"New"), contoso.now)

    assert (done.created, done.changed, done.unchanged) == (2, 0, 0)
    assert (again.created, again.changed, again.unchanged) == (0, 1, 1)
    found = {one.number: one for one in numbers.list_numbers(contoso.office, "contoso").items}
    assert found["+18005550100"].label == "New bridge"
    assert found["+14255550111"].user_id == "ben"
    assert contoso.findings() == []


def test_every_bad_number_of_a_file_is_named(contoso):
    contoso.organisation("fabrikam")
    contoso.number("fabrikam", "+14255550999", use="call_queue")
    data = b"""number,use,user
+14255550999,conference,
+14255550100,,ben
+14255550111,,nobody
+14255550112,fax,
+14255550113,conference,
+1 425 555 0113,conference,
"""

    with pytest.raises(InvalidFile) as refused:
        import_numbers(contoso.office, "contoso", data, contoso.now)

    assert [problem.line for problem in refused.value.problems] == [2, 3, 4, 5, 7]
    assert "+14255550113" not in {one.number for one in numbers.list_numbers(contoso.office, "contoso").items}
