"""Back-office bodies: what is sent in to change something, and the views as they are shown.

Views without money go out as they are; those with money go out as the classes here, where ``…_micros`` has become a
decimal string without that ending, beside the organisation's ``currency`` (D1).
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

import msgspec

from gettone.api.problems import FieldError, invalid
from gettone.api.wire import ChargedPart, money, wire_part
from gettone.domain.money import MoneyError, parse_micros
from gettone.operations.messages import LONGEST_CALL_SECONDS
from gettone.operations.quoting import Quote
from gettone.operations.views import (
    CallDetail,
    CallView,
    EntryView,
    LotView,
    OrganisationView,
    Page,
    PostingView,
    UsageView,
    WalletView,
)

W = TypeVar("W", bound=msgspec.Struct)

Amount = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="A decimal number, such as 20.00.")]


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- in ----------------------------------------------------------------------------------------------------------------


class NewOrganisation(_Input, frozen=True, kw_only=True):
    """An organisation to make; its currency is for good."""

    org_id: str
    name: str
    country: str
    currency: str
    time_zone: str = "UTC"
    price_list: str = "standard"
    post_usage: bool = False


class OrganisationChange(_Input, frozen=True, kw_only=True):
    """What is given changes. `price_list` and `post_usage` are the operator's to change."""

    name: str | None = None
    country: str | None = None
    time_zone: str | None = None
    price_list: str | None = None
    post_usage: bool | None = None


class Funds(_Input, frozen=True, kw_only=True):
    """Credit to add; without `expires_at` it lasts 12 months. `currency`, if given, must be the organisation's."""

    amount: Amount
    currency: str = ""
    reason: str = ""
    expires_at: datetime | None = None


class Adjustment(_Input, frozen=True, kw_only=True):
    """A correction of the wallet, up or, out of credit that is free, down."""

    amount: Amount
    reason: str
    currency: str = ""


class NewKeyBody(_Input, frozen=True, kw_only=True):
    """A key to make: `scope` is operator, admin, billing, charging or read; `org_id` is `*` for all organisations."""

    scope: str
    org_id: str = ""
    label: str = ""


class QuoteBody(_Input, frozen=True, kw_only=True):
    """A call that might be made: from whom, to where, when, and how long."""

    called: str
    calling: str = ""
    user: str = ""
    org_id: str = ""
    call_type: str = ""
    at: datetime | None = None
    seconds: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_CALL_SECONDS)] = 60


# -- out ---------------------------------------------------------------------------------------------------------------


class Organisation(msgspec.Struct, frozen=True, kw_only=True):
    """An organisation and its settings; its rules are at `/policies`."""

    org_id: str
    name: str
    country: str
    currency: str
    time_zone: str
    price_list: str
    closed: bool
    post_usage: bool
    created_at: datetime


class Lot(msgspec.Struct, frozen=True, kw_only=True):
    """One purchase or grant of credit; `remaining` contains what running calls hold of it."""

    lot_id: str
    source: str
    reference: str
    purchased_at: datetime
    expires_at: datetime
    currency: str
    amount: str
    remaining: str
    held: str


class Wallet(msgspec.Struct, frozen=True, kw_only=True):
    """A wallet now. `available` is what new calls may spend; it is negative while an overrun is owed."""

    org_id: str
    currency: str
    posted: str
    held: str
    overrun: str
    expired: str
    available: str
    next_expiry_at: datetime | None
    next_expiry: str
    lots: list[Lot]


class BookingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Money put into a wallet or taken out by hand; `repeated` when this reference was booked before."""

    org_id: str
    entry_number: int
    reference: str
    currency: str
    amount: str
    lot_id: str
    expires_at: datetime | None
    covered: str
    available: str
    repeated: bool


class Posting(msgspec.Struct, frozen=True, kw_only=True):
    """One line of an entry."""

    account: str
    amount: str
    lot_id: str


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the ledger; its postings sum to zero."""

    entry_number: int
    kind: str
    reference: str
    reason: str
    posted_at: datetime
    currency: str
    postings: list[Posting]


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A call as recorded; `state` is open, ended or refused."""

    session_id: str
    state: str
    call_type: str
    calling: str
    called: str
    user_id: str
    country: str
    kind: str
    destination: str
    started_at: datetime
    ended_at: datetime | None
    ended_by: str
    refusal: str
    used_seconds: int
    billed_seconds: int
    granted_seconds: int
    deck_id: str
    currency: str
    charged: str
    held: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """One payer's part of a call."""

    line: int
    payer: str
    pool_key: str
    capability: str
    from_second: int
    seconds: int
    billed_seconds: int
    currency: str
    charged: str
    connection: str


