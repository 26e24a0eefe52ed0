"""Charge the records of a call-record file: each of them once, however often and in however many pieces it is given.

Invariants:

- A record is a call of its own, named ``format:record_id``; that name is the idempotency key (D15). Records are charged
  by the same `Charging.charge` as live calls, so rating and payers are the same; a call that was charged live is
  compared with its record and not charged again.
- Progress is written after the charges it counts are committed: it may lag behind them, never lead. A killed import
  goes on from there, and what it finds charged already counts as a duplicate.
- A refused record is not remembered: when what was missing has been put right, the same file charges it.
- What no payer could refuse is charged whatever the balance (D12): a record tells of a call that has happened.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Protocol

import msgspec

from gettone.catalogue.numbering import dialled_to_e164, emergency_numbers, number_plan
from gettone.domain.numbers import DIGITS_MAX, DIGITS_MIN, Kind, NumberError, parse_e164
from gettone.domain.refusals import Refusal
from gettone.errors import StorageError
from gettone.operations.checking import DIALLED_LENGTH_MAX, TEXT_LENGTH_MAX
from gettone.operations.messages import Answer, Reconciled, RecordCall, Refused, Request, Settled

CHUNK_RECORDS = 1000
"""Records charged in one transaction."""
CHUNKS_PER_SAVE = 10
"""Progress is written every so many chunks, and when the import ends."""
DIFFERENCES_MAX = 1000
"""Differences between live charges and records that are kept for the report; more are only counted."""

BAD_LINE = "bad_line"
"""The reason code of a line that could not be read."""

_INBOUND = frozenset({"user_in", "conf_in", "ucap_in"})


class CallRecord(Protocol):
    """A call as its switch reported it (`agents.cdr.CallRecord`)."""

    @property
    def line(self) -> int: ...  # noqa: D102 - the reader says what each of them is
    @property
    def record_id(self) -> str: ...  # noqa: D102 - see above
    @property
    def session_id(self) -> str | None: ...  # noqa: D102 - see above
    @property
    def user(self) -> str | None: ...  # noqa: D102 - see above
    @property
    def calling(self) -> str: ...  # noqa: D102 - see above
    @property
    def called(self) -> str: ...  # noqa: D102 - see above
    @property
    def started_at(self) -> datetime: ...  # noqa: D102 - see above
    @property
    def seconds(self) -> int: ...  # noqa: D102 - see above
    @property
    def call_type(self) -> str | None: ...  # noqa: D102 - see above


class BadLine(Protocol):
    """A line that could not be read, and why (`agents.cdr.BadLine`)."""

    line: int
    raw: str
    reason: str


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the import of a file has come. *charged_micros* is 0 when there are several currencies."""

    file_digest: str
    records_done: int
    charged: int
    charged_micros: int
    duplicates: int
    reconciled: int
    rejected: int
    started_at: datetime
    updated_at: datetime
    finished: bool


class ProgressStore(Protocol):
    """Keeps the progress of imports."""

    def load(self, file_digest: str) -> Progress | None:
        """The progress of an import that was begun before."""

    def save(self, progress: Progress) -> None:
        """Write progress down durably."""


class Charges(Protocol):
    """Whatever charges batches: `Charging`."""

    def charge(self, requests: Sequence[Request]) -> list[Answer]:
        """Answer *requests* in order, all in one transaction."""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that was not charged: its line, a reason code, a sentence, and its text where the reader gave it."""

    line: int
    reason: str
    explanation: str
    raw: str = ""
    record: CallRecord | None = None


class Rejects(Protocol):
    """Where rejected records go."""

    def begin(self, kept: int) -> bool:
        """Start with the first *kept* that are there from before; False when there are not so many."""

    def add(self, rejected: Rejected) -> None:
        """Write one down."""

    def flush(self) -> None:
        """Make sure that what was written stays."""


class PayerTotal(msgspec.Struct, kw_only=True):
    """What one payer paid in one currency."""

    payer: str
    currency: str
    calls: int = 0
    seconds: int = 0
    billed_seconds: int = 0
    charged_micros: int = 0


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """A call that was charged live, and whose record says something else."""

    line: int
    session_id: str
    charged_seconds: int
    record_seconds: int
    still_open: bool

    def __str__(self) -> str:
        state = "is still open and has used" if self.still_open else "was charged live with"
        return (
            f"line {self.line}: call {self.session_id} {state} {self.charged_seconds} s,"
            f" its record says {self.record_seconds} s"
        )


class ImportTotals(msgspec.Struct, kw_only=True):
    """What an import did, counting what was done before it was interrupted.

    *payers*, *reasons* and *differences* tell of this run only; *resumed_at* is how many records an earlier run had
    done. *unanswered* records lasted 0 s: nothing is charged for them.
    """

    records: int = 0
    resumed_at: int = 0
    charged: int = 0
    unanswered: int = 0
    duplicates: int = 0
    reconciled: int = 0
    rejected: int = 0
    overruns: int = 0
    payers: tuple[PayerTotal, ...] = ()
    reasons: dict[str, int] = msgspec.field(default_factory=dict)
    differences: list[Difference] = msgspec.field(default_factory=list)
    differences_total: int = 0


def international_prefix(country: str) -> str:
    """What is dialled in *country* before a number abroad, as libphonenumber's pattern; empty when it knows none."""
    from phonenumbers import PhoneMetadata  # noqa: PLC0415 - slow to import, and only wanted when files are imported

    metadata = PhoneMetadata.metadata_for_region(country)
    return (metadata.international_prefix or "") if metadata else ""


