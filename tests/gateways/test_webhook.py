"""Webhooks over real HTTP: a receiver checks the signature by its own code, and who may not be reached is not."""

import base64
import contextlib
import hashlib
import hmac
import ipaddress
import json
import socket
import ssl
import subprocess
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from gettone.gateways import webhook
from gettone.gateways.webhook import WebhookChannel, is_public, signature
from gettone.operations import telling
from gettone.operations.notices import notice
from gettone.operations.telling import FAILED, SENT, WEBHOOK, NotSent, Parcel, Sent, address, deliver
from gettone.operations.webhooks import add_webhook, rotate_secret
from tests.support.rows import MIDDAY
from tests.support.world import World, sqlite_url

SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes.....").decode()
OTHER = "whsec_" + base64.b64encode(b"another secret of so many bytes..").decode()
NOW = 1_795_435_200


def signed(secret: str, headers: dict[str, str], body: bytes) -> bool:
    """Check a signature as a receiver would, by the specification and not by our code."""
    key = base64.b64decode(secret[len("whsec_") :])
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}".encode()
    expected = base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()
    signatures = [one.split(",", 1) for one in headers["webhook-signature"].split(" ")]
    return any(version == "v1" and hmac.compare_digest(given, expected) for version, given in signatures)


class Receiver:
    """A program that takes messages, on this machine; it answers the *statuses* it is given, then 204."""

    def __init__(self, *statuses: int, location: str = "", context: ssl.SSLContext | None = None) -> None:
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        receiver = self
        answers = list(statuses)

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.requests.append((self.path, headers, body))
                self.send_response(answers.pop(0) if answers else 204)
                if location:
                    self.send_header("Location", location)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/in?from=gettone"

    def __enter__(self) -> "Receiver":  # noqa: PYI034 - no subclass
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


def parcel(url: str, *secrets: str) -> Parcel:
    return Parcel(
        delivery_id="d1", target=url, body='{"è":1}'.encode(), created_at=MIDDAY, secrets=secrets or (SECRET,)
    )


def channel(**settings) -> WebhookChannel:
    return WebhookChannel(**({"private_addresses": True, "clock": lambda: NOW + 0.9} | settings))


# -- what is posted ----------------------------------------------------------------------------------------------------


def test_a_receiver_can_check_that_a_message_is_ours():
    with Receiver() as receiver:
        outcome = channel().send(parcel(receiver.url))
        [(path, headers, body)] = receiver.requests

    assert outcome == Sent(f"127.0.0.1:{receiver.port} answered 204 No Content")
    assert (path, body) == ("/in?from=gettone", '{"è":1}'.encode())
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("d1", str(NOW))
    assert headers["content-type"] == "application/json"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    assert headers["user-agent"].startswith("gettone/")
    assert signed(SECRET, headers, body)
    assert not signed(OTHER, headers, body)
    assert not signed(SECRET, headers, body + b" ")
    assert not signed(SECRET, headers | {"webhook-timestamp": str(NOW + 1)}, body)


def test_both_secrets_sign_while_they_are_changed():
    with Receiver() as receiver:
        channel().send(parcel(receiver.url, SECRET, OTHER))
        [(_, headers, body)] = receiver.requests

    assert signed(SECRET, headers, body)
    assert signed(OTHER, headers, body)
    assert len(headers["webhook-signature"].split()) == 2


def test_the_signature_is_that_of_the_specification():
    # Computed with openssl: printf 'msg_1.1795435200.{"a":1}' | openssl dgst -sha256 -mac HMAC -macopt hexkey:...
    content = b'msg_1.1795435200.{"a":1}'
    done = subprocess.run(
        ["openssl", "dgst", "-sha256", "-mac", "HMAC", "-macopt", f"hexkey:{b'key'.hex()}", "-binary"],
        input=content,
        capture_output=True,
        check=True,
    )

    ours = signature("whsec_" + base64.b64encode(b"key").decode(), "msg_1", NOW, b'{"a":1}')
    assert ours == "v1," + base64.b64encode(done.stdout).decode()


