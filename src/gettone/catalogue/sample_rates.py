"""The sample rate deck: illustrative prices in USD for every country, our own and nobody's offer.

For trying things out and for the demo. ``make_sample_rates`` makes the file and says by which rules.
"""

from importlib.resources import files
from typing import Final

SAMPLE_DECK_NAME: Final = "Sample world rates (illustrative)"


def sample_deck_csv() -> str:
    """Return the sample deck as CSV, for ``parse_deck``; currency and effective date are among its columns."""
    return (files("gettone.catalogue") / "data" / "sample_world_rates.csv").read_text(encoding="utf-8")
