"""Records of calls are charged once each, however often, in however many pieces and after whatever interruption."""

import contextlib
import shutil
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from gettone.agents.cdr import BadLine, CallRecord
from gettone.bootstrap import (
    opened_audit,
    opened_charging,
    opened_office,
    opened_progress,
    upgrade_database,
)
from gettone.catalogue.sample_rates import sample_deck_csv
from gettone.config import Settings
from gettone.domain.refusals import Refusal
from gettone.errors import StorageError
from gettone.operations import directory, licensing, numbers, rates, reports, subscriptions, topups
from gettone.operations.call_import import BAD_LINE, Rejected, import_calls, import_key
from gettone.operations.charging import unavailable
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.verify import verify

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ANSWERED = datetime(2026, 3, 2, 9, 30, 5, tzinfo=UTC)
LONDON = "+442071838750"


@dataclass
class Rejects:
    """Keeps what is rejected, as a file would."""

    rows: list[Rejected] = field(default_factory=list)

    def begin(self, kept: int) -> bool:
        enough = len(self.rows) >= kept
        del self.rows[kept if enough else 0 :]
        return enough

    def add(self, rejected: Rejected) -> None:
        self.rows.append(rejected)

    def flush(self) -> None:
        pass


class World:
    """One organisation in Italy; anna pays by credits, bruno has the plan only."""

    def __init__(self, path) -> None:
        self.settings = Settings(database_url=f"sqlite:///{path}")
        self.rejects = Rejects()

    def fill(self) -> None:
        upgrade_database(self.settings)
        with opened_office(self.settings) as office:
            rates.import_deck(office, sample_deck_csv().encode(), NOW)
            directory.create_organisation(office, org_id="acme", name="Acme", country="IT", currency="USD", now=NOW)
            for product, quantity in (("MCOEV", 2), ("MCOPSTN1", 2), ("MCOPSTNC", None)):
                subscriptions.buy(office, "acme", product, NOW, reference=product, quantity=quantity)
            for name, products, number in (
                ("anna", ("MCOEV", "MCOPSTN1", "MCOPSTNC"), "+390612345678"),
                ("bruno", ("MCOEV", "MCOPSTN1"), "+390612345679"),
            ):
                new = directory.NewUser(
                    upn=f"{name}@x.test", user_id=name, usage_location="IT", products=products, number=number
                )
                directory.create_user(office, "acme", new, NOW)
            numbers.assign_number(office, "acme", "+18005550100", NOW, use="conference")
            topups.add_funds(office, "acme", 50_000_000, reference="begin", now=NOW)

    def import_(self, records, *, through=lambda charging: charging, keep=lambda progress: progress, **how):
        """Import *records* as a file of format ``test``; *through* and *keep* may put something in between."""
        how = {"org_id": "acme", "country": "IT", "chunk_records": 10} | how
        with opened_charging(self.settings) as charging, opened_progress(self.settings) as progress:
            return import_calls(
                records,
                through(charging),
                keep(progress),
                file_digest=import_key("file", format_name="test", org_id=how["org_id"]),
                format_name="test",
                clock=lambda: NOW,
                rejects=self.rejects,
                **how,
            )

    def charge(self, *requests):
        with opened_charging(self.settings) as charging:
            return charging.charge(requests)

    def calls(self):
        with opened_office(self.settings) as office:
            return {call.session_id: call for call in reports.calls(office, "acme", limit=1000).items}

    def charged_micros(self) -> int:
        """What left the wallet; the books are verified on the way."""
        with opened_audit(self.settings) as audit:
            assert not list(verify(audit, NOW))
        with opened_office(self.settings) as office:
            wallet = reports.wallet(office, "acme", NOW)
        return 50_000_000 - wallet.posted_micros + wallet.overrun_micros


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    path = tmp_path_factory.mktemp("filled") / "filled.db"
    World(path).fill()
    return path


@pytest.fixture
def world(filled, tmp_path):
    return World(shutil.copy(filled, tmp_path / "test.db"))


def record(number, *, called=LONDON, calling="+390612345678", user=None, seconds=60, session=None, call_type=None):
    return CallRecord(
        line=number,
        record_id=f"r{number}",
        session_id=session,
        user=user,
        calling=calling,
        called=called,
        started_at=ANSWERED + timedelta(seconds=number),
        seconds=seconds,
        answered=seconds > 0,
        call_type=call_type,
    )


def test_a_record_is_charged_as_the_same_call_would_be_live(world):
    world.charge(StartCall(session_id="live", org_id="acme", user="anna", called=LONDON, at=ANSWERED))
    [live] = world.charge(StopCall(session_id="live", org_id="acme", request_number=1, used_seconds=61))

    totals = world.import_([record(1, seconds=61)])

    assert totals.payers[0].charged_micros == live.charged_micros > 0
    assert world.charged_micros() == 2 * live.charged_micros


