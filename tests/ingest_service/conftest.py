"""The ingest service's part of the stack: topology and tables, empty before each test that asks for them."""

import asyncio
from collections.abc import Mapping

import pytest

from ingest_service.broker.connection import connected
from ingest_service.broker.topology import UNROUTABLE_QUEUE
from ingest_service.events.registry import EVENT_TYPES
from tests.ingest_service import running


@pytest.fixture(scope="session")
def initialised(stack: Mapping[str, str]) -> Mapping[str, str]:
    """The stack's environment, with topology and tables made by `gcc-ingest init`."""
    done = running.run(stack, "init")
    assert done.returncode == 0, done.stderr.decode()
    return stack


@pytest.fixture
def environment(initialised: Mapping[str, str]) -> Mapping[str, str]:
    """The same, with every queue and raw table empty."""
    asyncio.run(_purge(initialised["AMQP_URL"]))
    for each in EVENT_TYPES.values():
        running.query(initialised["CLICKHOUSE_URL"], f"TRUNCATE TABLE {each.table}")
    return initialised


async def _purge(url: str) -> None:
    queues = [UNROUTABLE_QUEUE]
    for each in EVENT_TYPES.values():
        queues += [each.queue, each.error_queue]
    async with connected(url, "tests") as connection, connection.channel() as channel:
        for name in queues:
            queue = await channel.get_queue(name, ensure=False)
            await queue.purge()
