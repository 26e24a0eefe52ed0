"""One process of a recharge storm: calls that empty wallets, and the worker that refills them.

python -m tests.kill.storm DATABASE_URL PORT BEGUN SEED runs until it is killed, or told to end on its standard input.
Time runs fast, the same in every process: a second is five minutes, so that what is unknown is soon asked about again.
"""

import http.client
import json
import random
import select
import sys
import time
from contextlib import suppress
from datetime import datetime, timedelta

from gettone.domain.payments import Outcome, Processing, Succeeded, Unknown
from gettone.errors import DatabaseBusy
from gettone.operations import recharging
from gettone.operations.messages import Refused, StartCall, StopCall
from gettone.operations.paying import Paying
from gettone.operations.providers import Movement
from tests.support.world import MIDDAY, World

FASTER = 300
ORGANISATIONS = tuple(f"org{number}" for number in range(8))


def clock(begun: float) -> datetime:
    """The time that runs fast."""
    return MIDDAY + timedelta(seconds=(time.time() - begun) * FASTER)


class Wire:
    """The bank over HTTP, as a provider."""

    def __init__(self, port: int) -> None:
        self.port = port

    def move(self, movement: Movement) -> Outcome:
        return self._post("/move", movement)

    def ask(self, movement: Movement) -> Outcome:
        return self._post("/ask", movement)

    give_up = ask

    def _post(self, path: str, movement: Movement) -> Outcome:
        words = {
            "key": movement.idempotency_key,
            "org_id": movement.org_id,
            "payment_id": movement.payment_id,
            "gross": movement.gross_micros,
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("POST", path, json.dumps(words))
            answer = json.loads(connection.getresponse().read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            return Unknown(str(error))
        finally:
            connection.close()
        return Succeeded(answer["ref"]) if answer["state"] == "succeeded" else Processing(answer["ref"])


def main(url: str, port: str, begun: str, seed: str) -> None:
    """Call and pay until the end."""
    chance, at = random.Random(int(seed)), float(begun)
    with World(url) as world:
        paying = Paying(world.office, {"bank": Wire(int(port))}, lambda: clock(at))
        number = 0
        while not select.select([sys.stdin], [], [], 0)[0]:
            number += 1
            world.now = clock(at)
            with suppress(DatabaseBusy):
                call(world, f"{seed}-{number}", chance)
                if number % 3 == 0:
                    recharging.open_due(world.office, world.now)
                paying.work(world.now)


def call(world: World, session_id: str, chance: random.Random) -> None:
    """Make one call that costs about as much as a recharge buys."""
    words = {"session_id": session_id, "org_id": chance.choice(ORGANISATIONS)}
    [answer] = world.charge(StartCall(**words, user="anna", called="+442079460123"))
    if not isinstance(answer, Refused):
        world.charge(StopCall(**words, request_number=1, used_seconds=chance.choice((60, 240))))


if __name__ == "__main__":
    main(*sys.argv[1:])
