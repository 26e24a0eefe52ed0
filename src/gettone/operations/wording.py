"""What notices are told with: the texts of a language, and facts put into its words.

The texts are data, a TOML file for each language in ``gettone/messages``; whoever adds a kind of notice adds it there
in every language. Amounts, dates and numbers are written the language's way (Babel, which has them from the Unicode
CLDR): amounts with the ISO 4217 code behind them, exact to the micro, times in the organisation's time zone.

Everything can be said: a fact that is missing is a question mark, and one that is not what it should be stands as it
is. A notice that cannot be shown would help nobody.
"""

import tomllib
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

import msgspec
from babel.dates import format_date, format_datetime
from babel.numbers import format_decimal

from gettone.domain.money import CURRENCY_DIGITS, DECIMALS_MAX, MICROS
from gettone.domain.policies import ORGANISATION
from gettone.domain.refusals import Refusal
from gettone.operations.billing import LANGUAGES
from gettone.operations.views import NoticeView

ENGLISH = "en"
FOLDER = "messages"


class KindWords(msgspec.Struct, frozen=True):
    """The texts of one kind of notice: its sentence, and of its mail the subject, more paragraphs, what to do next."""

    sentence: str
    subject: str
    text: tuple[str, ...]
    do: str


class Formats(msgspec.Struct, frozen=True):
    """Patterns of dates and numbers (CLDR)."""

    date: str
    time: str
    month: str
    number: str


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything that is said in one language, as its file has it.

    *subjects* are by kind of subject: by itself, and as whose something is. *reasons*, *refusals*, *caps*, *stages* and
    *by* put facts of that name into words.
    """

    locale: str
    formats: Formats
    subjects: dict[str, tuple[str, str]]
    words: dict[str, str]
    caps: dict[str, str]
    stages: dict[str, str]
    by: dict[str, str]
    reasons: dict[str, str]
    refusals: dict[str, str]
    mail: dict[str, str]
    kinds: dict[str, KindWords]


@cache
def wording(language: str) -> Wording:
    """The texts of a *language*; of English for one that is not there."""
    name = language if language in LANGUAGES else ENGLISH
    return msgspec.convert(tomllib.loads(message_file(f"{name}.toml")), Wording)


def message_file(name: str) -> str:
    """The content of a file of ``gettone/messages``."""
    return (files("gettone") / FOLDER / name).read_text(encoding="utf-8")


class Facts(dict[str, str]):
    """Facts by name; one that is not there is a question mark."""

    def __missing__(self, name: str) -> str:
        return "?"


def subject_words(subject: str, words: Wording, name: str = "") -> tuple[str, str]:
    """Whom something is about, for people, by itself and as whose something is: *department Sales*.

    *name* stands in place of the id, where somebody has looked it up.
    """
    kind, _, key = ("organisation", "", "") if subject == ORGANISATION else subject.partition("/")
    plain, of = words.subjects.get(kind, words.subjects["other"])
    facts = {"kind": kind.replace("_", " "), "name": name or key}
    return plain.format_map(facts), of.format_map(facts)


class Teller:
    """Puts the facts of one notice into the words of a language, for an organisation's currency and time zone."""

    def __init__(self, told: NoticeView, currency: str, language: str, zone: str, name: str = "") -> None:
        """Tell of *told*; *name* is what its subject is called, when that is not its id."""
        self.words = wording(language)
        self.currency = currency
        self.zone = ZoneInfo(zone)
        self._told = told
        who, of_who = subject_words(told.subject, self.words, name)
        facts = {"until": self.words.words["until_unblocked"]}
        facts.update((name, self._in_words(name, value)) for name, value in told.facts.items())
        self.facts = Facts({**facts, "who": who, "of_who": of_who})

    @property
    def texts(self) -> KindWords:
        """The texts of the notice's kind; of a kind that a newer version wrote, one that lists its facts."""
        found = self.words.kinds.get(self._told.kind)
        if found is not None:
            return found
        listed = ", ".join(f"{name} {value}" for name, value in self._told.facts.items())
        said = self.words.words["unknown_kind"].format(
            kind=self._told.kind, of_who=self.facts["of_who"], facts=listed or "?"
        )
        # Braces of facts are no placeholders.
        return KindWords(said.replace("{", "{{").replace("}", "}}"), self._told.kind, (), "")

    def say(self, template: str) -> str:
        """One of the texts with the notice's facts; a known kind's begins with a capital letter."""
        text = template.format_map(self.facts)
        return text[:1].upper() + text[1:] if self._told.kind in self.words.kinds else text

    def _in_words(self, name: str, value: str) -> str:
        if name == "limit" and self._told.facts.get("refusal") in COUNTED_LIMITS:
            name = "count"
        turn = _IN_WORDS.get(name)
        try:
            return turn(self, value) if turn else value
        except (ValueError, ArithmeticError):
            return value


