"""A crawler for the kill test: emits events 0, 1, 2, ... and prints its counters. Arguments: URL, spool, events."""

import asyncio
import sys
from uuid import UUID

from ingest_service.publisher import EventPublisher


async def crawl(url: str, spool: str, events: int) -> None:
    async with EventPublisher(url, spool, in_flight=20, segment_bytes=20_000) as publisher:
        counters = publisher.counters
        for number in range(events):
            order = {"source": "s", "platform": "p", "platform_order_id": str(number), "store": "s"}
            await publisher.emit("order_log", {"event_id": str(UUID(int=number)), **order})
            if number % 50 == 0:
                await asyncio.sleep(0)
                print(counters.spooled, counters.sent, flush=True)
        while True:
            await asyncio.sleep(0.005)
            print(counters.spooled, counters.sent, flush=True)


asyncio.run(crawl(sys.argv[1], sys.argv[2], int(sys.argv[3])))
