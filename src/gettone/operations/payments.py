"""Payments: what is asked of a provider, and what its answers do to wallet, order and auto-recharge (D18).

    claim    one transaction: mark the payment as being asked, and say what to ask
    (the provider is asked, outside of any transaction: `operations.paying`)
    record   one transaction: the outcome with everything that follows from it

A crash between the two leaves a payment that is asked about again, under the same key. A payment is credited when its
success is recorded, once, whoever brings the news: the answer, a message of the provider's, or a later question.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec

from gettone.domain.ledger import Account, EntryKind, Posting, entry
from gettone.domain.money import ceil_div
from gettone.domain.payments import (
    ACTION_WITHIN,
    ActionRequired,
    Declined,
    Outcome,
    PaymentState,
    Processing,
    Succeeded,
    Unknown,
    after,
    ask_again_at,
)
from gettone.domain.wallet import Wallet
from gettone.errors import Conflict, NotFound
from gettone.operations import recharging
from gettone.operations.billing import (
    AGREEMENT,
    CHARGE,
    FAILED,
    FULFILLED,
    OPEN,
    RECHARGE,
    REFUND,
    CreditOrder,
    Method,
    Payment,
)
from gettone.operations.crediting import credit, tell_once, watched
from gettone.operations.invoicing import issue_for_payment, issue_for_refund
from gettone.operations.notices import (
    ACTION_REQUIRED,
    PAYMENT_DISPUTED,
    PURCHASE_FAILED,
    PURCHASE_SUCCEEDED,
    RECHARGE_SUCCEEDED,
    REFUNDED,
)
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.orders import (
    add_payment,
    change_payment,
    coin_micros,
    idempotency_key,
    method_of,
    request_payment,
    usable,
)
from gettone.operations.providers import NEVER_ARRIVED, DisputeNews, Movement, News, PaymentNews
from gettone.operations.views import EntryView

HELD_WHILE_ASKED = timedelta(minutes=2)
"""So long nobody else asks about a payment that is being asked about; longer than any provider is waited for."""

MOVE, ASK, GIVE_UP = "move", "ask", "give_up"

OPENED, WON, LOST = "opened", "won", "lost"


@dataclass(frozen=True, slots=True)
class Claim:
    """A question to be put: *what* is move, ask or give_up."""

    what: str
    provider: str
    movement: Movement


# -- asking ------------------------------------------------------------------------------------------------------------


def claim(office: Office, org_id: str, payment_id: str, now: datetime) -> Claim | None:
    """Mark a payment as being asked about, unless somebody is, or there is nothing to ask."""
    with office.write(org_id) as unit:
        payment = unit.buying.payment(org_id, payment_id)
        if payment is None or payment.next_at is None or payment.next_at > now:
            return None
        what = _what_to_ask(payment, now)
        asked = msgspec.structs.replace(
            payment,
            state=PaymentState.PENDING if payment.state is PaymentState.REQUESTED else payment.state,
            asks=payment.asks + 1,
            first_asked_at=payment.first_asked_at or now,
            next_at=now + HELD_WHILE_ASKED,
        )
        change_payment(unit, payment, asked, now)
        return Claim(what, payment.provider, _movement(unit, asked, now))


def _what_to_ask(payment: Payment, now: datetime) -> str:
    if payment.state is PaymentState.REQUESTED:
        return MOVE
    first = payment.first_asked_at or now
    if payment.state is PaymentState.ACTION_REQUIRED and now - first >= ACTION_WITHIN:
        return GIVE_UP
    return ASK


def _movement(unit: OrganisationUnit, payment: Payment, now: datetime) -> Movement:
    org_id = unit.organisation.org_id
    method = method_of(unit, org_id, payment.method_id)
    charged = unit.buying.payment(org_id, payment.refund_of) if payment.refund_of else None
    return Movement(
        org_id=org_id,
        payment_id=payment.payment_id,
        idempotency_key=payment.idempotency_key,
        gross_micros=payment.gross_micros,
        currency=unit.account.wallet.currency,
        method=method,
        description=f"Communications Credits, order {payment.order_id}",
        now=now,
        first_asked_at=payment.first_asked_at or now,
        provider_ref=payment.provider_ref,
        refund_of=charged.provider_ref if charged else "",
        unpaid_micros=_unpaid_before(unit, payment) if method.kind == AGREEMENT else 0,
    )


def _unpaid_before(unit: OrganisationUnit, payment: Payment) -> int:
    """What an agreement owes, with what was asked of it before *payment* and is not decided.

    So of two orders at once only one can take the last of its limit.
    """
    org_id = unit.organisation.org_id
    return unit.buying.unpaid(org_id, payment.method_id) + unit.buying.asked_before(org_id, payment)


# -- recording ---------------------------------------------------------------------------------------------------------


def record(office: Office, org_id: str, payment_id: str, outcome: Outcome, now: datetime) -> Payment:
    """Write what a provider said of a payment, with all that follows; no news changes nothing. Raises `NotFound`."""
    with office.write(org_id) as unit:
        return record_in(unit, _payment(unit, payment_id), outcome, now)


def take_news(office: Office, provider: str, news: News, now: datetime) -> Payment | None:
    """Take in a provider's message, once; None when it was taken in before, or is about nothing of ours.

    Raises `Conflict` for the news of a dispute that came before what it follows: it is to be sent again later.
    """
    with office.write(news.org_id) as unit:
        if not unit.buying.take_event(news.org_id, provider, news.event_id, type(news).__name__, now):
            return None
        payment = unit.buying.payment(news.org_id, news.payment_id)
        if payment is None or payment.provider != provider:
            return None
        if news.idempotency_key not in {"", payment.idempotency_key}:
            # Of a payment of the same number, from before a backup was restored.
            return None
        match news:
            case PaymentNews():
                if isinstance(news.outcome, Declined) and payment.state.open:
                    # Messages come late, and out of order: what closes a payment for good is asked for.
                    return change_payment(unit, payment, msgspec.structs.replace(payment, next_at=now), now)
                return record_in(unit, payment, news.outcome, now)
            case DisputeNews():
                return _dispute(unit, payment, news, now)


def record_in(unit: OrganisationUnit, payment: Payment, outcome: Outcome, now: datetime) -> Payment:
    """What `record` does, in this unit."""
    if (
        isinstance(outcome, Declined)
        and outcome.code == NEVER_ARRIVED
        and payment.state in {PaymentState.PENDING, PaymentState.UNKNOWN}
    ):
        # The provider has never heard of it, and never will: asking afresh is a new payment.
        outcome = Declined(NEVER_ARRIVED, "the provider never got the question")
    state = after(payment.state, outcome)
    told = _told(payment, outcome, now)
    if state is payment.state and not state.open:
        return payment
    changed = msgspec.structs.replace(told, state=state)
    if not state.open:
        changed = msgspec.structs.replace(changed, next_at=None, link="", settled_at=now)
    change_payment(unit, payment, changed, now)
    if state is payment.state:
        return changed
    if payment.kind == REFUND:
        return _refund_is(unit, changed, now)
    match state:
        case PaymentState.SUCCEEDED:
            return _bought(unit, changed, now)
        case PaymentState.DECLINED:
            _declined(unit, changed, now, final=isinstance(outcome, Declined) and outcome.final)
        case PaymentState.ACTION_REQUIRED:
            tell_once(
                unit, ACTION_REQUIRED, changed.payment_id, now, amount=str(changed.gross_micros), link=changed.link
            )
        case _:
            pass
    return changed


def _told(payment: Payment, outcome: Outcome, now: datetime) -> Payment:
    """The payment with what *outcome* tells of it, and when to ask again."""
    again = ask_again_at(payment.asks, now)
    match outcome:
        case Succeeded(reference):
            return msgspec.structs.replace(payment, provider_ref=reference, code="", detail="")
        case Processing(reference):
            return msgspec.structs.replace(payment, provider_ref=reference, code="", detail="", next_at=again)
        case ActionRequired(reference, link):
            give_up_at = (payment.first_asked_at or now) + ACTION_WITHIN
            return msgspec.structs.replace(
                payment,
                provider_ref=reference,
                link=link,
                code="authentication_required",
                next_at=min(again, max(give_up_at, now)),
            )
        case Declined(code, detail, _, reference):
            return msgspec.structs.replace(
                payment, code=code, detail=detail, provider_ref=reference or payment.provider_ref
            )
        case Unknown(detail):
            return msgspec.structs.replace(payment, detail=detail, next_at=again)


def _bought(unit: OrganisationUnit, payment: Payment, now: datetime) -> Payment:
    """Credit what has been paid, close the order, issue the invoice, and let the auto-recharge go on."""
    org_id = unit.organisation.org_id
    order = _order(unit, payment)
    by_agreement = method_of(unit, org_id, payment.method_id).kind == AGREEMENT
    origins = [
        Posting(Account.INVOICED if by_agreement else Account.FUNDING, -payment.gross_micros),
        Posting(Account.TAX, payment.gross_micros - payment.net_micros),
    ]
    done = credit(unit, EntryKind.CREDIT_BOUGHT, origins, source=order.kind, reference=payment.payment_id, now=now)
    collected_at = None if by_agreement else now
    payment = change_payment(
        unit, payment, msgspec.structs.replace(payment, lot_id=done.lot_id, collected_at=collected_at), now
    )
    order = msgspec.structs.replace(order, state=FULFILLED, closed_at=now, reason="", version=order.version + 1)
    unit.buying.write_order(org_id, order)
    issue_for_payment(unit, order, payment, now, paid=not by_agreement)
    kind = RECHARGE_SUCCEEDED if order.kind == RECHARGE else PURCHASE_SUCCEEDED
    available = unit.account.wallet.available_micros(now)
    tell_once(unit, kind, payment.payment_id, now, amount=str(payment.net_micros), available=str(available))
    recharging.resume_in(unit, now)
    return payment


def _declined(unit: OrganisationUnit, payment: Payment, now: datetime, *, final: bool) -> None:
    """Try the next method of a recharge; without one the order has failed.

    A question that never reached the provider is nobody's decline: a recharge is ordered afresh if it is still due.
    """
    org_id = unit.organisation.org_id
    order = _order(unit, payment)
    if order.state != OPEN:
        return
    lost = payment.code == NEVER_ARRIVED
    following = _next_method(unit, order) if order.kind == RECHARGE and not lost else None
    if following is not None:
        request_payment(unit, order, following, now)
        return
    failed = msgspec.structs.replace(order, state=FAILED, closed_at=now, reason=payment.code, version=order.version + 1)
    unit.buying.write_order(org_id, failed)
    if order.kind == RECHARGE and lost:
        recharging.go_on_in(unit, now)
    elif order.kind == RECHARGE:
        recharging.declined_in(unit, failed, payment, now, final=final)
    else:
        reason = payment.detail or payment.code
        tell_once(unit, PURCHASE_FAILED, payment.payment_id, now, amount=str(payment.gross_micros), reason=reason)


def _next_method(unit: OrganisationUnit, order: CreditOrder) -> Method | None:
    """The method to try after those that were tried for *order*, in their order."""
    org_id = unit.organisation.org_id
    tried = {payment.method_id for payment in unit.buying.payments_of(org_id, order.order_id)}
    return next((one for one in usable(unit.buying.methods(org_id)) if one.method_id not in tried), None)


# -- refunds -----------------------------------------------------------------------------------------------------------


def refund(
    office: Office,
    org_id: str,
    payment_id: str,
    now: datetime,
    *,
    by: str,
    amount_micros: int | None = None,
    expected_version: int | None = None,
) -> Payment:
    """Begin to pay back the unused part of what a payment bought, or *amount_micros* of it.

    The credit leaves the wallet at once; it comes back if the provider refuses. Raises `NotFound`, or `Conflict` when
    so much is not unused, the payment is none that can be refunded, or it is not of *expected_version*.
    """
    with office.write(org_id) as unit:
        payment = _payment(unit, payment_id)
        if expected_version is not None and payment.version != expected_version:
            raise Conflict(f"payment {payment_id!r} has changed meanwhile; look at it again, then refund")
        if payment.kind != CHARGE or payment.state is not PaymentState.SUCCEEDED:
            raise Conflict(f"payment {payment_id!r} is {payment.state.value}; only one that succeeded can be refunded")
        unused = refundable_micros(unit.account.wallet, payment, now)
        net = unused if amount_micros is None else amount_micros
        currency = unit.account.wallet.currency
        gross = gross_of(payment, net, _gross(_refunds(unit, payment)), currency)
        if not 0 < net <= unused or net % coin_micros(currency) or gross <= 0:
            raise Conflict(
                f"amount_micros {net}: {unused} micros of what payment {payment_id!r} bought are unused; "
                "refund at most that, in whole coins of the currency"
            )
        return _begin_refund(unit, payment, _Part(net, gross), now, by)


def refundable_micros(wallet: Wallet, payment: Payment, now: datetime) -> int:
    """How much of what *payment* bought is unused, free, and neither expired nor owed; in whole coins."""
    lot = next((one for one in wallet.lots if one.lot_id == payment.lot_id), None)
    free = min(lot.free_micros(now), wallet.available_micros(now)) if lot is not None else 0
    coin = coin_micros(wallet.currency)
    return max(0, free // coin * coin)


def gross_of(payment: Payment, net_micros: int, already_gross: int, currency: str) -> int:
    """What moves at the provider when *net_micros* of a payment are taken back: the rest with the last part.

    *already_gross* is what earlier refunds move. Reckoned from the whole each time, so that roundings never add up.
    """
    taken, coin = payment.refunded_micros + net_micros, coin_micros(currency)
    if taken == payment.net_micros:
        return payment.gross_micros - already_gross
    return taken * payment.gross_micros // payment.net_micros // coin * coin - already_gross


def _refunds(unit: OrganisationUnit, charge: Payment) -> list[Payment]:
    """The refunds of a charge that have come through or still may."""
    found = unit.buying.payments_of(unit.organisation.org_id, charge.order_id)
    return [one for one in found if one.refund_of == charge.payment_id and one.state is not PaymentState.DECLINED]


def _gross(refunds: list[Payment]) -> int:
    return sum(one.gross_micros for one in refunds)


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a payment: what leaves the wallet, and what moves at the provider."""

    net: int
    gross: int


