"""Messages of Stripe: who may send them, and what they say."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from gettone.domain.payments import ActionRequired, Declined, Processing, Succeeded
from gettone.errors import BadMessage, PaymentUnavailable
from gettone.gateways.card_news import news_of, signature, verified
from gettone.gateways.card_payments import CardProvider, NoAnswerError
from gettone.operations.providers import DisputeNews, PaymentNews

NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
SECRET = "whsec_ours"
OURS = {"org_id": "acme", "payment_id": "00000001-1", "idempotency_key": "k"}
BODY = json.dumps({"id": "evt_1", "type": "payment_intent.created", "data": {"object": {}}}).encode()


def header(value: str) -> dict[str, str]:
    return {"Stripe-Signature": value}


def signed(body: bytes, *, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    return header(signature(body, secret, at))


@pytest.mark.parametrize("seconds", [0, -300, 300, -299, 299])
def test_a_message_signed_within_five_minutes_is_read(seconds):
    headers = signed(BODY, at=NOW + timedelta(seconds=seconds))

    assert verified(BODY, headers, SECRET, NOW)["id"] == "evt_1"


@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 1000])
def test_a_message_signed_earlier_or_later_is_refused(seconds):
    with pytest.raises(BadMessage, match="more than 300 seconds"):
        verified(BODY, signed(BODY, at=NOW + timedelta(seconds=seconds)), SECRET, NOW)


def test_the_name_of_the_header_is_read_in_any_case():
    for name in ("stripe-signature", "STRIPE-SIGNATURE", "Stripe-Signature"):
        assert verified(BODY, {name: signature(BODY, SECRET, NOW)}, SECRET, NOW)


def test_one_good_signature_among_others_is_enough():
    """As while the secret is being changed."""
    good = signature(BODY, SECRET, NOW)

    assert verified(BODY, header(good.replace(",v1=", ",v1=00,v1=") + ",v0=ff"), SECRET, NOW)


@pytest.mark.parametrize(
    ("headers", "body", "remark"),
    [
        ({}, BODY, "no Stripe-Signature"),
        (header(""), BODY, "no Stripe-Signature"),
        (header("v1=aa"), BODY, "no Stripe-Signature"),
        (header("t=abc,v1=aa"), BODY, "no Stripe-Signature"),
        (header("t=" + "9" * 40 + ",v1=aa"), BODY, "no Stripe-Signature"),
        (header("t=٣,v1=aa"), BODY, "no Stripe-Signature"),
        (header(f"t={int(NOW.timestamp())}"), BODY, "not signed with our secret"),
        (header(f"t={int(NOW.timestamp())},v1=é"), BODY, "not signed with our secret"),
        (header(signature(BODY, SECRET, NOW).replace("v1=", "v0=")), BODY, "not signed with our secret"),
        (signed(BODY, secret="whsec_another"), BODY, "not signed with our secret"),
        (signed(BODY), BODY + b" ", "not signed with our secret"),
        (signed(BODY), b"", "not signed with our secret"),
        (signed(b"\xff\xfe"), b"\xff\xfe", "not JSON"),
        (signed(b"[]"), b"[]", "no JSON object"),
    ],
)
def test_a_message_that_proves_nothing_is_refused(headers, body, remark):
    with pytest.raises(BadMessage, match=remark):
        verified(body, headers, SECRET, NOW)


def test_without_a_secret_nobody_is_believed():
    with pytest.raises(BadMessage, match="no secret is set"):
        verified(BODY, signed(BODY, secret=""), "", NOW)


@pytest.mark.slow
def test_the_official_client_signs_and_verifies_as_we_do():
    from stripe import WebhookSignature

    at = int(NOW.timestamp())
    text = '{"id": "evt_1", "name": "società"}'

    theirs = WebhookSignature.generate_signature_header(text, SECRET, at)

    assert theirs == signature(text.encode(), SECRET, NOW)
    assert verified(text.encode(), header(theirs), SECRET, NOW)["name"] == "società"
    assert WebhookSignature.verify_header(text.encode(), signature(text.encode(), SECRET, NOW), SECRET)


def intent(status: str, **facts) -> dict:
    return {"id": "pi_1", "object": "payment_intent", "status": status, "metadata": OURS, **facts}


def refund(status: str, **facts) -> dict:
    return {"id": "re_1", "object": "refund", "status": status, "metadata": OURS, "charge": "ch_1", **facts}


def said(kind: str, thing: dict, look_up=None):
    return news_of({"id": "evt_1", "type": kind, "data": {"object": thing}}, look_up or (lambda _: intent("succeeded")))


REDIRECT = {"type": "redirect_to_url", "redirect_to_url": {"url": "https://bank.example/3ds"}}
UNCONFIRMED = {"code": "payment_intent_authentication_failure", "message": "not confirmed"}


@pytest.mark.parametrize(
    ("kind", "thing", "outcome"),
    [
        ("payment_intent.succeeded", intent("succeeded"), Succeeded("pi_1")),
        ("payment_intent.processing", intent("processing"), Processing("pi_1")),
        (
            "payment_intent.requires_action",
            intent("requires_action", next_action=REDIRECT),
            ActionRequired("pi_1", "https://bank.example/3ds"),
        ),
        (
            "payment_intent.canceled",
            intent("canceled", cancellation_reason="abandoned"),
            Declined("abandoned", "the charge was withdrawn before any money moved", reference="pi_1"),
        ),
        (
            "payment_intent.payment_failed",
            intent(
                "requires_payment_method",
                last_payment_error={"code": "card_declined", "decline_code": "stolen_card", "message": "declined"},
            ),
            Declined("stolen_card", "declined", final=True, reference="pi_1"),
        ),
        (
            "payment_intent.payment_failed",
            intent("requires_payment_method", last_payment_error=UNCONFIRMED),
            Declined("payment_intent_authentication_failure", "not confirmed", reference="pi_1"),
        ),
        ("refund.created", refund("pending"), Processing("re_1")),
        ("refund.updated", refund("succeeded"), Succeeded("re_1")),
        ("charge.refund.updated", refund("succeeded"), Succeeded("re_1")),
        (
            "refund.failed",
            refund("failed", failure_reason="expired_or_canceled_card"),
            Declined("expired_or_canceled_card", "the bank did not take the refund", reference="re_1"),
        ),
    ],
)
def test_a_message_about_a_movement_of_ours_tells_how_it_stands(kind, thing, outcome):
    assert said(kind, thing) == PaymentNews(event_id="evt_1", outcome=outcome, **OURS)


@pytest.mark.parametrize(
    ("kind", "status", "stage"),
    [
        ("charge.dispute.funds_withdrawn", "needs_response", "opened"),
        ("charge.dispute.funds_reinstated", "won", "won"),
        ("charge.dispute.closed", "lost", "lost"),
    ],
)
def test_a_dispute_is_told_with_its_amount(kind, status, stage):
    dispute = {"id": "du_1", "object": "dispute", "status": status, "amount": 1234, "currency": "eur"}
    asked = []

    def look_up(name: str) -> dict:
        asked.append(name)
        return intent("succeeded")

    news = said(kind, dispute | {"payment_intent": "pi_1", "metadata": {}}, look_up)

    assert asked == ["pi_1"]
    assert news == DisputeNews(event_id="evt_1", stage=stage, gross_micros=12_340_000, **OURS)


@pytest.mark.parametrize(
    ("kind", "thing"),
    [
        ("customer.created", {"id": "cus_1", "metadata": OURS}),
        ("payment_intent.created", intent("requires_confirmation")),
        ("payment_intent.succeeded", {"id": "pi_2", "status": "succeeded", "metadata": {}}),
        ("payment_intent.succeeded", {"id": "pi_2", "status": "succeeded", "metadata": {"org_id": "acme"}}),
        ("refund.created", refund("succeeded") | {"metadata": {}}),
        ("charge.refunded", {"id": "ch_1", "object": "charge", "metadata": OURS}),
        ("charge.dispute.created", {"id": "du_1", "payment_intent": "pi_1", "amount": 1, "currency": "eur"}),
        ("charge.dispute.closed", {"id": "du_1", "status": "won", "payment_intent": "pi_1"}),
        ("charge.dispute.funds_withdrawn", {"id": "du_1", "payment_intent": None, "amount": 1, "currency": "eur"}),
    ],
)
def test_other_messages_say_nothing_of_ours(kind, thing):
    assert said(kind, thing) is None


def test_that_a_bank_wants_a_person_is_no_decline():
    """The refusal of the charge is announced too; the answer to the question has turned it into a link by then."""
    wanted = {"code": "authentication_required", "decline_code": "authentication_required"}

    assert said("payment_intent.payment_failed", intent("requires_payment_method", last_payment_error=wanted)) is None


def test_a_refund_by_hand_is_noticed_in_the_log(caplog):
    said("refund.created", refund("succeeded") | {"metadata": {}})

    assert "ch_1 was refunded at the provider and not by us" in caplog.text


class _Mute:
    def charge_of(self, reference: str) -> dict:
        raise NoAnswerError("the line is down")


def test_a_dispute_that_cannot_be_looked_up_is_to_be_sent_again():
    body = json.dumps(
        {
            "id": "evt_1",
            "type": "charge.dispute.funds_withdrawn",
            "data": {"object": {"id": "du_1", "payment_intent": "pi_1", "amount": 1, "currency": "eur"}},
        }
    ).encode()

    with pytest.raises(PaymentUnavailable, match="the line is down"):
        CardProvider(_Mute(), SECRET).news(body, signed(body), NOW)


def test_a_signed_message_of_another_form_is_refused():
    body = b'{"id": "evt_1", "type": "payment_intent.succeeded", "data": {"object": {"metadata": 7}}}'

    with pytest.raises(BadMessage, match="not of the form"):
        CardProvider(_Mute(), SECRET).news(body, signed(body), NOW)
