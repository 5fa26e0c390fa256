"""Cancels tasks repeatedly until they end: Python 3.11's wait_for, which aiormq uses, may swallow a cancellation."""

import asyncio
from collections.abc import Iterable
from typing import Any

_AGAIN_SECONDS = 0.5


async def cancelled(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel the tasks, and return when each has ended: cancelled, failed or completed."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_AGAIN_SECONDS)
