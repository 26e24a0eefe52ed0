"""Damage planted by hand past all that protects the rows, and what verification says of it."""

from dataclasses import dataclass

import pytest
from sqlalchemy import create_engine, text

from gettone.operations.verify import verify
from gettone.storage.verify import open_audit
from tests.support.world import MIDDAY

APPEND_ONLY = ("ledger_entry", "ledger_posting", "usage_record", "call_request")


@dataclass(frozen=True, slots=True)
class Damage:
    """Statements that plant it; what the finding of *kind* says."""

    kind: str
    found: str
    statements: tuple[str, ...]


def damage(kind: str, found: str, *statements: str):
    return pytest.param(Damage(kind, found, statements), id=f"{kind}: {found}")


def plant(url: str, statements: tuple[str, ...]) -> None:
    """Run *statements* with everything out of the way that keeps rows from harm."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        if url.startswith("sqlite"):
            connection.exec_driver_sql("PRAGMA ignore_check_constraints = ON")
            for table in APPEND_ONLY:
                for change in ("update", "delete"):
                    connection.exec_driver_sql(f"DROP TRIGGER {table}_no_{change}")
        else:
            for table in APPEND_ONLY:
                connection.execute(text(f"GRANT UPDATE, DELETE ON {table} TO CURRENT_USER"))
            connection.execute(text("ALTER TABLE call DROP CONSTRAINT ck_call_ended_holds_nothing"))
        for statement in statements:
            done = connection.execute(text(statement), {"no_bytes": b""} if ":no_bytes" in statement else {})
            assert done.rowcount > 0 or statement.startswith("DROP"), f"this changed nothing: {statement}"
        connection.commit()
    engine.dispose()


def findings(url: str, **settings) -> list:
    with open_audit(url) as audit:
        return list(verify(audit, MIDDAY, **settings))


def assert_found(url: str, planted: Damage) -> None:
    """Plant a damage, and assert that it is found and named."""
    plant(url, planted.statements)

    found = [finding for finding in findings(url) if finding.kind == planted.kind]

    assert found, f"nothing of kind {planted.kind}"
    assert any(planted.found in str(finding) for finding in found), [str(finding) for finding in found]
