"""The rows of a batch on their way into the table, and how they are split when an insert of them fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_service.events.contract import utc


@dataclass(frozen=True, slots=True)
class Rows:
    """Three columns: the bytes to insert, where in the batch each row came from, and its event_timestamp.

    A time without a zone is UTC; few batches need their times, so none is converted before.
    """

    rows: Sequence[bytes]
    positions: Sequence[int]
    times: Sequence[datetime]

    def __len__(self) -> int:
        return len(self.rows)

    def size(self) -> int:
        """Bytes of what is inserted, without what is between the rows."""
        return sum(map(len, self.rows))

    def halves(self) -> "tuple[Rows, Rows]":
        """Two of about the same number of rows."""
        middle = len(self) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def around(self, row: int) -> "list[Rows]":
        """What is before a row (counted from 1), the row, and what is after it; empty parts left out."""
        parts = (slice(row - 1), slice(row - 1, row), slice(row, None))
        return [part for part in map(self._part, parts) if part]

    def by_time(self) -> "Rows":
        """In the order of event_timestamp, so that each half spans about half of the partitions."""
        order = sorted(range(len(self)), key=lambda row: utc(self.times[row]))
        return Rows([self.rows[i] for i in order], [self.positions[i] for i in order], [self.times[i] for i in order])

    def _part(self, part: slice) -> "Rows":
        return Rows(self.rows[part], self.positions[part], self.times[part])
