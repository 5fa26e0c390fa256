"""Reads the confirms of a publishing channel from its connection's stream; one confirm may cover a range."""

import asyncio
import struct
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ingest_service.broker.framing import BODY, END, HEADER, METHOD, FrameError
from ingest_service.broker.published import Message, Outcome

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


class PublishBatch:
    """Published messages with consecutive delivery tags, and the confirms received for them."""

    def __init__(self, messages: Sequence[Message], first_tag: int, done: "asyncio.Future[None]") -> None:
        self.messages = messages
        self.first_tag = first_tag
        self.outcomes = [Outcome.UNKNOWN] * len(messages)
        self.open = len(messages)
        self.done = done
        self.trouble = ""
        self.returned: set[int] = set()
        self._answered_up_to = 0
        """All positions below this one are confirmed or refused."""

    def settle(self, tag: int, multiple: bool, outcome: Outcome) -> None:
        """Apply a confirm to the message with this tag, or to all messages up to it."""
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
        """Note a returned message, whose confirm follows. False if the message is not in this batch."""
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
    """A returned message of which some frames are still missing."""

    reply: str
    routing_key: bytes
    missing: int | None = None
    """Bytes of the body still to come; None before the content header."""
    parts: list[bytes] = field(default_factory=list)


class ConfirmReader:
    """Consumes the confirms of one channel, and observes the frames that close or block it."""

    def __init__(self) -> None:
        self.batches_in_flight: deque[PublishBatch] = deque()
        self.blocked: str | None = None
        """Why the broker blocks publishers; None while it does not."""
        self.over = ""
        """The broker's reason for closing the channel or the connection."""
        self.changed: Callable[[], None] = lambda: None
        self.takes_much = True
        self._channel = -1
        self._tail = b""
        self._started = False
        self._returning: _Return | None = None

    def watch(self, channel: int) -> None:
        """Start to read the confirms of a channel."""
        self._channel = channel

    def feed(self, data: bytes) -> bytes:
        """Read received bytes, and return the whole frames that are not confirms. Raises FrameError."""
        data = self._tail + data
        rest: list[bytes] = []
        at, end = 0, len(data)
        if not self._started:
            self._tail = b""
            if data[:4] == _PROTOCOL_HEADER[: len(data)]:
                return data  # a refused protocol version, or too few bytes to know
            self._started = True
        while end - at >= _OVERHEAD:
            kind, channel, size = _HEAD(data, at)
            after = at + size + _OVERHEAD
            if size > _MOST_FRAME:
                raise FrameError(f"not a frame: type {kind}, {size} bytes")
            if after > end:
                break
            if data[after - 1] != END:
                raise FrameError(f"a frame of type {kind} and {size} bytes does not end where it should")
            if not self._take(kind, channel, data[at + 7 : after - 1]):
                rest.append(data[at:after])
            at = after
        self._tail = data[at:]
        return b"".join(rest)

    def _take(self, kind: int, channel: int, payload: bytes) -> bool:
        """Consume a frame. False if aiormq must get it too; it may have been inspected."""
        method = payload[:4] if kind == METHOD else b""
        if channel == self._channel:
            if method in (_ACK, _NACK):
                self._settle(payload, Outcome.CONFIRMED if method == _ACK else Outcome.REFUSED)
                return True
            if method == _RETURN or (self._returning is not None and kind in (HEADER, BODY)):
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
        for batch in self.batches_in_flight:
            if batch.first_tag > tag:
                break
            batch.settle(tag, bool(bits & 1), outcome)

    def _return(self, kind: int, payload: bytes) -> None:
        if kind == METHOD:
            self._returning = _returned(payload)
            return
        returning = self._returning
        assert returning is not None, "a return has begun"
        if kind == HEADER:
            returning.missing = _SIZE(payload, 4)[0]
        elif returning.missing is None:
            raise FrameError("the body of a returned message comes before its header")
        else:
            returning.parts.append(payload)
            returning.missing -= len(payload)
        if not returning.missing:
            self._returning = None
            for batch in self.batches_in_flight:
                if batch.return_(returning.routing_key, b"".join(returning.parts)):
                    batch.trouble = returning.reply
                    return


def _returned(payload: bytes) -> _Return:
    code = _CODE(payload, 4)[0]
    reply, at = _short(payload, 6)
    _exchange, at = _short(payload, at)
    routing_key, _ = _short(payload, at)
    text = f"routing key {routing_key.decode(errors='replace')!r}: returned, {code} {reply.decode(errors='replace')}"
    return _Return(f"{text}. Is its queue bound? gcc-ingest init creates it", routing_key)


def _short(payload: bytes, at: int) -> tuple[bytes, int]:
    size = payload[at]
    return payload[at + 1 : at + 1 + size], at + 1 + size


def _reply_text(payload: bytes) -> str:
    code = _CODE(payload, 4)[0]
    text, _ = _short(payload, 6)
    way_out = ". gcc-ingest init creates it" if code == 404 else ""
    return f"{code} {text.decode(errors='replace')}{way_out}"
