"""One event type's way through the service: consumer, buffer, sinker. A broken table stops only its own."""

import asyncio
import time

import structlog

from ingest_service.broker.consumer import Consumer, consuming
from ingest_service.broker.lease import Deliveries
from ingest_service.broker.prefetch import Prefetch
from ingest_service.broker.transport import ReadConnection, Stream
from ingest_service.dead_letters.headers import history_headers
from ingest_service.events.contract import EventType
from ingest_service.observability.health import TypeHealth
from ingest_service.pipeline.buffer import Buffer, Clock, Limits
from ingest_service.pipeline.in_flight import InFlight
from ingest_service.pipeline.memory_bound import MemoryBound
from ingest_service.pipeline.sinker import LeaseLost, Settled, Sinker
from ingest_service.settings import Settings


class Pipeline:
    """Consumes one event type's queue on one connection, until either ends or `stop` is called."""

    def __init__(
        self,
        event_type: EventType,
        sinker: Sinker,
        limits: Limits,
        settings: Settings,
        memory: MemoryBound,
        health: TypeHealth,
        stopping: asyncio.Event,
        clock: Clock,
        wall: Clock = time.time,
    ) -> None:
        self._type = event_type
        self._sinker = sinker
        self._buffer = Buffer(limits, clock)
        self._clock = clock
        self._wall = wall
        self._settings = settings
        self._health = health
        self._stopping = stopping
        self._wake = asyncio.Event()
        self._memory = memory
        self._held = memory.share(self._read_on)
        self._prefetch = Prefetch(settings.prefetch, memory.own)
        self._stream: Stream | None = None
        self._log = structlog.get_logger().bind(type=event_type.name)

    @property
    def name(self) -> str:
        """The event type's."""
        return self._type.name

    async def run(self, connection: ReadConnection) -> None:
        """Settle what the queue has. Returns when the channel ends, or after a flush when the service stops.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        in_flight = InFlight(self._settings.inserts_in_flight, self._wake.set)
        self._stream = connection.stream
        self._prefetch = Prefetch(self._settings.prefetch, self._memory.own)
        try:
            async with consuming(
                connection, self._type.queue, self._prefetch, self._receive, history_headers, self._wake.set
            ) as consumer:
                self._health.running()
                self._log.debug("consuming", queue=self._type.queue)
                await self._settle_until_end(consumer, in_flight)
        except LeaseLost:
            self._log.info("channel lost, its messages come again", messages=self._health.in_flight)
        finally:
            await in_flight.abandon()
            self._buffer.clear()
            self._health.given_back += self._health.in_flight
            self._health.in_flight = 0
            self._release(self._held.held)
            self._health.held_since = None
            self._health.reading = True

    def wake(self) -> None:
        """Look at the stop event now."""
        self._wake.set()

    def waiting(self, why: str) -> None:
        """It does not consume now."""
        self._health.waiting(why)

    def _receive(self, deliveries: Deliveries) -> None:
        if self._held.take(self._buffer.add(deliveries)):
            assert self._stream is not None, "it runs"
            self._stream.hold()
            self._health.reading = False
            self._wake.set()
        self._health.held_bytes = self._held.held
        self._health.received += len(deliveries.tags)
        self._health.in_flight += len(deliveries.tags)
        self._health.redelivered += deliveries.redelivered
        if self._health.held_since is None:
            self._health.held_since = self._wall()
        if self._is_due() or len(self._buffer) == len(deliveries.tags):
            self._wake.set()

    def _read_on(self) -> None:
        if self._stream is not None:
            self._stream.release()
            self._health.reading = True

    def _release(self, size: int) -> None:
        self._held.give_back(size)
        self._health.held_bytes = self._held.held

    async def _settle_until_end(self, consumer: Consumer, in_flight: InFlight) -> None:
        while consumer.lease.alive and not self._stopping.is_set():
            self._wake.clear()
            await self._acknowledge(in_flight)
            if self._is_due() and not in_flight.full:
                self._start(in_flight)
            else:
                await self._sleep(None if in_flight.full else self._buffer.seconds_left())
        await consumer.stop()
        while consumer.lease.alive and (len(self._buffer) or in_flight):
            self._wake.clear()
            await self._acknowledge(in_flight)
            if len(self._buffer) and not in_flight.full:
                self._start(in_flight)
            elif in_flight:
                await self._sleep(None)

    def _is_due(self) -> bool:
        """Whether a batch should go; also where nothing more comes until one has gone."""
        if self._buffer.trigger() is not None:
            return True
        nothing_comes = not self._health.reading or self._health.in_flight >= self._prefetch.count
        return nothing_comes and len(self._buffer) > 0

    def _start(self, in_flight: InFlight) -> None:
        batch = self._buffer.take()
        in_flight.start(self._sinker.settle(batch), batch.first_received)

    async def _acknowledge(self, in_flight: InFlight) -> None:
        """Acknowledge the batches that are settled up to the first that is not. Raises LeaseLost."""
        settled = in_flight.settled()
        if not settled:
            return
        if not await settled[-1].batch.lease.ack(settled[-1].batch.last_tag, multiple=True):
            raise LeaseLost
        for each in settled:
            self._count(each)
        oldest = in_flight.oldest()
        if oldest is None:
            oldest = self._buffer.oldest()
        self._health.held_since = None if oldest is None else self._wall() - (self._clock() - oldest)

    def _count(self, settled: Settled) -> None:
        batch, letters = settled.batch, settled.letters
        self._health.landed += len(batch.bodies) - len(letters)
        for letter in letters:
            self._health.count_dead_letters(letter.reason, 1)
        self._health.batches += 1
        self._health.in_flight -= len(batch.bodies)
        self._release(batch.size)
        self._health.moved_at = self._wall()

    async def _sleep(self, seconds: float | None) -> None:
        """Until there is something to look at."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