def _begin_refund(unit: OrganisationUnit, payment: Payment, part: _Part, now: datetime, by: str) -> Payment:
    org_id, net, gross = unit.organisation.org_id, part.net, part.gross
    number = sum(1 for one in unit.buying.payments_of(org_id, payment.order_id) if one.refund_of == payment.payment_id)
    refund_id = f"{payment.payment_id}-refund-{number + 1}"
    _take(unit, payment.lot_id, net)
    postings = [Posting(Account.WALLET, -net, payment.lot_id), Posting(Account.REFUNDING, net)]
    unit.book(entry(EntryKind.REFUND_BEGUN, refund_id, postings, by), now)
    new = Payment(
        payment_id=refund_id,
        order_id=payment.order_id,
        kind=REFUND,
        refund_of=payment.payment_id,
        method_id=payment.method_id,
        provider=payment.provider,
        state=PaymentState.REQUESTED,
        gross_micros=gross,
        net_micros=net,
        idempotency_key=idempotency_key(org_id, refund_id, now),
        created_at=now,
        next_at=now,
        lot_id=payment.lot_id,
    )
    add_payment(unit, new, now)
    change_payment(unit, payment, msgspec.structs.replace(payment, refunded_micros=payment.refunded_micros + net), now)
    unit.note(by, "refund", f"payment/{payment.payment_id}", {"refunded_micros": ("", str(net))}, now)
    watched(unit, now)
    return new


