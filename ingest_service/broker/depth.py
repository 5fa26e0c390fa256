"""How many messages wait in a queue."""

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from ingest_service.broker.connection import close
from ingest_service.broker.consumer import RPC_SECONDS, QueueMissing


async def waiting(connection: AbstractConnection, queue: str) -> int:
    """Messages that are in the queue and with no consumer. Raises QueueMissing, or what aio-pika raises."""
    outer = connection.channel(publisher_confirms=False)
    await outer.initialize(timeout=RPC_SECONDS)
    try:
        channel = await outer.get_underlay_channel()  # aio-pika's own answer may be an old one
        declared = await channel.queue_declare(queue, passive=True, timeout=RPC_SECONDS)
    except ChannelNotFoundEntity:
        raise QueueMissing(f"there is no queue {queue!r}: gcc-ingest init creates it") from None
    finally:
        await close(outer)
    return declared.message_count or 0
