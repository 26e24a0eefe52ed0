"""Make ``data/numbering.bin`` from the installed libphonenumber: ``python -m gettone.catalogue.compile_numbering``.

Each calling code has patterns (regular expressions over digits) for its regions and kinds. They become automata
without empty steps, which are walked side by side, digit by digit, for every exact length. Equal states with equally
many digits to go have equal results, so a few thousand small walks describe all 10**15 numbers.

The decision at the end of a number repeats the library's order: the first region of the code whose leading digits or
patterns fit; then premium, toll-free, shared cost, voip, personal, pager, uan, voicemail, fixed and mobile. A kind
counts only for the lengths that its description allows, and only where the region's general pattern fits.
"""

import sys
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache, reduce
from itertools import accumulate
from pathlib import Path
from typing import Final, TypeAlias

import phonenumbers
from phonenumbers.phonemetadata import PhoneMetadata, PhoneNumberDesc

from gettone.catalogue.numbering import Numbering, pack
from gettone.domain.numbers import DIGITS_MAX, DIGITS_MIN, EmergencyNumbers, Kind, NumberPlan

TARGET: Final = Path(__file__).parent / "data" / "numbering.bin"

DIGITS: Final = "0123456789"

Steps: TypeAlias = "frozenset[Step]"
Part: TypeAlias = Callable[[Steps], Steps]  # Puts a piece of a pattern before the steps that follow it.
Alive: TypeAlias = tuple[tuple[str, Steps], ...]  # The patterns still fitting, with the steps each may take next.
NumberClass: TypeAlias = tuple[str, Kind]
Runs: TypeAlias = list[tuple[int, NumberClass]]  # So many numbers in a row are of this class.