def _refund_is(unit: OrganisationUnit, refunded: Payment, now: datetime) -> Payment:
    """A refund has come to its end: the money is gone, or the credit comes back."""
    org_id = unit.organisation.org_id
    charge = _payment(unit, refunded.refund_of)
    if refunded.state is PaymentState.SUCCEEDED:
        by_agreement = method_of(unit, org_id, charge.method_id).kind == AGREEMENT
        postings = [
            Posting(Account.REFUNDING, -refunded.net_micros),
            Posting(Account.TAX, -(refunded.gross_micros - refunded.net_micros)),
            Posting(_paid_from(charge, by_agreement=by_agreement), refunded.gross_micros),
        ]
        unit.book(entry(EntryKind.REFUNDED, refunded.payment_id, postings), now)
        issue_for_refund(unit, charge, refunded, now)
        tell_once(unit, REFUNDED, refunded.payment_id, now, amount=str(refunded.net_micros))
    elif refunded.state is PaymentState.DECLINED:
        credit(
            unit,
            EntryKind.REFUND_FAILED,
            [Posting(Account.REFUNDING, -refunded.net_micros)],
            source="refund_failed",
            reference=refunded.payment_id,
            now=now,
            expires_at=_expiry_of(unit, refunded, now),
        )
        less = charge.refunded_micros - refunded.net_micros
        change_payment(unit, charge, msgspec.structs.replace(charge, refunded_micros=less), now)
    return refunded


