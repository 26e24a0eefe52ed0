"""Invoices and what the books say: documents, PDF, calls one by one, deferred revenue, expiry, what is owed."""

from collections.abc import Iterator
from typing import Annotated, Any

from litestar import Response, Router
from litestar.params import FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from gettone.api import invoice_bodies
from gettone.api.bodies import shown, shown_page
from gettone.api.invoice_bodies import (
    BilledCallBody,
    ExpiryBody,
    InvoiceBody,
    InvoiceInList,
    OwedBody,
    PurchaseOrder,
    RevenueBody,
)
from gettone.api.routing import (
    BILLING,
    OPERATOR,
    ORGANISATION,
    READ,
    Caller,
    Cursor,
    Given,
    InPath,
    Limit,
    buyer,
    get,
    needs,
    plain,
    post,
    put,
)
from gettone.errors import InvalidInput
from gettone.invoices.table import calls_csv
from gettone.operations import agreements, finance, invoicing, months, profiles
from gettone.operations.views import Page

INVOICE = f"{ORGANISATION}/invoices/{{invoice:str}}"
PDF = "application/pdf"
CSV = "text/csv; charset=utf-8"
PDF_CALLS_MAX = 5000
"""A PDF with more calls takes too long to wait for; the CSV has them all."""

InMonth = Annotated[str, QueryParameter(name="month", description="A month such as 2026-11.")]
WithCalls = Annotated[bool, QueryParameter(name="calls", description="Add the calls of a monthly invoice.")]


# -- invoices ----------------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/invoices", opt=needs(READ), sync_to_thread=True)
def list_invoices(services: Given, org_id: InPath, cursor: Cursor = "", limit: Limit = 100) -> Page[InvoiceInList]:
    """Invoices and credit notes, newest first."""
    page = invoicing.list_invoices(services.office, org_id, cursor=cursor, limit=limit)
    found = Page(tuple(map(invoicing.summary, page.items)), page.next_cursor)
    return shown_page(InvoiceInList, found, services.currency(org_id))


@get(INVOICE, opt=needs(READ), sync_to_thread=True)
def get_invoice(services: Given, org_id: InPath, invoice: InPath) -> InvoiceBody:
    """One invoice by its id or number."""
    return invoice_bodies.invoice(invoicing.get_invoice(services.office, org_id, plain(invoice)))


@get(f"{INVOICE}/pdf", opt=needs(READ), media_type=PDF, sync_to_thread=True)
def get_invoice_pdf(
    services: Given, org_id: InPath, invoice: InPath, *, with_calls: WithCalls = False
) -> Response[bytes]:
    """One invoice as PDF; with `calls` those of a monthly invoice one by one, if they are no more than 5,000."""
    from gettone.invoices.pdf import render  # noqa: PLC0415 - heavy, and only needed once somebody prints

    found = invoicing.get_invoice(services.office, org_id, plain(invoice))
    count = sum(line.calls + line.messages for line in found.document.lines)
    if with_calls and count > PDF_CALLS_MAX:
        raise InvalidInput("calls", count, "that is too much for a PDF to wait for; take calls.csv")
    parts = invoicing.billed_parts(services.office, org_id, found.invoice_id) if with_calls else ()
    calls = [call for part in parts for call in part]
    content = render(found, calls, invoicing.user_names(services.office, org_id, calls))
    name = (found.number or found.invoice_id).encode("ascii", "replace").decode().replace("/", "-").replace('"', "")
    return Response(content, media_type=PDF, headers={"Content-Disposition": f'inline; filename="invoice-{name}.pdf"'})


@get(f"{INVOICE}/calls", opt=needs(READ), sync_to_thread=True)
def list_invoice_calls(
    services: Given, org_id: InPath, invoice: InPath, cursor: Cursor = "", limit: Limit = 100
) -> Page[BilledCallBody]:
    """The calls of a monthly invoice one by one, in the order in which they were settled."""
    page = invoicing.billed_calls(services.office, org_id, plain(invoice), cursor=cursor, limit=limit)
    return shown_page(BilledCallBody, page, services.currency(org_id))


@get(f"{INVOICE}/calls.csv", opt=needs(READ), media_type=CSV, sync_to_thread=True)
def get_invoice_calls_csv(services: Given, org_id: InPath, invoice: InPath) -> Stream:
    """The same calls, all of them, as CSV."""
    office, currency = services.office, services.currency(org_id)
    found = invoicing.get_invoice(office, org_id, plain(invoice))

    def parts() -> Iterator[Any]:
        for part in invoicing.billed_parts(office, org_id, found.invoice_id):
            yield part, invoicing.user_names(office, org_id, part)

    return Stream(calls_csv(parts(), currency), media_type=CSV)


