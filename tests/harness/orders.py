"""Orders, the smallest events, and any bodies published to the broker."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from ingest_service.broker.publisher import Publisher


def publish(environment: Mapping[str, str], routing_key: str, *bodies: bytes) -> None:
    """Publish bodies under a routing key, confirmed."""

    async def send() -> None:
        async with Publisher(environment["AMQP_URL"], "tests") as publisher:
            await publisher.publish(routing_key, bodies)

    asyncio.run(send())


def order(number: int, **changes: Any) -> bytes:
    """The body of an order with a number."""
    event = {
        "event_id": f"00000000-0000-4000-8000-{number:012d}",
        "source": "shopify_api",
        "platform": "SHOPIFY",
        "platform_order_id": f"O{number}",
        "store": "one",
        "event_timestamp": "2026-01-15 09:30:00",
        "metrics": {"amount": number},
        "dimensions": {},
    }
    return json.dumps({**event, **changes}).encode()
