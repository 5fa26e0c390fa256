"""A frozen batch until it is durable, dead-lettered or given back."""

import time
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

import structlog

from ingest_service.admission import Admission, Reason, Rejected
from ingest_service.backoff import Backoff
from ingest_service.broker.deliveries import Lease
from ingest_service.broker.publisher import NotConfirmed
from ingest_service.buffer import Batch
from ingest_service.clickhouse import ClickHouse
from ingest_service.dead_letters import DeadLetter, DeadLetters
from ingest_service.events.contract import EventType
from ingest_service.headers import Past
from ingest_service.health import TypeHealth
from ingest_service.metrics import Metrics
from ingest_service.verdicts import InsertFailed, Verdict, verdict

_SPLITTING = {Verdict.ROW_FAULT, Verdict.TIME_FAULT}
_HALTING = {Verdict.CONFIG_FAULT, Verdict.UNKNOWN}
_SLOWER = 4  # under pressure, or waiting for a human, attempts come this much more rarely


class LeaseLost(Exception):
    """The channel of a batch has closed: its messages are the broker's again, so there is no one to settle them for."""


class Sinker:
    """Settles the batches of one event type, one at a time and in order."""

    def __init__(
        self,
        event_type: EventType,
        clickhouse: ClickHouse,
        dead_letters: DeadLetters,
        backoff: Backoff,
        health: TypeHealth,
        metrics: Metrics,
    ) -> None:
        self._type = event_type
        self._clickhouse = clickhouse
        self._dead_letters = dead_letters
        self._backoff = backoff
        self._health = health
        self._metrics = metrics
        self._admission = Admission(event_type)
        self._log = structlog.get_logger().bind(type=event_type.name)

    async def settle(self, batch: Batch) -> None:
        """Land what can be stored, dead-letter what cannot, then acknowledge the batch as a whole.

        Raises LeaseLost when the batch's channel closes first; everything in it then comes again.
        """
        rows, letters, received = self._admit(batch.bodies)
        refused = await self._land(batch.lease, rows, str(uuid4()))
        letters += [replace(letter, body=received.get(letter.body, letter.body)) for letter in refused]
        await self._bury(batch.lease, _with_their_past(letters, batch))
        if not await batch.lease.ack(batch.last_tag, multiple=True):
            raise LeaseLost
        self._health.landed += len(batch.bodies) - len(letters)
        for letter in letters:
            self._health.count_dead_letters(letter.reason, 1)
        self._health.batches += 1
        self._health.running()

    def _admit(self, bodies: Sequence[bytes]) -> tuple[list[bytes], list[DeadLetter], dict[bytes, bytes]]:
        """The rows to insert, the bodies that cannot be, and what was received for each row that is not the same."""
        rows, letters, received = [], [], {}
        for body in bodies:
            try:
                row = self._admission.admit(body)
            except Rejected as rejected:
                letters.append(DeadLetter(body, rejected.reason, rejected.detail))
            else:
                rows.append(row)
                if row is not body:
                    received[row] = body
        return rows, letters, received

    async def _land(self, lease: Lease, rows: Sequence[bytes], token: str) -> list[DeadLetter]:
        """Make rows durable; the ones ClickHouse can never take come back as dead letters."""
        if not rows:
            return []
        body = b"\n".join(rows)
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._insert(body, len(rows), token, attempt)
            except InsertFailed as failure:
                meaning = verdict(failure)
                if meaning in _SPLITTING and len(rows) > 1:
                    return await self._land_halves(lease, rows, token)
                if meaning is Verdict.ROW_FAULT:
                    return [DeadLetter(rows[0], Reason.REFUSED_BY_TABLE, str(failure))]
                await self._wait(lease, attempt, meaning, str(failure))
            else:
                return []

    async def _land_halves(self, lease: Lease, rows: Sequence[bytes], token: str) -> list[DeadLetter]:
        middle = len(rows) // 2
        first = await self._land(lease, rows[:middle], f"{token}.0")
        return first + await self._land(lease, rows[middle:], f"{token}.1")

    async def _insert(self, body: bytes, rows: int, token: str, attempt: int) -> None:
        started = time.monotonic()
        comment: dict[str, str | int] = {
            "service": "gcc-ingest",
            "type": self._type.name,
            "batch": token,
            "attempt": attempt,
        }
        await self._clickhouse.insert(self._type.table, body, token, comment)
        self._metrics.insert_seconds.labels(self._type.name).observe(time.monotonic() - started)
        self._metrics.batch_rows.labels(self._type.name).observe(rows)
        self._log.debug("batch landed", rows=rows, batch=token, attempt=attempt)

    async def _bury(self, lease: Lease, letters: Sequence[DeadLetter]) -> None:
        attempt = 0
        while letters:
            attempt += 1
            try:
                await self._dead_letters.publish(letters)
            except NotConfirmed as error:
                await self._wait(lease, attempt, Verdict.TRANSIENT, f"dead letters: {error}")
            else:
                self._log.warning("messages dead-lettered", count=len(letters), first_reason=letters[0].reason,
                                  first_detail=letters[0].detail, queue=self._type.error_queue)  # fmt: skip
                return

    async def _wait(self, lease: Lease, attempt: int, meaning: Verdict, why: str) -> None:
        self._health.count_retry(meaning)
        (self._health.halted if meaning in _HALTING else self._health.retrying)(why)
        seconds = self._backoff.seconds(attempt) * (1 if meaning is Verdict.TRANSIENT else _SLOWER)
        self._log.warning(f"{self._health.state}, trying again", verdict=meaning, why=why, attempt=attempt,
                          seconds=round(seconds, 2))  # fmt: skip
        if await lease.dies_within(seconds):
            raise LeaseLost


def _with_their_past(letters: Sequence[DeadLetter], batch: Batch) -> Sequence[DeadLetter]:
    """The letters with what their messages' headers told; copies of one message in a batch have one past."""
    if not batch.headers:
        return letters
    pasts = {batch.bodies[position]: Past.of(own) for position, own in batch.headers.items()}
    return [replace(letter, past=pasts.get(letter.body, letter.past)) for letter in letters]
