"""Single fields of call records: durations, telephone numbers, charges, currencies, call types.

Every function takes the text a switch wrote and returns a value, or raises ``Reject`` with a reason that names
field, value and remedy. None of them ever makes a float.
"""

import re
from decimal import Context, Decimal
from functools import lru_cache
from urllib.parse import unquote

from gettone.agents.cdr.records import SECONDS_MAX, Reject, shown

_REMEMBERED = 8192
"""Durations, amounts and codes repeat from line to line; remembering them saves a third of the reading time."""

CALL_DIRECTIONS = {
    # PSTN rows of the usage export; source: Teams PSTN usage report, Italian edition of 2023-01-25.
    "user_in": "in",
    "user_out": "out",
    "user_out_conf": "out",
    "user_out_transfer": "out",
    "user_out_forwarding": "out",
    "conf_in": "in",
    "conf_out": "out",
    "unassigned_in": "in",
    "ucap_in": "in",
    "ucap_out": "out",
    # Direct Routing rows; same source.
    "dr_in": "in",
    "dr_out": "out",
    "dr_out_user_conf": "out",
    "dr_out_user_forwarding": "out",
    "dr_out_user_transfer": "out",
    "dr_emergency_out": "out",
    "dr_unassigned_in": "in",
    "dr_in_bot": "in",
    "dr_out_bot": "out",
    # Operator Connect; source: GitHub issue OfficeDocs-SkypeForBusiness 10439 (2023-10), undocumented.
    "oc_user_in": "in",
    "oc_user_out": "out",
    "oc_user_out_conf": "out",
    "oc_fmc_in": "in",
    "oc_fmc_out": "out",
}
_OLDER_NAMES = {"dr_in_ucap": "dr_in_bot", "dr_out_ucap": "dr_out_bot"}

_WITHHELD = frozenset({"anonymous", "unknown", "restricted", "unavailable", "private", "withheld", "<unknown>"})
_URI = re.compile(r"(sips?|tels?):(.*)", re.IGNORECASE | re.DOTALL)
_SPREADSHEET_NUMBER = re.compile(r"\+?\d(?:[.,]\d+)?e\+\d+", re.IGNORECASE | re.ASCII)
_SECONDS = re.compile(r"(\d{1,12})(?:[.,]\d{1,12})?", re.ASCII)
_CHARGE = re.compile(r"\d{1,15}(?:\.\d{1,30})?(?:[eE][+-]?[0-2]?\d)?", re.ASCII)
_GROUPED = re.compile(r"[1-9]\d{0,2},\d{3}", re.ASCII)
_EXACT = Context(prec=100)  # More digits than two amounts of _CHARGE can need.
_CURRENCY = re.compile(r"[A-Za-z]{3}", re.ASCII)


@lru_cache(_REMEMBERED)
def seconds(field: str, text: str) -> int:
    """Read a duration in whole seconds; a fraction is dropped."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        if text.startswith("-"):
            raise Reject(f"{field}: {shown(text)} is negative; correct the duration")
        raise Reject(f"{field}: {shown(text)} is not a number of seconds; write whole seconds")
    value = int(match[1])
    if value > SECONDS_MAX:
        raise Reject(f"{field}: {shown(text)} is longer than 7 days ({SECONDS_MAX} s); correct the duration")
    return value


def _is_plain(text: str) -> bool:
    return text.removeprefix("+").isdigit() and text.isascii()


def phone_number(text: str) -> str:
    """Take the number out of a SIP or tel URI, a display name or quotes; everything else stays as dialled."""
    if _is_plain(text):
        return text
    text = text.strip().strip("\"'").strip()
    if text.endswith(">") and "<" in text and text.lower() not in _WITHHELD:
        text = text[text.rindex("<") + 1 : -1].strip()
    if match := _URI.fullmatch(text):
        host_first = match[1].lower().startswith("sip") and "@" not in match[2]
        text = "" if host_first else unquote(match[2].split("@", 1)[0].split(";", 1)[0]).strip()
    if _SPREADSHEET_NUMBER.fullmatch(text):
        raise Reject(f"number: {shown(text)} was rewritten by a spreadsheet; take the file as the switch wrote it")
    return text


def caller_number(text: str) -> str:
    """Read the calling number; empty when the caller withheld it."""
    if _is_plain(text):
        return text
    number = phone_number(text)
    return "" if number.lower() in _WITHHELD else number


def dialled(field: str, text: str, *, answered: bool) -> str:
    """Read the called number, without which an answered call cannot be rated."""
    if _is_plain(text):
        return text
    number = phone_number(text)
    if answered and not number:
        raise Reject(f"{field}: {shown(text)} holds no number; an answered call needs the number that was dialled")
    return number


@lru_cache(_REMEMBERED)
def charge(field: str, text: str, *, decimal_comma: bool) -> str | None:
    """Read an amount as plain decimal text, exactly as written; None when empty.

    Args:
        field: Its name, for the reason.
        text: The amount.
        decimal_comma: Whether the file's habit is the decimal comma (it is separated by semicolons).
    """
    if not text:
        return None
    plain = text.replace("\u00a0", "").replace(" ", "")
    if "," in plain:
        if "." in plain:
            thousands = "," if plain.rindex(".") > plain.rindex(",") else "."
            plain = plain.replace(thousands, "").replace(",", ".")
        elif _GROUPED.fullmatch(plain) and not decimal_comma:
            raise Reject(f"{field}: {shown(text)} may be thousands or a fraction; write it with a decimal point")
        else:
            plain = plain.replace(",", ".")
    if not _CHARGE.fullmatch(plain):
        raise Reject(f"{field}: {shown(text)} is not an amount of zero or more; write it like 0.0125")
    return f"{Decimal(plain):f}"


@lru_cache(_REMEMBERED)
def total_charge(charge_text: str | None, connection_text: str | None) -> str | None:
    """Add the connection charge to the charge, exactly; None when the source says neither."""
    if charge_text is None or connection_text is None:
        return charge_text if connection_text is None else connection_text
    return f"{_EXACT.add(Decimal(charge_text), Decimal(connection_text)):f}"


@lru_cache(_REMEMBERED)
def currency(field: str, text: str, reported_charge: str | None) -> str | None:
    """Read an ISO 4217 code; required beside a charge."""
    if not text and reported_charge is None:
        return None
    if not _CURRENCY.fullmatch(text):
        raise Reject(f"{field}: {shown(text)} is not an ISO 4217 code; write three letters such as USD")
    return text.upper()


@lru_cache(_REMEMBERED)
def call_type(field: str, text: str) -> str | None:
    """Read a word of the usage export; None when empty."""
    if not text:
        return None
    word = text.strip().lower()
    word = _OLDER_NAMES.get(word, word)
    if word not in CALL_DIRECTIONS:
        raise Reject(f"{field}: {shown(text)} is no known call type; see docs/reference/call-record-formats.md")
    return word
