"""What has been received and not yet frozen into a batch. Pure: it describes its state, the caller decides."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ingest_service.broker.deliveries import Deliveries, Lease
from ingest_service.headers import Headers

Clock = Callable[[], float]


class Trigger(StrEnum):
    """Why a batch is due."""

    ROWS = "rows"
    BYTES = "bytes"
    AGE = "age"


@dataclass(frozen=True, slots=True)
class Limits:
    """When a batch is due, and how large it may be."""

    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Messages of one lease in the broker's order; last_tag acknowledges them all."""

    lease: Lease
    last_tag: int
    bodies: tuple[bytes, ...]
    first_received: float
    """By the buffer's clock, as last_received."""
    last_received: float
    redelivered: int = 0
    """How many of them the broker had sent before."""
    headers: Mapping[int, Headers] = field(default_factory=dict)
    """By position in bodies, of the messages whose headers were kept."""


class TagGap(Exception):
    """Deliveries did not continue where the last ones ended, so acknowledging a prefix would not be safe."""


class Buffer:
    """The unfrozen deliveries of one lease."""

    def __init__(self, limits: Limits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._lease: Lease | None = None
        self._next_tag = 0
        self._bodies: list[bytes] = []
        self._received: list[float] = []
        self._redelivered: list[bool] = []
        self._headers: dict[int, Headers] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._bodies)

    def add(self, deliveries: Deliveries) -> None:
        """Take deliveries in. A new lease drops what an older one left: the broker sends that again.

        Raises TagGap, taking nothing in, when the tags do not continue the lease's.
        """
        if deliveries.lease is not self._lease:
            self._clear(deliveries.lease, deliveries.tags[0])
        count = len(deliveries.tags)
        if deliveries.tags[0] != self._next_tag or deliveries.tags[-1] != self._next_tag + count - 1:
            raise TagGap(f"expected delivery tag {self._next_tag}, got {deliveries.tags[0]}..{deliveries.tags[-1]}")
        self._next_tag += count
        self._bodies.extend(deliveries.bodies)
        self._received.extend([self._clock()] * count)
        again = deliveries.redelivered
        self._redelivered.extend([True] * again + [False] * (count - again))
        self._bytes += sum(map(len, deliveries.bodies))
        self._headers.update(deliveries.headers)

    def trigger(self) -> Trigger | None:
        """Why a batch is due now, if one is."""
        if not self._bodies:
            return None
        if len(self._bodies) >= self._limits.rows:
            return Trigger.ROWS
        if self._bytes >= self._limits.bytes:
            return Trigger.BYTES
        return Trigger.AGE if self.seconds_left() == 0 else None

    def seconds_left(self) -> float | None:
        """Seconds until the oldest message's age makes a batch due; None while the buffer is empty."""
        if not self._bodies:
            return None
        return max(0.0, self._received[0] + self._limits.seconds - self._clock())

    def take(self) -> Batch:
        """Freeze the oldest messages, as many as fit the limits and at least one. The buffer must not be empty."""
        assert self._lease is not None, "there is nothing to take"
        count = self._fitting()
        first_tag = self._next_tag - len(self._bodies)
        headers = {tag - first_tag: self._headers.pop(tag) for tag in self._tags_with_headers(first_tag + count)}
        bodies, self._bodies = tuple(self._bodies[:count]), self._bodies[count:]
        received, self._received = self._received[:count], self._received[count:]
        redelivered, self._redelivered = sum(self._redelivered[:count]), self._redelivered[count:]
        self._bytes -= sum(map(len, bodies))
        return Batch(self._lease, first_tag + count - 1, bodies, received[0], received[-1], redelivered, headers)

    def oldest(self) -> float | None:
        """When the oldest message was received; None while the buffer is empty."""
        return self._received[0] if self._received else None

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

    def _clear(self, lease: Lease, first_tag: int) -> None:
        self._lease = lease
        self._next_tag = first_tag
        self._bodies.clear()
        self._received.clear()
        self._redelivered.clear()
        self._headers.clear()
        self._bytes = 0
