"""Whatever is sent within, or a little beside, the description is answered in the described shape, never by a 5xx."""

import contextlib
from datetime import UTC, datetime

import hypothesis
import pytest
import schemathesis
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.api.test_serving import serving
from tests.api.world import populate

EXAMPLES = 20


@pytest.fixture(scope="module")
def described(tmp_path_factory):
    """The description of a service that is really served, with the operator's key in hand."""
    database = tmp_path_factory.mktemp("described") / "gettone.db"
    tokens = populate(f"sqlite:///{database}", datetime.now(UTC))
    with serving(database) as (_, address):
        description = schemathesis.openapi.from_url(f"{address}/openapi.json")
        description.config.update(headers={"Authorization": f"Bearer {tokens.operator}"})
        yield description


def hammer(operation, mode, complaints):
    @hypothesis.given(operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(hypothesis.HealthCheck))
    def answered(case):
        if mode is GenerationMode.POSITIVE and "org_id" in (case.path_parameters or {}):
            case.path_parameters["org_id"] = "contoso"
        response = case.call()
        assert response.status_code < 500, f"{case.as_curl_command()}\n{response.text}"
        case.validate_response(response, checks=[content_type_conformance, response_schema_conformance])

    try:
        # Nothing wrong can be said where every request is right.
        with contextlib.suppress(Unsatisfiable):
            answered()
    except Exception as complaint:  # noqa: BLE001 - every operation is tried before the test fails
        complaints.append(f"{operation.label}: {complaint}")


@pytest.mark.slow
@pytest.mark.parametrize("mode", GenerationMode)
def test_no_request_is_too_odd_for_the_api(described, mode):
    complaints: list[str] = []
    operations = [result.ok() for result in described.get_all_operations()]

    for operation in operations:
        hammer(operation, mode, complaints)

    assert len(operations) > 35
    assert not complaints, "\n\n".join(complaints)
