"""The demo's live view, and plain lines where there is no terminal."""

from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gettone.demo.billing import Billed
from gettone.demo.player import DAY_SECONDS, Board
from gettone.demo.sample import ORG_NAME
from gettone.domain.money import render_micros

BLOCKS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 40
BAR_WIDTH = 22
POOLS_HEIGHT = 10
LIST_HEIGHT = 10
MAILS_SHOWN = 12


def live_view(board: Board) -> RenderableType:
    """The whole picture of this moment."""
    return Group(
        _head(board),
        _side_by_side(_wallet(board), _pools(board)),
        _side_by_side(_refusals(board), _last_calls(board)),
    )


def log_line(board: Board) -> str:
    """One line for a log."""
    return (
        f"{_clock(board)}  calls in progress {board.in_progress:3}  begun {board.begun:5}"
        f"  refused {sum(board.refusals.values()):4}  available {board.wallet.available} {board.wallet.currency}"
        f"  held {board.wallet.held}  {board.pace:,.0f} requests/s"
    )


def sparkline(values: Sequence[float], width: int = SPARK_WIDTH) -> str:
    """The last *width* of *values* as a row of blocks, from nought to the largest."""
    shown = list(values)[-width:]
    largest = max(shown, default=0)
    if largest <= 0:
        return BLOCKS[0] * len(shown)
    return "".join(BLOCKS[max(0, min(len(BLOCKS) - 1, int(value / largest * len(BLOCKS))))] for value in shown)


def _side_by_side(left: RenderableType, right: RenderableType) -> RenderableType:
    row = Table.grid(expand=True)
    row.add_column(ratio=2)
    row.add_column(ratio=3)
    row.add_row(left, right)
    return row


def _clock(board: Board) -> str:
    day_is_over = board.virtual_seconds >= DAY_SECONDS
    return "after midnight" if day_is_over else f"{board.now:%a %d %b %H:%M}"


def _head(board: Board) -> RenderableType:
    row = Table.grid(expand=True)
    for side in ("left", "center", "center", "right"):
        row.add_column(justify=side)
    row.add_row(
        Text(_clock(board), style="bold cyan"),
        Text.assemble(("calls in progress ", "dim"), (f"{board.in_progress}", "bold green")),
        Text.assemble(("begun ", "dim"), f"{board.begun:,}", ("  messages ", "dim"), f"{board.messages:,}"),
        Text.assemble((f"{board.pace:,.0f}", "bold"), (" requests/s", "dim")),
    )
    bar = ProgressBar(total=DAY_SECONDS, completed=min(DAY_SECONDS, board.virtual_seconds))
    return Panel(Group(row, bar), title=f"{ORG_NAME}: a day of calls", border_style="cyan")


def _wallet(board: Board) -> RenderableType:
    wallet = board.wallet
    lines = Table.grid(padding=(0, 2))
    lines.add_row(Text("available", style="dim"), Text(f"{wallet.available} {wallet.currency}", style="bold green"))
    lines.add_row(Text("held by calls", style="dim"), f"{wallet.held} {wallet.currency}")
    lines.add_row(Text("auto-recharge", style="dim"), f"{board.recharges} ×" if board.recharges else "-")
    return Panel(
        Group(lines, Text(sparkline(wallet.history), style="green")),
        title="Communications Credits",
        height=POOLS_HEIGHT,
    )


def _pools(board: Board) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for pool in _most_used(board.pools, 8):
        size, used, held = pool["size_seconds"], pool["used_seconds"], pool["held_seconds"]
        share = (used + held) / size if size else 0
        style = "red" if share >= 1 else "yellow" if share >= 0.8 else "blue"
        bar = ProgressBar(total=max(1, size), completed=min(size, used + held), width=BAR_WIDTH, complete_style=style)
        grid.add_row(pool["pool_key"], bar, Text(f"{used // 60}/{size // 60} min", style="dim"))
    return Panel(grid, title="Minute pools", height=POOLS_HEIGHT)


