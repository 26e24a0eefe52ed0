"""Telling people: notices become deliveries, deliveries are sent, and what became of each is kept (D21).

A notice is written with its cause. `address` makes the deliveries of new ones, under the organisation's lock and once:
a mail to everybody who is to be told, a message to every webhook that wants the kind. What is sent is written down then
and never changes. `deliver` claims one delivery at a time, sends it outside any transaction, and records how it went.

Invariants:

- A notice is addressed once, so nobody gets two deliveries of it unless somebody asks for it (`resend`).
- Nothing is lost: a delivery that was claimed and not recorded, because a process died, is due again. It may then
  arrive twice, and says so: the delivery's id is the mail's Message-ID and the ``webhook-id``.
- A failed attempt is repeated after 1, 5 and 30 minutes, 2, 6, 12, 24 and 24 hours: eight repeats within three days.
- Deliveries may overtake each other.

Sources: D21; peers, section 4.8.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol
from uuid import uuid4

import msgspec

from gettone.errors import Conflict, InvalidInput, NotFound
from gettone.operations import mails
from gettone.operations.billing import LANGUAGES, Delivery
from gettone.operations.instants import microseconds
from gettone.operations.mails import Mail
from gettone.operations.notices import name_of, no_such_notice, sentence
from gettone.operations.office import Office, OrganisationUnit
from gettone.operations.paging import bad_cursor, check_limit, number_cursor, page
from gettone.operations.recipients import Addressee, Audience, mail_address
from gettone.operations.views import NoticeView, OrganisationView, Page
from gettone.operations.webhooks import secrets_of, webhook_in, webhook_or_none
from gettone.operations.wording import ENGLISH

logger = logging.getLogger(__name__)

MAIL = "mail"
WEBHOOK = "webhook"

WAITING = "waiting"
SENT = "sent"
FAILED = "failed"
CANCELLED = "cancelled"
STATES = (WAITING, SENT, FAILED, CANCELLED)

_MINUTE = timedelta(minutes=1)
_HOUR = timedelta(hours=1)
REPEATS = (_MINUTE, 5 * _MINUTE, 30 * _MINUTE, 2 * _HOUR, 6 * _HOUR, 12 * _HOUR, 24 * _HOUR, 24 * _HOUR)
"""How long after a failed attempt the next one is made; after the last of them there is none."""
CLAIMED_FOR = 5 * _MINUTE
"""So long a claimed delivery is left to whoever claimed it; sending takes seconds."""
PUT_OFF = _MINUTE
BATCH = 200
SENDERS = 4
ERROR_MAX = 300
SYSTEM = "system"
TEST = "test"
EVERYBODY = ""


class Parcel(msgspec.Struct, frozen=True, kw_only=True):
    """What a channel carries: *body* to *target*, an address or URL; *secrets* sign it."""

    delivery_id: str
    target: str
    body: bytes
    created_at: datetime
    secrets: tuple[str, ...] = ()


class Sent(msgspec.Struct, frozen=True):
    """It was taken; *detail* says by whom, for people."""

    detail: str = ""


class NotSent(msgspec.Struct, frozen=True):
    """It was not; trying *again* may help.

    *gone* says that the receiver wants nothing any more, *broken* that the channel carries nothing to anybody.
    """

    reason: str
    again: bool = True
    gone: bool = False
    broken: bool = False


class Channel(Protocol):
    """Carries parcels; may be shared between threads. What it raises counts as not sent."""

    def send(self, parcel: Parcel) -> Sent | NotSent:
        """Hand *parcel* over, within seconds."""


Channels = Mapping[str, Channel]
"""By name; a channel that is not set up is not there."""

NOT_SET_UP: Mapping[str, str] = {
    MAIL: "mail is not set up: set GETTONE_MAIL_URL",
    WEBHOOK: "webhooks are not set up in this process",
}


class DeliveryView(msgspec.Struct, frozen=True, kw_only=True):
    """A notice on its way to one receiver: *target* is an address, or the id of a webhook.

    *state* is waiting, sent, failed (every attempt was in vain) or cancelled (the webhook is no more).
    """

    delivery_id: str
    notice_id: str
    channel: str
    target: str
    language: str
    state: str
    attempts: int
    created_at: datetime
    next_at: datetime | None
    sent_at: datetime | None
    last_error: str


# -- who gets what -----------------------------------------------------------------------------------------------------


def address(office: Office, now: datetime, *, link: str = "") -> int:
    """Write the deliveries of every notice that has none yet; returns how many notices. *link* stands in mails."""
    after = ("", "")
    done = 0
    while True:
        with office.read() as unit:
            found = unit.telling.new_notices(after, BATCH)
        for org_id, group in groupby(found, key=lambda one: one[0]):
            done += _address(office, org_id, [notice_id for _, notice_id in group], now, link)
        if len(found) < BATCH:
            return done
        after = found[-1]


def _address(office: Office, org_id: str, notice_ids: Sequence[str], now: datetime, link: str) -> int:
    """One organisation's; what goes wrong there leaves the others alone, and is tried again."""
    try:
        with office.write(org_id) as unit:
            audience = Audience(unit, org_id)
            language = unit.buying.profile(org_id).language
            fresh = [one for one in notice_ids if unit.telling.addressed(org_id, one)]
            for notice_id in fresh:
                told = unit.telling.notice(org_id, notice_id)
                assert told is not None, "it has just been marked"
                unit.telling.add_deliveries(org_id, _deliveries(unit, told, audience, language, now, link))
    except Exception:
        logger.exception("the notices of %s could not be addressed; it is tried again", org_id)
        return 0
    return len(fresh)


