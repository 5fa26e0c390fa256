"""Queues: how many messages wait in a type's queue and error queue, whether something consumes them, and strays."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gcc_platform.raw_checks.finding import Finding
from ingest_service.broker.connection import CONNECTION_ERRORS, BrokerUnavailable, connected
from ingest_service.broker.queue_depth import QueueState, states

_SECONDS = 20


@dataclass(frozen=True)
class Queues:
    """The states of all queues, or why they are unknown."""

    states: Mapping[str, QueueState | None]
    """None: the queue does not exist."""
    unknown: str = ""


def measure(url: str, names: Iterable[str]) -> Queues:
    """The states of the queues. A broker that does not answer raises nothing: the watch reports it."""
    try:
        return Queues(asyncio.run(_states(url, list(names))))
    except BrokerUnavailable as error:
        return Queues({}, str(error))
    except CONNECTION_ERRORS as error:
        return Queues({}, f"the connection failed: {error or type(error).__name__}")


async def _states(url: str, names: list[str]) -> Mapping[str, QueueState | None]:
    async with asyncio.timeout(_SECONDS), connected(url, "gcc-platform raw checks") as connection:
        return await states(connection, names)


def check(queues: Queues, queue: str, error_queue: str) -> Finding:
    """Fails if the queue is missing, unknown, or nothing consumes it."""
    state, errors = queues.states.get(queue), queues.states.get(error_queue)
    if queues.unknown or state is None:
        why = queues.unknown or f"RabbitMQ has no queue {queue}: gcc-ingest init creates it"
        return Finding("queue", False, why)
    waiting = errors.ready if errors else 0
    return Finding(
        "queue",
        state.consumers > 0,
        f"{state.ready} messages wait, {state.consumers} consumers; {waiting} dead letters wait for the archive",
        {"queue_depth": state.ready, "consumers": state.consumers, "dead_letters_waiting": waiting},
    )


def check_unroutable(queues: Queues, queue: str) -> Finding:
    """Fails if messages with an unknown routing key wait, or the queue is missing or unknown."""
    state = queues.states.get(queue)
    if queues.unknown or state is None:
        return Finding("empty", False, queues.unknown or f"RabbitMQ has no queue {queue}: gcc-ingest init creates it")
    return Finding(
        "empty",
        state.ready == 0,
        f"{state.ready} messages have a routing key of no queue",
        {"queue_depth": state.ready},
    )
