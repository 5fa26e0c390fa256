"""One error queue's letters on their way into a file and the table; acknowledged when both are durable."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractConnection

from ingest_service.backoff import Backoff
from ingest_service.broker.consumer import Consumer, consuming
from ingest_service.broker.depths import depth
from ingest_service.broker.lease import Deliveries, Lease
from ingest_service.buffer import Batch, Buffer, Limits
from ingest_service.clickhouse import ClickHouseUnavailable
from ingest_service.events.contract import EventType
from ingest_service.letters.files import Files, NotWritten
from ingest_service.letters.letter import Letter, read
from ingest_service.letters.table import LetterTable
from ingest_service.sinker import LeaseLost
from ingest_service.verdicts import InsertFailed

LETTERS = 250  # in one file at most, and unacknowledged per queue: bodies may be megabytes, and are in memory
BYTES = 16 * 2**20
_LOOK_SECONDS = 0.2  # how often a queue that is being emptied is asked whether it is


class Archiver:
    """Archives one event type's error queue on one connection, until either ends or `stopping` is set."""

    def __init__(
        self,
        event_type: EventType,
        files: Files,
        table: LetterTable,
        seconds: float,
        backoff: Backoff | None,
        stopping: asyncio.Event,
    ) -> None:
        """`backoff` is None where the first failure is to be the last."""
        self._type = event_type
        self._files = files
        self._table = table
        self._backoff = backoff
        self._stopping = stopping
        self._buffer = Buffer(Limits(LETTERS, BYTES, seconds), time.monotonic)
        self._wake = asyncio.Event()
        self._log = structlog.get_logger().bind(type=event_type.name, queue=event_type.error_queue)
        self.archived = 0

    async def run(self, connection: AbstractConnection) -> None:
        """Archive what the queue has and what comes. Returns when the channel ends, or after a flush when it stops.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        async with self._consuming(connection) as consumer:
            await self._unless_lost(self._archive_until_end(consumer))

    async def empty(self, connection: AbstractConnection) -> None:
        """Archive until the queue is empty.

        Raises ClickHouseUnavailable, InsertFailed, NotWritten, QueueMissing, or what aio-pika raises when the
        connection fails.
        """
        while not self._stopping.is_set() and await depth(connection, self._type.error_queue) != 0:
            async with self._consuming(connection) as consumer:
                await self._unless_lost(self._archive_until_empty(consumer, connection))

    def wake(self) -> None:
        """Look at the stop event now."""
        self._wake.set()

    def _consuming(self, connection: AbstractConnection) -> AbstractAsyncContextManager[Consumer]:
        return consuming(connection, self._type.error_queue, LETTERS, self._receive, self._wake.set, every_header=True)

    def _receive(self, deliveries: Deliveries) -> None:
        self._buffer.add(deliveries)
        if self._buffer.trigger() or len(self._buffer) == len(deliveries.tags):
            self._wake.set()

    async def _unless_lost(self, archiving: Awaitable[None]) -> None:
        try:
            await archiving
        except LeaseLost:
            self._log.info("channel lost, its letters come again")

    async def _archive_until_end(self, consumer: Consumer) -> None:
        while consumer.lease.alive and not self._stopping.is_set():
            if self._buffer.trigger():
                await self._archive(self._buffer.take())
            else:
                await self._sleep(self._buffer.seconds_left())
        await consumer.stop()
        while consumer.lease.alive and len(self._buffer):
            await self._archive(self._buffer.take())

    async def _archive_until_empty(self, consumer: Consumer, connection: AbstractConnection) -> None:
        left: int | None = 1
        while consumer.lease.alive and not self._stopping.is_set() and (left or len(self._buffer)):
            if self._buffer.trigger() or (len(self._buffer) and not left):
                await self._archive(self._buffer.take())
            else:
                await self._sleep(_LOOK_SECONDS)
            left = await depth(connection, self._type.error_queue)

    async def _archive(self, batch: Batch) -> None:
        """File first: a row of the table names a file that is there. Raises LeaseLost.

        While ClickHouse is away no file is written: its letters would come again, and be in another one.
        """
        now = datetime.now(UTC)
        path, token = self._files.new(self._type.name, now), str(uuid4())
        letters = await asyncio.to_thread(self._read, batch, now)
        await self._insist(batch.lease, self._table.ping)
        await self._insist(batch.lease, lambda: self._files.write(path, letters))
        await self._insist(batch.lease, lambda: self._table.insert(letters, self._files.url(path), token))
        if not await batch.lease.ack(batch.last_tag, multiple=True):
            raise LeaseLost
        self.archived += len(letters)
        self._log.info("archived", letters=len(letters), file=self._files.url(path))

    def _read(self, batch: Batch, now: datetime) -> list[Letter]:
        return [
            read(self._type, body, batch.headers.get(position, {}), now) for position, body in enumerate(batch.bodies)
        ]

    async def _insist(self, lease: Lease, act: Callable[[], Awaitable[None]]) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                await act()
            except (ClickHouseUnavailable, InsertFailed, NotWritten) as error:
                if self._backoff is None:
                    raise
                seconds = self._backoff.seconds(attempt)
                self._log.warning("cannot archive, trying again", why=str(error), attempt=attempt,
                                  seconds=round(seconds, 2))  # fmt: skip
                if await lease.dies_within(seconds):
                    raise LeaseLost from None
            else:
                return

    async def _sleep(self, seconds: float | None) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
