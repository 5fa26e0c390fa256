"""A frozen batch until it is durable, dead-lettered or given back."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from uuid import uuid4

import structlog

from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import NO_SETTINGS, ClickHouse
from ingest_service.clickhouse.errors import (
    OUT_OF_MEMORY,
    TOO_LARGE_FOR_PROXY,
    VIEW_FAILED,
    InsertFailed,
    Meaning,
    RowsMissing,
    Verdict,
    blamed_row,
    meaning,
)
from ingest_service.dead_letters.headers import Past
from ingest_service.dead_letters.limit import DeadShare
from ingest_service.dead_letters.queue import DeadLetter, DeadLetters
from ingest_service.events.contract import EventType
from ingest_service.events.validation import Bounds, Reason, Rejection, Validated, Validator
from ingest_service.observability.health import State, TypeHealth
from ingest_service.observability.metrics import Metrics
from ingest_service.pipeline.buffer import Batch, Clock
from ingest_service.pipeline.rows import Rows

_SLOWER = 4  # under pressure, or waiting for a human, attempts come this much more rarely
_SMALL = 1_000  # rows that are not halved for want of memory: smaller inserts need no less of it
_UNKNOWN_RETRIES = 5
_FEW_REFUSED = 100
"""Rows of a batch that its table may refuse, each at the cost of some inserts, before their share is looked at."""
_ALONE = {"materialized_views_ignore_errors": 1}

_NOT_CONFIRMED = Meaning(Verdict.TRANSIENT, "dead_letter_not_confirmed")
_TOO_MANY_DEAD = Meaning(Verdict.CONFIG_FAULT, "too_many_dead_letters")


class LeaseLost(Exception):
    """The channel of a batch has closed: its messages are the broker's again, so there is no one to settle them for."""


class HeldTooLong(LeaseLost):
    """The broker would soon close the channel for want of an acknowledgement (consumer_timeout): given back before."""


@dataclass(frozen=True, slots=True)
class _Left:
    """What is left of rows after an insert of them: parts to try instead, and what can never be stored."""

    parts: Sequence[Rows] = ()
    refused: Sequence[tuple[int, Rejection]] = ()
    """With their positions in the batch."""


_NOTHING_LEFT = _Left()


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sinker admits, and for how long and for what it holds messages."""

    bounds: Bounds
    hold_seconds: float
    dead_share: float


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch that nothing can undo: every message is in the table or, confirmed, a dead letter."""

    batch: Batch
    letters: Sequence[DeadLetter]


