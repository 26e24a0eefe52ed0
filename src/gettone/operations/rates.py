"""Rate decks: imported whole or not at all, dated, never changed (D3).

A deck is kept as its canonical CSV, whose SHA-256 begins its id: the same content is the same deck. Every import raises
the version of the rates, so that every process prices the next call with it.
"""

from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256

from gettone.catalogue.numbering import number_plan
from gettone.domain.numbers import DIGITS_MAX, DIGITS_MIN, number_key
from gettone.domain.rate_fields import COLUMNS
from gettone.domain.rates import CompiledDeck, Deck, DeckErrors, DeckRow, compile_deck, deck_to_csv, parse_deck
from gettone.domain.tabular import TableError, decode_csv
from gettone.errors import Conflict, InvalidFile, NotFound, Problem
from gettone.operations import checks
from gettone.operations.directory import STANDARD
from gettone.operations.office import Office, Unit
from gettone.operations.paging import check_limit, number_cursor, page
from gettone.operations.views import DeckView, ImportedDeck, Page, RateView


def import_deck(
    office: Office,
    data: bytes,
    now: datetime,
    *,
    name: str = STANDARD,
    currency: str | None = None,
    effective_from: datetime | None = None,
) -> ImportedDeck:
    """Import the deck in *data*, a CSV file; currency and date stand in its columns, or are given here.

    Raises `InvalidFile` with everything that is wrong, or `Conflict` when another deck of this name and currency counts
    from the same instant.
    """
    deck = read_deck(data, name=checks.text("name", name), currency=currency, effective_from=effective_from)
    content = deck_to_csv(deck)
    view = DeckView(
        deck_id=sha256(f"{deck.name}\n{content}".encode()).hexdigest()[:16],
        name=deck.name,
        currency=deck.currency,
        effective_from=deck.effective_from,
        imported_at=now,
        rows=len(deck.rows),
    )
    with office.write_shared() as unit:
        rival = _same_date(unit, view)
        if rival is not None and rival.deck_id == view.deck_id:
            return ImportedDeck(deck=rival, already=True)
        if rival is not None:
            raise Conflict(
                f"deck {view.name!r} in {view.currency} effective from {view.effective_from.isoformat()} is there "
                f"already with other rates ({rival.deck_id}); decks are never changed: "
                "give this one a later effective_from"
            )
        unit.decks.add_deck(view, content)
    return ImportedDeck(deck=view, already=False)


def read_deck(
    data: bytes, *, name: str = STANDARD, currency: str | None = None, effective_from: datetime | None = None
) -> Deck:
    """Read and validate a deck without keeping it. Raises `InvalidFile` with everything that is wrong."""
    if currency is not None:
        checks.currency(currency)
    if effective_from is not None:
        checks.instant("effective_from", effective_from)
    try:
        text, _ = decode_csv(data)
        return parse_deck(text, name=name, currency=currency, effective_from=effective_from)
    except TableError as error:
        raise InvalidFile(name, [Problem(0, "", "", str(error))]) from None
    except DeckErrors as errors:
        problems = [Problem(error.line, error.column, error.value, error.problem) for error in errors.errors]
        raise InvalidFile(name, problems) from None


def list_decks(office: Office, *, name: str = "") -> tuple[DeckView, ...]:
    """Every deck, or those of one *name*, by name, currency and date."""
    with office.read() as unit:
        return tuple(unit.decks.decks(name))


def deck_in_force(office: Office, name: str, currency: str, at: datetime) -> DeckView:
    """The deck that prices calls starting at *at*; raises `NotFound` when none does."""
    with office.read() as unit:
        return _in_force(unit, name, currency, at)


def load_deck(office: Office, deck_id: str) -> Deck:
    """A deck with its rows; raises `NotFound`."""
    with office.read() as unit:
        return _load(unit, deck_id)


