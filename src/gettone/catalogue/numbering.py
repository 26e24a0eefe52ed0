"""The world's numbering plan and emergency numbers as shipped data, and dial strings made into E.164.

``data/numbering.bin`` is made by ``compile_numbering`` and holds one zlib stream: a line of JSON (format, version of
libphonenumber, number of intervals, classes, emergency numbers), the distances between the interval starts as
little-endian 64-bit integers, and the class codes as little-endian 16-bit integers.

libphonenumber itself is slow to import and to ask, so it is imported only when a dial string must be understood.
"""

import json
import sys
import zlib
from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from itertools import accumulate, pairwise
from typing import Final

from gettone.domain.numbers import EmergencyNumbers, Kind, NumberError, NumberPlan, parse_e164

FORMAT: Final = 1

_START_BYTES: Final = 8
_CODE_BYTES: Final = 2
_SEPARATORS: Final = str.maketrans("", "", " -.()/")


@dataclass(frozen=True, slots=True)
class Numbering:
    """What ``numbering.bin`` holds; ``version`` is that of the libphonenumber it was made from."""

    version: str
    plan: NumberPlan
    emergency: EmergencyNumbers


def number_plan() -> NumberPlan:
    """Return the packaged plan; it is read once per process."""
    return numbering().plan


def emergency_numbers() -> EmergencyNumbers:
    """Return the packaged emergency numbers of every country; they are read once per process."""
    return numbering().emergency


@cache
def numbering() -> Numbering:
    """Return the packaged data with the version it was made from; it is read once per process."""
    return unpack((files("gettone.catalogue") / "data" / "numbering.bin").read_bytes())


def pack(made: Numbering) -> bytes:
    """Write the data as the bytes of ``numbering.bin``."""
    head = {
        "format": FORMAT,
        "phonenumbers": made.version,
        "intervals": len(made.plan.starts),
        "classes": made.plan.classes,
        "emergency": {country: sorted(dials) for country, dials in sorted(made.emergency.by_country.items())},
    }
    distances = (later - earlier for earlier, later in pairwise([0, *made.plan.starts]))
    line = json.dumps(head, separators=(",", ":")).encode("ascii")
    return zlib.compress(b"\n".join((line, _to_bytes("q", distances) + _to_bytes("H", made.plan.codes))), 9)


def unpack(packed: bytes) -> Numbering:
    """Read the bytes of ``numbering.bin``, the inverse of ``pack``."""
    line, _, body = zlib.decompress(packed).partition(b"\n")
    head = json.loads(line)
    assert head["format"] == FORMAT, f"numbering.bin has format {head['format']}: compile it again"
    middle = head["intervals"] * _START_BYTES
    assert len(body) == middle + head["intervals"] * _CODE_BYTES, "numbering.bin is cut short: compile it again"
    plan = NumberPlan(
        starts=array("q", accumulate(_from_bytes("q", body[:middle]))),
        codes=_from_bytes("H", body[middle:]),
        classes=tuple((country, Kind(kind)) for country, kind in head["classes"]),
    )
    by_country = {country: frozenset(dials) for country, dials in head["emergency"].items()}
    return Numbering(head["phonenumbers"], plan, EmergencyNumbers(by_country))


def _to_bytes(typecode: str, values: Iterable[int]) -> bytes:
    made = array(typecode, values)
    if sys.byteorder == "big":
        made.byteswap()
    return made.tobytes()


def _from_bytes(typecode: str, raw: bytes) -> "array[int]":
    made = array(typecode)
    made.frombytes(raw)
    if sys.byteorder == "big":
        made.byteswap()
    return made


@lru_cache(maxsize=65_536)
def dialled_to_e164(dialled: str, country: str) -> str:
    """Return the E.164 digits that a switch in *country* (ISO 3166-1 alpha-2) reaches by dialling *dialled*.

    Understood are the international form with ``+``, the country's own international prefix (``00``, ``011``, ...),
    its national form with or without trunk prefix, and ``00`` from anywhere when the country's own plan has no such
    number, because switches often write it so. Raises :class:`NumberError` for everything else: service codes, short
    numbers, local numbers without their area code, and texts that are no numbers.
    """
    dial = dialled.translate(_SEPARATORS)
    digits = dial.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        raise NumberError(f"dialled number {dialled[:40]!r} has other signs than digits: give the digits dialled")
    made = _parse_dialled(dial, country)
    if made is None and dial.startswith("00"):
        made = _parse_dialled("+" + dial[2:], country)
    if made is None:
        raise NumberError(
            f"dialled number {dialled[:40]!r} is no full number as seen from {country}: "
            "give it with '+' and country code, or with its area code"
        )
    return parse_e164(made)


def _parse_dialled(dial: str, country: str) -> str | None:
    """Return the number in E.164 form when libphonenumber finds its length possible for its country."""
    import phonenumbers  # noqa: PLC0415  Takes as long to import as all the rest: only those who need it wait.

    if country not in phonenumbers.SUPPORTED_REGIONS:
        raise NumberError(f"country {country!r} is not known: write an ISO 3166-1 code in capitals, such as 'IT'")
    try:
        number = phonenumbers.parse(dial, country)
    except phonenumbers.NumberParseException:
        return None
    # A length that is only possible locally would make a false number: the area code is missing.
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
