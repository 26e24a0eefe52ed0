"""Payment methods: cards that a provider keeps, and Enterprise Agreements with their numbers (D19).

    begin_card, finish_card    a card is entered at its provider, which only tells us its label
    add_agreement              a number, its billing country, and perhaps a purchase order
    order, remove, change      the sequence in which methods are tried, and what may be changed of one

Methods are tried in order: the first is charged, the others step in when a recharge is declined. A provider is asked
outside of any transaction.

Who may: global and billing administrators and the operator use every method; an agreement is added by a global
administrator or the operator. In the service that the seeds describe a billing administrator does not even see the
agreement (facts, section 2), which administrators complained of; here a billing administrator sees it and pays by it.
What credit an agreement gives before it is paid is the operator's to say alone: until then each order by it counts once
the operator has confirmed it.
"""

from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from gettone.errors import Conflict, Forbidden, InvalidInput, NotFound
from gettone.operations import checks
from gettone.operations.billing import AGREEMENT, CARD, READY, REMOVED, SETTING_UP, AuditEntry, Method
from gettone.operations.buying import GLOBAL_ADMIN, OPERATOR, Buyer, require_right
from gettone.operations.instants import microseconds
from gettone.operations.office import Office, OrganisationUnit, Unit
from gettone.operations.orders import method_of, usable
from gettone.operations.paging import check_limit
from gettone.operations.providers import Card, Provider, Providers
from gettone.operations.recharging import open_in, resume_in

METHODS_MAX = 20
"""Methods that one organisation may have, set-ups that nobody finished included."""


class NewAgreement(msgspec.Struct, frozen=True, kw_only=True):
    """An Enterprise Agreement to pay by.

    *credit_limit_micros* is how much may be unpaid, None for no limit. *on_confirmation*: credit counts once the
    operator has confirmed the order. Both are the operator's to set.
    """

    number: str
    billing_country: str
    purchase_order: str = ""
    credit_limit_micros: int | None = None
    on_confirmation: bool = True


class NewCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that is to be entered: at *link*, or on a page that takes the provider's *secret*; then `finish_card`."""

    method: Method
    secret: str
    link: str


class MethodView(msgspec.Struct, frozen=True, kw_only=True):
    """A method, and what earlier orders by it still owe (agreements only), in micros."""

    method: Method
    unpaid_micros: int


def list_methods(office: Office, org_id: str) -> tuple[MethodView, ...]:
    """The payment methods in the order in which they are tried. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return tuple(_view(unit, org_id, method) for method in unit.buying.methods(org_id))


def get_method(office: Office, org_id: str, method_id: str) -> MethodView:
    """One payment method, also one that was removed. Raises `NotFound`."""
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return _view(unit, org_id, method_of(unit, org_id, method_id))


def history(office: Office, org_id: str, method_id: str, *, limit: int = 100) -> tuple[AuditEntry, ...]:
    """Who changed what of a method, newest first. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    with office.read() as unit:
        method_of(unit, org_id, method_id)
        return tuple(unit.audit.audit(org_id, _subject(method_id), None, limit))


def _view(unit: Unit, org_id: str, method: Method) -> MethodView:
    unpaid = unit.buying.unpaid(org_id, method.method_id) if method.kind == AGREEMENT else 0
    return MethodView(method=method, unpaid_micros=unpaid)


# -- cards -------------------------------------------------------------------------------------------------------------


def begin_card(
    office: Office, org_id: str, buyer: Buyer, now: datetime, *, providers: Providers, provider: str = ""
) -> NewCard:
    """Prepare for a card to be entered at *provider* (empty: the one that is set up).

    Raises `NotFound`, `Forbidden`, `InvalidInput`, `PaymentUnavailable`, or `Conflict` when no provider is
    set up or there are too many methods.
    """
    require_right(buyer)
    name = provider or _card_provider(providers)
    asked = _provider(name, providers)
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        known = unit.buying.methods(org_id, removed=True)
        _check_room(unit, org_id)
    # Cards of one organisation belong to one customer of the provider's.
    customer_ref = next((one.customer_ref for one in known if one.provider == name and one.customer_ref), "")
    setup = asked.begin_setup(org_id, organisation.name, customer_ref)
    with office.write(org_id) as unit:
        method = _new_method(unit, CARD, name, "card, not entered yet", now)
        method = msgspec.structs.replace(
            method, provider_ref=setup.reference, customer_ref=setup.customer_ref, state=SETTING_UP
        )
        unit.buying.write_method(org_id, method)
        unit.note(buyer.name, "begin", _subject(method.method_id), {"provider": ("", name)}, now)
    return NewCard(method=method, secret=setup.secret, link=setup.link)


