"""Rewrites deliveries for aiormq, so that they hold nothing that it could fail to decode.

aiormq decodes a message's exchange, routing key and properties eagerly, and closes the whole connection if one cannot
be decoded: a single such message would stop every consumer, again and again. So exchange and routing key are removed,
and the properties are replaced by one header, `RAW`, that holds their bytes.
"""

import struct
from collections.abc import Mapping

from ingest_service.broker.framing import DELIVER, END, HEADER, METHOD, FrameError

RAW = "raw"
"""The header whose value is the original properties."""

_FRAME = struct.Struct(">BHI")
_FIXED = 12  # class, weight and size of the body precede the properties
_NO_PROPERTIES = b"\x00\x00"
_BEFORE_RAW = struct.Struct(">HI4s1sI")
_ONLY_HEADERS = 0x2000
_NAME = b"\x03" + RAW.encode()


def properties_of(headers: Mapping[str, object] | None) -> bytes:
    """The original properties of a message that `SafeDeliveries` rewrote."""
    raw = (headers or {}).get(RAW)
    return bytes(raw) if isinstance(raw, bytes | bytearray) else _NO_PROPERTIES


class SafeDeliveries:
    """Rewrites the frames of deliveries; other frames are unchanged."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        """Channels on which a delivery has started and its content header is still to come."""

    def frame(self, kind: int, channel: int, frame: bytes) -> bytes:
        """The frame to pass on for a whole frame. Raises FrameError if a delivery is truncated."""
        if kind == METHOD:
            self._begun.discard(channel)
            if frame[7:11] == DELIVER:
                self._begun.add(channel)
                return _anonymous(channel, frame)
        elif kind == HEADER and channel in self._begun:
            self._begun.discard(channel)
            return _wrapped(channel, frame)
        return frame


def _anonymous(channel: int, frame: bytes) -> bytes:
    """A delivery without exchange and routing key; consumer tag, delivery tag and redelivered are kept."""
    payload = frame[7:-1]
    end = 4 + 1 + payload[4] + 9 if len(payload) > 4 else 0
    if not 0 < end <= len(payload):
        raise FrameError("a delivery's method is cut off")
    return _frame(METHOD, channel, payload[:end] + b"\x00\x00")


def _wrapped(channel: int, frame: bytes) -> bytes:
    payload = frame[7:-1]
    properties = payload[_FIXED:]
    if len(properties) < len(_NO_PROPERTIES):
        raise FrameError("a content header is cut off")
    if properties == _NO_PROPERTIES:
        return frame
    table = len(_NAME) + 1 + 4 + len(properties)
    before = _BEFORE_RAW.pack(_ONLY_HEADERS, table, _NAME, b"x", len(properties))
    return _frame(HEADER, channel, payload[:_FIXED] + before + properties)


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return b"%b%b%c" % (_FRAME.pack(kind, channel, len(payload)), payload, END)
