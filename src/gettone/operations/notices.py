"""What administrators are told: the kinds of notice, each with a plain sentence, and the list of those written.

A notice is written in the transaction that causes it, once for each crossing, which its id names (design, D21). Facts
are text: amounts whole micros of the organisation's currency, months yyyymm, times ISO 8601. A sentence can be made of
any notice, also of one that lacks a fact or whose kind a newer version wrote.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType

from gettone.domain.money import render_micros
from gettone.domain.policies import GUARD_BLOCK, ORGANISATION
from gettone.domain.refusals import Refusal
from gettone.errors import InvalidInput
from gettone.operations.instants import microseconds
from gettone.operations.office import Office
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.views import NoticeView, Page

SPEND_WARNING = "spend_warning"
SPEND_LIMIT_REACHED = "spend_limit_reached"
USER_BLOCKED = "user_blocked"
USER_UNBLOCKED = "user_unblocked"
GUARD_REFUSED = "guard_refused"
FREECALL = "freecall"
UNRATED = "unrated"
POLICIES_CHANGED = "policies_changed"

KINDS: Mapping[str, str] = MappingProxyType(
    {
        SPEND_WARNING: (
            "{who} has used {percent} % of the spending limit of {limit} for {month}: "
            "{committed} are spent or held by running calls."
        ),
        SPEND_LIMIT_REACHED: (
            "{who} has reached the spending limit of {limit} for {month}: "
            "calls that cost credit are refused until the month ends or the limit is raised."
        ),
        USER_BLOCKED: "{who} is blocked from calling {until}. {reason}",
        USER_UNBLOCKED: "{who} may call again, unblocked by {by}.",
        GUARD_REFUSED: "A call of {who} to {called} was refused by the fraud guard. {refusal} The limit is {limit}.",
        FREECALL: "Calls are free because rate deck {deck} cannot be read: {error}. Import a good one.",
        UNRATED: (
            "Call {session} to {called} went on where no rate is published, and nobody could say what that cost: "
            "import a rate for {country}."
        ),
        POLICIES_CHANGED: "The rules of {who} were changed by {by}: {changes}.",
    }
)
"""Each kind with its sentence; the names in braces are facts, and *who* is the subject."""

TENANT_REQUESTED = "tenant_requested"
HIGH_INTERNATIONAL_SPEND = GUARD_BLOCK

BLOCK_REASONS: Mapping[str, str] = MappingProxyType(
    {
        HIGH_INTERNATIONAL_SPEND: "International calls have cost as much within an hour as the fraud guard allows.",
        TENANT_REQUESTED: "An administrator of the organisation asked for it.",
    }
)
"""Why users are blocked, each reason with its sentence."""

_REFUSALS = {reason.value: reason for reason in Refusal}


def notice(kind: str, subject: str, crossing: str, facts: Mapping[str, str], now: datetime) -> NoticeView:
    """Make a notice; *crossing* tells it from others of its kind and subject."""
    notice_id = f"{kind}/{subject}/{crossing}"
    return NoticeView(notice_id=notice_id, kind=kind, subject=subject, written_at=now, facts=dict(facts))


def list_notices(
    office: Office, org_id: str, *, kind: str = "", cursor: str = "", limit: int = 100
) -> Page[NoticeView]:
    """Notices, newest first; of one *kind* if named. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    if kind and kind not in KINDS:
        raise InvalidInput("kind", kind[:80], f"write one of {', '.join(KINDS)}")
    before = _cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.policies.notices(org_id, kind, before, limit + 1)
    return page(found, limit, lambda one: f"{microseconds(one.written_at)}.{one.notice_id}")


def _cursor(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    written_at, dot, notice_id = cursor.partition(".")
    if not (dot and notice_id):
        raise bad_cursor(cursor)
    return number_cursor(written_at) or 0, notice_id


# -- in plain words ----------------------------------------------------------------------------------------------------


def sentence(told: NoticeView, currency: str) -> str:
    """What *told* says, for people; *currency* is the organisation's."""
    template = KINDS.get(told.kind)
    if template is None:
        listed = ", ".join(f"{name} {value}" for name, value in told.facts.items())
        return f"{told.kind} of {named(told.subject)}: {listed}."
    facts = _Facts({name: _in_words(told, name, value, currency) for name, value in told.facts.items()})
    text = template.format_map(_Facts({**facts, "who": named(told.subject)}))
    return text[:1].upper() + text[1:]


def named(subject: str) -> str:
    """What spending is counted for, for people: ``department Sales``."""
    if subject == ORGANISATION:
        return "the organisation"
    kind, _, name = subject.partition("/")
    return f"{kind.replace('_', ' ')} {name}"


class _Facts(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "?"


def _in_words(told: NoticeView, name: str, value: str, currency: str) -> str:
    words = _IN_WORDS.get(name)
    if name == "limit" and told.facts.get("refusal") in _COUNTED_LIMITS:
        return value
    return words(value, currency) if words else value


def _amount(value: str, currency: str) -> str:
    return f"{render_micros(int(value), currency)} {currency}" if value.isascii() and value.isdigit() else value


def _month(value: str, _currency: str) -> str:
    return f"{value[:4]}-{value[4:]}"


def _until(value: str, _currency: str) -> str:
    if not value:
        return "until somebody unblocks"
    try:
        return f"until {datetime.fromisoformat(value).astimezone(UTC):%Y-%m-%d %H:%M:%SZ}"
    except ValueError:
        return f"until {value}"


def _reason(value: str, _currency: str) -> str:
    return BLOCK_REASONS.get(value, value)


def _refusal(value: str, _currency: str) -> str:
    found = _REFUSALS.get(value)
    return found.sentence if found else value


_IN_WORDS: Mapping[str, Callable[[str, str], str]] = {
    "limit": _amount,
    "committed": _amount,
    "month": _month,
    "until": _until,
    "reason": _reason,
    "refusal": _refusal,
}
# Limits that count calls or destinations, not money.
_COUNTED_LIMITS = frozenset({Refusal.TOO_MANY_CALLS.value, Refusal.NEW_DESTINATION_LIMIT.value})
