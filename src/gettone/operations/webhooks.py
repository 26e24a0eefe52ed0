"""Webhooks: where an organisation's own programs hear of notices, and the secrets with which they know that it is us.

A secret is ``whsec_`` and the base64 of 32 random bytes, as the Standard Webhooks specification writes it. It signs, so
it is kept as it is; it is shown when it is made and never again. When it is rotated the old one signs beside it for a
day, so that the receiver can change over without losing anything.
"""

import base64
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import msgspec

from gettone.errors import InvalidInput, NotFound
from gettone.operations.billing import Webhook
from gettone.operations.office import Office, Unit
from gettone.operations.recipients import known_kinds

SECRET_PREFIX = "whsec_"  # noqa: S105 - it tells what follows, which is drawn
SECRET_BYTES = 32
OLD_SECRET_LASTS = timedelta(hours=24)
WEBHOOKS_MAX = 20
URL_MAX = 2000


class WebhookView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook without its secrets; *kinds* are the kinds of notice it wants, empty for all.

    It is not *active* once its receiver has answered that it is gone for good (410). The secret before the present one
    signs too until *old_secret_until*.
    """

    webhook_id: str
    url: str
    kinds: tuple[str, ...]
    active: bool
    created_at: datetime
    old_secret_until: datetime | None


class NewSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook and its secret, which is in this answer and nowhere else."""

    webhook: WebhookView
    secret: str


def list_webhooks(office: Office, org_id: str) -> tuple[WebhookView, ...]:
    """Webhooks, oldest first. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return tuple(map(_view, unit.telling.webhooks(org_id)))


def add_webhook(
    office: Office, org_id: str, url: str, now: datetime, *, by: str, kinds: Collection[str] = ()
) -> NewSecret:
    """Let notices of *kinds* (none: all) be sent to *url*. Raises `NotFound` or `InvalidInput`.

    Whether the address may be reached is seen when something is sent, of the address that its name has then.
    """
    made = Webhook(
        webhook_id=secrets.token_hex(8),
        url=_url(url),
        secret=_new_secret(),
        created_at=now,
        kinds=known_kinds(kinds),
    )
    with office.write(org_id) as unit:
        there = unit.telling.webhooks(org_id)
        if any(one.url == made.url and one.active for one in there):
            raise InvalidInput("url", url[:200], "there is a webhook to this address; remove it, or rotate its secret")
        if len(there) >= WEBHOOKS_MAX:
            raise InvalidInput(
                "url", url[:200], f"there are {WEBHOOKS_MAX} webhooks, the most there may be; remove one"
            )
        unit.telling.write_webhook(org_id, made)
        unit.note(by, "add_webhook", f"webhook/{made.webhook_id}", {"url": ("", made.url)}, now)
    return NewSecret(webhook=_view(made), secret=made.secret)


def rotate_secret(office: Office, org_id: str, webhook_id: str, now: datetime, *, by: str) -> NewSecret:
    """Give a webhook a new secret; the old one signs too for a day. Raises `NotFound`."""
    with office.write(org_id) as unit:
        old = webhook_in(unit, org_id, webhook_id)
        until = now + OLD_SECRET_LASTS
        made = msgspec.structs.replace(old, secret=_new_secret(), old_secret=old.secret, old_secret_until=until)
        unit.telling.write_webhook(org_id, made)
        unit.note(by, "rotate_secret", f"webhook/{webhook_id}", {"secret": ("", "")}, now)
    return NewSecret(webhook=_view(made), secret=made.secret)


def remove_webhook(office: Office, org_id: str, webhook_id: str, now: datetime, *, by: str) -> None:
    """Take a webhook out; what is on its way to it is not sent any more. Raises `NotFound`."""
    with office.write(org_id) as unit:
        old = webhook_in(unit, org_id, webhook_id)
        unit.telling.remove_webhook(org_id, webhook_id)
        unit.note(by, "remove_webhook", f"webhook/{webhook_id}", {"url": (old.url, "")}, now)


def webhook_in(unit: Unit, org_id: str, webhook_id: str) -> Webhook:
    """One webhook; raises `NotFound`."""
    found = webhook_or_none(unit, org_id, webhook_id)
    if found is None:
        raise NotFound(f"webhook_id {webhook_id[:80]!r}: there is no such webhook; list the webhooks")
    return found


def webhook_or_none(unit: Unit, org_id: str, webhook_id: str) -> Webhook | None:
    """One webhook, if it is there."""
    return next((one for one in unit.telling.webhooks(org_id) if one.webhook_id == webhook_id), None)


def secrets_of(webhook: Webhook, now: datetime) -> tuple[str, ...]:
    """The secrets that sign now, the present one first."""
    old_counts = webhook.old_secret_until is not None and webhook.old_secret_until > now
    return (webhook.secret, webhook.old_secret) if old_counts else (webhook.secret,)


def _view(webhook: Webhook) -> WebhookView:
    return WebhookView(
        webhook_id=webhook.webhook_id,
        url=webhook.url,
        kinds=tuple(webhook.kinds.split()),
        active=webhook.active,
        created_at=webhook.created_at,
        old_secret_until=webhook.old_secret_until,
    )


def _new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


def _url(value: str) -> str:
    cleaned = value.strip()
    try:
        parts = urlsplit(cleaned)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    well_formed = cleaned.isascii() and cleaned.isprintable() and " " not in cleaned and len(cleaned) <= URL_MAX
    if not (well_formed and host and parts.scheme in {"http", "https"}) or port == 0:
        raise InvalidInput("url", value[:200], "write an address such as https://example.com/gettone")
    if parts.username is not None or parts.fragment:
        raise InvalidInput("url", value[:200], "leave out user name, password and fragment; the signature is the proof")
    return cleaned
