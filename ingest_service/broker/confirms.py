"""Publishing many messages at once over one channel, and what the broker said about each.

The frames of a batch are written to the socket at once and confirms are taken out of the stream by range: aio-pika
makes a task, a lock and a future for each message, and waits in them for ever when the connection is cut.
"""

import asyncio
import struct
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum

from aio_pika.exceptions import AMQPError

from ingest_service.broker.connection import BrokerUnavailable, close, connect
from ingest_service.broker.frames import publish_frames
from ingest_service.broker.framing import FrameError
from ingest_service.events.contract import EXCHANGE

OPEN_SECONDS = 10
_PIECE_BYTES = 256 * 1024
"""Written at once; then the socket must take it before more is encoded."""

_METHOD, _HEADER, _BODY = 1, 2, 3
_END = 0xCE
_OVERHEAD = 8
_PROTOCOL_HEADER = b"AMQP"
_HEAD = struct.Struct(">BHI").unpack_from  # type, channel, size of the payload
_TAG = struct.Struct(">QB").unpack_from  # delivery tag; bit 0: multiple
_CODE = struct.Struct(">H").unpack_from
_SIZE = struct.Struct(">Q").unpack_from
_ACK, _NACK, _RETURN = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78", b"\x00\x3c\x00\x32"
_CHANNEL_CLOSE, _CONNECTION_CLOSE = b"\x00\x14\x00\x28", b"\x00\x0a\x00\x32"
_BLOCKED, _UNBLOCKED = b"\x00\x0a\x00\x3c", b"\x00\x0a\x00\x3d"
_MOST_FRAME = 2**29  # RabbitMQ's limit for a whole message


class Outcome(Enum):
    """What became of a published message."""

    CONFIRMED = "the broker has it"
    REFUSED = "the broker returned it (no queue is bound) or nacked it (a queue is full)"
    UNKNOWN = "no answer: it may be in the queue or not"


@dataclass(frozen=True, slots=True)
class Message:
    """What is published: persistent, mandatory, JSON."""

    routing_key: str
    body: bytes
    headers: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Published:
    """What the broker said about messages, by their position."""

    outcomes: Sequence[Outcome]
    trouble: str
    """What it said against one of them, or why there is no answer; empty when all are confirmed."""

    @property
    def confirmed(self) -> bool:
        """Whether it has all of them."""
        return all(outcome is Outcome.CONFIRMED for outcome in self.outcomes)

    def of(self, outcome: Outcome) -> list[int]:
        """The positions of the messages with an outcome."""
        return [position for position, own in enumerate(self.outcomes) if own is outcome]


class _Flight:
    """Messages with consecutive delivery tags that wait for their confirms."""

    def __init__(self, messages: Sequence[Message], first_tag: int, done: "asyncio.Future[None]") -> None:
        self.messages = messages
        self.first_tag = first_tag
        self.outcomes = [Outcome.UNKNOWN] * len(messages)
        self.open = len(messages)
        self.done = done
        self.trouble = ""
        self.returned: set[int] = set()
        self._answered_up_to = 0
        """Positions before this one all have an answer."""

    def settle(self, tag: int, multiple: bool, outcome: Outcome) -> None:
        """An answer to the message with a tag, or to all up to it."""
        last = min(tag - self.first_tag, len(self.messages) - 1)
        if last < 0:
            return
        if multiple:
            for position in range(self._answered_up_to, last + 1):
                self._answer(position, outcome)
            self._answered_up_to = max(self._answered_up_to, last + 1)
        elif tag - self.first_tag == last:
            self._answer(last, outcome)
        if not self.open and not self.done.done():
            self.done.set_result(None)

    def return_(self, routing_key: bytes, body: bytes) -> bool:
        """The broker returns a message; its confirm follows. False if it is none of these."""
        for position, message in enumerate(self.messages):
            if (
                message.body == body
                and message.routing_key.encode() == routing_key
                and self.outcomes[position] is Outcome.UNKNOWN
                and position not in self.returned
            ):
                self.returned.add(position)
                return True
        return False

    def _answer(self, position: int, outcome: Outcome) -> None:
        if self.outcomes[position] is Outcome.UNKNOWN:
            if outcome is Outcome.REFUSED:
                self.trouble = "nacked: its queue takes no more"
            self.outcomes[position] = Outcome.REFUSED if position in self.returned else outcome
            self.open -= 1


