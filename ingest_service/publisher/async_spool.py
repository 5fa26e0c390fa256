"""The spool as the event loop sees it: every disk call in one thread, and counters that follow what is on disk.

Events wait in memory until they are on disk. A disk that takes none (it is full, it fails, the spool has its limit)
loses nothing by itself: they stay in memory, are tried again, and go to the broker if that is there.
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

_AT_ONCE = 1_000
"""Events written with one fsync, at most."""
_RETRY_SECONDS = 1.0
"""After how long a disk that failed is tried again."""

_logger = logging.getLogger(__name__)
_T = TypeVar("_T")


class AsyncSpool:
    """Writes events to a spool in the background and reads them back.

    `changed` is called when an event has left memory or can be read from the spool. `look_seconds` is how often to look
    for what other processes have left behind, in seconds; None is never.
    """

    def __init__(
        self,
        place: Place,
        waiting: BoundedQueue,
        counters: Counters,
        changed: Callable[[], None],
        look_seconds: float | None,
    ) -> None:
        self._place = place
        self._spool: Spool | None = None
        self._waiting = waiting
        self._counters = counters
        self._changed = changed
        self._look_seconds = look_seconds
        self._look_at = 0.0 if look_seconds is not None else float("inf")
        self._read_at = 0.0
        self._say = RateLimitedLog(_logger)
        # One thread, so calls are made one after the other, in order.
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="event-spool")
        self._writing: asyncio.Task[None] | None = None
        self._appending: Future[int] | None = None
        """The write that is under way, of the oldest events that wait."""
        self._appended = 0
        """How many they are."""
        self._under_way: set[asyncio.Task[Any]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self.stuck = False
        """Whether the disk did not take what it was given last."""

    async def open(self) -> None:
        """Lock the directory and count what an earlier process left in it. Raises SpoolUnusable or SpoolInUse."""
        try:
            self._spool = await self._call(self._place.open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        self._counters.recover(self._spool.count)
        self._tell_torn(self._spool.torn)

    @property
    def full(self) -> bool:
        """Whether no more events can wait to be written."""
        return self._waiting.full

    def add(self, record: Record) -> None:
        """Take an event that counts as in memory; it counts as in the spool once it is on disk."""
        self._waiting.add(record)
        if not self.stuck:
            self._begin()

    def take_back(self, most: int) -> Sequence[Record]:
        """Events that wait for a disk that does not take them, oldest first: they are the caller's then."""
        if not self.stuck or self._writing is not None:
            return []
        records = self._waiting.first(most)
        self._waiting.leave(len(records))
        return records

    async def oldest(self) -> Segment | None:
        """The oldest events; None if there are none, or none that can be read now."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._read_at:
            return None
        try:
            segment = await self._call(self._opened.oldest)
        except OSError as error:
            path = await self._call(self._opened.postpone)
            self._say.error("read", "%s cannot be read now, its events wait: %s", path, error)
            self._read_at = loop.time() + _RETRY_SECONDS
            self._later(_RETRY_SECONDS, self._changed)
            return None
        if segment is not None:
            self._tell_damage(segment)
        return segment

    async def replace(self, segment: Segment, again: Sequence[Record]) -> bool:
        """Write the events that are to be sent `again` behind all others, then delete their segment.

        False if they cannot be written now: then the segment is as before.
        """
        return await self._finish(self._replace(segment, again))

    async def take_over(self) -> bool:
        """Whether something was found that a process which is gone had left behind: it is in this spool now."""
        if asyncio.get_running_loop().time() < self._look_at:
            return False
        return await self._finish(self._take_over())

    async def close(self) -> None:
        """Finish what has begun, write what waits, and leave the directory to the next process."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self._write()
        for timer in self._timers:
            timer.cancel()
        if left := len(self._waiting):
            self._waiting.leave(left)
            self._counters.drop_memory(left)
            _logger.error("dropped %d events: neither the broker nor the spool took them", left)
        await self._call(self._opened.close)
        self._thread.shutdown()

    def abandon(self, unsent: Sequence[Record]) -> None:
        """As close, with the events in memory, from outside of an event loop that may be gone. Blocks."""
        self._thread.shutdown()
        if self._appending is not None:
            self._settle(self._appending)  # the loop has ended before it could
        records = [*self._waiting.first(len(self._waiting)), *unsent]
        try:
            self._append_all(records)
        except OSError as error:
            self._counters.drop_memory(len(records))
            _logger.error("%d events could not be written to the spool and are lost: %s", len(records), error)  # noqa: TRY400
        else:
            self._counters.spool(len(records))
        self._opened.close()

    def disown(self) -> None:
        """Leave everything to the process that this one was forked from."""
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
        """Write what waits until nothing does, or the disk takes no more."""
        try:
            while self._appending is not None or self._waiting:
                if self._appending is None:
                    records = self._waiting.first(_AT_ONCE)
                    self._appending = self._submit(lambda: self._opened.append(records))  # noqa: B023  # made at once
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
        """What has become of the events that were given to the disk last. Until now, they took up room in memory."""
        self._appending = None
        try:
            written = appending.result()
        except OSError as error:
            written = 0
            self._say.error("disk", "the spool cannot be written, its events wait in memory: %s", error)
        else:
            if written < self._appended:
                self._say.warn("full", "the spool is full: %d events wait in memory", len(self._waiting) - written)
        self._waiting.leave(written)
        self._counters.spool(written)
        self.stuck = written < self._appended

    async def _replace(self, segment: Segment, again: Sequence[Record]) -> bool:
        try:
            await self._call(lambda: self._append_all(again))
        except OSError as error:
            self._say.error("disk", "the spool cannot be written: %s", error)
            return False
        try:
            await self._call(lambda: self._opened.remove(segment))
        except OSError as error:
            self._say.error("remove", "%s cannot be removed, its events will be sent again: %s", segment.path, error)
        self._begin()  # there is room now
        return True

    async def _take_over(self) -> bool:
        found = await self._call(lambda: self._place.take_over(self._opened))
        self._tell_torn(found.torn)
        for trouble in found.troubles:
            self._say.error(trouble, "%s", trouble)
        if found.events:
            self._counters.recover(found.events)
            return True
        if self._look_seconds is not None:
            self._look_at = asyncio.get_running_loop().time() + self._look_seconds
            self._later(self._look_seconds, self._changed)
        return False

    def _append_all(self, records: Sequence[Record]) -> None:
        if records:
            self._opened.append(records, beyond_limit=True)

    def _tell_torn(self, torn: Sequence[tuple[Path, int]]) -> None:
        for path, count in torn:
            _logger.warning("%s ends with %d bytes that are no whole event: what wrote it was stopped", path, count)

    def _tell_damage(self, segment: Segment) -> None:
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
        except RuntimeError as error:  # the process is ending: there are no threads any more
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
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    async def _finish(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Wait for work that goes on even if we are cancelled: the counters must follow what is on disk."""
        return await asyncio.shield(self._start(work))
