"""Every error queue archived: one connection at a time, one archiver per event type on it, and an orderly end."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

import structlog
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from ingest_service import clickhouse
from ingest_service.backoff import Backoff
from ingest_service.broker.connection import BrokerUnavailable, connected, is_alive
from ingest_service.broker.consumer import QueueMissing
from ingest_service.events.contract import EventType
from ingest_service.letters.archiver import Archiver
from ingest_service.letters.files import Files
from ingest_service.letters.table import LetterTable
from ingest_service.settings import Settings

_log = structlog.get_logger()


class Archive:
    """Runs until `stop` is called, or once until the queues are empty."""

    def __init__(self, settings: Settings, event_types: Iterable[EventType]) -> None:
        """Raises BadArchiveUrl."""
        self._settings = settings
        self._types: Sequence[EventType] = tuple(event_types)
        self._files = Files(settings.archive_url.get_secret_value())
        self._backoff = Backoff(settings.retry_first_seconds, settings.retry_most_seconds)
        self._stopping = asyncio.Event()
        self._archivers: list[Archiver] = []

    @property
    def archived(self) -> int:
        """Letters archived and acknowledged."""
        return sum(archiver.archived for archiver in self._archivers)

    def stop(self) -> None:
        """Stop consuming, archive what was received and let `run` return; a second call changes nothing."""
        self._stopping.set()
        for archiver in self._archivers:
            archiver.wake()

    async def run(self) -> None:
        """Archive until stopped. Raises MissingUrl; a server that is away is waited for."""
        amqp_url = self._settings.amqp()
        async with clickhouse.connected(self._settings.clickhouse(), self._settings.insert_timeout_seconds) as server:
            self._archivers = [self._archiver(each, server, self._backoff) for each in self._types]
            _log.info("archiving dead letters", to=self._files.shown)
            attempt = 0
            while not self._stopping.is_set():
                attempt += 1
                why = "the connection was lost"
                try:
                    async with connected(amqp_url, "gcc-ingest archive") as connection:
                        attempt = 0
                        await self._all_in_time(lambda archiver: self._keep_running(archiver, connection))
                except (BrokerUnavailable, AMQPError, OSError, TimeoutError, RuntimeError) as error:
                    why = str(error) or type(error).__name__
                await self._wait("waiting for the broker", why, attempt)
        _log.info("stopped", archived=self.archived)

    async def run_once(self) -> None:
        """Archive until every queue is empty.

        What is not archived stays where it is. Raises BrokerUnavailable, ClickHouseUnavailable, InsertFailed,
        MissingUrl, NotWritten or QueueMissing.
        """
        async with (
            clickhouse.connected(self._settings.clickhouse(), self._settings.insert_timeout_seconds) as server,
            connected(self._settings.amqp(), "gcc-ingest archive") as connection,
        ):
            self._archivers = [self._archiver(each, server, None) for each in self._types]
            try:
                await self._all_in_time(lambda archiver: archiver.empty(connection))
            except (AMQPError, OSError, RuntimeError) as error:
                why = str(error) or type(error).__name__
                raise BrokerUnavailable(f"AMQP_URL: the connection failed: {why}") from None

    def _archiver(self, event_type: EventType, server: clickhouse.ClickHouse, backoff: Backoff | None) -> Archiver:
        seconds = self._settings.archive_seconds
        return Archiver(event_type, self._files, LetterTable(server), seconds, backoff, self._stopping)

    async def _all_in_time(self, run: Callable[[Archiver], Awaitable[None]]) -> None:
        """Run all; when they are to stop, they have `stop_seconds`. What is not archived by then goes back."""
        tasks = [asyncio.ensure_future(run(archiver)) for archiver in self._archivers]
        running, stopping = asyncio.gather(*tasks), asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
            async with asyncio.timeout(self._settings.stop_seconds if self._stopping.is_set() else None):
                await running
        except TimeoutError:
            if not self._stopping.is_set():
                raise
            _log.warning("not everything could be archived in time: the rest is given back to the broker",
                         seconds=self._settings.stop_seconds)  # fmt: skip
        finally:
            for task in (*tasks, stopping):
                task.cancel()
            await asyncio.gather(running, *tasks, stopping, return_exceptions=True)

    async def _keep_running(self, archiver: Archiver, connection: AbstractConnection) -> None:
        """Run an archiver again and again, for as long as its connection lives."""
        attempt = 0
        while is_alive(connection) and not self._stopping.is_set():
            attempt += 1
            try:
                await archiver.run(connection)
                why = "its channel closed"
                attempt = 1
            except QueueMissing as error:
                why = str(error)
            except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
                why = str(error) or type(error).__name__
            if is_alive(connection):
                await self._wait("waiting to archive", why, attempt)

    async def _wait(self, what: str, why: str, attempt: int) -> None:
        """Sleep before the next attempt, but not longer than until it stops."""
        if self._stopping.is_set():
            return
        seconds = self._backoff.seconds(max(1, attempt))
        _log.warning(what, why=why, attempt=attempt, seconds=round(seconds, 2))
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
