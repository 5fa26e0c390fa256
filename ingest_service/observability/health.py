"""Where each event type stands: what it does, why, and what has become of its messages."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum


class State(StrEnum):
    """What an event type is doing."""

    WAITING = "waiting"
    """Not consuming yet, or not any more: the broker or the queue is away."""
    RUNNING = "running"
    RETRYING = "retrying"
    """The server is ill; its messages are held and tried again."""
    HALTED = "halted"
    """Something must be mended by hand; its messages stay in the broker and it goes on by itself when it is."""


@dataclass
class TypeHealth:
    """One event type's state and counts of messages since the service started. The one place where they are kept.

    At any moment received = landed + dead-lettered + given back + in flight.
    """

    event_type: str
    state: State = State.WAITING
    why: str = "starting"
    received: int = 0
    redelivered: int = 0
    landed: int = 0
    dead_lettered: dict[str, int] = field(default_factory=dict)
    """By reason."""
    in_flight: int = 0
    """Held now: received and not yet settled. Counted by who holds them, not from the other counts."""
    given_back: int = 0
    """Received under a lease that died before they were settled; the broker sends them again."""
    batches: int = 0
    retries: dict[str, int] = field(default_factory=dict)
    """By verdict and reason: `transient/no_answer`."""
    held_bytes: int = 0
    """Bodies received and not yet settled."""
    reading: bool = True
    """Whether it reads on; not while too much is held in memory (GCC_MAX_HELD_BYTES)."""
    held_since: float | None = None
    """When the oldest of these was received, in epoch seconds; None while none is held."""
    moved_at: float = 0.0
    """When a batch was last settled, in epoch seconds."""
    queue_depth: int | None = None
    """Messages in the queue that no consumer holds; None until it was asked."""

    def watermark(self, now: float) -> float:
        """All that was received before this time is durable, in a table or as a dead letter (epoch seconds)."""
        return now if self.held_since is None else self.held_since

    def stuck(self, now: float, patience: float) -> str | None:
        """What to say where it seems to run and holds messages, but nothing moves."""
        if self.state is not State.RUNNING or self.held_since is None:
            return None
        seconds = now - max(self.held_since, self.moved_at)
        return (
            f"stuck: {self.in_flight} messages held, none settled for {seconds:.0f} s" if seconds > patience else None
        )

    def running(self) -> None:
        """It consumes, and what it has can be settled."""
        self.state, self.why = State.RUNNING, ""

    def waiting(self, why: str) -> None:
        """It cannot consume."""
        self.state, self.why = State.WAITING, why

    def retrying(self, why: str) -> None:
        """It holds messages that it tries again."""
        self.state, self.why = State.RETRYING, why

    def halted(self, why: str) -> None:
        """It holds messages until someone mends something."""
        self.state, self.why = State.HALTED, why

    def receive(self, count: int, redelivered: int, now: float) -> None:
        """Add received messages, some of them redelivered."""
        self.received += count
        self.in_flight += count
        self.redelivered += redelivered
        if self.held_since is None:
            self.held_since = now

    def hold(self, held_bytes: int, *, reading: bool) -> None:
        """Set how much is held in memory, and whether more is read."""
        self.held_bytes = held_bytes
        self.reading = reading

    def settle(self, count: int, dead_lettered: Sequence[str], now: float) -> None:
        """Count a settled batch of so many messages, and the reasons of those that are dead letters."""
        self.landed += count - len(dead_lettered)
        for reason in dead_lettered:
            self.dead_lettered[reason] = self.dead_lettered.get(reason, 0) + 1
        self.batches += 1
        self.in_flight -= count
        self.moved_at = now

    def give_back(self) -> None:
        """Count everything in flight as given back to the broker: nothing is held any more."""
        self.given_back += self.in_flight
        self.in_flight = 0
        self.held_since = None
        self.hold(0, reading=True)

    def count_retry(self, verdict: str, reason: str) -> None:
        """Add one failed attempt."""
        name = f"{verdict}/{reason}"
        self.retries[name] = self.retries.get(name, 0) + 1


@dataclass
class Health:
    """The service's state as `/ready`, `/status` and `/metrics` show it."""

    broker: str = "connecting"
    """What the broker connection is doing: `connected`, or why not."""
    clickhouse: str = "connecting"
    types: dict[str, TypeHealth] = field(default_factory=dict)
    patience: float = 60.0
    """Seconds for which a type may hold messages and settle none before it counts as stuck."""
    clock: Callable[[], float] = time.time
    blocked: Callable[[], str | None] = lambda: None
    """Why the broker takes no dead letters at the moment: its alarm, in its words."""

    def obstacles(self) -> dict[str, str]:
        """Why messages do not move, by broker, clickhouse or event type; empty when they do."""
        found = {
            name: why for name, why in (("broker", self.broker), ("clickhouse", self.clickhouse)) if why != "connected"
        }
        if blocked := self.blocked():
            found["dead letters"] = f"the broker takes no messages: {blocked}"
        for name, health in self.types.items():
            if health.state is not State.RUNNING:
                found[name] = f"{health.state}: {health.why}"
            elif stuck := health.stuck(self.clock(), self.patience):
                found[name] = stuck
        return found

    def as_dict(self) -> dict[str, object]:
        """For `/status`."""
        return {
            "ready": not self.obstacles(),
            "broker": self.broker,
            "clickhouse": self.clickhouse,
            "blocked": self.blocked(),
            "types": {name: self._type(health) for name, health in self.types.items()},
        }

    def _type(self, health: TypeHealth) -> dict[str, object]:
        lag = self.clock() - health.watermark(self.clock())
        return {**asdict(health), "watermark_lag_seconds": round(lag, 3)}
