"""The simulator's pages for people: enter a card, confirm a charge, and an overview with the means to dispute.

Plain HTML without scripts. Whatever is shown is escaped; who is at the other end is not asked, so serve it on loopback.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

from gettone.gateways.simulator.bank import Bank, BankError
from gettone.gateways.simulator.cards import TEST_CARDS
from gettone.gateways.simulator.things import Charge, Setup


@dataclass(frozen=True, slots=True)
class Response:
    """An answer: JSON, or a page."""

    status: int
    body: bytes
    kind: str = "application/json"
    location: str = ""


def answer(bank: Bank, address: str, method: str, path: str, words: Mapping[str, str]) -> Response:
    """Show a page, or do what one of its buttons says and show what came of it."""
    match [part for part in path.split("/") if part]:
        case []:
            return _page(200, "Simulated payments", _overview(bank))
        case ["cards", setup_id]:
            setup = bank.enter_card(setup_id, words.get("number", "")) if method == "POST" else bank.setup(setup_id)
            return _after(setup.return_url) if setup.card else _page(200, "Enter a test card", _card_form(setup))
        case ["confirmations", charge_id]:
            if method == "POST":
                charge = bank.authenticate(charge_id, confirmed=words.get("answer") == "yes")
                return _after(charge.return_url)
            return _page(200, "Your bank asks", _confirmation(bank.charge_of(charge_id)))
        case ["charges", charge_id, "dispute"] if method == "POST":
            bank.dispute(charge_id)
            return _after(address)
        case ["disputes", dispute_id, ("won" | "lost") as how] if method == "POST":
            bank.close_dispute(dispute_id, won=how == "won")
            return _after(address)
        case _:
            raise BankError(404, "invalid_request_error", "", f"there is no page {path}")


def _card_form(setup: Setup) -> str:
    options = "".join(
        f'<option value="{card.number}">{card.number} {card.brand}: {_does(card.behaviour.value, card.code)}</option>'
        for card in TEST_CARDS.values()
    )
    return (
        f"<p>For customer {html.escape(setup.customer_id)}. No money is involved.</p>"
        f'<form method="post"><label>Card <select name="number">{options}</select></label> '
        "<button>Save the card</button></form>"
    )


def _does(behaviour: str, code: str) -> str:
    return html.escape(f"{behaviour} ({code})" if code else behaviour)


def _confirmation(charge: Charge) -> str:
    shown = html.escape(f"{charge.amount} minor units of {charge.currency.upper()}: {charge.description}")
    if charge.status != "requires_action":
        return f"<p>{shown}</p><p>Nothing is to be confirmed: the charge is {html.escape(charge.status)}.</p>"
    return (
        f'<p>{shown}</p><form method="post"><button name="answer" value="yes">Confirm</button> '
        '<button name="answer" value="no">Refuse</button></form>'
    )


def _overview(bank: Bank) -> str:
    charges = "".join(
        f"<tr><td>{html.escape(one.charge_id)}</td><td>{html.escape(one.metadata.get('org_id', ''))}</td>"
        f"<td>{html.escape(one.metadata.get('payment_id', ''))}</td>"
        f"<td>{one.amount} {html.escape(one.currency.upper())}</td>"
        f"<td>{html.escape(one.status)}</td><td>refunded {one.refunded}, disputed {one.disputed}</td>"
        f"<td>{_button(f'/charges/{quote(one.charge_id)}/dispute', 'Dispute')}</td></tr>"
        for one in bank.charges()
    )
    disputes = "".join(
        f"<tr><td>{html.escape(one.dispute_id)}</td><td>{html.escape(one.charge_id)}</td><td>{one.amount}</td>"
        f"<td>{html.escape(one.status)}</td><td>{_button(f'/disputes/{quote(one.dispute_id)}/won', 'Won')} "
        f"{_button(f'/disputes/{quote(one.dispute_id)}/lost', 'Lost')}</td></tr>"
        for one in bank.disputes()
    )
    return f"<h2>Charges</h2><table>{charges}</table><h2>Disputes</h2><table>{disputes}</table>"


def _button(action: str, text: str) -> str:
    return f'<form method="post" action="{action}"><button>{text}</button></form>'


def _after(address: str) -> Response:
    """Send a browser on, to an address that whoever asked for the page has given."""
    if address.startswith(("http://", "https://")):
        return Response(303, b"", "text/plain", address)
    return _page(200, "Done", "<p>You can close this page.</p>")


def _page(status: int, title: str, content: str) -> Response:
    text = (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<body><h1>{title}</h1>{content}</body></html>"
    )
    return Response(status, text.encode(), "text/html; charset=utf-8")
