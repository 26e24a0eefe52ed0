"""Bodies about who is told of notices, deliveries, roles and webhooks."""

from typing import Annotated

import msgspec

from gettone.operations.telling import DeliveryView, NotSent, Sent

Kinds = Annotated[list[str], msgspec.Meta(description="Kinds of notice; empty for the usual ones.")]


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class RecipientBody(_Input, frozen=True, kw_only=True):
    """How an address or a role is told: of which kinds, in which language, or not at all."""

    kinds: Kinds = msgspec.field(default_factory=list)
    language: str = ""
    muted: bool = False


class NewRole(_Input, frozen=True, kw_only=True):
    """A role that a user, by id or user principal name, is to have."""

    user: str
    role: str


class NewWebhook(_Input, frozen=True, kw_only=True):
    """Where notices are to be posted, and of which kinds; empty for all."""

    url: str
    kinds: Kinds = msgspec.field(default_factory=list)


class TestMail(_Input, frozen=True, kw_only=True):
    """Where a test mail is to go."""

    address: str
    language: str = ""


class TestOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a test was sent, and what the other side said."""

    sent: bool
    detail: str


class NoticeMail(msgspec.Struct, frozen=True, kw_only=True):
    """A notice as its mail tells it, and its latest deliveries."""

    notice_id: str
    subject: str
    text: str
    html: str
    language: str
    deliveries: tuple[DeliveryView, ...]


def outcome(found: Sent | NotSent) -> TestOutcome:
    """Show how a test went."""
    if isinstance(found, NotSent):
        return TestOutcome(sent=False, detail=found.reason)
    return TestOutcome(sent=True, detail=found.detail)
