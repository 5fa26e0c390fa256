"""PostgreSQL's rows in the shape of the raw tables, in the database _legacy: all of them, with and without an event_id.

The marts are built from it to be compared, and a warehouse may read tables from it until they are switched.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gcc_platform.migration import legacy_database
from gcc_platform.migration.copied_rows import Pace, copy_rows
from gcc_platform.migration.horizon import check, horizon
from gcc_platform.migration.legacy_table import Database, LegacyTable
from gcc_platform.migration.postgres import Connection
from gcc_platform.migration.tail import unfinished_ids
from ingest_service.clickhouse.client import ClickHouse

DATABASE = "_legacy"

_BATCH = 50_000
_MOST = 10 * _BATCH
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
    """The mirror of one table. A row that is mirrored twice collapses, as in the raw table.

    How far it is, is stored after each batch: a mirror that is killed goes on there.
    """

    state: Connection
    old: Connection
    clickhouse: ClickHouse
    table: LegacyTable
    database: Database
    batch: int = _BATCH
    """Rows of one insert."""
    most: int = _MOST
    """Rows of one call of `advance`, or a batch more: a daemon has other tables to look at."""

    @property
    def target(self) -> str:
        """Its table in ClickHouse."""
        return f"{DATABASE}.{self.table.raw_table.partition('.')[2]}"

    async def advance(self) -> int | None:
        """Copy rows that are decided: no transaction can still commit an id among them. How many.

        It waits for nobody, and is None if some are not decided. More rows, and those that come meanwhile, are for a
        later call. Raises psycopg.Error, InsertFailed and ClickHouseUnavailable.
        """
        return await self._copy_decided(await self._position())

    async def catch_up(self, waiting: Callable[[], None]) -> int:
        """Copy all rows that there are now. `waiting` is called while a transaction may still commit one of them.

        Raises CannotSeeTransactions, psycopg.Error, InsertFailed and ClickHouseUnavailable.
        """
        await check(self.old)
        newest, copied = await self._newest(), 0
        while True:
            decided = await self._copy_decided(await self._position())
            copied += decided or 0
            if decided is None:
                waiting()
                await asyncio.sleep(_WAIT_SECONDS)
            elif (await self._position()).next_id > newest:
                return copied

    async def _copy_decided(self, before: _Position) -> int | None:
        if await horizon(self.old) <= before.seen_at:
            return None
        copied, first_id = await self._copy_completed(), before.next_id
        while copied < self.most:
            last_id = await self._end_of_batch(first_id, before.seen_id)
            if last_id is None:
                await self._look_ahead(before.seen_id + 1)
                break
            copied += await self._copy_batch(first_id, last_id)
            first_id = last_id + 1
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

    async def _end_of_batch(self, first_id: int, last_id: int) -> int | None:
        """The last id of the next batch, by its rows: ids may have large gaps. None if there are no more rows."""
        found = await self.old.execute(
            f"""SELECT max(id) FROM (SELECT id FROM {self.table.name} WHERE id BETWEEN %s AND %s ORDER BY id LIMIT %s)
            AS batch""".encode(),
            [first_id, last_id, self.batch],
        )
        row = await found.fetchone()
        return row[0] if row else None

    async def _copy_batch(self, first_id: int, last_id: int) -> int:
        where, ids = "r.id BETWEEN %(first)s AND %(last)s", {"first": first_id, "last": last_id}
        # First: a row that is completed meanwhile is copied twice, and not missed.
        await self._note_unfinished(await unfinished_ids(self.old, self.table, where, ids))
        copied = await self._copy(where, ids)
        await self.state.execute(
            """UPDATE migration.mirror SET next_id = %s, rows = rows + %s, moved_at = now()
            WHERE legacy_table = %s""",
            [last_id + 1, copied, self.table.name],
        )
        return copied

    async def _copy_completed(self) -> int:
        """Copy rows that were passed before they were final, and are now."""
        if self.table.complete is None:
            return 0
        query = "SELECT id FROM migration.mirror_unfinished WHERE legacy_table = %s"
        noted = [row_id for (row_id,) in await (await self.state.execute(query, [self.table.name])).fetchall()]
        where = "r.id = ANY(%(ids)s)"
        unfinished = await unfinished_ids(self.old, self.table, where, {"ids": noted})
        done = list({*noted} - {*unfinished})
        if not done:
            return 0
        copied = await self._copy(where, {"ids": done})
        async with self.state.transaction():
            await self.state.execute(
                "DELETE FROM migration.mirror_unfinished WHERE legacy_table = %s AND id = ANY(%s)",
                [self.table.name, done],
            )
            await self.state.execute(
                "UPDATE migration.mirror SET rows = rows + %s, moved_at = now() WHERE legacy_table = %s",
                [copied, self.table.name],
            )
        return copied

    async def _note_unfinished(self, ids: Sequence[int]) -> None:
        await self.state.execute(
            """INSERT INTO migration.mirror_unfinished (legacy_table, id) SELECT %s, unnest(%s::bigint[])
            ON CONFLICT DO NOTHING""",
            [self.table.name, list(ids)],
        )

    async def _copy(self, where: str, parameters: Mapping[str, Any]) -> int:
        has_event_id = await legacy_database.has_event_id(self.old, self.table)
        rows = await copy_rows(
            self.old, self.table, self.database, where, parameters, Pace(), has_event_id=has_event_id
        )
        if rows.lines:
            token = f"mirror/{self.table.name}/{time.time_ns()}"
            columns = self.table.event_columns
            await self.clickhouse.insert(
                self.target, rows.lines, token, {"migration": token}, columns, _SETTINGS, "TabSeparated"
            )
        return len(rows.lines)

    async def _look_ahead(self, next_id: int) -> None:
        """Note the newest id there is now: the next call copies up to it."""
        newest, seen_at = await self._seen()
        await self.state.execute(
            "UPDATE migration.mirror SET next_id = %s, seen_id = %s, seen_at = %s WHERE legacy_table = %s",
            [next_id, max(newest, next_id - 1), seen_at, self.table.name],
        )