def import_key(content_digest: str, *, format_name: str, org_id: str) -> str:
    """The name under which the progress of a file is kept: file, format and organisation."""
    return hashlib.sha256(f"{content_digest}\n{format_name}\n{org_id}".encode()).hexdigest()


def import_calls(
    records: Iterable[CallRecord | BadLine],
    charging: Charges,
    progress_store: ProgressStore,
    *,
    file_digest: str,
    format_name: str,
    clock: Callable[[], datetime],
    rejects: Rejects,
    org_id: str = "",
    country: str = "",
    international: bool = False,
    on_progress: Callable[[ImportTotals], None] | None = None,
    chunk_records: int = CHUNK_RECORDS,
) -> ImportTotals:
    """Charge *records*, from where an earlier import of the same file ended.

    Args:
        records: As `agents.cdr.read_records` gives them; always the whole file.
        charging: What charges them.
        progress_store: Remembers how far the import has come, under *file_digest* (`import_key`).
        file_digest: The name of this import.
        format_name: The name of the format; a part of every call's name.
        clock: The present time.
        rejects: Takes what is not charged.
        org_id: The organisation; empty to find it for each record by the owner of its numbers.
        country: Where numbers are dialled (ISO 3166-1); empty when all of them have a plus.
        international: Whether digits without a plus are a full international number.
        on_progress: Called after each transaction.
        chunk_records: Records charged in one transaction.

    Raises:
        StorageError: the database did not do it; what is charged stays charged, and the same import goes on later.
    """
    importing = _Import(
        charging,
        progress_store,
        rejects,
        clock=clock,
        file_digest=file_digest,
        dialling=_Dialling(country, international=international),
    )
    importing.begin()
    every = iter(records)
    for _ in islice(every, importing.totals.resumed_at):
        pass
    try:
        for chunk in _chunks(every, chunk_records):
            importing.take(chunk, format_name, org_id)
            if on_progress is not None:
                on_progress(importing.totals)
    except BaseException:
        importing.save_after_failure()
        raise
    importing.save(finished=True)
    return importing.totals


def _chunks(records: Iterator[CallRecord | BadLine], size: int) -> Iterator[list[CallRecord | BadLine]]:
    while chunk := list(islice(records, size)):
        yield chunk


@dataclass(slots=True)
class _Dialling:
    """Makes E.164 numbers of what was dialled."""

    country: str
    international: bool
    _known: dict[str, str] = field(default_factory=dict)
    _dials_abroad_with_00: bool = field(init=False)

    def __post_init__(self) -> None:
        self._dials_abroad_with_00 = bool(self.country) and international_prefix(self.country) == "00"

    def called(self, dialled: str) -> str:
        """The number called, or an emergency number as dialled; raises `NumberError`."""
        if dialled[:1] == "+" and dialled[1:].isdigit() and len(dialled) > DIALLED_LENGTH_MAX + 1:
            return dialled
        known = self._known.get(dialled)
        if known is None:
            if len(self._known) > 100_000:
                self._known.clear()
            known = self._known[dialled] = self._made(dialled)
        return known

    def calling(self, number: str) -> str:
        """The calling number; as it is when that is unclear, as with an extension: it may be known as it is."""
        if not number or number[0] == "+":
            return number
        try:
            made = self.called(number)
        except NumberError:
            return number
        return made if self.international or _is_of_a_known_kind(made[1:]) else number

    def _made(self, dialled: str) -> str:
        if not dialled:
            raise NumberError("the record holds no number that was called")
        if "*" in dialled:
            raise NumberError(f"number {dialled[:40]!r} is masked: export the records with full numbers")
        plain = dialled.removeprefix("+")
        is_digits = plain.isascii() and plain.isdigit()
        if is_digits and emergency_numbers().is_emergency(dialled, self.country):
            return plain
        if dialled[:1] == "+":
            return "+" + parse_e164(dialled)
        if not is_digits:
            return "+" + dialled_to_e164(dialled, self.country)
        return self._abroad(plain) or self._at_home(plain)

    def _abroad(self, digits: str) -> str:
        """The number, if *digits* can only be an international one: quickly, as libphonenumber takes its time."""
        if self.international and digits[0] != "0":
            return "+" + parse_e164("+" + digits)
        abroad = digits[2:] if self._dials_abroad_with_00 and digits[:2] == "00" else ""
        return "+" + abroad if _is_of_a_known_kind(abroad) else ""

    def _at_home(self, digits: str) -> str:
        """The number as it is dialled in the country, or what else its digits may mean."""
        try:
            made = dialled_to_e164(digits, self.country)
        except NumberError:
            # Short numbers are judged where the caller's own country is known: they may call for help there.
            if len(digits) <= DIALLED_LENGTH_MAX:
                return digits
            made = ""
            if not _is_of_a_known_kind(digits):
                raise
        # SIP proxies write international numbers without the plus: so they are read when nothing else makes sense.
        return "+" + (made if _is_of_a_known_kind(made) or not _is_of_a_known_kind(digits) else digits)