def _deliveries(  # noqa: PLR0917 - all of it makes a delivery
    unit: OrganisationUnit, told: NoticeView, audience: Audience, language: str, now: datetime, link: str
) -> list[Delivery]:
    organisation = unit.organisation
    name = name_of(unit, organisation.org_id, told.subject)
    rendered: dict[tuple[str, str], bytes] = {}

    def mail_to(one: Addressee) -> bytes:
        key = (one.language or language, one.role)
        if key not in rendered:
            mail = mails.of_notice(told, organisation, key[0], link, role=key[1], name=name)
            rendered[key] = msgspec.json.encode(mail)
        return rendered[key]

    hooks = audience.webhooks(told.kind)
    message = message_of(told, organisation, language, name=name) if hooks else b""
    return [
        *(
            _new(told.notice_id, MAIL, one.address, one.language or language, mail_to(one), now)
            for one in audience.addressees(told.kind)
        ),
        *(_new(told.notice_id, WEBHOOK, hook.webhook_id, language, message, now) for hook in hooks),
    ]


def message_of(told: NoticeView, organisation: OrganisationView, language: str, *, name: str = "") -> bytes:
    """A notice for programs, as canonical JSON: its keys in order, no blanks, in UTF-8."""
    facts = {
        "id": told.notice_id,
        "kind": told.kind,
        "org_id": organisation.org_id,
        "subject": told.subject,
        "written_at": told.written_at,
        "currency": organisation.currency,
        "facts": told.facts,
        "sentence": sentence(told, organisation.currency, language, organisation.time_zone, name=name),
    }
    return msgspec.json.encode(facts, order="sorted")


def _new(notice_id: str, channel: str, target: str, language: str, body: bytes, now: datetime) -> Delivery:  # noqa: PLR0917 - a row
    return Delivery(
        delivery_id=uuid4().hex,
        notice_id=notice_id,
        channel=channel,
        target=target,
        language=language,
        state=WAITING,
        created_at=now,
        next_at=now,
        body=body,
    )


# -- sending -----------------------------------------------------------------------------------------------------------


def deliver(office: Office, channels: Channels, now: datetime, *, clock: Callable[[], datetime] | None = None) -> int:
    """Send every delivery that is due; returns how many were tried. Safe in any number of processes at once.

    *clock* says what time it is meanwhile, as sending takes time; without one it stands still at *now*.
    """
    courier = _Courier(office, channels, clock or (lambda: now))
    tried = 0
    with ThreadPoolExecutor(SENDERS, thread_name_prefix="sender") as pool:
        while True:
            with office.read() as unit:
                found = unit.telling.due_deliveries(courier.clock(), BATCH)
            moved = list(pool.map(lambda key: courier.carry(*key), found))
            tried += moved.count(True)
            # What nobody could claim is another's work.
            if len(found) < BATCH or all(one is None for one in moved):
                return tried


class _Claimed(msgspec.Struct, frozen=True):
    delivery: Delivery
    parcel: Parcel