# -- answers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 404, 429, 500, 503])
def test_an_answer_that_is_no_yes_is_tried_again(status):
    with Receiver(status) as receiver:
        outcome = channel().send(parcel(receiver.url))

    assert isinstance(outcome, NotSent)
    assert f"answered {status} " in outcome.reason
    assert (outcome.again, outcome.gone) == (True, False)


def test_gone_is_for_good():
    with Receiver(410) as receiver:
        outcome = channel().send(parcel(receiver.url))

    assert isinstance(outcome, NotSent)
    assert (outcome.again, outcome.gone) == (False, True)


def test_a_redirect_is_not_followed():
    with Receiver() as target, Receiver(307, location=target.url) as receiver:
        outcome = channel().send(parcel(receiver.url))

    assert isinstance(outcome, NotSent)
    assert "answered 307" in outcome.reason
    assert target.requests == []


def test_who_is_not_there_is_told():
    with Receiver() as receiver:
        pass
    outcome = channel().send(parcel(receiver.url))

    assert isinstance(outcome, NotSent)
    assert "cannot be reached: " in outcome.reason


def test_what_is_no_http_is_told():
    with answering(b"220 mail.example ESMTP\r\n") as port:
        outcome = channel().send(parcel(f"http://127.0.0.1:{port}/"))

    assert isinstance(outcome, NotSent)
    assert "cannot be reached" in outcome.reason


@contextlib.contextmanager
def answering(answer: bytes, *, every_seconds: float = 0):
    """Yield the port of something that answers each connection so, byte by byte with pauses if told to."""
    stopped = threading.Event()

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = server.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65_536)
                    for sign in answer if every_seconds else [answer]:
                        connection.sendall(sign if isinstance(sign, bytes) else bytes([sign]))
                        if stopped.wait(every_seconds):
                            return
                    if every_seconds:
                        stopped.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1]
        stopped.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join(10)


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 " + b"O" * 1000])
def test_who_answers_slowly_is_not_waited_for_for_ever(answer):
    with answering(answer or b"H", every_seconds=0.2) as port:
        outcome = channel(timeout_seconds=1).send(parcel(f"http://127.0.0.1:{port}/"))

    assert outcome == NotSent(f"127.0.0.1:{port} did not answer within 1 seconds")


# -- TLS ---------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tls(tmp_path_factory) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a server on this machine and a client that trusts it speak TLS with."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(made, key)
    return server, ssl.create_default_context(cafile=str(made))


def test_a_message_goes_over_tls(tls):
    server, client = tls
    with Receiver(context=server) as receiver:
        outcome = channel(context=client).send(parcel(f"https://localhost:{receiver.port}/"))

    assert isinstance(outcome, Sent)
    assert signed(SECRET, receiver.requests[0][1], receiver.requests[0][2])


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_certificate_of_a_stranger_or_for_another_name_is_not_accepted(tls, host):
    server, client = tls
    trusting = {} if host == "localhost" else {"context": client}
    with Receiver(context=server) as receiver:
        outcome = channel(**trusting).send(parcel(f"https://{host}:{receiver.port}/"))

    assert isinstance(outcome, NotSent)
    assert "no TLS (CERTIFICATE_VERIFY_FAILED)" in outcome.reason
    assert receiver.requests == []


# -- who may be reached ------------------------------------------------------------------------------------------------

