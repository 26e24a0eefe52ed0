"""The pages about the API say what the program says."""

from pathlib import Path

import pytest

from gettone.api.metrics import Metrics
from gettone.api.problems import STATUS
from gettone.domain.refusals import Refusal
from tests.support.documentation import headings

REFERENCE = Path(__file__).parent.parent.parent / "docs" / "reference"


def test_every_metric_has_a_heading():
    collected = Metrics().registry.collect()
    ours = {f"{metric.name}{'_total' * (metric.type == 'counter')}" for metric in collected if "gettone" in metric.name}

    assert len(ours) > 5
    assert ours <= set(headings(REFERENCE / "metrics.md"))


def test_every_route_has_a_heading(api):
    paths = api.get("/openapi.json", key=None).json()["paths"]
    routes = {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}

    known = {heading for heading in headings(REFERENCE / "http-api.md") if "/" in heading}
    assert known == routes


@pytest.mark.parametrize("reason", Refusal)
def test_the_page_of_refusals_quotes_each_sentence_and_status(reason):
    page = (REFERENCE / "refusals.md").read_text(encoding="utf-8")

    assert f"## {reason.value}\n\n> {reason.sentence}\n" in page
    assert f"| [`{reason.value}`](#{reason.value}) | {STATUS[reason]} |" in page
