"""PostgreSQL's rows in the shape of the raw tables, in the database _legacy: all of them, with and without an event_id.

The marts are built from it to be compared, and a warehouse may read tables from it until they are switched.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from gcc_platform.migration import legacy_database
from gcc_platform.migration.copied_rows import Pace, copy_batches
from gcc_platform.migration.horizon import check, horizon
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from ingest_service.clickhouse.client import ClickHouse

DATABASE = "_legacy"

_BATCH = 50_000
_WAIT_SECONDS = 0.2
_SETTINGS = {"input_format_null_as_default": 0, "throw_on_max_partitions_per_insert_block": 0}


@dataclass(frozen=True)
class _Position:
    next_id: int
    seen_id: int
    """The newest id at a time."""
    seen_at: datetime


@dataclass(frozen=True)
class Mirror:
    """The mirror of one table. A row that is mirrored twice collapses, as in the raw table."""

    state: Connection
    old: Connection
    clickhouse: ClickHouse
    table: LegacyTable
    database: Database

    @property
    def target(self) -> str:
        """Its table in ClickHouse."""
        return f"{DATABASE}.{self.table.raw_table.partition('.')[2]}"

    async def advance(self) -> int | None:
        """Copy the rows that are decided: no transaction can still commit an id among them. How many.

        It waits for nobody, and is None if some are not decided. Rows that come meanwhile are for a later call. Raises
        psycopg.Error, InsertFailed and ClickHouseUnavailable.
        """
        return await self._copy_decided(await self._position())

    async def catch_up(self, waiting: Callable[[], None]) -> int:
        """Copy all rows that there are now. `waiting` is called while a transaction may still commit one of them.

        Raises CannotSeeTransactions, psycopg.Error, InsertFailed and ClickHouseUnavailable.
        """
        await check(self.old)
        newest, copied = await self._newest(), 0
        while True:
            before = await self._position()
            decided = await self._copy_decided(before)
            copied += decided or 0
            if decided is not None and before.seen_id >= newest:
                return copied
            if decided is None:
                waiting()
                await asyncio.sleep(_WAIT_SECONDS)

    async def _copy_decided(self, before: _Position) -> int | None:
        if await horizon(self.old) <= before.seen_at:
            return None
        copied = await self._copy(before.next_id, before.seen_id)
        await self._store(await self._first_unfinished(before), copied)
        return copied

    async def _position(self) -> _Position:
        """How far it is; begins at the first id."""
        await self.clickhouse.command(f"CREATE DATABASE IF NOT EXISTS {DATABASE}")
        await self.clickhouse.command(f"CREATE TABLE IF NOT EXISTS {self.target} AS {self.table.raw_table}")
        query = "SELECT next_id, seen_id, seen_at FROM migration.mirror WHERE legacy_table = %s"
        found = await (await self.state.execute(query, [self.table.name])).fetchone()
        if found is None:
            await self.clickhouse.command(f"TRUNCATE TABLE {self.target}")
            newest, seen_at = await self._seen()
            await self.state.execute(
                "INSERT INTO migration.mirror (legacy_table, next_id, seen_id, seen_at) VALUES (%s, 1, %s, %s)",
                [self.table.name, newest, seen_at],
            )
            return _Position(1, newest, seen_at)
        return _Position(*found)

    async def _seen(self) -> tuple[int, datetime]:
        """The newest id, and a time after it was looked for: a transaction that holds an older one began before."""
        newest = await self._newest()
        row = await (await self.old.execute("SELECT clock_timestamp()")).fetchone()
        assert row is not None
        return newest, row[0]

    async def _newest(self) -> int:
        found = await self.old.execute(f"SELECT coalesce(max(id), 0) FROM {self.table.name}".encode())
        row = await found.fetchone()
        return int(row[0]) if row else 0

    async def _copy(self, first_id: int, last_id: int) -> int:
        count = 0
        has_event_id = await legacy_database.has_event_id(self.old, self.table)
        batches = copy_batches(
            self.old,
            self.table,
            self.database,
            "r.id BETWEEN %(first)s AND %(last)s",
            {"first": first_id, "last": last_id},
            Pace(),
            has_event_id=has_event_id,
            most=_BATCH,
        )
        async for rows in batches:
            token = f"mirror/{self.table.name}/{first_id}/{time.time_ns()}"
            columns = self.table.event_columns
            await self.clickhouse.insert(
                self.target, rows.lines, token, {"migration": token}, columns, _SETTINGS, "TabSeparated"
            )
            count += len(rows.lines)
        return count

    async def _first_unfinished(self, copied: _Position) -> int:
        """Where the next copy begins: behind these rows, or at the first of them that is not final."""
        if self.table.complete is None:
            return copied.seen_id + 1
        found = await self.old.execute(
            f"""SELECT coalesce(min(r.id), %(next)s) FROM {self.table.name} AS r
            WHERE r.id BETWEEN %(first)s AND %(last)s AND NOT coalesce({self.table.complete}, false)""".encode(),
            {"next": copied.seen_id + 1, "first": copied.next_id, "last": copied.seen_id},
        )
        row = await found.fetchone()
        return int(row[0]) if row else copied.seen_id + 1

    async def _store(self, next_id: int, copied: int) -> None:
        """Note what was copied, and the newest id there is now: the next call copies up to it."""
        newest, seen_at = await self._seen()
        await self.state.execute(
            """UPDATE migration.mirror SET next_id = %s, seen_id = %s, seen_at = %s, rows = rows + %s, moved_at = now()
            WHERE legacy_table = %s""",
            [next_id, max(newest, next_id - 1), seen_at, copied, self.table.name],
        )
