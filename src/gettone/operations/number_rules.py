"""What a telephone number may ring, and how many numbers licences allow (facts section 4, complaint 4548).

A number that came with a plan or was ported rings a user only while the user has a Calling Plan; Direct Routing numbers
ring anybody. Voice applications are rung on numbers of their own, which may name the resource account that answers.

Quotas count numbers that came with a plan, by what they are: toll-free ones, those of users and of nobody, and toll
numbers of services. Numbers that were ported or come by Direct Routing are not counted. Toll-free numbers are
paid by Communications Credits, so these are set up first: bought, funded, or replaced by billing after use.
"""

from collections import Counter
from collections.abc import Mapping
from functools import cached_property

import msgspec

from gettone.catalogue.numbering import number_plan
from gettone.domain import licences as rules
from gettone.domain.catalogue import CALLING_PLANS, Role, Terms
from gettone.domain.entitlement import TOLL_FREE_POST_USAGE
from gettone.domain.numbers import DIGITS_MAX, Kind
from gettone.domain.parties import NumberSource, NumberUse
from gettone.errors import Conflict, InvalidInput
from gettone.operations import checks
from gettone.operations.licence_moves import Licences
from gettone.operations.office import Unit
from gettone.operations.pool_sizes import holding_of
from gettone.operations.views import NumberView, UserView

USER_NUMBERS = "user"
TOLL_NUMBERS = "toll"
TOLL_FREE_NUMBERS = "toll_free"
QUOTAS = (USER_NUMBERS, TOLL_NUMBERS, TOLL_FREE_NUMBERS)

_VOICE_APPLICATIONS = {NumberUse.AUTO_ATTENDANT.value, NumberUse.CALL_QUEUE.value}
_MORE = {
    USER_NUMBERS: "Calling Plan licences",
    TOLL_NUMBERS: "Phone System or Audio Conferencing licences",
    TOLL_FREE_NUMBERS: "Phone System or Audio Conferencing licences",
}
_NAMES = {
    USER_NUMBERS: "numbers for users",
    TOLL_NUMBERS: "toll numbers for services",
    TOLL_FREE_NUMBERS: "toll-free numbers",
}


class NumberQuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """How many numbers of a *kind* (user, toll, toll_free) came with a plan, and how many may."""

    kind: str
    used: int
    allowed: int


def number_wanted(
    digits: str, *, user: UserView | None, use: str, label: str, source: str, licences: Licences
) -> NumberView:
    """The number as it is asked for, checked.

    Without *use* it is a user's when a person is given, and an auto attendant's with a resource account. Without
    *source* it came with a plan, except to a user who has no Calling Plan: then by Direct Routing.

    Raises:
        InvalidInput: it would ring what it cannot ring.
    """
    wanted_use = checks.number_use(use or _usual_use(user))
    _check_party(wanted_use, user)
    plan = user is not None and has_calling_plan(user, licences.terms)
    usual = NumberSource.PLAN if plan or wanted_use != NumberUse.USER.value else NumberSource.DIRECT
    wanted_source = checks.number_source(source or usual.value)
    if wanted_use == NumberUse.USER.value and wanted_source in rules.RING_WITH_A_PLAN and not plan:
        assert user is not None, "a number for users has a user"
        needed = rules.calling_products(holding_of(user), licences.terms, licences.organisation.country)
        words = " ".join(rules.typed(sku) for sku in needed) or "PRODUCT"
        remedy = (
            f"a number that came with a plan or was ported rings a user who has a Calling Plan; assign one to "
            f"{user.upn} first: gettone licences assign {licences.org_id} {user.upn} {words}, or write --source direct"
        )
        raise InvalidInput("source", wanted_source, remedy)
    return NumberView(
        number="+" + digits,
        use=wanted_use,
        user_id=user.user_id if user else "",
        label=checks.text("label", label, empty=True),
        source=wanted_source,
    )


def has_calling_plan(user: UserView, terms: Terms) -> bool:
    """Whether a user holds a Calling Plan."""
    return holding_of(user).holdings(terms).plan(*CALLING_PLANS) is not None


def _usual_use(user: UserView | None) -> str:
    if user is None:
        return ""
    return NumberUse.AUTO_ATTENDANT.value if user.resource else NumberUse.USER.value


def _check_party(use: str, user: UserView | None) -> None:
    """Raise `InvalidInput` when this use does not go with this user, or with nobody."""
    if use == NumberUse.USER.value:
        if user is None:
            raise InvalidInput("user", "", "name the user it rings")
        if user.resource:
            remedy = f"{user.upn} is a resource account; give it a number of an auto_attendant or a call_queue"
            raise InvalidInput("use", use, remedy)
    elif user is not None and use not in _VOICE_APPLICATIONS:
        raise InvalidInput("user", user.upn, f"leave it out: the number is for {_a(use)}")
    elif user is not None and not user.resource:
        remedy = f"{user.upn} is a person; name a resource account, or leave it out: the number is for {_a(use)}"
        raise InvalidInput("user", user.upn, remedy)


