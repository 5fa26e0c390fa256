"""Hands events to an EventPublisher from code that cannot await: of other threads, or of commits in its own."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from typing import Any

from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.rate_limited_log import RateLimitedLog

_MOST_WAITING = 10_000


class HandOver:
    """Takes events for a publisher from any thread, also from that of its event loop.

    `loop` is the publisher's event loop, by default the running one. At most `most_waiting` events wait for the loop,
    or for room in the publisher; further ones are dropped and logged, as are those that come after the loop's end.
    """

    def __init__(
        self,
        publisher: EventPublisher,
        loop: asyncio.AbstractEventLoop | None = None,
        *,
        most_waiting: int = _MOST_WAITING,
    ) -> None:
        self._publisher = publisher
        self._loop = loop or asyncio.get_running_loop()
        self._room = threading.BoundedSemaphore(most_waiting)
        self._tasks: set[asyncio.Task[None]] = set()
        self._lock = threading.Lock()
        self._dropped = 0
        self._log = RateLimitedLog(logging.getLogger(__name__))

    @property
    def dropped(self) -> int:
        """Events that never reached the publisher, whose counters have the others."""
        return self._dropped

    def emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        """Hand an event over. Returns at once, and never raises."""
        if self._is_in_loop():
            # At once: the publisher may be left before the loop runs the next callback.
            if not self._publisher.emit_if_room(event_type, event) and self._has_room(event_type):
                self._start(event_type, event)
        elif self._has_room(event_type):
            try:
                self._loop.call_soon_threadsafe(self._start, event_type, event)
            except RuntimeError:
                self._room.release()
                self._drop(event_type, "its event loop is closed")

    def _is_in_loop(self) -> bool:
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _has_room(self, event_type: str) -> bool:
        """Take the place of one event, if there is one."""
        if self._room.acquire(blocking=False):
            return True
        self._drop(event_type, "too many events wait for its event loop")
        return False

    def _start(self, event_type: str, event: Mapping[str, Any]) -> None:
        task = self._loop.create_task(self._publisher.emit(event_type, event))
        self._tasks.add(task)  # the loop has only a weak reference
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._room.release()

    def _drop(self, event_type: str, reason: str) -> None:
        with self._lock:
            self._dropped += 1
            self._log.warn(reason, "dropped an event of type %s before the publisher: %s", event_type, reason)
