"""How many of a type's recent messages are dead letters: beyond a share it is the publisher that is broken."""

from collections import deque

_WINDOW = 1_000
_FEW = 100
"""So many dead letters are no pattern yet, whatever their share."""


class DeadShare:
    """Counts over the newest batches that together have at least a thousand messages."""

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._batches: deque[tuple[int, int]] = deque()

    def too_many(self, messages: int, letters: int) -> str | None:
        """What to say where a batch with so many dead letters would go over the limit."""
        all_messages = messages + sum(count for count, _ in self._batches)
        all_letters = letters + sum(count for _, count in self._batches)
        if all_letters <= _FEW or all_letters <= self._limit * all_messages:
            return None
        return f"{all_letters} of the last {all_messages} messages cannot be stored"

    def add(self, messages: int, letters: int) -> None:
        """Count a batch that was settled."""
        self._batches.append((messages, letters))
        while sum(count for count, _ in self._batches) - self._batches[0][0] >= _WINDOW:
            self._batches.popleft()
