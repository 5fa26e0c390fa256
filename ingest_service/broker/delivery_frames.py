"""Reads deliveries from a stream of AMQP 0-9-1 frames, and passes every other frame on unchanged.

Deliveries on channels without an inbox are passed on too, made safe for aiormq (safe_deliveries.py).

aiormq decodes a delivery's three frames in Python and starts a task for it, which costs some 60 µs and caps a consumer
at a tenth of what the broker can send. Here each read is parsed in one pass. Nearly all deliveries have the shape of
the previous one, and cost one unpacking and one slice each; any other frame is parsed one at a time.
"""

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from ingest_service.broker.framing import (
    BODY,
    DELIVER,
    END,
    HEADER,
    HEARTBEAT,
    METHOD,
    OPENED_OR_CLOSED,
    FrameError,
)
from ingest_service.broker.headers import HeaderReader, Headers
from ingest_service.broker.safe_deliveries import SafeDeliveries

_FRAME_HEAD = struct.Struct(">BHI").unpack_from  # type, channel, size of the payload
_TAG = struct.Struct(">QB").unpack_from  # delivery tag, redelivered
_CONTENT = struct.Struct(">QH").unpack_from  # size of the body, flags of the properties
_FIXED = 12  # bytes of a content header before its properties: class, weight and size of the body
_OVERHEAD = 8  # a frame's bytes beside its payload
_HAS_HEADERS = 0x2000
_PROTOCOL_HEADER = b"AMQP"
_MOST_FRAME = 2**29
"""RabbitMQ's limit for a message. A frame that claims to be larger is invalid."""


Take = Callable[[range, list[bytes], int, Mapping[int, Headers]], None]
"""Called once per read with tags, bodies, the number of redelivered messages, and the kept headers by tag."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The bytes that deliveries differing only in tag and body have in common, and the layout of the rest."""

    parse: struct.Struct
    begin: bytes
    middle: bytes
    flags: bytes
    joint: bytes


@dataclass(slots=True)
class _Content:
    """A message of which some frames are still missing."""

    tag: int
    redelivered: int
    method_size: int
    consumer_size: int
    header: bytes = b""
    missing: int = 0
    parts: list[bytes] = field(default_factory=list)


class Inbox:
    """Collects one channel's deliveries until the end of a read. A channel has one consumer."""

    def __init__(self, take: Take, read_headers: HeaderReader) -> None:
        self._take = take
        self._read_headers = read_headers
        self.bodies: list[bytes] = []
        self.first_tag = 0
        self.last_tag = 0
        self.redelivered = 0
        self.headers: dict[int, Headers] = {}
        self.content: _Content | None = None
        self.shape: _Shape | None = None

    def hand_over(self) -> None:
        """Pass the collected deliveries on. Raises FrameError if their tags have a gap."""
        bodies, self.bodies = self.bodies, []
        headers, self.headers = self.headers, {}
        redelivered, self.redelivered = self.redelivered, 0
        if not bodies:
            return
        if self.last_tag - self.first_tag + 1 != len(bodies):
            raise FrameError(f"{len(bodies)} deliveries with the tags {self.first_tag} to {self.last_tag}")
        self._take(range(self.first_tag, self.last_tag + 1), bodies, redelivered, headers)

    def complete(self, content: _Content, channel: int) -> None:
        """Add a message that is complete."""
        self.content = None
        if not self.bodies:
            self.first_tag = content.tag
        self.last_tag = content.tag
        self.bodies.append(content.parts[0] if len(content.parts) == 1 else b"".join(content.parts))
        self.redelivered += content.redelivered
        if _CONTENT(content.header, 4)[1] & _HAS_HEADERS:
            self._keep_headers(content)
        elif len(content.parts) == 1:
            self.shape = _shape(
                channel, content.method_size, content.consumer_size, len(content.header), content.header[12:14]
            )

    def _keep_headers(self, content: _Content) -> None:
        if headers := self._read_headers(content.header[_FIXED:]):
            self.headers[content.tag] = headers


@lru_cache(maxsize=1_024)
def _shape(channel: int, method_size: int, consumer_size: int, header_size: int, flags: bytes) -> _Shape:
    # method frame: head, class, method, consumer tag, *tag*, *redelivered*, exchange and routing key, end;
    # header frame: head, class, weight, *body size*, *flags*, properties, end; body frame: head without, and *size*.
    routing = method_size - 4 - 1 - consumer_size - 9
    parse = struct.Struct(f">12s{consumer_size}xQB{routing}x12sQ2s{header_size - 14}x4sI")
    return _Shape(
        parse,
        struct.pack(">BHI4sB", METHOD, channel, method_size, DELIVER, consumer_size),
        struct.pack(">BBHIHH", END, HEADER, channel, header_size, 60, 0),
        flags,
        struct.pack(">BBH", END, BODY, channel),
    )


