"""The account of one event type: every message that left its queue has landed, or is a dead letter.

The broker counts what it confirmed for each queue and knows what waits in it; the ledger has what landed. Neither
knows which messages: one that landed twice, redelivered after a crash, hides one that is missing until the queue is at
rest.

The broker's statistics are some seconds old, and depth may be older than confirms or newer. At rest they are exact.
While messages move, confirms that are late hide missing messages; depth that is late, or dead letters that are, would
show some that are not missing. So a difference counts only by how much it exceeds what depth and dead letters may be
wrong by, and only if it stays for as long as statistics may be late.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields

from gcc_platform.watch.window import Window

_STATISTICS_SECONDS = 30.0
"""The broker's statistics are at most this old: it collects them every 5 s by default."""
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
        """By how much too low it may be, because messages moved then."""
        self._excess = self._window()
        self._recent = {each.name: self._window() for each in fields(Counts)}
        self._note(counts)

    @property
    def missing(self) -> int:
        """How many messages at least were found missing during the last hour."""
        return self._missing.increase

    def add(self, counts: Counts) -> None:
        """Take in the counters of one look."""
        if counts.confirmed < self.newest.confirmed or counts.dead_letters < self.newest.dead_letters:
            self._open(counts)
        else:
            self.newest = counts
            self._note(counts)
            self._compare(counts.unexplained - self._accepted)
        self._missing.add(self._total_missing)

    def _compare(self, difference: int) -> None:
        spread = {name: window.spread for name, window in self._recent.items()}
        is_settled = self._clock() - self.opened_at > _STATISTICS_SECONDS
        if not is_settled:
            self._slack = max(self._slack, spread["confirmed"] + spread["waiting"])
        self._excess.add(difference - self._slack - spread["waiting"] - spread["dead_letters"])
        if self._excess.is_full and self._excess.least > 0:
            self._find(self._excess.least)
        elif is_settled and not any(spread.values()) and difference <= self._slack:
            self._accepted, self._slack = self.newest.unexplained, 0

    def _note(self, counts: Counts) -> None:
        for name, value in asdict(counts).items():
            self._recent[name].add(value)

    def _find(self, count: int) -> None:
        self._total_missing += count
        self._accepted += count
        self._excess = self._window()

    def _window(self) -> Window:
        return Window(_STATISTICS_SECONDS, self._clock)
