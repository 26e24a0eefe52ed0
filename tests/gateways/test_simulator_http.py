"""The simulator over HTTP: its faults on a real wire, its pages, and the command that serves it."""

import contextlib
import http.client
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gettone.domain.payments import ActionRequired, Declined, Succeeded, Unknown
from gettone.gateways.card_news import verified
from gettone.gateways.simulator.bank import BankError
from gettone.gateways.simulator.faults import Question
from gettone.gateways.simulator.http import searched_metadata
from gettone.gateways.stripe_provider import StripeProvider
from gettone.operations.providers import NEVER_ARRIVED
from tests.gateways.counters import AUTHENTICATES, KEY, NO_FUNDS, SECRET, StripeCounter

GETTONE = Path(sys.executable).with_name("gettone")


def test_a_search_is_for_metadata_with_any_letters():
    query = "metadata['payment_id']:'it\\'s \\\\ AND metadata[' AND metadata['idempotency_key']:'a/1'"

    assert searched_metadata(query) == {"payment_id": "it's \\ AND metadata[", "idempotency_key": "a/1"}
    with pytest.raises(BankError, match="only searches for metadata"):
        searched_metadata("amount>100")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("fault", "done"),
    [
        (Question.QUESTION_LOST, 0),
        (Question.SERVER_ERROR, 0),
        (Question.RATE_LIMITED, 0),
        (Question.IN_PROGRESS, 0),
        (Question.ANSWER_LOST, 5000),
        (Question.ANSWER_LATE, 5000),
    ],
)
def test_after_each_fault_on_the_wire_nobody_knows_and_asking_again_moves_money_once(stripe_counter, fault, done):
    movement = stripe_counter.movement(stripe_counter.method())
    stripe_counter.bank.faults.plan(fault)

    assert isinstance(stripe_counter.provider.move(movement), Unknown)
    assert stripe_counter.captured() == done
    assert isinstance(stripe_counter.provider.ask(movement), Succeeded)
    assert stripe_counter.captured() == 5000


@pytest.mark.slow
def test_a_decline_whose_answer_was_lost_stays_that_decline(stripe_counter):
    movement = stripe_counter.movement(stripe_counter.method(NO_FUNDS))
    stripe_counter.bank.faults.plan(Question.ANSWER_LOST)

    assert isinstance(stripe_counter.provider.move(movement), Unknown)
    assert stripe_counter.provider.ask(movement).code == "insufficient_funds"
    assert len(stripe_counter.bank.charges()) == 1


@pytest.mark.slow
def test_a_question_that_was_lost_for_ever_never_arrived(stripe_counter):
    method = stripe_counter.method()
    stripe_counter.bank.faults.plan(Question.QUESTION_LOST)
    assert isinstance(stripe_counter.provider.move(stripe_counter.movement(method)), Unknown)

    stripe_counter.later(timedelta(days=1))

    assert stripe_counter.provider.ask(stripe_counter.movement(method)) == Declined(NEVER_ARRIVED)


@pytest.mark.slow
def test_a_long_list_of_charges_is_read_to_its_end(stripe_counter):
    """The search misses the charge, as its index lags behind; it is the oldest of more than a page."""
    method = stripe_counter.method()
    first = stripe_counter.provider.move(stripe_counter.movement(method, "00000001-1"))
    for number in range(2, 104):
        stripe_counter.bank.charge(
            amount=100, currency="usd", customer_id=method.customer_ref, card_id=method.provider_ref, key=str(number)
        )
    stripe_counter.provider._line.search_charges = lambda metadata: []

    stripe_counter.later(timedelta(days=1))

    assert stripe_counter.provider.ask(stripe_counter.movement(method, "00000001-1")) == first


@pytest.mark.slow
def test_a_charge_is_searched_for_whatever_letters_its_key_has(stripe_counter):
    method, key = stripe_counter.method(), "it's \\ a 'key'"
    first = stripe_counter.provider.move(stripe_counter.movement(method, idempotency_key=key))
    stripe_counter.provider._line.charges_of_customer = lambda customer, since: []

    stripe_counter.later(timedelta(days=1))

    assert stripe_counter.provider.ask(stripe_counter.movement(method, idempotency_key=key)) == first


@pytest.mark.slow
def test_another_key_is_refused(stripe_counter):
    stranger = StripeProvider("sk_test_stranger", SECRET, api_base=stripe_counter.address)

    outcome = stranger.move(stripe_counter.movement(stripe_counter.method()))

    assert isinstance(outcome, Unknown)
    assert "does not accept our key" in outcome.detail


