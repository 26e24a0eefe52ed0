"""Who an organisation is on invoices, under which agreement it buys, and purchase orders that change (D19)."""

from datetime import datetime

import msgspec

from gettone.errors import Conflict, Forbidden, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.billing import AGREEMENTS, CUSTOMER_AGREEMENT, LANGUAGES, Invoice, Profile
from gettone.operations.buying import OPERATOR, Buyer, require_right
from gettone.operations.invoicing import find, invoice_subject
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.sellers import address, known_seller

SUBJECT = "profile"


def get_profile(office: Office, org_id: str) -> Profile:
    """The billing profile of an organisation; all defaults when nothing was set. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return unit.buying.profile(org_id)


def set_profile(
    office: Office,
    org_id: str,
    buyer: Buyer,
    now: datetime,
    *,
    legal_name: str | None = None,
    postal_address: str | None = None,
    tax_id: str | None = None,
    language: str | None = None,
    agreement: str | None = None,
    seller_id: str | None = None,
) -> Profile:
    """Change what is given of the profile; invoices that are issued stay as they are.

    Agreement and seller are the operator's to say; another agreement ends a move to billing after use. Raises
    `NotFound`, `InvalidInput`, `Forbidden`, or `Conflict` when the agreement cannot change now.
    """
    require_right(buyer)
    if (agreement is not None or seller_id is not None) and buyer.role != OPERATOR:
        raise Forbidden("agreement and seller of an organisation are the operator's to change: ask the operator")
    changes: dict[str, object] = {}
    if legal_name is not None:
        changes["legal_name"] = checks.text("legal_name", legal_name, empty=True)
    if postal_address is not None:
        changes["address"] = address("address", postal_address)
    if tax_id is not None:
        changes["tax_id"] = checks.text("tax_id", tax_id, empty=True)
    if language is not None:
        changes["language"] = _one_of("language", language, LANGUAGES)
    if agreement is not None:
        changes["agreement"] = _one_of("agreement", agreement, AGREEMENTS)
    with office.write(org_id) as unit:
        if seller_id is not None:
            changes["seller_id"] = known_seller(unit, seller_id, now).seller_id if seller_id else ""
        before = unit.buying.profile(org_id)
        if agreement is not None and agreement != before.agreement:
            _check_agreement(unit, agreement)
            changes["moving_since"] = None
        return write_profile(unit, before, msgspec.structs.replace(before, **changes), buyer.name, now)


def write_profile(unit: OrganisationUnit, before: Profile, changed: Profile, by: str, now: datetime) -> Profile:
    """Write a profile with who changed what, if anything did."""
    old, new = msgspec.structs.asdict(before), msgspec.structs.asdict(changed)
    differences = {name: (_plain(old[name]), _plain(new[name])) for name in new if old[name] != new[name]}
    if differences:
        unit.buying.write_profile(unit.organisation.org_id, changed)
        unit.note(by, "set", SUBJECT, differences, now)
    return changed


def _check_agreement(unit: OrganisationUnit, agreement: str) -> None:
    """Raise `Conflict` when an organisation cannot change to *agreement* by its profile alone."""
    org_id = unit.organisation.org_id
    rule = unit.buying.rule(org_id)
    if agreement == CUSTOMER_AGREEMENT and rule is not None and rule.enabled:
        raise Conflict(
            f"the auto-recharge of {org_id!r} is on and would go on buying; move it over, which turns it off: "
            f"gettone billing move {org_id}"
        )


def change_purchase_order(
    office: Office,
    org_id: str,
    purchase_order: str,
    buyer: Buyer,
    now: datetime,
    *,
    order_id: str = "",
    invoice: str = "",
) -> list[Invoice]:
    """Write another purchase order into an order and its invoices, or into the one invoice of a month.

    What it was stays in the audit log, and is shown on the invoice. *invoice* is an id or number. Returns the invoices
    that show the change. Raises `NotFound`, `InvalidInput`, or `Forbidden`.
    """
    require_right(buyer)
    wanted = checks.text("purchase_order", purchase_order, empty=True)
    if bool(order_id) == bool(invoice):
        raise InvalidInput("order_id", order_id, "name an order or an invoice, and not both")
    with office.write(org_id) as unit:
        if invoice:
            found = find(unit, org_id, invoice)
            if not found.payment_id:
                return [_with_order(unit, found, wanted, buyer.name, now)]
            payment = unit.buying.payment(org_id, found.payment_id)
            assert payment is not None, "an invoice of a payment has one"
            order_id = payment.order_id
        order = unit.buying.order(org_id, order_id)
        if order is None:
            raise NotFound(f"order {order_id!r}: there is none; list them: gettone credits orders {org_id}")
        if order.purchase_order != wanted:
            changed = msgspec.structs.replace(order, purchase_order=wanted, version=order.version + 1)
            unit.buying.write_order(org_id, changed)
            changes = {"purchase_order": (order.purchase_order, wanted)}
            unit.note(buyer.name, "set", f"order/{order_id}", changes, now)
        return [
            _with_order(unit, one, wanted, buyer.name, now)
            for payment in unit.buying.payments_of(org_id, order_id)
            for one in unit.invoices.invoices_of_payment(org_id, payment.payment_id)
        ]


def _with_order(unit: OrganisationUnit, invoice: Invoice, wanted: str, by: str, now: datetime) -> Invoice:
    if invoice.purchase_order == wanted:
        return invoice
    changed = msgspec.structs.replace(invoice, purchase_order=wanted)
    unit.invoices.change_invoice(unit.organisation.org_id, changed)
    changes = {"purchase_order": (invoice.purchase_order, wanted)}
    unit.note(by, "set", invoice_subject(invoice.invoice_id), changes, now)
    return changed


def _one_of(field: str, value: str, known: tuple[str, ...]) -> str:
    if value not in known:
        raise InvalidInput(field, value[:80], f"write one of {', '.join(known)}")
    return value


def _plain(value: object) -> str:
    return "" if value is None else value.isoformat() if isinstance(value, datetime) else str(value)
