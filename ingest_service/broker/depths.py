"""How many messages wait in a queue."""

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import AMQPError

from ingest_service.broker.consumer import RPC_SECONDS


async def depth(connection: AbstractConnection, queue: str) -> int | None:
    """Messages that no consumer holds; None where the queue cannot be asked."""
    try:
        # A look at a queue that is missing closes its channel: each has one of its own.
        async with connection.channel(publisher_confirms=False) as channel:
            declared = await channel.declare_queue(queue, passive=True, timeout=RPC_SECONDS)
    except (AMQPError, OSError, TimeoutError, RuntimeError):
        return None
    return declared.declaration_result.message_count
