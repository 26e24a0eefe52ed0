"""What the API works with, put together by `gettone.bootstrap` and handed to `create_app`."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gettone.api.auth import Authenticator
from gettone.api.charging import Charge
from gettone.api.metrics import Metrics
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call
from gettone.operations import directory, tokens
from gettone.operations.messages import QUOTA_SECONDS, StartCall
from gettone.operations.office import Office
from gettone.operations.paying import Paying
from gettone.operations.quoting import Quote, Quoting
from gettone.operations.supposing import Supposed
from gettone.operations.telling import Channels


@dataclass(slots=True)
class Services:
    """Everything that a request may need; shared by all requests, whatever their thread.

    *unready* says, as one line for each matter, why the service cannot serve now; it may block. *channels* carry tests
    of mail and webhooks, *link* is where people reach the service.
    """

    office: Office
    charge: Charge
    quoting: Quoting
    paying: Paying
    unready: Callable[[], Sequence[str]]
    metrics: Metrics
    clock: Callable[[], datetime]
    quota_seconds: int = QUOTA_SECONDS
    channels: Channels = field(default_factory=dict)
    link: str = ""
    authenticator: Authenticator = field(init=False)
    _quoting_turn: threading.Lock = field(default_factory=threading.Lock)
    _currencies: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Ask the office about keys and access tokens."""
        self.authenticator = Authenticator(lambda bearer: tokens.authenticate(self.office, bearer, self.clock()))

    def quote(self, request: StartCall) -> Quote:
        """Quote a call; one at a time."""
        with self._quoting_turn:
            return self.quoting.quote(request)

    def try_call(self, request: StartCall, supposed: Supposed) -> tuple[Call, Refusal | None]:
        """Try a call out with what is supposed; one at a time."""
        with self._quoting_turn:
            return self.quoting.try_call(request, supposed)

    def currency(self, org_id: str) -> str:
        """The currency of an organisation, which never changes; raises `NotFound`."""
        known = self._currencies.get(org_id)
        if known is None:
            known = self._currencies[org_id] = directory.get_organisation(self.office, org_id).currency
        return known
