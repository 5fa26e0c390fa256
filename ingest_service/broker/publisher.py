"""Publishes with confirms: a message is sent when the broker has it in a queue and on disk."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType

from ingest_service.broker.confirms import ConfirmingChannel, confirming
from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.errors import UserError
from ingest_service.events.contract import EXCHANGE

CONFIRM_SECONDS = 30


class NotConfirmed(UserError):
    """A message was not confirmed: it may or may not be in the queue, so it must be published again."""


class Publisher:
    """Publishes to an exchange, by default that of the events, over a connection without consumers.

    While RabbitMQ is low on memory or disk it stops reading from connections that publish. Acknowledgements on the same
    connection would not arrive, and the backlog that caused the alarm could not drain.

    The connection is opened on first use, and reopened after it was lost.
    """

    def __init__(self, url: str, name: str, exchange: str = EXCHANGE) -> None:
        self._url = url
        self._name = name
        self._exchange = exchange
        self._channel: ConfirmingChannel | None = None
        self._open = AsyncExitStack()
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> "Publisher":
        """Connect now. Raises BrokerUnavailable."""
        await self._ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def blocked(self) -> str | None:
        """Why the broker blocks publishers, in its words; None while it does not, or before the first connection."""
        return self._channel.blocked if self._channel is not None and not self._channel.closed else None

    async def send(self, messages: Sequence[Message]) -> PublishResult:
        """Publish a batch, and return the outcome of each message: UNKNOWN while the broker is unavailable."""
        try:
            channel = await self._ready()
        except BrokerUnavailable as error:
            return PublishResult([Outcome.UNKNOWN] * len(messages), str(error))
        published = await channel.publish(messages, CONFIRM_SECONDS)
        if Outcome.REFUSED in published.outcomes:
            # RabbitMQ 3.10 keeps nacking on this channel after a queue's limit has been lifted.
            channel.end("it was nacked")
        return published

    async def publish(
        self, routing_key: str, bodies: Sequence[bytes], headers: Sequence[Mapping[str, str | int]] | None = None
    ) -> None:
        """Publish all bodies, and return when each is confirmed. Raises NotConfirmed if one is not."""
        own = headers if headers is not None else [{}] * len(bodies)
        messages = [Message(routing_key, body, each) for body, each in zip(bodies, own, strict=True)]
        published = await self.send(messages)
        if not published.confirmed:
            raise NotConfirmed(f"the broker did not confirm every message: {published.trouble}")

    async def close(self) -> None:
        """Close the connection, if it is open."""
        async with self._opening:
            self._channel = None
            await self._open.aclose()

    async def _ready(self) -> ConfirmingChannel:
        """The channel, on a new connection if the last one has ended. Raises BrokerUnavailable."""
        async with self._opening:
            if self._channel is None or self._channel.closed:
                self._channel = None
                await self._open.aclose()
                self._channel = await self._open.enter_async_context(confirming(self._url, self._name, self._exchange))
            return self._channel
