"""Publishing with confirms: a message counts as sent when the broker has it on disk and in a queue."""

import asyncio
from collections.abc import Mapping, Sequence
from types import TracebackType

from aio_pika import DeliveryMode, Message
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, HeadersType
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, DeliveryError

from ingest_service.broker.connection import close
from ingest_service.events.contract import EXCHANGE

CONFIRM_SECONDS = 30


class NotConfirmed(Exception):
    """The broker did not take a message: it may or may not be in the queue, so it must be sent again."""


class Publisher:
    """Publishes to an exchange, the events' by default, over one channel in confirm mode."""

    def __init__(self, connection: AbstractConnection, exchange: str = EXCHANGE) -> None:
        self._connection = connection
        self._name = exchange
        self._channel: AbstractChannel | None = None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> "Publisher":
        await self._exchange()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._channel is not None:
            await close(self._channel)

    async def publish(
        self, routing_key: str, bodies: Sequence[bytes], headers: Sequence[Mapping[str, str | int]] | None = None
    ) -> None:
        """Send all bodies and return when every one is confirmed. Raises NotConfirmed for the first that is not."""
        parts: Sequence[Mapping[str, str | int]] = headers if headers is not None else [{}] * len(bodies)
        outcomes = await asyncio.gather(
            *(self._publish(routing_key, body, dict(own)) for body, own in zip(bodies, parts, strict=True)),
            return_exceptions=True,
        )
        for outcome in outcomes:
            if isinstance(outcome, BaseException):
                raise outcome

    async def _publish(self, routing_key: str, body: bytes, headers: HeadersType) -> None:
        message = Message(body, headers=headers, content_type="application/json", delivery_mode=DeliveryMode.PERSISTENT)
        try:
            exchange = await self._exchange()
            await exchange.publish(message, routing_key, mandatory=True, timeout=CONFIRM_SECONDS)
        except DeliveryError as error:
            raise NotConfirmed(
                f"the broker returned a message for routing key {routing_key!r} of exchange {self._name!r}: {error}. "
                "Is a queue bound to it? gcc-ingest init creates them"
            ) from None
        except ChannelNotFoundEntity:
            raise NotConfirmed(f"there is no exchange {self._name!r}: gcc-ingest init creates it") from None
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            raise NotConfirmed(f"the broker did not confirm a message ({type(error).__name__}: {error})") from None

    async def _exchange(self) -> AbstractExchange:
        """The exchange, on a channel that is opened again if an error has closed it."""
        async with self._opening:
            if self._channel is None or self._channel.is_closed:
                self._channel = self._connection.channel(publisher_confirms=True, on_return_raises=True)
                await self._channel.initialize(timeout=CONFIRM_SECONDS)
            return await self._channel.get_exchange(self._name, ensure=False)
