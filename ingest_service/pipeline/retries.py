"""Waits between the attempts to settle a batch, and reports the reason in log, metrics and /status."""

from datetime import timedelta

import structlog

from ingest_service.backoff import Backoff
from ingest_service.broker.lease import LeaseLost
from ingest_service.clickhouse.errors import Classification, ErrorClass
from ingest_service.observability.health import State, TypeHealth
from ingest_service.pipeline.buffer import Batch, Clock

_SLOWER = 4
"""Under pressure, or waiting for an operator, the delay between attempts is longer by this factor."""
_UNKNOWN_RETRIES = 5


def longest_hold(hold_seconds: float, attempt_seconds: float, pause_seconds: float) -> float:
    """How long a delivery may be held, in seconds: the last attempt begins just in time, fails, and a pause follows.

    `attempt_seconds` is the most that an attempt may take, `pause_seconds` the most that a usual pause may.
    """
    return hold_seconds + attempt_seconds + pause_seconds * _SLOWER


class HeldTooLong(LeaseLost):
    """Given back while the broker still accepts it: it closes channels that acknowledge too late (consumer_timeout)."""


class Retries:
    """The failed attempts of one event type's batches."""

    def __init__(self, event_type: str, backoff: Backoff, hold: timedelta, health: TypeHealth, clock: Clock) -> None:
        """A batch is given back when its oldest message has been held for longer than `hold`."""
        self._backoff = backoff
        self._hold_seconds = hold.total_seconds()
        self._health = health
        self._clock = clock
        self._failing: set[int] = set()
        """Batches that wait for another attempt, by their last tags."""
        self._log = structlog.get_logger().bind(type=event_type)

    async def wait(self, batch: Batch, attempt: int, classification: Classification, why: str) -> None:
        """Return when it is time for the next attempt. Raises LeaseLost."""
        halts = classification.error_class is ErrorClass.CONFIG_FAULT or (
            classification.error_class is ErrorClass.UNKNOWN and attempt > _UNKNOWN_RETRIES
        )
        slowly = halts or classification.error_class is ErrorClass.PRESSURE
        seconds = self._backoff.seconds(attempt) * (_SLOWER if slowly else 1)
        self._failing.add(batch.last_tag)
        self._health.count_retry(classification.error_class, classification.reason)
        log = self._log.error if halts and self._health.state is not State.HALTED else self._log.warning
        (self._health.halted if halts else self._health.retrying)(f"{classification.reason}: {why}")
        log(f"{self._health.state}, trying again", verdict=classification.error_class, reason=classification.reason,
            why=why, attempt=attempt, seconds=round(seconds, 2))  # fmt: skip
        if await batch.lease.dies_within(seconds):
            raise LeaseLost
        self.check(batch)

    def check(self, batch: Batch) -> None:
        """Raises LeaseLost if the batch can no longer be acknowledged, or soon could not."""
        if not batch.lease.alive:
            raise LeaseLost
        if self._clock() - batch.first_received > self._hold_seconds:
            raise HeldTooLong

    def end(self, batch: Batch, *, settled: bool) -> None:
        """No more attempts are made for a batch; the type runs again when no batch of it is failing."""
        self._failing.discard(batch.last_tag)
        if settled and not self._failing:
            self._health.running()