class Sinker:
    """Settles the batches of one event type."""

    def __init__(
        self,
        event_type: EventType,
        clickhouse: ClickHouse,
        dead_letters: DeadLetters,
        backoff: Backoff,
        terms: Terms,
        health: TypeHealth,
        metrics: Metrics,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._type = event_type
        self._clickhouse = clickhouse
        self._dead_letters = dead_letters
        self._backoff = backoff
        self._terms = terms
        self._health = health
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._validator = Validator(event_type, terms.bounds)
        self._dead_share = DeadShare(terms.dead_share)
        self._in_trouble: set[int] = set()
        """Batches, by their last tags, that wait for another attempt."""
        self._log = structlog.get_logger().bind(type=event_type.name)

    async def settle(self, batch: Batch) -> Settled:
        """Land what can be stored and dead-letter what cannot; the batch may then be acknowledged.

        Batches may be settled side by side. Raises LeaseLost when the batch's channel closes first; everything in it
        then comes again.
        """
        try:
            validated = self._validator.validate(batch.bodies)
            letters = [self._letter(batch, at, why.reason, why.detail) for at, why in validated.rejected]
            await self._halt_on_too_many(batch, letters)
            letters += await self._land(batch, _rows(validated), str(uuid4()))
            await self._halt_on_too_many(batch, letters)
            self._dead_share.add(len(batch.bodies), _fresh(letters))
            await self._bury(batch, letters)
        finally:
            self._in_trouble.discard(batch.last_tag)
        if not self._in_trouble:
            self._health.running()
        return Settled(batch, letters)

    async def _land(self, batch: Batch, rows: Rows, token: str) -> list[DeadLetter]:
        """Make rows durable, in parts if need be; the ones the table can never take come back as dead letters."""
        letters: list[DeadLetter] = []
        parts, tokens, tried = [rows], count(1), 0
        while parts:
            part = parts.pop()
            # The token tells a retry of the very same part from a new insert.
            left = await self._land_part(batch, part, token)
            parts.extend(reversed(left.parts))
            tried += len(part) - sum(map(len, left.parts))
            if left.refused:
                letters += [self._letter(batch, at, why.reason, why.detail) for at, why in left.refused]
                await self._halt_on_too_many_refused(batch, letters, tried)
            token = f"{token.partition('.')[0]}.{next(tokens)}"
            if parts:
                self._give_back_in_time(batch)
        return letters

    async def _land_part(self, batch: Batch, rows: Rows, token: str) -> _Left:
        """What is left when the rows are durable: nothing, or what to try instead and what the table refuses."""
        attempt = 0
        while rows:
            attempt += 1
            try:
                await self._insert(batch, rows, token, attempt)
            except InsertFailed as failure:
                means = meaning(failure)
                if means.verdict is Verdict.ROW_FAULT:
                    left, means, failure = await self._without_the_refused(batch, rows, token, attempt, failure)
                else:
                    left = _smaller(rows, means)
                if left is not None:
                    return left
                if isinstance(failure, RowsMissing):
                    token = str(uuid4())  # under the same one the server would take what is missing for there
                await self._wait(batch, attempt, means, str(failure))
                if means is OUT_OF_MEMORY and len(rows) > _SMALL:
                    return _Left(rows.halves())
            else:
                break
        return _NOTHING_LEFT

    async def _without_the_refused(
        self, batch: Batch, rows: Rows, token: str, attempt: int, failure: InsertFailed
    ) -> tuple[_Left | None, Meaning, InsertFailed]:
        """What is left of rows of which some row cannot be stored; None where it is a view that fails, not the table.

        All that the table is known to be stricter about than the contract is looked for at once; then the row that is
        blamed is tried alone.
        """
        means = meaning(failure)
        again = self._validator.look_again(rows.rows, rows.positions, rows.times)
        if again.rejected:
            return _Left([_rows(again)] if again.rows else [], again.rejected), means, failure
        if len(rows) > 1:
            return _Left(_around(rows, blamed_row(failure))), means, failure
        return await self._by_the_table_alone(batch, rows, token, attempt, failure)

    async def _by_the_table_alone(
        self, batch: Batch, row: Rows, token: str, attempt: int, failure: InsertFailed
    ) -> tuple[_Left | None, Meaning, InsertFailed]:
        """Whether the table itself refuses a row, or a view on it, of which the server does not say the name.

        Where it is a view the row lands here already, under the token of the insert that failed, which is then tried on
        until the view is mended.
        """
        try:
            await self._insert(batch, row, token, attempt, alone=True)
        except InsertFailed as alone:
            means = meaning(alone)
            if means.verdict is Verdict.ROW_FAULT:
                refused = Rejection(Reason.REFUSED_BY_TABLE, str(alone))
                return _Left(refused=[(row.positions[0], refused)]), means, alone
            return None, means, alone
        return None, VIEW_FAILED, failure

    async def _insert(self, batch: Batch, rows: Rows, token: str, attempt: int, alone: bool = False) -> None:
        """Insert into the table and all views on it, or `alone` into the table whatever becomes of these."""
        started = self._clock()
        comment, settings = self._comment(batch, rows, token, attempt), _ALONE if alone else NO_SETTINGS
        await self._clickhouse.insert(self._type.table, rows.rows, token, comment, settings=settings)
        self._metrics.insert_seconds.labels(self._type.name).observe(self._clock() - started)
        self._metrics.batch_rows.labels(self._type.name).observe(len(rows))
        self._log.debug("batch landed", rows=len(rows), batch=token, attempt=attempt)

    def _comment(self, batch: Batch, rows: Rows, token: str, attempt: int) -> dict[str, str | int]:
        """What identifies the insert in system.query_log, and what the ledger takes from it (schema/ledger)."""
        ago = self._wall() - self._clock()
        return {
            "service": "gcc-ingest",
            "type": self._type.name,
            "batch": token,
            "attempt": attempt,
            "bytes": rows.size(),
            "redelivered": batch.redelivered,
            "first_received_ms": round((ago + batch.first_received) * 1000),
            "last_received_ms": round((ago + batch.last_received) * 1000),
            "sent_ms": round(self._wall() * 1000),
        }

    async def _bury(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """Return when the broker has confirmed every letter; only those that it has not are published again."""
        left, attempt = letters, 0
        while left:
            attempt += 1
            left, why = await self._dead_letters.publish(left)
            if left:
                await self._wait(batch, attempt, _NOT_CONFIRMED, f"{len(left)} dead letters: {why}")
        if letters:
            self._log.warning("messages dead-lettered", count=len(letters), first_reason=letters[0].reason,
                              first_detail=letters[0].detail, queue=self._type.error_queue)  # fmt: skip

    async def _halt_on_too_many(self, batch: Batch, letters: Sequence[DeadLetter]) -> None:
        """A bad deployment of a publisher must not drain the queue into the dead letters."""
        said = self._dead_share.too_many(len(batch.bodies), _fresh(letters))
        if said is not None:
            await self._halt(batch, letters[0], said)

    async def _halt_on_too_many_refused(self, batch: Batch, refused: Sequence[DeadLetter], tried: int) -> None:
        """The same while a batch is taken apart: it must not cost an insert or two for each of its rows."""
        fresh = _fresh(refused)
        if fresh > _FEW_REFUSED and fresh > self._terms.dead_share * tried:
            await self._halt(batch, refused[-1], f"its table refuses {fresh} of {tried} messages")

    async def _halt(self, batch: Batch, letter: DeadLetter, said: str) -> None:
        why = (
            f"{said}, now for {letter.reason} ({letter.detail}): mend the publisher, then restart with "
            "GCC_DEAD_LETTER_SHARE=1 to dead-letter them"
        )
        attempt = 0
        while True:
            attempt += 1
            await self._wait(batch, attempt, _TOO_MANY_DEAD, why)

    async def _wait(self, batch: Batch, attempt: int, means: Meaning, why: str) -> None:
        """Until the next attempt. Raises LeaseLost."""
        halts = means.verdict is Verdict.CONFIG_FAULT or (
            means.verdict is Verdict.UNKNOWN and attempt > _UNKNOWN_RETRIES
        )
        log = self._log.error if halts and self._health.state is not State.HALTED else self._log.warning
        self._in_trouble.add(batch.last_tag)
        self._health.count_retry(means.verdict, means.reason)
        (self._health.halted if halts else self._health.retrying)(f"{means.reason}: {why}")
        slowly = halts or means.verdict is Verdict.PRESSURE
        seconds = self._backoff.seconds(attempt) * (_SLOWER if slowly else 1)
        log(f"{self._health.state}, trying again", verdict=means.verdict, reason=means.reason, why=why,
            attempt=attempt, seconds=round(seconds, 2))  # fmt: skip
        if await batch.lease.dies_within(seconds):
            raise LeaseLost
        self._give_back_in_time(batch)

    def _give_back_in_time(self, batch: Batch) -> None:
        if not batch.lease.alive:
            raise LeaseLost
        if self._clock() - batch.first_received > self._terms.hold_seconds:
            raise HeldTooLong

    def _letter(self, batch: Batch, at: int, reason: Reason, detail: str) -> DeadLetter:
        past = Past.of(batch.headers.get(at, {}))
        now = datetime.fromtimestamp(self._wall(), UTC)
        return self._dead_letters.letter(batch.bodies[at], reason, detail, past, now)


def _rows(validated: Validated) -> Rows:
    return Rows(validated.rows, validated.positions, validated.times)


def _fresh(letters: Sequence[DeadLetter]) -> int:
    """How many were not dead letters before: what a replay brings back says nothing new about the publisher."""
    return sum(not letter.past.attempts for letter in letters)


def _smaller(rows: Rows, means: Meaning) -> _Left | None:
    """The parts to try at once instead of rows that cannot go in together; None where the same rows may go in later."""
    if len(rows) > 1 and means.verdict is Verdict.TIME_FAULT:
        return _Left(rows.by_time().halves())
    if len(rows) > 1 and means is TOO_LARGE_FOR_PROXY:
        return _Left(rows.halves())
    return None


def _around(rows: Rows, blamed: int | None) -> Sequence[Rows]:
    """The parts to try where some row cannot be stored: around the one that is blamed, or else halves."""
    return rows.around(blamed) if blamed is not None and 1 <= blamed <= len(rows) else rows.halves()
