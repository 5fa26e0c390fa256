"""A broker with the topology and empty queues, and looks into them."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from aio_pika.abc import AbstractIncomingMessage

from ingest_service.broker.connection import connected
from ingest_service.broker.topology import declare
from ingest_service.events.registry import EVENT_TYPES
from tests.harness.proxy import Proxy


class Broker:
    """The real broker, and what is in its queues."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def declare(self) -> None:
        async with connected(self.url, "tests") as connection:
            await declare(connection, EVENT_TYPES.values())

    async def empty(self) -> None:
        async with connected(self.url, "tests") as connection, connection.channel() as channel:
            for each in EVENT_TYPES.values():
                await (await channel.get_queue(each.queue, ensure=False)).purge()

    async def events(self, event_type: str) -> list[dict[str, Any]]:
        """Everything in a type's queue, in order; the queue is empty then."""
        found: list[AbstractIncomingMessage] = []

        async def receive(message: AbstractIncomingMessage) -> None:
            found.append(message)

        async with connected(self.url, "tests") as connection, connection.channel() as channel:
            queue = await channel.get_queue(EVENT_TYPES[event_type].queue)
            # Every publish was confirmed, so the broker counts it.
            waiting = queue.declaration_result.message_count or 0
            tag = await queue.consume(receive, no_ack=True)
            await until(lambda: len(found) >= waiting, seconds=60)
            await queue.cancel(tag)
        assert all(message.delivery_mode == 2 for message in found)
        return [json.loads(message.body) for message in found]


@pytest.fixture(scope="session")
def declared(stack: Mapping[str, str]) -> Broker:
    found = Broker(stack["AMQP_URL"])
    asyncio.run(found.declare())
    return found


@pytest.fixture
async def broker(declared: Broker) -> Broker:
    await declared.empty()
    return declared


class Proxied(Proxy):
    """A proxy before the broker; closed at first."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        super().__init__(str(parts.hostname), parts.port or 5672)
        self.url = urlunsplit(parts._replace(netloc=f"{parts.username}:{parts.password}@127.0.0.1:{self.port}"))


@pytest.fixture
def proxy(broker: Broker) -> Iterator[Proxied]:
    with Proxied(broker.url) as proxied:
        yield proxied


Alarm = Callable[[], AbstractAsyncContextManager[None]]


@pytest.fixture
def alarm(stack: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Alarm:
    """The broker's memory alarm, for as long as one is within it."""
    (epmd,) = tmp_path_factory.getbasetemp().glob("stack0/*/epmd.port")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(epmd.parent / "home"),
        "ERL_EPMD_PORT": epmd.read_text().strip(),
        "RABBITMQ_CONF_ENV_FILE": str(epmd.parent / "no-rabbitmq-env.conf"),
    }

    async def limit(*memory: str) -> None:
        program = "/usr/lib/rabbitmq/bin/rabbitmqctl"
        arguments = ("--node", "gcc@localhost", "--quiet", "set_vm_memory_high_watermark", *memory)
        told = await asyncio.create_subprocess_exec(program, *arguments, env=environment)
        assert await told.wait() == 0

    @asynccontextmanager
    async def on() -> AsyncIterator[None]:
        await limit("absolute", "1")
        try:
            yield
        finally:
            await limit("0.4")

    return on


async def until(holds: Callable[[], object], seconds: float = 20) -> None:
    """Wait on the loop until a condition holds. Fails after a deadline."""
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.005)
