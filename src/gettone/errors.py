"""Everything this package raises on purpose.

GettoneError
├── StorageError          the database did not do it; nothing was committed
│   ├── DatabaseBusy      somebody else holds it; try again
│   ├── InvariantBroken   a constraint of the database caught a mistake of ours
│   ├── SchemaMismatch    the database belongs to another version of the program
│   └── NotFound          no such row
├── Conflict              it contradicts what is already there
├── Forbidden             whoever asks has not the role for it
├── InvalidInput          a value that cannot be accepted: names field, value and remedy
├── InvalidFile           a file that cannot be accepted: names everything wrong in it, with line numbers
├── PaymentUnavailable    a payment provider cannot be reached or does not know us; nothing was charged
├── BadMessage            a message from outside is not what it says it is: its signature is wrong or too old
└── ConfigurationError    the settings cannot be used
"""

from collections.abc import Iterable
from dataclasses import dataclass


class GettoneError(Exception):
    """Something went wrong in Gettone."""

    def __init__(self, message: str = "") -> None:
        """Use the class's own sentence when no *message* is given."""
        super().__init__(message or (self.__doc__ or "").strip())


class StorageError(GettoneError):
    """The database could not do this; nothing was committed."""


class DatabaseBusy(StorageError):
    """The database is busy; try again."""


class InvariantBroken(StorageError):
    """A constraint of the database refused the change: a mistake in Gettone."""


class SchemaMismatch(StorageError):
    """The database belongs to another version of Gettone."""


class NotFound(StorageError):
    """There is no such thing."""


class Conflict(GettoneError):
    """This contradicts what is already there."""


class Forbidden(GettoneError):
    """You may not do this."""


class InvalidInput(GettoneError):
    """A value that cannot be accepted."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        """Say which *field* had which *value*, and what to do."""
        super().__init__(f"{field} {value!r}: {remedy}")
        self.field = field
        self.value = value
        self.remedy = remedy


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a file; *line* 0 is the file as a whole, *field* may be empty."""

    line: int
    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.field} {self.value!r}: {self.remedy}" if self.field else f"{where}{self.remedy}"


class InvalidFile(GettoneError):
    """A file that cannot be accepted; nothing of it was."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        """Name the file and everything that is wrong with it, in the order of its lines."""
        self.name = name
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line))
        count = f"{len(self.problems)} error" + ("s" if len(self.problems) != 1 else "")
        super().__init__("\n".join([f"{name}: {count}; nothing was imported", *map(str, self.problems)]))


class PaymentUnavailable(GettoneError):
    """The payment provider cannot be reached; nothing was charged."""


class BadMessage(GettoneError):
    """The message is not from whom it says it is."""


class ConfigurationError(GettoneError):
    """The settings cannot be used."""
