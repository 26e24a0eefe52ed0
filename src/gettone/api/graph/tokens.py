"""OAuth 2.0 client credentials (RFC 6749, section 4.4): an API key's id and token for an access token of an hour.

The *tenant* is the id of the organisation that the token is to be for. ``organizations`` and ``common``, or no tenant
at all, leave it to the key. Bodies and errors are those of RFC 6749, with the names that Microsoft's clients look for.
"""

import base64
import binascii
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote_plus
from uuid import uuid4

import msgspec
from litestar import MediaType, Request, Response, Router
from litestar.params import RawBody

from gettone.api import problems
from gettone.api.graph.links import origin_of
from gettone.api.routing import Given, InPath, get, plain, post
from gettone.api.services import Services
from gettone.errors import Conflict, NotFound
from gettone.operations import tokens

TOKEN = "/oauth2/v2.0/token"  # noqa: S105 - a path, no secret
DISCOVERY = "/v2.0/.well-known/openid-configuration"
FORM = "application/x-www-form-urlencoded"

EXPIRES_IN = int(tokens.LIFETIME.total_seconds()) - 1
"""Seconds, one less than the token is good for: a client that counts in whole seconds is never late."""

ANY_TENANT = {"", "common", "organizations"}
GRANT = "client_credentials"
PARAMETERS_MAX = 20
_NEVER_STORED = {"Cache-Control": "no-store", "Pragma": "no-cache"}


class OAuthError(Exception):
    """A request for a token that is turned down; *code* is RFC 6749's."""

    def __init__(self, code: str, description: str, *, status: int = 400) -> None:
        """Answer with *status*."""
        super().__init__(description)
        self.code = code
        self.status = status


@post(TOKEN, status_code=200, sync_to_thread=True)
def issue_token(request: Request[Any, Any, Any], services: Given, body: RawBody) -> Response[bytes]:
    """An access token for the organisation that the key is for."""
    return _issue(request, services, "", body)


@post(f"/{{tenant:str}}{TOKEN}", status_code=200, sync_to_thread=True)
def issue_token_of_tenant(
    request: Request[Any, Any, Any], services: Given, tenant: InPath, body: RawBody
) -> Response[bytes]:
    """An access token for one organisation."""
    return _issue(request, services, plain(tenant), body)


@get(f"/{{tenant:str}}{DISCOVERY}")
async def discover(request: Request[Any, Any, Any], tenant: InPath) -> Response[bytes]:
    """Where tokens are to be had. Microsoft's clients ask before they ask for a token; nobody else has to.

    They insist on an address to sign people in at. There is nothing there: only programs are let in.
    """
    origin = f"{origin_of(request)}/{plain(tenant)}"
    body = {
        "issuer": f"{origin}/v2.0",
        "token_endpoint": origin + TOKEN,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
        "authorization_endpoint": f"{origin}/oauth2/v2.0/authorize",
        "grant_types_supported": [GRANT],
        "response_types_supported": [],
        "scopes_supported": [".default"],
    }
    return Response(msgspec.json.encode(body), media_type=MediaType.JSON)


def told(error: Exception, request: Request[Any, Any, Any], now: datetime) -> Response[bytes]:
    """The answer to a request for a token that could not be met."""
    headers = dict(_NEVER_STORED)
    if isinstance(error, OAuthError):
        code, status, description = error.code, error.status, str(error)
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="gettone"'
    else:
        answer = problems.from_error(error)
        status, description = answer.problem.status, answer.problem.detail
        code = "temporarily_unavailable" if status == 503 else "server_error"
        headers |= answer.headers
    body = {
        "error": code,
        "error_description": description,
        "timestamp": now.strftime("%Y-%m-%d %H:%M:%SZ"),
        "trace_id": request.headers.get("request-id", ""),
        "correlation_id": request.headers.get("client-request-id") or str(uuid4()),
    }
    return Response(msgspec.json.encode(body), status_code=status, media_type=MediaType.JSON, headers=headers)


def _issue(request: Request[Any, Any, Any], services: Services, tenant: str, body: bytes) -> Response[bytes]:
    form = _form(request, body)
    grant = _required(form, "grant_type")
    if grant != GRANT:
        raise OAuthError("unsupported_grant_type", f"Only the grant type {GRANT} is supported.")
    scopes = _required(form, "scope").split()
    if not scopes or not all(one.endswith("/.default") for one in scopes):
        raise OAuthError(
            "invalid_scope", "Ask for the one scope there is, such as https://gettone.contoso.com/.default."
        )
    key = tokens.client(services.office, *_client(request, form))
    if key is None:
        raise OAuthError(
            "invalid_client",
            "The client is not known: client_id is the id of an API key, client_secret its token, which begins gtn_.",
            status=401,
        )
    org_id = "" if tenant.lower() in ANY_TENANT else tenant
    try:
        token = tokens.issue(services.office, key, services.clock(), org_id=org_id)
    except (Conflict, NotFound):
        # The same for an organisation that is not there and one that is another's, so that nobody learns which exist.
        raise OAuthError("unauthorized_client", f"The key is not for an organisation {tenant[:80]!r}.") from None
    answer = {"token_type": "Bearer", "expires_in": EXPIRES_IN, "ext_expires_in": EXPIRES_IN, "access_token": token}
    return Response(msgspec.json.encode(answer), media_type=MediaType.JSON, headers=_NEVER_STORED)


def _form(request: Request[Any, Any, Any], body: bytes) -> dict[str, str]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise OAuthError("invalid_request", f"Send the parameters as {FORM}.")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=PARAMETERS_MAX)
    except ValueError:
        raise OAuthError("invalid_request", "The body is not a form, or has too many parameters.") from None
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "A parameter stands there twice.")
    return form


def _required(form: dict[str, str], name: str) -> str:
    value = form.get(name, "")
    if not value:
        raise OAuthError("invalid_request", f"The parameter {name} is missing.")
    return value


def _client(request: Request[Any, Any, Any], form: dict[str, str]) -> tuple[str, str]:
    """Id and secret of the client: in the form, or as the user of HTTP Basic (RFC 6749, section 2.3.1)."""
    scheme, _, packed = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return _required(form, "client_id"), _required(form, "client_secret")
    if "client_secret" in form:
        raise OAuthError("invalid_request", "Send client_secret in the form or in the header, not in both.")
    try:
        client_id, _, secret = base64.b64decode(packed.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise OAuthError("invalid_request", "The header Authorization is not Basic with base64.") from None
    return unquote_plus(client_id), unquote_plus(secret)


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes; none needs a key beforehand."""
    return Router("/", route_handlers=[issue_token, issue_token_of_tenant, discover], **options)