def finish_card(
    office: Office, org_id: str, method_id: str, buyer: Buyer, now: datetime, *, providers: Providers
) -> Method:
    """Take in the card that was entered; again changes nothing.

    A card that is there with another date of expiry is renewed in its place. A card that is new, or renewed, lets a
    suspended auto-recharge go on. Raises `NotFound`, `Forbidden`, `PaymentUnavailable`, or `Conflict` when no card was
    entered yet or the same card is there.
    """
    require_right(buyer)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        found = method_of(unit, org_id, method_id)
    if found.state != SETTING_UP:
        return _finished(found)
    card = _provider(found.provider, providers).finish_setup(found.provider_ref)
    with office.write(org_id) as unit:
        found = method_of(unit, org_id, method_id)
        if found.state != SETTING_UP:
            return _finished(found)
        same = _same_card(unit, found, card)
        if same is None:
            return _taken_in(unit, found, card, buyer, now)
        unit.buying.write_method(org_id, _changed(found, state=REMOVED))
        if same.expires != card.expires:
            return _renewed(unit, same, card, buyer, now)
    # Raised when the set-up has been put away, so that it does not stand in the list for ever.
    raise Conflict(f"this card is there already: {same.label} ({same.method_id}); nothing was added")


def _finished(method: Method) -> Method:
    if method.state == REMOVED:
        raise Conflict(f"payment method {method.method_id!r} was removed; begin again: add the card anew")
    return method


def _same_card(unit: OrganisationUnit, new: Method, card: Card) -> Method | None:
    """The method that is the same card, which the provider knows by its fingerprint."""
    return next(
        (
            one
            for one in usable(unit.buying.methods(unit.organisation.org_id))
            if card.fingerprint and (one.provider, one.fingerprint) == (new.provider, card.fingerprint)
        ),
        None,
    )


def _taken_in(unit: OrganisationUnit, new: Method, card: Card, buyer: Buyer, now: datetime) -> Method:
    org_id = unit.organisation.org_id
    known = {(one.fingerprint, one.expires) for one in unit.buying.methods(org_id, removed=True) if one.fingerprint}
    method = _changed(new, state=READY, **_of_card(card))
    unit.buying.write_method(org_id, method)
    unit.note(buyer.name, "add", _subject(method.method_id), {"label": ("", card.label)}, now)
    # A card that was taken away and entered again is as bad as it was before.
    if (card.fingerprint, card.expires) not in known:
        _go_on(unit, now)
    return method


def _renewed(unit: OrganisationUnit, same: Method, card: Card, buyer: Buyer, now: datetime) -> Method:
    method = _changed(same, **_of_card(card))
    unit.buying.write_method(unit.organisation.org_id, method)
    changes = {"expires": (str(same.expires), str(card.expires))}
    unit.note(buyer.name, "renew", _subject(method.method_id), changes, now)
    _go_on(unit, now)
    return method


def _of_card(card: Card) -> dict[str, object]:
    return {
        "provider_ref": card.provider_ref,
        "customer_ref": card.customer_ref,
        "fingerprint": card.fingerprint,
        "label": card.label,
        "expires": card.expires,
    }


def _go_on(unit: OrganisationUnit, now: datetime) -> None:
    """Let the auto-recharge try the method that came in."""
    resume_in(unit, now)
    open_in(unit, now)


def _card_provider(providers: Providers) -> str:
    name = next((name for name in sorted(providers) if name != AGREEMENT), "")
    if not name:
        raise Conflict("no payment provider for cards is set up; set GETTONE_PAYMENTS, or add an agreement")
    return name


def _provider(name: str, providers: Providers) -> Provider:
    if name == AGREEMENT or name not in providers:
        cards = ", ".join(sorted(set(providers) - {AGREEMENT})) or "none"
        raise InvalidInput("provider", name[:80], f"it takes no cards here; set up for cards: {cards}")
    return providers[name]


