"""The simulator over HTTP: the parts of Stripe's API that Gettone uses, as an ASGI application without a framework.

Stripe's official client works against it: ``StripeClient(key, base_addresses={"api": address})``. Questions are forms
or query strings, answers JSON. Two pages are for people: one to enter a card, one to confirm a charge at "the bank".

A lost question or answer breaks the connection; a late answer is late by `late_seconds`, longer than clients wait.
"""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from gettone.gateways.card_news import Json
from gettone.gateways.simulator import pages, wire
from gettone.gateways.simulator.bank import Bank, BankError, LateError, LostError
from gettone.gateways.simulator.pages import Response

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

BODY_MAX = 1 << 20


@dataclass(frozen=True, slots=True)
class Request:
    """A question as it came: *words* are the parameters, by their names on the wire such as ``metadata[org_id]``."""

    method: str
    path: str
    words: dict[str, str]
    headers: dict[str, str]

    @property
    def key(self) -> str:
        """The idempotency key."""
        return self.headers.get("idempotency-key", "")

    @property
    def metadata(self) -> dict[str, str]:
        """The values of ``metadata``."""
        return {name[9:-1]: value for name, value in self.words.items() if name.startswith("metadata[")}

    def word(self, name: str) -> str:
        """A parameter that must be there."""
        if name not in self.words:
            raise BankError(400, "invalid_request_error", "parameter_missing", f"missing required param: {name}")
        return self.words[name]

    def number(self, name: str) -> int:
        """A parameter that must be a whole number."""
        text = self.word(name)
        if not re.fullmatch(r"-?[0-9]{1,15}", text):
            raise BankError(400, "invalid_request_error", "parameter_invalid_integer", f"invalid integer: {text}")
        return int(text)


class SimulatorApp:
    """The application. *key* is the only key that is accepted, any secret test key if empty."""

    def __init__(self, bank: Bank, *, key: str = "", address: str = wire.PAGES, late_seconds: int = 30) -> None:
        """Serve *bank* at *address*, which pages are linked with."""
        self._bank = bank
        self._answers = Answers(bank, address)
        self._key = key
        self._late_seconds = late_seconds
        self._address = address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = await _read(scope, receive)
        try:
            response = await self._answered(request)
        except LostError:
            # The answer is begun and not ended: the server has to break the connection.
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000000")]})
            return
        headers = [(b"content-type", response.kind.encode()), (b"content-length", str(len(response.body)).encode())]
        if response.location:
            headers.append((b"location", response.location.encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})

    async def _answered(self, request: Request) -> Response:
        try:
            if not request.path.startswith("/v1/"):
                return pages.answer(self._bank, self._address, request.method, request.path, request.words)
            self._authenticate(request)
            return _json(200, self._bank.ask(lambda: self._answers.to(request)))
        except LateError as late:
            await asyncio.sleep(self._late_seconds)
            return (
                _refused(late.answer, self._address) if isinstance(late.answer, BankError) else _json(200, late.answer)
            )
        except BankError as error:
            return _refused(error, self._address)

    def _authenticate(self, request: Request) -> None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if given != self._key if self._key else not given.startswith("sk_test_"):
            raise BankError(401, "invalid_request_error", "", "invalid API key")


class Answers:
    """What is answered to each question: objects as JSON, or `BankError`."""

    def __init__(self, bank: Bank, address: str) -> None:
        """Answer for *bank*, with links to *address*."""
        self._bank = bank
        self._address = address

    def to(self, request: Request) -> Json:
        """Answer a question."""
        for method, pattern, answer in _ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and method == request.method:
                return answer(self, request, *found.groups())
        raise BankError(404, "invalid_request_error", "", f"unrecognised request: {request.method} {request.path}")

    # -- customers and cards -----------------------------------------------------------------------------------------

    def add_customer(self, request: Request) -> Json:
        """Make a customer."""
        return wire.customer_json(self._bank.add_customer(request.words.get("name", ""), request.metadata))

    def customer(self, _: Request, customer_id: str) -> Json:
        """A customer."""
        return wire.customer_json(self._bank.customer(customer_id))

    def begin_setup(self, request: Request) -> Json:
        """Prepare for a card."""
        customer = self._bank.customer(request.word("customer"))
        return wire.setup_json(self._bank.begin_setup(customer.customer_id, request.metadata))

    def setup(self, request: Request, setup_id: str) -> Json:
        """How a setup stands."""
        return _shortened(wire.setup_json(self._bank.setup(setup_id)), request)

    def enter_card(self, request: Request, setup_id: str) -> Json:
        """Enter a card without a page."""
        number = request.words.get("payment_method_data[card][number]") or _TOKENS.get(
            request.word("payment_method"), ""
        )
        return _shortened(wire.setup_json(self._bank.enter_card(setup_id, number)), request)

    def begin_setup_page(self, request: Request) -> Json:
        """Prepare for a card to be entered on a page."""
        customer = self._bank.customer(request.word("customer"))
        if request.word("mode") != "setup":
            raise BankError(400, "invalid_request_error", "", "only the mode setup is simulated")
        setup = self._bank.begin_setup(customer.customer_id, request.metadata, request.word("success_url"))
        return wire.setup_page_json(setup, self._address)

    def setup_page(self, _: Request, setup_id: str) -> Json:
        """How a page stands."""
        return wire.setup_page_json(self._bank.setup(setup_id), self._address)

    def card(self, _: Request, card_id: str) -> Json:
        """A card."""
        return wire.card_json(self._bank.card(card_id))

    # -- charges -----------------------------------------------------------------------------------------------------

    def charge(self, request: Request) -> Json:
        """Charge a card whose holder is not present."""
        if request.words.get("confirm") != "true" or request.words.get("off_session") != "true":
            raise BankError(400, "invalid_request_error", "", "only confirm and off_session together are simulated")
        charge = self._bank.charge(
            amount=request.number("amount"),
            currency=request.word("currency"),
            customer_id=request.word("customer"),
            card_id=request.word("payment_method"),
            metadata=request.metadata,
            description=request.words.get("description", ""),
            key=request.key,
        )
        return wire.charge_json(charge, self._address)

    def charge_of(self, _: Request, charge_id: str) -> Json:
        """How a charge stands."""
        return wire.charge_json(self._bank.charge_of(charge_id), self._address)

    def confirm(self, request: Request, charge_id: str) -> Json:
        """Confirm a charge with its holder present."""
        confirmed = self._bank.confirm(charge_id, request.word("return_url"), request.key)
        return wire.charge_json(confirmed, self._address)

    def cancel(self, request: Request, charge_id: str) -> Json:
        """Withdraw a charge."""
        reason = request.words.get("cancellation_reason", "")
        return wire.charge_json(self._bank.cancel(charge_id, reason), self._address)

    def charges(self, request: Request) -> Json:
        """List charges."""
        after = request.words.get("created[gte]")
        since = datetime.fromtimestamp(int(after), UTC) if after else None
        found = [
            wire.charge_json(one, self._address) for one in self._bank.charges(request.words.get("customer", ""), since)
        ]
        return _page(found, request)

    def search(self, request: Request) -> Json:
        """Search charges by metadata."""
        sought = searched_metadata(request.word("query"))
        found = [one for one in self._bank.charges() if sought.items() <= one.metadata.items()]
        answer = wire.list_json(
            [wire.charge_json(one, self._address) for one in found], request.path, kind="search_result"
        )
        return answer | {"next_page": None}

    # -- refunds -----------------------------------------------------------------------------------------------------

    def refund(self, request: Request) -> Json:
        """Refund a part of a charge."""
        refund = self._bank.refund(
            request.word("payment_intent"), request.number("amount"), request.metadata, request.key
        )
        return wire.refund_json(refund)

    def refund_of(self, _: Request, refund_id: str) -> Json:
        """How a refund stands."""
        return wire.refund_json(self._bank.refund_of(refund_id))

    def refunds(self, request: Request) -> Json:
        """List the refunds of a charge."""
        found = [wire.refund_json(one) for one in self._bank.refunds(request.word("payment_intent"))]
        return _page(found, request)


