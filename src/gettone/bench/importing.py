"""Call-record import, end to end: a file is parsed, rated, charged, posted and committed."""

import csv
import hashlib
import random
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gettone.agents.cdr import CallRecord, read_records, write_records
from gettone.bench import world
from gettone.bench.measuring import NotMeasured, Result, Work, interleaved, rate
from gettone.bench.sizes import Sizes
from gettone.bench.sqlite import RawSqlite, RecordingSqlite
from gettone.operations.call_import import Rejected, import_calls, import_key
from gettone.operations.charging import Charging
from gettone.storage.engine import Database, open_database
from gettone.storage.import_progress import SqlProgress

FORMAT = "gettone"
ORG_ID = "org0"
_FILES = 4


class _NoRejects:
    """Takes no reject: a record that is not charged would be a faster one."""

    def begin(self, kept: int) -> bool:
        """See `Rejects`."""
        return kept == 0

    def add(self, rejected: Rejected) -> None:
        """See `Rejects`."""
        raise NotMeasured(f"line {rejected.line} was rejected: {rejected.explanation}")

    def flush(self) -> None:
        """See `Rejects`."""


def records(name: str, folder: Path, sizes: Sizes) -> Result:
    """Records a second on SQLite, beside the bare CSV module and the bare driver with the same rows."""
    path, equal = folder / f"{name}.db", folder / f"{name}-equal.db"
    url = f"sqlite:///{path}"
    world.make(url, 1)
    shutil.copy(path, equal)
    store, raw, database = RecordingSqlite(path), RawSqlite(equal), open_database(url)
    charging = world.charging(store)
    rounds = min(sizes.rounds, _FILES - 1)
    files = iter(
        [_written(folder / f"{name}-{number}.csv", number, sizes.records // _FILES) for number in range(_FILES)]
    )
    file = folder

    def imported() -> Work:
        nonlocal file
        file, store.transactions = next(files), []
        return lambda: _imported(file, charging, database)

    def replayed() -> Work:
        def work() -> int:
            with file.open(encoding="utf-8", newline="") as lines:
                count = sum(1 for _ in csv.reader(lines)) - 1
            raw.replay(store.transactions)
            return count

        return work

    try:
        samples, limits = interleaved(rounds, imported, replayed)
    finally:
        charging.close()
        raw.close()
        database.close()
    return rate(name, "records/s", samples, limits)


def _imported(file: Path, charging: Charging, database: Database) -> int:
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    with read_records(file, FORMAT) as reader:
        totals = import_calls(
            reader,
            charging,
            SqlProgress(database),
            file_digest=import_key(digest, format_name=FORMAT, org_id=ORG_ID),
            format_name=FORMAT,
            clock=lambda: datetime.now(UTC),
            rejects=_NoRejects(),
            org_id=ORG_ID,
        )
    return totals.charged


def _written(path: Path, number: int, count: int) -> Path:
    """A file of answered calls of yesterday; every file has calls of its own."""
    chosen = random.Random(number)  # noqa: S311 - files that can be made again, no secret
    # Within the month that is running, or calls would draw on two of them.
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    calls = [
        CallRecord(
            line=0,
            record_id=f"{number}-{index}-{chosen.getrandbits(32):08x}",
            session_id=None,
            user=world.user(0),
            calling="",
            called=f"+4420718{chosen.randrange(100_000):05d}",
            started_at=midnight + timedelta(seconds=chosen.randrange(86_400)),
            seconds=chosen.randrange(1, 1800),
            answered=True,
            call_type=None,
            reported_charge=None,
            currency=None,
        )
        for index in range(count)
    ]
    with path.open("wb") as out:
        write_records(calls, out)
    return path
