"""Encodes messages as AMQP 0-9-1 frames, so that a whole batch is one write to the socket."""

import struct
from collections.abc import Mapping
from functools import lru_cache

from pamqp.encode import field_table, short_string

from ingest_service.broker.framing import BODY, END, HEADER, METHOD

_END = bytes([END])
_HEAD = struct.Struct(">BHI").pack  # type, channel, size of the payload
_PUBLISH = struct.pack(">HHH", 60, 40, 0)
_MANDATORY = b"\x01"
_CONTENT = struct.Struct(">HHQH").pack  # class, weight, size of the body, flags of the properties
_CONTENT_TYPE, _HEADERS, _DELIVERY_MODE = 0x8000, 0x2000, 0x1000
_JSON = short_string("application/json")
_PERSISTENT = b"\x02"
_OVERHEAD = 8  # a frame's bytes beside its payload


def publish_frames(
    channel: int, exchange: str, routing_key: str, body: bytes, headers: Mapping[str, str | int], frame_max: int
) -> bytes:
    """The frames of one message: mandatory, persistent, JSON. `frame_max` is the connection's limit, 0 for none."""
    properties, flags = _JSON, _CONTENT_TYPE | _DELIVERY_MODE
    if headers:
        properties, flags = properties + field_table(dict(headers)), flags | _HEADERS
    properties += _PERSISTENT
    content = _CONTENT(60, 0, len(body), flags) + properties
    header = _HEAD(HEADER, channel, len(content)) + content + _END
    most = frame_max - _OVERHEAD if frame_max else len(body)
    if len(body) <= most:
        parts = [_HEAD(BODY, channel, len(body)), body, _END] if body else []
    else:
        parts = []
        for start in range(0, len(body), most):
            part = body[start : start + most]
            parts += (_HEAD(BODY, channel, len(part)), part, _END)
    return b"".join((_method(channel, exchange, routing_key), header, *parts))


@lru_cache(maxsize=256)
def _method(channel: int, exchange: str, routing_key: str) -> bytes:
    payload = _PUBLISH + short_string(exchange) + short_string(routing_key) + _MANDATORY
    return _HEAD(METHOD, channel, len(payload)) + payload + _END