def _paid_from(charge: Payment, *, by_agreement: bool) -> Account:
    """Where the money of a charge came from: of an agreement that has not been paid, what is still owed."""
    return Account.INVOICED if by_agreement and charge.collected_at is None else Account.FUNDING


# -- disputes ----------------------------------------------------------------------------------------------------------


def _dispute(unit: OrganisationUnit, payment: Payment, news: DisputeNews, now: datetime) -> Payment:
    """The payer's bank takes a charge back, gives it back, or keeps it."""
    if news.gross_micros <= 0:
        return payment
    match news.stage, payment.state:
        case "opened", PaymentState.SUCCEEDED:
            return _take_back(unit, payment, news.gross_micros, now)
        case "lost", PaymentState.SUCCEEDED:
            # That it was opened never reached us.
            changed = _take_back(unit, payment, news.gross_micros, now)
            _tell_dispute(unit, changed, LOST, now)
            return changed
        case "lost", PaymentState.DISPUTED:
            _tell_dispute(unit, payment, LOST, now)
            return payment
        case "won", PaymentState.DISPUTED:
            return _won(unit, payment, now)
        case "opened", PaymentState.DISPUTED:
            return payment
        case _:
            found = f"payment {payment.payment_id!r} is {payment.state.value}"
            raise Conflict(f"{found}: a dispute that is {news.stage} does not follow; send it again later")


