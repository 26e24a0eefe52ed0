"""Money by the operator's hand, and credit that expires, on both databases."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import lifecycle, reports, topups
from gettone.operations.messages import StartCall, StopCall

EURO = 1_000_000


def start(session_id: str, seconds: int = 300) -> StartCall:
    return StartCall(
        session_id=session_id, org_id="contoso", called="+390612345678", user="ben", requested_seconds=seconds
    )


def stop(session_id: str, seconds: int, number: int = 1) -> StopCall:
    return StopCall(session_id=session_id, org_id="contoso", request_number=number, used_seconds=seconds)


def owe(world, micros: int) -> None:
    """Let a call run over everything there is by *micros*."""
    world.charge(start("long"))
    world.charge(stop("long", (world.wallet("contoso").posted_micros + micros) // 50_000 * 60))


def test_added_funds_become_a_lot_that_expires_a_year_later_at_the_end_of_the_day(world):
    world.organisation("contoso", time_zone="Europe/Rome")
    world.now = datetime(2024, 2, 29, 22, 30, tzinfo=UTC)

    booked = world.fund("contoso", 20 * EURO, reference="PO 4711")

    assert booked.expires_at == datetime(2025, 2, 28, 23, tzinfo=UTC)
    assert (booked.entry_number, booked.available_micros, booked.covered_micros) == (1, 20 * EURO, 0)
    [entry] = reports.entries(world.office, "contoso").items
    assert (entry.kind, entry.reference) == ("funds_added", "PO 4711")
    assert [(p.account, p.amount_micros, p.lot_id) for p in entry.postings] == [
        ("funding", -20 * EURO, ""),
        ("wallet", 20 * EURO, booked.lot_id),
    ]
    assert world.findings() == []


def test_the_same_reference_again_is_the_same_booking(contoso):
    first = contoso.fund("contoso", 5 * EURO, reference="second")
    again = contoso.fund("contoso", 5 * EURO, reference="second")

    assert again.repeated
    assert (again.entry_number, again.lot_id, again.expires_at) == (first.entry_number, first.lot_id, first.expires_at)
    assert contoso.wallet("contoso").posted_micros == 15 * EURO


def test_the_same_reference_for_another_amount_is_refused(contoso):
    with pytest.raises(Conflict, match=r"'first' was booked for 10\.00 USD"):
        contoso.fund("contoso", 5 * EURO, reference="first")


def test_the_same_reference_with_another_expiry_is_refused(contoso):
    with pytest.raises(Conflict, match="expire"):
        contoso.fund("contoso", 10 * EURO, reference="first", expires_at=contoso.now + timedelta(days=1))


def test_one_reference_booked_by_many_at_once_is_booked_once(contoso):
    answers = []

    def book():
        answers.append(contoso.fund("contoso", 5 * EURO, reference="second"))

    threads = [threading.Thread(target=book) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(answer.repeated for answer in answers) == [False] + [True] * 7
    assert contoso.wallet("contoso").posted_micros == 15 * EURO
    assert contoso.findings() == []


@pytest.mark.parametrize("micros", [0, -1, topups.checks.AMOUNT_MAX + 1])
def test_an_absurd_amount_is_refused(contoso, micros):
    with pytest.raises(InvalidInput, match="amount_micros"):
        contoso.fund("contoso", micros, reference="second")


def test_a_wallet_never_holds_more_than_fits(contoso):
    contoso.fund("contoso", topups.checks.AMOUNT_MAX - 10 * EURO, reference="second")

    with pytest.raises(InvalidInput, match="would hold more than"):
        contoso.fund("contoso", 1, reference="third")


def test_an_expiry_that_is_past_or_knows_no_clock_is_refused(contoso):
    for expires_at in (contoso.now, datetime(2030, 1, 1)):
        with pytest.raises(InvalidInput, match="expires_at"):
            contoso.fund("contoso", EURO, reference="second", expires_at=expires_at)


def test_a_booking_wants_a_reference_and_a_correction_a_reason(contoso):
    with pytest.raises(InvalidInput, match="reference"):
        contoso.fund("contoso", EURO, reference=" ")
    with pytest.raises(InvalidInput, match="reason"):
        topups.adjust(contoso.office, "contoso", EURO, reference="x", reason="", now=contoso.now)


def test_money_for_nobody_is_refused(contoso):
    with pytest.raises(NotFound, match="'nobody'"):
        contoso.fund("nobody", EURO, reference="x")


def test_what_is_owed_is_paid_first(contoso):
    owe(contoso, 3 * EURO)
    assert contoso.wallet("contoso").available_micros == -3 * EURO

    booked = contoso.fund("contoso", 20 * EURO, reference="second")

    assert (booked.covered_micros, booked.available_micros) == (3 * EURO, 17 * EURO)
    wallet = contoso.wallet("contoso")
    assert (wallet.overrun_micros, wallet.posted_micros) == (0, 17 * EURO)
    assert contoso.fund("contoso", 20 * EURO, reference="second").covered_micros == 3 * EURO
    assert contoso.findings() == []


def test_less_than_is_owed_pays_a_part_of_it(contoso):
    owe(contoso, 3 * EURO)

    booked = contoso.fund("contoso", EURO, reference="second")
    again = contoso.fund("contoso", EURO, reference="second")

    assert (booked.covered_micros, booked.available_micros) == (EURO, -2 * EURO)
    assert (again.repeated, again.covered_micros) == (True, EURO)
    assert contoso.findings() == []


def test_a_correction_downwards_takes_free_credit_only(contoso):
    contoso.charge(start("call", 600))
    held = contoso.wallet("contoso").held_micros

    with pytest.raises(Conflict, match=r"only 9\.50 USD is free"):
        contoso.adjust("contoso", -10 * EURO, reference="wrong")
    booked = contoso.adjust("contoso", -10 * EURO + held, reference="right")

    assert booked.available_micros == 0
    assert contoso.wallet("contoso").held_micros == held == EURO // 2
    assert contoso.adjust("contoso", -10 * EURO + held, reference="right").repeated
    contoso.charge(stop("call", 600))
    assert contoso.wallet("contoso").posted_micros == 0
    assert contoso.findings() == []


def test_a_correction_upwards_is_a_lot_of_its_own(contoso):
    booked = contoso.adjust("contoso", EURO, reference="goodwill")

    assert contoso.lots("contoso")["goodwill"].source == "adjustment"
    assert contoso.ledger("contoso")["adjustment"] == -EURO
    assert contoso.adjust("contoso", EURO, reference="goodwill").lot_id == booked.lot_id


def test_a_purchase_and_a_correction_may_share_a_reference(contoso):
    contoso.adjust("contoso", EURO, reference="first")

    assert contoso.wallet("contoso").posted_micros == 11 * EURO


def test_expired_credit_is_written_off_once(contoso):
    contoso.now += timedelta(days=366)
    contoso.fund("contoso", EURO, reference="fresh")
    before = contoso.wallet("contoso")

    [expired] = contoso.expire()

    assert (before.expired_micros, before.available_micros) == (10 * EURO, EURO)
    assert (expired.org_id, expired.amount_micros, expired.currency) == ("contoso", 10 * EURO, "USD")
    after = contoso.wallet("contoso")
    assert (after.posted_micros, after.expired_micros, after.available_micros) == (EURO, 0, EURO)
    assert contoso.ledger("contoso")["breakage"] == 10 * EURO
    assert contoso.expire() == []
    assert contoso.findings() == []


def test_what_a_call_holds_of_an_expired_lot_stays_for_that_call(contoso):
    expires_at = contoso.lots("contoso")["first"].expires_at
    contoso.now = expires_at - timedelta(minutes=1)
    contoso.charge(start("call", 600))
    contoso.wait(120)

    [expired] = contoso.expire()
    contoso.charge(stop("call", 300))
    [rest] = contoso.expire()

    assert (expired.amount_micros, rest.amount_micros) == (9_500_000, 250_000)
    assert contoso.call("contoso", "call").call.charged_micros == 250_000
    assert contoso.wallet("contoso").posted_micros == 0
    assert contoso.findings() == []


def test_credit_of_many_organisations_expires_in_one_go(world, monkeypatch):
    monkeypatch.setattr(lifecycle, "BATCH", 2)
    for name in "abcde":
        world.organisation(name)
        world.fund(name, EURO, reference="x", expires_at=world.now + timedelta(days=1 if name != "c" else 9))
    world.now += timedelta(days=2)

    assert [expired.org_id for expired in world.expire()] == ["a", "b", "d", "e"]
