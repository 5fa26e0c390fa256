"""The backfill: all old rows, chunk by chunk, newest first, by any number of workers, any of which may be killed.

A chunk is done when ClickHouse has confirmed its rows and the state says so. In between it may be lost: then the chunk
is done again, and its rows, which have the same keys, collapse with the first ones.
"""

import asyncio
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import psycopg
import structlog

from gcc_platform.migration import chunks, gaps, legacy_database
from gcc_platform.migration.chunks import Chunk, Outcome
from gcc_platform.migration.copied_rows import Pace, copy_rows
from gcc_platform.migration.horizon import check, horizon
from gcc_platform.migration.landing import land
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection, connect
from gcc_platform.migration.rejected import note_invalid, note_refused
from gcc_platform.migration.series_rows import without_events
from gcc_platform.migration.tail import note_gaps, unfinished_ids
from gcc_platform.resources.postgres import PostgresUnavailable
from ingest_service.backoff import Backoff
from ingest_service.clickhouse.client import ClickHouse
from ingest_service.clickhouse.errors import ErrorClass, InsertFailed, classify
from ingest_service.clickhouse.unavailable import ClickHouseUnavailable

_RETRY = Backoff(first=0.5, most=30.0)
_log = structlog.get_logger()
_HORIZON_SECONDS = 0.2


@dataclass(frozen=True)
class Backfill:
    """What the workers of a backfill share."""

    legacy_url: str
    state_url: str
    clickhouse: ClickHouse
    database: Database
    pace: Pace
    report: Callable[[Chunk, Outcome], None]
    """Called after each chunk."""
    is_enough: Callable[[], bool] = lambda: False
    """Asked before each chunk: whether to stop with some of them undone."""

    async def run(self, tables: Sequence[LegacyTable], workers: int) -> None:
        """Do all chunks that are planned, one table after the other. A database that is away is waited for."""
        async with connect(self.state_url, "gcc migration state") as state:
            await chunks.retry_failed(state, [table.name for table in tables])
        async with asyncio.TaskGroup() as group:
            for number in range(workers):
                group.create_task(self._work(tables, f"{socket.gethostname()}:{os.getpid()}.{number}"))

    async def _work(self, tables: Sequence[LegacyTable], worker: str) -> None:
        attempt = 0
        while True:
            try:
                async with (
                    connect(self.state_url, "gcc migration state") as state,
                    legacy_database.reading(self.legacy_url) as old,
                ):
                    for table in tables:
                        while not self.is_enough() and (chunk := await chunks.claim(state, table.name, worker)):
                            await self._do(state, old, table, chunk)
                            attempt = 0
                    return
            except (PostgresUnavailable, psycopg.OperationalError, ClickHouseUnavailable) as error:
                attempt += 1
                seconds = _RETRY.seconds(attempt)
                _log.warning("waiting for a server", error=str(error).strip(), seconds=round(seconds, 1))
                await asyncio.sleep(seconds)

    async def _do(self, state: Connection, old: Connection, table: LegacyTable, chunk: Chunk) -> None:
        try:
            outcome = await self._move(state, old, table, chunk)
        except psycopg.OperationalError:
            raise
        except (InsertFailed, psycopg.Error) as error:
            if isinstance(error, psycopg.Error):
                await _check_connection(old)
            await chunks.fail(state, chunk, str(error).strip())
        else:
            await chunks.finish(state, chunk, outcome)
            self.report(chunk, outcome)

    async def _move(self, state: Connection, old: Connection, table: LegacyTable, chunk: Chunk) -> Outcome:
        where = "r.id BETWEEN %(first)s AND %(last)s"
        if has_event_id := await legacy_database.has_event_id(old, table):
            where += " AND r.event_id IS NULL"  # the others' events come through the broker
        ids: Mapping[str, Any] = {"first": chunk.first_id, "last": chunk.last_id}
        # First: a row that is completed meanwhile is brought twice, and not missed.
        await note_gaps(state, table, gaps.runs(await unfinished_ids(old, table, where, ids), datetime.now(UTC)))
        if table.log:
            where, ids = await without_events(old, self.clickhouse, table, self.database, where, ids)
        outcome = await self._land(state, old, table, chunk, where, ids, has_event_id)
        return outcome + Outcome(rejected=await note_invalid(state, old, table, self.database, where, ids))

    async def _land(
        self,
        state: Connection,
        old: Connection,
        table: LegacyTable,
        chunk: Chunk,
        where: str,
        parameters: Mapping[str, Any],
        has_event_id: bool,
    ) -> Outcome:
        """Bring the rows of a chunk. A row that a server refuses is found by halves, and noted."""
        ids = {**parameters, "first": chunk.first_id, "last": chunk.last_id}
        try:
            rows = await copy_rows(old, table, self.database, where, ids, self.pace, has_event_id=has_event_id)
            await land(self.clickhouse, table, rows.lines, chunk.batch, _RETRY)
        except (InsertFailed, psycopg.DataError) as error:
            if isinstance(error, InsertFailed) and classify(error).error_class is not ErrorClass.ROW_FAULT:
                raise
            if chunk.first_id == chunk.last_id:
                await note_refused(state, table, chunk.first_id, str(error).strip())
                return Outcome(rejected=1)
            halves = [await self._land(state, old, table, half, where, ids, has_event_id) for half in chunk.halves()]
            return sum(halves, start=Outcome())
        return Outcome(len(rows.lines), 0, rows.checksum, rows.earliest, rows.latest)


async def plan(old: Connection, state: Connection, table: LegacyTable, width: int, waiting: Callable[[], None]) -> int:
    """Plan chunks of all ids that exist, once they are decided; how many. Later ids are the tail's.

    `waiting` is called while a transaction is under way that may still commit one of them. Only the primary knows that:
    raises CannotSeeTransactions on a replica, which is enough afterwards.
    """
    if await chunks.is_planned(state, table.name):
        return 0
    await check(old)
    ids = await _one(old, f"SELECT coalesce(min(id), 1), coalesce(max(id), 0) FROM {table.name}")
    (now,) = await _one(old, "SELECT clock_timestamp()")
    while await horizon(old) < now:
        waiting()
        await asyncio.sleep(_HORIZON_SECONDS)
    first_id, last_id = ids
    return await chunks.plan(state, table.name, first_id, last_id, width)


async def _check_connection(connection: Connection) -> None:
    """Raise psycopg.OperationalError if a connection has ended: the rows did not cause that.

    A COPY whose server is killed may fail with a ProgrammingError ("you cannot mix COPY with other operations").
    """
    await connection.execute("SELECT 1")


async def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    row = await (await connection.execute(query.encode())).fetchone()
    assert row is not None
    return row
