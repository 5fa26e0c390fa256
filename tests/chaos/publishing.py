"""Confirmed publishers: what they sent, and what the broker confirmed."""

import asyncio
import json
import random
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType

from ingest_service.broker.connection import BrokerUnavailable
from ingest_service.broker.publisher import NotConfirmed, Publisher
from ingest_service.commands.simulator import Simulator
from ingest_service.events.registry import EVENT_TYPES

TYPES = ("order_log", "post_log", "trace_log")
TRUNCATED = b'{"broken'
"""Sent again and again, the same bytes each time."""

_AT_ONCE = 20
_PAUSE_SECONDS = 0.04
_CATCH_UP_SECONDS = 1.0
"""So far behind its rate a publisher may be and make up for it."""


@dataclass(frozen=True)
class Message:
    """A body, and its event_id where it is a good one."""

    body: bytes
    event_id: str | None


@dataclass
class Sent:
    """Messages by type, as sent: a good one by its event_id, bad ones by how many have the same body."""

    good: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in TYPES})
    bad: dict[str, Counter[bytes]] = field(default_factory=lambda: {name: Counter() for name in TYPES})

    def __len__(self) -> int:
        return sum(map(len, self.good.values())) + sum(bad.total() for bad in self.bad.values())

    def add(self, name: str, messages: Sequence[Message]) -> None:
        """Add messages."""
        self.good[name].update(message.event_id for message in messages if message.event_id is not None)
        self.bad[name].update(message.body for message in messages if message.event_id is None)


class Publishing:
    """A thread that publishes until it is stopped, and reconnects for ever."""

    def __init__(self, url: str, seed: int, bad_share: float = 0.05, rate: float | None = None) -> None:
        """`rate` is in messages a second; without one, about as many as a small machine confirms."""
        self._url = url
        self._bad_share = bad_share
        self._pause_seconds = _PAUSE_SECONDS if rate is None else _AT_ONCE / rate
        self._due = 0.0
        self._chance = random.Random(seed)
        self._simulator = Simulator(seed=seed)
        self._going = threading.Event()
        self._idle = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)
        self.published = Sent()
        self.confirmed = Sent()

    def __enter__(self) -> "Publishing":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(timeout=60)

    def go(self) -> None:
        """Publish."""
        self._idle.clear()
        self._going.set()

    def rest(self) -> None:
        """Publish nothing more, and wait for what is under way."""
        self._going.clear()
        assert self._idle.wait(timeout=90), "the publisher is stuck"

    async def _run(self) -> None:
        while not self._ended.is_set():
            try:
                async with Publisher(self._url, "chaos") as publisher:
                    await self._publish(publisher)
            except (BrokerUnavailable, NotConfirmed):
                await self._breathe()

    async def _publish(self, publisher: Publisher) -> None:
        while not self._ended.is_set():
            if self._going.is_set():
                name = self._chance.choice(TYPES)
                messages = [self._message(name) for _ in range(_AT_ONCE)]
                self.published.add(name, messages)
                await publisher.publish(EVENT_TYPES[name].routing_key, [message.body for message in messages])
                self.confirmed.add(name, messages)
            await self._breathe()

    async def _breathe(self) -> None:
        if not self._going.is_set():
            self._idle.set()
        now = asyncio.get_running_loop().time()
        self._due = max(self._due + self._pause_seconds, now - _CATCH_UP_SECONDS)
        await asyncio.sleep(max(0.0, self._due - now))

    def _message(self, name: str) -> Message:
        body = self._simulator.event(name)
        event = json.loads(body)
        if self._chance.random() >= self._bad_share:
            return Message(body, event["event_id"])
        return Message(self._chance.choice(list(_spoiled(body, event))), None)


def _spoiled(body: bytes, event: dict[str, object]) -> Iterator[bytes]:
    """Ways to be no event. All but the first differ by their event_id; the table alone refuses the last."""
    yield TRUNCATED
    yield body[:-1]
    yield json.dumps({**event, "platform": 7}).encode()
    yield json.dumps({**event, "event_timestamp": "1970-01-01 00:00:00"}).encode()
    yield json.dumps({name: value for name, value in event.items() if name != "event_timestamp"}).encode()
    yield body[:-1] + b',"platform":"TWICE"}'
