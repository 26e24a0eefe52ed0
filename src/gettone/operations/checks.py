"""Values that people give, checked: each refusal names the field, the value and what to write instead."""

import re
from collections.abc import Iterable
from datetime import datetime
from difflib import get_close_matches
from zoneinfo import ZoneInfo

from gettone.domain.catalogue import SEPARATOR, Product, Terms
from gettone.domain.money import MoneyError, check_currency
from gettone.domain.numbers import NumberError, parse_e164
from gettone.domain.parties import NumberSource, NumberUse
from gettone.domain.rate_fields import COUNTRIES
from gettone.errors import InvalidInput

TEXT_MAX = 200
AMOUNT_MAX = 10**17
"""Micros that one booking may move: a hundred thousand million units of the currency."""
QUANTITY_MAX = 10_000_000
"""Licences that one order may have."""

_SLUG = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")
_ID = re.compile(r"[!-~]{1,128}")
_NAMED_VALUE = re.compile(r"^(number|currency) ('[^']*'|\"[^\"]*\") ")
_NON_COUNTRIES = {"001"}


def org_id(value: str) -> str:
    """An organisation's id: it stands in addresses, so small letters, digits, points, hyphens and underscores."""
    if not _SLUG.fullmatch(value):
        raise InvalidInput(
            "org_id",
            value[:80],
            "write 1 to 63 small letters, digits, '.', '-' or '_', beginning with a letter or digit",
        )
    return value


def text(field: str, value: str, *, empty: bool = False) -> str:
    """A line of text for people, without blanks around it."""
    cleaned = value.strip()
    if not cleaned and not empty:
        raise InvalidInput(field, value, "write something")
    if len(cleaned) > TEXT_MAX or not cleaned.isprintable():
        raise InvalidInput(field, cleaned[:80], f"write one line of at most {TEXT_MAX} printable signs")
    return cleaned


def identifier(field: str, value: str) -> str:
    """An id from another system: visible ASCII without blanks."""
    if not _ID.fullmatch(value):
        raise InvalidInput(field, value[:80], "write 1 to 128 letters, digits or ASCII signs without blanks")
    return value


def upn(value: str) -> str:
    """A user principal name, in the small letters in which it is looked up."""
    cleaned = value.strip().lower()
    if not cleaned or len(cleaned) > TEXT_MAX or not cleaned.isprintable() or " " in cleaned:
        raise InvalidInput("upn", value[:80], "write the user principal name, such as anna@contoso.com, without blanks")
    return cleaned


def country(field: str, value: str, *, empty: bool = False) -> str:
    """An ISO 3166-1 code of two capital letters."""
    if empty and not value:
        return value
    if value not in COUNTRIES or value in _NON_COUNTRIES:
        raise InvalidInput(field, value[:80], "write an ISO 3166-1 code of two capital letters, such as IT")
    return value


def currency(value: str) -> str:
    """An active ISO 4217 code."""
    try:
        return check_currency(value)
    except MoneyError as error:
        raise InvalidInput("currency", value[:80], _remedy(error)) from None


def time_zone(value: str) -> str:
    """An IANA name of a time zone."""
    try:
        return ZoneInfo(value).key
    except (ValueError, OSError, LookupError):
        raise InvalidInput("time_zone", value[:80], "write an IANA name, such as Europe/Rome or UTC") from None


def licences(values: Iterable[str], terms: Terms, *, field: str = "products") -> tuple[str, ...]:
    """Licences as users hold them, each product once, in order.

    Each value is a product by part number, id or alias, then the service plans switched off in it, by code or id, every
    one behind an exclamation mark: ``SPE_E5!MCOEV``.
    """
    wanted: dict[str, str] = {}
    for value in values:
        if cleaned := value.strip():
            sku, made = _licence(cleaned, terms, field)
            if wanted.setdefault(sku, made) != made:
                raise InvalidInput(field, cleaned[:80], f"{sku} stands here twice with other plans; write it once")
    return tuple(sorted(wanted.values()))


def products(values: Iterable[str], terms: Terms, *, field: str = "products") -> tuple[str, ...]:
    """Part numbers of products, each once, in order."""
    return tuple(sorted({product(value, terms, field=field).sku for value in values if value.strip()}))


def product(value: str, terms: Terms, *, field: str = "product") -> Product:
    """A product by part number, id or alias, letter case apart."""
    found = terms.product(value)
    if found is None:
        known = {name.lower(): name for one in terms.products.values() for name in (one.sku, one.name, *one.aliases)}
        near = get_close_matches(value.strip().lower(), known, n=3, cutoff=0.6)
        # A product that is known by its name is named by its part number.
        skus = dict.fromkeys(next(p.sku for p in terms.products.values() if _called(p, known[name])) for name in near)
        guess = f"did you mean {' or '.join(skus)}? " if skus else ""
        raise InvalidInput(
            field, value.strip()[:80], f"there is no such product; {guess}list them: gettone catalogue show products"
        )
    return found


def _called(product_: Product, name: str) -> bool:
    return name in {product_.sku, product_.name, *product_.aliases}


def _licence(value: str, terms: Terms, field: str) -> tuple[str, str]:
    name, *off = value.split(SEPARATOR)
    sku = product(name, terms, field=field).sku
    plans = terms.plans_of.get(sku, {})
    by_name = {known.lower(): plan for plan, plan_id in plans.items() for known in (plan, plan_id)}
    switched_off: set[str] = set()
    for one in off:
        plan = by_name.get(one.strip().lower())
        if plan is None:
            raise InvalidInput(
                field, value[:80], f"{sku} has no service plan {one.strip()!r}; it has {', '.join(sorted(plans))}"
            )
        switched_off.add(plan)
    return sku, SEPARATOR.join([sku, *sorted(switched_off)])


def digits(field: str, value: str) -> str:
    """The digits of an E.164 number with its plus."""
    try:
        return parse_e164(value.strip())
    except NumberError as error:
        raise InvalidInput(field, value[:80], _remedy(error)) from None


def number_use(value: str) -> str:
    """What a number rings."""
    if value not in {use.value for use in NumberUse}:
        raise InvalidInput("use", value[:80], f"write one of {', '.join(use.value for use in NumberUse)}")
    return value


def number_source(value: str) -> str:
    """Where a number comes from."""
    if value not in {source.value for source in NumberSource}:
        raise InvalidInput("source", value, f"write one of {', '.join(source.value for source in NumberSource)}")
    return value


def quantity(value: int, *, field: str = "quantity") -> int:
    """How many licences are ordered."""
    if not 1 <= value <= QUANTITY_MAX:
        raise InvalidInput(field, value, f"write a whole number from 1 to {QUANTITY_MAX:,}")
    return value


def reference(value: str) -> str:
    """The name of a booking, under which it is done once."""
    return text("reference", value)


def instant(field: str, value: datetime) -> datetime:
    """An instant that says where on earth its clock stands."""
    if value.tzinfo is None:
        raise InvalidInput(
            field, value.isoformat(), "write the time with its offset, such as 2026-01-31T00:00:00+00:00"
        )
    return value


def amount(micros: int) -> int:
    """An amount that a booking may move, in either direction."""
    if micros == 0 or abs(micros) > AMOUNT_MAX:
        raise InvalidInput("amount_micros", micros, f"write an amount other than zero, at most {AMOUNT_MAX} in size")
    return micros


def _remedy(error: Exception) -> str:
    """The domain's own sentence, without the field and value before it."""
    return _NAMED_VALUE.sub("", str(error))
