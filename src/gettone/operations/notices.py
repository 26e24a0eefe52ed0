"""What administrators are told: the kinds of notice and the list of those written.

A notice is written in the transaction that causes it, once for each crossing, which its id names (design, D21). Facts
are text: amounts whole micros of the organisation's currency, months yyyymm, times and dates ISO 8601. A sentence can
be made of any notice, also of one that lacks a fact or whose kind a newer version wrote (`wording`).
"""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

from gettone.domain.policies import GUARD_BLOCK
from gettone.errors import InvalidInput, NotFound
from gettone.operations.instants import microseconds
from gettone.operations.office import Office, Unit
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.views import NoticeView, Page
from gettone.operations.wording import ENGLISH, Teller, subject_words, wording

SPEND_WARNING = "spend_warning"
SPEND_LIMIT_REACHED = "spend_limit_reached"
USER_BLOCKED = "user_blocked"
USER_UNBLOCKED = "user_unblocked"
GUARD_REFUSED = "guard_refused"
FREECALL = "freecall"
UNRATED = "unrated"
POLICIES_CHANGED = "policies_changed"
BALANCE_ZERO = "balance_zero"
BALANCE_LOW = "balance_low"
POOL_USED = "pool_used"
RECHARGE_SUCCEEDED = "recharge_succeeded"
RECHARGE_FAILED = "recharge_failed"
RECHARGE_CAPPED = "recharge_capped"
RECHARGE_SUSPENDED = "recharge_suspended"
ACTION_REQUIRED = "action_required"
PURCHASE_SUCCEEDED = "purchase_succeeded"
PURCHASE_FAILED = "purchase_failed"
REFUNDED = "refunded"
PAYMENT_DISPUTED = "payment_disputed"
CREDIT_EXPIRING = "credit_expiring"
CREDIT_EXPIRED = "credit_expired"
USAGE_INVOICED = "usage_invoiced"

KINDS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        SPEND_WARNING: ("percent", "limit", "committed", "month"),
        SPEND_LIMIT_REACHED: ("limit", "month"),
        USER_BLOCKED: ("until", "reason"),
        USER_UNBLOCKED: ("by",),
        GUARD_REFUSED: ("called", "refusal", "limit"),
        FREECALL: ("deck", "error"),
        UNRATED: ("session", "called", "country"),
        POLICIES_CHANGED: ("by", "changes"),
        BALANCE_ZERO: ("left",),
        BALANCE_LOW: ("left", "limit"),
        POOL_USED: ("percent", "month", "used_minutes", "size_minutes"),
        RECHARGE_SUCCEEDED: ("amount", "available"),
        RECHARGE_FAILED: ("amount", "reason", "retry_at"),
        RECHARGE_CAPPED: ("cap", "retry_at"),
        RECHARGE_SUSPENDED: ("reason",),
        ACTION_REQUIRED: ("amount", "link"),
        PURCHASE_SUCCEEDED: ("amount", "available"),
        PURCHASE_FAILED: ("amount", "reason"),
        REFUNDED: ("amount",),
        PAYMENT_DISPUTED: ("amount", "paid_on", "stage"),
        CREDIT_EXPIRING: ("amount", "expires_on", "days"),
        CREDIT_EXPIRED: ("amount",),
        USAGE_INVOICED: ("month", "amount"),
    }
)
"""Each kind with the facts that its texts tell; there may be more, for programs. The texts are in `wording`."""

TENANT_REQUESTED = "tenant_requested"
HIGH_INTERNATIONAL_SPEND = GUARD_BLOCK

BLOCK_REASONS: Mapping[str, str] = MappingProxyType(
    {reason: wording(ENGLISH).reasons[reason] for reason in (HIGH_INTERNATIONAL_SPEND, TENANT_REQUESTED)}
)
"""Why users are blocked, each reason with its sentence."""


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


def get_notice(office: Office, org_id: str, notice_id: str) -> NoticeView:
    """One notice; raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = unit.telling.notice(org_id, notice_id)
    if found is None:
        raise NotFound(no_such_notice(notice_id))
    return found


def no_such_notice(notice_id: str) -> str:
    """The message about a notice that is not there."""
    return f"notice_id {notice_id[:200]!r}: there is no such notice; list the notices"


def _cursor(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    written_at, dot, notice_id = cursor.partition(".")
    if not (dot and notice_id):
        raise bad_cursor(cursor)
    return number_cursor(written_at) or 0, notice_id


# -- in plain words ----------------------------------------------------------------------------------------------------


def sentence(told: NoticeView, currency: str, language: str = ENGLISH, zone: str = "UTC", *, name: str = "") -> str:
    """What *told* says, for people, with amounts in the organisation's *currency* and times in its *zone*.

    *name* is what its subject is called (`name_of`), when that is not its id.
    """
    teller = Teller(told, currency, language, zone, name)
    return teller.say(teller.texts.sentence)


def name_of(unit: Unit, org_id: str, subject: str) -> str:
    """What people call the subject of a notice: of a user the user principal name; empty where the id says it."""
    kind, _, user_id = subject.partition("/")
    found = unit.directory.users_by_ref(org_id, [user_id]).get(user_id) if kind == "user" else None
    return found.upn if found is not None else ""


def named(subject: str, language: str = ENGLISH) -> str:
    """What spending is counted for, for people: ``department Sales``."""
    return subject_words(subject, wording(language))[0]
