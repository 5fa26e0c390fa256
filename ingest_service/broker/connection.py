"""Opens and closes connections to the broker; errors name the setting and the way out."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import cast

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import (
    AMQPConnectionError,
    AMQPError,
    AuthenticationError,
    ConnectionClosed,
    ProbableAuthenticationError,
)
from yarl import URL

from ingest_service.broker.transport import ReadConnection, Reader, Unread
from ingest_service.errors import UserError
from ingest_service.urls import hosts_at_random, redacted

CONNECT_SECONDS = 10
HEARTBEAT_SECONDS = 20
"""A vanished peer is noticed within about two heartbeats. The URL may override this with `?heartbeat=`."""
CLOSE_SECONDS = 5

CONNECTION_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError)
"""What aio-pika and aiormq raise when a connection or a channel fails; RuntimeError means that it is closed."""


class BrokerUnavailable(UserError):
    """The broker cannot be used now; the message gives the reason and names the URL without its password."""


@contextmanager
def cancellations_are_losses() -> Iterator[None]:
    """Raise ConnectionResetError where aiormq cancels what waits for an answer on a connection that it has lost.

    When its reader was cancelled, aiormq ends all that waits with CancelledError, as if the caller were to end. A task
    that is being cancelled ends, of course.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise ConnectionResetError("the connection was lost") from error


async def connect(url: str, name: str, reader: Reader | None = None) -> ReadConnection:
    """Open a connection that does not reconnect by itself; `name` is shown in the broker's management UI.

    Of several hosts, the first one that answers, in random order: so clients share the nodes of a cluster. Frames that
    `reader` consumes bypass aio-pika (transport.py). Raises BrokerUnavailable.
    """
    failures = []
    for host in hosts_at_random(url):
        try:
            return await _connect(host, name, reader)
        except BrokerUnavailable as error:
            failures.append(str(error))
    raise BrokerUnavailable("; ".join(failures))


async def _connect(url: str, name: str, reader: Reader | None) -> ReadConnection:
    shown = redacted(url)
    try:
        with cancellations_are_losses():
            return cast(
                ReadConnection,
                await aio_pika.connect(
                    _with_heartbeat(url),
                    client_properties={"connection_name": name},
                    timeout=CONNECT_SECONDS,
                    connection_class=partial(ReadConnection, reader or Unread()),
                ),
            )
    except (AuthenticationError, ProbableAuthenticationError):
        raise BrokerUnavailable(
            f"AMQP_URL: {shown} refused the user's password, or the user may not use this virtual host"
        ) from None
    except (ConnectionClosed, AMQPError) as error:
        if isinstance(error, AMQPConnectionError) and not isinstance(error, ConnectionClosed):
            raise BrokerUnavailable(f"AMQP_URL: no broker answers at {shown} ({_reason(error)})") from None
        raise BrokerUnavailable(f"AMQP_URL: {shown} closed the connection: {_reason(error)}") from None
    except StopAsyncIteration:
        # aiormq raises this when the peer closes before it has read the first frame.
        raise BrokerUnavailable(f"AMQP_URL: {shown} closed the connection without a reason") from None
    except (OSError, TimeoutError) as error:
        raise BrokerUnavailable(f"AMQP_URL: no broker answers at {shown} ({_reason(error)})") from None


@asynccontextmanager
async def connected(url: str, name: str, reader: Reader | None = None) -> AsyncIterator[ReadConnection]:
    """Open a connection as `connect` does, and close it at the end."""
    connection = await connect(url, name, reader)
    try:
        yield connection
    finally:
        await close(connection)


def is_alive(connection: AbstractConnection) -> bool:
    """Whether the connection can still be used. aio-pika's own `is_closed` only says whether we closed it."""
    return connection.connected.is_set()


def server_version(connection: AbstractConnection) -> str:
    """The broker's version, which it sends when a connection is opened."""
    assert connection.transport is not None, "the connection is open"
    return str(connection.transport.connection.server_properties.get("version", "unknown"))


async def close(closing: AbstractConnection | AbstractChannel) -> None:
    """Close with the AMQP handshake, but wait for it only briefly: the broker may be gone."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            with cancellations_are_losses():
                await closing.close()
    except CONNECTION_ERRORS:
        return  # it is closed either way


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


def _with_heartbeat(url: str) -> URL:
    parsed = URL(url)
    return parsed if "heartbeat" in parsed.query else parsed.update_query(heartbeat=HEARTBEAT_SECONDS)