_ROUTES: Final[tuple[tuple[str, str, Callable[..., Json]], ...]] = (
    ("POST", "/v1/customers", Answers.add_customer),
    ("GET", "/v1/customers/(\\w+)", Answers.customer),
    ("POST", "/v1/setup_intents", Answers.begin_setup),
    ("GET", "/v1/setup_intents/(\\w+)", Answers.setup),
    ("POST", "/v1/setup_intents/(\\w+)/confirm", Answers.enter_card),
    ("POST", "/v1/checkout/sessions", Answers.begin_setup_page),
    ("GET", "/v1/checkout/sessions/cs_(\\w+)", Answers.setup_page),
    ("GET", "/v1/payment_methods/(\\w+)", Answers.card),
    ("POST", "/v1/payment_intents", Answers.charge),
    ("GET", "/v1/payment_intents", Answers.charges),
    ("GET", "/v1/payment_intents/search", Answers.search),
    ("GET", "/v1/payment_intents/(\\w+)", Answers.charge_of),
    ("POST", "/v1/payment_intents/(\\w+)/confirm", Answers.confirm),
    ("POST", "/v1/payment_intents/(\\w+)/cancel", Answers.cancel),
    ("POST", "/v1/refunds", Answers.refund),
    ("GET", "/v1/refunds", Answers.refunds),
    ("GET", "/v1/refunds/(\\w+)", Answers.refund_of),
)

_TOKENS: Final = {"pm_card_visa": "4242424242424242", "pm_card_mastercard": "5555555555554444"}
"""Stripe's names for its test cards, of those that are asked for here."""

_TERM = r"metadata\['([^']+)'\]:'((?:[^'\\]|\\.)*)'"


def searched_metadata(query: str) -> dict[str, str]:
    """The metadata that a search asks for; raises `BankError` for any other search."""
    if not re.fullmatch(f"{_TERM}(?: AND {_TERM})*", query):
        raise BankError(400, "invalid_request_error", "", f"only searches for metadata are simulated, not {query}")
    return {term[1]: re.sub(r"\\(.)", r"\1", term[2]) for term in re.finditer(_TERM, query)}


def _shortened(setup: Json, request: Request) -> Json:
    """A setup with the name of its card only, unless it is asked for in full."""
    if setup["payment_method"] is None or "payment_method" in request.words.values():
        return setup
    return setup | {"payment_method": setup["payment_method"]["id"]}


def _page(found: list[Json], request: Request) -> Json:
    names = [one["id"] for one in found]
    after = request.words.get("starting_after")
    begin = names.index(after) + 1 if after in names else 0
    end = begin + int(request.words.get("limit", "10"))
    return wire.list_json(found[begin:end], request.path, more=end < len(found))


def _json(status: int, answer: object) -> Response:
    return Response(status, json.dumps(answer).encode())


def _refused(error: BankError, address: str) -> Response:
    return _json(error.status, {"error": wire.error_json(error, address)})


async def _read(scope: Scope, receive: Receive) -> Request:
    body = b""
    while len(body) <= BODY_MAX:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    text = f"{scope['query_string'].decode()}&{body.decode(errors='replace')}"
    words = dict(parse_qsl(text, keep_blank_values=True))
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["method"], scope["path"], words, headers)
