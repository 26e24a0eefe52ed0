"""Mail: over SMTP to a server, into a mailbox file, or onto the terminal.

smtp://USER:PASSWORD@HOST:PORT?starttls    plain at first, then TLS before anything is said; port 587 or 25
smtps://USER:PASSWORD@HOST:PORT            TLS from the first byte; port 465
file:///PATH                               appended to a mailbox (mbox); with ?print also onto the terminal
print:                                     onto the terminal

Certificates are verified against the system's authorities, or against ``?cafile=PATH``. A password is never sent in the
clear but to this machine itself. Errors never contain it.

A mail is text and HTML in one (RFC 2046), says that a machine wrote it (RFC 3834), and has the delivery's id as its
Message-ID: a mail that comes twice, because a process died between sending and writing that down, shows that it is one.
"""

import contextlib
import ipaddress
import mailbox
import os
import smtplib
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime, parseaddr
from pathlib import Path
from typing import TextIO
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

import msgspec

from gettone.errors import ConfigurationError
from gettone.operations.mails import Mail
from gettone.operations.recipients import is_address
from gettone.operations.telling import Channel, NotSent, Parcel, Sent

TIMEOUT_SECONDS = 20
NOBODY = "Gettone <gettone@localhost>"
"""Who mails are from that leave this machine in no case."""

_PORTS = {"smtp": 25, "smtps": 465}
_LOCK_TRIES = 50