class _Courier:
    """Carries deliveries, each in three steps: claim, send, record.

    A receiver that does not answer, or a mail server, is not tried again within a round: every other delivery to it
    would only wait out the same time, and everybody else's behind it.
    """

    def __init__(self, office: Office, channels: Channels, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self._office = office
        self._channels = channels
        self._silent: set[tuple[str, str]] = set()

    def carry(self, org_id: str, delivery_id: str) -> bool | None:
        """Try one delivery: True when it was, False when it was put off or ended, None when it was not due."""
        try:
            claimed = self._claim(org_id, delivery_id)
            if not isinstance(claimed, _Claimed):
                return claimed
            outcome = _send(self._channels, claimed.delivery.channel, claimed.parcel)
            self._record(org_id, claimed, outcome)
        except Exception:
            logger.exception("delivery %s of %s could not be carried; it is tried again", delivery_id, org_id)
            return None
        return True

    def _claim(self, org_id: str, delivery_id: str) -> _Claimed | bool | None:
        now = self.clock()
        with self._office.write(org_id) as unit:
            delivery = unit.telling.delivery(org_id, delivery_id)
            if delivery is None or delivery.next_at is None or delivery.next_at > now:
                return None
            parcel = _parcel(unit, delivery, now)
            if parcel is None:
                _end(unit, delivery, CANCELLED, "the webhook was removed, or its receiver is gone")
                return False
            if delivery.attempts > len(REPEATS):
                _end(unit, delivery, FAILED, "the last attempt was broken off; it may have arrived")
                return False
            if {(delivery.channel, parcel.target), (delivery.channel, EVERYBODY)} & self._silent:
                unit.telling.change_delivery(org_id, msgspec.structs.replace(delivery, next_at=now + PUT_OFF))
                return False
            claimed = msgspec.structs.replace(delivery, attempts=delivery.attempts + 1, next_at=now + CLAIMED_FOR)
            unit.telling.change_delivery(org_id, claimed)
        return _Claimed(claimed, parcel)

    def _record(self, org_id: str, claimed: _Claimed, outcome: Sent | NotSent) -> None:
        now = self.clock()
        with self._office.write(org_id) as unit:
            delivery = unit.telling.delivery(org_id, claimed.delivery.delivery_id)
            if delivery is None or delivery.state == SENT:
                return
            if isinstance(outcome, Sent):
                sent = msgspec.structs.replace(delivery, state=SENT, sent_at=now, next_at=None, last_error="")
                unit.telling.change_delivery(org_id, sent)
            elif delivery.state == WAITING and delivery.attempts == claimed.delivery.attempts:
                # Else it took so long that somebody else has claimed it since.
                self._failed(unit, delivery, outcome, now)
        if isinstance(outcome, NotSent) and outcome.again:
            self._silent.add((delivery.channel, EVERYBODY if outcome.broken else claimed.parcel.target))

    def _failed(self, unit: OrganisationUnit, delivery: Delivery, outcome: NotSent, now: datetime) -> None:
        org_id = unit.organisation.org_id
        if not outcome.again or delivery.attempts > len(REPEATS):
            _end(unit, delivery, FAILED, outcome.reason)
        else:
            again = now + REPEATS[delivery.attempts - 1]
            waiting = msgspec.structs.replace(delivery, next_at=again, last_error=outcome.reason[:ERROR_MAX])
            unit.telling.change_delivery(org_id, waiting)
        if outcome.gone and delivery.channel == WEBHOOK:
            hook = webhook_or_none(unit, org_id, delivery.target)
            if hook is not None and hook.active:
                unit.telling.write_webhook(org_id, msgspec.structs.replace(hook, active=False))
                unit.note(SYSTEM, "deactivate_webhook", f"webhook/{hook.webhook_id}", {"active": ("yes", "no")}, now)


def _send(channels: Channels, name: str, parcel: Parcel) -> Sent | NotSent:
    channel = channels.get(name)
    if channel is None:
        # Perhaps another process has it, or this one soon will.
        return NotSent(NOT_SET_UP[name])
    try:
        return channel.send(parcel)
    except Exception:
        logger.exception("delivery %s: its channel failed", parcel.delivery_id)
        return NotSent("it could not be sent; the log says why")


def _parcel(unit: OrganisationUnit, delivery: Delivery, now: datetime) -> Parcel | None:
    """What is sent; None when the webhook it was for is no more."""
    target = delivery.target
    signing: tuple[str, ...] = ()
    if delivery.channel == WEBHOOK:
        hook = webhook_or_none(unit, unit.organisation.org_id, delivery.target)
        if hook is None or not hook.active:
            return None
        target, signing = hook.url, secrets_of(hook, now)
    return Parcel(
        delivery_id=delivery.delivery_id,
        target=target,
        body=delivery.body,
        created_at=delivery.created_at,
        secrets=signing,
    )


def _end(unit: OrganisationUnit, delivery: Delivery, state: str, error: str) -> None:
    ended = msgspec.structs.replace(delivery, state=state, next_at=None, last_error=error[:ERROR_MAX])
    unit.telling.change_delivery(unit.organisation.org_id, ended)


# -- what became of them -----------------------------------------------------------------------------------------------


def list_deliveries(
    office: Office, org_id: str, *, notice_id: str = "", state: str = "", cursor: str = "", limit: int = 100
) -> Page[DeliveryView]:
    """Deliveries, newest first; of one notice, or in one state. Raises `NotFound` or `InvalidInput`."""
    check_limit(limit)
    if state and state not in STATES:
        raise InvalidInput("state", state[:80], f"write one of {', '.join(STATES)}")
    before = _cursor(cursor)
    with office.read() as unit:
        unit.directory.organisation(org_id)
        if notice_id and unit.telling.notice(org_id, notice_id) is None:
            raise NotFound(no_such_notice(notice_id))
        found = unit.telling.deliveries(org_id, notice_id, state, before, limit + 1)
    views = [delivery_view(one) for one in found]
    return page(views, limit, lambda one: f"{microseconds(one.created_at)}.{one.delivery_id}")


def resend(office: Office, org_id: str, delivery_id: str, now: datetime, *, by: str) -> DeliveryView:
    """Send what a delivery holds once more, as a delivery of its own. Raises `NotFound` or `Conflict`."""
    with office.write(org_id) as unit:
        old = unit.telling.delivery(org_id, delivery_id)
        if old is None:
            raise NotFound(f"delivery_id {delivery_id[:80]!r}: there is no such delivery; list the deliveries")
        if old.state == WAITING:
            raise Conflict(f"delivery {delivery_id!r} is still on its way: wait until it is sent or has failed")
        if old.channel == WEBHOOK and not webhook_in(unit, org_id, old.target).active:
            raise Conflict(f"webhook {old.target!r} is not active any more: remove it and add it again")
        new = _new(old.notice_id, old.channel, old.target, old.language, old.body, now)
        unit.telling.add_deliveries(org_id, [new])
        unit.note(by, "resend", f"delivery/{delivery_id}", {"delivery": ("", new.delivery_id)}, now)
    return delivery_view(new)


def delivery_view(delivery: Delivery) -> DeliveryView:
    """A delivery without what is sent."""
    return msgspec.convert(delivery, DeliveryView, from_attributes=True)


def _cursor(cursor: str) -> tuple[int, str] | None:
    if not cursor:
        return None
    created_at, dot, delivery_id = cursor.partition(".")
    if not (dot and delivery_id):
        raise bad_cursor(cursor)
    return number_cursor(created_at) or 0, delivery_id


# -- trying it out -----------------------------------------------------------------------------------------------------


def send_test_mail(
    office: Office, org_id: str, to: str, channels: Channels, now: datetime, *, link: str = "", language: str = ""
) -> Sent | NotSent:
    """Send a mail to *to* at once that says that mails arrive. Raises `NotFound` or `InvalidInput`."""
    target = mail_address("address", to)
    spoken = language_of(office, org_id, language)
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
    mail: Mail = mails.of_test(organisation, spoken, link)
    return _send(channels, MAIL, _test_parcel(target, msgspec.json.encode(mail), now))


def language_of(office: Office, org_id: str, wanted: str) -> str:
    """The language that is *wanted*, or the organisation's when that is empty. Raises `NotFound` or `InvalidInput`."""
    if wanted and wanted not in LANGUAGES:
        raise InvalidInput("language", wanted[:80], f"write one of {', '.join(LANGUAGES)}")
    with office.read() as unit:
        unit.directory.organisation(org_id)
        return wanted or unit.buying.profile(org_id).language


def send_test_message(
    office: Office, org_id: str, webhook_id: str, channels: Channels, now: datetime
) -> Sent | NotSent:
    """Send a message of the kind *test* to a webhook at once. Raises `NotFound`."""
    with office.read() as unit:
        organisation = unit.directory.organisation(org_id)
        hook = webhook_in(unit, org_id, webhook_id)
    told = NoticeView(notice_id=f"{TEST}/{uuid4().hex}", kind=TEST, subject="", written_at=now, facts={})
    body = message_of(told, organisation, ENGLISH)
    return _send(channels, WEBHOOK, _test_parcel(hook.url, body, now, secrets_of(hook, now)))


def _test_parcel(target: str, body: bytes, now: datetime, signing: tuple[str, ...] = ()) -> Parcel:
    return Parcel(delivery_id=uuid4().hex, target=target, body=body, created_at=now, secrets=signing)