def _a(use: str) -> str:
    return "nobody" if use == NumberUse.UNASSIGNED.value else f"{'an' if use[0] == 'a' else 'a'} {use}"


def is_toll_free(digits: str) -> bool:
    """Whether a full number is toll-free."""
    return number_plan().lookup(digits).kind is Kind.TOLL_FREE


def quota_of(number: NumberView) -> str:
    """The quota that counts a number; empty for none."""
    toll_free = is_toll_free(number.number.lstrip("+"))
    return _quota(number.use, number.source, toll_free=toll_free)


def _quota(use: str, source: str, *, toll_free: bool) -> str:
    if source != NumberSource.PLAN.value:
        return ""
    if toll_free:
        return TOLL_FREE_NUMBERS
    return USER_NUMBERS if use in {NumberUse.USER.value, NumberUse.UNASSIGNED.value} else TOLL_NUMBERS


class NumberQuotas:
    """What an organisation's licences allow, and what of it is used; counts along while numbers are decided."""

    def __init__(self, unit: Unit, licences: Licences) -> None:
        """Count the numbers of the organisation of *licences*."""
        self._unit = unit
        self._licences = licences

    def views(self) -> tuple[NumberQuotaView, ...]:
        """Used and allowed of every quota."""
        return tuple(NumberQuotaView(kind=kind, used=self._used[kind], allowed=self._allowed[kind]) for kind in QUOTAS)

    def take(self, wanted: NumberView, known: NumberView | None) -> None:
        """Count *wanted* in place of *known*, which the organisation has already.

        Raises:
            Conflict: the licences do not allow one more, or it is toll-free and nothing is set up to pay for it.
        """
        quota, before = quota_of(wanted), quota_of(known) if known else ""
        if known is None and is_toll_free(wanted.number.lstrip("+")):
            self._check_toll_free(wanted)
        if quota == before:
            return
        if quota and self._used[quota] >= self._allowed[quota]:
            more = f"{_MORE[quota]}: gettone licences buy {self._licences.org_id} {self._more(quota)} QUANTITY"
            raise Conflict(
                f"number {wanted.number!r}: {self._used[quota]:,} of {self._allowed[quota]:,} {_NAMES[quota]} that the "
                f"licences allow are taken; release one, or buy more {more}"
            )
        self._used.update([quota])
        self._used.subtract([before])

    def _more(self, quota: str) -> str:
        """The product of which more licences allow more numbers."""
        terms, country = self._licences.terms, self._licences.organisation.country
        if quota == USER_NUMBERS:
            return rules.command_word(Role.DOMESTIC_PLAN, terms, country)
        row = terms.countries.get(country)
        conferencing = row is None or row.conferencing == "yes"
        return rules.command_word(Role.CONFERENCING if conferencing else Role.PHONE_SYSTEM, terms)

    @cached_property
    def _used(self) -> Counter[str]:
        used: Counter[str] = Counter()
        for use, source, digits, count in self._unit.licences.number_counts(self._licences.org_id):
            used[_quota(use, source, toll_free=_begins_toll_free(digits))] += count
        return used

    @cached_property
    def _allowed(self) -> Mapping[str, int]:
        owned, terms = self._licences.purchased, self._licences.terms
        toll, toll_free = rules.service_numbers(owned, terms)
        users = sum(rules.allowed_by(quota, owned, terms) for quota in ("user_numbers", "payg_numbers"))
        return {USER_NUMBERS: users, TOLL_NUMBERS: toll, TOLL_FREE_NUMBERS: toll_free}

    def _check_toll_free(self, wanted: NumberView) -> None:
        if not self._credits_set_up:
            org_id = self._licences.org_id
            product = rules.command_word(Role.CREDITS, self._licences.terms)
            raise Conflict(
                f"number {wanted.number!r}: it is toll-free, and nothing pays for calls to it; set up Communications "
                f"Credits first: gettone licences buy {org_id} {product}, then gettone wallet credit {org_id} AMOUNT"
            )

    @cached_property
    def _credits_set_up(self) -> bool:
        """Whether credits are bought or were ever funded, or usage is billed afterwards when that is possible."""
        licences, terms = self._licences, self._licences.terms
        bought = rules.licences_with(frozenset({Role.CREDITS}), licences.purchased, terms)
        late = licences.organisation.post_usage and TOLL_FREE_POST_USAGE in terms.features
        return bool(bought or late or self._unit.money.lots(licences.org_id, "", 1, unspent_only=False))


def _begins_toll_free(digits: str) -> bool:
    """Whether numbers that begin with these digits are toll-free, of whatever length they are."""
    lengths = range(len(digits), DIGITS_MAX + 1)
    return any(is_toll_free(digits.ljust(length, "0")) for length in lengths)
