"""Telling people in tests: an organisation with an administrator, notices, and channels that do as they are told."""

import threading

from gettone.operations.notices import BALANCE_ZERO, notice
from gettone.operations.recipients import grant_role
from gettone.operations.telling import MAIL, WEBHOOK, Parcel, Sent, deliver, list_deliveries
from tests.support.world import World

ORG = "contoso"
ANNA, BEN = "anna@contoso.example", "ben@contoso.example"
URL = "https://example.com/gettone"


class Channel:
    """Takes parcels, and answers what it was told to, then what it always answers."""

    def __init__(self, *answers, always=None) -> None:
        self.answers = list(answers)
        self.always = always or Sent()
        self.parcels: list[Parcel] = []
        self._turn = threading.Lock()

    def send(self, parcel: Parcel):
        with self._turn:
            self.parcels.append(parcel)
            answer = self.answers.pop(0) if self.answers else self.always
        if isinstance(answer, Exception):
            raise answer
        return answer

    @property
    def targets(self) -> list[str]:
        return sorted(parcel.target for parcel in self.parcels)


def with_an_administrator(world: World) -> World:
    """Make an organisation in Rome with three users, of whom Anna is its billing administrator."""
    world.organisation(ORG, owns={}, time_zone="Europe/Rome")
    for name in ("anna", "ben", "carl"):
        world.user(ORG, name)
    grant_role(world.office, ORG, "anna", "billing_admin", world.now, by="a test")
    return world


def write(world, kind: str = BALANCE_ZERO, crossing: str = "1", **facts: str) -> str:
    told = notice(kind, "", crossing, facts or {"left": "0"}, world.now)
    with world.office.write(ORG) as unit:
        unit.policies.add_notice(ORG, told)
    return told.notice_id


def found(world, **narrowed):
    return list_deliveries(world.office, ORG, **narrowed).items


def targets(world) -> list[str]:
    return sorted(one.target for one in found(world))


def send(world, channel: Channel | None = None, hooks: Channel | None = None) -> int:
    channels = {MAIL: channel, WEBHOOK: hooks}
    return deliver(world.office, {name: one for name, one in channels.items() if one is not None}, world.now)
