"""The simulator's objects and errors as Stripe writes them: only the fields that mean something to somebody.

Sources: docs.stripe.com/api for the objects; for the errors the shapes that make Stripe's own client raise what it
does, which `tests/gateways/test_stripe_errors.py` holds against that client.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from gettone.gateways.card_news import SIGNATURE, Json, signature
from gettone.gateways.simulator.bank import BankError
from gettone.gateways.simulator.things import Card, Charge, Customer, Dispute, Event, Failure, Refund, Setup, Thing

PAGES = "https://simulator.invalid"
"""Where pages of a simulator are that is not served: nowhere."""


def customer_json(customer: Customer) -> Json:
    """A customer."""
    return {
        "id": customer.customer_id,
        "object": "customer",
        "created": _seconds(customer.created),
        "livemode": False,
        "metadata": dict(customer.metadata),
        "name": customer.name,
    }


def card_json(card: Card) -> Json:
    """A payment method."""
    return {
        "id": card.card_id,
        "object": "payment_method",
        "type": "card",
        "customer": card.customer_id,
        "livemode": False,
        "card": {
            "brand": card.test.brand,
            "last4": card.test.number[-4:],
            "exp_month": card.expires % 100,
            "exp_year": card.expires // 100,
            "fingerprint": card.test.fingerprint,
        },
    }


def setup_json(setup: Setup) -> Json:
    """A setup, its card in full."""
    return {
        "id": setup.setup_id,
        "object": "setup_intent",
        "client_secret": setup.secret,
        "created": _seconds(setup.created),
        "customer": setup.customer_id,
        "livemode": False,
        "metadata": dict(setup.metadata),
        "payment_method": card_json(setup.card) if setup.card else None,
        "payment_method_types": ["card"],
        "status": setup.status,
        "usage": "off_session",
    }


def setup_page_json(setup: Setup, pages: str = PAGES) -> Json:
    """The page on which a card is entered, with its setup; its name is that of the setup with another beginning."""
    return {
        "id": f"cs_{setup.setup_id}",
        "object": "checkout.session",
        "created": _seconds(setup.created),
        "customer": setup.customer_id,
        "livemode": False,
        "metadata": dict(setup.metadata),
        "mode": "setup",
        "setup_intent": setup_json(setup),
        "status": "complete" if setup.card else "open",
        "success_url": setup.return_url,
        "url": f"{pages}/cards/{setup.setup_id}",
    }


def charge_json(charge: Charge, pages: str = PAGES) -> Json:
    """A payment intent."""
    waits = charge.status == "requires_action"
    redirect = {"return_url": charge.return_url, "url": f"{pages}/confirmations/{charge.charge_id}"}
    return {
        "id": charge.charge_id,
        "object": "payment_intent",
        "amount": charge.amount,
        "amount_received": charge.amount if charge.status == "succeeded" else 0,
        "cancellation_reason": charge.cancelled_because or None,
        "created": _seconds(charge.created),
        "currency": charge.currency,
        "customer": charge.customer_id,
        "description": charge.description or None,
        "last_payment_error": _failure_json(charge.failure) if charge.failure else None,
        "livemode": False,
        "metadata": dict(charge.metadata),
        "next_action": {"type": "redirect_to_url", "redirect_to_url": redirect} if waits else None,
        "payment_method": charge.card.card_id if charge.failure is None else None,
        "payment_method_types": ["card"],
        "status": charge.status,
    }


def refund_json(refund: Refund) -> Json:
    """A refund."""
    found: Json = {
        "id": refund.refund_id,
        "object": "refund",
        "amount": refund.amount,
        "created": _seconds(refund.created),
        "currency": refund.currency,
        "metadata": dict(refund.metadata),
        "payment_intent": refund.charge_id,
        "status": refund.status,
    }
    return found | ({"failure_reason": refund.failure} if refund.failure else {})


def dispute_json(dispute: Dispute) -> Json:
    """A dispute; like Stripe's it does not hold the metadata of its charge."""
    return {
        "id": dispute.dispute_id,
        "object": "dispute",
        "amount": dispute.amount,
        "created": _seconds(dispute.created),
        "currency": dispute.currency,
        "livemode": False,
        "metadata": {},
        "payment_intent": dispute.charge_id,
        "reason": "fraudulent",
        "status": dispute.status,
    }


def list_json(items: Sequence[Json], url: str, *, more: bool = False, kind: str = "list") -> Json:
    """A page of a list."""
    return {"object": kind, "data": list(items), "has_more": more, "url": url}


def event_json(event: Event, pages: str = PAGES) -> Json:
    """A message."""
    return {
        "id": event.event_id,
        "object": "event",
        "created": _seconds(event.created),
        "data": {"object": _thing_json(event.thing, pages)},
        "livemode": False,
        "type": event.kind,
    }


def signed_message(event: Event, secret: str, now: datetime, pages: str = PAGES) -> tuple[bytes, dict[str, str]]:
    """A message as it is sent *now*: its body and headers."""
    body = json.dumps(event_json(event, pages)).encode()
    return body, {"content-type": "application/json", SIGNATURE: signature(body, secret, now)}


def error_json(error: BankError, pages: str = PAGES) -> Json:
    """What is said instead of an object: the content of ``error``."""
    said: dict[str, Any] = {"type": error.kind, "message": error.message}
    if error.code:
        said["code"] = error.code
    if error.charge is not None:
        said["payment_intent"] = charge_json(error.charge, pages)
        if error.charge.failure is not None:
            said |= _failure_json(error.charge.failure)
    return said


def _thing_json(thing: Thing, pages: str) -> Json:
    match thing:
        case Charge():
            return charge_json(thing, pages)
        case Refund():
            return refund_json(thing)
        case Dispute():
            return dispute_json(thing)


def _failure_json(failure: Failure) -> Json:
    said: Mapping[str, str] = {
        "type": "card_error",
        "code": failure.code,
        "decline_code": failure.decline_code,
        "advice_code": failure.advice,
        "message": failure.message,
    }
    return {name: value for name, value in said.items() if value}


def _seconds(at: datetime) -> int:
    return int(at.timestamp())