# -- agreements --------------------------------------------------------------------------------------------------------


def add_agreement(office: Office, org_id: str, new: NewAgreement, buyer: Buyer, now: datetime) -> Method:
    """Add an Enterprise Agreement to pay by; a suspended auto-recharge goes on.

    Raises `NotFound`, `InvalidInput`, `Forbidden` when a billing administrator adds one or anybody but the operator
    gives it credit, or `Conflict` when the number is there.
    """
    require_right(buyer)
    if buyer.role not in {GLOBAL_ADMIN, OPERATOR}:
        raise Forbidden(
            f"role {buyer.role!r} may pay by agreements, but not add them: ask a global administrator or the operator"
        )
    if new.credit_limit_micros is not None or not new.on_confirmation:
        _require_operator(buyer)
    number = checks.identifier("number", new.number)
    with office.write(org_id) as unit:
        same = [one for one in unit.buying.methods(org_id) if one.agreement_number.lower() == number.lower()]
        if same:
            raise Conflict(f"agreement {number!r} is there already: {same[0].label} ({same[0].method_id})")
        method = msgspec.structs.replace(
            _new_method(unit, AGREEMENT, AGREEMENT, f"agreement {number}", now),
            agreement_number=number,
            billing_country=checks.country("billing_country", new.billing_country),
            purchase_order=checks.text("purchase_order", new.purchase_order, empty=True),
            credit_limit_micros=_limit(new.credit_limit_micros),
            on_confirmation=new.on_confirmation,
        )
        unit.buying.write_method(org_id, method)
        unit.note(buyer.name, "add", _subject(method.method_id), {"agreement_number": ("", number)}, now)
        _go_on(unit, now)
        return method


def _require_operator(buyer: Buyer) -> None:
    if buyer.role != OPERATOR:
        raise Forbidden(
            "what credit an agreement gives is the operator's to say: leave credit_limit and on_confirmation out, "
            "and ask the operator"
        )


def _limit(micros: int | None) -> int | None:
    if micros is not None and not 0 <= micros <= checks.AMOUNT_MAX:
        raise InvalidInput(
            "credit_limit_micros", micros, f"write an amount from 0 to {checks.AMOUNT_MAX}, or none for no limit"
        )
    return micros


# -- what may be changed -----------------------------------------------------------------------------------------------


class MethodChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be changed of a method; the two about credit are of agreements, and the operator's to set."""

    purchase_order: str | UnsetType = UNSET
    credit_limit_micros: int | UnsetType | None = UNSET
    on_confirmation: bool | UnsetType = UNSET


def change(
    office: Office, org_id: str, method_id: str, buyer: Buyer, now: datetime, *, changes: MethodChanges
) -> Method:
    """Change what is given; it counts from the next order on, and what it was stays in the history.

    Raises `NotFound`, `InvalidInput`, or `Forbidden`.
    """
    require_right(buyer)
    wanted = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not UNSET}
    if {"credit_limit_micros", "on_confirmation"} & wanted.keys():
        _require_operator(buyer)
    if "purchase_order" in wanted:
        wanted["purchase_order"] = checks.text("purchase_order", wanted["purchase_order"], empty=True)
    if "credit_limit_micros" in wanted:
        wanted["credit_limit_micros"] = _limit(wanted["credit_limit_micros"])
    with office.write(org_id) as unit:
        before = _there(unit, method_id)
        if before.kind != AGREEMENT and wanted.keys() - {"purchase_order"}:
            raise InvalidInput("method_id", method_id, "a card has no credit; name an agreement")
        differing = {name: value for name, value in wanted.items() if getattr(before, name) != value}
        if not differing:
            return before
        method = _changed(before, **differing)
        unit.buying.write_method(org_id, method)
        noted = {name: (_told(getattr(before, name)), _told(value)) for name, value in differing.items()}
        unit.note(buyer.name, "change", _subject(method_id), noted, now)
        return method


