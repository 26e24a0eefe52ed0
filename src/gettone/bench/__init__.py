"""``gettone bench``: what this machine reaches, each figure beside the machine's own limit, measured in the same run.

A limit is the barest program that leaves the same behind: the same rows written by the database driver alone, a web
server that answers without thinking, a binary search without a call around it. Charging and its limit take turns, round
by round, so that whatever else the machine does meets both; figures are medians of rounds.

The names are stable; docs/reference/benchmarks.md says what each of them measures and what bounds it.

Sources: design, section 6.
"""

from pathlib import Path

NAMES = (
    "charge_sqlite_b1",
    "charge_sqlite_b10",
    "charge_sqlite_b100",
    "charge_sqlite_b500",
    "charge_sqlite_pool_b100",
    "charge_postgres_b1",
    "charge_postgres_b10",
    "charge_postgres_b100",
    "charge_postgres_b500",
    "charge_postgres_b100_w2",
    "charge_http",
    "charge_http_p50_ms",
    "charge_http_p99_ms",
    "charge_http_batch",
    "rate_single_us",
    "rate_single_100k_us",
    "rate_bulk",
    "import_records",
    "charge_growth_orgs",
    "charge_growth_orgs_b100",
    "charge_growth_sessions",
    "charge_licensed",
    "charge_licensed_alike",
    "charge_licensed_postgres",
    "licence_bulk",
    "recharge_on",
    "expiry_night",
    "invoices_10k",
    "invoices_pdf",
)
"""Every benchmark, in the order in which they run."""


def main(only: tuple[str, ...] = (), as_json: bool = False, *, folder: Path | None = None) -> int:  # noqa: FBT001, FBT002 - the command line's flag
    """Run the benchmarks named by *only*, or all, and print a table, or with *as_json* the bare array.

    Databases are made below *folder* (default: where temporary files go) and removed. Returns the exit status: 0,
    1 when something could not be measured, 2 for an unknown name.
    """
    from gettone.bench.running import run  # noqa: PLC0415 - the names must be had without loading databases and NumPy

    return run(only, as_json=as_json, folder=folder)
