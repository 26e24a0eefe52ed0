"""``gettone demo``: a sample organisation, a day of calls played fast through the HTTP API, then the running service.

Everything lives in a folder that is removed at the end. The rates are illustrative; nobody offers them. Cards are those
of the payment simulator, and mails go into a mailbox file: no money moves, nobody is written to.
"""

import asyncio
import contextlib
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live

from gettone import bootstrap
from gettone.config import Settings
from gettone.demo.billing import billed, wait_until_settled
from gettone.demo.day import day_of_calls
from gettone.demo.player import Board, Player
from gettone.demo.sample import ORG_ID, ORG_NAME, PEOPLE, prepare
from gettone.demo.service import Service, ServiceFailed, check_bind
from gettone.demo.view import live_view, log_line, money_report, report
from gettone.operations.verify import verify

REFRESH_SECONDS = 0.15
LOG_SECONDS = 1.0


def run(*, seconds: int, seed: int, bind: str, once: bool) -> int:
    """Play the demo; returns the exit status, 1 when the books do not balance at the end."""
    check_bind(bind)
    console = Console()
    with tempfile.TemporaryDirectory(prefix="gettone-demo-") as folder, contextlib.suppress(KeyboardInterrupt):
        return _run(console, Path(folder), seconds=seconds, seed=seed, bind=bind, once=once)
    console.print("stopped")
    return 0


def _run(console: Console, folder: Path, *, seconds: int, seed: int, bind: str, once: bool) -> int:
    settings = Settings(database_url=f"sqlite:///{folder / 'demo.db'}")
    console.print(f"preparing {ORG_NAME}: {len(PEOPLE)} users, illustrative rates for every country …")
    bootstrap.upgrade_database(settings)
    with bootstrap.opened_office(settings) as office:
        charging_key, operator_key = prepare(office, datetime.now(UTC))
    mails = folder / "mails.mbox"
    service = Service(settings.database_url, bind, folder, mails)
    try:
        service.wait_until_ready()
        board = Board(_virtual_day(datetime.now(UTC)))
        player = Player(
            day_of_calls(seed), board, host=service.host, port=service.port, key=charging_key, admin=operator_key
        )
        try:
            asyncio.run(_play(console, player, board, seconds))
        except (OSError, EOFError) as error:
            raise ServiceFailed(f"the service stopped answering: {service.last_words()}") from error
        with bootstrap.opened_office(settings) as office:
            settled = wait_until_settled(office, datetime.now(UTC))
            money = billed(office, ORG_ID, mails)
        with bootstrap.opened_audit(settings) as audit:
            findings = list(verify(audit, datetime.now(UTC)))
        console.print(report(board, findings))
        console.print(money_report(money, str(mails)))
        if not settled:
            console.print("error: payments, invoices and mails were not done in time", style="bold red")
        if not once and not findings:
            _invite(console, service.address, charging_key, operator_key)
            service.wait()
        return 1 if findings or board.faults or not settled else 0
    finally:
        service.stop()


def _virtual_day(now: datetime) -> datetime:
    """Midnight of today; of yesterday while today is young, as calls may not begin more than a day ahead."""
    day = now if now.hour >= 6 else now - timedelta(days=1)
    return day.replace(hour=0, minute=0, second=0, microsecond=0)


async def _play(console: Console, player: Player, board: Board, seconds: int) -> None:
    playing = asyncio.create_task(player.play(seconds))
    if console.is_terminal:
        with Live(live_view(board), console=console, auto_refresh=False, transient=False) as live:
            while not playing.done():
                await asyncio.wait({playing}, timeout=REFRESH_SECONDS)
                live.update(live_view(board), refresh=True)
    else:
        while not playing.done():
            await asyncio.wait({playing}, timeout=LOG_SECONDS)
            print(log_line(board), flush=True)  # noqa: T201 - this is the view where there is no terminal
    board.elapsed_at_end = board.elapsed
    await playing


def _invite(console: Console, address: str, charging_key: str, operator_key: str) -> None:
    bearer, json_body = "-H 'Authorization: Bearer", "-H 'Content-Type: application/json'"
    call = '"user": "ada.brook@gettone.example", "called": "+442079460123"'
    console.print(
        f"\n[bold]The service is up at {address}[/bold] (Ctrl-C ends it and removes everything)", soft_wrap=True
    )
    keys = f"operator's API key    {operator_key}\nthe switch's API key  {charging_key}"
    console.print(f"{keys}\n\ntry:", highlight=False, soft_wrap=True)
    tries = (
        f"{bearer} {operator_key}' {address}/v1/organisations/{ORG_ID}/wallet",
        f"{bearer} {charging_key}' {json_body} {address}/v1/quote -d '{{{call}, \"seconds\": 600}}'",
        f'{bearer} {charging_key}\' {json_body} {address}/v1/calls -d \'{{{call}, "session_id": "mine-1"}}\'',
    )
    for line in tries:
        console.print(f"  curl {line}", soft_wrap=True, highlight=False, markup=False)
    sys.stdout.flush()
