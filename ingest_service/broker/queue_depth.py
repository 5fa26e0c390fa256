"""Asks the broker how many messages are ready in a queue."""

import asyncio

from aio_pika.abc import AbstractConnection

from ingest_service.broker.connection import CONNECTION_ERRORS
from ingest_service.broker.consumer import RPC_SECONDS

_LOOKS = 3
_LOOK_SECONDS = 0.3


async def is_empty(connection: AbstractConnection, queue: str) -> bool:
    """Whether a queue is empty, by several checks: a busy quorum queue may report 0 when it has no time to count."""
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_SECONDS)
        if await depth(connection, queue) != 0:
            return False
    return True


async def depth(connection: AbstractConnection, queue: str) -> int | None:
    """The number of ready messages; None if the queue cannot be queried."""
    try:
        # Declaring a missing queue passively closes the channel: each query has its own.
        async with connection.channel(publisher_confirms=False) as channel:
            declared = await channel.declare_queue(queue, passive=True, timeout=RPC_SECONDS)
    except CONNECTION_ERRORS:
        return None
    return declared.declaration_result.message_count
