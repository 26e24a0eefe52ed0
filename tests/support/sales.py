"""Contoso with a department Sales, for tests of policies; fabrikam beside it, which they may not touch."""

import contextlib
from collections.abc import Iterator

from sqlalchemy import insert

from gettone.operations.notices import list_notices, sentence
from gettone.operations.office import Office
from gettone.operations.policies import PoliciesView, PolicyChanges, change_policies
from gettone.storage.engine import open_database
from tests.support.rows import MIDDAY, organisation, user

EURO = 1_000_000
MONTH = 202611


@contextlib.contextmanager
def peopled(office: Office) -> Iterator[Office]:
    """Fill an empty *office*: two people of Sales and one of nothing; at the end fabrikam is as it was."""
    with office.write_shared() as unit:
        for org_id, currency in (("contoso", "EUR"), ("fabrikam", "USD")):
            unit.directory.add_organisation(organisation(org_id, currency=currency, time_zone="Europe/Rome"))
        people = [
            user("anna", department="Sales", display_name="Anna Conti"),
            user("ben", department="Sales", cost_centre="4711"),
            user("carla"),
        ]
        unit.directory.add_users("contoso", people)
        unit.directory.add_users("fabrikam", [user("anna", "fabrikam")])
        before = unit.directory.organisation("fabrikam"), unit.directory.users("fabrikam", "", "", 9)
    yield office
    with office.read() as unit:
        assert (unit.directory.organisation("fabrikam"), unit.directory.users("fabrikam", "", "", 9)) == before
        assert unit.policies.notices("fabrikam", "", None, 9) == []


def change(office: Office, **changes) -> PoliciesView:
    return change_policies(office, "contoso", PolicyChanges(**changes), MIDDAY, "the test")


def version(office: Office) -> int:
    """Return how often charging was told to read users and settings again."""
    with office.read() as unit:
        return unit.money.account("contoso").directory_version


def told(office: Office, kind: str = "") -> list[str]:
    """Return the sentences of the notices, oldest first."""
    return [sentence(one, "EUR") for one in reversed(list_notices(office, "contoso", kind=kind).items)]


def put(url: str, table, *rows: dict) -> None:
    """Write rows that the charging desk writes."""
    database = open_database(url)
    with database.writing() as connection:
        connection.execute(insert(table), list(rows))
    database.close()


def spent(subject: str, micros: int = 0, *, held: int = 0, open_calls: int = 0, period: int = MONTH) -> dict:
    figures = {"spent_micros": micros, "held_micros": held, "open_calls": open_calls}
    return {"org_id": "contoso", "subject": subject, "period": period, **figures}
