"""AMQP 0-9-1 messages as anybody may send them, encoded here by nothing of ours, and a publisher that sends them so."""

import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import TracebackType
from typing import Any
from urllib.parse import unquote, urlsplit

from pamqp import commands, frame

METHOD, HEADER, BODY = 1, 2, 3
HEADERS = 0x2000
MICROSECONDS = 1_764_000_000_000_000  # a time that somebody took for seconds

Encoded = tuple[bytes, Any]
"""Bytes, and the value that they stand for."""


def short_text(text: bytes) -> bytes:
    """A shortstr."""
    return bytes([len(text)]) + text


def long_text(text: bytes) -> bytes:
    """A longstr; a table and an array are encoded alike."""
    return struct.pack(">I", len(text)) + text


def field(name: bytes, kind: bytes, value: bytes) -> bytes:
    """One field of a table."""
    return short_text(name) + kind + value


def nested(kind: bytes, levels: int) -> bytes:
    """Tables or arrays in each other, encoded from within."""
    inner = b""
    for _ in range(levels):
        inner = (short_text(b"") if kind == b"F" else b"") + kind + long_text(inner)
    return inner


def properties(table: bytes | None = None, **others: bytes) -> bytes:
    """A content header's flags and properties: `others` are encoded by the caller, by AMQP's names."""
    flags, values = 0, b""
    for bit, name in enumerate(NAMES):
        value = long_text(table) if name == "headers" and table is not None else others.get(name)
        if value is not None:
            flags |= 0x8000 >> bit
            values += value
    return struct.pack(">H", flags) + values


NAMES = (
    *("content_type", "content_encoding", "headers", "delivery_mode", "priority", "correlation_id", "reply_to"),
    *("expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id"),
)


@dataclass(frozen=True)
class Sent:
    """A message as it is delivered: everything in it is bytes."""

    body: bytes
    properties: bytes = b"\x00\x00"
    exchange: bytes = b"beat.dx"
    routing_key: bytes = b"key"
    redelivered: bool = False


def delivery(sent: Sent, channel: int, tag: int, most: int) -> list[bytes]:
    """The frames of a delivery, with bodies cut into frames of `most` bytes."""
    method = short_text(b"ctag") + struct.pack(">QB", tag, sent.redelivered)
    method += short_text(sent.exchange) + short_text(sent.routing_key)
    return [
        raw_frame(METHOD, channel, b"\x00\x3c\x00\x3c" + method),
        *content(sent, channel, most),
    ]


def content(sent: Sent, channel: int, most: int) -> Iterator[bytes]:
    """A message's header and body frames."""
    yield raw_frame(HEADER, channel, struct.pack(">HHQ", 60, 0, len(sent.body)) + sent.properties)
    for at in range(0, len(sent.body), most):
        yield raw_frame(BODY, channel, sent.body[at : at + most])


def raw_frame(kind: int, channel: int, payload: bytes) -> bytes:
    """A frame."""
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


