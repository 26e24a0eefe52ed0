"""The catalogue: its tables for everybody with a key, and the operator's own rows as CSV files."""

from datetime import date
from typing import Annotated, Any

import msgspec
from litestar import Router
from litestar.connection import ASGIConnection
from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter, RawBody

from gettone.api.problems import FieldError
from gettone.api.routing import OPERATOR, Given, InPath, get, needs, plain, post, put
from gettone.api.services import Services
from gettone.operations import catalogue
from gettone.operations.catalogue import CatalogueTable, ImportedTable, TableSummary
from gettone.operations.views import Page

TABLE = "/v1/catalogue/{table:str}"

On = Annotated[date | None, QueryParameter(description="Only the rows that count on this day.")]


class CheckedTable(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a file would be imported into table *name*, and everything that is wrong in it."""

    name: str
    good: bool
    errors: tuple[FieldError, ...]


async def any_key(connection: ASGIConnection[Any, Any, Any, Any], _handler: BaseRouteHandler) -> None:
    """Let a request through that has a key, whatever its scope; raises `ApiError` 401."""
    services: Services = connection.app.state.services
    header = connection.headers.get("authorization")
    await services.authenticator.key(header.encode("latin-1", "replace") if header is not None else None)


@get("/v1/catalogue", guards=[any_key], sync_to_thread=True)
def list_tables(services: Given) -> Page[TableSummary]:
    """The tables there are: how many rows each has, how many of them are the operator's."""
    return Page(catalogue.summaries(services.office))


@get(TABLE, guards=[any_key], sync_to_thread=True)
def show_table(services: Given, table: InPath, on: On = None) -> CatalogueTable:
    """The rows of a table: those that count on a day, or all of them, each with whether it counts today."""
    found = catalogue.show(services.office, plain(table), on or services.clock().date())
    if on is None:
        return found
    return msgspec.structs.replace(found, rows=tuple(row for row in found.rows if row.in_force))


@post(f"{TABLE}/check", opt=needs(OPERATOR, across=True), status_code=200, sync_to_thread=True)
def check_table(services: Given, table: InPath, body: RawBody) -> CheckedTable:
    """Say whether a CSV file of rows would be imported; nothing is written."""
    problems = catalogue.check_table(plain(table), body, services.office)
    errors = tuple(FieldError(one.remedy, one.field, one.value, one.line) for one in problems)
    return CheckedTable(name=plain(table), good=not errors, errors=errors)


@put(TABLE, opt=needs(OPERATOR, across=True), sync_to_thread=True)
def import_table(services: Given, table: InPath, body: RawBody) -> ImportedTable:
    """Put the rows of a CSV file in place of the operator's of a table: all or, with every error named, nothing."""
    return catalogue.import_table(services.office, plain(table), body, services.clock())


def router(**options: Any) -> Router:  # noqa: ANN401 - Litestar's own
    """These routes."""
    handlers = [list_tables, show_table, check_table, import_table]
    return Router("/", route_handlers=handlers, tags=["Catalogue"], **options)
