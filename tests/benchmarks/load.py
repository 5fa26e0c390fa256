"""A load generator: persistent, mandatory, confirmed messages, pipelined, with frames that are built beforehand.

Handshake and channel are aiormq's; only what is per message is written and read here. For benchmarks alone: it keeps no
message that the broker refuses.
"""

import asyncio
import os
import struct
import sys
import time
from array import array
from pathlib import Path
from typing import Any

import aiormq
import msgspec
from aiormq.connection import TransportFactory
from yarl import URL

from ingest_service.commands.simulator import Body
from ingest_service.events.contract import EXCHANGE
from ingest_service.events.registry import EVENT_TYPES

_HEAD = struct.Struct(">BHI").unpack_from
_CONFIRM = struct.Struct(">QB").unpack_from
_ACK, _NACK = b"\x00\x3c\x00\x50", b"\x00\x3c\x00\x78"
_WINDOW = 4_000
_TICK_SECONDS = 0.005


class NotConfirmed(Exception):
    """The broker refused a message, or gave one back."""


class _Confirms(asyncio.StreamReaderProtocol):
    """Counts confirms out of the stream; aiormq gets the rest."""

    def __init__(self, stream: asyncio.StreamReader, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(stream, loop=loop)
        self.channel = -1
        self.confirmed = 0
        self.moments = array("d")
        """When each message was confirmed, in the order of publishing (time.time)."""
        self.moved = asyncio.Event()
        self._ahead: set[int] = set()
        self._tail = b""

    def data_received(self, data: bytes) -> None:
        data, at, rest = self._tail + data, 0, []
        while len(data) - at >= 8:
            _, channel, size = _HEAD(data, at)
            after = at + size + 8
            if after > len(data):
                break
            method = data[at + 7 : at + 11]
            if channel != self.channel:
                rest.append(data[at:after])
            elif method == _ACK:
                self._count(*_CONFIRM(data, at + 11))
            else:
                raise NotConfirmed(f"the broker answered {method.hex()}")
            at = after
        self._tail = data[at:]
        if rest:
            super().data_received(b"".join(rest))
        self.moments.extend([time.time()] * (self.confirmed - len(self.moments)))
        self.moved.set()

    def _count(self, tag: int, multiple: int) -> None:
        if multiple:
            self.confirmed = max(self.confirmed, tag)
        else:
            self._ahead.add(tag)
        while self.confirmed + 1 in self._ahead:
            self.confirmed += 1
            self._ahead.remove(self.confirmed)


class _Transport(TransportFactory):
    confirms: _Confirms
    writer: asyncio.StreamWriter

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        stream = asyncio.StreamReader(loop=loop)
        self.confirms = _Confirms(stream, loop)
        transport, _ = await loop.create_connection(lambda: self.confirms, url.host or "", url.port or 0)
        self.writer = asyncio.StreamWriter(transport, self.confirms, stream, loop)
        return stream, self.writer


async def publish(url: str, events: list[Body], rate: float | None = None) -> "array[float]":
    """Publish all, at a rate or as fast as they are confirmed; when each was confirmed. Raises NotConfirmed."""
    transport = _Transport()
    connection = await aiormq.connect(url, transport_factory=transport)
    channel = await connection.channel(publisher_confirms=False)
    await channel.rpc(aiormq.spec.Confirm.Select())
    confirms = transport.confirms
    confirms.channel = channel.number
    frames = _frames(channel.number, events)
    writer = transport.writer
    sent, started = 0, time.monotonic()
    while confirms.confirmed < len(frames):
        due = len(frames) if rate is None else min(len(frames), int((time.monotonic() - started) * rate))
        due = min(due, confirms.confirmed + (_WINDOW if rate is None else 1_000_000))
        if sent < due:
            writer.write(b"".join(frames[sent : min(due, sent + 500)]))
            sent = min(due, sent + 500)
            await writer.drain()
            await asyncio.sleep(0)
            continue
        confirms.moved.clear()
        try:
            async with asyncio.timeout(_TICK_SECONDS):
                await confirms.moved.wait()
        except TimeoutError:
            continue
    await connection.close()
    return confirms.moments


def _frames(channel: int, events: list[Body]) -> list[bytes]:
    properties = struct.pack(">H", 0x8000 | 0x1000) + _short("application/json") + b"\x02"
    methods = {
        each.name: _frame(
            1, channel, struct.pack(">HHH", 60, 40, 0) + _short(EXCHANGE) + _short(each.routing_key) + b"\x01"
        )
        for each in EVENT_TYPES.values()
    }
    return [
        methods[name]
        + _frame(2, channel, struct.pack(">HHQ", 60, 0, len(body)) + properties)
        + _frame(3, channel, body)
        for name, body in events
    ]


def _short(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"


def main() -> None:
    """`python -m tests.benchmarks.load EVENTS RATE|unlimited MOMENTS`: files of events and times, broker AMQP_URL."""
    events, rate, moments = sys.argv[1:]
    bodies = msgspec.msgpack.decode(Path(events).read_bytes(), type=list[Body])
    confirmed = asyncio.run(publish(os.environ["AMQP_URL"], bodies, None if rate == "unlimited" else float(rate)))
    Path(moments).write_bytes(msgspec.json.encode(list(confirmed)))


if __name__ == "__main__":
    main()
