"""The account of one event type: every message that left its queue has landed, or is a dead letter.

The broker counts what it confirmed for each queue and knows what waits in it; the ledger has what landed. Neither
knows which messages: one that landed twice, redelivered after a crash, hides one that is missing until the queue is at
rest.

The broker's statistics are some seconds old, and depth may be older than confirms or newer. At rest they are
exact. While messages move, only a difference larger than all that moved meanwhile counts, and only if it stays.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gcc_platform.watch.window import Window

_STATISTICS_SECONDS = 30.0
"""The broker's statistics are at most this old: it collects them every 5 s by default."""
_LOOKS = 3
"""A difference counts if it is there in this number of consecutive looks."""
REPORT_SECONDS = 3600.0
"""Missing messages do not come back: they are reported for this long."""


@dataclass(frozen=True)
class Counts:
    """The counters of one event type. All but `waiting` only grow, but a restarted broker counts from zero."""

    confirmed: int
    """Messages that the broker took into the queue."""
    waiting: int
    """Messages in the queue, delivered or not."""
    landed: int
    """Rows in the ledger, including those that repeat an event."""
    dead_letters: int
    """Messages that the broker took into the error queue."""

    @property
    def unexplained(self) -> int:
        """Messages that left the queue, less those that landed or became dead letters."""
        return self.confirmed - self.waiting - self.landed - self.dead_letters

    @property
    def movements(self) -> int:
        """Grows with every message that arrives, lands or becomes a dead letter."""
        return self.confirmed + self.landed + self.dead_letters


class Account:
    """The counters since the first look, or since the broker was restarted."""

    def __init__(self, counts: Counts, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._total_missing = 0
        self._missing = Window(REPORT_SECONDS, clock)
        self._missing.add(0)
        self._open(counts)

    def _open(self, counts: Counts) -> None:
        self.opening = self.newest = counts
        self.opened_at = self._clock()
        self._accepted = counts.unexplained
        """The difference at the opening, later at the last rest."""
        self._slack = 0
        """How wrong it may be, because messages moved then."""
        self._movements = Window(_STATISTICS_SECONDS, self._clock)
        self._waiting = Window(_STATISTICS_SECONDS, self._clock)
        self._note(counts)
        self._excesses: deque[int] = deque(maxlen=_LOOKS)

    @property
    def missing(self) -> int:
        """How many messages at least were found missing during the last hour."""
        return self._missing.increase

    def add(self, counts: Counts) -> None:
        """Take in the counters of one look."""
        self._compare(counts)
        self._missing.add(self._total_missing)

    def _compare(self, counts: Counts) -> None:
        if counts.confirmed < self.newest.confirmed or counts.dead_letters < self.newest.dead_letters:
            self._open(counts)
            return
        self.newest = counts
        self._note(counts)
        moved = self._movements.increase + self._waiting.most - self._waiting.least
        if not self._is_settled:
            self._slack = max(self._slack, moved)
        difference = counts.unexplained - self._accepted
        self._excesses.append(difference - self._slack - moved)
        if len(self._excesses) == _LOOKS and min(self._excesses) > 0:
            self._find(min(self._excesses))
        elif self._is_settled and not moved and difference <= self._slack:
            self._accepted, self._slack = counts.unexplained, 0

    def _note(self, counts: Counts) -> None:
        self._movements.add(counts.movements)
        self._waiting.add(counts.waiting)

    @property
    def _is_settled(self) -> bool:
        """Whether the statistics of the opening are known by now."""
        return self._clock() - self.opened_at > _STATISTICS_SECONDS

    def _find(self, count: int) -> None:
        self._total_missing += count
        self._accepted += count
        self._excesses.clear()
