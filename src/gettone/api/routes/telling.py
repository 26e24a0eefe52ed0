"""Who is told of notices: recipients, roles, webhooks; deliveries and whether they arrived."""

from typing import Annotated, Any

from litestar import Router
from litestar.params import JSONBody, QueryParameter

from gettone.api import telling_bodies
from gettone.api.routing import (
    ADMIN,
    ORGANISATION,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    buyer,
    delete,
    get,
    needs,
    plain,
    post,
    put,
)
from gettone.api.telling_bodies import NewRole, NewWebhook, NoticeMail, RecipientBody, TestMail, TestOutcome
from gettone.operations import directory, mails, notices, recipients, telling, webhooks
from gettone.operations.recipients import RecipientView, RoleView
from gettone.operations.telling import DeliveryView
from gettone.operations.views import Key, Page
from gettone.operations.webhooks import NewSecret, WebhookView

RECIPIENTS = f"{ORGANISATION}/recipients"
ROLES = f"{ORGANISATION}/roles"
WEBHOOKS = f"{ORGANISATION}/webhooks"

Language = Annotated[str, QueryParameter(description="en or it; without it the organisation's.")]
InState = Annotated[str, QueryParameter(name="state", description="waiting, sent, failed or cancelled.")]
OfNotice = Annotated[str, QueryParameter(name="notice", description="Only deliveries of this notice.")]


# -- notices -----------------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/notices/{{notice_id:str}}", opt=needs(READ), sync_to_thread=True)
def get_notice(services: Given, org_id: InPath, notice_id: InPath, language: Language = "") -> NoticeMail:
    """One notice as its mail tells it, with its latest deliveries."""
    office, notice = services.office, plain(notice_id)
    found = notices.get_notice(office, org_id, notice)
    organisation = directory.get_organisation(office, org_id)
    spoken = telling.language_of(office, org_id, language)
    with office.read() as unit:
        name = notices.name_of(unit, org_id, found.subject)
    mail = mails.of_notice(found, organisation, spoken, services.link, name=name)
    deliveries = telling.list_deliveries(office, org_id, notice_id=notice, limit=1000)
    return NoticeMail(
        notice_id=notice,
        subject=mail.subject,
        text=mail.text,
        html=mail.html,
        language=spoken,
        deliveries=deliveries.items,
    )


