"""Archives every error queue: one archiver per event type, each on its own connection, and an orderly shutdown."""

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from aio_pika.abc import AbstractConnection

from ingest_service.archive import metrics
from ingest_service.archive.archiver import Archiver
from ingest_service.archive.files import ArchiveFiles
from ingest_service.archive.health import ArchiveHealth, QueueHealth
from ingest_service.archive.table import DeadLetterTable
from ingest_service.backoff import Backoff
from ingest_service.broker.cancellation import cancelled
from ingest_service.broker.connection import CONNECTION_ERRORS, BrokerUnavailable, cancellations_are_losses, connected
from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.clickhouse import client as clickhouse
from ingest_service.events.contract import EventType
from ingest_service.observability import http_server
from ingest_service.observability.pages import Pages
from ingest_service.pipeline.memory_bound import MemoryBound
from ingest_service.settings import Settings
from ingest_service.supervisor import Supervisor

_COPIES = 4
"""The copies of a letter in memory while it is archived: the message, the line of the file, the row."""

_log = structlog.get_logger()


class Archive:
    """Runs until `stop` is called, or once until the queues are empty."""

    def __init__(self, settings: Settings, event_types: Iterable[EventType]) -> None:
        """Raises BadArchiveUrl or MissingSetting."""
        self._settings = settings
        self._types: Sequence[EventType] = tuple(event_types)
        self._files = ArchiveFiles(settings.archive())
        self._memory = MemoryBound(settings.max_held_bytes // _COPIES, len(self._types))
        self._turn = asyncio.Lock()
        self._stopping = asyncio.Event()
        self._archivers: list[Archiver] = []
        self._health = ArchiveHealth({each.name: QueueHealth(each.name) for each in self._types})

    @property
    def archived(self) -> int:
        """Letters archived and acknowledged."""
        return sum(queue.archived.total() for queue in self._health.queues.values())

    def stop(self) -> None:
        """Stop consuming, archive the received letters and let `run` return; idempotent."""
        self._stopping.set()
        for archiver in self._archivers:
            archiver.wake()

    async def run(self) -> None:
        """Archive until stopped. Waits for unavailable servers. Raises MissingUrl and PortTaken."""
        settings = self._settings
        pages = Pages(self._health, metrics.registry(self._health)).routes()
        server = await http_server.start(pages, settings.http_host, settings.archive_http_port, "GCC_ARCHIVE_HTTP_PORT")
        try:
            await self._run(settings)
        finally:
            await server.cleanup()
        _log.info("stopped", archived=self.archived)

    async def _run(self, settings: Settings) -> None:
        backoff = Backoff(settings.retry_first_seconds, settings.retry_most_seconds)
        supervisor = Supervisor(
            settings.amqp(),
            "gcc-ingest archive",
            DeliveryReader,
            backoff,
            settings.stop_seconds,
            self._stopping,
            self._broker_is,
        )
        async with clickhouse.connected(settings.clickhouse(), settings.insert_timeout_seconds) as server:
            self._archivers = [self._archiver(each, server, backoff) for each in self._types]
            _log.info("archiving dead letters", to=self._files.shown)
            await supervisor.run(self._archivers)

    def _broker_is(self, state: str) -> None:
        self._health.broker = state

    async def run_once(self) -> None:
        """Archive until every queue is empty.

        Letters that are not archived stay in their queue. Raises BrokerUnavailable, ClickHouseUnavailable,
        InsertFailed, MissingUrl, NotWritten or QueueMissing.
        """
        async with (
            clickhouse.connected(self._settings.clickhouse(), self._settings.insert_timeout_seconds) as server,
            connected(self._settings.amqp(), "gcc-ingest archive queue depths") as asking,
        ):
            self._archivers = [self._archiver(each, server, None) for each in self._types]
            emptying = [asyncio.create_task(self._empty(archiver, asking)) for archiver in self._archivers]
            stopping = asyncio.create_task(self._stop_in_time(emptying))
            try:
                await asyncio.gather(*emptying)
            except asyncio.CancelledError:
                if not self._stopping.is_set():
                    raise
            finally:
                await cancelled((*emptying, stopping))

    async def _empty(self, archiver: Archiver, asking: AbstractConnection) -> None:
        """Each time on a new connection: a letter that was on its way when a channel was closed blocks the old one."""
        name = f"gcc-ingest archive {archiver.name}"
        try:
            with cancellations_are_losses():
                while not self._stopping.is_set() and not await archiver.is_empty(asking):
                    async with connected(self._settings.amqp(), name, DeliveryReader()) as connection:
                        await archiver.empty(connection, asking)
        except CONNECTION_ERRORS as error:
            why = str(error) or type(error).__name__
            raise BrokerUnavailable(f"AMQP_URL: the connection failed: {why}") from None

    async def _stop_in_time(self, tasks: Iterable["asyncio.Task[None]"]) -> None:
        """Give letters back to the broker that are not archived within the stop deadline."""
        await self._stopping.wait()
        await asyncio.sleep(self._settings.stop_seconds)
        for task in tasks:
            task.cancel()

    def _archiver(self, event_type: EventType, server: clickhouse.ClickHouse, backoff: Backoff | None) -> Archiver:
        seconds = self._settings.archive_seconds
        table = DeadLetterTable(server)
        return Archiver(
            event_type,
            self._files,
            table,
            seconds,
            backoff,
            self._memory,
            self._turn,
            self._stopping,
            self._health.queues[event_type.name],
        )
