"""Databases of schema 0001 for tests of later migrations, the same on SQLite and PostgreSQL.

One has something by hand in every table that a migration meets; the other is what the program of that time left, with
calls of every kind, some of them still running.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, text

from gettone.storage.engine import open_database
from gettone.storage.upgrade import upgrade

ROWS = (
    "INSERT INTO organisation (org_id, name, created_at) VALUES ('contoso', 'Contoso', 1000), ('fabrikam', 'F', 2000)",
    """INSERT INTO wallet (org_id, currency, posted_micros, held_micros, version, entry_number, directory_version)
    VALUES ('contoso', 'USD', 5000000, 100000, 7, 1, 3), ('fabrikam', 'EUR', 0, 0, 1, 0, 1)""",
    """INSERT INTO lot (org_id, lot_id, purchased_at, expires_at, amount_micros, remaining_micros, held_micros)
    VALUES ('contoso', 'lot', 0, 1, 6000000, 5000000, 100000)""",
    """INSERT INTO ledger_entry (org_id, entry_number, kind, reference, posted_at)
    VALUES ('contoso', 1, 'funded', 'PO 1', 0)""",
    """INSERT INTO ledger_posting (org_id, entry_number, line, account, lot_id, amount_micros)
    VALUES ('contoso', 1, 0, 'wallet', 'lot', 6000000), ('contoso', 1, 1, 'cash', '', -6000000)""",
    """INSERT INTO usage_record (org_id, session_id, line, payer, pool_key, seconds)
    VALUES ('contoso', 'a', 0, 'P', 'US/MCOPSTN1', 61)""",
    """INSERT INTO call_request (org_id, session_id, request_number, fingerprint, answer)
    VALUES ('contoso', 'a', 0, 5, :bytes)""",
    """INSERT INTO call (org_id, session_id, state, started_at, funding, held_micros)
    VALUES ('contoso', 'a', 'open', 0, '[[],[],{"lot"\\:100000},""]', 100000)""",
    "INSERT INTO pool (org_id, pool_key, licences, size_seconds) VALUES ('contoso', 'US/MCOPSTN1', 2, 360000)",
    """INSERT INTO pool_use (org_id, pool_key, period, size_seconds, used_seconds)
    VALUES ('contoso', 'US/MCOPSTN1', 202611, 360000, 61)""",
    """INSERT INTO subscriber (org_id, user_id, upn, display_name, usage_location, products, created_at) VALUES
    ('contoso', 'anna', 'anna@contoso.example', 'Anna', 'US', 'MCOPSTN1 MCOPSTNC', 10),
    ('contoso', 'ben', 'ben@contoso.example', '', 'US', 'MCOPSTNC MCOPSTN_PAYG_1 MCOPSTN_PAYG_2', 11),
    ('contoso', 'carla', 'carla@contoso.example', '', 'GB', 'MCOPSTN5 MCOPSTN6', 12),
    ('contoso', 'dario', 'dario@contoso.example', '', '', '', 13),
    ('contoso', 'elena', 'elena@contoso.example', '', 'US', 'MCOPSTN1', 14),
    ('fabrikam', 'fabio', 'fabio@fabrikam.example', '', 'IT', 'MCOPSTN1 MCOPSTNC', 15)""",
    """INSERT INTO phone_number (org_id, digits, "use", user_id, label) VALUES
    ('contoso', '14255550100', 'user', 'anna', 'desk'), ('contoso', '18005550100', 'conference', '', '')""",
    "INSERT INTO number_owner (digits, org_id) VALUES ('14255550100', 'contoso'), ('18005550100', 'contoso')",
    "INSERT INTO api_key (key_id, org_id, scope, secret_hash, created_at) VALUES ('k', '*', 'operator', :bytes, 0)",
)


def fill_0001(url: str) -> None:
    """Make a database of schema 0001 at *url*, with these rows."""
    upgrade(url, revision="0001")
    database = open_database(url)
    with database.writing() as connection:
        for statement in ROWS:
            connection.execute(text(statement), {"bytes": b"\x00granted"} if ":bytes" in statement else {})
    database.close()


LEFT = json.loads(Path(__file__).with_name("left_by_0001.json").read_text(encoding="utf-8"))
LEFT_AT = datetime.fromisoformat(LEFT["at"])
"""When the program of 0001 answered its last request."""


def leave_as_0001_did(url: str) -> None:
    """Make a database of schema 0001 at *url*, as the program of that time left it."""
    upgrade(url, revision="0001")
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(text("DELETE FROM generation"))
        # Organisations before what belongs to them.
        for table in sorted(LEFT["tables"], key=lambda name: name != "organisation"):
            _insert(connection, table, **LEFT["tables"][table])
    database.close()


def _insert(connection: Connection, table: str, *, columns: list[str], rows: list[list[Any]]) -> None:
    names, places = ", ".join(f'"{name}"' for name in columns), ", ".join(f":{name}" for name in columns)
    for row in rows:
        values = {name: _plain(value) for name, value in zip(columns, row, strict=True)}
        connection.execute(text(f"INSERT INTO {table} ({names}) VALUES ({places})"), values)


def _plain(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value
