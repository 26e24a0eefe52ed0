"""Mails over real SMTP, into a mailbox and onto the terminal, read again as a mail reader reads them."""

import asyncio
import contextlib
import email
import io
import mailbox
import ssl
import subprocess
import threading
from datetime import timedelta
from email import policy
from pathlib import Path
from typing import Self

import msgspec
import pytest
from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

from gettone.errors import ConfigurationError
from gettone.gateways.mail import SmtpChannel, TerminalChannel, mail_channel
from gettone.operations import mails, telling
from gettone.operations.billing import LANGUAGES
from gettone.operations.notices import KINDS, notice, sentence
from gettone.operations.recipients import set_recipient
from gettone.operations.telling import MAIL, SENT, WAITING, NotSent, Parcel, Sent, address, deliver
from tests.support.rows import MIDDAY, organisation
from tests.support.world import World, sqlite_url

FROM = "Gettone <gettone@calls.example>"
TO = "anna@contoso.example"
PASSWORD = "correct horse/battery@staple"  # Signs that mean something in addresses.
IN_URL = "correct%20horse%2Fbattery%40staple"


class Server:
    """A mail server in a thread of its own, which keeps what it takes and answers to recipients as it is told."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, **settings) -> None:
        """Speak *tls* from the first byte; *settings* are those of the library's server."""
        self.taken: list[tuple[str, list[str], bytes]] = []
        self.over_tls: list[bool] = []
        self.answers: list[str] = []
        self.port = 0
        self._tls, self._settings = tls, settings
        self._loop = asyncio.new_event_loop()
        self._listening, self._stopped = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run)

    async def handle_RCPT(self, server, session, envelope, to, options) -> str:  # noqa: N802 - the library's name
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(to)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope) -> str:  # noqa: N802 - the library's name
        self.taken.append((envelope.mail_from, envelope.rcpt_tos, envelope.content))
        self.over_tls.append(server.transport.get_extra_info("ssl_object") is not None)
        return "250 taken"

    async def _serve(self) -> None:
        def session() -> SMTP:
            return SMTP(self, loop=self._loop, **self._settings)

        server = await self._loop.create_server(session, "127.0.0.1", 0, ssl=self._tls)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        await self._stopped.wait()
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        # The connections that are left close in their next turn.
        await asyncio.sleep(0.05)

    def _run(self) -> None:
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._listening.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stopped.set)
        self._thread.join(10)

    @property
    def read(self) -> list[email.message.EmailMessage]:
        return [email.message_from_bytes(content, policy=policy.default) for _, _, content in self.taken]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> tuple[Path, Path]:
    """A certificate of our own for this machine, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    made, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"),
            *("-keyout", str(key), "-out", str(made)),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


@pytest.fixture
def context(certificate) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(*certificate)
    return made


def parcel(kind: str = "balance_zero", language: str = "en", **facts: str) -> Parcel:
    told = notice(kind, "user/anna", "1", facts or {"left": "0"}, MIDDAY)
    contoso = organisation("contoso", name="Contoso è qui", time_zone="Europe/Rome")
    mail = mails.of_notice(told, contoso, language, "https://calls.example", role="Billing Administrator")
    return Parcel(delivery_id="d1", target=TO, body=msgspec.json.encode(mail), created_at=MIDDAY)


def authenticator(server, session, envelope, mechanism, data) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"gettone", PASSWORD.encode())
    return AuthResult(success=good, handled=good)


# -- what a mail is ----------------------------------------------------------------------------------------------------


def test_a_mail_says_who_wrote_it_when_and_that_it_was_a_machine():
    with Server() as server:
        sent = mail_channel(f"smtp://127.0.0.1:{server.port}", FROM).send(parcel())
        [(sender, recipients, _)] = server.taken
        [message] = server.read

    assert isinstance(sent, Sent)
    assert (sender, recipients) == ("gettone@calls.example", [TO])
    assert {name: str(message[name]) for name in ("From", "To", "Message-ID", "Auto-Submitted")} == {
        "From": FROM,
        "To": TO,
        "Message-ID": "<d1@calls.example>",
        "Auto-Submitted": "auto-generated",
    }
    assert message["Date"].datetime == MIDDAY
    assert message["Subject"] == "Contoso è qui: No credit is left"
    assert message["Content-Language"] == "en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_arrives_whole_in_every_language(language):
    with Server() as server:
        channel = mail_channel(f"smtp://127.0.0.1:{server.port}", FROM)
        for kind in KINDS:
            facts = dict.fromkeys(KINDS[kind], "5")
            assert isinstance(channel.send(parcel(kind, language, **facts)), Sent)
        messages = server.read

    for kind, message in zip(KINDS, messages, strict=True):
        told = notice(kind, "user/anna", "1", dict.fromkeys(KINDS[kind], "5"), MIDDAY)
        said = sentence(told, "USD", language, "Europe/Rome")
        text = " ".join(message.get_body(("plain",)).get_content().split())
        html = message.get_body(("html",)).get_content()
        assert message.get_content_type() == "multipart/alternative"
        assert said in text
        assert "Contoso è qui" in text
        assert f'<html lang="{language}">' in html
        assert "Contoso è qui" in html


def test_a_repeat_is_the_same_mail():
    def without_boundary(content: bytes) -> str:
        message = email.message_from_bytes(content, policy=policy.default)
        return content.decode().replace(message.get_boundary(), "")

    with Server() as server:
        channel = mail_channel(f"smtp://127.0.0.1:{server.port}", FROM)
        for _ in range(2):
            channel.send(parcel())
        first, second = (without_boundary(content) for _, _, content in server.taken)

    assert first == second


# -- servers -----------------------------------------------------------------------------------------------------------


def test_tls_from_the_first_byte(certificate, context):
    with Server(tls=context) as server:
        url = f"smtps://localhost:{server.port}?cafile={certificate[0]}"
        assert isinstance(mail_channel(url, FROM).send(parcel()), Sent)

    assert server.over_tls == [True]


def test_tls_before_the_password(certificate, context):
    how = {"tls_context": context, "require_starttls": True, "authenticator": authenticator, "auth_required": True}
    with Server(**how) as server:
        url = f"smtp://gettone:{IN_URL}@localhost:{server.port}?starttls&cafile={certificate[0]}"
        assert isinstance(mail_channel(url, FROM).send(parcel()), Sent)

    assert server.over_tls == [True]


def test_a_certificate_of_a_stranger_is_not_accepted(context):
    with Server(tls_context=context) as server:
        outcome = mail_channel(f"smtp://localhost:{server.port}?starttls", FROM).send(parcel())

    assert isinstance(outcome, NotSent)
    assert "no TLS (CERTIFICATE_VERIFY_FAILED)" in outcome.reason
    assert outcome.again
    assert server.taken == []


def test_a_server_without_tls_gets_nothing_when_tls_is_wanted():
    with Server() as server:
        outcome = mail_channel(f"smtp://localhost:{server.port}?starttls", FROM).send(parcel())

    assert isinstance(outcome, NotSent)
    assert "STARTTLS" in outcome.reason
    assert server.taken == []


def test_a_wrong_password_is_told_without_showing_it(certificate, context):
    how = {"tls_context": context, "authenticator": authenticator, "auth_required": True}
    with Server(**how) as server:
        url = f"smtp://gettone:wrong-secret@localhost:{server.port}?starttls&cafile={certificate[0]}"
        outcome = mail_channel(url, FROM).send(parcel())

    assert isinstance(outcome, NotSent)
    assert "refuses user name and password: 535" in outcome.reason
    assert "wrong-secret" not in outcome.reason
    assert (outcome.again, outcome.broken) == (True, True)


@pytest.mark.parametrize(
    ("answer", "again"), [("550 no such mailbox", False), ("452 mailbox full", True), ("421 too busy", True)]
)
def test_a_refused_recipient_is_tried_again_when_that_may_help(answer, again):
    with Server() as server:
        server.answers.append(answer)
        outcome = mail_channel(f"smtp://127.0.0.1:{server.port}", FROM).send(parcel())

    assert isinstance(outcome, NotSent)
    assert outcome.again is again
    assert outcome.reason.endswith(f"refuses {TO}: {answer}")


def test_a_server_that_is_not_there_is_told():
    with Server() as server:
        port = server.port
    outcome = mail_channel(f"smtp://127.0.0.1:{port}", FROM).send(parcel())

    assert isinstance(outcome, NotSent)
    assert outcome.reason.startswith(f"127.0.0.1:{port} cannot be reached: ")
    assert outcome.broken


def test_a_server_that_says_nothing_is_not_waited_for_for_ever():
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        channel = mail_channel(f"smtp://127.0.0.1:{silent.getsockname()[1]}", FROM)
        assert isinstance(channel, SmtpChannel)
        channel._timeout_seconds = 1
        outcome = channel.send(parcel())

    assert isinstance(outcome, NotSent)
    assert "timed out" in outcome.reason


def test_a_mail_refused_for_the_moment_is_sent_in_the_next_round(tmp_path):
    with World(sqlite_url(tmp_path)) as world, Server() as server:
        world.organisation("contoso", owns={})
        set_recipient(world.office, "contoso", TO, world.now, by="a test")
        with world.office.write("contoso") as unit:
            unit.policies.add_notice("contoso", notice("balance_zero", "", "1", {"left": "0"}, world.now))
        address(world.office, world.now)
        channels = {MAIL: mail_channel(f"smtp://127.0.0.1:{server.port}", FROM)}
        server.answers.append("451 greylisted, come back later")

        deliver(world.office, channels, world.now)
        [waiting] = telling.list_deliveries(world.office, "contoso").items
        world.now += timedelta(minutes=1)
        deliver(world.office, channels, world.now)
        [sent] = telling.list_deliveries(world.office, "contoso").items

    assert (waiting.state, waiting.attempts) == (WAITING, 1)
    assert "451 greylisted" in waiting.last_error
    assert (sent.state, sent.attempts, sent.last_error) == (SENT, 2, "")
    assert [str(one["Message-ID"]) for one in server.read] == [f"<{sent.delivery_id}@calls.example>"]


# -- a mailbox, the terminal -------------------------------------------------------------------------------------------


def test_mails_into_a_file_can_be_read_as_a_mailbox(tmp_path):
    path = tmp_path / "mail box"
    channel = mail_channel(f"file://{tmp_path}/mail%20box", "")
    workers = [threading.Thread(target=channel.send, args=(parcel(),)) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    with contextlib.closing(mailbox.mbox(path, create=False)) as box:
        found = [email.message_from_bytes(one.as_bytes(), policy=policy.default) for one in box]
    assert len(found) == 8
    assert {str(one["From"]) for one in found} == {"Gettone <gettone@localhost>"}
    assert "No credit is left" in found[0].get_body(("plain",)).get_content()
    assert path.stat().st_mode & 0o077 == 0


def test_a_mailbox_that_cannot_be_written_is_told(tmp_path):
    outcome = mail_channel(f"file://{tmp_path}/no/mailbox", "").send(parcel())

    assert isinstance(outcome, NotSent)
    assert outcome.reason == f"{tmp_path}/no/mailbox: No such file or directory"


def test_a_mailbox_shows_its_mails_on_the_terminal_too(tmp_path, capsys):
    mail_channel(f"file://{tmp_path}/mailbox?print", "").send(parcel())

    assert "Subject: Contoso è qui: No credit is left" in capsys.readouterr().out
    assert (tmp_path / "mailbox").exists()


def test_mails_on_the_terminal_are_text(capsys):
    assert mail_channel("print:", FROM).send(parcel()) == Sent("printed")

    shown = capsys.readouterr().out
    assert shown.startswith(f"From: {FROM}\nTo: {TO}\nSubject: Contoso è qui: No credit is left\n\nNo credit is left")
    assert "<html" not in shown


def test_the_terminal_may_be_another():
    out = io.StringIO()
    channel = mail_channel("print:", FROM)
    assert isinstance(channel, TerminalChannel)
    channel._out = lambda: out
    channel.send(parcel())

    assert "No credit is left" in out.getvalue()


# -- settings ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "sender", "said"),
    [
        ("smtp://", FROM, "the name of the mail server"),
        ("smtp://gettone:topsecret@mail.example", FROM, "sent in the clear"),
        ("smtps://mail.example?tls=1", FROM, "the option 'tls' is not known"),
        ("smtps://mail.example?cafile=/nowhere.pem", FROM, "No such file"),
        ("smtps://mail.example:topsecret", FROM, "mail_url"),
        ("smtp://mail.example", "", "mail_from"),
        ("smtp://mail.example", "Gettone", "mail_from"),
        ("print:", "a@b\nBcc: c@d", "mail_from"),
        ("file://", "", "file:///PATH"),
        ("http://mail.example", FROM, "smtp://HOST:PORT"),
    ],
)
def test_settings_that_cannot_be_used_are_told_without_the_password(url, sender, said):
    with pytest.raises(ConfigurationError) as refused:
        mail_channel(url, sender)

    assert said in str(refused.value)
    assert "topsecret" not in str(refused.value)


def test_a_password_may_go_in_the_clear_to_this_machine():
    assert isinstance(mail_channel("smtp://gettone:secret@127.0.0.1", FROM), SmtpChannel)
    assert isinstance(mail_channel("smtp://gettone:secret@localhost", FROM), SmtpChannel)


def test_ports_are_those_of_the_protocol():
    urls = {"smtp://h": 25, "smtp://h?starttls": 587, "smtps://h": 465, "smtps://h:2465": 2465}

    assert {url: mail_channel(url, FROM)._server.port for url in urls} == urls