@dataclass(slots=True)
class _Return:
    """A returned message whose frames have not all come."""

    said: str
    routing_key: bytes
    missing: int | None = None
    """Bytes of the body that have not come; None before the content header."""
    parts: list[bytes] = field(default_factory=list)


class ConfirmReader:
    """Takes the confirms of one channel out of a connection's stream, and sees what ends or blocks it."""

    def __init__(self) -> None:
        self.flights: deque[_Flight] = deque()
        self.blocked: str | None = None
        """Why the broker takes nothing at the moment; None when it does."""
        self.over = ""
        """What the broker said when it closed the channel or the connection."""
        self.changed: Callable[[], None] = lambda: None
        self.takes_much = True
        self._channel = -1
        self._tail = b""
        self._started = False
        self._returning: _Return | None = None

    def watch(self, channel: int) -> None:
        """Take the confirms of a channel from now on."""
        self._channel = channel

    def feed(self, data: bytes) -> bytes:
        """Take in what has come; the other whole frames are left. Raises FrameError."""
        data = self._tail + data
        rest: list[bytes] = []
        at, end = 0, len(data)
        if not self._started:
            self._tail = b""
            if data[:4] == _PROTOCOL_HEADER[: len(data)]:
                return data  # the broker refuses our version of the protocol; or says nothing yet
            self._started = True
        while end - at >= _OVERHEAD:
            kind, channel, size = _HEAD(data, at)
            after = at + size + _OVERHEAD
            if size > _MOST_FRAME:
                raise FrameError(f"this is no frame: type {kind}, {size} bytes")
            if after > end:
                break
            if data[after - 1] != _END:
                raise FrameError(f"a frame of type {kind} and {size} bytes does not end where it should")
            if not self._take(kind, channel, data[at + 7 : after - 1]):
                rest.append(data[at:after])
            at = after
        self._tail = data[at:]
        return b"".join(rest)

    def _take(self, kind: int, channel: int, payload: bytes) -> bool:
        """Take in a frame that is ours; False for one that is aiormq's, though we may have looked at it."""
        method = payload[:4] if kind == _METHOD else b""
        if channel == self._channel:
            if method in (_ACK, _NACK):
                self._settle(payload, Outcome.CONFIRMED if method == _ACK else Outcome.REFUSED)
                return True
            if method == _RETURN or (self._returning is not None and kind in (_HEADER, _BODY)):
                self._return(kind, payload)
                return True
        if method == _CONNECTION_CLOSE or (method == _CHANNEL_CLOSE and channel == self._channel):
            self.over = _reply_text(payload)
            self.changed()
        elif method == _BLOCKED:
            self.blocked = payload[5 : 5 + payload[4]].decode(errors="replace")
            self.changed()
        elif method == _UNBLOCKED:
            self.blocked = None
            self.changed()
        return False

    def _settle(self, payload: bytes, outcome: Outcome) -> None:
        tag, bits = _TAG(payload, 4)
        for flight in self.flights:
            if flight.first_tag > tag:
                break
            flight.settle(tag, bool(bits & 1), outcome)

    def _return(self, kind: int, payload: bytes) -> None:
        if kind == _METHOD:
            self._returning = _returned(payload)
            return
        returning = self._returning
        assert returning is not None, "a return has begun"
        if kind == _HEADER:
            returning.missing = _SIZE(payload, 4)[0]
        elif returning.missing is None:
            raise FrameError("the body of a returned message comes before its header")
        else:
            returning.parts.append(payload)
            returning.missing -= len(payload)
        if not returning.missing:
            self._returning = None
            for flight in self.flights:
                if flight.return_(returning.routing_key, b"".join(returning.parts)):
                    flight.trouble = returning.said
                    return


