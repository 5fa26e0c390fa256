"""Asks the broker how many messages are ready in a queue, and how many consumers it has."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from ingest_service.broker.connection import CONNECTION_ERRORS, cancellations_are_losses
from ingest_service.broker.consumer import RPC_SECONDS

_LOOKS = 3
_LOOK_SECONDS = 0.3


@dataclass(frozen=True)
class QueueState:
    """A queue as the broker describes it."""

    ready: int
    """Messages that no consumer holds."""
    consumers: int


async def states(connection: AbstractConnection, queues: Iterable[str]) -> Mapping[str, QueueState | None]:
    """The state of each queue; None if it does not exist. Raises one of CONNECTION_ERRORS."""
    return {queue: await _state(connection, queue) for queue in queues}


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
        state = await _state(connection, queue)
    except CONNECTION_ERRORS:
        return None
    return state.ready if state else None


async def _state(connection: AbstractConnection, queue: str) -> QueueState | None:
    try:
        # Declaring a missing queue passively closes the channel: each query has its own.
        with cancellations_are_losses():
            async with connection.channel(publisher_confirms=False) as channel:
                declared = await channel.declare_queue(queue, passive=True, timeout=RPC_SECONDS)
    except ChannelNotFoundEntity:
        return None
    result = declared.declaration_result
    return QueueState(result.message_count or 0, result.consumer_count or 0)
