"""The worlds that simulations begin in: some organisations each, made once for a process and copied for every seed."""

import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from gettone.domain.money import MICROS
from gettone.operations.billing import AGREEMENT, CARD, Method
from gettone.operations.catalogue import import_table
from gettone.operations.policies import PolicyChanges, change_policies
from gettone.operations.terms import terms_now
from tests.support.world import World, sqlite_url

TEMPLATES = 16
BEGIN = datetime(2026, 10, 20, 21, 30, tzinfo=UTC)
"""Days before clocks change in many places, hours before a day ends in some."""

PLACES = (
    ("US", "USD", "UTC"),
    ("IT", "EUR", "Europe/Rome"),
    ("JP", "JPY", "Asia/Tokyo"),
    ("US", "KWD", "Asia/Kuwait"),
    ("GB", "GBP", "Pacific/Chatham"),
    ("US", "USD", "America/St_Johns"),
)
# 7.77 % leaves hardly an amount whose parts add up by themselves.
TAXES = b"""country,label,percent,effective_from,effective_until,source
IT,IVA,22,2020-01-01,,ours
JP,Tax,7.77,2020-01-01,,ours
GB,VAT,20,2020-01-01,,ours
"""
NO_GUARD = dict.fromkeys(
    ("concurrent_calls", "user_hour_micros", "organisation_hour_micros", "new_premium_per_day", "premium_minute_micros")
)
"""Nobody is taken for a fraud, however much is spent: that is another matter."""

CALLED = ("+442079460123", "+390612345678", "+14255550123")
PRICES = "country,price,connection_charge,increments\nGB,{}.90,0.10,60/60\nIT,{}.50,0,60/60\nUS,{}.30,0,1/1\n"
"""Prices a minute that empty a wallet soon, in a currency of small units too."""


@dataclass(frozen=True, slots=True)
class Template:
    """The bytes of a database, and the organisations in it with the least that each may buy."""

    database: bytes
    least: dict[str, int]


def name(number: int) -> str:
    return f"org{number}"


@cache
def template(number: int) -> Template:
    """Make one of the templates; the same number is the same one."""
    random, least = Random(number), {}
    with TemporaryDirectory() as folder:
        url = sqlite_url(Path(folder))
        with World(url, BEGIN) as world:
            import_table(world.office, "taxes", TAXES, world.now)
            for at, (country, currency, zone) in enumerate(random.sample(PLACES, random.choice((1, 1, 2, 3)))):
                org_id = name(at)
                owns = {"MCOEV": 5, "MCOPSTN_PAYG_1": 5, "MCOPSTNC": 5}
                world.organisation(org_id, country=country, currency=currency, time_zone=zone, owns=owns)
                world.user(org_id, "anna", "US", ["MCOPSTN_PAYG_1", "MCOPSTNC"])
                least[org_id] = _least(world, org_id)
                unit_price = least[org_id] // (50 * MICROS)
                world.deck(PRICES.format(unit_price, 2 * unit_price, unit_price), currency=currency)
                change_policies(world.office, org_id, PolicyChanges(guard=NO_GUARD), world.now, "the simulation")
                if random.random() < 0.7:
                    world.fund(org_id, random.randrange(1, 5) * least[org_id], reference="in the beginning")
                _methods(world, org_id, random, least[org_id])
        path = Path(url.removeprefix("sqlite:///"))
        with sqlite3.connect(path) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        connection.close()
        return Template(path.read_bytes(), least)


def _least(world: World, org_id: str) -> int:
    """The least that an organisation may buy."""
    with world.office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        return terms_now(unit, organisation, world.now).minimum(organisation.currency)


def _methods(world: World, org_id: str, random: Random, least: int) -> None:
    """Let an organisation have one to three ways to pay."""
    with world.office.write(org_id) as unit:
        for position in range(1, random.choice((1, 2, 2, 3)) + 1):
            unit.buying.write_method(org_id, method(random, position, least, world.now))


def method(random: Random, position: int, least: int, now: datetime) -> Method:
    """Draw a way to pay: a card, perhaps one that is always declined, or an agreement, perhaps with a limit."""
    method_id = f"way{position}"
    if random.random() < 0.7:
        provider_ref = random.choice(("card", "card", "card always declined"))
        return Method(
            method_id=method_id,
            kind=CARD,
            provider="hostile",
            label="Visa",
            position=position,
            created_at=now,
            provider_ref=provider_ref,
        )
    return Method(
        method_id=method_id,
        kind=AGREEMENT,
        provider="hostile",
        label="Agreement 12345",
        position=position,
        created_at=now,
        agreement_number="12345",
        credit_limit_micros=random.choice((None, 10 * least, 40 * least, 5 * least + 7 * MICROS)),
        on_confirmation=random.random() < 0.4,
    )