class ConfirmingChannel:
    """A channel in confirm mode. More than one may publish over it side by side."""

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
        """Why the broker takes nothing at the moment, in its words (low on memory, low on disk); None when it does."""
        return self._reader.blocked

    def when_closed(self, call: Callable[[], None]) -> None:
        """Call something once when it ends, or at once if it has."""
        if self.closed:
            call()
        else:
            self._when_closed.append(call)

    def end(self, why: str) -> None:
        """It has ended: whoever waits for a confirm gets none."""
        if self._over:
            return
        self._over = why or "the connection was lost"
        for flight in self._reader.flights:
            if not flight.done.done():
                flight.done.set_result(None)
        self._look()
        for call in self._when_closed:
            call()
        self._when_closed.clear()

    async def publish(self, messages: Sequence[Message], seconds: float) -> Published:
        """Publish messages together; what became of each, known at the latest after some seconds.

        Ends at once when the channel does. While the broker is blocked nothing is written: what would be is UNKNOWN.
        Raises nothing for the broker's sake.
        """
        if not messages:
            return Published((), "")
        flight: _Flight | None = None
        trouble = ""
        try:
            async with asyncio.timeout(seconds):
                async with self._writing:
                    await self._takes_something()
                    if self.closed:
                        return Published([Outcome.UNKNOWN] * len(messages), self._over)
                    flight = self._start(messages)
                    await self._write(flight)
                await flight.done
        except TimeoutError:
            trouble = f"the broker did not confirm within {seconds:g} s"
        except OSError as error:
            trouble = f"the connection was lost ({type(error).__name__})"
        finally:
            if flight is not None:
                self._reader.flights.remove(flight)
        outcomes = [Outcome.UNKNOWN] * len(messages) if flight is None else flight.outcomes
        if Outcome.UNKNOWN in outcomes:
            blocked = self.blocked and f"the broker takes no messages: {self.blocked}"
            trouble = self._over or blocked or trouble
        elif flight is not None:
            trouble = flight.trouble
        return Published(outcomes, trouble)

    async def _takes_something(self) -> None:
        while self.blocked is not None and not self.closed:
            self._changed.clear()
            await self._changed.wait()

    def _start(self, messages: Sequence[Message]) -> _Flight:
        done = asyncio.get_running_loop().create_future()
        flight = _Flight(messages, self._tag + 1, done)
        self._tag += len(messages)
        self._reader.flights.append(flight)
        return flight

    async def _write(self, flight: _Flight) -> None:
        """Write all frames, as the socket takes them. A flight that is cut short here takes the channel with it."""
        piece: list[bytes] = []
        size = written = 0
        try:
            for message in flight.messages:
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
            if written < len(flight.messages):
                # The tags of what was not written are taken: nothing that comes later could be told apart.
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
            outer = connection.channel(publisher_confirms=True)
            await outer.initialize(timeout=OPEN_SECONDS)
            underlay = await outer.get_underlay_channel()
        except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
            raise BrokerUnavailable(
                f"AMQP_URL: no channel could be opened ({str(error) or type(error).__name__})"
            ) from None
        frame_max = underlay.connection.connection_tune.frame_max
        channel = ConfirmingChannel(connection.writer, reader, underlay.number, frame_max, exchange)
        reader.watch(underlay.number)
        underlay.closing.add_done_callback(lambda _closing: channel.end(reader.over))
        connection.stream.when_lost(lambda: channel.end(reader.over))  # long before aiormq has closed what is left
        yield channel
        channel.end("it was closed")
    finally:
        await close(connection)


def _returned(payload: bytes) -> _Return:
    code = _CODE(payload, 4)[0]
    said, at = _short(payload, 6)
    _exchange, at = _short(payload, at)
    routing_key, _ = _short(payload, at)
    text = f"routing key {routing_key.decode(errors='replace')!r}: returned, {code} {said.decode(errors='replace')}"
    return _Return(f"{text}. Is its queue bound? gcc-ingest init creates it", routing_key)


def _short(payload: bytes, at: int) -> tuple[bytes, int]:
    size = payload[at]
    return payload[at + 1 : at + 1 + size], at + 1 + size


def _reply_text(payload: bytes) -> str:
    code = _CODE(payload, 4)[0]
    text, _ = _short(payload, 6)
    way_out = ". gcc-ingest init creates it" if code == 404 else ""
    return f"{code} {text.decode(errors='replace')}{way_out}"
