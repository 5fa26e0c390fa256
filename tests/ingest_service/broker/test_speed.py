"""The fast delivery path is worth its code: a guard, by ratio, for times on a shared machine say nothing."""

import asyncio
import time
from collections.abc import Mapping

from aio_pika import DeliveryMode, Message

from ingest_service.broker.connection import connected
from ingest_service.broker.consumer import consuming
from ingest_service.broker.delivery_frames import DeliveryReader
from ingest_service.broker.lease import Deliveries
from ingest_service.broker.prefetch import Prefetch
from ingest_service.dead_letters.headers import history_headers

QUEUE = "tests.speed"
MESSAGES = 6_000
AT_LEAST = 3
"""Times faster than aio-pika by CPU; measured: about 25."""


async def test_the_fast_path_takes_a_fraction_of_the_cpu_that_aio_pika_takes(stack: Mapping[str, str]) -> None:
    async with connected(stack["AMQP_URL"], "tests") as connection, connection.channel() as channel:
        await channel.declare_queue(QUEUE, durable=True, arguments={"x-queue-type": "quorum"})
        message = Message(b"x" * 440, delivery_mode=DeliveryMode.PERSISTENT)
        for _ in range(MESSAGES // 500):
            await asyncio.gather(*(channel.default_exchange.publish(message, QUEUE) for _ in range(500)))
        try:
            # Nothing is acknowledged, so each gets all of them.
            plain = await cpu_seconds_to_receive_all(stack["AMQP_URL"], fast=False)
            fast = await cpu_seconds_to_receive_all(stack["AMQP_URL"], fast=True)
        finally:
            await channel.queue_delete(QUEUE)
    assert plain > AT_LEAST * fast, f"{plain:.3f} s through aio-pika, {fast:.3f} s past it"


async def cpu_seconds_to_receive_all(url: str, *, fast: bool) -> float:
    left, done = MESSAGES, asyncio.Event()

    def receive(deliveries: Deliveries) -> None:
        nonlocal left
        left -= len(deliveries.bodies)
        if not left:
            done.set()

    async with connected(url, "tests", DeliveryReader(bypass=fast)) as connection:
        started = time.process_time()
        async with consuming(connection, QUEUE, Prefetch(MESSAGES, 2**30), receive, history_headers, done.set):
            async with asyncio.timeout(60):
                await done.wait()
            return time.process_time() - started
