"""How much each benchmark does: enough for steady figures in a few minutes, or as little as shows that it works."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sizes:
    """*requests* or *round_seconds* end a round, whichever comes first; *growth* sizes are the large side of a pair."""

    rounds: int = 7
    organisations: int = 10
    open_calls: int = 200
    requests: int = 4000
    round_seconds: float = 0.6
    connections: int = 256
    http_seconds: float = 1.0
    numbers: int = 1000
    prefixes: int = 100_000
    bulk_numbers: int = 1_000_000
    records: int = 100_000
    growth_organisations: int = 100_000
    growth_open_calls: int = 10_000
    growth_sessions: int = 1_000_000
    licensed_organisations: int = 1000
    licensed_users: int = 100
    bulk_users: int = 100_000
    bulk_rounds: int = 3
    expiring_wallets: int = 100_000
    recharging_requests: int = 12_000
    invoices: int = 10_000


FULL = Sizes()
TINY = Sizes(
    rounds=2,
    organisations=3,
    open_calls=8,
    requests=40,
    round_seconds=1.0,
    connections=4,
    http_seconds=0.1,
    numbers=50,
    prefixes=200,
    bulk_numbers=500,
    records=60,
    growth_organisations=30,
    growth_open_calls=20,
    growth_sessions=400,
    licensed_organisations=6,
    licensed_users=3,
    bulk_users=25,
    bulk_rounds=2,
    expiring_wallets=20,
    recharging_requests=400,
    invoices=12,
)
