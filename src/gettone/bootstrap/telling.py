"""How people are told: the channels that the settings name, for `gettone.operations.telling`."""

from gettone.config import YES, Settings
from gettone.operations.telling import MAIL, WEBHOOK, Channel, Channels


def channels_of(settings: Settings) -> Channels:
    """The channels by name: webhooks always, mail when the settings say how.

    Raises `ConfigurationError` when ``mail_url`` or ``mail_from`` cannot be used.
    """
    # Few commands tell anybody anything.
    from gettone.gateways.mail import mail_channel  # noqa: PLC0415 - see above
    from gettone.gateways.webhook import WebhookChannel  # noqa: PLC0415 - see above

    channels: dict[str, Channel] = {
        WEBHOOK: WebhookChannel(private_addresses=settings.webhook_private_addresses == YES)
    }
    if settings.mail_url:
        channels[MAIL] = mail_channel(settings.mail_url, settings.mail_from)
    return channels
