"""How far imports of call-record files have come, in SQL (`operations.call_import.ProgressStore`)."""

from sqlalchemy import delete, insert, select

from gettone.operations.call_import import Progress
from gettone.operations.instants import instant, microseconds
from gettone.storage.engine import Database
from gettone.storage.schema import import_progress


class SqlProgress:
    """See `ProgressStore`."""

    def __init__(self, database: Database) -> None:
        """Keep progress in *database*."""
        self._database = database

    def load(self, file_digest: str) -> Progress | None:
        """See `ProgressStore`."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(import_progress).where(import_progress.c.file_digest == file_digest)
            ).one_or_none()
        if row is None:
            return None
        return Progress(
            file_digest=row.file_digest,
            records_done=row.records_done,
            charged=row.charged,
            charged_micros=row.charged_micros,
            duplicates=row.duplicates,
            reconciled=row.reconciled,
            rejected=row.rejected,
            started_at=instant(row.started_at),
            updated_at=instant(row.updated_at),
            finished=bool(row.finished),
        )

    def save(self, progress: Progress) -> None:
        """See `ProgressStore`."""
        row = {name: getattr(progress, name) for name in progress.__struct_fields__}
        row["started_at"] = microseconds(progress.started_at)
        row["updated_at"] = microseconds(progress.updated_at)
        row["finished"] = int(progress.finished)
        with self._database.writing() as connection:
            connection.execute(delete(import_progress).where(import_progress.c.file_digest == progress.file_digest))
            connection.execute(insert(import_progress), row)
