"""What a crawler holds: emit takes an event and returns at once, everything else happens in the background."""

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
from ingest_service.publisher.payload import MOST_BYTES, NotOfItsType, record_of
from ingest_service.publisher.rate_limited_log import RateLimitedLog
from ingest_service.publisher.record import Record
from ingest_service.publisher.sender import Sender
from ingest_service.publisher.spools import Directory, Place, Shared

_CANCEL_SECONDS = 1.0

_logger = logging.getLogger(__name__)


class EventPublisher:
    """Publishes crawl events, confirmed, from one event loop. An asynchronous context manager, to be entered once.

    `url` is the broker's. `spool` is a directory for what cannot be sent now, of this process alone. `spools`, instead,
    is a folder that several processes are given: each takes a numbered directory in it that is free, and sends what
    processes that are gone have left in the others, looking every `look_seconds`. Without either, events wait in memory
    only. Bounds: `memory_events` and `memory_bytes` in memory (twice with a spool: for the broker and for the disk),
    `spool_bytes` on disk, `max_event_bytes` for one event; a larger one is refused. `in_flight` events are published
    before their confirms are waited for. Times are in seconds: `max_wait_seconds` is the longest that emit waits for
    room before it drops the event, `confirm_seconds` after how long an unanswered event is sent again on another
    connection, `exit_seconds` how long leaving waits for confirms.

    Entering raises SpoolInUse or SpoolUnusable, never waits for the broker. A URL of another form is a ValueError.
    A process that is forked while a publisher is entered leaves it to its parent, and enters one of its own.
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
        in_flight: int = 300,
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
        self._say = RateLimitedLog(_logger)
        self._open = False
        self._closed_because = "the publisher is not entered, or left"
        self._room = asyncio.Event()
        self._line = BoundedQueue(memory_events, memory_bytes)
        self._spooling: AsyncSpool | None = None
        place: Place | None = None
        if spool is not None:
            place = Directory(Path(spool), spool_bytes, segment_bytes)
        elif spools is not None:
            place = Shared(Path(spools), spool_bytes, segment_bytes)
        if place is not None:
            waiting = BoundedQueue(memory_events, memory_bytes)
            look = None if spool is not None else look_seconds
            self._spooling = AsyncSpool(place, waiting, self.counters, self._changed, look)
        self._sender = Sender(url, self._line, self._spooling, self.counters, self._changed, in_flight, confirm_seconds)
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
            return  # abandoned, or of the process that this one was forked from
        self._open = False
        try:
            await self._wait_for_confirms()
        finally:
            await self._stop()

    async def emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        """Take an event, a mapping of its type's fields (see payload.record_of for what is filled in).

        Never raises, whatever the event is. Returns at once, unless there is no room: then it waits up to
        `max_wait_seconds` and drops the event if there still is none. `counters` and the log tell what became of it.
        """
        try:
            record = record_of(event_type, event, self._max_event_bytes)
        except NotOfItsType as reason:
            self.counters.refused += 1
            self._say.warn(str(reason), "refused an event of type %s: %s", event_type, reason)
            return
        if self._take(record) or (self._open and await self._take_when_there_is_room(record)):
            return
        self.counters.accept_nowhere()
        if self._open:
            self._say.warn("full", "dropped an event of type %s: no room within the wait", event_type)
        else:
            self._say.warn("shut", "dropped an event of type %s: %s", event_type, self._closed_because)

    def abandon(self) -> None:
        """Leave without an event loop, as at the end of the process: what is in memory goes to the spool. Blocks."""
        if self._open:
            self._open = False
            if self._spooling is not None:
                self._spooling.abandon(self._line.first(len(self._line)))
            elif left := self.counters.in_memory:
                self.counters.drop_memory(left)
                _logger.error("dropped %d events: the event loop ended before they were confirmed, and no spool", left)

    def disown(self) -> None:
        """In a process that was forked: what is in memory and in the spool is the parent's, and stays that."""
        if self._open:
            self._open = False
            self._closed_because = "the publisher is of the process that this one was forked from"
            self.counters = Counters()
            if self._spooling is not None:
                self._spooling.disown()

    def _take(self, record: Record) -> bool:
        """Put an event where it belongs now; False if there is no room."""
        if not self._open:
            return False
        place: BoundedQueue | AsyncSpool = self._line
        if self._spooling is not None and (self._sender.away or self._line.full):
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
        """Something has left memory or can be read from the spool: wake whoever waits now."""
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
            # More than once: a connection attempt that fails in the same turn swallows a cancellation (wait_for, 3.11).
            self._sending.cancel()
            await asyncio.wait([self._sending], timeout=_CANCEL_SECONDS)
        if self._spooling is not None:
            self._sender.set_aside()
            await self._spooling.close()
        elif left := self.counters.in_memory:
            self.counters.drop_memory(left)
            _logger.error("dropped %d events: not confirmed within %g s, and no spool", left, self._exit_seconds)
        if self.counters.in_spool:
            _logger.warning("%d events are left in the spool, for the next process", self.counters.in_spool)


_ENTERED: WeakSet[EventPublisher] = WeakSet()
_OF_THE_PARENT: list[EventPublisher] = []
"""Kept for ever: the parent's connections must not be ended by what Python does when they are not referred to."""


def _disown_all() -> None:
    for publisher in list(_ENTERED):
        publisher.disown()
        _OF_THE_PARENT.append(publisher)
    _ENTERED.clear()


os.register_at_fork(after_in_child=_disown_all)


def _check(url: str) -> None:
    """Raises ValueError, as constructors do for a value that cannot be used."""
    try:
        urls.parse(url, "the broker's URL", urls.AMQP)
    except urls.BadUrl as error:
        raise ValueError(str(error)) from None
