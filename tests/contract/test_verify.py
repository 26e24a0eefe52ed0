"""Every kind of damage, planted by hand past all that protects the rows, is found and named, on both databases."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from gettone.errors import NotFound
from gettone.operations.messages import StartCall, StopCall
from gettone.operations.verify import KINDS
from gettone.storage import verify as storage_verify
from gettone.storage import verify_buying
from tests.support import postgres
from tests.support.damage import assert_found, damage, findings, plant
from tests.support.world import World, copy_of, sqlite_url

OURS = "WHERE org_id = 'contoso'"
ROME = f"{OURS} AND session_id = 'rome'"
RUNNING = f"{OURS} AND session_id = 'running'"
SECOND = f"{OURS} AND entry_number = 2"
COPY = "SELECT org_id, 3"

DAMAGES = [
    damage(
        "unbalanced_entry",
        "entry 2: expected 0, found 1",
        f"UPDATE ledger_posting SET amount_micros = amount_micros + 1 {SECOND} AND account = 'usage'",
    ),
    damage("entry_without_postings", "entry 2", f"DELETE FROM ledger_posting {SECOND}"),
    damage("posting_without_entry", "posting 2/0", f"DELETE FROM ledger_entry {SECOND}"),
    damage(
        "posting_to_unknown_account",
        "found gifts",
        f"UPDATE ledger_posting SET account = 'gifts' {SECOND} AND account = 'usage'",
    ),
    damage(
        "posting_to_unknown_lot",
        "found elsewhere",
        f"UPDATE ledger_posting SET lot_id = 'elsewhere' {SECOND} AND account = 'wallet'",
    ),
    damage(
        "entry_number_gap",
        "before entry 7: expected 2, found 7",
        f"UPDATE ledger_entry SET entry_number = 7 {SECOND}",
        f"UPDATE ledger_posting SET entry_number = 7 {SECOND}",
    ),
    damage("entry_number_count", "expected 2, found 9", f"UPDATE wallet SET entry_number = 9 {OURS}"),
    damage("wallet_missing", "found none", "DELETE FROM wallet WHERE org_id = 'idle'"),
    damage("wallet_currency", "expected USD, found EUR", f"UPDATE wallet SET currency = 'EUR' {OURS}"),
    damage(
        "wallet_posted",
        "expected 9900000, found 9900001",
        f"UPDATE wallet SET posted_micros = posted_micros + 1 {OURS}",
    ),
    damage("wallet_held", "expected 250000, found 250001", f"UPDATE wallet SET held_micros = held_micros + 1 {OURS}"),
    damage(
        "wallet_overrun",
        "expected 200000, found 199999",
        "UPDATE wallet SET overrun_micros = overrun_micros - 1 WHERE org_id = 'fabrikam'",
    ),
    damage(
        "lot_remaining",
        "expected 9900000, found 9899999",
        f"UPDATE lot SET remaining_micros = remaining_micros - 1 {OURS}",
    ),
    damage("lot_held", "expected 250000, found 250001", f"UPDATE lot SET held_micros = held_micros + 1 {OURS}"),
    damage(
        "call_held",
        "call 'running': expected 250000, found 250001",
        f"UPDATE call SET held_micros = held_micros + 1 {RUNNING}",
    ),
    damage("call_held_after_end", "call 'rome': expected 0, found 5", f"UPDATE call SET held_micros = 5 {ROME}"),
    damage("call_unsupervised", "call 'running'", f"UPDATE call SET supervise_until = NULL {RUNNING}"),
    damage(
        "call_charge",
        "charged_micros: expected 100000, found 100001",
        f"UPDATE call SET charged_micros = charged_micros + 1 {ROME}",
    ),
    damage(
        "call_charge",
        "billed_seconds: expected 120, found 60",
        f"UPDATE call SET billed_seconds = 60 {ROME}",
    ),
    damage("call_usage_lines", "usage_lines: expected 0, found 1", f"DELETE FROM usage_record {ROME}"),
    damage("call_usage_lines", "last line: expected 0, found 3", f"UPDATE usage_record SET line = 3 {ROME}"),
    damage("usage_without_call", "usage record 'rome'/0", f"DELETE FROM call {ROME}"),
    damage(
        "charge_not_booked",
        "call 'rome': expected 100000",
        f"DELETE FROM ledger_posting {SECOND}",
        f"DELETE FROM ledger_entry {SECOND}",
    ),
    damage(
        "charge_booked_twice",
        "call 'rome': expected 1, found 2",
        f"INSERT INTO ledger_entry {COPY}, kind, reference, reason, posted_at FROM ledger_entry {SECOND}",
        f"INSERT INTO ledger_posting {COPY}, line, account, lot_id, amount_micros FROM ledger_posting {SECOND}",
    ),
    damage(
        "charge_differs",
        "call 'rome': expected 100000, found 200000",
        f"UPDATE ledger_posting SET amount_micros = 2 * amount_micros {SECOND}",
    ),
    damage("charge_without_call", "entry 2 of 'rome'", f"DELETE FROM call {ROME}"),
    damage(
        "usage_not_booked",
        "entry 0: expected 100000, found 0",
        f"UPDATE usage_record SET entry_number = 0 {ROME}",
    ),
    damage(
        "pool_used",
        "pool 'US/MCOPSTN1' in 202611: expected 120, found 180",
        f"UPDATE pool_use SET used_seconds = used_seconds + 60 {OURS}",
    ),
    damage(
        "pool_held",
        "pool 'US/MCOPSTN1' in 202611: expected 300, found 360",
        f"UPDATE pool_use SET held_seconds = held_seconds + 60 {OURS}",
    ),
    damage(
        "pool_used",
        "pool 'user/otto/MCOPSTN8' in 202611: expected 120, found 7200",
        f"UPDATE pool_use SET used_seconds = 7200 {OURS} AND pool_key = 'user/otto/MCOPSTN8'",
    ),
    damage(
        "pool_used",
        "pool 'user/otto/MCOPSTN8' in 202611: expected 120, found 0",
        f"DELETE FROM pool_use {OURS} AND pool_key = 'user/otto/MCOPSTN8'",
    ),
    damage(
        "pool_held",
        "pool 'US/MCOPSTN2/international' in 202611: expected 300, found 0",
        f"UPDATE pool_use SET held_seconds = 0 {OURS} AND pool_key = 'US/MCOPSTN2/international'",
    ),
    *(
        damage(kind, f"pool '{key}': {told}", f"{change} {OURS} AND pool_key = '{key}'")
        for key, licences, seconds in (
            ("US/MCOPSTN1", 1, 180_000),
            ("US/MCOPSTN2/domestic", 1, 180_000),
            ("US/MCOPSTN2/international", 1, 36_000),
            # Bought with nine Audio Conferencing and five E5 licences.
            ("conference/MCOMEETADV", 14, 50_400),
        )
        for kind, told, change in (
            ("pool_licences", f"expected {licences}, found 5", "UPDATE pool SET licences = 5"),
            ("pool_licences", f"expected {licences}, found no pool", "DELETE FROM pool"),
            ("pool_size", f"expected {seconds}, found 60", "UPDATE pool SET size_seconds = 60"),
        )
    ),
    damage(
        "pool_licences",
        "pool 'user/otto/MCOPSTN8': expected 0, found 1",
        "INSERT INTO pool (org_id, pool_key, licences, size_seconds) VALUES ('contoso', 'user/otto/MCOPSTN8', 1, 7200)",
    ),
    damage(
        "licence_count",
        "product 'MCOPSTN1': expected 1, found 7",
        f"UPDATE licence_count SET assigned = 7 {OURS} AND sku = 'MCOPSTN1'",
    ),
    damage(
        "licence_count",
        "product 'MCOPSTN1': expected 1, found 0",
        f"DELETE FROM licence_count {OURS} AND sku = 'MCOPSTN1'",
    ),
    damage(
        "licence_count",
        "product 'MCOEV': expected 1, found 3",
        f"UPDATE subscriber SET licences = 'MCOPSTNC' {OURS} AND user_id IN ('anna', 'ida')",
    ),
    damage(
        "licence_not_owned",
        "product 'MCOPSTN1': expected at most 0, found 1",
        f"UPDATE subscription SET ended_at = 5 {OURS} AND sku = 'MCOPSTN1'",
    ),
    damage(
        "licence_not_owned",
        "product 'MCOPSTN2': expected at most 1, found 2",
        f"UPDATE subscription SET quantity = 1 {OURS} AND sku = 'MCOPSTN2'",
        f"UPDATE subscriber SET licences = 'MCOEV MCOPSTN2' {OURS} AND user_id = 'anna'",
    ),
    *(
        damage(kind, f"tally of {subject} in 202611: {told}", f"UPDATE tally SET {change} {OURS} AND subject = '{key}'")
        for key, subject, open_calls, held, spent in (
            ("user/ben", "'user/ben'", 1, 250_000, 100_000),
            ("department/Sales", "'department/Sales'", 2, 250_000, 100_000),
            ("cost_centre/4711", "'cost_centre/4711'", 1, 250_000, 100_000),
            ("", "'the organisation'", 2, 250_000, 100_000),
        )
        for kind, told, change in (
            ("tally_open_calls", f"expected {open_calls}, found 7", "open_calls = 7"),
            ("tally_held", f"expected {held}, found 1", "held_micros = 1"),
            ("tally_spent", f"expected {spent}, found 1", "spent_micros = 1"),
        )
    ),
    damage(
        "tally_spent",
        "tally of 'user/ben' in 202611: expected 100000, found 0",
        f"DELETE FROM tally {OURS} AND subject = 'user/ben'",
    ),
    damage(
        "tally_open_calls",
        "tally of 'user/nobody' in 202611: expected 0, found 1",
        "INSERT INTO tally (org_id, subject, period, open_calls) VALUES ('contoso', 'user/nobody', 202611, 1)",
    ),
    damage(
        "tally_held",
        "tally of 'user/ben' in 202611: expected 350000, found 300000",
        "UPDATE call SET funding = replace(funding, '],true,300000]', '],true,350000]') "
        "WHERE org_id = 'litware' AND session_id = 'late'",
    ),
    damage(
        "answer_without_call",
        "answer 'nothing'/4",
        "INSERT INTO call_request (org_id, session_id, request_number, fingerprint, answer) "
        "VALUES ('contoso', 'nothing', 4, 0, :no_bytes)",
    ),
    damage("number_owned_twice", "'+14255550100'", f"UPDATE number_owner SET org_id = 'fabrikam' {OURS}"),
    damage("number_without_owner", "'+14255550100'", f"DELETE FROM number_owner {OURS}"),
    damage("owner_without_number", "'+14255550100'", f"DELETE FROM phone_number {OURS}"),
    damage("number_of_unknown_user", "found nobody", f"UPDATE phone_number SET user_id = 'nobody' {OURS}"),
    damage(
        "unknown_organisation",
        "nowhere: rows of number_owner",
        "INSERT INTO number_owner (digits, org_id) VALUES ('390600000', 'nowhere')",
    ),
]


def fill(url: str) -> None:
    """Make calls of every sort: from pools of every sort, from credit, beyond credit, billed later, and running."""
    with World(url) as world:
        world.deck("country,price\nUS,0.01\nIT,0.05\n")
        for org_id, micros in (("contoso", 10_000_000), ("fabrikam", 50_000), ("idle", 0), ("litware", 0)):
            owned = dict.fromkeys(("MCOEV", "MCOPSTN1", "MCOPSTN2", "MCOPSTN_PAYG_1", "SPE_E5_CALLINGMINUTES"), 5)
            world.organisation(org_id, owns={**owned, "MCOPSTNC": 5, "MCOMEETADV": 9}, post_usage=org_id == "litware")
            world.user(org_id, "anna", products=["MCOPSTN1", "MCOPSTNC"] if org_id == "contoso" else [])
            world.user(org_id, "ben", products=["MCOPSTN_PAYG_1", "MCOPSTNC"], department="Sales", cost_centre="4711")
            if micros:
                world.fund(org_id, micros, reference="first")
        world.number("contoso", "+14255550100", user="anna")
        world.user("contoso", "ida", products=["MCOPSTN2"], department="Sales")
        world.user("contoso", "otto", products=["SPE_E5_CALLINGMINUTES"])
        for org_id, session_id, user, called, seconds in (
            ("contoso", "home", "anna", "+14255550123", 90),
            ("contoso", "rome", "ben", "+390612345678", 120),
            ("contoso", "own", "otto", "+14255550123", 90),
            ("contoso", "abroad", "ida", "+390612345678", 90),
            ("fabrikam", "beyond", "ben", "+390612345678", 300),
        ):
            world.charge(StartCall(session_id=session_id, org_id=org_id, called=called, user=user))
            world.charge(StopCall(session_id=session_id, org_id=org_id, request_number=1, used_seconds=seconds))
        world.charge(
            StartCall(session_id="running", org_id="contoso", called="+390612345678", user="ben"),
            StartCall(session_id="running-home", org_id="contoso", called="+14255550123", user="anna"),
            StartCall(session_id="running-abroad", org_id="contoso", called="+390612345678", user="ida"),
            StartCall(session_id="late", org_id="litware", called="+390612345678", user="ben", requested_seconds=360),
        )


@pytest.fixture(scope="module")
def filled_sqlite():
    with TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder))
        fill(url)
        yield url


@pytest.fixture(scope="module")
def filled_postgres(postgres_server, postgres_template):
    with postgres.database(postgres_server, template=postgres_template) as url:
        fill(url)
        yield postgres.name_of(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def filled(request, tmp_path):
    """The URL of a database of one's own with calls in it."""
    if request.param == "sqlite":
        yield copy_of(request.getfixturevalue("filled_sqlite"), tmp_path)
        return
    template = request.getfixturevalue("filled_postgres")
    with postgres.database(request.getfixturevalue("postgres_server"), template=template) as url:
        yield url


