"""Consumes one queue on a channel of its own, and passes on deliveries together with the channel's lease."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

import aiormq.abc
import structlog
from aio_pika.exceptions import ChannelNotFoundEntity

from ingest_service.broker.cancellation import cancelled
from ingest_service.broker.connection import CONNECTION_ERRORS, cancellations_are_losses, close
from ingest_service.broker.delivery_frames import DeliveryReader, Inbox
from ingest_service.broker.headers import HeaderReader, Headers
from ingest_service.broker.lease import Deliveries, Receive
from ingest_service.broker.prefetch import Prefetch
from ingest_service.broker.safe_deliveries import properties_of
from ingest_service.broker.transport import ReadConnection, Stream
from ingest_service.errors import UserError

RPC_SECONDS = 10

_log = structlog.get_logger()


class QueueMissing(UserError):
    """The queue does not exist; the message says how to create it."""


class ChannelLease:
    """The lease of one aiormq channel, which is never opened again once it has closed."""

    def __init__(self, channel: aiormq.abc.AbstractChannel) -> None:
        self._channel = channel
        self._ended = asyncio.Event()
        channel.closing.add_done_callback(lambda _closing: self.end())

    @property
    def alive(self) -> bool:
        """Whether acknowledging under this lease can still reach the broker."""
        return not (self._ended.is_set() or self._channel.is_closed)

    def end(self) -> None:
        """End the lease, if necessary before its channel closes."""
        self._ended.set()

    async def dies_within(self, seconds: float) -> bool:
        """Wait for up to `seconds`; True as soon as the lease has ended."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return not self.alive
        return True

    async def ack(self, tag: int, *, multiple: bool) -> bool:
        """Acknowledge a tag, or every tag up to it. False if the lease has ended: the messages will be redelivered."""
        if not self.alive:
            return False
        try:
            with cancellations_are_losses():
                await self._channel.basic_ack(tag, multiple=multiple)
        except CONNECTION_ERRORS:
            self.end()
        return self.alive