def amount(micros: int, currency: str, words: Wording) -> str:
    """An amount for people, exact, with at least the currency's own decimals: ``1.234,50 EUR``."""
    digits = CURRENCY_DIGITS.get(currency, 2)
    pattern = f"#,##0.{'0' * digits}{'#' * (DECIMALS_MAX - digits)}"
    return f"{format_decimal(Decimal(micros) / MICROS, format=pattern, locale=words.locale)} {currency}"


def moment(at: datetime, zone: ZoneInfo, words: Wording) -> str:
    """A time for people, to the minute, with its *zone*."""
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    local = aware.astimezone(zone).replace(tzinfo=None)
    return f"{format_datetime(local, words.formats.time, locale=words.locale)} ({zone.key})"


def _amount(teller: Teller, value: str) -> str:
    return amount(int(value), teller.currency, teller.words)


def _number(teller: Teller, value: str) -> str:
    return str(format_decimal(int(value), format=teller.words.formats.number, locale=teller.words.locale))


def _days(teller: Teller, value: str) -> str:
    return teller.words.words["day" if value == "1" else "days"].format(count=_number(teller, value))


def _month(teller: Teller, value: str) -> str:
    first = date(int(value[:4]), int(value[4:]), 1)
    return str(format_date(first, teller.words.formats.month, locale=teller.words.locale))


def _date(teller: Teller, value: str) -> str:
    return str(format_date(date.fromisoformat(value), teller.words.formats.date, locale=teller.words.locale))


def _time(teller: Teller, value: str) -> str:
    return moment(datetime.fromisoformat(value), teller.zone, teller.words)


def _until(teller: Teller, value: str) -> str:
    words = teller.words.words
    return words["until"].format(time=_time(teller, value)) if value else words["until_unblocked"]


def _reason(teller: Teller, value: str) -> str:
    # A provider's own words end their sentence where ours goes on.
    return teller.words.reasons.get(value) or value.rstrip(". ")


def _refusal(teller: Teller, value: str) -> str:
    found = _REFUSALS.get(value)
    return teller.words.refusals.get(value) or (found.sentence if found else value)


def _cap(teller: Teller, value: str) -> str:
    return teller.words.caps.get(value, value)


def _stage(teller: Teller, value: str) -> str:
    return teller.words.stages.get(value, value)


def _by(teller: Teller, value: str) -> str:
    return teller.words.by.get(value, value)


COUNTED_LIMITS = frozenset({Refusal.TOO_MANY_CALLS.value, Refusal.NEW_DESTINATION_LIMIT.value})
"""Limits that count calls or destinations, not money."""

_REFUSALS = {reason.value: reason for reason in Refusal}

_IN_WORDS: Mapping[str, Callable[[Teller, str], str]] = {
    **dict.fromkeys(("limit", "committed", "amount", "available", "left"), _amount),
    **dict.fromkeys(("count", "percent", "used_minutes", "size_minutes"), _number),
    **dict.fromkeys(("expires_on", "paid_on"), _date),
    "days": _days,
    "month": _month,
    "retry_at": _time,
    "until": _until,
    "reason": _reason,
    "refusal": _refusal,
    "cap": _cap,
    "stage": _stage,
    "by": _by,
}
