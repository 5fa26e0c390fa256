"""The service: one pipeline per event type, one connection for dead letters, and an orderly shutdown."""

import asyncio
import time
from collections.abc import Iterable, Sequence

import structlog

from ingest_service.backoff import Backoff
from ingest_service.broker.cancellation import cancelled
from ingest_service.broker.connection import BrokerUnavailable, connected, is_alive
from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.broker.publisher import Publisher
from ingest_service.broker.queue_depth import depth
from ingest_service.broker.transport import Reader
from ingest_service.clickhouse import client as clickhouse
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable
from ingest_service.dead_letters.queue import DeadLetterQueue
from ingest_service.events.contract import EventType
from ingest_service.observability import http_server
from ingest_service.observability.health import Health, TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.observability.pages import Pages
from ingest_service.pipeline.buffer import Limits
from ingest_service.pipeline.memory_bound import MemoryBound
from ingest_service.pipeline.pipeline import Pipeline
from ingest_service.pipeline.sinker import Sinker, SinkerSettings
from ingest_service.settings import Settings
from ingest_service.supervisor import Supervisor, wait_to_retry

_DEPTH_SECONDS = 10

_log = structlog.get_logger()


class Service:
    """Runs until `stop` is called."""

    def __init__(self, settings: Settings, event_types: Iterable[EventType]) -> None:
        self._settings = settings
        self._types: Sequence[EventType] = tuple(event_types)
        self._health = Health(
            types={each.name: TypeHealth(each.name) for each in self._types}, patience=settings.flush_seconds + 60
        )
        self._metrics = Metrics(self._health)
        self._backoff = Backoff(settings.retry_first_seconds, settings.retry_most_seconds)
        self._sinker_settings = SinkerSettings(settings.bounds(), settings.hold_seconds, settings.dead_letter_share)
        self._memory = MemoryBound(settings.max_held_bytes, len(self._types))
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        """Stop consuming, flush, acknowledge and let `run` return; idempotent."""
        _log.info("stopping", in_flight=sum(each.in_flight for each in self._health.types.values()))
        self._stopping.set()

    async def run(self) -> None:
        """Consume until stopped. Waits for unavailable servers. Raises PortTaken or MissingUrl."""
        settings = self._settings
        amqp_url = settings.amqp()
        pages = Pages(self._health, self._metrics.registry).routes()
        server = await http_server.start(pages, settings.http_host, settings.http_port, "GCC_HTTP_PORT")
        _log.info("listening", url=f"http://{settings.http_host}:{settings.http_port}/status")
        try:
            async with clickhouse.connected(settings.clickhouse(), settings.insert_timeout_seconds) as warehouse:
                await self._wait_for_clickhouse(warehouse)
                await self._consume(amqp_url, warehouse)
        finally:
            await server.cleanup()
        _log.info("stopped")

    async def _wait_for_clickhouse(self, warehouse: ClickHouse) -> None:
        attempt = 0
        while not self._stopping.is_set():
            attempt += 1
            try:
                await warehouse.ping()
            except ClickHouseUnavailable as error:
                self._health.clickhouse = str(error)
                await wait_to_retry(self._stopping, self._backoff, "waiting for ClickHouse", str(error), attempt)
            else:
                self._health.clickhouse = "connected"
                _log.info("connected to ClickHouse", url=warehouse.shown)
                return

    async def _consume(self, url: str, warehouse: ClickHouse) -> None:
        publisher = Publisher(url, "gcc-ingest dead letters")
        self._health.blocked = lambda: publisher.blocked
        watching = asyncio.create_task(self._watch_depths(url), name="queue depths")
        settings = self._settings
        supervisor = Supervisor(
            url, "gcc-ingest", self._reader, self._backoff, settings.stop_seconds, self._stopping, self._broker_is
        )
        try:
            await supervisor.run([self._pipeline(each, publisher, warehouse) for each in self._types])
        finally:
            await cancelled([watching])
            await publisher.close()

    def _reader(self) -> Reader:
        return DeliveryReader(bypass=self._settings.delivery == "fast")

    def _broker_is(self, state: str) -> None:
        if state == "connected" != self._health.broker:
            _log.info("connected to the broker")
        self._health.broker = state

    async def _watch_depths(self, url: str) -> None:
        """Query the depth of the queues periodically, over a connection of its own."""
        while True:
            try:
                async with connected(url, "gcc-ingest queue depths") as connection:
                    while is_alive(connection):
                        for each in self._types:
                            self._health.types[each.name].queue_depth = await depth(connection, each.queue)
                        await asyncio.sleep(_DEPTH_SECONDS)
            except BrokerUnavailable as error:
                _log.debug("queue depths are unknown", why=str(error))
            for health in self._health.types.values():
                health.queue_depth = None
            await asyncio.sleep(_DEPTH_SECONDS)

    def _pipeline(self, event_type: EventType, publisher: Publisher, warehouse: ClickHouse) -> Pipeline:
        settings = self._settings
        health = self._health.types[event_type.name]
        letters = DeadLetterQueue(event_type, publisher)
        sinker = Sinker(
            event_type, warehouse, letters, self._backoff, self._sinker_settings, health, self._metrics, time.monotonic
        )
        limits = Limits(settings.flush_rows, settings.flush_bytes, settings.flush_seconds, settings.linger_seconds)
        return Pipeline(event_type, sinker, limits, settings, self._memory, health, self._stopping, time.monotonic)
