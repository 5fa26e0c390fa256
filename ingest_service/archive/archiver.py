"""Archives one error queue into files and the table; letters are acknowledged when both are durable."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import structlog
from aio_pika.abc import AbstractConnection

from ingest_service.archive.files import ArchiveFiles, NotWritten
from ingest_service.archive.health import QueueHealth
from ingest_service.archive.records import DeadLetterRecord, read
from ingest_service.archive.table import DeadLetterTable
from ingest_service.backoff import Backoff
from ingest_service.broker.consumer import Consumer, consuming
from ingest_service.broker.lease import Deliveries, Lease, LeaseLost
from ingest_service.broker.prefetch import Prefetch
from ingest_service.broker.queue_depth import depth, is_empty
from ingest_service.broker.transport import ReadConnection
from ingest_service.clickhouse.errors import InsertFailed
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable
from ingest_service.dead_letters.headers import all_headers
from ingest_service.events.contract import EventType
from ingest_service.pipeline.buffer import Batch, Buffer, Limits
from ingest_service.pipeline.flow_control import FlowControl
from ingest_service.pipeline.memory_bound import MemoryBound

LETTERS = 250  # per file, and unacknowledged per queue, at most
BYTES = 16 * 2**20
_LOOK_SECONDS = 0.2  # between checks whether a queue is empty


class Archiver:
    """Archives one event type's error queue on one connection, until either ends or `stopping` is set."""

    def __init__(
        self,
        event_type: EventType,
        files: ArchiveFiles,
        table: DeadLetterTable,
        seconds: float,
        backoff: Backoff | None,
        memory: MemoryBound,
        turn: asyncio.Lock,
        stopping: asyncio.Event,
        health: QueueHealth,
    ) -> None:
        """`backoff=None` disables retries. `turn` is shared by all archivers: one writes at a time."""
        self._type = event_type
        self._files = files
        self._table = table
        self._backoff = backoff
        self._stopping = stopping
        self._buffer = Buffer(Limits(LETTERS, BYTES, seconds), time.monotonic)
        self._wake = asyncio.Event()
        self._turn = turn
        self._flow = FlowControl(memory)
        self._prefetch = Prefetch(LETTERS, memory.own)
        self._log = structlog.get_logger().bind(type=event_type.name, queue=event_type.error_queue)
        self._health = health

    @property
    def name(self) -> str:
        """The event type's name."""
        return self._type.name

    async def run(self, connection: ReadConnection) -> None:
        """Archive the queue's letters. Returns when the channel ends, or after a flush when the service stops.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        async with self._consuming(connection) as consumer:
            await self._unless_lost(self._archive_until_end(consumer))

    async def is_empty(self, asking: AbstractConnection) -> bool:
        """Whether the queue has no letter left. Raises what aio-pika raises when the connection fails."""
        return await is_empty(asking, self._type.error_queue)

    async def empty(self, connection: ReadConnection, asking: AbstractConnection) -> None:
        """Archive until the queue counts 0, which a busy one may do early.

        The depth is queried over `asking`: this connection may be paused. Raises ClickHouseUnavailable, InsertFailed,
        NotWritten, QueueMissing, or what aio-pika raises when the connection fails.
        """
        async with self._consuming(connection) as consumer:
            await self._unless_lost(self._archive_until_empty(consumer, asking))

    def wake(self) -> None:
        """Check the stop event now."""
        self._wake.set()

    def waiting(self, why: str) -> None:
        """Note that the queue is not consumed, and why."""
        self._health.waiting = why

    def _consuming(self, connection: ReadConnection) -> AbstractAsyncContextManager[Consumer]:
        self._flow.attach(connection.stream)
        self._prefetch.restart()
        self._health.waiting = ""
        return consuming(connection, self._type.error_queue, self._prefetch, self._receive, all_headers, self._wake.set)

    def _receive(self, deliveries: Deliveries) -> None:
        self._flow.hold(self._buffer.add(deliveries))
        self._health.held += len(deliveries.tags)
        if self._flow.paused or self._buffer.trigger() or len(self._buffer) == len(deliveries.tags):
            self._wake.set()

    async def _unless_lost(self, archiving: Awaitable[None]) -> None:
        try:
            await archiving
        except LeaseLost:
            self._log.info("channel lost, its letters will be redelivered")
        finally:
            self._buffer.clear()
            self._flow.release_all()
            self._health.held = 0

    async def _archive_until_end(self, consumer: Consumer) -> None:
        while consumer.lease.alive and not self._stopping.is_set():
            if self._is_due():
                await self._archive(self._buffer.take())
            else:
                await self._sleep(self._buffer.seconds_left())
        await consumer.stop()
        while consumer.lease.alive and len(self._buffer):
            await self._archive(self._buffer.take())

    def _is_due(self) -> bool:
        """Whether to archive: the buffer's limits are reached, or no message comes before some are archived."""
        return self._buffer.trigger() is not None or (self._flow.paused and len(self._buffer) > 0)

    async def _archive_until_empty(self, consumer: Consumer, asking: AbstractConnection) -> None:
        left: int | None = 1
        while consumer.lease.alive and not self._stopping.is_set() and (left or len(self._buffer)):
            if self._is_due() or (len(self._buffer) and not left):
                await self._archive(self._buffer.take())
            else:
                await self._sleep(_LOOK_SECONDS)
            left = await depth(asking, self._type.error_queue)

    async def _archive(self, batch: Batch) -> None:
        async with self._turn:
            await self._archive_whole(batch)

    async def _archive_whole(self, batch: Batch) -> None:
        """Write the file first, because a row names its file. Raises LeaseLost.

        While ClickHouse is unavailable no file is written: its letters would be redelivered and written again.
        """
        now = datetime.now(UTC)
        path, token = self._files.new(self._type.name, now), str(uuid4())
        letters = await asyncio.to_thread(self._read, batch, now)
        await self._insist(batch.lease, self._table.ping)
        await self._insist(batch.lease, lambda: self._files.write(path, letters))
        await self._insist(batch.lease, lambda: self._table.insert(letters, self._files.url(path), token))
        if not await batch.lease.ack(batch.last_tag, multiple=True):
            raise LeaseLost
        self._flow.release(batch.size)
        self._health.held -= len(letters)
        self._health.archive((letter.reason for letter in letters), now.timestamp())
        self._log.info("archived", letters=len(letters), file=self._files.url(path))

    def _read(self, batch: Batch, now: datetime) -> list[DeadLetterRecord]:
        return [
            read(self._type, body, batch.headers.get(position, {}), now) for position, body in enumerate(batch.bodies)
        ]

    async def _insist(self, lease: Lease, act: Callable[[], Awaitable[None]]) -> None:
        for attempt in count(1):
            try:
                await act()
            except (ClickHouseUnavailable, InsertFailed, NotWritten) as error:
                self._health.fail(str(error))
                if self._backoff is None:
                    raise
                seconds = self._backoff.seconds(attempt)
                self._log.warning("cannot archive, trying again", why=str(error), attempt=attempt,
                                  seconds=round(seconds, 2))  # fmt: skip
                if await lease.dies_within(seconds):
                    raise LeaseLost from None
            else:
                self._health.succeed()
                return

    async def _sleep(self, seconds: float | None) -> None:
        self._wake.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._wake.wait()
        except TimeoutError:
            return
