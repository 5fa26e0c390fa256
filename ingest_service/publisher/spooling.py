"""The spool as the event loop sees it: every disk call in one thread, and counters that follow what is on disk."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from ingest_service.publisher.counters import Counters
from ingest_service.publisher.line import Line
from ingest_service.publisher.rarely import Rarely
from ingest_service.publisher.record import Record
from ingest_service.publisher.spool import Segment, Spool

_AT_ONCE = 1_000
"""Events written with one fsync, at most."""

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class Spooling:
    """Writes events to a spool in the background and reads them back.

    `changed` is called when an event has left memory or can be read from the spool.
    """

    def __init__(self, spool: Spool, waiting: Line, counters: Counters, changed: Callable[[], None]) -> None:
        self._spool = spool
        self._waiting = waiting
        self._counters = counters
        self._changed = changed
        self._say = Rarely(_logger)
        # One thread, so calls are made one after the other, in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="event-spool")
        self._writing: asyncio.Task[None] | None = None
        self._under_way: set[asyncio.Task[Any]] = set()

    async def open(self) -> None:
        """Lock the directory and count what an earlier process left in it. Raises SpoolUnusable or SpoolInUse."""
        try:
            found = await self._call(self._spool.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._counters.recover(found)
        for path, count in self._spool.torn:
            _logger.warning("%s ends with %d bytes that are no whole event: what wrote it was stopped", path, count)

    @property
    def full(self) -> bool:
        """Whether no more events can wait to be written."""
        return self._waiting.full

    def add(self, record: Record) -> None:
        """Take an event that counts as in memory; it counts as in the spool once it is on disk."""
        self._waiting.add(record)
        if self._writing is None:
            self._writing = self._start(self._write())

    async def oldest(self) -> Segment | None:
        """The oldest events. Raises OSError."""
        segment = await self._call(self._spool.oldest)
        if segment is not None and segment.missing:
            self._counters.drop_spooled(segment.missing)
            _logger.error("%d events of a spool file cannot be read any more: dropped", segment.missing)
        return segment

    async def replace(self, segment: Segment, again: Sequence[Record]) -> None:
        """Write the events that are to be sent `again` behind all others, then delete their segment. Raises OSError."""
        await self._finish(self._replace(segment, again))

    async def close(self) -> None:
        """Finish what has begun, write what waits, and leave the directory to the next process."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._call(self._spool.close)
        self._thread.shutdown()

    def abandon(self, unsent: Sequence[Record]) -> None:
        """As close, with the events in memory, from outside of an event loop that may be gone. Blocks."""
        self._thread.shutdown()
        records = [*self._waiting.first(len(self._waiting)), *unsent]
        try:
            self._append_all(records)
        except OSError as error:
            self._counters.drop_memory(len(records))
            _logger.error("%d events could not be written to the spool and are lost: %s", len(records), error)  # noqa: TRY400
        else:
            self._counters.spool(len(records))
        self._spool.close()

    async def _write(self) -> None:
        """Write what waits until nothing does."""
        try:
            while records := self._waiting.first(_AT_ONCE):
                written = await self._append(records)
                # Only now: while they are being written, they are in memory and take up room there.
                self._waiting.leave(len(records))
                self._counters.spool(written)
                self._counters.drop_memory(len(records) - written)
                self._changed()
        finally:
            self._writing = None
            self._changed()

    async def _append(self, records: Sequence[Record]) -> int:
        """How many were written."""
        try:
            written = await self._call(lambda: self._spool.append(records))
        except OSError as error:
            self._say.warn("disk", "the spool cannot be written, its events are dropped: %s", error)
            return 0
        if written < len(records):
            self._say.warn("full", "the spool is full: dropped %d events just now", len(records) - written)
        return written

    async def _replace(self, segment: Segment, again: Sequence[Record]) -> None:
        if again:
            await self._call(lambda: self._append_all(again))
        await self._call(lambda: self._spool.remove(segment.number))

    def _append_all(self, records: Sequence[Record]) -> None:
        if records:
            self._spool.append(records, beyond_limit=True)

    def _call(self, blocking: Callable[[], _T]) -> Awaitable[_T]:
        return asyncio.get_running_loop().run_in_executor(self._thread, blocking)

    def _start(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _finish(self, work: Coroutine[Any, Any, None]) -> None:
        """Wait for work that goes on even if we are cancelled: the counters must follow what is on disk."""
        await asyncio.shield(self._start(work))