# Patterns to automata


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One digit of a pattern: what it may be, and the steps that may come after it."""

    digits: frozenset[str]
    follow: Steps


END: Final = Step(frozenset(), frozenset())
"""The place after the last digit of a pattern."""

_step = cache(Step)  # Equal steps are one object, so that equal rests of different patterns meet.


@cache
def first_steps(pattern: str) -> Steps:
    """Return the steps with which a text fitting the whole of *pattern* can begin."""
    reader = _Reader(pattern)
    part = reader.either()
    if reader.rest:
        raise reader.not_understood()
    return part(frozenset({END}))


@cache
def after(steps: Steps, digit: str) -> Steps:
    """Return the steps that can follow once *digit* was read."""
    return frozenset().union(*(step.follow for step in steps if digit in step.digits))


@dataclass(slots=True)
class _Reader:
    """Reads the regular expressions of the metadata: digits, classes, groups, alternatives and counted repeats."""

    pattern: str
    at: int = 0

    @property
    def rest(self) -> str:
        return self.pattern[self.at :]

    def not_understood(self) -> ValueError:
        return ValueError(
            f"pattern {self.pattern!r} is not understood at {self.at}: teach compile_numbering to read it"
        )

    def take(self, token: str) -> bool:
        if not self.pattern.startswith(token, self.at):
            return False
        self.at += len(token)
        return True

    def until(self, token: str) -> str:
        text, found, _ = self.rest.partition(token)
        if not found:
            raise self.not_understood()
        self.at += len(text) + len(token)
        return text

    def either(self) -> Part:
        parts = [self.sequence()]
        while self.take("|"):
            parts.append(self.sequence())
        return lambda follow: frozenset().union(*(part(follow) for part in parts))

    def sequence(self) -> Part:
        parts: list[Part] = []
        while self.rest and self.rest[0] not in "|)":
            parts.append(self.repeated(self.atom()))
        return lambda follow: reduce(lambda then, part: part(then), reversed(parts), follow)

    def repeated(self, part: Part) -> Part:
        if self.take("?"):
            return _repeat(part, 0, 1)
        if self.take("{"):
            least, _, most = self.until("}").partition(",")
            return _repeat(part, int(least), int(most or least))
        return part

    def atom(self) -> Part:
        if self.take("(?:"):
            part = self.either()
            if not self.take(")"):
                raise self.not_understood()
            return part
        if self.take("["):
            return _one_of(_members(self.until("]")))
        if self.take(r"\d"):
            return _one_of(DIGITS)
        if self.rest[0] in DIGITS:
            self.at += 1
            return _one_of(self.pattern[self.at - 1])
        raise self.not_understood()


def _one_of(digits: str) -> Part:
    return lambda follow: frozenset({_step(frozenset(digits), follow)})


def _members(text: str) -> str:
    """Return the digits of a class such as ``0-46``."""
    found = ""
    for i, sign in enumerate(text):
        between = DIGITS[DIGITS.index(text[i - 1]) : DIGITS.index(text[i + 1])] if sign == "-" else sign
        found += between
    return found


def _repeat(part: Part, least: int, most: int) -> Part:
    def before(follow: Steps) -> Steps:
        steps = follow
        for _ in range(most - least):
            steps = part(steps) | follow
        for _ in range(least):
            steps = part(steps)
        return steps

    return before


# The library's decision


_IN_ORDER: Final = (
    (Kind.PREMIUM, "premium_rate"),
    (Kind.TOLL_FREE, "toll_free"),
    (Kind.SHARED_COST, "shared_cost"),
    (Kind.VOIP, "voip"),
    (Kind.PERSONAL, "personal_number"),
    (Kind.PAGER, "pager"),
    (Kind.UAN, "uan"),
    (Kind.VOICEMAIL, "voicemail"),
    (Kind.FIXED, "fixed_line"),
    (Kind.MOBILE, "mobile"),
)


@dataclass(frozen=True, slots=True)
class _Region:
    """The patterns of one region that apply to national numbers of one length."""

    country: str
    leading: str | None
    general: str | None
    by_kind: tuple[tuple[Kind, str], ...]
    fixed_is_mobile: bool

    @property
    def patterns(self) -> Iterator[str]:
        yield from (pattern for pattern in (self.leading, self.general) if pattern is not None)
        yield from (pattern for _, pattern in self.by_kind)

    def kind(self, fitting: frozenset[str]) -> Kind:
        """Return the kind of a number that these patterns fit."""
        if self.general not in fitting:
            return Kind.UNKNOWN
        kinds = [kind for kind, pattern in self.by_kind if pattern in fitting]
        if kinds[:1] == [Kind.FIXED] and (self.fixed_is_mobile or Kind.MOBILE in kinds):
            return Kind.FIXED_OR_MOBILE
        if kinds[:1] == [Kind.MOBILE] and self.fixed_is_mobile:
            return Kind.UNKNOWN
        return kinds[0] if kinds else Kind.UNKNOWN


def _region(country: str, code: int, length: int) -> _Region:
    def pattern(name: str) -> str | None:
        described: PhoneNumberDesc | None = getattr(metadata, name)
        if described is None or (described.possible_length and length not in described.possible_length):
            return None
        return described.national_number_pattern or None

    metadata = PhoneMetadata.metadata_for_region_or_calling_code(code, country)
    assert metadata is not None, country
    # Leading digits must fit at the beginning only; whatever follows them is free.
    leading = rf"(?:{metadata.leading_digits})\d{{0,{DIGITS_MAX}}}" if metadata.leading_digits else None
    by_kind = tuple((kind, found) for kind, name in _IN_ORDER if (found := pattern(name)) is not None)
    same = bool(metadata.same_mobile_and_fixed_line_pattern)
    return _Region(country, leading, pattern("general_desc"), by_kind, same)


@dataclass(frozen=True, slots=True)
class _Code:
    """One calling code and the length of its national numbers; ``known`` remembers the walks already done."""

    regions: tuple[_Region, ...]
    known: dict[tuple[Alive, int], Runs] = field(default_factory=dict)

    def decide(self, fitting: frozenset[str]) -> NumberClass:
        """Return the class of a number which the patterns *fitting* fit."""
        if len(self.regions) == 1:
            return self.regions[0].country, self.regions[0].kind(fitting)
        for region in self.regions:
            kind = region.kind(fitting)
            if (kind != Kind.UNKNOWN) if region.leading is None else (region.leading in fitting):
                return region.country, kind
        return "", Kind.UNKNOWN

    def begin(self) -> Alive:
        patterns = dict.fromkeys(pattern for region in self.regions for pattern in region.patterns)
        return tuple((pattern, first_steps(pattern)) for pattern in patterns)

    def runs(self, alive: Alive, to_go: int) -> Runs:
        """Return the classes of all numbers from here, in order, joined where neighbours are equal."""
        if not alive:
            return [(10**to_go, self.decide(frozenset()))]
        if to_go == 0:
            return [(1, self.decide(frozenset(pattern for pattern, steps in alive if END in steps)))]
        if (known := self.known.get((alive, to_go))) is None:
            onward = (
                tuple((pattern, then) for pattern, steps in alive if (then := after(steps, digit))) for digit in DIGITS
            )
            known = self.known[alive, to_go] = _joined(run for next_ in onward for run in self.runs(next_, to_go - 1))
        return known


def _joined(runs: Iterable[tuple[int, NumberClass]]) -> Runs:
    joined: Runs = []
    for count, class_ in runs:
        if joined and joined[-1][1] == class_:
            joined[-1] = (joined[-1][0] + count, class_)
        else:
            joined.append((count, class_))
    return joined


# The whole world


def compile_plan() -> NumberPlan:
    """Compile the numbers of all calling codes of the installed library."""
    nobody: NumberClass = ("", Kind.UNKNOWN)
    runs: Runs = [(DIGITS_MIN * 10**DIGITS_MAX, nobody)]
    for length in range(DIGITS_MIN, DIGITS_MAX + 1):
        done = 0
        for first, code, to_go in sorted(_codes(length)):
            regions = tuple(_region(country, code, to_go) for country in phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code])
            numbers = _Code(regions)
            runs += [(first - done, nobody), *numbers.runs(numbers.begin(), to_go)]
            done = first + 10**to_go
        runs.append((10**DIGITS_MAX - done, nobody))
    return _plan(_joined(run for run in runs if run[0]))


def _codes(length: int) -> Iterator[tuple[int, int, int]]:
    """Yield the first number of each calling code, the code, and how many digits follow it in numbers of *length*."""
    for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
        to_go = length - len(str(code))
        yield code * 10**to_go, code, to_go


def _plan(runs: Runs) -> NumberPlan:
    classes = tuple(sorted({class_ for _, class_ in runs}))
    codes = {class_: code for code, class_ in enumerate(classes)}
    starts = array("q", accumulate((count for count, _ in runs[:-1]), initial=0))
    return NumberPlan(starts, array("H", (codes[class_] for _, class_ in runs)), classes)


def compile_emergency() -> EmergencyNumbers:
    """List the emergency numbers of every country that the installed library has any for."""
    by_country: dict[str, frozenset[str]] = {}
    for country in sorted(phonenumbers.SUPPORTED_SHORT_REGIONS):
        metadata = PhoneMetadata.short_metadata_for_region(country, None)
        pattern = metadata and metadata.emergency and metadata.emergency.national_number_pattern
        if pattern:
            by_country[country] = frozenset(_texts(first_steps(pattern)))
    return EmergencyNumbers(by_country)


def _texts(steps: Steps, begun: str = "") -> Iterator[str]:
    """Yield every text that a pattern fits; it must be one of limited length."""
    if END in steps:
        yield begun
    for digit in DIGITS:
        if then := after(steps, digit):
            yield from _texts(then, begun + digit)


def compile_numbering() -> Numbering:
    """Compile everything that ``numbering.bin`` holds."""
    return Numbering(phonenumbers.__version__, compile_plan(), compile_emergency())


def main() -> None:
    """Write the packaged file anew and say what it holds."""
    made = compile_numbering()
    packed = pack(made)
    TARGET.write_bytes(packed)
    sys.stdout.write(
        f"{TARGET.name}: libphonenumber {made.version}, {len(made.plan.starts):,} intervals, "
        f"{len(made.plan.classes):,} classes, {len(packed):,} bytes\n"
    )


if __name__ == "__main__":
    main()