PRIVATE = (
    *("127.0.0.1", "10.0.0.1", "172.16.5.4", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0"),
    *("224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1"),
    *("::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1"),
    *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe"),
    "2001:0:7f00:1::",
)
PUBLIC = ("93.184.216.34", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::")


@pytest.mark.parametrize("given", PRIVATE)
def test_an_address_that_only_we_can_reach_is_not_public(given):
    assert not is_public(ipaddress.ip_address(given))


@pytest.mark.parametrize("given", PUBLIC)
def test_an_address_that_everybody_can_reach_is_public(given):
    assert is_public(ipaddress.ip_address(given))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "0", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_private_address_is_refused_however_it_is_written(host):
    with Receiver() as receiver:
        outcome = channel(private_addresses=False).send(parcel(f"http://{host}:{receiver.port}/"))

    assert isinstance(outcome, NotSent)
    assert "public address" in outcome.reason or "cannot be reached" in outcome.reason
    assert receiver.requests == []


class Names:
    """Answers each question for a name with the next of some addresses, as a name server of an attacker does."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    def __call__(self, host: str, port: int, **_: object):
        self.asked += 1
        found = self.answers.pop(0)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in found]


def test_a_name_that_changes_its_address_is_looked_up_once(monkeypatch):
    connected = []

    def connect(self, where):
        connected.append(where[0])
        raise ConnectionRefusedError(111, "refused")

    names = Names(["93.184.216.34"], ["127.0.0.1"])
    monkeypatch.setattr(webhook.socket, "getaddrinfo", names)
    monkeypatch.setattr(webhook.socket.socket, "connect", connect)
    outcome = channel(private_addresses=False).send(parcel("http://rebinding.example/"))

    assert isinstance(outcome, NotSent)
    assert (connected, names.asked) == (["93.184.216.34"], 1)


def test_of_a_name_with_addresses_of_both_kinds_only_the_public_ones_are_reached(monkeypatch):
    connected = []

    def connect(self, where):
        connected.append(where[0])
        raise ConnectionRefusedError(111, "refused")

    monkeypatch.setattr(webhook.socket, "getaddrinfo", Names(["10.0.0.1", "93.184.216.34", "169.254.169.254"]))
    monkeypatch.setattr(webhook.socket.socket, "connect", connect)
    channel(private_addresses=False).send(parcel("http://mixed.example/"))

    assert connected == ["93.184.216.34"]


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    with Receiver() as receiver:
        assert isinstance(channel().send(parcel(receiver.url)), Sent)


# -- the whole way -----------------------------------------------------------------------------------------------------


@pytest.fixture
def world(tmp_path):
    with World(sqlite_url(tmp_path)) as made:
        made.organisation("contoso", owns={})
        yield made


def write(world, crossing: str) -> None:
    with world.office.write("contoso") as unit:
        unit.policies.add_notice("contoso", notice("balance_zero", "", crossing, {"left": "0"}, world.now))
    address(world.office, world.now)


def test_a_notice_reaches_the_receiver_signed_also_after_it_was_down(world):
    with Receiver(500) as receiver:
        made = add_webhook(world.office, "contoso", receiver.url, world.now, by="a test")
        write(world, "1")
        channels = {WEBHOOK: channel()}
        deliver(world.office, channels, world.now)
        new = rotate_secret(world.office, "contoso", made.webhook.webhook_id, world.now, by="a test")
        world.now += timedelta(minutes=1)
        deliver(world.office, channels, world.now)
        [sent] = telling.list_deliveries(world.office, "contoso").items
        (_, first, first_body), (_, second, second_body) = receiver.requests

    assert (sent.state, sent.attempts) == (SENT, 2)
    assert first["webhook-id"] == second["webhook-id"] == sent.delivery_id
    assert first_body == second_body
    assert json.loads(first_body)["id"] == "balance_zero//1"
    assert signed(made.secret, first, first_body)
    assert signed(made.secret, second, second_body)
    assert signed(new.secret, second, second_body)


def test_a_receiver_that_is_gone_hears_nothing_more(world):
    with Receiver(410) as receiver:
        add_webhook(world.office, "contoso", receiver.url, world.now, by="a test")
        for crossing in ("1", "2"):
            write(world, crossing)
            deliver(world.office, {WEBHOOK: channel()}, world.now)
        found = telling.list_deliveries(world.office, "contoso").items

    assert len(receiver.requests) == 1
    assert [(one.notice_id, one.state) for one in found] == [("balance_zero//1", FAILED)]
