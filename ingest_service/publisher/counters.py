"""What has become of the events given to a publisher: every one is always in exactly one place."""

from dataclasses import dataclass


@dataclass
class Counters:
    """Numbers of events. At any moment accepted = sent + in_memory + in_spool + dropped."""

    accepted: int = 0
    """Events taken on, those found in the spool on entering included."""
    sent: int = 0
    """Confirmed by the broker."""
    in_memory: int = 0
    """Waiting in memory, or published and not confirmed yet."""
    in_spool: int = 0
    """On disk, not confirmed yet."""
    dropped: int = 0
    """Lost: no room in memory or in the spool, or damaged on disk. The log says why."""

    refused: int = 0
    """Never accepted: they cannot be of their event type. The log says why."""
    recovered: int = 0
    """Of the accepted ones, those that an earlier process had left in the spool."""
    spooled: int = 0
    """Ever written to the spool by this process, in the order of emit while the broker is away."""

    def accept(self) -> None:
        """An event from the crawler enters memory."""
        self.accepted += 1
        self.in_memory += 1

    def accept_nowhere(self) -> None:
        """An event from the crawler finds no room."""
        self.accepted += 1
        self.dropped += 1

    def recover(self, count: int) -> None:
        """Events of an earlier process are found on disk."""
        self.accepted += count
        self.recovered += count
        self.in_spool += count

    def memory_sent(self, count: int) -> None:
        """Events in memory are confirmed."""
        self.in_memory -= count
        self.sent += count

    def spool_sent(self, count: int) -> None:
        """Events on disk are confirmed."""
        self.in_spool -= count
        self.sent += count

    def spool(self, count: int) -> None:
        """Events in memory are on disk now."""
        self.in_memory -= count
        self.in_spool += count
        self.spooled += count

    def drop_memory(self, count: int) -> None:
        """Events in memory are given up."""
        self.in_memory -= count
        self.dropped += count

    def drop_spooled(self, count: int) -> None:
        """Events on disk cannot be read any more."""
        self.in_spool -= count
        self.dropped += count
