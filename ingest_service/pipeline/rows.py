"""The rows of an insert, and how they are split when it fails."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from ingest_service.events.contract import utc


@dataclass(frozen=True, slots=True)
class Rows:
    """Three columns: the bytes to insert, each row's position in the batch, and its event_timestamp.

    A time without a zone is UTC; times are converted only when needed, which is rare.
    """

    rows: Sequence[bytes]
    positions: Sequence[int]
    times: Sequence[datetime]

    def __len__(self) -> int:
        return len(self.rows)

    def size(self) -> int:
        """The bytes of the rows, without separators."""
        return sum(map(len, self.rows))

    def halves(self) -> "tuple[Rows, Rows]":
        """Two parts with about the same number of rows."""
        middle = len(self) // 2
        return self._part(slice(middle)), self._part(slice(middle, None))

    def around(self, row: int) -> "list[Rows]":
        """The rows before a row (counted from 1), that row, and the rows after it; without empty parts."""
        parts = (slice(row - 1), slice(row - 1, row), slice(row, None))
        return [part for part in map(self._part, parts) if part]

    def by_time(self) -> "Rows":
        """The rows sorted by event_timestamp, so that each half spans about half of the partitions."""
        order = sorted(range(len(self)), key=lambda row: utc(self.times[row]))
        return Rows([self.rows[i] for i in order], [self.positions[i] for i in order], [self.times[i] for i in order])

    def _part(self, part: slice) -> "Rows":
        return Rows(self.rows[part], self.positions[part], self.times[part])
