"""The state of each event type, the reason for it, and counts of its messages."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum

from ingest_service.observability.watch_visits import WatchVisits


class State(StrEnum):
    """What an event type is doing."""

    WAITING = "waiting"
    """Not consuming: the broker or the queue is unavailable."""
    RUNNING = "running"
    RETRYING = "retrying"
    """A server fails; messages are held and retried."""
    HALTED = "halted"
    """An operator must fix something; messages stay in the broker, and the type resumes by itself afterwards."""


@dataclass
class TypeHealth:
    """One event type's state and counts of messages since the service started; they are kept nowhere else.

    Always received = landed + dead-lettered + given back + in flight.
    """

    event_type: str
    state: State = State.WAITING
    why: str = "starting"
    received: int = 0
    redelivered: int = 0
    landed: int = 0
    dead_lettered: dict[str, int] = field(default_factory=dict)
    """By reason, without those that never occurred."""
    in_flight: int = 0
    """Received and not yet settled; counted independently of the other counts."""
    given_back: int = 0
    """Received under a lease that ended before they were settled; they will be redelivered."""
    batches: int = 0
    retries: dict[str, int] = field(default_factory=dict)
    """By verdict and reason: `transient/no_answer`. Without those that never occurred."""
    held_bytes: int = 0
    """Bodies received and not yet settled."""
    reading: bool = True
    """False while reading is paused because too much is held in memory (GCC_MAX_HELD_BYTES)."""
    held_since: float | None = None
    """When the oldest held message was received, in epoch seconds; None while none is held."""
    moved_at: float = 0.0
    """When a batch was last settled, in epoch seconds."""
    queue_depth: int | None = None
    """Ready messages in the queue; None while unknown."""

    def watermark(self, now: float) -> float:
        """Every message received before this time (epoch seconds) is durable, in a table or as a dead letter."""
        return now if self.held_since is None else self.held_since

    def stuck(self, now: float, patience: float) -> str | None:
        """The problem, if the type is running and holds messages, but settles none; else None."""
        if self.state is not State.RUNNING or self.held_since is None:
            return None
        seconds = now - max(self.held_since, self.moved_at)
        return (
            f"stuck: {self.in_flight} messages held, none settled for {seconds:.0f} s" if seconds > patience else None
        )

    def running(self) -> None:
        """Set the state: it consumes, and batches can be settled."""
        self.state, self.why = State.RUNNING, ""

    def waiting(self, why: str) -> None:
        """Set the state: it cannot consume."""
        self.state, self.why = State.WAITING, why

    def retrying(self, why: str) -> None:
        """Set the state: it holds messages and retries them."""
        self.state, self.why = State.RETRYING, why

    def halted(self, why: str) -> None:
        """Set the state: it holds messages until an operator acts."""
        self.state, self.why = State.HALTED, why

    def receive(self, count: int, redelivered: int, now: float) -> None:
        """Add received messages, some of them redelivered."""
        self.received += count
        self.in_flight += count
        self.redelivered += redelivered
        if self.held_since is None:
            self.held_since = now

    def hold(self, held_bytes: int, *, reading: bool) -> None:
        """Set the bytes held in memory, and whether reading continues."""
        self.held_bytes = held_bytes
        self.reading = reading

    def settle(self, count: int, dead_lettered: Sequence[str], now: float) -> None:
        """Count a settled batch of `count` messages, with the reasons of its dead letters."""
        self.landed += count - len(dead_lettered)
        for reason in dead_lettered:
            self.dead_lettered[reason] = self.dead_lettered.get(reason, 0) + 1
        self.batches += 1
        self.in_flight -= count
        self.moved_at = now

    def give_back(self) -> None:
        """Count everything in flight as given back to the broker; nothing is held afterwards."""
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
    """The state of the connection to the broker: `connected`, or the reason why not."""
    clickhouse: str = "connecting"
    types: dict[str, TypeHealth] = field(default_factory=dict)
    patience: float = 60.0
    """Seconds after which a type that holds messages and settles none counts as stuck."""
    clock: Callable[[], float] = time.time
    blocked: Callable[[], str | None] = lambda: None
    """Why the broker blocks publishers, in its words; None while it does not."""
    watch: WatchVisits = field(init=False)

    def __post_init__(self) -> None:
        self.watch = WatchVisits(self.clock)

    def note_watch(self) -> None:
        """Note that gcc-platform watch has asked."""
        self.watch.note()

    def warnings(self) -> dict[str, str]:
        """What is wrong and does not keep messages from being processed."""
        return self.watch.warnings()

    def obstacles(self) -> dict[str, str]:
        """Why messages are not processed, by broker, clickhouse or event type; empty when they are."""
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
        """The content of `/status`."""
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