def order(
    office: Office, org_id: str, method_ids: Sequence[str], buyer: Buyer, now: datetime
) -> tuple[MethodView, ...]:
    """Let the methods be tried in this order; every one that is ready is named once.

    Raises `NotFound`, `InvalidInput`, or `Forbidden`.
    """
    require_right(buyer)
    with office.write(org_id) as unit:
        methods = unit.buying.methods(org_id)
        ready = {method.method_id: method for method in usable(methods)}
        if sorted(method_ids) != sorted(ready):
            raise InvalidInput(
                "method_ids", " ".join(method_ids)[:200], f"name each of these once: {' '.join(ready) or 'none'}"
            )
        others = [method for method in methods if method.method_id not in ready]
        sequence = [*(ready[method_id] for method_id in method_ids), *others]
        for position, method in enumerate(sequence, 1):
            if method.position != position:
                unit.buying.write_method(org_id, _changed(method, position=position))
        if list(ready) != list(method_ids):
            unit.note(buyer.name, "order", "methods", {"order": (" ".join(ready), " ".join(method_ids))}, now)
        return tuple(_view(unit, org_id, method) for method in unit.buying.methods(org_id))


def remove(office: Office, org_id: str, method_id: str, buyer: Buyer, now: datetime) -> Method:
    """Take a payment method away; again changes nothing.

    Raises `NotFound`, `Forbidden`, or `Conflict` while a payment by it is open, or while it is the only one that the
    auto-recharge can use.
    """
    require_right(buyer)
    with office.write(org_id) as unit:
        method = method_of(unit, org_id, method_id)
        if method.state == REMOVED:
            return method
        open_payment = _open_payment(unit, method_id)
        if open_payment:
            raise Conflict(
                f"payment {open_payment} by {method.label} is open; remove the method when it has come to its end"
            )
        rule = unit.buying.rule(org_id)
        others = [one for one in usable(unit.buying.methods(org_id)) if one.method_id != method_id]
        if rule is not None and rule.enabled and method.state == READY and not others:
            raise Conflict(
                f"the auto-recharge has no other payment method than {method.label}; add another first, "
                f"or turn it off: gettone recharge off {org_id}"
            )
        if rule is not None and rule.method_id == method_id:
            unit.buying.write_rule(org_id, msgspec.structs.replace(rule, method_id="", version=rule.version + 1))
        removed = _changed(method, state=REMOVED)
        unit.buying.write_method(org_id, removed)
        unit.note(buyer.name, "remove", _subject(method_id), {"label": (method.label, "")}, now)
        return removed


_PAGE = 500


def _open_payment(unit: OrganisationUnit, method_id: str) -> str:
    """The id of a payment by the method whose outcome is open, empty when there is none."""
    org_id, before = unit.organisation.org_id, None
    while found := unit.buying.payments(org_id, before, _PAGE):
        for payment in found:
            if payment.method_id == method_id and payment.state.open:
                return payment.payment_id
        before = (microseconds(found[-1].created_at), found[-1].payment_id)
    return ""


# -- shared ------------------------------------------------------------------------------------------------------------


def _new_method(unit: OrganisationUnit, kind: str, provider: str, label: str, now: datetime) -> Method:
    """A method at the end of the list; rows are never taken out, so their number makes an id that is not used twice."""
    org_id = unit.organisation.org_id
    _check_room(unit, org_id)
    methods = unit.buying.methods(org_id, removed=True)
    last = max((one.position for one in methods if one.state != REMOVED), default=0)
    return Method(
        method_id=f"{kind}-{len(methods) + 1}",
        kind=kind,
        provider=provider,
        label=label,
        position=last + 1,
        created_at=now,
    )


def _check_room(unit: Unit, org_id: str) -> None:
    if len(unit.buying.methods(org_id)) >= METHODS_MAX:
        raise Conflict(f"organisation {org_id!r} has {METHODS_MAX} payment methods, the most there may be; remove one")


def _there(unit: OrganisationUnit, method_id: str) -> Method:
    """A method that was not removed."""
    org_id = unit.organisation.org_id
    method = method_of(unit, org_id, method_id)
    if method.state == REMOVED:
        raise NotFound(f"payment method {method_id!r} was removed; list them: gettone methods list {org_id}")
    return method


def _changed(method: Method, **values: object) -> Method:
    return msgspec.structs.replace(method, version=method.version + 1, **values)


def _subject(method_id: str) -> str:
    return f"method/{method_id}"


def _told(value: object) -> str:
    return "" if value is None else str(value)
