"""One queue's consumer through aio-pika: a channel of its own, and deliveries handed over with its lease."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import aiormq.abc
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity

from ingest_service.broker.connection import close
from ingest_service.broker.deliveries import Deliveries, Receive
from ingest_service.headers import Headers, tell_of_a_past

RPC_SECONDS = 10

Keep = Callable[[Headers], bool]
"""Whether a message's headers, of which there is at least one, are handed over with it."""


class QueueMissing(Exception):
    """The queue to consume does not exist."""


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
        """Let the lease die, before its channel does if need be."""
        self._ended.set()

    async def dies_within(self, seconds: float) -> bool:
        """Wait, but no longer than the lease lives; True if it has died."""
        try:
            async with asyncio.timeout(seconds):
                await self._ended.wait()
        except TimeoutError:
            return not self.alive
        return True

    async def ack(self, tag: int, *, multiple: bool) -> bool:
        """Acknowledge a tag, or every tag up to it. False if the lease has died; the messages then come again."""
        if not self.alive:
            return False
        try:
            await self._channel.basic_ack(tag, multiple=multiple)
        except (AMQPError, OSError, TimeoutError, RuntimeError):
            self.end()
        return self.alive


class Consumer:
    """A running consumer."""

    def __init__(self, channel: aiormq.abc.AbstractChannel, lease: ChannelLease, keep: Keep) -> None:
        self._channel = channel
        self._keep = keep
        self._tag: str | None = None
        self.lease = lease

    async def start(self, queue: str, receive: Receive, ended: Callable[[], None]) -> None:
        """Begin to receive; `ended` is called once, when the broker cancels the consumer or the channel closes."""

        async def on_message(message: aiormq.abc.DeliveredMessage) -> None:
            # aiormq starts one task a message, in order; nothing is awaited here, so they also finish in order.
            tag = message.delivery_tag
            assert tag is not None, "a delivery has a tag"
            own = message.header.properties.headers
            kept = {tag: own} if own and self._keep(own) else {}
            try:
                receive(Deliveries(self.lease, (tag,), (message.body,), int(bool(message.redelivered)), kept))
            except Exception:
                end()  # what was not taken in must not be acknowledged with what comes after it
                raise

        def end() -> None:
            self.lease.end()
            ended()

        def on_cancel(_frame: object) -> None:
            end()

        self._channel.on_consumer_cancel_callbacks.add(on_cancel)
        self._channel.closing.add_done_callback(lambda _closing: end())
        confirmed = await self._channel.basic_consume(queue, on_message, timeout=RPC_SECONDS)
        self._tag = confirmed.consumer_tag

    async def stop(self) -> None:
        """Receive nothing more; what was received can still be acknowledged."""
        if self._tag is not None and self.lease.alive:
            await self._channel.basic_cancel(self._tag, timeout=RPC_SECONDS)


@asynccontextmanager
async def consuming(
    connection: AbstractConnection,
    queue: str,
    prefetch: int,
    receive: Receive,
    ended: Callable[[], None],
    keep: Keep = tell_of_a_past,
) -> AsyncIterator[Consumer]:
    """Consume a queue on a channel of its own until the block is left; what is unacknowledged then goes back.

    `prefetch` is in messages; `keep` says whose headers are handed over. Raises QueueMissing, or what aio-pika raises
    when the connection fails.
    """
    outer = connection.channel(publisher_confirms=False)
    await outer.initialize(timeout=RPC_SECONDS)
    try:
        channel = await outer.get_underlay_channel()
        try:
            await channel.queue_declare(queue, passive=True, timeout=RPC_SECONDS)
        except ChannelNotFoundEntity:
            raise QueueMissing(f"there is no queue {queue!r}: gcc-ingest init creates it") from None
        await channel.basic_qos(prefetch_count=prefetch, timeout=RPC_SECONDS)
        consumer = Consumer(channel, ChannelLease(channel), keep)
        try:
            await consumer.start(queue, receive, ended)
            yield consumer
        finally:
            consumer.lease.end()
    finally:
        await close(outer)