class CallWithUsage(msgspec.Struct, frozen=True, kw_only=True):
    """A call with who paid which seconds of it."""

    call: Call
    usage: list[Usage]


class UsageSum(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over ended calls that have `key` in common."""

    key: str
    calls: int
    messages: int
    seconds: int
    billed_seconds: int
    currency: str
    charged: str


class QuoteAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What the call would cost and who would pay; `reason` says why it could not be made, or not for so long."""

    org_id: str
    called: str
    call_type: str
    country: str
    kind: str
    destination: str
    seconds: int
    affordable_seconds: int
    billed_seconds: int
    currency: str
    charged: str
    parts: list[ChargedPart]
    reason: str | None
    title: str
    detail: str


def shown(kind: type[W], view: msgspec.Struct, currency: str, **others: object) -> W:
    """Make a *kind* of *view*: its fields as they are, its micros as decimal strings of *currency*, and *others*."""
    values: dict[str, object] = {}
    for name in kind.__struct_fields__:
        if name in others:
            values[name] = others[name]
        elif name == "currency":
            values[name] = currency
        elif hasattr(view, name):
            values[name] = getattr(view, name)
        else:
            values[name] = money(getattr(view, f"{name}_micros"), currency)
    return kind(**values)


def shown_page(kind: type[W], page: Page[Any], currency: str) -> Page[W]:
    """Make a page of *kind* of a page of views."""
    return Page(tuple(shown(kind, view, currency) for view in page.items), page.next_cursor)


def organisation(view: OrganisationView) -> Organisation:
    """Show an organisation."""
    return shown(Organisation, view, view.currency)


def wallet(view: WalletView) -> Wallet:
    """Show a wallet with its lots."""
    return shown(Wallet, view, view.currency, lots=[lot(one, view.currency) for one in view.lots])


def lot(view: LotView, currency: str) -> Lot:
    """Show a lot."""
    return shown(Lot, view, currency)


def entry(view: EntryView, currency: str) -> Entry:
    """Show an entry of the ledger."""
    return shown(Entry, view, currency, postings=[_posting(one, currency) for one in view.postings])


def _posting(view: PostingView, currency: str) -> Posting:
    return shown(Posting, view, currency)


def call(view: CallView, currency: str) -> Call:
    """Show a call."""
    return shown(Call, view, currency)


def call_with_usage(view: CallDetail, currency: str) -> CallWithUsage:
    """Show a call and who paid for it."""
    return CallWithUsage(call=call(view.call, currency), usage=[_usage(one, currency) for one in view.usage])


def _usage(view: UsageView, currency: str) -> Usage:
    return shown(Usage, view, currency)


def quote(view: Quote) -> QuoteAnswer:
    """Show a quote."""
    return shown(
        QuoteAnswer,
        view,
        view.currency,
        parts=[wire_part(part, view.currency) for part in view.parts],
        reason=view.reason.value if view.reason else None,
        title=view.reason.sentence if view.reason else "",
    )


def micros(amount: str, currency: str, given_currency: str) -> int:
    """Read an amount of *currency*; a *given_currency*, if any, must be the same."""
    if given_currency not in {"", currency}:
        remedy = f"the organisation's currency is {currency}; leave it out or write that"
        raise invalid([FieldError(remedy, "currency", repr(given_currency[:20]))])
    try:
        return parse_micros(amount, currency)
    except MoneyError as error:
        raise invalid([FieldError(str(error), "amount", repr(amount[:40]))]) from None
