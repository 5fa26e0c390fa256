"""Stops reading a connection while its receiver holds too much in memory, and resumes once there is room."""

from collections.abc import Callable

from ingest_service.broker.transport import Stream
from ingest_service.pipeline.memory_bound import MemoryBound


class FlowControl:
    """One receiver's share of the memory, together with the stream that fills it."""

    def __init__(self, memory: MemoryBound, resumed: Callable[[], None] = lambda: None) -> None:
        """`resumed` is called when reading resumes."""
        self._share = memory.share(self._resume)
        self._resumed = resumed
        self._stream: Stream | None = None

    @property
    def held(self) -> int:
        """Bytes received and not yet released."""
        return self._share.held

    @property
    def paused(self) -> bool:
        """Whether nothing is received until something is released."""
        return self._stream is not None and self._stream.held

    def attach(self, stream: Stream) -> None:
        """Control the stream of a new connection."""
        self._stream = stream

    def hold(self, size: int) -> None:
        """Count received bytes, and pause reading where they are too many."""
        if self._share.take(size):
            assert self._stream is not None, "bytes come from an attached stream"
            self._stream.hold()

    def release(self, size: int) -> None:
        """Count bytes that are no longer held."""
        self._share.give_back(size)

    def release_all(self) -> None:
        """Nothing is held any more."""
        self._share.give_back(self._share.held)

    def _resume(self) -> None:
        if self._stream is not None:
            self._stream.release()
        self._resumed()