class Anything:
    """Messages of every kind that there may be, by chance."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    def properties(self) -> Encoded:
        """Properties that RabbitMQ takes, and the headers in them."""
        chance = self._chance
        fields, headers = self._table(0)
        others = {
            "content_type": short_text(chance.choice([b"application/json", b"\xff\xfe", b""])),
            "delivery_mode": b"\x02",
            "message_id": short_text(self._text(20)),
            "timestamp": struct.pack(">Q", self._seconds()),
            "type": short_text(self._text(200)),
        }
        kept = {name: value for name, value in others.items() if chance.random() < 0.5}
        if chance.random() < 0.2:
            return properties(**kept), {}
        return properties(fields, **kept), headers

    def spoiled(self, whole: bytes) -> bytes:
        """Properties that something is wrong with."""
        chance, at = self._chance, self._chance.randrange(len(whole) + 1)
        return chance.choice(
            [
                whole[:at],
                whole[:at] + self._text(4) + whole[at:],
                whole[:at] + bytes([chance.randrange(256)]) + whole[at + 1 :],
                whole[:at] + b"\xff\xff\xff\xff" + whole[at + 4 :],
            ]
        )

    def _table(self, depth: int) -> Encoded:
        fields, values = b"", {}
        for _ in range(self._chance.choice([0, 1, 2, 5])):
            name = self._name()
            kind, (data, value) = self._value(depth)
            fields += field(name, kind, data)
            values[name.decode(errors="backslashreplace")] = value
        return fields, values

    def _array(self, depth: int) -> Encoded:
        items = [self._value(depth) for _ in range(self._chance.choice([0, 1, 3]))]
        return b"".join(kind + data for kind, (data, _) in items), [value for _, (_, value) in items]

    def _name(self) -> bytes:
        known = [b"x-gcc-attempts", b"x-gcc-replay", b"x-gcc-letter-id", b"x-gcc-at", b"x-gcc-detail", b"traceparent"]
        return self._chance.choice([*known, b"", b"\xff", "naïve".encode(), self._text(12)])

    def _value(self, depth: int) -> tuple[bytes, Encoded]:
        kind = self._chance.choice(b"tbBsuIilLfdDSSSxATFV" if depth < 4 else b"tbBsuIilLfdDSxTV")
        return bytes([kind]), self._of_kind(chr(kind), depth)

    def _of_kind(self, kind: str, depth: int) -> Encoded:
        chance = self._chance
        if kind in _NUMBERS:
            packed = struct.Struct(_NUMBERS[kind])
            data = bytes(chance.randrange(256) for _ in range(packed.size))
            return data, packed.unpack(data)[0]
        if kind in "Sx":
            data = self._text(150)
            return long_text(data), _text_or_bytes(data) if kind == "S" else data
        if kind in "FA":
            data, value = (self._table if kind == "F" else self._array)(depth + 1)
            return long_text(data), value
        if kind == "D":
            scale, digits = chance.randrange(256), chance.randrange(-(2**31), 2**31)
            return struct.pack(">Bi", scale, digits), Decimal(f"{digits}e-{scale}")
        if kind == "T":
            seconds = self._seconds()
            return struct.pack(">Q", seconds), _time(seconds)
        return (b"\x01", True) if kind == "t" else (b"", None)

    def _seconds(self) -> int:
        return self._chance.choice([0, 1_764_000_000, 1_764_000_000_000, MICROSECONDS, 2**63, 2**64 - 1])

    def _text(self, most: int) -> bytes:
        chance = self._chance
        if chance.random() < 0.3:
            return bytes(chance.randrange(256) for _ in range(chance.randrange(most)))
        return chance.choice([b"", b"3", b"2026-11-24T03:00:00+00:00", b"4b76ddcf-676f-5fe8-ba32-4b6e901ccaa9"])[:most]


_NUMBERS = {
    "b": ">b",
    "B": ">B",
    "s": ">h",
    "u": ">H",
    "I": ">i",
    "i": ">I",
    "l": ">q",
    "L": ">q",
    "f": ">f",
    "d": ">d",
}


def _text_or_bytes(data: bytes) -> str | bytes:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data


def _time(seconds: int) -> datetime | int:
    last = datetime.max.replace(tzinfo=UTC).timestamp()
    return datetime.fromtimestamp(seconds, UTC) if seconds < last else seconds


class RawPublisher:
    """A connection that publishes bytes as they are and waits for the confirms."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._unconfirmed = 0

    def __enter__(self) -> "RawPublisher":
        parts = self._parts
        self._socket = socket.create_connection((parts.hostname or "", parts.port or 5672), timeout=30)
        self._socket.sendall(b"AMQP\x00\x00\x09\x01")
        self._expect(commands.Connection.Start)
        secret = f"\0{unquote(parts.username or '')}\0{unquote(parts.password or '')}"
        self._send(0, commands.Connection.StartOk({}, "PLAIN", secret, "en_US"))
        tune = self._expect(commands.Connection.Tune)
        self._frame_max = tune.frame_max
        self._send(0, commands.Connection.TuneOk(tune.channel_max, tune.frame_max, 0))
        self._send(0, commands.Connection.Open(unquote(parts.path[1:]) or "/"))
        self._expect(commands.Connection.OpenOk)
        self._send(1, commands.Channel.Open())
        self._expect(commands.Channel.OpenOk)
        self._send(1, commands.Confirm.Select())
        self._expect(commands.Confirm.SelectOk)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.close()

    def publish(self, sent: Sent) -> None:
        """Send a message to its exchange with its routing key, and wait until the broker has it."""
        method = b"\x00\x3c\x00\x28\x00\x00" + short_text(sent.exchange) + short_text(sent.routing_key) + b"\x01"
        frames = [raw_frame(METHOD, 1, method), *content(sent, 1, self._frame_max - 8)]
        self._socket.sendall(b"".join(frames))
        self._expect(commands.Basic.Ack)

    def _send(self, channel: int, method: Any) -> None:
        self._socket.sendall(frame.marshal(method, channel))

    def _expect(self, kind: type) -> Any:
        while True:
            head = self._read(7)
            payload = self._read(struct.unpack(">I", head[3:])[0] + 1)
            if head[0] == METHOD:
                _, _, method = frame.unmarshal(head + payload)
                assert isinstance(method, kind), f"{method.name}: {dict(method)}"
                return method

    def _read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            part = self._socket.recv(size - len(data))
            assert part, "the broker has closed the connection"
            data += part
        return data
