"""Why a call, or a request about one, is turned down (D6).

A refusal is an ordinary answer, never an exception. The members stand in order of precedence: when
several reasons apply, the first one is the answer. `docs/reference/refusals.md` has a heading for each.
"""

import enum
from typing import Self


class Refusal(enum.Enum):
    """A named reason, with a plain sentence for people."""

    sentence: str

    def __new__(cls, code: str, sentence: str) -> Self:
        """Make the stable *code* of the wire the value, and keep the *sentence* for people beside it."""
        member = object.__new__(cls)
        member._value_ = code
        member.sentence = sentence
        return member

    # What was asked cannot be understood or does not fit what was asked before.
    INVALID_REQUEST = ("invalid_request", "The request could not be understood.")
    REQUEST_CHANGED = (
        "request_changed",
        "This request number was already answered for another request body; send a new number.",
    )
    REQUEST_NUMBER_BEHIND = (
        "request_number_behind",
        "A later request of this call was already answered; request numbers only go up.",
    )
    SESSION_EXISTS = ("session_exists", "A call with this session id was already started; use a new session id.")
    UNKNOWN_SESSION = ("unknown_session", "No call with this session id was started.")
    SESSION_ENDED = ("session_ended", "This call has already ended and is settled.")

    # Who is asking.
    UNKNOWN_ORGANISATION = ("unknown_organisation", "The organisation is not known here.")
    ORGANISATION_CLOSED = ("organisation_closed", "The organisation's account is closed.")
    UNKNOWN_USER = ("unknown_user", "The user is not known in this organisation.")
    UNKNOWN_NUMBER = ("unknown_number", "The number is not one that this organisation's calls are served on.")

    # What is asked for.
    NOT_OFFERED = ("not_offered", "No product of this organisation offers this kind of call.")
    DESTINATION_BLOCKED = ("destination_blocked", "Calls to this kind of number are not allowed.")
    NO_USAGE_LOCATION = ("no_usage_location", "The user has no usage location; set one first.")
    NO_CALLING_PLAN = (
        "no_calling_plan",
        "The user has no Calling Plan; assign one to allow calls to telephone numbers.",
    )

    # Who could pay for it.
    NO_RATE = ("no_rate", "There is no published rate for this destination.")
    NO_CREDITS_LICENCE = (
        "no_credits_licence",
        "Not included in the user's plan, or its minutes are used up, and there is no Communications Credits licence.",
    )
    INSUFFICIENT_CREDIT = (
        "insufficient_credit",
        "The Communications Credits balance does not cover the call; add funds.",
    )

    # Our own fault: the one reason that says nothing about the call.
    UNAVAILABLE = ("unavailable", "The charging service could not decide; try again with the same request number.")