def opened(counter: StripeCounter, link: str, words: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Status, target and text of a page, as a browser sees it that does not follow."""
    url = urllib.parse.urlsplit(link)
    with contextlib.closing(http.client.HTTPConnection(url.hostname, url.port, timeout=10)) as line:
        body = urllib.parse.urlencode(words) if words is not None else None
        line.request("POST" if body is not None else "GET", url.path, body)
        answer = line.getresponse()
        return answer.status, answer.getheader("location", ""), answer.read().decode()


@pytest.fixture
def shop(stripe_counter) -> StripeCounter:
    """A counter whose links lead to its own pages."""
    stripe_counter.app._address = stripe_counter.app._answers._address = stripe_counter.address
    return stripe_counter


@pytest.mark.slow
def test_a_person_enters_a_card_on_the_page(shop):
    setup = shop.provider.begin_setup("acme", "Acme <b>", "")
    status, _, text = opened(shop, setup.link)
    assert status == 200
    assert text.count("<option") == 15

    status, target, _ = opened(shop, setup.link, {"number": AUTHENTICATES})

    assert (status, target) == (303, "http://127.0.0.1:8080")
    assert shop.provider.finish_setup(setup.reference).label == "Visa 3184"


@pytest.mark.slow
def test_a_wrong_card_is_refused_on_the_page(shop):
    setup = shop.provider.begin_setup("acme", "Acme", "")

    status, _, text = opened(shop, setup.link, {"number": "1"})

    assert status == 402
    assert json.loads(text)["error"]["code"] == "incorrect_number"


@pytest.mark.slow
@pytest.mark.parametrize(("answer", "captured"), [("yes", 5000), ("no", 0)])
def test_a_person_answers_on_the_page_of_the_bank(shop, answer, captured):
    movement = shop.movement(shop.method(AUTHENTICATES), description="<script>credits</script>")
    outcome = shop.provider.move(movement)
    assert isinstance(outcome, ActionRequired)
    _, _, text = opened(shop, outcome.link)
    assert "5000 minor units of USD" in text
    assert "<script>" not in text

    status, target, _ = opened(shop, outcome.link, {"answer": answer})

    assert (status, target) == (303, "http://127.0.0.1:8080")
    assert shop.captured() == captured
    assert "Nothing is to be confirmed" in opened(shop, outcome.link)[2]


@pytest.mark.slow
def test_the_first_page_disputes_a_charge_and_ends_the_dispute(shop):
    shop.provider.move(shop.movement(shop.method()))

    [dispute] = re.findall(r'action="(/charges/[^"]+)"', opened(shop, shop.address)[2])
    assert opened(shop, shop.address + dispute, {})[0] == 303
    assert shop.captured() == 0
    won, _ = re.findall(r'action="(/disputes/[^"]+)"', opened(shop, shop.address)[2])
    assert opened(shop, shop.address + won, {})[0] == 303
    assert shop.captured() == 5000


@pytest.mark.slow
@pytest.mark.parametrize("path", ["/nothing", "/v1/nothing", "/cards/seti_none", "/confirmations/pi_none"])
def test_what_is_not_there_is_a_clear_error(shop, path):
    request = urllib.request.Request(shop.address + path, headers={"Authorization": f"Bearer {KEY}"})

    with pytest.raises(urllib.error.HTTPError) as refused, urllib.request.urlopen(request):
        pass

    with refused.value as answer:
        assert answer.status == 404
        assert json.loads(answer.read())["error"]["message"]


class _Ear(BaseHTTPRequestHandler):
    """Takes messages; the first one only when it is sent again."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        refused = not self.server.heard
        self.server.heard.append((body, dict(self.headers)))
        self.send_response(500 if refused else 200)
        self.end_headers()
        self.server.enough.release()

    def log_message(self, *args) -> None:
        pass


@pytest.mark.slow
def test_the_command_serves_the_simulator_and_sends_its_messages_until_they_are_taken():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Ear) as ear:
        ear.heard, ear.enough = [], threading.Semaphore(0)
        threading.Thread(target=ear.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        command = [GETTONE, "simulate-payments", "--bind", "127.0.0.1:0"]
        command += ["--events-to", f"http://127.0.0.1:{ear.server_port}/", "--secret", SECRET]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                address = re.search(r"http://\S+(?=;)", process.stderr.readline())[0]
                counter = StripeCounter()
                counter.serve(address)
                counter.enter = lambda reference, number: opened(
                    counter, f"{address}/cards/{reference.removeprefix('cs_')}", {"number": number}
                )
                outcome = counter.provider.move(counter.movement(counter.method()))
                for _ in range(2):
                    assert ear.enough.acquire(timeout=30)
            finally:
                process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
        ear.shutdown()
    (first, _), (again, headers) = ear.heard
    assert first == again
    message = verified(again, headers, SECRET, datetime.now(UTC))
    assert message["type"] == "payment_intent.succeeded"
    assert message["data"]["object"]["id"] == outcome.reference


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "remark", "status"),
    [
        (["--bind", "nowhere"], "write an address and a port", 2),
        (["--bind", "127.0.0.1:0", "--events-to", "ftp://x"], "begins with http", 1),
    ],
)
def test_the_command_refuses_what_it_cannot_serve(words, remark, status):
    done = subprocess.run([GETTONE, "simulate-payments", *words], capture_output=True, text=True, check=False)

    assert done.returncode == status
    assert remark in done.stderr
    assert done.stderr.count("\n") == 1
