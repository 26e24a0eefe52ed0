"""The description of the API (OpenAPI 3.1): what Litestar knows of its routes, and the charging routes beside them.

The charging routes are written by hand here, as no framework sees them; their schemas are made from the very types that
decode and encode their bodies. Every operation may answer a problem (RFC 9457).
"""

import re
from collections.abc import Iterable, Sequence
from importlib import metadata
from typing import Any

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme
from litestar.types.internal_types import PathParameterDefinition

from gettone.api.charging import JSON, NDJSON
from gettone.api.problems import MEDIA_TYPE, STATUS, Problem
from gettone.api.wire import (
    BatchAnswer,
    BatchBody,
    Event,
    Granted,
    RefusedAnswer,
    SettledAnswer,
    Start,
    StopBody,
    UpdateBody,
)
from gettone.domain.refusals import Refusal

Schema = dict[str, Any]

CSV = "text/csv"
CSV_OPERATIONS = (
    *("/imports/users", "/imports/numbers", "/licences/import", "/rates/decks"),
    *("/v1/catalogue/{table}", "/v1/catalogue/{table}/check"),
)
"""Where a CSV file is the body that is sent: ends of paths."""

DESCRIPTION = """\
Charging for calls, and everything around it.

Send an API key as `Authorization: Bearer KEY`. Amounts are decimal strings in the `currency` beside them, times
RFC 3339 in UTC, numbers E.164 with a plus. Lists come in pages: `next_cursor`, if not empty, asks for the next one.
Errors are problem details (RFC 9457).
"""

_REF = "#/components/schemas/{name}"
_TYPES = (Start, UpdateBody, StopBody, Event, BatchBody, Granted, SettledAnswer, RefusedAnswer, BatchAnswer, Problem)
_PAGE_NAME = re.compile(rb"\bPage_(?:gettone\.[a-z_.]+(?P<view>[A-Z]\w*?)|dict_str_str)_(?=\")")
_SESSION_ID = {
    "name": "session_id",
    "in": "path",
    "required": True,
    "description": "The call's id, percent-encoded.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def document(office: Litestar) -> bytes:
    """The whole description of the *office*'s routes and of the charging routes, as JSON."""
    whole: Schema = office.openapi_schema.to_schema()
    whole["components"]["schemas"].update(msgspec.json.schema_components(_TYPES, ref_template=_REF)[1])
    whole["paths"] = dict(sorted({**whole["paths"], **_charging_paths()}.items()))
    for path, operations in whole["paths"].items():
        for method, operation in operations.items():
            if method in {"post", "put"} and path.endswith(CSV_OPERATIONS):
                operation["requestBody"] = _body({CSV: {"type": "string"}})
            operation["responses"].pop("400", None)
            operation["responses"]["default"] = _content("A problem.", {MEDIA_TYPE: _ref("Problem")})
    return _PAGE_NAME.sub(_page_name, msgspec.json.encode(whole))


def _page_name(found: re.Match[bytes]) -> bytes:
    return b"PageOf" + (found["view"] or b"Rows")


def _operation_id(handler: HTTPRouteHandler, _method: str, _path: Sequence[str | PathParameterDefinition]) -> str:
    """The handler's name, as programmers of clients write it: ``list_users`` is ``listUsers``."""
    function = getattr(handler.fn, "func", handler.fn)  # Litestar wraps what runs in a thread.
    first, *others = str(function.__name__).split("_")
    return first + "".join(word.capitalize() for word in others)


def config() -> OpenAPIConfig:
    """What Litestar is to write about the whole."""
    bearer = SecurityScheme(type="http", scheme="bearer", description="An API key.")
    return OpenAPIConfig(
        title="Gettone",
        version=metadata.version("gettone"),
        description=DESCRIPTION,
        use_handler_docstrings=True,
        components=Components(security_schemes={"bearer": bearer}),
        security=[{"bearer": []}],
        operation_id_creator=_operation_id,
    )


def _charging_paths() -> Schema:
    granted, settled = _ref("Granted"), _ref("SettledAnswer")
    batch = {JSON: _ref("BatchBody"), NDJSON: {"type": "string", "description": "One request a line."}}
    answers = {JSON: _ref("BatchAnswer"), NDJSON: {"type": "string", "description": "One answer a line."}}
    return {
        "/v1/calls": _post("startCall", "May this call begin?", _json("Start"), _granted(granted)),
        "/v1/calls/{session_id}/update": _post(
            "updateCall", "So much is used; may the call go on?", _json("UpdateBody"), _granted(granted), [_SESSION_ID]
        ),
        "/v1/calls/{session_id}/stop": _post(
            "stopCall", "The call is over; settle it.", _json("StopBody"), _settled(settled), [_SESSION_ID]
        ),
        "/v1/events": _post("chargeEvent", "Charge a message at once.", _json("Event"), _settled(settled)),
        "/v1/calls/batch": _post(
            "batch", "Many of these, answered one by one.", batch, {"200": _content("The answers.", answers)}
        ),
    }


def _post(operation_id: str, summary: str, body: Schema, answers: Schema, parameters: Iterable[Schema] = ()) -> Schema:
    return {
        "post": {
            "operationId": operation_id,
            "summary": summary,
            "tags": ["Charging"],
            "parameters": list(parameters),
            "requestBody": _body(body),
            "responses": answers,
            "security": [{"bearer": []}],
        }
    }


def _granted(schema: Schema) -> Schema:
    return {"200": _content("Granted.", {JSON: schema}), **_refusals()}


def _settled(schema: Schema) -> Schema:
    return {"200": _content("Settled.", {JSON: schema}), **_refusals()}


def _refusals() -> Schema:
    """The statuses of refusals, each with the reasons that have it."""
    reasons: dict[int, list[Refusal]] = {}
    for reason, status in STATUS.items():
        reasons.setdefault(status, []).append(reason)
    return {
        str(status): _content("Refused: " + ", ".join(r.value for r in having) + ".", {MEDIA_TYPE: _ref("Problem")})
        for status, having in sorted(reasons.items())
    }


def _json(name: str) -> Schema:
    return {JSON: _ref(name)}


def _body(schemas: Schema) -> Schema:
    return {"required": True, "content": {media_type: {"schema": schema} for media_type, schema in schemas.items()}}


def _content(description: str, schemas: Schema) -> Schema:
    content = {media_type: {"schema": schema} for media_type, schema in schemas.items()}
    return {"description": description, "content": content}


def _ref(name: str) -> Schema:
    return {"$ref": _REF.format(name=name)}
