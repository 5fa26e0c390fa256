"""Deliveries on their way to aiormq, with nothing left in them that it could fail to decode.

aiormq decodes a message's exchange, routing key and properties before anyone has asked for them, and gives up the whole
connection where one cannot be decoded: a single such message would stop every consumer, again and again. So it is shown
neither exchange nor routing key, and of the properties their bytes, as the one header `RAW`.
"""

import struct
from collections.abc import Mapping

from ingest_service.broker.framing import DELIVER, END, HEADER, METHOD, FrameError

RAW = "raw"
"""The header whose value is the properties as they came."""

_FRAME = struct.Struct(">BHI")
_FIXED = 12  # class, weight and size of the body: what comes before the properties
_NO_PROPERTIES = b"\x00\x00"
_BEFORE_RAW = struct.Struct(">HI4s1sI")
_ONLY_HEADERS = 0x2000
_NAME = b"\x03" + RAW.encode()


def properties_of(headers: Mapping[str, object] | None) -> bytes:
    """The properties as they came, of a message that has gone through `SafeDeliveries`."""
    raw = (headers or {}).get(RAW)
    return bytes(raw) if isinstance(raw, bytes | bytearray) else _NO_PROPERTIES


class SafeDeliveries:
    """Rewrites the frames of deliveries; every other frame stays as it is."""

    def __init__(self) -> None:
        self._begun: set[int] = set()
        """Channels on which a delivery has begun whose content header has not come."""

    def frame(self, kind: int, channel: int, frame: bytes) -> bytes:
        """What goes on for a whole frame. Raises FrameError where a delivery is cut off."""
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
    """A delivery without exchange and routing key: consumer tag, delivery tag and redelivered stay."""
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
