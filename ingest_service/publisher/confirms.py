"""Publishing many events at once over one channel, and what the broker said about each."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from enum import Enum

from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity, DeliveryError
from aiormq.channel import Channel
from pamqp.commands import Basic

from ingest_service.broker.connection import close, connected
from ingest_service.events.contract import EXCHANGE
from ingest_service.publisher.record import Record

OPEN_SECONDS = 10


class Fate(Enum):
    """What became of a published event."""

    CONFIRMED = "the broker has it"
    REFUSED = "the broker returned it (no queue is bound) or nacked it (a queue is full): sent again later"
    UNKNOWN = "no answer: it may be in the queue or not, and is sent again"


class Flight:
    """Events published together. Until the broker answers, the fate of each is UNKNOWN."""

    def __init__(self, records: Sequence[Record]) -> None:
        self.records = records
        self.fates = [Fate.UNKNOWN] * len(records)
        self.trouble = ""
        """What the broker said against one of them."""

    def of(self, fate: Fate) -> list[Record]:
        """The events that had a fate, in order."""
        return [record for record, own in zip(self.records, self.fates, strict=True) if own is fate]


class ConfirmingChannel:
    """A channel in confirm mode."""

    def __init__(self, channel: Channel, confirm_seconds: float) -> None:
        self._channel = channel
        self._confirm_seconds = confirm_seconds

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return self._channel.is_closed

    def when_closed(self, call: Callable[[], None]) -> None:
        """Call something once when the channel closes, whoever closes it."""
        self._channel.closing.add_done_callback(lambda _closing: call())

    async def fly(self, flight: Flight) -> None:
        """Publish the events of a flight, all in flight together, and note their fates in it. Never raises."""
        try:
            async with asyncio.timeout(self._confirm_seconds):
                # With exceptions as values: a confirmation that aiormq cancels must not look as if we were cancelled.
                publishes = (self._publish(flight, position) for position in range(len(flight.records)))
                await asyncio.gather(*publishes, return_exceptions=True)
        except TimeoutError:
            flight.trouble = f"the broker did not confirm within {self._confirm_seconds:g} s"

    async def _publish(self, flight: Flight, position: int) -> None:
        record = flight.records[position]
        try:
            # Without waiting for the socket: the frames of many publishes go out in one write.
            await self._channel.basic_publish(
                record.body,
                exchange=EXCHANGE,
                routing_key=record.routing_key,
                properties=Basic.Properties(delivery_mode=2, content_type="application/json"),
                mandatory=True,
                wait=False,
            )
        except DeliveryError as error:
            flight.fates[position] = Fate.REFUSED
            flight.trouble = f"routing key {record.routing_key!r}: {_answer(error)}"
        except ChannelNotFoundEntity:
            flight.trouble = f"there is no exchange {EXCHANGE!r}: gcc-ingest init creates it"
        except (AMQPError, OSError, RuntimeError) as error:
            flight.trouble = flight.trouble or f"{type(error).__name__}: {error}"
        else:
            flight.fates[position] = Fate.CONFIRMED


@asynccontextmanager
async def confirming(url: str, confirm_seconds: float) -> AsyncIterator[ConfirmingChannel]:
    """A connection and a channel of it. Raises BrokerUnavailable, or what aio-pika raises when the channel fails."""
    async with connected(url, "gcc event publisher") as connection:
        outer = connection.channel(publisher_confirms=True, on_return_raises=True)
        await outer.initialize(timeout=OPEN_SECONDS)
        try:
            channel = await outer.get_underlay_channel()
            assert isinstance(channel, Channel)
            yield ConfirmingChannel(channel, confirm_seconds)
        finally:
            await close(outer)


def _answer(error: DeliveryError) -> str:
    if isinstance(error.frame, Basic.Return):
        return f"returned, {error.frame.reply_text}. Is its queue bound? gcc-ingest init creates it"
    return "nacked: its queue takes no more"