@post(f"{INVOICE}/collected", opt=needs(OPERATOR), status_code=200, sync_to_thread=True)
def collect_invoice(request: Caller, services: Given, org_id: InPath, invoice: InPath) -> InvoiceInList:
    """Note that the money for an invoice by agreement or of a month has come in."""
    paid = agreements.collected(
        services.office, org_id, plain(invoice), by=buyer(request.auth).name, now=services.clock()
    )
    return shown(InvoiceInList, invoicing.summary(paid), paid.currency)


@put(f"{INVOICE}/purchase-order", opt=needs(BILLING), sync_to_thread=True)
def change_invoice_purchase_order(
    request: Caller, services: Given, org_id: InPath, invoice: InPath, data: JSONBody[PurchaseOrder]
) -> list[InvoiceInList]:
    """Write another purchase order into an invoice, and into the order that it belongs to."""
    changed = profiles.change_purchase_order(
        services.office,
        org_id,
        data.purchase_order,
        buyer(request.auth),
        services.clock(),
        invoice=plain(invoice),
    )
    return [shown(InvoiceInList, invoicing.summary(one), one.currency) for one in changed]


@put(f"{ORGANISATION}/credits/orders/{{order_id:str}}/purchase-order", opt=needs(BILLING), sync_to_thread=True)
def change_order_purchase_order(
    request: Caller, services: Given, org_id: InPath, order_id: InPath, data: JSONBody[PurchaseOrder]
) -> list[InvoiceInList]:
    """Write another purchase order into an order of credit and its invoices."""
    changed = profiles.change_purchase_order(
        services.office,
        org_id,
        data.purchase_order,
        buyer(request.auth),
        services.clock(),
        order_id=plain(order_id),
    )
    return [shown(InvoiceInList, invoicing.summary(one), one.currency) for one in changed]


# -- what the books say ------------------------------------------------------------------------------------------------


@get(f"{ORGANISATION}/revenue", opt=needs(READ), sync_to_thread=True)
def get_revenue(services: Given, org_id: InPath, in_month: InMonth) -> RevenueBody:
    """Deferred revenue of a month, out of the ledger."""
    found = finance.revenue(services.office, org_id, months.read(in_month))
    return shown(RevenueBody, found, found.currency)


@get(f"{ORGANISATION}/expiry", opt=needs(READ), sync_to_thread=True)
def get_expiry(services: Given, org_id: InPath) -> list[ExpiryBody]:
    """In which months credit expires that is not used before."""
    return [shown(ExpiryBody, one, one.currency) for one in finance.expiry(services.office, org_id)]


@get(f"{ORGANISATION}/receivables", opt=needs(READ), sync_to_thread=True)
def get_receivables(services: Given, org_id: InPath) -> list[OwedBody]:
    """The organisation's invoices that are not paid."""
    found = finance.receivables(services.office, services.clock(), org_id=org_id)
    return [shown(OwedBody, one, one.currency) for one in found]


@get("/v1/finance/revenue", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def get_all_revenue(services: Given, in_month: InMonth, *, each: FromQuery[bool] = False) -> list[RevenueBody]:
    """Deferred revenue of a month by currency; with `each` by organisation."""
    period = months.read(in_month)
    found = finance.revenue_by_organisation(services.office, period) if each else ()
    sums = list(found) if each else finance.revenue_by_currency(services.office, period)
    return [shown(RevenueBody, one, one.currency) for one in sums]


@get("/v1/finance/expiry", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def get_all_expiry(services: Given) -> list[ExpiryBody]:
    """In which months credit of all organisations expires, by currency."""
    return [shown(ExpiryBody, one, one.currency) for one in finance.expiry_by_currency(services.office)]


@get("/v1/finance/receivables", opt=needs(OPERATOR, across=True), sync_to_thread=True)
def get_all_receivables(services: Given) -> list[OwedBody]:
    """The invoices of all organisations that are not paid."""
    return [shown(OwedBody, one, one.currency) for one in finance.receivables(services.office, services.clock())]


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [
        *(list_invoices, get_invoice, get_invoice_pdf, list_invoice_calls, get_invoice_calls_csv),
        *(collect_invoice, change_invoice_purchase_order, change_order_purchase_order),
        *(get_revenue, get_expiry, get_receivables, get_all_revenue, get_all_expiry, get_all_receivables),
    ]
    return Router("/", route_handlers=handlers, tags=["Invoices and finance"], **options)
