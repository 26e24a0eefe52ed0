"""Asks payment providers what has to be asked, one payment at a time: claim, ask, record (`operations.payments`)."""

import logging
from collections.abc import Callable
from datetime import datetime

from gettone.domain.payments import Outcome, Unknown
from gettone.operations import payments, recharging
from gettone.operations.billing import Payment
from gettone.operations.office import Office
from gettone.operations.payments import ASK, GIVE_UP, HELD_WHILE_ASKED, MOVE, Claim
from gettone.operations.providers import Providers

logger = logging.getLogger(__name__)

BATCH = 100


class Paying:
    """Carries payments out over some providers. Safe in any number of threads and processes at once."""

    def __init__(self, office: Office, providers: Providers, clock: Callable[[], datetime]) -> None:
        """Pay for orders in *office*."""
        self._office = office
        self._providers = providers
        self._clock = clock

    @property
    def providers(self) -> Providers:
        """Who can be asked here."""
        return self._providers

    def pay(self, org_id: str, payment_id: str) -> Payment | None:
        """Ask about one payment now and record the answer; None when somebody else does or nothing is to be asked."""
        claim = payments.claim(self._office, org_id, payment_id, self._clock())
        if claim is None:
            return None
        outcome = self._ask(claim)
        return payments.record(self._office, org_id, payment_id, outcome, self._clock())

    def work(self, now: datetime) -> int:
        """Order the recharges that are marked as due, and ask about every payment that is; returns how many were."""
        recharging.open_marked(self._office, now)
        asked = 0
        while True:
            with self._office.read() as unit:
                found = unit.buying.due_payments(self._clock(), BATCH)
            done = sum(self.pay(org_id, payment_id) is not None for org_id, payment_id in found)
            asked += done
            if not done:
                return asked

    def _ask(self, claim: Claim) -> Outcome:
        provider = self._providers.get(claim.provider)
        if provider is None:
            detail = f"payment provider {claim.provider} is not set up in this process"
            # It was never asked, so nothing can have moved; but another process may know it.
            return Unknown(detail)
        if self._clock() - claim.movement.now >= HELD_WHILE_ASKED:
            # The process stood still meanwhile: others may have asked, and asked afresh.
            return Unknown("the question was not asked in time")
        question = {MOVE: provider.move, ASK: provider.ask, GIVE_UP: provider.give_up}[claim.what]
        try:
            return question(claim.movement)
        except Exception:
            logger.exception("payment %s of %s: its provider failed", claim.movement.payment_id, claim.movement.org_id)
            return Unknown("the provider's answer could not be understood")
