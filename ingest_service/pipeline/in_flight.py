"""Tracks batches that are settled concurrently, and returns them in order for acknowledgement."""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine

from ingest_service.pipeline.sinker import Settled


class InFlightBatches:
    """Up to `most` batches of one lease, oldest first; `wake` is called when one is done."""

    def __init__(self, most: int, wake: Callable[[], None]) -> None:
        self._most = most
        self._wake = wake
        self._tasks: deque[tuple[asyncio.Task[Settled], float]] = deque()

    def __len__(self) -> int:
        return len(self._tasks)

    @property
    def full(self) -> bool:
        """Whether no further batch may be started."""
        return len(self._tasks) >= self._most

    def start(self, settling: Coroutine[None, None, Settled], received: float) -> None:
        """Start to settle a batch, whose oldest message was received at `received`. Must not be full."""
        task = asyncio.create_task(settling)
        task.add_done_callback(lambda _task: self._wake())
        self._tasks.append((task, received))

    def settled(self) -> list[Settled]:
        """Pop the settled prefix, oldest first. Re-raises the first failure of any batch."""
        for task, _ in self._tasks:
            if task.done():
                task.result()  # a later batch may have failed while an earlier one is still being settled
        done = []
        while self._tasks and self._tasks[0][0].done():
            done.append(self._tasks.popleft()[0].result())
        return done

    def oldest(self) -> float | None:
        """When the oldest message was received; None if there is none."""
        return self._tasks[0][1] if self._tasks else None

    async def abandon(self) -> None:
        """Cancel all batches, and wait until they have ended."""
        tasks = [task for task, _ in self._tasks]
        self._tasks.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
