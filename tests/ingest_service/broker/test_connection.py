"""A connection that is lost, as aiormq reports it to whoever waits for an answer."""

import asyncio
from collections.abc import Mapping
from urllib.parse import urlsplit

import pytest

from ingest_service.broker.connection import cancellations_are_losses, connected
from tests.harness.proxy import Proxy, through


async def test_an_answer_that_never_comes_because_aiormq_stopped_reading_is_a_lost_connection(
    stack: Mapping[str, str],
) -> None:
    """The worker is not cancelled: it is to connect again."""
    server = urlsplit(stack["AMQP_URL"])
    with Proxy(str(server.hostname), server.port or 0) as proxy:
        proxy.open()
        async with connected(through(proxy, stack["AMQP_URL"]), "test") as connection:
            proxy.stall()
            opening = asyncio.create_task(connection.channel().initialize())
            await asyncio.sleep(0)
            assert connection.transport is not None
            connection.transport.connection._reader_task.cancel()  # as it does itself when it cannot go on
            with pytest.raises(ConnectionResetError) as raised, cancellations_are_losses():
                await opening
            assert isinstance(raised.value.__cause__, asyncio.CancelledError)


async def wait_for_ever() -> None:
    with cancellations_are_losses():
        await asyncio.Event().wait()


async def test_a_task_that_is_cancelled_ends() -> None:
    task = asyncio.create_task(wait_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_deadline_stays_a_deadline() -> None:
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(wait_for_ever(), 0.01)
