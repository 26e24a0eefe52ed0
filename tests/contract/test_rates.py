"""Rate decks, on both databases."""

from datetime import UTC, datetime, timedelta

import pytest

from gettone.errors import Conflict, InvalidFile, InvalidInput, NotFound
from gettone.operations import rates

DECK = """country,kind,prefix,destination,price
IT,,,Italy,0.05
IT,mobile,,Italy mobile,0.20
,,3906,Rome,0.03
US,,,,0.01
"""
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


def rates_version(world) -> int:
    from sqlalchemy import select

    from gettone.storage.schema import generation

    with world._engine.connect() as connection:
        return connection.execute(select(generation.c.version)).scalar() or 0


def test_a_deck_is_imported_listed_and_told_to_every_process(world):
    before = rates_version(world)

    done = world.deck(DECK, effective_from=NEW_YEAR)

    assert (done.already, done.deck.rows, done.deck.currency, done.deck.name) == (False, 4, "USD", "standard")
    assert rates.list_decks(world.office) == (done.deck,)
    assert rates_version(world) == before + 1


def test_the_same_deck_again_changes_nothing(world):
    first = world.deck(DECK, effective_from=NEW_YEAR)
    world.wait(60)

    again = world.deck(DECK.replace("0.05", "0.0500"), effective_from=NEW_YEAR)

    assert again.already
    assert again.deck == first.deck
    assert rates_version(world) == 1


def test_other_rates_for_the_same_instant_are_refused(world):
    world.deck(DECK, effective_from=NEW_YEAR)

    with pytest.raises(Conflict, match="decks are never changed"):
        world.deck(DECK.replace("0.05", "0.06"), effective_from=NEW_YEAR)


def test_the_latest_deck_that_is_effective_counts(world):
    old = world.deck(DECK, effective_from=NEW_YEAR).deck
    new = world.deck(DECK.replace("0.05", "0.06"), effective_from=NEW_YEAR + timedelta(days=31)).deck
    world.deck(DECK, currency="EUR", effective_from=NEW_YEAR + timedelta(days=1))

    def at(moment: datetime):
        return rates.deck_in_force(world.office, "standard", "USD", moment)

    assert at(NEW_YEAR) == at(NEW_YEAR + timedelta(days=30)) == old
    assert at(NEW_YEAR + timedelta(days=31)) == new
    with pytest.raises(NotFound, match="import one"):
        at(NEW_YEAR - timedelta(microseconds=1))
    with pytest.raises(NotFound, match="'gold'"):
        rates.deck_in_force(world.office, "gold", "USD", NEW_YEAR)


def test_every_bad_line_of_a_deck_is_named_and_nothing_is_kept(world):
    with pytest.raises(InvalidFile) as refused:
        world.deck("country,price\nIT,0.05\nXX,0.05\nFR,-1\n")

    assert [(problem.line, problem.field) for problem in refused.value.problems] == [(3, "country"), (4, "price")]
    assert rates.list_decks(world.office) == ()


def test_a_file_that_is_no_text_is_refused(world):
    with pytest.raises(InvalidFile, match="not text"):
        rates.import_deck(world.office, b"\x00\x01", world.now, currency="USD", effective_from=NEW_YEAR)


@pytest.mark.parametrize(("field", "value"), [("currency", "usd"), ("effective_from", datetime(2026, 1, 1))])
def test_a_bad_currency_or_date_beside_the_file_is_refused(world, field, value):
    settings = {"currency": "USD", "effective_from": NEW_YEAR, field: value}

    with pytest.raises(InvalidInput, match=field):
        rates.import_deck(world.office, DECK.encode(), world.now, **settings)


def test_rows_are_shown_in_pages_and_by_country(world):
    deck_id = world.deck(DECK, effective_from=NEW_YEAR).deck.deck_id

    first = rates.show_rows(world.office, deck_id, limit=3)
    rest = rates.show_rows(world.office, deck_id, cursor=first.next_cursor, limit=3)
    italy = rates.show_rows(world.office, deck_id, country="it")
    paged = rates.show_rows(world.office, deck_id, country="IT", limit=2)
    more = rates.show_rows(world.office, deck_id, country="IT", limit=2, cursor=paged.next_cursor)

    assert [row["price"] for row in (*first.items, *rest.items)] == ["0.05", "0.2", "0.03", "0.01"]
    assert [row["destination"] for row in italy.items] == ["Italy", "Italy mobile", "Rome"]
    assert (*paged.items, *more.items) == italy.items
    with pytest.raises(NotFound, match="'nothing'"):
        rates.show_rows(world.office, "nothing")


@pytest.mark.parametrize(
    ("number", "destination", "kind"),
    [
        ("+39 06 12345678", "Rome", "fixed"),
        ("+393331234567", "Italy mobile", "mobile"),
        ("+390212345678", "Italy", "fixed"),
    ],
)
def test_a_number_is_priced_by_its_most_specific_row(world, number, destination, kind):
    world.deck(DECK, effective_from=NEW_YEAR)

    found = rates.lookup(world.office, number, currency="USD", at=world.now)

    assert (found.country, found.kind) == ("IT", kind)
    assert [row["destination"] for row in found.rows] == [destination]


def test_a_number_without_a_rate_says_where_it_is(world):
    world.deck(DECK, effective_from=NEW_YEAR)

    with pytest.raises(NotFound, match=r"'\+33123456789' \(FR, fixed\): .* has no voice rate"):
        rates.lookup(world.office, "+33123456789", currency="USD", at=world.now)
