"""Keeps one worker per queue running, each on its own connection, and shuts them down in order.

A paused connection, whose worker holds too much in memory, does not affect the other workers.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import structlog

from ingest_service.backoff import Backoff
from ingest_service.broker.cancellation import cancelled
from ingest_service.broker.connection import (
    CONNECTION_ERRORS,
    BrokerUnavailable,
    cancellations_are_losses,
    close,
    connect,
    is_alive,
)
from ingest_service.broker.consumer import QueueMissing
from ingest_service.broker.transport import ReadConnection, Reader

_LASTING_SECONDS = 10.0
"""A connection that lived this long resets the backoff."""

_log = structlog.get_logger()


class Worker(Protocol):
    """Consumes one queue."""

    @property
    def name(self) -> str:
        """The name of the queue's event type, for logs."""
        ...

    async def run(self, connection: ReadConnection) -> None:
        """Consume until the channel ends, or until received messages are settled after a stop.

        Raises QueueMissing, or what aio-pika raises when the connection fails.
        """
        ...

    def wake(self) -> None:
        """Check the stop event now."""
        ...

    def waiting(self, why: str) -> None:
        """Note that it does not consume at present, and why."""
        ...


class Supervisor:
    """Runs workers until `stop` is called."""

    def __init__(
        self,
        url: str,
        name: str,
        reader: Callable[[], Reader],
        backoff: Backoff,
        stop_seconds: float,
        stopping: asyncio.Event,
        broker: Callable[[str], None],
    ) -> None:
        """`name` prefixes the connections' names, `reader` makes a reader, `broker` is called with its state."""
        self._url = url
        self._name = name
        self._reader = reader
        self._backoff = backoff
        self._stop_seconds = stop_seconds
        self._stopping = stopping
        self._broker = broker
        self._connecting = asyncio.Lock()
        """While the broker is unavailable only one worker tries to connect, so that each attempt logs one line."""

    async def run(self, workers: Sequence[Worker]) -> None:
        """Return when all have stopped; messages not settled within `stop_seconds` are given back to the broker."""
        running = [asyncio.create_task(self._keep_connected(worker), name=worker.name) for worker in workers]
        stopping = asyncio.create_task(self._wake_and_cancel_late(workers, running), name="stop deadline")
        try:
            await asyncio.gather(*running)
        except asyncio.CancelledError:
            if not self._stopping.is_set():
                raise
            _log.warning("stop deadline exceeded: unsettled messages are given back to the broker",
                         seconds=self._stop_seconds)  # fmt: skip
        finally:
            await cancelled((*running, stopping))

    async def _wake_and_cancel_late(self, workers: Sequence[Worker], running: Sequence[asyncio.Task[None]]) -> None:
        await self._stopping.wait()
        for worker in workers:
            worker.wake()
        await asyncio.sleep(self._stop_seconds)
        for task in running:
            task.cancel()

    async def _keep_connected(self, worker: Worker) -> None:
        attempt = 0
        while not self._stopping.is_set():
            connection = await self._connect(worker.name)
            if connection is None:
                return
            began = time.monotonic()
            try:
                await self._keep_running(worker, connection)
            finally:
                await close(connection)
            attempt = 1 if time.monotonic() - began > _LASTING_SECONDS else attempt + 1
            if not self._stopping.is_set():
                self._broker("the connection was lost; reconnecting")
                await self._wait("connection to the broker lost, reconnecting", worker.name, "it was closed", attempt)

    async def _connect(self, queue: str) -> ReadConnection | None:
        async with self._connecting:
            attempt = 0
            while not self._stopping.is_set():
                attempt += 1
                try:
                    connection = await connect(self._url, f"{self._name} {queue}", self._reader())
                except BrokerUnavailable as error:
                    self._broker(str(error))
                    await self._wait("waiting for the broker", queue, str(error), attempt)
                else:
                    self._broker("connected")
                    _log.debug("connected to the broker", type=queue)
                    return connection
        return None

    async def _keep_running(self, worker: Worker, connection: ReadConnection) -> None:
        """Run a worker repeatedly while its connection lives."""
        attempt = 0
        while is_alive(connection) and not self._stopping.is_set():
            attempt += 1
            began = time.monotonic()
            try:
                with cancellations_are_losses():
                    await worker.run(connection)
                why = "its channel closed"
            except QueueMissing as error:
                why = str(error)
            except CONNECTION_ERRORS as error:
                why = str(error) or type(error).__name__
            if time.monotonic() - began > _LASTING_SECONDS:
                attempt = 1
            worker.waiting(why)
            if is_alive(connection):
                await self._wait("waiting to consume", worker.name, why, attempt)

    async def _wait(self, what: str, queue: str, why: str, attempt: int) -> None:
        await wait_to_retry(self._stopping, self._backoff, what, why, attempt, type=queue)


async def wait_to_retry(
    stopping: asyncio.Event, backoff: Backoff, what: str, why: str, attempt: int, **about: str
) -> None:
    """Log the reason for a retry, and sleep until the next attempt or the stop."""
    if stopping.is_set():
        return
    seconds = backoff.seconds(attempt)
    _log.warning(what, **about, why=why, attempt=attempt, seconds=round(seconds, 2))
    try:
        async with asyncio.timeout(seconds):
            await stopping.wait()
    except TimeoutError:
        return
