"""A small world to talk to: two organisations, three users, a rate deck, keys of every scope, and a client."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx

from gettone import bootstrap
from gettone.bootstrap import service
from gettone.config import Settings
from gettone.operations import directory, keys, numbers, rates, subscriptions, topups

NOW = datetime(2026, 5, 11, 9, 0, tzinfo=UTC)
BRITISH = "+442071838750"
AMERICAN = "+12125550123"
ITS_NUMBER = "+12125550100"
DECK = b"""country,kind,service,price,connection_charge,increments
GB,,,0.0100,0.02,60/60
US,,,0.0150,0,60/60
GB,,sms,0.0600,0,
"""
OWNED = {"MCOEV": 5, "MCOPSTN1": 4, "MCOPSTN2": 1, "MCOPSTNC": None}
LICENCES = {"anna": "MCOEV MCOPSTN1 MCOPSTNC", "bert": "MCOEV MCOPSTN1", "carla": ""}


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **length: int) -> None:
        self.now += timedelta(**length)


@dataclass(frozen=True)
class Tokens:
    operator: str
    charging_everywhere: str
    admin: str
    charging: str
    read: str
    foreign: str


def populate(url: str, now: datetime = NOW) -> Tokens:
    """Fill the empty database at *url*: contoso with 20 USD, Calling Plans and credits; fabrikam with nothing."""
    settings = Settings(database_url=url)
    bootstrap.upgrade_database(settings)
    with bootstrap.opened_office(settings) as office:
        for org_id in ("contoso", "fabrikam"):
            directory.create_organisation(office, org_id=org_id, name=org_id, country="US", currency="USD", now=now)
        for product, quantity in OWNED.items():
            subscriptions.buy(office, "contoso", product, now, reference=f"first {product}", quantity=quantity)
        for name, products in LICENCES.items():
            new = directory.NewUser(
                upn=f"{name}@contoso.example", user_id=name, usage_location="US", products=tuple(products.split())
            )
            directory.create_user(office, "contoso", new, now)
        numbers.assign_number(office, "contoso", ITS_NUMBER, now, user="anna")
        topups.add_funds(office, "contoso", 20_000_000, reference="first", now=now)
        rates.import_deck(office, DECK, now, currency="USD", effective_from=datetime(2026, 1, 1, tzinfo=UTC))

        def token(scope: str, org_id: str = "*") -> str:
            return keys.create_key(office, scope=scope, now=now, org_id=org_id).token

        return Tokens(
            operator=token("operator"),
            charging_everywhere=token("charging"),
            admin=token("admin", "contoso"),
            charging=token("charging", "contoso"),
            read=token("read", "contoso"),
            foreign=token("admin", "fabrikam"),
        )


class Api:
    """A client of the application, in this process; requests go out one after the other."""

    def __init__(self, gettone: service.Gettone, tokens: Tokens, clock: Clock, runner: asyncio.Runner) -> None:
        self.gettone, self.tokens, self.clock, self._runner = gettone, tokens, clock, runner
        transport = httpx.ASGITransport(gettone.app)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gettone")

    def request(self, method: str, path: str, *, key: str | None = "operator", **how: Any) -> httpx.Response:
        headers = dict(how.pop("headers", {}))
        if key is not None:
            headers.setdefault("Authorization", f"Bearer {getattr(self.tokens, key, key)}")
        return self._runner.run(self.client.request(method, path, headers=headers, **how))

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.request("GET", path, **how)

    def post(self, path: str, json: Any = None, **how: Any) -> httpx.Response:
        return self.request("POST", path, json=json, **how)

    def charge(self, path: str, json: Any = None, *, key: str = "charging", **how: Any) -> httpx.Response:
        return self.request("POST", path, json=json, key=key, **how)

    def start(
        self, session_id: str = "one", *, user: str = "anna", called: str = BRITISH, **more: Any
    ) -> httpx.Response:
        return self.charge("/v1/calls", {"session_id": session_id, "user": user, "called": called, **more})

    def stop(self, session_id: str = "one", *, used_seconds: int = 60, request_number: int = 1) -> httpx.Response:
        body = {"request_number": request_number, "used_seconds": used_seconds}
        return self.charge(f"/v1/calls/{session_id}/stop", body)

    def available(self) -> str:
        return str(self.get("/v1/organisations/contoso/wallet").json()["available"])

    def close(self) -> None:
        self._runner.run(self.client.aclose())


@contextlib.contextmanager
def opened_api(url: str, tokens: Tokens, **others: Any) -> Iterator[Api]:
    clock = Clock()
    settings = Settings(database_url=url, **others)
    with asyncio.Runner() as runner, service.open_gettone(settings, clock=clock) as gettone:
        api = Api(gettone, tokens, clock, runner)
        try:
            yield api
        finally:
            api.close()
