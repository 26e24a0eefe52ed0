"""What the jobs of the service do together: a debit leads to a payment, an invoice with its number, and a mail."""

import contextlib
import mailbox
import re
import signal
import sqlite3
import subprocess
import sys
import time
from datetime import UTC, datetime

import httpx
import pytest
from msgspec.structs import replace

from gettone import bootstrap
from gettone.config import Settings
from gettone.operations import recharging, topups
from gettone.operations.billing import CARD, Method
from gettone.operations.buying import OPERATOR, Buyer
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.recharging import NewRule
from gettone.operations.recipients import set_recipient
from gettone.operations.verify import verify
from tests.api.world import BRITISH, NOW, opened_api
from tests.test_docs import REFERENCE

ME = Buyer(OPERATOR, "the operator")
SECONDS_MAX = 30
WORK = """
import sys
from gettone.bootstrap import service
from gettone.config import Settings
settings = Settings(database_url=sys.argv[1], payments="simulator", log_format="json")
service.work(settings, ready=lambda: print("ready", flush=True))
"""


def recharge_below_fifty(office, now=NOW, *, org_id: str = "contoso") -> None:
    """Let contoso have 50.00, and buy 60.00 by a card of the simulator once it has less."""
    topups.add_funds(office, org_id, 30_000_000, reference="more", now=now)
    card = Method(
        method_id="card",
        kind=CARD,
        provider="simulator",
        label="Visa 4242",
        position=1,
        created_at=now,
        provider_ref="pm_card_4242424242424242_test",
        customer_ref="cus_test",
    )
    with office.write(org_id) as unit:
        unit.buying.write_method(org_id, card)
    rule = NewRule(enabled=True, trigger_micros=50_000_000, amount_micros=60_000_000)
    recharging.set_rule(office, org_id, rule, ME, now)


def call(session_id: str = "one") -> list:
    return [
        StartCall(session_id=session_id, org_id="contoso", user="anna", called=BRITISH),
        StopCall(session_id=session_id, org_id="contoso", request_number=1, used_seconds=60),
    ]


def until(true) -> None:
    """Wait until *true* says so."""
    ends = time.monotonic() + SECONDS_MAX
    while not true():
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.02)


def test_one_turn_of_the_jobs_buys_numbers_the_invoice_and_writes_the_mail(database, tokens, tmp_path):
    mails = tmp_path / "mails"
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator", mail_url=f"file://{mails}") as api:
        office = api.gettone.services.office
        recharge_below_fifty(office)
        set_recipient(office, "contoso", "anna@contoso.example", NOW, by="the test")
        api.gettone.desks.charge_and_wait(call())
        for _ in range(2):
            api.gettone.jobs.run_due()
            api.clock.forward(seconds=10)

        assert api.available() == "109.97"
        with office.read() as unit:
            [invoice] = unit.invoices.invoices("contoso", None, 9)
        assert re.fullmatch(r"\D*1", invoice.number)
    with contextlib.closing(mailbox.mbox(mails)) as box:
        [mail] = box
    assert mail["to"] == "anna@contoso.example"
    assert "60.00" in mail.as_string()


