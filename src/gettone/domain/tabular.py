"""Read tables as people save them: encoding, delimiter, decimal comma, lines with their numbers.

Rules: a byte order mark decides (UTF-8, UTF-16); without one the bytes are UTF-8 or, if they cannot be, Windows-1252,
which is what spreadsheets still write. The delimiter is the sign, of comma, semicolon and tab, found most often outside
quotes in the first line that has any text. A comma is a decimal sign only where the semicolon is the delimiter, because
that is how spreadsheets of those countries save, and anywhere else it would be a guess.
"""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

_DELIMITERS = ",;\t"
_QUOTED = re.compile(r'"[^"]*"')
_NUMBER = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,20})?")


class TableError(ValueError):
    """The bytes are not a table of text; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a table was saved: the encoding's name and the sign between its columns."""

    encoding: str
    delimiter: str

    @property
    def decimal_comma(self) -> bool:
        """Say whether ``0,05`` may stand for 0.05 (then `str.replace` makes it so; thousands are never grouped)."""
        return self.delimiter == ";"


@dataclass(frozen=True, slots=True)
class Line:
    """One record: the number of the line on which it begins, its cells, and what is wrong with it, if anything is."""

    number: int
    cells: tuple[str, ...]
    problem: str = ""


def decode_csv(data: bytes) -> tuple[str, Dialect]:
    """Return the text of *data* without byte order mark, and how it was saved.

    Raises:
        TableError: the bytes are cut within a character, or are not text.
    """
    encoding = _encoding(data)
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TableError(
            f"byte {error.start + 1} of {len(data)} is not {encoding} text: the file is damaged or cut; "
            "save it again as UTF-8"
        ) from None
    if "\0" in text:
        raise TableError("the file holds zero bytes: it is not text, or UTF-16 without its mark; save it as UTF-8")
    return text, Dialect(encoding, find_delimiter(text))


def _encoding(data: bytes) -> str:
    if data.startswith(codecs.BOM_UTF8):
        return "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    try:
        data.decode()
    except UnicodeDecodeError as error:
        # A last character that is only begun is a file cut short, not another encoding.
        return "utf-8" if error.reason == "unexpected end of data" else "cp1252"
    return "utf-8"


def find_delimiter(text: str) -> str:
    """Return the delimiter of *text*; a comma when its first line has one column."""
    first = next((line for line in io.StringIO(text, newline="") if line.strip()), "")
    bare = _QUOTED.sub("", first)
    return max(_DELIMITERS, key=bare.count)


def read_lines(text: str, delimiter: str) -> Iterator[Line]:
    """Yield the records of *text* that are not blank; one that breaks the rules of quoting has a ``problem``."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    while True:
        number = reader.line_num + 1
        try:
            cells = tuple(next(reader))
        except StopIteration:
            return
        except csv.Error as error:
            yield Line(number, (), f"{error}: close every quote, and double a quote within quotes")
        else:
            if any(cell.strip() for cell in cells):
                yield Line(number, cells)


def parse_decimal(text: str) -> Decimal:
    """Read a plain number such as ``0.05``, exactly.

    Raises:
        ValueError: anything else: signs of thousands, exponents, currency signs.
    """
    if _NUMBER.fullmatch(text.strip()) is None:
        raise ValueError("is not a plain number; write digits and a decimal point, such as 0.05")
    return Decimal(text.strip())
