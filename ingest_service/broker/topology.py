"""The exchange, queues and bindings of the event contract."""

from collections.abc import Iterable
from dataclasses import dataclass

from aio_pika import ExchangeType
from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity
from aiormq.abc import ArgumentsType

from ingest_service.events.contract import EXCHANGE, EventType

UNROUTABLE_EXCHANGE = "beat.unroutable"
UNROUTABLE_QUEUE = "beat.unroutable_q"
"""Receives messages whose routing key has no queue; the broker would drop them silently."""

QUEUE_ARGUMENTS: ArgumentsType = {"x-queue-type": "quorum"}
"""What `declare` creates every queue with; besides, every queue is durable."""


def queues(event_types: Iterable[EventType]) -> tuple[str, ...]:
    """The names of all queues that `declare` creates."""
    return (UNROUTABLE_QUEUE, *(name for each in event_types for name in (each.queue, each.error_queue)))


@dataclass(frozen=True)
class Declared:
    """The exchanges and queues that `declare` created, and those that existed."""

    created: tuple[str, ...]
    existing: tuple[str, ...]


async def declare(connection: AbstractConnection, event_types: Iterable[EventType]) -> Declared:
    """Create and bind the exchanges and queues that are missing; idempotent.

    An existing exchange or queue is used as it is, whatever its arguments: declaring it with other ones would be
    refused (406), and its owner chose them.
    """
    topology = _Declaration(connection)
    await topology.exchange(UNROUTABLE_EXCHANGE, ExchangeType.FANOUT, {})
    await topology.exchange(EXCHANGE, ExchangeType.DIRECT, {"alternate-exchange": UNROUTABLE_EXCHANGE})
    await topology.queue(UNROUTABLE_QUEUE, UNROUTABLE_EXCHANGE, "")
    for event_type in event_types:
        await topology.queue(event_type.queue, EXCHANGE, event_type.routing_key)
        await topology.queue(event_type.error_queue, EXCHANGE, event_type.error_queue)
    return Declared(tuple(topology.created), tuple(topology.existing))


class _Declaration:
    def __init__(self, connection: AbstractConnection) -> None:
        self._connection = connection
        self.created: list[str] = []
        self.existing: list[str] = []

    async def exchange(self, name: str, kind: ExchangeType, arguments: ArgumentsType) -> None:
        # A failed passive declaration closes its channel: each declaration has its own.
        try:
            async with self._connection.channel() as channel:
                await channel.get_exchange(name, ensure=True)
            self.existing.append(name)
        except ChannelNotFoundEntity:
            async with self._connection.channel() as channel:
                await channel.declare_exchange(name, kind, durable=True, arguments=arguments)
            self.created.append(name)

    async def queue(self, name: str, exchange: str, routing_key: str) -> None:
        try:
            async with self._connection.channel() as channel:
                await channel.get_queue(name, ensure=True)
            self.existing.append(name)
        except ChannelNotFoundEntity:
            async with self._connection.channel() as channel:
                await channel.declare_queue(name, durable=True, arguments=QUEUE_ARGUMENTS)
            self.created.append(name)
        async with self._connection.channel() as channel:
            queue = await channel.get_queue(name, ensure=False)
            await queue.bind(exchange, routing_key)