def test_a_debit_below_the_trigger_wakes_the_payments(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator") as api:
        recharge_below_fifty(api.gettone.services.office)
        api.gettone.jobs.start()
        until(lambda: 'job="payments"' in api.get("/metrics").text)

        # The clock stands still: by it no job is due a second time.
        api.gettone.desks.charge_and_wait(call())

        until(lambda: api.available() == "109.97")


def test_without_a_provider_an_order_waits_and_nothing_fails(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens) as api:
        office = api.gettone.services.office
        recharge_below_fifty(office)
        api.gettone.desks.charge_and_wait(call())
        api.gettone.jobs.run_due()

        [payment] = api_payments(office)
        assert payment.state.open
        assert "not set up in this process" in payment.detail
        assert 'job="payments",result="failed"' not in api.get("/metrics").text


def api_payments(office) -> list:
    with office.read() as unit:
        return unit.buying.payments("contoso", None, 9)


def test_a_dispute_at_the_simulator_is_heard_of(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator") as api:
        office = api.gettone.services.office
        recharge_below_fifty(office)
        with office.write("contoso") as unit:
            [card] = unit.buying.methods("contoso")
            unit.buying.write_method("contoso", replace(card, provider_ref="pm_card_4000000000000259_test"))
        api.gettone.desks.charge_and_wait(call())
        api.gettone.jobs.run_due()
        assert api.available() == "109.97"

        api.clock.forward(hours=1, seconds=1)
        api.gettone.jobs.run_due()

        assert [payment.state.value for payment in api_payments(office) if payment.disputed_micros] == ["disputed"]


def test_every_job_runs_without_failing_through_a_year(database, tokens):
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator") as api:
        recharge_below_fifty(api.gettone.services.office)
        api.gettone.desks.charge_and_wait(call())
        for _ in range(13):
            api.gettone.jobs.run_due()
            api.clock.forward(days=30)
        told = api.get("/metrics").text

        runs = set(re.findall(r'gettone_job_runs_total\{job="(\w+)",result="(\w+)"\}', told))
        assert runs == {(name, "ok") for name in api.gettone.jobs.names}
        with bootstrap.opened_audit(Settings(database_url=f"sqlite:///{database}")) as audit:
            assert list(verify(audit, api.clock())) == []


def test_every_job_is_in_the_reference(database, tokens):
    page = (REFERENCE / "metrics.md").read_text(encoding="utf-8")
    with opened_api(f"sqlite:///{database}", tokens, payments="simulator") as api:
        missing = [name for name in api.gettone.jobs.names if f"| `{name}` |" not in page]

    assert not missing


@contextlib.contextmanager
def working(database):
    """A process that runs the jobs, as ``gettone work`` does."""
    words = [sys.executable, "-c", WORK, f"sqlite:///{database}"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_two_processes_share_the_work_and_end_when_told(database):
    settings = Settings(database_url=f"sqlite:///{database}")
    with bootstrap.opened_office(settings) as office, bootstrap.opened_charging(settings) as charging:
        recharge_below_fifty(office, datetime.now(UTC))
        with working(database) as one, working(database) as other:
            leases = database_leases(database)
            assert leases["expiry"] == leases["expiry_warnings"]
            for number in range(4):
                charging.charge(call(str(number)))
            until(lambda: [payment.state.value for payment in api_payments(office)] == ["succeeded"])
            for process in (one, other):
                process.send_signal(signal.SIGTERM)
                assert process.wait(SECONDS_MAX) == 0, process.stderr.read()

    assert database_leases(database) == {}
    with bootstrap.opened_audit(settings) as audit:
        assert list(verify(audit, datetime.now(UTC))) == []


def database_leases(database) -> dict[str, str]:
    """Who holds which lease."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        return dict(connection.execute("SELECT name, holder FROM lease"))


@pytest.mark.slow
@pytest.mark.parametrize(("words", "expected"), [(["--no-jobs"], False), ([], True)])
def test_the_service_runs_jobs_unless_told_not_to(database, tmp_path, words, expected):
    log = tmp_path / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "gettone", "serve", "--bind", "127.0.0.1:0", *words],
            env={"PATH": "/usr/bin:/bin", "GETTONE_DATABASE_URL": f"sqlite:///{database}"},
            cwd=tmp_path,
            stdout=out,
            stderr=out,
        )
    try:
        until(lambda: "serving on" in log.read_text() or process.poll() is not None)
        address = re.search(r"serving on (http://[\d.:]+)", log.read_text())
        assert address, log.read_text()
        if expected:
            until(lambda: "gettone_job_runs_total{" in httpx.get(f"{address[1]}/metrics").text)
        else:
            assert "gettone_job_runs_total{" not in httpx.get(f"{address[1]}/metrics").text
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(SECONDS_MAX) == 0