def show_rows(
    office: Office, deck_id: str, *, country: str = "", cursor: str = "", limit: int = 100
) -> Page[dict[str, str]]:
    """The rows of a deck as text by column, in the order of the deck.

    *country* keeps the rows that name it and those of prefixes within its numbers. Raises `NotFound`.
    """
    check_limit(limit)
    start = number_cursor(cursor) or 0
    with office.read() as unit:
        deck = _load(unit, deck_id)
    rows = list(enumerate(deck.rows))
    if country:
        wanted = checks.country("country", country.upper())
        rows = [(place, row) for place, row in rows if _is_of(row, wanted)]
    asked = [(place, row) for place, row in rows if place >= start][: limit + 1]
    found = page(asked, limit, lambda numbered: str(numbered[0] + 1))
    return Page(tuple(_as_text(row) for _, row in found.items), found.next_cursor)


def lookup(
    office: Office, number: str, *, name: str = STANDARD, currency: str, at: datetime, service: str = "voice"
) -> RateView:
    """What prices *number* for calls starting at *at*; raises `InvalidInput`, or `NotFound` when nothing does."""
    found = number_plan().lookup(checks.digits("number", number))
    with office.read() as unit:
        view = _in_force(unit, name, currency, at)
        deck = _load(unit, view.deck_id)
    compiled = _compiled(view.deck_id, deck)
    index = compiled.lookup(found, service)
    if index is None:
        raise NotFound(
            f"number {found.e164!r} ({found.country or 'unknown country'}, {found.kind.label}): "
            f"deck {view.name!r} of {view.effective_from.date()} has no {service} rate for it"
        )
    rows = list(deck.groups().values())[index]
    return RateView(
        number=found.e164,
        country=found.country,
        kind=found.kind.label,
        deck=view,
        rows=tuple(_as_text(row) for row in rows),
    )


def _same_date(unit: Unit, view: DeckView) -> DeckView | None:
    for deck in unit.decks.decks(view.name):
        if (deck.currency, deck.effective_from) == (view.currency, view.effective_from):
            return deck
    return None


def _in_force(unit: Unit, name: str, currency: str, at: datetime) -> DeckView:
    decks = [deck for deck in unit.decks.decks(name) if deck.currency == currency and deck.effective_from <= at]
    if not decks:
        raise NotFound(
            f"rates {name!r} in {currency}: no deck is effective at {at.astimezone(UTC).isoformat()}; import one"
        )
    return max(decks, key=lambda deck: deck.effective_from)


def _load(unit: Unit, deck_id: str) -> Deck:
    view = unit.decks.deck(deck_id)
    if view is None:
        raise NotFound(f"deck {deck_id!r}: there is none with this id; list the decks")
    return _parsed(deck_id, view.name, unit.decks.content(deck_id))


@lru_cache(maxsize=4)
def _parsed(_deck_id: str, name: str, content: str) -> Deck:
    return parse_deck(content, name=name)


_compiled_decks: dict[str, CompiledDeck] = {}


def _compiled(deck_id: str, deck: Deck) -> CompiledDeck:
    found = _compiled_decks.get(deck_id)
    if found is None:
        if len(_compiled_decks) >= 4:
            _compiled_decks.clear()
        found = _compiled_decks[deck_id] = compile_deck(deck)
    return found


def _is_of(row: DeckRow, country: str) -> bool:
    """Whether a row is about a country: it names it, or some number of its prefix lies there."""
    return country in _countries_of_prefix(row.prefix) if row.prefix else row.country == country


@lru_cache(maxsize=100_000)
def _countries_of_prefix(prefix: str) -> frozenset[str]:
    plan = number_plan()
    found: set[str] = set()
    for length in range(max(DIGITS_MIN, len(prefix)), DIGITS_MAX + 1):
        first = bisect_right(plan.starts, number_key(prefix.ljust(length, "0"))) - 1
        end = bisect_right(plan.starts, number_key(prefix.ljust(length, "9")))
        found |= {plan.classes[code][0] for code in set(plan.codes[first:end])}
    return frozenset(found)


def _as_text(row: DeckRow) -> dict[str, str]:
    return {name: column.write(getattr(row, name)) for name, column in COLUMNS.items()}
