"""Rate decks, quotes and API keys."""

from datetime import datetime
from typing import Annotated, Any

from litestar import Router
from litestar.params import FromQuery, JSONBody, QueryParameter, RawBody

from gettone.api import bodies
from gettone.api.auth import require
from gettone.api.bodies import NewKeyBody, QuoteAnswer, QuoteBody
from gettone.api.routing import (
    ADMIN,
    CHARGING,
    OPERATOR,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    Text,
    delete,
    get,
    instant,
    needs,
    post,
)
from gettone.api.services import Services
from gettone.operations import directory, keys, rates
from gettone.operations.keys import EVERYWHERE
from gettone.operations.messages import LONGEST_CALL_SECONDS, StartCall
from gettone.operations.views import DeckView, ImportedDeck, Key, NewKey, Page, RateView

At = Annotated[datetime | None, QueryParameter(description="When the call would start; without it now.")]
Seconds = Annotated[int, QueryParameter(ge=1, le=LONGEST_CALL_SECONDS)]


@get("/v1/rates/decks", opt=needs(READ), sync_to_thread=True)
def list_decks(services: Given, name: Text = "") -> Page[DeckView]:
    """Every rate deck, or those of one name."""
    return Page(rates.list_decks(services.office, name=name))


@post("/v1/rates/decks", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def import_deck(
    services: Given,
    body: RawBody,
    name: Text = directory.STANDARD,
    currency: FromQuery[str | None] = None,
    effective_from: FromQuery[datetime | None] = None,
) -> ImportedDeck:
    """Import a rate deck from a CSV file: all of it or, with every bad line named, nothing."""
    return rates.import_deck(
        services.office,
        body,
        services.clock(),
        name=name,
        currency=currency,
        effective_from=instant("effective_from", effective_from) if effective_from else None,
    )


@get("/v1/rates/decks/{deck_id:str}/rows", opt=needs(READ), sync_to_thread=True)
def list_rows(
    services: Given, deck_id: InPath, country: Text = "", cursor: Cursor = "", limit: Limit = 100
) -> Page[dict[str, str]]:
    """The rows of a deck, by column."""
    return rates.show_rows(services.office, deck_id, country=country, cursor=cursor, limit=limit)


@get("/v1/rates/lookup", opt=needs(READ), sync_to_thread=True)
def lookup(services: Given, number: Text, currency: Text, name: Text = directory.STANDARD, at: At = None) -> RateView:
    """What prices calls to a number."""
    when = instant("at", at) if at else services.clock()
    return rates.lookup(services.office, number, name=name, currency=currency, at=when)


# -- quotes ------------------------------------------------------------------------------------------------------------


@post("/v1/quote", opt=needs(CHARGING), status_code=200, sync_to_thread=True)
def post_quote(request: Caller, services: Given, data: JSONBody[QuoteBody]) -> QuoteAnswer:
    """What would this call cost, who would pay, and why not. Nothing is held or written."""
    return _quote(services, request.auth, data)


@get("/v1/quote", opt=needs(CHARGING), sync_to_thread=True)
def get_quote(
    *,
    request: Caller,
    services: Given,
    called: Text,
    calling: Text = "",
    user: Text = "",
    org_id: Text = "",
    call_type: Text = "",
    at: At = None,
    seconds: Seconds = 60,
) -> QuoteAnswer:
    """The same, asked in the address."""
    asked = QuoteBody(
        called=called, calling=calling, user=user, org_id=org_id, call_type=call_type, at=at, seconds=seconds
    )
    return _quote(services, request.auth, asked)


def _quote(services: Services, key: Key, asked: QuoteBody) -> QuoteAnswer:
    org_id = asked.org_id or (key.org_id if key.org_id != EVERYWHERE else "")
    if org_id:
        require(key, CHARGING, org_id)
    quote = services.quote(
        StartCall(
            session_id="quote",
            org_id=org_id,
            called=asked.called,
            calling=asked.calling,
            user=asked.user,
            call_type=asked.call_type,
            requested_seconds=asked.seconds,
            at=instant("at", asked.at) if asked.at else None,
        )
    )
    return bodies.quote(quote)


# -- keys --------------------------------------------------------------------------------------------------------------


@get("/v1/keys", opt=needs(ADMIN), sync_to_thread=True)
def list_keys(request: Caller, services: Given, organisation: Text = "") -> Page[Key]:
    """API keys without their secrets, the revoked ones too; of one *organisation*, or of all."""
    return Page(keys.list_keys(services.office, org_id=_organisation_of(request.auth, organisation)))


@post("/v1/keys", opt=needs(ADMIN), sync_to_thread=True)
def create_key(request: Caller, services: Given, data: JSONBody[NewKeyBody]) -> NewKey:
    """Make an API key; its token is in this answer and nowhere else."""
    org_id = data.org_id or request.auth.org_id
    require(request.auth, OPERATOR if data.scope == OPERATOR else ADMIN, org_id)
    return keys.create_key(services.office, scope=data.scope, now=services.clock(), org_id=org_id, label=data.label)


@delete("/v1/keys/{key_id:str}", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def revoke_key(request: Caller, services: Given, key_id: InPath) -> Key:
    """Let a key count no more; every process knows within five seconds."""
    return keys.revoke_key(services.office, key_id, services.clock(), org_id=_organisation_of(request.auth, ""))


def _organisation_of(key: Key, wanted: str) -> str:
    """The organisation whose keys *key* may see: its own, or for the operator's any (empty: all)."""
    if wanted:
        require(key, ADMIN, wanted)
    return wanted or (key.org_id if key.org_id != EVERYWHERE else "")


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_decks, import_deck, list_rows, lookup),
        *(post_quote, get_quote),
        *(list_keys, create_key, revoke_key),
    ]
    return Router("/", route_handlers=handlers, tags=["Rates, quotes and keys"], **options)
