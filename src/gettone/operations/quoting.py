"""What would this call cost, who would pay, and why not: the main path as a dry run that writes nothing."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import cast

import msgspec

from gettone.domain.numbers import NumberPlan, parse_e164
from gettone.domain.rates import CompiledDeck
from gettone.domain.refusals import Refusal
from gettone.domain.session import Call
from gettone.errors import NotFound
from gettone.operations.batch import Batch, parts_of
from gettone.operations.lookup import Directory
from gettone.operations.messages import Part, StartCall
from gettone.operations.opening import References, Tables
from gettone.operations.ports import ChargingStore, ChargingUnit
from gettone.operations.supposing import Supposed, SupposingUnit


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of a dry run for *seconds* of talk, from what the organisation has now.

    *affordable_seconds* is how long the call could last, up to what was asked; *reason* says why not longer, or why not
    at all. What the payers cannot cover stands in *parts* as the overrun it would be.
    """

    org_id: str
    called: str
    call_type: str
    country: str
    kind: str
    destination: str
    seconds: int
    affordable_seconds: int
    billed_seconds: int
    charged_micros: int
    currency: str
    parts: tuple[Part, ...] = ()
    reason: Refusal | None = None
    detail: str = ""


class RateQuote(msgspec.Struct, frozen=True, kw_only=True):
    """What a deck alone says about a call: the published price, whoever pays."""

    called: str
    country: str
    kind: str
    destination: str
    seconds: int
    billed_seconds: int
    charged_micros: int
    connection_micros: int


class Quoting:
    """Answers quotes over a store of its own. Used by one thread at a time."""

    def __init__(self, store: ChargingStore, tables: Tables, *, clock: Callable[[], datetime]) -> None:
        """Quote over *store*."""
        self._store = store
        self._references = References(tables)
        self._clock = clock

    def quote(self, request: StartCall) -> Quote:
        """Quote *request* for its ``requested_seconds``."""
        return self._store.transaction(lambda unit: self._quote(unit, request))

    def try_call(self, request: StartCall, supposed: Supposed) -> tuple[Call, Refusal | None]:
        """The call that *request* asks for, as it would be opened now with what is *supposed*, and why it would not be.

        Refused is also a call that could begin but not last for the seconds asked for.
        """
        return self._store.transaction(lambda unit: self._try_call(unit, request, supposed))

    def _try_call(self, unit: ChargingUnit, request: StartCall, supposed: Supposed) -> tuple[Call, Refusal | None]:
        now = self._clock()
        # It passes on all that a unit has. Users and organisations as supposed must not be met by those who ask next.
        supposing = cast("ChargingUnit", SupposingUnit(unit, supposed, now))
        batch = Batch(supposing, replace(self._references, directory=Directory()), now, grace_seconds=0)
        call, _, _, refusal = batch.dry_run(request)
        return call, refusal.reason if refusal else None

    def _quote(self, unit: ChargingUnit, request: StartCall) -> Quote:
        batch = Batch(unit, self._references, self._clock(), grace_seconds=0)
        call, reached, settlement, refusal = batch.dry_run(request)
        return Quote(
            org_id=call.org_id,
            called=call.called,
            call_type=call.call_type,
            country=call.country,
            kind=call.kind,
            destination=call.destination,
            seconds=request.requested_seconds,
            affordable_seconds=reached.to_second if reached else 0,
            billed_seconds=settlement.billed_seconds if settlement else 0,
            charged_micros=settlement.charged_micros if settlement else 0,
            currency=batch.currency(call.org_id),
            parts=parts_of(settlement.usage) if settlement else (),
            reason=refusal.reason if refusal else None,
            detail=refusal.detail if refusal else "",
        )

    def close(self) -> None:
        """Give the store's connection back."""
        self._store.close()


def quote_rate(
    deck: CompiledDeck, plan: NumberPlan, called: str, *, at: datetime, seconds: int, service: str = "voice"
) -> RateQuote:
    """Price a call, or for *service* ``sms`` that many messages, by *deck*.

    Raises `NumberError` for a malformed number and `NotFound` when nothing in the deck prices it.
    """
    number = plan.lookup(parse_e164(called))
    index = deck.lookup(number, service)
    if index is None:
        raise NotFound(f"the deck has no {service} rate for {called} ({number.country or 'unknown country'})")
    charge = deck.rates[index].charge(seconds, at=at)
    return RateQuote(
        called=number.e164,
        country=number.country,
        kind=number.kind.label,
        destination=deck.destination(index),
        seconds=seconds,
        billed_seconds=charge.billed_seconds,
        charged_micros=charge.micros,
        connection_micros=charge.connection_micros,
    )