def _booked(unit: OrganisationUnit, kind: EntryKind, payment: Payment) -> list[EntryView]:
    """The latest entry of a kind about a payment."""
    return unit.money.entries(unit.organisation.org_id, kind.value, payment.payment_id, None, 1)


def _take_back(unit: OrganisationUnit, payment: Payment, gross_micros: int, now: datetime) -> Payment:
    """Take the disputed part out of its lot, the rest of it out of what is free; what is spent is owed."""
    wallet = unit.account.wallet
    gross, refunds = min(gross_micros, payment.gross_micros), _refunds(unit, payment)
    if gross + _gross(refunds) != payment.gross_micros:
        # The bank did not take just what these leave: one that is on its way may still fail, and gives back its own.
        refunds = [one for one in refunds if one.state is PaymentState.SUCCEEDED]
    already_net = sum(one.net_micros for one in refunds)
    # Reckoned from the whole: when refunds and disputes have taken all the money, they have taken all the credit.
    net = ceil_div((_gross(refunds) + gross) * payment.net_micros, payment.gross_micros) - already_net
    lot = next((one for one in wallet.lots if one.lot_id == payment.lot_id), None)
    unused = min(net, lot.remaining_micros - lot.held_micros) if lot is not None else 0
    _take(unit, payment.lot_id, unused)
    burns, overrun = wallet.settle({}, net - unused, now)
    postings = [
        Posting(Account.WALLET, -unused, payment.lot_id),
        *(Posting(Account.WALLET, -burn.micros, burn.lot_id) for burn in burns),
        Posting(Account.OVERRUN, -overrun),
        Posting(Account.TAX, -(gross - net)),
        Posting(Account.FUNDING, gross),
    ]
    unit.book(entry(EntryKind.DISPUTED, payment.payment_id, postings), now)
    changed = msgspec.structs.replace(payment, state=PaymentState.DISPUTED, disputed_micros=net)
    changed = change_payment(unit, payment, changed, now)
    _tell_dispute(unit, changed, OPENED, now)
    watched(unit, now)
    return changed


