"""An asynchronous spool: all disk I/O runs in one thread, and the counters follow the state on disk.

Events wait in memory until they are on disk. A failed write (disk full, I/O error, spool limit reached) loses nothing:
the events stay in memory, the write is retried, and they go to the broker if it is available.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from ingest_service.publisher.bounded_queue import BoundedQueue
from ingest_service.publisher.counters import Counters
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.record import Record
from ingest_service.publisher.spool import Segment, Spool
from ingest_service.publisher.spools import Place

_WRITE_EVENTS = 1_000
"""Maximum number of events per write and fsync."""
_RETRY_SECONDS = 1.0
"""Delay before a failed disk operation is retried."""

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class AsyncSpool:
    """Writes events to a spool in the background and reads them back.

    `changed` is called when an event has left memory or becomes readable from the spool. `check_seconds` is the
    interval at which to check for spools that other processes left behind; None disables the check.
    """

    def __init__(
        self,
        place: Place,
        waiting: BoundedQueue,
        counters: Counters,
        changed: Callable[[], None],
        check_seconds: float | None,
    ) -> None:
        self._place = place
        self._spool: Spool | None = None
        self._waiting = waiting
        self._counters = counters
        self._changed = changed
        self._check_seconds = check_seconds
        self._check_at = 0.0 if check_seconds is not None else float("inf")
        self._read_at = 0.0
        self._log = RateLimitedLog(_logger)
        # One thread, so calls run one at a time and in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="event-spool")
        self._writing: asyncio.Task[None] | None = None
        self._appending: Future[int] | None = None
        """The write in flight, of the oldest waiting events."""
        self._appended = 0
        """Number of events in that write."""
        self._tasks: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self.stuck = False
        """Whether the last write did not take all of its events."""

    async def open(self) -> None:
        """Lock the directory and count the events already in it. Raises SpoolUnusable or SpoolInUse."""
        try:
            self._spool = await self._call(self._place.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._counters.recover(self._spool.count)
        self._log_torn(self._spool.torn)

    @property
    def full(self) -> bool:
        """Whether no more events can wait to be written."""
        return self._waiting.full

    def add(self, record: Record) -> None:
        """Queue an event for writing. It counts as in memory until it is on disk."""
        self._waiting.add(record)
        if not self.stuck:
            self._begin()

    def take_back(self, most: int) -> Sequence[Record]:
        """Remove and return up to `most` events that wait for a failing disk, oldest first."""
        if not self.stuck or self._writing is not None:
            return []
        records = self._waiting.first(most)
        self._waiting.leave(len(records))
        return records

    async def oldest(self) -> Segment | None:
        """Read the oldest segment; None if the spool is empty or cannot be read now."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._read_at:
            return None
        try:
            segment = await self._call(self._opened.oldest)
        except OSError as error:
            path = await self._call(self._opened.postpone)
            self._log.error("read", "%s cannot be read now, its events wait: %s", path, error)
            self._read_at = loop.time() + _RETRY_SECONDS
            self._later(_RETRY_SECONDS, self._changed)
            return None
        if segment is not None:
            self._report_damage(segment)
        return segment

    async def replace(self, segment: Segment, again: Sequence[Record]) -> bool:
        """Append the events to be sent `again`, then delete their segment.

        Returns False if they cannot be written now; the segment is then unchanged.
        """
        return await self._finish(self._replace(segment, again))

    async def take_over(self) -> bool:
        """Move a segment left behind by a dead process into this spool. True if one was found."""
        if asyncio.get_running_loop().time() < self._check_at:
            return False
        return await self._finish(self._take_over())

    async def close(self) -> None:
        """Finish the running tasks, write the waiting events and release the directory."""
        while self._tasks:
            await asyncio.wait(self._tasks)
        await self._write()
        for timer in self._timers:
            timer.cancel()
        if remaining := len(self._waiting):
            self._waiting.leave(remaining)
            self._counters.drop_memory(remaining)
            _logger.error("dropped %d events: neither the broker nor the spool took them", remaining)
        await self._call(self._opened.close)
        self._thread.shutdown()

    def abandon(self, unsent: Sequence[Record]) -> None:
        """Close from outside the event loop, which may have ended, and spool the `unsent` events too. Blocks."""
        self._thread.shutdown()
        if self._appending is not None:
            self._settle(self._appending)  # the loop ended first
        records = [*self._waiting.first(len(self._waiting)), *unsent]
        try:
            self._append_all(records)
        except OSError as error:
            self._counters.drop_memory(len(records))
            _logger.error("dropped %d events: they could not be written to the spool: %s", len(records), error)  # noqa: TRY400
        else:
            self._counters.spool(len(records))
        self._opened.close()

    def disown(self) -> None:
        """Release everything to the parent process after a fork."""
        if self._spool is not None:
            self._spool.disown()

    @property
    def _opened(self) -> Spool:
        assert self._spool is not None
        return self._spool

    def _begin(self) -> None:
        if self._writing is None and self._waiting:
            self._writing = self._start(self._write())

    async def _write(self) -> None:
        """Write the waiting events until none are left or a write is incomplete."""
        try:
            while self._appending is not None or self._waiting:
                if self._appending is None:
                    records = self._waiting.first(_WRITE_EVENTS)
                    self._appending = self._submit(lambda: self._opened.append(records))  # noqa: B023  # called before the next iteration
                    self._appended = len(records)
                await asyncio.wait([asyncio.wrap_future(self._appending)])
                self._settle(self._appending)
                if self.stuck:
                    self._later(_RETRY_SECONDS, self._begin)
                    break
                self._changed()
        finally:
            self._writing = None
            self._changed()

    def _settle(self, appending: "Future[int]") -> None:
        """Record the result of the last write. Its events counted against the memory bound until now."""
        self._appending = None
        try:
            written = appending.result()
        except OSError as error:
            written = 0
            self._log.error("disk", "the spool cannot be written, its events wait in memory: %s", error)
        else:
            if written < self._appended:
                self._log.warn("full", "the spool is full: %d events wait in memory", len(self._waiting) - written)
        self._waiting.leave(written)
        self._counters.spool(written)
        self.stuck = written < self._appended

    async def _replace(self, segment: Segment, again: Sequence[Record]) -> bool:
        try:
            await self._call(lambda: self._append_all(again))
        except OSError as error:
            self._log.error("disk", "the spool cannot be written: %s", error)
            return False
        try:
            await self._call(lambda: self._opened.remove(segment))
        except OSError as error:
            self._log.error("remove", "%s cannot be removed, its events will be sent again: %s", segment.path, error)
        self._begin()  # there is room again
        return True

    async def _take_over(self) -> bool:
        found = await self._call(lambda: self._place.take_over(self._opened))
        self._log_torn(found.torn)
        for trouble in found.troubles:
            self._log.error(trouble, "%s", trouble)
        if found.events:
            self._counters.recover(found.events)
            return True
        if self._check_seconds is not None:
            self._check_at = asyncio.get_running_loop().time() + self._check_seconds
            self._later(self._check_seconds, self._changed)
        return False

    def _append_all(self, records: Sequence[Record]) -> None:
        if records:
            self._opened.append(records, beyond_limit=True)

    def _log_torn(self, torn: Sequence[tuple[Path, int]]) -> None:
        for path, count in torn:
            _logger.warning("%s ends with %d bytes of an incomplete event: its writer was stopped", path, count)

    def _report_damage(self, segment: Segment) -> None:
        if segment.damaged:
            self._counters.drop_spooled(segment.missing)
            _logger.error(
                "%s is damaged: %s of its events cannot be read and are dropped, %d are sent; it is kept as *.damaged",
                segment.path,
                segment.missing or "an unknown number",
                len(segment.records),
            )

    async def _call(self, blocking: Callable[[], _T]) -> _T:
        return await asyncio.wrap_future(self._submit(blocking))

    def _submit(self, blocking: Callable[[], _T]) -> "Future[_T]":
        try:
            return self._thread.submit(blocking)
        except RuntimeError as error:  # the interpreter is shutting down: no new threads
            failed: Future[_T] = Future()
            failed.set_exception(OSError(str(error)))
            return failed

    def _later(self, seconds: float, call: Callable[[], None]) -> None:
        def now() -> None:
            self._timers.discard(timer)
            call()

        timer = asyncio.get_running_loop().call_later(seconds, now)
        self._timers.add(timer)

    def _start(self, work: Coroutine[Any, Any, _T]) -> "asyncio.Task[_T]":
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for work that continues even if the caller is cancelled: the counters must follow the disk."""
        return await asyncio.shield(self._start(work))
