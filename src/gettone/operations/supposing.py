"""A dry run as if something were different: the main path over what is stored, with some of it taken to be mended.

What is supposed is never written: a unit that supposes is only read from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from gettone.domain.lots import Lot
from gettone.domain.parties import Organisation, ServedNumber, User
from gettone.domain.policies import Bars, Guard, Policies
from gettone.domain.refusals import Refusal
from gettone.operations.checks import AMOUNT_MAX
from gettone.operations.ports import CallKey, ChargingUnit, Loaded


@dataclass(frozen=True, slots=True)
class Supposed:
    """What is taken to be out of the way, and what the caller is taken to have besides.

    *usage_location* and *dial_out_policy* count for users when the reasons say that these are mended; *number* is one
    that the organisation is taken to have.
    """

    mended: frozenset[Refusal] = frozenset()
    licences: frozenset[str] = frozenset()
    usage_location: str = ""
    dial_out_policy: str = ""
    number: ServedNumber | None = None

    def organisation(self, stored: Organisation) -> Organisation:
        """The organisation as it is supposed to be."""
        mended = self.mended
        policies = self._policies(stored.policies)
        return replace(stored, closed=stored.closed and Refusal.ORGANISATION_CLOSED not in mended, policies=policies)

    def _policies(self, stored: Policies) -> Policies:
        changes: dict[str, Any] = {"guard": self._guard(stored.guard)}
        if Refusal.NUMBER_BARRED in self.mended:
            changes["barred_called"] = Bars()
        if Refusal.CALLER_BARRED in self.mended:
            changes["barred_calling"] = Bars()
        if Refusal.GROUP_SPEND_LIMIT_REACHED in self.mended:
            changes["group_limits_micros"] = {}
        return replace(stored, **changes)

    def _guard(self, stored: Guard) -> Guard:
        changes: dict[str, None] = {}
        if Refusal.TOO_MANY_CALLS in self.mended:
            changes |= dict.fromkeys(("concurrent_calls", "conference_calls", "resource_calls"))
        if Refusal.NEW_DESTINATION_LIMIT in self.mended:
            changes |= dict.fromkeys(("new_premium_per_day",))
        if Refusal.INTERNATIONAL_SPEND_LIMIT in self.mended:
            changes |= dict.fromkeys(("user_hour_micros", "organisation_hour_micros"))
        return replace(stored, **changes)  # type: ignore[arg-type]  # each of these may be None

    def user(self, stored: User) -> User:
        """The user as supposed to be."""
        changes: dict[str, Any] = {"licences": stored.licences | self.licences}
        if Refusal.USER_BLOCKED in self.mended:
            changes["block"] = None
        if Refusal.NO_USAGE_LOCATION in self.mended:
            changes["usage_location"] = self.usage_location
        if Refusal.DIAL_OUT_RESTRICTED in self.mended:
            changes["dial_out_policy"] = self.dial_out_policy
        if Refusal.SPEND_LIMIT_REACHED in self.mended:
            changes["limit_micros"] = AMOUNT_MAX
        return replace(stored, **changes)


class SupposingUnit:
    """A charging unit that answers what is supposed instead of what is stored; everything else it passes on."""

    def __init__(self, unit: ChargingUnit, supposed: Supposed, now: datetime) -> None:
        """Answer from *unit*, with what is *supposed* at *now*."""
        self._unit = unit
        self._supposed = supposed
        self._now = now

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the unit has
        """What nobody supposes anything about."""
        return getattr(self._unit, name)

    def load(self, org_ids: Sequence[str], calls: Sequence[CallKey], first_period: int) -> Loaded:
        """As stored, but with credit if that is supposed."""
        loaded = self._unit.load(org_ids, calls, first_period)
        if Refusal.INSUFFICIENT_CREDIT in self._supposed.mended:
            for account in loaded.accounts.values():
                account.wallet.overrun_micros = 0
                tomorrow = self._now + timedelta(days=1)
                account.wallet.add(Lot("supposed", self._now, tomorrow, AMOUNT_MAX, AMOUNT_MAX))
        return loaded

    def organisations(self, org_ids: Sequence[str]) -> dict[str, Organisation]:
        """The organisations as they are supposed to be."""
        found = self._unit.organisations(org_ids)
        return {org_id: self._supposed.organisation(one) for org_id, one in found.items()}

    def users(self, refs: Sequence[tuple[str, str]]) -> dict[tuple[str, str], User]:
        """The users as they are supposed to be."""
        return {ref: self._supposed.user(one) for ref, one in self._unit.users(refs).items()}

    def numbers(self, refs: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], ServedNumber]:
        """The numbers, with the one that is supposed."""
        found, number = self._unit.numbers(refs), self._supposed.number
        if number is not None:
            found |= {ref: number for ref in refs if ref[1] == number.digits}
        return found
