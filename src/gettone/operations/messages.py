"""What a switch asks of the charging desk, and what it is told (RFC 8506 calls the same CCR and CCA).

Requests and answers are plain values shared by every agent; an agent translates its protocol to and from them and
decides nothing. ``used_seconds`` always counts from the answer of the call (cumulative), never since the last request.
Amounts are micros of the organisation's currency, times aware UTC; ``at`` None means "now, by the desk's clock".

Answers are stored as arrays without field names: fields may be added at the end, with a default, and never removed.
"""

from datetime import datetime

import msgspec

from gettone.domain.refusals import Refusal

QUOTA_SECONDS = 300
"""Seconds granted when a request does not say how many it wants (D11)."""

LONGEST_CALL_SECONDS = 7 * 24 * 3600
"""A call reported as longer than this is a mistake of the switch, not a call."""


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="op"):
    session_id: str
    org_id: str = ""
    at: datetime | None = None


class StartCall(_Message, frozen=True, kw_only=True, tag="start"):
    """May this call begin? *called* and *calling* are E.164 with a plus, or *called* an emergency number as dialled.

    Without *org_id* the organisation is the one that the calling (or, inbound, the called) number belongs to; without
    *call_type* the call is outbound when *user* is given or the calling number is the organisation's.
    """

    called: str
    calling: str = ""
    user: str = ""
    call_type: str = ""
    request_number: int = 0
    requested_seconds: int = QUOTA_SECONDS


class UpdateCall(_Message, frozen=True, kw_only=True, tag="update"):
    """So much is used; may the call go on?"""

    request_number: int
    used_seconds: int
    requested_seconds: int = QUOTA_SECONDS


class StopCall(_Message, frozen=True, kw_only=True, tag="stop"):
    """The call is over; *used_seconds* is all it used, 0 when it was never answered."""

    request_number: int
    used_seconds: int


class ChargeEvent(_Message, frozen=True, kw_only=True, tag="event"):
    """Charge something that happens at once, such as *units* messages; all of it or nothing."""

    called: str
    calling: str = ""
    user: str = ""
    event: str = "sms"
    units: int = 1
    request_number: int = 0


class RecordCall(_Message, frozen=True, kw_only=True, tag="record"):
    """Charge a call that is over, from its record in a file. *live_session_id* finds it if it was charged live."""

    called: str
    used_seconds: int
    calling: str = ""
    user: str = ""
    call_type: str = ""
    live_session_id: str = ""
    request_number: int = 0


class SettleSilent(_Message, frozen=True, kw_only=True, tag="settle_silent"):
    """Settle an open call whose switch has fallen silent; asked by supervision, never by a switch (D12)."""

    request_number: int = -1


Request = StartCall | UpdateCall | StopCall | ChargeEvent | RecordCall | SettleSilent


class Grant(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="granted", array_like=True):
    """The call may go on for *granted_seconds* after what is used; *final* says that no more will be granted.

    *valid_seconds*: without another request by then, the call is settled with what was last reported.
    *payer* is who pays the next second: ``free``, ``pool``, ``credits`` or ``post_usage``. *reason* says why nothing
    more was granted to a running call.
    """

    org_id: str
    session_id: str
    request_number: int
    granted_seconds: int
    final: bool
    valid_seconds: int
    payer: str
    currency: str
    held_micros: int
    pool_key: str = ""
    destination: str = ""
    reason: Refusal | None = None


class Part(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One payer's part of a settled call."""

    payer: str
    from_second: int
    seconds: int
    billed_seconds: int
    charged_micros: int = 0
    connection_micros: int = 0
    pool_key: str = ""
    capability: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="settled", array_like=True):
    """The call, or event, is over and charged."""

    org_id: str
    session_id: str
    request_number: int
    used_seconds: int
    billed_seconds: int
    charged_micros: int
    currency: str
    destination: str = ""
    overrun_micros: int = 0
    parts: tuple[Part, ...] = ()


class Reconciled(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="reconciled", array_like=True):
    """A record of a call that is already charged: nothing was charged now.

    *duplicate* when this very record was charged before; else the call was charged live, and *difference_seconds* is
    how much longer the record says it was.
    """

    org_id: str
    session_id: str
    request_number: int
    charged_micros: int
    currency: str
    duplicate: bool = False
    still_open: bool = False
    difference_seconds: int = 0


class Refused(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="refused", array_like=True):
    """No, and why; *detail* names the field and the value where one is at fault."""

    org_id: str
    session_id: str
    request_number: int
    reason: Refusal
    detail: str = ""


Answer = Grant | Settled | Reconciled | Refused
