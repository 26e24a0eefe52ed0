"""``gettone serve``, ``work``, ``demo``, ``verify`` and ``bench``."""

from pathlib import Path
from typing import Annotated

import typer

from gettone.cli.base import REFUSED, Json, now, refuse, settings
from gettone.cli.output import as_json, meter


def serve(
    bind: Annotated[
        str, typer.Option(help="Address and port; as in GETTONE_BIND if not given.", show_default=False)
    ] = "",
    no_jobs: Annotated[
        bool, typer.Option("--no-jobs", help="Leave the jobs to gettone work; as GETTONE_JOBS=no.")
    ] = False,
) -> None:
    """Run the service: the HTTP API, its charging desk and the jobs.

    Ends on SIGTERM or Ctrl-C, having answered everything that it had accepted.

    Example: GETTONE_BIND=0.0.0.0:8080 gettone serve
    """
    import msgspec

    from gettone.bootstrap import service
    from gettone.config import NO

    wanted = settings()
    if bind:
        wanted = msgspec.structs.replace(wanted, bind=bind)
    if no_jobs:
        wanted = msgspec.structs.replace(wanted, jobs=NO)
    service.serve(wanted)


def work() -> None:
    """Run the jobs alone: payments and recharges, deliveries, supervision, expiry, invoicing.

    Any number of these may run over one database, beside any number of gettone serve, with or without their own jobs:
    they share the work. Ends on SIGTERM or Ctrl-C; whatever was not finished is found again.

    Example: GETTONE_DATABASE_URL=postgresql://gettone@db/gettone gettone work
    """
    from gettone.bootstrap import service

    service.work(settings())


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the report instead of staying up.")] = False,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="How long the day of calls may take.")] = 15,
    seed: Annotated[int, typer.Option(help="Another seed, another day.")] = 1,
    bind: Annotated[
        str, typer.Option(help="Address and port of the service; a free port if not given.", show_default=False)
    ] = "",
) -> None:
    """Play a day of calls on a throw-away database.

    A sample organisation with its users and illustrative rates; the calls go through the HTTP API, fast. The service
    stays up afterwards, to try things out.

    Example: gettone demo --once
    """
    from gettone.demo import run

    raise typer.Exit(run(seconds=seconds, seed=seed, bind=bind, once=once))


def verify(
    org: Annotated[str, typer.Option("--org", help="Only this organisation.", show_default=False)] = "",
    json: Json = False,
) -> None:
    """Rebuild every balance from the ledger and check every invariant; exit 1 on any difference.

    Safe while the service runs; changes nothing.

    Example: gettone verify
    """
    from gettone.bootstrap import opened_audit
    from gettone.operations.verify import verify as verified

    checked = 0

    def count(more: int) -> None:
        nonlocal checked
        checked += more
        shown.to(checked, None, f"{checked:,} organisations")

    findings = []
    with meter("verifying") as shown, opened_audit(settings()) as audit:
        for finding in verified(audit, now(), org_id=org, on_organisations=count):
            findings.append(finding)
            if not json:
                typer.echo(str(finding))
    if json:
        as_json(findings)
    elif not findings:
        typer.echo(f"{checked:,} organisation{'' if checked == 1 else 's'} verified, no differences")
    if findings:
        refuse(f"{len(findings):,} difference{'' if len(findings) == 1 else 's'} found", REFUSED)


def bench(
    json: Json = False,
    only: Annotated[list[str] | None, typer.Option(help="Run only this measurement.", show_default=False)] = None,
    folder: Annotated[
        Path | None, typer.Option(help="Where the databases of the benchmarks are made.", show_default=False)
    ] = None,
) -> None:
    """Measure this machine: charging, HTTP, rating and import, each beside the limit of the machine itself.

    Example: gettone bench --json --only charge_sqlite_b100
    """
    from gettone.bench import main

    raise typer.Exit(main(tuple(only or ()), json, folder=folder))


def add_to(root: typer.Typer) -> None:
    """Put these commands into the command line."""
    for command in (demo, serve, work, verify, bench):
        root.command(command.__name__)(command)
