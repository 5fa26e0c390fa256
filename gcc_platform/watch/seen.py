"""What one look has seen: what is wrong, and the state of everything for the status page."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from gcc_platform.watch.alerts import Alert

State = Literal["ok", "failing", "down", "unknown", "off"]


@dataclass(frozen=True)
class Component:
    """A server or a process."""

    name: str
    state: State
    detail: str
    """Its version, or the reason why it does not work."""
    link: str = ""


@dataclass(frozen=True)
class TypeState:
    """An event type in the ingest service and in its queues."""

    event_type: str
    state: str
    why: str = ""
    landed: int = 0
    """Messages stored since the service started."""
    dead_letters: int = 0
    lag_seconds: float = 0.0
    """Everything received longer ago than this is stored."""


@dataclass(frozen=True)
class Queue:
    """A queue of the broker."""

    queue: str
    event_type: str
    """Empty for the queue of unroutable messages."""
    ready: int
    consumers: int


@dataclass(frozen=True)
class Reconciliation:
    """The messages of an event type since a time: waited_before + confirmed = landed + dead_letters + waiting.

    The left side is less if messages landed twice, redelivered, and more if messages are missing; while messages move
    it is either, because the broker's statistics are some seconds old.
    """

    event_type: str
    since: float
    """In epoch seconds."""
    waited_before: int
    confirmed: int
    """By the broker."""
    landed: int
    dead_letters: int
    waiting: int

    @property
    def difference(self) -> int:
        """By how much the left side is more."""
        return self.waited_before + self.confirmed - self.landed - self.dead_letters - self.waiting


@dataclass(frozen=True)
class LastRun:
    """The newest run of a job that has ended, and the one that is under way."""

    job: str
    status: str
    """SUCCESS, FAILURE or CANCELED; empty if none has ended."""
    ended_at: float
    """In epoch seconds; 0 if none has ended."""
    seconds: float
    started_by: str
    link: str
    running_seconds: float | None
    """How long the present run has been running; None if there is none."""


@dataclass(frozen=True)
class MovingTable:
    """An old PostgreSQL table whose rows are moved over."""

    table: str
    phase: str
    chunks: int
    done: int
    sealed: int
    rows: int
    """Of the backfill."""
    rows_per_second: float
    seconds_left: float | None
    """None if nothing is left, or nothing was done lately."""
    tail_rows: int
    tail_lag_seconds: float | None
    """Since the tail looked last."""
    reverse_rows: int | None
    """None if the reverse writer has not run."""
    reverse_lag_seconds: float | None
    differences: int
    """That are open."""
    red_gates: Sequence[str]
    """That keep it from its next phase."""


@dataclass(frozen=True)
class Assets:
    """Assets by freshness (HEALTHY, WARNING, DEGRADED, UNKNOWN), checks by status (SUCCEEDED, FAILED, ...)."""

    freshness: Mapping[str, int] = field(default_factory=dict)
    checks: Mapping[str, int] = field(default_factory=dict)
    owners: Mapping[str, str] = field(default_factory=dict)
    """The team of each asset, by its key with slashes."""


@dataclass(frozen=True)
class Seen:
    """The result of one probe."""

    alerts: tuple[Alert, ...] = ()
    components: tuple[Component, ...] = ()
    types: tuple[TypeState, ...] = ()
    queues: tuple[Queue, ...] = ()
    reconciliation: tuple[Reconciliation, ...] = ()
    tables: tuple[MovingTable, ...] = ()
    runs: tuple[LastRun, ...] = ()
    assets: Assets = field(default_factory=Assets)
    complete: bool = True
    """False if the probe could not look at everything: what was wrong before and is not seen now may still be."""


def merged(parts: Iterable[Seen]) -> Seen:
    """All parts as one. At most one of them has assets."""
    parts = list(parts)
    return Seen(
        alerts=tuple(alert for part in parts for alert in part.alerts),
        components=tuple(component for part in parts for component in part.components),
        types=tuple(each for part in parts for each in part.types),
        queues=tuple(queue for part in parts for queue in part.queues),
        reconciliation=tuple(each for part in parts for each in part.reconciliation),
        tables=tuple(each for part in parts for each in part.tables),
        runs=tuple(run for part in parts for run in part.runs),
        assets=next((part.assets for part in parts if part.assets != Assets()), Assets()),
        complete=all(part.complete for part in parts),
    )
