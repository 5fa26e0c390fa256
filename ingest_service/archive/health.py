"""The archive's state as its `/ready`, `/status` and `/metrics` show it."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from ingest_service.events.validation import Reason
from ingest_service.observability.watch_visits import WatchVisits

_REASONS = frozenset(map(str, Reason))
_OTHER = "other"


@dataclass
class QueueHealth:
    """One error queue: what is archived, held and failing."""

    event_type: str
    archived: Counter[str] = field(default_factory=Counter)
    """Letters that are durable and acknowledged, by reason, since the start."""
    failures: int = 0
    """Failed attempts to write or to record letters."""
    failing: str = ""
    """Why the present attempt fails; empty if none does."""
    held: int = 0
    """Letters received and not yet archived."""
    waiting: str = ""
    """Why the queue is not consumed; empty if it is."""
    last_file_at: float | None = None
    """When letters were last archived, in epoch seconds; None if none were since the start."""

    def fail(self, why: str) -> None:
        """Note a failed attempt."""
        self.failures += 1
        self.failing = why

    def succeed(self) -> None:
        """Note that an attempt succeeded."""
        self.failing = ""

    def archive(self, reasons: Iterable[str], now: float) -> None:
        """Count letters that were archived now, by reason. A reason comes from a header: strangers may write any."""
        self.archived.update(reason if reason in _REASONS else _OTHER for reason in reasons)
        self.last_file_at = now


@dataclass
class ArchiveHealth:
    """The state of the whole archive."""

    queues: dict[str, QueueHealth] = field(default_factory=dict)
    """By event type."""
    broker: str = "connecting"
    """`connected`, or the reason why not."""
    clock: Callable[[], float] = time.time
    watch: WatchVisits = field(init=False)

    def __post_init__(self) -> None:
        self.watch = WatchVisits(self.clock)

    @property
    def last_file_at(self) -> float | None:
        """When letters of any type were last archived, in epoch seconds; None if none were since the start."""
        return max((queue.last_file_at for queue in self.queues.values() if queue.last_file_at), default=None)

    def note_watch(self) -> None:
        """Note that gcc-platform watch has asked."""
        self.watch.note()

    def warnings(self) -> dict[str, str]:
        """What is wrong and does not keep letters from being archived."""
        return self.watch.warnings()

    def obstacles(self) -> dict[str, str]:
        """Why letters are not archived, by broker or event type; empty when they are."""
        found = {} if self.broker == "connected" else {"broker": self.broker}
        for name, queue in self.queues.items():
            if why := queue.failing or queue.waiting:
                found[name] = why
        return found

    def as_dict(self) -> dict[str, object]:
        """The content of `/status`."""
        return {
            "ready": not self.obstacles(),
            "broker": self.broker,
            "last_file_at": self.last_file_at,
            "queues": {
                name: {
                    "archived": dict(queue.archived),
                    "failures": queue.failures,
                    "failing": queue.failing,
                    "held": queue.held,
                    "waiting": queue.waiting,
                }
                for name, queue in self.queues.items()
            },
        }
