"""aio-pika's connection to the broker, with deliveries taken out of its stream where that is asked for, or made safe.

Handshake, heartbeats, channels, topology, publishing and acknowledgements stay aio-pika's: aiormq lets its transport be
made elsewhere, so it is given one that is read by us first.
"""

import asyncio
from typing import Any, cast

import aio_pika
from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from yarl import URL

from ingest_service.broker.deliveries import DeliveryReader
from ingest_service.broker.framing import FrameError

_HEARTBEAT = b"\x08\x00\x00\x00\x00\x00\x00\xce"
_QUIET_SECONDS = 1.0
"""aiormq gives a connection up when no frame comes, and RabbitMQ sends no heartbeats while it sends deliveries: when
these are all that has come for so long, aiormq is shown a heartbeat."""

_REST_SECONDS = 0.005
_FULL_READ = 64 * 1024
"""In bytes. A read of deliveries that was smaller is followed by a rest, in which the socket fills.

Whoever reads faster than the broker writes is woken for three messages at a time, and so is the broker to write them:
without rests a million messages cost 100,000 reads and 6-7 s of CPU, with them 1.7-3 s, on the same 2 cores.
"""


class Demultiplexer(asyncio.StreamReaderProtocol):
    """Gives deliveries to their reader, and what is left to the stream that aiormq reads."""

    def __init__(
        self, stream: asyncio.StreamReader, deliveries: DeliveryReader, loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(stream, loop=loop)
        self._stream = stream
        self._deliveries = deliveries
        self._now, self._later = loop.time, loop.call_later
        self._fed = loop.time()
        self._socket: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket, or TLS on it, is open."""
        self._socket = cast(asyncio.Transport, transport)  # uvloop's own are not instances of it
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        """Some bytes of the stream have come."""
        try:
            rest = self._deliveries.feed(data)
        except FrameError as error:
            self._give_up(error)
            return
        if self._deliveries.watching and len(rest) < len(data) < _FULL_READ:
            self._rest()
        now = self._now()
        if rest or now - self._fed > _QUIET_SECONDS:
            super().data_received(rest or _HEARTBEAT)
            self._fed = now

    def _rest(self) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.pause_reading()
            self._later(_REST_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if self._socket is not None and not self._socket.is_closing():
            self._socket.resume_reading()

    def _give_up(self, error: FrameError) -> None:
        # aiormq, which reads the stream, says why, and closes the connection.
        self._stream.set_exception(ConnectionError(f"the broker's stream cannot be understood: {error}"))
        if self._socket is not None:
            self._socket.abort()


class _Transport(TransportFactory):
    def __init__(self, deliveries: DeliveryReader) -> None:
        self._deliveries = deliveries

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        tls = kwargs.pop("ssl_context_provider")
        context = await tls.get_context() if url.scheme == "amqps" else None
        stream = asyncio.StreamReader(loop=loop)
        protocol = Demultiplexer(stream, self._deliveries, loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "", url.port or 0, ssl=context, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return stream, asyncio.StreamWriter(transport, protocol, stream, loop)


class SafeConnection(aio_pika.Connection):
    """No message can end it. Does not reconnect: one connection, one stream, one reader of deliveries."""

    def __init__(self, *arguments: Any, **kwargs: Any) -> None:
        super().__init__(*arguments, **kwargs)
        self.deliveries = DeliveryReader()
        self.kwargs["transport_factory"] = _Transport(self.deliveries)


class FastConnection(SafeConnection):
    """One whose consumers take their deliveries past aio-pika."""
