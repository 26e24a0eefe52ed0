"""How many users of an organisation meet a condition, whatever it is: all of them are looked at, in one transaction."""

from collections.abc import Callable

from gettone.operations.office import Office
from gettone.operations.views import UserView


def count_users(office: Office, org_id: str, wanted: Callable[[UserView], bool]) -> int:
    """How many users *wanted* says yes to; it sees them without their numbers. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return sum(1 for user in unit.directory.all_users(org_id) if wanted(user))
