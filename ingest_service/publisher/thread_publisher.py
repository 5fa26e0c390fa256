"""A publisher for code without an event loop: it runs in a thread of its own, and any thread may emit."""

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from types import TracebackType
from typing import Any, Self

from ingest_service.publisher.counters import Counters
from ingest_service.publisher.event_publisher import EventPublisher
from ingest_service.publisher.hand_over import HandOver

_START_SECONDS = 30.0
_EXIT_SECONDS = 30.0


class ThreadPublisher:
    """A context manager with the arguments of EventPublisher. Not for use across a fork: enter it in the child."""

    def __init__(self, url: str, **options: Any) -> None:
        """Raises ValueError if the URL is invalid."""
        self._publisher = EventPublisher(url, **options)
        self._loop = asyncio.new_event_loop()
        self._hand_over = HandOver(self._publisher, self._loop)
        self._thread = threading.Thread(target=self._loop.run_forever, name="gcc-publisher", daemon=True)

    @property
    def counters(self) -> Counters:
        """What became of the events."""
        return self._publisher.counters

    @property
    def dropped(self) -> int:
        """Events that were dropped because the loop did not keep up, or had ended."""
        return self._hand_over.dropped

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self._run(self._publisher.__aenter__(), _START_SECONDS)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._run(self._publisher.__aexit__(kind, error, trace), _EXIT_SECONDS)
        finally:
            self._end()

    def emit(self, event_type: str, event: Mapping[str, Any]) -> None:
        """Hand an event over, from any thread. Returns at once, and never raises."""
        self._hand_over.emit(event_type, event)

    def _run(self, work: Coroutine[Any, Any, object], seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(seconds)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_EXIT_SECONDS)
        if not self._thread.is_alive():
            self._loop.close()
