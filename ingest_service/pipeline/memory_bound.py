"""How much may be held in memory, in bytes, by several receivers together, and who has to read no further."""

from collections.abc import Callable


class MemoryBound:
    """A limit in bytes, shared by a number of receivers.

    Most of it is theirs in equal parts, so that one that cannot get rid of what it holds never keeps the others from
    reading; the rest is for whoever comes first. What is held exceeds the limit by no more than what each
    receiver takes in at once: one read of its socket, or one message where that is larger.
    """

    def __init__(self, limit: int, shares: int) -> None:
        self.own = limit * 3 // 4 // shares
        """What each can count on."""
        self._common = limit - self.own * shares
        self._shares: list[Share] = []

    def share(self, has_room: Callable[[], None]) -> "Share":
        """One receiver's part; `has_room` is called when it is full no more."""
        share = Share(self, has_room)
        self._shares.append(share)
        return share

    def is_full(self, held: int) -> bool:
        """Whether one who holds so much should take no more."""
        return held >= self.own and self._taken_in_common() >= self._common

    def tell(self) -> None:
        """Something was given back: tell those who can go on."""
        for share in self._shares:
            share.look()

    def _taken_in_common(self) -> int:
        return sum(max(0, share.held - self.own) for share in self._shares)


class Share:
    """What one receiver holds."""

    def __init__(self, bound: MemoryBound, has_room: Callable[[], None]) -> None:
        self._bound = bound
        self._has_room = has_room
        self._was_full = False
        self.held = 0
        """In bytes."""

    def take(self, size: int) -> bool:
        """Hold so much more; True if nothing more should be taken until `has_room` is called."""
        self.held += size
        self._was_full = self._was_full or self._bound.is_full(self.held)
        return self._was_full

    def give_back(self, size: int) -> None:
        """Hold so much less."""
        self.held -= size
        self._bound.tell()

    def look(self) -> None:
        """Call `has_room` if it was full and is no more."""
        if self._was_full and not self._bound.is_full(self.held):
            self._was_full = False
            self._has_room()
