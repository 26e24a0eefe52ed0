"""Telephone numbers: E.164 digits, and the compiled table that tells country and kind (D4).

Invariants:

- Inside, a number is its E.164 digits without the plus sign: 6 to 15 ASCII digits, the first not 0 (ITU-T E.164).
- ``NumberPlan`` holds every number of 6 to 15 digits in exactly one interval. Numbers of one length lie together:
  the key of a number is ``len(digits) * 10**15 + int(digits)``, so a leading zero of the national part counts.
- Country and kind are what libphonenumber's ``region_code_for_number`` and ``number_type`` say of the same number.

What no pattern matches: the kind is ``UNKNOWN``; the country is the region when one region alone has the calling
code (so it can still be rated by country), ``"001"`` for a code of no country, and ``""`` when several regions share
the code or when nobody has it, because guessing one of them would charge another country's price.
"""

import enum
from array import array
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

DIGITS_MIN: Final = 6
DIGITS_MAX: Final = 15
NON_GEOGRAPHIC: Final = "001"

_KEY_BASE: Final = 10**DIGITS_MAX
_DROP_SEPARATORS: Final = str.maketrans("", "", " -.()")


class NumberError(ValueError):
    """The text is not a telephone number, or not one that can be told apart."""


class Kind(enum.IntEnum):
    """What sort of service answers at a number, as libphonenumber's ``PhoneNumberType`` tells them apart."""

    UNKNOWN = 0
    FIXED = 1
    MOBILE = 2
    FIXED_OR_MOBILE = 3
    TOLL_FREE = 4
    PREMIUM = 5
    SHARED_COST = 6
    VOIP = 7
    PERSONAL = 8
    PAGER = 9
    UAN = 10
    VOICEMAIL = 11

    @property
    def label(self) -> str:
        """The word for rate files and people: ``"fixed-or-mobile"``."""
        return self.name.lower().replace("_", "-")

    @classmethod
    def from_label(cls, label: str) -> Self:
        """Return the kind that *label* names; raise :class:`NumberError` with the labels there are."""
        for kind in cls:
            if kind.label == label:
                return kind
        raise NumberError(f"kind {label!r} is not known: write one of {', '.join(kind.label for kind in cls)}")


@dataclass(frozen=True, slots=True)
class Number:
    """A number with its country (ISO 3166-1 alpha-2, ``"001"`` for none, ``""`` for unknown) and kind."""

    digits: str
    country: str
    kind: Kind

    @property
    def e164(self) -> str:
        """The number as it is written: ``+`` and the digits."""
        return "+" + self.digits


def parse_e164(text: str) -> str:
    """Return the digits of an international number such as ``"+39 06 1234567"``.

    Spaces, hyphens, dots and parentheses after the plus sign are dropped. Raises :class:`NumberError` for anything
    but a plus sign and 6 to 15 digits that do not begin with 0.
    """
    digits = text[1:]
    if text[:1] == "+" and digits.isascii() and digits.isdigit() and _is_full(digits):
        return digits
    shown = repr(text if len(text) <= 40 else text[:37] + "...")
    if not text.startswith("+"):
        # A plus sign that was not escaped in a web address arrives as a space.
        escape = " (in a web address the plus sign is written %2B)" if text.startswith(" ") else ""
        raise NumberError(
            f"number {shown} does not begin with '+': write the country code first, such as +390612345678{escape}"
        )
    digits = digits.translate(_DROP_SEPARATORS)
    if not (digits.isascii() and digits.isdigit()):
        raise NumberError(f"number {shown} has other signs than digits: write '+' and digits, such as +390612345678")
    if digits.startswith("0"):
        raise NumberError(f"number {shown} begins with 0 after the '+': write the country code, without any 00 before")
    if not DIGITS_MIN <= len(digits) <= DIGITS_MAX:
        raise NumberError(
            f"number {shown} has {len(digits)} digits: a full number with its country code "
            f"has {DIGITS_MIN} to {DIGITS_MAX}"
        )
    return digits


def _is_full(digits: str) -> bool:
    return DIGITS_MIN <= len(digits) <= DIGITS_MAX and digits[0] != "0"


def number_key(digits: str) -> int:
    """Return the place of a number in the order of ``NumberPlan``: shorter first, then by value."""
    return len(digits) * _KEY_BASE + int(digits)


@dataclass(frozen=True, slots=True, eq=False)
class NumberPlan:
    """All numbers of the world as intervals: one binary search tells country and kind.

    ``starts`` (ascending keys, see ``number_key``) and ``codes`` run in parallel: from ``starts[i]`` up to, but not
    including, ``starts[i + 1]`` every number is of class ``classes[codes[i]]``. They are open for a vectorised search
    elsewhere and must not be changed.
    """

    starts: "array[int]"
    codes: "array[int]"
    classes: tuple[tuple[str, Kind], ...]

    def __post_init__(self) -> None:
        assert len(self.starts) == len(self.codes), "starts and codes must run in parallel"
        assert self.starts, "a plan has at least one interval"
        assert self.starts[0] == 0, "the first interval must begin at key 0, or a lookup could miss"

    def lookup(self, digits: str) -> Number:
        """Return the number with its country and kind; *digits* are as ``parse_e164`` returns them."""
        country, kind = self.classes[self.codes[bisect_right(self.starts, len(digits) * _KEY_BASE + int(digits)) - 1]]
        return Number(digits, country, kind)


@dataclass(frozen=True, slots=True)
class EmergencyNumbers:
    """What people dial for help, by country: these calls are always free and always allowed (D5)."""

    by_country: Mapping[str, frozenset[str]]

    def is_emergency(self, dialled: str, country: str) -> bool:
        """Tell whether *dialled* calls for help in *country*, where the caller is.

        A plus sign before the digits is ignored: switches write one before everything, and no emergency number with
        a plus is any country's full number.
        """
        return dialled.removeprefix("+").translate(_DROP_SEPARATORS) in self.by_country.get(country, frozenset())
