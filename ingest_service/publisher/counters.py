"""Event counters of a publisher: every accepted event is counted in exactly one place."""

from dataclasses import dataclass


@dataclass
class Counters:
    """Numbers of events. At any time accepted = sent + in_memory + in_spool + dropped."""

    accepted: int = 0
    """Accepted events, including those recovered from the spool."""
    sent: int = 0
    """Confirmed by the broker."""
    in_memory: int = 0
    """Waiting in memory, or published and not yet confirmed."""
    in_spool: int = 0
    """On disk, not yet confirmed."""
    dropped: int = 0
    """Lost: no room in memory or in the spool, or damaged on disk. The reason is logged."""

    refused: int = 0
    """Never accepted: not valid for their event type. The reason is logged."""
    recovered: int = 0
    """Accepted events that an earlier process left in the spool."""
    spooled: int = 0
    """Total written to the spool by this process; in emit order while the broker is unavailable."""

    def accept(self) -> None:
        """Count an event from the crawler that is now in memory."""
        self.accepted += 1
        self.in_memory += 1

    def accept_nowhere(self) -> None:
        """Count an event from the crawler that is dropped for lack of room."""
        self.accepted += 1
        self.dropped += 1

    def recover(self, count: int) -> None:
        """Count events of an earlier process found on disk."""
        self.accepted += count
        self.recovered += count
        self.in_spool += count

    def memory_sent(self, count: int) -> None:
        """Count events in memory as confirmed."""
        self.in_memory -= count
        self.sent += count

    def spool_sent(self, count: int) -> None:
        """Count events on disk as confirmed."""
        self.in_spool -= count
        self.sent += count

    def spool(self, count: int) -> None:
        """Move events from memory to disk."""
        self.in_memory -= count
        self.in_spool += count
        self.spooled += count

    def drop_memory(self, count: int) -> None:
        """Count events in memory as dropped."""
        self.in_memory -= count
        self.dropped += count

    def drop_spooled(self, count: int) -> None:
        """Count unreadable events on disk as dropped."""
        self.in_spool -= count
        self.dropped += count