class DeliveryReader:
    """Reads one connection's stream; `feed` takes its bytes in chunks of any size.

    With `bypass` deliveries go to the inboxes and not to aio-pika; without, aio-pika gets them, made safe.
    """

    def __init__(self, *, bypass: bool = True) -> None:
        self.bypass = bypass
        self._inboxes: dict[int, Inbox] = {}
        self._safe = SafeDeliveries()
        self._tail = b""
        self._started = False

    @property
    def takes_much(self) -> bool:
        """Whether any channel has an inbox."""
        return bool(self._inboxes)

    def watch(self, channel: int, inbox: Inbox) -> None:
        """Deliver a channel's messages to an inbox, until the channel closes or is reopened."""
        self._inboxes[channel] = inbox

    def forget(self, channel: int, inbox: Inbox) -> None:
        """Remove a channel's inbox; does nothing if the channel number has another inbox by now."""
        if self._inboxes.get(channel) is inbox:
            del self._inboxes[channel]

    def feed(self, data: bytes) -> bytes:
        """Parse received bytes, pass deliveries to their inboxes, and return the other whole frames.

        Raises FrameError, and what an inbox's `take` raises.
        """
        if self._tail:
            data, self._tail = self._tail + data, b""
        if not self._started:
            if data[:4] == _PROTOCOL_HEADER[: len(data)]:
                return data  # a refused protocol version, or too few bytes to know
            self._started = True
        rest: list[bytes] = []
        touched: dict[Inbox, None] = {}
        self._tail = data[self._walk(data, rest, touched) :]
        for inbox in touched:
            inbox.hand_over()
        return b"".join(rest)

    def _walk(self, data: bytes, rest: list[bytes], touched: dict[Inbox, None]) -> int:
        """Process all whole frames, and return the offset of the first incomplete one."""
        at, end = 0, len(data)
        while end - at >= _OVERHEAD:
            kind, channel, size = _FRAME_HEAD(data, at)
            inbox = self._inboxes.get(channel)
            if inbox is not None and inbox.shape is not None and inbox.content is None:
                after = _take_alike(inbox, inbox.shape, data, at, end)
                if after != at:
                    touched[inbox] = None
                    at = after
                    continue
            after = at + size + _OVERHEAD
            if after > end:
                _check_head(kind, size)
                break
            if data[after - 1] != END:
                raise FrameError(f"a frame of type {kind} and {size} bytes does not end where it should")
            if inbox is not None and self._take_frame(inbox, kind, channel, data[at + 7 : after - 1]):
                touched[inbox] = None
            else:
                rest.append(self._safe.frame(kind, channel, data[at:after]))
            at = after
        return at

    def _take_frame(self, inbox: Inbox, kind: int, channel: int, payload: bytes) -> bool:
        """Consume a frame of a channel with an inbox. False if it is not part of a delivery."""
        content = inbox.content
        if kind == METHOD:
            if payload[:4] == DELIVER:
                if content is not None:
                    raise FrameError("a delivery begins before the last one has ended")
                inbox.content = _begin(payload)
                return True
            if payload[:4] in OPENED_OR_CLOSED:
                inbox.content = None
                self.forget(channel, inbox)
            return False
        if content is None:
            return False
        if kind == HEADER and not content.header:
            if len(payload) < 14:
                raise FrameError("a content header is cut off")
            content.header = payload
            content.missing = _CONTENT(payload, 4)[0]
        elif kind == BODY and content.header and len(payload) <= content.missing:
            content.parts.append(payload)
            content.missing -= len(payload)
        else:
            raise FrameError(f"a frame of type {kind} and {len(payload)} bytes does not continue a delivery")
        if not content.missing:
            inbox.complete(content, channel)
        return True


def _check_head(kind: int, size: int) -> None:
    if kind not in (METHOD, HEADER, BODY, HEARTBEAT) or size > _MOST_FRAME:
        raise FrameError(f"not a frame: type {kind}, {size} bytes")


def _begin(payload: bytes) -> _Content:
    consumer_size = payload[4]
    if len(payload) < 5 + consumer_size + 9:
        raise FrameError("a delivery's method is cut off")
    tag, redelivered = _TAG(payload, 5 + consumer_size)
    return _Content(tag, redelivered & 1, len(payload), consumer_size)


def _take_alike(inbox: Inbox, shape: _Shape, data: bytes, at: int, end: int) -> int:
    """Consume consecutive whole deliveries of one shape, and return the offset after them."""
    parse, length = shape.parse.unpack_from, shape.parse.size
    begin, middle, flags, joint = shape.begin, shape.middle, shape.flags, shape.joint
    bodies = inbox.bodies
    append = bodies.append
    tag = again = redelivered = 0
    before = len(bodies)
    while (body := at + length) < end:
        its_begin, its_tag, again, its_middle, size, its_flags, its_joint, frame_size = parse(data, at)
        after = body + size
        if (
            its_begin != begin
            or its_middle != middle
            or its_joint != joint
            or its_flags != flags
            or size != frame_size
            or after >= end
        ):
            break
        if data[after] != END:
            raise FrameError(f"a body of {size} bytes does not end where it should")
        if before == 0 and tag == 0:
            inbox.first_tag = its_tag
        tag = its_tag
        if again:
            redelivered += 1
        append(data[body:after])
        at = after + 1
    if tag:
        inbox.last_tag = tag
        inbox.redelivered += redelivered
    return at
