"""Events emitted by a publisher, and looks at its counters and its spool."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ingest_service.publisher import EventPublisher
from ingest_service.publisher.counters import Counters

NOWHERE = "amqp://user:s3cret@127.0.0.1:1/"


def order(number: int, **more: object) -> dict[str, Any]:
    return {"source": "s", "platform": "SHOPIFY", "platform_order_id": str(number), "store": "s", **more}


def segments(spool: Path) -> list[Path]:
    return list(spool.glob("*.spool"))


def numbers(events: list[dict[str, Any]]) -> list[int]:
    return [int(each["platform_order_id"]) for each in events]


def adds_up(counters: Counters) -> bool:
    places = (counters.sent, counters.in_memory, counters.in_spool, counters.dropped)
    return min(places) >= 0 and counters.accepted == sum(places)


@asynccontextmanager
async def always_adding_up(counters: Counters) -> AsyncIterator[None]:
    """Looks at the counters in every turn of the loop."""

    async def look() -> None:
        while True:
            assert adds_up(counters), counters
            await asyncio.sleep(0)

    looking = asyncio.create_task(look())
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.wait([looking])
        assert looking.cancelled()


async def emit(publisher: EventPublisher, first: int, end: int) -> None:
    for number in range(first, end):
        await publisher.emit("order_log", order(number))
