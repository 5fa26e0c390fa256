"""Queues and raw tables with nothing in them."""

import asyncio
from collections.abc import Mapping

from ingest_service.broker import topology
from ingest_service.broker.connection import connected
from ingest_service.events.registry import EVENT_TYPES
from ingest_service.schema.inventory import DEAD_LETTER_REPLAYS, DEAD_LETTERS, LEDGER
from tests.harness.running import query


def empty(environment: Mapping[str, str]) -> None:
    """Purge every queue and truncate every raw table, the ledger and the tables of dead letters."""
    asyncio.run(_purge(environment["AMQP_URL"]))
    for each in EVENT_TYPES.values():
        query(environment["CLICKHOUSE_URL"], f"TRUNCATE TABLE {each.table}")
    for name in (LEDGER, DEAD_LETTERS, DEAD_LETTER_REPLAYS):
        query(environment["CLICKHOUSE_URL"], f"TRUNCATE TABLE {name}")


async def _purge(url: str) -> None:
    async with connected(url, "tests") as connection, connection.channel() as channel:
        for name in topology.queues(EVENT_TYPES.values()):
            queue = await channel.get_queue(name, ensure=False)
            await queue.purge()
