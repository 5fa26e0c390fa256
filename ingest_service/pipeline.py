"""One event type's way through the service: consumer, buffer, sinker. A broken table stops only its own."""

import asyncio
import time

import structlog
from aio_pika.abc import AbstractConnection

from ingest_service.broker.consumer import Consumer, consuming
from ingest_service.broker.deliveries import Deliveries
from ingest_service.buffer import Buffer, Clock, Limits
from ingest_service.events.contract import EventType
from ingest_service.health import TypeHealth
from ingest_service.sinker import LeaseLost, Sinker


class Pipeline:
    """Consumes one event type's queue on one connection, until either ends or `stop` is called."""

    def __init__(
        self,
        event_type: EventType,
        sinker: Sinker,
        limits: Limits,
        prefetch: int,
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
        self._prefetch = prefetch
        self._health = health
        self._stopping = stopping
        self._wake = asyncio.Event()
        self._log = structlog.get_logger().bind(type=event_type.name)

    async def run(self, connection: AbstractConnection) -> None:
        """Settle what the queue has. Returns when the channel ends, or after a flush when the service stops.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        try:
            async with consuming(
                connection, self._type.queue, self._prefetch, self._receive, self._wake.set
            ) as consumer:
                self._health.running()
                self._log.debug("consuming", queue=self._type.queue)
                await self._settle_until_end(consumer)
        except LeaseLost:
            self._log.info("channel lost, its messages come again", messages=self._health.in_flight)
        finally:
            self._health.given_back += self._health.in_flight
            self._health.in_flight = 0
            self._health.held_bytes = 0
            self._health.held_since = None

    def wake(self) -> None:
        """Look at the stop event now."""
        self._wake.set()

    def _receive(self, deliveries: Deliveries) -> None:
        self._buffer.add(deliveries)
        self._health.received += len(deliveries.tags)
        self._health.in_flight += len(deliveries.tags)
        self._health.redelivered += deliveries.redelivered
        self._health.held_bytes += sum(map(len, deliveries.bodies))
        if self._health.held_since is None:
            self._health.held_since = self._wall()
        if self._buffer.trigger() or len(self._buffer) == len(deliveries.tags):
            self._wake.set()

    async def _settle_until_end(self, consumer: Consumer) -> None:
        while consumer.lease.alive and not self._stopping.is_set():
            if self._buffer.trigger():
                await self._settle_one()
            else:
                await self._sleep_until_due()
        await consumer.stop()
        while consumer.lease.alive and len(self._buffer):
            await self._settle_one()

    async def _settle_one(self) -> None:
        batch = self._buffer.take()
        await self._sinker.settle(batch)
        self._health.in_flight -= len(batch.bodies)
        oldest = self._buffer.oldest()
        self._health.held_since = None if oldest is None else self._wall() - (self._clock() - oldest)

    async def _sleep_until_due(self) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(self._buffer.seconds_left()):
                await self._wake.wait()
        except TimeoutError:
            return
