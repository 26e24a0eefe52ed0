"""Invoices, their numbers, and sellers in SQL (`operations.billing_rows.InvoiceRows`)."""

from sqlalchemy import Connection, func, insert, literal, select, text, tuple_
from sqlalchemy.exc import IntegrityError

from gettone.errors import Conflict, InvariantBroken
from gettone.operations.billing import Invoice, Seller
from gettone.storage.billing_schema import invoice, invoice_number, seller
from gettone.storage.records import Records

SELLERS = Records(seller, Seller)
INVOICES = Records(invoice, Invoice)


class SqlInvoices:
    """See `InvoiceRows`."""

    def __init__(self, connection: Connection) -> None:
        """Read and write through *connection*, which is in a transaction."""
        self._connection = connection

    def sellers(self) -> list[Seller]:
        """See `InvoiceRows`."""
        return SELLERS.all(self._connection, order=(seller.c.created_at, seller.c.seller_id))

    def write_seller(self, seller: Seller) -> None:
        """See `InvoiceRows`."""
        SELLERS.put(self._connection, "", seller)

    def add_invoice(self, org_id: str, invoice: Invoice) -> None:
        """See `InvoiceRows`."""
        INVOICES.add(self._connection, org_id, [invoice])

    def change_invoice(self, org_id: str, invoice: Invoice) -> None:
        """See `InvoiceRows`."""
        if not INVOICES.change(self._connection, org_id, invoice):
            raise InvariantBroken(f"invoice {invoice.invoice_id!r} is not there")

    def invoice(self, org_id: str, invoice_id: str) -> Invoice | None:
        """See `InvoiceRows`."""
        columns = invoice.c
        return INVOICES.one(self._connection, columns.org_id == org_id, columns.invoice_id == invoice_id)

    def invoice_by_number(self, org_id: str, number: str) -> Invoice | None:
        """See `InvoiceRows`; an organisation's invoices are few enough to look through."""
        columns = invoice.c
        where = (columns.org_id == org_id, columns.number == number, columns.number != "")
        return next(iter(INVOICES.all(self._connection, *where, order=(columns.issued_at.desc(),), limit=1)), None)

    def invoices(self, org_id: str, before: tuple[int, str] | None, limit: int) -> list[Invoice]:
        """See `InvoiceRows`."""
        columns = invoice.c
        where = [columns.org_id == org_id]
        if before is not None:
            at, invoice_id = before
            where.append(tuple_(columns.issued_at, columns.invoice_id) < tuple_(literal(at), literal(invoice_id)))
        order = (columns.issued_at.desc(), columns.invoice_id.desc())
        return INVOICES.all(self._connection, *where, order=order, limit=limit)

    def invoices_of_payment(self, org_id: str, payment_id: str) -> list[Invoice]:
        """See `InvoiceRows`."""
        columns = invoice.c
        return INVOICES.all(
            self._connection,
            columns.org_id == org_id,
            columns.payment_id == payment_id,
            order=(columns.issued_at, columns.invoice_id),
        )

    def last_usage_invoice(self, org_id: str) -> Invoice | None:
        """See `InvoiceRows`."""
        columns = invoice.c
        found = INVOICES.all(
            self._connection,
            columns.org_id == org_id,
            columns.kind == "post_usage",
            order=(columns.last_entry.desc(),),
            limit=1,
        )
        return found[0] if found else None

    def unnumbered(self, limit: int) -> list[tuple[str, Invoice]]:
        """See `InvoiceRows`; the condition of the index word for word, so that it serves."""
        columns = invoice.c
        query = (
            select(invoice)
            .where(text("number = ''"))
            .order_by(columns.issued_at, columns.org_id, columns.invoice_id)
            .limit(limit)
        )
        return [(row.org_id, INVOICES.read(row)) for row in self._connection.execute(query)]

    def number_of(self, org_id: str, invoice_id: str) -> tuple[str, int] | None:
        """See `InvoiceRows`."""
        columns = invoice_number.c
        query = select(columns.seller_id, columns.number).where(
            columns.org_id == org_id, columns.invoice_id == invoice_id
        )
        row = self._connection.execute(query).one_or_none()
        return (row.seller_id, row.number) if row else None

    def give_number(self, seller_id: str, org_id: str, invoice_id: str) -> int:
        """See `InvoiceRows`."""
        columns = invoice_number.c
        last = select(func.coalesce(func.max(columns.number), 0)).where(columns.seller_id == seller_id)
        number: int = self._connection.execute(last).scalar_one() + 1
        row = {"seller_id": seller_id, "number": number, "org_id": org_id, "invoice_id": invoice_id}
        try:
            self._connection.execute(insert(invoice_number), row)
        except IntegrityError as error:
            raise Conflict(f"number {number} of seller {seller_id!r} was just given by another process") from error
        return number