@pytest.mark.parametrize("planted", DAMAGES)
def test_planted_damage_is_found_and_named(filled, planted):
    assert_found(filled, planted)


def test_nothing_is_found_where_nothing_is_wrong(filled):
    assert findings(filled) == []


def test_every_kind_of_finding_has_been_planted():
    elsewhere = {check.kind for check in verify_buying.CHECKS + verify_buying.SHARED}
    assert {case.values[0].kind for case in DAMAGES} | elsewhere == KINDS.keys()


def test_every_kind_of_finding_is_in_the_reference():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "findings.md").read_text(encoding="utf-8")

    assert [line for line in page.splitlines() if line.startswith("| `")] == [
        f"| `{kind}` | {what} |" for kind, what in KINDS.items()
    ]


def test_damage_of_one_organisation_is_not_seen_in_another(filled):
    plant(filled, (f"UPDATE wallet SET posted_micros = posted_micros + 1 {OURS}",))

    assert {finding.org_id for finding in findings(filled)} == {"contoso"}
    assert findings(filled, org_id="fabrikam") == []
    assert [finding.kind for finding in findings(filled, org_id="contoso")] == ["wallet_posted"]


def test_an_unknown_organisation_is_not_verified(filled):
    with pytest.raises(NotFound, match="'nobody'"):
        findings(filled, org_id="nobody")


def test_organisations_are_taken_some_at_a_time(filled, monkeypatch):
    monkeypatch.setattr(storage_verify, "CHUNK", 2)
    plant(filled, ("UPDATE wallet SET entry_number = entry_number + 1",))
    done: list[int] = []

    found = findings(filled, on_organisations=done.append)

    assert [finding.org_id for finding in found] == ["contoso", "fabrikam", "idle", "litware"]
    assert done == [2, 2]
