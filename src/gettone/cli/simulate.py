"""``gettone simulate-payments``: a card provider to try things out with."""

from typing import Annotated

import typer

from gettone.errors import InvalidInput

BIND = "127.0.0.1:12111"
SECRET = "whsec_simulator"  # noqa: S105 - of a simulator, where nothing is secret


def simulate_payments(
    bind: Annotated[str, typer.Option(help="Address and port; port 0 takes a free one.")] = BIND,
    events_to: Annotated[
        str,
        typer.Option(
            help="Where messages go, such as http://127.0.0.1:8080/v1/providers/stripe/events.", show_default=False
        ),
    ] = "",
    secret: Annotated[str, typer.Option(help="What messages are signed with.")] = SECRET,
    seed: Annotated[
        int | None, typer.Option(help="Lose, delay and double questions and messages by chance.", show_default=False)
    ] = None,
) -> None:
    """Serve a simulated card provider that Stripe's client can talk to; no money is involved.

    Let the service use it with GETTONE_PAYMENTS=stripe, GETTONE_STRIPE_API=http://127.0.0.1:12111,
    GETTONE_STRIPE_KEY=sk_test_simulator and GETTONE_STRIPE_WEBHOOK_SECRET=whsec_simulator. Its first page shows what
    was charged. Everything is forgotten when it ends, on SIGTERM or Ctrl-C.

    Example: gettone simulate-payments --events-to http://127.0.0.1:8080/v1/providers/stripe/events
    """
    from gettone.bootstrap.simulated_payments import serve_simulator

    host, _, port = bind.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65_535:
        raise InvalidInput("--bind", bind, f"write an address and a port, such as {BIND}")

    def ready(address: str) -> None:
        typer.echo(f"simulated payments at {address}; any key that begins with sk_test_ is good", err=True)

    serve_simulator(host.strip("[]"), int(port), events_to=events_to, secret=secret, seed=seed, ready=ready)


def add_to(root: typer.Typer) -> None:
    """Put this command into the command line."""
    root.command("simulate-payments")(simulate_payments)
