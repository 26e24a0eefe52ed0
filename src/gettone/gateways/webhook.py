"""Webhooks: signed messages to an organisation's own programs, as the Standard Webhooks specification has them.

``webhook-id``         the delivery; the same again is the same message
``webhook-timestamp``  when it was sent, in seconds since 1970
``webhook-signature``  ``v1,`` and the base64 of an HMAC-SHA256 over ``id.timestamp.body``; two of them, parted by a
                       blank, while the secret is being changed

Any answer from 200 to 299 takes the message; 410 says that no more is wanted. Redirects are not followed.

The receiver is an address that somebody else wrote, so it could be one that only we can reach: this machine, the
network behind it, or the store of secrets of a cloud. Such addresses are refused unless the settings allow them. It is
the very address that is then connected to that is looked at, not one that a name had a moment before.
"""

import base64
import contextlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib.metadata import version
from urllib.parse import SplitResult, urlsplit

from gettone.operations.telling import NotSent, Parcel, Sent
from gettone.operations.webhooks import SECRET_PREFIX

TIMEOUT_SECONDS = 10
GONE = 410
REASON_MAX = 80

_PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.ip_network("64:ff9b::/96")

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Refused(Exception):
    """The receiver's address is one that is not sent to."""


def signature(secret: str, message_id: str, timestamp: int, body: bytes) -> str:
    """What proves that a message is ours."""
    key = base64.b64decode(secret.removeprefix(SECRET_PREFIX))
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def is_public(address: Address) -> bool:
    """Whether everybody can reach *address*, also by whatever IPv4 address is hidden in it."""
    if isinstance(address, ipaddress.IPv6Address):
        hidden = address.ipv4_mapped or address.sixtofour
        if address in _NAT64:
            hidden = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
        if hidden is not None:
            return is_public(hidden)
        if address.teredo is not None:
            return False
    return address.is_global and not address.is_multicast


class WebhookChannel:
    """Posts messages, each over a connection of its own."""

    def __init__(
        self,
        *,
        private_addresses: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
        clock: Callable[[], float] = time.time,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Post to public addresses, and to others if *private_addresses*; *clock* gives the timestamp."""
        self._private_addresses = private_addresses
        self._timeout_seconds = timeout_seconds
        self._clock = clock
        self._context = context or ssl.create_default_context()

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """See `Channel`."""
        parts = urlsplit(parcel.target)
        try:
            status, reason = self._post(parts, parcel)
        except Refused as error:
            return NotSent(str(error))
        except ssl.SSLError as error:
            return NotSent(f"{parts.netloc}: no TLS ({error.reason or error})")
        except TimeoutError:
            return NotSent(f"{parts.netloc} did not answer within {self._timeout_seconds:g} seconds")
        except (OSError, http.client.HTTPException) as error:
            return NotSent(f"{parts.netloc} cannot be reached: {str(error) or type(error).__name__}")
        answered = f"{parts.netloc} answered {status} {reason}".strip()
        if 200 <= status < 300:
            return Sent(answered)
        return NotSent(answered, again=status != GONE, gone=status == GONE)

    def _post(self, parts: SplitResult, parcel: Parcel) -> tuple[int, str]:
        """The status and reason that the receiver answers; nothing of its answer's body is read."""
        timestamp = int(self._clock())
        signed = (signature(secret, parcel.delivery_id, timestamp, parcel.body) for secret in parcel.secrets)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"gettone/{version('gettone')}",
            "Connection": "close",
            "webhook-id": parcel.delivery_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signed),
        }
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with self._connected(parts) as connection:
            connection.request("POST", path, parcel.body, headers)
            answer = connection.getresponse()
            return answer.status, "".join(filter(str.isprintable, answer.reason))[:REASON_MAX]

    @contextlib.contextmanager
    def _connected(self, parts: SplitResult) -> Iterator[http.client.HTTPConnection]:
        """A connection that is cut when the time for all of it is over, however slowly the other side goes on."""
        host, until = parts.hostname or "", time.monotonic() + self._timeout_seconds
        sock = self._reached(host, parts.port or _PORTS[parts.scheme], until)
        if parts.scheme == "https":
            sock = self._context.wrap_socket(sock, server_hostname=host, do_handshake_on_connect=False)
        cut = threading.Event()

        def cut_it() -> None:
            cut.set()
            with contextlib.suppress(OSError):
                # Not the one of TLS, which would wait for the other side to say goodbye.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

        timer = threading.Timer(max(until - time.monotonic(), 0), cut_it)
        timer.start()
        try:
            if isinstance(sock, ssl.SSLSocket):
                sock.do_handshake()
            connection = (
                http.client.HTTPSConnection(host, parts.port, context=self._context)
                if parts.scheme == "https"
                else http.client.HTTPConnection(host, parts.port)
            )
            connection.sock = sock
            yield connection
        except (OSError, http.client.HTTPException):
            if cut.is_set():
                raise TimeoutError from None
            raise
        finally:
            timer.cancel()
            sock.close()

    def _reached(self, host: str, port: int, until: float) -> socket.socket:
        """A connection to one of the addresses that *host* has and that may be sent to."""
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        allowed = [one for one in found if self._private_addresses or is_public(ipaddress.ip_address(one[4][0]))]
        if not allowed:
            raise Refused(f"{host} has no public address, and others are refused (GETTONE_WEBHOOK_PRIVATE_ADDRESSES)")
        failed: OSError = TimeoutError()
        for family, kind, protocol, _, address in allowed:
            left = until - time.monotonic()
            if left <= 0:
                break
            sock = socket.socket(family, kind, protocol)
            sock.settimeout(left)
            try:
                sock.connect(address)
            except OSError as error:
                sock.close()
                failed = error
            else:
                return sock
        raise failed