def _won(unit: OrganisationUnit, payment: Payment, now: datetime) -> Payment:
    """Give back exactly what was taken."""
    [taken] = _booked(unit, EntryKind.DISPUTED, payment)
    gross = sum(one.amount_micros for one in taken.postings if one.account == Account.FUNDING.value)
    tax = -sum(one.amount_micros for one in taken.postings if one.account == Account.TAX.value)
    origins = [Posting(Account.FUNDING, -gross), Posting(Account.TAX, tax)]
    credit(
        unit,
        EntryKind.DISPUTE_WON,
        origins,
        source="dispute_won",
        reference=payment.payment_id,
        now=now,
        expires_at=_expiry_of(unit, payment, now),
    )
    changed = msgspec.structs.replace(payment, state=PaymentState.SUCCEEDED, disputed_micros=0)
    changed = change_payment(unit, payment, changed, now)
    _tell_dispute(unit, changed, WON, now)
    return changed


def _expiry_of(unit: OrganisationUnit, payment: Payment, now: datetime) -> datetime | None:
    """When the credit of a payment expires; None once it has, for then what is given back starts afresh."""
    lot = unit.money.lots_by_id(unit.organisation.org_id, [payment.lot_id]).get(payment.lot_id)
    return lot.expires_at if lot is not None and lot.expires_at > now else None


def _tell_dispute(unit: OrganisationUnit, payment: Payment, stage: str, now: datetime) -> None:
    facts = {"amount": str(payment.gross_micros), "paid_on": f"{payment.created_at:%Y-%m-%d}", "stage": stage}
    [taken] = _booked(unit, EntryKind.DISPUTED, payment)
    crossing = f"{payment.payment_id}/{stage}/{taken.entry_number}"
    tell_once(unit, PAYMENT_DISPUTED, crossing, now, **facts)


def _take(unit: OrganisationUnit, lot_id: str, micros: int) -> None:
    """Take *micros* that are free out of a lot."""
    for lot in unit.account.wallet.lots:
        if lot.lot_id == lot_id:
            lot.remaining_micros -= micros
            assert lot.remaining_micros >= lot.held_micros, "only what is free is taken"


# -- rows --------------------------------------------------------------------------------------------------------------


def _payment(unit: OrganisationUnit, payment_id: str) -> Payment:
    found = unit.buying.payment(unit.organisation.org_id, payment_id)
    if found is None:
        raise NotFound(f"payment {payment_id!r}: there is none; list them: gettone payments list")
    return found


def _order(unit: OrganisationUnit, payment: Payment) -> CreditOrder:
    found = unit.buying.order(unit.organisation.org_id, payment.order_id)
    assert found is not None, "a payment belongs to an order"
    return found
