"""Who sells the credit, as invoices show it. Every seller has a series of numbers of its own (`invoice_numbers`).

The default seller sells to every organisation whose profile names no other. Until the operator says who that is, it is
called Gettone and has no address: fit for a trial, not for the tax office.
"""

from datetime import datetime

import msgspec

from gettone.errors import InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.billing import Profile, Seller
from gettone.operations.office import Office, Unit

DEFAULT_ID = "default"
DEFAULT_NAME = "Gettone"

ADDRESS_MAX = 500
PREFIX_MAX = 20


def default_seller(now: datetime) -> Seller:
    """The seller that there is before the operator names one."""
    return Seller(seller_id=DEFAULT_ID, name=DEFAULT_NAME, created_at=now)


def list_sellers(office: Office, now: datetime) -> list[Seller]:
    """Those who sell, the default one first; it is there also before it was written."""
    with office.read() as unit:
        return sorted(_sellers(unit, now).values(), key=lambda seller: seller.seller_id != DEFAULT_ID)


def seller_of(unit: Unit, profile: Profile, now: datetime) -> Seller:
    """Who sells to the organisation of *profile*: the one it names, else the default."""
    there = _sellers(unit, now)
    return there.get(profile.seller_id) or there[DEFAULT_ID]


def known_seller(unit: Unit, seller_id: str, now: datetime) -> Seller:
    """One seller; raises `NotFound`."""
    found = _sellers(unit, now).get(seller_id)
    if found is None:
        raise NotFound(
            f"seller_id {seller_id!r}: there is none; make it: gettone billing seller {seller_id} --name NAME"
        )
    return found


def set_seller(
    office: Office,
    seller_id: str,
    now: datetime,
    *,
    name: str | None = None,
    seller_address: str | None = None,
    tax_id: str | None = None,
    email: str | None = None,
    prefix: str | None = None,
) -> Seller:
    """Make a seller, or change what is given of one; invoices that are issued stay as they are.

    Raises `InvalidInput`; a new seller needs a name.
    """
    checks.identifier("seller_id", seller_id)
    with office.write_shared() as unit:
        before = _sellers(unit, now).get(seller_id) or Seller(seller_id=seller_id, name="", created_at=now)
        seller = msgspec.structs.replace(
            before,
            name=checks.text("name", before.name if name is None else name),
            address=before.address if seller_address is None else address("address", seller_address),
            tax_id=before.tax_id if tax_id is None else checks.text("tax_id", tax_id, empty=True),
            email=before.email if email is None else checks.text("email", email, empty=True),
            prefix=before.prefix if prefix is None else _prefix(prefix),
        )
        unit.invoices.write_seller(seller)
        return seller


def _sellers(unit: Unit, now: datetime) -> dict[str, Seller]:
    return {DEFAULT_ID: default_seller(now)} | {seller.seller_id: seller for seller in unit.invoices.sellers()}


def address(field: str, value: str) -> str:
    """An address of several lines, each without blanks around it; raises `InvalidInput`."""
    lines = [line.strip() for line in value.strip().splitlines()]
    cleaned = "\n".join(line for line in lines if line)
    if len(cleaned) > ADDRESS_MAX or not all(line.isprintable() for line in lines):
        raise InvalidInput(field, cleaned[:80], f"write at most {ADDRESS_MAX} printable signs, on several lines")
    return cleaned


def _prefix(value: str) -> str:
    if len(value) > PREFIX_MAX or not value.isprintable() or value != value.strip():
        raise InvalidInput("prefix", value[:80], f"write at most {PREFIX_MAX} signs without blanks around them")
    return value