def mail_channel(url: str, sender: str) -> Channel:
    """What sends mails as the settings say. Raises `ConfigurationError` when they cannot be used."""
    try:
        parts = urlsplit(url)
        options = parse_qs(parts.query, keep_blank_values=True)
        if parts.scheme in _PORTS:
            return SmtpChannel(_server(parts, options), _sender(sender))
        writer = _sender(sender or NOBODY)
    except ValueError:
        # What Python says of it would show parts of the address, and so perhaps of a password.
        raise ConfigurationError(
            "mail_url: it cannot be read; write signs of the password that mean something in addresses as %2F and so on"
        ) from None
    if parts.scheme == "file" and parts.path.strip("/"):
        shown = TerminalChannel(writer) if "print" in options else None
        return MailboxChannel(Path(unquote(parts.path)), writer, shown)
    if parts.scheme == "print":
        return TerminalChannel(writer)
    raise ConfigurationError("mail_url: write smtp://HOST:PORT, smtps://HOST:PORT, file:///PATH, or print:")


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server and how to speak to it."""

    host: str
    port: int
    at_once: bool
    starttls: bool
    user: str
    password: str
    context: ssl.SSLContext

    @property
    def name(self) -> str:
        """Its name for people."""
        return f"{self.host}:{self.port}"


def _server(parts: SplitResult, options: dict[str, list[str]]) -> Server:
    if not parts.hostname:
        raise ConfigurationError("mail_url: write the name of the mail server behind the two slashes")
    unknown = set(options) - {"starttls", "cafile"}
    if unknown:
        raise ConfigurationError(f"mail_url: the option {min(unknown)!r} is not known; there are starttls and cafile")
    at_once, starttls = parts.scheme == "smtps", "starttls" in options
    user, password = unquote(parts.username or ""), unquote(parts.password or "")
    if user and not (at_once or starttls or _is_here(parts.hostname)):
        raise ConfigurationError(
            "mail_url: a password would be sent in the clear: write ?starttls behind it, or smtps://"
        )
    try:
        context = ssl.create_default_context(cafile=options["cafile"][0] if "cafile" in options else None)
    except OSError as error:
        raise ConfigurationError(
            f"mail_url: the file of option cafile cannot be used: {error.strerror or error}"
        ) from None
    return Server(
        host=parts.hostname,
        port=parts.port or (587 if starttls else _PORTS[parts.scheme]),
        at_once=at_once,
        starttls=starttls,
        user=user,
        password=password,
        context=context,
    )


def _is_here(host: str) -> bool:
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _sender(value: str) -> Address:
    name, address = parseaddr(value)
    local, _, domain = address.rpartition("@")
    if not (local and is_address(address.lower()) and value.isprintable()):
        raise ConfigurationError(
            f"mail_from {value!r}: write who mails are from, such as Gettone <gettone@example.com>"
        )
    return Address(name, local, domain)


def composed(parcel: Parcel, sender: Address) -> EmailMessage:
    """The mail of a delivery, the same whenever it is made; its body is a `Mail` as JSON."""
    mail = msgspec.json.decode(parcel.body, type=Mail)
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = parcel.target
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(parcel.created_at)
    message["Message-ID"] = f"<{parcel.delivery_id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.text, cte="quoted-printable")
    message.add_alternative(mail.html, subtype="html", cte="quoted-printable")
    # Last, for what stood here would have gone into the first part.
    message["Content-Language"] = mail.language
    return message


class SmtpChannel:
    """Hands mails to a mail server, each over a connection of its own."""

    def __init__(self, server: Server, sender: Address, *, timeout_seconds: int = TIMEOUT_SECONDS) -> None:
        """Speak to *server*, from *sender*."""
        self._server = server
        self._sender = sender
        self._timeout_seconds = timeout_seconds

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """See `Channel`."""
        server = self._server
        try:
            with self._connected() as connection:
                connection.send_message(composed(parcel, self._sender), self._sender.addr_spec, parcel.target)
        except smtplib.SMTPRecipientsRefused as error:
            code, answer = error.recipients[parcel.target]
            return NotSent(f"{server.name} refuses {parcel.target}: {_answer(code, answer)}", again=code < 500)
        except smtplib.SMTPNotSupportedError as error:
            return NotSent(f"{server.name}: {error}", broken=True)
        except smtplib.SMTPAuthenticationError as error:
            said = _answer(error.smtp_code, error.smtp_error)
            return NotSent(f"{server.name} refuses user name and password: {said}", broken=True)
        except smtplib.SMTPDataError as error:
            return NotSent(f"{server.name} refuses the mail: {_answer(error.smtp_code, error.smtp_error)}")
        except smtplib.SMTPResponseException as error:
            return NotSent(f"{server.name}: {_answer(error.smtp_code, error.smtp_error)}", broken=True)
        except ssl.SSLError as error:
            return NotSent(f"{server.name}: no TLS ({error.reason or error})", broken=True)
        except (OSError, smtplib.SMTPException) as error:
            return NotSent(f"{server.name} cannot be reached: {str(error) or type(error).__name__}", broken=True)
        return Sent(f"taken by {server.name}")

    @contextlib.contextmanager
    def _connected(self) -> Iterator[smtplib.SMTP]:
        server = self._server
        # Our name is given, so that no name server is asked for it.
        ours, seconds = self._sender.domain, self._timeout_seconds
        connection = (
            smtplib.SMTP_SSL(server.host, server.port, ours, timeout=seconds, context=server.context)
            if server.at_once
            else smtplib.SMTP(server.host, server.port, ours, timeout=seconds)
        )
        try:
            if server.starttls:
                connection.starttls(context=server.context)
            if server.user:
                connection.login(server.user, server.password)
            yield connection
            # How the farewell goes changes nothing: the mail was taken.
            with contextlib.suppress(OSError, smtplib.SMTPException):
                connection.quit()
        finally:
            connection.close()


class MailboxChannel:
    """Appends mails to a mailbox file that every mail reader can open, and shows them if told to."""

    def __init__(self, path: Path, sender: Address, shown: "TerminalChannel | None" = None) -> None:
        """Append to *path*, which is made when the first mail comes."""
        self._path = path
        self._sender = sender
        self._shown = shown
        self._turn = threading.Lock()

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """See `Channel`."""
        try:
            with self._turn:
                self._append(composed(parcel, self._sender))
        except (OSError, mailbox.Error) as error:
            return NotSent(f"{self._path}: {getattr(error, 'strerror', None) or error}", broken=True)
        if self._shown is not None:
            self._shown.send(parcel)
        return Sent(f"written into {self._path}")

    def _append(self, message: EmailMessage) -> None:
        # Notices are nobody else's business on this machine.
        os.close(os.open(self._path, os.O_CREAT | os.O_APPEND, 0o600))
        box = mailbox.mbox(self._path)
        try:
            _locked(box)
            box.add(message)
            box.flush()
        finally:
            box.close()


class TerminalChannel:
    """Prints mails as text."""

    def __init__(self, sender: Address, out: Callable[[], TextIO] = lambda: sys.stdout) -> None:
        """Print to *out*, as it is then."""
        self._sender = sender
        self._out = out
        self._turn = threading.Lock()

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """See `Channel`."""
        mail = msgspec.json.decode(parcel.body, type=Mail)
        lines = (f"From: {self._sender}", f"To: {parcel.target}", f"Subject: {mail.subject}", "", mail.text)
        with self._turn:
            print(*lines, sep="\n", file=self._out(), flush=True)
        return Sent("printed")


def _locked(box: "mailbox.mbox") -> None:
    """Wait for another process to have done with the file."""
    for _ in range(_LOCK_TRIES):
        try:
            box.lock()
        except mailbox.ExternalClashError:
            time.sleep(0.1)
        else:
            return
    box.lock()


def _answer(code: int, answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return " ".join(f"{code} {text}".split())
