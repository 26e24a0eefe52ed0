"""What Stripe's official client raises for what is on the wire, and what that means for a payment.

A server that answers what it is told to, and counts; beside the outcome each case names the client's own exception, so
that a new version of the client that behaves otherwise shows here.
"""

import json
import logging
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gettone.domain.payments import ActionRequired, Declined, Succeeded, Unknown
from gettone.errors import ConfigurationError, PaymentUnavailable
from gettone.gateways.stripe_provider import StripeProvider
from gettone.operations.billing import CARD, Method
from gettone.operations.providers import Movement
from tests.gateways.counters import BEGIN, KEY, SECRET

pytestmark = pytest.mark.slow

DROPPED = "dropped"
INTENT = {"id": "pi_1", "object": "payment_intent", "status": "requires_payment_method"}
WANTED = {"type": "card_error", "code": "authentication_required", "decline_code": "authentication_required"}
ACTION = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/3ds"}}


class Told(ThreadingHTTPServer):
    """Answers with what it was told, one after the other; the last one for ever."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list = []
        self.asked: list[tuple[str, str, str]] = []

    def answer(self):
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
        self.server.asked.append((f"{self.command} {self.path}", self.headers.get("idempotency-key", ""), body))
        answer = self.server.answer()
        if answer == DROPPED:
            self.close_connection = True
            return
        status, said = answer
        content = said if isinstance(said, bytes) else json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the name by which http.server finds it

    def log_message(self, *args) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Told]:
    with Told() as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield made
        made.shutdown()


def address(server: Told) -> str:
    return f"http://127.0.0.1:{server.server_port}"


def provider(server: Told) -> StripeProvider:
    return StripeProvider(KEY, SECRET, api_base=address(server), answer_seconds=2, return_url="https://calls.example")


def movement(**facts) -> Movement:
    method = Method(
        method_id="m1",
        kind=CARD,
        provider="stripe",
        label="Visa 4242",
        position=1,
        created_at=BEGIN,
        provider_ref="pm_1",
        customer_ref="cus_1",
    )
    known = {
        "org_id": "acme",
        "payment_id": "00000001-1",
        "idempotency_key": "acme/00000001-1",
        "gross_micros": 50_000_000,
        "currency": "USD",
        "method": method,
        "description": "Communications Credits",
        "now": BEGIN,
        "first_asked_at": BEGIN,
    }
    return Movement(**known | facts)


def error(**said) -> dict:
    return {"error": {"type": "invalid_request_error", "message": "no", **said}}


def card_error(**said) -> dict:
    return error(type="card_error", code="card_declined", payment_intent=INTENT, **said)


CASES = {
    "a decline with its reason": (
        (402, card_error(decline_code="insufficient_funds", advice_code="try_again_later")),
        "CardError",
        Declined("insufficient_funds", "no", reference="pi_1"),
    ),
    "a lost card": (
        (402, card_error(decline_code="lost_card")),
        "CardError",
        Declined("lost_card", "no", final=True, reference="pi_1"),
    ),
    "advice not to try again": (
        (402, card_error(decline_code="do_not_honor", advice_code="do_not_try_again")),
        "CardError",
        Declined("do_not_honor", "no", final=True, reference="pi_1"),
    ),
    "a decline without a charge": (
        (402, error(type="card_error", code="card_declined")),
        "CardError",
        Declined("card_declined", "no"),
    ),
    "authentication without a charge": (
        (402, {"error": WANTED | {"message": "no"}}),
        "CardError",
        Declined("authentication_required", "no"),
    ),
    "another question under the key": ((400, error(type="idempotency_error")), "IdempotencyError", Unknown),
    "the key is being used": ((409, error(code="idempotency_key_in_use")), "APIError", Unknown),
    "too many questions": ((429, error(code="rate_limit")), "RateLimitError", Unknown),
    "too many questions, as it once was": ((400, error(code="rate_limit")), "RateLimitError", Unknown),
    "a server's mistake": ((500, error(type="api_error")), "APIError", Unknown),
    "a gateway's page": ((502, b"<html>bad gateway</html>"), "APIError", Unknown),
    "something that is no JSON": ((200, b"<html>welcome</html>"), "APIError", Unknown),
    "a page instead of a refusal": ((400, b"<html>bad request</html>"), "APIError", Unknown),
    "a broken connection": (DROPPED, "APIConnectionError", Unknown),
    "a wrong key": ((401, error()), "AuthenticationError", Unknown),
    "a key that may not": ((403, error()), "PermissionError", Unknown),
    "a question that cannot be": (
        (400, error(code="amount_too_small")),
        "InvalidRequestError",
        Declined("amount_too_small", "no"),
    ),
    "a card that is not there": (
        (400, error(code="resource_missing")),
        "InvalidRequestError",
        Declined("resource_missing", "no"),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_each_answer_means_one_thing_and_is_asked_for_once(server, case):
    answer, exception, expected = CASES[case]
    server.answers = [answer]

    outcome = provider(server).move(movement())

    assert isinstance(outcome, Unknown) if expected is Unknown else outcome == expected
    assert [(what, key) for what, key, _ in server.asked] == [("POST /v1/payment_intents", "acme/00000001-1")]
    assert raised_by_the_client(server) == exception


def raised_by_the_client(server: Told) -> str:
    import stripe

    client = stripe.StripeClient(KEY, base_addresses={"api": address(server)}, max_network_retries=0)
    with pytest.raises(stripe.StripeError) as raised:
        client.v1.payment_intents.create({"amount": 1, "currency": "usd"})
    return type(raised.value).__name__


@pytest.mark.parametrize("case", [(401, error()), (403, error())])
def test_a_key_that_is_refused_is_told_in_the_log_with_the_remedy(server, caplog, case):
    server.answers = [case]

    with caplog.at_level(logging.ERROR):
        outcome = provider(server).move(movement())

    assert "GETTONE_STRIPE_KEY" in outcome.detail
    assert "GETTONE_STRIPE_KEY" in caplog.text
    assert KEY not in caplog.text + outcome.detail


def test_a_question_after_which_the_answer_was_lost_is_put_again_word_for_word(server):
    server.answers = [DROPPED, (200, INTENT | {"status": "succeeded"})]
    asking = provider(server)

    assert isinstance(asking.move(movement()), Unknown)
    assert asking.ask(movement()) == Succeeded("pi_1")
    assert server.asked[0] == server.asked[1]


def test_a_customer_that_another_account_does_not_know_settles_nothing_when_asked_again(server):
    server.answers = [(400, error(code="resource_missing"))]

    assert isinstance(provider(server).ask(movement()), Unknown)


@pytest.mark.parametrize("status", [400, 401, 404, 429, 500])
def test_a_search_that_is_refused_settles_nothing(server, status):
    """Search is not offered in every country; that says nothing about the charge."""
    server.answers = [(status, error())]

    outcome = provider(server).ask(movement(first_asked_at=BEGIN.replace(day=1)))

    assert isinstance(outcome, Unknown)
    assert server.asked[0][0].startswith("GET /v1/payment_intents/search?query=metadata")


def test_authentication_leads_to_the_banks_page(server):
    failed = INTENT | {"last_payment_error": WANTED}
    waits = INTENT | {"status": "requires_action", "next_action": ACTION}
    server.answers = [(402, {"error": WANTED | {"payment_intent": failed}}), (200, failed), (200, waits)]

    outcome = provider(server).move(movement())

    assert outcome == ActionRequired("pi_1", "https://bank.example/3ds")
    assert [(what, key) for what, key, _ in server.asked] == [
        ("POST /v1/payment_intents", "acme/00000001-1"),
        ("GET /v1/payment_intents/pi_1", ""),
        ("POST /v1/payment_intents/pi_1/confirm", "acme/00000001-1/confirm"),
    ]
    assert "return_url=https%3A%2F%2Fcalls.example" in server.asked[2][2]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((402, card_error(decline_code="insufficient_funds")), Declined("insufficient_funds", "no", reference="pi_1")),
        ((400, error(code="url_invalid")), Declined("authentication_required", reference="pi_1")),
        ((500, error()), Unknown),
        (DROPPED, Unknown),
    ],
)
def test_a_confirmation_that_fails_declines_only_what_cannot_move(server, answer, expected):
    failed = INTENT | {"last_payment_error": WANTED}
    server.answers = [
        (402, {"error": WANTED | {"payment_intent": failed}}),
        (200, failed),
        answer,
        (200, failed),
    ]

    outcome = provider(server).move(movement())

    assert isinstance(outcome, Unknown) if expected is Unknown else outcome == expected


def test_a_charge_in_a_state_that_nobody_asked_for_settles_nothing(server):
    server.answers = [(200, INTENT | {"status": "requires_capture"})]

    assert isinstance(provider(server).move(movement()), Unknown)


def test_what_is_sent_says_everything_that_a_charge_needs(server):
    server.answers = [(200, INTENT | {"status": "succeeded"})]

    provider(server).move(movement())

    sent = server.asked[0][2].replace("%5B", "[").replace("%5D", "]").replace("%2F", "/")
    for word in (
        "amount=5000",
        "currency=usd",
        "customer=cus_1",
        "payment_method=pm_1",
        "off_session=true",
        "confirm=true",
        "metadata[org_id]=acme",
        "metadata[payment_id]=00000001-1",
        "metadata[idempotency_key]=acme/00000001-1",
    ):
        assert word in sent.split("&")


@pytest.mark.parametrize("answer", [(401, error()), (500, error()), DROPPED])
def test_a_card_cannot_be_set_up_while_stripe_is_away(server, answer):
    server.answers = [answer]

    with pytest.raises(PaymentUnavailable, match="nothing was charged"):
        provider(server).begin_setup("acme", "Acme", "")
    with pytest.raises(PaymentUnavailable, match="nothing was charged"):
        provider(server).finish_setup("seti_1")


def test_without_a_key_there_is_no_provider():
    with pytest.raises(ConfigurationError, match="GETTONE_STRIPE_KEY"):
        StripeProvider("", SECRET)


def test_without_the_client_there_is_no_provider(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(ConfigurationError, match="gettone\\[stripe\\]"):
        StripeProvider(KEY, SECRET)
