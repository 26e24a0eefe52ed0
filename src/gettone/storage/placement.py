"""Where an organisation's rows live (design, section 3): which partition, and how to reach it.

One transaction touches one partition. There is one partition now, on SQLite and on PostgreSQL alike; whoever asks is
already written for many. A request that names no organisation belongs to partition 0, which knows every number's owner.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Placement:
    """The partitions of the database at *url*."""

    url: str

    @property
    def partitions(self) -> range:
        """Every partition."""
        return range(1)

    def partition(self, org_id: str) -> int:  # noqa: ARG002 - with one partition every organisation is in it
        """The partition that holds *org_id*."""
        return 0

    def dsn(self, partition: int) -> str:
        """The URL under which *partition* is written."""
        assert partition in self.partitions, partition
        return self.url
