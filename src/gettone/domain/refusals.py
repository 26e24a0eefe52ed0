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

    # What the organisation's own rules forbid.
    USER_BLOCKED = ("user_blocked", "The user is blocked from calling; an administrator can unblock.")
    CALLER_BARRED = ("caller_barred", "The organisation does not take calls from this number.")
    NUMBER_BARRED = ("number_barred", "The organisation does not allow calls to this number.")
    DIAL_OUT_RESTRICTED = ("dial_out_restricted", "The dial-out policy of this user does not allow this destination.")

    # What is asked for.
    NOT_OFFERED = ("not_offered", "No product of this organisation offers this kind of call.")
    DESTINATION_BLOCKED = ("destination_blocked", "Calls to this kind of number are not allowed.")
    NO_USAGE_LOCATION = ("no_usage_location", "The user has no usage location; set one first.")
    NO_CALLING_PLAN = (
        "no_calling_plan",
        "The user has no Calling Plan; assign one to allow calls to telephone numbers.",
    )
    NO_CONFERENCING_LICENCE = (
        "no_conferencing_licence",
        "The organiser has no Audio Conferencing licence; assign one to allow conferences to dial out.",
    )
    NO_RESOURCE_ACCOUNT_LICENCE = (
        "no_resource_account_licence",
        "The auto attendant or call queue has no resource account with a licence; assign one.",
    )

    # Who could pay for it.
    NO_RATE = ("no_rate", "There is no published rate for this destination.")
    NO_CREDITS_LICENCE = (
        "no_credits_licence",
        "Not included in the user's plan, or its minutes are used up, and there is no Communications Credits licence.",
    )
    CREDITS_NOT_SOLD = (
        "credits_not_sold",
        "Communications Credits are not sold in the organisation's country, and nothing else pays for this call.",
    )
    INSUFFICIENT_CREDIT = (
        "insufficient_credit",
        "The Communications Credits balance does not cover the call; add funds.",
    )

    # What limits leave.
    TOO_MANY_CALLS = ("too_many_calls", "The user has as many calls at once as the fraud guard allows.")
    NEW_DESTINATION_LIMIT = (
        "new_destination_limit",
        "Too many premium destinations were called for the first time today; an administrator can allow this one.",
    )
    INTERNATIONAL_SPEND_LIMIT = (
        "international_spend_limit",
        "International calls have cost as much within this hour as the fraud guard allows.",
    )
    SPEND_LIMIT_REACHED = ("spend_limit_reached", "The user's spending limit for this month is used up.")
    GROUP_SPEND_LIMIT_REACHED = (
        "group_spend_limit_reached",
        "The spending limit of the user's department or cost centre for this month is used up.",
    )

    # Our own fault: the one reason that says nothing about the call.
    UNAVAILABLE = ("unavailable", "The charging service could not decide; try again with the same request number.")
