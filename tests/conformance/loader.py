"""Read conformance case files: tariffs become rates, cases keep their words.

The folder is named by ``GETTONE_CONFORMANCE_DIR``, by default this one; every ``*.json`` in it is read. A file says its
own conventions under ``conventions``. A tariff whose bands leave a part of the week uncovered is completed by its first
band, repeated for the whole week below all others.
"""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path
from typing import Any

from gettone.domain.bands import DAY_SECONDS, WHOLE_WEEK
from gettone.domain.rating import Band, MaximumAction, Rate, RateError, Rounding, Step, exact_micros

KINDS = ("cost", "max_usage", "debit", "session")
BAND_KEYS = {"weekdays", "from", "to", "priority", "connect_fee", "steps", "max_cost", "month_day", "note"}


@dataclass(frozen=True)
class Case:
    """A case with the rates of its file; ``body`` is the case as it is written."""

    name: str
    kind: str
    body: Mapping[str, Any]
    rates: Mapping[str, Rate]

    @property
    def rate(self) -> Rate:
        """The rate of the call."""
        return self.rates[self.body["call"]["tariff"]]

    @property
    def start(self) -> datetime:
        """When the call started; the tariffs' local time is UTC here."""
        return datetime.fromisoformat(self.body["call"]["start"]).replace(tzinfo=UTC)

    @property
    def has_pools(self) -> bool:
        """Whether minute pools take part."""
        return bool(self.body.get("account", {}).get("pools"))


def case_files() -> list[Path]:
    """The case files to run."""
    folder = Path(os.environ.get("GETTONE_CONFORMANCE_DIR") or Path(__file__).parent)
    files = sorted(folder.glob("*.json"))
    if not files:
        raise FileNotFoundError(f"no *.json in {folder}: name a folder of case files in GETTONE_CONFORMANCE_DIR")
    return files


def load_cases(*kinds: str) -> list[Case]:
    """Return the cases of *kinds* (of every kind we know when none is named); an error if there is no case at all."""
    cases = [case for path in case_files() for case in read_cases(path)]
    if not any(case.kind in KINDS for case in cases):
        raise ValueError(f"no case of kind {', '.join(KINDS)} in {', '.join(map(str, case_files()))}")
    return [case for case in cases if case.kind in (kinds or KINDS)]


def read_cases(path: Path) -> Iterator[Case]:
    """Yield every case of a file, of whatever kind."""
    content = json.loads(path.read_text(encoding="utf-8"))
    rates = {name: rate_of(tariff) for name, tariff in content["tariffs"].items()}
    for body in content["cases"]:
        yield Case(f"{path.stem}/{body['id']}", body["kind"], body, rates)


def expectation(holder: Mapping[str, Any], name: str) -> Any:
    """Return what a case or step expects of *name*, the exact number where there is one; None if it says nothing."""
    exact = holder.get("expect_exact")
    if exact is not None and not isinstance(exact, Mapping):
        exact = {name: exact}
    expect = holder.get("expect") or {}
    for values, key in ((exact or {}, name), (expect, f"{name}_exact"), (expect, name)):
        if key in values:
            return values[key]
    return None


def micros(amount: str) -> int:
    """Return a written amount in micros; it must be a whole number of them."""
    exact = exact_micros(amount)
    assert exact.denominator == 1, f"{amount} is finer than micros"
    return int(exact)


def ceiling_of(body: Mapping[str, Any]) -> Fraction | None:
    """Return the highest price the caller accepts, in micros per second."""
    if (highest := body.get("max_rate")) is None:
        return None
    return exact_micros(highest["price"]) / highest["per_s"]


def rate_of(tariff: Mapping[str, Any]) -> Rate:
    """Build the rate of a tariff."""
    bands = tuple(map(_band, tariff["bands"]))
    rounding = Rounding(tariff["rounding"]["method"].replace("_", "-"))
    decimals = tariff["rounding"]["decimals"]
    try:
        return Rate(bands, rounding, decimals)
    except RateError:
        return Rate((*bands, _filler(tariff)), rounding, decimals)


def _filler(tariff: Mapping[str, Any]) -> Band:
    lowest = min(band["priority"] for band in tariff["bands"]) - 1
    return _band({**tariff["bands"][0], "priority": lowest}, whole_week=True)


def _band(band: Mapping[str, Any], *, whole_week: bool = False) -> Band:
    assert band.keys() <= BAND_KEYS, f"{band.keys() - BAND_KEYS} of a band is not understood"
    maximum = band.get("max_cost")
    month_day = None if whole_week else band.get("month_day")
    return Band(
        steps=tuple(
            Step(step["from_s"], step["increment_s"], exact_micros(step["price"]) / step["per_s"])
            for step in band["steps"]
        ),
        connection=exact_micros(band["connect_fee"]),
        maximum=exact_micros(maximum["amount"]) if maximum else None,
        maximum_action=MaximumAction(maximum["strategy"]) if maximum else MaximumAction.FREE,
        weekdays=WHOLE_WEEK if whole_week else frozenset(band["weekdays"]),
        starts=0 if whole_week else _second_of_day(band["from"]),
        ends=DAY_SECONDS if whole_week else _second_of_day(band["to"]),
        priority=band["priority"],
        month_day=tuple(map(int, month_day.split("-"))) if month_day else None,
    )


def _second_of_day(text: str) -> int:
    hours, minutes, seconds = map(int, text.split(":"))
    return hours * 3600 + minutes * 60 + seconds
