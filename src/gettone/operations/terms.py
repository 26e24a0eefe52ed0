"""What counts on the day that it is for an organisation: the catalogue, shipped and the operator's, within a unit."""

from datetime import date, datetime
from zoneinfo import ZoneInfo

from gettone.catalogue.tables import catalogue
from gettone.domain.catalogue import Terms
from gettone.operations.office import Unit
from gettone.operations.views import OrganisationView


def billing_day(organisation: OrganisationView, now: datetime) -> date:
    """The day it is in the organisation's billing time zone."""
    return now.astimezone(ZoneInfo(organisation.time_zone)).date()


def terms_of(unit: Unit, day: date) -> Terms:
    """The terms of *day* with the rows that the operator has added; read once for each state of these rows."""
    return catalogue(unit.catalogue.catalogue_tables()).terms(day)


def terms_now(unit: Unit, organisation: OrganisationView, now: datetime) -> Terms:
    """The terms of the day it is for an organisation."""
    return terms_of(unit, billing_day(organisation, now))