def test_totals_tell_payers_reasons_and_kinds(world):
    records = [
        record(1),
        record(2, seconds=0),
        record(3, called="+390687654321", seconds=90),
        record(4, calling="+390612345679"),
        BadLine(5, "rubbish", "line: rubbish"),
        record(6, calling="+12025550143", called="+18005550100", seconds=30),
    ]

    totals = world.import_(records)

    assert (totals.records, totals.charged, totals.unanswered, totals.rejected) == (6, 3, 1, 2)
    assert {payer.payer: (payer.calls, payer.seconds, payer.currency) for payer in totals.payers} == {
        "credits": (2, 90, "USD"),
        "pool": (1, 90, "USD"),
    }
    assert totals.reasons == {BAD_LINE: 1, Refusal.NO_CREDITS_LICENCE.value: 1}
    assert [(row.line, row.reason) for row in world.rejects.rows] == [(4, "no_credits_licence"), (5, BAD_LINE)]
    assert world.rejects.rows[0].explanation.startswith("The call is not included") or world.rejects.rows[0].explanation


def test_the_same_file_again_charges_nothing(world):
    records = [record(number) for number in range(1, 26)]
    world.import_(records)
    charged = world.charged_micros()

    totals = world.import_(records)

    assert (totals.charged, totals.duplicates) == (0, 25)
    assert world.charged_micros() == charged


def test_a_record_that_is_twice_in_a_file_is_charged_once(world):
    totals = world.import_([record(1), record(1)])

    assert (totals.charged, totals.duplicates) == (1, 1)


class Killed(BaseException):
    """The process is gone."""


class KilledAfter:
    """Charges *count* batches, then dies: before the next one, or *after* it was committed but not counted."""

    def __init__(self, charging, count, *, after):
        self.charging, self.count, self.after = charging, count, after

    def charge(self, requests):
        self.count -= 1
        if self.count < 0:
            if self.after:
                self.charging.charge(requests)
            raise Killed
        return self.charging.charge(requests)


@dataclass
class Forgetful:
    """A progress store whose writes at a kill are lost."""

    progress: object
    saves: int

    def load(self, file_digest):
        return self.progress.load(file_digest)

    def save(self, progress):
        self.saves -= 1
        if self.saves < 0:
            raise StorageError("gone")
        self.progress.save(progress)


@pytest.mark.parametrize("after", [False, True], ids=["before the batch", "after the batch was committed"])
@pytest.mark.parametrize("saves", [0, 1], ids=["nothing saved", "progress saved"])
@pytest.mark.parametrize("batches", [0, 1, 7, 14])
def test_a_killed_import_goes_on_and_ends_as_if_nothing_had_happened(world, tmp_path, batches, after, saves):
    records = [
        BadLine(n, "rubbish", "line: rubbish") if n % 11 == 0 else record(n, seconds=0 if n % 7 == 0 else 60)
        for n in range(1, 151)
    ]
    with contextlib.suppress(Killed):
        world.import_(
            records,
            through=lambda charging: KilledAfter(charging, batches, after=after),
            keep=lambda progress: Forgetful(progress, saves + (batches > 10)),
        )

    totals = world.import_(records)

    kinds = Counter("bad" if isinstance(r, BadLine) else "answered" if r.seconds else "unanswered" for r in records)
    assert totals.records == 150
    assert totals.charged + totals.duplicates == kinds["answered"] == len(world.calls())
    assert totals.unanswered == kinds["unanswered"]
    assert totals.rejected == kinds["bad"] == len(world.rejects.rows)
    assert len({row.line for row in world.rejects.rows}) == kinds["bad"]
    assert world.charged_micros() == kinds["answered"] * 9_000


def test_progress_never_leads_the_charges(world):
    records = [record(number) for number in range(1, 101)]
    with contextlib.suppress(Killed):
        world.import_(records, through=lambda charging: KilledAfter(charging, 4, after=False))
    with opened_progress(world.settings) as store:
        progress = store.load(import_key("file", format_name="test", org_id="acme"))

    assert progress.records_done == progress.charged == 40 == len(world.calls())
    assert not progress.finished
    assert world.import_(records).resumed_at == 40


def test_an_import_whose_rejects_are_gone_begins_again(world):
    records = [BadLine(1, "rubbish", "line: rubbish"), *[record(number) for number in range(2, 101)]]
    with contextlib.suppress(Killed):
        world.import_(records, through=lambda charging: KilledAfter(charging, 4, after=False))
    world.rejects.rows.clear()

    totals = world.import_(records)

    assert (totals.resumed_at, totals.duplicates, totals.charged) == (0, 39, 60)
    assert [row.line for row in world.rejects.rows] == [1]


def test_when_the_database_fails_nothing_is_lost_and_the_import_goes_on(world):
    class Failing:
        def charge(self, requests):
            return [unavailable(request) for request in requests]

    records = [record(number) for number in range(1, 21)]
    with pytest.raises(StorageError, match="run the same import again"):
        world.import_(records, through=lambda charging: Failing())

    assert not world.calls()
    assert not world.rejects.rows
    assert world.import_(records).charged == 20


