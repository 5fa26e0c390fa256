"""Dumps every thread's stack to stderr when the event loop is blocked, so that the cause can be found."""

import asyncio
import faulthandler
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

STUCK_SECONDS = 30.0


@asynccontextmanager
async def watched(seconds: float = STUCK_SECONDS) -> AsyncIterator[None]:
    """Watch the running loop until the block is left."""
    task = asyncio.create_task(_turn(seconds), name="watchdog")
    try:
        yield
    finally:
        task.cancel()
        faulthandler.cancel_dump_traceback_later()


async def _turn(seconds: float) -> None:
    while True:
        # The loop may be blocked, so a thread of the interpreter's writes the dump.
        faulthandler.dump_traceback_later(seconds, repeat=True)
        await asyncio.sleep(seconds / 3)
