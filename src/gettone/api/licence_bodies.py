"""Bodies about users, numbers, subscriptions and licences.

A licence is written as the part number of its product, behind it the service plans that are switched off in it, every
one behind an exclamation mark: ``SPE_E5!MCOEV``. What is read can be sent back.
"""

from datetime import datetime
from typing import Annotated

import msgspec

from gettone.api.bodies import shown
from gettone.api.problems import FieldError, LicenceViolation, violations
from gettone.operations.bulk_licensing import BulkOutcome
from gettone.operations.checks import QUANTITY_MAX
from gettone.operations.directory import NewUser
from gettone.operations.licensing import LicenceOutcome, LicenceReport, Selection
from gettone.operations.views import Page, UserView

Licence = Annotated[str, msgspec.Meta(description="A product, such as MCOPSTN1 or SPE_E5!MCOEV.")]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=QUANTITY_MAX)]
Account = Annotated[str, msgspec.Meta(pattern="^(person|resource)$", description="person, or resource.")]

PERSON, RESOURCE = "person", "resource"


class _Input(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


# -- in ----------------------------------------------------------------------------------------------------------------


class NewUserBody(_Input, frozen=True, kw_only=True):
    """A user to make; without `user_id` one is given. `number` is E.164, one of the user's own.

    `account` is `resource` for an account of an auto attendant or a call queue, for good.
    """

    upn: str
    user_id: str = ""
    display_name: str = ""
    usage_location: str = ""
    licences: tuple[Licence, ...] = ()
    number: str = ""
    account: Account = PERSON
    department: str = ""
    cost_centre: str = ""


class UserChange(_Input, frozen=True, kw_only=True):
    """What is given changes; `licences` replaces all that are held."""

    upn: str | None = None
    display_name: str | None = None
    usage_location: str | None = None
    licences: tuple[Licence, ...] | None = None
    department: str | None = None
    cost_centre: str | None = None


class LicenceSet(_Input, frozen=True, kw_only=True):
    """Exactly what a user is to hold."""

    licences: tuple[Licence, ...]
    dry_run: bool = False


class LicenceStep(_Input, frozen=True, kw_only=True):
    """What to assign and to remove, in one step; `usage_location`, if given, is set in it as well."""

    add: tuple[Licence, ...] = ()
    remove: tuple[str, ...] = ()
    usage_location: str = ""
    dry_run: bool = False


class LicenceAssignment(_Input, frozen=True, kw_only=True):
    """What to assign to and to remove from `users`, or all users who meet every condition that is given.

    Without `partial` one refusal keeps everybody as they were. With `dry_run` nothing is written.
    """

    users: tuple[str, ...] = ()
    search: str = ""
    department: str = ""
    cost_centre: str = ""
    usage_location: str = ""
    holding: str = ""
    add: tuple[Licence, ...] = ()
    remove: tuple[str, ...] = ()
    dry_run: bool = False
    partial: bool = False

    @property
    def selection(self) -> Selection:
        """Whom it is about."""
        return Selection(
            users=self.users,
            search=self.search,
            department=self.department,
            cost_centre=self.cost_centre,
            usage_location=self.usage_location,
            holds=self.holding,
        )


class NewSubscription(_Input, frozen=True, kw_only=True):
    """An order of licences; without `quantity` it is 1, or what an order of the product always has."""

    product: str
    quantity: Quantity | None = None


class SubscriptionChange(_Input, frozen=True, kw_only=True):
    """How many licences from now on."""

    quantity: Quantity


class Assignment(_Input, frozen=True, kw_only=True):
    """Who or what a number rings: a `user` (id or user principal name), or by `use` a service.

    `source` is plan, ported or direct. A `label` that is not given stays.
    """

    user: str = ""
    use: str = ""
    label: str | None = None
    source: str = ""


class NewNumbers(_Input, frozen=True, kw_only=True):
    """Numbers to take for later use."""

    numbers: tuple[str, ...]
    source: str = ""
    label: str = ""


# -- out ---------------------------------------------------------------------------------------------------------------


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A user with licences and numbers; `version` counts the changes. Blocked while `blocked_reason` is not empty."""

    user_id: str
    upn: str
    display_name: str
    usage_location: str
    account: str
    licences: tuple[str, ...]
    numbers: tuple[str, ...]
    department: str
    cost_centre: str
    blocked_reason: str
    blocked_until: datetime | None
    created_at: datetime
    version: int


class UserOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a change did, or would do, to one user; nothing while there are `violations`.

    `user` is as asked for. `consequences` say what is taken away.
    """

    user: str
    user_id: str
    upn: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    numbers_unassigned: tuple[str, ...]
    consequences: tuple[str, ...]
    violations: tuple[LicenceViolation, ...]
    version: int


class LicenceOutcomes(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of changes did; `written` is false for a dry run."""

    outcomes: tuple[UserOutcome, ...]
    changed: int
    unchanged: int
    refused: int
    written: bool


class Consequence(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is taken away, and from how many users."""

    detail: str
    users: int


class ImportedLicences(msgspec.Struct, frozen=True, kw_only=True):
    """What a file of licences did, or would do; `undo_csv` is a file that takes everybody back.

    `gained` and `lost` count licences by product. `errors` name what is wrong, line by line.
    """

    lines: int
    changed: int
    unchanged: int
    refused: int
    written: bool
    gained: dict[str, int]
    lost: dict[str, int]
    numbers_unassigned: int
    consequences: tuple[Consequence, ...]
    errors: tuple[FieldError, ...]
    undo_csv: str


def new_user(body: NewUserBody) -> NewUser:
    """The user that *body* asks for."""
    return NewUser(
        upn=body.upn,
        user_id=body.user_id,
        display_name=body.display_name,
        usage_location=body.usage_location,
        products=body.licences,
        number=body.number,
        resource=body.account == RESOURCE,
        department=body.department,
        cost_centre=body.cost_centre,
    )


def user(view: UserView) -> User:
    """Show a user."""
    return shown(User, view, "", account=RESOURCE if view.resource else PERSON)


def users(found: Page[UserView]) -> Page[User]:
    """Show a page of users."""
    return Page(tuple(user(view) for view in found.items), found.next_cursor)


def outcome(view: LicenceOutcome) -> UserOutcome:
    """Show what happened to one user."""
    return shown(UserOutcome, view, "", violations=violations(view.violations, view.upn or view.user))


def outcomes(view: LicenceReport) -> LicenceOutcomes:
    """Show what a list of changes did."""
    return shown(LicenceOutcomes, view, "", outcomes=tuple(outcome(one) for one in view.outcomes))


def imported(view: BulkOutcome) -> ImportedLicences:
    """Show what a file of licences did."""
    return shown(
        ImportedLicences,
        view,
        "",
        consequences=tuple(Consequence(detail=detail, users=users) for detail, users in view.consequences),
        errors=tuple(FieldError(one.remedy, one.field, one.value, one.line) for one in view.problems),
    )
