"""One check of verification: a statement that returns only rows that are wrong (`gettone.storage.verify`)."""

from dataclasses import dataclass

RANGE = "org_id >= :first AND org_id <= :last"
"""The organisations that a check is run for."""


@dataclass(frozen=True, slots=True)
class Check:
    """A statement, and the sentence that its name columns fill."""

    kind: str
    what: str
    statement: str
