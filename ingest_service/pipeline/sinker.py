"""Settles a frozen batch: what can be stored lands, what cannot is dead-lettered, or the batch is given back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count

import structlog

from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.errors import Classification, ErrorClass
from ingest_service.dead_letters.headers import DeadLetterHistory
from ingest_service.dead_letters.limit import DeadLetterLimit
from ingest_service.dead_letters.queue import DeadLetter, DeadLetterQueue
from ingest_service.events.contract import EventType
from ingest_service.events.validation import Bounds, Rejection, Validator
from ingest_service.observability.health import TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.pipeline.buffer import Batch, Clock
from ingest_service.pipeline.landing import Landing, Refused
from ingest_service.pipeline.retries import Retries
from ingest_service.pipeline.rows import Rows

_FEW_REFUSED = 100
"""Rows of a batch that the table may refuse, each at the cost of some inserts, whatever their share."""

_NOT_CONFIRMED = Classification(ErrorClass.TRANSIENT, "dead_letter_not_confirmed")
_TOO_MANY_DEAD_LETTERS = Classification(ErrorClass.CONFIG_FAULT, "too_many_dead_letters")


@dataclass(frozen=True, slots=True)
class SinkerSettings:
    """Which bodies are accepted, how long a batch is held, and which share of messages may be dead letters."""

    bounds: Bounds
    hold_seconds: float
    dead_letter_share: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch of which every message is durable in the table or a confirmed dead letter."""

    batch: Batch
    letters: Sequence[DeadLetter]


class Sinker:
    """Settles the batches of one event type."""

    def __init__(
        self,
        event_type: EventType,
        clickhouse: ClickHouse,
        dead_letters: DeadLetterQueue,
        backoff: Backoff,
        settings: SinkerSettings,
        health: TypeHealth,
        metrics: Metrics,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._type = event_type
        self._dead_letters = dead_letters
        self._limit = DeadLetterLimit(settings.dead_letter_share)
        self._share = settings.dead_letter_share
        self._wall = wall
        self._validator = Validator(event_type, settings.bounds)
        self._retries = Retries(event_type.name, backoff, timedelta(seconds=settings.hold_seconds), health, clock)
        self._landing = Landing(event_type, clickhouse, self._validator, self._retries, metrics, clock, wall)
        self._log = structlog.get_logger().bind(type=event_type.name)

    async def settle(self, batch: Batch) -> Settled:
        """Land what can be stored and dead-letter the rest; the batch may then be acknowledged.

        Batches may be settled side by side. Raises LeaseLost if the batch's channel closes first: all of its messages
        are then redelivered.
        """
        settled = False
        try:
            letters = await self._settle(batch)
            settled = True
        finally:
            self._retries.end(batch, settled=settled)
        return Settled(batch, letters)

    async def _settle(self, batch: Batch) -> list[DeadLetter]:
        validated = self._validator.validate(batch.bodies)
        letters = self._letters(batch, validated.rejected)
        await self._halt_above_limit(batch, letters)

        async def after_refusal(refused: Refused, tried: int) -> None:
            await self._halt_on_refusals(batch, refused, tried)

        rows = Rows(validated.rows, validated.positions, validated.times)
        letters += self._letters(batch, await self._landing.land(batch, rows, after_refusal))
        await self._halt_above_limit(batch, letters)
        self._limit.add(len(batch.bodies), _new(letters))
        await self._publish(batch, letters)
        return letters

    async def _publish(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """Return when the broker has confirmed every letter; only unconfirmed ones are published again."""
        unconfirmed = letters
        for attempt in count(1):
            if not unconfirmed:
                break
            unconfirmed, why = await self._dead_letters.publish(unconfirmed)
            if unconfirmed:
                await self._retries.wait(batch, attempt, _NOT_CONFIRMED, f"{len(unconfirmed)} dead letters: {why}")
        if letters:
            self._log.warning("messages dead-lettered", count=len(letters), first_reason=letters[0].reason,
                              first_detail=letters[0].detail, queue=self._type.error_queue)  # fmt: skip

    async def _halt_above_limit(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """A faulty deployment of a publisher must not drain the queue into the dead letters."""
        if exceeded := self._limit.exceeded(len(batch.bodies), _new(letters)):
            problem = f"{exceeded.letters} of the last {exceeded.messages} messages cannot be stored"
            await self._halt(batch, letters[0], problem)

    async def _halt_on_refusals(self, batch: Batch, refused: Refused, tried: int) -> None:
        """The same while a batch is split: it must not cost an insert or two for each of its rows."""
        letters = self._letters(batch, refused[-1:])
        new = sum(not self._history(batch, position).attempts for position, _ in refused)
        if new > _FEW_REFUSED and new > self._share * tried:
            await self._halt(batch, letters[0], f"its table refuses {new} of {tried} messages")

    async def _halt(self, batch: Batch, letter: DeadLetter, problem: str) -> None:
        """Hold the batch until it is given back: an operator has to act."""
        why = (
            f"{problem}, now for {letter.reason} ({letter.detail}): fix the publisher, then restart with "
            "GCC_DEAD_LETTER_SHARE=1 to dead-letter them"
        )
        for attempt in count(1):
            await self._retries.wait(batch, attempt, _TOO_MANY_DEAD_LETTERS, why)

    def _letters(self, batch: Batch, rejected: Sequence[tuple[int, Rejection]]) -> list[DeadLetter]:
        now = datetime.fromtimestamp(self._wall(), UTC)
        return [
            self._dead_letters.letter(
                batch.bodies[position], rejection.reason, rejection.detail, self._history(batch, position), now
            )
            for position, rejection in rejected
        ]

    def _history(self, batch: Batch, position: int) -> DeadLetterHistory:
        return DeadLetterHistory.from_headers(batch.headers.get(position, {}))


def _new(letters: Sequence[DeadLetter]) -> int:
    """How many were not dead letters before: replayed messages are no evidence about the publisher."""
    return sum(not letter.history.attempts for letter in letters)
