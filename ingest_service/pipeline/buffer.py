"""Collects received messages until a batch is due. Pure: it reports its state, and the caller acts."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ingest_service.broker.headers import Headers
from ingest_service.broker.headers import size as size_of_headers
from ingest_service.broker.lease import Deliveries, Lease

Clock = Callable[[], float]


class Trigger(StrEnum):
    """Why a batch is due."""

    ROWS = "rows"
    BYTES = "bytes"
    LINGER = "linger"
    """Enough rows for an insert have waited for more."""
    AGE = "age"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is due, and how large it may be.

    A batch waits for `linger` seconds once it has `enough` rows, and up to `seconds` before, so it grows with the load.
    """

    rows: int
    bytes: int
    seconds: float
    linger: float = math.inf
    enough: int = 1_000
    """The least rows per insert that ClickHouse recommends."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one lease in the broker's order; acknowledging last_tag acknowledges all of them."""

    lease: Lease
    last_tag: int
    bodies: tuple[bytes, ...]
    first_received: float
    """By the buffer's clock, like last_received."""
    last_received: float
    size: int = 0
    """Bytes of the bodies and of the kept headers."""
    redelivered: int = 0
    """The number of redelivered messages."""
    headers: Mapping[int, Headers] = field(default_factory=dict)
    """The kept headers, by position in `bodies`."""


class TagGap(Exception):
    """The tags of deliveries are not consecutive, so acknowledging a prefix would not be safe."""


@dataclass(slots=True)
class _Read:
    """The messages of one read that are still in the buffer."""

    received: float
    count: int
    redelivered: int

    def part(self, count: int) -> int:
        """Remove messages from the front; returns how many of them count as redelivered."""
        redelivered = min(count, self.redelivered)
        self.count -= count
        self.redelivered -= redelivered
        return redelivered


class Buffer:
    """The buffered deliveries of one lease."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._lease: Lease | None = None
        self._next_tag = 0
        self._bodies: list[bytes] = []
        self._reads: deque[_Read] = deque()
        self._headers: dict[int, Headers] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, deliveries: Deliveries) -> int:
        """Add deliveries; returns their size in bytes. A new lease drops those of an older one: they are redelivered.

        Raises TagGap, and adds nothing, if the tags do not continue those of the lease.
        """
        if deliveries.lease is not self._lease:
            self.clear()
            self._lease, self._next_tag = deliveries.lease, deliveries.tags[0]
        count = len(deliveries.tags)
        if deliveries.tags[0] != self._next_tag or deliveries.tags[-1] != self._next_tag + count - 1:
            raise TagGap(f"expected delivery tag {self._next_tag}, got {deliveries.tags[0]}..{deliveries.tags[-1]}")
        self._next_tag += count
        self._bodies.extend(deliveries.bodies)
        self._reads.append(_Read(self._clock(), count, deliveries.redelivered))
        self._headers.update(deliveries.headers)
        size = sum(map(len, deliveries.bodies)) + sum(map(size_of_headers, deliveries.headers.values()))
        self._bytes += size
        return size

    def trigger(self) -> Trigger | None:
        """Why a batch is due now, if one is."""
        if not self._bodies:
            return None
        if len(self._bodies) >= self._limits.rows:
            return Trigger.ROWS
        if self._bytes >= self._limits.bytes:
            return Trigger.BYTES
        if self.seconds_left():
            return None
        return Trigger.LINGER if self._waits() < self._limits.seconds else Trigger.AGE

    def seconds_left(self) -> float | None:
        """Seconds until the oldest message's age makes a batch due; None while the buffer is empty."""
        if not self._bodies:
            return None
        return max(0.0, self._reads[0].received + self._waits() - self._clock())

    def take(self) -> Batch:
        """Remove a batch: the oldest messages that fit the limits, at least one. The buffer must not be empty."""
        assert self._lease is not None, "there is nothing to take"
        count = self._fitting()
        first_tag = self._next_tag - len(self._bodies)
        headers = {tag - first_tag: self._headers.pop(tag) for tag in self._tags_with_headers(first_tag + count)}
        bodies, self._bodies = tuple(self._bodies[:count]), self._bodies[count:]
        size = sum(map(len, bodies)) + sum(map(size_of_headers, headers.values()))
        self._bytes -= size
        first = self._reads[0].received
        last, redelivered = self._take_reads(count)
        return Batch(self._lease, first_tag + count - 1, bodies, first, last, size, redelivered, headers)

    def oldest(self) -> float | None:
        """When the oldest message was received; None while the buffer is empty."""
        return self._reads[0].received if self._reads else None

    def _waits(self) -> float:
        """How long the oldest message may wait for others."""
        limits = self._limits
        return min(limits.linger, limits.seconds) if len(self._bodies) >= limits.enough else limits.seconds

    def _take_reads(self, count: int) -> tuple[float, int]:
        """Remove a number of messages: when the last of them was received, and how many were redelivered."""
        redelivered = 0
        while True:
            read = self._reads[0]
            taken = min(count, read.count)
            redelivered += read.part(taken)
            count -= taken
            if not read.count:
                self._reads.popleft()
            if not count:
                return read.received, redelivered

    def _tags_with_headers(self, end: int) -> list[int]:
        return [tag for tag in self._headers if tag < end]

    def _fitting(self) -> int:
        if self._bytes <= self._limits.bytes:
            return min(len(self._bodies), self._limits.rows)
        size = 0
        for count, body in enumerate(self._bodies[: self._limits.rows]):
            size += len(body)
            if size > self._limits.bytes:
                return max(1, count)
        return min(len(self._bodies), self._limits.rows)

    def clear(self) -> None:
        """Drop everything: it will be redelivered under another lease."""
        self._lease = None
        self._bodies.clear()
        self._reads.clear()
        self._headers.clear()
        self._bytes = 0
