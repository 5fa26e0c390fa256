"""Events waiting in memory, in order, bounded in number and in bytes."""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice

from ingest_service.publisher.record import Record


class BoundedQueue:
    """A queue that says when it is full; whoever adds asks first."""

    def __init__(self, most_events: int, most_bytes: int) -> None:
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._records: deque[Record] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._records)

    @property
    def full(self) -> bool:
        """Whether nothing more should be added."""
        return len(self._records) >= self._most_events or self._bytes >= self._most_bytes

    def add(self, record: Record) -> None:
        """Put an event at the end."""
        self._records.append(record)
        self._bytes += len(record.body)

    def first(self, most: int, most_bytes: int | None = None) -> Sequence[Record]:
        """The oldest events. They stay until `leave`: while they are worked on, they take up room."""
        return first(self._records, most, most_bytes)

    def leave(self, count: int) -> None:
        """Take the oldest events out."""
        for _ in range(count):
            self._bytes -= len(self._records.popleft().body)

    def put_back(self, records: Sequence[Record]) -> None:
        """Put events before all others, in their order."""
        self._records.extendleft(reversed(records))
        self._bytes += sum(len(each.body) for each in records)


def first(records: Iterable[Record], most: int, most_bytes: int | None) -> list[Record]:
    """The first of some events, within a number of events and of bytes, but one at least."""
    taken: list[Record] = []
    size = 0
    for record in islice(records, most):
        size += len(record.body)
        if taken and most_bytes is not None and size > most_bytes:
            break
        taken.append(record)
    return taken
