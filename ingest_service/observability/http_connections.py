"""Bounds the HTTP server's connections in number and time, so that clients that send half a request cannot block it."""

import asyncio
from collections.abc import Callable
from typing import cast

MOST = 64
"""Open connections at most. Beyond that the oldest is closed: a request takes milliseconds, so it is stuck."""
SECONDS = 5.0
"""How long a connection may be open, for one request and its answer. aiohttp waits for a first request for ever."""
BACKLOG = 64
"""Connections beyond MOST that the kernel queues, and that asyncio accepts at a time."""


class Connections:
    """A protocol factory that wraps another one, and closes connections that are too old or too many."""

    def __init__(self, factory: Callable[[], asyncio.Protocol]) -> None:
        self._factory = factory
        self._open: dict[_Connection, None] = {}  # in the order they were opened

    def __call__(self) -> asyncio.Protocol:
        """The protocol of a new connection."""
        return _Connection(self._factory(), self._opened, self._closed)

    def _opened(self, connection: "_Connection") -> None:
        self._open[connection] = None
        if len(self._open) > MOST:
            next(iter(self._open)).end()

    def _closed(self, connection: "_Connection") -> None:
        self._open.pop(connection, None)


_Event = Callable[["_Connection"], None]


class _Connection(asyncio.Protocol):
    """One connection; events are passed on to the wrapped protocol."""

    def __init__(self, within: asyncio.Protocol, opened: _Event, closed: _Event) -> None:
        self._within = within
        self._opened = opened
        self._closed = closed
        self._transport: asyncio.WriteTransport | None = None
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)  # uvloop's transport does not inherit from asyncio's
        self._deadline = asyncio.get_running_loop().call_later(SECONDS, self.end)
        self._within.connection_made(transport)
        self._opened(self)

    def connection_lost(self, error: Exception | None) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
        self._closed(self)
        self._within.connection_lost(error)

    def end(self) -> None:
        """Close immediately, even during a request."""
        self._closed(self)
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._within.data_received(data)

    def eof_received(self) -> bool | None:
        return self._within.eof_received()

    def pause_writing(self) -> None:
        self._within.pause_writing()

    def resume_writing(self) -> None:
        self._within.resume_writing()
