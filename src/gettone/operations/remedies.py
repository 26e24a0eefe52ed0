"""What to do about a refused call: one remedy for each reason that somebody can mend, with the command that mends it.

Words in braces are filled in by whoever knows them: org, user, number, country, currency, price_list, policy, the
products plan, credits, conferencing and resource; where the number is to ring (rings), and the fraud guard's limit on
calls at once (at_once).
"""

from collections.abc import Mapping

from gettone.domain.refusals import Refusal

_LATER = "Let what plans do not include be billed after use: gettone org change {org} --post-usage"
_NEXT_MONTH = "Wait for the next month, or allow more: gettone policies"

REMEDIES: Mapping[Refusal, str] = {
    Refusal.ORGANISATION_CLOSED: "Open it again: gettone org reopen {org}",
    Refusal.UNKNOWN_USER: "See who is there: gettone users list {org}",
    Refusal.UNKNOWN_NUMBER: (
        "Choose one of gettone numbers list {org}, or assign one: gettone numbers assign {org} NUMBER {rings}"
    ),
    Refusal.USER_BLOCKED: "See why in gettone users blocked {org}, then: gettone users unblock {org} {user}",
    Refusal.CALLER_BARRED: "See gettone policies bars {org}, and take out what bars the caller, or exempt the number.",
    Refusal.NUMBER_BARRED: "See gettone policies bars {org}, or exempt it: gettone policies exempt {org} {number}",
    Refusal.DIAL_OUT_RESTRICTED: (
        "Choose another of those in gettone policies dial-out: gettone policies user {org} {user} --dial-out {policy}"
    ),
    Refusal.NOT_OFFERED: "No licence changes this where the organisation is.",
    Refusal.DESTINATION_BLOCKED: "Nothing can be set up: this kind of number, or its country, is not reached.",
    Refusal.NO_USAGE_LOCATION: "Set it: gettone users change {org} {user} --usage-location {country}",
    Refusal.NO_CALLING_PLAN: "Assign one: gettone licences assign {org} {user} {plan}",
    Refusal.NO_CONFERENCING_LICENCE: "Assign one: gettone licences assign {org} {user} {conferencing}",
    Refusal.NO_RESOURCE_ACCOUNT_LICENCE: "Assign one: gettone licences assign {org} {user} {resource}",
    Refusal.NO_RATE: (
        "Import a rate deck that prices it: gettone rates import FILE --name {price_list} --currency {currency}"
    ),
    Refusal.NO_CREDITS_LICENCE: "Assign one: gettone licences assign {org} {user} {credits}",
    Refusal.CREDITS_NOT_SOLD: _LATER,
    Refusal.INSUFFICIENT_CREDIT: "Add funds: gettone wallet credit {org} AMOUNT",
    Refusal.TOO_MANY_CALLS: "Wait, or allow more: gettone policies set {org} --guard {at_once}=NUMBER",
    Refusal.NEW_DESTINATION_LIMIT: "Allow it: gettone policies allow-destination {org} DESTINATION",
    Refusal.INTERNATIONAL_SPEND_LIMIT: (
        "Wait for the next hour, or allow more, to the user or (organisation_hour) to all: "
        "gettone policies set {org} --guard user_hour=AMOUNT"
    ),
    Refusal.SPEND_LIMIT_REACHED: _NEXT_MONTH + " user {org} {user} --limit AMOUNT",
    Refusal.GROUP_SPEND_LIMIT_REACHED: _NEXT_MONTH + " set {org} --group-limit SUBJECT=AMOUNT",
}
"""By reason; those that only the sender of a request can mend are not here."""
