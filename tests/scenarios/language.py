"""The scenario language: one command a line, in the words of the field; `tests/scenarios/README.md` lists them.

    start   C1 W1 +442071838750        granted 300s

A line is a command, what it is about, then words that each take a value (``used 300s``) or none (``final``). A line
that begins with a blank belongs to the batch opened by ``together`` above it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

SPANS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FLAGS = {"final", "more", "duplicate", "open", "closed", "post-usage", "no-post-usage", "exempt", "calling", "resource"}


@dataclass(frozen=True)
class Line:
    """One command: *about* are the words in front, *said* the values by word, None for a word that stands alone."""

    number: int
    text: str
    command: str
    about: list[str]
    said: dict[str, str | None] = field(default_factory=dict)
    batched: bool = False

    @property
    def org(self) -> str:
        """The organisation that a command other than a charging request is about."""
        return self.about[0].lower()

    def get(self, word: str, default: str = "") -> str:
        return self.said.get(word) or default

    def has(self, word: str) -> bool:
        return word in self.said


def lines_of(text: str, words: dict[str, int]) -> Iterator[Line]:
    """Read *text*; *words* says for each command how many words it is about."""
    for number, line in enumerate(text.splitlines(), start=1):
        spoken = line.partition("#")[0].rstrip()
        if not spoken:
            continue
        command, *rest = spoken.split()
        if command not in words:
            raise ValueError(f"line {number}: {command!r} is no command; there are {', '.join(sorted(words))}")
        about, said = rest[: words[command]], rest[words[command] :]
        if len(about) < words[command]:
            raise ValueError(f"line {number}: {command} is about {words[command]} things: {spoken}")
        yield Line(number, spoken.strip(), command, about, _said(number, said), line[0].isspace())


def _said(number: int, words: list[str]) -> dict[str, str | None]:
    said: dict[str, str | None] = {}
    rest = iter(words)
    for word in rest:
        if word in said:
            raise ValueError(f"line {number}: {word!r} is said twice")
        said[word] = None if word in FLAGS else next(rest, None)
        if said[word] is None and word not in FLAGS:
            raise ValueError(f"line {number}: {word!r} lacks its value")
    return said


def seconds(text: str) -> int:
    """Read ``300s``, ``5m``, ``2h``, ``40d`` or ``-1s``."""
    found = re.fullmatch(r"(-?\d+)([smhd])", text)
    if not found:
        raise ValueError(f"{text!r} is no span of time; write 300s, 5m, 2h or 40d")
    return int(found[1]) * SPANS[found[2]]


def instant(text: str) -> datetime:
    """Read ``2026-11-23`` or ``2026-11-23T10:00``, in UTC unless it says otherwise."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def amount(text: str) -> int:
    """Read an amount in micros."""
    sign, whole, part = re.fullmatch(r"(-?)(\d+)(?:\.(\d{1,6}))?", text).groups()
    micros = int(whole) * 1_000_000 + int((part or "").ljust(6, "0"))
    return -micros if sign else micros
