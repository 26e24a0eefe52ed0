"""Charging on the wire: bodies in, bodies out. Field names are those of `gettone.operations.messages`.

A body becomes a message by `message`, which fills in what the body leaves to us and decides nothing. Money leaves as
decimal strings in the ``currency`` beside it (D1). Unknown fields are refused: a misspelt ``requested_second`` would
otherwise charge something nobody meant.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from gettone.domain.money import render_micros
from gettone.operations.checking import REQUEST_NUMBER_MAX, TEXT_LENGTH_MAX, UNITS_MAX
from gettone.operations.messages import (
    LONGEST_CALL_SECONDS,
    Answer,
    ChargeEvent,
    Grant,
    Part,
    Reconciled,
    Refused,
    Request,
    Settled,
    StartCall,
    StopCall,
    UpdateCall,
)

SessionId = Annotated[
    str, msgspec.Meta(min_length=1, max_length=TEXT_LENGTH_MAX, description="The call's id, such as its SIP Call-ID.")
]
RequestNumber = Annotated[
    int,
    msgspec.Meta(
        ge=0,
        le=REQUEST_NUMBER_MAX,
        description="Names the request within its call; goes up. The same request again gets the same answer.",
    ),
]
Requested = (
    Annotated[
        int,
        msgspec.Meta(
            ge=1,
            le=LONGEST_CALL_SECONDS,
            description="Seconds wanted; without it the service's quota (300 by default).",
        ),
    ]
    | None
)
Used = Annotated[
    int,
    msgspec.Meta(ge=0, le=LONGEST_CALL_SECONDS, description="Whole seconds since the call was answered, cumulative."),
]
OrgId = Annotated[str, msgspec.Meta(description="The organisation; a key of one organisation fills it in.")]
At = Annotated[datetime | None, msgspec.Meta(description="When it happened; without it, now by the service's clock.")]
Called = Annotated[str, msgspec.Meta(description="E.164 with a plus, or an emergency number as dialled.")]
Calling = Annotated[str, msgspec.Meta(description="E.164 with a plus.")]
User = Annotated[str, msgspec.Meta(description="User id or user principal name of who calls.")]


class _Body(msgspec.Struct, frozen=True, kw_only=True, tag_field="op", forbid_unknown_fields=True):
    org_id: OrgId = ""
    at: At = None


class _Opening(_Body, frozen=True, kw_only=True):
    session_id: SessionId
    called: Called
    calling: Calling = ""
    user: User = ""
    request_number: RequestNumber = 0


class Start(_Opening, frozen=True, kw_only=True, tag="start"):
    """May this call begin?

    Without `org_id` the organisation is the one whose number calls (or, inbound, is called). Without `call_type` the
    call is outbound when `user` is given or the calling number is the organisation's.
    """

    call_type: str = ""
    requested_seconds: Requested = None


class Event(_Opening, frozen=True, kw_only=True, tag="event"):
    """Charge something that happens at once, such as `units` messages; all of it or nothing."""

    event: str = "sms"
    units: Annotated[int, msgspec.Meta(ge=1, le=UNITS_MAX)] = 1


class UpdateBody(_Body, frozen=True, kw_only=True, tag="update"):
    """So much is used; may the call go on? The session id stands in the path."""

    request_number: RequestNumber
    used_seconds: Used
    requested_seconds: Requested = None
    session_id: str = ""


class StopBody(_Body, frozen=True, kw_only=True, tag="stop"):
    """The call is over; `used_seconds` is all it used, 0 if never answered. The session id stands in the path."""

    request_number: RequestNumber
    used_seconds: Used
    session_id: str = ""


class Update(UpdateBody, frozen=True, kw_only=True, tag="update"):
    """So much is used; may the call go on?"""

    session_id: SessionId


class Stop(StopBody, frozen=True, kw_only=True, tag="stop"):
    """The call is over; `used_seconds` is all it used, 0 when it was never answered."""

    session_id: SessionId


WireRequest = Start | Update | Stop | Event
SingleRequest = Start | UpdateBody | StopBody | Event


class BatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Many requests, answered one by one and in order; each says what it is in `op`."""

    requests: Annotated[list[WireRequest], msgspec.Meta(min_length=1, max_length=1000)]


class RawBatchBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch whose requests are looked at one by one, as at least one of them cannot be read."""

    requests: Annotated[list[msgspec.Raw], msgspec.Meta(min_length=1, max_length=1000)]


class Granted(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="granted"):
    """The call may go on for `granted_seconds` after what is used; hang up then if `final`, else ask again before.

    Without another request within `valid_seconds` the call is settled with what was last reported. `payer` is who pays
    the next second: free, pool, credits or post_usage. `reason` says why nothing more was granted to a running call.
    """

    session_id: str
    org_id: str
    request_number: int
    granted_seconds: int
    final: bool
    valid_seconds: int
    payer: str
    pool_key: str
    destination: str
    currency: str
    held: str
    reason: str | None


class ChargedPart(msgspec.Struct, frozen=True, kw_only=True):
    """One payer's part of a call; `charged` contains `connection`."""

    payer: str
    from_second: int
    seconds: int
    billed_seconds: int
    charged: str
    connection: str
    pool_key: str
    capability: str


class SettledAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="settled"):
    """The call, or event, is over and charged; `overrun` is what went beyond the organisation's credit."""

    session_id: str
    org_id: str
    request_number: int
    used_seconds: int
    billed_seconds: int
    currency: str
    charged: str
    overrun: str
    destination: str
    parts: list[ChargedPart]


class RefusedAnswer(msgspec.Struct, frozen=True, kw_only=True, tag_field="result", tag="refused"):
    """No: `reason` for programs, `title` for people, `detail` where a field is at fault."""

    session_id: str
    org_id: str
    request_number: int | None
    reason: str
    title: str
    detail: str


WireAnswer = Granted | SettledAnswer | RefusedAnswer


class BatchAnswer(msgspec.Struct, frozen=True):
    """One answer for each request, in the order of the requests."""

    answers: list[WireAnswer]


def message(body: SingleRequest, *, session_id: str, org_id: str, quota_seconds: int) -> Request:
    """The message that *body* asks for, under this name; *quota_seconds* are wanted when it does not say."""
    match body:
        case Start():
            return StartCall(
                session_id=session_id,
                org_id=org_id,
                at=body.at,
                called=body.called,
                calling=body.calling,
                user=body.user,
                call_type=body.call_type,
                request_number=body.request_number,
                requested_seconds=body.requested_seconds or quota_seconds,
            )
        case UpdateBody():
            return UpdateCall(
                session_id=session_id,
                org_id=org_id,
                at=body.at,
                request_number=body.request_number,
                used_seconds=body.used_seconds,
                requested_seconds=body.requested_seconds or quota_seconds,
            )
        case StopBody():
            return StopCall(
                session_id=session_id,
                org_id=org_id,
                at=body.at,
                request_number=body.request_number,
                used_seconds=body.used_seconds,
            )
        case Event():
            return ChargeEvent(
                session_id=session_id,
                org_id=org_id,
                at=body.at,
                called=body.called,
                calling=body.calling,
                user=body.user,
                event=body.event,
                units=body.units,
                request_number=body.request_number,
            )


def money(micros: int, currency: str) -> str:
    """Write an amount; one without a currency, as of an emergency call of nobody, is nothing."""
    return render_micros(micros, currency) if currency else "0"


def wire_answer(answer: Answer) -> WireAnswer:
    """The body that tells of *answer*."""
    match answer:
        case Grant():
            return Granted(
                session_id=answer.session_id,
                org_id=answer.org_id,
                request_number=answer.request_number,
                granted_seconds=answer.granted_seconds,
                final=answer.final,
                valid_seconds=answer.valid_seconds,
                payer=answer.payer,
                pool_key=answer.pool_key,
                destination=answer.destination,
                currency=answer.currency,
                held=money(answer.held_micros, answer.currency),
                reason=answer.reason.value if answer.reason else None,
            )
        case Settled():
            return _settled(answer)
        case Refused():
            return RefusedAnswer(
                session_id=answer.session_id,
                org_id=answer.org_id,
                request_number=answer.request_number,
                reason=answer.reason.value,
                title=answer.reason.sentence,
                detail=answer.detail,
            )
        case Reconciled():
            raise AssertionError("records of calls are not taken over HTTP")


def wire_part(part: Part, currency: str) -> ChargedPart:
    """One payer's part as it is written."""
    return ChargedPart(
        payer=part.payer,
        from_second=part.from_second,
        seconds=part.seconds,
        billed_seconds=part.billed_seconds,
        charged=money(part.charged_micros, currency),
        connection=money(part.connection_micros, currency),
        pool_key=part.pool_key,
        capability=part.capability,
    )


def _settled(answer: Settled) -> SettledAnswer:
    return SettledAnswer(
        session_id=answer.session_id,
        org_id=answer.org_id,
        request_number=answer.request_number,
        used_seconds=answer.used_seconds,
        billed_seconds=answer.billed_seconds,
        currency=answer.currency,
        charged=money(answer.charged_micros, answer.currency),
        overrun=money(answer.overrun_micros, answer.currency),
        destination=answer.destination,
        parts=[wire_part(part, answer.currency) for part in answer.parts],
    )
