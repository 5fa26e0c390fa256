"""A publisher for code without an event loop: it runs in a thread of its own, and any thread may emit."""

import asyncio
import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from ingest_service.publisher.counters import Counters
from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.rate_limited_log import RateLimitedLog

_START_SECONDS = 30.0
_EXIT_SECONDS = 30.0
_MOST_WAITING = 10_000
"""Events handed over and not yet taken by the publisher's loop."""

_log = RateLimitedLog(logging.getLogger(__name__))


class ThreadPublisher:
    """A context manager with the arguments of EventPublisher. Not for use across a fork: enter it in the child."""

    def __init__(self, url: str, **options: Any) -> None:
        """Raises ValueError if the URL is invalid."""
        self._url, self._options = url, options
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcc-publisher", daemon=True)
        self._publisher: EventPublisher | None = None
        self._room = threading.BoundedSemaphore(_MOST_WAITING)
        self._dropped = 0

    @property
    def counters(self) -> Counters:
        """What became of the events."""
        assert self._publisher is not None
        return self._publisher.counters

    @property
    def dropped(self) -> int:
        """Events that were dropped because the loop did not keep up."""
        return self._dropped

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._publisher = self._run(self._open(), _START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._publisher is not None
        try:
            self._run(self._publisher.__aexit__(kind, error, trace), _EXIT_SECONDS)
        finally:
            self._end()

    def emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        """Hand an event over, from any thread. Returns at once; drops it if ten thousand wait already."""
        if not self._room.acquire(blocking=False):
            self._dropped += 1
            _log.warn("full", "dropped an event of type %s: %d wait for the publisher's thread", event_type, _MOST_WAITING)
            return
        asyncio.run_coroutine_threadsafe(self._emit(event_type, dict(event)), self._loop)

    async def _open(self) -> EventPublisher:
        return await EventPublisher(self._url, **self._options).__aenter__()

    async def _emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        assert self._publisher is not None
        try:
            await self._publisher.emit(event_type, event)
        finally:
            self._room.release()

    def _run(self, work: Any, seconds: float) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_EXIT_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
