"""Numbers of invoices, without a gap for each seller, in the order in which invoices were issued.

    claim    one transaction on what all share: the seller's next numbers, each for one invoice
    write    one transaction for each organisation: the number into the invoice

A process that dies between the two leaves numbers that are claimed and not written; the next run finds the claim and
writes it. Two processes never give one number twice: the table of numbers has it as its key, and an invoice once.
"""

from collections.abc import Sequence
from itertools import groupby

import msgspec

from gettone.errors import Conflict
from gettone.operations.billing import Invoice, Seller
from gettone.operations.office import Office

BATCH = 200
TRIES = 20

Waiting = Sequence[tuple[str, Invoice]]


def give_numbers(office: Office) -> int:
    """Give every invoice that has none its number; returns how many were given."""
    given = 0
    while True:
        with office.read() as unit:
            waiting = unit.invoices.unnumbered(BATCH)
            sellers = {seller.seller_id: seller for seller in unit.invoices.sellers()}
        if not waiting:
            return given
        claimed = _claim(office, waiting)
        # In the order of issue, as far as one organisation's invoices follow each other.
        for org_id, invoices in groupby(waiting, key=lambda one: one[0]):
            numbers = {invoice.invoice_id: claimed[org_id, invoice.invoice_id] for _, invoice in invoices}
            given += _write(office, org_id, numbers, sellers)


def _claim(office: Office, waiting: Waiting) -> dict[tuple[str, str], tuple[str, int]]:
    """Claim a number for each of these invoices, or find the one that was; (seller, number) by invoice."""
    for attempt in range(TRIES):
        try:
            return _claim_once(office, waiting)
        except Conflict:
            # Another process gave numbers at the same time: look again from where it ended.
            if attempt == TRIES - 1:
                raise
    raise AssertionError("the last try returns or raises")


def _claim_once(office: Office, waiting: Waiting) -> dict[tuple[str, str], tuple[str, int]]:
    claimed: dict[tuple[str, str], tuple[str, int]] = {}
    with office.write_shared() as unit:
        for org_id, invoice in waiting:
            found = unit.invoices.number_of(org_id, invoice.invoice_id)
            if found is None:
                number = unit.invoices.give_number(invoice.seller_id, org_id, invoice.invoice_id)
                found = (invoice.seller_id, number)
            claimed[org_id, invoice.invoice_id] = found
    return claimed


def _write(office: Office, org_id: str, numbers: dict[str, tuple[str, int]], sellers: dict[str, Seller]) -> int:
    written = 0
    with office.write(org_id) as unit:
        for invoice_id, (seller_id, number) in numbers.items():
            invoice = unit.invoices.invoice(org_id, invoice_id)
            if invoice is None or invoice.number:
                continue
            text = numbered(sellers.get(seller_id), number)
            unit.invoices.change_invoice(org_id, msgspec.structs.replace(invoice, number=text))
            written += 1
    return written


def numbered(seller: Seller | None, number: int) -> str:
    """A number as it is printed: the seller's prefix before it."""
    return f"{seller.prefix if seller is not None else ''}{number}"
