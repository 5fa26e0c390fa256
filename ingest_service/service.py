"""The service as a whole: one connection at a time, one pipeline per event type on it, and an orderly end."""

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from ingest_service import clickhouse, http
from ingest_service.admission import Bounds
from ingest_service.backoff import Backoff
from ingest_service.broker.connection import BrokerUnavailable, close, connect, is_alive
from ingest_service.broker.consumer import QueueMissing
from ingest_service.broker.depths import depth
from ingest_service.broker.publisher import Publisher
from ingest_service.buffer import Limits
from ingest_service.clickhouse import ClickHouse, ClickHouseUnavailable
from ingest_service.dead_letters import DeadLetters
from ingest_service.events.contract import EventType
from ingest_service.health import Health, TypeHealth
from ingest_service.metrics import Metrics
from ingest_service.pipeline import Pipeline
from ingest_service.settings import Settings
from ingest_service.sinker import Sinker, Terms

_DEPTH_SECONDS = 10
_CANCEL_SECONDS = 0.5

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
        self._terms = _terms(settings)
        self._stopping = asyncio.Event()
        self._pipelines: list[Pipeline] = []

    def stop(self) -> None:
        """Stop consuming, flush, acknowledge and let `run` return; a second call changes nothing."""
        _log.info("stopping", in_flight=sum(each.in_flight for each in self._health.types.values()))
        self._stopping.set()
        for pipeline in self._pipelines:
            pipeline.wake()

    async def run(self) -> None:
        """Consume until stopped. Raises PortTaken or MissingUrl; a server that is away is waited for."""
        settings = self._settings
        amqp_url = settings.amqp()
        server = await http.start(self._health, self._metrics, settings.http_host, settings.http_port)
        _log.info("listening", url=f"http://{settings.http_host}:{settings.http_port}/status")
        try:
            async with clickhouse.connected(settings.clickhouse(), settings.insert_timeout_seconds) as warehouse:
                await self._wait_for_clickhouse(warehouse)
                while not self._stopping.is_set():
                    await self._consume_over_one_connection(amqp_url, warehouse)
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
                await self._wait("waiting for ClickHouse", str(error), attempt)
            else:
                self._health.clickhouse = "connected"
                _log.info("connected to ClickHouse", url=warehouse.shown)
                return

    async def _consume_over_one_connection(self, url: str, warehouse: ClickHouse) -> None:
        connection = await self._connect(url)
        if connection is None:
            return
        try:
            async with Publisher(connection) as publisher:
                await self._run_pipelines(connection, publisher, warehouse)
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            _log.warning("the broker's connection failed", why=str(error) or type(error).__name__)
        finally:
            self._pipelines = []
            await close(connection)
        if not self._stopping.is_set():
            self._health.broker = "the connection was lost; reconnecting"
            _log.warning("connection to the broker lost, reconnecting")

    async def _connect(self, url: str) -> AbstractConnection | None:
        attempt = 0
        while not self._stopping.is_set():
            attempt += 1
            try:
                connection = await connect(url, "gcc-ingest", fast=self._settings.delivery == "fast")
            except BrokerUnavailable as error:
                self._health.broker = str(error)
                await self._wait("waiting for the broker", str(error), attempt)
            else:
                self._health.broker = "connected"
                _log.info("connected to the broker")
                return connection
        return None

    async def _run_pipelines(self, connection: AbstractConnection, publisher: Publisher, warehouse: ClickHouse) -> None:
        self._pipelines = [self._pipeline(each, publisher, warehouse) for each in self._types]
        running = [
            asyncio.create_task(self._keep_running(pipeline, self._health.types[each.name], connection), name=each.name)
            for pipeline, each in zip(self._pipelines, self._types, strict=True)
        ]
        deadline = asyncio.create_task(self._cancel_late(running), name="stop deadline")
        watching = asyncio.create_task(self._watch_depths(connection), name="queue depths")
        try:
            await asyncio.gather(*running)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            _log.warning("not everything could be flushed in time: the rest is given back to the broker",
                         seconds=self._settings.stop_seconds)  # fmt: skip
        finally:
            await _end((*running, deadline, watching))

    async def _watch_depths(self, connection: AbstractConnection) -> None:
        """Ask now and then how much waits in the queues, for as long as the connection lives."""
        while is_alive(connection) and not self._stopping.is_set():
            for each in self._types:
                self._health.types[each.name].queue_depth = await depth(connection, each.queue)
                if self._stopping.is_set():
                    return
            await asyncio.sleep(_DEPTH_SECONDS)

    async def _cancel_late(self, running: Sequence[asyncio.Task[None]]) -> None:
        await self._stopping.wait()
        await asyncio.sleep(self._settings.stop_seconds)
        for task in running:
            task.cancel()

    async def _keep_running(self, pipeline: Pipeline, health: TypeHealth, connection: AbstractConnection) -> None:
        """Run a pipeline again and again, for as long as its connection lives."""
        attempt = 0
        while is_alive(connection) and not self._stopping.is_set():
            attempt += 1
            try:
                await pipeline.run(connection)
                why = "its channel closed"
                attempt = 1
            except QueueMissing as error:
                why = str(error)
            except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
                why = str(error) or type(error).__name__
            health.waiting(why)
            if is_alive(connection):
                await self._wait(f"waiting to consume {health.event_type}", why, attempt)

    def _pipeline(self, event_type: EventType, publisher: Publisher, warehouse: ClickHouse) -> Pipeline:
        settings = self._settings
        health = self._health.types[event_type.name]
        letters = DeadLetters(event_type, publisher)
        sinker = Sinker(
            event_type, warehouse, letters, self._backoff, self._terms, health, self._metrics, time.monotonic
        )
        limits = Limits(settings.flush_rows, settings.flush_bytes, settings.flush_seconds, settings.linger_seconds)
        return Pipeline(event_type, sinker, limits, settings, health, self._stopping, time.monotonic)

    async def _wait(self, what: str, why: str, attempt: int) -> None:
        """Sleep before the next attempt, but not longer than until the service stops."""
        if self._stopping.is_set():
            return
        seconds = self._backoff.seconds(attempt)
        _log.warning(what, why=why, attempt=attempt, seconds=round(seconds, 2))
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: Python 3.11's wait_for, which aiormq uses, may swallow a cancellation."""
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=_CANCEL_SECONDS)


def _terms(settings: Settings) -> Terms:
    bounds = Bounds(
        body_bytes=settings.max_body_bytes,
        earliest=datetime.combine(settings.earliest_event, time_of_day.min, UTC),
        ahead=timedelta(seconds=settings.event_ahead_seconds),
    )
    return Terms(bounds, settings.hold_seconds, settings.dead_letter_share)
