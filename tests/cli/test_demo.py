"""The demo plays a whole day through the real service, balances its books, and leaves nothing behind."""

import contextlib
import io
import re
import signal
import subprocess
import sys
from collections import deque
from datetime import UTC, datetime

import httpx
import pytest
from rich.console import Console

from gettone import bootstrap
from gettone.catalogue.numbering import number_plan
from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.config import Settings
from gettone.demo.billing import ACCOUNTING, Billed, Mail
from gettone.demo.day import DESTINATIONS, day_of_calls
from gettone.demo.player import Board
from gettone.demo.sample import ORG_ID, PEOPLE, QUEUE_ACCOUNT, prepare
from gettone.demo.view import live_view, log_line, money_report, report, sparkline
from gettone.domain.deck import parse_deck
from gettone.domain.numbers import Kind
from gettone.domain.rates import compile_deck
from gettone.operations.reports import pools as pools_of
from gettone.operations.subscriptions import list_products


def test_a_seed_gives_the_same_day_and_another_seed_another():
    assert day_of_calls(7) == day_of_calls(7)
    assert day_of_calls(7) != day_of_calls(8)


def test_a_day_has_a_lunch_dip_a_long_tail_and_somebody_calling_for_help():
    calls = day_of_calls(1)
    by_hour = [sum(call.at // 3600 == hour for call in calls) for hour in range(24)]
    lengths = sorted(call.seconds for call in calls if call.seconds)

    assert by_hour[12] < min(by_hour[11], by_hour[13])
    assert by_hour[10] > 20 * max(1, by_hour[3])
    assert lengths[-1] > 10 * lengths[len(lengths) // 2]
    assert {"112", "911", "999", "000"} & {call.called for call in calls}


def test_a_day_has_conferences_that_dial_out_and_a_customer_line_that_puts_callers_through():
    calls = day_of_calls(1)
    organisers = {call.user for call in calls if call.call_type == "conf_out"}

    assert {call.call_type for call in calls} == {"", "conf_out", "ucap_out"}
    assert "hal.jarvis@gettone.example" in organisers
    assert organisers <= {person.upn for person in PEOPLE if person.meets}
    assert {call.user for call in calls if call.call_type == "ucap_out"} == {QUEUE_ACCOUNT}


def test_the_sample_holds_licences_of_every_kind_and_some_are_left_over(empty):
    settings = Settings(database_url="sqlite:///sample.db")
    bootstrap.upgrade_database(settings)
    now = datetime(2026, 3, 2, 9, tzinfo=UTC)
    with bootstrap.opened_office(settings) as office:
        prepare(office, now)
        counts = {one.sku: one for one in list_products(office, ORG_ID, now)}
        pools = {pool.pool_key for pool in pools_of(office, ORG_ID, now)}

    assert {"MCOPSTN1", "MCOPSTN2", "MCOPSTN5", "MCOPSTNC", "SPE_E5", "PHONESYSTEM_VIRTUALUSER"} <= counts.keys()
    assert all(one.available > 0 for one in counts.values())
    assert {"US/MCOPSTN1", "US/MCOPSTN2/domestic", "US/MCOPSTN2/international", "conference/MCOMEETADV"} <= pools


def test_every_place_that_is_called_has_an_illustrative_price():
    deck, plan = compile_deck(parse_deck(sample_deck_csv(), name="sample")), number_plan()

    for country, patterns in DESTINATIONS.items():
        for pattern in patterns:
            number = plan.lookup(pattern[1:].replace("#", "5"))
            assert (number.country, number.kind is not Kind.UNKNOWN) == (country, True), pattern
            assert deck.lookup(number, "voice") is not None, pattern


def test_the_sample_has_forty_users_with_numbers_of_their_country():
    assert len({person.number for person in PEOPLE}) == len({person.upn for person in PEOPLE}) == len(PEOPLE) == 40
    for person in PEOPLE:
        assert number_plan().lookup(person.number[1:]).country == (person.location or "US")


def test_the_view_shows_the_moment_with_and_without_anything_to_show():
    board = Board(datetime(2026, 3, 2, tzinfo=UTC))
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(live_view(board))
    board.refusals["no_rate"] = 3
    board.last.appendleft(("anna", "+44", "60 s", "pool 0.00"))
    board.pools = [
        {"pool_key": "US/MCOPSTN1", "size_seconds": 60, "used_seconds": 60, "held_seconds": 0},
        {"pool_key": "IT/MCOPSTN1", "size_seconds": 0, "used_seconds": 0, "held_seconds": 0},
    ]
    board.wallet.history = deque([3.0, 1.5, -1.0])
    board.wallet.currency = "USD"
    board.payers["pool"] = [1, 60, 0]
    board.elapsed_at_end = 1.0
    console.print(live_view(board))
    console.print(report(board, []))
    shown = console.export_text()

    assert "no_rate" in shown
    assert "US/MCOPSTN1" in shown
    assert "1/1 min" in shown
    assert "verify: no differences" in shown
    assert "available 0 USD" in log_line(board)
    assert sparkline([0, 1, 2], 2) == "▅█"


def test_the_summary_of_a_day_says_what_was_paid_and_who_was_written_to():
    mails = [Mail("anna@a.example", f"Pool {number}", "") for number in range(20)]
    mails.append(Mail(ACCOUNTING, "Auto-recharge added 5.00", "Dear accounting"))
    console = Console(width=110, record=True, file=io.StringIO())
    console.print(money_report(Billed(["5.00 USD"], ["DEMO-1 5.00 USD"], mails), "mails.mbox"))
    shown = console.export_text()

    for expected in ("DEMO-1 5.00 USD", "Pool 11", "and 9 more", f"to {ACCOUNTING}", "Dear accounting"):
        assert expected in shown
    assert "Pool 12" not in shown


def test_a_day_without_recharges_has_a_summary_too():
    console = Console(record=True, file=io.StringIO())
    console.print(money_report(Billed([], [], []), "mails.mbox"))

    assert "mails.mbox" in console.export_text()


@pytest.mark.slow
def test_the_demo_plays_a_day_ends_with_sound_books_and_leaves_nothing(empty):
    done = empty.program("demo", "--once", "--seconds", "4", TMPDIR=str(empty.folder))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "verify: no differences" in done.stdout
    assert re.search(r"left after [1-9]\d* × auto-recharge", done.stdout)
    assert re.search(r"auto-recharge +200\.00 USD when \d+\.\d+ USD were available: fulfilled", done.stdout)
    assert re.search(r"invoices +DEMO-1 200\.00 USD", done.stdout)
    assert re.search(r"to ada\.brook@gettone\.example: Gettone Sample: Auto-recharge added 200\.00", done.stdout)
    for expected in ("credits", "pool", "free", "no_credits_licence", "destination_blocked", "unknown_user", "p99"):
        assert expected in done.stdout
    assert not list(empty.folder.iterdir())


@contextlib.contextmanager
def running_demo(folder, seconds):
    """The demo as somebody sees it who pipes it into a file; Ctrl-C is pressed at the end."""
    words = [sys.executable, "-m", "gettone", "demo", "--seconds", str(seconds)]
    environment = {"PATH": "/usr/bin:/bin", "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as demo:
        try:
            yield demo
            demo.send_signal(signal.SIGINT)
            rest, _ = demo.communicate(timeout=60)
        except BaseException:
            demo.kill()
            raise
    assert demo.returncode == 0, rest
    assert "Traceback" not in rest
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_the_service_stays_up_until_ctrl_c(empty):
    with running_demo(empty.folder, 2) as demo:
        told = ""
        while "curl" not in told and (line := demo.stdout.readline()):
            told += line
        found = re.search(r"up at (\S+)(?s:.*)operator's API key\s+(\S+)", told)
        assert found, told
        address, key = found.groups()
        wallet = httpx.get(f"{address}/v1/organisations/sample/wallet", headers={"Authorization": f"Bearer {key}"})

    assert wallet.json()["currency"] == "USD"
    with pytest.raises(httpx.TransportError):
        httpx.get(address)


@pytest.mark.slow
def test_ctrl_c_while_calls_are_played_ends_cleanly(empty):
    with running_demo(empty.folder, 30) as demo:
        while (line := demo.stdout.readline()) and "requests/s" not in line:
            pass
        assert "requests/s" in line


def test_a_bad_address_is_refused(empty):
    assert "bind 'here'" in empty.refuses("demo", "--bind", "here")
