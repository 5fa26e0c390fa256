"""Publishes batches of messages over one channel, with the broker's confirm for each message.

The frames of a batch are written to the socket together, and confirms are read from the stream by range. aio-pika makes
a task, a lock and a future for each message, and waits for ever when the connection is cut.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

from ingest_service.broker.confirm_reader import ConfirmReader, PublishBatch
from ingest_service.broker.connection import (
    CONNECTION_ERRORS,
    BrokerUnavailable,
    cancellations_are_losses,
    close,
    connect,
)
from ingest_service.broker.publish_frames import publish_frames
from ingest_service.broker.published import Message, Outcome, PublishResult
from ingest_service.events.contract import EXCHANGE

OPEN_SECONDS = 10
_PIECE_BYTES = 256 * 1024
"""Bytes written before waiting for the socket to drain."""


class ConfirmingChannel:
    """A channel in confirm mode. Several tasks may publish over it concurrently."""

    def __init__(
        self, writer: asyncio.StreamWriter, reader: ConfirmReader, channel: int, frame_max: int, exchange: str
    ) -> None:
        self._writer = writer
        self._reader = reader
        self._channel = channel
        self._frame_max = frame_max
        self._exchange = exchange
        self._tag = 0
        self._writing = asyncio.Lock()
        self._changed = asyncio.Event()
        self._when_closed: list[Callable[[], None]] = []
        self._over = ""
        reader.changed = self._look

    @property
    def closed(self) -> bool:
        """Whether it can no longer be used."""
        return bool(self._over)

    @property
    def blocked(self) -> str | None:
        """Why the broker blocks publishers, in its words (low on memory, low on disk); None while it does not."""
        return self._reader.blocked

    def when_closed(self, call: Callable[[], None]) -> None:
        """Call a function once when the channel ends; immediately if it has ended."""
        if self.closed:
            call()
        else:
            self._when_closed.append(call)

    def end(self, why: str) -> None:
        """Note the end of the channel: pending confirms stay UNKNOWN."""
        if self._over:
            return
        self._over = why or "the connection was lost"
        for batch in self._reader.batches_in_flight:
            if not batch.done.done():
                batch.done.set_result(None)
        self._look()
        for call in self._when_closed:
            call()
        self._when_closed.clear()

    async def publish(self, messages: Sequence[Message], seconds: float) -> PublishResult:
        """Publish messages as one batch, and return the outcome of each within `seconds`.

        Returns immediately when the channel ends. While the broker blocks publishers nothing is written, and the rest
        of the batch is UNKNOWN. Errors of the broker are outcomes, not exceptions.
        """
        if not messages:
            return PublishResult((), "")
        batch: PublishBatch | None = None
        trouble = ""
        try:
            async with asyncio.timeout(seconds):
                async with self._writing:
                    await self._takes_something()
                    if self.closed:
                        return PublishResult([Outcome.UNKNOWN] * len(messages), self._over)
                    batch = self._start(messages)
                    await self._write(batch)
                await batch.done
        except TimeoutError:
            trouble = f"the broker did not confirm within {seconds:g} s"
        except OSError as error:
            trouble = f"the connection was lost ({type(error).__name__})"
        finally:
            if batch is not None:
                self._reader.batches_in_flight.remove(batch)
        outcomes = [Outcome.UNKNOWN] * len(messages) if batch is None else batch.outcomes
        if Outcome.UNKNOWN in outcomes:
            blocked = self.blocked and f"the broker takes no messages: {self.blocked}"
            trouble = self._over or blocked or trouble
        elif batch is not None:
            trouble = batch.trouble
        return PublishResult(outcomes, trouble)

    async def _takes_something(self) -> None:
        while self.blocked is not None and not self.closed:
            self._changed.clear()
            await self._changed.wait()

    def _start(self, messages: Sequence[Message]) -> PublishBatch:
        done = asyncio.get_running_loop().create_future()
        batch = PublishBatch(messages, self._tag + 1, done)
        self._tag += len(messages)
        self._reader.batches_in_flight.append(batch)
        return batch

    async def _write(self, batch: PublishBatch) -> None:
        """Write all frames, at the socket's pace. An interruption closes the channel: its tags are then uncertain."""
        piece: list[bytes] = []
        size = written = 0
        try:
            for message in batch.messages:
                if self.closed:
                    return
                frames = publish_frames(
                    self._channel, self._exchange, message.routing_key, message.body, message.headers, self._frame_max
                )
                piece.append(frames)
                size += len(frames)
                if size >= _PIECE_BYTES:
                    written += self._send(piece)
                    size = 0
                    await self._writer.drain()
                    await asyncio.sleep(0)  # drain does not yield while there is room
            written += self._send(piece)
            await self._writer.drain()
        finally:
            if written < len(batch.messages):
                # Tags were assigned to messages that were not written, so later confirms could not be attributed.
                self.end("a publish was given up half-way")

    def _send(self, piece: list[bytes]) -> int:
        count = len(piece)
        if not self.closed:
            self._writer.write(b"".join(piece))
        piece.clear()
        return count

    def _look(self) -> None:
        self._changed.set()
        if self._reader.over:
            self.end(self._reader.over)


@asynccontextmanager
async def confirming(url: str, name: str, exchange: str = EXCHANGE) -> AsyncIterator[ConfirmingChannel]:
    """A connection that only publishes, and its channel; `name` is shown in the broker's management UI.

    Raises BrokerUnavailable.
    """
    reader = ConfirmReader()
    connection = await connect(url, name, reader)
    try:
        try:
            with cancellations_are_losses():
                outer = connection.channel(publisher_confirms=True)
                await outer.initialize(timeout=OPEN_SECONDS)
                underlay = await outer.get_underlay_channel()
        except CONNECTION_ERRORS as error:
            raise BrokerUnavailable(
                f"AMQP_URL: no channel could be opened ({str(error) or type(error).__name__})"
            ) from None
        frame_max = underlay.connection.connection_tune.frame_max
        channel = ConfirmingChannel(connection.writer, reader, underlay.number, frame_max, exchange)
        reader.watch(underlay.number)
        underlay.closing.add_done_callback(lambda _closing: channel.end(reader.over))
        connection.stream.when_lost(lambda: channel.end(reader.over))  # long before aiormq has closed its own objects
        yield channel
        channel.end("it was closed")
    finally:
        await close(connection)