def test_a_call_charged_live_is_reconciled_and_its_difference_told(world):
    world.charge(StartCall(session_id="S1", org_id="acme", user="anna", called=LONDON, at=ANSWERED))
    world.charge(StopCall(session_id="S1", org_id="acme", request_number=1, used_seconds=300))
    world.charge(StartCall(session_id="S2", org_id="acme", user="anna", called=LONDON, at=ANSWERED))
    world.charge(StopCall(session_id="S2", org_id="acme", request_number=1, used_seconds=60))
    world.charge(StartCall(session_id="S3", org_id="acme", user="anna", called=LONDON, at=ANSWERED))
    charged = world.charged_micros()

    totals = world.import_(
        [record(1, session="S1", seconds=312), record(2, session="S2", seconds=60), record(3, session="S3", seconds=5)]
    )

    assert (totals.charged, totals.reconciled, totals.differences_total) == (0, 3, 2)
    assert [str(difference) for difference in totals.differences] == [
        "line 1: call S1 was charged live with 300 s, its record says 312 s",
        "line 3: call S3 is still open and has used 0 s, its record says 5 s",
    ]
    assert world.charged_micros() == charged


def test_what_was_refused_is_charged_by_the_same_file_when_the_cause_is_gone(world):
    records = [record(1, calling="+390612345679")]
    assert world.import_(records).rejected == 1
    with opened_office(world.settings) as office:
        licensing.assign(office, "acme", "bruno", NOW, add=["MCOPSTNC"])

    totals = world.import_(records)

    assert (totals.charged, totals.rejected, world.rejects.rows) == (1, 0, [])


def test_usage_past_the_credit_is_charged_as_overrun(world):
    totals = world.import_([record(1, called="+819012345678", seconds=604_800)])

    assert (totals.charged, totals.overruns) == (1, 1)
    assert world.charged_micros() > 50_000_000


def test_an_account_code_that_is_no_user_does_not_hide_the_number(world):
    totals = world.import_([record(number, user="accounting") for number in range(1, 31)])

    assert totals.charged == 30
    assert {call.user_id for call in world.calls().values()} == {"anna"}


def test_neither_user_nor_number_known_is_rejected(world):
    world.import_([record(1, user="nobody", calling="+390600000000"), record(2, calling="+390600000000")])

    assert [row.reason for row in world.rejects.rows] == ["unknown_user", "unknown_number"]


@pytest.mark.parametrize(
    ("dialled", "reached"),
    [
        (LONDON, LONDON),
        ("00442071838750", LONDON),
        ("+44 20 7183 8750", LONDON),
        ("442071838750", LONDON),
        ("0687654321", "+390687654321"),
        ("3331234567", "+393331234567"),
        ("112", "112"),
        ("+112", "112"),
    ],
)
def test_numbers_are_understood_as_they_are_dialled_in_the_country(world, dialled, reached):
    totals = world.import_([record(1, called=dialled)])

    assert (totals.charged, [call.called for call in world.calls().values()]) == (1, [reached])


def test_digits_are_international_when_the_switch_writes_them_so(world):
    world.import_([record(1, called="390687654321", calling="390612345678")], international=True)

    assert [(call.called, call.user_id) for call in world.calls().values()] == [("+390687654321", "anna")]


@pytest.mark.parametrize(
    ("dialled", "told"),
    [
        ("", "holds no number"),
        ("+44207183****", "masked"),
        ("*97", "masked"),
        ("abc", "other signs"),
        ("0044", "emergency number"),
    ],
)
def test_what_is_no_number_is_rejected_with_what_is_wrong(world, dialled, told):
    totals = world.import_([record(1, called=dialled)])

    assert totals.reasons == {"invalid_request": 1}
    assert told in world.rejects.rows[0].explanation


def test_without_an_organisation_each_record_is_its_number_owners(world):
    with opened_office(world.settings) as office:
        directory.create_organisation(office, org_id="globex", name="G", country="US", currency="USD", now=NOW)
        licences = ("MCOEV", "MCOPSTN1")
        for product in licences:
            subscriptions.buy(office, "globex", product, NOW, reference=product)
        new = directory.NewUser(upn="gus@x.test", usage_location="US", products=licences, number="+12025550111")
        directory.create_user(office, "globex", new, NOW)

    totals = world.import_(
        [record(1), record(2, calling="+12025550111", called="+12025550143"), record(3, calling="+12025550999")],
        org_id="",
        country="",
    )

    assert totals.charged == 2
    assert totals.reasons == {"unknown_organisation": 1}
    assert len(world.calls()) == 1


def test_a_call_in_is_the_number_s_whatever_user_the_file_names(world):
    totals = world.import_(
        [record(1, called="+18005550100", calling="+12025550143", user="anna", call_type="conf_in", seconds=30)]
    )

    assert [(payer.payer, payer.calls) for payer in totals.payers] == [("credits", 1)]


def test_a_very_long_record_id_still_names_its_call(world):
    long = CallRecord(1, "x" * 400, None, None, "+390612345678", LONDON, ANSWERED, 60, answered=True)

    assert world.import_([long]).charged == 1
    assert world.import_([long]).duplicates == 1
