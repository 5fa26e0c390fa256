"""The crawler-facing publisher: emit queues an event and returns, a background task sends it."""

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

from ingest_service import urls
from ingest_service.publisher.async_spool import AsyncSpool
from ingest_service.publisher.bounded_queue import BoundedQueue
from ingest_service.publisher.counters import Counters
from ingest_service.publisher.payload import MOST_BYTES, InvalidEvent, record_of
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.record import Record
from ingest_service.publisher.sender import Sender
from ingest_service.publisher.spools import Directory, Place, Shared

_CANCEL_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class EventPublisher:
    """Publishes crawl events with publisher confirms, from one event loop. An async context manager, entered once.

    `url` is the broker's. `spool` is a directory, used by this process alone, for events that cannot be sent now.
    `spools`, instead, is a folder shared by several processes: each takes a free numbered directory in it, and sends
    the events that dead processes left in the others, checking every `look_seconds`. Without either, events wait in
    memory only. Bounds: `memory_events` and `memory_bytes` in memory (twice with a spool: for the broker and for the
    disk), `spool_bytes` on disk, `max_event_bytes` for one event; a larger one is refused. `in_flight` events are
    published before their confirms are awaited. Times are in seconds: `max_wait_seconds` is how long emit waits for
    room before it drops the event, `confirm_seconds` how long before an unanswered event is sent again on a new
    connection, `exit_seconds` how long exiting waits for confirms.

    Entering never waits for the broker. It raises SpoolInUse or SpoolUnusable; an invalid URL raises ValueError.
    A process forked while a publisher is entered leaves it to its parent, and must enter its own.
    """

    def __init__(
        self,
        url: str,
        spool: Path | str | None = None,
        *,
        spools: Path | str | None = None,
        look_seconds: float = 60.0,
        max_wait_seconds: float = 0.05,
        max_event_bytes: int = MOST_BYTES,
        memory_events: int = 10_000,
        memory_bytes: int = 64 * 2**20,
        in_flight: int = 2_000,
        confirm_seconds: float = 30.0,
        exit_seconds: float = 5.0,
        spool_bytes: int = 256 * 2**20,
        segment_bytes: int = 4 * 2**20,
    ) -> None:
        _check(url)
        self.counters = Counters()
        self._max_event_bytes = max_event_bytes
        self._max_wait_seconds = max_wait_seconds
        self._exit_seconds = exit_seconds
        self._log = RateLimitedLog(_logger)
        self._open = False
        self._closed_because = "the publisher is not entered, or already exited"
        self._room = asyncio.Event()
        self._queue = BoundedQueue(memory_events, memory_bytes)
        self._spooling: AsyncSpool | None = None
        place: Place | None = None
        if spool is not None:
            place = Directory(Path(spool), spool_bytes, segment_bytes)
        elif spools is not None:
            place = Shared(Path(spools), spool_bytes, segment_bytes)
        if place is not None:
            waiting = BoundedQueue(memory_events, memory_bytes)
            check_seconds = None if spool is not None else look_seconds
            self._spooling = AsyncSpool(place, waiting, self.counters, self._changed, check_seconds)
        self._sender = Sender(
            url, self._queue, self._spooling, self.counters, self._changed, in_flight, confirm_seconds
        )
        self._sending: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "EventPublisher":
        if self._spooling is not None:
            await self._spooling.open()
        self._sending = asyncio.create_task(self._sender.run())
        self._open = True
        _ENTERED.add(self)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._open:
            return  # abandoned, or owned by the parent process
        self._open = False
        try:
            await self._wait_for_confirms()
        finally:
            await self._stop()

    async def emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        """Queue an event, a mapping of its type's fields (see payload.record_of for the defaults).

        Never raises, for any event. Returns immediately, unless there is no room: then it waits up to
        `max_wait_seconds` and drops the event if there is still none. `counters` and the log report the outcome.
        """
        record = self._record(event_type, event)
        if record is None or self._take(record) or (self._open and await self._take_when_there_is_room(record)):
            return
        self.counters.accept_nowhere()
        if self._open:
            self._log.warn("full", "dropped an event of type %s: no room within max_wait_seconds", event_type)
        else:
            self._log.warn("closed", "dropped an event of type %s: %s", event_type, self._closed_because)

    def emit_if_room(self, event_type: str, event: Mapping[str, Any]) -> bool:
        """As `emit`, without waiting: False if there is no room, or the publisher is not entered. Nothing is counted
        then, and the caller may await `emit`. Call it in the thread of the event loop.
        """
        record = self._record(event_type, event)
        return record is None or self._take(record)

    def abandon(self) -> None:
        """Exit without an event loop, as at process exit: events in memory go to the spool. Blocks."""
        if self._open:
            self._open = False
            if self._spooling is not None:
                self._spooling.abandon(self._queue.first(len(self._queue)))
            elif unsent := self.counters.in_memory:
                self.counters.drop_memory(unsent)
                _logger.error("dropped %d events: the event loop ended before they were confirmed, no spool", unsent)

    def disown(self) -> None:
        """Release the publisher in a forked child: its events, in memory and in the spool, stay the parent's."""
        if self._open:
            self._open = False
            self._closed_because = "the publisher belongs to the parent process"
            self.counters = Counters()
            if self._spooling is not None:
                self._spooling.disown()

    def _record(self, event_type: str, event: Mapping[str, Any]) -> Record | None:
        """The record of an event; None if it is refused, which is counted and logged."""
        try:
            return record_of(event_type, event, self._max_event_bytes)
        except InvalidEvent as reason:
            self.counters.refused += 1
            self._log.warn(str(reason), "refused an event of type %s: %s", event_type, reason)
            return None

    def _take(self, record: Record) -> bool:
        """Add an event to memory or the spool; False if there is no room."""
        if not self._open:
            return False
        place: BoundedQueue | AsyncSpool = self._queue
        if self._spooling is not None and (self._sender.away or self._queue.full):
            place = self._spooling
        if place.full:
            return False
        self.counters.accept()
        place.add(record)
        self._sender.wake()
        return True

    async def _take_when_there_is_room(self, record: Record) -> bool:
        try:
            async with asyncio.timeout(self._max_wait_seconds):
                while not self._take(record):
                    await self._room.wait()
        except TimeoutError:
            return False
        return True

    def _changed(self) -> None:
        """Wake all waiters: an event has left memory or is readable from the spool."""
        self._room.set()
        self._room.clear()
        self._sender.wake()

    async def _wait_for_confirms(self) -> None:
        try:
            async with asyncio.timeout(self._exit_seconds):
                while self.counters.in_memory:
                    await self._room.wait()
        except TimeoutError:
            return

    async def _stop(self) -> None:
        assert self._sending is not None
        while not self._sending.done():
            # Repeat: a connection attempt that fails in the same iteration swallows a cancellation (wait_for, 3.11).
            self._sending.cancel()
            await asyncio.wait([self._sending], timeout=_CANCEL_SECONDS)
        if self._spooling is not None:
            self._sender.set_aside()
            await self._spooling.close()
        elif unsent := self.counters.in_memory:
            self.counters.drop_memory(unsent)
            _logger.error("dropped %d events: not confirmed within %g s, no spool", unsent, self._exit_seconds)
        if self.counters.in_spool:
            _logger.warning("%d events remain in the spool, for the next process", self.counters.in_spool)


_ENTERED: WeakSet[EventPublisher] = WeakSet()
_INHERITED: list[EventPublisher] = []
"""Referenced for ever: garbage collection would close the parent's connections."""


def _disown_all() -> None:
    for publisher in list(_ENTERED):
        publisher.disown()
        _INHERITED.append(publisher)
    _ENTERED.clear()


os.register_at_fork(after_in_child=_disown_all)


def _check(url: str) -> None:
    """Raise ValueError if the URL is invalid."""
    try:
        urls.parse(url, "the broker's URL", urls.AMQP)
    except urls.BadUrl as error:
        raise ValueError(str(error)) from None
