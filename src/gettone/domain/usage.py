"""Usage records: for each call, who paid which seconds, and what it cost."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One payer's part of a call.

    *from_second* counts from the answer; *seconds* are those talked in this part, *billed_seconds* the whole
    increments counted against the payer. *charge_micros* includes *connection_micros*. *capability* says who paid in
    the words of the usage report (``MCOPSTNPP`` = credits, ``FREECALL`` = could not be priced).
    """

    payer: str
    pool_key: str
    capability: str
    from_second: int
    seconds: int
    billed_seconds: int
    charge_micros: int = 0
    connection_micros: int = 0
