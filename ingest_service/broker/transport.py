"""aio-pika's connection, with a stream that passes through a reader of ours first.

Handshake, heartbeats, channels, topology and acknowledgements stay with aio-pika. aiormq accepts a transport factory;
ours reads deliveries (delivery_frames.py) or confirms (confirm_reader.py) from the stream, can pause reading, and lets
whole frames be written.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol, cast

import aio_pika
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from ingest_service.broker.framing import FrameError

_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_QUIET_SECONDS = 1.0
"""aiormq closes a connection without frames. RabbitMQ sends no heartbeats while it sends deliveries, and no frame
arrives while reading is paused: after this time aiormq is given a heartbeat."""
_REST_SECONDS = 0.005
_FULL_READ = 64 * 1024
"""In bytes. After a smaller read that held deliveries, reading rests briefly so that the socket can fill.

A consumer that reads faster than the broker writes is woken for three messages at a time, and so is the broker to write
them: without rests a million messages cost 100,000 reads and 6-7 s of CPU, with them 1.7-3 s, on the same 2 cores.
"""


class Reader(Protocol):
    """Reads a connection's stream before aiormq does."""

    @property
    def takes_much(self) -> bool:
        """Whether larger reads are worth a delay: a small read is then followed by a rest."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Consume received bytes, and return the whole frames that aiormq is to get. Raises FrameError."""
        ...


class Unread:
    """The reader of a connection whose frames all go to aiormq."""

    takes_much = False

    def feed(self, data: bytes) -> bytes:
        """Pass everything on."""
        return data


class Stream(asyncio.StreamReaderProtocol):
    """One connection's stream: passed through its reader, paused on request, written in whole frames."""

    def __init__(self, stream: asyncio.StreamReader, reader: Reader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(stream, loop=loop)
        self._stream = stream
        self._reader = reader
        self._now, self._later = loop.time, loop.call_later
        self._fed = loop.time()
        self._socket: asyncio.Transport | None = None
        self._held = self._resting = False
        self._when_lost: list[Callable[[], None]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket, or TLS over it, is open."""
        self._socket = cast(asyncio.Transport, transport)  # uvloop's own are not instances of it
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Bytes were received."""
        try:
            rest = self._reader.feed(data)
        except FrameError as error:
            self._give_up(error)
            return
        if self._reader.takes_much and len(rest) < len(data) < _FULL_READ:
            self._rest()
        now = self._now()
        if rest or now - self._fed > _QUIET_SECONDS:
            super().data_received(rest or _HEARTBEAT)
            self._fed = now

    def connection_lost(self, exc: Exception | None) -> None:
        """The socket is closed."""
        super().connection_lost(exc)
        for call in self._when_lost:
            call()

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call a function when the connection is lost."""
        self._when_lost.append(call)

    @property
    def held(self) -> bool:
        """Whether reading is paused."""
        return self._held

    def hold(self) -> None:
        """Pause reading until `release`, so that the broker stops sending. The connection stays alive."""
        if not self._held:
            self._held = True
            self._later(_QUIET_SECONDS, self._show_life)
        if self._usable():
            assert self._socket is not None
            self._socket.pause_reading()

    def release(self) -> None:
        """Resume reading."""
        self._held = False
        self._read_on()

    def _usable(self) -> bool:
        return self._socket is not None and not self._socket.is_closing()

    def _rest(self) -> None:
        if not self._resting and self._usable():
            assert self._socket is not None
            self._resting = True
            self._socket.pause_reading()
            self._later(_REST_SECONDS, self._end_rest)

    def _end_rest(self) -> None:
        self._resting = False
        self._read_on()

    def _read_on(self) -> None:
        if self._usable() and not self._held and not self._resting:
            assert self._socket is not None
            self._socket.resume_reading()

    def _show_life(self) -> None:
        if self._held and self._usable():
            super().data_received(_HEARTBEAT)
            self._fed = self._now()
            self._later(_QUIET_SECONDS, self._show_life)

    def _give_up(self, error: FrameError) -> None:
        # aiormq, which reads the stream, logs the reason and closes the connection.
        self._stream.set_exception(ConnectionError(f"the broker's stream cannot be parsed: {error}"))
        if self._socket is not None:
            self._socket.abort()


class _Transport(TransportFactory):
    """Creates the stream of a connection."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self.stream: Stream | None = None
        self.writer: asyncio.StreamWriter | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        tls = kwargs.pop("ssl_context_provider")
        context = await tls.get_context() if url.scheme == "amqps" else None
        stream = asyncio.StreamReader(loop=loop)
        protocol = self.stream = Stream(stream, self._reader, loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "", url.port or 0, ssl=context, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        self.writer = asyncio.StreamWriter(transport, protocol, stream, loop)
        return stream, self.writer


class ReadConnection(aio_pika.Connection):
    """A connection with one stream and one reader (its first argument). It does not reconnect."""

    def __init__(self, reader: Reader, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.reader = reader
        self._factory = self.kwargs["transport_factory"] = _Transport(reader)

    @property
    def stream(self) -> Stream:
        """The stream of an open connection."""
        assert self._factory.stream is not None, "connected"
        return self._factory.stream

    @property
    def writer(self) -> asyncio.StreamWriter:
        """Writes whole frames, between those of aiormq."""
        assert self._factory.writer is not None, "connected"
        return self._factory.writer
