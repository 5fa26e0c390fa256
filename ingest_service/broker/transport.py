"""aio-pika's connection to the broker, with a stream that a reader of ours sees first.

Handshake, heartbeats, channels, topology and acknowledgements stay aio-pika's: aiormq lets its transport be made
elsewhere, so it is given one that takes deliveries (deliveries.py) or confirms (confirms.py) out of what comes, that
can be told to read no further, and that whole frames can be written to.
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
"""aiormq gives a connection up when no frame comes. RabbitMQ sends no heartbeats while it sends deliveries, and nothing
comes while we do not read: when that has lasted so long, aiormq is shown a heartbeat."""
_REST_SECONDS = 0.005
_FULL_READ = 64 * 1024
"""In bytes. A read of which something was taken and that was smaller is followed by a rest, in which the socket fills.

Whoever reads faster than the broker writes is woken for three messages at a time, and so is the broker to write them:
without rests a million messages cost 100,000 reads and 6-7 s of CPU, with them 1.7-3 s, on the same 2 cores.
"""


class Reader(Protocol):
    """What sees a connection's stream before aiormq does."""

    @property
    def takes_much(self) -> bool:
        """Whether what it takes is worth gathering: a small read is then followed by a rest."""
        ...

    def feed(self, data: bytes) -> bytes:
        """Take in what has come; what is left of it, as whole frames, for aiormq. Raises FrameError."""
        ...


class Unread:
    """The reader of a connection that has no need of one."""

    takes_much = False

    def feed(self, data: bytes) -> bytes:
        """Leave everything to aiormq."""
        return data


class Stream(asyncio.StreamReaderProtocol):
    """One connection's bytes: read through its reader, and not at all while it is held; written in whole frames."""

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
        """The socket, or TLS on it, is open."""
        self._socket = cast(asyncio.Transport, transport)  # uvloop's own are not instances of it
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Some bytes of the stream have come."""
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
        """The socket is closed, by whoever."""
        super().connection_lost(exc)
        for call in self._when_lost:
            call()

    def when_lost(self, call: Callable[[], None]) -> None:
        """Call something when the connection is lost."""
        self._when_lost.append(call)

    @property
    def held(self) -> bool:
        """Whether nothing is read until `release`."""
        return self._held

    def hold(self) -> None:
        """Read no further, so that the broker sends no more, until `release`. The connection stays alive."""
        if not self._held:
            self._held = True
            self._later(_QUIET_SECONDS, self._show_life)
        if self._usable():
            assert self._socket is not None
            self._socket.pause_reading()

    def release(self) -> None:
        """Read on."""
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
        # aiormq, which reads the stream, says why, and closes the connection.
        self._stream.set_exception(ConnectionError(f"the broker's stream cannot be understood: {error}"))
        if self._socket is not None:
            self._socket.abort()


class _Transport(TransportFactory):
    """Makes the one stream of a connection."""

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
    """Does not reconnect: one connection, one stream, one reader, which comes first among the arguments."""

    def __init__(self, reader: Reader, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.reader = reader
        self._factory = self.kwargs["transport_factory"] = _Transport(reader)

    @property
    def stream(self) -> Stream:
        """The stream of a connection that has been made."""
        assert self._factory.stream is not None, "connected"
        return self._factory.stream

    @property
    def writer(self) -> asyncio.StreamWriter:
        """Where whole frames can be written beside aiormq's own."""
        assert self._factory.writer is not None, "connected"
        return self._factory.writer
