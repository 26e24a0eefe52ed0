"""``$filter`` and ``$search`` of users: conditions joined by ``and``, each compared without regard to letter case.

Who is asked for by id is looked up, which regards it: by the id as it is written, then in small letters.

    userPrincipalName eq 'anna@contoso.com'          and of id, displayName, department, usageLocation
    usageLocation eq null                            not set
    startswith(displayName,'An')
    assignedLicenses/any(x:x/skuId eq 47794cd0-f0e5-45c5-9033-2eb6b5fc84e0)

A quotation mark within a text is doubled, as everywhere in OData.
"""

import enum
import re

import msgspec

from gettone.errors import InvalidInput
from gettone.operations.views import UserView

GUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
LENGTH_MAX = 2000

FIELDS = {
    "id": "user_id",
    "userprincipalname": "upn",
    "displayname": "display_name",
    "department": "department",
    "usagelocation": "usage_location",
}
"""What can be asked about, in small letters, and where a `UserView` has it."""

_TEXT = r"'((?:[^']|'')*)'"
_EQUALS = re.compile(rf"(\w+)\s+eq\s+(?:{_TEXT}|(null))", re.IGNORECASE)
_STARTS = re.compile(rf"startswith\(\s*(\w+)\s*,\s*{_TEXT}\s*\)", re.IGNORECASE)
_HOLDS = re.compile(
    rf"assignedLicenses/any\(\s*(\w+)\s*:\s*\1/skuId\s+eq\s+'?({GUID.pattern})'?\s*\)",
    re.IGNORECASE,
)
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_REMEDY = (
    "conditions are: PROPERTY eq 'TEXT', PROPERTY eq null, startswith(PROPERTY,'TEXT') with the properties id, "
    "userPrincipalName, displayName, department, usageLocation; assignedLicenses/any(x:x/skuId eq GUID); joined by and"
)


class Asks(enum.Enum):
    """What a condition compares."""

    EQUALS = "equals"
    STARTS = "starts"
    CONTAINS = "contains"
    HOLDS = "holds"


class Condition(msgspec.Struct, frozen=True):
    """One condition; one of *fields* of a `UserView` must meet it; *text* is in small letters, or a product's id.

    *written* is the text as the client wrote it.
    """

    asks: Asks
    fields: tuple[str, ...]
    text: str
    written: str = ""

    def met_by(self, user: UserView) -> bool:
        """Whether *user* is one of those; who holds a product is asked of storage instead."""
        if self.asks is Asks.HOLDS:
            return True
        texts = [str(getattr(user, field)).lower() for field in self.fields]
        match self.asks:
            case Asks.EQUALS:
                return self.text in texts
            case Asks.STARTS:
                return any(text.startswith(self.text) for text in texts)
            case _:
                return any(self.text in text for text in texts)


def read_filter(text: str) -> tuple[Condition, ...]:
    """The conditions of ``$filter``. Raises `InvalidInput` for anything that is not understood."""
    if not text.strip():
        return ()
    if len(text) > LENGTH_MAX:
        raise InvalidInput("$filter", text[:80], f"write at most {LENGTH_MAX} signs")
    rest, found = text.strip(), []
    while True:
        condition, end = _condition(rest, text)
        found.append(condition)
        rest = rest[end:]
        if not rest:
            break
        joined = _AND.match(rest)
        if joined is None:
            raise InvalidInput("$filter", text[:80], _REMEDY)
        rest = rest[joined.end() :]
    if sum(condition.asks is Asks.HOLDS for condition in found) > 1:
        raise InvalidInput("$filter", text[:80], "ask for one product at a time")
    return tuple(found)


def read_search(text: str) -> tuple[Condition, ...]:
    """The condition of ``$search``: ``"anna"``, or of one property ``"displayName:anna"``. Raises `InvalidInput`."""
    asked = text.strip()
    if len(asked) >= 2 and asked.startswith('"') and asked.endswith('"'):
        asked = asked[1:-1]
    if not asked:
        return ()
    name, colon, part = asked.partition(":")
    fields = (FIELDS[name.strip().lower()],) if colon and name.strip().lower() in FIELDS else ()
    if (colon and not fields) or '"' in asked:
        remedy = 'write "TEXT" or "PROPERTY:TEXT" with one of id, userPrincipalName, displayName, department'
        raise InvalidInput("$search", text[:80], remedy)
    wanted = part if colon else asked
    return (Condition(Asks.CONTAINS, fields or ("user_id", "upn", "display_name"), wanted.strip().lower()),)


def _condition(rest: str, whole: str) -> tuple[Condition, int]:
    """The condition that *rest* begins with, and where it ends."""
    if found := _EQUALS.match(rest):
        return _compared(Asks.EQUALS, found, whole)
    if found := _STARTS.match(rest):
        return _compared(Asks.STARTS, found, whole)
    if found := _HOLDS.match(rest):
        return Condition(Asks.HOLDS, (), found[2].lower()), found.end()
    raise InvalidInput("$filter", whole[:80], _REMEDY)


def _compared(asks: Asks, found: re.Match[str], whole: str) -> tuple[Condition, int]:
    written = (found[2] or "").replace("''", "'")
    return Condition(asks, _field(found[1], whole), written.lower(), written), found.end()


def _field(name: str, whole: str) -> tuple[str]:
    field = FIELDS.get(name.lower())
    if field is None:
        raise InvalidInput("$filter", whole[:80], f"users cannot be asked for by {name[:40]!r}; {_REMEDY}")
    return (field,)
