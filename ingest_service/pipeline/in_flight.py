"""Batches that are being settled side by side, and which of them may be acknowledged: those before the first gap."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

from ingest_service.pipeline.sinker import Settled


class InFlightBatches:
    """A few batches of one lease, oldest first; `wake` is called whenever one is done."""

    def __init__(self, most: int, wake: Callable[[], None]) -> None:
        self._most = most
        self._wake = wake
        self._tasks: deque[tuple[asyncio.Task[Settled], float]] = deque()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether another batch would be one too many."""
        return len(self._tasks) >= self._most

    def start(self, settling: Coroutine[None, None, Settled], received: float) -> None:
        """Settle one more, the oldest message of which was received at a time. It must not be full."""
        task = asyncio.create_task(settling)
        task.add_done_callback(lambda _task: self._wake())
        self._tasks.append((task, received))

    def settled(self) -> list[Settled]:
        """What is settled with nothing unsettled before it; it is the caller's then. Raises what a batch failed of."""
        for task, _ in self._tasks:
            if task.done():
                task.result()  # a later one may have failed while an earlier one still waits
        done = []
        while self._tasks and self._tasks[0][0].done():
            done.append(self._tasks.popleft()[0].result())
        return done

    def oldest(self) -> float | None:
        """When the oldest message was received; None while there is none."""
        return self._tasks[0][1] if self._tasks else None

    async def abandon(self) -> None:
        """Cancel what is not settled, and wait for its end."""
        tasks = [task for task, _ in self._tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
