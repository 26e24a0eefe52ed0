"""Leases: of the processes that could do a job, the one that holds its lease does it.

A lease stands in the database, with its holder and the instant at which it runs out. Its holder keeps it while it
lives, renews it long before that instant, and gives it back at the end; the lease of a process that died runs out.
A lease spares work that would be done twice. It does not keep the books right: a process that was stopped for longer
than its lease and then goes on may work beside its successor, so whatever is done under a lease is safe without it,
by the wallet's lock or by a unique key.
"""

import os
import secrets
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from gettone.operations.office import Office

LEASE = timedelta(minutes=2)
"""So long after the death of its holder another process takes a job over; clocks may differ by a good part of it."""
RENEWAL = LEASE / 4


def new_holder() -> str:
    """A name for this process that no other has: host, process and a draw, for processes may have equal numbers."""
    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


class Leases:
    """The leases of one process. Safe to share between threads."""

    def __init__(self, office: Office, clock: Callable[[], datetime], *, holder: str = "") -> None:
        """Keep leases in *office* as *holder*, by the *clock*."""
        self._office = office
        self._clock = clock
        self.holder = holder or new_holder()
        self._until: dict[str, datetime] = {}
        self._guard = threading.Lock()

    @property
    def held(self) -> frozenset[str]:
        """The names of the leases that are ours, as far as we know."""
        return frozenset(self._until)

    def take(self, name: str) -> bool:
        """Take the lease called *name*, or keep it; False while another process has it.

        One that is ours and runs for a good while yet is not written again.
        """
        with self._guard:
            now = self._clock()
            until = self._until.get(name)
            if until is not None and now + 2 * RENEWAL <= until <= now + LEASE:
                return True
            with self._office.write_shared() as unit:
                taken = unit.leases.take_lease(name, self.holder, now, now + LEASE)
            return self._note(name, now, taken=taken)

    def renew(self) -> list[str]:
        """Let every lease that is ours run on, in one transaction; returns those that another process has by now."""
        with self._guard:
            now, names = self._clock(), sorted(self._until)
            if not names:
                return []
            with self._office.write_shared() as unit:
                taken = {name: unit.leases.take_lease(name, self.holder, now, now + LEASE) for name in names}
            return [name for name in names if not self._note(name, now, taken=taken[name])]

    def give_back(self) -> None:
        """Let others have all of them."""
        with self._guard:
            if not self._until:
                return
            with self._office.write_shared() as unit:
                for name in sorted(self._until):
                    unit.leases.drop_lease(name, self.holder)
            self._until.clear()

    def _note(self, name: str, now: datetime, *, taken: bool) -> bool:
        if taken:
            self._until[name] = now + LEASE
        else:
            self._until.pop(name, None)
        return taken
