"""A lease that only remembers, for tests that need no broker."""

import asyncio


class RememberingLease:
    """Dies when told to; remembers what was acknowledged."""

    def __init__(self) -> None:
        self._dead = asyncio.Event()
        self.acknowledged: list[int] = []

    @property
    def alive(self) -> bool:
        return not self._dead.is_set()

    def die(self) -> None:
        self._dead.set()

    async def dies_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._dead.wait()
        except TimeoutError:
            return False
        return True

    async def ack(self, tag: int, *, multiple: bool) -> bool:
        assert multiple
        if self.alive:
            self.acknowledged.append(tag)
        return self.alive
