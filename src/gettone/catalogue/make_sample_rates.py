"""Make ``data/sample_world_rates.csv``: ``python -m gettone.catalogue.make_sample_rates``.

The prices are **illustrative**: ours, made up by the rules below, and nobody's offer. They are in USD and shaped like
real ones: cheap fixed lines, dearer mobiles in much of the world, premium numbers dearest, every country a little
different. The same libphonenumber metadata gives the same file.
"""

import csv
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import phonenumbers
from phonenumbers.geodata.locale import LOCALE_DATA

from gettone.domain.numbers import Kind

TARGET: Final = Path(__file__).parent / "data" / "sample_world_rates.csv"

COLUMNS: Final = (
    "prefix", "country", "kind", "service", "destination", "price", "connection_charge", "increments", "steps",
    "days", "hours", "zone", "minimum_charge", "maximum_charge", "maximum_action", "rounding", "currency",
    "effective_from",
)  # fmt: skip

Row = dict[str, str]

# Ten-thousandths of a dollar per minute to a fixed line, by the first digit of the calling code; and how many tenths
# of that a mobile costs.
ZONES: Final = {"1": (1600, 11), "2": (1800, 13), "3": (240, 35), "4": (220, 35), "5": (700, 18), "6": (900, 14),
                "7": (500, 20), "8": (500, 14), "9": (1100, 14)}  # fmt: skip
CHEAP: Final = {
    "US": 100,
    "CA": 100,
    "PR": 130,
    "GB": 120,
    "DE": 120,
    "FR": 120,
    "IT": 130,
    "ES": 130,
    "CN": 150,
    "IN": 160,
}
NAMES: Final = {"AC": "Ascension Island", "TA": "Tristan da Cunha", "XK": "Kosovo"}

# Prefixes with a price of their own, in ten-thousandths a minute.
PREFIXES: Final = (
    ("1808", "United States, Hawaii", 200),
    ("1907", "United States, Alaska", 480),
    ("331", "France, Paris", 90),
    ("3902", "Italy, Milan", 110),
    ("3906", "Italy, Rome", 110),
    ("4420", "United Kingdom, London", 90),
    ("4930", "Germany, Berlin", 95),
    ("870", "Satellite, Inmarsat", 69000),
    ("8816", "Satellite, Iridium", 59000),
    ("88213", "Maritime and aircraft networks", 49000),
)

# Fixed lines with a day price: country, zone of the clock, local day of the year at the night price.
BANDED: Final = (("AU", "Australia/Sydney", "12-25"), ("GB", "Europe/London", "12-25"), ("JP", "Asia/Tokyo", "01-01"))


def sample_rows() -> Iterator[Row]:
    """Yield the rows, in the order of the countries' codes."""
    for prefix, destination, price in PREFIXES:
        yield _row(destination, price, prefix=prefix, increments="60/60" if price > 9999 else "30/6")
    yield _row("International networks", 8000, country="001")
    yield _row("International freephone (UIFN), inbound", 1200, country="001", kind=Kind.TOLL_FREE.label)
    for country in sorted(phonenumbers.SUPPORTED_REGIONS):
        yield from _country_rows(country)


def _country_rows(country: str) -> Iterator[Row]:
    name = _name(country)
    base, mobile_tenths = _base_price(country)
    kinds = phonenumbers.supported_types_for_region(country)
    if banded := next((entry for entry in BANDED if entry[0] == country), None):
        yield from _banded_rows(name, base, *banded)
    else:
        yield _row(f"{name}, fixed", base, country=country, kind=Kind.FIXED.label)
    yield _row(f"{name}, mobile", base * mobile_tenths // 10, country=country, kind=Kind.MOBILE.label)
    yield _row(f"{name}, toll-free inbound", base * 2 + 150, country=country, kind=Kind.TOLL_FREE.label)
    if phonenumbers.PhoneNumberType.PREMIUM_RATE in kinds:
        yield _row(
            f"{name}, premium", base * 5 + 5000, country=country, kind=Kind.PREMIUM.label,
            connection_charge="0.10", maximum_charge="60", maximum_action="disconnect",
        )  # fmt: skip
    if phonenumbers.PhoneNumberType.SHARED_COST in kinds:
        yield _row(
            f"{name}, shared cost", base * 3 + 400, country=country, kind=Kind.SHARED_COST.label,
            increments="60/1", steps=f"600:{_dollars(base * 2 + 400)}",
        )  # fmt: skip
    yield _row(f"{name}, other numbers", base * 2, country=country)
    yield _row(f"{name}, SMS", 150 + base // 4, country=country, service="sms", increments="")


def _banded_rows(name: str, base: int, country: str, zone: str, holiday: str) -> Iterator[Row]:
    by_night = {"country": country, "kind": Kind.FIXED.label, "zone": zone}
    destination = f"{name}, fixed"
    yield _row(destination, base * 3 // 2, days="Mon-Fri", hours="08:00-19:00", **by_night)
    yield _row(destination, base, days="Mon-Fri", hours="00:00-08:00", **by_night)
    yield _row(destination, base, days="Mon-Fri", hours="19:00-24:00", **by_night)
    yield _row(destination, base, days="Sat,Sun", **by_night)
    yield _row(destination, base, days=holiday, **by_night)


def _name(country: str) -> str:
    if country in NAMES:
        return NAMES[country]
    names = LOCALE_DATA[country]
    # A name that is the same in another language is kept there: "*fr" means what French has.
    return str(names[names["en"][1:]] if names["en"].startswith("*") else names["en"])


def _base_price(country: str) -> tuple[int, int]:
    """Return the price to a fixed line, and the tenths of it to a mobile, 75 to 125 % of what is usual there."""
    base, mobile_tenths = ZONES[str(phonenumbers.country_code_for_region(country))[0]]
    if country in CHEAP:
        base = CHEAP[country]
        mobile_tenths = 10 if country in {"US", "CA", "PR"} else mobile_tenths
        return base, mobile_tenths
    return base * (75 + zlib.crc32(country.encode()) % 51) // 100, mobile_tenths


def _row(destination: str, price: int, **cells: str) -> Row:
    common = {"increments": "60/60", "currency": "USD", "effective_from": "2020-01-01"}
    return {**common, "destination": f"{destination} (illustrative)", "price": _dollars(price), **cells}


def _dollars(ten_thousandths: int) -> str:
    return f"{ten_thousandths // 10_000}.{ten_thousandths % 10_000:04d}"


def sample_csv() -> str:
    """Return the sample deck as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(sample_rows())
    return text.getvalue()


def main() -> None:
    """Write the file."""
    TARGET.write_text(sample_csv(), encoding="utf-8")


if __name__ == "__main__":
    main()
