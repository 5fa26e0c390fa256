"""How many messages wait in a queue."""

import asyncio

from aio_pika.abc import AbstractConnection

from ingest_service.broker.connection import CONNECTION_ERRORS
from ingest_service.broker.consumer import RPC_SECONDS

_LOOKS = 3
_LOOK_SECONDS = 0.3


async def is_empty(connection: AbstractConnection, queue: str) -> bool:
    """Whether nothing waits in a queue, by more than one look: a quorum queue that is busy says 0 for want of time."""
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_SECONDS)
        if await depth(connection, queue) != 0:
            return False
    return True


async def depth(connection: AbstractConnection, queue: str) -> int | None:
    """Messages that no consumer holds; None where the queue cannot be asked."""
    try:
        # A look at a queue that is missing closes its channel: each has one of its own.
        async with connection.channel(publisher_confirms=False) as channel:
            declared = await channel.declare_queue(queue, passive=True, timeout=RPC_SECONDS)
    except CONNECTION_ERRORS:
        return None
    return declared.declaration_result.message_count