class Consumer:
    """A running consumer; `ended` is called once, when the broker cancels it or its channel closes."""

    def __init__(
        self,
        channel: aiormq.abc.AbstractChannel,
        stream: Stream,
        queue: str,
        prefetch: Prefetch,
        receive: Receive,
        ended: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._stream = stream
        self._receive = receive
        self._stopped = False
        self._queue = queue
        self.prefetch = prefetch
        self._resize = asyncio.Event()
        self._changing = asyncio.Lock()
        self._following: asyncio.Task[None] | None = None
        self._ended = ended
        self._tag: str | None = None
        self.lease = ChannelLease(channel)
        channel.on_consumer_cancel_callbacks.add(lambda _frame: self._end())
        channel.closing.add_done_callback(lambda _closing: self._end())

    async def start_plain(self, read_headers: HeaderReader) -> None:
        """Start to receive messages through aiormq, one at a time."""

        async def on_message(message: aiormq.abc.DeliveredMessage) -> None:
            # aiormq starts a task per message, in order; nothing is awaited here, so they finish in order too.
            tag = message.delivery_tag
            assert tag is not None, "a delivery has a tag"
            own = read_headers(properties_of(message.header.properties.headers))
            kept = {tag: own} if own else {}
            self._take(range(tag, tag + 1), [message.body], int(bool(message.redelivered)), kept)

        self._tag = await self._consume(on_message, RPC_SECONDS)
        self._following = asyncio.create_task(self._follow_prefetch(on_message))

    @asynccontextmanager
    async def start_fast(self, read_headers: HeaderReader, deliveries: DeliveryReader) -> AsyncIterator[None]:
        """Receive from the connection's stream directly, until the block is left."""

        async def on_message(_message: aiormq.abc.DeliveredMessage) -> None:
            """Ignore messages that arrive while the channel closes: they are requeued with it."""

        inbox = Inbox(self._take, read_headers)
        deliveries.watch(self._channel.number, inbox)
        try:
            self._tag = await self._consume(on_message, RPC_SECONDS)
            self._following = asyncio.create_task(self._follow_prefetch(on_message))
            yield
        finally:
            deliveries.forget(self._channel.number, inbox)

    async def stop(self) -> None:
        """Stop receiving; messages already received can still be acknowledged."""
        self._stopped = True
        if self._stream.held:
            return  # the broker's answer would not be read either; later messages are requeued with the channel
        async with self._changing:
            if self._tag is not None and self.lease.alive:
                await self._channel.basic_cancel(self._tag, timeout=RPC_SECONDS)

    async def end(self) -> None:
        """End the lease: the channel is about to be closed."""
        self.lease.end()
        if self._following is not None:
            await cancelled([self._following])

    async def _consume(self, on_message: aiormq.abc.ConsumerCallback, seconds: float | None) -> str:
        await self._channel.basic_qos(prefetch_count=self.prefetch.count, timeout=seconds)
        confirmed = await self._channel.basic_consume(self._queue, on_message, timeout=seconds)
        assert confirmed.consumer_tag is not None, "the broker names a consumer"
        return confirmed.consumer_tag

    async def _follow_prefetch(self, on_message: aiormq.abc.ConsumerCallback) -> None:
        """Replace the consumer whenever the prefetch changes: a consumer keeps the prefetch that it was started with.

        Has no deadline: while the stream is paused no answer is read, and a failing channel ends the wait.
        """
        while not self._stopped:
            await self._resize.wait()
            self._resize.clear()
            async with self._changing:
                if self._stopped or self._tag is None:
                    return
                try:
                    before, self._tag = self._tag, await self._consume(on_message, None)
                    await self._channel.basic_cancel(before)
                except CONNECTION_ERRORS:
                    return  # the channel has failed, and the lease ends with it

    def _take(self, tags: range, bodies: list[bytes], redelivered: int, headers: Mapping[int, Headers]) -> None:
        if self._stopped or not self.lease.alive:
            return
        if self.prefetch.observe(len(bodies), sum(map(len, bodies))):
            self._resize.set()
        try:
            self._receive(Deliveries(self.lease, tags, bodies, redelivered, headers))
        except Exception:  # noqa: BLE001 - logged, and its effect undone
            # The caller is aiormq or the socket, and cannot handle an error. Messages that were not buffered must not
            # be acknowledged together with later ones, so the lease ends and all of them are redelivered.
            _log.exception("deliveries could not be buffered: their channel is closed", tags=str(tags))
            self._end()

    def _end(self) -> None:
        self.lease.end()
        self._ended()


@asynccontextmanager
async def consuming(
    connection: ReadConnection,
    queue: str,
    prefetch: Prefetch,
    receive: Receive,
    read_headers: HeaderReader,
    ended: Callable[[], None],
) -> AsyncIterator[Consumer]:
    """Consume a queue on a channel of its own until the block is left; unacknowledged messages are then requeued.

    `read_headers` chooses which headers of a message are delivered with it. The connection's reader decides whether
    deliveries come through aio-pika or past it. Raises QueueMissing, or what aio-pika raises when the connection fails.
    """
    outer = connection.channel(publisher_confirms=False)
    await outer.initialize(timeout=RPC_SECONDS)
    try:
        channel = await outer.get_underlay_channel()
        try:
            await channel.queue_declare(queue, passive=True, timeout=RPC_SECONDS)
        except ChannelNotFoundEntity:
            raise QueueMissing(f"there is no queue {queue!r}: gcc-ingest init creates it") from None
        consumer = Consumer(channel, connection.stream, queue, prefetch, receive, ended)
        try:
            if isinstance(connection.reader, DeliveryReader) and connection.reader.bypass:
                async with consumer.start_fast(read_headers, connection.reader):
                    yield consumer
            else:
                await consumer.start_plain(read_headers)
                yield consumer
        finally:
            await consumer.end()
            connection.stream.release()
    finally:
        await close(outer)
