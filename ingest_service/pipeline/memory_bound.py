"""Bounds the bytes that several receivers hold in memory together, and decides which of them must pause."""

from collections.abc import Callable


class MemoryBound:
    """A limit in bytes, shared by a number of receivers.

    Most of it is reserved in equal shares, so that a receiver that cannot release its messages never stops the others;
    the rest is common, first come, first served. The limit is exceeded by at most one read of each receiver's socket,
    or one message if that is larger.
    """

    def __init__(self, limit: int, shares: int) -> None:
        self.own = limit * 3 // 4 // shares
        """The bytes reserved for each receiver."""
        self._common = limit - self.own * shares
        self._shares: list[Share] = []

    def share(self, has_room: Callable[[], None]) -> "Share":
        """Add a receiver; `has_room` is called when it may take more again."""
        share = Share(self, has_room)
        self._shares.append(share)
        return share

    def is_full(self, held: int) -> bool:
        """Whether a receiver that holds this much must take no more."""
        return held >= self.own and self._taken_in_common() >= self._common

    def notify(self) -> None:
        """Notify the receivers that may take more again."""
        for share in self._shares:
            share.check()

    def _taken_in_common(self) -> int:
        return sum(max(0, share.held - self.own) for share in self._shares)


class Share:
    """The bytes that one receiver holds."""

    def __init__(self, bound: MemoryBound, has_room: Callable[[], None]) -> None:
        self._bound = bound
        self._has_room = has_room
        self._was_full = False
        self.held = 0
        """In bytes."""

    def take(self, size: int) -> bool:
        """Add held bytes; True if the receiver must take no more until `has_room` is called."""
        self.held += size
        self._was_full = self._was_full or self._bound.is_full(self.held)
        return self._was_full

    def give_back(self, size: int) -> None:
        """Subtract held bytes."""
        self.held -= size
        self._bound.notify()

    def check(self) -> None:
        """Call `has_room` if the receiver was full and no longer is."""
        if self._was_full and not self._bound.is_full(self.held):
            self._was_full = False
            self._has_room()
