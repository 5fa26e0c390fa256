"""One event type's way through the service: consumer, buffer, sinker. A broken table stops only its own type."""

import asyncio
import time

import structlog

from ingest_service.broker.consumer import Consumer, consuming
from ingest_service.broker.lease import Deliveries, LeaseLost
from ingest_service.broker.prefetch import Prefetch
from ingest_service.broker.transport import ReadConnection
from ingest_service.dead_letters.headers import history_headers
from ingest_service.events.contract import EventType
from ingest_service.observability.health import TypeHealth
from ingest_service.pipeline.buffer import Buffer, Clock, Limits
from ingest_service.pipeline.flow_control import FlowControl
from ingest_service.pipeline.in_flight import InFlightBatches
from ingest_service.pipeline.memory_bound import MemoryBound
from ingest_service.pipeline.sinker import Sinker
from ingest_service.settings import Settings


class Pipeline:
    """Consumes one event type's queue on one connection, until the connection ends or the service stops."""

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
        self._inserts_in_flight = settings.inserts_in_flight
        self._health = health
        self._stopping = stopping
        self._wake = asyncio.Event()
        self._flow = FlowControl(memory, self._note_held)
        self._prefetch = Prefetch(settings.prefetch, memory.own)
        self._log = structlog.get_logger().bind(type=event_type.name)

    @property
    def name(self) -> str:
        """The event type's name."""
        return self._type.name

    async def run(self, connection: ReadConnection) -> None:
        """Settle the queue's messages. Returns when the channel ends, or after a flush when the service stops.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        in_flight = InFlightBatches(self._inserts_in_flight, self._wake.set)
        self._prefetch.restart()
        self._flow.attach(connection.stream)
        try:
            async with consuming(
                connection, self._type.queue, self._prefetch, self._receive, history_headers, self._wake.set
            ) as consumer:
                self._health.running()
                self._log.debug("consuming", queue=self._type.queue)
                await self._settle_until_end(consumer, in_flight)
        except LeaseLost:
            self._log.info("channel lost, its messages will be redelivered", messages=self._health.in_flight)
        finally:
            await in_flight.abandon()
            self._buffer.clear()
            self._flow.release_all()
            self._health.give_back()

    def wake(self) -> None:
        """Check the stop event now."""
        self._wake.set()

    def waiting(self, why: str) -> None:
        """Note that it does not consume at present."""
        self._health.waiting(why)

    def _receive(self, deliveries: Deliveries) -> None:
        self._flow.hold(self._buffer.add(deliveries))
        self._health.receive(len(deliveries.tags), deliveries.redelivered, self._wall())
        self._note_held()
        # The first message wakes the loop too: from then on its age is watched.
        if self._flow.paused or self._is_due() or len(self._buffer) == len(deliveries.tags):
            self._wake.set()

    def _note_held(self) -> None:
        self._health.hold(self._flow.held, reading=not self._flow.paused)

    async def _settle_until_end(self, consumer: Consumer, in_flight: InFlightBatches) -> None:
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
        """Whether to flush: the buffer's limits are reached, or no message comes before a batch is settled."""
        if self._buffer.trigger() is not None:
            return True
        nothing_comes = self._flow.paused or self._health.in_flight >= self._prefetch.count
        return nothing_comes and len(self._buffer) > 0

    def _start(self, in_flight: InFlightBatches) -> None:
        batch = self._buffer.take()
        in_flight.start(self._sinker.settle(batch), batch.first_received)

    async def _acknowledge(self, in_flight: InFlightBatches) -> None:
        """Acknowledge the settled batches before the first unsettled one. Raises LeaseLost."""
        settled = in_flight.settled()
        if not settled:
            return
        if not await settled[-1].batch.lease.ack(settled[-1].batch.last_tag, multiple=True):
            raise LeaseLost
        for each in settled:
            self._flow.release(each.batch.size)
            self._health.settle(len(each.batch.bodies), [letter.reason for letter in each.letters], self._wall())
        self._note_held()
        self._health.held_since = self._oldest(in_flight)

    def _oldest(self, in_flight: InFlightBatches) -> float | None:
        """When the oldest unsettled message was received, in epoch seconds."""
        oldest = in_flight.oldest()
        if oldest is None:
            oldest = self._buffer.oldest()
        return None if oldest is None else self._wall() - (self._clock() - oldest)

    async def _sleep(self, seconds: float | None) -> None:
        """Wait to be woken, at most so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
