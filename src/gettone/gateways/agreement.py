"""`AgreementProvider`: orders under an agreement, paid by invoice afterwards. Nobody is asked and no money moves here.

An agreement either wants each order confirmed by a person of the operator (`Processing` until then), or is good for
whatever stays within its credit limit. The limit is about what is owed: what earlier orders left unpaid and this one
with its tax.

Example: of a limit of 100.00 are 70.00 unpaid. An order of 20.00 with tax 4.40 is taken, since 94.40 would be owed; an
order of 30.00 with tax 6.60 is declined, since 106.60 would be.
"""

from collections.abc import Mapping
from datetime import datetime

from gettone.domain.money import render_micros
from gettone.domain.payments import Declined, Outcome, Processing, Succeeded
from gettone.errors import BadMessage, PaymentUnavailable
from gettone.operations.providers import Card, Movement, News, Setup


def reference_of(payment_id: str) -> str:
    """The provider's name for a payment."""
    return f"agreement/{payment_id}"


class AgreementProvider:
    """Pays by agreement; goes by the name of agreement."""

    def move(self, movement: Movement) -> Outcome:
        """Take an order within the limit; a refund is one less to be paid and always done."""
        reference = reference_of(movement.payment_id)
        if movement.refund_of:
            return Succeeded(reference)
        if movement.method.on_confirmation:
            return Processing(reference)
        limit = movement.method.credit_limit_micros
        owed = movement.unpaid_micros + movement.gross_micros
        if limit is None or owed <= limit:
            return Succeeded(reference)
        unpaid, gross, most = (
            f"{render_micros(micros, movement.currency)} {movement.currency}"
            for micros in (movement.unpaid_micros, movement.gross_micros, limit)
        )
        detail = f"{unpaid} of the agreement are unpaid, {gross} would be added, and its limit is {most}"
        return Declined("credit_limit", detail, final=False)

    def ask(self, movement: Movement) -> Outcome:
        """As `move`: nothing is kept here, so the answer is the same until a person has confirmed."""
        return self.move(movement)

    def give_up(self, movement: Movement) -> Outcome:
        """As `ask`: an order that waits for confirmation goes on waiting, and no other is withdrawn."""
        return self.ask(movement)

    def begin_setup(self, org_id: str, name: str, customer_ref: str) -> Setup:
        """Agreements are written down, not set up; raises `PaymentUnavailable`."""
        del org_id, name, customer_ref
        raise PaymentUnavailable("an agreement has no card: add it with its number")

    def finish_setup(self, reference: str) -> Card:
        """As `begin_setup`."""
        del reference
        raise PaymentUnavailable("an agreement has no card: add it with its number")

    def news(self, body: bytes, headers: Mapping[str, str], now: datetime) -> News | None:
        """Nobody sends messages about agreements; raises `BadMessage`."""
        del body, headers, now
        raise BadMessage("nobody sends messages about agreements")