def _is_of_a_known_kind(digits: str) -> bool:
    return (
        DIGITS_MIN <= len(digits) <= DIGITS_MAX
        and digits[0] != "0"
        and number_plan().lookup(digits).kind is not Kind.UNKNOWN
    )


class _Import:
    """One run over one file."""

    def __init__(
        self,
        charging: Charges,
        store: ProgressStore,
        rejects: Rejects,
        *,
        clock: Callable[[], datetime],
        file_digest: str,
        dialling: _Dialling,
    ) -> None:
        self.totals = ImportTotals()
        self._charging = charging
        self._rejected: list[Rejected] = []
        self._store = store
        self._rejects = rejects
        self._clock = clock
        self._file_digest = file_digest
        self._dialling = dialling
        self._payers: dict[tuple[str, str], PayerTotal] = {}
        self._no_users: set[tuple[str, str]] = set()
        self._earlier_micros = 0
        self._started_at = clock()
        self._unsaved = 0

    def begin(self) -> None:
        """Go on after an unfinished import, if what it rejected is still there; else begin at the first record."""
        earlier = self._store.load(self._file_digest)
        if earlier is None or earlier.finished or not self._rejects.begin(earlier.rejected):
            self._rejects.begin(0)
            self.boundary()
            return
        self._started_at = earlier.started_at
        self._earlier_micros = earlier.charged_micros
        totals = self.totals
        totals.records = totals.resumed_at = earlier.records_done
        totals.charged, totals.duplicates = earlier.charged, earlier.duplicates
        totals.reconciled, totals.rejected = earlier.reconciled, earlier.rejected
        totals.unanswered = earlier.records_done - (
            earlier.charged + earlier.duplicates + earlier.reconciled + earlier.rejected
        )
        self.boundary()

    def take(self, chunk: Sequence[CallRecord | BadLine], format_name: str, org_id: str) -> None:
        """Charge a chunk in one transaction and count what came of it."""
        asked, requests = self._requests(chunk, format_name, org_id)
        if requests:
            answers = self._charge(requests)
            for record, request, answer in zip(asked, requests, answers, strict=True):
                self._count(record, request, answer)
        for rejected in sorted(self._rejected, key=lambda one: one.line):
            self._rejects.add(rejected)
        self._rejected.clear()
        self.totals.records += len(chunk)
        self.totals.payers = tuple(self._payers.values())
        self.boundary()
        self._unsaved += 1
        if self._unsaved >= CHUNKS_PER_SAVE:
            self.save()

    def _requests(
        self,
        chunk: Sequence[CallRecord | BadLine],
        format_name: str,
        org_id: str,
    ) -> tuple[list[CallRecord], list[RecordCall]]:
        records: list[CallRecord] = []
        requests: list[RecordCall] = []
        for item in chunk:
            bad: str | None = getattr(item, "reason", None)
            if bad is not None:
                self._reject(Rejected(item.line, BAD_LINE, bad, item.raw))  # type: ignore[union-attr] # a BadLine
                continue
            record: CallRecord = item  # type: ignore[assignment]  # what has no reason is a record
            if record.seconds == 0:
                self.totals.unanswered += 1
                continue
            try:
                requests.append(self._request(record, format_name, org_id))
            except NumberError as error:
                self._reject(Rejected(record.line, Refusal.INVALID_REQUEST.value, f"called: {error}", "", record))
            else:
                records.append(record)
        return records, requests

    def _request(self, record: CallRecord, format_name: str, org_id: str) -> RecordCall:
        session_id = f"{format_name}:{record.record_id}"
        if len(session_id) > TEXT_LENGTH_MAX:
            session_id = f"{format_name}:{hashlib.sha256(record.record_id.encode()).hexdigest()}"
        call_type = record.call_type or ""
        user = record.user or ""
        # A call that rings here is served by the number it rings; its user says nothing about who pays.
        if user and (call_type in _INBOUND or (org_id, user) in self._no_users):
            user = ""
        return RecordCall(
            session_id=session_id,
            org_id=org_id,
            at=record.started_at,
            called=self._dialling.called(record.called),
            used_seconds=record.seconds,
            calling=self._dialling.calling(record.calling),
            user=user,
            call_type=call_type,
            live_session_id=record.session_id or "",
        )

    def _charge(self, requests: list[RecordCall]) -> list[Answer]:
        answers = self._charging.charge(requests)
        if all(isinstance(answer, Refused) and answer.reason is Refusal.UNAVAILABLE for answer in answers):
            raise StorageError("the database did not take the charges; nothing is lost: run the same import again")
        # An account code is no user of ours: the numbers say whose call it is.
        again = [
            position
            for position, answer in enumerate(answers)
            if isinstance(answer, Refused) and answer.reason is Refusal.UNKNOWN_USER
        ]
        if again:
            users = [request.user for request in requests]
            for position in again:
                requests[position] = msgspec.structs.replace(requests[position], user="")
            by_number = self._charging.charge([requests[position] for position in again])
            for position, answer in zip(again, by_number, strict=True):
                if isinstance(answer, Refused) and answer.reason is Refusal.UNKNOWN_NUMBER:
                    continue
                answers[position] = answer
                if requests[position].org_id:
                    self._no_users.add((requests[position].org_id, users[position]))
        return answers

    def _count(self, record: CallRecord, request: RecordCall, answer: Answer) -> None:
        totals = self.totals
        if isinstance(answer, Settled):
            totals.charged += 1
            totals.overruns += answer.overrun_micros > 0
            for part in answer.parts:
                payer = self._payers.get((part.payer, answer.currency))
                if payer is None:
                    payer = PayerTotal(payer=part.payer, currency=answer.currency)
                    self._payers[part.payer, answer.currency] = payer
                payer.calls += 1
                payer.seconds += part.seconds
                payer.billed_seconds += part.billed_seconds
                payer.charged_micros += part.charged_micros
        elif isinstance(answer, Reconciled):
            self._reconciled(record, request, answer)
        elif isinstance(answer, Refused):
            explanation = f"{answer.reason.sentence} {answer.detail}".rstrip()
            self._reject(Rejected(record.line, answer.reason.value, explanation, "", record))

    def _reconciled(self, record: CallRecord, request: RecordCall, answer: Reconciled) -> None:
        if answer.duplicate:
            self.totals.duplicates += 1
            return
        self.totals.reconciled += 1
        if answer.difference_seconds or answer.still_open:
            self.totals.differences_total += 1
            if len(self.totals.differences) < DIFFERENCES_MAX:
                self.totals.differences.append(
                    Difference(
                        line=record.line,
                        session_id=request.live_session_id,
                        charged_seconds=record.seconds - answer.difference_seconds,
                        record_seconds=record.seconds,
                        still_open=answer.still_open,
                    )
                )

    def _reject(self, rejected: Rejected) -> None:
        self.totals.rejected += 1
        self.totals.reasons[rejected.reason] = self.totals.reasons.get(rejected.reason, 0) + 1
        self._rejected.append(rejected)

    def boundary(self) -> None:
        """Note how far the import has come now that a whole chunk is committed: only such a state is ever saved."""
        totals = self.totals
        currencies = {payer.currency for payer in self._payers.values()}
        micros = sum(payer.charged_micros for payer in self._payers.values()) + self._earlier_micros
        self._at_boundary = Progress(
            file_digest=self._file_digest,
            records_done=totals.records,
            charged=totals.charged,
            charged_micros=micros if len(currencies) <= 1 else 0,
            duplicates=totals.duplicates,
            reconciled=totals.reconciled,
            rejected=totals.rejected,
            started_at=self._started_at,
            updated_at=self._clock(),
            finished=False,
        )

    def save(self, *, finished: bool = False) -> None:
        """Write down how far the import has come; what it rejected first."""
        self._unsaved = 0
        self._rejects.flush()
        self._store.save(msgspec.structs.replace(self._at_boundary, finished=finished))

    def save_after_failure(self) -> None:
        """Save on the way out; the failure is what must be reported, whatever becomes of this."""
        with contextlib.suppress(StorageError, OSError):
            self.save()
