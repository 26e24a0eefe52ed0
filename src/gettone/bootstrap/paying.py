"""Who is asked for money: the payment providers that the settings name, and what asks them.

Enterprise Agreements are always there. Cards are charged by Stripe, by a simulator whose bank is in the memory of this
process, or by nobody. A payment of a provider that this process does not have is left to one that does (D18).
"""

from gettone.bootstrap import Clock, utc_now
from gettone.config import SIMULATOR, STRIPE, Settings
from gettone.operations.office import Office
from gettone.operations.paying import Paying
from gettone.operations.providers import Provider, Providers

AGREEMENT = "agreement"


def providers_of(settings: Settings, *, clock: Clock = utc_now) -> Providers:
    """The payment providers by name, as the settings say.

    Raises `ConfigurationError` when the client of one is not installed.
    """
    # Most commands ask nobody for money, and a client takes long to import.
    from gettone.gateways.agreement import AgreementProvider  # noqa: PLC0415 - see above

    providers: dict[str, Provider] = {AGREEMENT: AgreementProvider()}
    if settings.payments == SIMULATOR:
        from gettone.gateways.simulated import SimulatedProvider  # noqa: PLC0415 - see above
        from gettone.gateways.simulator.bank import Bank  # noqa: PLC0415 - see above

        providers[SIMULATOR] = SimulatedProvider(Bank(clock))
    if settings.payments == STRIPE:
        from gettone.gateways.stripe_provider import StripeProvider  # noqa: PLC0415 - see above

        providers[STRIPE] = StripeProvider(
            settings.stripe_key,
            settings.stripe_webhook_secret,
            api_base=settings.stripe_api,
            return_url=settings.link,
        )
    return providers


def opened_paying(settings: Settings, office: Office, clock: Clock = utc_now) -> Paying:
    """What carries payments of *office* out. Raises as `providers_of`."""
    return Paying(office, providers_of(settings, clock=clock), clock)