def _most_used(pools: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """The pools of which the largest share is used, in order of name."""

    def share(pool: dict[str, Any]) -> float:
        drawn, size = int(pool["used_seconds"] + pool["held_seconds"]), int(pool["size_seconds"])
        return drawn / (size or 1)

    by_share = sorted(pools, key=share, reverse=True)
    return sorted(by_share[:count], key=lambda pool: str(pool["pool_key"]))


def _refusals(board: Board) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for reason, count in board.refusals.most_common(8):
        grid.add_row(Text(f"{count}", style="bold red", justify="right"), reason)
    for reason, count in board.cut_short.most_common(2):
        grid.add_row(Text(f"{count}", style="bold yellow", justify="right"), f"cut short: {reason}")
    return Panel(grid, title="Refusals", height=LIST_HEIGHT)


def _last_calls(board: Board) -> RenderableType:
    grid = Table.grid(padding=(0, 1))
    for cells in list(board.last)[:8]:
        style = "red" if cells[2] == "refused" else ""
        grid.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis", style=style) for cell in cells))
    return Panel(grid, title="Last calls", height=LIST_HEIGHT)


def report(board: Board, findings: Sequence[Any]) -> RenderableType:
    """What the day was."""
    currency = board.wallet.currency
    payers = Table(box=None, header_style="bold", pad_edge=False, title="Who paid", title_justify="left")
    for name in ("payer", "parts of calls", "minutes", "charged"):
        payers.add_column(name, justify="left" if name == "payer" else "right")
    for payer, (parts, seconds, micros) in sorted(board.payers.items()):
        payers.add_row(payer, f"{parts:,}", f"{seconds / 60:,.0f}", f"{render_micros(micros, currency)} {currency}")
    refusals = Table(box=None, header_style="bold", pad_edge=False, title="Refused", title_justify="left")
    refusals.add_column("calls", justify="right")
    refusals.add_column("reason")
    refusals.add_column("")
    for reason, count in board.refusals.most_common():
        refusals.add_row(f"{count:,}", reason, board.titles.get(reason, ""))
    facts = Text(
        f"{board.begun:,} calls, {board.unanswered:,} of them unanswered, {board.messages:,} messages;"
        f" {render_micros(board.charged_micros, currency)} {currency} charged,"
        f" {board.wallet.available} {currency} left after {board.recharges} × auto-recharge.\n"
        f"{board.requests:,} charging requests in {board.elapsed_at_end:.1f} s"
        f" ({board.requests / board.elapsed_at_end:,.0f}/s), HTTP p50 {board.percentile_ms(0.5):.1f} ms,"
        f" p99 {board.percentile_ms(0.99):.1f} ms.\n"
        + ("verify: no differences" if not findings else f"verify: {len(findings)} differences")
    )
    return Group(Text(), payers, Text(), refusals, Text(), facts, *(Text(f"  {found}") for found in findings[:20]))


def money_report(billed: Billed, mailbox_path: str) -> RenderableType:
    """How the day was paid: recharges, invoices, and the mails that went out, one of them in full."""
    lines = Table.grid(padding=(0, 2))
    for name, shown in (("auto-recharge", billed.recharges), ("invoices", billed.invoices)):
        for number, line in enumerate(shown):
            lines.add_row(Text("" if number else name, style="bold"), line)
    mails = Table(
        box=None, header_style="bold", pad_edge=False, title=f"Mails, in {mailbox_path}", title_justify="left"
    )
    for name in ("to", "subject"):
        mails.add_column(name, no_wrap=True, overflow="ellipsis")
    for mail in billed.mails[:MAILS_SHOWN]:
        mails.add_row(Text(mail.to), Text(mail.subject))
    more = len(billed.mails) - MAILS_SHOWN
    parts: list[RenderableType] = [Text(), lines, Text(), mails, *([Text(f"and {more} more")] if more > 0 else [])]
    recharged = next((mail for mail in billed.mails if "recharge" in mail.subject.lower()), None)
    if recharged is not None:
        parts += [Text(), Panel(Text(recharged.text), title=f"to {recharged.to}: {recharged.subject}")]
    return Group(*parts)
