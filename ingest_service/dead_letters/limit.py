"""Limits the share of a type's recent messages that are dead letters: beyond it, the publisher is broken."""

from collections import deque
from dataclasses import dataclass

_WINDOW = 1_000
_ALWAYS_ALLOWED = 100
"""Dead letters in the window that are allowed, whatever their share."""


@dataclass(frozen=True, slots=True)
class LimitExceeded:
    """How many of the recent messages are dead letters."""

    letters: int
    messages: int


class DeadLetterLimit:
    """Counts over a window: the newest batches that together have at least a thousand messages."""

    def __init__(self, share: float) -> None:
        """`share` is the largest share of dead letters that is allowed, from 0 to 1."""
        self._share = share
        self._batches: deque[tuple[int, int]] = deque()

    def exceeded(self, messages: int, letters: int) -> LimitExceeded | None:
        """The counts, if the window with this batch exceeds the limit; else None."""
        all_messages = messages + sum(count for count, _ in self._batches)
        all_letters = letters + sum(count for _, count in self._batches)
        if all_letters <= _ALWAYS_ALLOWED or all_letters <= self._share * all_messages:
            return None
        return LimitExceeded(all_letters, all_messages)

    def add(self, messages: int, letters: int) -> None:
        """Count a settled batch."""
        self._batches.append((messages, letters))
        while sum(count for count, _ in self._batches) - self._batches[0][0] >= _WINDOW:
            self._batches.popleft()
