"""What an invoice says, frozen when it is issued: seller, buyer, lines, taxes, references. Kept as JSON.

Invariants:

- the lines sum to the net amount, the taxes to the tax, to the micro;
- the net amount and the tax are whole coins of the currency;
- amounts of a credit note are positive: it is a credit note because it says so.

What may change later is not in it: the number, the purchase order, and whether it is paid.
"""

from datetime import datetime

import msgspec

from gettone.operations.billing import Invoice, Profile, Seller
from gettone.operations.views import OrganisationView

CREDITS = "credits"
POST_USAGE = "post_usage"
CREDIT_NOTE = "credit_note"

USAGE = "usage"
CARRIED_IN = "carried_in"
CARRIED_OUT = "carried_out"


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """Seller or buyer; *address* has several lines."""

    party_id: str
    name: str
    address: str = ""
    tax_id: str = ""
    email: str = ""


class Line(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is invoiced: *kind* is credits, usage (of calls to the destination *text*), carried_in or carried_out.

    *text* is in the language of the invoice.
    """

    kind: str
    text: str
    amount_micros: int
    calls: int = 0
    messages: int = 0
    seconds: int = 0
    billed_seconds: int = 0


class TaxLine(msgspec.Struct, frozen=True, kw_only=True):
    """Tax on top: *millionths* of *base_micros* (220,000 is 22 %)."""

    label: str
    millionths: int
    base_micros: int
    amount_micros: int


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """An invoice or credit note as it was issued; *issued_on* is the day in *time_zone*.

    *kind* is credits, post_usage or credit_note. *carried_over_micros* is usage that is less than a coin, left for the
    next invoice. *corrects* of a credit note is the invoice that it corrects.
    """

    kind: str
    invoice_id: str
    issued_at: datetime
    issued_on: str
    time_zone: str
    language: str
    currency: str
    seller: Party
    buyer: Party
    lines: tuple[Line, ...]
    taxes: tuple[TaxLine, ...]
    net_micros: int
    tax_micros: int
    gross_micros: int
    purchase_order: str = ""
    agreement_number: str = ""
    method_label: str = ""
    order_id: str = ""
    payment_id: str = ""
    lot_id: str = ""
    lot_expires_at: datetime | None = None
    period: int = 0
    carried_over_micros: int = 0
    corrects: str = ""


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Document)


def frozen(document: Document) -> str:
    """The document as it is kept; what does not add up is not issued."""
    assert sum(line.amount_micros for line in document.lines) == document.net_micros, "the lines are the net amount"
    assert sum(tax.amount_micros for tax in document.taxes) == document.tax_micros, "the taxes are the tax"
    assert document.net_micros + document.tax_micros == document.gross_micros, "net and tax are the total"
    return _ENCODER.encode(document).decode()


def document_of(invoice: Invoice) -> Document:
    """The document of an invoice that was issued."""
    return _DECODER.decode(invoice.document)


def selling(seller: Seller) -> Party:
    """The seller as an invoice shows it."""
    return Party(
        party_id=seller.seller_id, name=seller.name, address=seller.address, tax_id=seller.tax_id, email=seller.email
    )


def buying(organisation: OrganisationView, profile: Profile) -> Party:
    """The buyer as an invoice shows it."""
    return Party(
        party_id=organisation.org_id,
        name=profile.legal_name or organisation.name,
        address=profile.address,
        tax_id=profile.tax_id,
    )


def taxed(label: str, millionths: int, base_micros: int, amount_micros: int) -> tuple[TaxLine, ...]:
    """The tax lines; none where there is no tax."""
    if not label and not amount_micros:
        return ()
    return (TaxLine(label=label, millionths=millionths, base_micros=base_micros, amount_micros=amount_micros),)
