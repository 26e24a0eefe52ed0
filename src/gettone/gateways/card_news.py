"""What Stripe's objects and messages mean to us, as pure functions over their JSON.

Both card providers speak these shapes: Stripe, and the simulator that ships with the product. A charge is a
PaymentIntent; our names for it (organisation, payment, key) stand in its metadata.

Invariants:

- `Declined` is said only of what has not moved and will not move by itself;
- a charge that a bank wants confirmed is not declined, although Stripe announces it as failed: the answer to the
  question turns it into a link, and that link must not outlive a decline;
- a message counts only with a signature over its very bytes, made less than five minutes ago and not in the future.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gettone.domain.payments import ActionRequired, Declined, Outcome, Processing, Succeeded, Unknown
from gettone.errors import BadMessage
from gettone.gateways.stripe_units import to_micros
from gettone.operations.payments import LOST, OPENED, WON
from gettone.operations.providers import DisputeNews, News, PaymentNews

logger = logging.getLogger(__name__)

Json = dict[str, Any]

TOLERANCE_SECONDS = 300
SIGNATURE = "stripe-signature"

AUTHENTICATION_REQUIRED = "authentication_required"

_FINAL_CODES = frozenset({"lost_card", "stolen_card", "fraudulent", "pickup_card"})
_FINAL_ADVICE = "do_not_try_again"

_KEY_REFUSED = "the provider does not accept our key: check GETTONE_STRIPE_KEY and what the key may do"


# -- outcomes ----------------------------------------------------------------------------------------------------------


def outcome_of_intent(intent: Json) -> Outcome:
    """How a charge stands."""
    reference, status = str(intent["id"]), intent["status"]
    if status == "succeeded":
        return Succeeded(reference)
    if status == "processing":
        return Processing(reference)
    if status == "requires_action":
        action = intent.get("next_action") or {}
        return ActionRequired(reference, (action.get("redirect_to_url") or {}).get("url") or "")
    if status == "canceled":
        reason = str(intent.get("cancellation_reason") or "canceled")
        return Declined(reason, "the charge was withdrawn before any money moved", reference=reference)
    if status == "requires_payment_method":
        return declined(intent.get("last_payment_error") or {}, reference)
    return Unknown(f"charge {reference} is {status}, which nobody asked for; look at it in the provider's dashboard")


def outcome_of_refund(refund: Json) -> Outcome:
    """How a refund stands."""
    reference, status = str(refund["id"]), refund.get("status")
    if status == "succeeded":
        return Succeeded(reference)
    if status in {"failed", "canceled"}:
        code = str(refund.get("failure_reason") or status)
        return Declined(code, "the bank did not take the refund", reference=reference)
    return Processing(reference)


def declined(error: Json, reference: str = "") -> Declined:
    """The decline that an error of a card tells of."""
    code = str(error.get("decline_code") or error.get("code") or "declined")
    final = code in _FINAL_CODES or error.get("advice_code") == _FINAL_ADVICE
    return Declined(code, str(error.get("message") or ""), final, reference)


def wants_authentication(error: Json) -> bool:
    """Whether an error says that a person has to confirm the charge."""
    return AUTHENTICATION_REQUIRED in {error.get("code"), error.get("decline_code")}


def outcome_of_refusal(status: int, error: Json, *, repeated: bool) -> Outcome:
    """What an answer of *status* with *error* means for the movement that was asked for.

    *repeated*: the question had been put before. Then a customer or a charge that is not there shows that another
    account is asked, which knows nothing of what the first one did.
    """
    code = str(error.get("code") or "")
    if status == 402:
        return declined(error, str((error.get("payment_intent") or {}).get("id") or ""))
    kept_open = error.get("type") == "idempotency_error" or code == "rate_limit"
    if status not in {400, 404} or kept_open or (repeated and code == "resource_missing"):
        return undecided(status, error)
    logger.error("a question about a card was refused: %s (%s)", error.get("message"), code)
    return Declined(code or "refused", str(error.get("message") or ""))


def undecided(status: int, error: Json) -> Unknown:
    """What an answer means that does not say whether money has moved."""
    message = error.get("message") or "it gave no reason"
    if status in {401, 403}:
        logger.error("%s (%s)", _KEY_REFUSED, message)
        return Unknown(_KEY_REFUSED)
    if status < 429:
        logger.error("the provider refused a question with status %s: %s", status, message)
    return Unknown(f"the provider answered with status {status}: {message}")


# -- messages ----------------------------------------------------------------------------------------------------------


def signature(body: bytes, secret: str, at: datetime) -> str:
    """The header that proves *body* to be sent at *at* by one who knows *secret*."""
    seconds = int(at.timestamp())
    return f"t={seconds},v1={_mac(secret, seconds, body)}"


def verified(body: bytes, headers: Mapping[str, str], secret: str, now: datetime) -> Json:
    """The message in *body*; raises `BadMessage` unless its signature is right and at most five minutes off."""
    if not secret:
        raise BadMessage("no secret is set for the provider's messages: set GETTONE_STRIPE_WEBHOOK_SECRET")
    header = next((value for name, value in headers.items() if name.lower() == SIGNATURE), "")
    parts = [part.strip().partition("=")[::2] for part in header.split(",")]
    times = [value for name, value in parts if name == "t" and value.isascii() and value.isdigit() and len(value) < 13]
    if not times:
        raise BadMessage("the message has no Stripe-Signature header with a time")
    seconds = int(times[0])
    expected = _mac(secret, seconds, body).encode()
    given = [value.encode() for name, value in parts if name == "v1"]
    # All of them are compared, so that the time this takes tells nothing.
    if not sum(hmac.compare_digest(expected, one) for one in given):
        raise BadMessage("the message is not signed with our secret")
    if abs(int(now.timestamp()) - seconds) > TOLERANCE_SECONDS:
        raise BadMessage(f"the message was signed more than {TOLERANCE_SECONDS} seconds before or after now")
    try:
        message = json.loads(body)
    except ValueError:
        raise BadMessage("the message is signed, but is not JSON") from None
    if not isinstance(message, dict):
        raise BadMessage("the message is signed, but is no JSON object")
    return message


def _mac(secret: str, seconds: int, body: bytes) -> str:
    return hmac.new(secret.encode(), b"%d." % seconds + body, hashlib.sha256).hexdigest()


def news_of(event: Json, intent_of: Callable[[str], Json]) -> News | None:
    """What a message says of a movement of ours; None when it says nothing of one.

    A dispute names its charge only: *intent_of* looks that up.
    """
    kind, thing = str(event.get("type") or ""), (event.get("data") or {}).get("object") or {}
    if kind.startswith("payment_intent."):
        return _news_of_charge(event, kind, thing)
    if kind.startswith("refund.") or kind == "charge.refund.updated":
        return _news_of_refund(event, thing)
    if kind.startswith("charge.dispute."):
        stage = _stage(kind, thing)
        return _news_of_dispute(event, stage, thing, intent_of) if stage else None
    return None


_CHARGE_MESSAGES = frozenset({"succeeded", "processing", "requires_action", "canceled", "payment_failed"})


def _news_of_charge(event: Json, kind: str, intent: Json) -> News | None:
    if kind.removeprefix("payment_intent.") not in _CHARGE_MESSAGES:
        return None
    if intent.get("status") == "requires_payment_method" and wants_authentication(
        intent.get("last_payment_error") or {}
    ):
        return None
    return _payment_news(event, intent, outcome_of_intent(intent))


def _news_of_refund(event: Json, refund: Json) -> News | None:
    news = _payment_news(event, refund, outcome_of_refund(refund))
    if news is None:
        logger.warning("%s was refunded at the provider and not by us: the ledger has none of it", refund.get("charge"))
    return news


def _payment_news(event: Json, thing: Json, outcome: Outcome) -> News | None:
    ours = _ours(thing)
    if ours is None:
        return None
    org_id, payment_id, key = ours
    return PaymentNews(
        event_id=str(event["id"]), org_id=org_id, payment_id=payment_id, outcome=outcome, idempotency_key=key
    )


def _stage(kind: str, dispute: Json) -> str:
    match kind.removeprefix("charge.dispute."):
        case "funds_withdrawn":
            return OPENED
        case "funds_reinstated":
            return WON
        case "closed" if dispute.get("status") == "lost":
            return LOST
        case _:
            return ""


def _news_of_dispute(event: Json, stage: str, dispute: Json, intent_of: Callable[[str], Json]) -> News | None:
    reference = dispute.get("payment_intent")
    ours = _ours(intent_of(str(reference))) if reference else None
    if ours is None:
        return None
    gross = to_micros(int(dispute["amount"]), str(dispute["currency"]).upper())
    org_id, payment_id, key = ours
    return DisputeNews(
        event_id=str(event["id"]),
        org_id=org_id,
        payment_id=payment_id,
        stage=stage,
        gross_micros=gross,
        idempotency_key=key,
    )


def _ours(thing: Json) -> tuple[str, str, str] | None:
    """The organisation and the payment that a charge or refund belongs to, and the key it was asked under."""
    metadata = thing.get("metadata") or {}
    org_id, payment_id = metadata.get("org_id"), metadata.get("payment_id")
    if not (org_id and payment_id):
        return None
    return str(org_id), str(payment_id), str(metadata.get("idempotency_key") or "")
