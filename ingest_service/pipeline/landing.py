"""Lands rows: inserts them, retries, and splits them until every row is durable or refused by the table alone."""

import time
from collections.abc import Callable, Sequence
from itertools import count
from typing import Protocol
from uuid import uuid4

import structlog

from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.errors import (
    OUT_OF_MEMORY,
    VIEW_FAILED,
    Classification,
    ErrorClass,
    InsertFailed,
    RowsMissing,
    blamed_row,
    classify,
)
from ingest_service.clickhouse.inserts import NO_SETTINGS
from ingest_service.events.contract import EventType
from ingest_service.events.validation import Reason, Rejection, Validator
from ingest_service.observability.metrics import Metrics
from ingest_service.pipeline import split
from ingest_service.pipeline.buffer import Batch, Clock
from ingest_service.pipeline.retries import Retries
from ingest_service.pipeline.rows import Rows
from ingest_service.pipeline.split import Remaining

_SMALL = 1_000
"""Rows that are not halved when ClickHouse lacks memory: smaller inserts need as much of it."""
_TABLE_ALONE = {"materialized_views_ignore_errors": 1}

Refused = Sequence[tuple[int, Rejection]]
"""Rows that the table can never take, by their positions in the batch."""


class AfterRefusal(Protocol):
    """What is called after each part of a batch in which the table refused rows; it may wait or raise."""

    async def __call__(self, refused: Refused, tried: int) -> None:
        """`refused` are all refused rows so far, of `tried`."""
        ...


class _NotLanded(Exception):
    """An insert failed, and the same rows are to be retried."""

    def __init__(self, classification: Classification, failure: InsertFailed) -> None:
        super().__init__(str(failure))
        self.classification = classification
        self.failure = failure


class Landing:
    """Inserts the rows of one event type's batches."""

    def __init__(
        self,
        event_type: EventType,
        clickhouse: ClickHouse,
        validator: Validator,
        retries: Retries,
        metrics: Metrics,
        clock: Clock,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._type = event_type
        self._clickhouse = clickhouse
        self._validator = validator
        self._retries = retries
        self._metrics = metrics
        self._clock = clock
        self._wall = wall
        self._log = structlog.get_logger().bind(type=event_type.name)

    async def land(self, batch: Batch, rows: Rows, after_refusal: AfterRefusal) -> Refused:
        """Return when every row is durable, except those returned: the table can never take them. Raises LeaseLost."""
        refused: list[tuple[int, Rejection]] = []
        token, parts, tried = str(uuid4()), [rows], 0
        for number in count(1):
            part = parts.pop()
            remaining = await self._land_part(batch, part, token)
            parts.extend(reversed(remaining.parts))
            tried += len(part) - sum(map(len, remaining.parts))
            if remaining.refused:
                refused += remaining.refused
                await after_refusal(refused, tried)
            if not parts:
                break
            # The token distinguishes a retry of the same part from a new insert.
            token = f"{token.partition('.')[0]}.{number}"
            self._retries.check(batch)
        return refused

    async def _land_part(self, batch: Batch, rows: Rows, token: str) -> Remaining:
        """Insert until the rows are durable or have to be split."""
        if not rows:
            return split.NOTHING
        for attempt in count(1):
            try:
                return await self._try(batch, rows, token, attempt)
            except _NotLanded as error:
                if isinstance(error.failure, RowsMissing):
                    token = str(uuid4())  # under the same token the server would skip the missing rows
                await self._retries.wait(batch, attempt, error.classification, str(error.failure))
                if error.classification is OUT_OF_MEMORY and len(rows) > _SMALL:
                    return Remaining(rows.halves())
        raise AssertionError("attempts do not end")

    async def _try(self, batch: Batch, rows: Rows, token: str, attempt: int) -> Remaining:
        """Insert once. Raises _NotLanded if the same rows are to be retried."""
        try:
            await self._insert(batch, rows, token, attempt)
        except InsertFailed as failure:
            classification = classify(failure)
            if classification.error_class is ErrorClass.ROW_FAULT:
                return await self._without_refused(batch, rows, token, attempt, failure)
            remaining = split.smaller(rows, classification)
            if remaining is None:
                raise _NotLanded(classification, failure) from None
            return remaining
        return split.NOTHING

    async def _without_refused(
        self, batch: Batch, rows: Rows, token: str, attempt: int, failure: InsertFailed
    ) -> Remaining:
        """What remains of rows of which one cannot be stored. Raises _NotLanded.

        All that the table is known to be stricter about than the contract is looked for at once; then the row that the
        server blamed is tried alone.
        """
        again = self._validator.look_again(rows.rows, rows.positions, rows.times)
        if again.rejected:
            return split.without_rejected(again)
        if len(rows) > 1:
            return split.around(rows, blamed_row(failure))
        return await self._by_the_table_alone(batch, rows, token, attempt, failure)

    async def _by_the_table_alone(
        self, batch: Batch, row: Rows, token: str, attempt: int, failure: InsertFailed
    ) -> Remaining:
        """Find out whether the table refuses a row, or a view on it that the server does not name. Raises _NotLanded.

        If it is a view, this lands the row already, under the token of the insert that failed; that insert is then
        retried until the view is fixed.
        """
        try:
            await self._insert(batch, row, token, attempt, table_alone=True)
        except InsertFailed as alone:
            classification = classify(alone)
            if classification.error_class is ErrorClass.ROW_FAULT:
                rejection = Rejection(Reason.REFUSED_BY_TABLE, str(alone))
                return Remaining(refused=[(row.positions[0], rejection)])
            raise _NotLanded(classification, alone) from None
        raise _NotLanded(VIEW_FAILED, failure)

    async def _insert(self, batch: Batch, rows: Rows, token: str, attempt: int, *, table_alone: bool = False) -> None:
        """Insert into the table and its views; with `table_alone` an error of a view is ignored."""
        started = self._clock()
        settings = _TABLE_ALONE if table_alone else NO_SETTINGS
        comment = self._comment(batch, rows, token, attempt)
        await self._clickhouse.insert(self._type.table, rows.rows, token, comment, settings=settings)
        self._metrics.insert_seconds.labels(self._type.name).observe(self._clock() - started)
        self._metrics.batch_rows.labels(self._type.name).observe(len(rows))
        self._log.debug("batch landed", rows=len(rows), batch=token, attempt=attempt)

    def _comment(self, batch: Batch, rows: Rows, token: str, attempt: int) -> dict[str, str | int]:
        """Identifies the insert in system.query_log; the ledger is filled from it (schema/ledger)."""
        clock_to_wall = self._wall() - self._clock()
        return {
            "service": "gcc-ingest",
            "type": self._type.name,
            "batch": token,
            "attempt": attempt,
            "bytes": rows.size(),
            "redelivered": batch.redelivered,
            "first_received_ms": round((clock_to_wall + batch.first_received) * 1000),
            "last_received_ms": round((clock_to_wall + batch.last_received) * 1000),
            "sent_ms": round(self._wall() * 1000),
        }