@post(f"{ORGANISATION}/notices/test", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def test_mail(services: Given, org_id: InPath, data: JSONBody[TestMail]) -> TestOutcome:
    """Send a test mail now, and say what became of it."""
    outcome = telling.send_test_mail(
        services.office,
        org_id,
        data.address,
        services.channels,
        services.clock(),
        link=services.link,
        language=data.language,
    )
    return telling_bodies.outcome(outcome)


@get(f"{ORGANISATION}/deliveries", opt=needs(READ), sync_to_thread=True)
def list_deliveries(
    *,
    services: Given,
    org_id: InPath,
    of_notice: OfNotice = "",
    in_state: InState = "",
    cursor: Cursor = "",
    limit: Limit = 100,
) -> Page[DeliveryView]:
    """What was sent to whom and whether it arrived, newest first."""
    return telling.list_deliveries(
        services.office, org_id, notice_id=of_notice, state=in_state, cursor=cursor, limit=limit
    )


@post(f"{ORGANISATION}/deliveries/{{delivery_id:str}}/resend", opt=needs(ADMIN), sync_to_thread=True)
def resend_delivery(request: Caller, services: Given, org_id: InPath, delivery_id: InPath) -> DeliveryView:
    """Send what a delivery holds once more, as a delivery of its own."""
    return telling.resend(services.office, org_id, plain(delivery_id), services.clock(), by=_by(request.auth))


# -- recipients --------------------------------------------------------------------------------------------------------


@get(RECIPIENTS, opt=needs(READ), sync_to_thread=True)
def list_recipients(services: Given, org_id: InPath) -> Page[RecipientView]:
    """Roles and addresses that are told of notices."""
    return Page(recipients.list_recipients(services.office, org_id))


@put(f"{RECIPIENTS}/{{target:str}}", opt=needs(ADMIN), sync_to_thread=True)
def set_recipient(
    request: Caller, services: Given, org_id: InPath, target: InPath, data: JSONBody[RecipientBody]
) -> RecipientView:
    """Choose an address, or say how a role (`role/NAME`, its slash written %2F) is told."""
    return recipients.set_recipient(
        services.office,
        org_id,
        plain(target),
        services.clock(),
        by=_by(request.auth),
        kinds=data.kinds,
        language=data.language,
        muted=data.muted,
    )


@delete(f"{RECIPIENTS}/{{target:str}}", opt=needs(ADMIN), sync_to_thread=True)
def remove_recipient(request: Caller, services: Given, org_id: InPath, target: InPath) -> None:
    """Take out what was said of an address or a role."""
    recipients.remove_recipient(services.office, org_id, plain(target), services.clock(), by=_by(request.auth))


# -- roles -------------------------------------------------------------------------------------------------------------


@get(ROLES, opt=needs(READ), sync_to_thread=True)
def list_roles(services: Given, org_id: InPath) -> Page[RoleView]:
    """Which user administers what."""
    return Page(recipients.list_roles(services.office, org_id))


@post(ROLES, opt=needs(ADMIN), sync_to_thread=True)
def grant_role(request: Caller, services: Given, org_id: InPath, data: JSONBody[NewRole]) -> RoleView:
    """Let a user have a role, and so be told of notices."""
    by = _by(request.auth)
    return recipients.grant_role(services.office, org_id, data.user, data.role, services.clock(), by=by)


@delete(f"{ROLES}/{{user:str}}/{{role:str}}", opt=needs(ADMIN), sync_to_thread=True)
def revoke_role(request: Caller, services: Given, org_id: InPath, user: InPath, role: InPath) -> None:
    """Take a role from a user."""
    by = _by(request.auth)
    recipients.revoke_role(services.office, org_id, plain(user), plain(role), services.clock(), by=by)


# -- webhooks ----------------------------------------------------------------------------------------------------------


@get(WEBHOOKS, opt=needs(READ), sync_to_thread=True)
def list_webhooks(services: Given, org_id: InPath) -> Page[WebhookView]:
    """Webhooks without their secrets, oldest first."""
    return Page(webhooks.list_webhooks(services.office, org_id))


@post(WEBHOOKS, opt=needs(ADMIN), sync_to_thread=True)
def add_webhook(request: Caller, services: Given, org_id: InPath, data: JSONBody[NewWebhook]) -> NewSecret:
    """Let notices be posted to an address; the secret that signs them is in this answer and nowhere else."""
    by = _by(request.auth)
    return webhooks.add_webhook(services.office, org_id, data.url, services.clock(), by=by, kinds=data.kinds)


@delete(f"{WEBHOOKS}/{{webhook_id:str}}", opt=needs(ADMIN), sync_to_thread=True)
def remove_webhook(request: Caller, services: Given, org_id: InPath, webhook_id: InPath) -> None:
    """Take a webhook out; what is on its way to it is not sent any more."""
    webhooks.remove_webhook(services.office, org_id, plain(webhook_id), services.clock(), by=_by(request.auth))


@post(f"{WEBHOOKS}/{{webhook_id:str}}/rotate", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def rotate_webhook_secret(request: Caller, services: Given, org_id: InPath, webhook_id: InPath) -> NewSecret:
    """Give a webhook a new secret, shown in this answer only; for 24 hours the old one signs beside it."""
    by = _by(request.auth)
    return webhooks.rotate_secret(services.office, org_id, plain(webhook_id), services.clock(), by=by)


@post(f"{WEBHOOKS}/{{webhook_id:str}}/test", opt=needs(ADMIN), status_code=200, sync_to_thread=True)
def test_webhook(services: Given, org_id: InPath, webhook_id: InPath) -> TestOutcome:
    """Post a message of the kind `test` now, and say what was answered."""
    channels, now = services.channels, services.clock()
    return telling_bodies.outcome(telling.send_test_message(services.office, org_id, plain(webhook_id), channels, now))


def _by(key: Key) -> str:
    return buyer(key).name


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(get_notice, test_mail, list_deliveries, resend_delivery),
        *(list_recipients, set_recipient, remove_recipient),
        *(list_roles, grant_role, revoke_role),
        *(list_webhooks, add_webhook, remove_webhook, rotate_webhook_secret, test_webhook),
    ]
    return Router("/", route_handlers=handlers, tags=["Notices"], **options)
