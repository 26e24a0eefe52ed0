"""The prepaid wallet of an organisation: lots, holds and what is available (D10 to D13).

- ``posted``: what the lots still contain.
- ``held``: what running calls reserve of it.
- ``overrun``: usage that went past everything there was; covered first by whatever becomes free.
- ``available = posted - held - overrun``, without the lots that have expired.

Invariants:

- every lot keeps ``0 <= held <= remaining``, hence ``held <= posted`` for the wallet;
- a hold takes only free credit of lots that have not expired, in burn order;
- the part of a hold that is not spent returns to the lot it came from;
- ``overrun > 0`` only while nothing is free.
"""

from dataclasses import dataclass, field
from datetime import datetime

from gettone.domain.lots import Burn, Lot, burn_order

LotHolds = dict[str, int]
"""What one call holds: lot id to micros, in burn order."""


@dataclass(slots=True)
class Wallet:
    """An organisation's wallet as a transaction sees it: *lots* are those with credit left."""

    org_id: str
    currency: str
    lots: list[Lot] = field(default_factory=list)
    overrun_micros: int = 0

    def __post_init__(self) -> None:
        """Keep the lots in burn order, whatever order they were read in."""
        if len(self.lots) > 1:
            self.lots = burn_order(self.lots)

    @property
    def posted_micros(self) -> int:
        """Credit that is not yet spent, whether held, free or expired but not yet written off."""
        return sum([lot.remaining_micros for lot in self.lots])

    @property
    def held_micros(self) -> int:
        """Credit reserved by running calls."""
        return sum([lot.held_micros for lot in self.lots])

    def available_micros(self, now: datetime) -> int:
        """What new calls may spend at *now*; negative while there is an overrun."""
        return sum([lot.free_micros(now) for lot in self.lots]) - self.overrun_micros

    def adjust_hold(self, holds: LotHolds, target_micros: int, now: datetime) -> LotHolds:
        """Grow or shrink one call's *holds* to *target_micros*; return the call's new holds.

        The caller has asked :meth:`available_micros` first: a growth that does not fit is a mistake of ours.
        """
        change = target_micros - sum(holds.values())
        if change == 0:
            return holds
        changed = dict(holds)
        if change > 0:
            for lot in self.lots:
                taken = min(change, lot.free_micros(now))
                if taken > 0:
                    lot.held_micros += taken
                    changed[lot.lot_id] = changed.get(lot.lot_id, 0) + taken
                    change -= taken
                    if not change:
                        break
            assert change == 0, "a hold never exceeds what is available"
            return changed
        for lot in reversed(self.lots):
            returned = min(-change, changed.get(lot.lot_id, 0))
            if returned:
                lot.held_micros -= returned
                change += returned
                changed[lot.lot_id] -= returned
                if not changed[lot.lot_id]:
                    del changed[lot.lot_id]
        return changed

    def settle(self, holds: LotHolds, amount_micros: int, now: datetime) -> tuple[list[Burn], int]:
        """Release *holds* and take *amount_micros*: from what was held, then from free credit, the rest as overrun.

        Returns the burns and the overrun that was added.
        """
        due = amount_micros
        burns: list[Burn] = []
        for lot in self.lots:
            held = holds.get(lot.lot_id, 0)
            if held:
                spent = min(due, held)
                lot.held_micros -= held
                if spent:
                    lot.remaining_micros -= spent
                    burns.append(Burn(lot.lot_id, spent))
                    due -= spent
        if due:
            burns += self._burn_free(due, now)
            overrun = amount_micros - sum(burn.micros for burn in burns)
            self.overrun_micros += overrun
            return burns, overrun
        return burns, 0

    def cover_overrun(self, now: datetime) -> list[Burn]:
        """Pay what is owed from what has become free; empty when nothing is owed or nothing is free."""
        if not self.overrun_micros:
            return []
        burns = self._burn_free(self.overrun_micros, now)
        self.overrun_micros -= sum(burn.micros for burn in burns)
        return burns

    def add(self, lot: Lot) -> None:
        """Put a new lot into its place in burn order."""
        self.lots = burn_order([*self.lots, lot])

    def expire(self, now: datetime) -> list[Burn]:
        """Take out what has expired and is not held by a running call; it belongs to breakage."""
        burns = [Burn(lot.lot_id, lot.expired_micros(now)) for lot in self.lots if lot.expired_micros(now)]
        for lot in self.lots:
            lot.remaining_micros -= lot.expired_micros(now)
        return burns

    def _burn_free(self, amount_micros: int, now: datetime) -> list[Burn]:
        burns: list[Burn] = []
        for lot in self.lots:
            taken = min(amount_micros, lot.free_micros(now))
            if taken > 0:
                lot.remaining_micros -= taken
                amount_micros -= taken
                burns.append(Burn(lot.lot_id, taken))
        return burns
