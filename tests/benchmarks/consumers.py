"""What the service is compared with: a consumer that discards, and a naive one. Each is a process of its own.

`python -m tests.benchmarks.consumers discard|naive COUNT` prints the seconds from its first message until the last is
dealt with, and the CPU seconds of its own in between.
"""

import asyncio
import json
import os
import sys
import time
from datetime import datetime
from urllib.parse import urlsplit

import clickhouse_connect
from aio_pika.abc import AbstractIncomingMessage

from ingest_service.broker.connection import connected
from ingest_service.broker.consumer import consuming
from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.broker.lease import Deliveries
from ingest_service.broker.prefetch import Prefetch
from ingest_service.dead_letters.headers import history_headers
from ingest_service.events.contract import EventType
from ingest_service.events.registry import EVENT_TYPES

_PREFETCH = 20_000
_ROWS = 1_000


class Progress:
    """Counts to the end."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._first: float | None = None
        self._cpu = 0.0
        self.over = asyncio.Event()

    def began(self) -> None:
        if self._first is None:
            self._first, self._cpu = time.monotonic(), time.process_time()

    def add(self, count: int) -> None:
        self._left -= count
        if self._left <= 0:
            self.over.set()

    def seconds(self) -> tuple[float, float]:
        assert self._first is not None
        return time.monotonic() - self._first, time.process_time() - self._cpu


async def discard(count: int) -> tuple[float, float]:
    """The broker's limit: receives past aio-pika, acknowledges per 1,000, and does nothing else."""
    progress = Progress(count)
    async with connected(os.environ["AMQP_URL"], "discard", DeliveryReader()) as connection:

        async def one(event_type: EventType) -> None:
            wake, newest, since = asyncio.Event(), None, 0

            def receive(deliveries: Deliveries) -> None:
                nonlocal newest, since
                progress.began()
                newest, since = deliveries, since + len(deliveries.bodies)
                progress.add(len(deliveries.bodies))
                if since >= _ROWS:
                    wake.set()

            async with consuming(
                connection, event_type.queue, Prefetch(_PREFETCH, 2**30), receive, history_headers, wake.set
            ) as consumer:
                while consumer.lease.alive:
                    await wake.wait()
                    wake.clear()
                    since = 0
                    if newest is not None:
                        await consumer.lease.ack(newest.tags[-1], multiple=True)

        tasks = [asyncio.create_task(one(each)) for each in EVENT_TYPES.values()]
        await progress.over.wait()
        seconds = progress.seconds()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return seconds


async def naive(count: int) -> tuple[float, float]:
    """What one writes first: a callback per message, json.loads, one insert of Python rows per 1,000."""
    progress = Progress(count)
    parts = urlsplit(os.environ["CLICKHOUSE_URL"])
    client = await clickhouse_connect.get_async_client(
        host=parts.hostname, port=parts.port, username=parts.username, password=parts.password or "",
        settings={"date_time_input_format": "best_effort"}, autogenerate_session_id=False,
    )  # fmt: skip
    async with connected(os.environ["AMQP_URL"], "naive") as connection:
        for event_type in EVENT_TYPES.values():
            channel = await connection.channel()
            await channel.set_qos(_PREFETCH)
            queue = await channel.get_queue(event_type.queue)
            await queue.consume(_naive_callback(event_type, client, progress))
        await progress.over.wait()
        return progress.seconds()


def _naive_callback(event_type: EventType, client: clickhouse_connect.driver.AsyncClient, progress: Progress):  # type: ignore[no-untyped-def]
    held: list[tuple[AbstractIncomingMessage, dict[str, object]]] = []
    in_order = asyncio.Lock()
    """`multiple` acknowledges earlier messages too, so a batch must not overtake the one before."""

    async def on_message(message: AbstractIncomingMessage) -> None:
        progress.began()
        event = json.loads(message.body)
        held.append((message, {name: _plain(name, value) for name, value in event.items()}))
        if len(held) < _ROWS:
            return
        batch, held[:] = held[:], []
        columns = list(batch[0][1])
        async with in_order:
            await client.insert(
                event_type.table, [[row.get(name) for name in columns] for _, row in batch], column_names=columns
            )
            await batch[-1][0].ack(multiple=True)
        progress.add(len(batch))

    return on_message


def _plain(name: str, value: object) -> object:
    """As the driver wants it: objects as text, times as datetime."""
    if isinstance(value, dict):
        return json.dumps(value)
    if isinstance(value, str) and name.endswith(("_timestamp", "_time", "_at")):
        return datetime.fromisoformat(value)
    return value


def main() -> None:
    kind, count = sys.argv[1], int(sys.argv[2])
    seconds = asyncio.run({"discard": discard, "naive": naive}[kind](count))
    print(*seconds, flush=True)
    os._exit(0)  # what is unacknowledged goes back with the connection


if __name__ == "__main__":
    main()
